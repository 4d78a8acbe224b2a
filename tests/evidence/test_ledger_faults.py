"""Processes that die and processes that compete: nothing acknowledged is lost, and the log never forks."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence.ledger import verify_ledger
from evidence.proofs.merkle import verify_consistency
from evidence.proofs.notes import open_checkpoint
from tests.evidence import appending
from tests.evidence.appending import KEY, ORIGIN, entry, identity, open_log

ROUNDS = 20


def _writer(path: Path, name: str, *, count: int, batch: int) -> subprocess.Popen[bytes]:
    """A process whose acknowledgements go to a file, where no buffer of ours can lose them."""
    command = [sys.executable, appending.__file__, str(path), name, str(count), str(batch)]
    with _output(path, name).open("wb") as output:
        return subprocess.Popen(command, stdout=output)


def _output(path: Path, name: str) -> Path:
    return path.with_name(f"{name}.txt")


def _acknowledged(path: Path, name: str) -> dict[str, int]:
    """Unit and index of each complete line; the last line may have been cut by the kill."""
    output = _output(path, name).read_text()
    complete = output[: output.rfind("\n") + 1].splitlines()
    return {unit: int(index) for index, unit in (line.split() for line in complete)}


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(200, marks=pytest.mark.soak)])
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path, rounds: int) -> None:
    path = tmp_path / "log"
    open_log(path)
    chance = random.Random(rounds)
    acknowledged: dict[str, int] = {}
    heads: list[bytes] = []
    for number in range(rounds):
        batch = chance.choice([1, 3, 40])
        with _writer(path, f"w{number}", count=10_000, batch=batch) as writer:
            _wait_for_output(_output(path, f"w{number}"))
            time.sleep(chance.uniform(0.0, 0.1))
            writer.kill()
        assert writer.returncode == -signal.SIGKILL
        acknowledged |= _acknowledged(path, f"w{number}")
        heads.append(open_log(path, create=False).signed_checkpoint())
    assert len(acknowledged) >= rounds
    _expect_all(path, acknowledged, heads)


def _wait_for_output(output: Path) -> None:
    deadline = time.monotonic() + 20
    while not output.stat().st_size:
        assert time.monotonic() < deadline, "the writer acknowledged nothing for 20 seconds"
        time.sleep(0.005)


def _expect_all(path: Path, acknowledged: dict[str, int], heads: list[bytes]) -> None:
    ledger = open_log(path, create=False)
    facts = {index: ledger._facts_of(content).identity for index, content in enumerate(ledger.entries())}
    assert all(facts[index] == identity(unit) for unit, index in acknowledged.items())
    for signed in heads:
        head = open_checkpoint(signed, origin=ORIGIN, trusted=[KEY])
        proof = ledger.prove_consistency(head.size)
        verify_consistency(head.size, head.root, ledger.size, ledger.root, proof)
    report = verify_ledger(path, origin=ORIGIN, key=KEY, since=heads[0])
    assert report.first is None
    assert report.extends is not None


@pytest.mark.parametrize("writers", [4, pytest.param(16, marks=pytest.mark.soak)])
def test_many_writing_processes_make_one_log(tmp_path: Path, writers: int) -> None:
    path = tmp_path / "log"
    running = [_writer(path, f"w{number}", count=50, batch=1) for number in range(writers)]
    acknowledged: dict[str, int] = {}
    for number, writer in enumerate(running):
        assert writer.wait(timeout=120) == 0
        acknowledged |= _acknowledged(path, f"w{number}")
    assert len(acknowledged) == writers * 50
    assert sorted(acknowledged.values()) == list(range(writers * 50))
    ledger = open_log(path, create=False)
    for unit, index in acknowledged.items():
        assert ledger._facts_of(ledger.read(index)).identity == identity(unit)
    assert verify_ledger(path, origin=ORIGIN, key=KEY).ok


def test_a_log_that_grows_meanwhile_verifies(tmp_path: Path) -> None:
    path = tmp_path / "log"
    open_log(path).append([entry(f"u{number}") for number in range(240)])
    with _writer(path, "w", count=20, batch=3) as writer:
        while writer.poll() is None:
            report = verify_ledger(path, origin=ORIGIN, key=KEY)
            assert report.first is None
    assert verify_ledger(path, origin=ORIGIN, key=KEY).entries == 300
