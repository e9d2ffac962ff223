"""Which fields each kind of server gets, how its kind is found out, and grammars written for llama.cpp."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import CapabilityMissing, ModelUnreachable, SettingWrong
from rookery.models.gbnf import choice_gbnf, regex_gbnf
from rookery.models.model import Grammar, Message, Request, Sampling, complete
from rookery.models.openai import OpenAIModel
from rookery.models.server import Served
from tests.servers import serve

ASK = (Message.of("user", "Which member?"),)
GOES_ON = (*ASK, Message.of("assistant", "obj."))
CHOICE = Grammar("choice", ("name", "size"))
REGEX = Grammar("regex", r"(name|size)\(\d+\)")
SCHEMA = Grammar("json_schema", {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False})
GBNF = Grammar("gbnf", 'root ::= "a"')
COMMON = {"messages", "model", "stream", "stream_options"}


async def sent(request: Request, *, endpoint: Any = "chat", **options: Any) -> dict[str, Any]:
    """The body that reaches the server, without what every body has."""
    async with serve(lambda body: "name") as server:
        model = OpenAIModel("test", base_url=server.url, endpoint=endpoint, **options)
        await complete(model, request)
        await model.aclose()
        return {key: value for key, value in server.requests[0].body.items() if key not in COMMON}


@pytest.mark.parametrize(("kind", "grammar", "expected"), [
    ("vllm", CHOICE, {"structured_outputs": {"choice": ["name", "size"]}}),
    ("vllm", REGEX, {"structured_outputs": {"regex": REGEX.source}}),
    ("vllm", SCHEMA, {"structured_outputs": {"json": SCHEMA.source}}),
    ("vllm", GBNF, {"structured_outputs": {"grammar": GBNF.source}}),
    ("sglang", REGEX, {"regex": REGEX.source}),
    ("sglang", GBNF, {"ebnf": GBNF.source}),
    ("llamacpp", CHOICE, {"grammar": 'root ::= "name" | "size"'}),
    ("llamacpp", REGEX, {"grammar": 'root ::= (("name" | "size")) "(" ([0-9])+ ")"'}),
    ("llamacpp", SCHEMA, {"json_schema": SCHEMA.source}),
    ("llamacpp", GBNF, {"grammar": GBNF.source}),
])
async def test_a_grammar_goes_into_the_field_of_its_server(kind: str, grammar: Grammar, expected: dict[str, Any]) -> None:
    assert await sent(Request(ASK, grammar=grammar), server=kind) == expected


@pytest.mark.parametrize("kind", ["sglang", "ollama", "openai", "other"])
async def test_elsewhere_a_schema_is_the_response_format(kind: str) -> None:
    body = await sent(Request(ASK, grammar=SCHEMA), server=kind)
    assert body == {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA.source, "strict": True}}}


@pytest.mark.parametrize(("kind", "expected"), [
    ("vllm", {"continue_final_message": True, "add_generation_prompt": False}), ("sglang", {"continue_final_message": True}),
    ("llamacpp", {}), ("ollama", {}),
])
async def test_a_last_message_of_the_assistant_is_gone_on_with(kind: str, expected: dict[str, Any]) -> None:
    assert await sent(Request(GOES_ON), server=kind) == expected
    assert await sent(Request(GOES_ON), server="other", prefill=True) == {}
    assert (await sent(Request(GOES_ON), server=kind, endpoint="completions"))["prompt"].endswith("obj.")


async def test_a_bias_is_a_mask_where_the_server_has_one() -> None:
    only = ((7, 100.0), (9, 100.0))
    assert await sent(Request(ASK, bias=only), server="vllm") == {"allowed_token_ids": [7, 9]}
    assert await sent(Request(ASK, bias=((7, -100.0),)), server="vllm") == {"logit_bias": {"7": -100.0}}
    assert await sent(Request(ASK, bias=only), server="llamacpp") == {"logit_bias": {"7": 100.0, "9": 100.0}}
    assert await sent(Request(ASK, bias=only), server="openai") == {"logit_bias": {"7": 100.0, "9": 100.0}}
    with pytest.raises(CapabilityMissing, match="at most 300"):
        await sent(Request(ASK, bias=tuple((token, 100.0) for token in range(301))), server="openai")


async def test_sampling_controls_have_the_names_of_the_server() -> None:
    how = Request(ASK, Sampling(top_k=40, min_p=0.1, repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.3))
    common = {"top_k": 40, "min_p": 0.1, "frequency_penalty": 0.2, "presence_penalty": 0.3}
    assert await sent(how, server="vllm") == common | {"repetition_penalty": 1.1}
    assert await sent(how, server="llamacpp") == common | {"repeat_penalty": 1.1}
    assert (await sent(Request(ASK, Sampling(top_k=0)), server="sglang"))["top_k"] == -1
    with pytest.raises(CapabilityMissing, match="top_k"):
        await sent(how, server="openai")


@pytest.mark.parametrize(("kind", "request_"), [
    ("ollama", Request(ASK, grammar=CHOICE)), ("openai", Request(ASK, grammar=REGEX)), ("sglang", Request(ASK, grammar=CHOICE)),
    ("openai", Request(GOES_ON)), ("other", Request(GOES_ON)), ("other", Request(ASK, bias=((1, 1.0),))),
    ("llamacpp", Request(ASK, grammar=Grammar("regex", "(?=a)b"))),
])
async def test_what_a_server_cannot_do_is_refused_before_it_is_asked(kind: str, request_: Request) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        await sent(request_, server=kind)
    assert caught.value.hint


@pytest.mark.parametrize(("owner", "kind"), [("vllm", "vllm"), ("sglang", "sglang"), ("llamacpp", "llamacpp"), ("library", "ollama"),
                                             ("somebody", "other")])
async def test_the_kind_is_found_out_once(owner: str, kind: str) -> None:
    async with serve(owner=owner) as server:
        model = OpenAIModel("test", base_url=server.url)
        assert isinstance(model, Served)
        before = model.capabilities
        assert (await model.server()).kind == kind
        assert await model.server() == await model.server()
        assert model.capabilities == before
        assert "json_schema" in (await model.server()).grammars
        await model.aclose()
    assert (await model.server()).kind == kind, "it is kept"
    unreachable = OpenAIModel("test", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelUnreachable):
        await unreachable.server()
    with pytest.raises(SettingWrong, match="vllm"):
        OpenAIModel("test", base_url="http://127.0.0.1:9/v1", server="vllmm")


async def test_a_plain_request_asks_nothing_of_the_server_beforehand() -> None:
    async with serve() as server:
        model = OpenAIModel("test", base_url=server.url)
        await complete(model, Request(ASK, Sampling(temperature=0.5, seed=1)))
        await model.aclose()
    assert model._kind is None


async def test_tokens_come_from_the_servers_that_tell_them() -> None:
    llama = {"/tokenize": lambda body: {"tokens": [{"id": 3, "piece": body["content"][:2]}, {"id": 4, "piece": [195]}]}}
    async with serve(beside=llama) as server:
        model = OpenAIModel("test", base_url=server.url, server="llamacpp")
        assert await model.tokens("name") == [(3, b"na"), (4, b"\xc3")]
        await model.aclose()
    vllm = {"/tokenize": lambda body: {"tokens": [5, 6]}, "/detokenize": lambda body: {"prompt": f"<{body['tokens'][0]}>"}}
    async with serve(beside=vllm) as server:
        model = OpenAIModel("test", base_url=server.url, server="vllm")
        assert await model.tokens("name") == [(5, b"<5>"), (6, b"<6>")]
        await model.aclose()
        with pytest.raises(CapabilityMissing, match="tokens"):
            await OpenAIModel("test", base_url=server.url, server="openai").tokens("name")


def test_choices_are_quoted() -> None:
    assert choice_gbnf(['a"b\\', "c\nd"]) == 'root ::= "a\\"b\\\\" | "c\\nd"'


@pytest.mark.parametrize(("pattern", "grammar"), [
    ("abc", 'root ::= "abc"'), ("", 'root ::= ""'), ("a|b", 'root ::= [ab]'), ("^(x|yz)$", 'root ::= (("x" | "yz"))'),
    (r"\w{2,3}[^\d\]]?.", r"root ::= ([a-zA-Z0-9_]){2,3} ([^0-9\]])? [^\n]"), (r"(?:ab)*c+", 'root ::= ("ab")* ("c")+'),
    (r"[^x]", "root ::= [^x]"), (r"\D", "root ::= [^0-9]"), ("a{3}", 'root ::= ("a"){3}'),
])
def test_patterns_become_grammars(pattern: str, grammar: str) -> None:
    assert regex_gbnf(pattern) == grammar


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=12))
def test_any_text_is_a_choice_and_a_pattern(text: str) -> None:
    quoted = choice_gbnf([text])
    assert quoted == regex_gbnf(re.escape(text)) or not text


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", r"\bword", "(", r"(?<!a)b"])
def test_what_a_grammar_cannot_say_is_refused(pattern: str) -> None:
    with pytest.raises(CapabilityMissing):
        regex_gbnf(pattern)
