"""A program whose modules hand each other's names on in circles is linted in bounded time."""

from __future__ import annotations

from collections.abc import Callable

from lint import Report

Lint = Callable[..., Report]


def test_modules_that_export_each_other_in_circles_do_not_hang_the_run(lint: Lint) -> None:
    names = [f"m{number}" for number in range(8)]
    stars = "".join(f"export * from './{name}';\n" for name in names)
    files = {f"src/{name}.ts": f"import {{ lost }} from './m0';\n{stars}lost();\n" for name in names}
    migration = (
        "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
        "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    )
    query = "db.query('SELECT id FROM invoice')"
    reader = f"import {{ lost }} from './m0';\nexport const f = (db) => {query};\nlost(f);\n"
    report = lint({**files, "src/a.ts": reader, "migrations/1.sql": migration})
    assert report.stats.files == len(names) + 2
