"""The waves of row security on a table that was never protected: nothing is skipped, nothing is lost."""

import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from core_platform.schema import RowSecurity, declared
from core_platform.tenancy import waves
from core_platform.tenancy.reader_verification import (
    Reader,
    ReaderComparison,
    compare_readers,
    registered_readers,
)
from core_platform.tenancy.waves import Wave, WaveRefused


@pytest.fixture
def table(platform_db):
    """A table of the old kind: tenants side by side, no row security, open to the application."""
    name = f"legacy.t{uuid.uuid4().hex[:10].translate(str.maketrans('0123456789', 'ghijklmnop'))}"
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA IF NOT EXISTS legacy AUTHORIZATION core_owner")
        admin.execute("GRANT USAGE ON SCHEMA legacy TO core_app, core_bypass, core_backup")
        admin.execute(
            f"CREATE TABLE {name} (tenant_id uuid NOT NULL, note text, PRIMARY KEY (tenant_id, note))"
        )
        admin.execute(f"ALTER TABLE {name} OWNER TO core_owner")
        admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO core_app")
        for tenant in (platform_db.a, platform_db.b):
            admin.execute(f"INSERT INTO {name} VALUES (%s, 'one'), (%s, 'two')", (tenant.uuid, tenant.uuid))
    yield name
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        admin.execute(f"DROP TABLE {name}")


def unbound(platform_db, statement):
    """What a statement gives the application's login without any tenant."""
    with psycopg.connect(platform_db.app_url, autocommit=True) as app:
        cursor = app.execute(statement)
        return sorted(cursor.fetchall()) if cursor.description else cursor.rowcount


def wave_of(platform_db, table):
    return next(one for one in waves.status(platform_db.admin_url) if one.table == table)


def equal(table, tenant, rows=2, same=True):
    return ReaderComparison("reader", (table,), str(tenant), rows, "d", equal=same)


def up_to_observe(platform_db, table):
    waves.prepare_columns(platform_db.admin_url, table, actor="ops")
    waves.wrap(platform_db.admin_url, table, unwrapped_sites=0, actor="ops")
    waves.observe(platform_db.admin_url, table, actor="ops")


def test_a_table_goes_through_all_waves_and_each_leaves_its_evidence(platform_db, table):
    admin = platform_db.admin_url
    up_to_observe(platform_db, table)
    both = [equal(table, platform_db.a), equal(table, platform_db.b)]
    waves.verify(admin, table, both, actor="ops")
    waves.enforce(admin, table, actor="ops")
    with pytest.raises(errors.InsufficientPrivilege, match="no tenant ticket"):
        unbound(platform_db, f"SELECT * FROM {table}")
    waves.canary(admin, platform_db.database, table, (platform_db.a, platform_db.b), actor="ops")
    now = wave_of(platform_db, table)
    assert (now.wave, now.actor) == (Wave.CANARY, "ops")
    with psycopg.connect(admin) as connection:
        steps = connection.execute(
            "SELECT wave, evidence FROM app.rls_wave WHERE table_name = %s ORDER BY position", (table,)
        ).fetchall()
    assert [wave for wave, _ in steps] == [wave.value for wave in Wave]
    assert dict(steps)["verify"]["tenants"] == 2


def test_observing_changes_no_result_and_logs_each_statement_without_a_tenant(platform_db, table):
    statements = [
        f"SELECT * FROM {table}",
        f"SELECT count(*) FROM {table} WHERE note = 'one'",
        f"UPDATE {table} SET note = note",
        f"SELECT * FROM {table} WHERE false",
    ]
    before = [unbound(platform_db, statement) for statement in statements]
    up_to_observe(platform_db, table)
    assert [unbound(platform_db, statement) for statement in statements] == before
    assert unbound(platform_db, f"INSERT INTO {table} VALUES ('{platform_db.a}', 'three')") == 1
    assert waves.unwrapped_statements(platform_db.admin_url, table) >= 4
    seen = waves.unwrapped_statements(platform_db.admin_url, table)
    with psycopg.connect(platform_db.app_url) as app:
        app.execute("SET TRANSACTION READ ONLY")
        assert len(app.execute(f"SELECT * FROM {table}").fetchall()) == 5
    assert waves.unwrapped_statements(platform_db.admin_url, table) == seen


def test_a_table_where_statements_without_a_tenant_were_seen_is_not_verified(platform_db, table):
    up_to_observe(platform_db, table)
    unbound(platform_db, f"SELECT * FROM {table}")
    both = [equal(table, platform_db.a), equal(table, platform_db.b)]
    with pytest.raises(WaveRefused, match="statements without a tenant"):
        waves.verify(platform_db.admin_url, table, both, actor="ops")


def test_a_reader_that_differs_too_few_tenants_and_no_rows_are_refused(platform_db, table):
    up_to_observe(platform_db, table)
    a, b = platform_db.a, platform_db.b
    for comparisons, why in (
        ([equal(table, a), equal(table, b, same=False)], "reads other rows"),
        ([equal(table, a)], "compare its readers"),
        ([equal(table, a, rows=0), equal(table, b, rows=0)], "compare its readers"),
        ([], "compare its readers"),
    ):
        with pytest.raises(WaveRefused, match=why):
            waves.verify(platform_db.admin_url, table, comparisons, actor="ops")


