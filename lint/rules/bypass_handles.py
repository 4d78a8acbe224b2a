"""BYP005: what a bypass's callback or block does with its session, and what it opens inside."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.rules.bypass_paths import RUNS_LATER, Entered, calls_made
from lint.rules.bypass_rules import BYP005
from lint.source.holders import steps_of
from lint.source.sites import Bind, Do, Leave, Within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.catalogue import Place
    from lint.report import Finding, Severity
    from lint.source.graph import FunctionId
    from lint.source.inventory import Bypasses, Judged
    from lint.source.sites import Block, Call, Function, Source

#: Calls that keep or run later what they are given.
_KEEPS = frozenset({"append", "add", "put", "put_nowait", "setdefault", "insert", "set"})
#: How many calls away from the bypass another one is looked for.
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class _Inside:
    """What runs inside a bypass: a block, the function it belongs to, and the session's name."""

    source: Source
    function: Function
    block: Block
    handle: str
    is_callback: bool


def handle_findings(bypasses: Bypasses, judged: Sequence[Judged]) -> Iterator[Finding]:
    """Yield what reaches further than its bypass."""
    for one in judged:
        yield from _not_awaited(one, bypasses)
        for inside in _insides(one, bypasses):
            yield from _escapes(inside, one)
            yield from _late(inside, one, bypasses)
            yield from _opened_inside(inside, one, bypasses)


def _insides(judged: Judged, bypasses: Bypasses) -> Iterator[_Inside]:
    use = judged.use
    if use.form == "block":
        _, name = bypasses.graph.owner(use.source, use.call.function)
        yield _Inside(use.source, use.source.functions[name], use.body, use.handle, is_callback=False)
    elif use.form == "callback":
        for path, name in _callbacks(use.call, use.source, bypasses):
            source = bypasses.graph.modules.sources[path]
            function = source.functions[name]
            taken = [one for one in function.parameters if one not in {"self", "cls", "this"}]
            yield _Inside(source, function, function.body, taken[0] if taken else "", is_callback=True)


def _callbacks(call: Call, source: Source, bypasses: Bypasses) -> Iterator[FunctionId]:
    for argument in call.arguments:
        yield from bypasses.graph.mentioned(argument, call.function, source)


def _told(
    judged: Judged, place: Place, what: str, fix: str, subject: str, severity: Severity = "error"
) -> Finding:
    call = judged.use.call
    return BYP005.finding(
        place,
        f"{what} (the bypass is opened at {call.place.path}:{call.place.line})",
        fix,
        subject=f"{judged.use.name}:{subject}",
        severity=severity,
    )


# The session


def _escapes(inside: _Inside, judged: Judged) -> Iterator[Finding]:
    handle = inside.handle
    if not handle:
        return
    for step in steps_of(inside.block):
        how = _escape(step, handle, inside)
        if how is not None:
            yield _told(
                judged,
                how[1],
                f"the bypass's {handle} {how[0]}, so it is used after the bypass has ended",
                f"use {handle} inside only, and hand out values that were read: rows, ids, counts",
                f"{inside.function.name}:{handle}:{how[0]}",
            )


def _escape(step: object, handle: str, inside: _Inside) -> tuple[str, Place] | None:
    """Return how a step lets the session out, and where."""
    if isinstance(step, Leave) and step.kind == "return" and handle in step.values:
        return "is returned", step.place
    if isinstance(step, Leave) and step.kind == "yield" and handle in step.values and inside.is_callback:
        return "is yielded", step.place
    if isinstance(step, Bind) and handle in step.values:
        target = next((target for target in step.targets if _outlives(target, inside)), None)
        return (f"is stored in {target}", step.place) if target is not None else None
    if isinstance(step, Do):
        return _handed(step.call, handle, inside)
    return None


def _outlives(target: str, inside: _Inside) -> bool:
    """Say whether what is bound there is still there when the function has ended."""
    root = target.partition(".")[0].removesuffix("[]")
    if target == root:
        return root in inside.function.outer or not inside.function.name
    return root in {"self", "cls", "this"} or not _is_local(root, inside)


