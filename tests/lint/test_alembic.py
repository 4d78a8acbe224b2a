"""Alembic revisions are followed in revision order, as far as their text decides what they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]


def revision(name: str, before: str | None, body: str, above: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return (
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision: str = {name!r}\ndown_revision = {before!r}\n{above}\n\n"
        f"def upgrade() -> None:\n{lines}\n\n"
        "def downgrade() -> None:\n    op.execute('DROP TABLE invoice')\n"
    )


CREATE = """op.create_table(
    "invoice",
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("core.tenant.id"), nullable=False),
    schema="core",
)"""
SECURE = 'op.enable_tenant_rls("core.invoice")'


def rules(report: Report) -> list[tuple[str, str | None]]:
    return [(finding.rule, finding.table) for finding in report.findings]


def test_a_created_table_without_the_operation_is_unprotected(lint: Lint) -> None:
    report = lint({"versions/a.py": revision("r1", None, CREATE)})
    assert rules(report) == [("RLS001", "core.invoice")]
    assert (report.findings[0].path, report.findings[0].line) == ("versions/a.py", 8)


def test_the_projects_operation_protects_and_counts_as_enforced(lint: Lint) -> None:
    files = {"versions/a.py": revision("r2", "r1", SECURE), "versions/b.py": revision("r1", None, CREATE)}
    report = lint(files)
    assert rules(report) == []
    assert report.coverage.enforced == 1


def test_loops_constants_fstrings_and_functions_are_followed(lint: Lint) -> None:
    above = (
        'TABLES = ("a", "b")\nON = "ENABLE"\n'
        "def policy(table: str, *, using: str = 'tenant_id = app.t()') -> str:\n"
        "    return f'CREATE POLICY p_{table} ON {table} USING ({using})'\n"
    )
    body = """
for table in [*TABLES, "c"]:
    op.execute(f"CREATE TABLE {table} (id int, tenant_id int NOT NULL)")
    op.execute("ALTER TABLE {} {} ROW LEVEL SECURITY".format(table, ON))
    op.execute("ALTER TABLE %s FORCE ROW LEVEL SECURITY" % table)
    op.get_bind().execute(sa.text(policy(table)))
"""
    report = lint({"versions/a.py": revision("r1", None, body, above)})
    assert rules(report) == []
    assert report.coverage.enforced == 3


def test_names_imported_from_the_projects_own_files_are_known(lint: Lint) -> None:
    registry = (
        "BASE = ('a',)\nTABLES = BASE + ('b',)\n"
        "def on(t): return f'ALTER TABLE {t} ENABLE ROW LEVEL SECURITY'\n"
    )
    body = """
for table in TABLES:
    op.execute(f"CREATE TABLE {table} (id int, tenant_id int NOT NULL)")
    op.execute(on(table))
"""
    files = {
        "app/rls.py": registry,
        "versions/a.py": revision("r1", None, body, "from app.rls import TABLES, on"),
    }
    assert rules(lint(files)) == [("RLS003", "public.a"), ("RLS003", "public.b"), *OWNER]


OWNER = [("RLS004", "public.a"), ("RLS004", "public.b")]


def test_columns_added_and_renamed_are_known(lint: Lint) -> None:
    body = """
op.create_table("a", sa.Column("id", sa.Integer()))
op.add_column("a", sa.Column("x", sa.Integer(), nullable=False))
with op.batch_alter_table("a") as batch:
    batch.alter_column("x", new_column_name="workspace_id")
op.rename_table("a", "b")
"""
    report = lint({"versions/a.py": revision("r1", None, body)})
    assert [table.tenant_column for table in report.coverage.tables] == ["workspace_id"]


def test_what_only_the_database_knows_is_told(lint: Lint) -> None:
    body = """
