"""What a program changes when it starts, beside what its migrations say: doors that it opens, and closes.

It may do so only as a role that owns the tables, which no serving role should. So what it opens is found
where it is written, and what only it closes stays a warning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.rules.path_tables import written_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.report import Finding
    from lint.rules.head import Head

#: Rules by which a table is open or shut as a whole.
_SWITCHES = frozenset({"RLS001", "RLS002", "RLS003", "RLS004"})


def with_start(findings: Iterable[Finding], started: Head, paths: frozenset[str]) -> Iterator[Finding]:
    """Yield what is found at the head of the migrations, and what programs add to it when they start."""
    still = {(one.rule, one.table) for one in started.findings}
    for finding in findings:
        table = started.catalogue.tables.get(finding.table or "")
        place = table.security_place if table is not None and table.enabled else None
        closed = place is not None and place.path in paths and (finding.rule, finding.table) not in still
        if finding.rule in _SWITCHES and finding.severity == "error" and closed and place is not None:
            told = f"only code closes it ({written_place(place)}), if its role owns the table"
            yield replace(finding, severity="warning", message=f"{finding.message}; {told}")
        else:
            yield finding
    for finding in started.findings:
        if finding.path in paths:
            told = f"{finding.message} (made by the program when it runs, if its role may)"
            yield replace(finding, message=told)
