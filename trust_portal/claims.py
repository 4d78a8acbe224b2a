"""The claims compiler: claims and verdicts in, sentences with their receipts out.

For every page, pack, document and answer, so that they cannot disagree. The verdict chooses the
wording; numbers come from its facts; a strong word stands only where its equation holds (design,
conviction 1). What an audience may not read is removed here, before any renderer sees it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from checks.check import Check, load_checks
from checks.kills import KillScore, aimed_at, kill_score
from controls.claims import Catalogue, Claim, How, Status
from controls.verdict import Completeness, State, Verdict
from controls.wording import Fact, holds, placeholders
from evidence.kinds.twin import KillMatrix
from evidence.payload import Audience, timestamp
from trust_portal.errors import UnsupportedClaim

LONGEST_SILENCE: Final = timedelta(days=1)
"""A posture without any expiring evidence is out of date after a day."""

_ACCOUNT: Final = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")
_MASK: Final = "(account)"
_RANK: Final = (Audience.PUBLIC, Audience.NDA, Audience.AUDITOR)


class Word(StrEnum):
    """What a reader is told about a claim, worst first."""

    FAILED = "failed"
    OVERDUE = "overdue"
    NOT_SHOWN = "not shown"
    WAIVED = "waived"
    IN_FLIGHT = "in flight"
    ROADMAP = "roadmap"
    POLICY = "policy"
    NOT_APPLICABLE = "not applicable"
    VERIFIED = "verified"


_WORD_OF_STATE: Final = {
    State.SATISFIED: Word.VERIFIED,
    State.FAILED: Word.FAILED,
    State.UNKNOWN: Word.NOT_SHOWN,
    State.WAIVED: Word.WAIVED,
    State.NOT_APPLICABLE: Word.NOT_APPLICABLE,
}
_WORD_OF_STATUS: Final = {
    Status.IN_PLACE: Word.NOT_SHOWN,
    Status.IN_FLIGHT: Word.IN_FLIGHT,
    Status.ROADMAP: Word.ROADMAP,
    Status.POLICY: Word.POLICY,
}


@dataclass(frozen=True, slots=True)
class CompiledClaim:
    """A claim as one audience may read it.

    Attributes:
        claim: the catalogue's entry.
        text: the sentence that the verdict allows.
        word: the status in a word.
        state: the verdict's state; `unknown` when nothing decides the claim.
        reason: why, in one sentence.
        measured: the facts in a sentence; '' when there are none.
        observed: the moment the verdict speaks for; None when nothing was observed.
        valid_until: when its evidence expires.
        facts: numbers and words of the verdict.
        checked: what its check looks for, in a sentence; '' when none decides it.
        expects: the evidence that the check cannot do without.
        deviations: how many things are not as claimed; where they are is not public.
        kills: how its check stood up to sabotage; None when no check decides the claim.
        evidence: SHA-256 (hex) of each signed statement that was judged.
        scope: SHA-256 (hex) of the scope.
        source: SHA-256 (hex) of the check's source.
        gated: the audience that may read the details, when this one may not.
    """

    claim: Claim
    text: str
    word: Word
    state: State
    reason: str
    measured: str = ""
    observed: datetime | None = None
    valid_until: datetime | None = None
    facts: Mapping[str, Fact] | None = None
    checked: str = ""
    expects: tuple[str, ...] = ()
    deviations: int = 0
    completeness: Completeness = field(default_factory=Completeness)
    kills: KillScore | None = None
    evidence: tuple[str, ...] = ()
    scope: str = ""
    source: str = ""
    gated: Audience | None = None

    @property
    def id(self) -> str:
        """The claim's id."""
        return self.claim.id


@dataclass(frozen=True, slots=True)
class CompiledPosture:
    """All claims at one moment, for one audience."""

    catalogue: Catalogue
    claims: tuple[CompiledClaim, ...]
    kills: KillMatrix
    as_of: datetime
    valid_until: datetime
    audience: Audience

    @property
    def kills_outdated(self) -> bool:
        """Whether the kill matrix tested other checks than those that judged."""
        return any(claim.kills is not None and claim.kills.outdated for claim in self.claims)


