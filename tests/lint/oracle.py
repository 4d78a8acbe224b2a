"""Facts of SQL as PostgreSQL's own parser sees them, to hold the lint's front end against.

`theirs` walks the parse tree of pglast (libpg_query), `ours` the facts of `lint.history`; both give
(line, fact) with facts as plain tuples, expressions deparsed by pglast. pglast is GPL and stands in
tests and benches only: nothing of it is installed with the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pglast
from pglast import ast, enums
from pglast.stream import RawStream

from lint.catalogue import Column
from lint.history import facts
from lint.history.columns import stored_default
from lint.history.sql import Script, Statement, psql_blanked, statements
from lint.history.statements import statement_facts
from lint.history.types import _ALIASES, SERIALS

Found = tuple[int, tuple[Any, ...]]
_T = enums.AlterTableType
_C = enums.ConstrType
_O = enums.ObjectType
_ACTIONS = {"a": "", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@cache
def expression(text: str) -> str:
    """Return an expression in one spelling; as written when PostgreSQL cannot parse it."""
    try:
        return str(RawStream()(pglast.parse_sql(f"SELECT ({text})")[0].stmt.targetList[0].val))
    except pglast.parser.ParseError:
        return f"unparsed: {text}"


def _deparsed(node: Any) -> str | None:
    return None if node is None else expression(RawStream()(node))


def _relation(node: Any) -> tuple[str, ...]:
    return (node.schemaname, node.relname) if node.schemaname else (node.relname,)


def _strings(nodes: Any) -> tuple[str, ...]:
    return tuple(node.sval for node in nodes or ())


def _role(node: Any) -> str:
    words = {
        enums.RoleSpecType.ROLESPEC_CURRENT_ROLE: "current_role",
        enums.RoleSpecType.ROLESPEC_CURRENT_USER: "current_user",
        enums.RoleSpecType.ROLESPEC_SESSION_USER: "session_user",
        enums.RoleSpecType.ROLESPEC_PUBLIC: "public",
    }
    return words.get(node.roletype, node.rolename)


def _roles(nodes: Any) -> tuple[str, ...]:
    return tuple(_role(node) for node in nodes or ())


def _type(node: Any, *, modifiers: bool = True) -> str:
    """Return a type in the spelling of `lint.history.types`."""
    names = _strings(node.names)
    if names[0] == "pg_catalog":
        names = names[1:]
    base = _ALIASES.get(names[-1], names[-1]) if len(names) == 1 else ".".join(map(_quoted, names))
    if len(names) == 1 and base == names[-1] and base != "char":
        base = _quoted(base)
    if len(names) == 1 and names[-1] == "char":
        base = '"char"'
    numbers = [
        m.val.ival for m in node.typmods or () if isinstance(m, ast.A_Const) and hasattr(m.val, "ival")
    ]
    if base == "bpchar" and (numbers or not modifiers):
        base = "character"
    if base == "interval":
        numbers = numbers[1:]
    if base == "numeric" and len(numbers) == 1:
        numbers.append(0)
    text = f"({','.join(str(number or 0) for number in numbers)})" if numbers and modifiers else ""
    first, space, rest = base.partition(" ")
    whole = f"{first}{text}{space}{rest}" if first in {"timestamp", "time"} else base + text
    return whole + ("%type" if node.pct_type else "") + ("[]" if node.arrayBounds else "")


def _quoted(name: str) -> str:
    from lint.catalogue import written_name

    return written_name(name)


# What PostgreSQL's parser says


def theirs(text: str) -> Iterator[Found]:
    """Yield the facts of a text by libpg_query; raise ParseError when it is not PostgreSQL's SQL."""
    blanked = psql_blanked(text)
    encoded = blanked.encode()
    for raw in pglast.parse_sql(blanked):
        start = raw.stmt_location
        while encoded[start : start + 1].isspace():
            start += 1
        read = _READERS.get(type(raw.stmt))
        if read is not None:
            line = encoded[:start].count(b"\n") + 1
            for fact in read(raw.stmt):
                yield line, fact


def _create_policy(node: Any) -> Iterator[tuple[Any, ...]]:
    yield (
        "policy",
        _relation(node.table),
        node.policy_name,
        bool(node.permissive),
        node.cmd_name,
        _roles(node.roles),
        _deparsed(node.qual),
        _deparsed(node.with_check),
    )


def _alter_policy(node: Any) -> Iterator[tuple[Any, ...]]:
    roles = _roles(node.roles) if node.roles else None
    yield (
        "alter policy",
        _relation(node.table),
        node.policy_name,
        roles,
        _deparsed(node.qual),
        _deparsed(node.with_check),
    )