def _is_local(name: str, inside: _Inside) -> bool:
    return any(
        isinstance(step, Bind) and name in step.targets for step in steps_of(inside.function.body)
    ) or any(isinstance(step, Within) and step.name == name for step in steps_of(inside.function.body))


def _handed(call: Call, handle: str, inside: _Inside) -> tuple[str, Place] | None:
    given = [argument for argument in call.arguments if handle in argument.names]
    if not given:
        return None
    if call.name in RUNS_LATER:
        return f"is handed to {call.written}", call.place
    holder = call.written.rpartition(".")[0]
    whole = any(argument.kind == "name" for argument in given)
    kept = call.name in _KEEPS and holder and whole and not holder.startswith(handle)
    if kept and (holder.partition(".")[0] in {"self", "cls", "this"} or not _is_local(holder, inside)):
        return f"is kept in {holder}", call.place
    return None


# Coroutines


def _not_awaited(judged: Judged, bypasses: Bypasses) -> Iterator[Finding]:
    call, source = judged.use.call, judged.use.source
    if judged.use.form == "callback" and call.dropped and _is_async(call, source, bypasses):
        yield _told(
            judged,
            call.place,
            f"{call.written} is not awaited: the bypass runs later or never, and its failure is not seen",
            f"await {call.written}(…)",
            f"{call.function}:not awaited",
        )


def _late(inside: _Inside, judged: Judged, bypasses: Bypasses) -> Iterator[Finding]:
    for step in steps_of(inside.block):
        if not isinstance(step, Do) or not step.call.dropped or not inside.handle:
            continue
        takes = any(inside.handle in argument.names for argument in step.call.arguments)
        if takes and _is_async(step.call, inside.source, bypasses):
            yield _told(
                judged,
                step.call.place,
                f"{step.call.written} takes the bypass's {inside.handle} and is not awaited: it runs after "
                "the bypass has ended, or never",
                f"await {step.call.written}(…)",
                f"{inside.function.name}:{step.call.written}:not awaited",
            )


def _is_async(call: Call, source: Source, bypasses: Bypasses) -> bool:
    targets = [bypasses.graph.functions[one] for one in bypasses.graph.targets(call, source)]
    if targets:
        return all(function.asynchronous for function in targets)
    return call.name.startswith(("arun_", "async_")) or source.language == "typescript"


# What is opened inside


def _opened_inside(inside: _Inside, judged: Judged, bypasses: Bypasses) -> Iterator[Finding]:
    scopes = frozenset(bypasses.config.tenant_scopes)
    uses = {id(use.call) for use in bypasses.uses}
    for call in _reached(inside, judged, bypasses):
        if id(call) in uses:
            yield _told(
                judged,
                call.place,
                f"{call.written} opens a bypass inside another one: under which of the two a row is read or "
                "written cannot be told",
                "end the outer bypass first, or pass its session on",
                f"{call.function}:nested",
                "error" if inside.is_callback else "warning",
            )
        elif call.name in scopes:
            yield _told(
                judged,
                call.place,
                f"{call.written} binds a tenant inside a bypass: the two authorities mix in one place",
                "return what the bypass read, and bind the tenant after it has ended",
                f"{call.function}:tenant inside",
            )


def _reached(inside: _Inside, judged: Judged, bypasses: Bypasses) -> Iterator[Call]:
    """Yield the calls made inside a bypass: its own, then those of the functions it calls by name."""
    own = judged.use.call
    here = Entered(inside.source, inside.function)
    waiting = deque((call, here) for call in calls_made(inside.block, inside.function, frozenset()))
    seen: set[tuple[FunctionId, frozenset[str]]] = set()
    while waiting:
        call, entered = waiting.popleft()
        if call is own:
            continue
        yield call
        if entered.depth >= _DEPTH or bypasses.graph.holders.called(call, entered.source) is None:
            continue
        for target in bypasses.graph.targets(call, entered.source):
            there = entered.calling(call, target, bypasses.graph)
            if (target, there.given) not in seen:
                seen.add((target, there.given))
                calls = calls_made(there.function.body, there.function, there.given)
                waiting.extend((one, there) for one in calls)
