"""Deterministic zips: stored files in the order of their names, with one possible header each.

`verify.py` rebuilds every header and compares it, so the two know the same layout and no byte of an
archive is without meaning. Nothing is compressed: the bytes depend on no zlib, and a bomb is impossible.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from trust_portal.errors import PackError
from trust_portal.packs import verify


def write_archive(files: Mapping[str, bytes], out: Path) -> int:
    """Write a zip in one step and return its size in bytes.

    Raises:
        PackError: more files or bytes than a plain zip can hold.
    """
    if len(files) > verify.MAX_FILES:
        raise PackError(f"{len(files)} files; a pack holds at most {verify.MAX_FILES}, pack a shorter window")
    largest = max(files, key=lambda name: len(files[name]))
    if len(files[largest]) > verify.MAX_FILE_BYTES:
        raise PackError(f"{largest} is larger than {verify.MAX_FILE_BYTES} bytes")
    size = sum(map(len, files.values())) + 512 * len(files)
    if size > verify.MAX_PACK_BYTES:
        raise PackError(f"about {size} bytes; a pack holds at most {verify.MAX_PACK_BYTES}")
    return _write_in_one_step(_chunks(files), out)


def _chunks(files: Mapping[str, bytes]) -> Iterable[bytes]:
    directory, offset = [], 0
    for name, content in sorted(files.items()):
        local, central = verify.zip_headers(name, zlib.crc32(content), len(content), offset)
        yield local
        yield content
        directory.append(central)
        offset += len(local) + len(content)
    yield from directory
    yield verify.zip_end(len(files), sum(map(len, directory)), offset)


def _write_in_one_step(chunks: Iterable[bytes], out: Path) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            os.fchmod(file.fileno(), 0o644)
        Path(fresh).replace(out)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    return size
