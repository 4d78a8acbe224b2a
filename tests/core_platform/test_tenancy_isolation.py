"""Attacks on tenant isolation, against a real server: each ends in its stated refusal."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg import errors
from sqlalchemy import delete, func, insert, literal_column, select, text, update

from core_platform.errors import (
    BypassRefused,
    Conflict,
    DatabaseUnreachable,
    InvalidTenant,
    InvalidValue,
    PlainSqlRefused,
    SessionClosed,
    TenantRefused,
    UnknownReference,
)
from core_platform.schema import Agent, AgentKey, AppUser, AuditLog, Connection, Tenant
from core_platform.tenancy import (
    Origin,
    PlatformDatabase,
    SealKey,
    TenantContext,
    TenantId,
    TenantSession,
)
from core_platform.tenancy.ticket import seal

BIND = "SELECT set_config('app.tenant_ticket', %s, true)"


@pytest.fixture(scope="module")
def agents(platform_db):
    """One agent of each tenant."""
    ids = {platform_db.a: uuid.uuid4(), platform_db.b: uuid.uuid4()}
    for tenant, agent_id in ids.items():
        with platform_db.database.tenant_session(platform_db.context(tenant)) as session:
            session.add(Agent(tenant_id=tenant.uuid, agent_id=agent_id, name=f"of {tenant}"))
    return ids


@pytest.fixture
def as_app(platform_db):
    """A raw connection of the application's login, as an attacker inside the service would have."""
    with psycopg.connect(platform_db.app_url, autocommit=True) as connection:
        yield connection


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(errors.InsufficientPrivilege) as caught:
        attempt()
    return str(caught.value.diag.message_primary)


def in_transaction(connection, *statements):
    with connection.transaction():
        for statement, params in statements:
            cursor = connection.execute(statement, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount


COUNT = ("SELECT count(*) FROM identity.tenant", ())


def test_a_transaction_without_a_ticket_is_refused_not_shown_zero_rows(as_app):
    assert "no tenant ticket" in refused(lambda: in_transaction(as_app, COUNT))


def test_an_empty_ticket_is_refused(as_app):
    assert "no tenant ticket" in refused(lambda: in_transaction(as_app, (BIND, ("",)), COUNT))


def test_the_empty_setting_that_a_commit_leaves_behind_is_refused(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a)
    assert in_transaction(as_app, (BIND, (ticket,)), COUNT) == [(1,)]
    assert "no tenant ticket" in refused(lambda: in_transaction(as_app, COUNT))


def test_a_forged_ticket_is_refused(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a)
    body, mac = ticket.rsplit(".", 1)
    moved = ticket.replace(str(platform_db.a), str(platform_db.b))
    flipped = f"{body}.{'0' if mac[0] != '0' else '1'}{mac[1:]}"
    guessed = seal(SealKey(platform_db.seal.kid, bytes(32)), platform_db.b)
    for forged in (moved, flipped, guessed):
        assert "forged" in refused(lambda t=forged: in_transaction(as_app, (BIND, (t,)), COUNT))


def test_an_expired_ticket_is_refused(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a, expires=1)
    assert "expired" in refused(lambda: in_transaction(as_app, (BIND, (ticket,)), COUNT))


def test_a_ticket_of_an_unknown_or_retired_key_is_refused(as_app, platform_db):
    stranger = seal(SealKey("other-1", platform_db.seal.secret), platform_db.a)
    assert "unknown key" in refused(lambda: in_transaction(as_app, (BIND, (stranger,)), COUNT))
    retired = SealKey.generate("retired-1")
    inner, outer = retired.pads()
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO app.seal_key VALUES (%s, %s, %s, now(), now())", ("retired-1", inner, outer)
        )
    ticket = seal(retired, platform_db.a)
    assert "unknown key" in refused(lambda: in_transaction(as_app, (BIND, (ticket,)), COUNT))


