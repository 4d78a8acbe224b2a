"""What the documents of a pack are made from, and the same narrowed to what one audience may read.

For the functions beside it, each pure over an `Engagement`. Narrowing happens here and nowhere else: a
document reads a verdict through `Reading`, so that what is gated cannot occur in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final

from checks.check import Check
from checks.coverage import CheckCoverage, KnownScope, coverage
from controls.claims import Catalogue, Claim
from controls.responsibilities import Responsibilities
from controls.verdict import State, Verdict
from controls.wording import placeholders
from evidence.kinds.twin import KillMatrix
from evidence.payload import Audience, Json, encode, subtrees, timestamp
from evidence.proofs.canonical import canonical_bytes
from evidence.record import Record
from evidence.scope import Scope
from evidence.view import known_since
from trust_portal.claims import CompiledClaim, CompiledPosture, compile_claims

Document = dict[str, Json]

WAIVER_KIND: Final = "posture.waiver/v1"
ERRATUM_KIND: Final = "posture.erratum/v1"
_WORSE: Final = frozenset({State.FAILED, State.UNKNOWN})
_RANK: Final = tuple(Audience)
_ACCOUNT: Final = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Window:
    """The audited days in UTC, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the window ends on {self.last}, before it begins on {self.first}")

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the log: its index, the SHA-256 (hex) of its statement, and itself."""

    index: int
    digest: str
    record: Record


@dataclass(frozen=True, slots=True)
class Engagement:
    """Everything that the documents of one pack are made from.

    Attributes:
        name: the engagement (``soc2-type2-2026``).
        project: whose system is described.
        origin: the log's name.
        window: the audited days.
        audience: who will read the documents.
        as_of: the moment of knowledge; entries recorded later are not read.
        entries: of the log, in its order.
        checks: by id, those that this version judges with.
        drafted: every promise found on the security page and its criteria (`load_drafted`).
        earlier: the catalogue as it was at the window's start, where that is known.
    """

    name: str
    project: str
    origin: str
    window: Window
    audience: Audience
    as_of: datetime
    entries: Sequence[Entry]
    catalogue: Catalogue
    checks: Mapping[str, Check]
    responsibilities: Responsibilities
    drafted: Mapping[str, tuple[str, ...]]
    earlier: Catalogue | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A logged verdict as the audience may read it.

    Attributes:
        verdict: without its deviations, where the audience may not read them.
        deviations: how many there are.
        readable: whether the audience reads the details: the reason, and what deviates where.
        corrected: the state that a later erratum gives it; None where none does.
    """

    index: int
    digest: str
    recorded: datetime
    verdict: Verdict
    deviations: int
    readable: bool
    corrected: State | None = None

    @property
    def state(self) -> State:
        """As it was logged, or as an erratum made it worse; a milder one takes no exception away."""
        if self.corrected in _WORSE and self.verdict.state is not State.FAILED:
            return self.corrected or self.verdict.state
        return self.verdict.state

    @property
    def at(self) -> datetime:
        """The moment that the verdict speaks for."""
        return self.verdict.as_of or self.recorded


@dataclass(frozen=True, slots=True)
class Scoped:
    """A logged scope."""

    index: int
    recorded: datetime
    scope: Scope


