"""What a probe must know of a table to write rows into it, beyond what the rules' catalogue holds.

Columns with their base types, domains, defaults and identity; constraints as PostgreSQL deparses
them; partition bounds as the boolean expression that a row of the leaf satisfies. One pass over the
system catalogs (manual, chapter 53) in the probe's own transaction.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lint.live.probes.session import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lint.live.probes.session import Session

_OURS: Final = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' "
    "AND n.nspname NOT LIKE 'pg\\_temp%' AND NOT EXISTS (SELECT FROM pg_depend x "
    "WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')"
)
_RELATIONS: Final = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
       greatest(c.reltuples, 0)::bigint, c.relispartition,
       pg_get_partition_constraintdef(c.oid),
       (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1),
       c.relrowsecurity
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS} ORDER BY 2, 3
"""  # noqa: S608 - a constant of ours
_COLUMNS: Final = f"""
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull,
       a.attgenerated <> '', a.attidentity::text,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
       t.typtype::text, b.typname, b.typcategory::text, b.typtype::text,
       format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END),
       CASE WHEN t.typtype = 'd' THEN t.oid ELSE 0 END,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e
         WHERE e.enumtypid = b.oid)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND {_OURS}
 ORDER BY a.attrelid, a.attnum
"""  # noqa: S608 - same
_CONSTRAINTS: Final = f"""
SELECT k.conrelid, k.conname, k.contype::text, k.confrelid, k.confdeltype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at),
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END, k.condeferrable
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype IN ('c', 'f', 'x') AND {_OURS} ORDER BY k.conrelid, k.conname
"""  # noqa: S608 - same
_DOMAIN_CHECKS: Final = """
SELECT k.contypid, substring(pg_get_constraintdef(k.oid) from 'CHECK \\((.*)\\)')
  FROM pg_constraint k WHERE k.contypid <> 0 AND k.contype = 'c'
"""
_KEYS: Final = f"""
SELECT i.indrelid, x.relname, i.indisprimary, pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num ORDER BY u.at),
       i.indexprs IS NOT NULL
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indisunique AND i.indisvalid AND {_OURS} ORDER BY i.indrelid, x.relname
"""  # noqa: S608 - same
_PRIVILEGES: Final = """
SELECT c.oid, {words} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {ours}
   AND has_schema_privilege({role}, n.oid, 'USAGE')
"""
_COLUMN_PRIVILEGES: Final = """
SELECT a.attrelid, a.attname, has_column_privilege({role}, a.attrelid, a.attnum, 'INSERT'),
       has_column_privilege({role}, a.attrelid, a.attnum, 'UPDATE')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v') AND {ours}
   AND a.attgenerated = '' AND a.attidentity <> 'a'
"""
COLUMN_PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
TABLE_PRIVILEGES: Final = ("DELETE", "TRUNCATE", "TRIGGER")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `base` is the type below a domain, `kind` its `typtype`, `checks` the domain's."""

    name: str
    type: str
    required: bool
    generated: bool
    identity: str
    default: str | None
    base: str
    category: str
    kind: str
    formatted: str
    checks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def writable(self) -> bool:
        """Whether an INSERT of a login may name a value for it."""
        return not self.generated and self.identity != "a"

    @property
    def surrogate(self) -> bool:
        """Whether its values are drawn, so that nobody guesses or chooses another tenant's."""
        drawn = (self.default or "").startswith(("nextval(", "gen_random_uuid(", "uuid"))
        return bool(self.identity) or drawn or self.base == "uuid"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference; `action` is `confdeltype` (c cascade, n set null, d set default)."""

    name: str
    columns: tuple[str, ...]
    target: int
    target_columns: tuple[str, ...]
    action: str
    deferrable: bool


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique index over plain columns; `partial` or over expressions ones are kept apart."""

    name: str
    columns: tuple[str, ...]
    primary: bool
    plain: bool


