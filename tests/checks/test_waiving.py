"""A waiver covers what it names, for as long as it and its compensating control live, and nothing else."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from checks.judgement import DOUBT
from checks.verdicts import Bench
from checks.waiving import Standing, standing
from controls.verdict import State
from evidence.kinds.ingress import TlsVersions
from evidence.kinds.postgres import AttemptResult, Isolation, RowSecurity
from evidence.kinds.waiver import Waiver
from evidence.record import Outcome
from evidence.view import evidence_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from controls.verdict import Verdict

USER, SPEND = "identity.app_user", "ai.ai_spend_event"


@pytest.fixture
def waiver(world: Any) -> Waiver:
    ends = world.as_of + timedelta(days=30)
    return Waiver("W-1", "RLS-01", (USER,), "platform team", "moved next wave", "CRY-01", ends)


@pytest.fixture
def broken(with_table: Callable[..., Any]) -> Any:
    return with_table(USER, forced=False)


def bench(world: Any, changes: Any, *waivers: Waiver, as_of: Any = None) -> Bench:
    moment = as_of or world.as_of
    seen = evidence_of(world.log(changes, *waivers), 1000, moment)
    return Bench(seen, world.scope, entries=1000, as_of=moment)


def rls01(world: Any, changes: Any, *waivers: Waiver, as_of: Any = None) -> Verdict:
    verdict = bench(world, changes, *waivers, as_of=as_of).verdict("RLS-01")
    assert verdict is not None
    return verdict


def test_a_named_deviation_is_waived_and_everything_about_it_is_said(
    world: Any, broken: Any, waiver: Waiver
) -> None:
    own, verdict = rls01(world, broken), rls01(world, broken, waiver)
    assert (own.state, verdict.state) == (State.FAILED, State.WAIVED)
    assert verdict.deviations == own.deviations
    assert verdict.reason == (
        f"{own.reason} Waived: waiver W-1 of platform team until 2026-12-23, compensated by CRY-01."
    )
    assert {name: verdict.facts[name] for name in ("waivers", "waiver_owners", "waived_until")} == {
        "waivers": "W-1",
        "waiver_owners": "platform team",
        "waived_until": "2026-12-23",
    }
    assert verdict.entries == 1000


def test_a_waived_verdict_rests_on_the_waiver_and_on_what_compensates(
    world: Any, broken: Any, waiver: Waiver
) -> None:
    on = bench(world, broken, waiver)
    verdict, own, other = on.verdict("RLS-01"), on.own("RLS-01"), on.own("CRY-01")
    assert verdict
    assert own
    assert other
    assert set(verdict.evidence) == {*own.evidence, *other.evidence, on.grants[0].digest}
    assert verdict.valid_until == min(waiver.expires, *filter(None, (own.valid_until, other.valid_until)))


def test_a_waiver_that_ends_first_ends_the_verdict(world: Any, broken: Any, waiver: Waiver) -> None:
    soon = dataclasses.replace(waiver, expires=world.as_of + timedelta(minutes=1))
    assert rls01(world, broken, soon).valid_until == soon.expires


NAMES = {
    "the place": ((USER,), State.WAIVED),
    "the whole line": (
        (f"databases:one: row security is not forced, so the owner is exempt: {USER}",),
        State.WAIVED,
    ),
    "more than deviates": ((SPEND, USER), State.WAIVED),
    "another place": ((SPEND,), State.FAILED),
    "a part of the place": (("identity",), State.FAILED),
    "the subject that every deviation begins with": (("databases:one",), State.FAILED),
    "nothing": ((), State.FAILED),
}


@pytest.mark.parametrize(("names", "state"), NAMES.values(), ids=NAMES)
def test_a_deviation_is_named_to_the_letter(
    world: Any, broken: Any, waiver: Waiver, names: Any, state: State
) -> None:
    assert rls01(world, broken, dataclasses.replace(waiver, deviations=names)).state is state


def test_one_deviation_that_nobody_waived_keeps_it_failed(world: Any, waiver: Waiver) -> None:
    def change(seen: RowSecurity) -> RowSecurity:
        tables = tuple(
            dataclasses.replace(table, forced=table.name not in (USER, SPEND)) for table in seen.tables
        )
        return dataclasses.replace(seen, tables=tables)

    both = {RowSecurity: change}
    second = dataclasses.replace(waiver, id="W-2", deviations=(SPEND,), owner="data team")
    assert rls01(world, both, waiver).state is State.FAILED
    assert rls01(world, both, second).state is State.FAILED
    together = rls01(world, both, waiver, second)
    assert together.state is State.WAIVED
    assert (together.facts["waivers"], together.facts["waiver_owners"]) == (
        "W-1, W-2",
        "platform team, data team",
    )


def test_it_dies_at_the_first_moment_of_its_last_day(world: Any, broken: Any, waiver: Waiver) -> None:
    at = world.as_of + timedelta(hours=1)
    ending = dataclasses.replace(waiver, expires=at)
    assert rls01(world, broken, ending, as_of=at - timedelta(milliseconds=1)).state is State.WAIVED
    assert rls01(world, broken, ending, as_of=at).state is State.FAILED


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: dataclasses.replace(seen, accepted=("TLSv1.3", "TLSv1.0")),
        lambda _seen: Outcome.DENIED,
        lambda _seen: None,
    ],
    ids=["failed", "refused", "missing"],
)
def test_it_dies_with_the_control_that_makes_up_for_it(
    world: Any, broken: Any, waiver: Waiver, change: Any
) -> None:
    on = bench(world, {**broken, TlsVersions: change}, waiver)
    verdict, other = on.verdict("RLS-01"), on.own("CRY-01")
    assert verdict
    assert other
    assert verdict.state is State.FAILED
    how, why = standing(on.grants[0], on.own, world.as_of)
    assert how is Standing.DEAD
    assert why.startswith("compensating control CRY-01 ")
    assert why.split()[-1] == other.state.value


def test_a_control_that_is_itself_waived_makes_up_for_nothing(
    world: Any, broken: Any, waiver: Waiver, with_attempt: Callable[..., Any]
) -> None:
    changes = {**broken, **with_attempt("replay", did="accept")}
    on_ingress = dataclasses.replace(waiver, compensating="ING-04")
    other = dataclasses.replace(waiver, id="W-2", check="ING-04", deviations=("replay",))
    on = bench(world, changes, on_ingress, other)
    verdict, ingress = on.verdict("RLS-01"), on.verdict("ING-04")
    assert verdict
    assert ingress
    assert ingress.state is State.WAIVED
    assert verdict.state is State.FAILED


def test_two_failed_controls_cannot_make_up_for_each_other(
    world: Any, broken: Any, waiver: Waiver, with_attempt: Callable[..., Any]
) -> None:
    changes = {**broken, **with_attempt("replay", did="accept")}
    there = dataclasses.replace(waiver, compensating="ING-04")
    back = dataclasses.replace(
        waiver, id="W-2", check="ING-04", deviations=("replay",), compensating="RLS-01"
    )
    on = bench(world, changes, there, back)
    for check in ("RLS-01", "ING-04"):
        verdict = on.verdict(check)
        assert verdict
        assert verdict.state is State.FAILED


def test_unknown_stays_unknown(world: Any, waiver: Waiver) -> None:
    for outcome in (Outcome.DENIED, None):
        assert rls01(world, {RowSecurity: lambda _seen, out=outcome: out}, waiver).state is State.UNKNOWN


def test_a_failure_over_incomplete_evidence_is_not_waived(world: Any, broken: Any, waiver: Waiver) -> None:
    """Without its deviations it would be unknown, and a waiver never touches that."""
    second = dataclasses.replace(
        world.scope.over("databases")[0], id="databases/two", subject="databases:two"
    )
    scope = dataclasses.replace(world.scope, units=(*world.scope.units, second))
    seen = evidence_of(world.log(broken, waiver), 1000, world.as_of)
    verdict = Bench(seen, scope, entries=1000, as_of=world.as_of).verdict("RLS-01")
    assert verdict
    assert verdict.completeness.missing
    assert verdict.state is State.FAILED


def test_a_failure_beside_a_doubt_is_not_waived(world: Any, waiver: Waiver) -> None:
    def change(seen: Isolation) -> Isolation:
        first, second, *others = seen.attempts
        leaked = dataclasses.replace(first, result=AttemptResult.LEAKED, foreign_rows=1, probe="select")
        unclear = dataclasses.replace(second, result=AttemptResult.INCONCLUSIVE)
        attempts = (leaked, unclear, *others) if doubt else (leaked, second, *others)
        return dataclasses.replace(seen, attempts=attempts, leaked=1, inconclusive=int(doubt))

    for doubt in (False, True):
        own = bench(world, {Isolation: change}).verdict("RLS-07")
        assert own
        places = tuple(deviation.where for deviation in own.deviations)
        named = dataclasses.replace(waiver, check="RLS-07", deviations=places)
        verdict = bench(world, {Isolation: change}, named).verdict("RLS-07")
        assert verdict
        assert own.state is State.FAILED
        assert (DOUBT in own.facts) is doubt
        assert verdict.state is (State.FAILED if doubt else State.WAIVED)


def test_the_log_cannot_grant_what_the_register_may_not(world: Any, broken: Any, waiver: Waiver) -> None:
    for changes in (
        {"expires": world.as_of + timedelta(days=400)},
        {"compensating": "RLS-01"},
        {"compensating": "XXX-01"},
        {"withdrawn": True},
        {"check": "RLS-07"},
    ):
        assert rls01(world, broken, dataclasses.replace(waiver, **changes)).state is State.FAILED