for name in sa.inspect(op.get_bind()).get_table_names():
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
op.execute(build())
op.execute(f"UPDATE a SET x = {now()}")
op.execute(table.update().values(x=1))
"""
    report = lint({"versions/a.py": revision("r1", None, body)})
    assert [finding.rule for finding in report.findings] == ["RLS090", "RLS090"]


def test_a_merge_comes_after_all_it_merges(lint: Lint) -> None:
    merge = revision("m", None, SECURE).replace("down_revision = None", "down_revision = ('r1', 'r2')")
    files = {
        "versions/0.py": merge,
        "versions/1.py": revision("r1", None, CREATE),
        "versions/2.py": revision("r2", None, "pass"),
    }
    assert rules(lint(files)) == []


def test_a_revision_that_never_ends_is_given_up_on(lint: Lint) -> None:
    body = "\n".join(f"{'    ' * n}for i{n} in range({n}) or LONG:" for n in range(6))
    body += f"\n{'    ' * 6}x = 1"
    above = f"LONG = {list(range(30))!r}\ndef again(): again()\n"
    report = lint({"versions/a.py": revision("r1", None, f"again()\n{body}", above)})
    assert [finding.rule for finding in report.findings] == ["RLS090"]


ADDED = "op.execute('CREATE TABLE made (tenant_id int)')"
ASKS = {
    "a variable": "key = os.environ.get('S')\n    if key:\n        return key\n    raise ValueError('no S')",
    "a loop": "for one in all_():\n        if one.good:\n            return one\n    raise KeyError(1)",
    "a guard": "if not os.environ.get('S'):\n        raise ValueError('no S')\n    return 1",
    "a query": (
        "row = op.get_bind().execute('SELECT 1').first()\n    if row is not None:\n        return row[0]\n"
        "    raise LookupError('no row')"
    ),
}


@pytest.mark.parametrize("helper", ASKS)
def test_a_helper_that_may_raise_ends_no_revision(lint: Lint, helper: str) -> None:
    """What was deployed has gone past it."""
    above = f"import os\ndef secret():\n    {ASKS[helper]}\n"
    report = lint({"versions/1.py": revision("1", None, f"key = secret()\n{ADDED}", above)})
    assert rules(report) == [("RLS001", "public.made")]


def test_a_helper_that_always_raises_is_told(lint: Lint) -> None:
    above = "def refuse():\n    raise ValueError('never')\n"
    report = lint({"versions/1.py": revision("1", None, f"refuse()\n{ADDED}", above)})
    assert rules(report) == [("RLS090", None)]


def test_what_a_helper_may_have_returned_is_its_value(lint: Lint) -> None:
    above = (
        "def table(bind):\n    if bind.execute('SELECT 1').scalar():\n        return 'made'\n"
        "    raise ValueError('no table')\n"
    )
    body = "op.execute(f'CREATE TABLE {table(op.get_bind())} (tenant_id int)')"
    assert rules(lint({"versions/1.py": revision("1", None, body, above)})) == [("RLS001", "public.made")]


def test_a_loop_without_an_end_of_its_own_is_gone_through_twice(lint: Lint) -> None:
    body = (
        "while True:\n    rows = op.get_bind().execute('UPDATE old SET a = 1 RETURNING id').fetchall()\n"
        f"    if not rows:\n        break\n{ADDED}"
    )
    report = lint({"versions/1.py": revision("1", None, body)})
    assert rules(report) == [("RLS001", "public.made")]
    assert report.stats.statements == 3


OTHER = "op.execute('CREATE TABLE other (tenant_id int)')"
DIALECTS = {
    "a name": "dialect = op.get_bind().dialect.name",
    "a bind that may be none": "bind = op.get_bind()\ndialect = bind.dialect.name if bind else ''",
    "a bind that may be None": "bind = op.get_bind()\ndialect = '' if not bind else bind.dialect.name",
    "the engine": "dialect = op.get_bind().engine.name",
    "the context": "dialect = op.get_context().dialect.name",
    "an attribute by name": "dialect = getattr(op.get_bind().engine.dialect, 'name', '')",
    "the impl": "dialect = op.get_context().impl.dialect.name",
}


@pytest.mark.parametrize("asked", DIALECTS)
def test_the_branch_of_another_dialect_is_not_taken(lint: Lint, asked: str) -> None:
    branches = (
        f"if dialect == 'sqlite':\n    {OTHER}\n    return\n"
        f"if dialect.startswith('postgres'):\n    {ADDED}\nelse:\n    {OTHER}"
    )
    report = lint({"versions/1.py": revision("1", None, f"{DIALECTS[asked]}\n{branches}")})
    assert rules(report) == [("RLS001", "public.made")]