@pytest.mark.parametrize(
    "ticket",
    [
        "x",
        "....",
        "test-1.0190f5e0-0000-7000-8000-00000000000a.99999999999999999999.00",
        "test-1.0190F5E0-0000-7000-8000-00000000000A.9999999999." + "0" * 64,
        "a' OR '1'='1",
        "é" * 50,
        "test-1\n.0190f5e0-0000-7000-8000-00000000000a.9999999999." + "0" * 64,
    ],
)
def test_a_malformed_ticket_is_refused(as_app, ticket):
    message = refused(lambda: in_transaction(as_app, (BIND, (ticket,)), COUNT))
    assert "malformed" in message or "forged" in message


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_to_a_ticket_is_accepted(as_app, platform_db, data):
    ticket = seal(platform_db.seal, platform_db.a, expires=4_000_000_000)
    start = data.draw(st.integers(0, len(ticket)))
    end = data.draw(st.integers(start, len(ticket)))
    alphabet = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    changed = ticket[:start] + data.draw(st.text(alphabet, max_size=12)) + ticket[end:]
    assume(changed != ticket)
    refused(lambda: in_transaction(as_app, (BIND, (changed,)), COUNT))


def test_a_ticket_is_not_to_be_seen_by_others_of_the_same_login(platform_db, as_app):
    with platform_db.database.tenant_session(platform_db.context(platform_db.b)) as session:
        session.execute(select(Tenant))
        shown = as_app.execute("SELECT string_agg(query, ' ') FROM pg_stat_activity").fetchone()[0]
        ticket = session.scalar(select(func.current_setting("app.tenant_ticket")))
    assert "FROM identity.tenant" in shown
    assert ticket.rsplit(".", 1)[1] not in shown


def test_a_ticket_of_64_megabytes_is_refused_and_the_server_lives(as_app):
    huge = ("SELECT set_config('app.tenant_ticket', repeat('x', 64 * 1024 * 1024), true)", ())
    backend = as_app.info.backend_pid
    assert "malformed" in refused(lambda: in_transaction(as_app, huge, COUNT))
    assert as_app.execute("SELECT pg_backend_pid()").fetchone() == (backend,)


def test_a_rolled_back_savepoint_takes_the_ticket_with_it(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a)
    statements = [("SAVEPOINT s", ()), (BIND, (ticket,)), ("ROLLBACK TO s", ()), COUNT]
    assert "no tenant ticket" in refused(lambda: in_transaction(as_app, *statements))


def test_the_key_behind_the_tickets_cannot_be_read_or_replaced(as_app, platform_db):
    refused(lambda: as_app.execute("SELECT * FROM app.seal_key"))
    refused(lambda: as_app.execute("INSERT INTO app.seal_key VALUES ('k', '', '')"))
    refused(lambda: as_app.execute("CREATE TEMP TABLE seal_key (kid text)"))
    refused(lambda: as_app.execute("CREATE FUNCTION app.sha256(bytea) RETURNS bytea RETURN $1"))
    for role in ("core_seal", "core_owner", "core_bypass", "core_backup", "postgres"):
        refused(lambda r=role: as_app.execute(f"SET ROLE {r}"))


def test_an_injected_set_config_does_not_move_the_session_to_another_tenant(platform_db, agents):
    injected = text(
        "WITH moved AS MATERIALIZED (SELECT set_config('app.tenant_ticket', :ticket, true) AS t) "
        "SELECT a.tenant_id FROM moved, LATERAL (SELECT * FROM identity.agent WHERE t <> '') a"
    )
    own = seal(platform_db.seal, platform_db.a)
    wished = own.replace(str(platform_db.a), str(platform_db.b))
    seen = set()

    def attack(session: TenantSession) -> None:
        seen.update(row.tenant_id for row in session.execute(injected, {"ticket": wished}))
        # Where the plan reads A's rows first, every later statement must fail, not run as B.
        session.execute(select(Agent))

    with pytest.raises(TenantRefused):
        platform_db.database.run_as_tenant(platform_db.a, Origin.REQUEST, attack)
    assert seen <= {platform_db.a.uuid}


