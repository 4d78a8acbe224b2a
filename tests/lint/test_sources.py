"""One reading of a run's sources: what is chosen, each parsed once, nothing cut in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lint import LintConfig, Report
from lint.files import gather
from lint.source import sources as reading
from lint.source.graph import Graph
from lint.source.python import read_python
from lint.source.sources import Sources
from lint.source.typescript import read_typescript

Lint = Callable[..., Report]
MIGRATION = (
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
    "CREATE INDEX ON invoice (tenant_id);\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\nALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY p ON invoice USING (tenant_id = current_setting('app.tenant_id')::uuid);\n"
)
SCOPE = "def f(t):\n    run_as_tenant(t, work)\ndef work(session): ...\n"


def sources(root: Path, files: Mapping[str, str], config: LintConfig | None = None) -> Sources:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Sources(gather([root], root, ()), config or LintConfig())


def chosen(of: Sources) -> list[str]:
    return [source.path for source in of.whole]


BYPASS = {
    "app/reports.py": "def monthly_report(t):\n    run_as_bypass(t, Reason.X, work)\n",
    "app/jobs.py": "from app.reports import monthly_report\ndef nightly_job(): monthly_report(1)\n",
    "app/cron.py": "from app.jobs import nightly_job\nnightly_job()\n",
    "app/plain.py": "def unrelated(): return 1\n",
}


def test_who_leads_to_a_bypass_is_read_and_who_names_none_of_them_is_not(tmp_path: Path) -> None:
    found = chosen(sources(tmp_path, BYPASS))
    assert set(found) >= {"app/reports.py", "app/jobs.py"}
    assert "app/plain.py" not in found


def test_without_a_bypass_or_a_protected_table_nobody_is_followed(tmp_path: Path) -> None:
    plain = {path: text for path, text in BYPASS.items() if path != "app/reports.py"}
    assert chosen(sources(tmp_path, plain)) == []


def test_another_language_is_not_drawn_in_by_a_name(tmp_path: Path) -> None:
    page = {"web/page.tsx": "export const nightly_job = () => fetch('/api/nightly_job');\n"}
    assert "web/page.tsx" not in chosen(sources(tmp_path, BYPASS | page))


def test_no_file_is_parsed_twice(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = reading.read_source

    def counted(file, config):  # type: ignore[no-untyped-def]
        read.append(file.path)
        return real(file, config)

    monkeypatch.setattr(reading, "read_source", counted)
    views = "def f(s):\n    s.execute('SELECT 1 FROM invoice')\n    run_as_bypass(1, R.X, f)\n"
    lint({"db/migrations/1.sql": MIGRATION, "app/scope.py": SCOPE, "app/views.py": views})
    assert sorted(read) == ["app/scope.py", "app/views.py"]


def test_modules_that_hand_on_everything_to_each_other_end() -> None:
    names = [f"m{number}" for number in range(12)]
    stars = "".join(f"export * from './{name}';\n" for name in names)
    files = {f"src/lib/{name}.ts": stars + "import { T } from './index';\n" for name in names}
    files |= {"src/lib/index.ts": stars, "src/index.ts": "export * from './lib';\n"}
    files["src/a.ts"] = "import { gone, T } from './lib';\nexport function f(t: T) { gone(t); t.run(); }\n"
    graph = Graph([read_typescript(text.encode(), path) for path, text in files.items()])
    assert graph.callees_of(("src/a.ts", "f")) == ()


def test_a_name_handed_on_by_a_whole_module_is_found() -> None:
    files = {
        "src/db/work.ts": "export function bill() {}\n",
        "src/db/index.ts": "export * from './work';\n",
        "src/a.ts": "import { bill } from './db';\nexport function f() { bill(); }\n",
    }
    graph = Graph([read_typescript(text.encode(), path) for path, text in files.items()])
    assert [edge.callee for edge in graph.callees_of(("src/a.ts", "f"))] == [("src/db/work.ts", "bill")]


LOST = "from sqlalchemy.orm import Session\ndef f(:\n    run_as_bypass(1)\n    class )(\n    x = = 3\n"


def test_statements_lost_to_syntax_are_told_with_their_line(lint: Lint) -> None:
    assert read_python(LOST.encode(), "a.py").lost > 0
    (told,) = [one for one in lint({"a.py": LOST}).findings if one.rule == "RLS090"]
    assert (told.path, told.severity) == ("a.py", "info")
    assert "passed over" in told.message


def test_a_file_that_is_read_whole_is_not_told(lint: Lint) -> None:
    assert lint({"a.py": "def f(t):\n    return run_as_tenant(t, f)\n"}).stats.not_analysed == 0


def test_a_program_that_takes_too_long_is_told_once(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lint.api.PROGRAM_SECONDS", -1.0)
    views = "from app.scope import f\ndef g(s):\n    f(1)\n    s.execute('SELECT 1 FROM invoice')\n"
    report = lint({"db/migrations/1.sql": MIGRATION, "app/scope.py": SCOPE, "app/views.py": views})
    (told,) = [one for one in report.findings if one.rule == "RLS090"]
    assert "were not followed to the end" in told.message


def test_ending_a_bypass_is_no_bypass(lint: Lint) -> None:
    text = "def f(s):\n    s.execute(\"SELECT set_config('app.rls_bypass', '{}', true)\")\n"
    off, on = (lint({"a.py": text.format(value)}) for value in ("off", "on"))
    assert [one.rule for one in off.findings if one.rule == "BYP006"] == []
    assert [one.rule for one in on.findings if one.rule == "BYP006"] == ["BYP006"]


@pytest.mark.parametrize(
    ("body", "config", "severity"),
    [
        ("", None, "info"),
        ("c.execute('SELECT id FROM invoice')\n", None, "error"),
        ("", LintConfig(entry_points=("app/db.py",)), "error"),
    ],
    ids=["to another database perhaps", "to the tenants' tables", "where a project names its entry points"],
)
def test_a_connection_fails_where_it_surely_is_to_the_tenants_database(
    lint: Lint, body: str, config: LintConfig | None, severity: str
) -> None:
    views = f"import psycopg\nc = psycopg.connect(DSN)\n{body}"
    files = {"db/migrations/1.sql": MIGRATION, "app/scope.py": SCOPE, "app/views.py": views}
    report = lint(files, config) if config else lint(files)
    told = [one for one in report.findings if one.rule == "WRAP001" and one.line == 2]
    assert [one.severity for one in told] == [severity]
