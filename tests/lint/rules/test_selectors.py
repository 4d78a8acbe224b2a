"""A user's own row by which policies decide, and who may write it."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import HOSTED, Lint

PROFILE = (
    "CREATE TABLE profile (id uuid PRIMARY KEY, active_tenant uuid, role text, name text);\n"
    "ALTER TABLE profile ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY mine ON profile FOR SELECT TO authenticated USING (id = (SELECT auth.uid()));\n"
)
OWN = "CREATE POLICY own ON profile FOR UPDATE TO authenticated USING (id = (SELECT auth.uid()));\n"
ASKED = {
    "a function": "CREATE FUNCTION active() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER\n"
    "  SET search_path = '' AS $$ SELECT active_tenant FROM public.profile WHERE id = auth.uid() $$;\n"
    "CREATE POLICY active ON invoice FOR SELECT TO authenticated USING (tenant_id = active());\n",
    "PL/pgSQL": "CREATE FUNCTION active() RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER\n"
    "  SET search_path = public AS $$ DECLARE found uuid; BEGIN\n"
    "  SELECT p.active_tenant INTO found FROM profile p WHERE p.id = auth.uid(); RETURN found; END $$;\n"
    "CREATE POLICY active ON invoice FOR SELECT TO authenticated USING (tenant_id = active());\n",
    "a sub-select": "CREATE POLICY active ON invoice FOR SELECT TO authenticated USING (\n"
    "  tenant_id = (SELECT active_tenant FROM profile WHERE id = auth.uid()));\n",
    "a role": "CREATE POLICY staff ON invoice FOR SELECT TO authenticated USING (\n"
    "  EXISTS (SELECT 1 FROM profile p WHERE p.id = auth.uid() AND p.role = 'staff'));\n",
}
KEEP = (
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
    "  new.active_tenant := old.active_tenant; RETURN new; END $$;\n"
    "CREATE TRIGGER keep BEFORE UPDATE ON profile FOR EACH ROW EXECUTE FUNCTION keep();\n"
)
NARROW = (
    "REVOKE UPDATE ON profile FROM anon, authenticated;\nGRANT UPDATE (name) ON profile TO authenticated;\n"
)
FIXED = OWN.replace(
    ");\n",
    ")\n  WITH CHECK (id = auth.uid()\n"
    "  AND active_tenant = (SELECT active_tenant FROM profile WHERE id = auth.uid()));\n",
)


def told(lint: Lint, *texts: str) -> list[tuple[str, str]]:
    report = lint({"m/1.sql": HOSTED + PROFILE + "".join(texts)})
    about = (one for one in report.findings if one.rule == "RLS012" and one.table == "public.profile")
    return [(one.severity, one.subject) for one in about]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_column_of_ones_own_row_that_decides_is_not_ones_own_to_write(lint: Lint, asked: str) -> None:
    column = "role" if "staff" in asked else "active_tenant"
    assert told(lint, asked, OWN) == [("error", f"own:{column}")]


@pytest.mark.parametrize("kept", [KEEP, NARROW], ids=["a trigger", "grants on columns"])
def test_what_is_kept_by_a_trigger_or_by_grants_cannot_be_chosen(lint: Lint, kept: str) -> None:
    assert told(lint, ASKED["a function"], OWN, kept) == []


def test_a_check_of_the_column_keeps_it(lint: Lint) -> None:
    assert told(lint, ASKED["a function"], FIXED) == []


def test_a_column_that_no_policy_asks_for_is_his_own(lint: Lint) -> None:
    assert told(lint, OWN) == []


def test_a_row_of_ones_own_that_may_be_made_is_a_warning(lint: Lint) -> None:
    made = OWN.replace("FOR UPDATE", "FOR INSERT").replace("USING", "WITH CHECK")
    assert told(lint, ASKED["a role"], made) == [("warning", "own:role")]


def test_to_write_ones_own_membership_is_to_join_any_tenant(lint: Lint) -> None:
    join = "CREATE POLICY join ON member FOR INSERT TO authenticated WITH CHECK (user_id = auth.uid());\n"
    (one,) = [one for one in lint({"m/1.sql": HOSTED + join}).findings if one.rule == "RLS012"]
    assert one.severity == "error"
    assert "he joins any tenant" in one.message
