"""Whether a word planted in raw logs can be found anywhere behind the ingestion that read them.

For the promise that no prompt enters the platform: every table and materialized view, the whole Redis
keyspace and the log files are read in full and searched for every form of every planted word. Places
that held nothing are listed too, since a search of nothing shows nothing.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from collectors.boundary import refusal_of
from collectors.collector import Observed, Sighting
from collectors.needles import ENCODINGS, Needles
from collectors.postgres import SYSTEM_SCHEMAS, Connection, connect, rows
from evidence.kinds.redaction import CanarySearch, SearchedPlace
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

READ_BYTES: Final = 1 << 20
REDIS_TIMEOUT_SECONDS: Final = 5.0
SCAN_COUNT: Final = 500
SEARCH_TIMEOUT_MS: Final = 120_000

_Redis = Any
"""A `redis.Redis`, whose annotations give bytes, text and awaitables for one and the same reply."""


@dataclass(frozen=True, slots=True)
class SpendTable:
    """Where ingestion writes, and how its columns are called."""

    schema: str = "ai"
    name: str = "ai_spend_event"
    tenant_column: str = "tenant_id"
    request_column: str = "request_id"
    hash_columns: tuple[str, ...] = ("prompt_hash", "response_hash")


@dataclass(frozen=True, slots=True)
class PlantedBody:
    """A prompt or response as it was delivered, under which tenant, and of which operation."""

    tenant: str
    body: bytes = field(repr=False)
    operation: str = ""


@dataclass(frozen=True, slots=True)
class CanaryAccess:
    """Where to search, and for what.

    Attributes:
        dsn: of a login that no policy binds; one that is bound is refused by the server, since the
            search runs with row_security off.
        redis_url: of the store that the platform uses; None when it uses none.
        logs: log files, and folders of them.
        canaries: the planted words.
        bodies: the planted bodies, for the form of their hashes.
        requests: request ids of the planted records that ingestion must write.
    """

    dsn: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    logs: tuple[Path, ...]
    canaries: tuple[str, ...] = field(repr=False)
    bodies: tuple[PlantedBody, ...] = ()
    requests: tuple[str, ...] = ()
    spend: SpendTable = field(default_factory=SpendTable)


class CanaryCollector:
    """Searches for the planted words."""

    name: str = "redaction.canaries"
    version: str = "2"
    population: str = "ingestion"
    kinds: Sequence[type[Payload]] = (CanarySearch,)

    def collect(self, unit: Unit, access: CanaryAccess) -> Iterable[Sighting]:
        """One `CanarySearch`; `partial` when a place could not be searched."""
        search = _Search(Needles(access.canaries))
        with connect(access.dsn) as connection:
            ingested = count_rows(connection, access.spend)
            found = _found_again(connection, access)
            search.tables(connection)
        if access.redis_url is not None:
            search.redis(access.redis_url)
        for path in access.logs:
            search.logs(path)
        payload = CanarySearch(
            planted=len(search.needles.words),
            ingested_records=ingested,
            planted_records=len(set(access.requests)),
            planted_found=found,
            encodings=ENCODINGS,
            places=tuple(search.places),
        )
        if not search.unsearched:
            yield Observed(payload, unit.subject)
            return
        reason = f"{len(search.unsearched)} places could not be searched"
        yield Observed(payload, unit.subject, Outcome.PARTIAL, reason, "; ".join(search.unsearched))


def count_rows(connection: Connection, spend: SpendTable) -> int:
    """Rows that ingestion wrote; the table must be there, or nothing was shown."""
    statement = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(spend.schema, spend.name))
    return int(connection.execute(statement).fetchall()[0]["n"])


def _found_again(connection: Connection, access: CanaryAccess) -> int:
    """How many of the planted records ingestion has written."""
    spend = access.spend
    statement = sql.SQL("SELECT count(DISTINCT {0}) AS n FROM {1} WHERE {0}::text = ANY (%s)").format(
        sql.Identifier(spend.request_column), sql.Identifier(spend.schema, spend.name)
    )
    return int(connection.execute(statement, (list(access.requests),)).fetchall()[0]["n"])


_RELATIONS: Final = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind = 'r' AS plain
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'f') AND n.nspname <> ALL (%s) ORDER BY 1, 2
"""