def _column(node: Any) -> tuple[Any, ...]:
    """Return (name, type, nullable, default, generated, identity)."""
    kinds = {one.contype: one for one in node.constraints or ()}
    kind = _type(node.typeName) if node.typeName else ""
    serial = SERIALS.get(kind)
    nullable = not (serial or {_C.CONSTR_NOTNULL, _C.CONSTR_PRIMARY, _C.CONSTR_IDENTITY} & set(kinds))
    default = kinds.get(_C.CONSTR_DEFAULT)
    generated = kinds.get(_C.CONSTR_GENERATED)
    identity = kinds.get(_C.CONSTR_IDENTITY)
    text = _deparsed((generated or default).raw_expr) if generated or default else None
    if text is not None and not generated:  # AddRelationNewConstraints keeps no NULL
        text = stored_default(text, serial or kind)
    return (
        node.colname,
        serial or kind,
        nullable,
        "nextval()" if serial and text is None else text,
        generated is not None,
        {"a": "always", "d": "by default"}[identity.generated_when] if identity else None,
    )


def _kept(node: Any) -> str | None:
    text = _deparsed(node)
    return None if text is None else stored_default(text)


def _constraint(node: Any, table: tuple[str, ...], column: str | None = None) -> Iterator[tuple[Any, ...]]:
    name = node.conname or ""
    own = (column,) if column else ()
    if node.contype in {_C.CONSTR_PRIMARY, _C.CONSTR_UNIQUE}:
        kind = "primary" if node.contype == _C.CONSTR_PRIMARY else "unique"
        distinct = not node.nulls_not_distinct
        yield "key", table, kind, _strings(node.keys) or own, name, distinct, node.indexname
    elif node.contype == _C.CONSTR_FOREIGN:
        yield (
            "foreign key",
            table,
            _strings(node.fk_attrs) or own,
            _relation(node.pktable),
            _strings(node.pk_attrs),
            _ACTIONS[node.fk_del_action],
            _ACTIONS[node.fk_upd_action],
            _strings(node.fk_del_set_cols),
            node.fk_matchtype == "f",
            not node.skip_validation,
            name,
        )
    elif node.contype == _C.CONSTR_CHECK:
        yield "check", table, name, _deparsed(node.raw_expr)
    elif node.contype == _C.CONSTR_EXCLUSION:
        yield "exclusion", table, name


