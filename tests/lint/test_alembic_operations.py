"""What Alembic's operations change, and how much of Python a revision may use to say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lint import Report, replay_paths
from lint.catalogue import Catalogue, Table
from lint.history.newest_python import parsed

Lint = Callable[..., Report]
TABLE = 'op.execute("CREATE TABLE a (id int, tenant_id int)")'
ON = 'op.execute("ALTER TABLE a ENABLE ROW LEVEL SECURITY")'


def revision(name: str, before: str, body: str, above: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return (
        "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n"
        f"{above}\nrevision = {name!r}\ndown_revision = {before}\n\ndef upgrade():\n{lines}\n"
    )


def replayed(folder: Path, files: dict[str, str]) -> Catalogue:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (catalogue,) = replay_paths([folder], root=folder)
    return catalogue


def after(folder: Path, body: str, above: str = "", **others: str) -> Catalogue:
    files = {f"{name.replace('__', '/')}.py": text for name, text in others.items()}
    return replayed(folder, {"versions/1.py": revision("r1", "None", body, above), **files})


def table_after(folder: Path, body: str, above: str = "") -> Table:
    return after(folder, body, above).tables["public.a"]


def test_every_argument_of_a_column_is_read(tmp_path: Path) -> None:
    body = """
op.create_table(
    "a",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
    sa.Column("org_id", postgresql.UUID(as_uuid=True), sa.ForeignKey("core.org.id", ondelete="cascade")),
    sa.Column("name", sa.String(length=40), server_default="x", unique=True, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), index=True),
    sa.Column("tags", postgresql.ARRAY(sa.Text), server_default=sa.text("'{}'::text[]")),
    sa.Column("low", sa.Text(), sa.Computed("lower(name)", persisted=True)),
    sa.CheckConstraint("length(name) > 0", name="named"),
    sa.UniqueConstraint("org_id", "name", name="one_name"),
    sa.Index("by_name", "org_id", sa.text("lower(name)")),
    if_not_exists=True,
)"""
    table = table_after(tmp_path, body)
    columns = {column.name: column for column in table.columns}
    assert list(columns) == ["id", "org_id", "name", "at", "tags", "low"]
    assert [name for name, column in columns.items() if not column.nullable] == ["id", "name"]
    assert [(key.columns, key.target, key.on_delete.upper()) for key in table.foreign_keys] == [
        (("org_id",), "core.org", "CASCADE")
    ]
    keys = {(key.kind, key.columns) for key in table.keys}
    assert {("primary", ("id",)), ("unique", ("name",)), ("unique", ("org_id", "name"))} <= keys
    assert ("index", ("at",)) in keys
    assert any(kind == "index" and columns[:1] == ("org_id",) for kind, columns in keys)


def test_two_primary_columns_are_one_key(tmp_path: Path) -> None:
    body = (
        'op.create_table("a", sa.Column("x", sa.Integer(), primary_key=True), '
        'sa.Column("y", sa.Integer(), primary_key=True))'
    )
    assert [(key.kind, key.columns) for key in table_after(tmp_path, body).keys] == [("primary", ("x", "y"))]


def test_keys_are_added_by_position_and_by_name(tmp_path: Path) -> None:
    body = """
op.create_table("a", sa.Column("x", sa.Integer()), sa.Column("y", sa.Integer()), sa.Column("z", sa.Integer()))
op.create_primary_key("pk", "a", ["x"])
op.create_unique_constraint(constraint_name="u", table_name="a", columns=["x", "y"])
op.create_index(op.f("i"), "a", ["y", sa.text("z DESC")], unique=True, postgresql_where=sa.text("z > 0"))
op.create_foreign_key(None, "a", "b", ["z"], ["id"], ondelete="SET NULL", referent_schema="core")
op.create_check_constraint("c", "a", "x > 0")
"""
    table = table_after(tmp_path, body)
    assert {(key.kind, key.columns[:1]) for key in table.keys} == {
        ("primary", ("x",)),
        ("unique", ("x",)),
        ("unique", ("y",)),
    }
    assert [(key.target, key.on_delete.upper()) for key in table.foreign_keys] == [("core.b", "SET NULL")]


def test_a_batch_says_its_table_once(tmp_path: Path) -> None:
    body = """
op.create_table("a", sa.Column("x", sa.Integer()), sa.Column("y", sa.Integer()), schema="core")
with op.batch_alter_table("a", schema="core") as batch:
    batch.add_column(sa.Column("org_id", sa.Uuid(), nullable=True))
    batch.alter_column("org_id", nullable=False)
    batch.drop_column("y")
    batch.create_unique_constraint("u", ["org_id", "x"])
    batch.create_foreign_key("f", "org", ["org_id"], ["id"], referent_schema="core")
    batch.create_index(batch.f("i"), ["org_id"], unique=False)
