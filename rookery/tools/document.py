"""An OpenAPI document (3.0 and 3.1) as operations whose parameters have types; every fault is noted with its place.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rookery.core.graph import MISSING, Param
from rookery.errors import DocumentInvalid, ToolUnfit
from rookery.tools.keywords import with_subschemas
from rookery.tools.rest import Place
from rookery.tools.schema import identifier, inlined, lookup, python_type, type_of

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SAFE = frozenset({"get", "head", "options", "trace"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
MAX_BYTES = 20_000_000
PLACES = ("path", "query", "header", "cookie")
_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Parameters of these names are described elsewhere in the document (section 4.8.12.2)."""
_DATA = frozenset({"example", "examples", "default", "enum", "const"})
"""Keys that hold no parts of the document."""
_OURS = frozenset({"xml", "externalDocs", "discriminator", "nullable", "example"})
"""Keys of schemas that JSON Schema does not have."""


def read_document(document: Mapping[str, Any] | str | Path) -> Any:
    """The data of a document: JSON, or YAML without tags of its own, whose dates stay text. Raises DocumentInvalid."""
    if isinstance(document, Mapping):
        return document
    text = document
    if isinstance(document, Path):
        try:
            text = document.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentInvalid(f"{document} cannot be read: {error}", tool=str(document), faults=[(str(document), str(error))]) from error
    assert isinstance(text, str)
    if len(text) > MAX_BYTES:
        raise DocumentInvalid(f"the document has {len(text)} characters, more than {MAX_BYTES}", faults=[("", "too large")])
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _read_yaml(text)


