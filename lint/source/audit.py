"""What a program does around row security, as evidence: for claims that a rule's findings cannot show.

A rule tells what is wrong; a claim needs to know what was looked at as well. So every bypass comes with
the tables that it reads and the tenants it visits afterwards, every request handler with the bindings
and bypasses that it reaches, and what could not be followed is told instead of left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.source.access import RUNS, accesses, covers, root_of
from lint.source.bypass_uses import tenant_argument
from lint.source.inventory import Bypasses, inventory_of
from lint.source.joins import joins
from lint.source.program import binds_of
from lint.source.readers import readers_of
from lint.source.sites import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, Table
    from lint.report import Report
    from lint.rules.bypass_sites import Registry
    from lint.source.access import Access
    from lint.source.graph import FunctionId
    from lint.source.inventory import BypassUse, Judged
    from lint.source.joins import Join
    from lint.source.readers import Reader, Readers
    from lint.source.sites import Function, Source
    from lint.source.sources import Sources
    from lint.source.verification import State


@dataclass(frozen=True, slots=True)
class Visit:
    """A tenant that a function with a bypass binds: where its id comes from, and what shows that."""

    line: int
    tenant_origin: str
    tenant_evidence: str


@dataclass(frozen=True, slots=True)
class AuditedUse:
    """One use of the bypass, with what runs inside it and beside it.

    Attributes:
        reads: the protected tables that its callback or block reads or writes.
        unread: functions inside it that run statements of which no table could be told, or that
            could not be followed.
        visits: the tenants that the same function binds.
    """

    use: BypassUse
    reads: tuple[str, ...]
    unread: tuple[str, ...]
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True)
class HandlerEntry:
    """A binding of a tenant, or a bypass, that a request handler reaches.

    `verified_by` is the verification that every path from the handler passes before, None when one
    passes none.
    """

    handler: str
    path: str
    line: int
    function: str
    name: str
    tenant_origin: str
    tenant_evidence: str
    verified_by: str | None


@dataclass(frozen=True, slots=True)
class OpaqueCall:
    """A call that a handler makes before any verification, that may bind a tenant, and is not followed."""

    handler: str
    path: str
    line: int
    written: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceAudit:
    """One reading of a source tree: the lint's report, and what the claims on the bypass rest on.

    Attributes:
        listings: the tables that list the tenants themselves ("identity.tenant").
        handlers: every request handler, as "path:function".
        joins: joins across services outside a tenant's scope.
    """

    report: Report
    registry: Registry
    uses: tuple[AuditedUse, ...]
    listings: tuple[str, ...]
    handlers: tuple[str, ...]
    entries: tuple[HandlerEntry, ...]
    opaque: tuple[OpaqueCall, ...]
    joins: tuple[Join, ...]


def audit_of(
    report: Report, registry: Registry, sources: Sources, catalogues: Iterable[Catalogue]
) -> SourceAudit:
    """Return what was read of a run's sources, which the report is about."""
    bypasses = Bypasses(sources.whole, sources.config, registry.sites, sources.graph)
    readers = readers_of(sources)
    judged = sorted(bypasses.judged(), key=_at)
    inside = _Inside(bypasses, readers, sources)
    return SourceAudit(
        report,
        registry,
        tuple(
            AuditedUse(use, *inside.of(one), tuple(_visits(one, bypasses)))
            for one, use in zip(judged, inventory_of(bypasses), strict=True)
        ),
        tuple(sorted(listing for one in catalogues for listing in _listings(one))),
        tuple(_told(handler) for handler in bypasses.handlers),
        tuple(_entries(bypasses)),
        tuple(_opaque(bypasses)),
        joins(readers, sources.files),
    )


def _at(judged: Judged) -> tuple[str, int]:
    place = judged.use.call.place
    return place.path, place.line


def _told(function: FunctionId) -> str:
    return f"{function[0]}:{function[1]}"


def _listings(catalogue: Catalogue) -> Iterator[str]:
    return (name for name, table in catalogue.tables.items() if _lists_tenants(table))


def _lists_tenants(table: Table) -> bool:
    """Say whether a table has one row for each tenant and says nothing of another's: the tenants' own."""
    column = table.tenant_column
    if column is None or any(column in reference.columns for reference in table.foreign_keys):
        return False
    return any(key.kind == "primary" and tuple(key.columns) == (column,) for key in table.keys)


# Inside a bypass


