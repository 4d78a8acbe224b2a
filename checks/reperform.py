"""Re-performance: every logged verdict is judged again over exactly what its judge had read.

For an auditor, who trusts neither the judge nor us: the records, scope and waivers are those of the log,
the moment and the number of entries read are the verdict's own, and the source is the present one, whose
digest the verdict names. What is compared are the canonical bytes of the whole verdict.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, cast

from checks.check import Check
from checks.verdicts import Bench
from controls.verdict import State, Verdict
from evidence.payload import Json, encode
from evidence.proofs.canonical import canonical_bytes
from evidence.scope import Scope
from evidence.view import LoggedRecord, Reading, evidence_of, known_since

Sitting: TypeAlias = tuple[int, float]
"""Verdicts of one number of entries read and one moment share their evidence."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a logged verdict that judging again does not give.

    Attributes:
        check: id of the check.
        entry: the verdict's entry in the log.
        field: the field that differs; `verdict` where there is nothing to compare.
        logged: its value as canonical JSON.
        again: the value that judging again gives, as canonical JSON, or words where it gives none.
    """

    check: str
    entry: int
    field: str
    logged: str
    again: str

    def __str__(self) -> str:
        """One line for a reader."""
        return f"{self.check} (entry {self.entry}): {self.field} was {self.logged}, again it is {self.again}"


@dataclass(frozen=True, slots=True)
class JudgedAgain:
    """A logged verdict and the one that the present checks give; None where there is nothing to judge by.

    Attributes:
        why: why there is none.
    """

    logged: LoggedRecord
    old: Verdict
    new: Verdict | None
    why: str = ""


def reperform(records: Sequence[LoggedRecord], verdicts: Iterable[LoggedRecord]) -> list[Difference]:
    """What the present check source says otherwise than the log; empty when every verdict follows.

    Args:
        records: every record that the verdicts may have been judged by, in the order of the log and with
            their entries; of a log that is not complete, what is lacking shows as a difference.
        verdicts: the logged verdicts to judge again.
    """
    return [
        difference for again in judged_again(records, verdicts) for difference in _differences(again, records)
    ]


def needed_entries(records: Sequence[LoggedRecord], verdicts: Iterable[LoggedRecord]) -> tuple[int, ...]:
    """The entries without which the verdicts cannot be judged again: their own, their evidence and scopes.

    For a pack that leaves the rest of the log out. Nothing else changes a verdict: what a check reads is
    what its verdict cites, waivers and the evidence of compensating controls included.
    """
    entry_of = {logged.digest: logged.entry for logged in records}
    needed: set[int] = set()
    reading = Reading(records)
    for _, one, old in _in_sittings(verdicts):
        scopes = reading.until(old.entries, old.as_of).logged(Scope) if old.as_of else ()
        needed |= {one.entry, *(scope.entry for scope in scopes[-1:])}
        needed |= {entry_of[digest] for digest in old.evidence if digest in entry_of}
    return tuple(sorted(needed))


def judged_again(
    records: Sequence[LoggedRecord],
    verdicts: Iterable[LoggedRecord],
    checks: Mapping[str, Check] | None = None,
) -> Iterator[JudgedAgain]:
    """Judge each logged verdict again, in the order of the entries that had been read."""
    reading = Reading(records)
    for (entries, _), group in itertools.groupby(_in_sittings(verdicts), key=lambda item: item[0]):
        yield from _one_sitting([(one, old) for _, one, old in group], reading, entries, checks)


def _in_sittings(verdicts: Iterable[LoggedRecord]) -> list[tuple[Sitting, LoggedRecord, Verdict]]:
    """The verdicts among some records, each with what had been read and when, in this order."""
    logged = [(one, one.record.payload) for one in verdicts]
    found = [
        ((old.entries, old.as_of.timestamp() if old.as_of else 0.0), one, old)
        for one, old in logged
        if isinstance(old, Verdict)
    ]
    return sorted(found, key=lambda item: (item[0], item[1].entry))


def _one_sitting(
    group: Sequence[tuple[LoggedRecord, Verdict]],
    reading: Reading,
    entries: int,
    checks: Mapping[str, Check] | None,
) -> Iterator[JudgedAgain]:
    """Verdicts of one moment over the same entries: the evidence is put together once."""
    as_of = group[0][1].as_of
    evidence = reading.until(entries, as_of) if as_of else None
    scope = evidence.scope if evidence else None
    if evidence is None or as_of is None or scope is None:
        yield from (JudgedAgain(one, old, None, "no scope was known to its judge") for one, old in group)
        return
    bench = Bench(evidence, scope, entries=entries, as_of=as_of, checks=checks)
    for one, old in group:
        new = bench.verdict(old.check)
        yield JudgedAgain(one, old, new, "" if new else "there is no such check now")


def _differences(again: JudgedAgain, records: Sequence[LoggedRecord]) -> Iterator[Difference]:
    old, new, entry = again.old, again.new, again.logged.entry
    if new is None:
        yield Difference(old.check, entry, "verdict", _text(encode(old.state)), again.why)
        return
    then, now = (cast("dict[str, Json]", encode(verdict)) for verdict in (old, new))
    if canonical_bytes(then) != canonical_bytes(now):
        for field in sorted(then):
            if _text(then[field]) != _text(now[field]):
                yield Difference(old.check, entry, field, _text(then[field]), _text(now[field]))
    yield from _left_out(again.logged, old, records)


def _left_out(logged: LoggedRecord, old: Verdict, records: Sequence[LoggedRecord]) -> Iterator[Difference]:
    """A judge who stopped reading before what spoke against his verdict, or says he read what came later."""
    if old.entries > logged.entry:
        words = f"at most {logged.entry}, the entries before it"
        yield Difference(old.check, logged.entry, "entries", str(old.entries), words)
    as_of = old.as_of
    if as_of is None or not (unread := _known_between(records, old.entries, logged.entry, as_of)):
        return
    state = _state_at(records, old.check, unread[-1].entry + 1, as_of)
    if state is not old.state:
        words = f"{state} when entry {unread[-1].entry}, known at that moment, is read too"
        yield Difference(old.check, logged.entry, "entries", str(old.entries), words)


def _known_between(
    records: Sequence[LoggedRecord], start: int, stop: int, as_of: datetime
) -> list[LoggedRecord]:
    """What stands between two entries and was known at a moment; verdicts are nobody's evidence."""
    first, end = (bisect_left(records, entry, key=lambda one: one.entry) for entry in (start, stop))
    between = (one for one in records[first:end] if not isinstance(one.record.payload, Verdict))
    return [one for one in between if known_since(one.record) <= as_of]


def _state_at(records: Sequence[LoggedRecord], check: str, entries: int, as_of: datetime) -> State:
    evidence = evidence_of(records, entries, as_of)
    if evidence.scope is None:
        return State.UNKNOWN
    verdict = Bench(evidence, evidence.scope, entries=entries, as_of=as_of).verdict(check)
    return verdict.state if verdict else State.UNKNOWN


def _text(value: Json) -> str:
    return canonical_bytes(value).decode()
