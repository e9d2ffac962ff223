"""When two graphs mean the same: as plain data, in which two are equal exactly when they take, do and give the same.

Compared are names, inputs, types (by their fields, not by their classes), calls with their arguments, functions and options, the output and
the effects; a prompt by its text, a tool by what its fingerprint says. Not compared are where a graph was defined, and its words for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, get_args, get_origin

from rookery.core.graph import MISSING, Call, Graph, Many, Param, Ref, Source
from rookery.core.label import Label
from rookery.core.policy import Policy
from rookery.core.shape import item_types
from rookery.core.types import dump, name_of, schema, show
from rookery.core.value import digest
from rookery.errors import NotSerialisable


def same(one: Graph, other: Graph) -> bool:
    """Whether two graphs mean the same."""
    return meaning(one) == meaning(other)


def meaning(graph: Graph) -> dict[str, Any]:
    """A graph as plain data. Graphs inside of it are told once each, under the hash of what they mean."""
    teller = _Teller()
    return {"graph": teller.graph(graph), "graphs": teller.told}


class _Teller:
    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self._hashes: dict[int, str] = {}
        self._types: dict[Any, Any] = {}

    def graph(self, graph: Graph) -> dict[str, Any]:
        return {
            "name": graph.name, "inputs": {name: self.param(param) for name, param in graph.params.items()},
            "calls": {call.name: self.call(call) for call in graph.call_list}, "output": self.source(graph.output, graph.returns),
            "returns": self.type(graph.returns), "effects": sorted(graph.effects),
        }  # fmt: skip

    def param(self, param: Param) -> list[Any]:
        default = None if param.default is MISSING else [self.value(param.default, param.type)]
        return [self.type(param.type), default, sorted(param.labels)]

    def call(self, call: Call) -> dict[str, Any]:
        params: Mapping[str, Param] = getattr(call.function, "params", {}) if call.kind not in ("when", "ask") else {}
        args = {}
        for name, source in call.args.items():
            type_ = params[name].type if name in params else Any
            args[name] = self.source(source, list[type_] if name in call.over else type_)  # type: ignore[valid-type]
        return {
            "kind": call.kind, "type": self.type(call.type), "args": args, "function": self.function(call.function),
            "policy": self.policy(call.policy),
            "over": sorted(call.over), "times": call.times, "or_last": call.or_last, "state": call.state, "question": call.question,
            "labels": sorted(call.labels),
        }  # fmt: skip

    def function(self, function: Any) -> Any:
        if function is None:
            return None
        if isinstance(function, Graph):
            known = self._hashes.get(id(function))
            if known is None:
                told = self.graph(function)
                known = self._hashes[id(function)] = digest(json.dumps(told, sort_keys=True).encode())
                self.told[known] = told
            return {"graph": known}
        signature = [[self.param(param), name] for name, param in function.params.items()]
        found: dict[str, Any] = {"kind": function.kind, "name": function.name, "signature": signature, "returns": self.type(function.returns)}
        if function.kind == "prompt":
            system = function.system
            found |= {"text": function.template.source, "system": system.source if system is not None else None, "form": function.form}
        else:
            found["body"] = function._body()
        return {**found, "labels": sorted(function.labels)}  # the options in force are those of the call

    def policy(self, policy: Policy) -> dict[str, Any]:
        return {one.name: repr(getattr(policy, one.name)) for one in fields(Policy) if getattr(policy, one.name) not in (None, ())}

    def source(self, source: Source, type_: Any) -> Any:
        if isinstance(source, Ref):
            return {"$": source.name, "path": list(source.path)}
        if isinstance(source, Many):
            inner = item_types(source, type_)
            return {source.shape: [self.source(*one) for one in zip(source.items, inner, strict=True)], "keys": list(source.keys)}
        return {"=": self.value(source.value, type_)}

    def value(self, value: Any, type_: Any) -> str:
        try:
            return dump(value, type_).decode()
        except NotSerialisable:
            return show(value)

    def type(self, type_: Any) -> Any:
        """A type by its name and, where it has fields, by its schema."""
        if type_ is MISSING:
            return None
        if get_origin(type_) is Annotated and all(isinstance(one, Label | str) for one in get_args(type_)[1:]):
            type_ = get_args(type_)[0]  # labels are told of the parameter
        key = name_of(type_)
        if _is_plain(type_):
            return key
        try:
            found = dict(schema(type_))
        except NotSerialisable:
            return key
        return [key, json.dumps(found, sort_keys=True)]


def _is_plain(type_: Any) -> bool:
    """Whether a type's name says all of it."""
    if get_origin(type_) is not None:
        return all(_is_plain(one) for one in get_args(type_) if not isinstance(one, list)) and not hasattr(type_, "__metadata__")
    return not isinstance(type_, type) or type_.__module__ in ("builtins", "typing", "datetime", "decimal", "uuid", "pathlib")
