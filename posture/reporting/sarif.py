"""SARIF 2.1.0 (OASIS standard, 27 March 2020), as code-scanning services take it.

Section numbers in this module are that document's. Paths are URIs relative to `%SRCROOT%`, so that
a report tells nothing of the machine that made it. GitHub's bounds are kept: 5,000 results are taken
of a file, so the worst come first and what is left out is told; rules have at most 20 tags. GitHub
opens an alert for a suppressed result all the same, so callers hand those over only when asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from posture.reporting.items import LEVELS, ReportItem, ReportRule, RunInfo

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERSION = "2.1.0"
SOURCE_ROOT = "%SRCROOT%"
FINGERPRINT = "posture/v1"
MAX_RESULTS = 5000
MAX_TAGS = 20


def to_sarif(items: Sequence[ReportItem], run: RunInfo) -> dict[str, Any]:
    """The log with one run, ready for `json.dumps`."""
    rules = _rules(items, run)
    index = {rule.id: position for position, rule in enumerate(rules)}
    taken = sorted(items, key=lambda item: LEVELS.index(item.level))[:MAX_RESULTS]
    silences = any(item.silenced for item in taken)
    driver: dict[str, Any] = {
        "name": run.tool,
        "version": run.version,
        "rules": [_descriptor(rule) for rule in rules],
    }
    if run.information_uri is not None:
        driver["informationUri"] = run.information_uri
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {SOURCE_ROOT: {"description": {"text": "the examined root"}}},
                "invocations": [_invocation(run, len(items) - len(taken))],
                "results": [_result(item, index[item.rule], silences) for item in taken],
            }
        ],
    }


def _rules(items: Sequence[ReportItem], run: RunInfo) -> list[ReportRule]:
    """The run's rules, and those that only its items name: each id once, as 3.49.3 asks."""
    rules = {rule.id: rule for rule in reversed(run.rules)}
    for item in items:
        rules.setdefault(item.rule, ReportRule(item.rule, item.title, item.level, item.help))
    return [rules[rule_id] for rule_id in sorted(rules)]


def _descriptor(rule: ReportRule) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "defaultConfiguration": {"level": rule.level},
    }
    if rule.description is not None:
        descriptor["fullDescription"] = {"text": rule.description}
    if rule.help is not None:
        descriptor["help"] = {"text": rule.help}
        if rule.markdown is not None:
            descriptor["help"]["markdown"] = rule.markdown
    if rule.help_uri is not None:
        descriptor["helpUri"] = rule.help_uri
    return descriptor | _properties(rule)


def _properties(rule: ReportRule) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if rule.tags:
        properties["tags"] = list(dict.fromkeys(rule.tags))[:MAX_TAGS]
    if rule.security_severity is not None:
        properties["security-severity"] = f"{rule.security_severity:.1f}"
    return {"properties": properties} if properties else {}


def _invocation(run: RunInfo, left_out: int) -> dict[str, Any]:
    """`executionSuccessful` (3.20.14) is false when something was not looked at."""
    invocation: dict[str, Any] = {"executionSuccessful": not run.not_examined}
    notifications = [{"level": "error", "message": {"text": gap}} for gap in run.not_examined]
    if left_out:
        text = f"{left_out} more results are left out: a file of more than {MAX_RESULTS} is refused"
        notifications.append({"level": "warning", "message": {"text": text}})
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    return invocation


def _result(item: ReportItem, rule_index: int, silences: bool) -> dict[str, Any]:
    """One result; where any result of a run has suppressions, each has the list (3.27.23)."""
    text = item.message if item.help is None else f"{item.message}\n{item.help}"
    result: dict[str, Any] = {
        "ruleId": item.rule,
        "ruleIndex": rule_index,
        "level": item.level,
        "message": {"text": text},
    }
    if item.path is not None:
        result["locations"] = [{"physicalLocation": _location(item, item.path)}]
    if item.fingerprint is not None:
        result["partialFingerprints"] = {FINGERPRINT: item.fingerprint}
    if silences:
        silenced = item.silenced
        result["suppressions"] = (
            [{"kind": silenced.kind, "justification": silenced.justification}] if silenced else []
        )
    return result


def _location(item: ReportItem, path: str) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": _artifact(path)}
    if item.line is not None and item.line >= 1:  # a region's lines begin at 1 (3.30.5)
        location["region"] = {"startLine": item.line}
        if item.column is not None and item.column >= 1:
            location["region"]["startColumn"] = item.column
        if item.end_line is not None and item.end_line > item.line:
            location["region"]["endLine"] = item.end_line
    return location


def _artifact(path: str) -> dict[str, str]:
    """A relative URI goes with its base; an absolute path becomes a file URI without one (3.4)."""
    parts = PurePosixPath(path)
    if parts.is_absolute():
        return {"uri": parts.as_uri()}
    return {"uri": quote(str(parts), errors="surrogateescape"), "uriBaseId": SOURCE_ROOT}
