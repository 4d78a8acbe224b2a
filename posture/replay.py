"""`posture check --replay`: kept evidence judged with today's checks, and what then has to be corrected.

A verdict was published; a check was wrong, or reads more today. Each logged verdict of the window is
judged again over exactly what its judge had read; where the two disagree, a signed erratum tells what
was said, what is true by today's check, and which issued packs carried it. Nothing is taken out of the
log, and no correction is logged twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from checks.check import Check
from checks.reperform import JudgedAgain, judged_again
from controls.verdict import Verdict
from evidence.kinds.erratum import Erratum
from evidence.kinds.pack import IssuedPack
from evidence.payload import Payload, encode
from evidence.record import CollectorId, Interval, Record
from evidence.view import LoggedRecord
from posture.cli import VERSION
from posture.errors import UsageError
from posture.records import RecordLog, RunClock
from posture.times import moment

REPLAY = CollectorId("posture.replay", VERSION, "")
KEPT = timedelta(days=3653)
"""An erratum is no observation that grows stale; it is told for as long as anybody asks."""

JUDGED = ("state", "facts", "deviations")
"""What makes a verdict another one; a reason worded anew, or other source that says the same, does not."""

TOLD_EVERY = 100
"""Verdicts between two lines of progress, about a third of a second."""

P = TypeVar("P", bound=Payload)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Window:
    """From the first to the last moment, both included."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> Window:
        """``2026-11-01..2026-11-30``, whole days in UTC, or two RFC 3339 times.

        Raises:
            UsageError: not two moments, or the second before the first.
        """
        first, dots, last = text.partition("..")
        if not dots:
            raise UsageError(f"--replay {text}: write FROM..TO, as in 2026-11-01..2026-11-30")
        window = cls(moment(first, "--replay", end=False), moment(last, "--replay"))
        if window.end < window.start:
            raise UsageError(f"--replay {text}: ends before it begins")
        return window

    def holds(self, logged: LoggedRecord) -> bool:
        """Whether a record was recorded in the window."""
        return self.start <= logged.record.header.recorded <= self.end