class Reading:
    """An engagement as its audience may read it."""

    def __init__(self, engagement: Engagement) -> None:
        self.engagement = engagement
        known = [entry for entry in engagement.entries if known_since(entry.record) <= engagement.as_of]
        self.entries = tuple(known)
        self.entry_of = {entry.digest: entry.index for entry in known}

    @property
    def moment(self) -> datetime:
        """What verdicts are read at: the end of the window, or the moment of knowledge before it."""
        return min(self.engagement.window.end, self.engagement.as_of)

    @cached_property
    def verdicts(self) -> Mapping[str, tuple[Judged, ...]]:
        """The history of each check in the order of the log, checks in the order of their ids."""
        found: dict[str, list[Judged]] = {}
        for entry in self.entries:
            if isinstance(entry.record.payload, Verdict):
                found.setdefault(entry.record.payload.check, []).append(self._judged(entry))
        return {check: tuple(found[check]) for check in sorted(found)}

    @cached_property
    def latest(self) -> Mapping[str, Judged]:
        """The last verdict of each check at `moment`."""
        spoken = {
            check: [one for one in history if one.at <= self.moment and one.recorded <= self.moment]
            for check, history in self.verdicts.items()
        }
        return {check: history[-1] for check, history in spoken.items() if history}

    @cached_property
    def scopes(self) -> tuple[Scoped, ...]:
        """Every scope in the order of the log."""
        return tuple(
            Scoped(entry.index, entry.record.header.recorded, entry.record.payload)
            for entry in self.entries
            if isinstance(entry.record.payload, Scope)
        )

    @cached_property
    def scope(self) -> Scope | None:
        """The newest scope known at `moment`."""
        return next((one.scope for one in reversed(self.scopes) if one.recorded <= self.moment), None)

    @cached_property
    def kills(self) -> KillMatrix:
        """The newest kill matrix known at `moment` and not expired then; an empty one where there is none."""
        for entry in reversed(self.entries):
            header = entry.record.header
            if (
                isinstance(entry.record.payload, KillMatrix)
                and header.recorded <= self.moment < header.expires
            ):
                return entry.record.payload
        return KillMatrix(0, 0, ())

    @cached_property
    def waivers(self) -> tuple[tuple[int, dict[str, Json]], ...]:
        """Each logged waiver with its entry, and the fields that the audience may read."""
        return tuple(
            (entry.index, self.readable(entry.record))
            for entry in self.entries
            if entry.record.header.kind == WAIVER_KIND and entry.record.payload is not None
        )

    @cached_property
    def errata(self) -> tuple[tuple[int, dict[str, Json]], ...]:
        """Each logged erratum with its entry, and the fields that the audience may read."""
        return tuple(
            (entry.index, self.readable(entry.record))
            for entry in self.entries
            if entry.record.header.kind == ERRATUM_KIND and entry.record.payload is not None
        )

    @cached_property
    def _corrections(self) -> Mapping[int, State | None]:
        """The state that the last erratum about an entry gives it; None for one that was taken back."""
        return {
            int(str(erratum["entry"])): State(str(erratum["new_state"])) if erratum.get("changed") else None
            for _, erratum in self.errata
        }

    @cached_property
    def posture(self) -> CompiledPosture:
        """The claims compiled at `moment` for the audience."""
        engagement = self.engagement
        return compile_claims(
            self._speakable(),
            [self._present(judged) for judged in self.latest.values()],
            self.kills,
            as_of=self.moment,
            audience=engagement.audience,
            checks=engagement.checks,
        )

    @cached_property
    def claims(self) -> Mapping[str, CompiledClaim]:
        """The compiled claims by id, each with the number of its deviations."""
        counted = {check: judged.deviations for check, judged in self.latest.items()}
        return {
            claim.id: dataclasses.replace(claim, deviations=counted.get(claim.claim.check or "", 0))
            for claim in self.posture.claims
        }

    @cached_property
    def coverage(self) -> tuple[CheckCoverage, ...]:
        """The coverage of each check, in the order of their ids."""
        window = self.engagement.window
        return coverage(
            [self.engagement.checks[check] for check in sorted(self.engagement.checks)],
            (entry.record.header for entry in self.entries),
            [KnownScope(one.recorded, one.scope) for one in self.scopes],
            first=window.first,
            last=window.last,
            known=self.engagement.as_of,
        )

    def _present(self, judged: Judged) -> Verdict:
        """The verdict with its correction.

        One that another version judged decides nothing but a failure, also of a claim that came since.
        """
        verdict = judged.verdict
        if judged.state is not verdict.state:
            reason = "A later correction (an erratum in the log) says otherwise than this verdict did."
            verdict = dataclasses.replace(verdict, state=judged.state, reason=reason)
        if not self._outdated(judged):
            return verdict
        decided = tuple(claim.id for claim in decided_by(self.engagement.catalogue, verdict.check))
        return dataclasses.replace(verdict, claims=tuple(dict.fromkeys((*verdict.claims, *decided))))

    def _outdated(self, judged: Judged) -> bool:
        check = self.engagement.checks.get(judged.verdict.check)
        return check is None or check.source != judged.verdict.source

    def _speakable(self) -> Catalogue:
        """The catalogue, without sentences of facts that a verdict of another version does not have."""
        lacking = {
            claim.id
            for claim in self.engagement.catalogue.claims
            if (judged := self.latest.get(claim.check or "")) is not None
            and self._outdated(judged)
            and set(placeholders(claim.measured)) - judged.verdict.facts.keys()
        }
        areas = tuple(
            dataclasses.replace(
                area,
                claims=tuple(
                    dataclasses.replace(claim, measured="") if claim.id in lacking else claim
                    for claim in area.claims
                ),
            )
            for area in self.engagement.catalogue.areas
        )
        return dataclasses.replace(self.engagement.catalogue, areas=areas)

    def readable(self, record: Record) -> dict[str, Json]:
        """The fields of a record's payload that the audience may read."""
        if record.payload is None:
            return {}
        split = subtrees(record.payload)
        allowed = _RANK[: _RANK.index(self.engagement.audience) + 1]
        return {name: value for audience in allowed for name, value in split[audience].items()}

    def may_read(self, view: Audience) -> bool:
        """Whether the audience may read what is for `view`."""
        return _RANK.index(self.engagement.audience) >= _RANK.index(view)

    def gate(self, check: str) -> Audience:
        """The least audience that reads the details of a check: the strictest of its claims'."""
        views = [claim.view for claim in self.engagement.catalogue.claims if claim.check == check]
        return max(views, key=_RANK.index, default=Audience.NDA)

    def head(self, kind: str) -> Document:
        """How each document begins."""
        engagement = self.engagement
        return {
            "schema": f"posture.pack.{kind}/v1",
            "engagement": engagement.name,
            "project": engagement.project,
            "origin": engagement.origin,
            "audience": engagement.audience.value,
            "window": {
                "first": engagement.window.first.isoformat(),
                "last": engagement.window.last.isoformat(),
            },
            "as_of": timestamp(engagement.as_of),
        }

    def finished(self, document: Document) -> Document:
        """A document without the numbers of accounts, unless auditors read it."""
        if self.engagement.audience is Audience.AUDITOR:
            return document
        return {name: self._masked(value) for name, value in document.items()}

    @cached_property
    def _pseudonyms(self) -> Mapping[str, str]:
        """One name for each account of any scope, so that two accounts stay two."""
        texts = (text for one in self.scopes for text in _texts(encode(one.scope)))
        accounts = sorted({account for text in texts for account in _ACCOUNT.findall(text)})
        numbered = {account: f"(account {number})" for number, account in enumerate(accounts, 1)}
        return numbered if len(accounts) > 1 else dict.fromkeys(accounts, "(account)")

    def _masked(self, value: Json) -> Json:
        if isinstance(value, str):
            return _ACCOUNT.sub(lambda found: self._pseudonyms.get(found[0], "(account)"), value)
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        if isinstance(value, dict):
            return {str(self._masked(name)): self._masked(item) for name, item in value.items()}
        return value

    def _judged(self, entry: Entry) -> Judged:
        verdict = entry.record.payload
        if not isinstance(verdict, Verdict):
            raise TypeError(f"entry {entry.index} is no verdict")
        readable = self.may_read(self.gate(verdict.check))
        named = readable and self.may_read(Audience.NDA)
        return Judged(
            entry.index,
            entry.digest,
            entry.record.header.recorded,
            verdict if named else dataclasses.replace(verdict, deviations=()),
            _count(verdict),
            readable,
            self._corrections.get(entry.index),
        )


