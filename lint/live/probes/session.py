"""One transaction on the audited database, in which every probe is tried and undone.

Each probe is one script, sent as one message: savepoint, role, settings, statement, rollback to the
savepoint. So a probe costs one round trip, and nothing but sequences moves (manual, SAVEPOINT).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg

from lint.live.probes.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Connection: TypeAlias = "psycopg.Connection[Any]"

LOCK_TIMEOUT: Final = "2s"
STATEMENT_TIMEOUT: Final = "30s"
_ENDED_SESSIONS: Final = ("08", "57P")
_SAVEPOINT: Final = "posture_probe"
_OPEN: Final = f"SAVEPOINT {_SAVEPOINT}"
_KEEP: Final = f"RELEASE SAVEPOINT {_SAVEPOINT}; {_OPEN}"
#: The savepoint itself stays: there is one at any time, so that no error ends the transaction.
_UNDO: Final = f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"
#: The C function in which PostgreSQL raises "new row violates row-level security policy".
_WITH_CHECK: Final = "ExecWithCheckOptions"


def quoted(text: str) -> str:
    """A string literal, whatever `standard_conforming_strings` says."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def name(*parts: str) -> str:
    """A quoted, possibly qualified identifier."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


@dataclass(frozen=True, slots=True)
class Answer:
    """How the database answered a script: each statement's rows and count, or its error."""

    rows: tuple[tuple[tuple[Any, ...], ...], ...] = ()
    counts: tuple[int, ...] = ()
    sqlstate: str = ""
    words: str = ""
    constraint: str = ""
    with_check: bool = False

    @property
    def failed(self) -> bool:
        """Whether the database raised an error."""
        return bool(self.sqlstate)

    @property
    def last(self) -> tuple[tuple[Any, ...], ...]:
        """The rows of the last statement of the script."""
        return self.rows[-1] if self.rows else ()

    @property
    def count(self) -> int:
        """The rows that the last statement returned or touched."""
        return self.counts[-1] if self.counts else 0

    @property
    def said(self) -> str:
        """SQLSTATE and primary message, for a person."""
        return f"{self.sqlstate} {self.words}" if self.sqlstate else ""


@dataclass(slots=True)
class Session:
    """The open transaction. `scripts` records what was sent, in order, for whoever replays it."""

    connection: Connection
    scripts: list[str] = field(default_factory=list)

    def begin(self, *, read_only: bool = False) -> None:
        """Open the transaction; ProbeError when the connection is already in one."""
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise ProbeError("the connection is inside a transaction: give one that is idle")
        self.connection.prepare_threshold = None
        self._send(
            ("BEGIN; " if self.connection.autocommit else "")
            + ("SET TRANSACTION READ ONLY; " if read_only else "")
            + f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; "
            + f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; {_OPEN}"
        )

    def end(self) -> None:
        """Undo everything. A session that the server ended has nothing left to undo."""
        if not self.connection.closed:
            self.connection.execute("ROLLBACK")

    def undone(self, statements: Iterable[str]) -> Answer:
        """Run a script and undo it."""
        return self._answer(statements, _UNDO)

    def kept(self, statements: Iterable[str]) -> Answer:
        """Run a script that later probes build on; undone only if it fails."""
        return self._answer(statements, _KEEP)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read something that must not fail."""
        return list(self._send(query)[0][-1])

    def copied(self, statements: Iterable[str], copy: str) -> list[str]:
        """The lines of a COPY TO STDOUT after a script; none when the database refuses."""
        opened = self._answer(statements, "SELECT 1")
        if opened.failed:
            return []
        lines: list[str] = []
        try:
            self.scripts.append(copy)
            with self.connection.cursor().copy(copy.encode()) as stream:
                lines += [bytes(line).decode("utf-8", "replace") for line in stream]
        except psycopg.Error as error:
            self._refused(error)
        else:
            self._send(_UNDO)
        return lines

    def overheard(self, statements: Iterable[str]) -> list[str]:
        """The notices that a script raises; the script is undone."""
        heard: list[str] = []

        def listen(diagnosis: psycopg.errors.Diagnostic) -> None:
            heard.append(diagnosis.message_primary or "")

        self.connection.add_notice_handler(listen)
        try:
            self.undone(["SET LOCAL client_min_messages = notice", *statements])
        finally:
            self.connection.remove_notice_handler(listen)
        return heard

    def _answer(self, statements: Iterable[str], finish: str) -> Answer:
        body = list(statements)
        try:
            rows, counts = self._send("; ".join([*body, finish]))
        except psycopg.Error as error:
            return self._refused(error)
        return Answer(tuple(rows[: len(body)]), tuple(counts[: len(body)]))

    def _refused(self, error: psycopg.Error) -> Answer:
        state = error.sqlstate or ""
        if self.connection.closed or state.startswith(_ENDED_SESSIONS):
            raise ProbeError(f"the session ended while it was probed: {error}") from error
        self._send(_UNDO)
        diagnosis = error.diag
        return Answer(
            sqlstate=state or "XX000",
            words=diagnosis.message_primary or str(error),
            constraint=diagnosis.constraint_name or "",
            with_check=diagnosis.source_function == _WITH_CHECK,
        )

    def _send(self, script: str) -> tuple[list[tuple[tuple[Any, ...], ...]], list[int]]:
        self.scripts.append(script)
        cursor = self.connection.execute(script.encode())
        rows: list[tuple[tuple[Any, ...], ...]] = []
        counts: list[int] = []
        while True:
            rows.append(tuple(cursor.fetchall()) if cursor.description else ())
            counts.append(max(0, cursor.rowcount))
            if not cursor.nextset():
                return rows, counts


@dataclass(frozen=True, slots=True)
class Actor:
    """The role under test: how a script becomes it, and which settings a login of it starts with."""

    role: str
    login_settings: Mapping[str, str] = field(default_factory=dict)
    becomes: str = "ROLE"

    def script(self, settings: Mapping[str, str], *statements: str) -> Sequence[str]:
        """The statements, run as the role under the settings."""
        return (
            *(_set(*setting) for setting in self.login_settings.items()),
            *([f"SET LOCAL {self.becomes} {name(self.role)}"] if self.becomes else []),
            *(_set(*setting) for setting in settings.items()),
            *statements,
        )


def _set(setting: str, value: str) -> str:
    return f"SELECT set_config({quoted(setting)}, {quoted(value)}, true)"


#: Back to the login that seeds, inside a script.
AS_LOGIN: Final = "SET LOCAL ROLE NONE"