class _Inside:
    """What runs inside a bypass: its callbacks, its block, and what these call."""

    def __init__(self, bypasses: Bypasses, readers: Readers, sources: Sources) -> None:
        self._graph = bypasses.graph
        self._config = bypasses.config
        self._models = sources.models
        self._statements: dict[str, tuple[Access, ...]] = {}
        self._readers: dict[FunctionId, list[Reader]] = {}
        for reader in readers.readers:
            source = self._graph.modules.sources[reader.path]
            owner = self._graph.owner(source, reader.function)
            self._readers.setdefault(owner, []).append(reader)

    def of(self, judged: Judged) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return (tables, functions that could not be read) of one use."""
        use = judged.use
        own = self._graph.owner(use.source, use.call.function)
        if use.form != "callback":
            return self._in_block(own)
        handed = {
            found
            for argument in use.call.arguments
            for found in self._graph.mentioned(argument, use.call.function, use.source)
        }
        if not handed:
            return (), (f"{_told(own)}: what it runs is not in sight",)
        reached = self._graph.reachable_from(handed)
        tables = {reader.table for one in reached for reader in self._readers.get(one, ())}
        unread = sorted(_told(one) for one in reached if self._is_unread(one, one in handed))
        return tuple(sorted(tables)), tuple(unread)

    def _in_block(self, function: FunctionId) -> tuple[tuple[str, ...], tuple[str, ...]]:
        inside = [reader for reader in self._readers.get(function, ()) if reader.scope != "tenant"]
        unread = () if inside else (f"{_told(function)}: what its block reads is not in sight",)
        return tuple(sorted({reader.table for reader in inside})), unread

    def _is_unread(self, function: FunctionId, handed: bool) -> bool:
        """Say whether a function runs a statement of which no table is known on what it was given.

        What implements the sessions themselves runs what it is handed, which is read where it is made.
        """
        if not handed and path_matches(function[0], self._config.verified_packages):
            return False
        source, body = self._graph.source_of(function), self._graph.functions[function]
        return any(
            call.name in RUNS and call.arguments and root_of(call) in body.parameters
            for call in source.calls
            if self._graph.owner(source, call.function) == function and not self._is_read(call, source, body)
        )

    def _is_read(self, call: Call, source: Source, body: Function) -> bool:
        """Say whether the statement that a call runs, in place or by name, is over tables in sight."""
        if source.path not in self._statements:
            self._statements[source.path] = accesses(source, self._models)
        names = {name for argument in call.arguments for name in argument.names}
        places = [call.place, *(bind.place for bind in binds_of(body) if not names.isdisjoint(bind.targets))]
        known = self._statements[source.path]
        return any(covers(place, one.place) for place in places for one in known)


def _visits(judged: Judged, bypasses: Bypasses) -> Iterator[Visit]:
    use = judged.use
    scopes = frozenset(bypasses.config.tenant_scopes)
    for call in use.source.calls:
        if call.name in scopes and call.function == use.call.function:
            tenant = bypasses.tenants.judge(tenant_argument(call), call, use.source)
            yield Visit(call.place.line, tenant.origin, tenant.evidence)


# From request handlers


def _entries(bypasses: Bypasses) -> Iterator[HandlerEntry]:
    """Yield the bindings and bypasses that handlers reach, those that implement a scope left out."""
    names = frozenset(bypasses.config.tenant_scopes)
    uses = {id(one.use.call) for one in bypasses.judged()}
    for source in bypasses.graph.sources:
        implements = path_matches(source.path, bypasses.config.verified_packages)
        for call in source.calls:
            if id(call) in uses or (call.name in names and not implements):
                yield from _reached(call, source, bypasses)


def _reached(call: Call, source: Source, bypasses: Bypasses) -> Iterator[HandlerEntry]:
    tenant = bypasses.tenants.judge(tenant_argument(call), call, source)
    states: dict[FunctionId, list[State]] = {}
    for handler, state in bypasses.reached.get(id(call), ()):
        states.setdefault(handler, []).append(state)
    for handler, found in sorted(states.items()):
        first = found[0]
        verified = isinstance(first, Call) and all(isinstance(state, Call) for state in found)
        yield HandlerEntry(
            _told(handler),
            call.place.path,
            call.place.line,
            call.function,
            call.name,
            tenant.origin,
            tenant.evidence,
            first.written if verified and isinstance(first, Call) else None,
        )


def _opaque(bypasses: Bypasses) -> Iterator[OpaqueCall]:
    """Yield calls that handlers make unverified, that nothing resolves, and that may run a binding."""
    unresolved = {(one.place, one.written): one.reason for one in bypasses.graph.unresolved}
    may_bind = _may_bind(bypasses)
    for source in bypasses.graph.sources:
        if path_matches(source.path, bypasses.config.verified_packages):
            continue
        for call in source.calls:
            reason = unresolved.get((call.place, call.written))
            if reason is not None and _hides_a_binding(call, source, bypasses, may_bind):
                yield from _unverified(call, reason, bypasses)
    for path, name in bypasses.handlers:
        if bypasses.graph.modules.sources[path].broken:
            yield OpaqueCall(f"{path}:{name}", path, 1, name, "syntax that could not be read")


def _hides_a_binding(call: Call, source: Source, bypasses: Bypasses, may_bind: frozenset[str]) -> bool:
    """Say whether a call that is not followed may bind; a verification and a binding itself are known."""
    config = bypasses.config
    if call.name in {*config.tenant_scopes, *config.bypass_names}:
        return False
    known = bypasses.verification.verifies(call, source)
    return not known and ("." not in call.written or call.name in may_bind)


def _unverified(call: Call, reason: str, bypasses: Bypasses) -> Iterator[OpaqueCall]:
    for handler, state in bypasses.reached.get(id(call), ()):
        if state is None:
            yield OpaqueCall(_told(handler), call.place.path, call.place.line, call.written, reason)


def _may_bind(bypasses: Bypasses) -> frozenset[str]:
    """Return the names of the functions that lead to a binding or a bypass."""
    names = {*bypasses.config.tenant_scopes, *bypasses.config.bypass_names}
    graph = bypasses.graph
    starts = {
        graph.owner(source, call.function)
        for source in graph.sources
        for call in source.calls
        if call.name in names
    }
    return frozenset(name.rpartition(".")[2] for _, name in graph.reaching(starts))
