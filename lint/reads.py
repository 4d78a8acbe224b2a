"""What an answer depends on beyond the files it was asked about, so that a stored one knows its age.

Registries and modules imported by revisions lie outside the linted paths; a file looked for and not
found counts too, since it may be there tomorrow. An answer that a slow machine cut short is passing:
it is told, and not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Reads:
    """Paths looked at, there or not, and whether the answer holds for this run only."""

    paths: set[Path] = field(default_factory=set)
    passing: bool = False


_READS: ContextVar[Reads | None] = ContextVar("lint_reads", default=None)


@contextmanager
def recording() -> Iterator[Reads]:
    """Collect what is noted inside the block."""
    reads = Reads()
    token = _READS.set(reads)
    try:
        yield reads
    finally:
        _READS.reset(token)


def noted(path: Path) -> Path:
    """Note that the answer depends on this file, there or not; returns it."""
    reads = _READS.get()
    if reads is not None:
        reads.paths.add(path)
    return path


def note_passing() -> None:
    """Note that the answer depends on how fast the machine is now."""
    reads = _READS.get()
    if reads is not None:
        reads.passing = True
