"""What goes wrong between a collector and a verdict ends in `unknown` or in one clear line, never green."""

from __future__ import annotations

import dataclasses
import fcntl
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import posture.pipeline as pipeline
from checks.check import load_checks
from collectors.collector import Observed, Sighting
from controls.verdict import State, Verdict
from evidence.kinds.aws import GuardDutyDetectors, RdsInstance, RdsInstances
from evidence.payload import Payload
from evidence.proofs.signers import Ed25519Signer
from evidence.record import Outcome
from evidence.scope import Scope, Unit
from posture.errors import UsageError
from posture.pipeline import NothingCollected, collect, judge
from posture.records import RecordLog, RunClock

RDS = Unit("aws.rds/1/eu", "aws.rds", "aws:1/eu", {})
US = Unit("aws.rds/1/us", "aws.rds", "aws:1/us", {})
SCOPE = Scope("demo", (RDS,))
GREEN = RdsInstances(1, (RdsInstance("core-primary", True, True, 35, False),))
RED = RdsInstances(1, (RdsInstance("core-primary", True, False, 7, False),))
CHECKS = [load_checks()["AVL-03"]]


class Seeing:
    """A collector that yields what it is told to, and counts its looks."""

    name: str = "aws.rds"
    version: str = "1"
    population: str = "aws.rds"
    kinds: Sequence[type[Payload]] = (RdsInstances,)

    def __init__(self) -> None:
        self.says: Callable[[Unit], Iterable[Sighting]] = lambda unit: [Observed(GREEN, unit.subject)]
        self.looks = 0

    def collect(self, unit: Unit, access: object) -> Iterable[Sighting]:
        self.looks += 1
        yield from self.says(unit)


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> Seeing:
    collector = Seeing()
    monkeypatch.setattr(pipeline, "collectors_for", lambda population: (collector,))
    return collector


@pytest.fixture
def log(tmp_path: Path) -> RecordLog:
    return RecordLog(tmp_path / "ledger", origin="log.example/p", signer=Ed25519Signer.from_seed(bytes(32)))


def look(log: RecordLog, state: Path, scope: Scope = SCOPE, access: Any = None) -> pipeline.Collected:
    return collect(log, scope, access or (lambda unit, by: None), state=state, progress=lambda line: None)


def verdict(log: RecordLog) -> Verdict:
    (judged,) = judge(log, checks=CHECKS)
    return judged


def at(monkeypatch: pytest.MonkeyPatch, shift: timedelta) -> None:
    """Let the clock of this machine be off."""
    real = RunClock.now
    monkeypatch.setattr(RunClock, "now", staticmethod(lambda: real() + shift))


def test_the_healthy_case_is_green(log: RecordLog, tmp_path: Path, seeing: Seeing) -> None:
    assert look(log, tmp_path).outcomes == {Outcome.OBSERVED: 1}
    assert verdict(log).state is State.SATISFIED


