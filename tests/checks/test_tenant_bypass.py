"""The bypass and its list: what is off the list, out of date or allowed by nobody is named."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from checks.check import SABOTAGES
from checks.known_bad import KNOWN_BAD
from controls.verdict import State
from evidence.kinds.source import AllowedFinding, BypassSite, LintFinding, LintReport, SourceBypass
from evidence.record import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

SITE = BypassSite("nightly", "app/sweep.py", "sweep", "cron", "all-tenants", "platform", "2027-11-30")
FINDING = LintFinding("BYP006", "error", "app/by_hand.py", 8, "", "SET ROLE in as_owner")
ALLOWED = AllowedFinding("app/audit.py", 3, ("BYP006",), "2026-11-23", "platform")


def places(verdict: Any) -> set[str]:
    return {deviation.where for deviation in verdict.deviations}


def with_first_use(**fields: Any) -> dict[type, Any]:
    def changed(seen: SourceBypass) -> SourceBypass:
        first, *rest = seen.uses
        return dataclasses.replace(seen, uses=(dataclasses.replace(first, **fields), *rest))

    return {SourceBypass: changed}


@pytest.mark.parametrize(
    ("allowed", "state"),
    [
        (ALLOWED, State.SATISFIED),
        (dataclasses.replace(ALLOWED, owner=""), State.FAILED),
        (dataclasses.replace(ALLOWED, until="2026-11-22"), State.FAILED),
        (dataclasses.replace(ALLOWED, until=""), State.FAILED),
    ],
)
def test_what_is_allowed_in_place_has_an_owner_and_an_end_to_come(
    world: Any, with_fields: Callable[..., Any], allowed: AllowedFinding, state: State
) -> None:
    verdict = world.judge("RLS-04", with_fields(SourceBypass, allowed_findings=(allowed,)))
    assert verdict.state is state
    assert places(verdict) == ({"app/audit.py:3"} if state is State.FAILED else set())


@pytest.mark.parametrize(("severity", "state"), [("warning", State.FAILED), ("info", State.SATISFIED)])
def test_a_suppression_that_is_not_heard_fails_and_one_that_is_not_needed_does_not(
    world: Any, with_fields: Callable[..., Any], severity: str, state: State
) -> None:
    finding = dataclasses.replace(FINDING, rule="SUP001", severity=severity)
    assert world.judge("RLS-04", with_fields(LintReport, findings=(finding,))).state is state


@pytest.mark.parametrize(
    ("ceiling", "state"), [(None, State.SATISFIED), (2, State.SATISFIED), (1, State.FAILED)]
)
def test_the_ceiling_holds_the_number_of_sites(
    world: Any, with_fields: Callable[..., Any], ceiling: int | None, state: State
) -> None:
    verdict = world.judge("RLS-04", with_fields(SourceBypass, ceiling=ceiling))
    assert verdict.state is state
    assert verdict.facts["bypass_sites"] == 2


def test_a_call_at_no_registered_site_is_named(world: Any) -> None:
    verdict = world.judge("RLS-08", with_first_use(site="", site_kind=""))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"app/sweep.py:5"}
    assert (verdict.facts["registered"], verdict.facts["call_sites"]) == (1, 2)


@pytest.mark.parametrize(
    ("expires", "state"),
    [
        ("2026-11-23", State.SATISFIED),
        ("2026-11-22", State.FAILED),
        ("", State.FAILED),
    ],
)
def test_a_site_past_its_last_day_is_named(
    world: Any, with_fields: Callable[..., Any], expires: str, state: State
) -> None:
    site = dataclasses.replace(SITE, expires=expires)
    verdict = world.judge("RLS-08", with_fields(SourceBypass, sites=(site,)))
    assert verdict.state is state
    assert places(verdict) == ({"nightly"} if state is State.FAILED else set())


@pytest.mark.parametrize(
    ("rule", "severity", "state"),
    [
        ("BYP006", "error", State.FAILED),
        ("BYP001", "error", State.FAILED),
        ("BYP004", "warning", State.FAILED),
        ("BYP004", "info", State.SATISFIED),
        ("WRAP001", "error", State.SATISFIED),
    ],
)
def test_findings_over_the_closed_list_fail_it_and_no_others(
    world: Any, with_fields: Callable[..., Any], rule: str, severity: str, state: State
) -> None:
    finding = dataclasses.replace(FINDING, rule=rule, severity=severity)
    verdict = world.judge("RLS-08", with_fields(LintReport, findings=(finding,)))
    assert verdict.state is state
    assert places(verdict) == ({"app/by_hand.py:8"} if state is State.FAILED else set())


def test_one_call_is_told_once_when_the_lint_tells_it_too(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    finding = dataclasses.replace(FINDING, rule="BYP001", path="app/sweep.py", line=5)
    changes = {**with_first_use(site=""), **with_fields(LintReport, findings=(finding,))}
    assert len(world.judge("RLS-08", changes).deviations) == 1


@pytest.mark.parametrize("kind", [LintReport, SourceBypass])
def test_the_catalog_alone_does_not_show_that_the_list_is_closed(world: Any, kind: Any) -> None:
    assert world.judge("RLS-08", {kind: lambda _seen: None}).state is State.UNKNOWN
    assert world.judge("RLS-08", {kind: lambda _seen: Outcome.UNREACHABLE}).state is State.UNKNOWN


def test_a_source_without_a_call_of_the_bypass_shows_nothing(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    assert world.judge("RLS-08", with_fields(SourceBypass, uses=())).state is State.UNKNOWN


def test_ten_known_bad_snippets_are_seeded_and_every_one_must_be_named() -> None:
    (seeding,) = (one for one in SABOTAGES if one.what == "ten known-bad snippets seeded")
    assert seeding.names == tuple(KNOWN_BAD)
    assert len(set(KNOWN_BAD.values())) == len(KNOWN_BAD) == 10
