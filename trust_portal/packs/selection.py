"""Which entries of a log a pack carries for a window of time, so that its verdicts can be judged again.

Carried are all entries from the window's first day to the pack's moment with one neighbour on either side
(so that a reader sees that none of them was left out), and of what lies before only what the judges of the
carried verdicts read: the last record of each unit, kind and subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controls.verdict import Verdict
from evidence.payload import Payload
from evidence.scope import Scope
from evidence.view import About, LoggedRecord, about
from trust_portal.errors import PackError
from trust_portal.packs.documents.engagement import Window


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pack is made from.

    Attributes:
        window: the days that it reports on, in UTC.
        as_of: the moment of knowledge.
        verdicts: the newest verdict of each check at the pack's moment, by the check's id.
        scope: the newest scope at that moment.
        told: SHA-256 (hex) of the statements of these and of all other verdicts of the window.
        cited: what these verdicts were judged by, in the order of the log.
        entries: indices of everything that is carried.
    """

    window: Window
    as_of: datetime
    verdicts: Mapping[str, LoggedRecord]
    scope: LoggedRecord
    told: tuple[str, ...]
    cited: Sequence[LoggedRecord]
    entries: frozenset[int]


def select(records: Sequence[LoggedRecord], window: Window | None, as_of: datetime | None) -> Selection:
    """Choose from the whole log.

    Args:
        records: every record, in the order of the log.
        window: None for the whole log up to `as_of`.
        as_of: None for the newest time of recording, so that no clock is read.

    Raises:
        PackError: nothing was judged or scoped by then.
    """
    if not records:
        raise PackError("the log is empty; collect and check first")
    recorded = [one.record.header.recorded for one in records]
    moment = as_of or max(recorded)
    chosen = window or _whole(recorded, moment)
    spoken = [one for one in records if _spoken(one, chosen, moment)]
    verdicts = _newest(spoken, Verdict)
    scopes = _newest(spoken, Scope)
    if not verdicts or not scopes:
        raise PackError("the log holds no scope or no verdict up to that moment; collect and check first")
    newest = {_check(one): one for one in verdicts}
    by_digest = {one.digest: one for one in records}
    lacking = next((one for one in verdicts if not by_digest.keys() >= {*_evidence(one)}), None)
    if lacking is not None:
        raise PackError(
            f"entry {lacking.entry} judged evidence that is not in this log; verify the log first"
        )
    cited = {by_digest[digest].entry: by_digest[digest] for one in verdicts for digest in _evidence(one)}
    scope = scopes[-1]
    carried = _carried(records, chosen, moment, verdicts) | cited.keys() | {scope.entry}
    told = {one.digest for one in spoken if _tells(one, chosen)} | {one.digest for one in verdicts}
    return Selection(
        window=chosen,
        as_of=moment,
        verdicts={check: newest[check] for check in sorted(newest)},
        scope=scope,
        told=tuple(sorted(told)),
        cited=[cited[entry] for entry in sorted(cited)],
        entries=frozenset(carried),
    )


def _tells(one: LoggedRecord, window: Window) -> bool:
    return isinstance(one.record.payload, Verdict) and one.record.header.recorded >= window.start


def _whole(recorded: Sequence[datetime], moment: datetime) -> Window:
    first = min(recorded).astimezone(UTC).date()
    return Window(first, max(first, moment.astimezone(UTC).date()))


def _spoken(one: LoggedRecord, window: Window, moment: datetime) -> bool:
    recorded = one.record.header.recorded
    return recorded <= moment and recorded < window.end


def _newest(records: Iterable[LoggedRecord], kind: type[Payload]) -> list[LoggedRecord]:
    """The last record of a kind for each unit and subject, in the order of the log."""
    last = {about(one.record): one for one in records if isinstance(one.record.payload, kind)}
    return sorted(last.values(), key=lambda one: one.entry)


def _carried(
    records: Sequence[LoggedRecord],
    window: Window,
    moment: datetime,
    newest: Sequence[LoggedRecord],
) -> set[int]:
    inside = [one.entry for one in records if window.start <= one.record.header.recorded <= moment]
    if not inside:
        raise PackError(f"nothing was logged from {window.first} to the pack's moment")
    start, end = max(0, min(inside) - 1), min(len(records), max(inside) + 2)
    judged = [*newest, *(one for one in records[start:end] if isinstance(one.record.payload, Verdict))]
    carried = {*range(start, end), *(one.entry for one in newest)}
    for one in newest:
        carried.update(range(_read(one), one.entry))
    return carried | _judged_by(records, {min(_read(one), start) for one in judged} | {start})


def _judged_by(records: Sequence[LoggedRecord], reads: Iterable[int]) -> set[int]:
    """The last record of each unit, kind and subject among the first entries of the log, for each number."""
    found: set[int] = set()
    last: dict[About, int] = {}
    at = 0
    for entries in sorted(reads):
        for one in records[at:entries]:
            last[about(one.record)] = one.entry
        at = entries
        found.update(last.values())
    return found


def _read(one: LoggedRecord) -> int:
    """How many entries the judge of a verdict had read."""
    verdict = one.record.payload
    return min(verdict.entries, one.entry) if isinstance(verdict, Verdict) else one.entry


def _check(one: LoggedRecord) -> str:
    verdict = one.record.payload
    return verdict.check if isinstance(verdict, Verdict) else ""


def _evidence(one: LoggedRecord) -> tuple[str, ...]:
    verdict = one.record.payload
    return verdict.evidence if isinstance(verdict, Verdict) else ()
