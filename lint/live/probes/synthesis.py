"""Rows of two tenants that a database accepts, made from its own constraints.

A row is tried full, then with its required columns only, then as a copy of an existing row; what a
foreign key asks for is made first. What PostgreSQL still refuses is a reason, and the table's probes
are inconclusive. Everything is written in the probe's transaction and undone with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lint.live.probes.session import name, quoted
from lint.live.probes.solve import Wish, merged, wishes_of
from lint.live.probes.values import Recipe, value_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lint.live.probes.session import Answer, Session
    from lint.live.probes.solve import Wishes
    from lint.live.probes.structure import Column, ForeignKey, Relation, Structure

Row = dict[str, str | None]
_NO_PARTITION: Final = "23514"
_MOST_CANDIDATES: Final = 40


@dataclass(frozen=True, slots=True)
class Seed:
    """A row that was written: the relation it went into, whose it is, and its values as text."""

    relation: Relation
    tenant: str | None
    row: Mapping[str, str | None]


@dataclass(slots=True)
class Seeder:
    """Writes rows. `settings` are what must be bound for the login to write rows of a tenant."""

    session: Session
    structure: Structure
    tenants: tuple[str, str]
    token: str
    superuser: bool
    seeds: dict[tuple[int, str | None], list[Seed]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    shared: dict[int, Row] = field(default_factory=dict)
    #: What the policies themselves ask of other columns, so that an own row is one that they show.
    preferred: dict[int, Wishes] = field(default_factory=dict)
    _making: list[int] = field(default_factory=list)
    _number: int = 0
    _wishes: dict[int, Wishes] = field(default_factory=dict)

    def mark(self, tenant: str | None) -> str:
        """The text by which a tenant's synthetic rows are found again, wherever they went."""
        if tenant is None:
            return self.token + "n"
        return self.token + ("ab"[self.tenants.index(tenant)] if tenant in self.tenants else "c")

    def of(self, relation: Relation, tenant: str | None) -> list[Seed]:
        """The rows of a tenant in a relation."""
        return self.seeds.get((relation.oid, tenant), [])

    def seed(
        self, relation: Relation, tenant: str | None, overrides: Mapping[str, str | None]
    ) -> Seed | None:
        """Write one row of a tenant; None when PostgreSQL refuses every attempt (see `reasons`)."""
        tenant_values: Row = {relation.tenant: tenant} if relation.tenant else {}
        self._making.append(relation.oid)
        try:
            row = self._made(relation, tenant, {**tenant_values, **overrides})
        finally:
            self._making.pop()
        if row is None:
            return None
        seed = Seed(relation, tenant, row)
        self.seeds.setdefault((relation.oid, tenant), []).append(seed)
        return seed

    def ensure(self, relation: Relation, tenant: str) -> Seed | None:
        """The first row of a tenant in a relation, written now if there is none."""
        there = self.of(relation, tenant)
        return there[0] if there else self.seed(relation, tenant, {})

    def new_row(self, relation: Relation, tenant: str | None) -> Row:
        """A row that could be inserted next, not written."""
        fixed: Row = {relation.tenant: tenant} if relation.tenant else {}
        fixed |= self._foreign_values(relation, tenant, fixed)
        return self._filled(relation, tenant, fixed, self.wishes(relation), full=True)

    def wishes(self, relation: Relation) -> Wishes:
        """What constraints, domains and the first leaf's bounds ask of each column."""
        if relation.oid not in self._wishes:
            self._wishes[relation.oid] = self._asked(relation)
        return self._wishes[relation.oid]

    def _asked(self, relation: Relation) -> Wishes:
        leaves = self.structure.leaves(relation) if relation.kind == "p" else []
        bounds = next((leaf.bounds for leaf in leaves if leaf.bounds and "NOT (" not in leaf.bounds), None)
        asked = [relation.bounds or bounds or "", *relation.checks]
        found = merged(self.preferred.get(relation.oid, {}), wishes_of([text for text in asked if text]))
        for column in relation.columns.values():
            domain = wishes_of(column.checks).get("VALUE")
            if domain is not None:
                found = merged(found, {column.name: domain})
        return found

    def _made(self, relation: Relation, tenant: str | None, fixed: Row) -> Row | None:
        fixed = {**self._foreign_values(relation, tenant, fixed), **fixed}
        wishes = self.wishes(relation)
        refused = None
        for row in self._candidates(relation, tenant, fixed, wishes):
            answer = self._written(relation, row)
            if not answer.failed:
                self.reasons.pop(relation.oid, None)
                return dict(zip(relation.columns, answer.last[0], strict=True)) if answer.last else dict(row)
            refused = refused or answer.said
        self.reasons[relation.oid] = refused or "no row could be made"
        return self._existing(relation, tenant) if relation.tenant and tenant in self.tenants else None

    def _candidates(
        self, relation: Relation, tenant: str | None, fixed: Row, wishes: Wishes
    ) -> Iterator[Row]:
        yield self._filled(relation, tenant, fixed, wishes, full=True)
        yield self._filled(relation, tenant, fixed, wishes, full=False)
        copied = self._existing(relation)
        if copied is not None:
            fresh = self._filled(relation, tenant, fixed, wishes, full=True)
            unique = {column for key in relation.keys for column in key.columns}
            kept = {k: v for k, v in copied.items() if k not in unique and relation.columns[k].writable}
            yield {**kept, **{k: v for k, v in fresh.items() if k in unique}, **fixed}

    def _filled(
        self, relation: Relation, tenant: str | None, fixed: Row, wishes: Wishes, *, full: bool
    ) -> Row:
        self._number += 1
        recipe = Recipe(self.mark(tenant), self._number)
        unique = {column for key in relation.keys for column in key.columns}
        row: Row = {}
        for column in relation.columns.values():
            wish = wishes.get(column.name, Wish())
            if column.name in fixed:
                row[column.name] = fixed[column.name]
            elif _left_out(column, wish, full=full, unique=column.name in unique):
                continue
            else:
                row[column.name] = value_for(column, wish, recipe)
        return row

    def _foreign_values(self, relation: Relation, tenant: str | None, fixed: Row) -> Row:
        values: Row = {}
        for key in relation.foreign_keys:
            if any(column in fixed and column != relation.tenant for column in key.columns):
                continue
            target = self.structure.relations.get(key.target)
            if target is not None:
                values |= self._reference(relation, key, target, tenant)
        return values

    def _reference(self, relation: Relation, key: ForeignKey, target: Relation, tenant: str | None) -> Row:
        optional = [column for column in key.columns if not relation.columns[column].required]
        if key.target in self._making or tenant is None:
            return dict.fromkeys(optional)
        if target.tenant is not None:
            seed = self.ensure(target, tenant)
            found = dict(seed.row) if seed else None
        else:
            found = self._shared(relation, key, target, tenant)
        if found is None:
            return dict.fromkeys(optional)
        pairs = zip(key.columns, key.target_columns, strict=True)
        return {column: found.get(remote) for column, remote in pairs}

    def _shared(self, relation: Relation, key: ForeignKey, target: Relation, tenant: str) -> Row | None:
        """A row of a table without tenants: the tenant's own entry in it, or any row at all."""
        asked: Row = {
            remote: tenant
            for column, remote in zip(key.columns, key.target_columns, strict=True)
            if column == relation.tenant
        }
        if asked:
            there = [seed.row for seed in self.of(target, tenant)]
            if not there:
                made = self.seed(target, tenant, asked)
                there = [made.row] if made else []
            return dict(there[0]) if there else None
        if target.oid not in self.shared:
            row = self._existing(target) or self._made(target, tenant, {})
            if row is None:
                return None
            self.shared[target.oid] = row
        return self.shared[target.oid]

    def _existing(self, relation: Relation, tenant: str | None = None) -> Row | None:
        """A row that is there already: of a tenant, or any."""
        where = f" WHERE {name(relation.tenant)} = {quoted(tenant)}" if relation.tenant and tenant else ""
        columns = ", ".join(f"{name(column)}::text" for column in relation.columns)
        table = name(relation.schema, relation.name)
        answer = self.session.undone([f"SELECT {columns} FROM {table}{where} LIMIT 1"])  # noqa: S608 - quoted
        return dict(zip(relation.columns, answer.last[0], strict=True)) if answer.last else None

    def _written(self, relation: Relation, row: Row) -> Answer:
        statement = insert(relation, row, returning=list(relation.columns))
        answer = self.session.kept([statement])
        if answer.sqlstate == _NO_PARTITION and relation.kind == "p":
            default = name(relation.schema, f"posture_{self.token}_{relation.oid}")
            made = f"CREATE TABLE {default} PARTITION OF {name(relation.schema, relation.name)} DEFAULT"
            answer = self.session.kept([made, statement])
        if answer.failed and self.superuser:
            # Triggers and, for circular references, foreign keys are out of the way of this one row.
            replica = "SET LOCAL session_replication_role = replica"
            answer_now = self.session.kept(
                [replica, statement, "SET LOCAL session_replication_role = origin"]
            )
            if not answer_now.failed:
                rows = (answer_now.rows[1],)
                return type(answer)(rows=rows, counts=(len(rows[0]),))
        return answer


