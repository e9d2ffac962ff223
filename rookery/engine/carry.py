"""How a command is carried out: tools by Python, prompts by a model, with attempts, repair, cache and limits; the only doing there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rookery.core import event as ev
from rookery.core.label import SECRET
from rookery.core.limit import Ledger, Worst
from rookery.core.policy import Policy
from rookery.core.report import Report
from rookery.core.spend import Confidence
from rookery.core.state import Node
from rookery.core.tape import _live, living
from rookery.core.types import element_type
from rookery.core.value import codec, digest, read
from rookery.engine.attempt import FOR_PROMPTS, FOR_TOOLS, candidates, falls_back, wait_before
from rookery.engine.held import fault_told, hold, is_secret
from rookery.engine.scores import Scores
from rookery.errors import CallTimeout, ContextOverflow, LimitReached, LogError, ParseFailed, ReplyCut, RunBusy, SettingMissing

if TYPE_CHECKING:
    from rookery.decoding.ladder import Guarded
    from rookery.decoding.monitor import Rule
    from rookery.decoding.render import Rendered
    from rookery.engine.run import Run
    from rookery.models.model import Model, Request, ToolCall, Usage

REPAIRS = 2
"""How often text that does not parse goes back to the model, unless the policy says otherwise."""
DEFAULT_MAX_TOKENS = 1024
"""What a reply is taken to need at most under a token or money limit, when neither call nor model says."""


TURNS = 16
"""Calls of a chain that one task carries out, one after another, before the event loop gets its turn."""


@dataclass(slots=True)
class Outcome:
    """A value, and what it took to get it."""

    value: Any
    spend: ev.Spend = ev.NOTHING_SPENT
    model: str = ""
    cached: bool = False
    level: str = ""
    confidence: Confidence | None = None
    guided: Report | None = None


async def carry(run: Run, node: Node) -> None:
    """Carry one call out to its CallFinished or CallFailed event. Never raises but for cancellation."""
    task = asyncio.current_task()
    current: Node | None = node
    turns = 0
    try:
        while current is not None:
            node = current
            before = copy_context()
            await _carry(run, node)
            turns += 1
            # What a tool has set in its context is not for the next one, and others want their turn too.
            current = run.following(node, task, alone=turns >= TURNS or copy_context() != before)
    except (LogError, RunBusy) as error:
        run.crash(error)
    finally:
        run.gone(node.path, task)


async def _carry(run: Run, node: Node) -> None:
    planned = node.plan
    tool = node.kind != "prompt"
    function = planned.call.function
    policy = planned.call.policy
    if run.options.rehearsal is not None:
        await run.options.rehearsal.carry(run, node)
        return
    if tool and function.is_async and policy.timeout_s is None and not function.pure and not run.has_defaults:
        try:
            run.post(ev.CallStarted(time.time(), node.path))
            if planned.held:
                hold(run, node)
            token = _live.set(run.live(node))
            try:
                args = run.state.arguments(node)
                if function.key:
                    args[function.key] = run.idempotency_key(node)
                value = planned.codec.validate(await function.function(**args))
            finally:
                _live.reset(token)
            finish(run, node, value)
            return
        except (asyncio.CancelledError, LogError, RunBusy):
            raise
        except Exception as error:  # a call's failure becomes an event
            await _again(run, node, error)
            return
    await _attempts(run, node, 1, time.monotonic())


def finish(run: Run, node: Node, value: Any, outcome: Outcome | None = None) -> None:
    """Post that a call has its value."""
    state = run.state
    labels = state.labels(node)
    if run.seen and node.path in run.seen:
        labels = labels | frozenset(run.seen[node.path]) - node.plan.drops
    writer = state.writer
    reference = writer.secret(value, node.codec) if SECRET in labels else writer.write(value, node.codec)
    if run.used:
        used = run.used.pop(node.path, None)
        if used is not None:
            outcome = replace(outcome or Outcome(value), spend=outcome.spend + used if outcome else used)
    if outcome is None:
        run.post_last(ev.CallFinished(time.time(), node.path, reference, labels, held=value))
    else:
        run.post_last(
            ev.CallFinished(
                time.time(), node.path, reference, labels, outcome.spend, outcome.model, outcome.cached, outcome.level, outcome.confidence,
                held=value, guided=outcome.guided,
            )
        )


async def _again(run: Run, node: Node, error: BaseException) -> None:
    """The first attempt at a tool failed on the short path: go on as after any failed attempt."""
    attempts = run.policy(node).attempts or FOR_TOOLS
    wait = wait_before(attempts, 1, time.monotonic(), error)
    if wait is None:
        _failed(run, node, error, 1, ev.NOTHING_SPENT)
        return
    run.post(ev.AttemptFailed(time.time(), node.path, 1, fault_told(run, node, error), wait))
    await asyncio.sleep(wait)
    await _attempts(run, node, 2, time.monotonic())


async def _attempts(run: Run, node: Node, number: int, started: float) -> None:
    """Attempt after attempt, model after model, until there is a value or no further attempt."""
    policy = run.policy(node)
    prompt = node.kind == "prompt"
    attempts = policy.attempts or (FOR_PROMPTS if prompt else FOR_TOOLS)
    names = candidates(policy.model or run.options.model, policy.fallback) if prompt else [None]
    spend, made = ev.NOTHING_SPENT, 0
    while True:
        name = names[0] if names else None
        spent: list[ev.Spend] = []
        made += 1
        try:
            model = run.supply.model(name, node.path) if prompt else None
            run.post(ev.CallStarted(time.time(), node.path, number, model.capabilities.name if model else ""))
            if node.plan.held:
                hold(run, node, model)
            outcome = await _timed(run, node, policy, model, number, spent)
        except (asyncio.CancelledError, LogError, RunBusy):
            raise
        except Exception as error:  # a call's failure becomes an event
            attempt_spend = sum(spent, ev.NOTHING_SPENT)
            wait = wait_before(attempts, made, started, error)
            if wait is None and len(names) > 1 and falls_back(error):
                names.pop(0)
                wait, made = 0.0, 0
            if wait is None:
                _failed(run, node, error, number, attempt_spend)
                return
            run.post(ev.AttemptFailed(time.time(), node.path, number, fault_told(run, node, error), wait, str(name or ""), attempt_spend))
            await asyncio.sleep(wait)
            number += 1
        else:
            finish(run, node, outcome.value, replace(outcome, spend=sum(spent, spend)))
            return


def _failed(run: Run, node: Node, error: BaseException, attempts: int, spend: ev.Spend) -> None:
    run.causes[node.path] = error
    run.post(ev.CallFailed(time.time(), node.path, fault_told(run, node, error), attempts, spend + run.used.pop(node.path, ev.NOTHING_SPENT)))


async def _timed(run: Run, node: Node, policy: Policy, model: Model | None, number: int, spent: list[ev.Spend]) -> Outcome:
    try:
        async with asyncio.timeout(policy.timeout_s):
            if model is None:
                return await _tool(run, node)
            return await _prompt(run, node, policy, model, number, spent)
    except TimeoutError as error:
        if policy.timeout_s is None:
            raise
        raise CallTimeout(f"{node.path} took longer than {policy.timeout_s} s", call=node.path, hint="raise timeout_s=") from error


# ------------------------------------------------------------------ tools


async def _tool(run: Run, node: Node) -> Outcome:
    tool = node.plan.call.function
    args = run.state.arguments(node)
    if tool.pure and run.policy(node).cache is not False and not is_secret(run, node):
        key = _tool_key(tool, args)
        data, cached = await run.supply.cache.single(key, lambda: _dumped(run, node, tool, args))
        return Outcome(node.codec.load(data), cached=cached)
    return Outcome(await _call_tool(run, node, tool, args))


async def _dumped(run: Run, node: Node, tool: Any, args: dict[str, Any]) -> bytes:
    return node.codec.dump(await _call_tool(run, node, tool, args))


def _tool_key(tool: Any, args: Mapping[str, Any]) -> str:
    parts = [name.encode() + b"=" + codec(tool.params[name].type).dump(args[name]) for name in sorted(args)]
    return digest(b"tool|" + tool.origin.encode() + b"|" + tool.fingerprint().encode() + b"|" + b"|".join(parts))


async def _call_tool(run: Run, node: Node, tool: Any, args: dict[str, Any]) -> Any:
    if tool.key:
        args = {**args, tool.key: run.idempotency_key(node)}
    if tool.is_async:
        with living(run.live(node)):
            value = await tool.function(**args)
    elif node.plan.call.policy.inline:
        with living(None):
            value = tool.function(**args)
    else:
        value = await asyncio.to_thread(_in_thread, tool.function, args)
    return node.codec.validate(value)


def _in_thread(function: Any, args: dict[str, Any]) -> Any:
    with living(None):
        return function(**args)


# ------------------------------------------------------------------ prompts


async def _prompt(run: Run, node: Node, policy: Policy, model: Model, number: int, spent: list[ev.Spend]) -> Outcome:
    from rookery.decoding.render import render

    prompt = node.plan.call.function
    args = run.state.arguments(node)
    paths = {name: slot.path for name, slot in zip(node.plan.names, node.deps, strict=True)}
    own = getattr(prompt, "rendered", None)  # a prompt that lays out its messages itself, an agent's turn
    key = run.idempotency_key(node)
    rendered: Rendered = (
        await own(args, policy, model, paths=paths, idempotency_key=key) if own is not None
        else render(prompt, args, policy, model.capabilities, paths=paths, idempotency_key=key)
    )
    scores = Scores(model, asked=policy.logprobs is not None)
    decode = policy.decode or rendered.decode
    rule = decode and _rule(decode, args, rendered.request)
    guard = _guarded(run, model, rule) if rule else None
    if not _is_cached(policy) or is_secret(run, node):
        value = await _ask(run, node, policy, model, rendered, spent, scores, guard)
        return Outcome(value, model=model.capabilities.name, level=rendered.level, confidence=scores.sum,
                       guided=None if guard is None else guard.report)
    held = f"|{rule!r}" if rule else ""
    key = digest(f"prompt|{model.capabilities.name}|{rendered.request.fingerprint()}|{prompt.fingerprint()}{held}".encode())

    async def make() -> bytes:
        return scores.pack(node.codec.dump(await _ask(run, node, policy, model, rendered, spent, scores, guard)))

    data, cached = await run.supply.cache.single(key, make)
    body, confidence = scores.unpack(data)
    guided = None if cached or guard is None else guard.report
    return Outcome(node.codec.load(body), model=model.capabilities.name, cached=cached, level=rendered.level, confidence=confidence, guided=guided)


def _rule(decode: Any, args: Mapping[str, Any], request: Request) -> Rule:
    from rookery.decoding.rules import bound, rule_of

    return bound(rule_of(decode), args, request)


def _guarded(run: Run, model: Model, rule: Rule) -> Guarded:
    from rookery.decoding.ladder import Guarded

    return Guarded(model, rule, run.supply.desk)


def _is_cached(policy: Policy) -> bool:
    return policy.cache if policy.cache is not None else policy.temperature == 0 or policy.seed is not None


async def _ask(
    run: Run, node: Node, policy: Policy, model: Model, rendered: Rendered, spent: list[ev.Spend], scores: Scores, guard: Guarded | None = None
) -> Any:
    """Ask the model, and ask again with the faults when its text does not parse, a bounded number of times."""
    from rookery.models.model import Message

    request = rendered.request
    repairs = policy.repair if policy.repair is not None else REPAIRS
    elements = _elements(run, node, rendered)
    while True:
        text, stop, calls = await _reply(run, node, model, request, spent, elements, scores, guard)
        try:
            if guard is not None:
                await guard.check(text)
            value = rendered.read(text, calls)
        except ParseFailed as error:
            if repairs <= 0:
                raise
            repairs -= 1
            run.post(ev.AttemptFailed(time.time(), node.path, 1, fault_told(run, node, error), 0.0, model.capabilities.name, repair=True))
            asked = rendered.repair(error)
            if stop == "length":
                asked += " Your answer was cut off at its length limit; be shorter."
            said = [Message.of("assistant", text)] if text or not calls else []  # a reply of calls alone has no text
            request = rendered.request.with_message(*said, Message.of("user", asked))
            elements = None
        else:
            return _with_committed(run, node, value)


def _with_committed(run: Run, node: Node, value: Any) -> Any:
    """The list whose first elements are those that others have already been given."""
    element = node.codec.element
    if not node.elements or element is None or not isinstance(value, list):
        return value
    result = list(value)
    for index, slot in enumerate(node.elements):
        given = run.state.ref(slot)
        if index >= len(result):
            result.append(read(given, element, run.stored))
        elif run.state.writer.write(result[index], element) != given:
            result[index] = read(given, element, run.stored)
    return result


def _elements(run: Run, node: Node, rendered: Rendered) -> Any:
    """A reader of the list's elements as they stream, where somebody maps over them."""
    if rendered.form == "text" or not node.listeners or element_type(node.codec.type) is None or node.codec.element is None:
        return None
    from rookery.decoding.elements import Elements

    return Elements(rendered.type, rendered.form)


