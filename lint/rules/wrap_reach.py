"""WRAP001: tenant rows that are reached on a connection with no tenant bound, and such connections.

It speaks only where the migrations protect tables and the code binds a tenant somewhere: to a project
that does neither, every line would be a finding, which tells nobody anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.config import ENTRY_POINTS, path_matches
from lint.rules.bypass_roles import above
from lint.rules.wrap_asked import Asked
from lint.rules.wrap_rules import WRAP001
from lint.source.connections import opens_connection, takes_connection
from lint.source.dependencies import settings_within
from lint.source.handed import handed_on
from lint.source.holders import around
from lint.source.readers import may_read_unbound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.catalogue import Catalogue, Place
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.handed import Handed
    from lint.source.modules import FunctionId
    from lint.source.readers import Reader, Readers
    from lint.source.sites import Call, Source
    from lint.source.sql_tables import AccessCommand
    from lint.source.sql_texts import SettingChange

#: Files that fill a database before anybody is served: where row security binds them, they fail at once.
_SEEDS = re.compile(
    r"(?:^|/)(?:seed(?:s|ers?|ing)?/|(?:\w+[._-])?seed(?:s|er|ing)?(?:[._-]\w+)*\.\w+\Z)", re.IGNORECASE
)
_VERBS = {"select": "reads", "insert": "writes to", "update": "changes", "delete": "deletes from"}


def outside_scope(readers: Readers, catalogues: Sequence[Catalogue], config: LintConfig) -> Iterator[Finding]:
    """Yield WRAP001 for readers and connections outside the scopes of a project that has scopes."""
    if not readers.link.protected:
        return
    if not readers.scopes.any_tenant_scope:
        yield from _no_scope_at_all(readers)
        return
    asked = Asked(catalogues, config)
    unbound = [one for one in readers.readers if one.scope == "raw" and _meets_nothing(one, readers, asked)]
    yield from (_reader(reader, config) for reader in unbound if not reader.allowed)
    yield from _handed(readers, asked, config)
    for source in readers.program.sources:
        if not path_matches(source.path, (*config.entry_points, *config.verified_packages)):
            here = [reader for reader in unbound if reader.path == source.path]
            yield from _connections(source, here, readers, config)


def _meets_nothing(reader: Reader, readers: Readers, asked: Asked) -> bool:
    """Say whether a raw reader's table asks for something that nothing on its way has set.

    A table whose policies let everyone in is read alike with a tenant bound and without. What a framework
    runs for the same request may have bound the session that it gives.
    """
    settings = asked.settings(reader.table, reader.command)
    if settings is None or _is_set_before(settings, reader, readers):
        return False
    taker = readers.connections.taker(reader.executor, reader.function, reader.path)
    return taker is None or _is_unset(settings, taker, readers)


def _is_set_before(settings: frozenset[str], reader: Reader, readers: Readers) -> bool:
    """Say whether the function that reads, or one around it, has set what the policies ask for, or left them.

    As another role of a name such as admin, or with row security off, nothing is hidden: that is BYP006.
    """
    scopes = set(around(reader.function)) - {""}
    return any(
        (site.change.name.lower() in settings or _leaves_policies(site.change))
        and site.function in scopes
        and site.place.line <= reader.line
        for site in readers.settings.sites
        if site.source.path == reader.path
    )


def _leaves_policies(change: SettingChange) -> bool:
    return change.effect == "row_security" or (change.effect == "role" and above(change.value))


def _is_unset(settings: frozenset[str], function: FunctionId, readers: Readers) -> bool:
    """Say whether nothing that runs for a request of a function sets one of these settings."""
    running = readers.connections.dependencies.running(function)
    bound = settings_within(readers.settings, running)
    return bool(settings) and bound is not None and bound.isdisjoint(settings)


def _handed(readers: Readers, asked: Asked, config: LintConfig) -> Iterator[Finding]:
    """Yield the calls that hand a connection with no tenant bound to what reads a protected table."""
    told: set[tuple[Place, str]] = set()
    for one in handed_on(readers):
        call, table = one.call, one.reader.table
        settings = asked.settings(table, one.reader.command)
        taker = readers.connections.taker(one.name, call.function, one.source.path)
        if settings is None or (taker is not None and not _is_unset(settings, taker, readers)):
            continue
        if not path_matches(call.place.path, may_read_unbound(config)) and (call.place, table) not in told:
            told.add((call.place, table))
            yield _given(one, config)


def _given(handed: Handed, config: LintConfig) -> Finding:
    call, reader = handed.call, handed.reader
    how = f"leaves {handed.name} to its default" if handed.left_out else f"hands it {handed.name}"
    return WRAP001.finding(
        call.place,
        f"{call.written} {_VERBS.get(reader.command, 'uses')} {reader.table} ({reader.path}:{reader.line}) "
        f"outside any tenant's scope: the call {how}, a connection with no tenant bound, which meets 0 rows "
        "where the policy applies, and every tenant's where it does not",
        f"run it inside {_scope(config)}, and hand on the session that it gives",
        table=reader.table,
        subject=f"{call.function.partition('<anonymous')[0]}:{call.written}:{reader.table}",
        severity="info" if _SEEDS.search(call.place.path) else None,
        cause=_cause(handed.name),
    )


def _meets(command: AccessCommand) -> str:
    if command == "insert":
        return "it is refused (42501) where the policy applies, and checked by nothing where it does not"
    return "it meets 0 rows where the policy applies, and every tenant's where it does not"


def _cause(connection: str) -> str:
    return f"rows of tenants are reached on {connection or 'a connection'}, with no tenant bound"


def _scope(config: LintConfig) -> str:
    return config.tenant_scopes[0] if config.tenant_scopes else "the tenant's scope"


def _no_scope_at_all(readers: Readers) -> Iterator[Finding]:
    """Say once that nothing binds a tenant, where raw connections do read protected tables."""
    raw = [reader for reader in readers.readers if reader.scope == "raw"]
    if not raw:
        return
    functions = len({(reader.path, reader.function) for reader in raw})
    tables = len({reader.table for reader in raw})
    yield WRAP001.finding(
        raw[0].place,
        f"{functions} function{'s' * (functions != 1)} reach {tables} protected "
        f"table{'s' * (tables != 1)} and nothing in this code binds a tenant, so readers are not "
        "judged one by one: as the tables' owner they see every tenant's rows, as another role none",
        "bind the tenant in one function (SELECT set_config('app.tenant_id', …, true)) and name it in "
        "lint.tenant_scopes",
        subject="no tenant scope",
        severity="info",
    )


def _reader(reader: Reader, config: LintConfig) -> Finding:
    return WRAP001.finding(
        reader.place,
        f"{reader.written} {_VERBS.get(reader.command, 'uses')} {reader.table} outside any tenant's scope "
        f"({reader.why}): {_meets(reader.command)}",
        f"run it inside {_scope(config)}, on the session that it gives",
        table=reader.table,
        subject=f"{reader.function}:{reader.table}:{reader.command}",
        severity="info" if _SEEDS.search(reader.path) else None,
        cause=_cause(reader.executor),
    )


def _connections(
    source: Source, unbound: Sequence[Reader], readers: Readers, config: LintConfig
) -> Iterator[Finding]:
    for call in source.calls:
        opened = opens_connection(call, source)
        if not (opened or takes_connection(call, source)) or _is_bound_at_once(call, source, readers):
            continue
        where = call.function or "the module's top level"
        does = "opens a connection that has no tenant bound" if opened else "takes a connection around the "
        yield WRAP001.finding(
            call.place,
            f"{call.written} in {where} {does}{'' if opened else 'tenant scope'}",
            "receive a session from the tenant scope, or add the file to lint.entry_points",
            subject=f"{call.function}:{call.callee if opened else call.written}",
            severity=None if _is_ours(call, unbound, config) and not _SEEDS.search(source.path) else "info",
        )


def _is_ours(call: Call, unbound: Sequence[Reader], config: LintConfig) -> bool:
    """Say whether a connection surely is to the tenants' database, and used with nobody bound.

    It is where their tables are read on one that was opened there, and anywhere if a project has said
    which files may open any; else it may be to another database, or for tables that belong to nobody.
    """
    if config.entry_points != ENTRY_POINTS:
        return True
    return any(
        not call.function
        or reader.function == call.function
        or reader.function.startswith(f"{call.function}.")
        or call.function.startswith(f"{reader.function}.")
        for reader in unbound
    )


def _is_bound_at_once(call: Call, source: Source, readers: Readers) -> bool:
    """Say whether the function that opens a connection binds a tenant itself."""
    return (
        bool(call.function) and readers.program.graph.owner(source, call.function) in readers.scopes.binders
    )