def test_two_tenants_on_one_backend_never_see_each_other(platform_db, agents):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)
    seen = []
    for tenant in (platform_db.a, platform_db.b, platform_db.a):
        with database.tenant_session(platform_db.context(tenant)) as session:
            pid = session.scalar(select(func.pg_backend_pid()))
            owners = {agent.tenant_id for agent in session.scalars(select(Agent))}
        seen.append((pid, owners))
    database.close()
    assert len({pid for pid, _ in seen}) == 1
    assert [owners for _, owners in seen] == [
        {platform_db.a.uuid},
        {platform_db.b.uuid},
        {platform_db.a.uuid},
    ]


def test_nothing_set_for_a_whole_session_survives_check_in(platform_db):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)
    with database.tenant_session(platform_db.context(platform_db.b)) as session:
        stolen = session.scalar(select(func.current_setting("app.tenant_ticket")))
        session.execute(text("SELECT set_config('app.other', :t, false)"), {"t": stolen})
        session.execute(text("SET SESSION statement_timeout = 0"))
        session.execute(text("DECLARE kept CURSOR WITH HOLD FOR SELECT * FROM identity.tenant"))
        session.execute(text("SELECT pg_advisory_lock(7)"))
    with database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert session.scalar(select(func.current_setting("app.other", True))) in (None, "")
        assert session.scalar(select(func.current_setting("statement_timeout"))) == "15s"
        assert session.scalar(text("SELECT count(*) FROM pg_cursors WHERE name = 'kept'")) == 0
        assert session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0
    database.close()


def test_a_broken_transaction_cannot_be_used_on_and_the_next_one_is_right(platform_db):
    database = platform_db.database
    with (
        pytest.raises(UnknownReference),
        database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.execute(insert(AgentKey).values(_key(platform_db.a, uuid.uuid4())))
    with database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert session.scalars(select(Tenant.name)).all() == ["Tenant B"]


def test_a_backend_killed_in_the_middle_gives_an_error_and_then_the_right_tenant(platform_db):
    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal, pool_size=1)

    def killed(session: TenantSession) -> None:
        pid = session.scalar(select(func.pg_backend_pid()))
        with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,))
        session.scalar(select(Tenant.name))

    with pytest.raises(DatabaseUnreachable):
        database.run_as_tenant(platform_db.a, Origin.REQUEST, killed)
    with database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert session.scalar(select(Tenant.name)) == "Tenant B"
    database.close()


def test_rows_cannot_be_written_for_another_tenant(platform_db, agents):
    foreign = {"tenant_id": platform_db.b.uuid, "agent_id": uuid.uuid4(), "name": "planted"}
    with (
        pytest.raises(TenantRefused),
        platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.execute(insert(Agent).values(foreign))


def test_rows_cannot_be_moved_to_another_tenant(platform_db, agents):
    # Without a WHERE no column is read, so only WITH CHECK stands between the row and tenant B.
    for statement in (
        update(Agent).values(tenant_id=platform_db.b.uuid),
        update(Agent).where(Agent.agent_id == agents[platform_db.a]).values(tenant_id=platform_db.b.uuid),
    ):
        with (
            pytest.raises(TenantRefused),
            platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
        ):
            session.execute(statement)


def test_updates_and_deletes_without_a_where_touch_only_own_rows(platform_db, agents):
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert session.execute(update(Agent).values(name="renamed")).rowcount == 1
        assert session.execute(delete(AppUser)).rowcount == 0
    with platform_db.database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert session.scalars(select(Agent.name)).all() == [f"of {platform_db.b}"]


def test_a_foreign_key_to_another_tenants_row_looks_like_one_to_nothing(platform_db, agents):
    messages = set()
    for target in (agents[platform_db.b], uuid.uuid4()):
        with (
            pytest.raises(UnknownReference) as caught,
            platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
        ):
            session.execute(insert(AgentKey).values(_key(platform_db.a, target)))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_the_same_e_mail_may_exist_in_two_tenants_but_not_twice_in_one(platform_db):
    def user(tenant: TenantId) -> AppUser:
        return AppUser(tenant_id=tenant.uuid, email="same@example.com", name="Same")

    for tenant in (platform_db.a, platform_db.b):
        with platform_db.database.tenant_session(platform_db.context(tenant)) as session:
            session.add(user(tenant))
    with (
        pytest.raises(Conflict),
        platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.add(user(platform_db.a))


def test_row_security_cannot_be_switched_off(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a)
    off = ("SET LOCAL row_security = off", ())
    message = refused(lambda: in_transaction(as_app, off, (BIND, (ticket,)), COUNT))
    assert "affected by row-level security" in message


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE identity.agent",
        "COPY identity.agent TO PROGRAM 'cat'",
        "ALTER TABLE identity.agent DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON identity.agent",
        "CREATE VIEW app.leak AS SELECT * FROM identity.agent",
        "CREATE TABLE public.oracle (t uuid REFERENCES identity.tenant)",
        "CREATE TRIGGER spy BEFORE INSERT ON identity.agent EXECUTE FUNCTION app.refuse_change()",
        "SELECT app.bypass_scope()",
        "SELECT * FROM app.bypass_log",
        "UPDATE identity.tenant SET state = 'active'",
        "GRANT core_owner TO core_app",
    ],
)
def test_what_the_application_has_no_business_doing_is_refused(as_app, statement):
    with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported)):
        as_app.execute(statement)