async def _reply(
    run: Run, node: Node, model: Model, request: Request, spent: list[ev.Spend], elements: Any, scores: Scores, guard: Guarded | None = None
) -> tuple[str, str, tuple[ToolCall, ...]]:
    """One request under the run's limits and the model's concurrency, its text streamed into events."""
    from rookery.models.model import Usage

    ledger = run.supply.ledger_of(node.path)
    request, worst, prompt_tokens = await _reserved(run, node, model, request, ledger)
    usage: Usage | None = None
    sent, silent = False, is_secret(run, node)
    scores.begin()
    texts: list[str] = []
    calls: tuple[ToolCall, ...] = ()
    stop = ""
    index = len(node.elements or ()) if elements is not None else 0
    skip = index
    try:
        async with run.supply.place_for(model):
            sent = True
            async with aclosing((guard or model).stream(request)) as stream:  # type: ignore[type-var]
                async for chunk in stream:
                    if chunk.usage is not None:
                        usage = chunk.usage if usage is None else usage + chunk.usage
                    stop = chunk.stop or stop
                    calls += chunk.tool_calls
                    if chunk.logprobs:
                        scores.add(chunk.logprobs)
                    if chunk.text:
                        texts.append(chunk.text)
                        if not silent:
                            run.show(ev.CallText(time.time(), node.path, chunk.text))
                        if elements is not None:
                            index, skip = _post_elements(run, node, elements.feed(chunk.text), index, skip)
    finally:
        if usage is None:  # it failed before it said what it used: book the most that can have been, so that no limit is passed unseen
            usage = Usage(prompt_tokens if sent and texts else 0, sum(len(text.encode()) for text in texts))
        spend = _spend(model, usage, is_sent=sent)
        spent.append(spend)
        run.supply.settle(ledger, worst, spend)
    if not stop:
        raise ReplyCut("the reply ended before its end", model=model.capabilities.name)
    return "".join(texts), stop, calls


