"""What one tenant can reach of another's rows through the application's own login, tried for real.

An adversarial probe in the manner of row_security.md 6: every attempt runs in a transaction that is
rolled back (sequences advance), counts the foreign rows it reached, and counts as held only where
positive controls show that there was something to reach. It judges the database, not its catalog, so
it says `leaked` whatever the cause: no policy, a wide one, a role that no policy binds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import psycopg
from psycopg import sql

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from collectors.isolation_seed import Target, foreign_row, target_of
from collectors.postgres import Connection, PostgresAccess, connect, rows, server_version, tables
from evidence.kinds.postgres import Attempt, AttemptResult, Isolation
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

REFUSALS: Final = frozenset({"42501", "42704", "22P02"})
"""Ways in which a policy refuses: insufficient privilege, an unset parameter, a value that is no id."""

PAST_ROW_SECURITY: Final = frozenset({"23503", "23505", "23P01"})
"""Foreign key, unique, exclusion: PostgreSQL checks them after WITH CHECK (CREATE POLICY, Notes), so
whoever meets one was let through by row security."""

UNQUALIFIED_LIMIT_ROWS: Final = 20_000
"""A statement without WHERE locks every own row until it is rolled back; above this it is left out."""

SWITCHED_ON: Final = ("on", "true", "1")
"""What a policy that a setting can switch off compares the setting with."""

SERIALISATION_RETRIES: Final = 5
_ENDED_SESSIONS: Final = ("08", "57P")


class TenantBinding(Protocol):
    """How the application tells the database which tenant a transaction is for."""

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The settings to make for one transaction (``{"app.tenant_ticket": "…"}``)."""


@dataclass(frozen=True, slots=True)
class IsolationAccess:
    """Two tenants of a database, and the login that serves them.

    Attributes:
        catalog: its `dsn` logs in as the application role itself.
        tenants: the attacker's id and the victim's, as their column writes them; each should have a
            row in every tenant table, or what is tried there stays inconclusive.
        binding: makes the settings that bind a transaction to a tenant.
    """

    catalog: PostgresAccess
    tenants: tuple[str, str]
    binding: TenantBinding


@dataclass(frozen=True, slots=True)
class _Answer:
    """How the database answered one statement: foreign rows reached, SQLSTATE or '', its words."""

    foreign_rows: int = 0
    sqlstate: str = ""
    words: str = ""
    past_row_security: bool = False

    @property
    def leaked(self) -> bool:
        return self.foreign_rows > 0 or self.past_row_security

    @property
    def clear(self) -> bool:
        return not self.sqlstate or self.sqlstate in REFUSALS


_Statement = Callable[[Connection], int]


class IsolationCollector:
    """Tries every tenant table of one database."""

    name: str = "postgres.isolation"
    version: str = "1"
    population: str = "databases"
    kinds: Sequence[type[Payload]] = (Isolation,)

    def collect(self, unit: Unit, access: IsolationAccess) -> Iterable[Sighting]:
        """One `Isolation` of the unit's subject."""
        with connect(access.catalog.dsn) as bound, connect(access.catalog.dsn) as unbound:
            _require_login(bound, access.catalog.application_role)
            attempts = [
                attempt
                for target in _targets(bound, access.catalog)
                for attempt in _Probe(bound, unbound, access, target).attempts()
            ]
            version = server_version(bound)
        if not attempts:
            raise Refused(Outcome.PARTIAL, "no tenant table was found", "no table has a tenant column")
        yield Observed(_counted(version, attempts), unit.subject)


def _require_login(connection: Connection, expected: str) -> None:
    login = rows(connection, "SELECT session_user::text AS login")[0]["login"]
    if login != expected:
        raise Refused(
            Outcome.UNSUPPORTED,
            "the probe's login is not the application role",
            f"logged in as {login!r}, but {expected!r} serves requests: give a DSN of that role",
        )


