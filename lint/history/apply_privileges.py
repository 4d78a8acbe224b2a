"""What grants, default privileges, roles and settings do to the state.

"ALL" becomes the privileges it stands for (PostgreSQL manual, table 5.1), and ALL … IN SCHEMA the
objects there are at that moment, since that is what PostgreSQL does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lint.catalogue import PUBLIC, DefaultPrivilege, Function, Grant, Membership, Role, Setting
from lint.copying import replace
from lint.history import facts
from lint.history.state import RUNNING, handles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.history.facts import Objects, Routine
    from lint.history.state import State

_EVERY: dict[Objects, tuple[str, ...]] = {
    "relation": ("delete", "insert", "references", "select", "trigger", "truncate", "update"),
    "sequence": ("select", "update", "usage"),
    "function": ("execute",),
    "schema": ("create", "usage"),
}
_EVERY_COLUMN = ("insert", "references", "select", "update")
_DEFAULT_KINDS: dict[str, Objects] = {"tables": "relation", "sequences": "sequence", "functions": "function"}
_ATTRIBUTES = (
    "superuser",
    "bypass_row_security",
    "login",
    "inherit",
    "create_role",
    "create_database",
    "replication",
)


@handles(facts.GrantPrivileges)
def _privileges(state: State, change: facts.GrantPrivileges) -> None:
    grantees = tuple(state.current_role(name) for name in change.grantees)
    if change.kind == "function":
        for function in _functions(state, change):
            _execute(state, function, grantees, change)
        return
    for relation, kind in _objects(state, change):
        named = _expanded(change.privileges, kind)
        _change_grants(state, relation, kind, named, grantees, change)
        if kind == "relation":
            _on_columns(state, relation, grantees, change)


def _objects(state: State, change: facts.GrantPrivileges) -> Iterator[tuple[str, Objects]]:
    if change.kind == "schema":
        for name in change.relations:
            yield name[-1], "schema"
        return
    for name in change.relations:
        key = state.key(name)
        yield key, "sequence" if key in state.sequences else change.kind
    for schema in change.schemas:
        if change.kind == "sequence":
            yield from ((key, "sequence") for key, one in state.sequences.items() if one.schema == schema)
            continue
        yield from ((key, "relation") for key, table in state.tables.items() if table.schema == schema)
        yield from ((key, "relation") for key, view in state.views.items() if view.schema == schema)


def _expanded(privileges: tuple[str, ...], kind: Objects) -> tuple[str, ...]:
    return _EVERY[kind] if "all" in privileges else privileges


def _owner_of(state: State, relation: str, kind: Objects) -> str | None:
    if kind == "schema":
        return state.schemas.get(relation)
    item = state.tables.get(relation) or state.views.get(relation) or state.sequences.get(relation)
    return item.owner if item is not None else None


def _change_grants(
    state: State,
    relation: str,
    kind: Objects,
    privileges: tuple[str, ...],
    grantees: tuple[str, ...],
    change: facts.GrantPrivileges,
    column: str | None = None,
) -> None:
    """Make or take away grants on one object, or on one column of it."""
    named = {(relation, privilege, grantee, column) for privilege in privileges for grantee in grantees}
    before = [g for g in state.grants if (g.relation, g.privilege, g.grantee, g.column) in named]
    if change.option_only:
        state.grants = [replace(g, grantable=False) if g in before else g for g in state.grants]
        return
    if before or change.revoked:
        state.grants = [
            g for g in state.grants if (g.relation, g.privilege, g.grantee, g.column) not in named
        ]
    if kind == "relation" and column is None:
        told = {(relation, privilege, grantee) for privilege in privileges for grantee in grantees}
        (state.revoked.update if change.revoked else state.revoked.difference_update)(told)
    if change.revoked:
        _revoke_columns(state, named)
        return
    grantable = {(g.privilege, g.grantee) for g in before if g.grantable}
    owner = _owner_of(state, relation, kind)
    state.grants.extend(
        Grant(
            relation,
            privilege,
            grantee,
            state.place,
            kind if column is None else "column",
            column,
            change.grantable or (privilege, grantee) in grantable,
        )
        for grantee in grantees
        if grantee != owner
        for privilege in privileges
    )


def _revoke_columns(state: State, named: set[tuple[str, str, str, str | None]]) -> None:
    """REVOKE on a table takes the privilege from each of its columns too."""
    state.grants = [
        g for g in state.grants if g.column is None or (g.relation, g.privilege, g.grantee, None) not in named
    ]


def _on_columns(
    state: State, relation: str, grantees: tuple[str, ...], change: facts.GrantPrivileges
) -> None:
    for privilege, columns in change.column_privileges:
        named = _EVERY_COLUMN if privilege == "all" else (privilege,)
        for column in columns:
            for key in ((relation, column, what, grantee) for what in named for grantee in grantees):
                if change.revoked and not change.option_only:
                    state.column_revokes[key] = state.place
                else:
                    state.column_revokes.pop(key, None)
            _change_grants(state, relation, "relation", named, grantees, change, column)


def _functions(state: State, change: facts.GrantPrivileges) -> list[Function]:
    found = [one for routine in change.routines for one in functions_named(state, routine)]
    kinds = {change.routine_kind} if change.routine_kind else {"function", "procedure"}
    everywhere = (one for one in state.functions.values() if one.schema in change.schemas)
    return [*found, *(one for one in everywhere if one.kind in kinds)]


def functions_named(state: State, routine: Routine) -> list[Function]:
    """Return the function a routine's name means: by its types, or the only one of that name."""
    name, types = routine
    schemas = (name[-2],) if len(name) > 1 else (*state.search_path, "public")
    for schema in schemas:
        qualified = f"{schema}.{name[-1]}"
        if types is not None:
            one = state.functions.get(f"{qualified}({state.signature_types(types)})")
            found = [one] if one is not None else []
        else:
            found = [one for one in state.functions.values() if one.qualified == qualified]
        if found:
            return found
    return []


