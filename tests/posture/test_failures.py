"""Every command ends with one line and a fitting exit code, whatever goes wrong: never with a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from posture.cli import COMMANDS, Exit, _guarded, run
from posture.commands.demo import KEPT
from posture.embedded.process import EXIT_TERMINATED
from posture.workspace import Workspace

ACTIONS = {
    "rls": ("coverage",),
    "ledger": ("log", "verify", "prove"),
    "portal": ("build", "serve"),
    "pack": ("build",),
    "platform": ("serve", "ingest", "revision"),
}
WORDS = [[name] for name in COMMANDS] + [[name, action] for name, all_ in ACTIONS.items() for action in all_]


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_the_help_of_every_command_and_action_teaches_by_example(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run([*words, "--help"])
    assert leaving.value.code == 0
    assert f"\n  posture {words[0]}" in capsys.readouterr().out


def test_a_fault_of_our_own_is_neither_a_finding_nor_a_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(lambda: raising(TypeError("two\nlines"))) == Exit.FAULT
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "TypeError: two lines" in told
    assert "POSTURE_TRACEBACK=1" in told


def test_a_refusal_of_the_system_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    config = tmp_path / "posture.yaml"
    config.write_text("project: x\nstate: file/state\nledger: {origin: a/b, signer: 'file:k'}\n")
    assert run(["gate", "--config", str(config)]) == Exit.USAGE
    assert f"posture: {in_the_way / 'state'}: Not a directory" in capsys.readouterr().err


@pytest.mark.xdist_group("scene")
@pytest.mark.parametrize("command", [["check"], ["ledger", "log"], ["portal", "build"], ["pack", "build"]])
def test_a_damaged_ledger_is_told_in_one_line_and_left_as_it_is(
    command: list[str], workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(workspace.state.parent / "posture.yaml")
    run(["gate", "--quiet", "--config", config])
    ledger = workspace.state.parent / "ledger"
    blob = min(path for path in (ledger / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(bytes([blob.read_bytes()[0] ^ 1]) + blob.read_bytes()[1:])
    before = (ledger / "checkpoint").read_bytes()
    capsys.readouterr()
    assert run([*command, "--config", config]) == Exit.USAGE
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert blob.name in told
    assert "posture ledger verify" in told
    assert (ledger / "checkpoint").read_bytes() == before
    assert run(["ledger", "verify", "--config", config]) == Exit.FINDINGS


def test_output_that_nobody_reads_is_not_a_pass() -> None:
    program = [sys.executable, "-m", "posture", "controls"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == Exit.OUTPUT_CLOSED
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_interruption_and_termination_end_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_TERMINATED == Exit.TERMINATED == 128 + signal.SIGTERM
    assert _guarded(lambda: raising(KeyboardInterrupt())) == Exit.INTERRUPTED
    with pytest.raises(SystemExit):
        _guarded(lambda: raising(SystemExit(EXIT_TERMINATED)))
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(";")[0] for line in told] == ["posture: interrupted", "posture: terminated"]


def test_the_demo_refuses_a_folder_that_holds_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(["demo", "--folder", str(tmp_path)]) == Exit.USAGE
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert "is not empty" in capsys.readouterr().err


def test_what_a_killed_demo_left_is_swept_by_the_next_and_its_results_stay(tmp_path: Path) -> None:
    from posture.commands.demo import new_folder

    killed = tmp_path / "killed"
    for name in (*KEPT, "platform", "access"):
        (killed / name).mkdir(parents=True)
    living, lock = new_folder(tmp_path)
    (living / "platform").mkdir()
    _, other = new_folder(tmp_path)
    assert sorted(path.name for path in killed.iterdir()) == sorted(KEPT)
    assert (living / "platform").is_dir()
    os.close(lock)
    os.close(other)
    shutil.rmtree(living)
