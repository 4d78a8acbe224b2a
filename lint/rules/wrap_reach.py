"""WRAP001: tenant rows that are reached on a connection with no tenant bound, and such connections.

It speaks only where the migrations protect tables and the code binds a tenant somewhere: to a project
that does neither, every line would be a finding, which tells nobody anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.config import ENTRY_POINTS, path_matches
from lint.rules.wrap_rules import WRAP001
from lint.source.connections import opens_connection, takes_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.report import Finding, Severity
    from lint.source.readers import Reader, Readers
    from lint.source.sites import Source

_VERBS = {"select": "reads", "insert": "writes to", "update": "changes", "delete": "deletes from"}


def outside_scope(readers: Readers, config: LintConfig) -> Iterator[Finding]:
    """Yield WRAP001 for readers and connections outside the scopes of a project that has scopes."""
    if not readers.link.protected:
        return
    if not readers.scopes.any_tenant_scope:
        yield from _no_scope_at_all(readers)
        return
    for reader in readers.readers:
        if reader.scope == "raw" and not reader.allowed:
            yield _reader(reader, config)
    ours = _surely_ours(readers, config)
    for source in readers.program.sources:
        if not path_matches(source.path, (*config.entry_points, *config.verified_packages)):
            yield from _connections(source, None if source.path in ours else "info")


def _surely_ours(readers: Readers, config: LintConfig) -> frozenset[str]:
    """Return the files whose connections surely are to the tenants' database.

    Those are where a file touches their tables, and all where a project has said which files may open
    any; else it may be to another database, such as a customer's own.
    """
    if config.entry_points != ENTRY_POINTS:
        return frozenset(source.path for source in readers.program.sources)
    return frozenset(reader.path for reader in readers.readers)


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
    scope = config.tenant_scopes[0] if config.tenant_scopes else "the tenant's scope"
    return WRAP001.finding(
        reader.place,
        f"{reader.written} {_VERBS.get(reader.command, 'uses')} {reader.table} outside any tenant's scope "
        f"({reader.why}): it meets 0 rows where the policy applies, and every tenant's where it does not",
        f"run it inside {scope}, on the session that it gives",
        table=reader.table,
        subject=f"{reader.function}:{reader.table}:{reader.command}",
    )


def _connections(source: Source, severity: Severity | None) -> Iterator[Finding]:
    for call in source.calls:
        where = call.function or "the module's top level"
        if opens_connection(call, source):
            yield WRAP001.finding(
                call.place,
                f"{call.written} in {where} opens a connection that has no tenant bound",
                "receive a session from the tenant scope, or add the file to lint.entry_points",
                subject=f"{call.function}:{call.callee}",
                severity=severity,
            )
        elif takes_connection(call, source):
            yield WRAP001.finding(
                call.place,
                f"{call.written} in {where} takes a connection around the tenant scope",
                "receive a session from the tenant scope, or add the file to lint.entry_points",
                subject=f"{call.function}:{call.written}",
                severity=severity,
            )
