"""Judging as commands: what stands at the head, waivers, and evidence judged again with today's checks."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

import checks.check
from checks.check import conclude, load_checks
from checks.reperform import reperform
from controls.verdict import State, Verdict
from evidence.kinds.aws import CloudTrails, ConfigRecorders, GuardDutyDetectors, RdsInstance, RdsInstances
from evidence.kinds.erratum import Erratum
from evidence.kinds.pack import IssuedPack
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.kinds.waiver import Waiver
from evidence.record import CollectorId, Interval, Outcome
from evidence.scope import Scope, Unit
from posture.cli import Exit, run
from posture.config import load_project
from posture.prove import Proof, log_proof
from posture.records import RunClock
from posture.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from evidence.payload import Payload

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
GREEN = RdsInstances(1, (RdsInstance("core-primary", True, True, 35, False),))
RED = RdsInstances(1, (RdsInstance("core-primary", True, False, 35, False),))
SUBJECT = "aws:111122223333/eu"
POPULATIONS = ("aws.rds", "aws.cloudtrail", "aws.guardduty", "aws.config")
SCOPE = Scope("demo", tuple(Unit(f"{name}/eu", name, SUBJECT, {}) for name in POPULATIONS))
BY = CollectorId("test", "1", "")
WATCHED: tuple[tuple[str, Payload], ...] = (
    ("aws.cloudtrail", CloudTrails(1, ())),
    ("aws.guardduty", GuardDutyDetectors(1, 1)),
    ("aws.config", ConfigRecorders(1, 1)),
)

WAIVER = """\
- id: W-1
  check: AVL-03
  deviations: [core-primary]
  owner: platform team
  reason: moved in spring
  compensating: {compensating}
  expires: {expires}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "posture.yaml"
    path.write_text("project: demo\nledger: {origin: log.example/p, signer: 'file:ledger.key'}\n")
    return path


@pytest.fixture
def workspace(project: Path) -> Workspace:
    opened = open_workspace(load_project(project), writing=True)
    see(opened, "scope", "project:demo", SCOPE)
    return opened


def see(workspace: Workspace, unit: str, subject: str, seen: Payload | None, kind: Any = None) -> None:
    """Log one observation, or a refusal to see a kind."""
    clock = RunClock.start()
    now = clock.now()
    workspace.log.append(
        [
            clock.record(
                unit=unit,
                subject=subject,
                kind=kind or type(seen),
                payload=seen,
                observed=Interval(now, now),
                lifetime=timedelta(days=7),
                by=BY,
                outcome=Outcome.OBSERVED if seen else Outcome.DENIED,
                reason="" if seen else "AccessDenied",
            )
        ]
    )


def rds(workspace: Workspace, seen: RdsInstances | None) -> None:
    see(workspace, "aws.rds/eu", SUBJECT, seen, RdsInstances)


