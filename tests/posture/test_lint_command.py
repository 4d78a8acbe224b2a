"""`posture lint` as a user meets it: exit codes, formats, baseline, changed lines, cache, colours."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from posture.cli import Exit, run
from posture.commands.lint_output import coloured

TABLE = "CREATE TABLE {} (tenant_id int);\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one migration that has one fault, as the working folder."""
    folder = tmp_path / "project"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "1.sql").write_text(TABLE.format("a"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "c")
    monkeypatch.chdir(folder)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(["lint", *arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


def add(project: Path, name: str, sql: str) -> None:
    (project / "migrations" / name).write_text(sql)


def test_findings_fail_and_a_clean_project_holds(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = lint(capsys, "migrations")
    assert code == Exit.FINDINGS
    assert " --> migrations/1.sql:1:1" in text  # from the repository's top, whatever folder is linted
    add(project, "1.sql", "SELECT 1;")
    assert lint(capsys)[0] == Exit.HOLDS


def test_strict_fails_on_what_was_not_analysed_and_on_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(project, "1.sql", "DO $$ BEGIN EXECUTE x(); END $$;")
    assert lint(capsys)[0] == Exit.HOLDS
    assert lint(capsys, "--strict")[0] == Exit.INCOMPLETE
    (project / "empty").mkdir()
    code, text = lint(capsys, "--strict", "empty")
    assert code == Exit.INCOMPLETE
    assert "nothing was linted" in text


def test_json_has_every_place_and_is_the_same_from_the_cache(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(project, "2.sql", TABLE.format("b"))
    first, second = (json.loads(lint(capsys, "--format", "json")[1]) for _ in range(2))
    assert [finding["path"] for finding in first["findings"]] == ["migrations/1.sql", "migrations/2.sql"]
    assert first == second
    assert "cached" in lint(capsys)[1]
    assert "cached" not in lint(capsys, "--no-cache")[1]


def test_nothing_is_written_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1.sql").write_text(TABLE.format("a"))
    assert lint(capsys, "1.sql")[0] == Exit.FINDINGS
    assert [path.name for path in tmp_path.iterdir()] == ["1.sql"]
    lint(capsys, "1.sql", "--cache-dir", "c")
    assert list((tmp_path / "c").glob("*.json"))


def test_the_cache_is_not_committed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lint(capsys)
    listed = subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, check=True)
    assert listed.stdout == b""
    assert list((project / ".posture" / "cache" / "lint").glob("*.json"))


def test_sarif_of_the_lint_is_what_code_scanning_takes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import jsonschema_rs

    from tests.posture.test_reporting import OASIS

    assert isinstance(OASIS, jsonschema_rs.Draft4Validator)
    add(project, "2.sql", TABLE.format("b").strip() + " -- posture: ignore RLS001 until 2999-01-01: shared")
    log: dict[str, Any] = json.loads(lint(capsys, "--format", "sarif")[1])
    OASIS.validate(log)
    (result,) = log["runs"][0]["results"]
    driver = log["runs"][0]["tool"]["driver"]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "RLS001"
    assert all(rule["help"]["markdown"] and rule["properties"]["tags"] for rule in driver["rules"])
    assert all(re.fullmatch(r"\d+\.\d", rule["properties"]["security-severity"]) for rule in driver["rules"])
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "migrations/1.sql", "uriBaseId": "%SRCROOT%"}
    assert result["partialFingerprints"]
    audited = json.loads(lint(capsys, "--format", "sarif", "--show-suppressed")[1])
    OASIS.validate(audited)
    silenced = [one["suppressions"] for one in audited["runs"][0]["results"]]
    assert silenced == [[], [{"kind": "inSource", "justification": "shared (until 2999-01-01)"}]]


def test_junit_and_github_tell_the_same(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = ET.fromstring(lint(capsys, "--format", "junit")[1]).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "1"
    assert int(suite.get("tests") or 0) > 30
    assert lint(capsys, "--format", "github")[1].startswith("::error file=migrations/1.sql,line=1,col=1,")


def test_adopting_it_with_a_baseline_and_then_only_shrinking(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = lint(capsys, "--write-baseline")
    assert code == Exit.HOLDS
    assert "now known in .posture-baseline.json: 1" in text
    code, text = lint(capsys)
    assert code == Exit.HOLDS
    assert "1 known finding not told again" in text
    add(project, "2.sql", TABLE.format("b"))
    code, text = lint(capsys)
    assert code == Exit.FINDINGS
    assert "public.b" in text
    assert "public.a holds" not in text
    add(project, "1.sql", "SELECT 1;")
    assert "known and gone by now: 1; the baseline can shrink, run --update-baseline" in lint(capsys)[1]
    code, text = lint(capsys, "--update-baseline")
    assert code == Exit.FINDINGS  # public.b is new, and an update adds nothing
    assert "gone, and taken out of .posture-baseline.json: 1" in text
    assert json.loads((project / ".posture-baseline.json").read_text())["counts"] == {}


def test_the_baseline_of_the_configuration_is_used(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "posture.yaml").write_text("project: p\nlint:\n  baseline: ci/known.json\n")
    code, text = lint(capsys)
    assert code == Exit.USAGE
    assert "ci/known.json: the baseline cannot be read" in text
    (project / "ci").mkdir()
    lint(capsys, "--write-baseline")
    assert lint(capsys)[0] == Exit.HOLDS


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--write-baseline", "--select", "RLS"), "a baseline is of the whole project: leave out --select"),
        (("--update-baseline", "--changed", "main"), "leave out --changed"),
        (("--update-baseline", "--write-baseline"), "give one"),
        (("--update-baseline",), "the baseline cannot be read"),
        (("--baseline", "none.json"), "the baseline cannot be read"),
        (("--select", "XYZ"), "XYZ: no rule begins so"),
        (("--explain", "XYZ"), "XYZ: no such rule"),
        (("--changed", "nowhere"), "git fetch --depth=1 origin nowhere"),
        (("nowhere",), "nowhere: no such file or folder"),
    ],
)
def test_wrong_usage_is_one_line_with_the_remedy(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    code, text = lint(capsys, *arguments)
    assert code == Exit.USAGE
    assert why in text
    assert text.startswith("posture: ")
    assert text.count("\n") == 1


def test_changed_tells_only_what_this_branch_changed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(capsys, "--changed", "main")[0] == Exit.HOLDS
    add(project, "2.sql", TABLE.format("b"))
    code, text = lint(capsys, "--changed", "main")
    assert code == Exit.FINDINGS
    assert "public.a holds" not in text
    assert "since main; findings elsewhere, not told: 1" in text


def test_rules_are_selected_and_ignored_by_the_beginning_of_their_codes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(capsys, "--select", "rls0")[0] == Exit.FINDINGS
    assert lint(capsys, "--select", "BYP,WRAP001")[0] == Exit.HOLDS
    assert lint(capsys, "--ignore", "RLS001")[0] == Exit.HOLDS
    assert lint(capsys, "--select", "RLS", "--ignore", "RLS00")[0] == Exit.HOLDS


def test_ignoring_rls090_does_not_make_a_file_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "1.sql", "DO $$ BEGIN EXECUTE x(); END $$;")
    assert lint(capsys, "--strict", "--ignore", "RLS090")[0] == Exit.INCOMPLETE


def test_the_tenant_column_can_be_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "1.sql", "CREATE TABLE a (mandant int);")
    assert lint(capsys)[0] == Exit.HOLDS
    assert lint(capsys, "--tenant-column", "mandant")[0] == Exit.FINDINGS


def test_every_rule_is_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    from lint.rules.registry import RULES

    code, text = lint(capsys, "--list-rules")
    assert code == Exit.HOLDS
    assert [line.split()[0] for line in text.splitlines()] == sorted(RULES)
    code, text = lint(capsys, "--explain", "rls001")
    assert code == Exit.HOLDS
    assert "When to suppress:" in text


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_follow_the_terminal_and_the_environment(
    environment: dict[str, str], is_terminal: bool, expected: bool
) -> None:
    assert coloured(environment, is_terminal=is_terminal) is expected


def test_an_interrupted_run_ends_with_130(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lint.files.find", interrupt)
    code, text = lint(capsys)
    assert code == Exit.INTERRUPTED
    assert "interrupted" in text
