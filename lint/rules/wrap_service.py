"""WRAP001 for Supabase: a request handler that reads tenants' rows as the service role, with no filter.

Row security does not hold the service role, so that the handler answers with the rows of every tenant.
A statement with any filter is not judged: whether the filter names the tenant's own rows is the
program's matter, and an id may have been checked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.rules.wrap_rules import WRAP001
from lint.source.service_role import ServiceClients, request_functions, unfiltered_statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Table
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.sites import Call

_DOES = {"select": "reads every tenant's rows", "update": "changes every tenant's rows"}


def service_role_reads(readers: Readers, config: LintConfig) -> Iterator[Finding]:
    """Yield the statements of the service role that a tenant's request runs over all tenants."""
    clients = ServiceClients(readers.program)
    if not clients or not readers.link.protected:
        return
    serving = request_functions(readers.program, config)
    for source in readers.program.sources:
        if source.language != "typescript" or path_matches(source.path, config.verified_packages):
            continue
        for call, verb in unfiltered_statements(source):
            table = readers.link.table(call.arguments[0].text)
            served = readers.program.graph.owner(source, call.function) in serving
            if table is not None and served and clients.runs(call, source):
                yield _finding(call, verb, table)


def _finding(call: Call, verb: str, table: Table) -> Finding:
    does = _DOES.get(verb, "deletes every tenant's rows")
    return WRAP001.finding(
        call.place,
        f"{call.written}('{call.arguments[0].text}').{verb} {does} of {table.qualified}, whoever sends the "
        f"request: the service role is under no policy, and no filter names the tenant",
        f"use the caller's own client, or add .eq('{table.tenant_column}', <the verified tenant>)",
        table=table.qualified,
        subject=f"{call.function.partition('<anonymous')[0]}:{table.qualified}:{verb}:service role",
    )
