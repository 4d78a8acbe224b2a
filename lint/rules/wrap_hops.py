"""WRAP006: work inside a tenant's scope that is handed to a thread which does not get its context."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.rules.wrap_rules import WRAP006
from lint.source.access import root_of
from lint.source.program import binds_of, last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.modules import FunctionId
    from lint.source.readers import Readers
    from lint.source.sites import Argument, Call, Source

_EXECUTORS = re.compile(r"(?:ThreadPoolExecutor|ProcessPoolExecutor)$")
_EXECUTOR_NAME = re.compile(r"(?:executor|thread_?pool)$", re.IGNORECASE)
_THREAD = re.compile(r"threading\.(?:Thread|Timer)|multiprocessing\.Process")
_CARRIES = re.compile(r"(?:\.run$|copy_context|ctx_run)")
_DEPTH = 4


def hops(readers: Readers, config: LintConfig) -> Iterator[Finding]:
    """Yield WRAP006 for threads started in a tenant's scope whose work needs the tenant."""
    if not readers.scopes.any_tenant_scope:
        return
    for source in readers.program.sources:
        if source.language != "python":
            continue
        holders = _context_holders(source)
        for call in source.calls:
            work = _work(call, source)
            if work is None or readers.scopes.at(source, call.function, call.place.line).scope != "tenant":
                continue
            needs = _needs(work, call, source, readers, holders)
            if needs is not None:
                yield _finding(call, work, needs, config)


def _finding(call: Call, work: Argument, needs: str, config: LintConfig) -> Finding:
    scope = config.tenant_scopes[0] if config.tenant_scopes else "the tenant's scope"
    return WRAP006.finding(
        call.place,
        f"{call.written} runs {work.text[:60]} on another thread, where no tenant is bound: it {needs}",
        f"await asyncio.to_thread(…) or copy_context().run(…), or open {scope} inside it",
        subject=f"{call.function}:{work.text[:60]}",
    )


def _work(call: Call, source: Source) -> Argument | None:
    """Return the argument that another thread will run, None when none does or the context goes along."""
    positional = [argument for argument in call.arguments if argument.keyword is None]
    work: Argument | None = None
    if call.name == "run_in_executor" and len(positional) > 1:
        work = positional[1]
    elif call.name in {"submit", "map"} and positional and _is_executor(root_of(call), source):
        work = positional[0]
    elif _THREAD.fullmatch(call.callee):
        work = next(
            (argument for argument in call.arguments if argument.keyword in {"target", "function"}), None
        )
    if work is None or _CARRIES.search(work.text):
        return None
    return work


def _is_executor(root: str, source: Source) -> bool:
    for other in source.calls:
        if root in other.bound_to and _EXECUTORS.search(other.callee):
            return True
    return bool(_EXECUTOR_NAME.search(root))


def _context_holders(source: Source) -> frozenset[str]:
    """Return the module's names that are context variables."""
    made = [call for call in source.calls if last(call.callee) == "ContextVar" and not call.function]
    found = {name for call in made for name in call.bound_to}
    for bind in binds_of(source.functions.get("")):
        if any(bind.place.line <= call.place.line <= bind.place.end_line for call in made):
            found.update(bind.targets)
    return frozenset(found)


def _needs(
    work: Argument, call: Call, source: Source, readers: Readers, holders: frozenset[str]
) -> str | None:
    """Say what of the tenant the work needs, following the functions it calls."""
    waiting = [(target, 0) for target in readers.program.mentioned(work, call.function, source)]
    seen: set[FunctionId] = set()
    while waiting:
        target, depth = waiting.pop()
        if target in seen or depth > _DEPTH or target in readers.scopes.binders:
            continue
        seen.add(target)
        need = _need_of(target, readers, holders if target[0] == source.path else frozenset())
        if need is not None:
            return need
        waiting.extend((one, depth + 1) for one in _called(target, readers))
    return None


def _need_of(target: FunctionId, readers: Readers, holders: frozenset[str]) -> str | None:
    source = readers.program.source(target[0])
    if source is None or _opens_scope(target, readers) or readers.scopes.by_signature(source, target[1]):
        return None
    table = next((r.table for r in readers.readers if (r.path, r.function) == target), None)
    if table is not None:
        return f"reaches {table}"
    for call in source.calls:
        if call.function == target[1] and call.name == "get" and root_of(call) in holders:
            return f"reads {root_of(call)}, which is not set there"
    return None


def _opens_scope(target: FunctionId, readers: Readers) -> bool:
    source = readers.program.source(target[0])
    calls = source.calls if source is not None else ()
    return any(
        call.function == target[1] and source is not None and readers.scopes.verb(call, source) is not None
        for call in calls
    )


def _called(target: FunctionId, readers: Readers) -> Iterator[FunctionId]:
    source = readers.program.source(target[0])
    if source is None or _opens_scope(target, readers):
        return
    for call in source.calls:
        if call.function == target[1]:
            yield from readers.program.targets(call, source)
