"""BYP005 follows the path that a caller's arguments leave open, and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]
DEFAULTS = """
def add_defaults(session, org: str | None = None):
    if org is None:
        org = make_org()
    session.add(org)

def make_org() -> str:
    with bypass_rls() as own:
        return own.scalar(FIRST)

def find_org() -> str | None:
    return None
"""


def nested(lint: Lint, text: str) -> list[int]:
    findings = lint({"a.py": text}).findings
    return [one.line for one in findings if one.rule == "BYP005" and "inside another" in one.message]


def start(inside: str, before: str = "", signature: str = "") -> str:
    body = f"    {before or 'pass'}\n    with bypass_rls() as session:\n        {inside}\n"
    return f"{DEFAULTS}\ndef start({signature}):\n{body}"


@pytest.mark.parametrize(
    ("inside", "before", "signature"),
    [
        ("add_defaults(session, org=org)", "org = make_org()", ""),
        ("add_defaults(session, org)", "", "org: str"),
        ("add_defaults(session, 'first')", "", ""),
        ("add_defaults(session, row.org)", "row = load()", ""),
    ],
)
def test_a_branch_for_what_was_not_given_is_not_taken_by_who_gives_it(
    lint: Lint, inside: str, before: str, signature: str
) -> None:
    assert nested(lint, start(inside, before, signature)) == []


@pytest.mark.parametrize(
    ("inside", "before", "signature"),
    [
        ("add_defaults(session)", "", ""),
        ("add_defaults(session, None)", "", ""),
        ("add_defaults(session, org)", "", "org: str | None"),
        ("add_defaults(session, org)", "", "org"),
        ("add_defaults(session, org)", "org = None", ""),
        ("add_defaults(session, org=org)", "org = find_org()", ""),
        ("make_org()", "", ""),
    ],
)
def test_a_bypass_that_may_be_opened_inside_another_is_found(
    lint: Lint, inside: str, before: str, signature: str
) -> None:
    assert nested(lint, start(inside, before, signature)) == [8]


def test_a_parameter_that_is_emptied_before_it_is_asked_for_proves_nothing(lint: Lint) -> None:
    text = DEFAULTS.replace("    if org is None:", "    org = find_org()\n    if org is None:")
    assert nested(lint, text + start("add_defaults(session, 'first')").removeprefix(DEFAULTS)) == [9]


def test_what_is_given_is_given_on_through_a_function_between(lint: Lint) -> None:
    between = "\ndef between(session, org=None):\n    add_defaults(session, org)\n"
    assert nested(lint, between + start("between(session, 'first')")) == []
    assert nested(lint, between + start("between(session)")) == [11]


@pytest.mark.parametrize("later", ["asyncio.create_task(make_org())", "queue.submit(make_org())"])
def test_what_runs_later_is_opened_outside(lint: Lint, later: str) -> None:
    assert nested(lint, start(later)) == []


def test_a_script_takes_no_branch_for_what_it_gave(lint: Lint) -> None:
    text = (
        "import {{ runAsBypass }} from '@tensorcost/db-utils';\n"
        "async function addDefaults(db, org) {{ if (!org) {{ await runAsBypass('t', own); }} }}\n"
        "async function own(db) {{ await db.query('x'); }}\n"
        "async function work(db) {{ await addDefaults(db{given}); }}\n"
        "export async function start(id) {{ await runAsBypass(id, work); }}\n"
    )

    def found(given: str) -> list[str]:
        findings = lint({"a.ts": text.format(given=given)}).findings
        return [one.rule for one in findings if "inside another" in one.message]

    assert found(", 'first'") == []
    assert found("") == ["BYP005"]
