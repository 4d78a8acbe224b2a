"""RLS006 to RLS018, RLS020 and RLS022: what the policies of a table let through, refuse or break on."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import BOUND, CLEAN, HOSTED, Lint, granted, protected, told, wrong

FLAG = "ALTER TABLE invoice ADD COLUMN is_public boolean NOT NULL DEFAULT false;\n"


def policy(using: str, name: str = "more", head: str = "", table: str = "invoice") -> str:
    return f"CREATE POLICY {name} ON {table} {head} USING ({using});\n"


def instead(using: str, table: str = "invoice") -> str:
    return f"DROP POLICY tenant ON {table};\n" + policy(using, "tenant", table=table)


FOUND = {
    "select gap": (
        "RLS006",
        "DROP POLICY tenant ON invoice;"
        + policy(BOUND, head="FOR UPDATE")
        + policy(BOUND, "gone", "FOR DELETE"),
    ),
    "insert without check": ("RLS007", "CREATE POLICY more ON invoice FOR INSERT;"),
    "update with check only": ("RLS007", f"CREATE POLICY more ON invoice FOR UPDATE WITH CHECK ({BOUND});"),
    "no clause at all": ("RLS007", "CREATE POLICY more ON invoice;"),
    "policies for another role": ("RLS008", "CREATE ROLE web; ALTER POLICY tenant ON invoice TO web;"),
    "true": ("RLS010", policy("true")),
    "permissive without the tenant": ("RLS011", policy("state = 'sent'")),
    "one way without the tenant": ("RLS011", instead(f"{BOUND} OR state = 'sent'")),
    "check weaker than using": (
        "RLS012",
        (
            f"DROP POLICY tenant ON invoice;CREATE POLICY tenant ON invoice USING ({BOUND}) "
            "WITH CHECK (state <> 'x');"
        ),
    ),
    "check by another setting": (
        "RLS012",
        (
            f"DROP POLICY tenant ON invoice;CREATE POLICY tenant ON invoice USING ({BOUND}) "
            f"WITH CHECK ({BOUND.replace('app.tenant_id', 'app.org_id')});"
        ),
    ),
    "a verb that forbids": ("RLS013", policy(f"{BOUND} AND state = 'open'", "deny_closed")),
    "a tenant's literal": ("RLS014", instead("tenant_id = '11111111-0000-4000-8000-000000000001'")),
    "the column cast": ("RLS014", instead("tenant_id::text = current_setting('app.tenant_id', true)")),
    "not in": ("RLS014", policy("tenant_id NOT IN (SELECT p.tenant_id FROM payment p)")),
    "a switch": ("RLS015", policy("current_setting('app.bypass', true) = 'on'")),
    "open when unset": ("RLS016", instead(f"current_setting('app.tenant_id', true) IS NULL OR {BOUND}")),
    "its own value stands in": (
        "RLS016",
        instead("tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, tenant_id)"),
    ),
    "'' cast": ("RLS017", instead("tenant_id = current_setting('app.tenant_id', true)::uuid")),
    "missing_ok": ("RLS018", instead("tenant_id = current_setting('app.tenant_id')::uuid")),
    "reads itself": ("RLS022", policy("tenant_id IN (SELECT i.tenant_id FROM invoice i)", "team")),
    "a circle": (
        "RLS022",
        policy("EXISTS (SELECT 1 FROM payment p WHERE p.invoice_id = invoice.id)", "paid", "FOR SELECT")
        + policy("EXISTS (SELECT 1 FROM invoice i WHERE i.id = invoice_id)", "bill", "FOR SELECT", "payment"),
    ),
    "reads without a privilege": (
        "RLS022",
        "CREATE TABLE staff (user_id uuid, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, user_id));"
        + protected("staff")
        + granted("staff", role="other_app")
        + policy("tenant_id IN (SELECT s.tenant_id FROM staff s)", "team"),
    ),
    "volatile": (
        "RLS020",
        "CREATE FUNCTION tenant_now() RETURNS uuid LANGUAGE sql AS "
        "$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;"
        + instead("tenant_id = tenant_now()"),
    ),
    "immutable": (
        "RLS020",
        "CREATE FUNCTION tenant_now() RETURNS uuid IMMUTABLE LANGUAGE sql AS "
        "$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;"
        + instead("tenant_id = (SELECT tenant_now())"),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_faulty_policy_is_found_where_it_stands(lint: Lint, name: str) -> None:
    code, change = FOUND[name]
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    hits = [finding for finding in report.findings if finding.rule == code]
    assert hits, told(report)
    assert all(finding.severity != "info" for finding in hits)
    assert {finding.path for finding in hits} == {"m/2.sql"}


SILENT = {
    "using is reused as check": "",
    "a select policy beside a whole one": policy(BOUND, head="FOR SELECT"),
    "a restrictive condition": "CREATE POLICY open_only ON invoice AS RESTRICTIVE USING (state <> 'void');",
    "a restrictive tenant cures an open one": policy("true")
    + f"CREATE POLICY fence ON invoice AS RESTRICTIVE USING ({BOUND}) WITH CHECK ({BOUND});",
    "the bypass role's own policy": "CREATE ROLE app_bypass;" + policy("true", head="TO app_bypass"),
    "the service role": policy("true", head="TO service_role"),
    "a constant that is false": policy("1 = 2"),
    "a stable function": (
        "CREATE FUNCTION tenant_now() RETURNS uuid STABLE LANGUAGE sql AS "
        "$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;"
        + instead("tenant_id = (SELECT tenant_now())")
    ),
    "a volatile function asked once": (
        "CREATE FUNCTION tenant_now() RETURNS uuid LANGUAGE sql AS "
        "$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;"
        + instead("tenant_id = (SELECT tenant_now())")
    ),
    "a sub-select of another tenant table": policy(
        f"{BOUND} AND EXISTS (SELECT 1 FROM payment p WHERE p.invoice_id = invoice.id)", "paid"
    ),
    "a function the history does not show": instead("tenant_id = (SELECT elsewhere.current_tenant())"),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_policy_that_holds_is_not_found(lint: Lint, name: str) -> None:
    report = lint({"m/1.sql": CLEAN, "m/2.sql": SILENT[name]})
    assert wrong(report) == []


def test_rows_flagged_as_public_are_information(lint: Lint) -> None:
    report = lint({"m/1.sql": CLEAN, "m/2.sql": FLAG + policy("is_public", head="FOR SELECT")})
    assert told(report, "info") == ["RLS011"]
    assert wrong(report) == []


def test_one_setting_read_in_many_policies_is_one_cause(lint: Lint) -> None:
    loud = "tenant_id = current_setting('app.tenant_id')::uuid"
    report = lint({"m/1.sql": CLEAN, "m/2.sql": instead(loud) + instead(loud, "payment")})
    hits = [finding for finding in report.findings if finding.rule == "RLS018"]
    assert len(hits) == 2
    assert {finding.cause for finding in hits} == {"current_setting('app.tenant_id') without missing_ok"}


def test_using_and_check_of_one_text_are_one_finding(lint: Lint) -> None:
    switch = "current_setting('app.bypass', true) = 'on'"
    both = f"CREATE POLICY more ON invoice USING ({switch}) WITH CHECK ({switch});"
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": both})) == ["RLS015"]


class TestHosted:
    """What a platform grants to everybody is no promise that a policy breaks."""

    @pytest.mark.parametrize(
        "change",
        [
            "CREATE POLICY all_of_it ON invoice TO service_role USING (true);",
            (
                "CREATE TABLE country (code text PRIMARY KEY);ALTER TABLE country ENABLE ROW LEVEL SECURITY;"
                "CREATE POLICY read ON country FOR SELECT USING (true);"
            ),
            "CREATE POLICY anyone ON invoice FOR SELECT TO anon USING (false);",
        ],
    )
    def test_a_habit_of_the_platform_is_silent(self, lint: Lint, change: str) -> None:
        assert told(lint({"m/1.sql": HOSTED, "m/2.sql": change})) == []

    def test_an_insert_without_a_condition_beside_bound_policies_is_found(self, lint: Lint) -> None:
        change = (
            "CREATE TABLE board (id uuid PRIMARY KEY);ALTER TABLE board ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY see ON board FOR SELECT TO authenticated USING (may_see(id));"
            "CREATE POLICY add ON board FOR INSERT TO authenticated WITH CHECK (true);"
        )
        assert wrong(lint({"m/1.sql": HOSTED, "m/2.sql": change})) == ["RLS010"]

    def test_an_inbox_that_anyone_may_write_is_information(self, lint: Lint) -> None:
        change = (
            "CREATE TABLE waitlist (email text PRIMARY KEY);ALTER TABLE waitlist ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY add ON waitlist FOR INSERT TO anon WITH CHECK (true);"
        )
        report = lint({"m/1.sql": HOSTED, "m/2.sql": change})
        assert (wrong(report), told(report, "info")) == ([], ["RLS010"])

    def test_owned_rows_that_everyone_reads_are_a_warning_and_information_when_the_name_says_so(
        self, lint: Lint
    ) -> None:
        table = (
            "CREATE TABLE item (id uuid PRIMARY KEY, owner_id uuid);"
            "ALTER TABLE item ENABLE ROW LEVEL SECURITY;"
        )
        plain = lint({"m/1.sql": HOSTED + table + "CREATE POLICY list ON item FOR SELECT USING (true);"})
        assert told(plain, "warning") == ["RLS010"]
        named = table + 'CREATE POLICY "Items are viewable by everyone" ON item FOR SELECT USING (true);'
        assert told(lint({"m/1.sql": HOSTED + named}), "info") == ["RLS010"]

    def test_a_policy_named_after_a_service_and_open_to_all_says_so(self, lint: Lint) -> None:
        change = 'CREATE POLICY "Service role manages" ON invoice USING (true);'
        (finding,) = lint({"m/1.sql": HOSTED, "m/2.sql": change}).findings
        assert (finding.rule, finding.severity) == ("RLS010", "error")
        assert "it is for PUBLIC: write TO" in finding.message

    def test_changes_to_rows_that_no_policy_shows_are_found(self, lint: Lint) -> None:
        change = (
            "CREATE TABLE draft (id uuid PRIMARY KEY, user_id uuid);"
            "ALTER TABLE draft ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY change ON draft FOR UPDATE TO authenticated USING (user_id = (SELECT auth.uid()));"
        )
        report = lint({"m/1.sql": HOSTED, "m/2.sql": change})
        assert [(f.rule, f.table) for f in report.findings] == [("RLS006", "public.draft")]


@pytest.mark.parametrize(
    ("using", "index", "codes"),
    [
        ("user_id = auth.uid()", "", ["RLS020"]),
        ("user_id = auth.uid()", "CREATE INDEX ON draft (user_id);", []),
        ("user_id = (SELECT auth.uid())", "", []),
        ("(SELECT auth.uid() AS uid) = user_id", "", []),
    ],
)
def test_who_asks_is_asked_for_each_row_only_without_an_index(
    lint: Lint, using: str, index: str, codes: list[str]
) -> None:
    draft = (
        "CREATE TABLE draft (id uuid PRIMARY KEY, user_id uuid);ALTER TABLE draft ENABLE ROW LEVEL SECURITY;"
    )
    report = lint({"m/1.sql": HOSTED, "m/2.sql": draft + index + policy(using, table="draft")})
    assert told(report, "info") == codes
    assert wrong(report) == []


@pytest.mark.parametrize("table", ["invoice", '"Ledger"'])
def test_a_table_without_its_baseline_is_judged_by_its_policies(lint: Lint, table: str) -> None:
    sql = policy("tenant_id = current_setting('app.tenant_id', true)::uuid", table=table)
    assert wrong(lint({"m/1.sql": sql})) == ["RLS017"]


SEAT = (
    "CREATE TABLE seat (tenant_id uuid NOT NULL, user_id uuid NOT NULL, PRIMARY KEY (tenant_id, user_id));\n"
    "ALTER TABLE seat ENABLE ROW LEVEL SECURITY;\nALTER TABLE seat FORCE ROW LEVEL SECURITY;\n"
    "GRANT SELECT ON seat TO app;\n"
)
ME = "(SELECT nullif(current_setting('app.user_id', true), '')::uuid)"
SITS = f"EXISTS (SELECT 1 FROM {{}} s WHERE s.tenant_id = whose AND s.user_id = {ME})"


def sits(rights: str = "", relation: str = "seat") -> str:
    return (
        f"CREATE FUNCTION sits(whose uuid) RETURNS boolean STABLE LANGUAGE plpgsql {rights} AS\n"
        f"$$ BEGIN RETURN {SITS.format(relation)}; END $$;\n"
    )


def test_a_policy_that_calls_itself_through_a_function_never_ends(lint: Lint) -> None:
    policy = "CREATE POLICY own ON seat FOR SELECT USING (sits(tenant_id));\n"
    assert "RLS022" in wrong(lint({"m/1.sql": CLEAN + SEAT + sits() + policy}))
    as_owner = sits("SECURITY DEFINER SET search_path = public, pg_temp")
    assert "RLS022" not in wrong(lint({"m/1.sql": CLEAN + SEAT + as_owner + policy}))
    assert "RLS022" not in wrong(lint({"m/1.sql": CLEAN + SEAT + sits(relation="payment") + policy}))


def test_a_policy_that_calls_itself_through_a_view_never_ends(lint: Lint) -> None:
    view = "CREATE VIEW seats{} AS SELECT * FROM seat;\nGRANT SELECT ON seats TO app;\n"
    mine = f"tenant_id IN (SELECT s.tenant_id FROM seats s WHERE s.user_id = {ME})"
    policy = f"CREATE POLICY own ON seat FOR SELECT USING ({mine});\n"
    invoker = view.format(" WITH (security_invoker = true)")
    assert "RLS022" in wrong(lint({"m/1.sql": CLEAN + SEAT + invoker + policy}))
    simple = f"CREATE POLICY own ON seat FOR SELECT USING (user_id = {ME});\n"
    assert "RLS022" not in wrong(lint({"m/1.sql": CLEAN + SEAT + invoker + simple}))


def test_a_check_that_counts_rows_of_its_own_table_ends(lint: Lint) -> None:
    few = "(SELECT count(*) FROM seat s) < 5"
    check = f"CREATE POLICY few ON seat FOR INSERT WITH CHECK ({BOUND} AND {few});\n" + granted("seat")
    seen = "CREATE POLICY own ON seat FOR SELECT USING ({});\n"
    plain = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
    assert "RLS022" not in wrong(lint({"m/1.sql": CLEAN + SEAT + check + seen.format(plain)}))
    assert "RLS022" in wrong(lint({"m/1.sql": CLEAN + SEAT + check + seen.format(BOUND)}))
    looks = f"{BOUND} AND EXISTS (SELECT 1 FROM invoice i WHERE i.tenant_id = seat.tenant_id)"
    assert "RLS022" in wrong(lint({"m/1.sql": CLEAN + SEAT + check + seen.format(looks)}))


@pytest.mark.parametrize(
    ("door", "found"),
    [
        ("current_user = 'app'", True),
        ("'app' = (SELECT session_user)::text", True),
        ("pg_has_role(current_user, 'app', 'member')", True),
        ("current_user = 'auditor'", False),
        ("pg_has_role(current_user, 'auditor', 'member')", False),
    ],
)
def test_a_role_that_everyone_comes_as_tells_nobody_apart(lint: Lint, door: str, found: bool) -> None:
    using = f"{BOUND} OR {door}"
    assert ("RLS011" in wrong(lint({"m/1.sql": CLEAN + SEAT + protected("seat", using)}))) == found


def test_a_member_who_joins_by_an_invitation_is_refused_by_a_circle(lint: Lint) -> None:
    invited = "EXISTS (SELECT 1 FROM invitation i WHERE i.tenant_id = seat.tenant_id)"
    sits = f"tenant_id IN (SELECT s.tenant_id FROM seat s WHERE s.user_id = {ME})"
    tables = (
        SEAT
        + granted("seat")
        + "CREATE TABLE invitation (tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (tenant_id, id));\n"
        + protected("invitation", sits)
        + granted("invitation")
        + f"CREATE POLICY joins ON seat FOR INSERT WITH CHECK ({invited});\n"
    )
    own = "CREATE POLICY own ON seat FOR SELECT USING (user_id = {});\n"
    assert "RLS022" in wrong(lint({"m/1.sql": CLEAN + tables + own.format(ME)}))
    assert "RLS022" not in wrong(
        lint({"m/1.sql": CLEAN + tables + own.format(ME.strip("()").split(" ", 1)[1])})
    )


NAMED = (
    ('"Members can manage schedule blocks"', []),
    ('"Create with minimal required data"', []),
    ('"Ver no portal"', []),
    ('"No public access"', ["info"]),
    ('"Members cannot see drafts"', ["info"]),
    ('"Only members"', ["warning"]),
)


@pytest.mark.parametrize(("name", "severities"), NAMED)
def test_a_verb_is_a_restriction_and_a_noun_is_none(lint: Lint, name: str, severities: list[str]) -> None:
    policy = f"CREATE POLICY {name} ON invoice FOR SELECT USING ({BOUND} AND state = 'x');\n"
    found = lint({"m/1.sql": CLEAN + policy}).findings
    assert [one.severity for one in found if one.rule == "RLS013"] == severities


LOOKED_UP = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = app.user_id())"
MEMBERS = "CREATE TABLE member (tenant_id uuid NOT NULL, user_id uuid, PRIMARY KEY (tenant_id, user_id));\n"


@pytest.mark.parametrize(
    ("using", "found"),
    [
        (f"{BOUND} OR {LOOKED_UP}", ["warning"]),
        (BOUND, []),
        (LOOKED_UP, []),
        (f"{BOUND} AND {LOOKED_UP}", []),
    ],
)
def test_all_tenants_of_a_user_beside_the_bound_one_are_told(
    lint: Lint, using: str, found: list[str]
) -> None:
    report = lint({"m/1.sql": CLEAN + MEMBERS + protected("member") + instead(using)})
    beside = (one for one in report.findings if one.rule == "RLS011" and one.subject == "tenant:beside")
    assert [one.severity for one in beside] == found
