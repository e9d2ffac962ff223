"""Offers and arguments: what a model is told of a tool, and what it wrote back, checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from rookery import tool
from rookery.core.function import IdempotencyKey
from rookery.errors import ParseFailed
from rookery.tools.offer import argument_schema, offer, read_arguments


class Place(BaseModel):
    city: str
    zip: int = Field(default=0, ge=0)


@tool
def send(to: Place, text: Annotated[str, Field(description="what to say")], how: Literal["post", "mail"] = "mail", copies: list[Place] | None = None,
         key: IdempotencyKey = "") -> str:
    """Send a text somewhere."""
    return text


def test_an_offer_says_what_the_tool_takes() -> None:
    made = offer(send)
    assert (made.name, made.description) == ("send", "Send a text somewhere.")
    schema = made.arguments
    Draft202012Validator.check_schema(dict(schema))
    assert list(schema["properties"]) == ["to", "text", "how", "copies"] and schema["required"] == ["to", "text"]
    assert schema["properties"]["text"]["description"] == "what to say" and schema["properties"]["how"]["default"] == "mail"
    Draft202012Validator(dict(schema)).validate({"to": {"city": "Ulm"}, "text": "x", "copies": [{"city": "Bonn", "zip": 3}]})
    assert not Draft202012Validator(dict(schema)).is_valid({"to": {}, "text": "x"})


def test_classes_of_one_name_do_not_mix() -> None:
    def made(field: str) -> Any:
        return type("Place", (BaseModel,), {"__annotations__": {field: int}, "__module__": __name__})

    def both(a: Any, b: Any) -> str: ...

    both.__annotations__.update(a=made("x"), b=made("y"))
    schema = argument_schema(tool(both))
    assert Draft202012Validator(schema).is_valid({"a": {"x": 1}, "b": {"y": 1}})
    assert not Draft202012Validator(schema).is_valid({"a": {"x": 1}, "b": {"x": 1}})


def test_arguments_are_read_as_their_types() -> None:
    values = read_arguments(send, '{"to": {"city": "Ulm", "zip": 89073}, "text": "hello"}')
    assert values == {"to": Place(city="Ulm", zip=89073), "text": "hello", "how": "mail", "copies": None}
    assert read_arguments(tool(lambda: None, name="none") if False else _nothing, "") == {}


@tool
def _nothing() -> None:
    return None


def test_every_fault_is_said_with_its_place() -> None:
    with pytest.raises(ParseFailed) as failed:
        read_arguments(send, '{"to": {"zip": -1}, "how": "pigeon", "color": 3}')
    assert {path for path, _ in failed.value.faults} == {"$.color", "$.to.city", "$.to.zip", "$.text", "$.how"}
    assert "pigeon" not in failed.value.reason or len(failed.value.reason) < 2000


@pytest.mark.parametrize("text", ["[1]", "3", "{", "nul", '{"x": NaN}', '"a"', "{" * 3000, '{"a":' * 500 + "1" + "}" * 500])
def test_what_is_no_object_is_said(text: str) -> None:
    with pytest.raises(ParseFailed) as failed:
        read_arguments(send, text)
    assert len(failed.value.reason) < 3_000


def test_a_flood_of_arguments_is_refused_shortly() -> None:
    with pytest.raises(ParseFailed):
        read_arguments(send, '{"text": "' + "x" * 2_000_000 + '"}')
    with pytest.raises(ParseFailed) as failed:
        read_arguments(send, {f"argument_{i}": i for i in range(10_000)})
    assert len(failed.value.reason) < 10_000 and len(failed.value.faults) > 10_000


@tool
def total(numbers: list[int]) -> int:
    return sum(numbers)


def test_a_large_wrong_argument_is_refused_quickly() -> None:
    import time

    started = time.monotonic()
    with pytest.raises(ParseFailed):
        read_arguments(total, '{"numbers": [' + ",".join(['"x"'] * 200_000) + "]}")
    assert time.monotonic() - started < 8
    assert read_arguments(total, '{"numbers": [' + ",".join(["1"] * 200_000) + "]}") == {"numbers": [1] * 200_000}
