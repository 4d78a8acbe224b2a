"""How many tables holding tenant rows are enforced, from any catalogue.

The figure a page may publish ("21 of 50") is this one, whether the catalogue came from migrations
or from a live database; the two must agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.report import Coverage, TableCoverage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from lint.catalogue import Catalogue, Table


def coverage_of(
    catalogue: Catalogue,
    global_tables: Collection[str] = (),
    enforced: Callable[[Table], bool] | None = None,
) -> Coverage:
    """Count the tenant tables of a catalogue; `global_tables` hold no tenant's rows.

    `enforced` decides as one role meets a table; without it a table must be enabled, forced and
    have a permissive policy, which binds every role but superusers.
    """
    judge = enforced or _binds_everyone
    return Coverage(
        tuple(
            _row(table, enforced=judge(table))
            for table in catalogue.tenant_tables()
            if table.qualified not in global_tables
            and table.qualified.removeprefix("public.") not in global_tables
        )
    )


def _binds_everyone(table: Table) -> bool:
    return table.enforced


def _row(table: Table, *, enforced: bool) -> TableCoverage:
    return TableCoverage(
        table.qualified,
        table.tenant_column or "",
        table.row_security,
        len(table.policies),
        table.wave,
        enforced,
    )


def merged(coverages: Iterable[Coverage]) -> Coverage:
    """Merge the coverage of several histories; a table told twice counts as its weaker telling."""
    tables: dict[str, TableCoverage] = {}
    for coverage in coverages:
        for row in coverage.tables:
            other = tables.get(row.name)
            if other is None or (other.enforced and not row.enforced):
                tables[row.name] = row
    return Coverage(tuple(tables[name] for name in sorted(tables)))
