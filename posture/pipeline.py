"""Source → collector → record → ledger → check → verdict → ledger: the one way evidence flows.

A run that was interrupted, even by kill -9, is continued: what its units had logged stays, what they had
not is looked at now. Each unit's records are appended as one batch, so a unit is either in the log or
it is not. Nothing is judged that was not logged.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checks.check import Check, load_checks
from checks.verdicts import Bench
from collectors.boundary import look_through
from collectors.collector import Collector, NotObserved, Sighting, identify
from collectors.registry import collectors_for
from controls.verdict import Verdict
from evidence.kinds.waiver import Waiver
from evidence.record import CollectorId, Interval, Outcome, Record
from evidence.scope import Scope, Unit
from evidence.view import LoggedRecord, entries_known, entries_of, evidence_of
from posture.cli import VERSION
from posture.errors import UsageError
from posture.records import RecordLog, RunClock, of_run
from posture.waivers import register

LIFETIME = timedelta(days=7)
"""How long an observation may be used; checks ask for fresher ones where their claim does."""

CONTINUE_WITHIN = timedelta(minutes=15)
"""How long ago an unfinished run may have begun; what it has seen is not looked at again."""

PARALLEL_UNITS = 4

PIPELINE = CollectorId("posture.pipeline", VERSION, "")

Progress = Callable[[str], None]
AccessTo = Callable[[Unit, Collector[object]], object]
"""How a collector reaches a unit; raises `collectors.errors.Refused` for a probe that is not configured."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one run logged: its id, records by outcome, and units that an interrupted run had done."""

    run: str
    outcomes: Counter[Outcome]
    continued: int


def collect(
    log: RecordLog, scope: Scope, access_to: AccessTo, *, state: Path, progress: Progress
) -> Collected:
    """Look at every unit of the scope and log what was seen, or that it could not be seen.

    Args:
        log: the ledger to append to.
        scope: what is expected to be seen; logged before anything is looked at.
        access_to: how to reach a unit, for its collectors.
        state: the folder that remembers an unfinished run.
        progress: told one line for each unit.

    Raises:
        UsageError: another run is at work in the same state, or the ledger refused.
    """
    with _alone(state):
        return _collect(log, scope, access_to, state / "run.json", progress)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two runs of one state would continue each other; the kernel frees the lock when its holder dies."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another run is collecting with the state in {state}; wait for its end, or name another "
                "`state` in posture.yaml (several may share a ledger)"
            ) from error
        yield


