"""What calls draw on while they are carried out: models, places among their requests, and room under the run's limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rookery.core.limit import Ledger, Limit, Worst
from rookery.core.spend import Spend
from rookery.engine.begin import Options
from rookery.engine.cache import ResultCache
from rookery.errors import SettingMissing

if TYPE_CHECKING:
    from rookery.decoding.desk import Desk
    from rookery.models.model import Model


class Supply:
    """The models, the cache and the ledger of one run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.cache = options.cache or ResultCache()
        self.ledger: Ledger | None = None
        """What the whole run has under its limit; None without one."""
        self._scoped: dict[str, Ledger] = {}
        self._turns: dict[int, asyncio.Lock] = {}
        self._models: dict[str | None, Model] = {}
        self._owned: list[Model] = []
        self._places: dict[int, asyncio.Semaphore] = {}
        self._room = asyncio.Event()
        self._desk: Desk | None = None

    def set_limit(self, limit: Limit | None, *, spent: Spend | None = None, spent_s: float = 0.0) -> None:
        """Put the run under a limit, of which earlier processes have spent some."""
        if limit:
            self.ledger = Ledger(limit, spent=spent or Spend(), spent_s=spent_s)

    def scope(self, path: str, limit: Limit, spent: Spend) -> Ledger:
        """Put the call at ``path`` and all calls within it under a limit of their own, of which ``spent`` is gone already."""
        ledger = self._scoped[path] = Ledger(limit, parent=self.ledger_of(path.rpartition("/")[0]), spent=spent)
        self._turns[id(ledger)] = asyncio.Lock()
        return ledger

    def unscope(self, path: str) -> None:
        """The call at ``path`` has ended."""
        ledger = self._scoped.pop(path, None)
        self._turns.pop(id(ledger), None)

    def ledger_of(self, path: str) -> Ledger | None:
        """The ledger that a call draws on: the nearest scope's around it, or the run's."""
        if self._scoped:
            while path:
                found = self._scoped.get(path)
                if found is not None:
                    return found
                path = path.rpartition("/")[0]
        return self.ledger

    def turn(self, ledger: Ledger) -> AbstractAsyncContextManager[None]:
        """Whose turn it is to reserve: in a scope those who came first, so that what is refused does not depend on who was quick."""
        return self._turns.get(id(ledger)) or nullcontext()

    def model(self, spec: Any, call: str) -> Model:
        """The model of a name, made at first use; None is the one of the settings.

        Raises SettingMissing when there is none or its key is not set, ModelUnknown, SettingWrong.
        """
        if spec is not None and not isinstance(spec, str):
            return spec  # type: ignore[no-any-return]
        found = self._models.get(spec)
        if found is None:
            from rookery.models.provider import model

            named = self.options.models.get(spec, spec) if spec is not None else None
            try:
                made = model(named)
            except SettingMissing as error:
                if spec is not None:
                    raise
                raise SettingMissing(f"{call} needs a model, and none is given", hint=f'pass model="openai:gpt-5-mini"; {error.hint}') from error
            self._models[spec] = found = made
            if made is not named:
                self._owned.append(made)
        return found

    @asynccontextmanager
    async def place_for(self, model: Model) -> AsyncIterator[None]:
        """A place among the requests that the model takes at a time."""
        most = model.capabilities.max_in_flight
        if most is None:
            yield
            return
        place = self._places.get(id(model))
        if place is None:
            place = self._places[id(model)] = asyncio.Semaphore(most)
        async with place:
            yield

    def settle(self, ledger: Ledger | None, worst: Worst, spend: Spend) -> None:
        """Book what a request used, and let those who wait for room look again."""
        if ledger is not None:
            ledger.settle(worst, spend)
            self.wake()

    async def settled(self) -> None:
        """Wait until some reservation is given back."""
        self._room.clear()
        await self._room.wait()

    def wake(self) -> None:
        """Let those who wait for room look again."""
        self._room.set()

    @property
    def desk(self) -> Desk:
        """Where the rules of ``decode=`` ask for facts; its analysers start at the first question."""
        if self._desk is None:
            from rookery.decoding.desk import Desk

            self._desk = Desk()
        return self._desk

    async def aclose(self) -> None:
        """Close the models that this run made, and its analysers."""
        if self._desk is not None:
            await self._desk.aclose()
        for model in self._owned:
            await model.aclose()
