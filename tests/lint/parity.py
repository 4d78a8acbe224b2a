"""In what two catalogues of one database differ: replayed from migrations, and read from PostgreSQL.

Expressions are compared by presence, since PostgreSQL deparses them. A partition's keys, foreign keys
and triggers are left out: PostgreSQL makes them from its parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lint.catalogue import Catalogue, Function, Table, View


@dataclass(frozen=True)
class Difference:
    """One thing that differs: of what kind, which, and both values."""

    kind: str
    name: str
    replayed: object
    live: object

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: replayed {self.replayed}, live {self.live}"


def differences(replayed: Catalogue, live: Catalogue, before: Catalogue | None = None) -> list[Difference]:
    """Return every difference, leaving out what stood in the database before the migrations."""
    old = before or Catalogue("nothing")
    return [
        *_mapped("table", _tables(replayed), _tables(live), set(old.tables)),
        *_policies(replayed, live),
        *_mapped("view", _named(replayed.views, _view), _named(live.views, _view), set(old.views)),
        *_mapped(
            "function",
            _named(replayed.functions, _function),
            _named(live.functions, _function),
            set(old.functions),
        ),
        *_mapped("type", _types(replayed), _types(live), set(old.types)),
        *_mapped("sequence", _sequences(replayed), _sequences(live), set(old.sequences)),
        *_listed("grant", _grants(replayed), _grants(live), _grants(old)),
        *_listed("member", _members(replayed), _members(live), _members(old)),
        *_listed("default", _defaults(replayed), _defaults(live), _defaults(old)),
        *_listed("setting", _settings(replayed), _settings(live), _settings(old)),
        *_listed("published", _published(replayed), _published(live), _published(old)),
    ]


def _named(items: Mapping[str, Any], shown: Callable[[Any], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: shown(item) for name, item in items.items()}


def _mapped(
    kind: str, mine: Mapping[str, dict[str, Any]], other: Mapping[str, dict[str, Any]], old: set[str]
) -> Iterator[Difference]:
    for name in sorted((set(mine) | set(other)) - old):
        if name not in mine or name not in other:
            yield Difference(kind, name, name in mine, name in other)
            continue
        for part, value in mine[name].items():
            if value != other[name][part]:
                yield Difference(f"{kind} {part}", name, *_only_different(value, other[name][part]))


def _only_different(mine: Any, other: Any) -> tuple[Any, Any]:
    if isinstance(mine, set) and isinstance(other, set):
        return mine - other, other - mine
    return mine, other


def _listed(kind: str, mine: set[Any], other: set[Any], old: set[Any]) -> Iterator[Difference]:
    for one in sorted((mine ^ other) - old, key=str):
        yield Difference(kind, str(one), one in mine, one in other)


def _tables(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    return {name: _table(table) for name, table in catalogue.tables.items() if table.known}


def _table(table: Table) -> dict[str, Any]:
    shown = {
        "row security": (table.enabled, table.forced),
        "parents": (table.parent, set(table.inherits)),
        "kind": (table.kind, table.persistence),
        "columns": [(c.name, c.type, c.nullable, c.generated, c.identity) for c in table.columns],
        "defaults": {c.name for c in table.columns if c.default is not None},
        "rules": {(rule.name, rule.event) for rule in table.rules},
        "comment": table.comment,
    }
    if table.parent is None:
        shown |= {
            "keys": {(k.name, k.kind, k.columns, k.method, k.predicate is None) for k in table.keys},
            "foreign keys": {
                (k.name, k.columns, k.target, k.target_columns, k.on_delete, k.on_update, k.set_columns)
                for k in table.foreign_keys
            },
            "constraints": {(c.name, c.kind) for c in table.constraints},
            "triggers": {
                (t.name, t.function, t.timing, frozenset(t.events), t.row_level, t.enabled)
                for t in table.triggers
            },
        }
    return shown


def _policies(replayed: Catalogue, live: Catalogue) -> Iterator[Difference]:
    """Compare policies, those on tables of others too."""
    yield from _listed("policy", set(_policies_of(replayed)), set(_policies_of(live)), set())


def _policies_of(catalogue: Catalogue) -> Iterator[tuple[Any, ...]]:
    for table in catalogue.tables.values():
        for p in table.policies:
            clauses = (p.using is None, p.check is None)
            yield table.qualified, p.name, p.permissive, p.command, tuple(sorted(p.roles)), *clauses


def _view(view: View) -> dict[str, Any]:
    return {
        "options": (view.materialized, view.security_invoker, view.security_barrier, view.check_option),
        "columns": view.columns,
        "reads": view.reads,
    }


def _function(function: Function) -> dict[str, Any]:
    return {
        "rights": (function.security_definer, function.search_path, set(function.executors)),
        "settings": set(function.settings),
        "kind": (function.kind, function.language, function.volatility, function.leakproof),
        "returns": (function.returns, function.returns_set, function.required_arguments),
        "body": function.body if not function.body.startswith(("BEGIN ATOMIC", "RETURN")) else None,
    }


def _types(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    return {
        name: {"kind": one.kind, "labels": one.labels, "base": one.base, "checks": len(one.checks)}
        for name, one in catalogue.types.items()
    }


def _sequences(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    return {name: {"owned by": one.owned_by} for name, one in catalogue.sequences.items()}


def _grants(catalogue: Catalogue) -> set[Any]:
    return {
        (g.kind, g.relation, g.column, g.privilege, g.grantee)
        for g in catalogue.grants
        if g.relation.partition(".")[0] not in {"pg_catalog", "information_schema"}
    }


def _members(catalogue: Catalogue) -> set[Any]:
    return {(m.role, m.member, m.admin) for m in catalogue.memberships if m.member != "pg_monitor"}


def _defaults(catalogue: Catalogue) -> set[Any]:
    return {(d.schema, d.objects, d.privilege, d.grantee) for d in catalogue.default_privileges}


def _settings(catalogue: Catalogue) -> set[Any]:
    return {(s.name, s.value, s.role) for s in catalogue.settings}


def _published(catalogue: Catalogue) -> set[Any]:
    return {(p.publication, p.table, p.row_filter is None) for p in catalogue.publications}
