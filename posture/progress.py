"""Progress of long work: a line that is overwritten on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Console:
    """Where progress goes: standard error, so that results can be piped.

    Attributes:
        quiet: say nothing but results.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    _started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line that stays."""
        if not self.quiet:
            self._clear()
            print(text, file=self.stream, flush=True)

    def detail(self, text: str) -> None:
        """One line that the next one overwrites on a terminal, and that stays elsewhere."""
        if self.quiet:
            return
        if self.stream.isatty():
            self._clear()
            width = shutil.get_terminal_size().columns - 1
            print(f"  {text}"[:width], end="\r", file=self.stream, flush=True)
        else:
            print(f"  {text}", file=self.stream, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A named step with the seconds that it took."""
        started = time.monotonic()
        self.say(f"[{started - self._started:5.1f} s] {title}")
        yield
        self.detail(f"{time.monotonic() - started:.1f} s")

    def done(self) -> None:
        """Clear the last passing line, before results are printed."""
        if not self.quiet:
            self._clear()

    def _clear(self) -> None:
        if self.stream.isatty():
            print("\r\033[K", end="", file=self.stream, flush=True)


@contextmanager
def late_line(text: str, after_seconds: float = 1.0, every_seconds: float = 0.2) -> Iterator[None]:
    """Show a passing line with the seconds on a terminal, once something takes longer than a moment."""
    console, done = Console(), threading.Event()
    started = time.monotonic()

    def show() -> None:
        if done.wait(after_seconds):
            return
        while not done.wait(every_seconds):
            console.detail(f"{text}, {time.monotonic() - started:.0f} s")

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        console.done()
