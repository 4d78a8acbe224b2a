"""Reports that other tools read: valid whatever a message holds, and never green over a gap."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posture.reporting import ReportItem, ReportRule, RunInfo, to_github, to_junit, to_sarif

RULES = (
    ReportRule("RLS001", "row security is off", help="enable it"),
    ReportRule("RLS002", "row security is not forced", "warning"),
    ReportRule("RLS003", "no policy"),
)
RUN = RunInfo("posture lint", "0.1.0", RULES)
ITEMS = (
    ReportItem(
        "RLS001",
        "row security is off",
        "error",
        "table app.agent has none",
        "db/0001 init.sql",
        3,
        7,
        "ALTER TABLE app.agent ENABLE ROW LEVEL SECURITY",
        "9f86d081",
    ),
    ReportItem("RLS002", "row security is not forced", "warning", "table app.user", "db/0002.sql"),
    ReportItem("X9", "a rule of nobody", "note", "no place"),
)

# What the standard requires of the parts we write (SARIF 2.1.0, sections 3.13 to 3.52).
MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
ARTIFACT = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "format": "uri-reference"}, "uriBaseId": {"type": "string"}},
    "additionalProperties": False,
}
AT_LEAST_1 = {"type": "integer", "minimum": 1}
REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": {
        name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endLine")
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "level"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["physicalLocation"],
                "properties": {
                    "physicalLocation": {
                        "type": "object",
                        "required": ["artifactLocation"],
                        "properties": {"artifactLocation": ARTIFACT, "region": REGION},
                        "additionalProperties": False,
                    }
                },
            },
        },
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {"type": "object", "required": ["id"]},
                                    }
                                },
                            }
                        },
                    },
                    "invocations": {
                        "type": "array",
                        "items": {"type": "object", "required": ["executionSuccessful"]},
                    },
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
    "additionalProperties": False,
}
TEXT = st.text(max_size=30)
ANY_ITEM = st.builds(
    ReportItem,
    rule=TEXT,
    title=TEXT,
    level=st.sampled_from(["error", "warning", "note"]),
    message=st.text(min_size=1, max_size=30),
    path=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    line=st.none() | st.integers(0, 9),
    column=st.none() | st.integers(0, 9),
    help=st.none() | TEXT,
    fingerprint=st.none() | TEXT,
)


def run_of(log: dict[str, Any]) -> dict[str, Any]:
    jsonschema_rs.validator_for(SARIF, validate_formats=True).validate(json.loads(json.dumps(log)))
    run: dict[str, Any] = log["runs"][0]
    return run


def test_a_result_points_to_its_rule_and_place() -> None:
    run = run_of(to_sarif(ITEMS, RUN))
    first = run["results"][0]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "db/0001%20init.sql", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert "%SRCROOT%" in run["originalUriBaseIds"]
    assert first["partialFingerprints"] == {"posture/v1": "9f86d081"}
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["RLS001", "RLS002", "X9"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    assert "locations" not in run["results"][2]
    assert "region" not in run["results"][1]["locations"][0]["physicalLocation"]


def test_a_path_that_is_no_text_or_absolute_is_still_a_uri() -> None:
    items = [ReportItem("R", "t", "note", "m", path) for path in ("a\udcff b:c.sql", "/srv/x y.sql")]
    results = run_of(to_sarif(items, RUN))["results"]
    assert [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in results] == [
        {"uri": "a%FF%20b%3Ac.sql", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///srv/x%20y.sql"},
    ]


def test_no_findings_is_an_empty_list_of_a_successful_run() -> None:
    run = run_of(to_sarif([], RUN))
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True}]
    assert len(run["tool"]["driver"]["rules"]) == 3


def test_what_was_not_examined_makes_no_report_green() -> None:
    gapped = RunInfo("posture lint", "0.1.0", RULES, not_examined=("db/broken.sql: not SQL",))
    invocation = run_of(to_sarif([], gapped))["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "db/broken.sql: not SQL"
    suite = ET.fromstring(to_junit([], "lint", gapped)).find("testsuite")
    assert suite is not None
    assert (suite.get("errors"), suite.get("tests")) == ("1", "4")
    assert suite.find("testcase/error[@type='not-examined']") is not None


@given(st.lists(ANY_ITEM, max_size=4))
def test_sarif_is_valid_for_any_items(items: list[ReportItem]) -> None:
    run = run_of(to_sarif(items, RUN))
    for result in run["results"]:
        for location in result.get("locations", ()):
            artifact = location["physicalLocation"]["artifactLocation"]
            assert bool(urlsplit(artifact["uri"]).scheme) != ("uriBaseId" in artifact)


def test_junit_has_a_case_for_each_rule() -> None:
    root = ET.fromstring(to_junit(ITEMS, "lint", RUN))
    suite = root.find("testsuite")
    assert suite is not None
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors")} == {
        "name": "lint",
        "tests": "4",
        "failures": "1",
        "errors": "0",
    }
    failure = suite.find("testcase[@name='RLS001 row security is off']/failure")
    assert failure is not None
    assert (failure.text or "").startswith("db/0001 init.sql:3:7: error: table app.agent has none")
    assert suite.find("testcase[@name='RLS002 row security is not forced']/failure") is None
    assert suite.findtext("testcase[@name='RLS002 row security is not forced']/system-out")
    assert list(suite.iterfind("testcase[@name='RLS003 no policy']/*")) == []


@given(st.lists(ANY_ITEM, max_size=4), TEXT)
def test_junit_parses_for_any_items(items: list[ReportItem], suite: str) -> None:
    root = ET.fromstring(to_junit(items, suite).encode())
    failed = {item.rule for item in items if item.level == "error"}
    assert len(list(root.iter("failure"))) == len(failed)


def test_junit_shows_a_control_character_as_text() -> None:
    item = ReportItem("R1", "t", "error", "a\x00b\x1b[31m<&\ud800")
    failure = ET.fromstring(to_junit([item], "s")).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == r"a\x00b\x1b[31m<&\xd800"


def test_github_annotates_the_place() -> None:
    lines = to_github(ITEMS).splitlines()
    assert lines[0] == (
        "::error file=db/0001 init.sql,line=3,col=7,title=RLS001 row security is off::"
        "table app.agent has none%0AALTER TABLE app.agent ENABLE ROW LEVEL SECURITY"
    )
    assert lines[2] == "::notice title=X9 a rule of nobody::no place"


@pytest.mark.parametrize("text", ["x\n::error::forged", "x\r\n::set-env name=A::b", "100%0A::error::x"])
def test_github_lets_no_message_begin_a_command(text: str) -> None:
    item = ReportItem(text, text, "warning", text, path=text, help=text)
    told = to_github([item])
    assert told.count("\n") == 1
    assert told.startswith("::warning file=")
    assert "%250A" in told or "%0A" in told
    properties = told.removeprefix("::warning ").partition("::")[0]
    assert properties.count(",") == 1


@given(st.lists(ANY_ITEM, max_size=4))
def test_github_is_one_line_for_each_item(items: list[ReportItem]) -> None:
    assert to_github(items).count("\n") == len(items)
    assert "\r" not in to_github(items)
