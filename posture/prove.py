"""Sabotage: every check must turn red for the right reason on a live twin, and green on an untouched one.

For each sabotage a twin is made, broken, looked at by the collectors whose evidence the check expects and
judged. The sabotage is killed when its check fails with a deviation that names each thing broken; what else
failed is collateral. A survivor means that the check cannot see what it claims to see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.check import SABOTAGES, Check, Sabotage, load_checks
from checks.sources import judging_source
from controls.verdict import Deviation, State, Verdict
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.record import CollectorId, Interval
from posture.cli import VERSION
from posture.pipeline import LIFETIME, Progress
from posture.records import RecordLog, RunClock
from posture.twin import LiveTwin, Template, judge_twin

PARALLEL_TWINS = 3
NOT_APPLIED = "not_applied"
NOT_GREEN_BEFORE = "not_green_before"


@dataclass(frozen=True, slots=True)
class Proof:
    """What proving found: the matrix, and for each sabotage that was not killed, why."""

    matrix: KillMatrix
    reasons: Mapping[tuple[str, str], str]

    @property
    def survivors(self) -> tuple[SabotageResult, ...]:
        """The sabotages that no check saw."""
        return tuple(result for result in self.matrix.matrix if not result.killed)

    def to_json(self) -> dict[str, Any]:
        """The published form of `posture prove`."""
        return {
            "sabotages": self.matrix.sabotages,
            "killed": self.matrix.killed,
            "survivors": [
                {"check": one.check, "sabotage": one.sabotage, "why": self.reasons[one.check, one.sabotage]}
                for one in self.survivors
            ],
            "matrix": [
                {
                    "check": one.check,
                    "sabotage": one.sabotage,
                    "state": one.state,
                    "collateral": list(one.collateral),
                }
                for one in self.matrix.matrix
            ],
        }


def prove(template: Template, folder: Path, *, progress: Progress, only: Iterable[str] = ()) -> Proof:
    """Apply every sabotage of the chosen checks (all by default), each to a twin of its own."""
    checks = load_checks()
    chosen = frozenset(only) or frozenset(checks)
    sabotages = [one for one in SABOTAGES if one.check in chosen]
    results: list[SabotageResult] = []
    reasons: dict[tuple[str, str], str] = {}
    with _pool() as pool:
        untouched = pool.submit(_untouched, template, folder, [checks[name] for name in sorted(chosen)])
        trials = [
            pool.submit(_try, one, checks, untouched, template, folder / f"twin-{number}", number)
            for number, one in enumerate(sabotages, start=1)
        ]
        for trial in trials:
            result, reason = trial.result()
            results.append(result)
            reasons[result.check, result.sabotage] = reason
            progress(f"{result.check:<7} {'killed' if result.killed else 'SURVIVED':<9} {result.sabotage}")
    killed = sum(result.killed for result in results)
    return Proof(KillMatrix(len(results), killed, tuple(results), judging_source()), reasons)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """A pool whose waiting twins are given up when the prover is interrupted."""
    pool = ThreadPoolExecutor(PARALLEL_TWINS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def log_proof(log: RecordLog, proof: Proof) -> None:
    """Log the kill matrix beside the verdicts."""
    clock = RunClock.start()
    now = clock.now()
    log.append(
        [
            clock.record(
                unit="twin/sabotages",
                subject="checks",
                kind=KillMatrix,
                payload=proof.matrix,
                observed=Interval(now, now),
                lifetime=LIFETIME,
                by=CollectorId("posture.prove", VERSION, ""),
            )
        ]
    )


def _untouched(template: Template, folder: Path, checks: Sequence[Check]) -> Mapping[str, Verdict]:
    """The verdicts on a twin that nobody broke: a check that is red there proves nothing by being red."""
    populations = {expect.over for check in checks for expect in check.expects}
    with LiveTwin(folder / "twin-0", template, 0) as twin:
        return judge_twin(twin.look(populations), checks)


def _try(
    sabotage: Sabotage,
    checks: Mapping[str, Check],
    untouched: Future[Mapping[str, Verdict]],
    template: Template,
    folder: Path,
    number: int,
) -> tuple[SabotageResult, str]:
    target = checks[sabotage.check]
    populations = {expect.over for expect in target.expects}
    judged = [check for check in checks.values() if {one.over for one in check.expects} <= populations]
    try:
        with LiveTwin(folder, template, number) as twin:
            sabotage.apply(twin)
            verdicts = judge_twin(twin.look(populations), judged)
    except Exception as error:  # noqa: BLE001 - the boundary: one broken twin must not cost the others
        return _survivor(sabotage, NOT_APPLIED), f"the sabotage could not be applied: {_words(error)}"
    if lost := untouched.exception():
        return _survivor(sabotage, NOT_GREEN_BEFORE), f"the untouched twin could not be seen: {_words(lost)}"
    before = untouched.result()[target.id]
    if before.state is not State.SATISFIED:
        return _survivor(sabotage, NOT_GREEN_BEFORE), f"{before.state} on an untouched twin: {before.reason}"
    return _result(sabotage, verdicts)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _result(sabotage: Sabotage, verdicts: Mapping[str, Verdict]) -> tuple[SabotageResult, str]:
    verdict = verdicts[sabotage.check]
    unnamed = [name for name in sabotage.names if not any(is_named(name, one) for one in verdict.deviations)]
    killed = verdict.state is State.FAILED and not unnamed
    failed = sorted(name for name, other in verdicts.items() if other.state is State.FAILED)
    collateral = tuple(name for name in failed if name != sabotage.check)
    reason = "" if killed else f"{verdict.state}, no deviation names {', '.join(unnamed)}: {verdict.reason}"
    return SabotageResult(sabotage.check, sabotage.what, verdict.state.value, killed, collateral), reason


def is_named(name: str, deviation: Deviation) -> bool:
    """Whether a deviation names the thing, and not another one whose name merely contains it.

    ``replay`` is not named by ``concurrent_replay``; a name that ends in punctuation (``log:``) is a prefix.
    """
    end = r"(?!\w)" if name[-1:].isalnum() or name.endswith("_") else ""
    whole = re.compile(rf"(?<!\w){re.escape(name)}{end}")
    return any(whole.search(text) for text in (deviation.where, deviation.what))


def _survivor(sabotage: Sabotage, state: str) -> SabotageResult:
    return SabotageResult(sabotage.check, sabotage.what, state, killed=False, collateral=())
