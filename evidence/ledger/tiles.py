"""Reading a log at one size: entries from bundles, and any hash of the tree from tiles.

A log that grows meanwhile may replace a partial tile by the full one; the reader then takes the full
one and looks no further than its own size (tlog-tiles, "Partial Tiles").
"""

from __future__ import annotations

from collections.abc import Iterator

from evidence.ledger.errors import LedgerDamaged, NotStored
from evidence.ledger.layout import HEIGHT, WIDTH, Tile, split_bundle
from evidence.ledger.store import Store
from evidence.proofs.merkle import HASH_BYTES, tree_root


class TileReader:
    """The log of a store as it was at `size` entries."""

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self.size = size
        self._cache: dict[Tile, list[bytes]] = {}

    def node(self, level: int, n: int) -> bytes:
        """The hash of the n-th complete subtree of ``2 ** level`` entries (a `merkle.Nodes`)."""
        tile_level, inner = divmod(level, HEIGHT)
        first = n << inner
        tile, at = divmod(first, WIDTH)
        hashes = self._hashes(tile_level, tile)[at : at + (1 << inner)]
        return tree_root(hashes)

    def unfinished(self, level: int) -> list[bytes]:
        """The hashes of the partial tile of a level; empty when its last tile is full."""
        count = self.size >> HEIGHT * level
        return list(self._hashes(level, count // WIDTH)) if count % WIDTH else []

    def unfinished_entries(self) -> list[bytes]:
        """The entries of the partial bundle; empty when the last bundle is full."""
        return self.bundle(self.size // WIDTH) if self.size % WIDTH else []

    def bundle(self, n: int) -> list[bytes]:
        """The entries of the n-th bundle, as far as the size reaches."""
        tile = Tile(None, n, min(WIDTH, self.size - n * WIDTH))
        return read_bundle(self._store, tile)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The entries from `start` up to, without, `stop`."""
        for n in range(start // WIDTH, -(-stop // WIDTH)):
            base = n * WIDTH
            yield from self.bundle(n)[max(start - base, 0) : stop - base]

    def _hashes(self, level: int, n: int) -> list[bytes]:
        tile = Tile(level, n, min(WIDTH, (self.size >> HEIGHT * level) - n * WIDTH))
        if tile not in self._cache:
            self._cache[tile] = read_hashes(self._store, tile)
        return self._cache[tile]


def read_tile(store: Store, tile: Tile) -> tuple[Tile, bytes]:
    """A tile's content, from itself or from the full one that has replaced it meanwhile; says which.

    Raises:
        NotStored: neither is there.
    """
    try:
        return tile, store.read(tile.name)
    except NotStored:
        if tile.width == WIDTH:
            raise
    return tile.full, store.read(tile.full.name)


def read_bundle(store: Store, tile: Tile) -> list[bytes]:
    """The first `tile.width` entries of a bundle; `LedgerDamaged` when it is cut off or too long."""
    found, content = read_tile(store, tile)
    return split_bundle(content, found.width, where=found.name)[: tile.width]


def read_hashes(store: Store, tile: Tile) -> list[bytes]:
    """The first `tile.width` hashes of a tile; `LedgerDamaged` when it has another length."""
    found, content = read_tile(store, tile)
    if len(content) != found.width * HASH_BYTES:
        raise LedgerDamaged(f"{found.name} has {len(content)} bytes, expected {found.width * HASH_BYTES}")
    return [content[at : at + HASH_BYTES] for at in range(0, tile.width * HASH_BYTES, HASH_BYTES)]
