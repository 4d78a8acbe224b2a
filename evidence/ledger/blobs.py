"""Payload subtrees beside the log: one file for each append, so that a batch costs one sync and not hundreds.

A file is named by the index of its first entry, in the notation of tiles, and holds frames in the order of
entries and subjects: SHA-256 (32 bytes), length (4 bytes, big endian), content. A copy for another audience
leaves out frames that it may not show; what is missing is known by the digests in the entries.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from evidence.ledger.errors import LedgerDamaged, NotStored
from evidence.ledger.layout import grouped
from evidence.ledger.store import Store

BLOBS: Final = "blobs"
DIGEST_BYTES: Final = 32
HEADER_BYTES: Final = DIGEST_BYTES + 4
MAX_BLOB_BYTES: Final = 2**32 - 1

_FILE: Final = re.compile(rf"{BLOBS}/((?:x[0-9]{{3}}/)*[0-9]{{3}})")


class Frame(NamedTuple):
    """A blob as it lies in a file.

    Attributes:
        digest: SHA-256 as the file says it; not checked.
        content: the blob.
        offset: of the content in the file.
    """

    digest: bytes
    content: bytes
    offset: int

    @property
    def intact(self) -> bool:
        """Whether the content has the digest that stands before it."""
        return hashlib.sha256(self.content).digest() == self.digest


def blob_file(first: int) -> str:
    """The path of the blobs of an append whose first entry has this index, such as ``blobs/x001/234``."""
    return f"{BLOBS}/{grouped(first)}"


def parse_blob_file(name: str) -> int | None:
    """The index of the first entry of a path, or None when no file of blobs has this path."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    first = int(match[1].replace("x", "").replace("/", ""))
    return first if blob_file(first) == name else None


def framed_blob(digest: bytes, content: bytes) -> bytes:
    """A blob as it stands in a file; the caller knows its SHA-256."""
    return digest + len(content).to_bytes(4, "big") + content


def frames(content: bytes, *, where: str) -> Iterator[Frame]:
    """The frames of a file.

    Raises:
        LedgerDamaged: the file ends within a frame.
    """
    at, end_of_file = 0, len(content)
    while at < end_of_file:
        digest_end, start = at + DIGEST_BYTES, at + HEADER_BYTES
        end = start + int.from_bytes(content[digest_end:start], "big")
        if end > end_of_file or start > end_of_file:
            raise LedgerDamaged(f"{where}: a blob is cut off at byte {end_of_file}")
        yield Frame(content[at:digest_end], content[start:end], start)
        at = end


def holds_in_order(content: bytes, digests: Iterable[bytes]) -> bool:
    """Whether a file holds exactly the blobs with these SHA-256 in this order, as an append writes it.

    Says no more than that, and costs little more than to hash the file; `frames` finds what is wrong.
    """
    at = 0
    for digest in digests:
        start = at + HEADER_BYTES
        at = start + int.from_bytes(content[start - 4 : start], "big")
        if not content.startswith(digest, start - HEADER_BYTES):
            return False
        if hashlib.sha256(content[start:at]).digest() != digest:
            return False
    return at == len(content)


class BlobReader:
    """Finds blobs by the entry that commits to them; keeps the last file, as entries are read in order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._firsts: list[int] = []
        self._name = ""
        self._blobs: Mapping[bytes, bytes] = {}

    def read(self, index: int, digest: str) -> bytes:
        """The blob of entry `index` with this SHA-256 in hex, checked.

        Raises:
            NotStored: it is not kept here (a copy for another audience leaves gated ones out).
            LedgerDamaged: what lies there has another digest, or its file is cut off.
        """
        wanted = bytes.fromhex(digest)
        content = self._find(index, wanted)
        if content is None:
            self._firsts = sorted(self._listed())  # the log may have grown since the folder was read
            content = self._find(index, wanted)
        if content is None:
            place = self._name or BLOBS
            raise NotStored(f"{place}: no blob with the digest {digest}, which entry {index} commits to")
        if hashlib.sha256(content).digest() != wanted:
            raise LedgerDamaged(f"{self._name}: blob {digest} of entry {index} does not have its digest")
        return content

    def _listed(self) -> Iterator[int]:
        for name in self._store.names(BLOBS):
            first = parse_blob_file(name)
            if first is not None:
                yield first

    def _find(self, index: int, wanted: bytes) -> bytes | None:
        at = bisect_right(self._firsts, index)
        if not at:
            return None
        name = blob_file(self._firsts[at - 1])
        if name != self._name or wanted not in self._blobs:
            content = self._store.read(name)
            self._blobs = {frame.digest: frame.content for frame in frames(content, where=name)}
            self._name = name
        return self._blobs.get(wanted)
