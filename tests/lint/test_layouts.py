"""Each migration tool's layout is replayed as that tool would apply it, and nothing else is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lint import Report, lint_paths, replay_paths
from lint.catalogue import Catalogue
from lint.files import Corpus, gather
from lint.history.sections import way_up

Lint = Callable[..., Report]
TABLE = "CREATE TABLE a (id int PRIMARY KEY, tenant_id int NOT NULL);"
ON = "ALTER TABLE a ENABLE ROW LEVEL SECURITY;"
OFF = "ALTER TABLE a DISABLE ROW LEVEL SECURITY;"
OTHER = "CREATE TABLE b (id int PRIMARY KEY);"


def corpus(folder: Path, files: dict[str, str | bytes], *named: str) -> Corpus:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return gather([folder / name for name in named] or [folder], folder, ())


def order(folder: Path, files: dict[str, str | bytes], *named: str) -> dict[str, list[str]]:
    found = corpus(folder, files, *named).histories
    return {name: [file.path.removeprefix(f"{name}/") for file in group] for name, group in found.items()}


def catalogues(folder: Path, files: dict[str, str | bytes]) -> list[Catalogue]:
    corpus(folder, files)
    return replay_paths([folder], root=folder)


def enabled(folder: Path, files: dict[str, str | bytes]) -> bool:
    (catalogue,) = catalogues(folder, files)
    return catalogue.tables["public.a"].enabled


LAYOUTS = {
    "numbered files": ["db/migrations/2_on.sql", "db/migrations/10_off.sql"],
    "up and down pairs": ["m/001_on.up.sql", "m/002_off.up.sql"],
    "a folder for each step": ["migrations/2024-01-01-1_on/up.sql", "migrations/2024-01-02-1_off/up.sql"],
    "Prisma": ["prisma/migrations/2024_on/migration.sql", "prisma/migrations/2025_off/migration.sql"],
    "Supabase": ["supabase/migrations/20240101_on.sql", "supabase/migrations/20240201_off.sql"],
    "Hasura": ["migrations/default/1_on/up.sql", "migrations/default/2_off/up.sql"],
    "Flyway": ["db/migration/V1.2__on.sql", "db/migration/V1_10__off.sql"],
    "graphile-migrate": ["migrations/committed/000001.sql", "migrations/current.sql"],
    "folders for years": ["migrations/2024/01_on.sql", "migrations/2025/01_off.sql"],
    "db-migrate": ["migrations/sqls/1-on-up.sql", "migrations/sqls/2-off-up.sql"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_one_history_in_the_order_of_its_tool(layout: str, tmp_path: Path) -> None:
    first, second = LAYOUTS[layout]
    assert enabled(tmp_path / "on", {first: TABLE, second: ON})
    assert not enabled(tmp_path / "off", {first: TABLE + ON, second: OFF})


def test_what_drizzle_has_not_in_its_journal_is_not_applied(tmp_path: Path) -> None:
    entries = [{"idx": 1, "tag": "0000_b"}, {"idx": 0, "tag": "0001_a"}]
    files: dict[str, str | bytes] = {
        "drizzle/meta/_journal.json": json.dumps({"entries": entries}),
        "drizzle/0000_b.sql": ON,
        "drizzle/0001_a.sql": TABLE,
        "drizzle/0002_by_hand.sql": OFF,
    }
    found = corpus(tmp_path, files)
    assert [file.location.stem for file in found.histories["drizzle"]] == ["0001_a", "0000_b"]
    assert any("0002_by_hand.sql not replayed" in note and "journal" in note for note in found.notes)


@pytest.mark.parametrize("journal", ["", "[]", '{"entries": 1}', '{"entries": [{"idx": "x", "tag": 1}]}'])
def test_a_journal_that_says_nothing_leaves_the_order_of_names(tmp_path: Path, journal: str) -> None:
    files: dict[str, str | bytes] = {
        "drizzle/meta/_journal.json": journal,
        "drizzle/0000_b.sql": TABLE,
        "drizzle/0001_a.sql": ON,
    }
    assert order(tmp_path, files) == {"drizzle": ["0000_b.sql", "0001_a.sql"]}


def test_flyway_compares_versions_and_runs_repeatable_scripts_last(tmp_path: Path) -> None:
    names = ["R__policies", "V2__b", "V1.10__d", "V1_9__c", "U2__undo", "B1__base", "V1__a", "helper"]
    files: dict[str, str | bytes] = {f"db/migration/{name}.sql": TABLE for name in names}
    assert order(tmp_path, files)["db/migration"] == [
        "V1__a.sql",
        "V1_9__c.sql",
        "V1.10__d.sql",
        "V2__b.sql",
        "R__policies.sql",
    ]


def test_a_flyway_baseline_stands_for_the_versions_that_are_gone(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"db/migration/V7__b.sql": ON, "db/migration/B6__a.sql": TABLE}
    assert order(tmp_path, files)["db/migration"] == ["B6__a.sql", "V7__b.sql"]


def test_sqitch_follows_its_plan(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "sqitch.plan": "%syntax-version=1.0.0\n\nzeta 2024-01-01 x\nalpha [zeta] 2024-01-02 x\n@v1\n",
        "deploy/alpha.sql": ON,
        "deploy/zeta.sql": TABLE,
        "deploy/draft.sql": OFF,
        "revert/zeta.sql": "DROP TABLE a;",
    }
    assert order(tmp_path, files) == {"deploy": ["zeta.sql", "alpha.sql"]}


def test_an_extension_is_its_newest_install_script_and_later_updates(tmp_path: Path) -> None:
    names = ["x--1.0", "x--1.0--1.1", "x--2.0", "x--2.0--2.1", "x--2.1--2.2", "x--10.0--10.1"]
    files: dict[str, str | bytes] = {f"{name}.sql": TABLE for name in names}
    assert order(tmp_path, files)["."][:3] == ["x--2.0.sql", "x--2.0--2.1.sql", "x--2.1--2.2.sql"]


def test_an_atlas_checkpoint_does_not_tell_the_schema_again(tmp_path: Path) -> None:
    checkpoint = "-- atlas:checkpoint\n\n" + TABLE
    files: dict[str, str | bytes] = {
        "migrations/1.sql": TABLE + ON,
        "migrations/2_checkpoint.sql": checkpoint,
    }
    assert order(tmp_path, files) == {"migrations": ["1.sql"]}


def test_supabase_passes_over_files_without_a_timestamp(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "supabase/migrations/20240101_a.sql": TABLE + ON,
        "supabase/migrations/notes.sql": OFF,
        "supabase/seed.sql": "INSERT INTO a VALUES (1, 1); DROP TABLE a;",
        "supabase/tests/a.sql": "DROP TABLE a;",
    }
    assert order(tmp_path, files) == {"supabase/migrations": ["20240101_a.sql"]}


STAMPED = {
    "supabase/migrations/20240101000000-0f0e.sql": TABLE,
    "supabase/migrations/20240102000000_on.sql": ON,
    "supabase/migrations/notes.sql": OFF,
}


@pytest.mark.parametrize("named", [(), ("supabase/migrations",)], ids=["the tree", "the folder"])
def test_supabase_files_that_applied_ones_alter_were_applied(tmp_path: Path, named: tuple[str, ...]) -> None:
    found = corpus(tmp_path, dict(STAMPED), *named)
    assert [[file.location.name[:8] for file in group] for group in found.histories.values()] == [
        ["20240101", "20240102"]
    ]
    assert any("1 file is not named" in note and "replayed all the same" in note for note in found.notes)


def test_supabase_files_that_nothing_asks_for_stay_out(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "supabase/migrations/20240101000000-0f0e.sql": OTHER,
        "supabase/migrations/20240102000000_on.sql": TABLE + ON,
    }
    assert order(tmp_path, files) == {"supabase/migrations": ["20240102000000_on.sql"]}
    assert list(order(tmp_path, files, "supabase/migrations").values()) == [["20240102000000_on.sql"]]


def test_a_stray_file_beside_golang_migrates_is_none_of_its(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        **{f"m/{number}_x.{way}.sql": TABLE for number in range(1, 6) for way in ("up", "down")},
        "m/3_policies.sql": ON,
    }
    assert "3_policies.sql" not in order(tmp_path, files)["m"]
    assert any(
        "3_policies.sql not replayed: golang-migrate" in note for note in corpus(tmp_path, files).notes
    )


def test_a_folder_that_copies_another_folders_migrations_is_told_once(tmp_path: Path) -> None:
    other = OTHER + "-- a comment that only one of the two has"
    files: dict[str, str | bytes] = {
        "sqls/01_first.sql": TABLE,
        "sqls/02_second.sql": other,
        "supabase/migrations/20240101000000_first.sql": TABLE,
        "supabase/migrations/20240102000000_second.sql": OTHER,
    }
    assert list(order(tmp_path, files)) == ["supabase/migrations"]
    files["sqls/02_second.sql"] = "CREATE TABLE c (id int);"
    assert len(order(tmp_path, files)) == 2


@pytest.mark.parametrize(
    "dump", ["db/schema.sql", "db/structure.sql", "db/migrations/dump.sql", "db/schema/tables.sql"]
)
def test_a_dump_beside_the_migrations_is_the_same_database(tmp_path: Path, dump: str) -> None:
    files: dict[str, str | bytes] = {"db/migrations/1.sql": TABLE, "db/migrations/2.sql": ON, dump: TABLE}
    found = corpus(tmp_path, files)
    assert list(found.histories) == ["db/migrations"]
    assert [file.location.name for file in found.histories["db/migrations"]] == ["1.sql", "2.sql"]
    assert any("tells the same schema" in note for note in found.notes)


def test_a_dump_alone_is_the_schema(lint: Lint) -> None:
    assert [finding.rule for finding in lint({"db/schema.sql": TABLE}).findings] == ["RLS001"]


def test_a_baseline_that_the_steps_build_on_comes_first(tmp_path: Path) -> None:
    assert order(tmp_path, {"sql/schema.sql": TABLE, "sql/001_on.sql": ON}) == {
        "sql": ["schema.sql", "001_on.sql"]
    }


@pytest.mark.parametrize(
    "folder", ["migrations-future", "rollback", "archive", "docs", "examples", "seeds", "fixtures", "mysql"]
)
def test_what_is_not_applied_is_left_out_with_a_note_unless_named(tmp_path: Path, folder: str) -> None:
    files: dict[str, str | bytes] = {f"db/{folder}/1.sql": TABLE, "db/migrations/1.sql": OTHER}
    found = corpus(tmp_path, files)
    assert list(found.histories) == ["db/migrations"]
    assert [note for note in found.notes if f"({folder}/)" in note]
    assert list(order(tmp_path, files, f"db/{folder}")) == [f"db/{folder}"]
    assert list(order(tmp_path, files, f"db/{folder}/1.sql")) == [f"db/{folder}"]


def test_queries_and_pgtap_tests_are_no_schema(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "queries/users.sql": "SELECT * FROM a; -- grant revoke",
        "checks/a.sql": "BEGIN; SELECT plan(1); CREATE TABLE x (tenant_id int); SELECT * FROM finish();",
        "migrations/1.sql": TABLE,
    }
    found = corpus(tmp_path, files)
    assert list(found.histories) == ["migrations"]
    assert [file.path for file in found.queries] == ["queries/users.sql"]


def test_databases_of_one_repository_stay_apart(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "migrations/tenant/0001.sql": TABLE,
        "migrations/admin/0001.sql": OTHER,
        "apps/x/supabase/migrations/1_a.sql": TABLE,
    }
    assert list(order(tmp_path, files)) == [
        "apps/x/supabase/migrations",
        "migrations/admin",
        "migrations/tenant",
    ]


def test_parts_of_a_declared_schema_are_one_database(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"schema/tables/a.sql": TABLE, "schema/policies/a.sql": ON}
    assert enabled(tmp_path, files)


def test_a_file_named_for_what_it_undoes_needs_what_it_undoes(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "m/1_a.sql": TABLE,
        "m/1_a_down.sql": "DROP TABLE a;",
        "m/2_add_step_down.sql": "ALTER TABLE a ADD step_down int;",
        "m/3_rollback_tenancy.sql": OFF,
    }
    assert order(tmp_path, files)["m"] == ["1_a.sql", "2_add_step_down.sql", "3_rollback_tenancy.sql"]


DOWN_SECTIONS = [
    "-- migrate:up\n{up}\n-- migrate:down\n{down}",
    "-- +goose Up\n-- +goose StatementBegin\n{up}\n-- +goose StatementEnd\n-- +goose Down\n{down}",
    "-- +migrate Up\n{up}\n-- +migrate Down\n{down}",
    "-- Up Migration\n{up}\n-- Down Migration\n{down}",
    "{up}\n\n---- create above / drop below ----\n\n{down}",
    "{up}\n-- //@UNDO\n{down}",
    "-- Up\n{up}\n-- Down\n{down}",
    "-- +goose Down\n{down}\n-- +goose Up\n{up}",
    "--liquibase formatted sql\n--changeset a:1 dbms:mysql\n{down}\n--changeset a:2\n{up}\n--rollback {down}",
]


@pytest.mark.parametrize("text", DOWN_SECTIONS)
def test_the_way_down_in_a_file_is_blanked_line_for_line(text: str) -> None:
    whole = text.format(up="CREATE TABLE a ();", down="DROP TABLE a;")
    up = way_up(whole)
    assert up.count("\n") == whole.count("\n")
    assert len(up) == len(whole)
    assert "CREATE TABLE a ();" in up
    assert "DROP" not in "\n".join(line for line in up.splitlines() if not line.startswith("--rollback"))


def test_a_comment_about_going_up_or_down_is_no_section() -> None:
    text = "-- down the road we drop b\nCREATE TABLE a ();\n-- upstream\n"
    assert way_up(text) == text


def test_only_code_that_people_write_is_gathered(tmp_path: Path) -> None:
    kept = ["src/a.ts", "src/b.tsx", "src/c.mjs", "src/d.cts", "src/e.jsx", "src/f.py"]
    left = ["src/a.d.ts", "src/a.min.js", "src/a.test.ts", "src/generated/client.ts", ".next/a.js"]
    left += ["coverage/a.js", "vendor/a.ts", ".turbo/a.js", "node_modules/x/a.js", "dist/a.js"]
    found = corpus(tmp_path, dict.fromkeys([*kept, *left], "export {}"))
    assert [file.path for file in found.sources] == kept
    assert [file.path for file in found.typescript()] == kept[:-1]


def test_a_bundle_is_noted_and_not_read(tmp_path: Path) -> None:
    found = corpus(tmp_path, {"app.js": "x" * (2 * 1024 * 1024 + 1), "b.js": "x\n" * 2**20 + "y"})
    assert [file.path for file in found.sources] == ["b.js"]
    assert [note.split(":")[0] for note in found.notes] == ["app.js"]


def test_a_loop_of_links_a_pipe_and_a_locked_folder_end_no_run(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "loop").symlink_to(tmp_path)
    (tmp_path / "m" / "gone.sql").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "m" / "2.sql")
    (tmp_path / "m" / "1.sql").write_text(TABLE)
    report = lint_paths([tmp_path], root=tmp_path)
    assert sorted((f.rule, f.path) for f in report.findings) == [
        ("RLS001", "m/1.sql"),
        ("RLS090", "m/2.sql"),
        ("RLS090", "m/gone.sql"),
    ]


def test_revisions_of_two_folders_that_name_each_other_are_one_graph(tmp_path: Path) -> None:
    def text(name: str, before: str) -> str:
        return f"revision: str = '{name}'\ndown_revision = {before}\n"

    files: dict[str, str | bytes] = {
        "core/versions/1.py": text("a", "None"),
        "billing/versions/2.py": text("b", "None") + "depends_on = ('a',)\n",
        "other/versions/3.py": text("c", "None"),
    }
    graphs = corpus(tmp_path, files).revisions
    assert {name: len(group) for name, group in graphs.items()} == {
        "billing/versions": 2,
        "other/versions": 1,
    }


def test_sql_that_a_revision_reads_is_not_a_history_of_its_own(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "alembic/versions/1.py": "revision = 'a'\ndown_revision = None\nSQL = 'tables.sql'\n",
        "alembic/sql/tables.sql": TABLE,
    }
    assert corpus(tmp_path, files).histories == {}


def test_a_django_migration_is_no_revision(tmp_path: Path) -> None:
    text = "from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = []\n"
    found = corpus(tmp_path, {"app/migrations/0001_initial.py": text})
    assert (found.revisions, found.histories, found.notes) == ({}, {}, [])


LENGTHS = {
    "Supabase compares names": [
        "supabase/migrations/20260417000000_b.sql",
        "supabase/migrations/20260616_c.sql",
        "supabase/migrations/2026_07_02_d.sql",
    ],
    "dates of any spelling": [
        "db/migrations/001_a.sql",
        "db/migrations/20260417000000_b.sql",
        "db/migrations/20260616_c.sql",
        "db/migrations/2026_07_02_d.sql",
    ],
    "dates of folders": ["db/migrations/20260417000000_b/up.sql", "db/migrations/20260616_c/up.sql"],
    "Prisma compares names": ["prisma/migrations/10_b/migration.sql", "prisma/migrations/9_a/migration.sql"],
    "dbmate compares names": ["db/dbmate/10_b.sql", "db/dbmate/9_a.sql"],
    "goose compares numbers": ["db/goose/20260616_c.sql", "db/goose/20260417000000_b.sql"],
    "golang-migrate compares numbers": ["m/20260616_c.up.sql", "m/20260417000000_b.up.sql"],
    "Flyway compares numbers": ["f/V20260616__c.sql", "f/V20260417000000__b.sql"],
    "numbers count": ["db/migrations/9_a.sql", "db/migrations/10_b.sql"],
}
SECTIONS = {"dbmate": "-- migrate:up\n", "goose": "-- +goose Up\n"}


@pytest.mark.parametrize("layout", LENGTHS)
def test_versions_of_several_lengths_are_ordered_as_the_tool_does(layout: str, tmp_path: Path) -> None:
    """A date sorts as text where a tool compares names, and as a number where it compares numbers."""
    expected = LENGTHS[layout]
    start = SECTIONS.get(layout.partition(" ")[0], "")
    files: dict[str, str | bytes] = dict.fromkeys(sorted(expected, key=len), start + TABLE)
    ((folder, found),) = order(tmp_path, files).items()
    assert [f"{folder}/{name}" for name in found] == expected
