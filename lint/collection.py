"""Garbage collection while the lint runs: seldom, since a run builds a catalogue and drops little.

At Python's own threshold of 700 new objects the collector walks the growing catalogue hundreds of
times and finds next to nothing, for a tenth to a third of the time. Cycles do arise (parsed
expressions know their parents), so it is not switched off.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: New objects before the youngest are looked at: some 20 MB at most wait for that.
SELDOM = 100_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the collector run seldom inside the block; the threshold of before is restored."""
    before = gc.get_threshold()
    gc.set_threshold(max(SELDOM, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
