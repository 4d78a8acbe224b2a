"""RLS044, RLS045 and RLS046: policies that went or never came, locks, and the wrong table."""

from __future__ import annotations

import pytest

from .paths import BOUND, CLEAN, ENABLE, FORCE, POLICY, TABLE, TIMEOUT, Lint, found, history, messages

MEMBER = "CREATE TABLE member (user_id uuid, tenant_id uuid);\n"
BY_MEMBER = (
    "CREATE POLICY by_member ON invoice USING (EXISTS (SELECT 1 FROM member m "
    "WHERE m.tenant_id = invoice.tenant_id AND m.user_id = app.current_user_id()));\n"
)


@pytest.mark.parametrize(
    ("drop", "lost"),
    [
        ("DROP TABLE member CASCADE;", "by_member"),
        ("DROP FUNCTION IF EXISTS app.current_user_id() CASCADE;", "by_member"),
        ("DROP FUNCTION app.current_user_id CASCADE;", "by_member"),
        ("ALTER TABLE member DROP COLUMN user_id CASCADE;", "by_member"),
    ],
)
def test_policies_that_go_with_what_they_name_are_told(lint: Lint, drop: str, lost: str) -> None:
    report = lint(history(CLEAN + MEMBER + BY_MEMBER, drop))
    assert found(report, "RLS044", "RLS005") == [("RLS044", "0002.sql", 1)]
    assert f"CASCADE drops {lost} of public.invoice" in messages(report, "RLS044")[0]


def test_the_last_policy_going_by_cascade_is_an_error_told_once(lint: Lint) -> None:
    report = lint(history(CLEAN, "ALTER TABLE invoice DROP COLUMN tenant_id CASCADE;"))
    told = [finding for finding in report.findings if finding.rule in {"RLS003", "RLS005", "RLS044"}]
    assert [(finding.rule, finding.severity) for finding in told] == [("RLS044", "error")]


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE member CASCADE;\nCREATE POLICY again ON invoice USING (tenant_id = app.t());",
        "DROP TABLE member;",
        "DROP TABLE other CASCADE;",
        "DROP FUNCTION app.current_user_id_v2() CASCADE;",
        "ALTER TABLE invoice DROP COLUMN name CASCADE;",
        "DROP TABLE member CASCADE; DROP TABLE invoice;",
    ],
)
def test_a_cascade_that_takes_no_policy_for_good_is_no_finding(lint: Lint, change: str) -> None:
    assert found(lint(history(CLEAN + MEMBER + BY_MEMBER, change)), "RLS044") == []


def swallowed(policy: str, handler: str = "WHEN duplicate_object THEN NULL;") -> str:
    return f"DO $$ BEGIN\n{policy}EXCEPTION {handler} END $$;"


GUARDED = f"""DO $$ BEGIN
IF NOT EXISTS (SELECT 1 FROM pg_policies WHERE tablename = 'invoice' AND policyname = 'tenant') THEN
{POLICY}END IF; END $$;"""
OPEN = CLEAN.replace(BOUND, "tenant_id IS NOT NULL")


@pytest.mark.parametrize(
    "change",
    [
        swallowed(POLICY),
        swallowed(POLICY, "WHEN others THEN RAISE NOTICE 'there already';"),
        GUARDED,
    ],
)
def test_a_corrected_policy_that_is_skipped_never_arrives(lint: Lint, change: str) -> None:
    report = lint(history(OPEN, change))
    assert found(report, "RLS044") == [("RLS044", "0002.sql", 1)]
    assert "0001.sql:4" in messages(report, "RLS044")[0]
    assert "RLS010" in {finding.rule for finding in report.findings}, "the open policy is still there"


@pytest.mark.parametrize(
    "change",
    [
        swallowed(POLICY.replace(BOUND, "tenant_id   IS NOT\nNULL")),
        swallowed(POLICY.replace("tenant ON", "second ON")),
        "DROP POLICY tenant ON invoice;" + swallowed(POLICY),
        swallowed(POLICY, "WHEN unique_violation THEN NULL;"),
        swallowed(POLICY, "WHEN duplicate_object THEN RAISE;"),
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_policies WHERE policyname = 'tenant') THEN\n"
        "DROP POLICY tenant ON invoice; END IF;\n" + POLICY + "END $$;",
    ],
)
def test_a_policy_that_arrives_or_says_the_same_is_no_finding(lint: Lint, change: str) -> None:
    assert found(lint(history(OPEN, change)), "RLS044") == []


def test_a_lock_without_a_timeout_is_one_note_for_a_history_without_the_habit(lint: Lint) -> None:
    report = lint(history(TABLE, POLICY, ENABLE + FORCE))
    assert found(report, "RLS045") == [("RLS045", "0003.sql", 1)]
    assert [f.severity for f in report.findings if f.rule == "RLS045"] == ["info"]


def test_a_lock_without_a_timeout_is_a_warning_where_others_have_one(lint: Lint) -> None:
    report = lint(history(TABLE, TIMEOUT + POLICY, ENABLE + FORCE))
    assert found(report, "RLS045") == [("RLS045", "0003.sql", 1)]
    assert [f.severity for f in report.findings if f.rule == "RLS045"] == ["warning"]


@pytest.mark.parametrize(
    "files",
    [
        (CLEAN,),
        (TABLE, TIMEOUT + ENABLE + FORCE + POLICY),
        (TABLE, "SET LOCAL lock_timeout TO '2s';" + ENABLE + FORCE + POLICY),
        (TABLE, "SELECT set_config('lock_timeout', '2s', true);" + ENABLE + FORCE + POLICY),
        ("SELECT 1;", CLEAN),
    ],
)
def test_a_new_table_and_a_bounded_wait_lock_nobody_out(lint: Lint, files: tuple[str, ...]) -> None:
    assert found(lint(history(*files)), "RLS045") == []


@pytest.mark.parametrize(
    "security",
    [
        "ALTER TABLE IF EXISTS invoice ENABLE ROW LEVEL SECURITY;",
        "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n" + POLICY,
    ],
)
def test_row_security_of_a_name_in_other_case_protects_another_table(lint: Lint, security: str) -> None:
    report = lint(history('CREATE TABLE "Invoice" (id uuid, tenant_id uuid);\n' + security))
    assert found(report, "RLS046", "RLS001") == [("RLS046", "0001.sql", 2)]


@pytest.mark.parametrize(
    "files",
    [
        ('CREATE TABLE "Invoice" (id uuid);', 'ALTER TABLE "Invoice" ENABLE ROW LEVEL SECURITY;'),
        ("CREATE TABLE Invoice (id uuid);", "ALTER TABLE INVOICE ENABLE ROW LEVEL SECURITY;"),
        ("ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",),
    ],
)
def test_a_name_that_means_the_table_is_no_finding(lint: Lint, files: tuple[str, ...]) -> None:
    assert found(lint(history(*files)), "RLS046") == []


@pytest.mark.parametrize(("names", "told"), [(("Notes", '"Notes"'), 1), (("notes", "Notes"), 0)])
def test_two_names_of_one_spelling_are_two_tables(lint: Lint, names: tuple[str, str], told: int) -> None:
    files = [f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;" for name in names]
    assert len(found(lint(history(CLEAN, *files)), "RLS046")) == told


def test_a_table_that_is_there_is_not_made_again(lint: Lint) -> None:
    again = "CREATE TABLE invoice (id uuid PRIMARY KEY);\n"
    assert found(lint(history(CLEAN, again))) == []