UNWRITABLE = {
    "a lone surrogate": RdsInstances(1, (RdsInstance("log-\udcff", True, True, 35, False),)),
    "a number beyond 2^53": RdsInstances(2**60, ()),
    "a float": RdsInstances(1.5, ()),  # type: ignore[arg-type]  # what a careless collector does
    "another kind": GuardDutyDetectors(1, 1),
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_a_sighting_that_cannot_be_logged_costs_its_own_unit_alone(
    log: RecordLog, tmp_path: Path, seeing: Seeing, what: str
) -> None:
    seeing.says = lambda unit: [Observed(UNWRITABLE[what] if unit == US else GREEN, unit.subject)]
    collected = look(log, tmp_path, Scope("demo", (RDS, US)))
    assert collected.outcomes == {Outcome.OBSERVED: 1, Outcome.PARTIAL: 1}
    assert verdict(log).state is State.UNKNOWN
    assert not (tmp_path / "run.json").exists()


def test_two_sightings_of_one_subject_are_unknown_and_no_crash(
    log: RecordLog, tmp_path: Path, seeing: Seeing
) -> None:
    seeing.says = lambda unit: [Observed(GREEN, unit.subject), Observed(RED, unit.subject)]
    assert look(log, tmp_path).outcomes == {Outcome.PARTIAL: 1}
    assert verdict(log).state is State.UNKNOWN


def test_a_sighting_of_another_subject_is_not_the_units(
    log: RecordLog, tmp_path: Path, seeing: Seeing
) -> None:
    seeing.says = lambda unit: [Observed(GREEN, "aws:2/eu")]
    look(log, tmp_path)
    assert verdict(log).state is State.UNKNOWN
    assert verdict(log).completeness.missing


def test_access_that_fails_is_a_typed_non_observation(log: RecordLog, tmp_path: Path, seeing: Seeing) -> None:
    """A file of the configuration that vanished meanwhile must not end the run with a traceback."""
    collected = look(log, tmp_path, access=lambda unit, by: (tmp_path / "ca.pem").read_bytes())
    assert collected.outcomes == {Outcome.UNREACHABLE: 1}
    assert verdict(log).state is State.UNKNOWN


def test_a_unit_that_left_the_scope_is_no_longer_judged(
    log: RecordLog, tmp_path: Path, seeing: Seeing
) -> None:
    look(log, tmp_path, Scope("demo", (RDS, US)))
    assert verdict(log).facts["instances"] == 2
    look(log, tmp_path, Scope("demo", (RDS,)))
    assert verdict(log).facts["instances"] == 1
    look(log, tmp_path, Scope("demo", ()))
    assert verdict(log).state is State.UNKNOWN


def test_a_clock_put_back_does_not_bring_older_green_to_life(
    log: RecordLog, tmp_path: Path, seeing: Seeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Green yesterday, red now; then the judging clock is ten minutes behind the one that saw red."""
    at(monkeypatch, timedelta(hours=-2))
    look(log, tmp_path)
    at(monkeypatch, timedelta(hours=2))
    seeing.says = lambda unit: [Observed(RED, unit.subject)]
    look(log, tmp_path)
    assert verdict(log).state is State.FAILED
    at(monkeypatch, timedelta(minutes=-10))
    with pytest.raises(NothingCollected):
        verdict(log)


def test_a_run_with_a_clock_ahead_does_not_outlive_the_one_after_it(
    log: RecordLog, tmp_path: Path, seeing: Seeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, timedelta(minutes=10))
    look(log, tmp_path)
    at(monkeypatch, timedelta(minutes=-10))
    seeing.says = lambda unit: [Observed(RED, unit.subject)]
    look(log, tmp_path)
    assert verdict(log).state is State.FAILED
    at(monkeypatch, timedelta(minutes=20))
    assert verdict(log).state is State.FAILED


def interrupted(log: RecordLog, state: Path, seeing: Seeing) -> None:
    """A run over two units that ends after the first."""

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(log, Scope("demo", (RDS, US)), lambda unit, by: None, state=state, progress=stop)


def test_an_old_unfinished_run_is_not_continued(
    log: RecordLog, tmp_path: Path, seeing: Seeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate after a change must not be green by what a run saw before it, only since that run broke off."""
    interrupted(log, tmp_path, seeing)
    at(monkeypatch, timedelta(minutes=16))
    seeing.says = lambda unit: [Observed(RED, unit.subject)]
    collected = look(log, tmp_path, Scope("demo", (RDS, US)))
    assert collected.continued == 0
    assert verdict(log).facts["multi_az"] == 0


def test_an_unfinished_run_of_another_scope_is_not_continued(
    log: RecordLog, tmp_path: Path, seeing: Seeing
) -> None:
    interrupted(log, tmp_path, seeing)
    assert look(log, tmp_path, Scope("demo", (RDS,))).continued == 0
    assert verdict(log).facts["instances"] == 1


def test_two_runs_of_one_state_are_told_apart_in_one_line(
    log: RecordLog, tmp_path: Path, seeing: Seeing
) -> None:
    with (tmp_path / "run.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another run is collecting"):
            look(log, tmp_path)
    assert look(log, tmp_path).outcomes == {Outcome.OBSERVED: 1}


def test_two_runs_of_two_states_share_a_ledger(log: RecordLog, tmp_path: Path, seeing: Seeing) -> None:
    other = RecordLog(tmp_path / "ledger", origin="log.example/p", signer=Ed25519Signer.from_seed(bytes(32)))
    nested: list[pipeline.Collected] = []
    seeing.says = lambda unit: (
        nested.append(look(other, tmp_path / "second", SCOPE)) or []  # type: ignore[func-returns-value]
        if not nested and seeing.looks == 1
        else [Observed(GREEN, unit.subject)]
    )
    first = look(log, tmp_path / "first")
    assert first.run != nested[0].run
    assert len(log.read()) == 4


def test_a_ledger_that_refuses_ends_the_run_and_the_next_one_goes_on(
    log: RecordLog, tmp_path: Path, seeing: Seeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = log.append, []

    def full(records: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise UsageError("nothing of this batch was logged: No space left on device")
        return real(records)

    monkeypatch.setattr(log, "append", full)
    with pytest.raises(UsageError, match="No space left"):
        look(log, tmp_path, Scope("demo", (RDS, US)))
    assert json.loads((tmp_path / "run.json").read_text())["run"]
    collected = look(log, tmp_path, Scope("demo", (RDS, US)))
    assert collected.continued == 2
    assert verdict(log).state is State.SATISFIED


def test_history_is_still_judged_as_of_its_moment(log: RecordLog, tmp_path: Path, seeing: Seeing) -> None:
    look(log, tmp_path)
    then: datetime = RunClock.now()
    seeing.says = lambda unit: [Observed(dataclasses.replace(RED), unit.subject)]
    while RunClock.now() <= then:
        pass
    look(log, tmp_path)
    (past,) = judge(log, as_of=then, checks=CHECKS)
    assert past.state is State.SATISFIED
    assert verdict(log).state is State.FAILED
