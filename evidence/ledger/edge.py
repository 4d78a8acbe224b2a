"""The right edge of a log: its unfinished bundle and tiles, which is all that appending needs.

Memory and time for an append do not grow with the log: 255 entries, 255 hashes for each level. A
writer that died may have left partial tiles of an append that never counted; they are cleared from
the present tiles when the edge is loaded, and from every later tile when the log first gets there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evidence.ledger.errors import LedgerDamaged
from evidence.ledger.layout import HEIGHT, WIDTH, Tile, framed, levels, parse_tile_name
from evidence.ledger.store import Store
from evidence.ledger.tiles import TileReader
from evidence.proofs.merkle import Frontier, tree_root
from evidence.proofs.notes import Checkpoint


@dataclass(frozen=True, slots=True)
class Growth:
    """What an append changes in the store.

    Attributes:
        files: to write.
        entered: folders of partial tiles that the log gets to for the first time; to be cleared before.
        replaced: folders of partial tiles that full ones replace; to be removed after publishing.
    """

    files: dict[str, bytes]
    entered: list[str]
    replaced: list[str]


class Edge:
    """What is unfinished at the right of a log, and the files that appending has finished."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._bundle = bytearray()
        self._tiles: list[list[bytes]] = []
        self._changed: set[int] = set()
        self._entered: list[Tile] = []
        self._finished: dict[Tile, bytes] = {}

    @classmethod
    def load(cls, reader: TileReader, checkpoint: Checkpoint) -> Edge:
        """Read the edge of a log and make sure that it leads to the checkpoint's root.

        Raises:
            LedgerDamaged: it does not.
        """
        edge = cls()
        size = edge.frontier.size = checkpoint.size
        edge._tiles = [reader.unfinished(level) for level in range(levels(size))]
        edge._bundle += b"".join(map(framed, reader.unfinished_entries()))
        for tile in reversed(edge._tiles):
            edge.frontier.peaks += _peaks(tile)
        if edge.frontier.root() != checkpoint.root:
            raise LedgerDamaged(
                f"the tiles at the right edge do not lead to the root of the checkpoint ({size} entries); "
                "run: posture ledger verify"
            )
        return edge

    def extend(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """Add entries by their bytes and their leaf hashes."""
        start = self.frontier.size
        self._add_entries(start, entries)
        for level, hashes in enumerate(self.frontier.extend(leaves)[::HEIGHT]):
            self._add_hashes(level, start >> HEIGHT * level, hashes)

    def take(self) -> Growth:
        """What the appends since the last call change in the store."""
        files = {tile.name: content for tile, content in self._finished.items()}
        growth = Growth(
            files=files | {tile.name: content for tile, content in self._unfinished()},
            entered=[partial_folder(tile) for tile in self._entered],
            replaced=[partial_folder(tile) for tile in self._finished],
        )
        self._changed.clear()
        self._entered.clear()
        self._finished.clear()
        return growth

    def _unfinished(self) -> Iterator[tuple[Tile, bytes]]:
        size = self.frontier.size
        for level in sorted(self._changed):
            if hashes := self._tiles[level]:
                yield Tile(level, size >> HEIGHT * (level + 1), len(hashes)), b"".join(hashes)
        if self._changed and self._bundle:
            yield Tile(None, size // WIDTH, size % WIDTH), bytes(self._bundle)

    def _add_entries(self, start: int, entries: Sequence[bytes]) -> None:
        for n, run in _runs(start, entries):
            if not self._bundle:
                self._entered.append(Tile(None, n))
            self._bundle += b"".join(map(framed, run))
            if (start := start + len(run)) % WIDTH == 0:
                self._finished[Tile(None, n)] = bytes(self._bundle)
                self._bundle.clear()

    def _add_hashes(self, level: int, start: int, hashes: Sequence[bytes]) -> None:
        if level == len(self._tiles):
            self._tiles.append([])
        unfinished = self._tiles[level]
        self._changed.add(level)
        for n, run in _runs(start, hashes):
            if not unfinished:
                self._entered.append(Tile(level, n))
            unfinished += run
            if len(unfinished) == WIDTH:
                self._finished[Tile(level, n)] = b"".join(unfinished)
                unfinished.clear()


def _runs(start: int, items: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """The items by the tile that they fall into, with its index; the first item stands at `start`."""
    at = 0
    while at < len(items):
        n, before = divmod(start + at, WIDTH)
        run = items[at : at + WIDTH - before]
        yield n, run
        at += len(run)


def clear_leftovers(store: Store, size: int) -> None:
    """Remove partial tiles at the right edge that are wider than a log of `size` entries has them."""
    for level in (None, *range(levels(size))):
        count = size >> HEIGHT * (level or 0)
        for name in list(store.names(partial_folder(Tile(level, count // WIDTH)))):
            tile = parse_tile_name(name)
            if tile is None or tile.end > size:
                store.discard(name)


def partial_folder(tile: Tile) -> str:
    """Where the partial tiles with a tile's index lie."""
    return f"{tile.directory}.p"


def _peaks(hashes: list[bytes]) -> list[bytes]:
    """The complete subtrees over a partial tile, largest first: one for each one-bit of its width."""
    peaks: list[bytes] = []
    start = 0
    for bit in range(HEIGHT - 1, -1, -1):
        width = len(hashes) & 1 << bit
        if width:
            peaks.append(tree_root(hashes[start : start + width]))
            start += width
    return peaks
