"""The one shape of a finding on its way into a report, whatever command found it.

Levels are SARIF's (2.1.0, section 3.27.10): an error fails the command, a warning and a note do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Silenced:
    """Why a finding does not count: silenced in its source, or known from outside (a baseline)."""

    kind: Literal["inSource", "external"]
    justification: str


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One finding. `path` is relative to the root that was examined; lines and columns begin at 1.

    `help` is the next step. `fingerprint` stays the same while the finding does, though lines move.
    """

    rule: str
    title: str
    level: Level
    message: str
    path: str | None = None
    line: int | None = None
    column: int | None = None
    help: str | None = None
    fingerprint: str | None = None
    end_line: int | None = None
    silenced: Silenced | None = None


@dataclass(frozen=True, slots=True)
class ReportRule:
    """One rule that was applied, whether or not it found something.

    `markdown` is the help again, dressed. `security_severity` is a score from 0.1 to 10.0, by which
    code-scanning services sort. `tags` name what the rule is about.
    """

    id: str
    title: str
    level: Level = "error"
    help: str | None = None
    help_uri: str | None = None
    description: str | None = None
    markdown: str | None = None
    tags: Sequence[str] = ()
    security_severity: float | None = None


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What ran: the tool, its version, the rules it applied, and what it could not examine.

    `not_examined` holds one line for each gap. A report with gaps says that the run was incomplete,
    because no findings and no look are different things.
    """

    tool: str
    version: str
    rules: Sequence[ReportRule] = ()
    information_uri: str | None = None
    not_examined: Sequence[str] = ()