def _execute(
    state: State, function: Function, grantees: tuple[str, ...], change: facts.GrantPrivileges
) -> None:
    told = {(function.signature, "execute", grantee) for grantee in grantees}
    if not change.option_only:
        (state.revoked.update if change.revoked else state.revoked.difference_update)(told)
    left = tuple(one for one in function.executors if one not in grantees)
    if not change.revoked:
        left += tuple(one for one in grantees if one != function.owner)
    if not change.option_only:
        state.functions[function.signature] = replace(function, executors=tuple(sorted(left)))


# Default privileges


@handles(facts.DefaultPrivileges)
def _default_privileges(state: State, change: facts.DefaultPrivileges) -> None:
    named = tuple("" if name in RUNNING else name for name in map(state.current_role, change.owners))
    owners = named or (state.role or "",)
    kind = _DEFAULT_KINDS.get(change.objects)
    privileges = _expanded(change.privileges, kind) if kind else change.privileges
    if change.objects == "functions" and not change.schemas and PUBLIC in change.grantees:
        (state.closed_functions.update if change.revoked else state.closed_functions.difference_update)(
            owners
        )
    made = [
        DefaultPrivilege(owner, schema, change.objects, privilege, grantee, state.place)
        for owner in owners
        for schema in change.schemas or (None,)
        for grantee in change.grantees
        for privilege in privileges
        if grantee != owner
    ]
    if change.objects == "tables":
        told = {(one.schema, one.privilege, one.grantee) for one in made}
        (state.withheld.update if change.revoked else state.withheld.difference_update)(told)
    others = [one for one in state.default_privileges if one not in made]
    state.default_privileges = others if change.revoked else [*others, *_told(made)]


def _told(made: list[DefaultPrivilege]) -> list[DefaultPrivilege]:
    """Leave out what PostgreSQL does not write down: PUBLIC may execute functions anyway."""
    return [one for one in made if (one.objects, one.grantee, one.schema) != ("functions", PUBLIC, None)]


def grant_defaults(state: State, key: str, objects: Literal["tables", "sequences"]) -> None:
    """Give a new relation what default privileges of its maker say.

    A maker that is not known may be any role that default privileges name: projects write them for
    the role that runs their migrations.
    """
    schema = key.partition(".")[0]
    state.revoked = {one for one in state.revoked if one[0] != key}
    withheld = ((what, role) for within, what, role in state.withheld if within in {None, schema})
    state.revoked |= {(key, what, role) for what, role in withheld}
    if not state.default_privileges:
        return
    kind = _DEFAULT_KINDS[objects]
    known = {grant for grant in state.grants if grant.relation == key}
    for one in state.default_privileges:
        if one.objects == objects and one.schema in {None, schema} and _is_maker(state, one.owner):
            grant = Grant(key, one.privilege, one.grantee, one.place, kind)
            if grant not in known and one.grantee != state.role:
                known.add(grant)
                state.grants.append(grant)


def _is_maker(state: State, owner: str) -> bool:
    return state.role is None or owner == state.role


def default_executors(state: State, schema: str) -> tuple[str, ...]:
    """Return who may execute a function that is made now."""
    closed = any(_is_maker(state, owner) for owner in state.closed_functions)
    found = set() if closed else {PUBLIC}
    for one in state.default_privileges:
        if one.objects == "functions" and one.schema in {None, schema} and _is_maker(state, one.owner):
            found.add(one.grantee)
    return tuple(sorted(found - {state.role or ""}))


# Roles


