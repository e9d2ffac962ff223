"""llama.cpp at work: one context for all sequences of a model, whose common beginnings share their cells."""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rookery.errors import ContextOverflow, MemoryShort, ModelBusy, ModelUnknown, RequestRefused
from rookery.models.model import Request, Vocabulary
from rookery.models.sampler import Array
from rookery.models.wire import chat_messages

BATCH = 512
_SPM = 1
"""``LLAMA_VOCAB_TYPE_SPM``: SentencePiece, which puts a space before each text."""


class LlamaCppHost:
    """The model, its context and its vocabulary; an :class:`rookery.models.local.Engine`.

    :param release: lets go of the oldest cached prompt; False when there is none left.
    """

    def __init__(self, path: Path, name: str, options: dict[str, Any], release: Callable[[], bool]) -> None:
        import llama_cpp

        self.name = name
        self.window = int(options["window"])
        self._release = release
        self._api: Any = llama_cpp
        self._context: Any = None
        self._quiet = _silence(llama_cpp)
        llama_cpp.llama_backend_init()
        self._weights = _Weights(llama_cpp, self._read(path, options))
        self._context = self._make_context(options)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.vocabulary = _Words(llama_cpp, self._weights)
        self._size = len(self.vocabulary.tokens)
        self._free = deque(range(int(options["siblings"])))
        self._dropped: deque[int] = deque()
        """Of sequences that nobody holds any more; they are cleared by the thread that computes, not by the one that collects garbage."""
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)

    def _read(self, path: Path, options: dict[str, Any]) -> Any:
        params = self._api.llama_model_default_params()
        params.n_gpu_layers = options["gpu_layers"]
        if hasattr(params, "use_extra_bufts"):
            params.use_extra_bufts = bool(options["repack"])
        model = self._api.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelUnknown(f"llama.cpp can't load {path.name}", model=self.name,
                               hint="is it a language model, of a kind that this version of llama-cpp-python knows?")
        return model

    def _make_context(self, options: dict[str, Any]) -> Any:
        params = self._api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_seq_max = int(options["room"]), BATCH, int(options["siblings"])
        params.n_threads = params.n_threads_batch = int(options["threads"])
        params.kv_unified, params.no_perf = True, True
        if hasattr(params, "swa_full"):
            params.swa_full = True  # so that layers that look back a window only can be rolled back
        context = self._api.llama_init_from_model(self._weights.pointer, params)
        if not context:
            raise MemoryShort(f"llama.cpp can't make room for {params.n_ctx} tokens", model=self.name, hint="lower kv_tokens or context_tokens")
        return context

    def sequence(self) -> LlamaCppSequence:
        """A fresh sequence."""
        return LlamaCppSequence(self, self.take_slots(1))

    def encode(self, request: Request) -> list[int]:
        """The prompt's tokens: with the chat template of the file, where it has one; else the plain text.

        :raises RequestRefused: the template does not take these messages.
        """
        template = self._api.llama_model_chat_template(self._weights.pointer, None)
        if not template:
            return self.vocabulary.tokenize(request.text, special=False, opening=True)
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        *before, last = request.messages
        goes_on = last.role == "assistant" and bool(before)
        words = self.vocabulary
        formatter = Jinja2ChatFormatter(template.decode(errors="replace"), eos_token=words.special_text("eos"), bos_token=words.special_text("bos"))
        try:
            messages: Any = chat_messages(Request(tuple(before)) if goes_on else request)
            text = formatter(messages=messages).prompt + (last.text if goes_on else "")
        except Exception as error:  # a template is a program of the model's own, and raises what it likes
            raise RequestRefused(f"the model's chat template does not take these messages: {error}", model=self.name,
                                 hint="some templates take no system message, or want user and assistant in turns") from error
        return words.tokenize(text, special=True, opening=False)

    def close(self) -> None:
        """Free the context, and the weights unless somebody still holds the vocabulary; sequences can't be used any more."""
        if self._context:
            self._api.llama_batch_free(self._batch)
            self._api.llama_free(self._context)
            self._context = None
            del self._weights

    # ------------------------------------------------------------------ sequences

    def take_slots(self, count: int) -> list[int]:
        """Numbers for new sequences.

        :raises ModelBusy: so many are not free, also without cached prompts.
        """
        if not self._context:
            raise ValueError("the model of this sequence was closed")
        self._clear_dropped()
        while len(self._free) < count and self._release():
            self._clear_dropped()
        if len(self._free) < count:
            raise ModelBusy(f"{self.name} has no room for {count} more sequences", model=self.name, hint="raise siblings, or ask for fewer at a time")
        return [self._free.popleft() for _ in range(count)]

    def drop_slots(self, slots: list[int]) -> None:
        """Sequences that are not used any more; may be called from any thread."""
        self._dropped.extend(slots)

    def _clear_dropped(self) -> None:
        while self._dropped and self._context:
            slot = self._dropped.popleft()
            self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
            self._free.append(slot)

    def copy_slot(self, old: int, new: int) -> None:
        """Let the new sequence, just taken, share all of the old one's cells."""
        self._api.llama_memory_seq_cp(self._memory, old, new, -1, -1)

    def cut_slot(self, slot: int, length: int) -> bool:
        """Forget what is behind ``length``; False where the model can't (recurrent layers), and then all is forgotten."""
        if not self._context:
            return True
        if length and self._api.llama_memory_seq_rm(self._memory, slot, length, -1):
            return True
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return length == 0

    def evaluate(self, slots: list[int], start: int, rows: list[list[int]]) -> Array:
        """Append to each sequence its row; logits after the last tokens, (B, V)."""
        if not self._context:
            raise ValueError("the model of this sequence was closed")
        entries = [(token, start + at, slot, at + 1 == len(row)) for slot, row in zip(slots, rows, strict=True) for at, token in enumerate(row)]
        out = np.empty((len(slots), self._size), np.float32)
        filled = 0
        for first in range(0, len(entries), BATCH):
            part = entries[first : first + BATCH]
            self._decode(part)
            for at, entry in enumerate(part):
                if entry[3]:
                    pointer = self._api.llama_get_logits_ith(self._context, at)
                    out[filled] = np.ctypeslib.as_array(pointer, shape=(self._size,))
                    filled += 1
        return out

    def _decode(self, entries: list[tuple[int, int, int, bool]]) -> None:
        batch = self._batch
        batch.n_tokens = len(entries)
        for at, (token, position, slot, last) in enumerate(entries):
            batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at] = token, position, 1, slot, last
        self._clear_dropped()
        code = self._api.llama_decode(self._context, batch)
        while code == 1 and self._release():
            self._clear_dropped()
            code = self._api.llama_decode(self._context, batch)
        if code == 1:
            raise ModelBusy(f"{self.name} has no room for {len(entries)} more tokens beside those in use", model=self.name,
                            hint="raise kv_tokens, or ask for fewer replies at a time")
        if code:
            raise MemoryShort(f"llama.cpp could not compute (code {code})", model=self.name, hint="is there memory left?")


