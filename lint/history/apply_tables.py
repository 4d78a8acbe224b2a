"""What making, dropping, moving and attaching tables does to the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import Column, Key, Sequence, Table, written_name
from lint.copying import replace
from lint.history import facts
from lint.history.apply_privileges import grant_defaults
from lint.history.naming import foreign_key_name, key_name, named_constraint, named_key, object_name
from lint.history.rewriting import relation_renamed
from lint.history.state import handles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import Constraint, ForeignKey
    from lint.history.state import State


@handles(facts.CreateTable)
def _create_table(state: State, change: facts.CreateTable) -> None:
    schema, bare = state.new(change.name)
    key = f"{schema}.{bare}"
    existing = state.tables.get(key)
    if (existing is not None and existing.known) or (change.if_not_exists and key in state.views):
        return  # without IF NOT EXISTS it fails with 42P07, and what was there before stays
    parent = state.key(change.parent) if change.parent else None
    table = Table(
        schema,
        bare,
        _all_columns(state, change, key),
        owner=state.role,
        parent=parent,
        place=state.place,
        kind="partitioned" if change.partition_key else change.kind,
        persistence="unlogged" if change.unlogged else "permanent",
        inherits=tuple(state.key(name) for name in change.inherits),
        partition_bound=change.bound,
        partition_key=change.partition_key,
    )
    if existing is not None:  # it was spoken of before, in a history without its beginning
        table = replace(
            table,
            enabled=existing.enabled,
            forced=existing.forced,
            policies=existing.policies,
            security_place=existing.security_place,
        )
    state.put(table)
    table = _with_inherited(state, table, change)
    state.put(with_constraints(state, table, change.keys, change.foreign_keys, change.constraints))
    for column in table.columns:
        make_sequence(state, table, column)
    grant_defaults(state, key, "tables")


def _all_columns(state: State, change: facts.CreateTable, key: str) -> tuple[Column, ...]:
    """Return the columns that a CREATE TABLE gives, lent ones first, each name once."""
    found: dict[str, Column] = {}
    lenders = [*change.inherits, *((change.parent,) if change.parent else ())]
    for name in lenders:
        for column in state.table(name).columns:
            found.setdefault(column.name, column)
    for like in change.like:
        for column in _lent(state, like):
            found.setdefault(column.name, column)
    if change.query is not None:
        for column in query_columns(state, change.query, change.columns):
            found.setdefault(column.name, column)
    for column in change.columns:
        known = found.get(column.name)
        found[column.name] = _merged(known, column) if known else settled(state, column, key)
    return tuple(found.values())


def settled(state: State, column: Column, table: str) -> Column:
    """Return a column with its type resolved, its sequence named, and its place."""
    default = column.default
    if default == "nextval()":
        name = serial_name(table, column.name)
        default = f"nextval('{written_name(table.partition('.')[0])}.{written_name(name)}'::regclass)"
    kind = state.type_name(column.type)
    return replace(column, type=kind, default=default, place=column.place or state.place)


def _merged(known: Column, column: Column) -> Column:
    return replace(
        known,
        type=column.type or known.type,
        nullable=known.nullable and column.nullable,
        default=known.default if column.default is None else column.default,
        generated=known.generated or column.generated,
        identity=column.identity or known.identity,
    )


def _lent(state: State, like: facts.Like) -> Iterable[Column]:
    """Return what LIKE copies: names, types and NOT NULL, and what INCLUDING adds."""
    every = "all" in like.including
    for column in state.table(like.name).columns:
        keeps = every or ("generated" if column.generated else "defaults") in like.including
        identity = column.identity if every or "identity" in like.including else None
        yield replace(
            column,
            default=column.default if keeps else None,
            generated=column.generated and keeps,
            identity=identity,
            place=state.place,
        )


def query_columns(state: State, query: facts.Query, named: tuple[Column, ...] = ()) -> list[Column]:
    """Return the columns a query makes: types where they come straight from a known table."""
    relations = {alias: state.tables.get(state.key(name)) for alias, name in query.aliases.items()}
    found: list[Column] = []
    for output in query.outputs:
        if output.star:
            chosen = [relations.get(output.of)] if output.of else list(relations.values())
            found.extend(column for table in chosen if table is not None for column in table.columns)
        else:
            known = (table for table in relations.values() if table is not None)
            origin = (table.column(output.column) for table in known if output.column)
            column = next((one for one in origin if one is not None), Column(""))
            found.append(replace(column, name=output.name))
    if named:
        found = [replace(one, name=given.name) for one, given in zip(found, named, strict=False)]
    plain = (Column(column.name, column.type, place=state.place) for column in found)
    return list({column.name: column for column in plain}.values())


def _with_inherited(state: State, table: Table, change: facts.CreateTable) -> Table:
    """Add the checks of parents, and the keys and checks that LIKE … INCLUDING copies."""
    parents = [*change.inherits, *((change.parent,) if change.parent else ())]
    for name in parents:
        constraints = tuple(c for c in state.table(name).constraints if c.kind == "check")
        table = replace(table, constraints=table.constraints + constraints)
    for name in (change.parent,) if change.parent else ():
        table = _copied_keys(state.table(name).keys, table)
    for like in change.like:
        lender = state.table(like.name)
        if like.including & {"all", "constraints"}:
            checks = tuple(c for c in lender.constraints if c.kind == "check")
            table = replace(table, constraints=table.constraints + checks)
        if like.including & {"all", "indexes"}:
            table = _copied_keys(lender.keys, table)
        if like.including & {"all", "comments"}:
            table = replace(table, comment=table.comment)
    return table


def _copied_keys(keys: Iterable[Key], table: Table) -> Table:
    for key in keys:
        copied = named_key(replace(key, name=""), table, is_constraint=key.kind != "index")
        table = replace(table, keys=(*table.keys, copied))
    return table


def with_constraints(
    state: State,
    table: Table,
    keys: Iterable[Key],
    foreign_keys: Iterable[ForeignKey],
    constraints: Iterable[Constraint],
) -> Table:
    """Return a table with keys and constraints added, under the names PostgreSQL gives them."""
    place = state.place
    for constraint in constraints:
        made = replace(named_constraint(constraint, table), place=place)
        table = replace(table, constraints=(*table.constraints, made))
    for key in distinct_keys(keys):
        named = replace(key, name=key_name(key, table, is_constraint=True), place=place)
        table = replace(table, keys=(*table.keys, named))
    for foreign in foreign_keys:
        target = state.key(tuple(foreign.target.split(".")))
        columns = _target_columns(state, foreign, target, table)
        name = foreign_key_name(foreign, table)
        pointed = replace(foreign, target=target, target_columns=columns, name=name, place=place)
        table = replace(table, foreign_keys=(*table.foreign_keys, pointed))
    return table


def distinct_keys(keys: Iterable[Key]) -> list[Key]:
    """Return keys, the primary one first, each set of columns once as PostgreSQL makes them."""
    found: dict[tuple[object, ...], Key] = {}
    keys = list(keys)
    if len(keys) < 2:
        return keys
    for key in sorted(keys, key=lambda one: one.kind != "primary"):
        same = (key.columns, key.parts, key.nulls_distinct, key.predicate)
        prior = found.get(same)
        found[same] = replace(prior, name=prior.name or key.name) if prior is not None else key
    return list(found.values())


def _target_columns(state: State, key: ForeignKey, target: str, table: Table) -> tuple[str, ...]:
    """Return the columns that a foreign key points at: the target's primary key unless named."""
    if key.target_columns:
        return key.target_columns
    pointed = table if target == table.qualified else state.tables.get(target)
    primary = (k for k in pointed.keys if k.kind == "primary") if pointed is not None else iter(())
    return next((k.columns for k in primary), ())


