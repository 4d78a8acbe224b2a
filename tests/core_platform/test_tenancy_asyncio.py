"""The asyncio sessions keep every promise of the blocking ones, cancelled tasks included."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from sqlalchemy import func, select, text

from core_platform.errors import (
    BypassRefused,
    DatabaseUnreachable,
    InvalidTenant,
    PlainSqlRefused,
    SessionClosed,
    TenantRefused,
    UnsafeLogin,
)
from core_platform.schema import Agent, Tenant
from core_platform.tenancy import (
    ALL_TENANTS,
    AsyncBypassSession,
    AsyncTenantSession,
    BypassReason,
    BypassSession,
    Origin,
    PlatformDatabase,
    TenantSession,
)

PID = select(func.pg_backend_pid())


@asynccontextmanager
async def opened(platform_db, *, pool_size=1, **changes):
    """A database of this event loop, closed with it."""
    options = {"seal": platform_db.seal, "bypass_url": platform_db.bypass_url, **changes}
    database = PlatformDatabase(platform_db.app_url, pool_size=pool_size, **options)
    try:
        yield database
    finally:
        await database.aclose()


async def name(session):
    return await session.scalar(select(Tenant.name))


def test_a_session_of_each_tenant_sees_its_own_rows_on_one_backend(platform_db):
    async def look():
        seen = []
        async with opened(platform_db) as database:
            for tenant in (platform_db.a, platform_db.b, platform_db.a):
                async with database.async_tenant_session(platform_db.context(tenant)) as session:
                    seen.append((await session.scalar(PID), await name(session)))
        return seen

    seen = asyncio.run(look())
    assert len({pid for pid, _ in seen}) == 1
    assert [of for _, of in seen] == ["Tenant A", "Tenant B", "Tenant A"]


def test_work_is_committed_and_an_exception_rolls_it_back(platform_db):
    async def add(session):
        session.add(Agent(tenant_id=session.context.tenant.uuid, name="kept"))
        await session.flush()
        return session.context.actor

    async def fail(session):
        await add(session)
        raise LookupError

    async def work():
        async with opened(platform_db) as database:
            actor = await database.arun_as_tenant(platform_db.a, Origin.REQUEST, add)
            with pytest.raises(LookupError):
                await database.arun_as_tenant(platform_db.a, Origin.REQUEST, fail)
            async with database.async_tenant_session(platform_db.context(platform_db.a)) as session:
                return actor, (await session.scalars(select(Agent.name))).all()

    actor, names = asyncio.run(work())
    assert actor.endswith("add")
    assert names == ["kept"]


def test_a_row_of_another_tenant_is_refused(platform_db):
    async def plant(session):
        session.add(Agent(tenant_id=platform_db.b.uuid, name="planted"))

    async def work():
        async with opened(platform_db) as database:
            await database.arun_as_tenant(platform_db.a, Origin.REQUEST, plant)

    with pytest.raises(TenantRefused):
        asyncio.run(work())


def test_a_bypass_is_bounded_and_on_the_record_though_it_fails(platform_db):
    async def names(session):
        return set(await session.scalars(select(Tenant.name)))

    async def fail(session):
        await names(session)
        raise LookupError

    async def work():
        async with opened(platform_db) as database:
            bypass, reason = database.arun_as_bypass, BypassReason.XSERVICE_JOIN
            wide = await bypass(ALL_TENANTS, reason, names, change_ref="async wide")
            narrow = await bypass(platform_db.b, reason, names, change_ref="async narrow")
            with pytest.raises(LookupError):
                await bypass(ALL_TENANTS, reason, fail, change_ref="async failed")
            return wide, narrow

    assert asyncio.run(work()) == ({"Tenant A", "Tenant B"}, {"Tenant B"})
    with psycopg.connect(platform_db.admin_url) as admin:
        rows = admin.execute(
            "SELECT change_ref, phase FROM app.bypass_log WHERE change_ref LIKE 'async %' ORDER BY at"
        ).fetchall()
    assert [phase for ref, phase in rows if ref == "async failed"] == ["begin"]
    assert [phase for ref, phase in rows if ref == "async wide"] == ["begin", "grant"]


def test_a_bypass_inside_a_tenants_session_is_refused(platform_db):
    async def work():
        async with (
            opened(platform_db) as database,
            database.async_tenant_session(platform_db.context(platform_db.a)),
        ):
            await database.arun_as_bypass(ALL_TENANTS, BypassReason.XSERVICE_JOIN, name, change_ref="nested")

    with pytest.raises(BypassRefused, match="a tenant session is open already"):
        asyncio.run(work())


def test_nothing_that_a_session_could_keep_survives_check_in(platform_db):
    async def work():
        async with opened(platform_db) as database:
            async with database.async_tenant_session(platform_db.context(platform_db.b)) as session:
                await session.execute(text("SELECT set_config('app.other', 'B', false)"))
                await session.execute(text("SELECT pg_advisory_lock(11)"))
            async with database.async_tenant_session(platform_db.context(platform_db.a)) as session:
                other = await session.scalar(select(func.current_setting("app.other", True)))
                locks = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
                return other, await session.scalar(locks)

    assert asyncio.run(work()) in ((None, 0), ("", 0))


def test_a_task_cancelled_in_the_middle_of_a_query_leaves_the_next_user_clean(platform_db):
    async def work():
        async with opened(platform_db) as database:

            async def slow(session):
                await session.execute(text("SELECT set_config('app.other', 'A', false)"))
                await session.execute(text("SELECT pg_sleep(30)"))

            running = asyncio.create_task(database.arun_as_tenant(platform_db.a, Origin.REQUEST, slow))
            await asyncio.sleep(0.3)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            async with database.async_tenant_session(platform_db.context(platform_db.b)) as session:
                other = await session.scalar(select(func.current_setting("app.other", True)))
                return await name(session), other

    assert asyncio.run(asyncio.wait_for(work(), 10)) in (("Tenant B", None), ("Tenant B", ""))


def test_tasks_cancelled_at_any_moment_never_mix_tenants_or_lose_connections(platform_db):
    expected = {platform_db.a: "Tenant A", platform_db.b: "Tenant B"}
    chance = random.Random(7)

    async def work():
        async with opened(platform_db, pool_size=2) as database:
            await database.arun_as_tenant(platform_db.a, Origin.REQUEST, name)

            async def cancelled(tenant, after):
                run = database.arun_as_tenant(tenant, Origin.REQUEST, name)
                with suppress(asyncio.TimeoutError, asyncio.CancelledError):
                    return await asyncio.wait_for(run, after)
                return None

            for _ in range(15):
                tenants = [platform_db.a, platform_db.b] * 2
                answers = await asyncio.gather(
                    *(cancelled(tenant, chance.uniform(0, 0.012)) for tenant in tenants)
                )
                assert all(
                    answer in (None, expected[tenant])
                    for tenant, answer in zip(tenants, answers, strict=True)
                )
            for tenant in (platform_db.a, platform_db.b):
                answers = await asyncio.gather(
                    *(database.arun_as_tenant(tenant, Origin.REQUEST, name) for _ in range(4))
                )
                assert answers == [expected[tenant]] * 4

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_backend_killed_in_the_middle_gives_an_error_and_then_the_right_tenant(platform_db):
    async def killed(session):
        pid = await session.scalar(PID)
        with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,))
        await name(session)

    async def work():
        async with opened(platform_db) as database:
            with pytest.raises(DatabaseUnreachable):
                await database.arun_as_tenant(platform_db.a, Origin.REQUEST, killed)
            return await database.arun_as_tenant(platform_db.b, Origin.REQUEST, name)

    assert asyncio.run(work()) == "Tenant B"


def test_sessions_offer_no_connection_take_no_plain_sql_and_end_with_their_transaction(platform_db):
    async def work():
        async with opened(platform_db) as database:
            async with database.async_tenant_session(platform_db.context(platform_db.a)) as session:
                public = {one for one in dir(session) if not one.startswith("_")}
                for call in (session.execute, session.scalar, session.scalars):
                    with pytest.raises(PlainSqlRefused):
                        await call("SELECT 1")
            with pytest.raises(SessionClosed):
                await session.execute(select(Tenant))
            return public

    public = asyncio.run(work())
    assert public == {"add", "add_all", "context", "execute", "flush", "scalar", "scalars"}


def test_the_four_kinds_of_session_are_no_kinds_of_each_other():
    kinds = (TenantSession, BypassSession, AsyncTenantSession, AsyncBypassSession)
    assert all(not issubclass(one, other) for one in kinds for other in kinds if one is not other)


def test_no_context_and_no_safe_login_open_no_session(platform_db):
    async def without_context():
        async with (
            opened(platform_db) as database,
            database.async_tenant_session(None),
        ):
            pass

    async def as_administrator():
        database = PlatformDatabase(platform_db.admin_url, seal=platform_db.seal)
        try:
            await database.arun_as_tenant(platform_db.a, Origin.REQUEST, name)
        finally:
            await database.aclose()

    async def without_bypass_login():
        async with opened(platform_db, bypass_url=None) as database:
            await database.arun_as_bypass(ALL_TENANTS, BypassReason.XSERVICE_JOIN, name, change_ref="job 1")

    with pytest.raises(InvalidTenant):
        asyncio.run(without_context())
    with pytest.raises(UnsafeLogin, match="superuser"):
        asyncio.run(as_administrator())
    with pytest.raises(BypassRefused, match="no bypass login"):
        asyncio.run(without_bypass_login())
