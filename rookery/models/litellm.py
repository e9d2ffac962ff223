"""Models of every provider that ``litellm`` knows; it is imported at the first request, offline, and told to keep quiet."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rookery.errors import CapabilityMissing, ReplyCut, ReplyStalled, SettingMissing
from rookery.models.foreign import Border
from rookery.models.model import Capabilities, Chunk, Request
from rookery.models.prices import Price, known
from rookery.models.wire import ReplyReader, chat_messages, prompt_bound, response_format, sampling_fields, tool_field

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = threading.Lock()
_UNSTARTED = r"coroutine '\w*(ChatCompletion|Completion|LLM|HTTPHandler|Config)\.\w+' was never awaited"
_LOADED: list[Any] = []
"""litellm itself, once it is imported and set up."""
_OPEN: weakref.WeakSet[LiteLLMModel] = weakref.WeakSet()
"""The models that have sent something and are not closed; litellm keeps one pool of connections for all of them."""


class LiteLLMModel:
    """A model by its litellm name, ``anthropic/claude-sonnet-4-5``; see https://docs.litellm.ai/docs/providers for the names.

    Window, price and abilities come from litellm's own table, read as a file, so nothing is imported and nothing is sent
    before the first request. That one takes some seconds longer: importing litellm does.

    :param base_url: sent as ``api_base``, for servers of one's own.
    :param api_key: the key; else the variable ``api_key_env``; else what litellm takes from the environment for this provider.
    :param timeout_s: longest wait for the next piece of a reply, the first included.
    :param price_usd: per prompt token and per completion token, instead of the table's.
    :param extra: fields added to each request's body (``extra_body``); ``Request.extra`` wins.

    :raises SettingMissing: ``api_key_env`` is named and not set.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        timeout_s: float = 120.0,
        context_tokens: int | None = None,
        max_output_tokens: int | None = None,
        max_in_flight: int | None = None,
        price_usd: tuple[float, float] | None = None,
        json_schema: bool | None = None,
        tools: bool | None = None,
        logprobs: bool = False,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._base_url = base_url
        full_name = f"litellm:{name}" + (f"@{base_url}" if base_url else "")
        provider = name.split("/", 1)[0] if "/" in name else "openai"
        key_name = api_key_env or f"{provider.upper().replace('-', '_')}_API_KEY"
        self._key = api_key or (os.environ.get(api_key_env, "") if api_key_env else "")
        if api_key_env and not self._key:
            raise SettingMissing(f"{full_name} takes its key from {api_key_env}, which is not set", model=full_name,
                                 hint=f"export {api_key_env}=…")
        self._timeout_s = timeout_s
        self._extra = dict(extra or {})
        self._headers = dict(headers or {})
        facts = known(name, name.removeprefix(f"{provider}/") if provider in ("openai", "anthropic") else name)
        self._price = Price(*price_usd) if price_usd else facts.price if facts and not base_url else None
        self._capabilities = Capabilities(
            name=full_name,
            context_tokens=context_tokens or (facts.context_tokens if facts else None),
            max_output_tokens=max_output_tokens or (facts.max_output_tokens if facts else None),
            logprobs=logprobs,
            json_schema=json_schema if json_schema is not None else bool(facts and facts.json_schema),
            tools=tools if tools is not None else bool(facts and facts.tools),
            max_in_flight=max_in_flight,
            price_usd=(self._price.prompt_usd, self._price.completion_usd) if self._price else None,
            origin=f"server at {base_url or provider} through litellm",
        )
        has_key = bool(self._key or os.environ.get(key_name))
        self._border = Border(full_name, base_url or provider, key_name, has_key, self._key or os.environ.get(key_name, ""))

    def __repr__(self) -> str:
        return f"LiteLLMModel({self._capabilities.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """From litellm's table, and what was said at construction."""
        return self._capabilities

    async def count_tokens(self, request: Request) -> int:
        """An upper bound, see :func:`rookery.models.wire.prompt_bound`; nothing is asked of the server."""
        return prompt_bound(request)

    async def aclose(self) -> None:
        """Close litellm's connections, once no other model uses them."""
        if self not in _OPEN:
            return
        _OPEN.discard(self)
        if not _OPEN:
            litellm: Any = _load()
            await litellm.close_litellm_async_clients()
            litellm.in_memory_llm_clients_cache.flush_cache()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply as it comes. Closing the iterator closes the connection.

        :raises CapabilityMissing: tools or log-probabilities are asked of a model that has none.
        :raises SettingMissing, ModelUnknown, ModelUnreachable, ModelBusy, ModelFault, ReplyMalformed, ReplyCut, ReplyStalled,
            RequestRefused, ContextOverflow: as their names say; never an error of a library.
        """
        self._check(request)
        try:
            litellm = _load() if _LOADED else await asyncio.to_thread(_load)  # seconds of imports, which must not stop the loop
            _OPEN.add(self)
            body, wrapped = self._body(litellm, request)
            async with asyncio.timeout(self._timeout_s):
                reply = await litellm.acompletion(**body)
        except Exception as error:
            self._refuse(error, reading=False)
        reader = ReplyReader(request, model=self._capabilities.name, price=self._price, wrapped=wrapped)
        try:
            while (data := await self._next(reply)) is not None:
                chunk = reader.feed(data)
                if chunk is not None:
                    yield chunk
        finally:
            await reply.aclose()
        yield reader.end()

    def _check(self, request: Request) -> None:
        can, name = self._capabilities, self._capabilities.name
        if request.tools and not can.tools:
            raise CapabilityMissing(f"{name} takes no tools", model=name, hint="pass tools=True if it does")
        if request.sampling.logprobs is not None and not can.logprobs:
            raise CapabilityMissing(f"{name} gives no log-probabilities", model=name, hint="pass logprobs=True if it does")

    def _body(self, litellm: Any, request: Request) -> tuple[dict[str, Any], bool]:
        """The arguments of ``acompletion``, and whether the reply will be wrapped."""
        takes = litellm.get_supported_openai_params(model=self._name) or ()
        # A seed that a provider has no field for is only a wish; all else it can't take is refused loudly.
        body = sampling_fields(request, max_tokens_field="max_tokens", seed="seed" in takes)
        body |= {"model": self._name, "messages": chat_messages(request), "stream": True, "num_retries": 0, "max_retries": 0,
                 "stream_options": {"include_usage": True}, "timeout": self._timeout_s}
        headers = self._headers | ({"Idempotency-Key": request.idempotency_key} if request.idempotency_key else {})
        optional = {
            "api_base": self._base_url,
            "api_key": self._key or ("none" if self._base_url and not self._border.has_key else None),
            "extra_headers": headers or None,
            "extra_body": self._extra | dict(request.extra) or None,
            "tools": tool_field(request) or None,
        }
        body |= {key: value for key, value in optional.items() if value is not None}
        if request.tools and _lacks_mcp():
            body["_skip_mcp_handler"] = True  # else it imports a package for its gateway that it does not install
        asked = request.sampling.logprobs
        if asked is not None:
            body |= {"logprobs": True} | ({"top_logprobs": asked} if asked else {})
        wrapped = False
        if request.schema is not None and self._capabilities.json_schema:
            body["response_format"], wrapped = response_format(request, object_root=True)
        return body, wrapped

    async def _next(self, reply: Any) -> Any:
        """The next object of the stream as plain data; None at its end."""
        try:
            async with asyncio.timeout(self._timeout_s):
                piece = await reply.__anext__()
        except StopAsyncIteration:
            return None
        except Exception as error:
            self._refuse(error, reading=True)
        data = piece.model_dump(warnings=False)
        ended = any(choice.get("finish_reason") for choice in data.get("choices") or ())
        heard = getattr(reply, "received_finish_reason", "?") or getattr(reply, "intermittent_finish_reason", None)
        if ended and heard is None:  # litellm makes up an end for a stream that had none
            raise ReplyCut("the stream ended before its end was announced", model=self._capabilities.name)
        return data

    def _refuse(self, error: Exception, *, reading: bool) -> NoReturn:
        mapped = self._border.error(error, reading=reading)
        if isinstance(mapped, ReplyStalled):
            mapped = ReplyStalled(f"{self._border.address} sent nothing for {self._timeout_s:g} s", model=self._capabilities.name,
                                  hint="raise timeout_s if the model is only slow")
        raise mapped from (None if mapped is error else error)


def _load() -> Any:
    """Import litellm without network, ``.env`` file, telemetry, retries and log lines; later calls cost microseconds."""
    with _LOCK:
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # The price map would be fetched from GitHub at import; in any other mode it also reads .env into the environment.
        with _environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm
        # What it does with pydantic is its own affair; under -W error these would end a stream in the middle.
        warnings.filterwarnings("ignore", module=r"litellm\b")
        warnings.filterwarnings("ignore", message="Item '.*' on TypedDict class", category=UserWarning)
        # A request cancelled while a worker thread of litellm prepares it leaves its coroutine unstarted, with nothing sent.
        warnings.filterwarnings("ignore", message=_UNSTARTED, category=RuntimeWarning)
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.disable_aiohttp_transport = True  # httpx closes what it opens; aiohttp's sessions would outlive the loop
        litellm.num_retries = None
        _LOADED[:] = [litellm]
        return litellm


def _lacks_mcp() -> bool:
    """Whether this litellm looks for gateway tools with the package ``mcp``, and it is not there."""
    try:
        looks = importlib.util.find_spec("litellm.responses.mcp.chat_completions_handler") is not None
    except ModuleNotFoundError:
        return False
    return looks and importlib.util.find_spec("mcp") is None


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