"""
    catalogue = after(tmp_path, body)
    assert set(catalogue.tables) == {"core.a"}
    table = catalogue.tables["core.a"]
    assert [(column.name, column.nullable) for column in table.columns] == [("x", True), ("org_id", False)]
    assert [key.target for key in table.foreign_keys] == ["core.org"]
    assert {(key.kind, key.columns) for key in table.keys} == {
        ("unique", ("org_id", "x")),
        ("index", ("org_id",)),
    }


def test_columns_change_and_go(tmp_path: Path) -> None:
    body = """
op.create_table("b", sa.Column("x", sa.Integer(), nullable=False), sa.Column("y", sa.Integer()))
op.alter_column("b", "x", new_column_name="z", nullable=True, type_=sa.Text(), existing_type=sa.Integer())
op.drop_column("b", "y")
op.rename_table("b", "a")
op.drop_table("never", if_exists=True)
"""
    assert [(c.name, c.nullable) for c in table_after(tmp_path, body).columns] == [("z", True)]


ROUTES = {
    "text": 'op.execute(sa.text("{on}"))',
    "bindparams": 'op.execute(sa.text("{on}").bindparams(x=1))',
    "bind": 'op.get_bind().execute(sa.text("{on}"))',
    "driver": 'connection = op.get_bind()\nconnection.exec_driver_sql("{on}")',
    "dedent": 'import textwrap\nop.execute(textwrap.dedent("""\n  {on}\n"""))',
    "autocommit": 'with op.get_context().autocommit_block():\n    op.execute("{on}")',
    "session": 'from sqlalchemy.orm import Session\nSession(bind=op.get_bind()).execute(sa.text("{on}"))',
    "join": 'op.execute(" ".join(["{on}".split(" ")[0], *"{on}".split(" ")[1:]]))',
    "percent": 'op.execute("ALTER TABLE %(t)s %(do)s ROW LEVEL SECURITY" % {{"t": "a", "do": "ENABLE"}})',
    "format": 'op.execute("ALTER TABLE {{t}} ENABLE ROW LEVEL SECURITY".format(t="a"))',
    "concatenation": 'op.execute("ALTER TABLE " + "a" + " ENABLE ROW LEVEL SECURITY")',
    "DDL": 'op.execute(sa.DDL("{on}"))',
    "entity": (
        "from alembic_utils.pg_policy import PGPolicy\n"
        'op.create_entity(PGPolicy("public", signature="p", on_entity="a", definition="USING (x = 1)"))\n'
        'op.execute("{on}")'
    ),
}


@pytest.mark.parametrize("route", ROUTES)
def test_sql_is_read_by_whatever_route_it_takes(route: str, tmp_path: Path) -> None:
    body = ROUTES[route].format(on="ALTER TABLE a ENABLE ROW LEVEL SECURITY")
    table = table_after(tmp_path, f"{TABLE}\n{body}")
    assert table.enabled
    assert [policy.name for policy in table.policies] == (["p"] if route == "entity" else [])


PROGRAMS = {
    "enumerate": "for i, t in enumerate(['a']):\n    on(t)",
    "zip": "for t, how in zip(('a',), ('ENABLE',)):\n    on(t, how)",
    "dict": "for t, how in {'a': 'ENABLE'}.items():\n    on(t, how)",
    "unpacking": "first, *rest = ['x', 'a']\non(*rest)",
    "keywords": "on(**{'table': 'a', 'how': 'ENABLE'})",
    "comprehension": "[on(t) for t in ['a', 'b'] if t != 'b']",
    "walrus": "if (name := 'a'):\n    on(name)",
    "while": "names = ['a']\nwhile names:\n    on(names.pop())",
    "nested function": "prefix = 'ENABLE'\ndef inner(t):\n    on(t, prefix)\ninner('a')",
    "varargs": "def each(*tables, how='ENABLE'):\n    for t in tables:\n        on(t, how)\neach('a')",
    "enum": "on(Name.A.value)",
    "members": "for name in Name:\n    on(name)",
    "class attribute": "on(Names.first)",
    "dataclass": "for spec in SPECS:\n    on(spec.table, how=spec.how)",
    "dialect": "if op.get_bind().dialect.name != 'postgresql':\n    return\non('a')",
    "boolean": "if op.get_context().as_sql or not True:\n    return\non('a')",
    "guard on tables": "if 'a' in sa.inspect(op.get_bind()).get_table_names():\n    return\non('a')",
    "guard on columns": (
        "for c in sa.inspect(op.get_bind()).get_columns('a'):\n"
        "    if c['name'] == 'x':\n        return\non('a')"
    ),
    "refusal": "if op.get_bind().scalar(sa.text('SELECT 1')):\n    raise RuntimeError('no')\non('a')",
    "try": "try:\n    on('a')\nexcept Exception:\n    op.execute('DROP TABLE a')",
    "callback": "run = lambda work: missing(work)\nrun(lambda: on('a'))",
    "break": "for t in ['a', 'b']:\n    on(t)\n    break\nelse:\n    op.execute('DROP TABLE a')",
    "default": "import os\non(os.getenv('TABLE', 'a'))",
    "counted": (
        "found = []\nfor t in ['a']:\n    if op.get_bind().scalar('SELECT 1'):\n"
        "        found.append(t)\nif found:\n    raise RuntimeError(found)\non('a')"
    ),
}
ABOVE = """
from dataclasses import dataclass
from enum import Enum

