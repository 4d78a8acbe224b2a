"""The right edge of a log: its unfinished bundle and tiles, which is all that appending needs.

Memory and time for an append do not grow with the log: 255 entries, 255 hashes for each level.
"""

from __future__ import annotations

from evidence.ledger.errors import LedgerDamaged
from evidence.ledger.layout import HEIGHT, WIDTH, Tile, framed, levels
from evidence.ledger.tiles import TileReader
from evidence.proofs.merkle import Frontier, leaf_hash, tree_root
from evidence.proofs.notes import Checkpoint


class Edge:
    """What is unfinished at the right of a log, and the files that appending has finished."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._bundle = bytearray()
        self._tiles: list[list[bytes]] = []
        self._changed: set[int] = set()
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

    def append(self, entry: bytes) -> bytes:
        """Add an entry; return its leaf hash."""
        leaf = leaf_hash(entry)
        self._bundle += framed(entry)
        closed = self.frontier.append(leaf)
        for level, subtree in enumerate(closed[::HEIGHT]):
            self._add(level, subtree)
        if self.frontier.size % WIDTH == 0:
            self._finished[Tile(None, self.frontier.size // WIDTH - 1)] = bytes(self._bundle)
            self._bundle.clear()
        return leaf

    def take(self) -> tuple[dict[str, bytes], list[str]]:
        """The files to write for what was appended, and the folders of partial tiles that they replace."""
        size = self.frontier.size
        files = {tile.name: content for tile, content in self._finished.items()}
        replaced = [f"{tile.directory}.p" for tile in self._finished]
        for level in sorted(self._changed):
            hashes = self._tiles[level]
            if hashes:
                files[Tile(level, size >> HEIGHT * (level + 1), len(hashes)).name] = b"".join(hashes)
        if 0 in self._changed and self._bundle:
            files[Tile(None, size // WIDTH, size % WIDTH).name] = bytes(self._bundle)
        self._changed.clear()
        self._finished.clear()
        return files, replaced

    def _add(self, level: int, subtree: bytes) -> None:
        if level == len(self._tiles):
            self._tiles.append([])
        hashes = self._tiles[level]
        hashes.append(subtree)
        self._changed.add(level)
        if len(hashes) == WIDTH:
            n = (self.frontier.size >> HEIGHT * (level + 1)) - 1
            self._finished[Tile(level, n)] = b"".join(hashes)
            hashes.clear()


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
