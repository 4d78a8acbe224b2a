"""JUnit XML, as CI servers read it: each rule is a test case, each error of it a failure.

There is no standard; the elements are those that Jenkins' schema (junit-10.xsd) and GitLab agree on.
A rule that found nothing is a passed test, one with warnings only is passed and says so, and what
was not examined is an error, never a pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from posture.reporting.items import ReportItem, ReportRule, RunInfo

# Char of XML 1.0, section 2.2: everything else cannot stand in a document, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(items: Sequence[ReportItem], suite: str, run: RunInfo | None = None) -> str:
    """The document for one suite; with `run`, its rules without findings are passed tests."""
    cases = [_case(rule, of_rule, suite) for rule, of_rule in _by_rule(items, run)]
    cases += [_gap(gap, suite) for gap in (run.not_examined if run else ())]
    failed = sum(case.find("failure") is not None for case in cases)
    counts = {
        "tests": str(len(cases)),
        "failures": str(failed),
        "errors": str(len(run.not_examined) if run else 0),
        "skipped": "0",
    }
    root = ET.Element("testsuites", counts)
    ET.SubElement(root, "testsuite", {"name": _text(suite), **counts}).extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _by_rule(items: Sequence[ReportItem], run: RunInfo | None) -> list[tuple[ReportRule, list[ReportItem]]]:
    rules = {rule.id: rule for rule in (run.rules if run else ())}
    found: dict[str, list[ReportItem]] = {rule_id: [] for rule_id in rules}
    for item in items:
        if item.silenced is not None:
            continue
        rules.setdefault(item.rule, ReportRule(item.rule, item.title))
        found.setdefault(item.rule, []).append(item)
    return [(rules[rule_id], found[rule_id]) for rule_id in sorted(found)]


def _case(rule: ReportRule, items: list[ReportItem], suite: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": _text(suite), "name": _text(f"{rule.id} {rule.title}")})
    errors = [item for item in items if item.level == "error"]
    others = [item for item in items if item.level != "error"]
    if errors:
        message = errors[0].message if len(errors) == 1 else f"{len(errors)} findings"
        failure = ET.SubElement(case, "failure", {"message": _text(message), "type": _text(rule.id)})
        failure.text = _text("\n".join(map(_line, errors)))
    if others:
        ET.SubElement(case, "system-out").text = _text("\n".join(map(_line, others)))
    return case


def _gap(gap: str, suite: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": _text(suite), "name": _text(f"not examined: {gap}")})
    ET.SubElement(case, "error", {"message": _text(gap), "type": "not-examined"})
    return case


def _line(item: ReportItem) -> str:
    place = ":".join(str(part) for part in (item.path, item.line, item.column) if part is not None)
    told = f"{item.level}: {item.message}" + (f" ({item.help})" if item.help else "")
    return f"{place}: {told}" if place else told


def _text(text: str) -> str:
    r"""What XML can hold: a character that it cannot is shown as \xNN."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
