"""Start-up refuses a login that could reach round row security, and says why."""

import uuid

import psycopg
import pytest
from sqlalchemy import select

from core_platform.errors import DatabaseUnreachable, UnsafeLogin
from core_platform.schema import Tenant
from core_platform.schema.migrate import login_url
from core_platform.tenancy import PlatformDatabase


@pytest.fixture
def login(platform_db):
    """Make a login role with attributes; it is dropped afterwards with what it owns."""
    made = []

    def make(attributes: str, *after: str) -> str:
        role = f"r{uuid.uuid4().hex[:8]}"
        made.append(role)
        with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' {attributes}")
            admin.execute(f"GRANT CONNECT ON DATABASE {platform_db.name} TO {role}")
            for statement in after:
                admin.execute(statement.format(role=role))
        return login_url(platform_db.admin_url, role, "x")

    yield make
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        for role in made:
            admin.execute(f"REASSIGN OWNED BY {role} TO core_owner")
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("attributes", "after", "why"),
    [
        ("SUPERUSER", (), "superuser"),
        ("BYPASSRLS", (), "BYPASSRLS"),
        ("CREATEROLE", (), "CREATEROLE"),
        ("REPLICATION", (), "REPLICATION"),
        ("NOINHERIT", ("GRANT core_owner TO {role}",), "member of core_owner"),
        ("", ("GRANT core_bypass TO {role}",), "member of core_bypass"),
        ("", ("ALTER TABLE identity.app_user OWNER TO {role}",), "owns identity.app_user"),
        ("", (), "this door is for core_app"),
    ],
)
def test_an_unsafe_login_is_refused_by_name(platform_db, login, attributes, after, why):
    url = login(attributes, *after)
    database = PlatformDatabase(url, seal=platform_db.seal)
    with pytest.raises(UnsafeLogin, match=why):
        database.verify_logins()
    database.close()


def test_an_administrator_is_refused(platform_db):
    database = PlatformDatabase(platform_db.admin_url, seal=platform_db.seal)
    with pytest.raises(UnsafeLogin, match="superuser"):
        database.verify_logins()
    database.close()


def test_the_two_doors_cannot_be_swapped(platform_db):
    swapped = PlatformDatabase(platform_db.bypass_url, seal=platform_db.seal, bypass_url=platform_db.app_url)
    with pytest.raises(UnsafeLogin, match="this door is for core_app"):
        swapped.verify_logins()
    both = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, bypass_url=platform_db.app_url)
    with pytest.raises(UnsafeLogin, match="this door is for core_bypass"):
        both.verify_logins()
    swapped.close()
    both.close()


def test_a_service_that_forgot_to_verify_is_refused_at_its_first_session(platform_db):
    database = PlatformDatabase(platform_db.admin_url, seal=platform_db.seal)
    with (
        pytest.raises(UnsafeLogin),
        database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.scalars(select(Tenant))
    database.close()


def test_a_server_that_does_not_answer_is_unreachable_not_unsafe(platform_db):
    nowhere = platform_db.app_url.replace("port=5432", "port=5433")
    database = PlatformDatabase(nowhere, seal=platform_db.seal)
    with pytest.raises(DatabaseUnreachable) as caught:
        database.verify_logins()
    assert "app-password" not in str(caught.value)
    database.close()


def test_each_login_runs_under_its_pinned_limits(platform_db):
    from core_platform.tenancy.roles import ROLES

    urls = {"core_app": platform_db.app_url, "core_bypass": platform_db.bypass_url}
    for role in ROLES:
        if not role.login:
            continue
        with psycopg.connect(urls[role.name]) as connection:
            for setting, value in role.settings().items():
                (normal,) = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
                expected = connection.execute("SELECT set_config(%s, %s, true)", (setting, value)).fetchone()
                assert (normal,) == expected, setting