def _left_out(column: Column, wish: Wish, *, full: bool, unique: bool) -> bool:
    """Whether a column keeps its default."""
    if column.generated or column.identity:
        return True
    if column.default is not None:
        drawn = column.surrogate or "(" in column.default
        return drawn or (wish.empty and not unique) or not full
    return not full and not column.required and wish.null is not False


def insert(relation: Relation, row: Mapping[str, str | None], *, returning: Sequence[str] = ()) -> str:
    """An INSERT of one row; `OVERRIDING SYSTEM VALUE` lets an identity column take a given value."""
    columns = ", ".join(name(column) for column in row)
    words = ", ".join("NULL" if value is None else quoted(value) for value in row.values())
    table = name(relation.schema, relation.name)
    overriding = any(relation.columns[column].identity for column in row)
    kind = " OVERRIDING SYSTEM VALUE" if overriding else ""
    text = f"INSERT INTO {table} ({columns}){kind} VALUES ({words})"  # noqa: S608 - quoted
    if not returning:
        return text
    return text + " RETURNING " + ", ".join(f"{name(column)}::text" for column in returning)


def equals(row: Mapping[str, str | None], columns: Iterable[str]) -> str:
    """A condition that a row's own values satisfy, on some columns."""
    terms = [
        f"{name(column)} = {quoted(value)}" for column in columns if (value := row.get(column)) is not None
    ]
    return " AND ".join(terms) or "false"