def compile_claims(
    catalogue: Catalogue,
    verdicts: Iterable[Verdict],
    kills: KillMatrix,
    *,
    as_of: datetime,
    audience: Audience = Audience.PUBLIC,
    checks: Mapping[str, Check] | None = None,
) -> CompiledPosture:
    """Compile every claim of the catalogue.

    Args:
        catalogue: the claims.
        verdicts: at most one for each check.
        kills: the latest kill matrix.
        as_of: the moment that the pages speak for; evidence that has expired by then shows nothing.
        audience: what it may not read is left out.
        checks: what the receipts say of each check; by default the checks of this version.

    Raises:
        UnsupportedClaim: naming the claim and the placeholder, word or contradiction.
    """
    known = load_checks() if checks is None else checks
    by_check = _present(_by_check(verdicts), known)
    claims = tuple(
        _with_check(_compile(claim, by_check.get(claim.check or ""), kills, as_of, audience), known)
        for claim in catalogue.claims
    )
    ends = [claim.valid_until for claim in claims if claim.valid_until and claim.valid_until > as_of]
    valid_until = min(ends, default=as_of + LONGEST_SILENCE)
    return CompiledPosture(catalogue, claims, kills, as_of, valid_until, audience)


def _with_check(compiled: CompiledClaim, checks: Mapping[str, Check]) -> CompiledClaim:
    check = checks.get(compiled.claim.check or "")
    if check is None:
        return compiled
    expects = tuple(
        f"{expect.kind.kind} over {expect.over}, at most {_hours(expect.every)} old"
        for expect in check.expects
    )
    return dataclasses.replace(compiled, checked=check.title, expects=expects)


def _hours(span: timedelta) -> str:
    return f"{int(span.total_seconds()) // 3600} hours"


def counts(claims: Sequence[CompiledClaim]) -> dict[Word, int]:
    """How many claims bear each word; words that none bears are left out."""
    found = [claim.word for claim in claims]
    return {word: found.count(word) for word in Word if word in found}


