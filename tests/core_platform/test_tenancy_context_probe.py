"""The probe of the platform's own sessions sees what a session leaves behind."""

import pytest

from core_platform.schema.migrate import provision_tenant
from core_platform.tenancy import PlatformDatabase
from core_platform.tenancy import pool as pooled
from core_platform.tenancy.context_probe import probe_context


@pytest.fixture
def one_connection(platform_db):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)
    for tenant, name in ((platform_db.a, "A"), (platform_db.b, "B")):
        provision_tenant(database, tenant, name)
    yield database
    database.close()


def test_nothing_of_a_tenant_stays_on_the_connection(one_connection, platform_db):
    report = probe_context(one_connection, platform_db.a, platform_db.b)
    assert (report.sessions, report.backends, report.own_rows) == (4, 1, 4)
    assert (report.left_behind, report.foreign_rows) == (0, 0)
    assert report.unbound_sqlstate == "42501"


def test_a_ticket_bound_for_the_session_is_seen(one_connection, platform_db, monkeypatch):
    monkeypatch.setattr(pooled, "_BIND", pooled._BIND.replace(b"true", b"false"))
    monkeypatch.setattr(pooled, "_COMMIT", b"COMMIT")
    monkeypatch.setattr(pooled, "_ROLLBACK", b"ROLLBACK")
    report = probe_context(one_connection, platform_db.a, platform_db.b)
    assert report.left_behind > 0
    assert report.unbound_sqlstate == ""
