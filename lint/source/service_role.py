"""Supabase clients made with the service role's key: who holds one, who serves requests, what is filtered.

The service role bypasses row security, so that a statement on such a client reads what its own filters
leave, whoever asks. A client is followed to where it is bound, returned and imported.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lint.source.access import covers, root_of
from lint.source.holders import around, steps_of
from lint.source.modules import module_parts
from lint.source.requests import API_FOLDER, METHODS, ROUTE
from lint.source.sites import Leave
from lint.source.typescript_db import privileged_clients

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.config import LintConfig
    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.sites import Call, Source

#: What is called for all tenants, or by a machine that proves itself otherwise: no tenant asks there.
_FOR_ALL = re.compile(r"cron|webhook|jobs?/|health|admin|internal|seed|migrat|debug|test", re.IGNORECASE)
#: What makes a file a server by itself.
_SERVES = frozenset({"listen", "serve", "createServer", "setRequestHandler", "fetch"})
_BY_HAND = re.compile(r"(?:^|/)(?:scripts?|seeds?|seeders?|tools|bin|migrations)/", re.IGNORECASE)


class ServiceClients:
    """The names in a program that hold a client of the service role."""

    def __init__(self, program: Program) -> None:
        self._program = program
        made = [(source, call) for source in program.sources for call in privileged_clients(source)]
        self._made = {id(call) for _, call in made}
        self._makers = {(s.path, c.function) for s, c in made if c.function and _gives_away(c, s)}
        self._exported = {
            (module_parts(source.path)[-1], name)
            for source, call in made
            if not call.function
            for name in call.bound_to
        }

    def __bool__(self) -> bool:
        return bool(self._made)

    def holds(self, name: str, function: str, source: Source) -> bool:
        """Say whether a name holds such a client in a function of a file."""
        if name in source.imports:
            module, _, original = source.imports[name].replace("/", ".").rpartition(".")
            return (module.rpartition(".")[2], original) in self._exported
        scopes = set(around(function))
        bound = [call for call in source.calls if name in call.bound_to and call.function in scopes]
        return bool(bound) and all(self._gives(call, source) for call in bound)

    def runs(self, call: Call, source: Source) -> bool:
        """Say whether a statement runs on such a client, held in a name or made in the statement itself."""
        first = call
        while first.receiver is not None:
            first = first.receiver
        made_there = first is not call and self._gives(first, source)
        return made_there or self.holds(root_of(call), call.function, source)

    def _gives(self, call: Call, source: Source) -> bool:
        targets = self._program.targets(call, source)
        return id(call) in self._made or any(target in self._makers for target in targets)


def _gives_away(call: Call, source: Source) -> bool:
    """Say whether a function returns the client that it makes."""
    function = source.functions.get(call.function)
    for step in steps_of(function.body) if function is not None else ():
        if isinstance(step, Leave) and step.kind == "return":
            named = not set(call.bound_to).isdisjoint(step.values)
            if named or (not call.bound_to and covers(step.place, call.place)):
                return True
    return False


def request_functions(program: Program, config: LintConfig) -> frozenset[FunctionId]:
    """Return the functions that run when a tenant's request comes in, by the habits of web frameworks."""
    handlers = (
        (source.path, name)
        for source in program.sources
        if source.language == "typescript"
        for name in source.functions
        if _is_handler(source.path, name, config)
    )
    return program.graph.reachable_from(handlers)


def _is_handler(path: str, name: str, config: LintConfig) -> bool:
    if any(fnmatchcase(f"{path}:{name}", pattern) for pattern in config.handlers):
        return True
    if _FOR_ALL.search(path):
        return False
    is_method = name.partition(".")[0] in METHODS
    return (is_method and ROUTE.search(path) is not None) or API_FOLDER.search(path) is not None


def is_run_by_hand(source: Source) -> bool:
    """Say whether a file is a script that somebody runs: nothing imports it, and it serves nobody."""
    if _BY_HAND.search(source.path):
        return True
    handed_on = source.exports or source.star_exports or any(f.exported for f in source.functions.values())
    if handed_on or API_FOLDER.search(source.path):
        return False
    return not any(call.name in _SERVES and call.name != "fetch" for call in source.calls)


def unfiltered_statements(source: Source) -> Iterator[tuple[Call, str]]:
    """Yield (`client.from("table")`, verb) of each statement over rows that nothing filters."""
    for start, chain in chains(source):
        if not names_table(start):
            continue
        verb = next((call.name for call in chain if call.name in _VERBS), "")
        names = {name for call in chain for name in call.bound_to}
        here = (call for call in source.calls if call.function == start.function)
        later = {call.name for call in here if root_of(call) in names}
        filtered = any(call.name in _NARROWS for call in chain) or not later.isdisjoint(_NARROWS)
        if verb and not filtered and not _is_probe(chain):
            yield start, verb


def chains(source: Source) -> Iterator[tuple[Call, list[Call]]]:
    """Yield each `client.from("table")` and `client.rpc("name", …)` with the calls that are chained to it."""
    starts = [call for call in source.calls if names_table(call) or call.name == "rpc"]
    following: dict[int, list[Call]] = {}
    for call in source.calls if starts else ():
        if call.receiver is not None:
            following.setdefault(id(call.receiver), []).append(call)
    yield from ((start, _chain(start, following)) for start in starts)


def is_public(chain: Sequence[Call]) -> bool:
    """Say whether a statement asks only for rows that everyone may see: `.eq("is_public", true)`."""
    return any(
        call.name in _NARROWS
        and bool(call.arguments)
        and _FOR_EVERYONE.search(call.arguments[0].text) is not None
        for call in chain
    )


def _is_probe(chain: list[Call]) -> bool:
    """Say whether a statement asks for any one row: it tries the connection, and wants none in particular."""
    one = any(call.name == "limit" and [a.text for a in call.arguments] == ["1"] for call in chain)
    return one and not any(call.name == "order" for call in chain)


#: Methods that read or change rows that exist; what is inserted says its tenant itself.
_VERBS = frozenset({"select", "update", "delete"})
_NARROWS = frozenset(
    {"eq", "in", "match", "filter", "or", "is", "like", "ilike", "contains", "containedBy", "textSearch"}
    | {"gt", "gte", "lt", "lte", "not", "neq", "overlaps", "insert", "upsert"}
)
_FOR_EVERYONE = re.compile(r"public|published|visibility|shared|\bslug\b|listed", re.IGNORECASE)
_NO_CLIENTS = frozenset({"Array", "Buffer", "Object", "Set", "Map", "Uint8Array", "storage"})


def names_table(call: Call) -> bool:
    """Say whether a call is `client.from("table")`."""
    first = call.arguments[0] if len(call.arguments) == 1 else None
    holder = call.written.rpartition(".")[0].rpartition(".")[2]
    literal = first is not None and first.kind == "literal"
    return literal and call.name == "from" and bool(holder) and holder not in _NO_CLIENTS


def _chain(start: Call, following: dict[int, list[Call]]) -> list[Call]:
    chain = [start]
    while id(chain[-1]) in following:
        chain.append(following[id(chain[-1])][0])
    return chain[1:]