def payloads(workspace: Workspace, kind: type[Any]) -> list[Any]:
    return [one.record.payload for one in workspace.log.read() if isinstance(one.record.payload, kind)]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run([*arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def by_check(document: Any) -> dict[str, Any]:
    return {verdict["check"]: verdict for verdict in document["verdicts"]}


def test_the_evidence_stands_at_the_head_in_one_line(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, GREEN)
    see(workspace, "aws.guardduty/eu", SUBJECT, None, GuardDutyDetectors)
    run(["check", "--config", str(project)])
    first = capsys.readouterr().out.splitlines()[0]
    counts = {word: int(number) for number, word in (part.split() for part in first[10:].split(", "))}
    assert first.startswith("evidence: ")
    assert list(counts) == ["expected", "received", "late", "stale", "refused", "missing"]
    assert (counts["received"], counts["refused"], counts["late"], counts["stale"]) == (1, 1, 0, 0)
    assert counts["expected"] == counts["received"] + counts["refused"] + counts["missing"]


def test_the_json_of_a_check_fits_its_schema_and_tells_completeness_and_kills(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, RED)
    _, document = said(capsys, "check", "--config", str(project))
    schema = json.loads((SCHEMAS / "check.schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(document)
    assert document["completeness"]["received"] == ["aws.rds.instances/v1 over aws.rds/eu"]
    assert set(document["kills"]) == set(by_check(document)) == set(load_checks())
    assert by_check(document)["AVL-03"]["entries"] == 2
    assert sum(document["summary"].values()) == len(load_checks())


def test_a_check_that_was_never_seen_red_is_shown_hollow(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, GREEN)
    source = load_checks()["AVL-03"].source

    def told() -> tuple[str, Any]:
        run(["check", "--config", str(project)])
        text = capsys.readouterr().out
        return text, said(capsys, "check", "--config", str(project))[1]["kills"]["AVL-03"]

    text, kills = told()
    assert f"hollow: {len(load_checks())} of {len(load_checks())} checks were never seen red" in text
    assert next(line for line in text.splitlines() if line.startswith("AVL-03")).endswith(" (hollow)")
    assert kills == {"sabotages": 0, "killed": 0, "outdated": False, "hollow": True}
    result = SabotageResult("AVL-03", "one zone", "failed", killed=True, collateral=())
    log_proof(workspace.log, Proof(KillMatrix(1, 1, (result,), source), {}))
    text, kills = told()
    (line,) = (line for line in text.splitlines() if line.startswith("AVL-03"))
    assert "hollow" not in line
    assert kills == {"sabotages": 1, "killed": 1, "outdated": False, "hollow": False}
    log_proof(workspace.log, Proof(KillMatrix(1, 1, (result,), "0" * 64), {}))
    text, kills = told()
    assert "hollow: 1 of 1 sabotages caught by another version of the check" in text
    assert kills["outdated"]


def waive(project: Path, *, compensating: str = "MON-01", days: int = 30) -> None:
    expires = (RunClock.now() + timedelta(days=days)).date().isoformat()
    file = project.parent / "waivers.yaml"
    file.write_text(WAIVER.format(compensating=compensating, expires=expires))
    if "waivers:" not in project.read_text():
        project.write_text(project.read_text() + "waivers: waivers.yaml\n")


def watch(workspace: Workspace) -> None:
    """Everything that MON-01 wants to see."""
    from evidence.kinds.aws import Trail

    for population, seen in WATCHED:
        if isinstance(seen, CloudTrails):
            seen = CloudTrails(1, (Trail("platform-trail", True, True, True),))  # noqa: PLW2901 - shown whole
        see(workspace, f"{population}/eu", SUBJECT, seen)


def state(capsys: pytest.CaptureFixture[str], project: Path, check: str = "AVL-03") -> str:
    return str(by_check(said(capsys, "check", "--config", str(project))[1])[check]["state"])


def test_a_waiver_is_logged_before_it_is_judged_by_and_the_verdict_follows_again(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, RED)
    watch(workspace)
    assert state(capsys, project) == "failed"
    waive(project)
    assert state(capsys, project) == state(capsys, project) == "waived"
    assert len(payloads(workspace, Waiver)) == 1
    records = workspace.log.read()
    verdicts = [one for one in records if isinstance(one.record.payload, Verdict)]
    assert reperform(records, verdicts) == []


def test_a_waiver_that_left_the_register_waives_nothing_any_more(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, RED)
    watch(workspace)
    waive(project)
    assert state(capsys, project) == "waived"
    (project.parent / "waivers.yaml").write_text("[]\n")
    assert state(capsys, project) == "failed"
    assert [one.withdrawn for one in payloads(workspace, Waiver)] == [False, True]
    waive(project)
    assert state(capsys, project) == "waived"
    project.write_text(project.read_text().replace("waivers: waivers.yaml\n", ""))
    assert state(capsys, project) == "failed"


def test_the_register_tells_how_each_waiver_stands(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, RED)
    config = ["--config", str(project)]
    assert run(["waive", *config]) == Exit.USAGE
    waive(project)
    assert run(["waive", *config]) == Exit.FINDINGS
    assert "dead: compensating control MON-01 is unknown" in capsys.readouterr().out
    watch(workspace)
    assert run(["waive", *config]) == Exit.HOLDS
    assert "W-1        AVL-03  live until " in capsys.readouterr().out
    see(workspace, "aws.guardduty/eu", SUBJECT, GuardDutyDetectors(1, 0))
    code, document = said(capsys, "waive", *config)
    jsonschema_rs.validator_for(json.loads((SCHEMAS / "waive.schema.json").read_text())).validate(document)
    assert (code, document["waivers"][0]["state"]) == (Exit.FINDINGS, "dead")
    assert document["waivers"][0]["why"] == "compensating control MON-01 failed"
    waive(project, days=-1)
    assert run(["waive", *config]) == Exit.FINDINGS
    assert "expired: ended on" in capsys.readouterr().out
    (project.parent / "waivers.yaml").write_text("")
    assert run(["waive", *config]) == Exit.HOLDS


def test_a_mistake_in_the_register_stops_the_check_with_its_line(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waive(project, compensating="AVL-03")
    size = workspace.log.ledger.size
    for command in ("check", "gate", "waive"):
        assert run([command, "--config", str(project)]) == Exit.USAGE
        assert "waivers.yaml:6: compensating: AVL-03 cannot make up for itself" in capsys.readouterr().err
    assert workspace.log.ledger.size == size


def today(capsys: pytest.CaptureFixture[str], project: Path, *more: str) -> tuple[int, Any]:
    day = RunClock.now().date().isoformat()
    code, document = said(
        capsys, "check", "--replay", f"{day}..{day}", "--quiet", "--config", str(project), *more
    )
    jsonschema_rs.validator_for(json.loads((SCHEMAS / "replay.schema.json").read_text())).validate(document)
    return code, document


@pytest.fixture
def stricter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tomorrow's AVL-03 finds every instance wanting."""
    declared = load_checks()["AVL-03"]
    deviation = checks.check.Deviation("is in one region", "core-primary")

    def body(*_: object) -> Verdict:
        return conclude((deviation,), facts={"instances": 1}, holds="", fails="One region is not enough.")

    changed = dataclasses.replace(declared, body=body, source="ab" * 32)
    monkeypatch.setitem(checks.check.CHECKS, "AVL-03", changed)


def issue(workspace: Workspace, sha256: str) -> str:
    """Log a pack that carries the newest AVL-03 verdict, and return the verdict's digest."""
    verdicts = [
        one
        for one in workspace.log.read()
        if isinstance(one.record.payload, Verdict) and one.record.payload.check == "AVL-03"
    ]
    now = RunClock.now()
    pack = IssuedPack(sha256, "auditor", Interval(now, now), "firm", 9, (verdicts[-1].digest,))
    see(workspace, "packs", f"pack:{sha256[:8]}", pack)
    return verdicts[-1].digest


def test_nothing_changes_while_the_checks_are_the_same(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, GREEN)
    run(["check", "--config", str(project)])
    capsys.readouterr()
    code, document = today(capsys, project)
    assert code == Exit.HOLDS
    assert (document["verdicts"], document["changed"]) == (len(load_checks()), 0)
    assert payloads(workspace, Erratum) == []


def test_a_verdict_that_todays_check_would_not_give_becomes_an_erratum_that_names_the_packs(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    rds(workspace, GREEN)
    run(["check", "--config", str(project)])
    capsys.readouterr()
    old = load_checks()["AVL-03"].source
    digest = issue(workspace, "cd" * 32)
    request.getfixturevalue("stricter")

    size = workspace.log.ledger.size
    code, document = today(capsys, project, "--dry-run")
    assert (code, document["changed"], document["logged"]) == (Exit.FINDINGS, 1, 0)
    assert workspace.log.ledger.size == size

    code, document = today(capsys, project)
    assert (code, document["logged"]) == (Exit.FINDINGS, 1)
    (erratum,) = payloads(workspace, Erratum)
    assert (erratum.check, erratum.verdict, erratum.packs) == ("AVL-03", digest, ("cd" * 32,))
    assert (erratum.old_state, erratum.new_state) == (State.SATISFIED, State.FAILED)
    assert (erratum.old_source, erratum.new_source) == (old, "ab" * 32)
    assert erratum.new_reason == "One region is not enough."
    assert workspace.log.read()[erratum.entry].digest == digest

    code, document = today(capsys, project)
    assert (code, document["logged"], document["corrections"][0]["known"]) == (Exit.FINDINGS, 0, True)
    issue(workspace, "ef" * 32)
    assert today(capsys, project)[1]["logged"] == 1
    assert payloads(workspace, Erratum)[-1].packs == ("cd" * 32, "ef" * 32)


def test_a_correction_is_taken_back_when_the_old_verdict_holds_after_all(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    rds(workspace, GREEN)
    run(["check", "--config", str(project)])
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patched:
        declared = load_checks()["AVL-03"]
        never = conclude((), facts={}, holds="Whatever.", fails="")
        patched.setitem(checks.check.CHECKS, "AVL-03", dataclasses.replace(declared, body=lambda *_: never))
        assert today(capsys, project)[0] == Exit.FINDINGS
    code, document = today(capsys, project)
    assert (code, document["changed"], document["logged"]) == (Exit.HOLDS, 0, 1)
    assert [one.changed for one in payloads(workspace, Erratum)] == [("facts",), ()]
    assert today(capsys, project)[1]["logged"] == 0


def test_evidence_that_came_later_does_not_change_what_was_judged_then(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, GREEN)
    run(["check", "--config", str(project)])
    rds(workspace, RED)
    run(["check", "--config", str(project)])
    capsys.readouterr()
    code, document = today(capsys, project)
    assert (code, document["verdicts"]) == (Exit.HOLDS, 2 * len(load_checks()))


def test_only_verdicts_of_the_window_are_judged_again(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rds(workspace, GREEN)
    run(["check", "--config", str(project)])
    capsys.readouterr()
    config = ["--quiet", "--config", str(project)]
    code, document = said(capsys, "check", "--replay", "2020-01-01..2020-12-31", *config)
    assert (code, document["verdicts"]) == (Exit.HOLDS, 0)
    from_then = f"2020-01-01T00:00:00Z..{RunClock.now().isoformat()}"
    assert said(capsys, "check", "--replay", from_then, *config)[1]["verdicts"] == len(load_checks())
    assert run(["check", "--replay", from_then, "--config", str(project)]) == Exit.HOLDS
    printed = capsys.readouterr()
    assert f"{len(load_checks())} verdicts judged again, 0 changed" in printed.out
    assert "judging its verdicts again" in printed.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--replay", "yesterday"], "FROM..TO"),
        (["--replay", "a..b"], "neither a date"),
        (["--replay", "2026-01-02..2026-01-01"], "ends before"),
        (["--replay", "2026-01-02T00:00:00..2026-01-03"], "no time zone"),
        (["--replay", "2026-01-01..2026-01-02", "--format", "sarif"], "no sarif form"),
        (["--dry-run"], "belongs to --replay"),
        (["--as-of", "yesterday"], "--as-of"),
    ],
)
def test_wrong_usage_is_one_line(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(["check", *arguments, "--config", str(project)]) == Exit.USAGE
    assert told in capsys.readouterr().err


def test_the_kill_matrix_is_logged_whole_or_not_at_all(
    workspace: Workspace,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    class Scene:
        template = None

    rds(workspace, GREEN)
    result = SabotageResult("AVL-03", "one zone", "failed", killed=True, collateral=())
    proof = Proof(KillMatrix(1, 1, (result,), load_checks()["AVL-03"].source), {})
    monkeypatch.setattr("posture.scene.platform_scene", lambda *_: contextlib.nullcontext(Scene()))
    monkeypatch.setattr("posture.prove.prove", lambda *_, **__: proof)
    config = ["--quiet", "--config", str(project)]
    assert run(["prove", "--log", "--check", "AVL-03", *config]) == Exit.USAGE
    assert run(["prove", *config]) == Exit.HOLDS
    assert payloads(workspace, KillMatrix) == []
    assert run(["prove", "--log", *config]) == Exit.HOLDS
    assert payloads(workspace, KillMatrix) == [proof.matrix]
