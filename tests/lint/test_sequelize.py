"""Sequelize migrations are followed by what `up` does, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint import Report, replay_paths
from lint.catalogue import Catalogue
from lint.history.javascript import TooDeepError, lowered

Lint = Callable[..., Report]
TABLE = "CREATE TABLE a (id int PRIMARY KEY, tenant_id int NOT NULL)"
ON = "ALTER TABLE a ENABLE ROW LEVEL SECURITY"


def replayed(folder: Path, files: dict[str, str]) -> Catalogue:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (catalogue,) = replay_paths([folder], root=folder)
    return catalogue


def after(folder: Path, body: str, above: str = "") -> Catalogue:
    """Return the catalogue after one migration whose `up` has this body."""
    text = f"{above}\nmodule.exports = {{ async up(queryInterface, Sequelize) {{\n{body}\n}},\n"
    text += "async down(queryInterface) { await queryInterface.sequelize.query('DROP TABLE a') } }\n"
    return replayed(folder, {"migrations/1.js": text})


QUERY = f"await queryInterface.sequelize.query(`{TABLE}; {ON};`);"
EXPORTS = {
    "an object": f"module.exports = {{ up: async (queryInterface, Sequelize) => {{ {QUERY} }}, down }};",
    "a name": f"exports.up = async function (queryInterface) {{ {QUERY} }};",
    "umzug": f"export async function up({{ context: queryInterface }}: Params<QueryInterface>) {{ {QUERY} }}",
    "a constant": f"export const up: Migration = async ({{ context: queryInterface }}) => {{ {QUERY} }};",
    "the default": f"export default {{ up: (queryInterface: QueryInterface) => {{ {QUERY} }} }};",
    "shorthand": f"async function up(queryInterface) {{ {QUERY} }}\nmodule.exports = {{ up, down }};",
    "a class": (
        "export class First1 implements MigrationInterface { name = 'x';\n public async up(queryRunner: "
        f"QueryRunner) {{ await queryRunner.query(`{TABLE}`)\n await queryRunner.query('{ON}') }}\n"
        " public async down(queryRunner: QueryRunner) { await queryRunner.query('DROP TABLE a') } }"
    ),
}


@pytest.mark.parametrize("form", EXPORTS)
def test_the_way_up_is_found_however_it_is_exported(form: str, tmp_path: Path) -> None:
    assert replayed(tmp_path, {"migrations/1.ts": EXPORTS[form]}).tables["public.a"].enabled


def test_a_table_that_sequelize_makes_is_unprotected_at_its_call(lint: Lint) -> None:
    text = (
        "module.exports = {\n  up: async (queryInterface, Sequelize) => {\n"
        "    await queryInterface.createTable('invoices', {\n"
        "      id: { type: Sequelize.UUID, primaryKey: true },\n"
        "      tenantId: { type: Sequelize.UUID, field: 'tenant_id', allowNull: false },\n    });\n  },\n};\n"
    )
    report = lint({"db/migrations/1.js": text})
    assert [(f.rule, f.path, f.line, f.table) for f in report.findings] == [
        ("RLS001", "db/migrations/1.js", 3, "public.invoices")
    ]


LOOPS = {
    "for of": "for (const t of TABLES) { await q(`ALTER TABLE ${t} ENABLE ROW LEVEL SECURITY`); }",
    "forEach": "TABLES.forEach((t) => q('ALTER TABLE ' + t + ' ENABLE ROW LEVEL SECURITY'));",
    "map": "await Promise.all(TABLES.map(async (t) => { await q(`ALTER TABLE ${t} ${ON}`) }));",
    "index": "for (let i = 0; i < TABLES.length; i++) await q(`ALTER TABLE ${TABLES[i]} ${ON}`);",
    "entries": (
        "for (const [t, how] of Object.entries({ a: 'ENABLE', b: 'ENABLE' })) "
        "await q(`ALTER TABLE ${t} ${how} ROW LEVEL SECURITY`);"
    ),
    "text": "let sql = ''; TABLES.forEach(t => { sql += `ALTER TABLE ${t} ${ON};`; }); await q(sql);",
    "join": "await q(TABLES.map(t => `ALTER TABLE ${t} ENABLE ROW LEVEL SECURITY`).join(';\\n'));",
    "objects": (
        "for (const { name: t } of [{ name: 'a' }, { name: 'b' }]) "
        "await q(`ALTER TABLE ${t} ENABLE ROW LEVEL SECURITY`);"
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_loops_over_literals_are_followed(loop: str, tmp_path: Path) -> None:
    above = "const TABLES = ['a', 'b'];\nconst ON = 'ENABLE ROW LEVEL SECURITY';"
    setup = (
        "const q = (sql) => queryInterface.sequelize.query(sql);\n"
        f"await q('{TABLE}'); await q('CREATE TABLE b (tenant_id int)');\n"
    )
    tables = after(tmp_path, setup + LOOPS[loop], above).tables
    assert {name: table.enabled for name, table in tables.items()} == {"public.a": True, "public.b": True}


def test_helpers_and_registries_of_other_files_are_followed(tmp_path: Path) -> None:
    files = {
        "migrations/1.ts": (
            "import { TABLES } from '../src/tables';\nimport * as rls from '../src';\n"
            "const { comment } = require('../src/old');\n"
            "export const up = async ({ context: queryInterface }) => {\n"
            f"  await queryInterface.sequelize.query('{TABLE}');\n"
            "  for (const t of TABLES) await rls.enable(queryInterface, t);\n"
            "  await queryInterface.sequelize.query(comment('a'));\n};\n"
        ),
        "src/index.ts": "export { enable } from './rls';",
        "src/rls.ts": (
            "export async function enable(qi: QueryInterface, table: string) {\n"
            "  await qi.sequelize.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`);\n}\n"
        ),
        "src/tables.ts": "export const TABLES = ['a'] as const;",
        "src/old.js": "module.exports.comment = (t) => `ALTER TABLE ${t} FORCE ROW LEVEL SECURITY`;",
    }
    assert replayed(tmp_path, files).tables["public.a"].row_security == "forced"


def test_each_operation_of_the_query_interface_changes_the_schema(tmp_path: Path) -> None:
    body = """
    const core = { tableName: 'a', schema: 'core' };
    await queryInterface.createSchema('core');
    await queryInterface.createTable(core, {
      id: { type: Sequelize.INTEGER, primaryKey: true, autoIncrement: true },
      name: Sequelize.STRING(40),
      gone: { type: Sequelize.TEXT },
      created: { type: Sequelize.DATE, allowNull: false, defaultValue: Sequelize.literal('now()') },
    });
    await queryInterface.addColumn(core, 'org', {
      type: Sequelize.UUID, allowNull: true,
      references: { model: { tableName: 'orgs', schema: 'core' }, key: 'id' }, onDelete: 'cascade',
    });
    await queryInterface.renameColumn(core, 'org', 'org_id');
    await queryInterface.changeColumn(core, 'org_id', { type: Sequelize.UUID, allowNull: false });
    await queryInterface.removeColumn(core, 'gone');
    await queryInterface.addIndex(core, ['org_id', 'id'], { unique: true, name: 'by_org' });
    await queryInterface.addConstraint(core, { type: 'unique', fields: ['org_id', 'name'], name: 'u' });
    await queryInterface.createTable('b', { id: Sequelize.INTEGER }, { schema: 'core' });
    await queryInterface.renameTable({ tableName: 'b', schema: 'core' }, 'c');
    await queryInterface.dropTable({ tableName: 'nothing', schema: 'core' });
    """
    tables = after(tmp_path, body).tables
    assert set(tables) == {"core.a", "core.c"}
    table = tables["core.a"]
    assert [column.name for column in table.columns] == ["id", "name", "created", "org_id"]
    assert [column.nullable for column in table.columns] == [False, True, False, False]
    assert {(key.kind, key.columns) for key in table.keys} == {
        ("primary", ("id",)),
        ("unique", ("org_id", "id")),
        ("unique", ("org_id", "name")),
    }
    assert [(key.target, key.on_delete.lower()) for key in table.foreign_keys] == [("core.orgs", "cascade")]


def test_sql_that_a_migration_reads_from_a_file_is_followed(tmp_path: Path) -> None:
    text = (
        "const fs = require('fs');\nconst path = require('path');\n"
        "module.exports.up = async (queryInterface) => {\n"
        "  const sql = fs.readFileSync(path.join(__dirname, 'sql', 'a.sql'), 'utf8');\n"
        "  await queryInterface.sequelize.query(sql);\n};\n"
    )
    files = {"migrations/1.js": text, "migrations/sql/a.sql": f"{TABLE}; {ON};"}
    assert replayed(tmp_path, files).tables["public.a"].enabled


def test_the_work_inside_a_transaction_is_followed_once(tmp_path: Path) -> None:
    body = (
        "return queryInterface.sequelize.transaction(async (transaction) => {\n"
        f"  await queryInterface.sequelize.query('{TABLE}', {{ transaction }});\n"
        f"  await queryInterface.sequelize.query(`{ON}`, {{ transaction }});\n}});"
    )
    assert after(tmp_path, body).tables["public.a"].enabled


def test_steps_run_in_the_order_of_their_names_and_typescript_stands_for_its_output(tmp_path: Path) -> None:
    def step(sql: str) -> str:
        return f"exports.up = (queryInterface) => queryInterface.sequelize.query('{sql}');"

    files = {
        "migrations/2-on.js": step("SELECT 1"),
        "migrations/2-on.ts": step(ON),
        "migrations/1-a.js": step(TABLE),
        "seeders/3.js": step("DROP TABLE a"),
    }
    assert replayed(tmp_path, files).tables["public.a"].enabled


def test_a_guard_that_only_the_database_decides_stops_nothing(tmp_path: Path) -> None:
    body = (
        "const tables = await queryInterface.showAllTables();\n"
        "if (tables.includes('a')) return;\n"
        "const info = await queryInterface.describeTable('a').catch(() => null);\n"
        f"if (!info) {{ await queryInterface.sequelize.query('{TABLE}'); }}\n"
        f"try {{ await queryInterface.sequelize.query('{ON}'); }} catch (e) {{ throw e; }}"
    )
    assert after(tmp_path, body).tables["public.a"].enabled


@pytest.mark.parametrize(
    "body",
    [
        "await queryInterface.sequelize.query(await build());",
        "for (const t of await names()) await queryInterface.sequelize.query(`ALTER TABLE ${t} ADD x int`);",
        "await queryInterface.createTable(process.env.NAME, { id: Sequelize.INTEGER });",
        "let i = 0; while (i < 1) { let j = 0; while (j < 1) { let k = 0; while (k < 1) { i = 0; } } }",
        "function f() { return f(); } f();",
        "throw new Error('never');",
    ],
)
def test_what_only_the_program_knows_is_told_once(lint: Lint, body: str) -> None:
    text = f"module.exports = {{ up: async (queryInterface, Sequelize) => {{ {body} }} }};"
    assert [finding.rule for finding in lint({"migrations/1.js": text}).findings] == ["RLS090"]


def test_a_program_that_is_no_migration_is_none(tmp_path: Path) -> None:
    (tmp_path / "service.ts").write_text(
        "export class S { run() { return this.sequelize.query('DROP TABLE a') } setup() {} }"
    )
    assert replay_paths([tmp_path], root=tmp_path) == []


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=2000)
def test_arbitrary_text_never_crashes_the_lowering(text: str) -> None:
    lowered(text.encode(), ".ts")
    lowered(f"module.exports = {{ up: async (q) => {{ {text} }} }}".encode(), ".js")


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(TooDeepError):
        lowered(("[" * 5000 + "]" * 5000).encode(), ".js")
