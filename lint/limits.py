"""How long one file may take: a file written by people needs milliseconds, so ten seconds is a fault.

The bound is cooperative: loops that grow with their input call `check_time()`, which raises
`TooSlowError` once the file's deadline has passed; whoever set the deadline turns that into one RLS090
and goes on with the next file. No signals, no threads, so the lint stays a library.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from lint.errors import LintError
from lint.reads import note_passing

FILE_SECONDS = 10.0


class TooSlowError(LintError):
    """A file that took longer than its time; the message says how long that is."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, by a clock in seconds, after which `check` raises."""

    seconds: float
    ends: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """Begin to count now."""
        return cls(seconds, clock() + seconds, clock)

    def check(self) -> None:
        """Raise TooSlowError when the time is over."""
        if self.clock() > self.ends:
            note_passing()
            raise TooSlowError(f"it takes longer than {self.seconds:g} s")


_CURRENT: ContextVar[Deadline | None] = ContextVar("lint_deadline", default=None)


@contextmanager
def file_deadline(seconds: float | None = None) -> Iterator[Deadline]:
    """Give what runs inside the block this many seconds (default: `FILE_SECONDS`), within an outer bound."""
    outer = _CURRENT.get()
    deadline = Deadline.after(FILE_SECONDS if seconds is None else seconds)
    token = _CURRENT.set(outer if outer and outer.ends < deadline.ends else deadline)
    try:
        yield deadline
    finally:
        _CURRENT.reset(token)


def check_time() -> None:
    """Raise TooSlowError when the file being read has used its time; nothing without a deadline."""
    deadline = _CURRENT.get()
    if deadline is not None:
        deadline.check()
