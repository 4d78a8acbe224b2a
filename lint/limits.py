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
from typing import TypeVar

from lint.errors import LintError
from lint.reads import note_passing

FILE_SECONDS = 10.0
#: How long following the calls of a whole program may take.
PROGRAM_SECONDS = 60.0
#: The path that stands for the whole program among what is cut short.
PROGRAM = "."
T = TypeVar("T")


class TooSlowError(LintError):
    """A file that took longer than its time; the message says how long that is."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time after which `check` raises: by the clock, and by the processor time used.

    A machine with other work is slow for every file, so waiting alone does not count.
    """

    seconds: float
    ends: float
    busy_until: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Begin to count now."""
        return cls(seconds, time.monotonic() + seconds, time.process_time() + seconds)

    def check(self) -> None:
        """Raise TooSlowError when the time is over."""
        if time.monotonic() > self.ends and time.process_time() > self.busy_until:
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


_LATE: ContextVar[dict[str, str] | None] = ContextVar("lint_late", default=None)


@contextmanager
def late_files() -> Iterator[dict[str, str]]:
    """Collect the files that are cut short inside the block: path to what happened."""
    late: dict[str, str] = {}
    token = _LATE.set(late)
    try:
        yield late
    finally:
        _LATE.reset(token)


def within_time(
    path: str, read: Callable[[], T], otherwise: Callable[[], T], seconds: float | None = None
) -> T:
    """Return what `read` gives, or `otherwise` when the file takes too long, which `late_files` tells."""
    try:
        with file_deadline(seconds):
            return read()
    except TooSlowError as error:
        late = _LATE.get()
        if late is not None:
            late[path] = str(error)
        return otherwise()


def check_time() -> None:
    """Raise TooSlowError when the file being read has used its time; nothing without a deadline."""
    deadline = _CURRENT.get()
    if deadline is not None:
        deadline.check()