def _silence(api: Any) -> Any:
    """llama.cpp writes to the screen; from now on it does not. What is given back must be kept."""
    quiet = api.llama_log_callback(lambda level, text, data: None)
    api.llama_log_set(quiet, ctypes.c_void_p(0))
    return quiet


class _Weights:
    """The loaded model; freed when nobody holds it any more, so that a vocabulary outlives its model."""

    def __init__(self, api: Any, pointer: Any) -> None:
        self.pointer = pointer
        weakref.finalize(self, api.llama_model_free, pointer)


class _Words:
    """The vocabulary of a GGUF file. Implements :class:`rookery.models.model.Vocabulary`."""

    def __init__(self, api: Any, weights: _Weights) -> None:
        self._api = api
        self._weights = weights
        self._vocab = api.llama_model_get_vocab(weights.pointer)
        count = int(api.llama_vocab_n_tokens(self._vocab))
        self._end = frozenset(i for i in range(count) if api.llama_vocab_is_eog(self._vocab, i))
        self._tokens = tuple(b"" if i in self._end else self._piece(i, special=False) for i in range(count))
        self._spaced = int(api.llama_vocab_type(self._vocab)) == _SPM

    def _piece(self, token: int, *, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = self._api.llama_token_to_piece(self._vocab, token, buffer, 64, 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._api.llama_token_to_piece(self._vocab, token, buffer, -size, 0, special)
        return buffer.raw[: max(0, size)]

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for special tokens."""
        return self._tokens

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """The ids of a text that goes on from another."""
        if not self._spaced:
            return self.tokenize(text, special=False, opening=False)
        line = self.tokenize("\n", special=False, opening=False)  # the space that is put before goes to the line break
        return self.tokenize("\n" + text, special=False, opening=False)[len(line) :]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; what is no UTF-8 becomes U+FFFD."""
        return b"".join(self._tokens[i] for i in ids).decode(errors="replace")

    def tokenize(self, text: str, *, special: bool, opening: bool) -> list[int]:
        """As the file says: ``special`` reads names of special tokens as these, ``opening`` puts the model's first token before."""
        data = text.encode()
        room = len(data) + 8
        ids = (ctypes.c_int32 * room)()
        count = self._api.llama_tokenize(self._vocab, data, len(data), ids, room, opening, special)
        return list(ids[: max(0, count)])

    def special_text(self, name: str) -> str:
        """The text of the token that opens (``bos``) or ends (``eos``) a text; empty when there is none."""
        token = getattr(self._api, f"llama_vocab_{name}")(self._vocab)
        return self._piece(token, special=True).decode(errors="replace") if token >= 0 else ""


class LlamaCppSequence:
    """A sequence, or a batch of siblings: a :class:`rookery.models.model.TokenModel`. What siblings share stands in memory once."""

    def __init__(self, host: LlamaCppHost, slots: list[int]) -> None:
        self._host = host
        self._slots = slots
        self._rows: list[list[int]] = [[] for _ in slots]
        self._known = 0
        """So many tokens of each row are computed; the others are read before the next ones."""
        weakref.finalize(self, host.drop_slots, slots)

    @property
    def vocabulary(self) -> Vocabulary:
        """How ids and text belong together."""
        return self._host.vocabulary

    @property
    def length(self) -> int:
        """Tokens so far."""
        return len(self._rows[0])

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens (the same for all siblings, or one row per sibling, equally long); logits after the last, (B, V).

        :raises ContextOverflow: they do not fit the window; nothing is appended.
        :raises ModelBusy: other sequences fill the room for keys and values; nothing is appended.
        :raises ValueError: no tokens, or rows that do not match the batch.
        """
        given = np.asarray(ids, dtype=np.int64)
        given = np.broadcast_to(given, (len(self._rows), given.shape[-1])) if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[0] != len(self._rows) or given.shape[1] == 0:
            raise ValueError(f"expected tokens for a batch of {len(self._rows)}, got shape {given.shape}")
        if self.length + given.shape[1] > self._host.window:
            raise ContextOverflow(f"{self.length + given.shape[1]} tokens do not fit the window of {self._host.window}", model=self._host.name,
                                  hint="shorten the prompt")
        rows = [row + more for row, more in zip(self._rows, given.tolist(), strict=True)]
        try:
            logits = self._host.evaluate(self._slots, self._known, [row[self._known :] for row in rows])
        except (ModelBusy, MemoryShort):
            for slot in self._slots:  # parts may have been computed
                self._known = self._known if self._host.cut_slot(slot, self._known) else 0
            raise
        self._rows, self._known = rows, len(rows[0])
        return logits

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens.

        :raises ValueError: ``length`` is negative or more than there are.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        if length < self._known:
            whole = [self._host.cut_slot(slot, length) for slot in self._slots]
            self._known = length if all(whole) else 0
        for row in self._rows:
            del row[length:]

    def fork(self, n: int | Sequence[int]) -> LlamaCppSequence:
        """A batch of ``n`` siblings, or one that goes on from these rows; the original stays usable.

        :raises ValueError: no siblings, a row that is not there, or a number where this is a batch of several.
        :raises ModelBusy: there are too many sequences.
        """
        if isinstance(n, int) and len(self._rows) > 1:
            raise ValueError("a number forks a single sequence; of a batch give the rows")
        rows = [0] * n if isinstance(n, int) else list(n)
        if not rows or not 0 <= min(rows) <= max(rows) < len(self._rows):
            raise ValueError(f"a batch of {len(self._rows)} has no rows {rows}")
        other = LlamaCppSequence(self._host, self._host.take_slots(len(rows)))
        for row, slot in zip(rows, other._slots, strict=True):
            self._host.copy_slot(self._slots[row], slot)
        other._rows, other._known = [list(self._rows[row]) for row in rows], self._known
        return other


def try_out(path: str, options: dict[str, Any]) -> None:
    """Load a model, read a few tokens at once and one more, and look at the logits; the program of the self-test."""
    host = LlamaCppHost(Path(path), f"llamacpp:{path}", options, lambda: False)
    sequence = host.sequence()
    some = [i for i, token in enumerate(host.vocabulary.tokens) if token][:40] or [0]
    for ids in ((some * 40)[:40], some[:1]):
        if not np.isfinite(sequence.eval(ids)).all():
            raise SystemExit("the logits are no numbers")
    host.close()