def _collect(
    log: RecordLog, scope: Scope, access_to: AccessTo, run_file: Path, progress: Progress
) -> Collected:
    clock, done = _continue_or_start(run_file, log, scope)
    waiting = [
        (unit, collector)
        for unit in scope.units
        for collector in collectors_for(unit.population)
        if (unit.id, collector.kinds[0].kind) not in done
    ]
    outcomes: Counter[Outcome] = Counter()
    with _pool() as pool:
        sightings = pool.map(lambda pair: look_at(clock, pair[0], pair[1], access_to), waiting)
        for (unit, collector), records in zip(waiting, sightings, strict=True):
            log.append(records)
            outcomes.update(record.header.outcome for record in records)
            progress(_line(unit, collector, records))
    run_file.unlink()
    return Collected(clock.run, outcomes, len(done))


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """A pool whose waiting units are given up when the ledger refuses or somebody interrupts."""
    pool = ThreadPoolExecutor(PARALLEL_UNITS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def judge(
    log: RecordLog,
    *,
    as_of: datetime | None = None,
    checks: Iterable[Check] | None = None,
    waivers: Sequence[Waiver] | None = None,
    records: Sequence[LoggedRecord] | None = None,
) -> tuple[Verdict, ...]:
    """Judge everything logged so far by the newest logged scope, and log the verdicts.

    Args:
        log: the ledger to read and to append to.
        as_of: a moment of the past; by default now.
        checks: by default all.
        waivers: the register of waivers as it is now, logged where the log says otherwise; None leaves
            the waivers as the log has them.
        records: what `log.read()` has given just now, to spare a second reading.
    """
    clock = RunClock.start()
    records = log.read() if records is None else records
    if as_of is None and waivers is not None and register(log, records, waivers):
        records = log.read()
    moment = as_of or clock.now()
    entries = entries_known(records, moment) if as_of else entries_of(records)
    verdicts = verdicts_of(records, entries=entries, as_of=moment, checks=checks)
    log.append(
        clock.record(
            unit=f"checks/{verdict.check}",
            subject=f"check:{verdict.check}",
            kind=Verdict,
            payload=verdict,
            observed=Interval(moment, moment),
            lifetime=LIFETIME,
            by=CollectorId(f"check.{verdict.check}", VERSION, verdict.source),
        )
        for verdict in verdicts
    )
    return verdicts


def verdicts_of(
    records: Sequence[LoggedRecord],
    *,
    as_of: datetime,
    entries: int | None = None,
    checks: Iterable[Check] | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts that follow from records: pure, in the order of the checks' ids.

    Args:
        records: of one log, in its order.
        as_of: the moment of judging.
        entries: how many entries of the log are read; by default those that it had at `as_of`.
        checks: by default all.

    Raises:
        NothingCollected: no scope was logged up to `as_of`.
    """
    bench = bench_of(records, as_of=as_of, entries=entries)
    chosen = load_checks() if checks is None else sorted(check.id for check in checks)
    verdicts = (bench.verdict(check) for check in sorted(chosen))
    return tuple(verdict for verdict in verdicts if verdict is not None)


def bench_of(records: Sequence[LoggedRecord], *, as_of: datetime, entries: int | None = None) -> Bench:
    """The checks over what was seen at a moment, with the waivers known then.

    Raises:
        NothingCollected: no scope was logged up to `as_of`.
    """
    read = entries_known(records, as_of) if entries is None else entries
    evidence = evidence_of(records, read, as_of)
    if evidence.scope is None:
        raise NothingCollected("the ledger holds no scope yet; run `posture collect` first")
    return Bench(evidence, evidence.scope, entries=read, as_of=as_of)


class NothingCollected(UsageError):
    """There is nothing to judge yet."""


def _continue_or_start(run_file: Path, log: RecordLog, scope: Scope) -> tuple[RunClock, set[tuple[str, str]]]:
    """The unfinished run and what it has logged, if it is recent and of this scope; otherwise a new run."""
    clock, unfinished = RunClock.start(), _unfinished(run_file)
    if unfinished is not None:
        logged = of_run(log.read(), unfinished.run)
        began = [record.header.recorded for record in logged if record.payload == scope]
        if began and abs(clock.now() - began[0]) <= CONTINUE_WITHIN:
            return unfinished, {(record.header.unit, record.header.kind) for record in logged}
    _write_durably(run_file, json.dumps({"run": clock.run}))
    log.append([scope_record(clock, scope)])
    return clock, set()


def _unfinished(run_file: Path) -> RunClock | None:
    try:
        return RunClock(str(json.loads(run_file.read_text())["run"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write_durably(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def look_at_all(clock: RunClock, scope: Scope, access_to: AccessTo) -> list[Record]:
    """What every collector sees of every unit, one after the other, without logging it (for twins)."""
    return [
        record
        for unit in scope.units
        for collector in collectors_for(unit.population)
        for record in look_at(clock, unit, collector, access_to)
    ]


def scope_record(clock: RunClock, scope: Scope) -> Record:
    """The record of a scope itself."""
    now = clock.now()
    return clock.record(
        unit="scope",
        subject=f"project:{scope.project}",
        kind=Scope,
        payload=scope,
        observed=Interval(now, now),
        lifetime=LIFETIME,
        by=PIPELINE,
    )


def look_at(clock: RunClock, unit: Unit, collector: Collector[Any], access_to: AccessTo) -> list[Record]:
    """Everything that one collector saw of one unit, as records observed in one interval."""
    started = clock.now()
    sightings = look_through(collector, unit, lambda: access_to(unit, collector))
    observed = Interval(started, clock.now())
    by = identify(collector)
    return [_record(clock, unit, by, observed, sighting) for sighting in sightings]


def _record(clock: RunClock, unit: Unit, by: CollectorId, observed: Interval, sighting: Sighting) -> Record:
    missed = isinstance(sighting, NotObserved)
    return clock.record(
        unit=unit.id,
        subject=sighting.subject,
        kind=sighting.kind if isinstance(sighting, NotObserved) else type(sighting.payload),
        payload=None if isinstance(sighting, NotObserved) else sighting.payload,
        observed=observed,
        lifetime=LIFETIME,
        by=by,
        outcome=sighting.outcome,
        reason=sighting.reason or ("not observed" if missed else ""),
        detail=sighting.detail,
    )


def _line(unit: Unit, collector: Collector[object], records: Sequence[Record]) -> str:
    missed = [record.header for record in records if record.header.outcome is not Outcome.OBSERVED]
    seen = "seen" if not missed else f"{missed[0].outcome}: {missed[0].reason}"
    return f"{unit.id:<38} {collector.name:<26} {seen}"
