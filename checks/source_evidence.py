"""What the source shows, as checks read it: the lint's report, and what stands around the bypass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checks.judgement import seen
from checks.populations import SOURCES
from evidence.kinds.source import (
    AllowedFinding,
    BypassUse,
    HandlerEntry,
    LintFinding,
    LintReport,
    ServiceJoin,
    SourceBypass,
)
from evidence.scope import Scope
from evidence.view import Evidence, Observation

Reports = tuple[Observation[LintReport], ...]
Sources = tuple[Observation[SourceBypass], ...]

NOTHING_ANALYSED: Final = "The lint ran and found nothing to analyse: nothing was shown."


def reports_of(evidence: Evidence, scope: Scope) -> Reports:
    """The lint's reports of the sources in scope."""
    return seen(evidence, scope, LintReport, over=SOURCES)


def sources_of(evidence: Evidence, scope: Scope) -> Sources:
    """What the sources in scope do around row security."""
    return seen(evidence, scope, SourceBypass, over=SOURCES)


def unread(reports: Reports) -> Iterator[str]:
    """A doubt for each source of which the lint read nothing, or not all."""
    for report in reports:
        if not report.payload.files or not report.payload.statements:
            yield NOTHING_ANALYSED
        if not_analysed := report.payload.not_analysed:
            yield f"The lint could not read {not_analysed} statements, so their tenancy is not known."


def empty(sources: Sources) -> Iterator[str]:
    """A doubt for each source without a file."""
    return (NOTHING_ANALYSED for source in sources if not source.payload.files)


def place(seen_at: AllowedFinding | BypassUse | HandlerEntry | LintFinding | ServiceJoin) -> str:
    """Where something stands in a source."""
    return f"{seen_at.path}:{seen_at.line}"
