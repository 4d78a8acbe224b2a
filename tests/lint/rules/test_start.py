"""What a program does to protection when it starts is a last step of the history, if its role may take it."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, INVOICE, TENANT, Lint

OPEN = "CREATE POLICY lookup ON invoice FOR SELECT USING (true)"
CALL = f"async def setup(conn):\n    await conn.execute(text('{OPEN}'))\n"
LISTED = (
    f"STEPS = [('lookup', '{OPEN}')]\ndef setup(c):\n    for _, step in STEPS:\n        c.execute(step)\n"
)
TEMPLATE = (
    f"import {{ pool }} from './pool';\nexport async function setup() {{ await pool.query(`{OPEN}`); }}\n"
)
METHOD = (
    f"class Setup {{\n  async run() {{ await this.client.query('{OPEN}'); }}\n}}\nmodule.exports = Setup;\n"
)
PROGRAMS = {
    "a call": ("app/database.py", CALL),
    "a list": ("app/database.py", LISTED),
    "a template": ("src/db/setup.ts", TEMPLATE),
    "a class": ("src/db/setup.js", METHOD),
}
CLOSING = (
    "def setup(conn):\n    for table in ('invoice',):\n"
    "        conn.execute(f'ALTER TABLE {table} ENABLE ROW LEVEL SECURITY')\n"
    "        conn.execute(f'ALTER TABLE {table} FORCE ROW LEVEL SECURITY')\n"
    '        conn.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = "\n'
    "            \"(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))\")\n"
)


def told(lint: Lint, program: tuple[str, str], before: str = CLEAN) -> list[tuple[str, str, str]]:
    report = lint({"migrations/1.sql": before, program[0]: program[1]})
    about = {"RLS001", "RLS002", "RLS003", "RLS010", "RLS032"}
    return [(one.rule, one.severity, one.path) for one in report.findings if one.rule in about]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_door_that_code_opens_is_found_where_it_is_written(lint: Lint, program: tuple[str, str]) -> None:
    assert told(lint, program) == [("RLS010", "error", program[0])]


def test_what_is_called_otherwise_is_no_start(lint: Lint) -> None:
    assert told(lint, ("app/database.py", CALL.replace("setup", "widened"))) == []


@pytest.mark.parametrize("folder", ["scripts", "tools"])
def test_a_tool_that_people_run_by_hand_is_no_part_of_the_schema(lint: Lint, folder: str) -> None:
    assert told(lint, (f"{folder}/setup.py", CALL)) == []


def test_a_statement_over_another_database_is_none_of_this_history(lint: Lint) -> None:
    assert told(lint, ("app/database.py", CALL.replace("invoice", "elsewhere"))) == []


def test_what_only_code_closes_is_a_warning(lint: Lint) -> None:
    open_tables = TENANT + INVOICE
    assert told(lint, ("app/database.py", "x = 1\n"), open_tables) == [
        ("RLS001", "error", "migrations/1.sql")
    ]
    closed = told(lint, ("app/database.py", CLOSING), open_tables)
    assert closed == [("RLS001", "warning", "migrations/1.sql")]
