"""The names of scopes: whose memory it is. Every call of a memory is within one."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from rookery.errors import ScopeInvalid

MAX_CHARS = 200
_NAME = re.compile(r"[^\s/\\\x00-\x1f\x7f]+")


def mark(scope: str) -> str:
    """8 hex digits that stand for a scope in quotations and labels; they can be found again from the name, and not read back to it."""
    return hashlib.blake2b(scope.encode(), digest_size=4).hexdigest()


def label(scope: str) -> str:
    """The label of values that came out of a scope's memory; what is made from them carries it too."""
    return f"memory:{mark(scope)}"


def words(scope: str) -> str:
    """What stands in every quotation from a scope's memory, and nowhere else."""
    return f"[memory {mark(scope)}/"


def checked(scope: object) -> str:
    """The name itself: 1 to 200 visible characters such as ``user:ada`` or ``team:lab:2026``.

    It never becomes part of a path, and scopes are not nested: ``user:ada`` does not see ``user:ada:notes``.

    :raises ScopeInvalid: it is no text, empty, too long, has blanks, slashes or control characters, begins or ends with a dot, or is not in
        Unicode's composed form (NFC), in which two names that look the same are the same.
    """
    if not isinstance(scope, str) or not scope:
        raise ScopeInvalid(f"a scope is a text that is not empty, not {scope!r:.80}", hint="for example user:ada")
    fault = ""
    if len(scope) > MAX_CHARS:
        fault = f"is longer than {MAX_CHARS} characters"
    elif not _NAME.fullmatch(scope) or any(unicodedata.category(char)[0] in "CZ" for char in scope):
        fault = "has blanks, slashes or characters that cannot be seen"
    elif scope.startswith(".") or scope.endswith(".") or ".." in scope:
        fault = "begins or ends with a dot, or has two in a row"
    elif unicodedata.normalize("NFC", scope) != scope:
        fault = "is not in composed form (NFC)"
    if fault:
        raise ScopeInvalid(f"the scope {scope!r:.120} {fault}", scope=scope[:MAX_CHARS], hint="for example user:ada; use : between its parts")
    return scope
