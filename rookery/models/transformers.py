"""Models in this process through ``transformers`` and PyTorch (CUDA, MPS or CPU); nothing is ever downloaded."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rookery.errors import ContextOverflow, DeviceMissing, MemoryShort, ModelUnknown, RequestRefused, SettingMissing, SettingWrong, WeightsDamaged
from rookery.models.local import LocalModel
from rookery.models.model import Capabilities, Request, Vocabulary
from rookery.models.pieces import Pieces
from rookery.models.room import check_room, free_bytes
from rookery.models.sampler import Array
from rookery.models.wire import chat_messages

PACKAGE = "pip install 'rookery[transformers]'"
DTYPES = ("float32", "float16", "bfloat16")


class TransformersModel(LocalModel):
    """A causal language model from a folder in Hugging Face's format, or from the Hub's cache on this machine.

    :param name: the folder, or the Hub's name of a model that is in the cache (``HF_HOME``).
    :param device: ``cuda``, ``cuda:1``, ``mps`` or ``cpu``; by default the first of these that is there.
    :param dtype: ``float32``, ``float16`` or ``bfloat16``; by default as stored, and ``float32`` on a CPU. Quantised weights stay so.
    :param context_tokens: the window, if it is to be smaller than the model's own.
    :param cached_prompts: how many prompts' keys and values are kept on the device.
    :raises ModelUnknown: no such folder, or it holds no model of this kind.
    :raises SettingWrong: an option is no value of its kind.
    """

    def __init__(self, name: str, *, device: str | None = None, dtype: str | None = None, context_tokens: int | None = None,
                 cached_prompts: int = 8, max_in_flight: int = 4) -> None:
        full_name = f"transformers:{name}"
        if dtype is not None and dtype not in DTYPES:
            raise SettingWrong(f"{full_name}: dtype is {dtype!r}", model=full_name, hint=f"it is one of {', '.join(DTYPES)}")
        folder = _folder(name, full_name)
        config = _config(folder, full_name)
        window = _window(config)
        if context_tokens is not None and (context_tokens < 2 or (window is not None and context_tokens > window)):
            raise SettingWrong(f"{full_name}: context_tokens is {context_tokens}; the model has {window}", model=full_name)
        window = context_tokens or window
        capabilities = Capabilities(full_name, context_tokens=window, max_output_tokens=window, is_local=True, logprobs=True, token_level=True,
                                    exact_token_count=True, max_in_flight=max_in_flight, price_usd=(0.0, 0.0), origin="trained")
        load = partial(_Host, folder, config, full_name, device=device, dtype=dtype, window=window)
        super().__init__(capabilities, load, cached_prompts=cached_prompts)


# ------------------------------------------------------------------ where it is


def _folder(name: str, model: str) -> Path:
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path
    if path.is_dir():
        raise ModelUnknown(f"{path} has no config.json, so it is no model's folder", model=model,
                           hint="name the folder that holds config.json, the weights and tokenizer.json")
    cached = _cached(name)
    if cached is None:
        raise ModelUnknown(f"there is no folder {name!r}, and no such model in the Hub's cache; nothing is downloaded", model=model,
                           hint=f"fetch it yourself (hf download {name if name.count('/') == 1 else 'OWNER/NAME'}), or name its folder")
    return cached


def _cached(name: str) -> Path | None:
    """The newest snapshot of a model in the Hub's cache; its layout is described in huggingface_hub's guide "Manage your cache"."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    snapshots = hub / f"models--{name.replace('/', '--')}" / "snapshots"
    found = [path for path in snapshots.glob("*") if (path / "config.json").is_file()] if snapshots.is_dir() else []
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _config(folder: Path, model: str) -> dict[str, Any]:
    try:
        data = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnknown(f"{folder.name}/config.json can't be read: {error}", model=model) from error
    if not isinstance(data, dict):
        raise ModelUnknown(f"{folder.name}/config.json is no object", model=model)
    return data


