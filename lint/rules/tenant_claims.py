"""Whose tenant code binds: one that a header states and nobody verified (BYP003), or a default (BYP002).

A tenant scope is as good as what it is given. Read within one function and what it calls to read a
header; a function that looks at who asks (a user, a token, a membership) is taken to compare the two.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.rules.bypass import stable, where
from lint.rules.bypass_rules import BYP002, BYP003
from lint.source.asked import Asked
from lint.source.holders import steps_of
from lint.source.service_role import is_run_by_hand
from lint.source.sites import Bind, Leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lint.catalogue import Place
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.sites import Argument, Call, Function, Language, Source

_TENANT = r"(?:tenant|org|organi[sz]ation|workspace|account|team|company)"
_TENANT_WORD = re.compile(_TENANT, re.IGNORECASE)
#: A request's attribute or a context that later code takes the tenant from.
_KEPT = re.compile(
    rf"(?:req|request|ctx|context|c|g)(?:\.\w+)*\.(?:current_?)?{_TENANT}(?:_?(?:id|context))?\Z",
    re.IGNORECASE,
)
#: What a function is called that binds the tenant it is given.
_BINDS = re.compile(
    rf"(?:set|bind|enter|with|run)_?\w*{_TENANT}(?:_?(?:id|context|scope|session|variables))*\Z",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(?:^|\.)headers?(?:\.|\[|\Z)", re.IGNORECASE)
#: A header that is believed in tests only.
_TEST = re.compile(r"test|debug|dev\b", re.IGNORECASE)
_DEFAULT = re.compile(rf"(?:^|[._])(?:default|fallback)_?{_TENANT}(?:_?(?:id|key|uuid))?\Z", re.IGNORECASE)
_REQUEST = frozenset({"req", "request", "ctx", "context", "event", "headers", "cookies", "state"})
#: Words by which a function shows that it looks at who asks.
_ASKS_WHO = frozenset(
    {"user", "users", "jwt", "token", "session", "auth", "authorization", "authenticate", "authenticated"}
    | {"claims", "principal", "identity", "member", "members", "membership", "memberships", "verify"}
    | {"verified", "signature", "hmac", "secret", "apikey", "permission", "permissions", "authorize"}
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAME = re.compile(r"\w+")
_DEPTH = 5


def claimed_tenants(readers: Readers, files: Sequence[SourceFile], config: LintConfig) -> Iterator[Finding]:
    """Yield bindings of a tenant that a header states, and of one that stands in where none is given."""
    if not readers.link.protected or not readers.scopes.any_tenant_scope:
        return
    contents = {file.path: file.content for file in files}
    asked = Asked(readers, contents, config)
    for source in readers.program.sources:
        if path_matches(source.path, config.verified_packages) or _is_a_tool(source):
            continue
        asks = partial(_asks_who, source, contents.get(source.path, b""))
        told: set[tuple[str, str]] = set()
        for place, function, names, written in _bindings(source, readers, config):
            for finding in _judged(place, function, names, written, source, readers, asks, asked):
                if (finding.rule, function) not in told:
                    told.add((finding.rule, function))
                    yield finding


def _is_a_tool(source: Source) -> bool:
    return source.language == "typescript" and is_run_by_hand(source)


def _bindings(
    source: Source, readers: Readers, config: LintConfig
) -> Iterator[tuple[Place, str, tuple[str, ...], str]]:
    """Yield (place, function, names of the tenant, what binds it) for scopes and kept request attributes."""
    for call in source.calls:
        if call.function and _binds(call, source, readers, config):
            given = [argument for argument in call.arguments if argument.kind != "function"]
            names = tuple(name for argument in given for name in _names(argument))
            yield call.place, call.function, names, call.written
    for function in source.functions.values():
        for step in steps_of(function.body) if function.name else ():
            kept = (
                next((one for one in step.targets if _KEPT.match(one)), "") if isinstance(step, Bind) else ""
            )
            if isinstance(step, Bind) and kept:
                yield step.place, function.name, step.names, kept


def _names(argument: Argument) -> tuple[str, ...]:
    return argument.names or ((argument.text,) if argument.kind in {"name", "member"} else ())


def _binds(call: Call, source: Source, readers: Readers, config: LintConfig) -> bool:
    if call.name in config.tenant_scopes:
        return True
    targets = readers.program.targets(call, source)
    if any(readers.scopes.binders.get(target) == "tenant" for target in targets):
        return True
    known = bool(targets) or (source.language == "python" and call.written in source.imports)
    return known and _BINDS.match(call.name) is not None


def _judged(
    place: Place,
    function: str,
    names: tuple[str, ...],
    written: str,
    source: Source,
    readers: Readers,
    asks: Callable[[str], bool],
    asked: Asked,
) -> Iterator[Finding]:
    fed = _fed(names, function, source, readers)
    default = next((name for name in fed if _DEFAULT.search(name)), "")
    if default and _serves(function, source) and not _is_default_itself(function):
        yield BYP002.finding(
            place,
            f"{written} in {where(function)} takes {default} where the request names no tenant: who is not "
            "known reads and writes that tenant's rows",
            "refuse a request whose tenant is not known",
            subject=f"{stable(function)}:{written}:default tenant",
        )
    header = next((name for name in fed if _HEADER.search(name)), "")
    if header and not asks(function):
        yield BYP003.finding(
            place,
            f"{written} in {where(function)} takes the tenant that {header} states, and nothing there asks "
            "who sends it: any caller may name any tenant",
            "take the tenant from the verified caller, or compare the two before it is bound",
            subject=f"{stable(function)}:{written}:header",
            severity="warning",
        )
    brought = "" if header or asks(function) else asked.unasked(fed, function, source)
    if brought:
        yield BYP003.finding(
            place,
            f"{written} in {where(function)} takes the tenant from {brought}, which the request states, and "
            "nothing that runs for it asks who sends it: any caller may name any tenant",
            "take the tenant from the verified caller, or compare the two before it is bound",
            subject=f"{stable(function)}:{written}:request",
            severity="warning",
        )


def _fed(names: tuple[str, ...], function: str, source: Source, readers: Readers) -> tuple[str, ...]:
    """Return the names that the tenant comes from, itself first, as far as one function shows."""
    found: dict[str, None] = {}
    waiting = [(name, 0) for name in names]
    while waiting:
        name, depth = waiting.pop(0)
        if name in found or depth > _DEPTH:
            continue
        found[name] = None
        if not name.startswith(("this.", "self.")):
            waiting.extend((other, depth + 1) for other in _feeding(name, function, source, readers))
    return tuple(found)


def _feeding(name: str, function: str, source: Source, readers: Readers) -> Iterator[str]:
    known = source.functions.get(function)
    if known is None:
        return
    if known.defaults.get(name, "").startswith("Header(") and _TENANT_WORD.search(name):
        yield "headers." + name
    for bind in readers.program.graph.holders.binds(source, known).get(name, ()):
        yield from (one for one in bind.names if not _HEADER.search(one) or _TENANT_WORD.search(one))
    for call in source.calls:
        if name in call.bound_to and call.function == function:
            yield from _read_by(call, source, readers)


def _read_by(call: Call, source: Source, readers: Readers) -> Iterator[str]:
    """Yield what a call reads: a header of a tenant's name, directly or in a function that reads one."""
    if _shows_who(call.name, source.language):
        return
    said = [argument.text for argument in call.arguments if argument.kind == "literal"]
    if _HEADER.search(call.written) and any(
        _TENANT_WORD.search(one) and not _TEST.search(one) for one in said
    ):
        yield f"{call.written}({said[0]})"
    if _TENANT_WORD.search(call.name):
        for target in readers.program.targets(call, source):
            function = readers.program.function(*target)
            if function is not None and any(map(_HEADER.search, _mentioned(function))):
                yield f"headers[] of {call.name}"


def _mentioned(function: Function) -> Iterator[str]:
    for step in steps_of(function.body):
        if isinstance(step, Bind | Leave):
            yield from step.names


def _serves(function: str, source: Source) -> bool:
    """Say whether a function has a request in hand, so that somebody asks."""
    known = source.functions.get(function)
    return known is not None and any(name.lower() in _REQUEST for name in known.parameters)


def _is_default_itself(function: str) -> bool:
    return _DEFAULT.search(function) is not None


def _asks_who(source: Source, content: bytes, function: str) -> bool:
    """Say whether a function, what is inside it and around it included, names who asks anywhere."""
    known = source.functions.get(function.partition(".<anonymous")[0])
    if known is None:
        return True
    lines = content.decode("utf-8", "replace").splitlines()[known.place.line - 1 : known.place.end_line]
    return any(_shows_who(name, source.language) for line in lines for name in _NAME.findall(line))


def _shows_who(written: str, language: Language) -> bool:
    """Say whether a name is of who asks; a session is the database's in Python, and where a tenant is set."""
    if _BINDS.match(written.rpartition(".")[2]):
        return False
    words = {word.lower() for word in _WORDS.findall(written)}
    return not _ASKS_WHO.isdisjoint(words - {"session"} if language == "python" else words)
