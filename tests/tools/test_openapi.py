"""OpenAPI: operations become typed tools, arguments go where the document says, only its server is called, faults come all at once."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery import run, start
from rookery.core.graph import MISSING
from rookery.errors import (
    CallFailed,
    DocumentInvalid,
    ParseFailed,
    ToolFailed,
    ToolRefused,
    ToolReplyWrong,
    ToolTimeout,
    ToolUnreachable,
)
from rookery.tools.approval import allow_all
from rookery.tools.offer import offer, read_arguments
from rookery.tools.openapi import openapi_tools
from tests.web_servers import breaks_off, drips, floods, hangs, is_no_http, says, site

SHOP = """
openapi: 3.0.3
info: {title: Shop, version: 1.0.0}
servers:
  - url: https://{region}.shop.example/v1
    variables: {region: {default: eu}}
paths:
  /pets/{petId}:
    parameters:
      - {name: petId, in: path, required: true, schema: {type: integer, minimum: 1}}
    get:
      operationId: getPet
      summary: One pet
      parameters:
        - {name: fields, in: query, schema: {type: array, items: {type: string}}}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: api_key, in: query, required: true, schema: {type: string}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
    delete:
      operationId: deletePet
      responses:
        "204": {description: gone}
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: filter, in: query, style: deepObject, schema: {type: object, properties: {color: {type: string}}}}
        - {name: since, in: query, schema: {type: string, format: date, default: 2020-01-01}}
        - {name: session, in: cookie, schema: {type: string}}
      responses:
        200: {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}
    post:
      operationId: addPet
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}
      responses:
        "201": {description: made, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
  /photos:
    post:
      operationId: addPhoto
      requestBody: {content: {multipart/form-data: {schema: {type: object}}}}
      responses: {"204": {description: ok}}
  /form:
    post:
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object}}}}
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string, minLength: 1}
        age: {type: integer, minimum: 0, exclusiveMinimum: true, nullable: true}
        friends: {type: array, items: {$ref: "#/components/schemas/Pet"}}
        xml: {type: boolean}