@handles(facts.AlterRole)
def _alter_role(state: State, change: facts.AlterRole) -> None:
    name = state.current_role(change.name)
    role = state.roles.get(name) or Role(name, place=state.place)
    values = {field: getattr(change, field) for field in _ATTRIBUTES if getattr(change, field) is not None}
    if values or name not in state.roles:
        state.roles[name] = replace(role, **values, place=state.place)


@handles(facts.RenameRole)
def _rename_role(state: State, change: facts.RenameRole) -> None:
    role = state.roles.pop(change.name, None)
    if role is not None:
        state.roles[change.to] = replace(role, name=change.to)
    _replace_role(state, change.name, change.to)


def _replace_role(state: State, old: str, new: str) -> None:
    """Tell grants, memberships, policies and owners a role's new name."""
    state.grants = [replace(g, grantee=new) if g.grantee == old else g for g in state.grants]
    state.memberships = [
        replace(m, role=new if m.role == old else m.role, member=new if m.member == old else m.member)
        for m in state.memberships
    ]
    for key, table in state.tables.items():
        policies = tuple(
            replace(p, roles=tuple(new if role == old else role for role in p.roles)) if old in p.roles else p
            for p in table.policies
        )
        state.tables[key] = replace(table, policies=policies)
    _reassign(state, old, new)


@handles(facts.DropRole)
def _drop_role(state: State, change: facts.DropRole) -> None:
    state.roles.pop(change.name, None)
    state.memberships = [m for m in state.memberships if change.name not in {m.role, m.member}]
    state.settings = [one for one in state.settings if one.role != change.name]


@handles(facts.GrantRoles)
def _grant_roles(state: State, change: facts.GrantRoles) -> None:
    for role in change.roles:
        for member in (state.current_role(name) for name in change.members):
            _membership(state, role, member, change)


def _membership(state: State, role: str, member: str, change: facts.GrantRoles) -> None:
    existing = next((m for m in state.memberships if (m.role, m.member) == (role, member)), None)
    others = [m for m in state.memberships if m is not existing]
    if change.revoked and not change.option_only:
        state.memberships = others
        return
    if change.revoked and existing is None:
        return
    attributes = state.roles.get(member)
    made = existing or Membership(role, member, inherit=attributes.inherit if attributes else True)
    values = {"inherit": change.inherit, "set_role": change.set_role, "admin": change.admin}
    given = {name: value for name, value in values.items() if value is not None}
    state.memberships = [*others, replace(made, **given, place=state.place)]


@handles(facts.ReassignOwned)
def _reassign_owned(state: State, change: facts.ReassignOwned) -> None:
    for old in change.roles:
        if change.to is not None:
            _reassign(state, old, change.to)
        else:
            _drop_owned(state, old)


def _reassign(state: State, old: str, new: str) -> None:
    for key, table in state.tables.items():
        if table.owner == old:
            state.tables[key] = replace(table, owner=new)
    for key, view in state.views.items():
        if view.owner == old:
            state.views[key] = replace(view, owner=new)
    for key, function in state.functions.items():
        if function.owner == old:
            state.functions[key] = replace(function, owner=new)
    for key, sequence in state.sequences.items():
        if sequence.owner == old:
            state.sequences[key] = replace(sequence, owner=new)
    state.schemas = {name: new if owner == old else owner for name, owner in state.schemas.items()}


def _drop_owned(state: State, role: str) -> None:
    """DROP OWNED BY takes a role's objects, its grants, and it out of the policies that name it."""
    for key in [key for key, table in state.tables.items() if table.owner == role]:
        state.apply_one(facts.DropTable(tuple(key.split(".", 1)), cascade=True))
    for key in [key for key, view in state.views.items() if view.owner == role]:
        del state.views[key]
    for key in [key for key, function in state.functions.items() if function.owner == role]:
        del state.functions[key]
    state.grants = [grant for grant in state.grants if grant.grantee != role]
    state.default_privileges = [
        one for one in state.default_privileges if role not in {one.owner, one.grantee}
    ]
    for key, function in state.functions.items():
        state.functions[key] = replace(function, executors=tuple(e for e in function.executors if e != role))
    for key, table in state.tables.items():
        policies = tuple(
            replace(policy, roles=tuple(one for one in policy.roles if one != role))
            for policy in table.policies
            if policy.roles != (role,)
        )
        state.tables[key] = replace(table, policies=policies)


@handles(facts.ChangeSetting)
def _setting(state: State, change: facts.ChangeSetting) -> None:
    role = state.current_role(change.role) if change.role else None
    name = change.name.lower()
    state.settings = [
        one
        for one in state.settings
        if (one.role, one.database) != (role, change.database) or name not in {one.name, "all"}
    ]
    if change.value is not None and change.value.lower() != "default":
        state.settings.append(Setting(name, change.value, role, change.database, state.place))
