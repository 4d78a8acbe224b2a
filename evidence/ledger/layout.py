"""Where the parts of a log lie: the paths and bundle bytes of c2sp.org/tlog-tiles.

Entry bundles and hash tiles are 256 wide; the right-most ones are partial and carry their width in
their name. Payload subtrees lie beside the log (`evidence.ledger.blobs`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from evidence.ledger.errors import LedgerDamaged

WIDTH: Final = 256
HEIGHT: Final = 8
MAX_ENTRY_BYTES: Final = 65_535
"""A bundle prefixes each entry with its length as uint16."""

CHECKPOINT: Final = "checkpoint"
VERIFIER_KEY: Final = "log.vkey"
"""The log's own public key, for convenience; it proves nothing to a reader who has no key from elsewhere."""

_NAME: Final = re.compile(
    r"tile/(?:entries|(?P<level>0|[1-9][0-9]?))/(?P<n>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A hash tile, or an entry bundle when `level` is None.

    Attributes:
        level: of the hashes in it, each covering ``256 ** level`` entries.
        n: the tile's index within its level.
        width: hashes or entries in it, 1 to 256.
    """

    level: int | None
    n: int
    width: int = WIDTH

    @property
    def directory(self) -> str:
        """Where all partial tiles of this index lie."""
        return f"tile/{'entries' if self.level is None else self.level}/{grouped(self.n)}"

    @property
    def name(self) -> str:
        """The path of this tile, such as ``tile/0/x001/234.p/17``."""
        return self.directory if self.width == WIDTH else f"{self.directory}.p/{self.width}"

    @property
    def full(self) -> Tile:
        """The same tile at full width."""
        return Tile(self.level, self.n)

    @property
    def end(self) -> int:
        """The size that a log must have reached for this tile to exist."""
        span: int = WIDTH ** (self.level or 0)
        return (self.n * WIDTH + self.width) * span


def grouped(number: int) -> str:
    """A number in groups of three digits, all but the last marked: ``x001/x234/067``."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])


def parse_tile_name(name: str) -> Tile | None:
    """The tile of a path, or None when no tile has this path."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    level = None if match["level"] is None else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    tile = Tile(level, n, int(match["width"] or WIDTH))
    return tile if tile.name == name else None


def tiles_of(level: int | None, size: int) -> Iterable[Tile]:
    """The tiles of one level (None: the bundles) in a log of `size` entries, left to right."""
    count = size >> HEIGHT * (level or 0)
    for n in range(-(-count // WIDTH)):
        yield Tile(level, n, min(WIDTH, count - n * WIDTH))


def levels(size: int) -> int:
    """How many levels of hash tiles a log of `size` entries has."""
    return -(-size.bit_length() // HEIGHT)


def framed(entry: bytes) -> bytes:
    """An entry as it stands in a bundle."""
    return len(entry).to_bytes(2, "big") + entry


def split_bundle(bundle: bytes, width: int, *, where: str) -> list[bytes]:
    """The first `width` entries of a bundle; of a partial bundle, all of it must be used up.

    Raises:
        LedgerDamaged: the bundle ends within an entry, or bytes are left over.
    """
    entries: list[bytes] = []
    at = 0
    while len(entries) < width:
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if at > len(bundle) or start > len(bundle):
            raise LedgerDamaged(
                f"{where}: entry {len(entries)} of the bundle is cut off at byte {len(bundle)}"
            )
        entries.append(bundle[start:at])
    if at != len(bundle):
        raise LedgerDamaged(f"{where}: {len(bundle) - at} bytes follow the last entry")
    return entries