def test_copy_does_not_go_round_row_security(as_app, platform_db):
    ticket = seal(platform_db.seal, platform_db.a)
    with as_app.transaction():
        as_app.execute(BIND, (ticket,))
        with as_app.cursor().copy("COPY identity.tenant (tenant_id) TO STDOUT") as copy:
            assert [row for (row,) in copy.rows()] == [str(platform_db.a)]

    def load() -> None:
        with as_app.cursor().copy("COPY identity.agent FROM STDIN") as copy:
            copy.write(b"")

    with pytest.raises(errors.FeatureNotSupported):
        load()


def test_the_audit_log_can_be_neither_changed_nor_deleted(platform_db, as_app):
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        session.add(AuditLog(tenant_id=platform_db.a.uuid, origin="request", actor="t", action="x"))
    for statement in (update(AuditLog).values(action="y"), delete(AuditLog)):
        with (
            pytest.raises(TenantRefused),
            platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
        ):
            session.execute(statement)
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        for statement in ("UPDATE audit.audit_log SET action = 'y'", "TRUNCATE audit.audit_log"):
            assert "append-only" in refused(lambda s=statement: admin.execute(s))


def test_provisioning_cannot_create_another_tenants_row(platform_db):
    with (
        pytest.raises(TenantRefused),
        platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.add(Tenant(tenant_id=uuid.uuid4(), name="not mine"))


def test_a_session_does_not_open_without_a_context(platform_db):
    for nothing in (None, str(platform_db.a), platform_db.a):
        with (
            pytest.raises(InvalidTenant),
            platform_db.database.tenant_session(nothing),
        ):
            pass


def test_a_session_takes_no_plain_sql(platform_db):
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        for call in (session.execute, session.scalar, session.scalars):
            with pytest.raises(PlainSqlRefused):
                call("SELECT 1")


def test_a_session_offers_no_way_to_its_connection(platform_db):
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        public = {name for name in dir(session) if not name.startswith("_")}
        result = session.execute(select(Tenant))
        assert not hasattr(result, "connection")
    assert public == {"add", "add_all", "context", "execute", "flush", "scalar", "scalars"}


def test_a_session_is_of_no_use_after_its_transaction(platform_db):
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        kept = session.scalars(select(Tenant)).one()
    assert kept.name == "Tenant A"
    for call in (lambda: session.execute(select(Tenant)), session.flush, lambda: session.add(kept)):
        with pytest.raises(SessionClosed):
            call()


def test_run_as_tenant_commits_what_fn_did_and_names_the_actor(platform_db):
    def connect(session: TenantSession) -> str:
        session.add(
            Connection(tenant_id=session.context.tenant.uuid, kind="aws", name="main", external_ref="1")
        )
        return session.context.actor

    actor = platform_db.database.run_as_tenant(platform_db.a, Origin.INGESTION, connect)
    assert actor.endswith("connect")
    with platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert session.scalar(select(func.count()).select_from(Connection)) == 1


def test_an_exception_rolls_the_whole_transaction_back(platform_db):
    class Stop(Exception):
        pass

    def half(session: TenantSession) -> None:
        session.add(AppUser(tenant_id=platform_db.b.uuid, email="half@example.com", name="Half"))
        session.flush()
        raise Stop

    with pytest.raises(Stop):
        platform_db.database.run_as_tenant(platform_db.b, Origin.REQUEST, half)
    with platform_db.database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert not session.scalars(select(AppUser).where(AppUser.email == "half@example.com")).all()


def test_an_error_names_the_refusal_and_never_the_value(platform_db):
    with (
        pytest.raises(Exception, match="SQLSTATE 22") as caught,
        platform_db.database.tenant_session(platform_db.context(platform_db.a)) as session,
    ):
        session.execute(select(literal_column("'SUPERSECRET'::integer")))
    assert "SUPERSECRET" not in str(caught.value)


def test_a_value_the_driver_refuses_is_invalid_not_unreachable(platform_db):
    def store_nul(session: TenantSession) -> None:
        session.add(AppUser(tenant_id=platform_db.a.uuid, email="nul\0@example.com", name="Nul"))

    with pytest.raises(InvalidValue):
        platform_db.database.run_as_tenant(platform_db.a, Origin.REQUEST, store_nul)


def test_many_threads_of_two_tenants_share_few_connections_and_no_rows(platform_db):
    expected = {platform_db.a: "Tenant A", platform_db.b: "Tenant B"}

    def names(session: TenantSession) -> list[str]:
        return list(session.scalars(select(Tenant.name)))

    def work(tenant: TenantId) -> bool:
        run = platform_db.database.run_as_tenant
        return all(run(tenant, Origin.REQUEST, names) == [expected[tenant]] for _ in range(15))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [platform_db.a, platform_db.b] * 8))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a' OR '1'='1",
        "0190f5e0-0000-7000-8000-00000000000a\0",
        "{0190f5e0-0000-7000-8000-00000000000}",
        "0190f5e000007000800000000000000a",
        "urn:uuid:0190f5e0-0000-7000-8000-00000000000a",
        "00000000-0000-0000-0000-000000000000",
        "x" * 10_000_000,
        "\u0660190f5e0-0000-7000-8000-00000000000a",
        7,
        None,
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_tenant_id_never_reaches_the_database(value):
    with pytest.raises(InvalidTenant) as caught:
        TenantId.parse(value)
    assert len(str(caught.value)) < 100


