"""From a name to a model: ``provider:NAME[@BASE_URL]``, or a name from the settings."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from rookery.errors import ModelUnknown, SettingMissing, SettingWrong
from rookery.models.model import Model

if TYPE_CHECKING:
    from rookery.models.settings import Settings

PROVIDERS: Mapping[str, str] = {
    "embedded": "rookery.models.embedded:EmbeddedModel",
    "openai": "rookery.models.openai:OpenAIModel",
    "litellm": "rookery.models.litellm:LiteLLMModel",
    "transformers": "rookery.models.transformers:TransformersModel",
    "llamacpp": "rookery.models.llamacpp:LlamaCppModel",
    "recorded": "rookery.models.recorded:RecordedModel",
}
"""Where each provider's class lives; a module is imported when its first model is built."""

EXAMPLES: Mapping[str, str] = {
    "embedded": "embedded:game24",
    "openai": "openai:gpt-5-mini or openai:NAME@http://HOST:8000/v1",
    "litellm": "litellm:anthropic/claude-sonnet-4-5",
    "transformers": "transformers:models/Qwen3-4B",
    "llamacpp": "llamacpp:models/qwen3-4b-q4_k_m.gguf",
    "recorded": "recorded:tests/answers.jsonl",
}

_SPEC = re.compile(r"(?P<provider>[^:/\s]+):(?P<name>.*?)(?:@(?P<base_url>https?://\S+))?", re.DOTALL)


def model(spec: str | Model | None = None, *, settings: Settings | None = None, **options: Any) -> Model:
    """The model that ``spec`` names; nothing is sent and no provider's package is imported until its first request.

    ``spec`` is ``provider:NAME[@BASE_URL]`` (``openai:@http://host/v1`` asks the server what it serves), a name from the
    settings, a Model (given back as it is), or None for the default model of the settings. ``options`` are those of the
    model's class and win over the settings'; ``settings`` defaults to :func:`rookery.models.settings.load_settings`.

    :raises ModelUnknown: no such provider, name or option; the hint has the nearest ones.
    :raises SettingMissing: no default model is set, or the model needs a key that is not set.
    :raises SettingWrong: the settings themselves are wrong.
    """
    entry: Any = spec
    if hasattr(entry, "arguments"):  # of settings, or of a workflow's models
        return model(entry.use, settings=settings, **(entry.arguments() | options))
    if spec is not None and not isinstance(spec, str):
        if options:
            raise SettingWrong(f"options ({', '.join(options)}) can't be changed on a model that is already built",
                               model=spec.capabilities.name, hint="give them where it is built")
        return spec
    if settings is None:
        from rookery.models.settings import load_settings

        settings = load_settings()
    spec = spec or settings.model
    if not spec:
        raise SettingMissing("no model is given and no default is set",
                             hint='pass model=…, set ROOKERY_MODEL, or write model = "embedded:game24" into rookery.toml')
    return _build(spec, settings, options)


def _build(spec: str, settings: Settings, options: dict[str, Any]) -> Model:
    named = settings.models.get(spec)
    if named is not None:
        parsed = _parse(named.use, settings, inside=spec)
        options = named.arguments() | options
    else:
        parsed = _parse(spec, settings)
    provider, name, base_url = parsed
    if isinstance(options.get("inner"), str):
        options = options | {"inner": model(options["inner"], settings=settings)}  # what a cassette records
    if base_url:
        options = {"base_url": base_url} | options
    return _construct(provider, name, options)


def _parse(spec: str, settings: Settings, *, inside: str = "") -> tuple[str, str, str | None]:
    match = _SPEC.fullmatch(spec.strip())
    place = f" (models.{inside}.use in the settings)" if inside else ""
    if match is None:
        raise ModelUnknown(f"{spec!r}{place} names no model", model=spec, hint=_nearest(spec, settings))
    provider = match["provider"]
    if provider not in PROVIDERS:
        raise ModelUnknown(f"{spec!r}{place}: there is no provider {provider!r}", model=spec, hint=_nearest(provider, settings))
    if not match["name"] and not (provider == "openai" and match["base_url"]):
        raise ModelUnknown(f"{spec!r}{place}: the name is missing", model=spec, hint=f"for example {EXAMPLES[provider]}")
    name, at, address = match["name"].rpartition("@")
    if provider == "openai" and at and not match["base_url"]:
        raise ModelUnknown(f"{spec!r}{place}: the address {address!r} has no http:// or https://", model=spec,
                           hint=f"write openai:{name}@http://{address}")
    return provider, match["name"], match["base_url"]


def _nearest(word: str, settings: Settings) -> str:
    near = difflib.get_close_matches(word, [*settings.models, *PROVIDERS], n=2, cutoff=0.6)
    meant = f"did you mean {' or '.join(EXAMPLES.get(name, name) for name in near)}? " if near else ""
    names = f"; names in your settings: {', '.join(settings.models)}" if settings.models else ""
    return f"{meant}a model is provider:NAME[@BASE_URL] with provider {', '.join(PROVIDERS)}{names}"


def _construct(provider: str, name: str, options: dict[str, Any]) -> Model:
    module, _, attribute = PROVIDERS[provider].partition(":")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise SettingMissing(f"{provider} needs the package {error.name!r}, which is not installed",
                                 model=f"{provider}:{name}", hint=f"pip install {error.name}") from error
        raise ModelUnknown(f"this installation has no {provider} models", model=f"{provider}:{name}") from error
    known = [key for key, parameter in inspect.signature(cls).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}"
            raise SettingWrong(f"a model of {provider} has no option {option!r}", model=f"{provider}:{name}", hint=meant)
    return cast("Model", cls(name, **options))