def _targets(connection: Connection, access: PostgresAccess) -> Iterator[Target]:
    for table in tables(connection, access):
        if table.is_tenant and table.tenant_column is not None:
            yield target_of(connection, table, table.tenant_column)


def _counted(version: int, attempts: Sequence[Attempt]) -> Isolation:
    results = Counter(attempt.result for attempt in attempts)
    return Isolation(
        server_version=version,
        attempted=len(attempts),
        held=results[AttemptResult.HELD],
        leaked=results[AttemptResult.LEAKED],
        inconclusive=results[AttemptResult.INCONCLUSIVE],
        attempts=tuple(attempts),
    )


class _Probe:
    """All attempts of the first tenant against the second in one table."""

    def __init__(
        self, bound: Connection, unbound: Connection, access: IsolationAccess, target: Target
    ) -> None:
        self._bound = bound
        self._unbound = unbound
        self._binding = access.binding
        self._attacker, self._victim = access.tenants
        self._target = target
        self._table = sql.Identifier(target.table.schema, target.table.name)
        self._tenant = sql.Identifier(target.tenant_column)
        self._own_rows = 0
        self._control = ""

    def attempts(self) -> Iterator[Attempt]:
        """The positive control first: what it finds decides whether the rest can be conclusive."""
        yield self._own_rows_control()
        yield self._attempt("select", "SELECT", self._as_attacker(self._foreign_count))
        yield self._insert()
        yield self._attempt("move", "UPDATE", *self._moves())
        yield self._attempt("update", "UPDATE", *self._updates())
        yield self._attempt("delete", "DELETE", *self._deletes())
        yield self._attempt("unset_tenant", "SELECT", self._answer(self._unbound, {}, self._foreign_count))
        empty = dict.fromkeys(self._binding.settings(self._attacker), "")
        yield self._attempt("empty_tenant", "SELECT", self._answer(self._bound, empty, self._foreign_count))
        yield self._row_security_off()
        yield self._attempt("injected_setting", "SELECT", *self._injections())

    def _own_rows_control(self) -> Attempt:
        mine = self._as_attacker(self._count_of(self._attacker))
        theirs = self._answer(self._bound, self._binding.settings(self._victim), self._count_of(self._victim))
        self._own_rows = mine.foreign_rows
        unseen = [
            f"the {name} tenant sees no row of its own ({answer.words or 'zero rows'})"
            for name, answer in (("first", mine), ("second", theirs))
            if not answer.foreign_rows
        ]
        self._control = "; ".join(unseen)
        sqlstate = mine.sqlstate or theirs.sqlstate
        if unseen and "SELECT" in self._target.privileges:
            return self._made("own_rows", AttemptResult.INCONCLUSIVE, 0, sqlstate, self._control)
        note = "the login may not read this table" if unseen else ""
        return self._made("own_rows", AttemptResult.HELD, 0, sqlstate, note)

    def _insert(self) -> Attempt:
        template = self._victims_row()
        if template is None and "INSERT" in self._target.privileges:
            note = "the second tenant shows no row to copy"
            return self._made("insert", AttemptResult.INCONCLUSIVE, 0, "", note)
        row: Mapping[str, str | None] = {self._target.tenant_column: self._victim}
        if template is not None and "INSERT" in self._target.privileges:
            row = foreign_row(self._target, template, self._victim)
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            self._table,
            sql.SQL(", ").join(sql.Identifier(name) for name in row),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        answer = self._as_attacker(_row_count(statement, list(row.values())))
        return self._attempt("insert", "INSERT", answer)

    def _victims_row(self) -> dict[str, str | None] | None:
        columns = sql.SQL(", ").join(
            sql.SQL("{0}::text AS {0}").format(sql.Identifier(column.name)) for column in self._target.columns
        )
        statement = sql.SQL("SELECT {} FROM {} WHERE {} = %s LIMIT 1").format(
            columns, self._table, self._tenant
        )
        found: list[dict[str, str | None]] = []

        def read(connection: Connection) -> int:
            found.extend(connection.execute(statement, (self._victim,)).fetchall())
            return len(found)

        self._answer(self._bound, self._binding.settings(self._victim), read)
        return found[0] if found else None

    def _moves(self) -> Iterator[_Answer]:
        """One own row handed over, and all of them without a WHERE, which asks no SELECT policy."""
        one = sql.SQL("UPDATE {0} SET {1} = %s WHERE ctid = (SELECT ctid FROM {0} WHERE {1} = %s LIMIT 1)")
        yield self._as_attacker(
            _row_count(one.format(self._table, self._tenant), [self._victim, self._attacker])
        )
        if self._own_rows <= UNQUALIFIED_LIMIT_ROWS:
            every = sql.SQL("UPDATE {} SET {} = %s").format(self._table, self._tenant)
            yield self._as_attacker(_row_count(every, [self._victim]))

    def _updates(self) -> Iterator[_Answer]:
        changed = sql.Identifier(self._target.updatable)
        one = sql.SQL("UPDATE {0} SET {1} = {1} WHERE {2} = %s").format(self._table, changed, self._tenant)
        yield self._as_attacker(_row_count(one, [self._victim]))
        if self._own_rows <= UNQUALIFIED_LIMIT_ROWS:
            # Own rows stay what they are; a foreign one becomes ours, or meets a constraint.
            every = sql.SQL("UPDATE {} SET {} = %s").format(self._table, self._tenant)
            yield self._as_attacker(self._beyond_own(every, [self._attacker]))

    def _deletes(self) -> Iterator[_Answer]:
        one = sql.SQL("DELETE FROM {} WHERE {} = %s").format(self._table, self._tenant)
        yield self._as_attacker(_row_count(one, [self._victim]))
        if self._own_rows <= UNQUALIFIED_LIMIT_ROWS:
            every = sql.SQL("DELETE FROM {}").format(self._table)
            answer = self._as_attacker(self._beyond_own(every, []))
            # A foreign key may hold own rows just as well as foreign ones: it says nothing here.
            yield _Answer() if answer.past_row_security else answer

    def _row_security_off(self) -> Attempt:
        settings = {**self._binding.settings(self._attacker), "row_security": "off"}
        answer = self._answer(self._bound, settings, self._foreign_count)
        if answer.sqlstate:
            return self._attempt("row_security_off", "SELECT", answer)
        note = "row security does not apply to this login here"
        return self._made("row_security_off", AttemptResult.LEAKED, answer.foreign_rows, "", note)

    def _injections(self) -> Iterator[_Answer]:
        """A setting changed by an injected expression: inside the statement, and just before it.

        Then every other setting that the table's policies ask for, with values that switches take.
        """
        settings = self._binding.settings(self._attacker)
        forged = {name: self._forged(value) for name, value in settings.items()}
        calls = sql.SQL(", ").join(sql.SQL("set_config(%s, %s, true)") for _ in forged)
        words = [word for setting in forged.items() for word in setting]
        inside = sql.SQL("WITH s AS MATERIALIZED (SELECT {}) SELECT {} AS found FROM s, {}").format(
            calls, self._foreign(), self._table
        )
        before = sql.SQL("SELECT {}").format(calls)

        def stacked(connection: Connection) -> int:
            connection.execute(before, words)
            return self._foreign_count(connection)

        yield self._as_attacker(_found(inside, [*words, self._attacker]))
        yield self._as_attacker(stacked)
        switches = [name for name in self._target.policy_settings if name not in settings]
        for value in (*SWITCHED_ON, self._victim) if switches else ():
            switched = {**settings, **dict.fromkeys(switches, value)}
            yield self._answer(self._bound, switched, self._foreign_count)

    def _forged(self, value: str) -> str:
        """The attacker's own setting made to name the victim: all that it can do without a key."""
        return value.replace(self._attacker, self._victim) if self._attacker in value else self._victim

    def _foreign(self) -> sql.Composed:
        return sql.SQL("count(*) FILTER (WHERE {} IS DISTINCT FROM %s)").format(self._tenant)

    def _foreign_count(self, connection: Connection) -> int:
        statement = sql.SQL("SELECT {} AS found FROM {}").format(self._foreign(), self._table)
        return _found(statement, [self._attacker])(connection)

    def _count_of(self, tenant: str) -> _Statement:
        statement = sql.SQL("SELECT count(*) AS found FROM {} WHERE {} = %s")
        return _found(statement.format(self._table, self._tenant), [tenant])

    def _beyond_own(self, statement: sql.Composed, parameters: Sequence[str]) -> _Statement:
        """Rows that a statement reaches beyond the attacker's own, both counted in one snapshot."""

        def run(connection: Connection) -> int:
            own = self._count_of(self._attacker)(connection)
            return connection.execute(statement, parameters).rowcount - own

        return run

    def _as_attacker(self, statement: _Statement) -> _Answer:
        return self._answer(self._bound, self._binding.settings(self._attacker), statement)

    def _answer(self, connection: Connection, settings: Mapping[str, str], statement: _Statement) -> _Answer:
        answer = _Answer()
        for _ in range(SERIALISATION_RETRIES):
            answer = _tried(connection, settings, statement)
            if not answer.sqlstate.startswith("40"):
                break
        return answer

    def _attempt(self, probe: str, command: str, *answers: _Answer) -> Attempt:
        leaks = [answer for answer in answers if answer.leaked]
        unclear = [answer for answer in answers if not answer.clear]
        sqlstate = next((answer.sqlstate for answer in (*leaks, *unclear, *answers) if answer.sqlstate), "")
        reached = max((answer.foreign_rows for answer in answers), default=0)
        if leaks:
            passed = "" if reached else "row security let it pass; only a constraint stopped it"
            return self._made(probe, AttemptResult.LEAKED, reached, sqlstate, passed)
        if unclear:
            return self._made(probe, AttemptResult.INCONCLUSIVE, 0, sqlstate, unclear[0].words)
        if command not in self._target.privileges:
            return self._made(probe, AttemptResult.HELD, 0, sqlstate, f"{command} is not granted")
        if self._control:
            return self._made(probe, AttemptResult.INCONCLUSIVE, 0, sqlstate, self._control)
        return self._made(probe, AttemptResult.HELD, 0, sqlstate)

    def _made(
        self, probe: str, result: AttemptResult, foreign_rows: int, sqlstate: str, note: str = ""
    ) -> Attempt:
        return Attempt(self._target.table.qualified, probe, result, foreign_rows, sqlstate, note)


def _row_count(statement: sql.Composed, parameters: Sequence[str | None]) -> _Statement:
    return lambda connection: connection.execute(statement, parameters).rowcount


def _found(statement: sql.Composed, parameters: Sequence[str]) -> _Statement:
    return lambda connection: int(connection.execute(statement, parameters).fetchall()[0]["found"])


def _tried(connection: Connection, settings: Mapping[str, str], statement: _Statement) -> _Answer:
    """Run one statement under settings, roll back, and say how the database answered.

    A session that the server ended is no answer: that error goes to the boundary.
    """
    try:
        with _rolled_back(connection, settings):
            return _Answer(foreign_rows=max(0, statement(connection)))
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if not state or state.startswith(_ENDED_SESSIONS):
            raise
        words = f"{state}: {error.diag.message_primary or ''}"
        return _Answer(sqlstate=state, words=words, past_row_security=state in PAST_ROW_SECURITY)


@contextmanager
def _rolled_back(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """One snapshot, so that rows which traffic adds meanwhile are not taken for foreign ones."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    try:
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