class Name(str, Enum):
    A = "a"

class Names:
    first = "a"

@dataclass
class Spec:
    table: str
    how: str = "ENABLE"

SPECS = [Spec("a", how="ENABLE")]

def on(table, how="ENABLE"):
    op.execute(f"ALTER TABLE {table} {how} ROW LEVEL SECURITY")
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_revision_may_use_as_much_of_python_as_its_text_decides(program: str, tmp_path: Path) -> None:
    tables = after(tmp_path, f"{TABLE}\n{PROGRAMS[program]}", ABOVE).tables
    assert set(tables) == {"public.a"}
    assert tables["public.a"].enabled


IMPORTS = {
    "from a module": ("from app.rls import TABLES, enable", "TABLES", "enable"),
    "by another name": ("import app.rls as security", "security.TABLES", "security.enable"),
    "by its full name": ("import app.rls", "app.rls.TABLES", "app.rls.enable"),
    "through a package": ("from app import TABLES, enable", "TABLES", "enable"),
    "with a star": ("from app.rls import *", "TABLES", "enable"),
    "a module of a package": ("from app import rls", "rls.TABLES", "rls.enable"),
}


@pytest.mark.parametrize("how", IMPORTS)
@pytest.mark.parametrize("home", ["", "src/", "versions/../"])
def test_registries_and_helpers_are_found_where_python_would(how: str, home: str, tmp_path: Path) -> None:
    above, tables, enable = IMPORTS[how]
    files = {
        f"{home}app/__init__.py": "from .rls import TABLES\nfrom app.rls import enable\n",
        f"{home}app/rls.py": (
            "from alembic import op\nBASE = {'a': 1}\nTABLES = sorted(BASE)\n"
            "def enable(table):\n    op.execute(f'ALTER TABLE {table} ENABLE ROW LEVEL SECURITY')\n"
        ),
        "versions/1.py": revision("r1", "None", f"{TABLE}\nfor t in {tables}:\n    {enable}(t)", above),
    }
    (tmp_path / "versions").mkdir()
    assert replayed(tmp_path, files).tables["public.a"].enabled


def test_an_import_cycle_ends(tmp_path: Path) -> None:
    files = {
        "app/one.py": "from app.two import B\nA = 'a'\n",
        "app/two.py": "from app.one import A\nB = A\n",
        "versions/1.py": revision("r1", "None", f"{TABLE}\nop.execute(B)", "from app.two import B"),
    }
    assert set(replayed(tmp_path, files).tables) == {"public.a"}


READS = [
    '(Path(__file__).parent / "sql" / "a.sql").read_text()',
    'Path(__file__).resolve().parent.joinpath("sql", "a.sql").read_text(encoding="utf-8")',
    'open(os.path.join(os.path.dirname(__file__), "sql", "a.sql")).read()',
    '"".join(p.read_text() for p in sorted((Path(__file__).parent / "sql").glob("*.sql")))',
]