# Sequences of serial and identity columns


def serial_name(table: str, column: str) -> str:
    """Return the name of the sequence that a serial or identity column gets."""
    return object_name(table.partition(".")[2], column, "seq")


def make_sequence(state: State, table: Table, column: Column) -> None:
    """Make the sequence of a serial or identity column of its own."""
    is_serial = column.default is not None and column.default.startswith("nextval('")
    if column.identity is None and not is_serial:
        return
    name = serial_name(table.qualified, column.name)
    if column.identity is None and not (is_serial and f"{name}'" in (column.default or "").replace('"', "")):
        return
    key = f"{table.schema}.{name}"
    if key in state.sequences:
        return
    owned_by = f"{table.qualified}.{column.name}"
    state.sequences[key] = Sequence(table.schema, name, table.owner, owned_by, state.place)
    grant_defaults(state, key, "sequences")


# Dropping


@handles(facts.DropTable)
def _drop_table(state: State, change: facts.DropTable) -> None:
    drop_table(state, state.key(change.name), cascade=change.cascade)


def drop_table(state: State, key: str, *, cascade: bool) -> None:
    """Remove a table, its partitions, and with CASCADE what depends on it."""
    gone = state.tables.pop(key, None)
    if gone is None:
        return
    state.forget_relation(key)
    for child in state.children(key):
        if child.parent == key or cascade:
            drop_table(state, child.qualified, cascade=cascade)
    if cascade:
        drop_readers(state, key)
    for name, table in state.tables.items():
        if any(foreign.target == key for foreign in table.foreign_keys):
            left = tuple(foreign for foreign in table.foreign_keys if foreign.target != key)
            state.tables[name] = replace(table, foreign_keys=left)


def drop_readers(state: State, key: str) -> None:
    """Remove the views that read a relation, and those that read them."""
    for name in [name for name, view in state.views.items() if key in view.reads]:
        if state.views.pop(name, None) is not None:
            state.forget_relation(name)
            drop_readers(state, name)