class _Search:
    """The places searched so far, and those that could not be."""

    def __init__(self, needles: Needles) -> None:
        self.needles = needles
        self.places: list[SearchedPlace] = []
        self.unsearched: list[str] = []

    def tables(self, connection: Connection) -> None:
        """Every table outside the system schemas, each as PostgreSQL itself prints it."""
        # posture: ignore BYP006 until 2027-11-30 (posture): the auditor's login must see every row, or be
        # refused loudly
        connection.execute("SELECT set_config('row_security', 'off', false)")
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(SEARCH_TIMEOUT_MS),))
        for row in rows(connection, _RELATIONS, (list(SYSTEM_SCHEMAS),)):
            only = sql.SQL("ONLY " if row["plain"] else "")
            relation = sql.Identifier(row["schema"], row["name"])
            copy = sql.SQL("COPY (SELECT * FROM {}{}) TO STDOUT").format(only, relation)
            name = f"postgres:{row['schema']}.{row['name']}"
            try:
                self._place(name, _copied(connection, copy))
            except psycopg.Error as error:
                self._missed(name, error)

    def redis(self, url: str) -> None:
        """Every key and value of every database of the keyspace."""
        import redis

        client: _Redis = redis.Redis.from_url(
            url,
            single_connection_client=True,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )
        with client:
            for number in sorted({0, *_databases(client)}):
                client.execute_command("SELECT", number)
                self._place(f"redis:db{number}", _keyspace(client))

    def logs(self, path: Path) -> None:
        """A file, or every file below a folder; a folder without any is a place with nothing in it."""
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        if not files:
            self._place(f"log:{path.name}/", ())
        for file in files:
            name = f"log:{file.relative_to(path.parent)}"
            try:
                self._place(name, _file(file))
            except (OSError, EOFError) as error:
                self._missed(name, error)

    def _place(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        read, found = self.needles.search(chunks)
        self.places.append(SearchedPlace(name, read, len(found)))

    def _missed(self, name: str, error: Exception) -> None:
        self.unsearched.append(f"{name}: {refusal_of(error).detail}")


def _copied(connection: Connection, copy: sql.Composed) -> Iterator[bytes | memoryview]:
    """Blocks of some size; a row at a time would cost more than the search."""
    waiting, size = [], 0
    with connection.cursor() as cursor, cursor.copy(copy) as blocks:
        for block in blocks:
            waiting.append(bytes(block))
            size += len(block)
            if size >= READ_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    yield b"".join(waiting)


def _databases(client: _Redis) -> Iterator[int]:
    keyspace = client.info("keyspace")
    for name in keyspace:
        if name.startswith("db") and name[2:].isdigit():
            yield int(name[2:])


def _keyspace(client: _Redis) -> Iterator[bytes]:
    for key in client.scan_iter(count=SCAN_COUNT):
        yield _separated([key, *_value(client, key)])


def _value(client: _Redis, key: bytes) -> list[bytes]:
    """What a key holds, read as its type is read; a type unknown here as the server serialises it."""
    kind = client.type(key)
    read: Any = {
        b"string": lambda: [client.get(key)],
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        b"stream": lambda: [
            part for _, fields in client.xrange(key) for pair in fields.items() for part in pair
        ],
    }.get(kind, lambda: [client.dump(key)])
    return [part for part in read() if part is not None]


def _separated(parts: Iterable[bytes]) -> bytes:
    """Joined with a byte between them, so that two halves never make a word."""
    return b"\x00".join(parts) + b"\x00"


def _file(file: Path) -> Iterator[bytes]:
    opened: Any = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rb") as stream:
        while chunk := stream.read(READ_BYTES):
            yield chunk
