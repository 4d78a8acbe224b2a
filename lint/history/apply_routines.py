"""What functions, triggers and rules do to the state.

Functions stand under their signature, so that overloads are told apart as PostgreSQL does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import Function, RewriteRule, Table, Trigger
from lint.copying import replace
from lint.history import facts
from lint.history.apply_privileges import default_executors, functions_named
from lint.history.rewriting import names_function
from lint.history.routines import with_setting
from lint.history.state import handles

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.history.state import State


@handles(facts.CreateFunction)
def _create_function(state: State, change: facts.CreateFunction) -> None:
    schema, name = state.new(change.name)
    made = replace(
        change.function,
        schema=schema,
        name=name,
        arguments=state.signature_types(change.function.arguments),
        returns=state.type_name(change.function.returns) if change.function.returns else "",
        place=state.place,
    )
    existing = state.functions.get(made.signature)
    if existing is not None:  # OR REPLACE keeps owner and privileges
        made = replace(made, owner=existing.owner, executors=existing.executors)
    else:
        made = replace(made, owner=state.role, executors=default_executors(state, schema))
    state.functions[made.signature] = made
    state.argument_names[made.signature] = change.argument_names


@handles(facts.AlterFunction)
def _alter_function(state: State, change: facts.AlterFunction) -> None:
    for function in functions_named(state, change.routine):
        altered = replace(function, **change.changes)
        for name in change.reset:
            altered = _reset(altered, name.lower())
        for setting in change.settings:
            name, _, value = setting.partition("=")
            is_default = value.lower() == "default"
            altered = _reset(altered, name) if is_default else with_setting(altered, name, value)
        if altered.owner != function.owner:
            altered = replace(altered, executors=tuple(e for e in altered.executors if e != altered.owner))
        _swap(state, function, altered)


def _reset(function: Function, name: str) -> Function:
    if name == "all":
        return replace(function, search_path=None, settings=())
    if name == "search_path":
        return replace(function, search_path=None)
    return replace(function, settings=tuple(s for s in function.settings if not s.startswith(f"{name}=")))


def _swap(state: State, old: Function, new: Function) -> None:
    """Store a function under its new signature, and tell the triggers that run it."""
    del state.functions[old.signature]
    state.functions[new.signature] = new
    state.argument_names[new.signature] = state.argument_names.get(old.signature, ())
    if new.qualified == old.qualified:
        return
    for table in list(state.tables.values()):
        if any(trigger.function == old.qualified for trigger in table.triggers):
            triggers = tuple(
                replace(one, function=new.qualified) if one.function == old.qualified else one
                for one in table.triggers
            )
            state.put(replace(table, triggers=triggers))


@handles(facts.DropFunction)
def _drop_function(state: State, change: facts.DropFunction) -> None:
    for function in functions_named(state, change.routine):
        del state.functions[function.signature]
        if change.cascade:
            _drop_callers(state, function)


def _drop_callers(state: State, function: Function) -> None:
    """Remove triggers, policies and views that call a function that is gone."""
    if any(one.qualified == function.qualified for one in state.functions.values()):
        return
    for table in list(state.tables.values()):
        left = _without_calls(table, function)
        if left != table:
            state.put(left)
    for key, view in list(state.views.items()):
        if names_function(view.definition, function.schema, function.name):
            state.apply_one(facts.DropView(tuple(key.split(".", 1)), cascade=True))


def _without_calls(table: Table, function: Function) -> Table:
    def calls(text: str | None) -> bool:
        return text is not None and names_function(text, function.schema, function.name)

    return replace(
        table,
        policies=tuple(p for p in table.policies if not any(calls(text) for _, text in p.clauses())),
        triggers=tuple(one for one in table.triggers if one.function != function.qualified),
        columns=tuple(replace(c, default=None) if calls(c.default) else c for c in table.columns),
        constraints=tuple(one for one in table.constraints if not calls(one.definition)),
    )


# Triggers


@handles(facts.CreateTrigger)
def _create_trigger(state: State, change: facts.CreateTrigger) -> None:
    key = state.key(change.table)
    if key in state.views:
        return  # a trigger of a view is no property of a table
    table = state.table(change.table)
    trigger = replace(change.trigger, function=_function_key(state, change.function), place=state.place)
    others = tuple(one for one in table.triggers if one.name != trigger.name)
    state.put(replace(table, triggers=(*others, trigger)))


def _function_key(state: State, name: facts.Name) -> str:
    if len(name) > 1:
        return f"{name[-2]}.{name[-1]}"
    found = functions_named(state, (name, None))
    return found[0].qualified if found else f"{state.creation_schema}.{name[0]}"


@handles(facts.ChangeTrigger)
def _change_trigger(state: State, change: facts.ChangeTrigger) -> None:
    def changed(trigger: Trigger) -> Trigger:
        if change.trigger not in {None, trigger.name}:
            return trigger
        enabled = trigger.enabled if change.enabled is None else change.enabled
        return replace(trigger, enabled=enabled, name=change.to or trigger.name)

    _with_triggers(state, change.table, changed)


def _with_triggers(state: State, name: facts.Name, changed: Callable[[Trigger], Trigger]) -> None:
    table: Table = state.table(name)
    if table.triggers:
        state.put(replace(table, triggers=tuple(changed(one) for one in table.triggers)))


@handles(facts.DropTrigger)
def _drop_trigger(state: State, change: facts.DropTrigger) -> None:
    table = state.table(change.table)
    if table.triggers:
        left = tuple(one for one in table.triggers if one.name != change.trigger)
        state.put(replace(table, triggers=left))


# Rules


@handles(facts.CreateRule)
def _create_rule(state: State, change: facts.CreateRule) -> None:
    key = state.key(change.table)
    if key in state.views:
        return
    table = state.table(change.table)
    reads = tuple(name for name in state.reads(change.reads) if name not in {key, "new", "old"})
    reads = tuple(name for name in reads if name.partition(".")[2] not in {"new", "old"})
    rule = RewriteRule(change.name, change.event, change.definition, reads, state.place)
    others = tuple(one for one in table.rules if one.name != change.name)
    state.put(replace(table, rules=(*others, rule)))


@handles(facts.DropRule)
def _drop_rule(state: State, change: facts.DropRule) -> None:
    table = state.table(change.table)
    if table.rules:
        state.put(replace(table, rules=tuple(one for one in table.rules if one.name != change.rule)))
