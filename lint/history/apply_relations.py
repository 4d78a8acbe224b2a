"""What views, sequences, types, schemas and publications do to the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import PublishedTable, Sequence, View, written_name
from lint.copying import replace
from lint.history import facts
from lint.history.apply_privileges import grant_defaults
from lint.history.apply_tables import drop_readers, drop_table, move_table
from lint.history.state import handles

if TYPE_CHECKING:
    from lint.history.state import State

# Views


@handles(facts.CreateView)
def _create_view(state: State, change: facts.CreateView) -> None:
    if change.temporary:
        return
    schema, name = state.new(change.name)
    key = f"{schema}.{name}"
    existing = state.views.get(key)
    if change.if_not_exists and existing is not None:
        return
    query = change.query
    state.views[key] = View(
        schema,
        name,
        change.definition,
        change.materialized,
        change.security_invoker,
        existing.owner if existing else state.role,
        state.place,
        change.security_barrier,
        change.check_option,
        change.columns or (_columns(state, query) if query else ()),
        state.reads(query.reads) if query else (),
    )
    if existing is None:
        grant_defaults(state, key, "tables")


def _columns(state: State, query: facts.Query) -> tuple[str, ...]:
    """Return the names of a view's columns; a star over a view takes that view's."""
    found: list[str] = []
    for output in query.outputs:
        if not output.star:
            found.append(output.name)
            continue
        names = [query.aliases[output.of]] if output.of in query.aliases else list(query.aliases.values())
        for name in names:
            found.extend(_columns_of(state, state.key(name)))
    return tuple(found)


def _columns_of(state: State, key: str) -> tuple[str, ...]:
    if key in state.views:
        return state.views[key].columns
    table = state.tables.get(key)
    return tuple(column.name for column in table.columns) if table is not None else ()


@handles(facts.AlterView)
def _alter_view(state: State, change: facts.AlterView) -> None:
    view = state.views.get(state.key(change.name))
    if view is None:
        return
    invoker, barrier = change.security_invoker, change.security_barrier
    check = view.check_option if change.check_option is None else change.check_option or None
    state.views[view.qualified] = replace(
        view,
        security_invoker=view.security_invoker if invoker is None else invoker,
        security_barrier=view.security_barrier if barrier is None else barrier,
        check_option=check,
        place=state.place,
    )


@handles(facts.DropView)
def _drop_view(state: State, change: facts.DropView) -> None:
    key = state.key(change.name)
    if state.views.pop(key, None) is None:
        return
    state.forget_relation(key)
    if change.cascade:
        drop_readers(state, key)


# Sequences


@handles(facts.CreateSequence)
def _create_sequence(state: State, change: facts.CreateSequence) -> None:
    schema, name = state.new(change.name)
    key = f"{schema}.{name}"
    if key in state.sequences:
        return
    state.sequences[key] = Sequence(
        schema, name, state.role, _owner_column(state, change.owned_by), state.place
    )
    grant_defaults(state, key, "sequences")


def _owner_column(state: State, owned_by: facts.Name | None) -> str | None:
    return f"{state.key(owned_by[:-1])}.{owned_by[-1]}" if owned_by and len(owned_by) > 1 else None


@handles(facts.OwnSequence)
def _own_sequence(state: State, change: facts.OwnSequence) -> None:
    sequence = state.sequences.get(state.key(change.name))
    if sequence is not None:
        owned_by = _owner_column(state, change.owned_by)
        state.sequences[sequence.qualified] = replace(sequence, owned_by=owned_by)


@handles(facts.DropSequence)
def _drop_sequence(state: State, change: facts.DropSequence) -> None:
    key = state.key(change.name)
    if state.sequences.pop(key, None) is not None:
        state.forget_relation(key)


# Types


@handles(facts.CreateType)
def _create_type(state: State, change: facts.CreateType) -> None:
    schema, name = state.new(change.name)
    base = state.type_name(change.data_type.base) if change.data_type.base else ""
    state.types[f"{schema}.{name}"] = replace(
        change.data_type, schema=schema, name=name, base=base, place=state.place
    )


#: Types that columns and arguments are often of, by the extension that brings them.
_EXTENSION_TYPES = {
    "citext": ("citext",),
    "cube": ("cube",),
    "hstore": ("hstore",),
    "ltree": ("ltree", "lquery", "ltxtquery"),
    "postgis": ("geometry", "geography"),
    "vector": ("vector", "halfvec", "sparsevec"),
}


@handles(facts.CreateExtension)
def _create_extension(state: State, change: facts.CreateExtension) -> None:
    schema = change.schema or state.creation_schema
    state.extension_types.update(f"{schema}.{name}" for name in _EXTENSION_TYPES.get(change.name, ()))


def _type_key(state: State, name: facts.Name) -> str:
    if len(name) > 1:
        return f"{name[-2]}.{name[-1]}"
    found = (f"{schema}.{name[0]}" for schema in state.search_path)
    return next((key for key in found if key in state.types), f"{state.creation_schema}.{name[0]}")


@handles(facts.AlterType)
def _alter_type(state: State, change: facts.AlterType) -> None:
    key = _type_key(state, change.name)
    one = state.types.get(key)
    if one is None:
        return
    labels = list(one.labels)
    if change.label is not None and change.label not in labels:
        labels.insert(_position(labels, change), change.label)
    if change.renamed is not None:
        labels = [change.renamed[1] if label == change.renamed[0] else label for label in labels]
    del state.types[key]
    altered = replace(
        one,
        schema=change.schema or one.schema,
        name=change.to or one.name,
        labels=tuple(labels),
        nullable=one.nullable if change.nullable is None else change.nullable,
        checks=(*one.checks, change.check) if change.check else one.checks,
    )
    state.types[altered.qualified] = altered
    if altered.qualified != key:
        _retype(state, _written(one.schema, one.name), _written(altered.schema, altered.name))


def _written(schema: str, name: str) -> str:
    return f"{written_name(schema)}.{written_name(name)}"


def _retype(state: State, old: str, new: str) -> None:
    for table in list(state.tables.values()):
        if any(column.type in {old, f"{old}[]"} for column in table.columns):
            columns = tuple(replace(c, type=c.type.replace(old, new)) for c in table.columns)
            state.put(replace(table, columns=columns))


def _position(labels: list[str], change: facts.AlterType) -> int:
    if change.before in labels:
        return labels.index(change.before)
    return labels.index(change.after) + 1 if change.after in labels else len(labels)


@handles(facts.DropType)
def _drop_type(state: State, change: facts.DropType) -> None:
    key = _type_key(state, change.name)
    one = state.types.pop(key, None)
    if one is None or not change.cascade:
        return
    written = _written(one.schema, one.name)
    for signature, function in list(state.functions.items()):
        types = {kind.removesuffix("[]") for kind in (*function.arguments.split(", "), function.returns)}
        if written in types:
            del state.functions[signature]
    for table in list(state.tables.values()):
        for column in table.columns:
            if column.type in {written, f"{written}[]"}:
                state.apply_one(facts.DropColumn((table.schema, table.name), column.name, cascade=True))


# Schemas


@handles(facts.CreateSchema)
def _create_schema(state: State, change: facts.CreateSchema) -> None:
    owner = state.current_role(change.owner) if change.owner else state.role
    state.schemas.setdefault(change.name, owner or "")


@handles(facts.InSchema)
def _in_schema(state: State, change: facts.InSchema) -> None:
    path = state.search_path
    state.search_path = (change.name, *path)
    for one in change.changes:
        state.apply_one(one)
    state.search_path = path


@handles(facts.DropSchema)
def _drop_schema(state: State, change: facts.DropSchema) -> None:
    for key in [key for key, table in state.tables.items() if table.schema == change.name]:
        drop_table(state, key, cascade=True)
    for key in [key for key, view in state.views.items() if view.schema == change.name]:
        if state.views.pop(key, None) is not None:
            drop_readers(state, key)
    for key in [key for key, function in state.functions.items() if function.schema == change.name]:
        del state.functions[key]
    for key in [key for key, sequence in state.sequences.items() if sequence.schema == change.name]:
        del state.sequences[key]
    for key in [key for key, one in state.types.items() if one.schema == change.name]:
        del state.types[key]
    state.schemas.pop(change.name, None)
    gone = f"{change.name}."
    state.grants = [g for g in state.grants if not g.relation.startswith(gone) and g.relation != change.name]
    state.default_privileges = [one for one in state.default_privileges if one.schema != change.name]


@handles(facts.RenameSchema)
def _rename_schema(state: State, change: facts.RenameSchema) -> None:
    for table in [table for table in state.tables.values() if table.schema == change.name]:
        move_table(state, table, change.to, table.name)
    for key, view in list(state.views.items()):
        if view.schema == change.name:
            del state.views[key]
            state.views[f"{change.to}.{view.name}"] = replace(view, schema=change.to)
            state.rename_relation(key, f"{change.to}.{view.name}")
    for key, function in list(state.functions.items()):
        if function.schema == change.name:
            del state.functions[key]
            moved = replace(function, schema=change.to)
            state.functions[moved.signature] = moved
    for key, one in list(state.types.items()):
        if one.schema == change.name:
            del state.types[key]
            state.types[f"{change.to}.{one.name}"] = replace(one, schema=change.to)
            _retype(state, _written(change.name, one.name), _written(change.to, one.name))
    if change.name in state.schemas:
        state.schemas[change.to] = state.schemas.pop(change.name)
    state.grants = [
        replace(g, relation=change.to) if (g.relation, g.kind) == (change.name, "schema") else g
        for g in state.grants
    ]


@handles(facts.SetOwnerOf)
def _set_owner_of(state: State, change: facts.SetOwnerOf) -> None:
    if change.kind == "schema":
        state.schemas[change.name[-1]] = state.current_role(change.owner)


# Publications


@handles(facts.Publish)
def _publish(state: State, change: facts.Publish) -> None:
    name = change.publication
    if change.action in {"drop", "set"}:
        state.publications = [one for one in state.publications if one.publication != name]
        state.whole_publications.discard(name)
    if change.action == "drop":
        return
    if change.all_tables:
        state.whole_publications.add(name)
    tables = {state.key(table): row_filter for table, row_filter in change.tables}
    tables |= {key: None for key, table in state.tables.items() if table.schema in change.schemas}
    state.publications = [
        one for one in state.publications if one.publication != name or one.table not in tables
    ]
    if change.action != "remove":
        state.publications.extend(
            PublishedTable(name, key, row_filter, place=state.place) for key, row_filter in tables.items()
        )
