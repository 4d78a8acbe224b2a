"""What changes of columns, constraints and indexes do to the state.

A column of a table is one of its partitions and inheritance children too. With CASCADE, what names
a dropped column goes as well; a renamed one is followed, since PostgreSQL keeps trees, not text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.copying import replace
from lint.history import facts
from lint.history.apply_tables import drop_readers, make_sequence, settled, with_constraints
from lint.history.naming import key_name, names_of
from lint.history.rewriting import column_renamed, names_column
from lint.history.state import handles

if TYPE_CHECKING:
    from lint.catalogue import Column, ForeignKey, Key, Policy, Table
    from lint.history.state import State


@handles(facts.AddColumn)
def _add_column(state: State, change: facts.AddColumn) -> None:
    table = state.table(change.name)
    if table.column(change.column.name) is not None:
        return
    column = settled(state, change.column, table.qualified)
    for one in list(state.family(table)):
        if one.column(column.name) is None:
            state.put(replace(one, columns=(*one.columns, column)))
    table = state.table(change.name)
    state.put(with_constraints(state, table, change.keys, change.foreign_keys, change.constraints))
    make_sequence(state, table, column)


@handles(facts.DropColumn)
def _drop_column(state: State, change: facts.DropColumn) -> None:
    table = state.table(change.name)
    if change.cascade:
        _drop_dependents(state, table, change.column)
    for one in list(state.family(state.table(change.name))):
        state.put(_without_column(one, change.column))
    owned = f"{table.qualified}.{change.column}"
    for name in [name for name, sequence in state.sequences.items() if sequence.owned_by == owned]:
        del state.sequences[name]
    state.grants = [g for g in state.grants if (g.relation, g.column) != (table.qualified, change.column)]


def _without_column(table: Table, column: str) -> Table:
    return replace(
        table,
        columns=tuple(one for one in table.columns if one.name != column),
        keys=tuple(key for key in table.keys if not _key_names(key, column)),
        foreign_keys=tuple(key for key in table.foreign_keys if column not in key.columns),
        constraints=tuple(one for one in table.constraints if column not in one.columns),
    )


def _key_names(key: Key, column: str) -> bool:
    if column in key.columns or (key.predicate is not None and names_column(key.predicate, column)):
        return True
    return any(names_column(part, column) for part in key.parts if part not in key.columns)


def _drop_dependents(state: State, table: Table, column: str) -> None:
    """Remove policies, views and foreign keys that name a column of a table."""
    for key, other in list(state.tables.items()):
        own = other.qualified == table.qualified
        policies = tuple(
            policy for policy in other.policies if not _policy_names(policy, table, column, own=own)
        )
        foreign = tuple(
            fk for fk in other.foreign_keys if fk.target != table.qualified or column not in fk.target_columns
        )
        if policies != other.policies or foreign != other.foreign_keys:
            state.tables[key] = replace(other, policies=policies, foreign_keys=foreign)
    for key, view in list(state.views.items()):
        named = "*" in view.definition or names_column(view.definition, column)
        if named and table.qualified in view.reads and state.views.pop(key, None) is not None:
            state.forget_relation(key)
            drop_readers(state, key)


def _policy_names(policy: Policy, table: Table, column: str, *, own: bool) -> bool:
    texts = [text for _, text in policy.clauses()]
    if own:
        return any(names_column(text, column) for text in texts)
    return any(names_column(text, column) and names_column(text, table.name) for text in texts)


@handles(facts.RenameColumn)
def _rename_column(state: State, change: facts.RenameColumn) -> None:
    key = state.key(change.name)
    if key in state.views:
        view = state.views[key]
        columns = tuple(change.to if name == change.column else name for name in view.columns)
        state.views[key] = replace(view, columns=columns)
        return
    table = state.table(change.name)
    for one in list(state.family(table)):
        state.put(_with_renamed(state, one, change.column, change.to))
    for name, other in list(state.tables.items()):
        state.tables[name] = _seen_renamed(state, other, table, change)
    for name, view in list(state.views.items()):
        if table.qualified in view.reads:
            text = column_renamed(view.definition, change.column, change.to, table.name, lambda _: False)
            state.views[name] = replace(view, definition=text)
    owned = f"{table.qualified}.{change.column}"
    for name, sequence in state.sequences.items():
        if sequence.owned_by == owned:
            state.sequences[name] = replace(sequence, owned_by=f"{table.qualified}.{change.to}")
    state.grants = [
        replace(g, column=change.to) if (g.relation, g.column) == (table.qualified, change.column) else g
        for g in state.grants
    ]


def _swapped(names: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if name == old else name for name in names)


def _with_renamed(state: State, table: Table, old: str, new: str) -> Table:
    """Return a table with one of its columns renamed wherever the table names it."""

    def text(expression: str) -> str:
        return column_renamed(
            expression, old, new, table.name, lambda names: _owned_by_any(state, names, old)
        )

    def column(one: Column) -> Column:
        name = new if one.name == old else one.name
        return replace(
            one, name=name, default=text(one.default) if one.generated and one.default else one.default
        )

    def key(one: Key) -> Key:
        parts = tuple(
            new if part == old else part if part in one.columns else text(part) for part in one.parts
        )
        predicate = text(one.predicate) if one.predicate else one.predicate
        return replace(one, columns=_swapped(one.columns, old, new), parts=parts, predicate=predicate)

    def foreign(one: ForeignKey) -> ForeignKey:
        columns, set_columns = _swapped(one.columns, old, new), _swapped(one.set_columns, old, new)
        return replace(one, columns=columns, set_columns=set_columns)

    return replace(
        table,
        columns=tuple(column(one) for one in table.columns),
        keys=tuple(key(one) for one in table.keys),
        foreign_keys=tuple(foreign(one) for one in table.foreign_keys),
        constraints=tuple(
            replace(one, definition=text(one.definition), columns=_swapped(one.columns, old, new))
            for one in table.constraints
        ),
        policies=tuple(
            replace(
                policy,
                using=text(policy.using) if policy.using else policy.using,
                check=text(policy.check) if policy.check else policy.check,
            )
            for policy in table.policies
        ),
    )


def _owned_by_any(state: State, names: tuple[facts.Name, ...], column: str) -> bool:
    tables = (state.tables.get(state.key(name)) for name in names)
    return any(table is not None and table.column(column) is not None for table in tables)


def _seen_renamed(state: State, other: Table, table: Table, change: facts.RenameColumn) -> Table:
    """Return another table with a column of `table` renamed in its foreign keys and policies."""
    del state
    foreign = tuple(
        replace(key, target_columns=_swapped(key.target_columns, change.column, change.to))
        if key.target == table.qualified
        else key
        for key in other.foreign_keys
    )
    if other.qualified == table.qualified:
        return replace(other, foreign_keys=foreign)

    def text(expression: str | None) -> str | None:
        if not expression or not names_column(expression, table.name):
            return expression
        return column_renamed(expression, change.column, change.to, table.name, lambda _: True)

    policies = tuple(replace(p, using=text(p.using), check=text(p.check)) for p in other.policies)
    return replace(other, foreign_keys=foreign, policies=policies)


@handles(facts.SetNullable)
def _set_nullable(state: State, change: facts.SetNullable) -> None:
    _change_column(state, change.name, change.column, {"nullable": change.nullable})


@handles(facts.ChangeColumn)
def _changed_column(state: State, change: facts.ChangeColumn) -> None:
    changes = dict(change.changes)
    if "type" in changes:
        changes["type"] = state.type_name(str(changes["type"]))
    if changes.get("identity") is not None:
        changes["nullable"] = False
    _change_column(state, change.name, change.column, changes)
    table = state.table(change.name)
    column = table.column(change.column)
    if column is not None and "identity" in changes:
        make_sequence(state, table, column)


def _change_column(state: State, name: facts.Name, column: str, changes: dict[str, object]) -> None:
    for table in list(state.family(state.table(name))):
        columns = tuple(replace(one, **changes) if one.name == column else one for one in table.columns)
        state.put(replace(table, columns=columns))


# Constraints and indexes


@handles(facts.AddConstraint)
def _add_constraint(state: State, change: facts.AddConstraint) -> None:
    if change.index is not None:
        _adopt_index(state, change, change.index)
        return
    table = state.table(change.name)
    if change.if_not_exists and any(key.name and key.name in names_of(table) for key in change.keys):
        return
    if change.is_index:
        state.put(_indexed(state, table, change.keys[0]))
        return
    primary = {name for key in change.keys if key.kind == "primary" for name in key.columns}
    if primary:
        columns = tuple(replace(c, nullable=False) if c.name in primary else c for c in table.columns)
        table = replace(table, columns=columns)
    state.put(with_constraints(state, table, change.keys, change.foreign_keys, change.constraints))


def _indexed(state: State, table: Table, key: Key) -> Table:
    """Return a table with an index; operator classes that nobody named are PostgreSQL's default."""
    name = key_name(key, table, is_constraint=False)
    classes = key.operator_classes if any(key.operator_classes) else ()
    others = tuple(one for one in table.keys if one.name != name)
    made = replace(key, name=name, operator_classes=classes, place=state.place)
    return replace(table, keys=(*others, made))


