"""Migrations that run tagged templates and raw text, and folders of migrations that nothing reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lint import Report, lint_paths, replay_paths
from lint.catalogue import Catalogue
from lint.files import gather

Lint = Callable[..., Report]
TABLE = "CREATE TABLE shop.orders (id int PRIMARY KEY, tenant_id int NOT NULL)"
ON = "ENABLE ROW LEVEL SECURITY"


def replayed(folder: Path, files: Mapping[str, str]) -> Catalogue:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (catalogue,) = replay_paths([folder], root=folder)
    return catalogue


def enabled(catalogue: Catalogue) -> list[str]:
    return [name for name, table in catalogue.tables.items() if table.enabled]


def sections(text: str) -> dict[str, str]:
    """Return programs by title; `<TABLE>` and `<ON>` in them are SQL, `<EACH>` a loop over two tables."""
    words = {"<TABLE>": TABLE, "<ON>": ON, "<EACH>": "for (const t of ['orders', 'lines'])"}
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    parts = (part.partition("\n") for part in text.split("### ")[1:])
    return {title: program for title, _, program in parts}


TOOLS = sections("""
### slonik, returned
export default { name: '1.sql', run: ({ sql }) => sql`<TABLE>;
  ALTER TABLE shop.orders <ON>;` } satisfies Step;
### slonik, on the connection (both)
import { sql } from 'slonik';
export default { name: 'x', run: async ({ connection }) => {
  <EACH> { await connection.query(sql.unsafe`ALTER TABLE shop.${sql.identifier([t])} <ON>`); }
} };
### slonik, typed
import { sql } from 'slonik';
export const run = async ({ connection }) => {
  await connection.query(sql.type(z.object({}))`ALTER TABLE shop.orders <ON>`);
};
### slonik, named steps
export default { run: ({ sql }) => [
  { name: 'a', query: sql`<TABLE>` },
  { name: 'b', query: sql.unsafe`ALTER TABLE shop.orders <ON>` },
] };
### slonik, fragments
import { sql } from 'slonik';
const on = sql.fragment`<ON>`;
export const up = (pool) => pool.transaction(async (tx) => {
  await tx.query(sql.unsafe`ALTER TABLE ${sql.identifier(['shop', 'orders'])} ${on}`);
});
### postgres.js (both)
export async function up(sql) {
  await sql.begin(async (tx) => {
    await tx`<TABLE>`;
    <EACH> await tx`ALTER TABLE ${sql('shop.' + t)} ENABLE ROW LEVEL SECURITY`;
  });
}
### postgres.js, unsafe (both)
import sql from '../db';
export async function migrate() {
  <EACH> await sql.unsafe(`ALTER TABLE shop.${t} <ON>`);
}
### a driver without a tag (both)
export async function up(client) {
  <EACH> await client.query(`ALTER TABLE shop.${t} <ON>`);
}
### vercel
import { sql } from '@vercel/postgres';
export async function up() {
  await sql`ALTER TABLE shop.orders <ON>`;
}
### kysely (both)
import { Kysely, sql } from 'kysely';
export async function up(db: Kysely<any>): Promise<void> {
  <EACH> { await sql`ALTER TABLE ${sql.table(`shop.${t}`)} <ON>`.execute(db); }
}
### kysely, raw in a transaction
import { sql } from 'kysely';
export const up = (db) => db.transaction().execute(async (trx) => {
  await sql.raw('ALTER TABLE shop.orders <ON>').execute(trx);
});
### drizzle
import { sql } from 'drizzle-orm';
export async function up(db) {
  await db.execute(sql`ALTER TABLE shop.${sql.identifier('orders')} <ON>`);
}
### prisma (both)
export async function up(prisma) {
  await prisma.$executeRawUnsafe('ALTER TABLE shop.orders <ON>');
  await prisma.$executeRaw`ALTER TABLE shop.lines <ON>`;
}
### knex (both)
exports.up = async function (knex) {
  await knex.raw('<TABLE>');
  <EACH> { await knex.raw('ALTER TABLE ??.?? <ON>', ['shop', t]); }
};
### knex, returned
exports.up = (knex) => knex.schema.raw('<TABLE>').raw('ALTER TABLE shop.orders <ON>');
### knex, one after the other
exports.up = (knex) => knex.raw('<TABLE>')
  .then(() => knex.raw('ALTER TABLE :t: <ON>', { t: 'shop.orders' }));
