"""What migrations say and what PostgreSQL has after running them is one catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from lint import LintError, coverage_of, lint_catalogue, read_live, replay_paths
from lint.catalogue import Catalogue
from lint.history.read import replay_text
from lint.history.replay import Replay
from tests.lint.parity import differences

CORPUS = Path(__file__).parent / "corpus" / "parity"


def migrated(dsn: str) -> Catalogue:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for role in ("parity_user", "parity_group", "parity_app", "parity_owner"):
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
        for path in sorted(CORPUS.glob("*.sql")):
            connection.execute(path.read_bytes())
    return read_live(dsn)


def replayed() -> Catalogue:
    (catalogue,) = replay_paths([CORPUS], root=CORPUS)
    return catalogue


def test_the_replayed_history_equals_the_live_catalog(database: str) -> None:
    before = read_live(database)
    live, static = migrated(database), replayed()
    assert [str(one) for one in differences(static, live, before)] == []
    assert len(static.tables) > 20
    assert len(static.functions) > 8


def test_what_the_comparison_is_told_is_different_it_finds(database: str) -> None:
    before = read_live(database)
    live, static = migrated(database), replayed()
    functions = {k: replace(f, security_definer=True) for k, f in static.functions.items()}
    shelf = replace(static.tables["core.shelf"], forced=True, keys=())
    changed = replace(static, functions=functions, tables={**static.tables, "core.shelf": shelf}, grants=())
    kinds = {one.kind for one in differences(changed, live, before)}
    assert kinds == {"function rights", "table row security", "table keys", "grant"}


def test_nothing_of_the_corpus_is_left_unread(tmp_path: Path) -> None:
    replay = Replay("x")
    for path in sorted(CORPUS.glob("*.sql")):
        replay.begin_file()
        replay_text(path.read_text(), path.name, replay, {})
    assert replay.not_analysed == []


def test_the_rules_find_the_same_in_both(database: str) -> None:
    static, live = lint_catalogue(replayed()), lint_catalogue(migrated(database))
    assert [(f.rule, f.table) for f in static.findings] != []
    assert sorted((f.rule, f.table or "") for f in static.findings) == sorted(
        (f.rule, f.table or "") for f in live.findings
    )
    assert static.coverage == live.coverage


def test_coverage_is_equal_and_leaves_partitions_to_their_parent(database: str) -> None:
    coverage = coverage_of(migrated(database))
    assert coverage == coverage_of(replayed())
    assert {row.name: row.row_security for row in coverage.tables} == {
        "core.annex": "none",
        "core.annex_outside": "none",
        "core.book": "enabled",
        "core.bureau": "forced",
        "core.event": "forced",
        "core.later": "forced",
        "core.shelf": "enabled",
        "core.shelf_copy": "enabled",
        "core.shelf_plain": "enabled",
        "core.shelf_rows": "enabled",
        "core.shelf_tenants": "enabled",
        "public.invoice": "forced",
        "public.member": "enabled",
        "public.orphan": "none",
        "public.outline": "none",
    }


def test_a_login_without_rights_reads_the_same_catalogue(database: str) -> None:
    everything = migrated(database)
    assert read_live(database.replace("user=root", "user=parity_app")).tables == everything.tables


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path) -> None:
    dsn = f"host={tmp_path} dbname=core user=x password=hunter2"
    with pytest.raises(LintError, match=rf"database core on {tmp_path}") as raised:
        read_live(dsn)
    assert "hunter2" not in str(raised.value)