"""
KEY = "hunter2-hunter2"


def shop(url: str = "", **options: Any) -> Any:
    return openapi_tools(SHOP, base_url=url, query={"api_key": KEY}, headers={"Authorization": f"Bearer {KEY}"}, **options)


def test_operations_become_tools() -> None:
    taken = openapi_tools(SHOP, name="shop")
    assert [tool.name for tool in taken] == [f"shop__{name}" for name in ("getPet", "deletePet", "listPets", "addPet", "post_form")]
    assert [fault.tool for fault in taken.unfit] == ["addPhoto"] and "multipart" in taken.unfit[0].reason
    get, delete = taken["shop__getPet"], taken["shop__deletePet"]
    assert not get.effect and delete.effect
    assert list(get.params) == ["petId", "api_key", "fields", "X_Trace"] and get.params["petId"].default is MISSING
    assert get.returns == dict[str, Any] and taken["shop__listPets"].returns == list[dict[str, Any]] and delete.returns is type(None)
    assert "eu.shop.example (GET /pets/{petId})" in get.doc and "One pet" in get.doc


def test_a_key_that_is_given_is_no_parameter() -> None:
    assert "api_key" not in shop()["getPet"].params


def test_schemas_of_3_0_are_read_as_such() -> None:
    add = openapi_tools(SHOP)["addPet"]
    assert read_arguments(add, {"body": {"name": "a", "age": None}}) == {"body": {"name": "a", "age": None}}
    for body in ({"name": ""}, {"name": "a", "age": 0}, {"age": 3}, {"name": "a", "friends": [{}]}, {"name": "a", "xml": 3}):
        with pytest.raises(ParseFailed):
            read_arguments(add, {"body": body})
    assert offer(add).arguments["properties"]["body"]["properties"]["xml"] == {"type": "boolean"}


async def test_arguments_go_where_the_document_says() -> None:
    async with site(says({"name": "Rex"})) as made:
        async with start(shop(made.url + "/v1")["getPet"], petId=7, fields=["name", "a&b"], X_Trace="t 1") as r:
            assert await r == {"name": "Rex"}
        asked = made.asked[0]
        assert asked.method == "GET" and asked.target == f"/v1/pets/7?fields=name&fields=a%26b&api_key={KEY}"
        assert asked.headers["x-trace"] == "t 1" and asked.headers["authorization"] == f"Bearer {KEY}"
    async with site(says([])) as made:
        async with start(shop(made.url)["listPets"], tags=["a", "b"], filter={"color": "red"}, session="x y") as r:
            assert await r == []
        assert made.asked[0].target == f"/pets?tags=a%2Cb&filter%5Bcolor%5D=red&api_key={KEY}"
        assert made.asked[0].headers["cookie"] == "session=x%20y" and "idempotency-key" not in made.asked[0].headers


async def test_bodies_and_an_idempotency_key() -> None:
    async with site(says({"name": "Rex"}, status="201 Created")) as made:
        async with start(shop(made.url, allow=allow_all)["addPet"], body={"name": "Réx", "age": 3}) as r:
            assert await r == {"name": "Rex"}
        asked = made.asked[0]
        assert asked.method == "POST" and json.loads(asked.body) == {"name": "Réx", "age": 3} and asked.headers["content-type"] == "application/json"
        assert len(asked.headers["idempotency-key"]) == 32
    async with site(says(b"fine", media="text/plain; charset=latin-1")) as made:
        async with start(shop(made.url, allow=allow_all)["post_form"], body={"a": 1, "b": ["x", "y z"]}) as r:
            assert await r == "fine"
        assert made.asked[0].body == b"a=1&b=x&b=y+z"


async def test_effects_ask_first() -> None:
    async with site(says(b"", status="204 No Content", media="")) as made:
        delete = shop(made.url)["deletePet"]
        async with start(delete, petId=7) as r:
            await r.until_waiting()
            assert not made.asked
            r.answer(next(iter(r.view.questions)), True)
            assert await r is None
        assert made.asked[0].method == "DELETE"


def test_a_tool_works_in_a_synchronous_run_too() -> None:
    with pytest.raises(CallFailed) as failed:
        run(shop("http://127.0.0.1:9")["getPet"], petId=7)
    assert failed.value.kind == "ToolUnreachable"


@pytest.mark.parametrize("value", ["..", ".", "", "../admin", "a/b", "a?b=c", "a#b", "%2e%2e", "é", "http://evil.example"])
async def test_a_path_argument_cannot_leave_its_place(value: str) -> None:
    document = {
        "openapi": "3.1.0", "paths": {"/users/{id}/posts": {"get": {
            "operationId": "posts", "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        }}},
    }  # fmt: skip
    async with site(says([])) as made:
        posts = openapi_tools(document, base_url=made.url)["posts"]
        if value in ("..", ".", ""):
            with pytest.raises(ToolRefused):
                await posts.function(id=value)
            assert not made.asked
            return
        await posts.function(id=value)
        target = made.asked[0].target
        assert target.startswith("/users/") and target.endswith("/posts") and target.count("/") == 3 and "?" not in target


async def test_a_header_argument_cannot_bring_another() -> None:
    async with site(says({})) as made:
        with pytest.raises(ToolRefused):
            await shop(made.url)["getPet"].function(petId=7, X_Trace="a\r\nX-Admin: 1")
        assert not made.asked


@pytest.mark.parametrize(("reply", "error"), [
    (says({"error": "no such pet"}, status="404 Not Found"), ToolFailed), (says({}, status="503 Service Unavailable"), ToolUnreachable),
    (says({}, status="429 Too Many Requests"), ToolUnreachable), (says(b"", status="302 Found", Location="http://127.0.0.1:9/"), ToolFailed),
    (says(b"{not json"), ToolReplyWrong), (says([1, 2]), ToolReplyWrong), (says(b"\x89PNG", media="image/png"), ToolReplyWrong),
    (says({}, Content_Encoding="gzip"), ToolReplyWrong), (says(b"[" * 100_000), ToolReplyWrong), (says(b'{"a": NaN}'), ToolReplyWrong),
    (hangs, ToolTimeout), (drips, ToolTimeout), (floods, ToolReplyWrong), (breaks_off, ToolReplyWrong), (is_no_http, ToolReplyWrong),
])  # fmt: skip
async def test_a_bad_answer_is_a_typed_error_in_bounded_time(reply: Any, error: type[Exception]) -> None:
    started = time.monotonic()
    async with site(reply) as made:
        with pytest.raises(error):
            await shop(made.url, timeout_s=1.0, max_reply_bytes=200_000)["getPet"].function(petId=7)
        assert len(made.asked) == 1
    assert time.monotonic() - started < 10


async def test_secrets_are_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with site(says({"you sent": f"Bearer {KEY}", "key": KEY}, status="401 Unauthorized")) as made:
        with caplog.at_level(logging.DEBUG), pytest.raises(ToolFailed) as failed:
            await shop(made.url)["getPet"].function(petId=7)
    assert failed.value.status == 401 and KEY not in str(failed.value) and "[secret]" in str(failed.value)
    assert not [record for record in caplog.records if KEY in record.getMessage()]
    assert KEY not in repr(shop()) + repr(shop()["getPet"]) + repr(vars(shop()["getPet"]))


async def test_a_secret_that_comes_back_is_not_handed_on() -> None:
    async with site(says({"headers": {"authorization": f"Bearer {KEY}"}, "url": f"/?api_key={KEY}"})) as made:
        assert KEY not in str(await shop(made.url)["getPet"].function(petId=7))


async def test_no_proxy_and_no_netrc_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with site(says({"name": "a"})) as made:
        await openapi_tools(SHOP, base_url=made.url)["getPet"].function(petId=7, api_key="k")
        assert "authorization" not in made.asked[0].headers


# ------------------------------------------------------------------ documents


BROKEN: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "/relative"}],
    "paths": {
        "pets": {},
        "/a/{id}": {"get": {"operationId": "same"}, "post": 3},
        "/b": {
            "get": {
                "operationId": "same",
                "parameters": [
                    {"in": "query"}, {"name": "x", "in": "body"}, 3, {"name": "id", "in": "path"}, {"$ref": "#/components/parameters/none"},
                    {"name": "q", "in": "query", "schema": {"type": "strong"}}, {"name": "q", "in": "query"},
                ],
                "requestBody": {},
                "responses": [],
            },
            "put": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "other.yaml#/Pet"}}}}},
        },
        "/c": [],
    },
}  # fmt: skip


def test_all_faults_come_at_once_each_with_its_place() -> None:
    with pytest.raises(DocumentInvalid) as invalid:
        openapi_tools(BROKEN)
    places = {place for place, _ in invalid.value.faults}
    assert places >= {
        "/servers/0/url", "/paths/pets", "/paths/~1a~1{id}/get", "/paths/~1a~1{id}/post", "/paths/~1b/get/operationId",
        "/paths/~1b/get/parameters/0/name", "/paths/~1b/get/parameters/1/in", "/paths/~1b/get/parameters/2",
        "/paths/~1b/get/parameters/3/required", "/paths/~1b/get/parameters/4/$ref", "/paths/~1b/get/parameters/5/schema",
        "/paths/~1b/get/parameters/6", "/paths/~1b/get/requestBody/content", "/paths/~1b/get/responses",
        "/paths/~1b/put/requestBody/content/application~1json/schema/$ref", "/paths/~1c",
    }  # fmt: skip
    assert "strong" in str(invalid.value)


@pytest.mark.parametrize("document", [
    "", "3", "[]", "{", "a: [", "openapi: 2.0", '{"swagger": "2.0", "paths": {}}', '{"openapi": "4.0.0"}', '{"openapi": "3.1.0", "paths": []}',
    "openapi: 3.1.0\npaths: !!python/object/apply:os.system [ls]", "&a [*a]", "a: &x {b: *x}", "[" * 1_500,
    '{"openapi": "3.1.0", "servers": [], "paths": {}}', '{"openapi": "3.1.0", "servers": [{"url": "https://a:b@shop.example"}]}',
    '{"openapi": "3.1.0", "servers": 3}', '{"openapi": "3.1.0", "servers": [{"url": "file:///etc"}]}',
])  # fmt: skip
def test_what_is_no_document_is_said(document: str) -> None:
    with pytest.raises(DocumentInvalid) as invalid:
        openapi_tools(document)
    assert invalid.value.faults


def test_a_document_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    assert len(openapi_tools(tmp_path / "shop.yaml")) == 5
    with pytest.raises(DocumentInvalid):
        openapi_tools(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DocumentInvalid):
        openapi_tools(tmp_path / "binary")


def test_yaml_that_grows_without_end_is_read_in_bounded_time() -> None:
    lines = ["openapi: 3.1.0", "servers: [{url: 'http://127.0.0.1'}]", "x-0: &a0 {type: string}"]
    lines += [f"x-{i}: &a{i} {{allOf: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    lines += ["paths: {/a: {get: {parameters: [{name: q, in: query, schema: *a11}]}}}"]
    started = time.monotonic()
    assert len(openapi_tools("\n".join(lines))) == 1
    assert time.monotonic() - started < 20


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "get", "path", "/a/{b}", "#/paths", "$ref", "query"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["get", "post", "parameters", "name", "in", "schema", "$ref", "/a/{b}", "requestBody", "content", "responses", "200", "url",
                         "servers", "type", "properties", "operationId", "application/json", "required"]), inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON, JSON)
@settings(max_examples=200, deadline=None)
def test_whatever_it_is_only_faults_come_of_it(paths: Any, servers: Any, components: Any) -> None:
    whole = {"openapi": "3.0.1", "paths": paths, "servers": servers, "components": components}
    for document in (whole, {"openapi": "3.1.0", "paths": {"/a/{b}": paths}}):
        try:
            openapi_tools(document, base_url="http://127.0.0.1" if servers else "")
        except DocumentInvalid as invalid:
            assert invalid.faults
