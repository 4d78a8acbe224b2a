"""One transaction on the audited database, in which every probe is tried and undone.

Each probe is one script, sent as one message: savepoint, role, settings, statement, rollback to the
savepoint. So a probe costs one round trip, and nothing but sequences moves (manual, SAVEPOINT).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

from lint.live.probes.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from psycopg.pq.abc import PGresult

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
    #: What a COPY TO STDOUT of the script wrote.
    lines: list[bytes] = field(default_factory=list)

    def begin(self, *, read_only: bool = False) -> None:
        """Open the transaction; ProbeError when the connection is already in one."""
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise ProbeError("the connection is inside a transaction: give one that is idle")
        self.connection.prepare_threshold = None
        self._send(
            "BEGIN; "
            + ("SET TRANSACTION READ ONLY; " if read_only else "")
            + f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; "
            + f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; {_OPEN}"
        )

    def end(self) -> None:
        """Undo everything. A session that the server ended has nothing left to undo."""
        if not self.connection.closed:
            self.connection.pgconn.exec_(b"ROLLBACK")

    def undone(self, statements: Iterable[str]) -> Answer:
        """Run a script and undo it."""
        return self._answer(statements, _UNDO)

    def kept(self, statements: Iterable[str]) -> Answer:
        """Run a script that later probes build on; undone only if it fails."""
        return self._answer(statements, _KEEP)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read something that must not fail."""
        self.scripts.append(query)
        return self.connection.execute(query.encode()).fetchall()

    def copied(self, statements: Iterable[str]) -> list[str]:
        """The lines of the COPY TO STDOUT that ends a script; none when the database refuses."""
        self.lines.clear()
        answer = self.undone(statements)
        return [] if answer.failed else [line.decode("utf-8", "replace") for line in self.lines]

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
            results = self._send("; ".join([*body, finish]))
        except _RefusedError as refused:
            self._send(_UNDO)
            return refused.answer
        kept = results[: len(body)]
        return Answer(tuple(map(_rows, kept)), tuple(result.command_tuples or 0 for result in kept))

    def _send(self, script: str) -> list[PGresult]:
        """Send one message and read each statement's result, through libpq itself.

        A cursor of the driver would cost several times the round trip for such small answers.
        """
        self.scripts.append(script)
        raw = self.connection.pgconn
        raw.send_query(script.encode())
        results: list[PGresult] = []
        while (result := raw.get_result()) is not None:
            results.append(result)
            while result.status == ExecStatus.COPY_OUT and (chunk := raw.get_copy_data(0))[0] > 0:
                self.lines.append(bytes(chunk[1]))
        failed = results[-1] if results else None
        if failed is None or failed.status == ExecStatus.FATAL_ERROR:
            self._raise(failed)
        return results

    def _raise(self, failed: PGresult | None) -> None:
        answer = _refused(failed)
        if self.connection.pgconn.status != ConnStatus.OK or answer.sqlstate.startswith(_ENDED_SESSIONS):
            raise ProbeError(f"the session ended while it was probed: {answer.said}")
        raise _RefusedError(answer)


class _RefusedError(Exception):
    """The database raised an error, which is an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.said)
        self.answer = answer


def _refused(failed: PGresult | None) -> Answer:
    if failed is None:
        return Answer(sqlstate="08006", words="no answer")

    def field_of(field: DiagnosticField) -> str:
        return (failed.error_field(field) or b"").decode("utf-8", "replace")

    return Answer(
        sqlstate=field_of(DiagnosticField.SQLSTATE) or "08006",
        words=field_of(DiagnosticField.MESSAGE_PRIMARY),
        constraint=field_of(DiagnosticField.CONSTRAINT_NAME),
        with_check=field_of(DiagnosticField.SOURCE_FUNCTION) == _WITH_CHECK,
    )


def _rows(result: PGresult) -> tuple[tuple[Any, ...], ...]:
    """A result's rows: numbers and booleans as such, everything else as PostgreSQL's text."""
    readers = [_READERS.get(result.ftype(column), _text) for column in range(result.nfields)]
    return tuple(
        tuple(
            None if (value := result.get_value(row, column)) is None else read(value)
            for column, read in enumerate(readers)
        )
        for row in range(result.ntuples)
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


#: By type oid: int8, int2, int4, oid, bool.
_READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    **dict.fromkeys((20, 21, 23, 26), int),
    16: lambda value: value == b"t",
}


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
