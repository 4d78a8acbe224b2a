"""Policies of a hosted platform: what the client says of itself, members of any tenant, files, revokes."""

from __future__ import annotations

import pytest

from lint import Finding
from tests.lint.rules.shop import HOSTED, Lint, of_the_head, wrong

TEAM = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid()))"
ITEM = (
    "CREATE TABLE item (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, author uuid, role text);\n"
    "CREATE INDEX ON item (tenant_id);\nALTER TABLE item ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE member ADD COLUMN role text;\n"
)


def found(lint: Lint, using: str, before: str = "", command: str = "ALL") -> list[Finding]:
    policy = f"CREATE POLICY some ON item FOR {command} TO authenticated USING ({using});\n"
    report = lint({"migrations/1.sql": HOSTED + ITEM + before + policy})
    return [one for one in of_the_head(report) if one.severity != "info"]


def told(lint: Lint, using: str, before: str = "") -> list[str]:
    return [one.rule for one in found(lint, using, before)]


def function(body: str, arguments: str = "", returns: str = "boolean") -> str:
    return (
        f"CREATE FUNCTION asked({arguments}) RETURNS {returns} STABLE LANGUAGE sql SECURITY DEFINER\n"
        f"SET search_path = '' AS $$ SELECT {body} $$;\n"
    )


# What the client says of itself


@pytest.mark.parametrize(
    "using",
    [
        "tenant_id = (auth.jwt() -> 'user_metadata' ->> 'tenant')::uuid",
        "tenant_id = (current_setting('request.jwt.claims', true)::jsonb #>> '{user_metadata,org}')::uuid",
        "tenant_id = (SELECT (raw_user_meta_data ->> 'org')::uuid FROM auth.users WHERE id = auth.uid())",
        f"(auth.jwt() -> 'user_metadata' ->> 'role') = 'admin' OR {TEAM}",
        "tenant_id = (current_setting('request.headers', true)::json ->> 'x-tenant')::uuid",
        "tenant_id = (current_setting('request.cookies', true)::json ->> 'tenant')::uuid",
    ],
)
def test_a_client_is_not_believed_about_itself(lint: Lint, using: str) -> None:
    (one,) = found(lint, using)
    assert (one.rule, one.severity) == ("RLS015", "error")


def test_nor_through_a_function(lint: Lint) -> None:
    body = "nullif(current_setting('request.headers', true)::json ->> 'x-tenant', '')::uuid"
    assert told(lint, "tenant_id = asked()", function(body, "", "uuid")) == ["RLS015"]


@pytest.mark.parametrize(
    "using",
    [
        "tenant_id = (auth.jwt() -> 'app_metadata' ->> 'tenant')::uuid",
        f"tenant_id = (current_setting('request.headers', true)::json ->> 'x-tenant')::uuid AND {TEAM}",
        "tenant_id = (SELECT org FROM keys WHERE api_key = current_setting('request.headers')::json ->> 'k')",
    ],
)
def test_what_the_server_or_a_secret_says_is_believed(lint: Lint, using: str) -> None:
    assert "RLS015" not in told(lint, using)


# Members of any tenant


@pytest.mark.parametrize(
    "using",
    [
        "EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid())",
        "auth.uid() IN (SELECT m.user_id FROM member m)",
        f"{TEAM} OR EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid() AND m.role = 'admin')",
        "EXISTS (SELECT 1 FROM member m JOIN invoice i USING (tenant_id) WHERE m.user_id = auth.uid())",
    ],
)
def test_a_member_of_any_tenant_is_not_one_of_the_row_s(lint: Lint, using: str) -> None:
    (one,) = found(lint, using)
    assert (one.rule, one.severity) == ("RLS011", "warning")
    assert "in any tenant" in one.message


@pytest.mark.parametrize(
    ("arguments", "body", "call"),
    [
        (
            "",
            "EXISTS (SELECT 1 FROM public.member m WHERE m.user_id = auth.uid() AND m.role = 'admin')",
            "asked()",
        ),
        (
            "one uuid",
            "EXISTS (SELECT 1 FROM public.member m WHERE m.user_id = auth.uid())",
            "asked(tenant_id)",
        ),
    ],
)
def test_nor_where_a_function_asks(lint: Lint, arguments: str, body: str, call: str) -> None:
    assert told(lint, f"{TEAM} OR {call}", function(body, arguments)) == ["RLS011"]


@pytest.mark.parametrize(
    "using",
    [
        f"{TEAM} OR EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid() AND m.role = 'staff')",
        f"{TEAM} OR EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid() AND m.tenant_id IS NULL)",
        "EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid() AND m.tenant_id = item.tenant_id)",
        f"{TEAM} AND EXISTS (SELECT 1 FROM member m WHERE m.user_id = auth.uid() AND m.role = 'admin')",
    ],
)
def test_people_of_the_platform_and_members_of_the_row_s_tenant_are_right(lint: Lint, using: str) -> None:
    assert told(lint, using) == []


# Functions that are handed the row's tenant