@dataclass(slots=True)
class Relation:
    """A table, view or materialised view as the probe meets it."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    estimate: int
    is_partition: bool
    bounds: str | None
    parent: int | None
    row_security: bool
    columns: dict[str, Column] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    keys: list[UniqueKey] = field(default_factory=list)
    privileges: frozenset[str] = frozenset()
    #: Columns that the role may name in an INSERT, and in an UPDATE.
    insertable: set[str] = field(default_factory=set)
    updatable: set[str] = field(default_factory=set)
    tenant: str | None = None

    @property
    def qualified(self) -> str:
        """The name that findings use: "schema.name"."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Structure:
    """The relations of a database, by oid and by name."""

    relations: Mapping[int, Relation]

    def named(self, qualified: str) -> Relation | None:
        """A relation by "schema.name"."""
        return next((one for one in self.relations.values() if one.qualified == qualified), None)

    def of_kind(self, kinds: str) -> list[Relation]:
        """The relations of some `relkind`s, by name."""
        return [one for one in self.relations.values() if one.kind in kinds]

    def leaves(self, parent: Relation) -> list[Relation]:
        """The tables below a partitioned table that hold its rows."""
        found: list[Relation] = []
        for one in self.relations.values():
            if one.is_partition and one.parent == parent.oid:
                found += self.leaves(one) if one.kind == "p" else [one]
        return found


def read_structure(session: Session, role: str) -> Structure:
    """Read the structure, and the privileges that `role` holds itself or by membership."""
    relations = {row[0]: Relation(*row) for row in session.rows(_RELATIONS)}
    domains: dict[int, list[str]] = defaultdict(list)
    for oid, expression in session.rows(_DOMAIN_CHECKS):
        domains[oid].append(expression)
    for row in session.rows(_COLUMNS):
        column = _column(row, domains)
        relations[row[0]].columns[column.name] = column
    for row in session.rows(_CONSTRAINTS):
        _constrain(relations[row[0]], row)
    for oid, index, primary, predicate, columns, expressions in session.rows(_KEYS):
        if oid in relations:
            plain = predicate is None and not expressions
            relations[oid].keys.append(UniqueKey(index, tuple(columns), primary, plain))
    _privileges(session, role, relations)
    return Structure(relations)


def _column(row: tuple[Any, ...], domains: Mapping[int, Iterable[str]]) -> Column:
    (_, column, written, required, generated, identity, default, _, base, category, kind, formatted) = row[
        :12
    ]
    checks = tuple(domains.get(row[12], ())) if row[12] else ()
    return Column(
        column,
        written,
        required,
        generated,
        identity,
        default,
        base,
        category,
        kind,
        formatted,
        checks,
        tuple(row[13] or ()),
    )


def _constrain(relation: Relation, row: tuple[Any, ...]) -> None:
    _, constraint, kind, target, action, columns, target_columns, expression, deferrable = row
    if kind == "c":
        relation.checks.append(expression)
    elif kind == "f" and target:
        relation.foreign_keys.append(
            ForeignKey(constraint, tuple(columns), target, tuple(target_columns), action, deferrable)
        )


def _privileges(session: Session, role: str, relations: Mapping[int, Relation]) -> None:
    who = quoted(role)
    words = [f"has_any_column_privilege({who}, c.oid, '{word}')" for word in COLUMN_PRIVILEGES]
    words += [f"has_table_privilege({who}, c.oid, '{word}')" for word in TABLE_PRIVILEGES]
    query = _PRIVILEGES.format(words=", ".join(words), ours=_OURS, role=who)
    for oid, *held in session.rows(query):
        if oid in relations:
            granted = zip((*COLUMN_PRIVILEGES, *TABLE_PRIVILEGES), held, strict=True)
            relations[oid].privileges = frozenset(word for word, has in granted if has)
    for oid, column, insertable, updatable in session.rows(_COLUMN_PRIVILEGES.format(role=who, ours=_OURS)):
        if insertable:
            relations[oid].insertable.add(column)
        if updatable:
            relations[oid].updatable.add(column)
