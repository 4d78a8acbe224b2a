"""Policies that open when nobody is bound, however they are written, and functions that say so."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, HOSTED, Lint, granted, wrong

SETTING = "current_setting('app.tenant_id', true)"
T = f"(SELECT nullif({SETTING}, '')::uuid)"
BOUND = f"tenant_id = {T}"
TRIP = (
    "CREATE TABLE trip (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, driver uuid, name text);\n"
    "CREATE INDEX ON trip (tenant_id);\nALTER TABLE trip ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE trip FORCE ROW LEVEL SECURITY;\n" + granted("trip")
)


def told(lint: Lint, using: str, before: str = "", table: str = TRIP) -> list[str]:
    policy = f"CREATE POLICY some ON trip USING ({using});\n"
    return wrong(lint({"migrations/1.sql": CLEAN + before + table + policy}))


@pytest.mark.parametrize(
    "using",
    [
        f"{SETTING} IS NULL OR {BOUND}",
        f"({BOUND}) IS NOT FALSE",
        f"{T} IS NOT DISTINCT FROM NULL OR {BOUND}",
        f"length(coalesce({SETTING}, '')) = 0 OR {BOUND}",
        f"coalesce({SETTING}, '') IN ('', '*') OR {BOUND}",
        f"NOT ({SETTING} IS NOT NULL) OR {BOUND}",
        f"NOT ({T} IS NOT NULL AND tenant_id <> {T})",
        f"coalesce({BOUND}, true)",
        f"CASE WHEN {SETTING} <> '' THEN {BOUND} ELSE true END",
        "coalesce(current_setting('app.strict', true), 'off') <> 'on' OR " + BOUND,
        "coalesce(nullif(current_setting('app.lax', true), '')::boolean, true) OR " + BOUND,
    ],
)
def test_a_policy_that_is_true_where_nothing_was_set(lint: Lint, using: str) -> None:
    assert "RLS016" in told(lint, using)


@pytest.mark.parametrize(
    "using",
    [
        BOUND,
        f"({BOUND}) IS TRUE",
        f"coalesce({BOUND}, false)",
        f"{T} IS NOT NULL AND {BOUND}",
        f"NOT ({T} IS NULL OR tenant_id <> {T})",
        f"CASE WHEN coalesce({SETTING}, '') = '' THEN false ELSE tenant_id = {SETTING}::uuid END",
        f"{BOUND} AND name <> 'draft' AND driver <> {T}",
    ],
)
def test_a_policy_that_is_shut_where_nothing_was_set(lint: Lint, using: str) -> None:
    assert told(lint, using) == []


def test_nobody_signed_in_is_everybody_on_a_hosted_platform(lint: Lint) -> None:
    table = TRIP.replace(granted("trip"), "")

    def policy(roles: str) -> str:
        mine = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = auth.uid())"
        return f"CREATE POLICY some ON trip {roles} USING (auth.uid() IS NULL OR {mine});\n"

    assert wrong(lint({"m/1.sql": HOSTED + table + policy("")})) == ["RLS016"]
    assert wrong(lint({"m/1.sql": HOSTED + table + policy("TO authenticated")})) == []


@pytest.mark.parametrize(
    "using",
    [
        f"tenant_id <> {T}",
        f"tenant_id >= {T}",
        f"tenant_id NOT IN (SELECT {T} FROM payment)",
        f"driver <> {T}",
    ],
)
def test_a_condition_that_only_leaves_some_rows_out_binds_nobody(lint: Lint, using: str) -> None:
    assert "RLS011" in told(lint, using)


# Functions


def function(body: str, returns: str = "boolean", arguments: str = "", language: str = "plpgsql") -> str:
    made = f"CREATE FUNCTION asked({arguments}) RETURNS {returns} STABLE LANGUAGE {language}"
    return f"{made} AS $f$ {body} $f$;\n"


READ = f"DECLARE found text := {SETTING}; "


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("sql", f"SELECT {SETTING} IS NULL OR $1 = nullif({SETTING}, '')::uuid"),
        ("sql", f"SELECT coalesce(whose = nullif({SETTING}, '')::uuid, true)"),
        (
            "plpgsql",
            READ + "BEGIN IF found IS NULL OR found = '' THEN RETURN true; END IF;\n"
            "RETURN whose = found::uuid; END",
        ),
        (
            "plpgsql",
            READ + "BEGIN found := nullif(found, ''); IF found <> '' THEN RETURN whose = found::uuid;\n"
            "ELSE RETURN asked.whose IS NOT NULL OR found IS NULL; END IF; END",
        ),
    ],
)
def test_a_function_that_says_yes_where_nothing_was_set(lint: Lint, language: str, body: str) -> None:
    assert "RLS016" in told(lint, "asked(tenant_id)", function(body, "boolean", "whose uuid", language))


def test_a_switch_inside_a_function_is_a_switch(lint: Lint) -> None:
    body = (
        "BEGIN IF current_setting('app.support', true) = 'on' THEN RETURN true; END IF;\n"
        "RETURN EXISTS (SELECT 1 FROM payment p WHERE p.tenant_id = whose); END"
    )
    assert "RLS015" in told(lint, "asked(tenant_id)", function(body, "boolean", "whose uuid"))


@pytest.mark.parametrize(
    "body",
    [
        f"BEGIN RETURN whose = nullif({SETTING}, '')::uuid; END",
        READ + "BEGIN IF coalesce(found, '') = '' THEN RETURN false; END IF; RETURN whose = found::uuid; END",
        READ + "BEGIN IF coalesce(found, '') = '' THEN RAISE EXCEPTION 'nobody'; END IF;\n"
        "RETURN whose = found::uuid; END",
        # what is not one expression is its author's matter
        READ + "BEGIN FOR found IN SELECT 1 LOOP RETURN true; END LOOP; END",
    ],
)
def test_a_function_that_says_no_where_nothing_was_set(lint: Lint, body: str) -> None:
    assert told(lint, "asked(tenant_id)", function(body, "boolean", "whose uuid")) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (READ + "BEGIN RETURN found::uuid; END", "RLS017"),
        (READ + "BEGIN IF found IS NULL THEN RETURN NULL; END IF; RETURN found::uuid; END", "RLS017"),
        (
            "DECLARE found text; BEGIN found := current_setting('app.tenant_id'); RETURN found::uuid; END",
            "RLS018",
        ),
        (f"DECLARE found uuid; BEGIN SELECT {SETTING}::uuid INTO found; RETURN found; END", "RLS017"),
    ],
)
def test_a_reading_in_a_body_of_several_statements_is_judged(lint: Lint, body: str, code: str) -> None:
    assert told(lint, "tenant_id = (SELECT asked())", function(body, "uuid")) == [code]


def test_an_empty_text_that_stands_in_for_nothing_is_no_uuid(lint: Lint) -> None:
    assert "RLS017" in told(lint, f"tenant_id = (SELECT coalesce({SETTING}, '')::uuid)")


TEXT = TRIP.replace("tenant_id uuid", "tenant_id text CHECK (tenant_id <> '')")


@pytest.mark.parametrize(
    "using",
    [
        f"tenant_id ~ {SETTING}",
        f"starts_with(tenant_id, {SETTING})",
        f"position(tenant_id in {SETTING}) > 0",
        f"tenant_id LIKE {SETTING} || '%'",
    ],
)
def test_a_part_of_a_tenant_is_not_the_tenant(lint: Lint, using: str) -> None:
    assert "RLS014" in told(lint, using, table=TEXT)


@pytest.mark.parametrize("using", [f"tenant_id = {SETTING}", f"tenant_id = {SETTING} AND name ~ '^a'"])
def test_a_whole_tenant_beside_a_pattern_of_another_column_is_right(lint: Lint, using: str) -> None:
    assert told(lint, using, table=TEXT) == []


def test_a_switch_in_a_function_is_told_once_where_the_function_is(lint: Lint) -> None:
    body = f"SELECT current_setting('app.support', true) = 'on' OR whose = nullif({SETTING}, '')::uuid"
    made = function(body, "boolean", "whose uuid", "sql")
    second = TRIP.replace("trip", "stop")
    policies = "".join(
        f"CREATE POLICY some ON {name} USING (asked(tenant_id));\n" for name in ("trip", "stop")
    )
    report = lint({"migrations/1.sql": CLEAN + made + TRIP + second + policies})
    (found,) = [one for one in report.findings if one.rule == "RLS015"]
    assert found.line == (CLEAN + made).count("\n")
    assert "app.support" in found.message


def test_a_setting_that_only_names_what_is_looked_up_is_no_switch(lint: Lint) -> None:
    permit = "CREATE TABLE permit (id text PRIMARY KEY);\n" + granted("permit")
    asked = "EXISTS (SELECT 1 FROM permit p WHERE p.id = current_setting('app.permit', true))"
    assert told(lint, f"{BOUND} OR {asked}", permit) == []


CAUGHT = (
    "BEGIN RETURN whose = current_setting('app.tenant_id')::uuid;\nEXCEPTION WHEN OTHERS THEN RETURN {}; END"
)


@pytest.mark.parametrize(("otherwise", "expected"), [("true", ["RLS016"]), ("false", []), ("NULL", [])])
def test_what_a_handler_of_errors_answers_is_what_an_unset_setting_is(
    lint: Lint, otherwise: str, expected: list[str]
) -> None:
    body = CAUGHT.format(otherwise)
    assert told(lint, "asked(tenant_id)", function(body, "boolean", "whose uuid")) == expected
