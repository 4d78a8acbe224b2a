"""The platform's own migrations: what the lint replays is what PostgreSQL has after running them."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from core_platform.schema.migrate import RoleCredentials, upgrade
from core_platform.tenancy import SealKey
from lint import LintConfig, coverage_of, lint_catalogue, read_live, replay_paths
from lint.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "core_platform" / "schema" / "migrations"


@pytest.fixture
def live(database: str) -> Catalogue:
    parts = conninfo_to_dict(database)
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
    upgrade(url, credentials=RoleCredentials(app="a", bypass="b"), seal=SealKey("k", bytes(range(32))))
    return read_live(database)


def test_static_and_live_coverage_of_our_own_schema_are_equal(live: Catalogue) -> None:
    (static,) = replay_paths([MIGRATIONS], root=ROOT)
    assert coverage_of(static) == coverage_of(live)
    assert coverage_of(static).enforced == len(coverage_of(static).tables) > 0


def test_static_and_live_tables_have_the_same_columns_and_policies(live: Catalogue) -> None:
    (static,) = replay_paths([MIGRATIONS], root=ROOT)
    for table in static.tenant_tables():
        twin = live.tables[table.qualified]
        assert [(c.name, c.nullable) for c in table.columns] == [(c.name, c.nullable) for c in twin.columns]
        assert {policy.name for policy in table.policies} == {policy.name for policy in twin.policies}


def test_no_rule_finds_a_fault_in_our_own_live_schema(live: Catalogue) -> None:
    report = lint_catalogue(live, LintConfig())
    assert [(finding.rule, finding.table, finding.message) for finding in report.findings] == []