### knex, all at once
exports.up = (knex) => Promise.all(['orders'].map((t) => knex.raw(`ALTER TABLE shop.${t} <ON>`)));
### node-pg-migrate
exports.up = (pgm) => { pgm.sql('<TABLE>'); pgm.sql(`ALTER TABLE shop.orders <ON>`); };
### MikroORM
export class M1 extends Migration {
  async up(): Promise<void> { this.addSql(`ALTER TABLE shop.orders <ON>;`); }
}
### TypeORM, by any name
export class M1 implements MigrationInterface {
  async up(q: QueryRunner) { await q.query(`ALTER TABLE shop.orders <ON>`); }
}
### Sequelize, by any name
import { QueryInterface } from 'sequelize';
export async function up(qi: QueryInterface) { await qi.sequelize.query('ALTER TABLE shop.orders <ON>'); }
### text as the way up
export const up = `<TABLE>; ALTER TABLE shop.orders <ON>;`;
export const down = sql`x`;
### a tag that only marks
const sql = String.raw;
export const up = (db) => db.query(sql`ALTER TABLE ${'shop.orders'} <ON>`);
### a wrapper around it all
export default createMigration({ async up(db) { await db.query('ALTER TABLE shop.orders <ON>'); } });
""")


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_migration_runs_is_read_whatever_tool_it_is_written_for(tool: str, tmp_path: Path) -> None:
    found = replayed(tmp_path, {"db/migrations/001_on.ts": TOOLS[tool]})
    assert enabled(found) == ["shop.orders", "shop.lines"][: 2 if tool.endswith("(both)") else 1]


NOT_RUN = sections("""
### made and thrown away
export async function up(sql) { sql`ALTER TABLE shop.orders <ON>`; }
### the way down
export const up = (db) => db.query(`<TABLE>`);
export const down = (db) => db.query('ALTER TABLE shop.orders <ON>');
### another tag
export const up = (db) => { gql`ALTER TABLE shop.orders <ON>`; return db.query('<TABLE>'); };
### another dialect of Sequelize
exports.up = async (q) => {
  if (q.sequelize.getDialect() === 'sqlite') await q.query('ALTER TABLE shop.orders <ON>');
  else await q.query('<TABLE>');
};
### another client of Knex
exports.up = async (knex) => {
  if (knex.client.config.client !== 'postgresql') return knex.raw('ALTER TABLE shop.orders <ON>');
  await knex.raw('<TABLE>');
};
""")


@pytest.mark.parametrize("case", NOT_RUN)
def test_what_no_migration_runs_changes_nothing(case: str, tmp_path: Path) -> None:
    assert enabled(replayed(tmp_path, {"migrations/001_on.ts": f"// {TABLE}\n{NOT_RUN[case]}"})) == []


def test_a_finding_stands_in_the_line_of_the_template(lint: Lint) -> None:
    text = f"export default {{\n  run: ({{ sql }}) => sql`\n    SELECT 1;\n    {TABLE};\n  `,\n}};\n"
    report = lint({"migrations/2024-01-01T10-00.first.ts": text})
    assert [(f.rule, f.line, f.column) for f in report.findings] == [("RLS001", 4, 5)]


def test_a_value_in_a_template_is_bound_and_only_a_name_is_one(tmp_path: Path) -> None:
    text = (
        "export async function up(sql) {\n const table = 'orders';\n const org = \"o'x\";\n"
        " await sql`CREATE POLICY p ON shop.${sql(table)} USING (org = ${org})`;\n}"
    )
    (policy,) = replayed(tmp_path, {"migrations/1_a.ts": text}).tables["shop.orders"].policies
    assert policy.using == "org = 'o''x'"


def test_what_only_a_run_knows_is_told(lint: Lint) -> None:
    text = "exports.up = async (knex) => {{ await knex.raw({}); await knex.raw('{}'); }};"
    report = lint({"migrations/1_a.js": text.format("process.env.SQL", TABLE)})
    assert [f.rule for f in report.findings] == ["RLS090", "RLS001"]


def test_a_schema_builder_that_is_not_followed_is_told_at_its_call(lint: Lint) -> None:
    builders = {
        "knex/migrations/1_a.js": "exports.up = async (knex) => {\n"
        " await knex.schema.createTable('orders', (t) => { t.uuid('tenant_id'); });\n"
        " await knex.raw('DROP TABLE gone');\n};",
        "kysely/migrations/1_a.ts": "export async function up(db) {\n"
        " await db.schema.createTable('orders').addColumn('tenant_id', 'uuid').execute();\n"
        " await sql`DROP TABLE gone`.execute(db);\n}",
        "pg/migrations/1_a.js": "exports.up = (pgm) => {\n"
        " pgm.createTable('orders', { tenant_id: 'uuid' });\n pgm.sql('DROP TABLE gone');\n};",
    }
    found = [(one.rule, one.path, one.line) for one in lint(builders).findings]
    assert found == [("RLS090", name, 2) for name in sorted(builders)]


def test_without_a_transaction_a_table_is_closed_before_its_policy(lint: Lint) -> None:
    files = {
        "migrations/1_a.ts": f"export default {{ run: ({{ sql }}) => sql`{TABLE}` }};",
        "migrations/2_b.ts": "export default { noTransaction: true, run: ({ sql }) => sql`\n"
        f"ALTER TABLE shop.orders {ON};\n"
        "CREATE POLICY p ON shop.orders USING (tenant_id = current_setting('app.t')::int);` };",
    }
    assert "RLS042" in {finding.rule for finding in lint(files).findings}
    files["migrations/2_b.ts"] = files["migrations/2_b.ts"].replace("noTransaction: true, ", "")
    assert "RLS042" not in {finding.rule for finding in lint(files).findings}


STEP = "export default {{ run: ({{ sql }}) => sql`{};` }};"
STEPS = {
    "src/actions/2024-01-01T10-00.make.ts": STEP.format(TABLE),
    "src/actions/2024-01-02T10-00.off.ts": STEP.format("ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY"),
    "src/actions/2024-01-02T10-00.on.ts": STEP.format(f"ALTER TABLE shop.orders {ON}"),
}
RUNNERS = sections("""
### its list
import make from './actions/2024-01-01T10-00.make.js';
import off from './actions/2024-01-02T10-00.off.js';
import on from './actions/2024-01-02T10-00.on.js';
export const STEPS = [make, on, off];
### its imports
const { run: one } = require('./actions/2024-01-01T10-00.make');
const { run: two } = require('./actions/2024-01-02T10-00.on');
const { run: last } = require('./actions/2024-01-02T10-00.off');
module.exports = {};
""")


def test_without_a_runner_the_names_are_the_order(tmp_path: Path) -> None:
    assert enabled(replayed(tmp_path, STEPS)) == ["shop.orders"]


@pytest.mark.parametrize("how", RUNNERS)
def test_a_runner_of_the_project_tells_the_order(how: str, tmp_path: Path) -> None:
    assert enabled(replayed(tmp_path, {**STEPS, "src/runner.ts": RUNNERS[how]})) == []


def test_a_runner_beside_its_migrations_is_no_migration(tmp_path: Path) -> None:
    runner = (
        "import * as one from './1_a';\nimport * as two from './2_b';\n"
        "export async function migrate(db) { await db.query('CREATE TABLE done (name text)');\n"
        " for (const step of [one, two]) await step.up(db); }\n"
    )
    files = {
        "migrations/1_a.ts": f"export const up = (db) => db.query('{TABLE}');",
        "migrations/2_b.ts": f"export const up = (db) => db.query('ALTER TABLE shop.orders {ON}');",
        "migrations/index.ts": runner,
    }
    found = replayed(tmp_path, files)
    assert list(found.tables) == enabled(found) == ["shop.orders"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/orders.ts", f"export const run = (db) => db.query('{TABLE}');"),
        ("migrations/1_rows.ts", "export const up = (db) => db.query('UPDATE a SET b = 1');"),
        ("migrations/1_a.ts", "export const other = (db) => db.query('SELECT 1');"),
    ],
    ids=["no name of a migration", "rows and no schema", "no way up"],
)
def test_code_that_is_no_migration_is_no_history(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert gather([tmp_path], tmp_path, ()).scripts == {}


UNREAD = {
    "Django": (
        "shop/migrations/0001_initial.py",
        "operations = [migrations.CreateModel(name='Order', fields=[])]",
    ),
    "yoyo": ("migrations/0001.first.py", f"steps = [step('{TABLE}')]"),
    "a builder alone": (
        "db/migrations/20240101_a.js",
        "exports.up = (k) => k.schema.createTable('a', () => 1);",
    ),
    "a language of its own": ("db/migrations/20240101_a.ts", f"export default defineStep('{TABLE}');"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_folder_of_migrations_that_nothing_reads_is_told(kind: str, lint: Lint) -> None:
    name, text = UNREAD[kind]
    (finding,) = lint({name: text, name.replace("1", "2", 1): text}).findings
    folder = name.rpartition("/")[0]
    assert (finding.rule, finding.path) == ("RLS090", name)
    assert f"2 migrations of {folder}/ change the schema and nothing of them was read" in finding.message
    assert ("Alembic" if name.endswith(".py") else "sql") in finding.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shop/migrations/0001_initial.py", "operations = []"),
        ("shop/2024_report.py", f"QUERY = '{TABLE}'"),
        ("migrations/1_a.ts", f"export const up = (db) => db.query('{TABLE} PARTITION BY LIST (id)');"),
        (
            "migrations/001_a.py",
            "revision = 'a'\ndown_revision = None\ndef upgrade():\n    op.execute('DROP TABLE a')",
        ),
    ],
    ids=["defines nothing", "no folder of migrations", "read as a script", "read as a revision"],
)
def test_what_is_read_or_defines_nothing_is_not_told(name: str, text: str, lint: Lint) -> None:
    assert "RLS090" not in {finding.rule for finding in lint({name: text}).findings}


def test_the_folder_of_migrations_itself_is_told_when_it_is_what_is_linted(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_rows.py").write_text("operations = [migrations.RunPython(enable_row_security)]")
    report = lint_paths([folder], root=folder)
    assert [(finding.rule, finding.path) for finding in report.findings] == [("RLS090", "0001_rows.py")]


def test_a_history_of_which_no_statement_was_read_is_told(lint: Lint) -> None:
    text = "revision = 'a'\ndown_revision = None\ndef upgrade():\n    helper('CREATE TABLE a (org_id int)')\n"
    assert [f.rule for f in lint({"versions/1_a.py": text}).findings] == ["RLS090"]


def test_a_program_beside_the_migrations_is_not_missed(lint: Lint) -> None:
    """A runner has no way up of its own; a numbered file without one is told."""
    runner = (
        "import { step } from './step';\nexport const all = { run: 1 };\ndb.query('CREATE TABLE a ()');\n"
    )
    assert lint({"migrations/runner.ts": runner}).findings == ()
    assert [f.rule for f in lint({"migrations/1_a.ts": runner}).findings] == ["RLS090"]


def test_a_table_that_a_builder_drops_by_its_name_is_gone(tmp_path: Path) -> None:
    up = "exports.up = async (knex) => {{\n  await knex.raw(`{}`);\n}};\n"
    gone = up.format("SELECT 1").replace("};", "  await knex.schema.dropTableIfExists('orders');\n};")
    made = up.format("CREATE TABLE orders (id int); CREATE TABLE kept (id int)")
    catalogue = replayed(tmp_path, {"migrations/20240101_a.js": made, "migrations/20240102_b.js": gone})
    assert [*catalogue.tables] == ["public.kept"]
