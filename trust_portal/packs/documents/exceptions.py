"""Exceptions with their retests: what failed in the window or was open when it began, and until when.

An exception begins with the verdict that failed and ends with the one that is satisfied again; silence
in between is no retest, and neither is a waiver. Its id is made of the check and the log entry that it
began with, so that it is the same in the packs of two audits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Final

from controls.verdict import State
from evidence.payload import Audience, Json, timestamp
from evidence.proofs.canonical import canonical_bytes
from trust_portal.packs.documents.engagement import Document, Judged, Reading, decided_by, red

WAIVER_FIELDS: Final = ("id", "owner", "reason", "compensating", "expires", "withdrawn")


@dataclass(frozen=True, slots=True)
class Episode:
    """A check's verdicts from the first that failed to the last before it was satisfied again.

    Attributes:
        verdicts: at least one, the first and maybe others name deviations.
        retest: the verdict that ended it; None while it is open.
    """

    check: str
    verdicts: list[Judged]
    retest: Judged | None = None

    @property
    def first(self) -> Judged:
        """The verdict that it began with."""
        return self.verdicts[0]

    @property
    def reds(self) -> list[Judged]:
        """Its verdicts that name something that is not as claimed."""
        return [one for one in self.verdicts if red(one)]


def episodes(check: str, history: Sequence[Judged]) -> list[Episode]:
    """The episodes in a check's history."""
    found: list[Episode] = []
    current: list[Judged] = []
    for judged in history:
        if judged.state in {State.SATISFIED, State.NOT_APPLICABLE}:
            if current:
                found.append(Episode(check, current, judged))
            current = []
        elif current or red(judged):
            current.append(judged)
    return [*found, Episode(check, current)] if current else found


def exceptions_document(reading: Reading) -> Document:
    """`exceptions.json`."""
    found = sorted(_in_window(reading), key=lambda episode: (episode.first.index, episode.check))
    rows = [_row(reading, episode) for episode in found]
    open_ = sum(episode.retest is None for episode in found)
    return reading.finished(
        {
            **reading.head("exceptions"),
            "counts": {"exceptions": len(found), "open": open_, "retested": len(found) - open_},
            "said": _said(reading, len(found)),
            "exceptions": rows,
        }
    )


def _said(reading: Reading, found: int) -> str:
    if found:
        return "Each exception is listed from the verdict that failed to the one that was satisfied again."
    if not any(reading.verdicts.values()):
        return "No check was judged up to the moment of knowledge; an empty list shows nothing."
    return "No verdict of the window failed; the coverage says how much of the window was looked at."


def _in_window(reading: Reading) -> Iterator[Episode]:
    window = reading.engagement.window
    for check, history in reading.verdicts.items():
        for episode in episodes(check, history):
            ended = episode.retest.at if episode.retest else None
            if episode.first.at < window.end and (ended is None or ended >= window.start):
                yield episode


def _row(reading: Reading, episode: Episode) -> Json:
    first, last = episode.first, episode.reds[-1]
    gate = reading.gate(episode.check)
    window = reading.engagement.window
    check = reading.engagement.checks.get(episode.check)
    return {
        "id": f"EXC-{episode.check}-{first.index:06d}",
        "check": episode.check,
        "title": check.title if check else "This check is no part of this version.",
        "claims": [claim.id for claim in decided_by(reading.engagement.catalogue, episode.check)],
        "status": "retested" if episode.retest else "open",
        "open_at_start": first.at < window.start,
        "open_at_end": episode.retest is None or episode.retest.at >= window.end,
        "first_seen": _moment(first),
        "last_seen": _moment(last),
        "retest": _retest(episode),
        "verdicts": len(episode.reds),
        "undecided_between": len(episode.verdicts) - len(episode.reds),
        "most_deviations": max(one.deviations for one in episode.reds),
        "reason": last.verdict.reason if last.readable else "",
        "gated": _gated(reading, gate),
        "deviations": _deviations(episode),
        "waivers": _waivers(reading, episode),
        "corrections": _corrections(reading, episode),
    }


def _gated(reading: Reading, gate: Audience) -> str | None:
    """Who reads what deviates and where, when this audience does not."""
    if reading.may_read(gate) and reading.may_read(Audience.NDA):
        return None
    return (gate if gate is Audience.AUDITOR else Audience.NDA).value


def _retest(episode: Episode) -> Json:
    """The verdict that is satisfied again, and whether it looked at the same with the same."""
    retest = episode.retest
    if retest is None:
        return None
    last = episode.reds[-1].verdict
    return {
        "at": timestamp(retest.at),
        "entry": retest.index,
        "state": retest.verdict.state.value,
        "same_scope": retest.verdict.scope == last.scope,
        "same_source": retest.verdict.source == last.source,
    }


def _deviations(episode: Episode) -> list[Json]:
    """What deviated, each with the verdicts that named it first and last."""
    seen: dict[tuple[str, str], list[Judged]] = {}
    since: dict[tuple[str, str], datetime] = {}
    for judged in episode.reds:
        for one in judged.verdict.deviations:
            named = (one.what, one.where)
            seen.setdefault(named, []).append(judged)
            if one.since is not None:
                since[named] = min(one.since, since.get(named, one.since))
    return [
        {
            "what": what,
            "where": where,
            "since": timestamp(since[what, where]) if (what, where) in since else None,
            "first_seen": _moment(judged[0]),
            "last_seen": _moment(judged[-1]),
            "status": _status(episode, judged[-1]),
        }
        for (what, where), judged in sorted(seen.items(), key=itemgetter(0))
    ]


def _moment(judged: Judged) -> Json:
    return {"at": timestamp(judged.at), "entry": judged.index}


def _status(episode: Episode, last_seen: Judged) -> str:
    if episode.retest is not None:
        return "retested"
    return "open" if last_seen is episode.reds[-1] else "no longer named, check not satisfied again"


def _corrections(reading: Reading, episode: Episode) -> list[Json]:
    """The entries of errata about its verdicts."""
    retest = [episode.retest] if episode.retest else []
    judged = {one.index for one in (*episode.verdicts, *retest)}
    return [entry for entry, erratum in reading.errata if erratum["entry"] in judged]


def _waivers(reading: Reading, episode: Episode) -> list[Json]:
    """The waivers of the check that were logged up to the episode's end, each with its first entry."""
    until = episode.retest.index if episode.retest else None
    found: dict[bytes, Json] = {}
    for entry, waiver in reading.waivers:
        if waiver.get("check") == episode.check and (until is None or entry < until):
            told = {name: waiver.get(name) for name in WAIVER_FIELDS}
            found.setdefault(canonical_bytes(told), {"entry": entry, **told})
    return list(found.values())
