"""The catalogue of a running PostgreSQL database, from its system catalogs.

Any login that can connect can read these (manual, chapter 53); rows of user tables are never read.
Objects that extensions own are left out: their maker decides their row security.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import namedtuple_row

from lint.catalogue import (
    PUBLIC,
    Catalogue,
    Column,
    Command,
    Constraint,
    DataType,
    DefaultPrivilege,
    ForeignKey,
    Function,
    Grant,
    Key,
    Membership,
    Policy,
    PublishedTable,
    RewriteRule,
    Role,
    Sequence,
    Setting,
    Table,
    TableKind,
    Trigger,
    View,
)
from lint.errors import LintError
from lint.live import queries

if TYPE_CHECKING:
    from psycopg.sql import SQL, Composed

_TIMEOUT_SECONDS = 10

_COMMANDS: dict[str, Command] = {
    "*": "all",
    "r": "select",
    "a": "insert",
    "w": "update",
    "d": "delete",
}
_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}
_KINDS: dict[str, TableKind] = {"r": "table", "p": "partitioned", "f": "foreign"}
_PERSISTENCE: dict[str, Literal["permanent", "unlogged", "temporary"]] = {
    "p": "permanent",
    "u": "unlogged",
    "t": "temporary",
}
_IDENTITY: dict[str, Literal["always", "by default"]] = {"a": "always", "d": "by default"}
_VOLATILITY: dict[str, Literal["immutable", "stable", "volatile"]] = {
    "i": "immutable",
    "s": "stable",
    "v": "volatile",
}
_DEFAULT_OBJECTS: dict[str, Literal["tables", "sequences", "functions", "types", "schemas"]] = {
    "r": "tables",
    "S": "sequences",
    "f": "functions",
    "T": "types",
    "n": "schemas",
}
#: Bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h).
_TRIGGER_EVENTS = ((1 << 2, "insert"), (1 << 3, "delete"), (1 << 4, "update"), (1 << 5, "truncate"))
_TRIGGER_ROW, _TRIGGER_BEFORE, _TRIGGER_INSTEAD = 1 << 0, 1 << 1, 1 << 6
_RULE_EVENTS = {"1": "select", "2": "update", "3": "insert", "4": "delete"}


def read_database(dsn: str) -> Catalogue:
    """Read one database in one snapshot; raise LintError when it cannot be reached or read."""
    try:
        # posture: ignore WRAP001 until 2027-11-30 (posture): reads system catalogs only, never a row of a
        # tenant
        with psycopg.connect(dsn, connect_timeout=_TIMEOUT_SECONDS) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return read_connection(connection)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise LintError(f"{_named(dsn)}: its catalogs cannot be read ({reason})") from error


def read_connection(connection: psycopg.Connection[Any]) -> Catalogue:
    """Read the database in a connection's transaction, what that has changed included.

    Sets search_path for the rest of the transaction. Raises psycopg.Error.
    """
    return _Reading(connection).catalogue()


def _named(dsn: str) -> str:
    """Name a database without its password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database"
    host = parts.get("host") or parts.get("hostaddr") or "local socket"
    return f"database {parts.get('dbname') or 'default'} on {host}"


