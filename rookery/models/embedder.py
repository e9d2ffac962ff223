"""What an embedder is: texts in, vectors out, and a fingerprint that tells whose vectors they are."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from rookery.errors import ModelUnknown, SettingMissing, SettingWrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Purpose = Literal["document", "query"]
"""What a text will be: kept and found, or what is asked. Some models embed the two differently."""


@runtime_checkable
class Embedder(Protocol):
    """Makes a vector of a text; texts that mean alike have a high cosine."""

    @property
    def fingerprint(self) -> str:
        """Model and version: equal fingerprints make vectors that may stand in one index. Constant."""
        ...

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> NDArray[np.float32]:
        """One row a text, of length 1 or (a text without meaning) 0; shape (len(texts), dims), dims the same each time.

        :raises ModelError: any of its kinds; never an error of a library.
        """
        ...

    async def aclose(self) -> None:
        """Free what is held; may be called twice."""
        ...


EMBEDDERS: Mapping[str, str] = {
    "static": "rookery.models.static:StaticEmbedder",
    "openai": "rookery.models.openai_embedder:OpenAIEmbedder",
    "sentence-transformers": "rookery.models.sentence_transformers:SentenceTransformersEmbedder",
}
"""Where each provider's class lives; a module is imported when its first embedder is built."""
DEFAULT = "static"
_SPEC = re.compile(r"(?P<provider>[^:/\s]+)(?::(?P<name>.*?))?(?:@(?P<base_url>https?://\S+))?", re.DOTALL)


def embedder(spec: str | Embedder | None = None, **options: Any) -> Embedder:
    """The embedder that ``spec`` names; nothing is sent, read or imported until its first text.

    ``static`` (the one that ships with rookery, and the default), ``openai:text-embedding-3-small``,
    ``openai:NAME@http://HOST:8000/v1``, ``sentence-transformers:NAME_OR_FOLDER``, or an Embedder, which is given back as it is.

    :raises ModelUnknown: no such provider; the hint has the nearest one.
    :raises SettingMissing: it needs a key or a package that is not there.
    :raises SettingWrong: it has no such option.
    """
    if spec is not None and not isinstance(spec, str):
        if options:
            raise SettingWrong(f"options ({', '.join(options)}) can't be changed on an embedder that is already built", model=spec.fingerprint,
                               hint="give them where it is built")
        return spec
    spec = (spec or DEFAULT).strip()
    match = _SPEC.fullmatch(spec)
    if match is None or match["provider"] not in EMBEDDERS:
        near = difflib.get_close_matches(spec.partition(":")[0], EMBEDDERS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ModelUnknown(f"{spec!r} names no embedder", model=spec, hint=f"{meant}there is static, openai:NAME[@BASE_URL], "
                                                                           "sentence-transformers:NAME_OR_FOLDER")
    if match["base_url"]:
        options = {"base_url": match["base_url"], **options}
    return _construct(match["provider"], match["name"] or "", options)


def _construct(provider: str, name: str, options: dict[str, Any]) -> Embedder:
    module, _, attribute = EMBEDDERS[provider].partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    known = [key for key, parameter in inspect.signature(cls).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise SettingWrong(f"an embedder of {provider} has no option {option!r}", model=f"{provider}:{name}",
                               hint=f"it takes {', '.join(known) or 'none'}")
    if not name and provider != "static":
        raise SettingMissing(f"an embedder of {provider} needs a name", model=provider, hint="for example openai:text-embedding-3-small")
    return cast("Embedder", cls(name, **options))
