"""COV001: the rollout plan against the head, and a count of enforced tables that may only rise."""

from __future__ import annotations

import pytest

from lint import LintConfig, LintConfigError
from tests.lint.rules.shop import CLEAN, INVOICE, TENANT, Lint, told

#: invoice is enforced, payment not yet.
HALF = CLEAN + "ALTER TABLE payment DISABLE ROW LEVEL SECURITY;"


def covered(
    lint: Lint, config: LintConfig, sql: str = HALF, **files: str
) -> list[tuple[str | None, str, str]]:
    report = lint({"m/1.sql": sql, **files}, config)
    return [(f.table, f.severity, f.message) for f in report.findings if f.rule == "COV001"]


def test_a_table_whose_wave_has_come_must_be_enforced(lint: Lint) -> None:
    ((table, severity, message),) = covered(lint, LintConfig(waves={"invoice": 1, "payment": 1}))
    assert (table, severity) == ("public.payment", "error")
    assert "planned for wave 1 and row security is not enabled" in message


def test_a_later_wave_is_not_due_yet(lint: Lint) -> None:
    plan = {"invoice": 1, "payment": 2}
    assert covered(lint, LintConfig(waves=plan, current_wave=1)) == []
    assert [table for table, _, _ in covered(lint, LintConfig(waves=plan, current_wave=2))] == [
        "public.payment"
    ]


def test_a_planned_table_that_does_not_exist_is_found(lint: Lint) -> None:
    ((table, _, message),) = covered(
        lint, LintConfig(waves={"invoice": 1, "payment": 9, "ghost": 1}, current_wave=1)
    )
    assert table == "public.ghost"
    assert "does not exist" in message


def test_an_enforced_table_in_no_wave_is_an_error_and_an_open_one_a_warning(lint: Lint) -> None:
    assert [(t, s) for t, s, _ in covered(lint, LintConfig(waves={"payment": 2}, current_wave=1))] == [
        ("public.invoice", "error")
    ]
    assert [(t, s) for t, s, _ in covered(lint, LintConfig(waves={"invoice": 1}))] == [
        ("public.payment", "warning")
    ]


def test_a_global_table_needs_no_wave(lint: Lint) -> None:
    config = LintConfig(waves={"invoice": 1}, global_tables={"payment": "a clearing house's"})
    assert covered(lint, config) == []


def test_without_a_plan_or_a_floor_nothing_is_said(lint: Lint) -> None:
    assert covered(lint, LintConfig()) == []


@pytest.mark.parametrize(("floor", "found"), [(0, 0), (1, 0), (2, 1)])
def test_the_count_may_not_fall_below_the_floor(lint: Lint, floor: int, found: int) -> None:
    findings = covered(lint, LintConfig(coverage_floor=floor))
    assert len(findings) == found
    assert all(
        "1 of 2 tenant tables are enforced, and the floor is 2" in message for _, _, message in findings
    )


def test_a_floor_over_nothing_is_a_failure_and_no_pass(lint: Lint) -> None:
    ((_, severity, message),) = covered(lint, LintConfig(coverage_floor=1), "CREATE TABLE a (id int);")
    assert severity == "error"
    assert message.startswith("0 of 0 tenant tables")


@pytest.mark.parametrize(
    "plan",
    [
        "waves:\n  1: [invoice]\n  2: [payment]\n",
        "invoice: 1\npayment: 2\n",
        "waves: {invoice: 1, payment: 2}\n",
    ],
)
def test_the_plan_may_stand_in_a_file(lint: Lint, plan: str) -> None:
    config = LintConfig(wave_plan="waves.yaml", current_wave=2)
    assert [table for table, _, _ in covered(lint, config, **{"waves.yaml": plan})] == ["public.payment"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("- invoice\n", r"lint\.wave_plan: expected a mapping of table to wave, got list"),
        ("invoice: soon\n", r"lint\.wave_plan\.invoice: expected the number of its wave, got 'soon'"),
        ("invoice: [\n", r"lint\.wave_plan: waves\.yaml is not YAML"),
        (None, r"lint\.wave_plan: waves\.yaml cannot be read: No such file"),
    ],
)
def test_a_plan_that_cannot_be_read_is_a_wrong_configuration(
    lint: Lint, plan: str | None, message: str
) -> None:
    files = {} if plan is None else {"waves.yaml": plan}
    with pytest.raises(LintConfigError, match=message):
        covered(lint, LintConfig(wave_plan="waves.yaml"), **files)


def test_settings_of_the_rollout_are_checked() -> None:
    config = LintConfig.from_mapping(
        {
            "waves": {"invoice": 1},
            "current_wave": 1,
            "coverage_floor": 3,
            "app_owns_tables": True,
            "tenant_column": "t",
        }
    )
    assert (config.waves, config.current_wave, config.coverage_floor) == ({"invoice": 1}, 1, 3)
    assert (config.app_owns_tables, config.tenant_column) == (True, "t")
    for key, value in (
        ("current_wave", "two"),
        ("coverage_floor", -1),
        ("app_owns_tables", "yes"),
        ("waves", ["a"]),
    ):
        with pytest.raises(LintConfigError, match=rf"lint\.{key}: expected"):
            LintConfig.from_mapping({key: value})


def test_the_floor_counts_over_every_history_of_a_run(lint: Lint) -> None:
    files = {
        "a/migrations/1.sql": CLEAN,
        "b/migrations/1.sql": TENANT.replace("tenant", "client")
        + INVOICE.replace("invoice", "bill").replace("REFERENCES tenant", ""),
    }
    report = lint(files, LintConfig(coverage_floor=2))
    assert "COV001" not in told(report)
