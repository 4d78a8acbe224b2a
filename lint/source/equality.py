"""Which columns and values a statement holds equal, and whether that reaches every tenant column.

Equality is transitive, so `a.t = b.t AND b.t = c.t` binds three tables, and `a.t = :x AND b.t = :x` two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from lint.catalogue import ForeignKey, Table

#: A table as it stands in one statement (an alias has one of its own), and a column of it.
Column: TypeAlias = "tuple[Hashable, str]"


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement's protected tables, and what keeps them from being one tenant's ("" for nothing)."""

    tables: tuple[str, ...]
    missing: str


class Equalities:
    """The classes of things held equal (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def hold(self, one: Hashable, other: Hashable) -> None:
        """Note that two things are equal."""
        self._above[self._top(one)] = self._top(other)

    def same(self, one: Hashable, other: Hashable) -> bool:
        """Say whether two things are equal by what was noted."""
        return self._top(one) == self._top(other)

    def _top(self, one: Hashable) -> Hashable:
        while one in self._above and self._above[one] != one:
            one = self._above[one]
        return one


def judged(uses: Sequence[tuple[Hashable, Table]], equal: Equalities) -> Judged | None:
    """Judge protected tables used in one statement; None when they are of one schema."""
    if len({table.schema for _, table in uses}) < 2:
        return None
    for key, table in uses:
        for other_key, other in uses:
            if key != other_key:
                _hold_by_reference((key, table), (other_key, other), equal)
    first_key, first = uses[0]
    loose = [
        table.qualified
        for key, table in uses[1:]
        if not equal.same((first_key, first.tenant_column), (key, table.tenant_column))
    ]
    names = tuple(dict.fromkeys(table.qualified for _, table in uses))
    if not loose:
        return Judged(names, "")
    sides = " and ".join(
        f"{table.qualified}.{table.tenant_column}"
        for _, table in uses
        if table is first or table.qualified in loose
    )
    return Judged(names, f"{sides} are not held to the same tenant")


def _hold_by_reference(one: tuple[Hashable, Table], other: tuple[Hashable, Table], equal: Equalities) -> None:
    """Note that tenants are equal where a composite foreign key and a key of its own say so.

    `(tenant, b_id) -> (tenant, id)` with `id` unique alone: a row joined on `b_id = id` is the one
    that the key refers to.
    """
    (key, table), (other_key, target) = one, other
    for reference in table.foreign_keys:
        pairs = _pairs(reference, target)
        tenants = (table.tenant_column, target.tenant_column)
        rest = [pair for pair in pairs if pair != tenants]
        if len(rest) == len(pairs) or not rest or not _is_unique(target, {column for _, column in rest}):
            continue
        if all(equal.same((key, mine), (other_key, theirs)) for mine, theirs in rest):
            equal.hold((key, table.tenant_column), (other_key, target.tenant_column))


def _pairs(reference: ForeignKey, target: Table) -> list[tuple[str, str]]:
    if reference.target != target.qualified:
        return []
    columns = reference.target_columns or next((k.columns for k in target.keys if k.kind == "primary"), ())
    return list(zip(reference.columns, columns, strict=False))


def _is_unique(table: Table, columns: set[str]) -> bool:
    return any(key.kind in {"primary", "unique"} and set(key.columns) <= columns for key in table.keys)
