"""Policies by which a user writes rows of his own, whichever tenant they name."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, Lint, granted

ME = "user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid)"
BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
SEAT = (
    "CREATE TABLE seat (tenant_id uuid NOT NULL, user_id uuid NOT NULL, role text{more},\n"
    "  PRIMARY KEY (tenant_id, user_id));\n"
    "ALTER TABLE seat ENABLE ROW LEVEL SECURITY;\nALTER TABLE seat FORCE ROW LEVEL SECURITY;\n"
)


def told(lint: Lint, tail: str, more: str = "", privileges: str = "SELECT, INSERT") -> list[str]:
    seat = SEAT.format(more=more) + granted("seat", privileges)
    report = lint({"migrations/1.sql": f"{CLEAN}{seat}CREATE POLICY own ON seat {tail};\n"})
    return [one.severity for one in report.findings if one.rule == "RLS012"]


@pytest.mark.parametrize("tail", [f"USING ({ME})", f"FOR INSERT WITH CHECK ({ME})"])
def test_a_user_may_write_himself_into_any_tenant(lint: Lint, tail: str) -> None:
    assert told(lint, tail) == ["warning"]


@pytest.mark.parametrize(
    "tail", [f"USING ({ME} AND {BOUND})", f"FOR SELECT USING ({ME})", f"USING ({ME}) WITH CHECK ({BOUND})"]
)
def test_a_policy_that_asks_for_the_tenant_where_it_writes_is_right(lint: Lint, tail: str) -> None:
    assert "warning" not in told(lint, tail)


def test_a_key_over_user_and_tenant_settles_the_tenant(lint: Lint) -> None:
    key = ", FOREIGN KEY (tenant_id, user_id) REFERENCES account (tenant_id, id)"
    assert told(lint, f"USING ({ME})", key) == []


def test_who_may_not_insert_writes_no_row(lint: Lint) -> None:
    assert told(lint, f"USING ({ME})", privileges="SELECT") == []


SHOWN = f"CREATE POLICY shown ON seat FOR SELECT USING ({ME});\n"
KEPT = (
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN new; END $$;\n"
    "CREATE TRIGGER keep BEFORE UPDATE ON seat FOR EACH ROW EXECUTE FUNCTION keep();\n"
)


@pytest.mark.parametrize(
    ("more", "privileges", "expected"),
    [
        ("", "SELECT, UPDATE", ["warning"]),
        (KEPT.format("new.updated_at := now();"), "SELECT, UPDATE", ["warning"]),
        (KEPT.format("new.tenant_id := old.tenant_id;"), "SELECT, UPDATE", []),
        ("GRANT UPDATE (role) ON seat TO app;\n", "SELECT", []),
    ],
)
def test_a_users_own_row_may_be_moved_by_an_update(
    lint: Lint, more: str, privileges: str, expected: list[str]
) -> None:
    seat = SEAT.format(more="") + granted("seat", privileges) + SHOWN + more
    report = lint({"migrations/1.sql": f"{CLEAN}{seat}CREATE POLICY own ON seat FOR UPDATE USING ({ME});\n"})
    assert [one.severity for one in report.findings if one.rule == "RLS012"] == expected
