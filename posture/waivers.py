"""The register of waivers of a project: read from its file, and kept in the log as it changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from checks.check import load_checks
from checks.verdicts import Bench
from checks.waiving import Grant, Standing, standing
from controls.waivers import load_waivers
from evidence.kinds.waiver import Waiver
from evidence.record import CollectorId, Interval, Record
from evidence.view import LoggedRecord
from posture.cli import VERSION
from posture.config import Project
from posture.records import RecordLog, RunClock

REGISTER = CollectorId("posture.waivers", VERSION, "")


def waivers_of(project: Project) -> tuple[Waiver, ...]:
    """The waivers that the project's file grants; none when it names no file.

    Raises:
        WaiverError: naming the file, the line and the key that is wrong.
    """
    if project.waivers is None:
        return ()
    return load_waivers(project.waivers, checks=load_checks(), today=RunClock.now().date())


def register(log: RecordLog, records: Sequence[LoggedRecord], waivers: Sequence[Waiver]) -> bool:
    """Log what the register says otherwise than the log does; whether there was anything.

    A waiver that left the register is logged as withdrawn: it must not live on in the log.
    """
    changed = list(_changes(records, waivers))
    if changed:
        clock = RunClock.start()
        log.append([_record(clock, waiver) for waiver in changed])
    return bool(changed)


def standings(bench: Bench, waivers: Sequence[Waiver], now: datetime) -> list[tuple[Waiver, Standing, str]]:
    """How each waiver of the register stands now, and why; one that is not logged yet begins now."""
    since = {one.waiver: one.since for one in bench.grants}
    granted = (Grant(waiver, since.get(waiver, now), "") for waiver in waivers)
    return [(one.waiver, *standing(one, bench.own, now)) for one in granted]


def _changes(records: Sequence[LoggedRecord], waivers: Sequence[Waiver]) -> Iterator[Waiver]:
    logged = {one.id: one for one in (logged.record.payload for logged in records) if isinstance(one, Waiver)}
    granted = {one.id for one in waivers}
    yield from (waiver for waiver in waivers if logged.get(waiver.id) != waiver)
    for name, waiver in logged.items():
        if name not in granted and not waiver.withdrawn:
            yield dataclasses.replace(waiver, withdrawn=True)


def _record(clock: RunClock, waiver: Waiver) -> Record:
    now = clock.now()
    return clock.record(
        unit=f"waivers/{waiver.id}",
        subject=f"waiver:{waiver.id}",
        kind=Waiver,
        payload=waiver,
        observed=Interval(now, now),
        lifetime=max(waiver.expires - now, timedelta()),
        by=REGISTER,
    )
