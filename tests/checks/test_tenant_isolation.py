"""Tenant isolation: each way in which a catalog, a probe or the source breaks the promise is named."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from controls.verdict import State
from evidence.kinds.postgres import (
    Attempt,
    AttemptResult,
    DefinerRoutine,
    Isolation,
    LoginRole,
    Policy,
    RowSecurity,
    Table,
    View,
)
from evidence.kinds.source import LintFinding, LintReport

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "identity.app_user"
BOUND = "(tenant_id = ( SELECT app.current_tenant() AS current_tenant))"
OWN = Policy("tenant_isolation", True, "ALL", ("core_app",), BOUND, BOUND)
SCRATCH = Table("app.scratch", "unclassified", "postgres", None, False, False, False, ())


def places(verdict: Any) -> set[str]:
    return {deviation.where for deviation in verdict.deviations}


@pytest.mark.parametrize(
    "fields",
    [
        {"enabled": False},
        {"forced": False},
        {"policies": ()},
        {"policies": (dataclasses.replace(OWN, permissive=False),)},
        {"policies": (dataclasses.replace(OWN, roles=("core_audit",)),)},
        {"policies": (dataclasses.replace(OWN, using="true", check="true"),)},
        {"policies": (dataclasses.replace(OWN, check="true"),)},
        {"policies": (dataclasses.replace(OWN, using=None),)},
        {"policies": (OWN, Policy("wide", True, "SELECT", ("public",), "true", None))},
        {"policies": (OWN, Policy("wide", True, "INSERT", ("core_app",), None, "(1 = 1)"))},
        {"policies": (OWN, Policy("flag", True, "ALL", ("core_bypass",), "(1 = 1)", None))},
        {"policies": (OWN, Policy("guess", True, "UPDATE", ("core_app",), BOUND, "true"))},
        {"policies": (OWN, Policy("odd", True, "MERGE", ("core_app",), BOUND, BOUND))},
        {"tenant_column": "owner_id"},
    ],
)
def test_an_unprotected_table_is_named(world: Any, with_table: Callable[..., Any], fields: Any) -> None:
    verdict = world.judge("RLS-01", with_table(USER, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {USER}
    assert verdict.facts["tables"] == 3
    assert verdict.facts["enforced"] == 2


@pytest.mark.parametrize(
    "policies",
    [
        (dataclasses.replace(OWN, check=None),),
        (dataclasses.replace(OWN, roles=("public",)),),
        (OWN, Policy("narrow", False, "ALL", ("public",), "(kind = 'a'::text)", None)),
        (
            Policy("r", True, "SELECT", ("core_app",), BOUND, None),
            Policy("w", True, "INSERT", ("core_app",), None, BOUND),
        ),
    ],
)
def test_a_bound_table_is_not_accused(
    world: Any, with_table: Callable[..., Any], policies: tuple[Policy, ...]
) -> None:
    assert world.judge("RLS-01", with_table(USER, policies=policies)).state is State.SATISFIED


def test_a_bypass_policy_for_the_application_is_no_bypass(world: Any, with_table: Callable[..., Any]) -> None:
    scope = "(( SELECT app.bypass_scope() AS bypass_scope) = '*'::text)"
    wide = Policy("bypass_grant", True, "ALL", ("core_bypass", "core_app"), scope, scope)
    assert places(world.judge("RLS-01", with_table(USER, policies=(OWN, wide)))) == {USER}


def test_a_table_that_nobody_classified_counts_when_it_names_a_tenant(
    world: Any, with_table: Callable[..., Any]
) -> None:
    changes = with_table(USER, classification="unclassified", enabled=False)
    assert places(world.judge("RLS-01", changes)) == {USER}


def test_a_catalog_without_tenant_tables_shows_nothing(world: Any, with_fields: Callable[..., Any]) -> None:
    for check in ("RLS-01", "RLS-02", "RLS-05", "RLS-08"):
        assert world.judge(check, with_fields(RowSecurity, tables=(SCRATCH,))).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"tables": ("a.b", USER, "ai.ai_spend_event", "integration.connection_secret")}, {"a.b"}),
        ({"tables": (USER, "ai.ai_spend_event")}, {"integration.connection_secret"}),
        ({"tenant_tables": 4}, {"tables"}),
        ({"enforced": 2}, {"enforced"}),
        ({"tenant_tables": 0, "enforced": 0, "tables": ()}, {"tables", "enforced", USER}),
    ],
)
def test_counts_that_differ_are_named(
    world: Any, with_fields: Callable[..., Any], fields: Any, where: set[str]
) -> None:
    verdict = world.judge("RLS-02", with_fields(LintReport, **fields))
    assert verdict.state is State.FAILED
    assert where <= places(verdict)


def test_counts_that_agree_on_less_than_all_are_published_as_they_are(
    world: Any, with_table: Callable[..., Any], with_fields: Callable[..., Any]
) -> None:
    verdict = world.judge("RLS-02", {**with_table(USER, forced=False), **with_fields(LintReport, enforced=2)})
    assert verdict.state is State.SATISFIED
    assert (verdict.facts["enforced"], verdict.facts["tables"]) == (2, 3)


def test_what_the_lint_finds_is_named_by_its_line_and_information_is_none(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    finding = LintFinding("BYP001", "error", "core_platform/sweeps.py", 9, "", "unregistered site")
    warning = dataclasses.replace(finding, severity="warning", line=10)
    info = dataclasses.replace(finding, severity="info", line=11)
    verdict = world.judge("RLS-04", with_fields(LintReport, findings=(finding, warning, info)))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"core_platform/sweeps.py:9", "core_platform/sweeps.py:10"}


@pytest.mark.parametrize("fields", [{"files": 0}, {"statements": 0}, {"not_analysed": 1}])
def test_a_lint_that_could_not_read_shows_nothing(
    world: Any, with_fields: Callable[..., Any], fields: Any
) -> None:
    assert world.judge("RLS-04", with_fields(LintReport, **fields)).state is State.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [
        {"classification": "unclassified"},
        {"classification": "global"},
        {"classification": "whatever"},
        {"tenant_column": None},
        {"tenant_column": "owner_id"},
        {"tenant_column_nullable": True},
        {"forced": False},
    ],
)
def test_a_table_that_is_not_accounted_for_is_named(
    world: Any, with_table: Callable[..., Any], fields: Any
) -> None:
    verdict = world.judge("RLS-05", with_table(USER, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {USER}
    assert verdict.claims == ("RLS-05", "RLS-16")


def test_a_table_without_classification_fails_even_without_tenants(world: Any) -> None:
    add = {RowSecurity: lambda seen: dataclasses.replace(seen, tables=(*seen.tables, SCRATCH))}
    assert places(world.judge("RLS-05", add)) == {"app.scratch"}


def with_isolation(change: Callable[[Attempt], Attempt | None]) -> Any:
    def changed(seen: Isolation) -> Isolation:
        made = tuple(one for one in map(change, seen.attempts) if one is not None)
        counts = {
            "attempted": len(made),
            "held": sum(one.result is AttemptResult.HELD for one in made),
            "leaked": sum(one.result is AttemptResult.LEAKED for one in made),
            "inconclusive": sum(one.result is AttemptResult.INCONCLUSIVE for one in made),
        }
        return dataclasses.replace(seen, attempts=made, **counts)

    return {Isolation: changed}


def on(table: str, probe: str, **fields: Any) -> Any:
    def change(one: Attempt) -> Attempt:
        return dataclasses.replace(one, **fields) if (one.table, one.probe) == (table, probe) else one

    return with_isolation(change)


@pytest.mark.parametrize("probe", ["select", "insert", "update", "delete", "unset_tenant"])
def test_a_leak_is_named_by_its_table(world: Any, probe: str) -> None:
    verdict = world.judge("RLS-07", on(USER, probe, result=AttemptResult.LEAKED, foreign_rows=3))
    assert verdict.state is State.FAILED
    assert places(verdict) == {USER}
    assert verdict.facts["leaked"] == 1


def test_foreign_rows_are_a_leak_whatever_the_probe_called_it(world: Any) -> None:
    assert world.judge("RLS-07", on(USER, "select", foreign_rows=1)).state is State.FAILED


def test_a_leak_that_was_counted_and_not_listed_is_a_leak(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    assert places(world.judge("RLS-07", with_fields(Isolation, leaked=1))) == {"attempts"}


@pytest.mark.parametrize("probe", ["select", "delete", "own_rows"])
def test_an_inconclusive_attempt_proves_nothing(world: Any, probe: str) -> None:
    verdict = world.judge("RLS-07", on(USER, probe, result=AttemptResult.INCONCLUSIVE))
    assert verdict.state is State.UNKNOWN
    assert verdict.facts["leaked"] == 0


def test_a_leak_outweighs_inconclusive_attempts(world: Any) -> None:
    def change(one: Attempt) -> Attempt:
        result = AttemptResult.LEAKED if one.table == USER else AttemptResult.INCONCLUSIVE
        return dataclasses.replace(one, result=result)

    assert world.judge("RLS-07", with_isolation(change)).state is State.FAILED


@pytest.mark.parametrize("missing", [{"select"}, {"insert"}, {"update"}, {"own_rows"}])
def test_a_table_that_was_not_attacked_in_full_proves_nothing(world: Any, missing: set[str]) -> None:
    dropped = with_isolation(lambda one: None if one.probe in missing else one)
    assert world.judge("RLS-07", dropped).state is State.UNKNOWN


def test_a_tenant_table_that_was_never_attacked_proves_nothing(world: Any) -> None:
    dropped = with_isolation(lambda one: None if one.table == USER else one)
    assert world.judge("RLS-07", dropped).state is State.UNKNOWN


ROLE = LoginRole("core_app", True, False, False, 0, ())


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"roles": (dataclasses.replace(ROLE, superuser=True),)}, "core_app"),
        ({"roles": (dataclasses.replace(ROLE, bypass_rls=True),)}, "core_app"),
        ({"roles": (dataclasses.replace(ROLE, owns_tables=1),)}, "core_app"),
        ({"roles": (dataclasses.replace(ROLE, member_of=("core_owner",)),)}, "core_app"),
        ({"roles": (ROLE, LoginRole("core_bypass", False, True, False, 0, ()))}, "core_bypass"),
        ({"roles": (ROLE, LoginRole("intruder", True, False, True, 0, ()))}, "intruder"),
        ({"definer_routines": (DefinerRoutine("app.f()", "postgres", True, True, (USER,)),)}, "app.f()"),
        ({"definer_routines": (DefinerRoutine("app.f()", "core_seal", False, False, (USER,)),)}, "app.f()"),
        ({"views": (View("ai.v", False, False, (USER,)),)}, "ai.v"),
        ({"views": (View("ai.m", True, False, (USER,)),)}, "ai.m"),
    ],
)
def test_a_way_round_is_named(world: Any, with_fields: Callable[..., Any], fields: Any, where: str) -> None:
    verdict = world.judge("RLS-08", with_fields(RowSecurity, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {where}


@pytest.mark.parametrize(
    "fields",
    [
        {"definer_routines": (DefinerRoutine("app.f()", "postgres", True, False, ()),)},
        {"views": (View("ai.v", False, True, (USER,)),)},
    ],
)
def test_what_reaches_no_tenant_row_is_not_accused(
    world: Any, with_fields: Callable[..., Any], fields: Any
) -> None:
    assert world.judge("RLS-08", with_fields(RowSecurity, **fields)).state is State.SATISFIED


def test_an_application_role_that_nobody_read_shows_nothing(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    assert world.judge("RLS-08", with_fields(RowSecurity, roles=())).state is State.UNKNOWN


@pytest.mark.parametrize("result", [AttemptResult.INCONCLUSIVE, AttemptResult.LEAKED])
def test_a_vanished_canary_is_named(world: Any, result: AttemptResult) -> None:
    verdict = world.judge("RLS-13", on(USER, "own_rows", result=result))
    assert verdict.state is State.FAILED
    assert places(verdict) == {USER}


def test_a_table_without_a_canary_proves_nothing(world: Any) -> None:
    def change(one: Attempt) -> Attempt | None:
        return None if (one.table, one.probe) == (USER, "own_rows") else one

    assert world.judge("RLS-13", with_isolation(change)).state is State.UNKNOWN


@pytest.mark.parametrize("fields", [{"forced": False}, {"policies": ()}, {"classification": "global"}])
def test_exposed_secrets_are_named(world: Any, with_table: Callable[..., Any], fields: Any) -> None:
    verdict = world.judge("SEC-07", with_table("integration.connection_secret", **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"integration.connection_secret"}


def test_secrets_that_nobody_classified_are_judged_like_tenant_data(
    world: Any, with_table: Callable[..., Any]
) -> None:
    table = "integration.connection_secret"
    unclassified = with_table(table, classification="unclassified")
    assert world.judge("SEC-07", unclassified).state is State.SATISFIED
    exposed = with_table(table, classification="unclassified", enabled=False)
    assert places(world.judge("SEC-07", exposed)) == {table}


def test_a_missing_table_of_secrets_shows_nothing(world: Any, with_table: Callable[..., Any]) -> None:
    assert (
        world.judge("SEC-07", with_table("integration.connection_secret", name="other.secret")).state
        is State.UNKNOWN
    )
