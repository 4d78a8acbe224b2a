"""The log as one audience may see it: the same tree and root, without the payloads that it may not read.

Hashes of all entries stay, so every rendering leads to the root of the one checkpoint; subtrees of payloads
that belong to a more trusted audience are left out, and for a window of time also whole bundles of entries.
`verify_ledger(…, partial=True)` checks a rendering, and so does the verifier in a pack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from evidence.errors import EvidenceError
from evidence.ledger.blobs import BLOBS, blob_file, framed_blob, frames, parse_blob_file
from evidence.ledger.errors import StoreFailure
from evidence.ledger.keychain import ROTATIONS, read_chain
from evidence.ledger.layout import CHECKPOINT, VERIFIER_KEY, WIDTH, Tile, framed, levels, tiles_of
from evidence.ledger.store import DirectoryStore, Store
from evidence.ledger.tiles import TileReader, read_tile
from evidence.payload import Audience
from evidence.proofs.dsse import Envelope
from evidence.proofs.merkle import HASH_BYTES
from evidence.proofs.notes import read_checkpoint
from evidence.proofs.statement import Statement
from evidence.record import PREDICATE_TYPE

_RANK = tuple(Audience)

Wanted = Callable[[int], bool]
"""Whether an entry, by its index, belongs into a rendering."""


def everything(_index: int) -> bool:
    """The rendering of the whole log."""
    return True


def rendered(
    store: Store, checkpoint: bytes, audience: Audience, *, wanted: Wanted = everything
) -> Iterator[tuple[str, bytes]]:
    """The files of a rendering by their path in the log.

    Args:
        store: the log, verified.
        checkpoint: its signed head; what was appended since is left out.
        audience: who may read the result.
        wanted: entries to keep; their whole bundles are, and those of key rotations.

    Raises:
        EvidenceError: the log is damaged.
    """
    size = read_checkpoint(checkpoint).size
    yield CHECKPOINT, checkpoint
    yield VERIFIER_KEY, store.read(VERIFIER_KEY)
    if store.contains(ROTATIONS):
        yield ROTATIONS, store.read(ROTATIONS)
    for level in range(levels(size)):
        for tile in tiles_of(level, size):
            yield tile.name, _tile(store, tile)
    kept = _kept(store, size, wanted)
    for n in sorted(kept):
        bundle = Tile(None, n, min(WIDTH, size - n * WIDTH))
        yield bundle.name, _bundle(store, bundle)
    yield from _blobs(store, size, audience, kept)


def write_rendering(
    store: Store, checkpoint: bytes, out: Path, audience: Audience, *, wanted: Wanted = everything
) -> int:
    """Write a rendering into a new or empty folder; return how many files it has.

    Raises:
        EvidenceError: the folder holds something, or the log is damaged.
    """
    if out.exists() and any(out.iterdir()):
        raise EvidenceError(f"{out} is not empty; name a new folder for the rendering")
    count = 0
    target = DirectoryStore(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in rendered(store, checkpoint, audience, wanted=wanted):
            path = target.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            count += 1
    except OSError as error:
        raise StoreFailure(f"cannot write the rendering to {out}: {error.strerror or error}") from error
    return count


def readable_digests(statement: Statement, audience: Audience) -> tuple[str, ...]:
    """SHA-256 (hex) of what an entry commits to and the audience may read."""
    allowed = {name.value for name in _RANK[: _RANK.index(audience) + 1]}
    everything_is = statement.predicate_type != PREDICATE_TYPE
    return tuple(item.sha256 for item in statement.subjects if everything_is or item.name in allowed)


def _kept(store: Store, size: int, wanted: Wanted) -> Collection[int]:
    rotations = {rotation.entry for rotation in read_chain(store, size, b"").rotations}
    return {index // WIDTH for index in range(size) if index in rotations or wanted(index)}


def _tile(store: Store, tile: Tile) -> bytes:
    found, content = read_tile(store, tile)
    return content if found == tile else content[: tile.width * HASH_BYTES]


def _bundle(store: Store, bundle: Tile) -> bytes:
    reader = TileReader(store, bundle.end)
    return b"".join(map(framed, reader.bundle(bundle.n)))


def _blobs(store: Store, size: int, audience: Audience, kept: Collection[int]) -> Iterator[tuple[str, bytes]]:
    firsts = sorted(
        first for name in store.names(BLOBS) if (first := parse_blob_file(name)) is not None and first < size
    )
    reader = TileReader(store, size)
    for first, end in zip(firsts, [*firsts[1:], size], strict=True):
        allowed = {
            bytes.fromhex(digest)
            for index, entry in enumerate(reader.entries(first, end), start=first)
            if index // WIDTH in kept
            for digest in readable_digests(Statement.parse(Envelope.decode(entry).payload), audience)
        }
        name = blob_file(first)
        content = b"".join(
            framed_blob(frame.digest, frame.content)
            for frame in frames(store.read(name), where=name)
            if frame.digest in allowed
        )
        if content:
            yield name, content