@pytest.mark.parametrize("read", READS)
def test_sql_files_that_a_revision_reads_are_followed_below_the_root_only(read: str, tmp_path: Path) -> None:
    above = "import os\nfrom pathlib import Path"
    body = f"{TABLE}\nop.execute({read})"
    root = tmp_path / "root"
    files = {"versions/1.py": revision("r1", "None", body, above)}
    files["versions/sql/a.sql"] = "ALTER TABLE a ENABLE ROW LEVEL SECURITY;"
    assert replayed(root, files).tables["public.a"].enabled
    (tmp_path / "out.sql").write_text("DROP TABLE a;")
    outside = read.replace('"sql" / "a.sql"', '".." / ".." / "out.sql"')
    outside = outside.replace('"sql", "a.sql"', '"..", "..", "out.sql"')
    files = {"versions/1.py": revision("r1", "None", f"{TABLE}\nop.execute({outside})", above)}
    assert "public.a" in replayed(root, files).tables


def test_branches_dependencies_and_folders_decide_the_order(tmp_path: Path) -> None:
    files = {
        "core/versions/9.py": revision("base", "None", TABLE),
        "core/versions/1.py": revision("left", "'base'", 'op.execute("ALTER TABLE a ADD left_id int")'),
        "billing/versions/2.py": revision(
            "bill", "None", 'op.execute("ALTER TABLE a RENAME TO z")', "depends_on = ('left',)"
        ),
        "core/versions/0.py": revision(
            "merge", "('left', 'bill')", 'op.execute("ALTER TABLE z ENABLE ROW LEVEL SECURITY")'
        ),
    }
    tables = replayed(tmp_path, files).tables
    assert set(tables) == {"public.z"}
    assert [column.name for column in tables["public.z"].columns] == ["id", "tenant_id", "left_id"]
    assert tables["public.z"].enabled


def test_a_cycle_is_told_and_the_rest_is_replayed(lint: Lint) -> None:
    files = {
        "versions/1.py": revision("a", "'b'", "pass"),
        "versions/2.py": revision("b", "'a'", "pass"),
        "versions/3.py": revision("c", "None", TABLE),
    }
    report = lint(files)
    assert sorted(finding.rule for finding in report.findings) == ["RLS001", "RLS090"]
    assert any("cycle" in finding.message for finding in report.findings)


PLAIN = 'def sql(): return "ALTER TABLE a ENABLE"'
NEWEST = {
    "quotes reused in an f-string": 'N = {"t": "a"}\ndef sql(): return f"ALTER TABLE {N["t"]} ENABLE"',
    "a backslash in an f-string": 'def sql(): return f"ALTER TABLE a {"\\n".join(["ENABLE"])}"',
    "texts side by side": (
        'N = {"t": "a"}\ndef sql(): return (\n    "ALTER TABLE "\n    f"{N["t"]} "\n    "ENABLE"\n  )'
    ),
    "type parameters": f"def first[T](items: list[T]) -> T: return items[0]\n{PLAIN}",
    "a type statement": f"type Name = str | None\n{PLAIN}",
    "a generic class": f"class Box[T]:\n    x: T\n{PLAIN}",
    "exceptions without parentheses": (
        f"try:\n    import nothing\nexcept ImportError, ValueError:\n    pass\n{PLAIN}"
    ),
}


@pytest.mark.parametrize("syntax", NEWEST)
def test_syntax_newer_than_the_interpreter_is_read(syntax: str, tmp_path: Path) -> None:
    body = f'{TABLE}\nop.execute(sql() + " ROW LEVEL SECURITY")'
    assert table_after(tmp_path, body, NEWEST[syntax]).enabled


def test_newest_syntax_keeps_its_lines() -> None:
    tree = parsed('x = f"""\n{d["a"]}\n"""\ntype A = int\ny = (f"{d["b"]}"\n   "c")\nz = 1\n')
    assert [node.lineno for node in tree.body] == [1, 4, 5, 7]


def test_a_policy_whose_condition_is_not_known_is_a_policy_all_the_same(lint: Lint) -> None:
    body = f"{TABLE}\n{ON}\nop.execute(f'CREATE POLICY p ON a USING ({{build()}})')"
    report = lint({"versions/1.py": revision("r1", "None", body)})
    rules = [finding.rule for finding in report.findings]
    assert "RLS090" in rules
    assert "RLS003" not in rules


@pytest.mark.parametrize(
    "body",
    [
        'op.create_table(name(), sa.Column("id", sa.Integer()))',
        'op.add_column("a", column())',
        "op.create_entity(policy())",
        'op.execute("x" * 10**9)',
        'op.execute("{:>99999999}".format("x"))',
        "op.execute(str(list(range(10**9))))",
    ],
)
def test_what_is_known_only_when_it_runs_is_told(lint: Lint, body: str) -> None:
    report = lint({"versions/1.py": revision("r1", "None", body)})
    assert [finding.rule for finding in report.findings] == ["RLS090"]
