"""The tree of a log computed again, from its entries and, where those disagree, from its lowest tiles.

One flipped byte makes entries and tiles differ without telling which is wrong. So both trees are
carried on from the first difference, and the signed root decides at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evidence.ledger.errors import LedgerError, NotStored
from evidence.ledger.layout import CHECKPOINT, HEIGHT, WIDTH, Tile
from evidence.ledger.report import VerifyReport
from evidence.ledger.store import Store
from evidence.ledger.tiles import read_bundle, read_hashes
from evidence.proofs.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, leaf_hash


@dataclass(slots=True)
class _Tree:
    """A frontier that keeps the hash of each complete run of 256 entries."""

    frontier: Frontier
    subtrees: list[bytes]

    def extend(self, leaves: list[bytes], watch: int | None) -> bytes | None:
        """Append leaf hashes; return the root at the size `watch` if it was passed."""
        until = 0 if watch is None else watch - self.frontier.size
        if not 0 < until <= len(leaves):
            self._add(leaves)
            return None
        self._add(leaves[:until])
        watched = self.frontier.root()
        self._add(leaves[until:])
        return watched

    def _add(self, leaves: list[bytes]) -> None:
        self.subtrees += [
            subtree for row in self.frontier.extend(leaves)[HEIGHT : HEIGHT + 1] for subtree in row
        ]

    def fork(self) -> _Tree:
        """A copy that goes its own way."""
        return _Tree(Frontier(self.frontier.size, list(self.frontier.peaks)), list(self.subtrees))


@dataclass(frozen=True, slots=True)
class _Difference:
    """Where a bundle and its level-0 tile first disagree; offsets in each of the two files."""

    bundle: Tile
    entry: int
    bundle_offset: int
    tile_offset: int


class Rebuild:
    """Feed it the bundles in order, then let the signed root decide.

    Attributes:
        watched: the root at the size that was to be watched, once it was passed.
    """

    def __init__(
        self, store: Store, report: VerifyReport, *, watch: int | None, partial: bool = False
    ) -> None:
        self._store = store
        self._partial = partial
        self._report = report
        self._watch = watch
        self._from_entries = _Tree(Frontier(), [])
        self._from_tiles: _Tree | None = None
        self._chosen = self._from_entries
        self._differences: list[_Difference] = []
        self.watched: bytes | None = EMPTY_ROOT if watch == 0 else None

    @property
    def subtrees(self) -> list[bytes]:
        """The hashes of the complete runs of 256 entries, of the tree that the signed root chose."""
        return self._chosen.subtrees

    def bundle(self, bundle: Tile) -> Iterator[tuple[int, bytes]]:
        """Take in one bundle; yield its readable entries and their offsets in the file."""
        entries = self._entries(bundle)
        tile_leaves = self._leaves(Tile(0, bundle.n, bundle.width))
        leaves = [leaf_hash(entry) for entry in entries] if entries is not None else tile_leaves
        if leaves is None:
            return
        if tile_leaves is not None and leaves != tile_leaves:
            self._differ(bundle, entries or [], leaves, tile_leaves)
        self._take(leaves, tile_leaves or leaves)
        offset = 2
        for entry in entries or ():
            self._report.entries += 1
            yield offset, entry
            offset += len(entry) + 2

    def settle(self, root: bytes) -> None:
        """Name the wrong one of each two files that disagree: the one that does not lead to `root`."""
        tiles = self._from_tiles
        by_entries = self._from_entries.frontier.root() == root
        if not by_entries and tiles is not None and tiles.frontier.root() == root:
            self._chosen = tiles
        for difference in self._differences:
            if by_entries:
                name = Tile(0, difference.bundle.n, difference.bundle.width).name
                message, offset = "is not the hash of the entry", difference.tile_offset
            else:
                name = difference.bundle.name
                message, offset = "the entry is not the one that was logged", difference.bundle_offset
            self._report.add(name, message, entry=difference.entry, offset=offset)
        if self._chosen.frontier.root() != root and not self._report.problems:
            self._report.add(CHECKPOINT, "its root is not the root of the entries; they were replaced")

    def _take(self, leaves: list[bytes], tile_leaves: list[bytes]) -> None:
        if leaves is not tile_leaves and leaves != tile_leaves and self._from_tiles is None:
            self._from_tiles = self._from_entries.fork()
        if self._from_tiles is not None:
            self._from_tiles.extend(tile_leaves, None)
        self.watched = self._from_entries.extend(leaves, self._watch) or self.watched

    def _differ(self, bundle: Tile, entries: list[bytes], ours: list[bytes], theirs: list[bytes]) -> None:
        at = next(n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        offset = sum(len(entry) + 2 for entry in entries[:at]) + 2
        self._differences.append(_Difference(bundle, bundle.n * WIDTH + at, offset, at * HASH_BYTES))

    def _entries(self, bundle: Tile) -> list[bytes] | None:
        try:
            return read_bundle(self._store, bundle)
        except NotStored as error:
            if self._partial:
                self._report.unseen += bundle.width
            else:
                self._report.add(bundle.name, str(error), entry=bundle.n * WIDTH)
            return None
        except LedgerError as error:
            self._report.add(bundle.name, str(error), entry=bundle.n * WIDTH)
            return None

    def _leaves(self, tile: Tile) -> list[bytes] | None:
        try:
            return read_hashes(self._store, tile)
        except LedgerError as error:
            self._report.add(tile.name, str(error))
            return None


def first_difference(content: bytes, expected: bytes) -> int:
    """The offset of the first byte that differs; of the shorter one's end when it is a beginning."""
    for at, (found, wanted) in enumerate(zip(content, expected, strict=False)):
        if found != wanted:
            return at
    return min(len(content), len(expected))