def test_a_tenant_id_is_one_whatever_its_case():
    text_form = "0190f5e0-0000-7000-8000-00000000000a"
    assert TenantId.parse(text_form.upper()) == TenantId.parse(uuid.UUID(text_form))
    assert str(TenantId.parse(text_form.upper())) == text_form


def test_a_context_takes_no_string_for_a_tenant():
    with pytest.raises(InvalidTenant):
        TenantContext("0190f5e0-0000-7000-8000-00000000000a", Origin.REQUEST, "t")


def test_a_seal_key_keeps_its_secret_to_itself_and_is_never_short():
    assert "secret" not in repr(SealKey("k", b"secret" * 6))
    for kid, secret in (("k", b"short"), ("k.1", bytes(32)), ("k", bytes(65)), ("", bytes(32))):
        with pytest.raises(ValueError, match="seal key"):
            SealKey(kid, secret)


def test_a_service_without_the_bypass_login_cannot_bypass(platform_db):
    from core_platform.tenancy import ALL_TENANTS, BypassReason

    database = PlatformDatabase(platform_db.app_url, seal=platform_db.seal)
    with pytest.raises(BypassRefused, match="no bypass login"):
        database.run_as_bypass(
            ALL_TENANTS, BypassReason.ANOMALY_SWEEP, lambda session: None, change_ref="job 1"
        )
    database.close()


def _key(tenant: TenantId, agent_id: uuid.UUID) -> dict[str, object]:
    return {
        "tenant_id": tenant.uuid,
        "key_id": f"ak_{uuid.uuid4().hex[:6]}",
        "agent_id": agent_id,
        "pepper_version": "p1",
    }