def _by_check(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    by_check: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.check in by_check:
            raise UnsupportedClaim(f"check {verdict.check} has two verdicts; compile the latest alone")
        by_check[verdict.check] = verdict
    return by_check


def _present(by_check: Mapping[str, Verdict], known: Mapping[str, Check]) -> Mapping[str, Verdict]:
    """The verdicts as they stand today: one of another check or scope than the present decides nothing.

    A failure stays one until the present check says otherwise, and without its waiver it is one again.
    """
    newest = max(by_check.values(), key=_spoken, default=None)
    scope = newest.scope if newest else ""
    return {
        name: verdict
        if verdict.state is State.FAILED or not (why := _past(verdict, known, scope))
        else dataclasses.replace(verdict, state=_without_it(verdict), reason=why)
        for name, verdict in by_check.items()
    }


def _spoken(verdict: Verdict) -> float:
    return verdict.as_of.timestamp() if verdict.as_of else 0.0


def _past(verdict: Verdict, known: Mapping[str, Check], scope: str) -> str:
    check = known.get(verdict.check)
    if check is None:
        return "The check that said so is no part of this version."
    if check.source != verdict.source:
        return "It was judged by another version of the check; it is to be judged again."
    if verdict.scope != scope:
        return "It was judged over another scope than the newest verdicts; it is to be judged again."
    return ""


def _compile(
    claim: Claim, verdict: Verdict | None, kills: KillMatrix, as_of: datetime, audience: Audience
) -> CompiledClaim:
    if claim.check is None:
        return _undecided(claim, as_of)
    score = kill_score(kills, verdict) if verdict else KillScore(aimed_at(kills, claim.check))
    if verdict is None:
        reason = f"No verdict of check {claim.check} was recorded."
        return CompiledClaim(claim, claim.not_shown, Word.NOT_SHOWN, State.UNKNOWN, reason, kills=score)
    compiled = _decided(claim, verdict, score, as_of)
    return compiled if _may_read(audience, claim.view) else _without_details(compiled)


def _undecided(claim: Claim, as_of: datetime) -> CompiledClaim:
    if claim.target is not None and claim.target < as_of.date():
        reason = f"The target date {claim.target.isoformat()} has passed."
        text = f"Overdue since {claim.target.isoformat()}. {claim.not_shown}"
        return CompiledClaim(claim, text, Word.OVERDUE, State.FAILED, reason)
    decides = "A person decides it" if claim.how is How.ATTESTED else "No check decides it in this version"
    reason = f"{decides}; it needs {claim.needs}."
    return CompiledClaim(claim, claim.not_shown, _WORD_OF_STATUS[claim.status], State.UNKNOWN, reason)


def _decided(claim: Claim, verdict: Verdict, score: KillScore, as_of: datetime) -> CompiledClaim:
    _refuse_contradiction(claim, verdict)
    state, reason = _state_at(verdict, as_of)
    return CompiledClaim(
        claim=claim,
        text=_wording(claim, verdict) if state is State.SATISFIED else claim.not_shown,
        word=_WORD_OF_STATE[state],
        state=state,
        reason=_masked(reason),
        measured=_measured(claim, verdict),
        observed=verdict.as_of,
        valid_until=verdict.valid_until,
        facts={
            name: _masked(fact) if isinstance(fact, str) else fact
            for name, fact in sorted(verdict.facts.items())
        },
        deviations=len(verdict.deviations),
        completeness=_masked_ledger(verdict.completeness),
        kills=score,
        evidence=verdict.evidence,
        scope=verdict.scope,
        source=verdict.source,
    )


def _state_at(verdict: Verdict, as_of: datetime) -> tuple[State, str]:
    if verdict.state is State.FAILED or verdict.valid_until is None or verdict.valid_until > as_of:
        return verdict.state, verdict.reason
    ended = "waiver or its evidence" if verdict.state is State.WAIVED else "evidence"
    return _without_it(verdict), f"The {ended} expired on {timestamp(verdict.valid_until)}."


def _without_it(verdict: Verdict) -> State:
    """The state of a verdict that speaks no more: unknown, but what was only waived has failed."""
    return State.FAILED if verdict.state is State.WAIVED else State.UNKNOWN


def _refuse_contradiction(claim: Claim, verdict: Verdict) -> None:
    if claim.id not in verdict.claims:
        raise UnsupportedClaim(
            f"{claim.id}: the catalogue names check {verdict.check}, whose verdict decides "
            f"{', '.join(verdict.claims) or 'no claim'}; make the two agree"
        )
    if verdict.state is State.SATISFIED and verdict.deviations:
        raise UnsupportedClaim(
            f"{claim.id}: check {verdict.check} is satisfied with {len(verdict.deviations)} deviations"
        )


def _wording(claim: Claim, verdict: Verdict) -> str:
    for word, equation in claim.proof.items():
        if not _holds(claim, equation, verdict):
            raise UnsupportedClaim(
                f"{claim.id}: {word!r} needs {equation}, and the verdict's facts are {_shown(verdict.facts)}"
            )
    return _filled(claim, claim.asserted, verdict)


def _holds(claim: Claim, equation: str, verdict: Verdict) -> bool:
    try:
        return holds(equation, verdict.facts)
    except KeyError as error:
        raise UnsupportedClaim(_no_fact(claim, str(error.args[0]), verdict)) from error


def _measured(claim: Claim, verdict: Verdict) -> str:
    """The facts in a sentence; an unknown verdict may lack some, and then nothing was measured."""
    lacking = set(placeholders(claim.measured)) - verdict.facts.keys()
    if not claim.measured or (lacking and verdict.state not in {State.SATISFIED, State.FAILED}):
        return ""
    return _filled(claim, claim.measured, verdict)


def _filled(claim: Claim, text: str, verdict: Verdict) -> str:
    for name in placeholders(text):
        if name not in verdict.facts:
            raise UnsupportedClaim(_no_fact(claim, name, verdict))
    return _masked(text.format_map(verdict.facts))


def _no_fact(claim: Claim, name: str, verdict: Verdict) -> str:
    return (
        f"{claim.id}: {{{name}}} is no fact of check {verdict.check}; its verdict has {_shown(verdict.facts)}"
    )


def _shown(facts: Mapping[str, Fact]) -> str:
    return ", ".join(f"{name} = {fact}" for name, fact in sorted(facts.items())) or "none"


def _without_details(compiled: CompiledClaim) -> CompiledClaim:
    """The public learns how a gated claim stands, and that bad news exists, without the details."""
    readers = "auditors" if compiled.claim.view is Audience.AUDITOR else "readers under an agreement"
    return CompiledClaim(
        claim=compiled.claim,
        text=compiled.text,
        word=compiled.word,
        state=compiled.state,
        reason=f"The details are for {readers}; the evidence pack holds them.",
        observed=compiled.observed,
        valid_until=compiled.valid_until,
        facts={},
        deviations=compiled.deviations,
        kills=compiled.kills,
        evidence=compiled.evidence,
        scope=compiled.scope,
        source=compiled.source,
        gated=compiled.claim.view,
    )


def _may_read(audience: Audience, view: Audience) -> bool:
    return _RANK.index(audience) >= _RANK.index(view)


def _masked(text: str) -> str:
    """AWS account ids are for auditors; unit names and reasons may carry them."""
    return _ACCOUNT.sub(_MASK, text)


def _masked_ledger(ledger: Completeness) -> Completeness:
    rows = {name: getattr(ledger, name) for name in Completeness.__dataclass_fields__}
    return Completeness(**{name: tuple(map(_masked, items)) for name, items in rows.items()})
