"""What RLS005, RLS040 and RLS041 say PostgreSQL does is what it does, run as the owner who migrates."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from .paths import CLEAN

A = "aaaaaaaa-0000-0000-0000-000000000000"
SETUP = f"""
CREATE TABLE customer (id uuid PRIMARY KEY);
{CLEAN}
CREATE TABLE archive (id uuid, name text);
"""


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection as a role that owns the tables and is no superuser; one row of tenant A is there."""
    role = f"owner_{database.rpartition('=')[2]}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {role}")
        connection.execute(f"SET ROLE {role}")
        connection.execute(SETUP)
        connection.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
        connection.execute(f"INSERT INTO invoice VALUES ('{A}', '{A}', NULL, '{A}')")
        connection.execute("ALTER TABLE invoice FORCE ROW LEVEL SECURITY")
        yield connection
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


Owner = psycopg.Connection[tuple[object, ...]]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoice SET name = 'x'",
        "DELETE FROM invoice",
        "INSERT INTO archive SELECT id, name FROM invoice",
        "CREATE TABLE copy AS SELECT * FROM invoice",
        "CREATE MATERIALIZED VIEW copy AS SELECT * FROM invoice",
        "MERGE INTO invoice USING archive ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_a_statement_with_no_tenant_bound_touches_no_row_and_is_green(owner: Owner, statement: str) -> None:
    assert owner.execute(statement).rowcount == 0
    owner.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
    assert owner.execute("UPDATE invoice SET name = 'y'").rowcount == 1


@pytest.mark.parametrize(
    ("cure", "error"),
    [
        (f"SELECT set_config('app.tenant_id', '{A}', false)", None),
        ("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY", None),
        ("SET row_security = off", psycopg.errors.InsufficientPrivilege),
    ],
)
def test_the_cures_touch_the_row_or_are_loud(
    owner: Owner, cure: str, error: type[psycopg.Error] | None
) -> None:
    owner.execute(cure)
    if error is None:
        assert owner.execute("UPDATE invoice SET name = 'x'").rowcount == 1
    else:
        with pytest.raises(error):
            owner.execute("UPDATE invoice SET name = 'x'")


def test_values_are_refused_with_42501_and_copy_with_0a000(owner: Owner) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(f"INSERT INTO invoice VALUES (gen_random_uuid(), '{A}')")
    owner.execute(f"SELECT set_config('app.tenant_id', '{A}', false)")
    with (
        pytest.raises(psycopg.errors.FeatureNotSupported),
        owner.cursor().copy("COPY invoice (id) FROM stdin"),
    ):
        pass


def test_a_setting_without_missing_ok_fails_with_42704(owner: Owner) -> None:
    owner.execute("ALTER POLICY tenant ON invoice USING (tenant_id = current_setting('app.none')::uuid)")
    for statement in (
        "UPDATE invoice SET name = 'x'",
        "ALTER TABLE invoice ADD FOREIGN KEY (customer_id) REFERENCES customer (id)",
    ):
        with pytest.raises(psycopg.errors.UndefinedObject):
            owner.execute(statement)


def test_orphans_hidden_from_the_check_leave_the_key_marked_valid(owner: Owner) -> None:
    owner.execute("ALTER TABLE invoice ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customer (id)")
    valid = owner.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'k'").fetchone()
    orphans = "SELECT count(*) FROM invoice i WHERE NOT EXISTS (SELECT FROM customer WHERE id = customer_id)"
    owner.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
    assert (valid, owner.execute(orphans).fetchone()) == ((True,), (1,))


def test_a_key_to_hidden_rows_fails_with_23503_although_they_are_there(owner: Owner) -> None:
    owner.execute("CREATE TABLE item (invoice_id uuid)")
    owner.execute(f"INSERT INTO item VALUES ('{A}')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        owner.execute("ALTER TABLE item ADD FOREIGN KEY (invoice_id) REFERENCES invoice (id)")
    owner.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
    owner.execute("ALTER TABLE item ADD FOREIGN KEY (invoice_id) REFERENCES invoice (id)")


def test_a_column_dropped_with_cascade_takes_its_policy_along(owner: Owner) -> None:
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        owner.execute("ALTER TABLE invoice DROP COLUMN tenant_id")
    owner.execute("ALTER TABLE invoice DROP COLUMN tenant_id CASCADE")
    assert owner.execute("SELECT count(*) FROM pg_policies WHERE tablename = 'invoice'").fetchone() == (0,)


def test_a_swallowed_duplicate_leaves_the_old_policy(owner: Owner) -> None:
    owner.execute(
        "DO $$ BEGIN CREATE POLICY tenant ON invoice USING (true); "
        "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    (text,) = owner.execute("SELECT qual FROM pg_policies WHERE policyname = 'tenant'").fetchone() or ("",)
    assert "app.tenant_id" in str(text)