def test_no_wave_can_be_skipped(platform_db, table):
    with pytest.raises(WaveRefused, match="cannot go from wave none to wrap"):
        waves.wrap(platform_db.admin_url, table, unwrapped_sites=0, actor="ops")
    waves.prepare_columns(platform_db.admin_url, table, actor="ops")
    with pytest.raises(WaveRefused, match="from wave columns to enforce"):
        waves.enforce(platform_db.admin_url, table, actor="ops")
    assert len(unbound(platform_db, f"SELECT * FROM {table}")) == 4
    with pytest.raises(WaveRefused, match="3 places use it"):
        waves.wrap(platform_db.admin_url, table, unwrapped_sites=3, actor="ops")


def test_an_enforced_table_is_never_merely_observed_again(platform_db, table):
    up_to_observe(platform_db, table)
    waves.observe(platform_db.admin_url, table, actor="ops")
    both = [equal(table, platform_db.a), equal(table, platform_db.b)]
    waves.verify(platform_db.admin_url, table, both, actor="ops")
    waves.enforce(platform_db.admin_url, table, actor="ops")
    for name in (table, "identity.agent"):
        with pytest.raises(WaveRefused, match="from wave enforce to observe"):
            waves.observe(platform_db.admin_url, name, actor="ops")
    with pytest.raises(errors.InsufficientPrivilege, match="no tenant ticket"):
        unbound(platform_db, f"SELECT * FROM {table}")


def test_a_table_whose_keys_forget_the_tenant_does_not_begin(platform_db, table):
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        admin.execute(f"ALTER TABLE {table} ADD CONSTRAINT one_note UNIQUE (note, tenant_id)")
    with pytest.raises(WaveRefused, match="one_note must begin with tenant_id"):
        waves.prepare_columns(platform_db.admin_url, table, actor="ops")
    with pytest.raises(WaveRefused, match="no column tenant_id"):
        waves.prepare_columns(platform_db.admin_url, "legacy.nowhere", actor="ops")


def test_a_step_on_record_cannot_be_changed(platform_db, table):
    waves.prepare_columns(platform_db.admin_url, table, actor="ops")
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        for statement in ("DELETE FROM app.rls_wave", "UPDATE app.rls_wave SET wave = 'enforce'"):
            with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
                admin.execute(statement)


@contextmanager
def long_reader(platform_db, table, seconds):
    reader = psycopg.connect(platform_db.admin_url)
    reader.execute(f"SELECT * FROM {table}").fetchall()
    release = threading.Timer(seconds, reader.close)
    release.start()
    yield
    release.join()


def test_enforcing_behind_a_long_reader_waits_briefly_and_tries_again(platform_db, table):
    up_to_observe(platform_db, table)
    both = [equal(table, platform_db.a), equal(table, platform_db.b)]
    waves.verify(platform_db.admin_url, table, both, actor="ops")
    started = time.monotonic()
    with long_reader(platform_db, table, 2.3):
        waves.enforce(platform_db.admin_url, table, actor="ops")
    assert 2.0 < time.monotonic() - started < 9.0
    assert wave_of(platform_db, table).evidence["attempts"] == 2


def test_our_own_tables_are_enforced_by_the_migration_that_makes_them(platform_db):
    standing = {one.table: one.wave for one in waves.status(platform_db.admin_url)}
    ours = {name for name, kind in declared().items() if isinstance(kind, RowSecurity)}
    assert ours <= {table for table, wave in standing.items() if wave is Wave.ENFORCE}


def test_every_registered_reader_gives_two_tenants_the_same_rows_both_ways(platform_db):
    readers = registered_readers()
    assert len(readers) >= 20
    compared = compare_readers(
        readers, platform_db.admin_url, platform_db.database, (platform_db.a, platform_db.b)
    )
    assert [one for one in compared if not one.equal] == []
    assert any(one.rows for one in compared)


def test_a_reader_that_row_security_would_change_is_found(platform_db):
    from sqlalchemy import text

    def names(session):
        return list(session.scalars(text("SELECT name FROM identity.tenant")))

    reader = Reader("unscoped", names, ("identity.tenant",), {})
    compared = compare_readers([reader], platform_db.admin_url, platform_db.database, [platform_db.a])
    assert [one.equal for one in compared] == [False]


def test_a_session_on_trial_is_filtered_while_everybody_else_is_not(platform_db, table):
    from sqlalchemy import text

    up_to_observe(platform_db, table)
    count = text(f"SELECT count(*) FROM {table}")
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert session.scalar(count) == 4
        session.execute(text("SELECT set_config('app.rls_trial', 'on', true)"))
        assert session.scalar(count) == 2
    assert len(unbound(platform_db, f"SELECT * FROM {table}")) == 4


def test_the_example_takes_an_unprotected_schema_to_enforced():
    example = Path(__file__).parents[2] / "examples/rollout/rollout.py"
    ran = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "without naming a tenant" in ran.stdout
    assert "customer_email_key must begin with tenant_id" in ran.stdout
    assert ran.stdout.count("equal: True") == 4
    assert "reads nothing: no tenant ticket is bound" in ran.stdout
    assert ran.stdout.count("canary") == 2
