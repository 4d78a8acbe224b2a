"""BYP003 for clients that row security does not hold: a request names the rows, and nobody asks who sends it.

A handler that works as the service role is the only fence left. Where neither it nor what it calls looks
at a session, a token, a signature or a secret, and an id of the request chooses the rows, everybody who
can reach the handler reads or changes any tenant's rows. The publishable key is no proof of anything: it
is in every browser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.config import TENANT_COLUMNS, path_matches
from lint.rules.bypass import stable
from lint.rules.bypass_rules import BYP003
from lint.source.askers import Askers
from lint.source.requests import Requests, names_in
from lint.source.service_role import ServiceClients, chains, is_public, names_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.requests import Handler
    from lint.source.sites import Argument, Call, Source

_DOES = {
    "select": "reads",
    "update": "changes",
    "delete": "deletes",
    "upsert": "writes",
    "insert": "adds rows to",
}
#: Columns and parameters that say which rows, or whose: not a slug, a token or an address.
_ID = re.compile(
    r"(?:^|_|\.)(?:p_|v_)?(?:u?u?id|ids|tenant|org|organi[sz]ation|workspace|team|company|account)\Z|[a-z]Ids?\Z|_ids?\Z"
)
_TENANTS = frozenset(TENANT_COLUMNS)
_BEARER = re.compile(r"token|secret|api_?key|key_?hash|hash|otp|pin\b|code\Z|signature", re.IGNORECASE)
_NAMES_ROW = frozenset({"eq", "in", "match", "filter", "or", "contains"})
_ACTIONS = re.compile(rb"(?:\s|//[^\n]*\n|/\*.*?\*/)*['\"]use server['\"]", re.DOTALL)
#: What is called by a schedule or by another machine, by habit under a secret of the platform's.
_BY_MACHINE = re.compile(
    r"cron|webhooks?|jobs?/|health|seed|migrat|debug|(?:^|/)tests?/|callback", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Statement:
    """One statement of the service role: what it does to which table, and what says which rows."""

    call: Call
    verb: str
    table: str
    said: tuple[str, ...]


def unasked_service_roles(
    readers: Readers, files: Sequence[SourceFile], config: LintConfig
) -> Iterator[Finding]:
    """Yield the handlers that reach rows as the service role by what a request says, and ask nobody."""
    clients = ServiceClients(readers.program)
    if not clients or not readers.link.protected:
        return
    graph = readers.program.graph
    requests = Requests(graph, config, _server_actions(files))
    askers = Askers(graph, {file.path: file.content for file in files})
    judged = _Judged(readers, clients, requests, config)
    told: set[tuple[str, int]] = set()
    for handler in requests.handlers:
        if _BY_MACHINE.search(handler.path) or path_matches(handler.path, config.verified_packages):
            continue
        found = [
            one for one in judged.of(handler) if (one[0].call.place.path, one[0].call.place.line) not in told
        ]
        if found and not askers.asks(handler):
            told.update((one.call.place.path, one.call.place.line) for one, _ in found)
            yield _finding(handler, found, askers.middleware(handler.path))


def _server_actions(files: Sequence[SourceFile]) -> frozenset[str]:
    """Return the files whose exported functions browsers may call: those that begin with "use server"."""
    return frozenset(
        file.path
        for file in files
        if b"use server" in file.content and _ACTIONS.match(file.content) is not None
    )


class _Judged:
    """The statements of the service role that a handler runs over what its request names."""

    def __init__(
        self, readers: Readers, clients: ServiceClients, requests: Requests, config: LintConfig
    ) -> None:
        self._graph = readers.program.graph
        self._requests = requests
        self._by_function: dict[tuple[str, str], list[tuple[Source, _Statement]]] = {}
        for source in readers.program.sources:
            if source.language != "typescript" or path_matches(source.path, config.verified_packages):
                continue
            for one in _statements(source, readers):
                if clients.runs(one.call, source):
                    owner = self._graph.owner(source, one.call.function)
                    self._by_function.setdefault(owner, []).append((source, one))

    def of(self, handler: Handler) -> list[tuple[_Statement, str]]:
        """Return each such statement with the name in it that the request decides."""
        if not self._by_function:
            return []
        inside = (one for own in handler.functions for one in self._graph.within(own))
        running = self._graph.reachable_from((*handler.functions, *inside))
        found: list[tuple[_Statement, str]] = []
        for function in running:
            for source, one in self._by_function.get(function, ()):
                brought = self._requests.brings(one.said, one.call.function, source, handler)
                if brought:
                    found.append((one, brought))
        return sorted(found, key=lambda pair: (pair[0].call.place.path, pair[0].call.place.line))


def _statements(source: Source, readers: Readers) -> Iterator[_Statement]:
    for start, chain in chains(source):
        if names_table(start):
            table = _table(start.arguments[0].text, chain, readers)
            verb = next((call.name for call in chain if call.name in _DOES), "")
            said = tuple(name for call in chain for name in _said(call))
            by_secret = any(_is_bearer(call) for call in chain)
            if table and verb and said and not by_secret and not is_public(chain):
                yield _Statement(start, verb, table, said)
        elif start.name == "rpc" and len(start.arguments) > 1:
            said = tuple(_of_values(start.arguments[1]))
            if said:
                yield _Statement(start, "rpc", start.arguments[0].text, said)


def _table(name: str, chain: Sequence[Call], readers: Readers) -> str:
    """Return the protected table that a statement is over, or one that no migration in sight makes.

    Of such a table is believed that it holds tenants' rows where the statement names their column.
    """
    known = readers.link.table(name)
    if known is not None:
        return known.qualified
    if readers.link.knows(name) or _TENANTS.isdisjoint(_columns(chain)):
        return ""
    return name


def _columns(chain: Sequence[Call]) -> Iterator[str]:
    """Yield the columns that a statement names as its filters, and as the keys of what it writes."""
    for call in chain:
        for argument in call.arguments[:1]:
            yield argument.text
            yield from argument.keys


def _is_bearer(call: Call) -> bool:
    """Say whether a filter asks for a secret that only who was given it knows: `.eq("token", token)`."""
    first = call.arguments[0].text if call.arguments else ""
    return call.name in _NAMES_ROW and bool(_BEARER.search(first))


def _said(call: Call) -> Iterator[str]:
    """Yield the names by which a call of a statement says which rows it means, or whose they become."""
    if call.name in {"eq", "in", "contains", "filter"} and len(call.arguments) > 1:
        if _ID.search(call.arguments[0].text):
            yield from names_in(call.arguments[-1])
    elif call.name in {"match", "insert", "upsert", "update"} and call.arguments:
        yield from _of_values(call.arguments[0])


def _of_values(argument: Argument) -> Iterator[str]:
    """Yield the names in an object that stand for ids, or the object itself where it is handed on whole."""
    if argument.kind in {"name", "member"}:
        yield argument.text
    elif any(_ID.search(key) for key in argument.keys):
        names = names_in(argument)
        ids = tuple(name for name in names if _ID.search(name))
        yield from ids or names


def _finding(handler: Handler, found: list[tuple[_Statement, str]], middleware: str) -> Finding:
    one, brought = min(found, key=lambda pair: pair[0].verb == "insert")
    adds_only = all(statement.verb == "insert" for statement, _ in found)
    tables = sorted({statement.table for statement, _ in found if statement.verb != "rpc"})
    what = f"calls {one.table}" if one.verb == "rpc" else f"{_DOES[one.verb]} {one.table}"
    more = (
        f" (and reaches {', '.join(t for t in tables if t != one.table)} likewise)" if len(tables) > 1 else ""
    )
    before = f"; whether {middleware} asks, and for which tenant, does not show here" if middleware else ""
    return BYP003.finding(
        one.call.place,
        f"{handler.name} {what} as the service role, which is under no policy, for the {brought} that the "
        f"request states{more}, and nothing that it runs asks who sends it: whoever can call it names any "
        f"tenant's rows{before}",
        "ask who calls first (auth.getUser() on the caller's token) and compare the tenant with that user's, "
        "or use a client with the caller's own token",
        table=one.table if one.verb != "rpc" else None,
        subject=f"{stable(handler.functions[0][1])}:{one.table}:{one.verb}:service role unasked",
        severity="warning" if adds_only or middleware else None,
        cause="a handler works as the service role on ids of the request, and asks nobody who sends it",
    )
