"""What migrations say and what PostgreSQL has after running them is one catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest

from lint import LintError, coverage_of, lint_catalogue, read_live, replay_paths
from lint.catalogue import Catalogue, Key, Table

CORPUS = Path(__file__).parent / "corpus" / "parity"


def migrated(dsn: str) -> Catalogue:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS parity_app")
        for path in sorted(CORPUS.glob("*.sql")):
            connection.execute(path.read_bytes())
    return read_live(dsn)


def replayed() -> Catalogue:
    (catalogue,) = replay_paths([CORPUS], root=CORPUS)
    return catalogue


def keys(table: Table) -> set[tuple[str, tuple[str, ...]]]:
    return {_kind(key) for key in table.keys}


def _kind(key: Key) -> tuple[str, tuple[str, ...]]:
    return key.kind, key.columns


def policies(table: Table) -> set[tuple[object, ...]]:
    return {
        (p.name, p.permissive, p.command, p.roles, p.using is None, p.check is None) for p in table.policies
    }


def foreign(table: Table) -> set[tuple[object, ...]]:
    return {(key.columns, key.target, key.target_columns, key.on_delete) for key in table.foreign_keys}


def columns(table: Table) -> list[tuple[str, bool]]:
    return [(column.name, column.nullable) for column in table.columns]


def whole(tables: Iterable[Table]) -> list[Table]:
    """Tables that are no partitions: a partition's keys and foreign keys are made by PostgreSQL."""
    return [table for table in tables if table.parent is None]


def test_the_replayed_history_equals_the_live_catalog(database: str) -> None:
    static, live = replayed(), migrated(database)
    assert set(static.tables) == set(live.tables)
    for name, table in static.tables.items():
        twin = live.tables[name]
        assert (table.enabled, table.forced, table.parent) == (twin.enabled, twin.forced, twin.parent), name
        assert policies(table) == policies(twin), name
        assert columns(table) == columns(twin), name
    for table in whole(static.tables.values()):
        assert keys(table) == keys(live.tables[table.qualified]), table.qualified
        assert foreign(table) == foreign(live.tables[table.qualified]), table.qualified
    assert {n: v.security_invoker for n, v in static.views.items()} == {
        n: v.security_invoker for n, v in live.views.items()
    }
    assert {(g.relation, g.privilege, g.grantee) for g in static.grants} == {
        (g.relation, g.privilege, g.grantee) for g in live.grants if g.kind == "relation"
    }


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
        "core.event": "forced",
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