class _Reading:
    """One pass over the system catalogs in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.queries = queries.Queries(connection.info.server_version)
        self._role_names: dict[int, str] = {}

    def _rows(self, query: SQL | Composed) -> list[Any]:
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            return list(cursor.execute(query))

    def _by_table(self, query: SQL | Composed) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for row in self._rows(query):
            found[row.oid].append(row)
        return found

    def catalogue(self) -> Catalogue:
        """Read everything the rules need."""
        self.connection.execute("SET LOCAL search_path = pg_catalog")
        roles = self._rows(queries.ROLES)
        self._role_names = {row.oid: row.name for row in roles} | {0: PUBLIC}
        functions = [_function(row) for row in self._rows(self.queries.functions)]
        views = [_view(row) for row in self._rows(queries.VIEWS)]
        sequences = [Sequence(*row) for row in self._rows(queries.SEQUENCES)]
        types = [_type(row) for row in self._rows(queries.TYPES)]
        grants = [self._grant(row) for row in self._rows(queries.GRANTS)]
        info = self.connection.info
        return Catalogue(
            f"postgres:{info.dbname}",
            {table.qualified: table for table in self._tables()},
            {view.qualified: view for view in views},
            {function.signature: function for function in functions},
            {row.name: _role(row) for row in roles},
            (*grants, *_execute_grants(functions)),
            tuple(Membership(r.role, r.member, r.inherit, r.set_role, r.admin) for r in self._memberships()),
            tuple(_setting(row) for row in self._rows(queries.SETTINGS)),
            tuple(self._default_privilege(row) for row in self._rows(queries.DEFAULT_PRIVILEGES)),
            {sequence.qualified: sequence for sequence in sequences},
            tuple(PublishedTable(*row) for row in self._rows(self.queries.publications)),
            {one.qualified: one for one in types},
            {row.name: row.owner for row in self._rows(queries.SCHEMAS)},
            info.dbname,
            info.server_version,
        )

    def _memberships(self) -> list[Any]:
        return self._rows(self.queries.memberships)

    def _tables(self) -> list[Table]:
        columns = self._by_table(queries.COLUMNS)
        policies = self._by_table(queries.POLICIES)
        keys = self._by_table(self.queries.keys)
        foreign = self._by_table(self.queries.foreign_keys)
        constraints = self._by_table(queries.CONSTRAINTS)
        triggers = self._by_table(queries.TRIGGERS)
        rules = self._by_table(queries.RULES)
        return [
            Table(
                row.schema,
                row.name,
                tuple(_column(column) for column in columns[row.oid]),
                enabled=row.enabled,
                forced=row.forced,
                policies=tuple(_policy(policy) for policy in policies[row.oid]),
                keys=tuple(_key(key) for key in keys[row.oid]),
                foreign_keys=tuple(_foreign_key(key) for key in foreign[row.oid]),
                owner=row.owner,
                parent=row.parents[0] if row.is_partition else None,
                kind=_KINDS[row.kind],
                persistence=_PERSISTENCE[row.persistence],
                inherits=() if row.is_partition else tuple(row.parents or ()),
                partition_bound=row.partition_bound,
                partition_key=row.partition_key,
                constraints=tuple(_constraint(one) for one in constraints[row.oid]),
                triggers=tuple(_trigger(one) for one in triggers[row.oid]),
                rules=tuple(_rule(one) for one in rules[row.oid]),
                comment=row.comment,
            )
            for row in self._rows(queries.TABLES)
        ]

    def _grant(self, row: Any) -> Grant:  # noqa: ANN401 - psycopg makes the row's type from the query
        grantee = self._role_names[row.grantee]
        return Grant(
            row.object,
            row.privilege.lower(),
            grantee,
            kind=row.kind,
            column=row.column,
            grantable=row.grantable,
        )

    def _default_privilege(self, row: Any) -> DefaultPrivilege:  # noqa: ANN401 - same
        return DefaultPrivilege(
            row.owner,
            row.schema,
            _DEFAULT_OBJECTS.get(row.objects, "other"),
            row.privilege.lower(),
            self._role_names[row.grantee],
        )


def _column(row: Any) -> Column:  # noqa: ANN401 - same
    return Column(
        row.name,
        row.type,
        row.nullable,
        row.default_text,
        bool(row.generated),
        _IDENTITY.get(row.identity),
    )


def _policy(row: Any) -> Policy:  # noqa: ANN401 - same
    return Policy(
        row.name,
        row.permissive,
        _COMMANDS[row.command],
        tuple(row.roles),
        row.using_text,
        row.check_text,
    )


def _key(row: Any) -> Key:  # noqa: ANN401 - same
    kind: Literal["primary", "unique", "index"] = "primary"
    if not row.is_primary:
        kind = "unique" if row.is_unique else "index"
    return Key(
        tuple(row.columns),
        kind,
        row.name,
        tuple(row.parts) or tuple(row.columns),
        row.method,
        tuple(row.operator_classes),
        row.predicate,
        row.valid,
        not row.nulls_not_distinct,
    )


def _foreign_key(row: Any) -> ForeignKey:  # noqa: ANN401 - same
    return ForeignKey(
        tuple(row.columns),
        row.target,
        tuple(row.target_columns),
        _ACTIONS.get(row.on_delete, ""),
        row.name,
        _ACTIONS.get(row.on_update, ""),
        tuple(row.set_columns),
        row.match_full,
        row.deferrable,
        row.validated,
    )


def _constraint(row: Any) -> Constraint:  # noqa: ANN401 - same
    kind: Literal["check", "exclusion"] = "exclusion" if row.exclusion else "check"
    return Constraint(row.name, kind, row.definition, tuple(row.columns))


def _trigger(row: Any) -> Trigger:  # noqa: ANN401 - same
    timing: Literal["before", "after", "instead of"] = "before" if row.bits & _TRIGGER_BEFORE else "after"
    return Trigger(
        row.name,
        row.function,
        "instead of" if row.bits & _TRIGGER_INSTEAD else timing,
        tuple(event for bit, event in _TRIGGER_EVENTS if row.bits & bit),
        bool(row.bits & _TRIGGER_ROW),
        row.enabled,
        row.is_constraint,
    )


def _rule(row: Any) -> RewriteRule:  # noqa: ANN401 - same
    return RewriteRule(row.name, _RULE_EVENTS[row.event], row.definition, tuple(row.reads))


def _view(row: Any) -> View:  # noqa: ANN401 - same
    return View(
        row.schema,
        row.name,
        row.definition,
        row.materialized,
        row.security_invoker,
        row.owner,
        security_barrier=row.security_barrier,
        check_option=row.check_option,
        columns=tuple(row.columns),
        reads=tuple(row.reads),
    )


def _function(row: Any) -> Function:  # noqa: ANN401 - same
    settings = dict(setting.split("=", 1) for setting in row.settings)
    return Function(
        row.schema,
        row.name,
        row.security_definer,
        settings.pop("search_path", None),
        row.owner,
        arguments=", ".join(row.argument_types),
        kind="procedure" if row.procedure else "function",
        returns=row.returns or "",
        returns_set=row.returns_set,
        volatility=_VOLATILITY[row.volatility],
        leakproof=row.leakproof,
        language=row.language,
        body=row.body or "",
        settings=tuple(f"{name}={value}" for name, value in settings.items()),
        executors=tuple(row.executors),
        required_arguments=row.required_arguments,
        argument_names=tuple(row.argument_names),
    )


def _execute_grants(functions: list[Function]) -> list[Grant]:
    return [
        Grant(function.signature, "execute", executor, kind="function")
        for function in functions
        for executor in function.executors
    ]


def _role(row: Any) -> Role:  # noqa: ANN401 - same
    return Role(
        row.name,
        row.superuser,
        row.bypass,
        row.login,
        inherit=row.inherit,
        create_role=row.create_role,
        create_database=row.create_database,
        replication=row.replication,
    )


def _setting(row: Any) -> Setting:  # noqa: ANN401 - same
    name, _, value = row.setting.partition("=")
    return Setting(name, value, row.role, row.database)


def _type(row: Any) -> DataType:  # noqa: ANN401 - same
    kind: Literal["enum", "domain"] = "enum" if row.kind == "e" else "domain"
    labels, checks = tuple(row.labels), tuple(row.checks)
    return DataType(row.schema, row.name, kind, labels, row.base, row.nullable, checks)
