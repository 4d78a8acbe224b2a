"""BYP007: an ORM session whose identity map lives through more than one tenant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.rules.bypass_rules import BYP007
from lint.source.holders import steps_of
from lint.source.settings import is_tenant_setting
from lint.source.sites import Do, Repeat, Within
from lint.source.sql_texts import is_sql, setting_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.sites import Block, Call, Function, Source

_SESSION = re.compile(r"(?:sqlalchemy(?:\.\w+)*|sqlmodel(?:\.\w+)*)\.(?:Session|AsyncSession)")
_SESSION_TYPE = re.compile(r"\b(?:Async)?Session\b")
_FACTORY = re.compile(r"sqlalchemy(?:\.\w+)*\.(?:async_)?sessionmaker")
#: What a project calls its factory of sessions, where it stands in another file.
_FACTORY_NAME = re.compile(
    r"(?:^|\.)(?:Async)?(?:SessionLocal|SessionFactory|session_factory|(?:async_)?session_?maker)\Z"
)
#: What makes a session forget the objects it has loaded.
_FORGETS = frozenset({"expunge_all", "close", "reset", "invalidate"})
_BINDERS = re.compile(r"(?:set|bind|use|switch|activate)_?\w*(?:tenant|org|organization|workspace|account)")


def session_findings(source: Source, config: LintConfig) -> Iterator[Finding]:
    """Yield the sessions of a file that serve more than one tenant."""
    makers = {name for call in source.calls if _FACTORY.fullmatch(call.callee) for name in call.bound_to}
    makers |= {name for name, target in source.imports.items() if _is_factory(target)}
    yield from _shared(source, makers)
    for function in source.functions.values():
        yield from _in_loops(source, function, makers, config)


def _is_factory(target: str) -> bool:
    """Say whether an import is a factory of sessions that the project made, by its name."""
    return _FACTORY_NAME.search(target) is not None and not target.startswith(("sqlalchemy", "sqlmodel"))


def _makes_session(call: Call, makers: set[str]) -> bool:
    return bool(_SESSION.fullmatch(call.callee)) or call.written in makers


def _shared(source: Source, makers: set[str]) -> Iterator[Finding]:
    """Yield sessions made when the module is imported and kept in a name of it."""
    for call in source.calls:
        if call.function or not call.bound_to or not _makes_session(call, makers):
            continue
        name = call.bound_to[0]
        if not _is_opened(call, source):
            yield BYP007.finding(
                call.place,
                f"the session {name} is made once for the whole process: an object that one tenant loaded is "
                "handed to the next without asking the database",
                "make a session for each tenant's unit of work, from the tenant scope",
                subject=f"{name}:module",
            )


def _is_opened(call: Call, source: Source) -> bool:
    """Say whether a `with` block of the module's top level closes the session again."""
    top = source.functions.get("")
    steps = steps_of(top.body) if top is not None else ()
    return any(isinstance(step, Within) and step.call is call for step in steps)


def _in_loops(source: Source, function: Function, makers: set[str], config: LintConfig) -> Iterator[Finding]:
    """Yield sessions of before a loop whose body binds one tenant after another to them."""
    sessions = _sessions_of(source, function, makers)
    if not sessions:
        return
    for step in steps_of(function.body):
        if not isinstance(step, Repeat):
            continue
        inside = list(_calls_in(step.body))
        for name in sorted(sessions - _made_in(inside)):
            binding = next((call for call in inside if _binds(call, name, source, config)), None)
            forgets = any(call.name in _FORGETS and call.written.startswith(f"{name}.") for call in inside)
            if binding is not None and not forgets:
                yield BYP007.finding(
                    binding.place,
                    f"{binding.written} binds each tenant of the loop to the same session {name}: what it "
                    "loaded for one tenant it hands to the next",
                    f"make the session inside the loop, or call {name}.expunge_all() before each tenant",
                    subject=f"{function.name}:{name}:loop",
                )


def _sessions_of(source: Source, function: Function, makers: set[str]) -> set[str]:
    made = {
        name
        for call in source.calls
        if call.function in {"", function.name} and _makes_session(call, makers)
        for name in call.bound_to
    }
    made |= {
        step.name
        for step in steps_of(function.body)
        if isinstance(step, Within)
        and step.call is not None
        and step.name
        and _makes_session(step.call, makers)
    }
    typed = {name for name, text in function.types.items() if _SESSION_TYPE.search(text)}
    return made | typed


def _made_in(calls: list[Call]) -> set[str]:
    return {name for call in calls for name in call.bound_to}


def _calls_in(block: Block) -> Iterator[Call]:
    for step in steps_of(block):
        call = step.call if isinstance(step, Do | Within) else None
        if call is not None:
            yield call


def _binds(call: Call, session: str, source: Source, config: LintConfig) -> bool:
    """Say whether a call binds a tenant to the session: by name, or by SQL that sets one."""
    uses = call.written.startswith(f"{session}.") or any(a.text == session for a in call.arguments)
    if not uses:
        return False
    if call.name in config.tenant_scopes or _BINDERS.fullmatch(call.name.lower()):
        return True
    return any(
        _sets_tenant(text.value, config)
        for text in source.texts
        if _is_within(text.place.line, call) and is_sql(text)
    )


def _is_within(line: int, call: Call) -> bool:
    return call.place.line <= line <= call.place.end_line


def _sets_tenant(sql: str, config: LintConfig) -> bool:
    return any(c.effect == "setting" and is_tenant_setting(c.name, config) for c in setting_changes(sql))