@dataclass(frozen=True, slots=True)
class Correction:
    """A verdict that the present checks do not confirm, or whose earlier correction they take back.

    Attributes:
        erratum: what is to be said of it.
        known: the log says so already.
    """

    old: Verdict
    new: Verdict
    erratum: Erratum
    known: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        verdicts: how many verdicts were judged again.
        corrections: those that do not stand as logged, in the order of the log.
        not_judged: those that today's checks cannot judge, and why.
    """

    verdicts: int
    corrections: tuple[Correction, ...]
    not_judged: tuple[JudgedAgain, ...]

    @property
    def changed(self) -> tuple[Correction, ...]:
        """The verdicts that changed, without those whose correction is taken back."""
        return tuple(one for one in self.corrections if one.erratum.changed)


def replay(
    records: Sequence[LoggedRecord],
    window: Window,
    *,
    progress: Progress,
    checks: Mapping[str, Check] | None = None,
) -> Replay:
    """Judge every verdict that was recorded in a window again.

    Args:
        records: the whole log, in its order.
        window: when the verdicts were recorded.
        progress: told a line now and then.
        checks: today's checks.
    """
    wanted = [one for one in records if isinstance(one.record.payload, Verdict) and window.holds(one)]
    judged = list(_told(judged_again(records, wanted, checks), len(wanted), progress))
    corrections = _corrections(judged, records)
    return Replay(
        len(wanted),
        tuple(sorted(corrections, key=lambda one: one.erratum.entry)),
        tuple(one for one in judged if one.new is None),
    )


def log_errata(log: RecordLog, found: Replay) -> int:
    """Log the corrections that the log does not hold yet, as one batch, and return how many."""
    clock = RunClock.start()
    records = [_record(clock, one.erratum) for one in found.corrections if not one.known]
    if records:
        log.append(records)
    return len(records)


def to_json(found: Replay, window: Window) -> dict[str, object]:
    """The published form of a replay."""
    return {
        "from": encode(window.start),
        "to": encode(window.end),
        "verdicts": found.verdicts,
        "changed": len(found.changed),
        "corrections": [
            {**cast("dict[str, Any]", encode(one.erratum)), "known": one.known} for one in found.corrections
        ],
        "not_judged": [
            {"check": one.old.check, "entry": one.logged.entry, "why": one.why} for one in found.not_judged
        ],
    }


def lines(found: Replay) -> Iterator[str]:
    """A replay for a reader: what changed, why, and which packs told it otherwise."""
    for one in found.corrections:
        said = one.erratum
        what = f"{said.old_state} -> {said.new_state}" if said.changed else "stands again"
        yield f"{said.check:<7} entry {said.entry}, as of {encode(said.as_of)}: {what}"
        yield f"        was: {said.old_reason}"
        yield f"        now: {said.new_reason}"
        if said.packs:
            yield f"        carried by {len(said.packs)} issued packs: {', '.join(said.packs)}"
        if one.known:
            yield "        the log holds this correction already"
    for again in found.not_judged:
        yield f"{again.old.check:<7} entry {again.logged.entry}: not judged again, {again.why}"
    yield f"{found.verdicts} verdicts judged again, {len(found.changed)} changed"


def _told(judged: Iterable[JudgedAgain], total: int, progress: Progress) -> Iterator[JudgedAgain]:
    for number, one in enumerate(judged, start=1):
        if number % TOLD_EVERY == 0 or number == total:
            progress(f"{number} of {total}  {one.old.check} entry {one.logged.entry}")
        yield one


def _corrections(judged: Iterable[JudgedAgain], records: Sequence[LoggedRecord]) -> Iterator[Correction]:
    said = {one.verdict: one for one in _payloads(records, Erratum)}
    packs = _packs_by_verdict(records)
    for again in judged:
        if again.new is None:
            continue
        before = said.get(again.logged.digest)
        erratum = _erratum(again.logged, again.old, again.new, packs.get(again.logged.digest, ()))
        if erratum.changed or (before is not None and before.changed):
            yield Correction(again.old, again.new, erratum, known=_same(erratum, before))


def _same(erratum: Erratum, before: Erratum | None) -> bool:
    """Whether the log says this already; that other source says it now is no news."""
    return before is not None and dataclasses.replace(before, new_source=erratum.new_source) == erratum


def _erratum(logged: LoggedRecord, old: Verdict, new: Verdict, packs: Sequence[str]) -> Erratum:
    return Erratum(
        check=old.check,
        entry=logged.entry,
        verdict=logged.digest,
        as_of=old.as_of or logged.record.header.recorded,
        changed=tuple(name for name in JUDGED if getattr(old, name) != getattr(new, name)),
        old_state=old.state.value,
        old_reason=old.reason,
        old_source=old.source,
        new_state=new.state.value,
        new_reason=new.reason,
        new_source=new.source,
        packs=tuple(packs),
    )


def _payloads(records: Sequence[LoggedRecord], kind: type[P]) -> Iterator[P]:
    return (one.record.payload for one in records if isinstance(one.record.payload, kind))


def _packs_by_verdict(records: Sequence[LoggedRecord]) -> dict[str, list[str]]:
    carried: dict[str, list[str]] = {}
    for pack in _payloads(records, IssuedPack):
        for verdict in dict.fromkeys(pack.verdicts):
            if pack.sha256 not in carried.setdefault(verdict, []):
                carried[verdict].append(pack.sha256)
    return carried


def _record(clock: RunClock, erratum: Erratum) -> Record:
    now = clock.now()
    return clock.record(
        unit=f"errata/{erratum.check}",
        subject=f"entry:{erratum.entry}",
        kind=Erratum,
        payload=erratum,
        observed=Interval(now, now),
        lifetime=KEPT,
        by=REPLAY,
    )
