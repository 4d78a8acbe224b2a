"""What can go wrong with an embedded server, one family for the whole package.

Each message names the server, what was tried, and the next step, because the reader is somebody
whose first command just failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posture.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class EmbeddedError(UsageError):
    """An embedded server could not be found, prepared, started or used."""


class BinariesNotFoundError(EmbeddedError):
    """No usable program of a server was found; names every place tried and the remedy."""

    def __init__(self, server: str, tried: Sequence[str], remedy: str) -> None:
        self.tried = tuple(tried)
        super().__init__(f"no {server} binaries found: tried {'; '.join(tried)}. {remedy}")


class PrepareError(EmbeddedError):
    """A data directory or a public folder could not be made ready for a server."""


class StartError(EmbeddedError):
    """A server ended, or did not answer in time; carries the end of its log."""

    def __init__(self, server: str, problem: str, log: str, log_tail: str) -> None:
        self.log_tail = log_tail
        shown = log_tail.rstrip() or "(the log is empty)"
        super().__init__(f"{server} {problem}; the end of its log {log}:\n{shown}")


class InUseError(EmbeddedError):
    """Another running server holds this data directory."""


class NotRunningError(EmbeddedError):
    """The server was asked for something that only a started one can give."""
