"""Which identity stands where: a cache beside the log that can be thrown away at any time.

The log is the truth. The cache says up to which signed checkpoint it has read the log; what is
missing is read again, and a cache that SQLite finds damaged is made anew. The remembered checkpoint
also tells when someone has put an older log in place of the one that was signed here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from evidence.ledger.entries import FactsOf
from evidence.ledger.errors import LedgerError, LedgerRolledBack
from evidence.ledger.store import Store
from evidence.ledger.tiles import TileReader
from evidence.proofs.errors import MalformedEnvelope, ProofsError
from evidence.proofs.keys import Verifier
from evidence.proofs.merkle import span_root
from evidence.proofs.notes import Checkpoint, open_checkpoint

# Rows lie in the order of the log, and only the eight bytes of a key by which it is looked up lie in an
# order of their own: an append to a long log then changes a few pages, and not one for each entry.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    position INTEGER PRIMARY KEY, prefix INTEGER NOT NULL, identity BLOB NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_prefix ON entry (prefix);
CREATE TABLE IF NOT EXISTS covered (only INTEGER PRIMARY KEY CHECK (only = 1), checkpoint BLOB NOT NULL);
"""

_KEYS_AT_ONCE: Final = 500
"""Parameters of one statement; SQLite allows at least 999."""

_PREFIX_BYTES: Final = 8
"""Of a key, as SQLite's integer."""

Row: TypeAlias = tuple[int, bytes, bytes]
"""Position of an entry, key of its identity, SHA-256 of its envelope's payload."""


class Indexed(NamedTuple):
    """An entry as the index knows it: its place in the log, SHA-256 of the envelope's payload."""

    position: int
    payload: bytes


def identity_key(identity: str) -> bytes:
    """The key under which the index has an identity."""
    return hashlib.sha256(identity.encode()).digest()


class IdentityIndex:
    """The cache in one SQLite file.

    Any method may raise `sqlite3.DatabaseError` when the file is damaged; `discard` and start again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # WAL with NORMAL may lose the last transactions in a power cut, never the file's consistency;
        # what is lost is read from the log again.
        # An index of another layout fails here, as a damaged one does.
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def covered(self) -> bytes | None:
        """The signed checkpoint up to which the log has been read."""
        row = self._database.execute("SELECT checkpoint FROM covered").fetchone()
        if row is not None and not isinstance(row[0], bytes):
            raise sqlite3.DatabaseError("the remembered checkpoint is not bytes")
        return None if row is None else row[0]

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Indexed]:
        """The entries with these keys, as far as there are any."""
        wanted = set(keys)
        found: dict[bytes, Indexed] = {}
        for some in _batched(keys, _KEYS_AT_ONCE):
            marks = ",".join("?" * len(some))
            rows = self._database.execute(
                f"SELECT identity, position, payload FROM entry WHERE prefix IN ({marks}) ORDER BY position",  # noqa: S608
                [_prefix(key) for key in some],
            )
            for key, position, payload in rows:
                # A log may hold an identity twice only when it was made by other software; the first counts.
                if key in wanted:
                    found.setdefault(bytes(key), Indexed(int(position), bytes(payload)))
        return found

    def add(self, entries: Iterable[Row], checkpoint: bytes) -> None:
        """Add entries and remember the checkpoint that covers them, in one transaction."""
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(
                    "INSERT INTO entry VALUES (?, ?, ?, ?)",
                    ((position, _prefix(key), key, payload) for position, key, payload in entries),
                )
                cursor.execute("INSERT OR REPLACE INTO covered VALUES (1, ?)", (checkpoint,))
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @staticmethod
    def discard(path: Path) -> None:
        """Remove the cache's files."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Head:
    """The published checkpoint, as signed and as read."""

    signed: bytes
    checkpoint: Checkpoint


class LogIndex:
    """Keeps an `IdentityIndex` in step with a log; its caller is the log's only writer meanwhile."""

    def __init__(
        self, path: Path, store: Store, trusted: Callable[[], Sequence[Verifier]], facts_of: FactsOf
    ) -> None:
        self._path = path
        self._store = store
        self._trusted = trusted
        self._facts_of = facts_of
        self._open: IdentityIndex | None = None

    def at(self, head: Head) -> IdentityIndex:
        """The index up to the published checkpoint, made anew where SQLite finds it damaged.

        Raises:
            LedgerRolledBack: the log is not one that extends what was signed here before.
        """
        try:
            return self._caught_up(head)
        except sqlite3.DatabaseError:
            self.close()
            IdentityIndex.discard(self._path)
        try:
            return self._caught_up(head)
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"cannot keep an index in {self._path}: {error}") from error

    def remember(self, rows: Iterable[Row], signed: bytes) -> None:
        """Add what was just published. A cache that fails here is behind and catches up next time."""
        try:
            if self._open is not None:
                self._open.add(rows, signed)
        except sqlite3.Error:
            self.close()

    def close(self) -> None:
        """Close the cache's file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _caught_up(self, head: Head) -> IdentityIndex:
        if self._open is None:
            self._open = IdentityIndex(self._path)
        covered = self._open.covered()
        if covered != head.signed:
            start = self._covered_size(covered, head.checkpoint)
            self._open.add(self._rows(start, head.checkpoint.size), head.signed)
        return self._open

    def _covered_size(self, covered: bytes | None, published: Checkpoint) -> int:
        """How far the index has read this log; refuses one whose remembered checkpoint is not the log's."""
        if covered is None:
            return 0
        try:
            old = open_checkpoint(covered, origin=published.origin, trusted=self._trusted())
        except ProofsError as error:
            raise sqlite3.DatabaseError(f"the remembered checkpoint is not this log's: {error}") from error
        reader = TileReader(self._store, published.size)
        if old.size > published.size or (old.size and span_root(reader.node, (0, old.size)) != old.root):
            raise LedgerRolledBack(
                f"{published.origin} has {published.size} entries here, but a checkpoint over {old.size} "
                "that it does not extend was signed here before; appending would fork the log. "
                f"Restore the newer log, or delete {self._path.parent} to accept the loss knowingly"
            )
        return old.size

    def _rows(self, start: int, stop: int) -> Iterator[Row]:
        entries = TileReader(self._store, stop).entries(start, stop)
        for position, entry in enumerate(entries, start=start):
            with suppress(MalformedEnvelope):  # not judged here: `verify_ledger` names it
                facts = self._facts_of(entry)
                yield position, identity_key(facts.identity), facts.payload_digest


def _batched(keys: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """The keys in runs of `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _prefix(key: bytes) -> int:
    return int.from_bytes(key[:_PREFIX_BYTES], "big", signed=True)
