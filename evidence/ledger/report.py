"""What the check of a log found: counts of what holds, and one problem for each file that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from evidence.proofs.notes import Checkpoint

Progress: TypeAlias = Callable[[int, int], None]
"""Called with entries checked and entries in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold.

    Attributes:
        file: path within the log.
        message: what was found and what was expected.
        entry: index of the entry concerned, where one is.
        offset: of the first wrong byte in the file (or of the entry concerned), where it is known.
    """

    file: str
    message: str
    entry: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        place = f", byte {self.offset}" if self.offset is not None else ""
        entry = f" (entry {self.entry})" if self.entry is not None else ""
        return f"{self.file}{place}{entry}: {self.message}"


@dataclass(slots=True)
class VerifyReport:
    """What was checked, and what did not hold.

    Attributes:
        origin: the log that was asked for.
        pinned: whether a key from outside the log was used; if not, nothing shows who made it.
        checkpoint: the log's head, when its signature holds.
        entries: how many were read and hashed.
        signatures: how many of them are envelopes signed by a trusted key.
        blobs: how many have the digest that an entry commits to.
        unseen: entries known by their hashes alone, in a copy that leaves their bundles out.
        withheld: blobs that entries commit to and that are not in this copy.
        leftovers: files that no entry or checkpoint needs (an append that did not finish); not evidence.
        extends: the older checkpoint that this log was shown to begin with.
        problems: the first one of each file, in the order found; empty when everything holds.
    """

    origin: str
    pinned: bool
    checkpoint: Checkpoint | None = None
    entries: int = 0
    signatures: int = 0
    blobs: int = 0
    unseen: int = 0
    withheld: int = 0
    leftovers: list[str] = field(default_factory=list)
    extends: Checkpoint | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the log was checked to its end and everything holds."""
        return self.checkpoint is not None and not self.problems

    @property
    def first(self) -> Problem | None:
        """The first problem found."""
        return self.problems[0] if self.problems else None

    def add(self, file: str, message: str, *, entry: int | None = None, offset: int | None = None) -> None:
        """Note a problem, unless one of this file is noted already."""
        if all(problem.file != file for problem in self.problems):
            self.problems.append(Problem(file, message, entry, offset))
