"""BYP001 in its other forms, and BYP004: the registry holds, expires, and only shrinks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, LintConfigError, Report

Lint = Callable[..., Report]
SITE = "{id: sweep, path: a.py, function: sweep, kind: cron, reason: r, owner: ops, scope: all-tenants"
CODE = "def sweep():\n    run_as_bypass(ALL_TENANTS, Reason.X, work)\n"
CONFIG = LintConfig(registry="sites.yaml")


def judged(
    lint: Lint, registry: str, code: str = CODE, config: LintConfig = CONFIG
) -> list[tuple[str, str, str, int]]:
    findings = lint({"a.py": code, "sites.yaml": registry}, config).findings
    return [(one.rule, one.severity, one.path, one.line) for one in findings]


def test_a_full_entry_of_a_site_that_exists_is_right(lint: Lint) -> None:
    assert judged(lint, f"ceiling: 1\nsites:\n- {SITE}, expires: 2999-12-31}}\n") == []


def test_an_entry_without_a_day_is_a_warning_at_its_line(lint: Lint) -> None:
    assert judged(lint, f"sites:\n- {SITE}}}\n") == [("BYP004", "warning", "sites.yaml", 2)]


def test_an_expired_entry_is_an_error_and_names_its_owner(lint: Lint) -> None:
    registry = f"sites:\n\n- {SITE}, expires: 2001-02-03}}\n"
    assert judged(lint, registry) == [("BYP004", "error", "sites.yaml", 3)]
    (finding,) = lint({"sites.yaml": registry, "a.py": CODE}, CONFIG).findings
    assert "expired on 2001-02-03" in finding.message
    assert "ask ops" in finding.fix


@pytest.mark.parametrize("code", ["def sweep(): ...\n", "def other():\n    pass\n"])
def test_an_entry_whose_function_bypasses_nothing_is_found(lint: Lint, code: str) -> None:
    assert judged(lint, f"- {SITE}, expires: 2999-12-31}}\n", code) == [
        ("BYP004", "warning", "sites.yaml", 1)
    ]


def test_an_entry_of_a_file_that_is_gone_is_found(lint: Lint) -> None:
    registry = f"- {SITE}, expires: 2999-12-31}}\n".replace("a.py", "gone.py")
    (finding,) = (one for one in lint({"a.py": "", "sites.yaml": registry}, CONFIG).findings)
    assert (finding.rule, "the file does not exist" in finding.message) == ("BYP004", True)


def test_an_entry_of_a_file_outside_the_run_is_not_judged(lint: Lint) -> None:
    registry = f"- {SITE}, expires: 2999-12-31}}\n".replace("a.py", "other/b.py")
    config = LintConfig(registry="sites.yaml", exclude=("other/**",))
    files = {"other/b.py": CODE, "a.py": "", "sites.yaml": registry}
    assert [one.rule for one in lint(files, config).findings] == []


def test_more_sites_than_the_ceiling_are_an_error(lint: Lint) -> None:
    registry = f"ceiling: 0\nsites:\n- {SITE}, expires: 2999-12-31}}\n"
    assert judged(lint, registry) == [("BYP004", "error", "sites.yaml", 1)]


def test_fewer_sites_than_the_ceiling_are_told_and_fail_nothing(lint: Lint) -> None:
    registry = f"sites:\n- {SITE}, expires: 2999-12-31}}\nceiling: 3\n"
    report = lint({"a.py": CODE, "sites.yaml": registry}, CONFIG)
    assert [(one.rule, one.severity, one.line) for one in report.findings] == [("BYP004", "info", 3)]
    assert "lower the ceiling to 1" in report.findings[0].fix
    assert not report.failed


def test_the_ceiling_may_stand_in_the_configuration(lint: Lint) -> None:
    config = LintConfig.from_mapping({"registry": "sites.yaml", "bypass_ceiling": 0})
    assert judged(lint, f"- {SITE}, expires: 2999-12-31}}\n", config=config)[0][:2] == ("BYP004", "error")


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        (f"- {SITE}, expires: soon}}\n", "expires on 'soon'"),
        (f"- {SITE}}}\n".replace("all-tenants", "everyone"), "scope 'everyone'"),
        (f"ceiling: many\nsites:\n- {SITE}}}\n", "ceiling must be a count"),
    ],
)
def test_a_registry_that_means_nothing_stops_the_run(lint: Lint, registry: str, message: str) -> None:
    with pytest.raises(LintConfigError, match=message):
        judged(lint, registry)


@pytest.mark.parametrize("value", ["3", -1, True])
def test_a_ceiling_that_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(LintConfigError, match="bypass_ceiling: expected a whole number"):
        LintConfig.from_mapping({"bypass_ceiling": value})


@pytest.mark.parametrize(
    "code",
    [
        "def sweep():\n    with bypass_rls() as s: s.x()\n",
        "async def sweep():\n    async with get_session_bypass_rls() as s: s.x()\n",
        "def sweep(s=Depends(get_session_bypass_rls)): ...\n",
        "def sweep():\n    Row.objects.using(Router.admin_db).all()\n",
    ],
)
def test_a_bypass_in_another_form_is_registered_like_a_call(lint: Lint, code: str) -> None:
    config = LintConfig(registry="sites.yaml", bypass_markers=("using(Router.admin_db)",))
    unregistered = judged(lint, "[]", code, config)
    assert [one[:2] for one in unregistered] == [("BYP001", "error")]
    registered = "<module>" if "Depends" in code else "sweep"
    entry = f"- {SITE}, expires: 2999-12-31}}\n".replace("function: sweep", f"function: {registered}")
    assert judged(lint, entry, code, config) == []


def test_without_a_registry_such_a_block_is_a_warning(lint: Lint) -> None:
    code = "def sweep():\n    with bypass_rls() as s: s.x()\n"
    assert judged(lint, "", code, LintConfig()) == [("BYP001", "warning", "a.py", 2)]


@pytest.mark.parametrize(
    "code",
    [
        "def bypass_rls():\n    with inner_bypass_rls() as s:\n        yield s\n",
        "audit_rls_bypass_reason('x')\n",
        "def f():\n    Row.objects.using(Router.replica_db).all()\n",
        "with open('bypass_rls') as f: f.read()\n",
    ],
)
def test_what_only_sounds_like_a_bypass_is_none(lint: Lint, code: str) -> None:
    assert judged(lint, "[]", code, LintConfig(bypass_markers=("using(Router.admin_db)",))) == []
