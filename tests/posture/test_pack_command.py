"""`posture pack`: what is built is logged, verified, judged again and compared by one command each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evidence.kinds.aws import RdsInstance, RdsInstances
from evidence.kinds.pack import IssuedPack
from evidence.payload import Payload
from evidence.record import CollectorId, Interval
from evidence.scope import Scope, Unit
from posture.cli import Exit, run
from posture.config import load_project
from posture.errors import UsageError
from posture.pipeline import judge
from posture.publish import log_key
from posture.records import RecordLog, RunClock
from posture.workspace import Workspace, open_workspace
from trust_portal.packs import build

SUBJECT = "aws:111122223333/eu"
SCOPE = Scope("demo", (Unit("aws.rds/eu", "aws.rds", SUBJECT, {}),))
TODAY = datetime.now(UTC).date()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "posture.yaml"
    path.write_text("project: demo\nledger: {origin: log.example/p, signer: 'file:ledger.key'}\n")
    return path


@pytest.fixture
def workspace(project: Path) -> Workspace:
    opened = open_workspace(load_project(project), writing=True)
    see(opened, "scope", "project:demo", SCOPE)
    look(opened, multi_az=True)
    return opened


def see(workspace: Workspace, unit: str, subject: str, seen: Payload) -> None:
    clock = RunClock.start()
    now = clock.now()
    workspace.log.append(
        [
            clock.record(
                unit=unit,
                subject=subject,
                kind=type(seen),
                payload=seen,
                observed=Interval(now, now),
                lifetime=timedelta(days=7),
                by=CollectorId("test", "1", ""),
            )
        ]
    )


def look(workspace: Workspace, *, multi_az: bool) -> None:
    see(workspace, "aws.rds/eu", SUBJECT, RdsInstances(1, (RdsInstance("core", True, multi_az, 35, False),)))
    judge(workspace.log)


def pins(workspace: Workspace) -> list[str]:
    return ["--origin", "log.example/p", "--key", log_key(workspace)]


def test_a_pack_is_built_verified_judged_again_and_compared(
    project: Path, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(project)]
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert run(["pack", "build", "--engagement", "soc2-type1", "--out", str(first), *config]) == Exit.HOLDS
    look(workspace, multi_az=False)
    window = ["--from", TODAY.isoformat(), "--to", (TODAY + timedelta(days=1)).isoformat()]
    assert run(["pack", "build", *window, "--out", str(second), *config]) == Exit.HOLDS
    for pack in (first, second):
        assert run(["pack", "verify", str(pack), *pins(workspace), "--signatures"]) == Exit.HOLDS
        assert run(["pack", "reperform", str(pack), *pins(workspace)]) == Exit.HOLDS
    capsys.readouterr()
    assert run(["pack", "diff", str(first), str(second)]) == Exit.FINDINGS
    assert "AVL-03" in capsys.readouterr().out
    assert run(["pack", "diff", str(first), str(first), "--format", "json"]) == Exit.HOLDS
    assert json.loads(capsys.readouterr().out)["claims"]["changed"] == []


def test_who_was_given_a_pack_is_logged_behind_its_own_checkpoint(
    project: Path, workspace: Workspace, tmp_path: Path
) -> None:
    out, before = tmp_path / "p.zip", workspace.log.ledger.size
    words = [
        "--engagement",
        "soc2-type2",
        "--audience",
        "nda",
        "--recipient",
        "Example CPA",
        "--out",
        str(out),
    ]
    assert run(["pack", "build", *words, "--config", str(project)]) == Exit.HOLDS
    (issued,) = [one.record for one in workspace.log.read() if isinstance(one.record.payload, IssuedPack)]
    payload = issued.payload
    assert isinstance(payload, IssuedPack)
    assert issued.header.unit == "packs/soc2-type2"
    assert (payload.audience, payload.recipient, payload.entries) == ("nda", "Example CPA", before)
    assert len(payload.verdicts) > 1
    from hashlib import sha256

    assert payload.sha256 == sha256(out.read_bytes()).hexdigest()
    assert b"Example CPA" not in out.read_bytes()


def test_a_pack_that_cannot_be_logged_is_not_issued(
    project: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "p.zip"
    out.write_bytes(b"the old pack")

    def refused(*_: object) -> None:
        raise UsageError("nothing of this batch was logged: the disk is full")

    monkeypatch.setattr(RecordLog, "append", refused)
    assert run(["pack", "build", "--out", str(out), "--config", str(project)]) == Exit.USAGE
    assert out.read_bytes() == b"the old pack"
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".p.zip")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "2026-11-01"], "--from and --to belong together"),
        (["--from", "2026-11-30", "--to", "2026-11-01"], "before it begins"),
        (["--from", "yesterday", "--to", "2026-11-01"], "write 2026-11-23"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "name the earlier day first"),
        (["--since", "nowhere"], "name a checkpoint that you kept"),
        (["--as-of", "2020-01-01"], "no scope or no verdict up to that moment"),
    ],
)
def test_a_wrong_order_is_told_in_one_line(
    project: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(["pack", "build", *words, "--config", str(project)]) == Exit.USAGE
    said = capsys.readouterr().err
    assert told in said
    assert len(said.strip().splitlines()) == 1


def test_packs_that_cannot_be_compared_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pack", "diff", str(tmp_path / "a.zip"), str(tmp_path)]) == Exit.USAGE
    assert "there is no such pack" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["pack", "build", "--help"])
    told = capsys.readouterr().out
    assert "posture pack reperform november.zip" in told
    assert build.SCHEMA == "posture.pack/v3"
