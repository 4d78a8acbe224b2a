"""An auditor judges again from the pack alone: every verdict follows from its records, or is named."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from controls.verdict import State
from evidence.payload import Audience
from tests.trust_portal.packing import (
    ACCOUNTS,
    FIRST,
    KEY,
    ORIGIN,
    Writer,
    days,
    forged,
    look,
    month,
    of_verdict,
    record,
    zipped,
)
from trust_portal.packs import reperform, verify


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return month(tmp_path_factory.mktemp("log") / "ledger", days=14, accounts=24)


@pytest.fixture(scope="module")
def pack(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pack") / "pack.zip"
    writer.pack(out)
    return out


def test_every_verdict_of_a_pack_follows_on_a_machine_with_nothing_installed(
    pack: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(pack) as opened:
        opened.extractall(tmp_path)
    program = tmp_path / "verify" / "reperform.py"
    done = subprocess.run(
        [sys.executable, "-S", str(program), str(pack), "--origin", ORIGIN, "--key", KEY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "28 verdicts judged again, 0 difference(s)" in done.stdout
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_verdicts_of_a_window_follow_from_what_it_carries(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "window.zip"
    report = writer.pack(out, window=days(11, 13))
    assert report.carried < report.entries
    assert reperform.main([str(out)]) == 0
    assert "6 verdicts judged again, 0 difference(s)" in capsys.readouterr().out


def test_a_verdict_that_does_not_follow_is_named_with_its_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody with the log's key logs a verdict that no check gives."""
    writer = month(tmp_path / "log", days=1, accounts=2)
    at = FIRST + timedelta(hours=1)
    writer.add(look(at, ACCOUNTS[0], broken=True))
    honest = Writer.__new__(Writer)
    honest.__dict__ |= writer.__dict__
    made: list[object] = []
    honest.add = lambda *records, **_: made.extend(records)  # type: ignore[method-assign]
    honest.judge(at + timedelta(minutes=1), ["AVL-03"])
    (logged,) = made
    verdict = logged.payload  # type: ignore[attr-defined]
    assert verdict.state is State.FAILED
    facts = {**verdict.facts, "multi_az": 2, "deviations": 0}
    lie = dataclasses.replace(verdict, state=State.SATISFIED, deviations=(), facts=facts)
    writer.add(record(lie, "checks/AVL-03", "check:AVL-03", at + timedelta(minutes=1)))
    writer.pack(tmp_path / "p.zip")
    assert verify.main([str(tmp_path / "p.zip")]) == 0
    assert reperform.main([str(tmp_path / "p.zip")]) == 1
    told = capsys.readouterr().out
    entry = writer.records[-1].entry
    assert f'AVL-03 (entry {entry}): state was "satisfied", again it is "failed"' in told
    assert f"AVL-03 (entry {entry}): deviations was []" in told


@pytest.mark.parametrize("audience", [Audience.PUBLIC, Audience.NDA])
def test_other_audiences_are_told_that_nothing_can_be_judged_again(
    writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str], audience: Audience
) -> None:
    writer.pack(tmp_path / "p.zip", audience=audience)
    assert reperform.main([str(tmp_path / "p.zip")]) == 3
    assert f"a pack for the audience {audience} lacks payloads that judges read" in capsys.readouterr().out


def test_code_that_the_log_does_not_name_is_never_run(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, touched = dict(verify.open_pack(pack)), tmp_path / "touched"
    name = "judging/checks/__init__.py"
    evil = files[name] + f"open({str(touched)!r}, 'w')\n".encode()
    path = zipped(forged(files, {name: evil}), tmp_path / "evil.zip")
    assert reperform.main([str(path)]) == 3
    assert "no verdict of the pack was judged by the source that it carries" in capsys.readouterr().out
    files[name] = evil
    damaged = zipped(files, tmp_path / "damaged.zip")
    assert reperform.main([str(damaged)]) == 1
    assert not touched.exists()


def test_a_check_whose_newest_verdict_is_by_older_source_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = month(tmp_path / "log", days=1, accounts=1)
    old = dataclasses.replace(of_verdict(writer.records[-1]), source="0d" * 32)
    at = FIRST + timedelta(hours=1)
    writer.add(record(old, "checks/RLS-01", "check:RLS-01", at))
    writer.pack(tmp_path / "p.zip")
    assert reperform.main([str(tmp_path / "p.zip")]) == 3
    told = capsys.readouterr().out
    assert "RLS-01: its newest verdict was judged by other source than judging/ holds" in told
    assert "2 verdicts judged again, 0 difference(s)" in told


def test_wrong_usage_is_told() -> None:
    assert reperform.main(["no.zip"]) == 2
