"""Deterministic zips: stored files in the order of their names, with one possible header each.

`verify.py` demands these very headers and directory, so no byte of an archive is without meaning.
Nothing is compressed: the bytes depend on no zlib, and a bomb is impossible.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trust_portal.errors import PackError

MAX_FILES: Final = 65_535
MAX_BYTES: Final = 4 * 1024**3 - 1
"""What a zip without the extensions of zip64 can hold; a reader of packs knows no other."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that was written: its size in bytes, and the SHA-256 (hex) of all of it."""

    size: int
    sha256: str


def write_archive(
    files: Mapping[str, bytes], out: Path, *, announce: Callable[[Archive], object] = lambda _archive: None
) -> Archive:
    """Write a zip in one step.

    Args:
        files: content by name.
        out: replaced when all bytes are durable; at any instant it is the old file or the new one.
        announce: called when the new file is durable and before it has its name.

    Raises:
        PackError: more files or bytes than a plain zip can hold, or `out` cannot be written.
    """
    if len(files) > MAX_FILES:
        raise PackError(f"{len(files)} files; a pack holds at most {MAX_FILES}, pack a shorter window")
    size = sum(len(name) * 2 + len(content) + 76 for name, content in files.items()) + 22
    if size > MAX_BYTES:
        raise PackError(f"{size} bytes; a pack holds at most {MAX_BYTES}, pack a shorter window")
    try:
        return _write_in_one_step(_chunks(files), out, announce)
    except OSError as error:
        raise PackError(f"cannot write {out}: {error.strerror or error}") from error


def _write_in_one_step(chunks: Iterable[bytes], out: Path, announce: Callable[[Archive], object]) -> Archive:
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        hashed = hashlib.sha256()
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                hashed.update(chunk)
            file.flush()
            os.fsync(file.fileno())
            archive = Archive(file.tell(), hashed.hexdigest())
            os.fchmod(file.fileno(), 0o644)
        announce(archive)
        Path(fresh).replace(out)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    return archive


def _chunks(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """The bytes of a zip in pieces: each file behind its header, then the directory; all dated 1980."""
    directory, offset = b"", 0
    for name in sorted(files):
        encoded, size, crc = name.encode("ascii"), len(files[name]), zlib.crc32(files[name])
        shared = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, crc, size, size, len(encoded), 0)
        yield b"PK\x03\x04" + shared + encoded
        yield files[name]
        tail = struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, offset)
        directory += b"PK\x01\x02\x14\x03" + shared + tail + encoded
        offset += 30 + len(encoded) + size
    end = struct.pack("<HHHHLLH", 0, 0, len(files), len(files), len(directory), offset, 0)
    yield directory + b"PK\x05\x06" + end
