"""The text of a policy: what PostgreSQL prints for a binding is read, everything wider is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.policy_text import binds_bypass, binds_tenant, is_constant_true

BOUND = "(tenant_id = ( SELECT app.current_tenant() AS current_tenant))"


@pytest.mark.parametrize(
    "text",
    [
        BOUND,
        "tenant_id = (SELECT app.current_tenant())",
        "(( SELECT app.current_tenant() AS current_tenant) = tenant_id)",
        "(tenant_id = app.current_tenant())",
        '("tenant_id" = (SELECT "app"."current_tenant"()))',
        "((tenant_id)::text = (( SELECT app.current_tenant() AS current_tenant))::text)",
        f"({BOUND} AND (deleted_at IS NULL))",
        f"((kind = 'a'::text) AND {BOUND})",
        f"({BOUND} OR ({BOUND} AND (kind = 'or'::text)))",
    ],
)
def test_a_binding_is_read_in_every_form_that_postgres_prints(text: str) -> None:
    assert binds_tenant(text, "tenant_id")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "(1 = 1)",
        "(tenant_id = tenant_id)",
        "(tenant_id IS NOT NULL)",
        f"({BOUND} OR true)",
        f"({BOUND} OR (current_setting('app.bypass'::text, true) = 'on'::text))",
        f"(NOT {BOUND})",
        f"CASE WHEN {BOUND} THEN true ELSE true END",
        f"CASE WHEN true THEN true WHEN a AND {BOUND} THEN true END",
        "(tenant_id <> ( SELECT app.current_tenant() AS current_tenant))",
        "(owner_id = ( SELECT app.current_tenant() AS current_tenant))",
        "(tenant_id = ( SELECT current_tenant() AS current_tenant))",
        "(tenant_id = ( SELECT public.current_tenant() AS current_tenant))",
        "(tenant_id = ( SELECT app.current_tenant() AS current_tenant FROM app.seal_key))",
        "(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)",
        "(tenant_id = COALESCE(( SELECT app.current_tenant() AS current_tenant), tenant_id))",
        "'(tenant_id = ( SELECT app.current_tenant() AS current_tenant))' IS NOT NULL",
        "((tenant_id = ( SELECT app.current_tenant() AS current_tenant))",
        "tenant_id = (SELECT app.current_tenant()))",
        "tenant_id = (SELECT app.current_tenant()) \\ true",
        '("Tenant_id" = (SELECT app.current_tenant()))',
    ],
)
def test_what_is_wider_or_unreadable_is_not_bound(text: str) -> None:
    assert not binds_tenant(text, "tenant_id")


def test_another_tenant_column_may_be_named() -> None:
    assert binds_tenant("(org_id = ( SELECT app.current_tenant() AS current_tenant))", "org_id")


@pytest.mark.parametrize(
    "text",
    [
        "(( SELECT app.bypass_scope() AS bypass_scope) = ANY (ARRAY['*'::text, (tenant_id)::text]))",
        "((( SELECT app.bypass_scope()) = '*'::text) OR (( SELECT app.bypass_scope()) = (tenant_id)::text))",
    ],
)
def test_the_bypass_form_is_read(text: str) -> None:
    assert binds_bypass(text, "tenant_id")
    assert not binds_tenant(text, "tenant_id")


@pytest.mark.parametrize(
    "text",
    [
        "true",
        BOUND,
        "(( SELECT app.bypass_scope() AS bypass_scope) IS NOT NULL)",
        "(( SELECT app.bypass_scope() AS bypass_scope) = ANY (ARRAY['*'::text, 'x'::text]))",
    ],
)
def test_other_texts_are_no_bypass(text: str) -> None:
    assert not binds_bypass(text, "tenant_id")


@pytest.mark.parametrize("text", ["true", "(true)", "(1 = 1)", "((tenant_id = tenant_id))"])
def test_constants_are_called_constants(text: str) -> None:
    assert is_constant_true(text)


@given(st.text(alphabet="tenant_id=()ORANDSELECT app.current_tenant'\"[]:,* \n0", max_size=80))
def test_no_text_crashes_the_reader(text: str) -> None:
    binds_tenant(text, "tenant_id")
    binds_bypass(text, "tenant_id")
    is_constant_true(text)


@given(st.text(max_size=60))
def test_an_alternative_that_is_not_bound_opens_the_policy(other: str) -> None:
    assert binds_tenant(f"{BOUND} OR {other}", "tenant_id") <= binds_tenant(other, "tenant_id")