def test_an_argument_called_as_a_column_is_the_column(lint: Lint) -> None:
    body = "EXISTS (SELECT 1 FROM public.member m WHERE m.tenant_id = tenant_id AND m.user_id = auth.uid())"
    (one,) = found(lint, "asked(tenant_id)", function(body, "tenant_id uuid"))
    assert (one.rule, one.severity) == ("RLS010", "error")
    assert "not the argument" in one.message


@pytest.mark.parametrize(
    ("arguments", "compared"),
    [("one uuid", "one"), ("tenant_id uuid", "asked.tenant_id"), ("tenant_id uuid", "$1")],
)
def test_an_argument_that_is_named_or_numbered_is_the_argument(
    lint: Lint, arguments: str, compared: str
) -> None:
    member = f"SELECT 1 FROM public.member m WHERE m.tenant_id = {compared} AND m.user_id = auth.uid()"
    assert told(lint, "asked(tenant_id)", function(f"EXISTS ({member})", arguments)) == []


def test_a_function_that_looks_the_tenant_up_for_nobody_is_a_door(lint: Lint) -> None:
    body = "EXISTS (SELECT 1 FROM public.tenant t WHERE t.id = one)"
    assert "RLS011" in told(lint, "asked(tenant_id)", function(body, "one uuid"))


# Rows a user moves


def test_a_user_may_not_move_his_row_into_another_tenant(lint: Lint) -> None:
    mine = "author = (SELECT auth.uid())"
    seen = f"CREATE POLICY seen ON item FOR SELECT TO authenticated USING ({mine});\n"
    assert [one.rule for one in found(lint, mine, seen, "UPDATE")] == ["RLS012"]
    team = f"CREATE POLICY seen ON item FOR SELECT TO authenticated USING ({TEAM});\n"
    (one,) = found(lint, mine, team, "UPDATE")
    assert "an UPDATE without WHERE asks no SELECT policy" in one.message
    deletes = f"CREATE POLICY some ON item FOR DELETE TO authenticated USING ({mine});\n"
    report = lint({"migrations/1.sql": HOSTED + ITEM + team + deletes})
    assert {one.severity for one in report.findings if one.rule == "RLS011"} == {"info"}


# Files


def files(lint: Lint, command: str, using: str, roles: str = "authenticated") -> list[str]:
    policy = f"CREATE POLICY files ON storage.objects FOR {command} TO {roles} USING ({using});\n"
    return [one.severity for one in lint({"m/1.sql": HOSTED + policy}).findings if one.rule == "RLS011"]


def test_a_bucket_alone_tells_nobody_s_files_apart(lint: Lint) -> None:
    assert files(lint, "ALL", "bucket_id = 'bills' AND auth.uid() IS NOT NULL") == ["warning"]
    assert files(lint, "SELECT", "bucket_id = 'bills'") == ["info"]
    assert files(lint, "SELECT", "bucket_id = 'faces'", "anon, authenticated") == []


@pytest.mark.parametrize("more", ["(storage.foldername(name))[1] = auth.uid()::text", "owner = auth.uid()"])
def test_a_folder_or_an_owner_does(lint: Lint, more: str) -> None:
    assert files(lint, "ALL", f"bucket_id = 'bills' AND {more}") == []


# What the platform's clients were given


VIEW = "CREATE VIEW totals AS SELECT tenant_id, count(*) FROM invoice GROUP BY tenant_id;\n"
OPEN = "CREATE TABLE job (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"


def test_what_was_taken_from_the_clients_is_not_reached_by_them(lint: Lint) -> None:
    assert sorted(wrong(lint({"m/1.sql": HOSTED + VIEW + OPEN}))) == ["RLS001", "RLS030"]
    revoked = "REVOKE ALL ON totals, job FROM anon, authenticated;\n"
    assert wrong(lint({"m/2.sql": HOSTED + VIEW + OPEN + revoked})) == []


def test_clients_who_are_left_or_given_again_still_reach_it(lint: Lint) -> None:
    again = "REVOKE ALL ON totals FROM anon, authenticated;\nGRANT SELECT ON totals TO authenticated;\n"
    assert "RLS030" in wrong(lint({"m/1.sql": HOSTED + VIEW + again}))
    assert "RLS030" in wrong(lint({"m/1.sql": HOSTED + VIEW + "REVOKE ALL ON totals FROM anon;\n"}))
    fresh = "REVOKE ALL ON totals FROM anon, authenticated;\nDROP VIEW totals;\n" + VIEW
    assert "RLS030" in wrong(lint({"m/1.sql": HOSTED + VIEW + fresh}))


def test_new_tables_that_bring_nothing_along_are_closed(lint: Lint) -> None:
    closed = "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated;\n"
    assert wrong(lint({"m/1.sql": HOSTED + closed + VIEW + OPEN})) == []


def test_a_dump_that_grants_by_name_has_said_all(lint: Lint) -> None:
    tables = "".join(
        f"CREATE TABLE t{n} (id int PRIMARY KEY);\nGRANT SELECT ON t{n} TO anon, authenticated;\n"
        for n in range(40)
    )
    assert "RLS030" not in wrong(lint({"m/1.sql": HOSTED + tables + VIEW}))
    assert "RLS030" in wrong(lint({"m/1.sql": HOSTED + tables + VIEW + "GRANT SELECT ON totals TO anon;\n"}))
