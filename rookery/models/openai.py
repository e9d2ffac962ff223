"""Models behind OpenAI-compatible servers, through the ``openai`` package (2.x or 3.x), imported at the first request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NoReturn

from rookery.errors import CapabilityMissing, ModelUnknown, ReplyMalformed, ReplyStalled, SettingMissing, SettingWrong
from rookery.models.foreign import Border
from rookery.models.model import Capabilities, Chunk, Request
from rookery.models.prices import Price, known
from rookery.models.served import SERVERS, kind_of, needs_server, piece_bytes, server_fields, with_schema
from rookery.models.server import Server
from rookery.models.wire import ReplyReader, chat_messages, prompt_bound, response_format, sampling_fields, tool_field

OFFICIAL = "https://api.openai.com/v1"


class OpenAIModel:
    """A model of OpenAI or of any server that speaks its protocol (vLLM, SGLang, llama.cpp, Ollama, …).

    :param name: the server's name of the model; empty asks ``/models`` at the first request, and takes the only one served.
    :param base_url: the server's address, usually ending in ``/v1``; else ``OPENAI_BASE_URL``, else OpenAI itself.
    :param api_key: the key; else the variable ``api_key_env``; else, at OpenAI's own address or that of ``OPENAI_BASE_URL``,
        ``OPENAI_API_KEY``, which is sent nowhere else.
    :param endpoint: ``chat``, or ``completions`` (one text, no roles, tools or schema).
    :param timeout_s: longest wait for the next piece of a reply, the first included.
    :param connect_timeout_s: longest wait for a connection.
    :param max_tokens_field: which field carries ``max_tokens``; by default ``max_completion_tokens`` at OpenAI's own address and
        ``max_tokens`` elsewhere.
    :param price_usd: per prompt token and per completion token; at OpenAI's own address known models have theirs.
    :param json_schema: the server takes a JSON Schema in ``response_format``. By default yes for ``chat``; where it is False
        ``Request.schema`` is not sent.
    :param server: what the server is, for the fields that differ (grammars, prefill, bias): ``vllm``, ``sglang``, ``llamacpp``, ``ollama``,
        ``openai`` or ``other``. By default it is found out from its list of models, when a request first needs to know.
    :param prefill: it goes on with a last message of role ``assistant``; by default as its kind does.
    :param extra: fields added to each request's body; ``Request.extra`` wins.

    :raises SettingMissing: OpenAI's own address and no key.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        endpoint: Literal["chat", "completions"] = "chat",
        timeout_s: float = 120.0,
        connect_timeout_s: float = 10.0,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None,
        context_tokens: int | None = None,
        max_output_tokens: int | None = None,
        max_in_flight: int | None = None,
        price_usd: tuple[float, float] | None = None,
        is_local: bool = False,
        json_schema: bool | None = None,
        tools: bool | None = None,
        logprobs: bool | None = None,
        server: str | None = None,
        prefill: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if endpoint not in ("chat", "completions"):
            raise ValueError(f"endpoint is 'chat' or 'completions', not {endpoint!r}")
        if server is not None and server not in SERVERS:
            raise SettingWrong(f"openai:{name}: server is {server!r}", model=f"openai:{name}", hint=f"it is one of {', '.join(SERVERS)}")
        self._name = name
        from_env = os.environ.get("OPENAI_BASE_URL") or None
        self._base_url = (base_url or from_env or OFFICIAL).rstrip("/")
        official = self._base_url == OFFICIAL
        full_name = f"openai:{name}" if official else f"openai:{name}@{self._base_url}"
        self._key = _key(full_name, api_key, api_key_env, fallback=official or not base_url, needed=official)
        self._chat = endpoint == "chat"
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._max_tokens_field = max_tokens_field or ("max_completion_tokens" if official and self._chat else "max_tokens")
        self._extra = dict(extra or {})
        self._headers = dict(headers or {})
        self._object_root = official
        facts = known(name) if official else None
        self._price = Price(*price_usd) if price_usd else Price(0.0, 0.0) if is_local else facts.price if facts else None
        self._capabilities = Capabilities(
            name=full_name,
            context_tokens=context_tokens or (facts.context_tokens if facts else None),
            max_output_tokens=max_output_tokens or (facts.max_output_tokens if facts else None),
            is_local=is_local,
            logprobs=logprobs if logprobs is not None else not (facts and facts.reasons),
            json_schema=self._chat and (json_schema if json_schema is not None else facts.json_schema if facts else True),
            tools=self._chat and (tools if tools is not None else facts.tools if facts else True),
            max_in_flight=max_in_flight,
            price_usd=(self._price.prompt_usd, self._price.completion_usd) if self._price else None,
            origin=f"server at {self._base_url}",
        )
        self._border = Border(full_name, self._base_url, api_key_env or "OPENAI_API_KEY", bool(self._key), self._key)
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._takes_usage_option = True
        self._kind = server or ("openai" if official else None)
        self._prefill = prefill

    def __repr__(self) -> str:
        return f"OpenAIModel({self._capabilities.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What was said at construction; known OpenAI models have their window and price."""
        return self._capabilities

    async def count_tokens(self, request: Request) -> int:
        """An upper bound, see :func:`rookery.models.wire.prompt_bound`; nothing is asked of the server."""
        return prompt_bound(request)

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply as it comes. Closing the iterator closes the connection.

        :raises CapabilityMissing: tools or log-probabilities are asked of a model that has none.
        :raises SettingMissing, ModelUnknown, ModelUnreachable, ModelBusy, ModelFault, ReplyMalformed, ReplyCut, ReplyStalled,
            RequestRefused, ContextOverflow: as their names say; never an error of a library.
        """
        self._check(request)
        more: dict[str, Any] = {}
        if needs_server(request):
            server = await self.server()
            request = with_schema(request, server)
            more = server_fields(request, server, chat=self._chat, model=self._capabilities.name)
        body, wrapped = self._body(request, more)
        reply = await self._open(body)
        reader = ReplyReader(request, model=self._capabilities.name, price=self._price, wrapped=wrapped)
        try:
            self._check_type(reply)
            while (data := await self._next(reply, reader)) is not None:
                chunk = reader.feed(data)
                if chunk is not None:
                    yield chunk
        finally:
            await reply.close()
        yield reader.end()

    async def server(self) -> Server:
        """What the server can do beside answering; see :mod:`rookery.models.served`. Asks for its list of models once, unless it was named.

        :raises ModelUnreachable: nobody answers at the address; other errors as for :meth:`stream`.
        """
        if self._kind is None:
            self._kind = await self._look()
        server = SERVERS[self._kind]
        schema = self._capabilities.json_schema and "json_schema" not in server.grammars
        return replace(server, grammars=server.grammars + (("json_schema",) if schema else ()),
                       prefill=server.prefill if self._prefill is None else self._prefill)

    async def _look(self) -> str:
        """The kind of server, from its list of models."""
        try:
            client = await self._connect()
            async with asyncio.timeout(self._timeout_s):
                raw = await client.models.with_raw_response.list()
            page = raw.parse()
        except Exception as error:
            self._refuse(error, reading=False)
        owners = [str(getattr(model, "owned_by", "") or "") for model in (getattr(page, "data", None) or ())]
        return kind_of(owners[0] if owners else "", str(raw.headers.get("server", "")))

    async def tokens(self, text: str) -> list[tuple[int, bytes]]:
        """How the server's model writes a text: ids and their bytes; from llama.cpp and vLLM.

        :raises CapabilityMissing: the server doesn't say.
        """
        server = await self.server()
        if not server.tokenizer:
            raise CapabilityMissing(f"{self._capabilities.name} does not say how text falls into tokens", model=self._capabilities.name,
                                    hint="llama.cpp and vLLM do")
        try:
            if server.kind == "llamacpp":
                data = await self._post("tokenize", {"content": text, "with_pieces": True, "add_special": False})
                return [(int(entry["id"]), piece_bytes(entry["piece"])) for entry in data["tokens"]]
            name = {"model": self._name or await self._served(await self._connect())}
            ids = (await self._post("tokenize", name | {"prompt": text, "add_special_tokens": False}))["tokens"]
            return [(int(token), str((await self._post("detokenize", name | {"tokens": [token]}))["prompt"]).encode()) for token in ids]
        except (KeyError, TypeError, ValueError) as error:
            raise ReplyMalformed(f"{self._base_url} answers /tokenize with what is no list of tokens", model=self._capabilities.name) from error

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        """What a path beside ``/v1`` answers."""
        try:
            client = await self._connect()
            async with asyncio.timeout(self._timeout_s):
                return await client.post(f"{self._base_url.removesuffix('/v1')}/{path}", body=body, cast_to=object)
        except Exception as error:
            self._refuse(error, reading=False)

    def _check(self, request: Request) -> None:
        can, name = self._capabilities, self._capabilities.name
        if request.tools and not can.tools:
            raise CapabilityMissing(f"{name} takes no tools", model=name, hint="pass tools=True (and endpoint='chat') if it does")
        if request.sampling.logprobs is not None and not can.logprobs:
            raise CapabilityMissing(f"{name} gives no log-probabilities", model=name, hint="pass logprobs=True if it does")

    def _body(self, request: Request, more: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The arguments of ``create``, and whether the reply will be wrapped; ``more`` are fields of this kind of server."""
        body = sampling_fields(request, max_tokens_field=self._max_tokens_field)
        body |= {"stream": True, "extra_body": {**more, **self._extra, **request.extra}}
        if self._takes_usage_option:
            body["stream_options"] = {"include_usage": True}
        if request.idempotency_key:
            body["extra_headers"] = {"Idempotency-Key": request.idempotency_key}
        wrapped = False
        asked = request.sampling.logprobs
        if not self._chat:
            body["prompt"] = request.text
            if asked is not None:
                body["logprobs"] = asked
            return body, wrapped
        body["messages"] = chat_messages(request)
        if asked is not None:
            body |= {"logprobs": True} | ({"top_logprobs": asked} if asked else {})
        if request.tools:
            body["tools"] = tool_field(request)
        if request.schema is not None and self._capabilities.json_schema:
            body["response_format"], wrapped = response_format(request, object_root=self._object_root)
        return body, wrapped

    async def _open(self, body: dict[str, Any]) -> Any:
        """The open stream. A server that knows no ``stream_options`` is asked once more without, and then never with."""
        try:
            client = await self._connect()
            endpoint = client.chat.completions if self._chat else client.completions
            async with asyncio.timeout(self._timeout_s):
                return await endpoint.create(model=self._name or await self._served(client), **body)
        except Exception as error:
            minds = getattr(error, "status_code", 0) in (400, 422) and "stream_options" in str(error)
            if not (minds and self._takes_usage_option):
                self._refuse(error, reading=False)
        self._takes_usage_option = False
        body.pop("stream_options", None)
        return await self._open(body)

    async def _next(self, reply: Any, reader: ReplyReader) -> Any:
        """The next object of the stream as plain data; None at its end."""
        try:
            async with asyncio.timeout(self._timeout_s):
                piece = await reply.__anext__()
        except StopAsyncIteration:
            return None
        except Exception as error:
            mapped = self._border.error(error, reading=True)
            if reader.stop is not None and mapped.retryable and not isinstance(mapped, ReplyMalformed):
                return None  # the text is whole; only what follows its end was lost
            self._refuse(error, reading=True)
        dump = getattr(piece, "model_dump", None)
        data = dump(warnings=False) if dump is not None else piece
        if isinstance(data, Mapping) and data.get("error") and not data.get("choices"):
            raise self._border.stream_error(data["error"])
        return data

    def _refuse(self, error: Exception, *, reading: bool) -> NoReturn:
        mapped = self._border.error(error, reading=reading)
        if isinstance(mapped, ReplyStalled):
            mapped = ReplyStalled(f"{self._base_url} sent nothing for {self._timeout_s:g} s", model=self._capabilities.name,
                                  hint="raise timeout_s if the model is only slow")
        raise mapped from (None if mapped is error else error)

    def _check_type(self, reply: Any) -> None:
        kind = str(reply.response.headers.get("content-type", "")).lower()
        if any(word in kind for word in ("html", "json", "xml")):
            raise ReplyMalformed(f"{self._base_url} answered with {kind.split(';')[0]} instead of an event stream",
                                 model=self._capabilities.name, hint="is this the address of the API? it usually ends in /v1")

    async def _served(self, client: Any) -> str:
        """The only model that the server has; the name is kept."""
        page = await client.models.list()
        names = [str(model.id) for model in (getattr(page, "data", None) or ()) if getattr(model, "id", None)]
        if len(names) != 1:
            listed = f": {', '.join(names[:20])}" if names else ""
            raise ModelUnknown(f"{self._base_url} serves {len(names)} models{listed}", model=self._capabilities.name,
                               hint=f"name one: openai:{names[0] if names else 'NAME'}@{self._base_url}")
        self._name = names[0]
        return self._name

    async def _connect(self) -> Any:
        """The client of the running loop; connections can't be carried from one loop to another."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._client, self._loop, self._opening = None, loop, asyncio.Lock()
        async with self._opening:  # the first of many concurrent requests builds it for all
            if self._client is None:
                self._client = await asyncio.to_thread(self._build)  # half a second of imports, which must not stop the loop
            return self._client

    def _build(self) -> Any:
        import openai

        client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._base_url,
            max_retries=0,  # the engine alone tries again
            timeout=openai.Timeout(self._timeout_s, connect=self._connect_timeout_s, pool=None),
            default_headers=self._headers,
        )
        _ = (client.chat.completions, client.completions, client.models)  # these import on first touch
        return client


def _key(model: str, api_key: str | None, env: str | None, *, fallback: bool, needed: bool) -> str:
    if api_key:
        return api_key
    if env:
        key = os.environ.get(env, "")
        if not key:
            raise SettingMissing(f"{model} takes its key from {env}, which is not set", model=model, hint=f"export {env}=…")
        return key
    key = os.environ.get("OPENAI_API_KEY", "") if fallback else ""
    if needed and not key:
        raise SettingMissing(f"{model} needs a key", model=model,
                             hint="export OPENAI_API_KEY=…, or name a server of your own: openai:NAME@http://HOST:8000/v1")
    return key
