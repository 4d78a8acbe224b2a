"""The migrated database is what the models declare: nothing more is granted, nothing less enforced."""

import threading
import time
import uuid
from dataclasses import replace

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import CheckConstraint, create_engine, select

from core_platform.errors import DatabaseUnreachable, MigrationFailed
from core_platform.schema import SCHEMAS, Base, RowSecurity, Tenant, declared
from core_platform.schema.base import Global, Infrastructure
from core_platform.schema.migrate import (
    RoleCredentials,
    current_revision,
    downgrade,
    login_url,
    provision_tenant,
    upgrade,
)
from core_platform.schema.migrations.operations import (
    APP_POLICY,
    BYPASS_POLICY,
    DisableTenantRls,
    EnableTenantRls,
)
from core_platform.tenancy import PlatformDatabase, SealKey, TenantId
from core_platform.tenancy.roles import ROLES
from posture.embedded.postgres import PostgresServer

HEAD = "0011"
LOGINS = RoleCredentials("app-password", "bypass-password")


@pytest.fixture(scope="module")
def admin(platform_db):
    with psycopg.connect(platform_db.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def blank(pg_cluster):
    """The administrator's URL of an empty database."""
    name = f"b{uuid.uuid4().hex[:12]}"
    pg_cluster.execute(f"CREATE DATABASE {name}")
    yield pg_cluster.url(name)
    pg_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def tenant_tables() -> dict[str, RowSecurity]:
    return {name: kind for name, kind in declared().items() if isinstance(kind, RowSecurity)}


def partitions(admin: psycopg.Connection) -> list[str]:
    rows = admin.execute("SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r'")
    return [name for (name,) in rows]


def ours(query: str) -> str:
    return query.format(schemas=", ".join(f"'{schema}'" for schema in SCHEMAS))


def test_every_table_is_declared_and_every_declaration_is_a_table(admin):
    rows = admin.execute(
        ours(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ({schemas}, 'public') "
            "AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        )
    ).fetchall()
    # Alembic's own bookkeeping: one row, no tenant, granted to nobody.
    assert {name for (name,) in rows} == {*declared(), "app.alembic_version"}


def test_every_table_carries_its_classification_as_its_comment(admin):
    rows = admin.execute(
        "SELECT c.oid::regclass::text, obj_description(c.oid) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
        (list(SCHEMAS),),
    )
    said = {name: (comment or "").partition(":")[0] for name, comment in rows}
    assert said.pop("app.alembic_version") == "infrastructure"
    words = {RowSecurity: "tenant", Global: "global", Infrastructure: "infrastructure"}
    assert said == {name: words[type(what)] for name, what in declared().items()}


def test_row_security_is_enabled_and_forced_on_exactly_the_tenant_tables(admin):
    rows = admin.execute(
        ours(
            "SELECT n.nspname || '.' || c.relname, c.relrowsecurity, c.relforcerowsecurity "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ({schemas}) AND c.relkind IN ('r', 'p')"
        )
    ).fetchall()
    flags = {name: (enabled, forced) for name, enabled, forced in rows}
    protected = {*tenant_tables(), *partitions(admin)}
    assert {name for name, both in flags.items() if both == (True, True)} == protected
    assert {name for name, both in flags.items() if any(both)} == protected


def test_each_tenant_table_has_the_two_policies_and_no_other(admin):
    rows = admin.execute(
        "SELECT schemaname || '.' || tablename, policyname, permissive, roles::text[], cmd, "
        "qual = with_check, regexp_replace(qual, '\\s+', ' ', 'g') FROM pg_policies"
    ).fetchall()
    app = "(tenant_id = ( SELECT app.current_tenant() AS current_tenant))"
    scope = "( SELECT app.bypass_scope() AS bypass_scope)"
    bypass = f"(({scope} = '*'::text) OR ({scope} = (tenant_id)::text))"
    expected = set()
    for name in (*tenant_tables(), *partitions(admin)):
        expected.add((name, APP_POLICY, "PERMISSIVE", ("core_app",), "ALL", True, app))
        expected.add((name, BYPASS_POLICY, "PERMISSIVE", ("core_bypass",), "ALL", True, bypass))
    assert {(*row[:3], tuple(row[3]), *row[4:]) for row in rows} == expected


def test_the_grants_are_the_declared_ones(admin):
    rows = admin.execute(
        ours(
            "SELECT table_schema || '.' || table_name, grantee, privilege_type "
            "FROM information_schema.role_table_grants WHERE table_schema IN ({schemas}) "
            "AND grantee NOT IN ('core_owner', 'core_seal')"
        )
    ).fetchall()
    expected = {("app.bypass_log", role, "SELECT") for role in ("core_bypass", "core_audit", "core_backup")}
    expected |= {
        (name, role, "SELECT")
        for name in ("app.rls_wave", "app.unwrapped_statement")
        for role in ("core_audit", "core_backup")
    }
    for name, kind in tenant_tables().items():
        expected |= {(name, "core_app", command) for command in kind.app}
        expected |= {(name, "core_bypass", command) for command in kind.bypass}
        expected.add((name, "core_backup", "SELECT"))
    # A partition is reached through its table; pg_dump alone reads it by its own name.
    expected |= {(name, "core_backup", "SELECT") for name in partitions(admin)}
    assert set(rows) == expected


def test_columns_are_granted_one_by_one_only_where_a_grant_must_not_choose_its_transaction(admin):
    rows = admin.execute(
        "SELECT c.oid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum) "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE a.attacl IS NOT NULL AND c.relnamespace <> 'pg_catalog'::regnamespace GROUP BY 1"
    ).fetchall()
    granted = ["entry_id", "phase", "begin_id", "scope", "reason", "change_ref"]
    assert rows == [("app.bypass_log", granted)]


def test_the_functions_are_the_declared_ones_with_pinned_search_paths(admin):
    rows = admin.execute(
        ours(
            "SELECT p.oid::regproc::text, p.proowner::regrole::text, p.prosecdef, p.provolatile, "
            "p.proleakproof, p.proconfig, (SELECT array_agg(x.grantee::regrole::text ORDER BY 1) "
            "FROM aclexplode(p.proacl) x WHERE x.grantee <> p.proowner) "
            "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname IN ({schemas}, 'public') ORDER BY 1"
        )
    ).fetchall()
    pinned = ["search_path=pg_catalog, pg_temp"]
    observers = ["core_app", "core_bypass", "core_backup"]
    assert rows == [
        ("app.bypass_scope", "core_owner", False, "s", False, pinned, ["core_bypass"]),
        ("app.current_tenant", "core_seal", True, "s", False, pinned, ["core_app"]),
        ("app.observe_tenant", "core_owner", True, "v", False, pinned, observers),
        ("app.refuse_change", "core_owner", False, "v", False, pinned, None),
        ("app.refuse_step", "core_owner", False, "v", False, pinned, None),
        ("app.refuse_wave", "core_owner", False, "v", False, pinned, None),
        ("gpu.ensure_sample_partition", "core_owner", False, "v", False, pinned, None),
        ("lifecycle.refuse_second_release", "core_owner", False, "v", False, pinned, None),
    ]


def test_ownership_and_schema_rights(admin):
    tables = admin.execute(
        ours(
            "SELECT c.oid::regclass::text, c.relowner::regrole::text FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ({schemas}) AND c.relkind = 'r'"
        )
    ).fetchall()
    assert {name for name, owner in tables if owner != "core_owner"} == {"app.seal_key"}
    schemas = admin.execute(
        ours(
            "SELECT n.nspname, n.nspowner::regrole::text, x.grantee::regrole::text, x.privilege_type "
            "FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname IN ({schemas}, 'public')"
        )
    ).fetchall()
    beyond = {
        (schema, grantee, right)
        for schema, owner, grantee, right in schemas
        if grantee != owner and not (right == "USAGE" and grantee.startswith("core_"))
    }
    assert beyond == set()


def test_the_database_is_closed_to_the_public(admin, platform_db):
    rows = admin.execute(
        "SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, "
        "x.privilege_type FROM pg_database d, aclexplode(d.datacl) x WHERE d.datname = %s",
        (platform_db.name,),
    ).fetchall()
    granted = {(grantee, right) for grantee, right in rows if grantee != "postgres"}
    assert granted <= {
        ("core_app", "CONNECT"),
        ("core_bypass", "CONNECT"),
        ("core_backup", "CONNECT"),
        ("core_owner", "CREATE"),
    }


def test_the_roles_are_the_declared_ones_and_nobody_is_a_member_of_another(admin):
    rows = admin.execute(
        "SELECT rolname, rolcanlogin, rolbypassrls, rolsuper OR rolinherit OR rolcreaterole "
        "OR rolcreatedb OR rolreplication FROM pg_roles WHERE rolname LIKE 'core\\_%'"
    ).fetchall()
    assert set(rows) == {(role.name, role.login, role.bypass_rls, False) for role in ROLES}
    members = admin.execute(
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid IN (m.member, m.roleid) "
        "WHERE r.rolname LIKE 'core\\_%'"
    ).fetchall()
    assert members == []


def test_keys_of_tenant_tables_begin_with_the_tenant_in_the_catalog_too(admin):
    rows = admin.execute(
        ours(
            "SELECT c.conrelid::regclass::text, c.conname, a.attname FROM pg_constraint c "
            "JOIN pg_namespace n ON n.oid = c.connamespace "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
            "WHERE n.nspname IN ({schemas}) AND c.contype IN ('p', 'u', 'f')"
        )
    ).fetchall()
    others = [row for row in rows if row[0] in tenant_tables() and row[2] != "tenant_id"]
    assert others == []
    assert len(rows) > len(tenant_tables())


def test_the_models_and_the_migrations_describe_one_schema(platform_db, admin):
    engine = create_engine(platform_db.admin_url.replace("postgresql:", "postgresql+psycopg:"))
    months = {name.rpartition(".")[2] for name in partitions(admin)}
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "compare_server_default": False,
                "version_table_schema": "app",
                "include_name": lambda name, kind, _parents: kind != "table" or name not in months,
            },
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_check_constraints_of_the_models_are_those_of_the_database(admin):
    rows = admin.execute(
        ours(
            "SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c "
            "JOIN pg_namespace n ON n.oid = c.connamespace "
            "WHERE n.nspname IN ({schemas}) AND c.contype = 'c' AND c.conislocal "
            "AND c.conrelid <> 'app.bypass_log'::regclass"
        )
    ).fetchall()
    modelled = {
        (table.fullname, constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert set(rows) == modelled


def test_migrating_twice_changes_nothing(platform_db):
    before = current_revision(platform_db.admin_url)
    assert before == HEAD
    assert upgrade(platform_db.admin_url, credentials=LOGINS, seal=platform_db.seal) == HEAD
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert session.scalars(select(Tenant.name)).all() == ["Tenant A"]


def test_an_empty_database_has_no_revision_and_a_missing_one_is_unreachable(blank):
    assert current_revision(blank) is None
    with pytest.raises(DatabaseUnreachable):
        current_revision(blank.replace("/b", "/missing_b", 1))


def snapshot(url: str) -> list[tuple[object, ...]]:
    """Tables, flags, policies, grants and functions of a database, without oids."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            ours(
                "SELECT 'table', c.oid::regclass::text, c.relowner::regrole::text, c.relrowsecurity, "
                "c.relforcerowsecurity, c.relacl::text FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ({schemas}) "
                "UNION ALL SELECT 'policy', policyname, tablename, true, true, "
                "roles::text || cmd || qual || with_check FROM pg_policies "
                "UNION ALL SELECT 'function', p.oid::regproc::text, p.prosrc, p.prosecdef, true, "
                "p.proacl::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                "WHERE n.nspname IN ({schemas}) ORDER BY 1, 2, 3"
            )
        ).fetchall()


def test_down_and_up_again_gives_the_same_database(blank):
    seal = SealKey.generate("k1")
    upgrade(blank, credentials=LOGINS, seal=seal)
    first = snapshot(blank)
    downgrade(blank, "base")
    assert {row[1] for row in snapshot(blank)} == {"app.alembic_version", "app.alembic_version_pkc"}
    assert upgrade(blank, credentials=LOGINS, seal=seal) == HEAD
    assert snapshot(blank) == first


def test_each_revision_can_be_taken_back_by_itself(blank):
    seal = SealKey.generate("k1")
    upgrade(blank, credentials=LOGINS, seal=seal)
    for revision in ("0010", "0009", "0008", "0007", "0006", "0005", "0004", "0003", "0002", "0001"):
        downgrade(blank, revision)
        assert current_revision(blank) == revision
    assert upgrade(blank, credentials=LOGINS, seal=seal) == HEAD


def test_two_migrations_at_once_take_turns(blank):
    seal, revisions = SealKey.generate("k1"), []

    def run() -> None:
        revisions.append(upgrade(blank, credentials=LOGINS, seal=seal))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [HEAD, HEAD]


def test_a_migration_behind_a_long_reader_waits_briefly_and_tries_again(blank):
    seal = SealKey.generate("k1")
    upgrade(blank, credentials=LOGINS, seal=seal)
    reader = psycopg.connect(blank)
    reader.execute("SELECT * FROM audit.audit_log").fetchall()
    release = threading.Timer(2.3, reader.close)
    started = time.monotonic()
    release.start()
    downgrade(blank, "0005")
    assert 2.0 < time.monotonic() - started < 8.0
    assert current_revision(blank) == "0005"
    release.join()


def test_a_failing_migration_names_the_cause_and_leaves_no_half(blank):
    with psycopg.connect(blank, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA gpu")
    with pytest.raises(MigrationFailed, match="DuplicateSchema, SQLSTATE 42P06"):
        upgrade(blank, credentials=LOGINS, seal=SealKey.generate("k1"))
    assert current_revision(blank) == "0003"


def test_a_key_id_cannot_be_given_a_second_secret(platform_db):
    with pytest.raises(MigrationFailed, match="give the new key a new id"):
        upgrade(platform_db.admin_url, credentials=LOGINS, seal=replace(platform_db.seal, secret=bytes(32)))


def test_a_second_key_can_be_installed_beside_the_first(platform_db):
    second = SealKey.generate("second-1")
    upgrade(platform_db.admin_url, credentials=LOGINS, seal=second)
    for seal in (platform_db.seal, second):
        database = PlatformDatabase(platform_db.app_url, seal=seal)
        with database.tenant_session(platform_db.context(platform_db.b)) as session:
            assert session.scalar(select(Tenant.name)) == "Tenant B"
        database.close()


def test_a_role_that_drifted_is_put_back(platform_db, admin):
    admin.execute("ALTER ROLE core_audit LOGIN CREATEDB")
    admin.execute("ALTER ROLE core_audit SET lock_timeout = 0")
    upgrade(platform_db.admin_url, credentials=LOGINS, seal=platform_db.seal)
    row = admin.execute(
        "SELECT rolcanlogin, rolcreatedb, rolconfig FROM pg_roles WHERE rolname = 'core_audit'"
    ).fetchone()
    assert row[:2] == (False, False)
    assert "lock_timeout=2000ms" in row[2]


def test_passwords_reach_the_server_as_scram_verifiers(admin):
    rows = admin.execute(
        "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid "
        "WHERE rolname LIKE 'core\\_%' AND rolpassword IS NOT NULL"
    ).fetchall()
    assert set(rows) == {("core_app", True), ("core_bypass", True)}
    assert "app-password" not in repr(LOGINS)


def test_an_administrator_who_is_no_superuser_can_migrate_a_managed_server(tmp_path):
    with PostgresServer.create(tmp_path, durable=False) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
            superuser.execute("CREATE ROLE ops LOGIN CREATEROLE CREATEDB PASSWORD 'ops'")
            superuser.execute("CREATE DATABASE managed OWNER ops")
        admin_url, seal = server.url("ops", "managed", "ops"), SealKey.generate("k1")
        for _ in range(2):
            assert upgrade(admin_url, credentials=LOGINS, seal=seal) == HEAD
        database = PlatformDatabase(login_url(admin_url, "core_app", LOGINS.app), seal=seal)
        database.verify_logins()
        provision_tenant(database, TenantId.parse(uuid.uuid4()), "Managed")
        database.close()


def test_provisioning_a_tenant_twice_keeps_the_first(platform_db):
    tenant = TenantId.parse(uuid.uuid4())
    provision_tenant(platform_db.database, tenant, "First", capture_metadata=True)
    provision_tenant(platform_db.database, tenant, "Second")
    with platform_db.database.tenant_session(platform_db.context(tenant)) as session:
        row = session.scalars(select(Tenant)).one()
    assert (row.name, row.capture_metadata, row.state) == ("First", True, "active")


def test_enabling_and_disabling_are_each_others_reverse(admin):
    enable = EnableTenantRls("identity.agent", "SELECT", "SELECT")
    assert isinstance(enable.reverse(), DisableTenantRls)
    assert isinstance(enable.reverse().reverse(), EnableTenantRls)
    assert enable.statements()[0].endswith("ENABLE ROW LEVEL SECURITY")
    for bad in ("agent", "identity.agent; DROP TABLE x", 'identity."Agent"'):
        with pytest.raises(ValueError, match=r"schema\.table"):
            EnableTenantRls(bad, "SELECT", "SELECT")


def test_a_tenant_table_made_without_the_operation_is_seen(admin, platform_db):
    admin.execute("CREATE TABLE identity.forgotten (tenant_id uuid)")
    with pytest.raises(AssertionError):
        test_every_table_is_declared_and_every_declaration_is_a_table(admin)
    admin.execute(sql.SQL("DROP TABLE identity.forgotten"))


def test_a_months_partition_is_protected_like_its_table_and_granted_to_no_login(platform_db, admin):
    with admin.transaction():
        admin.execute("SET LOCAL ROLE core_owner")
        assert admin.execute("SELECT gpu.ensure_sample_partition('2031-02-14')").fetchone() == (True,)
        assert admin.execute("SELECT gpu.ensure_sample_partition('2031-02-01')").fetchone() == (True,)
    assert "gpu.gpu_sample_2031_02" in partitions(admin)
    test_row_security_is_enabled_and_forced_on_exactly_the_tenant_tables(admin)
    test_each_tenant_table_has_the_two_policies_and_no_other(admin)
    test_the_grants_are_the_declared_ones(admin)
    for url in (platform_db.app_url, platform_db.bypass_url):
        with psycopg.connect(url, autocommit=True) as login:
            for name in partitions(admin):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    login.execute(f"SELECT count(*) FROM {name}")


def test_the_partitions_of_this_month_and_the_next_two_exist_after_a_migration(admin):
    months = admin.execute(
        "SELECT 'gpu.gpu_sample_' || to_char(now() + m * interval '1 month', 'YYYY_MM') "
        "FROM generate_series(0, 2) m"
    )
    assert {*(name for (name,) in months), "gpu.gpu_sample_default"} <= set(partitions(admin))


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        ("CREATE VIEW ai.leak AS SELECT * FROM identity.agent", "VIEW"),
        ("CREATE MATERIALIZED VIEW ai.leak AS SELECT * FROM identity.agent", "MATERIALIZED VIEW"),
        ("CREATE FUNCTION ai.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "FUNCTION"),
    ],
)
def test_a_view_or_a_definer_routine_that_nobody_declared_is_seen(admin, leak, kind):
    catalog_test = (
        test_the_functions_are_the_declared_ones_with_pinned_search_paths
        if kind == "FUNCTION"
        else test_every_table_is_declared_and_every_declaration_is_a_table
    )
    admin.execute(leak)
    try:
        with pytest.raises(AssertionError):
            catalog_test(admin)
    finally:
        admin.execute(f"DROP {kind} ai.leak")
