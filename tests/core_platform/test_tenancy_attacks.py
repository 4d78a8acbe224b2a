"""The attacks on row security that have no other file: empty tables, early ends, what a backend could keep.

Together with test_tenancy_isolation, _bypass, _logins, _asyncio, _pooler and test_waves_rollout these are
the attacks that the design lists, each on a real server, each ending as stated there.
"""

import time
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import select, text

from core_platform.errors import TenantRefused
from core_platform.lifecycle import set_retention
from core_platform.schema import Tenant
from core_platform.tenancy import Origin, PlatformDatabase
from core_platform.tenancy.ticket import TicketBook, seal

BIND = "SELECT set_config('app.tenant_ticket', %s, true)"


@pytest.fixture
def as_app(platform_db):
    """A raw connection of the application's login."""
    with psycopg.connect(platform_db.app_url, autocommit=True) as connection:
        yield connection


def test_without_a_ticket_an_empty_table_shows_nothing_and_one_row_makes_it_an_error(platform_db, as_app):
    # The predicate is asked where a row is to be judged; whether an empty table asks is the planner's choice.
    count = "SELECT count(*) FROM lifecycle.retention_setting"
    with suppress(errors.InsufficientPrivilege):
        assert as_app.execute(count).fetchone() == (0,)
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        set_retention(session, "events", timedelta(days=30))
    with pytest.raises(errors.InsufficientPrivilege, match="no tenant ticket"):
        as_app.execute(count)


def test_a_statement_prepared_by_one_tenant_gives_another_its_own_rows(platform_db, as_app):
    for tenant, name in ((platform_db.a, "Tenant A"), (platform_db.b, "Tenant B")):
        with as_app.transaction():
            as_app.execute(BIND, (seal(platform_db.seal, tenant),))
            if tenant == platform_db.a:
                as_app.execute("PREPARE names AS SELECT name FROM identity.tenant")
            for _ in range(8):  # past the point where PostgreSQL settles on a generic plan
                assert as_app.execute("EXECUTE names").fetchall() == [(name,)]


def test_a_session_can_keep_no_temporary_table_and_no_channel(platform_db):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)
    with database.tenant_session(platform_db.context(platform_db.a)) as session:
        session.execute(text("LISTEN of_a"))

    def look(session):
        assert session.scalar(text("SELECT count(*) FROM pg_listening_channels()")) == 0
        session.execute(text("CREATE TEMP TABLE kept AS SELECT 1"))

    with pytest.raises(TenantRefused):
        database.run_as_tenant(platform_db.b, Origin.REQUEST, look)
    database.close()


def test_a_transaction_that_a_statement_ends_early_is_not_continued_without_its_ticket(platform_db):
    def end_early(session):
        session.execute(text("COMMIT"))
        session.execute(select(Tenant))

    with pytest.raises(TenantRefused):
        platform_db.database.run_as_tenant(platform_db.a, Origin.REQUEST, end_early)
    with platform_db.database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert session.scalars(select(Tenant.name)).all() == ["Tenant B"]


def test_a_ticket_kept_for_the_whole_session_does_not_reach_the_next_tenant(platform_db):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)
    keep = text("SELECT set_config('app.tenant_ticket', current_setting('app.tenant_ticket'), false)")
    for attempt in ("COMMIT", "ROLLBACK"):

        def steal(session, attempt=attempt):
            session.execute(keep)
            session.execute(text(attempt))
            session.execute(text("BEGIN"))

        database.run_as_tenant(platform_db.a, Origin.REQUEST, steal)
        with database.tenant_session(platform_db.context(platform_db.b)) as session:
            assert session.scalars(select(Tenant.name)).all() == ["Tenant B"]
            session.execute(text("COMMIT"))
            with pytest.raises(TenantRefused):
                session.execute(select(Tenant))
    database.close()


def test_a_ticket_is_used_again_for_its_own_tenant_while_it_is_fresh(platform_db, monkeypatch):
    book, now = TicketBook(platform_db.seal), time.time()
    first = book.ticket(platform_db.a)
    assert book.ticket(platform_db.a) == first
    assert str(platform_db.b) in book.ticket(platform_db.b)
    for later in (61, -1):
        monkeypatch.setattr("core_platform.tenancy.ticket.time.time", lambda at=now + later: at)
        assert book.ticket(platform_db.a) != first