def decided_by(catalogue: Catalogue, check: str) -> tuple[Claim, ...]:
    """The claims that a check decides."""
    return tuple(claim for claim in catalogue.claims if claim.check == check)


def catalogue_digest(catalogue: Catalogue) -> str:
    """SHA-256 (hex) over the claims of a catalogue: two packs with the same one claim the same."""
    claims: list[Json] = [
        {**_claim(claim), "freshness": int(claim.freshness.total_seconds())} for claim in catalogue.claims
    ]
    return hashlib.sha256(canonical_bytes(claims)).hexdigest()


def _claim(claim: Claim) -> dict[str, Json]:
    target = claim.target.isoformat() if claim.target else None
    plain = dataclasses.replace(claim, freshness=timedelta(), target=None)
    values = {name: getattr(plain, name) for name in Claim.__dataclass_fields__ if name != "freshness"}
    return {name: encode(value) for name, value in values.items()} | {"target": target}


def _count(verdict: Verdict) -> int:
    """As the verdict's public facts say, so that who reads no deviations counts the same."""
    counted = verdict.facts.get("deviations")
    return counted if isinstance(counted, int) else len(verdict.deviations)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)


def strings(items: Iterable[str]) -> list[Json]:
    """Texts as a JSON list."""
    return list(items)


def red(judged: Judged) -> bool:
    """Whether a verdict says that something is not as claimed, waived or not."""
    return judged.state in {State.FAILED, State.WAIVED}