def _elements(nodes: Any, table: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    for node in nodes or ():
        if isinstance(node, ast.ColumnDef):
            for constraint in node.constraints or ():
                yield from _constraint(constraint, table, node.colname)
        elif isinstance(node, ast.Constraint):
            yield from _constraint(node, table)


def _create_table(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.relation.relpersistence == "t" or node.relation.schemaname == "pg_temp":
        return
    table = _relation(node.relation)
    elements = node.tableElts or ()
    keys = [e for e in elements if isinstance(e, ast.Constraint) and e.contype == _C.CONSTR_PRIMARY]
    primary = {name for key in keys for name in _strings(key.keys)}
    columns = tuple(_column(e) for e in elements if isinstance(e, ast.ColumnDef))
    partition = node.partbound is not None
    above = tuple(_relation(one) for one in node.inhRelations or ())
    yield (
        "table",
        table,
        tuple((n, t, null and n not in primary, d, g, i) for n, t, null, d, g, i in columns),
        above if partition else (),
        () if partition else above,
        tuple(_relation(e.relation) for e in elements if isinstance(e, ast.TableLikeClause)),
        bool(node.if_not_exists),
        node.partspec is not None,
    )
    yield from _elements(elements, table)


def _create_foreign_table(node: Any) -> Iterator[tuple[Any, ...]]:
    yield from _create_table(node.base)


def _create_table_as(node: Any) -> Iterator[tuple[Any, ...]]:
    into = node.into.rel
    if into.relpersistence == "t" or into.schemaname == "pg_temp":
        return
    if node.objtype == _O.OBJECT_MATVIEW:
        yield "view", _relation(into), True, False, False, _strings(node.into.colNames)
    else:
        yield "copy", _relation(into), bool(node.if_not_exists)


def _select(node: Any) -> Iterator[tuple[Any, ...]]:
    while node.larg is not None:
        node = node.larg
    into = node.intoClause
    if into is not None and into.rel.relpersistence != "t":
        yield "copy", _relation(into.rel), False


_SECURITY = {
    _T.AT_EnableRowSecurity: (True, None),
    _T.AT_DisableRowSecurity: (False, None),
    _T.AT_ForceRowSecurity: (None, True),
    _T.AT_NoForceRowSecurity: (None, False),
}


def _alter_table(node: Any) -> Iterator[tuple[Any, ...]]:
    relation = _relation(node.relation)
    for command in node.cmds:
        yield from _alteration(command, relation, node.objtype)


def _alteration(  # noqa: C901 - one branch for each kind of command
    command: Any, table: tuple[str, ...], kind: Any
) -> Iterator[tuple[Any, ...]]:
    what = command.subtype
    is_table = kind in {_O.OBJECT_TABLE, _O.OBJECT_FOREIGN_TABLE}
    if what in _SECURITY:
        yield ("row security", table, *_SECURITY[what])
    elif what == _T.AT_ChangeOwner and kind != _O.OBJECT_INDEX:
        if kind != _O.OBJECT_TYPE:
            yield "owner", table, _role(command.newowner)
    elif what in {_T.AT_SetRelOptions, _T.AT_ResetRelOptions} and kind == _O.OBJECT_VIEW:
        yield "view options", table
    elif not is_table:
        return
    elif what == _T.AT_AddColumn:
        yield "add column", table, _column(command.def_)
        yield from _elements([command.def_], table)
    elif what == _T.AT_DropColumn:
        yield "drop column", table, command.name, command.behavior == enums.DropBehavior.DROP_CASCADE
    elif what == _T.AT_AddConstraint:
        yield from _constraint(command.def_, table)
    elif what == _T.AT_DropConstraint:
        yield "drop constraint", table, command.name
    elif what == _T.AT_ValidateConstraint:
        yield "validate", table, command.name
    elif what in {_T.AT_SetNotNull, _T.AT_DropNotNull}:
        yield "nullable", table, command.name, what == _T.AT_DropNotNull
    elif what == _T.AT_ColumnDefault:
        yield "change column", table, command.name, (("default", _kept(command.def_)),)
    elif what == _T.AT_AlterColumnType:
        yield "change column", table, command.name, (("type", _type(command.def_.typeName)),)
    elif what in {_T.AT_AttachPartition, _T.AT_DetachPartition}:
        parent = table if what == _T.AT_AttachPartition else None
        yield "parent", _relation(command.def_.name), parent
    elif what in {_T.AT_AddInherit, _T.AT_DropInherit}:
        yield "inherit", table, _relation(command.def_), what == _T.AT_DropInherit
    elif what in _TRIGGERS:
        yield "switch trigger", table, command.name or None, _TRIGGERS[what]


_TRIGGERS = {
    _T.AT_EnableTrig: True,
    _T.AT_EnableAlwaysTrig: True,
    _T.AT_EnableReplicaTrig: True,
    _T.AT_EnableTrigAll: True,
    _T.AT_EnableTrigUser: True,
    _T.AT_DisableTrig: False,
    _T.AT_DisableTrigAll: False,
    _T.AT_DisableTrigUser: False,
}


def _index(node: Any) -> Iterator[tuple[Any, ...]]:
    parts = tuple(_part(part) for part in node.indexParams or ())
    yield (
        "index",
        _relation(node.relation),
        node.idxname or "",
        bool(node.unique),
        parts,
        node.accessMethod,
        _deparsed(node.whereClause),
        bool(node.if_not_exists),
        not node.nulls_not_distinct,
    )


def _part(part: Any) -> str | None:
    """Return a part of an index; PostgreSQL takes `(a COLLATE "C")` for the column a (DefineIndex)."""
    inner = part.expr.arg if isinstance(part.expr, ast.CollateClause) else part.expr
    if isinstance(inner, ast.ColumnRef):
        return str(inner.fields[-1].sval)
    return part.name if inner is None else _deparsed(part.expr)


def _is_true(options: Any, name: str) -> bool:
    for option in options or ():
        if option.defname == name:
            value = getattr(option.arg, "sval", None) or getattr(option.arg, "ival", None)
            if isinstance(option.arg, ast.TypeName):
                value = _strings(option.arg.names)[-1]
            if isinstance(option.arg, ast.Boolean):
                value = str(option.arg.boolval)
            return option.arg is None or str(value).lower() not in {"false", "off", "0", "no", "none"}
    return False


def _view(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.view.relpersistence == "t":
        return
    yield (
        "view",
        _relation(node.view),
        False,
        _is_true(node.options, "security_invoker"),
        _is_true(node.options, "security_barrier"),
        _strings(node.aliases),
    )


def _function(node: Any) -> Iterator[tuple[Any, ...]]:
    modes = enums.FunctionParameterMode
    inputs, outputs, columns = [], [], []
    for one in node.parameters or ():
        kind = _type(one.argType, modifiers=False)
        if one.mode == modes.FUNC_PARAM_TABLE:
            columns.append(kind)
            continue
        if one.mode != modes.FUNC_PARAM_OUT or node.is_procedure:
            inputs.append((kind, one.defexpr is not None))
        if one.mode in {modes.FUNC_PARAM_OUT, modes.FUNC_PARAM_INOUT}:
            outputs.append(kind)
    options = {o.defname: o for o in node.options or () if o.defname != "set"}
    body = options["as"].arg if "as" in options else None
    made = columns or outputs
    returns = made[0] if len(made) == 1 else "record" if made else "" if node.is_procedure else "void"
    if node.returnType and not columns:
        returns = _type(node.returnType, modifiers=False)
    if node.is_procedure and outputs:
        returns = "record"
    yield (
        "function",
        _strings(node.funcname),
        ", ".join(kind for kind, _ in inputs),
        sum(not optional for _, optional in inputs),
        bool(node.is_procedure),
        bool(options["security"].arg.boolval) if "security" in options else False,
        _search_path(node.options),
        options["language"].arg.sval.lower() if "language" in options else "sql" if node.sql_body else "",
        options["volatility"].arg.sval if "volatility" in options else "volatile",
        bool(options["leakproof"].arg.boolval) if "leakproof" in options else False,
        returns,
        bool(columns) or bool(node.returnType and node.returnType.setof),
        body[-1].sval if body else None,
    )


def _search_path(options: Any) -> str | None:
    found = None
    for option in options or ():
        if option.defname == "set" and option.arg.name == "search_path":
            values = [one.val.sval for one in option.arg.args or ()]
            found = ", ".join(map(_quoted, values))
    return found


def _trigger(node: Any) -> Iterator[tuple[Any, ...]]:
    bits = ((1 << 2, "insert"), (1 << 3, "delete"), (1 << 4, "update"), (1 << 5, "truncate"))
    timing = {2: "before", 64: "instead of"}.get(node.timing, "after")
    events = tuple(event for bit, event in bits if node.events & bit)
    function = _strings(node.funcname)
    yield "trigger", _relation(node.relation), node.trigname, timing, events, bool(node.row), function


def _rule(node: Any) -> Iterator[tuple[Any, ...]]:
    events = {"CMD_SELECT": "select", "CMD_UPDATE": "update", "CMD_INSERT": "insert", "CMD_DELETE": "delete"}
    yield "rule", _relation(node.relation), node.rulename, events[enums.CmdType(node.event).name]


_GRANTED = {
    _O.OBJECT_TABLE: "relation",
    _O.OBJECT_SEQUENCE: "sequence",
    _O.OBJECT_FUNCTION: "function",
    _O.OBJECT_PROCEDURE: "function",
    _O.OBJECT_ROUTINE: "function",
    _O.OBJECT_SCHEMA: "schema",
}


def _grant(node: Any) -> Iterator[tuple[Any, ...]]:
    kind = _GRANTED.get(node.objtype)
    if kind is None:
        return
    all_in_schema = node.targtype == enums.GrantTargetType.ACL_TARGET_ALL_IN_SCHEMA
    objects: tuple[Any, ...]
    if all_in_schema or kind == "schema":
        objects = _strings(node.objects)
    elif kind == "function":
        objects = tuple(_routine(one) for one in node.objects)
    else:
        objects = tuple(_relation(one) for one in node.objects)
    privileges = node.privileges
    named = ("all",) if privileges is None else tuple(p.priv_name for p in privileges if not p.cols)
    columns = tuple((p.priv_name or "all", _strings(p.cols)) for p in privileges or () if p.cols)
    yield (
        "grant",
        not node.is_grant,
        kind,
        all_in_schema,
        objects,
        named,
        columns,
        _roles(node.grantees),
        bool(node.grant_option),
    )


def _routine(node: Any) -> tuple[Any, ...]:
    if node.args_unspecified:
        return _strings(node.objname), None
    return _strings(node.objname), ", ".join(_type(one, modifiers=False) for one in node.objargs or ())


def _grant_role(node: Any) -> Iterator[tuple[Any, ...]]:
    roles = tuple(one.priv_name for one in node.granted_roles)
    yield "grant role", not node.is_grant, roles, _roles(node.grantee_roles)


def _defaults(node: Any) -> Iterator[tuple[Any, ...]]:
    objects = {
        _O.OBJECT_TABLE: "tables",
        _O.OBJECT_SEQUENCE: "sequences",
        _O.OBJECT_FUNCTION: "functions",
        _O.OBJECT_TYPE: "types",
        _O.OBJECT_SCHEMA: "schemas",
    }
    options = {option.defname: option.arg for option in node.options or ()}
    action = node.action
    named = ("all",) if action.privileges is None else tuple(p.priv_name for p in action.privileges)
    yield (
        "default privileges",
        not action.is_grant,
        objects.get(action.objtype, "other"),
        named,
        _roles(action.grantees),
        _roles(options.get("roles")),
        _strings(options.get("schemas")),
    )


_ROLE_OPTIONS = {
    "superuser": "superuser",
    "bypassrls": "bypass_row_security",
    "canlogin": "login",
    "inherit": "inherit",
    "createrole": "create_role",
    "createdb": "create_database",
    "isreplication": "replication",
}


def _role_options(node: Any) -> dict[str, bool]:
    return {
        _ROLE_OPTIONS[one.defname]: bool(one.arg.boolval)
        for one in node.options or ()
        if one.defname in _ROLE_OPTIONS
    }


def _create_role(node: Any) -> Iterator[tuple[Any, ...]]:
    options = _role_options(node)
    if node.stmt_type == enums.RoleStmtType.ROLESTMT_USER:
        options.setdefault("login", True)
    yield "role", node.role, tuple(sorted(options.items()))
    given = {one.defname: one.arg for one in node.options or ()}
    if "addroleto" in given:
        yield "grant role", False, _roles(given["addroleto"]), (node.role,)
    for members in ("rolemembers", "adminmembers"):
        if members in given:
            yield "grant role", False, (node.role,), _roles(given[members])


def _alter_role(node: Any) -> Iterator[tuple[Any, ...]]:
    members = [one for one in node.options or () if one.defname == "rolemembers"]
    if members:
        yield "grant role", node.action == -1, (_role(node.role),), _roles(members[0].arg)
        return
    yield "role", _role(node.role), tuple(sorted(_role_options(node).items()))


def _setting(role: str | None, database: str | None, node: Any) -> tuple[Any, ...]:
    reset = node.kind in {enums.VariableSetKind.VAR_RESET, enums.VariableSetKind.VAR_RESET_ALL}
    return "setting", role, database, (node.name or "all").lower(), reset


def _alter_role_set(node: Any) -> Iterator[tuple[Any, ...]]:
    yield _setting(_role(node.role) if node.role else None, node.database, node.setstmt)


def _alter_database_set(node: Any) -> Iterator[tuple[Any, ...]]:
    yield _setting(None, node.dbname, node.setstmt)


_DROPPED = {
    _O.OBJECT_TABLE: "table",
    _O.OBJECT_FOREIGN_TABLE: "table",
    _O.OBJECT_VIEW: "view",
    _O.OBJECT_MATVIEW: "view",
    _O.OBJECT_INDEX: "index",
    _O.OBJECT_SEQUENCE: "sequence",
    _O.OBJECT_TYPE: "type",
    _O.OBJECT_DOMAIN: "type",
}


def _drop(node: Any) -> Iterator[tuple[Any, ...]]:
    kind = _DROPPED.get(node.removeType)
    for one in node.objects:
        if node.removeType in {_O.OBJECT_POLICY, _O.OBJECT_TRIGGER, _O.OBJECT_RULE}:
            names = _strings(one)
            word = {_O.OBJECT_POLICY: "policy", _O.OBJECT_TRIGGER: "trigger"}.get(node.removeType, "rule")
            yield f"drop {word}", names[:-1], names[-1]
        elif node.removeType in {_O.OBJECT_FUNCTION, _O.OBJECT_PROCEDURE, _O.OBJECT_ROUTINE}:
            yield ("drop function", *_routine(one))
        elif node.removeType == _O.OBJECT_SCHEMA:
            yield "drop schema", one.sval
        elif kind == "type":
            yield "drop type", _strings(one.names)
        elif kind is not None:
            yield f"drop {kind}", _strings(one)


def _rename(node: Any) -> Iterator[tuple[Any, ...]]:
    what, to = node.renameType, node.newname
    if what == _O.OBJECT_POLICY:
        yield "rename policy", _relation(node.relation), node.subname, to
    elif what in {
        _O.OBJECT_TABLE,
        _O.OBJECT_VIEW,
        _O.OBJECT_MATVIEW,
        _O.OBJECT_FOREIGN_TABLE,
        _O.OBJECT_SEQUENCE,
    }:
        yield "rename", _relation(node.relation), to
    elif what == _O.OBJECT_COLUMN and node.relationType != _O.OBJECT_TYPE:
        yield "rename column", _relation(node.relation), node.subname, to
    elif what == _O.OBJECT_TABCONSTRAINT:
        yield "rename constraint", _relation(node.relation), node.subname, to
    elif what == _O.OBJECT_SCHEMA:
        yield "rename schema", node.subname, to
    elif what == _O.OBJECT_ROLE:
        yield "rename role", node.subname, to
    elif what in {_O.OBJECT_FUNCTION, _O.OBJECT_PROCEDURE, _O.OBJECT_ROUTINE}:
        yield ("alter function", *_routine(node.object), ("name",))


def _alter_function(node: Any) -> Iterator[tuple[Any, ...]]:
    named = {"security": "security_definer", "volatility": "volatility", "leakproof": "leakproof"}
    changes = tuple(sorted(named[o.defname] for o in node.actions if o.defname in named))
    yield ("alter function", *_routine(node.func), changes)


_ROUTINES = {_O.OBJECT_FUNCTION, _O.OBJECT_PROCEDURE, _O.OBJECT_ROUTINE}


def _set_schema(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.relation is not None:
        yield "set schema", _relation(node.relation), node.newschema
    elif node.objectType in _ROUTINES:
        yield ("alter function", *_routine(node.object), ("schema",))


def _set_owner(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.objectType in _ROUTINES:
        yield ("alter function", *_routine(node.object), ("owner",))
    elif node.objectType == _O.OBJECT_SCHEMA:
        yield "owner of", node.object.sval, _role(node.newowner)


def _schema(node: Any) -> Iterator[tuple[Any, ...]]:
    owner = _role(node.authrole) if node.authrole else None
    yield "schema", node.schemaname or owner, owner
    for element in node.schemaElts or ():
        yield from _READERS[type(element)](element)


def _comment(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.objtype == _O.OBJECT_TABLE:
        yield "comment", _strings(node.object), node.comment


def _enum(node: Any) -> Iterator[tuple[Any, ...]]:
    yield "type", _strings(node.typeName), _strings(node.vals)


def _domain(node: Any) -> Iterator[tuple[Any, ...]]:
    yield "type", _strings(node.domainname), ()


def _sequence(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.sequence.relpersistence != "t":
        yield "sequence", _relation(node.sequence)


def _drop_role(node: Any) -> Iterator[tuple[Any, ...]]:
    for one in node.roles:
        yield "drop role", _role(one)


def _set_variable(node: Any) -> Iterator[tuple[Any, ...]]:
    if node.name == "search_path" and node.kind == enums.VariableSetKind.VAR_SET_VALUE:
        yield "search path", tuple(one.val.sval for one in node.args if one.val.sval)
    elif node.kind == enums.VariableSetKind.VAR_RESET_ALL or (
        node.name == "search_path" and node.kind == enums.VariableSetKind.VAR_RESET
    ):
        yield "search path", ("public",)


def _publication(node: Any) -> Iterator[tuple[Any, ...]]:
    yield "publication", node.pubname, "create"


_READERS: dict[type, Callable[[Any], Iterator[tuple[Any, ...]]]] = {
    ast.CreatePolicyStmt: _create_policy,
    ast.AlterPolicyStmt: _alter_policy,
    ast.CreateStmt: _create_table,
    ast.CreateForeignTableStmt: _create_foreign_table,
    ast.CreateTableAsStmt: _create_table_as,
    ast.SelectStmt: _select,
    ast.AlterTableStmt: _alter_table,
    ast.IndexStmt: _index,
    ast.ViewStmt: _view,
    ast.CreateFunctionStmt: _function,
    ast.AlterFunctionStmt: _alter_function,
    ast.CreateTrigStmt: _trigger,
    ast.RuleStmt: _rule,
    ast.GrantStmt: _grant,
    ast.GrantRoleStmt: _grant_role,
    ast.AlterDefaultPrivilegesStmt: _defaults,
    ast.CreateRoleStmt: _create_role,
    ast.AlterRoleStmt: _alter_role,
    ast.AlterRoleSetStmt: _alter_role_set,
    ast.AlterDatabaseSetStmt: _alter_database_set,
    ast.DropStmt: _drop,
    ast.RenameStmt: _rename,
    ast.AlterObjectSchemaStmt: _set_schema,
    ast.AlterOwnerStmt: _set_owner,
    ast.CreateSchemaStmt: _schema,
    ast.CommentStmt: _comment,
    ast.CreateEnumStmt: _enum,
    ast.CreateDomainStmt: _domain,
    ast.CreateSeqStmt: _sequence,
    ast.DropRoleStmt: _drop_role,
    ast.VariableSetStmt: _set_variable,
    ast.CreatePublicationStmt: _publication,
}


# What the lint's front end says


def ours(text: str) -> Iterator[Found]:
    """Yield the facts of a text as the lint reads them."""
    script = Script(text)
    for statement in statements(script, lambda *_: None):
        line, _ = script.line_and_column(statement.start)
        for fact in of_statement(statement):
            yield line, fact


def of_statement(statement: Statement) -> Iterator[tuple[Any, ...]]:
    """Yield the facts of one statement as tuples."""
    for change in statement_facts(statement):
        show = _SHOWN.get(type(change))
        if show is not None:
            yield from show(change)


def _text(written: str | None) -> str | None:
    return None if written is None else expression(written)


def _shown_column(column: Column) -> tuple[Any, ...]:
    default = column.default if column.default == "nextval()" else _text(column.default)
    return column.name, column.type, column.nullable, default, column.generated, column.identity


def _shown_constraints(change: Any, index: str | None = None) -> Iterator[tuple[Any, ...]]:
    for key in change.keys:
        yield "key", change.name, key.kind, key.columns, key.name, key.nulls_distinct, index
    for key in change.foreign_keys:
        yield (
            "foreign key",
            change.name,
            key.columns,
            tuple(key.target.split(".")),
            key.target_columns,
            key.on_delete,
            key.on_update,
            key.set_columns,
            key.match_full,
            key.validated,
            key.name,
        )
    for one in change.constraints:
        if one.kind == "check":
            yield "check", change.name, one.name, _text(one.definition)
        else:
            yield "exclusion", change.name, one.name


def _shown_table(change: facts.CreateTable) -> Iterator[tuple[Any, ...]]:
    if change.query is not None:
        yield "copy", change.name, change.if_not_exists
        return
    yield (
        "table",
        change.name,
        tuple(_shown_column(column) for column in change.columns),
        (change.parent,) if change.parent else (),
        change.inherits,
        tuple(like.name for like in change.like),
        change.if_not_exists,
        change.partition_key is not None,
    )
    yield from _shown_constraints(change)


def _shown_policy(change: facts.CreatePolicy) -> Iterator[tuple[Any, ...]]:
    p = change.policy
    yield (
        "policy",
        change.table,
        p.name,
        p.permissive,
        p.command,
        p.roles,
        _text(p.using),
        _text(p.check),
    )


def _shown_altered_policy(change: facts.AlterPolicy) -> Iterator[tuple[Any, ...]]:
    yield "alter policy", change.table, change.policy, change.roles, _text(change.using), _text(change.check)


def _shown_added(change: facts.AddConstraint) -> Iterator[tuple[Any, ...]]:
    if not change.is_index:
        yield from _shown_constraints(change, change.index)
        return
    key = change.keys[0]
    yield (
        "index",
        change.name,
        key.name,
        key.kind == "unique",
        tuple(part if part in key.columns else _text(part) for part in key.parts),
        key.method,
        _text(key.predicate),
        change.if_not_exists,
        key.nulls_distinct,
    )


def _shown_column_added(change: facts.AddColumn) -> Iterator[tuple[Any, ...]]:
    yield "add column", change.name, _shown_column(change.column)
    yield from _shown_constraints(change)


def _shown_change(change: facts.ChangeColumn) -> Iterator[tuple[Any, ...]]:
    shown = {k: _text(v) if k == "default" else v for k, v in change.changes.items()}  # type: ignore[arg-type]
    if set(shown) in ({"default"}, {"type"}):
        yield "change column", change.name, change.column, tuple(shown.items())


def _shown_constraint_change(change: facts.ChangeConstraint) -> Iterator[tuple[Any, ...]]:
    if change.to:
        yield "rename constraint", change.name, change.constraint, change.to
    elif change.validated:
        yield "validate", change.name, change.constraint


def _shown_view(change: facts.CreateView) -> Iterator[tuple[Any, ...]]:
    if not change.temporary:
        yield (
            "view",
            change.name,
            change.materialized,
            change.security_invoker,
            change.security_barrier,
            change.columns,
        )


def _shown_function(change: facts.CreateFunction) -> Iterator[tuple[Any, ...]]:
    f = change.function
    atomic = f.language == "sql" and f.body.upper().startswith(("BEGIN", "RETURN"))
    yield (
        "function",
        change.name,
        f.arguments,
        f.required_arguments,
        f.kind == "procedure",
        f.security_definer,
        f.search_path,
        f.language,
        f.volatility,
        f.leakproof,
        f.returns,
        f.returns_set,
        None if atomic else f.body,
    )


def _shown_trigger(change: facts.CreateTrigger) -> Iterator[tuple[Any, ...]]:
    t = change.trigger
    yield "trigger", change.table, t.name, t.timing, t.events, t.row_level, change.function


def _shown_trigger_change(change: facts.ChangeTrigger) -> Iterator[tuple[Any, ...]]:
    if change.enabled is not None:
        yield "switch trigger", change.table, change.trigger, change.enabled


def _shown_grant(change: facts.GrantPrivileges) -> Iterator[tuple[Any, ...]]:
    objects: tuple[Any, ...] = change.schemas or change.routines or change.relations
    if change.kind == "schema":
        objects = tuple(name[-1] for name in change.relations)
    yield (
        "grant",
        change.revoked,
        change.kind,
        bool(change.schemas),
        objects,
        change.privileges,
        change.column_privileges,
        change.grantees,
        change.grantable or change.option_only,
    )


def _shown_role(change: facts.AlterRole) -> Iterator[tuple[Any, ...]]:
    given = {name: getattr(change, name) for name in _ROLE_OPTIONS.values()}
    yield "role", change.name, tuple(sorted((k, v) for k, v in given.items() if v is not None))


def _shown_defaults(change: facts.DefaultPrivileges) -> Iterator[tuple[Any, ...]]:
    yield (
        "default privileges",
        change.revoked,
        change.objects,
        change.privileges,
        change.grantees,
        change.owners,
        change.schemas,
    )


def _shown_altered_function(change: facts.AlterFunction) -> Iterator[tuple[Any, ...]]:
    yield ("alter function", *change.routine, tuple(sorted(change.changes)))


_SHOWN: dict[type, Callable[[Any], Iterator[tuple[Any, ...]]]] = {
    facts.CreateTable: _shown_table,
    facts.CreatePolicy: _shown_policy,
    facts.AlterPolicy: _shown_altered_policy,
    facts.AddConstraint: _shown_added,
    facts.AddColumn: _shown_column_added,
    facts.ChangeColumn: _shown_change,
    facts.ChangeConstraint: _shown_constraint_change,
    facts.CreateView: _shown_view,
    facts.CreateFunction: _shown_function,
    facts.CreateTrigger: _shown_trigger,
    facts.ChangeTrigger: _shown_trigger_change,
    facts.GrantPrivileges: _shown_grant,
    facts.AlterRole: _shown_role,
    facts.DefaultPrivileges: _shown_defaults,
    facts.AlterFunction: _shown_altered_function,
    facts.RowSecurityChange: lambda c: [("row security", c.name, c.enabled, c.forced)],
    facts.SetOwner: lambda c: [("owner", c.name, c.owner)],
    facts.AlterView: lambda c: [("view options", c.name)],
    facts.DropColumn: lambda c: [("drop column", c.name, c.column, c.cascade)],
    facts.DropConstraint: lambda c: [("drop constraint", c.name, c.constraint)],
    facts.SetNullable: lambda c: [("nullable", c.name, c.column, c.nullable)],
    facts.SetParent: lambda c: [("parent", c.name, c.parent)],
    facts.SetInheritance: lambda c: [("inherit", c.name, c.parent, c.stopped)],
    facts.CreateRule: lambda c: [("rule", c.table, c.name, c.event)],
    facts.GrantRoles: lambda c: [("grant role", c.revoked, c.roles, c.members)],
    facts.ChangeSetting: lambda c: [("setting", c.role, c.database, c.name, c.value is None)],
    facts.DropTable: lambda c: [("drop table", c.name)],
    facts.DropView: lambda c: [("drop view", c.name)],
    facts.DropIndex: lambda c: [("drop index", c.name)],
    facts.DropSequence: lambda c: [("drop sequence", c.name)],
    facts.DropType: lambda c: [("drop type", c.name)],
    facts.DropSchema: lambda c: [("drop schema", c.name)],
    facts.DropPolicy: lambda c: [("drop policy", c.table, c.policy)],
    facts.DropTrigger: lambda c: [("drop trigger", c.table, c.trigger)],
    facts.DropRule: lambda c: [("drop rule", c.table, c.rule)],
    facts.DropFunction: lambda c: [("drop function", *c.routine)],
    facts.DropRole: lambda c: [("drop role", c.name)],
    facts.RenamePolicy: lambda c: [("rename policy", c.table, c.policy, c.to)],
    facts.RenameTable: lambda c: [("rename", c.name, c.to)],
    facts.RenameColumn: lambda c: [("rename column", c.name, c.column, c.to)],
    facts.RenameSchema: lambda c: [("rename schema", c.name, c.to)],
    facts.RenameRole: lambda c: [("rename role", c.name, c.to)],
    facts.SetSchema: lambda c: [("set schema", c.name, c.schema)],
    facts.SetOwnerOf: lambda c: [("owner of", c.name[-1], c.owner)] if c.kind == "schema" else [],
    facts.CreateSchema: lambda c: [("schema", c.name, c.owner)],
    facts.InSchema: lambda c: [f for one in c.changes for f in _SHOWN[type(one)](one)],
    facts.CommentOn: lambda c: [("comment", c.name, c.text)],
    facts.CreateType: lambda c: [("type", c.name, c.data_type.labels)],
    facts.CreateSequence: lambda c: [("sequence", c.name)],
    facts.SetSearchPath: lambda c: [("search path", c.schemas)],
    facts.Publish: lambda c: [("publication", c.publication, "create")] if c.action == "create" else [],
    facts.NotAnalysed: lambda c: [("NOT ANALYSED", c.reason)],
}


# Comparing


def compared(text: str) -> tuple[list[Found], list[Found], list[Found]]:
    """Return (agreed, missed, extra) facts of a text; statements that PostgreSQL refuses are left out."""
    try:
        return _matched(list(ours(text)), list(theirs(text)))
    except pglast.parser.ParseError:
        pass
    agreed: list[Found] = []
    missed: list[Found] = []
    extra: list[Found] = []
    script = Script(text)
    for statement in statements(script, lambda *_: None):
        line, _ = script.line_and_column(statement.start)
        try:
            found = _matched([(line, one) for one in of_statement(statement)], _theirs_at(statement, line))
        except pglast.parser.ParseError:
            continue
        agreed += found[0]
        missed += found[1]
        extra += found[2]
    return agreed, missed, extra


def _theirs_at(statement: Statement, line: int) -> list[Found]:
    return [(line, fact) for _, fact in theirs(psql_blanked(statement.source))]


def _matched(mine: list[Found], other: list[Found]) -> tuple[list[Found], list[Found], list[Found]]:
    agreed: list[Found] = []
    missed: list[Found] = []
    left = [fact for _, fact in mine]
    for line, fact in other:
        if fact in left:
            left.remove(fact)
            agreed.append((line, fact))
        else:
            missed.append((line, fact))
    extra: list[Found] = []
    for line, fact in reversed(mine):
        if fact in left:
            left.remove(fact)
            extra.append((line, fact))
    return agreed, missed, extra
