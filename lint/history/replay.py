"""The catalogue after each statement of a history, as PostgreSQL would have it.

A name without a schema means what the search path of that moment says. A table that only ALTER or
CREATE POLICY mentions comes to be with `known=False`: a project without its baseline still lints.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from lint.catalogue import (
    DEFAULT_SCHEMA,
    Catalogue,
    Column,
    ForeignKey,
    Function,
    Grant,
    Place,
    Policy,
    Role,
    Table,
    View,
)
from lint.history import facts
from lint.history.steps import Step
from lint.history.work import Act

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.history.facts import Fact, Name
    from lint.history.steps import Watcher


class Replay:
    """The state of one database while its history is replayed; `catalogue()` is a snapshot."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tables: dict[str, Table] = {}
        self.views: dict[str, View] = {}
        self.functions: dict[str, Function] = {}
        self.roles: dict[str, Role] = {}
        self.grants: list[Grant] = []
        self.not_analysed: list[tuple[Place, str]] = []
        self._search_path: tuple[str, ...] = (DEFAULT_SCHEMA,)
        self._place = Place("")
        #: Told of every change, before and after it.
        self.watchers: tuple[Watcher, ...] = ()

    def catalogue(self) -> Catalogue:
        """Return the state as it is now."""
        return Catalogue(
            self.source,
            dict(self.tables),
            dict(self.views),
            dict(self.functions),
            dict(self.roles),
            tuple(self.grants),
        )

    def begin_file(self, path: str = "") -> None:
        """Forget what one file's session had set: each migration gets the default search path."""
        self._search_path = (DEFAULT_SCHEMA,)
        for watcher in self.watchers:
            watcher.begin_file(path)

    def apply(self, changes: Iterable[Fact], place: Place) -> None:
        """Apply the facts of one statement that stands at `place`."""
        self._place = place
        for change in changes:
            if self.watchers:
                self._watched(Step(change, place, self))
            else:
                self._apply(change)

    def _watched(self, step: Step) -> None:
        for watcher in self.watchers:
            watcher.before(step)
        self._apply(step.change)
        for watcher in self.watchers:
            watcher.after(step)

    def resolve(self, name: Name) -> str:
        """Return the "schema.name" that a name means at this moment."""
        return self._key(name)

    def _split(self, name: Name) -> tuple[str, str]:
        """Return (schema, name) of an existing relation, or where a new one would be made."""
        if len(name) > 1:
            return name[-2], name[-1]
        for schema in self._search_path:
            key = f"{schema}.{name[0]}"
            if key in self.tables or key in self.views:
                return schema, name[0]
        return (self._search_path or (DEFAULT_SCHEMA,))[0], name[0]

    def _key(self, name: Name) -> str:
        return ".".join(self._split(name))

    def _table(self, name: Name) -> Table:
        schema, bare = self._split(name)
        existing = self.tables.get(f"{schema}.{bare}")
        return existing or Table(schema, bare, known=False, place=self._place)

    def _put(self, table: Table) -> None:
        self.tables[table.qualified] = table

    def _references(self, keys: Iterable[ForeignKey]) -> tuple[ForeignKey, ...]:
        return tuple(replace(key, target=self._key(tuple(key.target.split(".")))) for key in keys)

    @singledispatchmethod
    def _apply(self, change: Fact) -> None:
        raise TypeError(f"no rule for {type(change).__name__}")

    @_apply.register
    def _(self, change: Act) -> None:
        """Rows, settings and transactions change no object; watchers read them."""

    @_apply.register
    def _(self, change: facts.CreateTable) -> None:
        name = change.name if len(change.name) > 1 else (self._creation_schema(), change.name[0])
        schema, bare = name[-2], name[-1]
        existing = self.tables.get(f"{schema}.{bare}")
        if change.if_not_exists and existing is not None and existing.known:
            return
        parent = self._key(change.parent) if change.parent else None
        columns: tuple[Column, ...] = ()
        lenders = (*change.like, change.parent) if change.parent else change.like
        for lender in lenders:
            columns += self._table(lender).columns
        table = existing or Table(schema, bare)
        self._put(
            replace(
                table,
                columns=columns + change.columns,
                keys=change.keys,
                foreign_keys=self._references(change.foreign_keys),
                parent=parent,
                known=True,
                place=self._place,
            )
        )

    def _creation_schema(self) -> str:
        return (self._search_path or (DEFAULT_SCHEMA,))[0]

    @_apply.register
    def _(self, change: facts.DropTable) -> None:
        gone = self.tables.pop(self._key(change.name), None)
        if gone is not None:
            for child in [t for t in self.tables.values() if t.parent == gone.qualified]:
                del self.tables[child.qualified]

    @_apply.register
    def _(self, change: facts.DropSchema) -> None:
        for key in [key for key, table in self.tables.items() if table.schema == change.name]:
            del self.tables[key]
        for key in [key for key, view in self.views.items() if view.schema == change.name]:
            del self.views[key]

    @_apply.register
    def _(self, change: facts.RenameSchema) -> None:
        for key, table in list(self.tables.items()):
            if table.schema == change.name:
                del self.tables[key]
                self._put(replace(table, schema=change.to))

    @_apply.register
    def _(self, change: facts.RowSecurityChange) -> None:
        table = self._table(change.name)
        enabled = table.enabled if change.enabled is None else change.enabled
        forced = table.forced if change.forced is None else change.forced
        self._put(replace(table, enabled=enabled, forced=forced, security_place=self._place))

    @_apply.register
    def _(self, change: facts.TenantSecurity) -> None:
        table = self._table(change.name)
        others = tuple(policy for policy in table.policies if policy.name not in change.policies)
        made = tuple(Policy(name, place=self._place, opaque=True) for name in change.policies)
        self._put(
            replace(
                table,
                enabled=True,
                forced=True,
                policies=(*others, *made),
                security_place=self._place,
            )
        )

    @_apply.register
    def _(self, change: facts.AddColumn) -> None:
        table = self._table(change.name)
        if table.column(change.column.name) is not None:
            return
        self._put(
            replace(
                table,
                columns=(*table.columns, change.column),
                keys=table.keys + change.keys,
                foreign_keys=table.foreign_keys + self._references(change.foreign_keys),
            )
        )

    @_apply.register
    def _(self, change: facts.DropColumn) -> None:
        table = self._table(change.name)
        columns = tuple(column for column in table.columns if column.name != change.column)
        keys = tuple(key for key in table.keys if change.column not in key.columns)
        foreign = tuple(key for key in table.foreign_keys if change.column not in key.columns)
        self._put(replace(table, columns=columns, keys=keys, foreign_keys=foreign))

    @_apply.register
    def _(self, change: facts.RenameColumn) -> None:
        table = self._table(change.name)
        columns = tuple(
            replace(column, name=change.to) if column.name == change.column else column
            for column in table.columns
        )
        self._put(replace(table, columns=columns))

    @_apply.register
    def _(self, change: facts.SetNullable) -> None:
        table = self._table(change.name)
        columns = tuple(
            replace(column, nullable=change.nullable) if column.name == change.column else column
            for column in table.columns
        )
        self._put(replace(table, columns=columns))

    def _move(self, table: Table, moved: Table) -> None:
        """Give a table another name, and tell its partitions and the keys that point at it."""
        self.tables.pop(table.qualified, None)
        self._put(moved)
        for key, other in list(self.tables.items()):
            parent = moved.qualified if other.parent == table.qualified else other.parent
            foreign = tuple(
                replace(fk, target=moved.qualified) if fk.target == table.qualified else fk
                for fk in other.foreign_keys
            )
            self.tables[key] = replace(other, parent=parent, foreign_keys=foreign)
        self.grants = [
            replace(g, relation=moved.qualified) if g.relation == table.qualified else g for g in self.grants
        ]

    @_apply.register
    def _(self, change: facts.RenameTable) -> None:
        if self._key(change.name) in self.views:
            return
        table = self._table(change.name)
        self._move(table, replace(table, name=change.to))

    @_apply.register
    def _(self, change: facts.SetSchema) -> None:
        if self._key(change.name) in self.views:
            return
        table = self._table(change.name)
        self._move(table, replace(table, schema=change.schema))

    @_apply.register
    def _(self, change: facts.SetOwner) -> None:
        if self._key(change.name) not in self.views:
            self._put(replace(self._table(change.name), owner=change.owner))

    @_apply.register
    def _(self, change: facts.SetParent) -> None:
        parent = self._key(change.parent) if change.parent else None
        self._put(replace(self._table(change.name), parent=parent))

    @_apply.register
    def _(self, change: facts.AddConstraint) -> None:
        table = self._table(change.name)
        primary = {name for key in change.keys if key.kind == "primary" for name in key.columns}
        columns = tuple(
            replace(column, nullable=False) if column.name in primary else column for column in table.columns
        )
        self._put(
            replace(
                table,
                columns=columns,
                keys=table.keys + change.keys,
                foreign_keys=table.foreign_keys + self._references(change.foreign_keys),
            )
        )

    @_apply.register
    def _(self, change: facts.CreatePolicy) -> None:
        table = self._table(change.table)
        if change.swallowed and table.policy(change.policy.name) is not None:
            return
        others = tuple(p for p in table.policies if p.name != change.policy.name)
        policy = replace(change.policy, place=self._place)
        self._put(replace(table, policies=(*others, policy)))

    @_apply.register
    def _(self, change: facts.AlterPolicy) -> None:
        table = self._table(change.table)
        policy = table.policy(change.policy)
        if policy is None:
            return
        altered = replace(
            policy,
            roles=policy.roles if change.roles is None else change.roles,
            using=policy.using if change.using is None else change.using,
            check=policy.check if change.check is None else change.check,
            place=self._place,
        )
        self._swap_policy(table, policy, altered)

    @_apply.register
    def _(self, change: facts.RenamePolicy) -> None:
        table = self._table(change.table)
        policy = table.policy(change.policy)
        if policy is not None:
            self._swap_policy(table, policy, replace(policy, name=change.to))

    def _swap_policy(self, table: Table, old: Policy, new: Policy) -> None:
        policies = tuple(new if policy is old else policy for policy in table.policies)
        self._put(replace(table, policies=policies))

    @_apply.register
    def _(self, change: facts.DropPolicy) -> None:
        table = self.tables.get(self._key(change.table))
        if table is not None:
            left = tuple(policy for policy in table.policies if policy.name != change.policy)
            self._put(replace(table, policies=left))

    @_apply.register
    def _(self, change: facts.CreateView) -> None:
        name = change.name if len(change.name) > 1 else (self._creation_schema(), change.name[0])
        view = View(
            name[-2],
            name[-1],
            change.definition,
            change.materialized,
            change.security_invoker,
            place=self._place,
        )
        self.views[f"{view.schema}.{view.name}"] = view

    @_apply.register
    def _(self, change: facts.AlterView) -> None:
        key = self._key(change.name)
        if key in self.views:
            self.views[key] = replace(self.views[key], security_invoker=change.security_invoker)

    @_apply.register
    def _(self, change: facts.DropView) -> None:
        self.views.pop(self._key(change.name), None)

    @_apply.register
    def _(self, change: facts.CreateFunction) -> None:
        schema, name = self._split(change.name)
        self.functions[f"{schema}.{name}"] = Function(
            schema, name, change.security_definer, change.search_path, place=self._place
        )

    @_apply.register
    def _(self, change: facts.GrantPrivileges) -> None:
        for relation in (self._key(name) for name in change.relations):
            for grantee in change.grantees:
                self._grant(relation, grantee, change)

    def _grant(self, relation: str, grantee: str, change: facts.GrantPrivileges) -> None:
        everything = "all" in change.privileges
        if change.revoked:
            self.grants = [
                g
                for g in self.grants
                if (g.relation, g.grantee) != (relation, grantee)
                or not (everything or g.privilege in change.privileges)
            ]
            return
        self.grants.extend(Grant(relation, p, grantee, self._place) for p in change.privileges)

    @_apply.register
    def _(self, change: facts.AlterRole) -> None:
        role = self.roles.get(change.name) or Role(change.name)
        self.roles[change.name] = replace(
            role,
            superuser=role.superuser if change.superuser is None else change.superuser,
            bypass_row_security=(
                role.bypass_row_security if change.bypass_row_security is None else change.bypass_row_security
            ),
            login=role.login if change.login is None else change.login,
            place=self._place,
        )

    @_apply.register
    def _(self, change: facts.SetSearchPath) -> None:
        self._search_path = tuple(name for name in change.schemas if name != "$user")

    @_apply.register
    def _(self, change: facts.NotAnalysed) -> None:
        self.not_analysed.append((self._place, change.reason))