def _post_elements(run: Run, node: Node, values: list[Any], index: int, skip: int) -> tuple[int, int]:
    """Post complete elements; those committed before a crash stand, so as many of the new reply are passed over."""
    for value in values:
        if skip > 0:
            skip -= 1
            continue
        labels = run.state.labels(node)
        if SECRET not in labels:
            element = node.codec.element
            assert element is not None
            held = value if element.shareable else None
            run.post(ev.ElementReady(time.time(), node.path, index, run.state.writer.write(value, element), labels, held=held))
            index += 1
    return index, skip


def _spend(model: Model, usage: Usage, *, is_sent: bool) -> ev.Spend:
    cost = usage.cost_usd
    price = model.capabilities.price_usd
    if cost is None and price is not None:
        cost = usage.prompt_tokens * price[0] + usage.completion_tokens * price[1]
    return ev.Spend(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, cost, 1 if is_sent else 0)


async def _reserved(run: Run, node: Node, model: Model, request: Request, ledger: Ledger | None) -> tuple[Request, Worst, int]:
    """Set the worst case of a request aside, waiting for room while others may still give some back; also its prompt's tokens.

    Raises LimitReached when there will never be room, ContextOverflow when the prompt alone does not fit the window.
    """
    capabilities = model.capabilities
    has_usd = ledger is not None and bool(ledger.caps("usd"))
    needs_count = ledger is not None and (has_usd or bool(ledger.caps("tokens")))
    if not needs_count and capabilities.context_tokens is None:
        worst = Worst(calls=1)
        await _room(run, node, worst, ledger)
        return request, worst, 0
    count = await model.count_tokens(request)
    window = capabilities.context_tokens
    wanted = request.sampling.max_tokens
    if window is not None and capabilities.exact_token_count and count + (wanted or 1) > window:
        raise ContextOverflow(
            f"{node.path}: {count} prompt tokens and {wanted or 1} for the answer do not fit the window of {window}",
            model=capabilities.name, hint="shorten the inputs, lower max_tokens, or use a model with a larger window",
        )
    if not needs_count:
        worst = Worst(calls=1)
        await _room(run, node, worst, ledger)
        return request, worst, count
    most = wanted or min(DEFAULT_MAX_TOKENS, capabilities.max_output_tokens or DEFAULT_MAX_TOKENS)
    price = capabilities.price_usd
    if has_usd and price is None and not capabilities.is_local:
        raise SettingMissing(
            f"the price of {capabilities.name} is not known, so it can't be used under a money limit", model=capabilities.name,
            hint="give price_usd for the model, or limit tokens instead",
        )
    while True:
        usd = count * price[0] + most * price[1] if price else 0.0
        worst = Worst(count + most, usd, 1)
        try:
            await _room(run, node, worst, ledger)
        except LimitReached:
            room = ledger.room_tokens() if ledger is not None else None
            if wanted is not None or room is None or room - count < 16 or room - count >= most:
                raise
            most = room - count
            continue
        sampling = request.sampling if wanted is not None else replace(request.sampling, max_tokens=most)
        return replace(request, sampling=sampling), worst, count


async def _room(run: Run, node: Node, worst: Worst, ledger: Ledger | None) -> None:
    """Reserve, or wait until others give back what they do not need."""
    if ledger is None:
        return
    async with run.supply.turn(ledger):
        while True:
            lacking = ledger.reserve(worst)
            if lacking is None:
                return
            never = ledger.lacking(worst, ignoring_reserved=True)
            if never is not None:
                spent = ledger.spent
                used = {"tokens": f"{spent.tokens} tokens", "usd": f"${spent.cost_usd or 0:.4f}", "calls": f"{spent.calls} calls",
                        "sandbox_seconds": f"{spent.sandbox_s:.1f} s"}[never]
                raise LimitReached(
                    f"{never}: {used} of {min(ledger.caps(never))} are spent and {node.path} may need {worst.tokens} tokens more", what=never,
                    call=node.path, run=run.id, hint="raise the limit and resume, or lower max_tokens",
                )
            await run.supply.settled()
