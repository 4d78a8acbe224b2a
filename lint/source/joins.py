"""Joins between protected tables of different services, and whether both sides carry the tenant.

Inside a tenant's scope row security filters both sides. Under a bypass, or outside any scope, only the
statement itself does: the tenant columns must be equal, directly or through others, or both be equal
to the same value. A schema stands for a service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.source.orm_joins import orm_joins
from lint.source.sql_joins import sql_joins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import Place
    from lint.files import SourceFile
    from lint.source.readers import Readers
    from lint.source.scopes import Scope
    from lint.source.sites import Source


@dataclass(frozen=True, slots=True)
class Join:
    """One statement that joins protected tables of more than one schema."""

    path: str
    line: int
    function: str
    #: "schema.name" of each protected table in it, in the order written.
    tables: tuple[str, ...]
    #: True when every one of them is held to the same tenant.
    carried: bool
    #: What is missing, "" when nothing is.
    missing: str
    #: The scope it runs in: "bypass", "raw" or "unknown".
    scope: Scope = "unknown"


def joins(readers: Readers, files: Iterable[SourceFile] = ()) -> tuple[Join, ...]:
    """Return the joins across services outside a tenant's scope."""
    contents = {file.path: file for file in files}
    found: list[Join] = []
    for source in readers.program.sources:
        content = contents[source.path].content if source.path in contents else b""
        sides = [*sql_joins(source, readers.link), *orm_joins(source, readers.models, readers.link, content)]
        for place, function, judged in sides:
            scope = _scope_of(source, function, place, readers)
            if scope != "tenant":
                found.append(
                    Join(
                        source.path,
                        place.line,
                        function,
                        judged.tables,
                        not judged.missing,
                        judged.missing,
                        scope,
                    )
                )
    return tuple(found)


def _scope_of(source: Source, function: str, place: Place, readers: Readers) -> Scope:
    """Return the scope of a join: as around it, else as the reader found there has it."""
    scope = readers.scopes.at(source, function, place.line).scope
    if scope != "unknown":
        return scope
    near = (r for r in readers.readers if r.path == source.path and r.function == function)
    return next((r.scope for r in near if place.line <= r.line <= place.end_line), scope)