def _window(config: Mapping[str, Any]) -> int | None:
    inner = config.get("text_config")
    for fields in (config, inner if isinstance(inner, Mapping) else {}):
        for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx"):
            if isinstance(fields.get(key), int):
                return int(fields[key])
    return None


# ------------------------------------------------------------------ loading


class _Host:
    """The model, its tokenizer and its device; an :class:`rookery.models.local.Engine`."""

    def __init__(self, folder: Path, config: Mapping[str, Any], name: str, *, device: str | None, dtype: str | None, window: int | None) -> None:
        self.name = name
        self.window = window
        self.torch, self._transformers = _packages(name)
        self.device = self._device(device)
        self._tokenizer = self._read_tokenizer(folder)
        self.model: Any = self._read_model(folder, config, dtype)
        takes = inspect.signature(self.model.forward).parameters
        self.cache_argument = "cache" if "cache" in takes else "past_key_values"
        self.only_last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        """Where the model knows how, logits are computed after the last token only."""
        head = self.model.get_output_embeddings()
        size = int(head.weight.shape[0]) if head is not None else int(self.model.config.get_text_config().vocab_size)
        self.vocabulary: Vocabulary = Pieces(self._tokenizer.backend_tokenizer.to_str(), size=size, end=self._ends(size), model=name)
        # A cache without the configuration keeps all positions, also of layers that look back a window only, and so can be rolled back.
        self.is_croppable = bool(self._transformers.DynamicCache(config=self.model.config).is_croppable)

    def cache(self) -> Any:
        """An empty cache."""
        return self._transformers.DynamicCache() if self.is_croppable else self._transformers.DynamicCache(config=self.model.config)

    def sequence(self) -> TransformersSequence:
        """A fresh sequence."""
        return TransformersSequence(self)

    def encode(self, request: Request) -> list[int]:
        """The prompt's tokens: with the chat template, where the tokenizer has one; else the plain text after the model's own opening token.

        :raises RequestRefused: the template does not take these messages.
        """
        if not getattr(self._tokenizer, "chat_template", None):
            return list(self._tokenizer(request.text)["input_ids"])
        goes_on = request.messages[-1].role == "assistant"
        try:
            text = self._tokenizer.apply_chat_template(chat_messages(request), tokenize=False, add_generation_prompt=not goes_on,
                                                       continue_final_message=goes_on)
        except Exception as error:  # a template is a program of the model's own, and raises what it likes
            raise RequestRefused(f"the model's chat template does not take these messages: {error}", model=self.name,
                                 hint="some templates take no system message, or want user and assistant in turns") from error
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Drop the weights, and give the device's memory back; sequences can't be used any more."""
        self.model = None
        if self.device.startswith("cuda"):
            self.torch.cuda.empty_cache()

    def _device(self, asked: str | None) -> str:
        cuda, mps = self.torch.cuda.is_available(), self.torch.backends.mps.is_available()
        if asked is None:
            return "cuda" if cuda else "mps" if mps else "cpu"
        kind, _, number = asked.partition(":")
        there = {"cpu": True, "cuda": cuda and (not number or int(number) < self.torch.cuda.device_count()), "mps": mps}.get(kind)
        if there is None:
            raise SettingWrong(f"{self.name}: device is {asked!r}", model=self.name, hint="it is cuda, cuda:N, mps or cpu")
        if not there:
            raise DeviceMissing(f"{self.name}: there is no device {asked!r} that this PyTorch can use", model=self.name,
                                hint='leave device out to take what is there, or say device="cpu"')
        return asked

    def _read_tokenizer(self, folder: Path) -> Any:
        try:
            tokenizer = self._transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # many kinds of tokenizer, each with errors of its own
            raise ModelUnknown(f"{self.name} has no tokenizer that can be read: {_first_line(error)}", model=self.name,
                               hint="put the model's tokenizer.json and tokenizer_config.json beside its weights") from error
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise ModelUnknown(f"the tokenizer of {self.name} ({type(tokenizer).__name__}) has no fast form", model=self.name,
                               hint="convert it: AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(…)")
        return tokenizer

    def _read_model(self, folder: Path, config: Mapping[str, Any], dtype: str | None) -> Any:
        quantised = "quantization_config" in config
        chosen = dtype or ("float32" if self.device == "cpu" and not quantised else "auto")
        self._check_room(folder, config, chosen)
        more: dict[str, Any] = {"device_map": {"": self.device}} if quantised else {}
        with self._loading(folder):
            model = self._transformers.AutoModelForCausalLM.from_pretrained(
                str(folder), local_files_only=True, dtype="auto" if chosen == "auto" else getattr(self.torch, chosen), **more)
            return (model if quantised else model.to(self.device)).eval()

    def _check_room(self, folder: Path, config: Mapping[str, Any], dtype: str) -> None:
        stored = sum(path.stat().st_size for path in (*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")))
        is_half = str(config.get("dtype") or config.get("torch_dtype")) in ("float16", "bfloat16")
        needed = stored * 2 if is_half and dtype == "float32" else stored
        if self.device.startswith("cuda"):
            free, place = int(self.torch.cuda.mem_get_info(self.device)[0]), self.device
        else:
            free, place = free_bytes(), "this machine"  # type: ignore[assignment]
        check_room(needed, free, model=self.name, place=place, hint='take a smaller or a quantised model, dtype="bfloat16", or another device')

    @contextmanager
    def _loading(self, folder: Path) -> Iterator[None]:
        """Errors of loading, mapped."""
        try:
            yield
        except ImportError as error:
            raise SettingMissing(f"{self.name} needs a package that is not installed: {_first_line(error)}", model=self.name,
                                 hint=f"pip install {error.name or 'what the message names'}") from error
        except (self.torch.OutOfMemoryError, MemoryError) as error:
            raise MemoryShort(f"{self.name} does not fit {self.device}: {_first_line(error)}", model=self.name,
                              hint="take a smaller or a quantised model") from error
        except Exception as error:  # the package raises many kinds for what it can't read
            kinds = {cls.__name__ for cls in type(error).__mro__}
            if "SafetensorError" in kinds or "UnpicklingError" in kinds or (kinds & {"RuntimeError"} and "zip" in str(error)):
                raise WeightsDamaged(f"the weights of {self.name} are cut or damaged: {_first_line(error)}", model=self.name, path=str(folder),
                                     hint="fetch the files again") from error
            raise ModelUnknown(f"{self.name} can't be loaded: {_first_line(error)}", model=self.name,
                               hint="it must be a causal language model that this version of transformers knows") from error

    def _ends(self, size: int) -> set[int]:
        found: set[int] = set()
        for config in (self.model.generation_config, self.model.config, self._tokenizer):
            ids = getattr(config, "eos_token_id", None)
            found.update([ids] if isinstance(ids, int) else ids or ())
        return {i for i in found if 0 <= i < size}


def _packages(model: str) -> tuple[Any, Any]:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise SettingMissing(f"{model} needs {error.name!r}, which is not installed", model=model, hint=PACKAGE) from error
    transformers.utils.logging.disable_progress_bar()  # it would write over the screen
    return torch, transformers


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


# ------------------------------------------------------------------ computing


class TransformersSequence:
    """A sequence, or a batch of siblings, with its cache: a :class:`rookery.models.model.TokenModel`.

    Forks share the tensors of what was read before: PyTorch's cache grows by making new ones, so nothing of the other's changes.
    """

    def __init__(self, host: _Host) -> None:
        self._host = host
        self._rows: list[list[int]] = [[]]
        self._cache: Any = None
        """None: nothing is computed, and the rows are read again before the next tokens."""

    @property
    def vocabulary(self) -> Vocabulary:
        """How ids and text belong together."""
        return self._host.vocabulary

    @property
    def length(self) -> int:
        """Tokens so far."""
        return len(self._rows[0])

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens (the same for all siblings, or one row per sibling, equally long); logits after the last, (B, V), fp32.

        :raises ContextOverflow: they do not fit the window; nothing is appended.
        :raises MemoryShort: the device's memory does not suffice; the sequence stays as it was.
        :raises ValueError: no tokens, or rows that do not match the batch.
        """
        given = np.asarray(ids, dtype=np.int64)
        given = np.broadcast_to(given, (len(self._rows), given.shape[-1])) if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[0] != len(self._rows) or given.shape[1] == 0:
            raise ValueError(f"expected tokens for a batch of {len(self._rows)}, got shape {given.shape}")
        window = self._host.window
        if window is not None and self.length + given.shape[1] > window:
            raise ContextOverflow(f"{self.length + given.shape[1]} tokens do not fit the window of {window}", model=self._host.name,
                                  hint="shorten the prompt")
        wanted = given if self._cache is not None else np.concatenate([np.asarray(self._rows, np.int64).reshape(len(given), -1), given], 1)
        logits = self._forward(wanted)
        for row, more in zip(self._rows, given.tolist(), strict=True):
            row += more
        return logits

    def _forward(self, ids: np.ndarray) -> Array:
        host, torch = self._host, self._host.torch
        if host.model is None:
            raise ValueError("the model of this sequence was closed")
        cache, self._cache = self._cache if self._cache is not None else host.cache(), None  # until it is whole again
        try:
            with torch.inference_mode():
                tokens = torch.from_numpy(np.array(ids)).to(host.device)
                out = host.model(input_ids=tokens, use_cache=True, **{host.cache_argument: cache}, **host.only_last)
                logits: Array = out.logits[:, -1].float().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise MemoryShort(f"{host.device} has no memory left for {ids.size} more tokens: {_first_line(error)}", model=host.name,
                              hint="fewer siblings, a shorter prompt, or fewer cached_prompts") from error
        self._cache = cache
        return logits

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens. Where the model's cache can't go back (recurrent layers), they are read again.

        :raises ValueError: ``length`` is negative or more than there are.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        gone = self.length - length
        if gone and self._cache is not None:
            if length and self._host.is_croppable:
                self._cache.crop(-gone)
            else:
                self._cache = None
        for row in self._rows:
            del row[length:]

    def fork(self, n: int | Sequence[int]) -> TransformersSequence:
        """A batch of ``n`` siblings, or one that goes on from these rows; the original stays usable.

        :raises ValueError: no siblings, a row that is not there, or a number where this is a batch of several.
        """
        if isinstance(n, int) and len(self._rows) > 1:
            raise ValueError("a number forks a single sequence; of a batch give the rows")
        rows = [0] * n if isinstance(n, int) else list(n)
        if not rows or not 0 <= min(rows) <= max(rows) < len(self._rows):
            raise ValueError(f"a batch of {len(self._rows)} has no rows {rows}")
        other = TransformersSequence(self._host)
        other._rows = [list(self._rows[row]) for row in rows]
        if self._cache is not None:
            other._cache = self._forked_cache(rows)
        return other

    def _forked_cache(self, rows: list[int]) -> Any:
        if not self._host.is_croppable:
            cache = copy.deepcopy(self._cache)
            cache.batch_select_indices(self._host.torch.tensor(rows, device=self._host.device))
            return cache
        cache = copy.copy(self._cache)
        cache.layers = [copy.copy(layer) for layer in self._cache.layers]
        if rows != list(range(len(self._rows))):
            for layer in cache.layers:
                if layer.get_seq_length():
                    layer.keys, layer.values = self._picked(layer.keys, rows), self._picked(layer.values, rows)
        return cache

    def _picked(self, tensor: Any, rows: list[int]) -> Any:
        """The rows of a batch; of a single sequence repeated without a copy."""
        if tensor.shape[0] == 1:
            return tensor.expand(len(rows), *tensor.shape[1:])
        return tensor[rows]