def _adopt_index(state: State, change: facts.AddConstraint, index: str) -> None:
    """ADD CONSTRAINT … USING INDEX: the index becomes the constraint, and takes its name."""
    table, key = state.table(change.name), change.keys[0]
    keys = tuple(
        replace(one, kind=key.kind, name=key.name or one.name, place=state.place)
        if one.name == index
        else one
        for one in table.keys
    )
    primary = {name for one in keys if one.kind == "primary" for name in one.columns}
    columns = tuple(replace(c, nullable=False) if c.name in primary else c for c in table.columns)
    state.put(replace(table, keys=keys, columns=columns))


@handles(facts.DropConstraint)
def _drop_constraint(state: State, change: facts.DropConstraint) -> None:
    for table in list(state.family(state.table(change.name))):
        state.put(
            replace(
                table,
                keys=tuple(key for key in table.keys if key.name != change.constraint),
                foreign_keys=tuple(key for key in table.foreign_keys if key.name != change.constraint),
                constraints=tuple(one for one in table.constraints if one.name != change.constraint),
            )
        )


@handles(facts.ChangeConstraint)
def _change_constraint(state: State, change: facts.ChangeConstraint) -> None:
    table = state.table(change.name)
    to = change.to or change.constraint

    def foreign(key: ForeignKey) -> ForeignKey:
        if key.name != change.constraint:
            return key
        validated = key.validated if change.validated is None else change.validated
        deferrable = key.deferrable if change.deferrable is None else change.deferrable
        return replace(key, name=to, validated=validated, deferrable=deferrable)

    state.put(
        replace(
            table,
            keys=tuple(replace(k, name=to) if k.name == change.constraint else k for k in table.keys),
            foreign_keys=tuple(foreign(key) for key in table.foreign_keys),
            constraints=tuple(
                replace(one, name=to) if one.name == change.constraint else one for one in table.constraints
            ),
        )
    )


@handles(facts.DropIndex)
def _drop_index(state: State, change: facts.DropIndex) -> None:
    schemas = {change.name[-2]} if len(change.name) > 1 else {*state.search_path}
    for table in list(state.tables.values()):
        if table.schema in schemas and any(key.name == change.name[-1] for key in table.keys):
            keys = tuple(key for key in table.keys if key.name != change.name[-1])
            state.put(replace(table, keys=keys))


@handles(facts.RenameIndex)
def _rename_index(state: State, change: facts.RenameIndex) -> None:
    for table in list(state.tables.values()):
        if any(key.name == change.name[-1] for key in table.keys):
            keys = tuple(
                replace(key, name=change.to) if key.name == change.name[-1] else key for key in table.keys
            )
            state.put(replace(table, keys=keys))
