"""Findings in the formats of other tools, the same way for every command."""

from __future__ import annotations

import json
from collections.abc import Sequence

from posture.reporting import ReportItem, RunInfo, to_github, to_junit, to_sarif

TOOL_FORMATS = ("sarif", "junit", "github")


def in_tool_format(items: Sequence[ReportItem], run: RunInfo, form: str) -> str:
    """The findings in one of `TOOL_FORMATS`."""
    if form == "junit":
        return to_junit(items, run.tool, run)
    if form == "github":
        return to_github(items)
    return json.dumps(to_sarif(items, run), indent=2) + "\n"