def _read_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it comes without types
        pass

    known = yaml.SafeLoader.yaml_implicit_resolvers.items()
    Loader.yaml_implicit_resolvers = {first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"] for first, pairs in known}
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a subclass of the safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else ""
        problem = str(getattr(error, "problem", None) or error or type(error).__name__)[:300]
        raise DocumentInvalid(f"neither JSON nor YAML: {place}: {problem}", faults=[(place, problem)]) from error


# ------------------------------------------------------------------ the document


@dataclass(slots=True)
class Operation:
    """One operation as the document has it."""

    name: str
    method: str
    path: str
    doc: str
    params: dict[str, Param] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    body: str = ""
    """Our name of the parameter that is the body."""
    media: str = ""
    returns: Any = Any
    unfit: str = ""


class Document:
    """Reads a document and notes every fault with its place."""

    def __init__(self, data: Any, base_url: str) -> None:
        self.data = data
        self.faults: list[tuple[str, str]] = []
        self.is_3_0 = False
        self.base_url = ""
        if not isinstance(data, Mapping):
            self._fault("", "it is not an object")
            return
        version = str(data.get("openapi", ""))
        self.is_3_0 = version.startswith("3.0")
        if not re.match(r"3\.[01](\.|$)", version):
            what = f"version {version!r}" if version else "Swagger 2.0" if "swagger" in data else "no version"
            self._fault("/openapi", f"{what} is not read, only 3.0 and 3.1")
        self.base_url = self._base(base_url)
        self._references(data, "", set())

    def _fault(self, place: str, message: str) -> None:
        if (place, message) not in self.faults:
            self.faults.append((place, message))

    def _base(self, given: str) -> str:
        if not given:
            servers = self.data.get("servers") or [{"url": "/"}]
            first = servers[0] if isinstance(servers, list) and isinstance(servers[0], Mapping) else {}
            variables = first.get("variables", {})
            given = re.sub(r"\{([^{}]*)\}", lambda hole: _default_of(variables, hole[1]), str(first.get("url", "/")))
            where = "/servers/0/url"
        else:
            where = "base_url"
        place = urlsplit(given)
        if place.scheme not in ("http", "https") or not place.hostname or place.query or place.fragment:
            self._fault(where, f"{given!r:.100} is no address of a server; give base_url='https://…'")
        elif "@" in place.netloc:
            self._fault(where, "an address with a user in it is not called; give headers={'Authorization': …}")
        return given.rstrip("/")

    def _references(self, node: Any, place: str, seen: set[int], depth: int = 0) -> None:
        """All references lead somewhere inside."""
        if id(node) in seen or depth > 200:
            return
        if isinstance(node, Mapping):
            seen.add(id(node))
            pointer = node.get("$ref")
            if isinstance(pointer, str):
                self._reference(pointer, place)
            for key, value in node.items():
                if key not in _DATA:
                    self._references(value, f"{place}/{_escaped(str(key))}", seen, depth + 1)
        elif isinstance(node, list):
            seen.add(id(node))
            for index, value in enumerate(node):
                self._references(value, f"{place}/{index}", seen, depth + 1)

    def _reference(self, pointer: str, place: str) -> None:
        if not pointer.startswith("#"):
            self._fault(f"{place}/$ref", f"{pointer!r:.100} is outside of the document, which is not read")
            return
        try:
            lookup(self.data, pointer)
        except KeyError:
            self._fault(f"{place}/$ref", f"there is no {pointer!r:.100}")

    def resolved(self, node: Any) -> Any:
        """A node, or what it refers to."""
        for _ in range(20):
            if not isinstance(node, Mapping) or not isinstance(node.get("$ref"), str):
                return node
            try:
                node = lookup(self.data, node["$ref"]) if node["$ref"].startswith("#") else None
            except KeyError:
                return None
        return None

    # ---------------------------------------------------------------- operations

    def operations(self) -> list[Operation]:
        if not isinstance(self.data, Mapping):
            return []
        paths = self.data.get("paths", {})
        if not isinstance(paths, Mapping):
            self._fault("/paths", "it is not an object")
            return []
        found: list[Operation] = []
        for path, given in paths.items():
            place = f"/paths/{_escaped(str(path))}"
            item = self.resolved(given)
            if not str(path).startswith("/"):
                self._fault(place, "a path begins with /")
            if not isinstance(item, Mapping):
                self._fault(place, "it is not an object")
                continue
            found += [self._operation(str(path), method, item, f"{place}/{method}") for method in METHODS if method in item]
        self._names(found)
        return found

    def _names(self, operations: Sequence[Operation]) -> None:
        seen: dict[str, Operation] = {}
        for operation in operations:
            other = seen.setdefault(operation.name, operation)
            if other is not operation:
                place = f"/paths/{_escaped(operation.path)}/{operation.method}/operationId"
                self._fault(place, f"{operation.name!r:.80} is the name of {other.method} {other.path} too")

    def _operation(self, path: str, method: str, item: Mapping[str, Any], place: str) -> Operation:
        given = item[method]
        if not isinstance(given, Mapping):
            self._fault(place, "it is not an object")
            return Operation(f"{method} {path}", method, path, "")
        named = given.get("operationId")
        if named is not None and not (isinstance(named, str) and named):
            self._fault(f"{place}/operationId", "it is not a text")
        text = [str(given.get(key) or item.get(key) or "") for key in ("summary", "description")]
        operation = Operation(str(named or identifier(f"{method} {path}")), method, path, ". ".join(each.rstrip(".") for each in text if each))
        if "servers" in given or "servers" in item:
            operation.unfit = "it is on a server of its own"
        if method == "trace":
            operation.unfit = "TRACE is not called"
        self._parameters(operation, item.get("parameters", []), given.get("parameters", []), place)
        self._body(operation, self.resolved(given.get("requestBody")), f"{place}/requestBody")
        operation.returns = self._returns(given.get("responses", {}), place)
        if method == "head":
            operation.returns = type(None)
        return operation

    def _parameters(self, operation: Operation, shared: Any, own: Any, place: str) -> None:
        found: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
        for listed, where in ((shared, place.rpartition("/")[0]), (own, place)):
            if not isinstance(listed, list):
                self._fault(f"{where}/parameters", "it is not a list")
                continue
            keys: set[tuple[str, str]] = set()
            for index, each in enumerate(listed):
                at = f"{where}/parameters/{index}"
                parameter = self._parameter(self.resolved(each), at)
                if parameter is None:
                    continue
                key = (parameter["name"], parameter["in"])
                if key in keys:
                    self._fault(at, f"{key[1]} parameter {key[0]!r:.80} is there twice")
                    continue
                keys.add(key)
                found[key] = (parameter, at)
        self._holes(operation, [name for name, kind in found if kind == "path"], place)
        ordered = sorted(found.values(), key=lambda pair: not (pair[0].get("required") or pair[0]["in"] == "path"))
        for parameter, at in ordered:
            if parameter["in"] != "header" or parameter["name"].lower() not in _IGNORED_HEADERS:
                self._take(operation, parameter, at)

    def _parameter(self, parameter: Any, at: str) -> Mapping[str, Any] | None:
        if not isinstance(parameter, Mapping):
            self._fault(at, "it is not a parameter object")
            return None
        if not isinstance(parameter.get("name"), str) or not parameter["name"]:
            self._fault(f"{at}/name", "a parameter has a name")
            return None
        if parameter.get("in") not in PLACES:
            self._fault(f"{at}/in", f"{parameter.get('in')!r:.40} is none of {', '.join(PLACES)}")
            return None
        if parameter["in"] == "path" and parameter.get("required") is not True:
            self._fault(f"{at}/required", "a parameter of the path is required")
        return parameter

    def _holes(self, operation: Operation, names: Sequence[str], place: str) -> None:
        holes = re.findall(r"\{([^{}]*)\}", operation.path)
        for hole in holes:
            if hole not in names:
                self._fault(place, f"no parameter says what {{{hole}}} of its path is")
        for name in names:
            if name not in holes:
                self._fault(place, f"its path has no {{{name}}} for the parameter of that name")

    def _take(self, operation: Operation, parameter: Mapping[str, Any], at: str) -> None:
        ours = identifier(parameter["name"], taken=operation.params)
        is_required = parameter["in"] == "path" or bool(parameter.get("required"))
        schema, where, is_json = parameter.get("schema", {}), f"{at}/schema", False
        if "content" in parameter:
            media = parameter["content"]
            schema, where, is_json = _first_schema(media), f"{at}/content", True
        type_ = self._type(schema, where, is_optional=not is_required, description=parameter.get("description"))
        operation.params[ours] = Param(ours, type_, MISSING if is_required else None)
        style = parameter.get("style") or ("form" if parameter["in"] in ("query", "cookie") else "simple")
        explode = parameter.get("explode", style == "form")
        operation.places[ours] = Place(parameter["name"], parameter["in"], str(style), bool(explode), is_json)

    def _body(self, operation: Operation, body: Any, place: str) -> None:
        if body is None:
            return
        content = body.get("content") if isinstance(body, Mapping) else None
        if not isinstance(content, Mapping) or not content:
            self._fault(f"{place}/content", "a body has a content")
            return
        media = next((each for each in content if _is_json(each)), None) or next(
            (each for each in content if each in ("application/x-www-form-urlencoded", "text/plain")), None
        )
        if media is None:
            operation.unfit = f"its body is {', '.join(map(str, content))[:80]}; only JSON, forms and plain text are sent"
            return
        schema = content[media].get("schema", {}) if isinstance(content[media], Mapping) else {}
        is_required = bool(body.get("required"))
        ours = identifier("body", taken=operation.params)
        where = f"{place}/content/{_escaped(str(media))}/schema"
        type_ = self._type(schema, where, is_optional=not is_required, description=body.get("description"))
        operation.params[ours] = Param(ours, type_, MISSING if is_required else None)
        operation.body, operation.media = ours, str(media)
        if is_required:  # before those that need not be given
            operation.params = dict(sorted(operation.params.items(), key=lambda pair: pair[1].default is not MISSING))

    def _type(self, schema: Any, place: str, *, is_optional: bool, description: Any = None) -> Any:
        try:
            plain = self._modern(inlined(schema, root=self.data))
            if isinstance(description, str) and isinstance(plain, dict) and "description" not in plain:
                plain["description"] = description[:1_000]
            return type_of(plain, is_optional=is_optional)
        except ToolUnfit as fault:
            self._fault(place, fault.reason)
            return Any

    def _modern(self, schema: Any) -> Any:
        """A schema of OpenAPI 3.0, which has its own dialect, as JSON Schema 2020-12; without what is about XML and documentation."""
        if not isinstance(schema, Mapping):
            return schema
        plain = with_subschemas({key: value for key, value in schema.items() if key not in _OURS}, self._modern)
        if not self.is_3_0:
            return plain
        for side in ("Minimum", "Maximum"):
            if isinstance(plain.get(f"exclusive{side}"), bool) and plain.pop(f"exclusive{side}") and side.lower() in plain:
                plain[f"exclusive{side}"] = plain.pop(side.lower())
        if schema.get("nullable") is True:
            if isinstance(plain.get("enum"), list) and None not in plain["enum"]:
                plain["enum"] = [*plain["enum"], None]
            if isinstance(plain.get("type"), str):
                plain["type"] = [plain["type"], "null"]
            elif "type" not in plain:
                plain = {"anyOf": [plain, {"type": "null"}]}
        return plain

    def _returns(self, responses: Any, place: str) -> Any:
        """The type of what it gives: as the document has it, without the constraints, which servers keep to less than callers."""
        if not isinstance(responses, Mapping):
            self._fault(f"{place}/responses", "it is not an object")
            return Any
        types: list[Any] = []
        for status, given in responses.items():
            response = self.resolved(given)
            if not re.fullmatch(r"2(\d\d|XX)", str(status)) or not isinstance(response, Mapping):
                continue
            content = response.get("content")
            if not isinstance(content, Mapping) or not content:
                types.append(type(None))
                continue
            media = next(iter(content))
            plain = self._modern(inlined(_first_schema(content), root=self.data))
            types.append(python_type(plain) if _is_json(str(media)) else str)
        return types[0] if types and all(each == types[0] for each in types) else Any


def _first_schema(content: Any) -> Any:
    first: Any = next(iter(content.values()), {}) if isinstance(content, Mapping) else {}
    return first.get("schema", {}) if isinstance(first, Mapping) else {}


def _is_json(media: str) -> bool:
    kind = media.partition(";")[0].strip().lower()
    return kind in ("application/json", "*/*", "application/*") or kind.endswith("+json")


def _default_of(variables: Any, name: str) -> str:
    variable = variables.get(name, {}) if isinstance(variables, Mapping) else {}
    return str(variable.get("default", "")) if isinstance(variable, Mapping) else ""


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
