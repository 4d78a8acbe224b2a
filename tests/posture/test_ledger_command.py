"""`posture ledger` as a person uses it: list, verify, render, prove, change the key."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.kinds.aws import GuardDutyDetectors
from evidence.proofs.notes import verifier_key_text
from evidence.record import CollectorId, Interval, Record
from posture.cli import Exit, run
from posture.config import load_project
from posture.records import RunClock
from posture.workspace import Workspace, open_workspace

ORIGIN = "log.example/posture"
CONFIG = f"project: x\nstate: state\nledger: {{origin: {ORIGIN}, signer: 'file:ledger.key', path: ledger}}\n"


def record(unit: str, age: timedelta = timedelta()) -> Record:
    """An observation that was made `age` before it is logged."""
    clock = RunClock.start()
    seen = clock.now() - age
    return clock.record(
        unit=unit,
        subject="aws:111122223333/us-east-1",
        kind=GuardDutyDetectors,
        payload=GuardDutyDetectors(2, 1),
        observed=Interval(seen, seen),
        lifetime=timedelta(days=7),
        by=CollectorId("test", "1", ""),
    )


def opened(folder: Path) -> Workspace:
    return open_workspace(load_project(folder / "posture.yaml"), writing=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a ledger of three entries, the last one late."""
    monkeypatch.delenv("POSTURE_KEY_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posture.yaml").write_text(CONFIG)
    log = opened(tmp_path).log
    log.append([record("units/1"), record("units/2")])
    log.append([record("units/3", timedelta(days=2))])
    return tmp_path


def key_of(folder: Path) -> str:
    signer = opened(folder).signer
    assert signer is not None
    return verifier_key_text(ORIGIN, signer.public)


def test_late_evidence_is_listed_as_late(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", "log"]) == Exit.HOLDS
    lines = capsys.readouterr().out.splitlines()
    assert ["LATE: recorded 2 d after it was observed" in line for line in lines] == [False, False, True]
    assert run(["ledger", "log", "--late", "--format", "json"]) == Exit.HOLDS
    assert [row["unit"] for row in json.loads(capsys.readouterr().out)] == ["units/3"]


def test_what_had_been_observed_by_then_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yesterday = f"{RunClock.now() - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert run(["ledger", "log", "--as-of", yesterday, "--format", "json"]) == Exit.HOLDS
    assert [row["index"] for row in json.loads(capsys.readouterr().out)] == [2]
    assert run(["ledger", "log", "--as-of", yesterday, "--as-known", yesterday]) == Exit.HOLDS
    assert capsys.readouterr().out == ""
    assert run(["ledger", "log", "--as-of", "soon"]) == Exit.USAGE
    assert "'soon' is no moment" in capsys.readouterr().err


def test_a_newer_log_is_shown_to_extend_an_older_checkpoint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folder / "ledger/checkpoint", folder / "kept")
    opened(folder).log.append([record("units/4")])
    assert run(["ledger", "verify", "--key", key_of(folder), "--since", "kept"]) == Exit.HOLDS
    assert "extends the older checkpoint over 3 entries" in capsys.readouterr().out
    assert run(["ledger", "verify", "--since", "lost"]) == Exit.USAGE
    assert "name a checkpoint that you kept" in capsys.readouterr().err


def test_the_first_bad_byte_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "ledger/tile/0/000.p/3"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    assert run(["ledger", "verify", "--key", key_of(folder)]) == Exit.FINDINGS
    assert "tile/0/000.p/3, byte 32 (entry 1): is not the hash of the entry" in capsys.readouterr().out


def test_a_public_copy_verifies_and_shows_no_gated_payload(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ledger", "render", "--out", "public"]) == Exit.HOLDS
    content = b"".join(path.read_bytes() for path in (folder / "public").rglob("*") if path.is_file())
    assert b'"audience":"public"' in content
    assert b'"audience":"nda"' not in content
    assert b'"audience":"auditor"' not in content
    verify = ["ledger", "verify", "--path", "public", "--origin", ORIGIN, "--key", key_of(folder)]
    assert run([*verify, "--partial"]) == Exit.HOLDS
    assert run(verify) == Exit.FINDINGS
    assert run(["ledger", "render", "--out", "public"]) == Exit.USAGE
    assert "is not empty" in capsys.readouterr().err


def test_the_key_is_changed_and_both_keys_still_verify(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = key_of(folder)
    assert run(["ledger", "rotate", "--to", "file:next.key", "--reason", "yearly"]) == Exit.HOLDS
    told = capsys.readouterr().out
    assert "ledger.signer: file:next.key" in told
    assert stat.S_IMODE((folder / "next.key").stat().st_mode) == 0o600
    new = next(line for line in told.splitlines() if line.startswith(ORIGIN))
    assert run(["check"]) == Exit.USAGE
    assert "name that key as the ledger's signer" in capsys.readouterr().err
    (folder / "posture.yaml").write_text(CONFIG.replace("ledger.key", "next.key"))
    opened(folder).log.append([record("units/5")])
    for key in (old, new):
        assert run(["ledger", "verify", "--key", key]) == Exit.HOLDS
    capsys.readouterr()
    assert run(["ledger", "log", "--format", "json"]) == Exit.HOLDS
    assert "posture.log_key/v1" in {row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert run(["ledger", "rotate", "--to", "file:next.key", "--reason", "again"]) == Exit.USAGE


def test_a_new_key_is_encrypted_where_a_passphrase_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTURE_KEY_PASSPHRASE", "long words")
    assert run(["ledger", "rotate", "--to", "file:locked.key", "--reason", "encrypted"]) == Exit.HOLDS
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (folder / "locked.key").read_bytes()
    (folder / "posture.yaml").write_text(CONFIG.replace("ledger.key", "locked.key"))
    monkeypatch.delenv("POSTURE_KEY_PASSPHRASE")
    assert run(["gate"]) == Exit.USAGE
    assert "is encrypted; set POSTURE_KEY_PASSPHRASE" in capsys.readouterr().err
