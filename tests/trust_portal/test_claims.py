"""The verdict chooses the words: nothing is asserted that evidence does not carry at that moment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.check import load_checks
from controls.claims import Area, Catalogue, Claim, How, Status, load_catalogue
from controls.verdict import Completeness, Deviation, State, Verdict
from controls.wording import placeholders
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.payload import Audience
from trust_portal.claims import CompiledClaim, CompiledPosture, Word, compile_claims
from trust_portal.errors import UnsupportedClaim

AS_OF = datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)
CATALOGUE = load_catalogue()
NO_KILLS = KillMatrix(0, 0, ())
CHECK = dataclasses.replace(load_checks()["RLS-05"], id="RLS-16", source="5e" * 32)
CHECKS = {"RLS-16": CHECK}
CLAIM = Claim(
    id="RLS-16",
    area="tenant_isolation",
    quote="All tenant data",
    status=Status.IN_FLIGHT,
    how=How.AUTO,
    criteria=("CC6.1",),
    view=Audience.PUBLIC,
    freshness=timedelta(days=1),
    asserted="All {tables} tables are enforced.",
    not_shown="Row security does not yet cover the tables.",
    measured="{enforced} of {tables} tables are enforced.",
    proof={"all": "enforced = tables"},
    check="RLS-16",
)
WHOLE: Mapping[str, int | str] = {"enforced": 50, "tables": 50, "deviations": 0}


def verdict(state: State, facts: Mapping[str, int | str] = WHOLE, **changes: object) -> Verdict:
    made = Verdict(
        check="RLS-16",
        claims=("RLS-16",),
        state=state,
        reason="So it is.",
        facts=facts,
        deviations=(),
        source=CHECK.source,
        as_of=AS_OF,
        valid_until=AS_OF + timedelta(days=1),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type] - fields named by the test


def posture(
    claim: Claim, *verdicts: Verdict, kills: KillMatrix = NO_KILLS, audience: Audience = Audience.PUBLIC
) -> CompiledPosture:
    area = Area("tenant_isolation", "Tenant isolation", "", (claim,))
    catalogue = Catalogue((area,), {"CC6.1": "Access"})
    return compile_claims(catalogue, verdicts, kills, as_of=AS_OF, audience=audience, checks=CHECKS)


def compiled(claim: Claim, *verdicts: Verdict, audience: Audience = Audience.PUBLIC) -> CompiledClaim:
    return posture(claim, *verdicts, audience=audience).claims[0]


def test_a_satisfied_verdict_alone_renders_the_asserted_words() -> None:
    assert compiled(CLAIM, verdict(State.SATISFIED)).text == "All 50 tables are enforced."
    for state in set(State) - {State.SATISFIED}:
        assert compiled(CLAIM, verdict(state)).text == CLAIM.not_shown


def test_all_over_21_of_50_stops_the_build() -> None:
    partial = verdict(State.SATISFIED, {"enforced": 21, "tables": 50, "deviations": 0})
    with pytest.raises(UnsupportedClaim, match=r"RLS-16: 'all' needs enforced = tables.*enforced = 21"):
        compiled(CLAIM, partial)


def test_all_over_nothing_stops_the_build() -> None:
    empty = verdict(State.SATISFIED, {"enforced": 0, "tables": 0, "deviations": 0})
    with pytest.raises(UnsupportedClaim, match="'all' needs"):
        compiled(CLAIM, empty)


@pytest.mark.parametrize("state", [State.SATISFIED, State.FAILED])
def test_a_fact_that_the_verdict_lacks_is_named_with_its_claim(state: State) -> None:
    with pytest.raises(UnsupportedClaim, match=r"RLS-16: \{tables\} is no fact of check RLS-16"):
        compiled(CLAIM, verdict(state, {"enforced": 50}))


def test_an_unknown_verdict_without_facts_is_published_without_numbers() -> None:
    claim = compiled(CLAIM, verdict(State.UNKNOWN, {}))
    assert (claim.word, claim.measured, claim.text) == (Word.NOT_SHOWN, "", CLAIM.not_shown)


def test_a_failed_verdict_shows_its_numbers_at_once() -> None:
    failed = verdict(State.FAILED, {"enforced": 21, "tables": 50, "deviations": 29})
    claim = compiled(CLAIM, failed)
    assert (claim.word, claim.measured) == (Word.FAILED, "21 of 50 tables are enforced.")


def test_expired_evidence_shows_nothing() -> None:
    claim = compiled(CLAIM, verdict(State.SATISFIED, valid_until=AS_OF))
    assert (claim.word, claim.state) == (Word.NOT_SHOWN, State.UNKNOWN)
    assert "expired on 2026-11-23" in claim.reason


def test_a_failure_does_not_expire_into_something_milder() -> None:
    assert compiled(CLAIM, verdict(State.FAILED, valid_until=AS_OF)).word is Word.FAILED


def test_a_check_without_a_verdict_is_not_shown() -> None:
    claim = compiled(CLAIM)
    assert (claim.word, claim.reason) == (Word.NOT_SHOWN, "No verdict of check RLS-16 was recorded.")


def test_a_satisfied_verdict_with_deviations_is_a_contradiction() -> None:
    with pytest.raises(UnsupportedClaim, match="satisfied with 1 deviations"):
        compiled(CLAIM, verdict(State.SATISFIED, deviations=(Deviation("off", "t"),)))


def test_two_verdicts_of_one_check_are_refused() -> None:
    with pytest.raises(UnsupportedClaim, match="two verdicts"):
        compiled(CLAIM, verdict(State.SATISFIED), verdict(State.FAILED))


def test_a_verdict_that_does_not_decide_the_claim_is_refused() -> None:
    with pytest.raises(UnsupportedClaim, match="whose verdict decides RLS-99"):
        compiled(CLAIM, verdict(State.SATISFIED, claims=("RLS-99",)))


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.IN_PLACE, Word.NOT_SHOWN),
        (Status.IN_FLIGHT, Word.IN_FLIGHT),
        (Status.ROADMAP, Word.ROADMAP),
        (Status.POLICY, Word.POLICY),
    ],
)
def test_a_claim_that_no_check_decides_says_what_it_needs(status: Status, word: Word) -> None:
    claim = compiled(dataclasses.replace(CLAIM, check=None, needs="a probe", status=status))
    assert (claim.word, claim.text, claim.state) == (word, CLAIM.not_shown, State.UNKNOWN)
    assert claim.reason.endswith("it needs a probe.")


def test_a_target_date_in_the_past_is_overdue_and_failed() -> None:
    late = dataclasses.replace(CLAIM, check=None, needs="a report", target=date(2026, 9, 30))
    claim = compiled(late)
    assert (claim.word, claim.state) == (Word.OVERDUE, State.FAILED)
    assert claim.text.startswith("Overdue since 2026-09-30.")
    assert compiled(dataclasses.replace(late, target=date(2026, 11, 23))).word is Word.IN_FLIGHT


def test_the_kill_score_stands_beside_the_verdict_and_silence_is_hollow() -> None:
    rows = (
        SabotageResult("RLS-16", "a", "failed", True, ()),
        SabotageResult("RLS-16", "b", "satisfied", False, ()),
        SabotageResult("RLS-01", "c", "failed", True, ()),
    )
    judged = posture(CLAIM, verdict(State.SATISFIED), kills=KillMatrix(3, 2, rows, CHECK.source)).claims[0]
    assert judged.kills is not None
    assert (str(judged.kills), judged.kills.hollow) == ("1 of 2 sabotages caught", False)
    untested = compiled(CLAIM, verdict(State.SATISFIED)).kills
    assert untested is not None
    assert untested.hollow


def test_a_kill_matrix_of_other_source_is_marked_and_leaves_the_check_hollow() -> None:
    rows = (SabotageResult("RLS-16", "a", "failed", True, ()),)
    old = posture(CLAIM, verdict(State.SATISFIED), kills=KillMatrix(1, 1, rows, "0d" * 32))
    assert old.kills_outdated
    assert old.claims[0].kills is not None
    assert old.claims[0].kills.hollow
    assert str(old.claims[0].kills) == "1 of 1 sabotages caught by another version of the check"
    assert not posture(CLAIM, verdict(State.SATISFIED)).kills_outdated


def test_a_verdict_of_another_version_of_its_check_is_not_shown() -> None:
    claim = compiled(CLAIM, verdict(State.SATISFIED, source="0d" * 32))
    assert (claim.word, claim.text) == (Word.NOT_SHOWN, CLAIM.not_shown)
    assert "another version" in claim.reason
    assert compiled(CLAIM, verdict(State.FAILED, source="0d" * 32)).word is Word.FAILED


def test_a_verdict_of_a_check_that_is_gone_is_not_shown() -> None:
    area = Area("tenant_isolation", "Tenant isolation", "", (CLAIM,))
    catalogue = Catalogue((area,), {"CC6.1": "Access"})
    gone = compile_claims(catalogue, [verdict(State.SATISFIED)], NO_KILLS, as_of=AS_OF, checks={})
    assert (gone.claims[0].word, gone.claims[0].state) == (Word.NOT_SHOWN, State.UNKNOWN)


def test_a_verdict_over_an_earlier_scope_is_not_shown_beside_newer_ones() -> None:
    newer = verdict(State.UNKNOWN, check="RLS-01", claims=("RLS-01",), scope="bb" * 32)
    old = verdict(State.SATISFIED, scope="aa" * 32, as_of=AS_OF - timedelta(hours=3))
    claim = posture(CLAIM, newer, old).claims[0]
    assert (claim.word, claim.text) == (Word.NOT_SHOWN, CLAIM.not_shown)
    assert "another scope" in claim.reason


def test_what_was_only_waived_has_failed_once_the_waiver_speaks_no_more() -> None:
    waived = verdict(State.WAIVED, {"enforced": 49, "tables": 50, "deviations": 1})
    assert compiled(CLAIM, waived).word is Word.WAIVED
    ended = compiled(CLAIM, dataclasses.replace(waived, valid_until=AS_OF))
    assert (ended.word, ended.state, ended.text) == (Word.FAILED, State.FAILED, CLAIM.not_shown)
    assert ended.reason == "The waiver or its evidence expired on 2026-11-23T15:04:05.000Z."
    assert compiled(CLAIM, dataclasses.replace(waived, source="0" * 64)).word is Word.FAILED


def test_the_posture_is_valid_until_the_first_evidence_expires() -> None:
    assert posture(CLAIM, verdict(State.SATISFIED)).valid_until == AS_OF + timedelta(days=1)
    expired = verdict(State.SATISFIED, valid_until=AS_OF - timedelta(hours=1))
    assert posture(CLAIM, expired).valid_until == AS_OF + timedelta(days=1)


def test_gated_details_are_gone_before_anything_is_rendered() -> None:
    gated = dataclasses.replace(
        CLAIM, view=Audience.AUDITOR, asserted="It is so.", proof={}, measured="{enforced} of {tables}."
    )
    ledger = Completeness(("kind over secret/unit",), ("kind over secret/unit",))
    judged = verdict(State.FAILED, completeness=ledger, deviations=(Deviation("what", "where"),))
    public = compiled(gated, judged)
    assert (public.word, public.deviations, public.gated) == (Word.FAILED, 1, Audience.AUDITOR)
    assert (public.facts, public.measured, public.completeness) == ({}, "", Completeness())
    auditor = compiled(gated, judged, audience=Audience.AUDITOR)
    assert (auditor.gated, auditor.completeness, auditor.measured) == (None, ledger, "50 of 50.")


def test_account_ids_are_masked_wherever_words_may_carry_them() -> None:
    item = "aws.rds.instances/v1 over aws.rds/111122223333/us-east-1: denied (AccessDenied)"
    judged = verdict(
        State.UNKNOWN,
        {**WHOLE, "accounts": "111122223333, 444455556666"},
        reason="Account 111122223333 refused.",
        completeness=Completeness((item,), refused=(item,)),
    )
    claim = compiled(CLAIM, judged)
    assert "111122223333" not in json.dumps(dataclasses.asdict(claim), default=str)
    assert claim.reason == "Account (account) refused."


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(list(State)), min_size=1, max_size=30), st.booleans())
def test_no_claim_of_the_catalogue_is_asserted_without_a_fresh_satisfied_verdict(
    states: list[State], expired: bool
) -> None:
    catalogue = CATALOGUE
    judged = [claim for claim in catalogue.claims if claim.check == claim.id]
    verdicts = []
    for n, claim in enumerate(judged):
        state = states[n % len(states)]
        decides = tuple(other.id for other in catalogue.claims if other.check == claim.id)
        facts = dict.fromkeys(_fact_names(catalogue, claim.id), 0)
        verdicts.append(
            Verdict(
                claim.id,
                decides,
                State.UNKNOWN if state is State.SATISFIED and not expired else state,
                "r",
                facts,
                (),
                as_of=AS_OF,
                valid_until=AS_OF if expired else AS_OF + timedelta(1),
            )
        )
    for claim in compile_claims(catalogue, verdicts, NO_KILLS, as_of=AS_OF).claims:
        assert claim.text == claim.claim.not_shown
        assert claim.word is not Word.VERIFIED


def _fact_names(catalogue: Catalogue, check: str) -> set[str]:
    claims = [claim for claim in catalogue.claims if claim.check == check]
    return {name for claim in claims for name in placeholders(claim.asserted + claim.measured)}