# Moving


@handles(facts.RenameTable)
def _rename(state: State, change: facts.RenameTable) -> None:
    schema, _ = state.split(change.name)
    _move(state, change.name, schema, change.to)


@handles(facts.SetSchema)
def _set_schema(state: State, change: facts.SetSchema) -> None:
    _, bare = state.split(change.name)
    _move(state, change.name, change.schema, bare)


def _move(state: State, name: facts.Name, schema: str, to: str) -> None:
    key = state.key(name)
    if key in state.views:
        view = state.views.pop(key)
        state.views[f"{schema}.{to}"] = replace(view, schema=schema, name=to)
        state.rename_relation(key, f"{schema}.{to}")
    elif key in state.sequences:
        sequence = state.sequences.pop(key)
        state.sequences[f"{schema}.{to}"] = replace(sequence, schema=schema, name=to)
        state.rename_relation(key, f"{schema}.{to}")
    elif not _rename_index(state, name, to):
        move_table(state, state.table(name), schema, to)


def _rename_index(state: State, name: facts.Name, to: str) -> bool:
    """ALTER TABLE may rename an index too."""
    if state.key(name) in state.tables:
        return False
    schema, bare = state.split(name)
    for table in state.tables.values():
        if table.schema == schema and any(key.name == bare for key in table.keys):
            keys = tuple(replace(key, name=to) if key.name == bare else key for key in table.keys)
            state.put(replace(table, keys=keys))
            return True
    return False


def move_table(state: State, table: Table, schema: str, to: str) -> None:
    """Give a table another name, and tell everything that names it."""
    old, new = (table.schema, table.name), (schema, to)
    moved = replace(table, schema=schema, name=to)
    state.tables.pop(table.qualified, None)
    state.put(moved)
    state.rename_relation(table.qualified, moved.qualified)
    for key, other in list(state.tables.items()):
        state.tables[key] = _retargeted(other, old, new)
    for key, view in list(state.views.items()):
        if moved.qualified in view.reads:
            state.views[key] = replace(view, definition=relation_renamed(view.definition, old, new))
    if schema != table.schema:
        _move_sequences(state, moved, schema)


def _retargeted(table: Table, old: tuple[str, str], new: tuple[str, str]) -> Table:
    before, after = ".".join(old), ".".join(new)
    foreign = tuple(replace(k, target=after) if k.target == before else k for k in table.foreign_keys)
    policies = tuple(
        replace(
            policy,
            using=relation_renamed(policy.using, old, new) if policy.using else policy.using,
            check=relation_renamed(policy.check, old, new) if policy.check else policy.check,
        )
        if old[1] in (policy.using or "") or old[1] in (policy.check or "")
        else policy
        for policy in table.policies
    )
    return replace(
        table,
        parent=after if table.parent == before else table.parent,
        inherits=tuple(after if one == before else one for one in table.inherits),
        foreign_keys=foreign,
        policies=policies,
    )


def _move_sequences(state: State, table: Table, schema: str) -> None:
    for key, sequence in list(state.sequences.items()):
        if (sequence.owned_by or "").startswith(f"{table.qualified}."):
            del state.sequences[key]
            state.sequences[f"{schema}.{sequence.name}"] = replace(sequence, schema=schema)


@handles(facts.SetOwner)
def _set_owner(state: State, change: facts.SetOwner) -> None:
    key, owner = state.key(change.name), state.current_role(change.owner)
    if key in state.views:
        state.views[key] = replace(state.views[key], owner=owner)
    elif key in state.sequences:
        state.sequences[key] = replace(state.sequences[key], owner=owner)
    else:
        state.put(replace(state.table(change.name), owner=owner))
        for name, sequence in state.sequences.items():
            if (sequence.owned_by or "").startswith(f"{key}."):
                state.sequences[name] = replace(sequence, owner=owner)
    state.grants = [g for g in state.grants if (g.relation, g.grantee) != (key, owner) or g.kind == "schema"]


# Partitions and inheritance


@handles(facts.SetParent)
def _set_parent(state: State, change: facts.SetParent) -> None:
    table = state.table(change.name)
    if change.parent is None:
        state.put(replace(table, parent=None, partition_bound=None))
        return
    parent = state.table(change.parent)
    state.put(replace(table, parent=parent.qualified, partition_bound=change.bound))


@handles(facts.SetInheritance)
def _set_inheritance(state: State, change: facts.SetInheritance) -> None:
    table, parent = state.table(change.name), state.key(change.parent)
    others = tuple(one for one in table.inherits if one != parent)
    state.put(replace(table, inherits=others if change.stopped else (*others, parent)))


@handles(facts.CommentOn)
def _comment(state: State, change: facts.CommentOn) -> None:
    state.put(replace(state.table(change.name), comment=change.text))
