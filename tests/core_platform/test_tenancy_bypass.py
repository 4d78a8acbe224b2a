"""The bypass: impossible without a grant, bounded by it, and on the record whatever happens."""

import ast
import uuid
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import errors
from sqlalchemy import delete, func, insert, select, update

from core_platform.errors import BypassRefused, SessionClosed, TenantRefused
from core_platform.integrity import silent_agents
from core_platform.schema import Agent, AgentStream, AuditLog, BypassLog, GpuSample, Tenant
from core_platform.tenancy import (
    ALL_TENANTS,
    BypassReason,
    BypassSession,
    Origin,
    TenantSession,
    sweep,
)

ROOT = Path(__file__).parents[2]
COUNT = "SELECT count(*) FROM identity.tenant"
GRANT = (
    "INSERT INTO app.bypass_log (entry_id, phase, begin_id, scope, reason, change_ref) "
    "VALUES (%s, %s, %s, %s, 'anomaly_sweep', 'test')"
)
OPEN = "SELECT set_config('app.bypass_grant', %s, true)"


@pytest.fixture
def as_bypass(platform_db):
    """A raw connection of the bypass login, as an attacker inside a worker would have."""
    with psycopg.connect(platform_db.bypass_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def run(platform_db):
    """`run_as_bypass` over every tenant for the anomaly sweep."""

    def run(fn, scope=ALL_TENANTS, change_ref="job 7"):
        return platform_db.database.run_as_bypass(
            scope, BypassReason.ANOMALY_SWEEP, fn, change_ref=change_ref
        )

    return run


def records(platform_db, change_ref):
    with psycopg.connect(platform_db.admin_url) as admin:
        return admin.execute(
            "SELECT phase, scope, reason FROM app.bypass_log WHERE change_ref = %s ORDER BY at",
            (change_ref,),
        ).fetchall()


def tenant_names(session: BypassSession) -> set[str]:
    return set(session.scalars(select(Tenant.name)))


def grant(connection, scope="*", *, begin_scope=None, begin_inside=False):
    """Write a grant by hand, the begin record in a transaction of its own unless told otherwise."""
    begin, entry = uuid.uuid4(), uuid.uuid4()
    begin_row = (GRANT, (begin, "begin", None, begin_scope or scope))
    if not begin_inside:
        connection.execute(*begin_row)
    with connection.transaction():
        if begin_inside:
            connection.execute(*begin_row)
        connection.execute(GRANT, (entry, "grant", begin, scope))
        connection.execute(OPEN, (str(entry),))
        rows = connection.execute("SELECT tenant_id FROM identity.tenant").fetchall()
    return entry, {tenant for (tenant,) in rows}


def test_the_bypass_login_sees_nothing_without_a_grant(as_bypass):
    with pytest.raises(errors.InsufficientPrivilege, match="no bypass grant"):
        as_bypass.execute(COUNT)


def test_a_grant_over_all_tenants_reaches_all_and_one_over_a_tenant_only_that(platform_db, run):
    assert run(tenant_names) == {"Tenant A", "Tenant B"}
    assert run(tenant_names, scope=platform_db.b) == {"Tenant B"}


def test_a_grant_for_one_tenant_writes_no_other(platform_db, run):
    def rename_a(session: BypassSession) -> int:
        a = update(Tenant).where(Tenant.tenant_id == platform_db.a.uuid)
        return session.execute(a.values(name="moved")).rowcount

    def plant(session: BypassSession) -> None:
        session.execute(insert(Agent).values(tenant_id=platform_db.a.uuid, name="planted"))

    assert run(rename_a, scope=platform_db.b) == 0
    with pytest.raises(TenantRefused):
        run(plant, scope=platform_db.b)


def test_a_grant_is_of_no_use_in_a_later_transaction(as_bypass):
    entry, seen = grant(as_bypass)
    assert len(seen) == 2

    def reuse() -> None:
        with as_bypass.transaction():
            as_bypass.execute(OPEN, (str(entry),))
            as_bypass.execute(COUNT)

    with pytest.raises(errors.InsufficientPrivilege, match="no bypass grant"):
        reuse()


def test_a_grant_needs_a_begin_record_that_another_transaction_committed(as_bypass):
    with pytest.raises(errors.InsufficientPrivilege, match="no bypass grant"):
        grant(as_bypass, begin_inside=True)


def test_a_grant_cannot_be_wider_than_its_begin_record(as_bypass, platform_db):
    with pytest.raises(errors.InsufficientPrivilege, match="no bypass grant"):
        grant(as_bypass, scope="*", begin_scope=str(platform_db.a))


@pytest.mark.parametrize("forged", ["", "x" * 36, str(uuid.UUID(int=7)), "x" * 1_000_000])
def test_a_made_up_grant_is_refused(as_bypass, forged):
    def open_forged() -> None:
        with as_bypass.transaction():
            as_bypass.execute(OPEN, (forged,))
            as_bypass.execute(COUNT)

    with pytest.raises(errors.InsufficientPrivilege, match="no bypass grant"):
        open_forged()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM app.bypass_log",
        "UPDATE app.bypass_log SET reason = 'xservice_join'",
        "TRUNCATE app.bypass_log",
        (
            "INSERT INTO app.bypass_log (entry_id, phase, scope, reason, change_ref, transaction_id) "
            "VALUES (gen_random_uuid(), 'begin', '*', 'anomaly_sweep', 'x', 999999)"
        ),
        "SET ROLE core_owner",
        "SELECT * FROM app.seal_key",
        "SELECT app.current_tenant()",
        "ALTER TABLE identity.tenant DISABLE ROW LEVEL SECURITY",
    ],
)
def test_the_bypass_login_cannot_touch_its_own_record_or_its_limits(as_bypass, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        as_bypass.execute(statement)


def test_a_reason_outside_the_closed_list_is_refused_by_the_database_too(as_bypass):
    with pytest.raises(errors.CheckViolation):
        as_bypass.execute(
            "INSERT INTO app.bypass_log (entry_id, phase, scope, reason, change_ref) "
            "VALUES (gen_random_uuid(), 'begin', '*', 'curiosity', 'x')"
        )


def test_the_reasons_of_the_code_are_the_reasons_of_the_database(platform_db):
    with psycopg.connect(platform_db.admin_url) as admin:
        (definition,) = admin.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'bypass_log_reason_check'"
        ).fetchone()
    assert {reason for reason in BypassReason if f"'{reason}'" in definition} == set(BypassReason)
    assert definition.count("'::text") == len(BypassReason)


def test_a_committed_bypass_leaves_begin_and_grant(platform_db, run):
    run(tenant_names, change_ref="kept")
    assert records(platform_db, "kept") == [
        ("begin", "*", "anomaly_sweep"),
        ("grant", "*", "anomaly_sweep"),
    ]


def test_the_begin_record_survives_a_rollback(platform_db, run):
    class Stop(Exception):
        pass

    def fail(session: BypassSession) -> None:
        session.execute(update(Tenant).values(name="gone wrong"))
        raise Stop

    with pytest.raises(Stop):
        run(fail, change_ref="rolled back")
    assert records(platform_db, "rolled back") == [("begin", "*", "anomaly_sweep")]
    assert run(tenant_names) == {"Tenant A", "Tenant B"}


def test_the_audit_log_is_append_only_for_the_bypass_too(run):
    for statement in (update(AuditLog).values(action="y"), delete(AuditLog)):
        with pytest.raises(TenantRefused):
            run(lambda session, s=statement: session.execute(s))


def test_a_bypass_inside_a_bypass_is_refused(run):
    with pytest.raises(BypassRefused, match="open already"):
        run(lambda session: run(tenant_names))
    assert run(tenant_names)


def test_a_bypass_inside_a_tenants_session_is_refused(platform_db, run):
    with (
        pytest.raises(BypassRefused, match="a tenant session is open already"),
        platform_db.database.tenant_session(platform_db.context(platform_db.a)),
    ):
        run(tenant_names)


def test_a_bypass_names_scope_reason_and_change(platform_db):
    bypass = platform_db.database.run_as_bypass
    good = BypassReason.ANOMALY_SWEEP
    for scope, reason, change_ref in (
        (None, good, "x"),
        ("*", good, "x"),
        (ALL_TENANTS, "anomaly_sweep", "x"),
        (ALL_TENANTS, good, " "),
        (ALL_TENANTS, good, "x" * 201),
    ):
        with pytest.raises(BypassRefused):
            bypass(scope, reason, tenant_names, change_ref=change_ref)


def test_a_bypass_session_does_not_outlive_its_callback(run):
    escaped = run(lambda session: session)
    with pytest.raises(SessionClosed):
        escaped.scalars(select(Tenant))


def test_the_idle_sweep_records_a_finding_for_the_idle_tenant_and_a_visit_for_the_other(
    platform_db,
):
    agent_id, epoch = uuid.uuid4(), uuid.uuid4()

    def stream(session: TenantSession) -> None:
        tenant_id = session.context.tenant.uuid
        session.add(Agent(tenant_id=tenant_id, agent_id=agent_id, name="gpu-1"))
        session.flush()
        rows = [
            {
                "tenant_id": tenant_id,
                "agent_id": agent_id,
                "epoch": epoch,
                "seq": seq,
                "gpu_index": gpu,
                "sampled_at": func.now(),
                "utilization_pct": (1.0, 90.0)[gpu],
                "memory_used_mib": 10,
                "power_w": 60.0,
            }
            for seq in range(1, sweep.LEAST_SAMPLES + 1)
            for gpu in (0, 1)
        ]
        for row in rows:
            session.execute(insert(GpuSample).values(row))

    platform_db.database.run_as_tenant(platform_db.a, Origin.AGENT_STREAM, stream)
    report = sweep.sweep_idle_gpus(platform_db.database, change_ref="nightly")
    assert report == sweep.SweepReport(tenants=2, idle_gpus=1)
    found = {
        tenant: platform_db.database.run_as_tenant(tenant, Origin.REQUEST, sweep_details)
        for tenant in (platform_db.a, platform_db.b)
    }
    (idle,) = found[platform_db.a]
    assert (idle["agent_id"], idle["gpu_index"]) == (str(agent_id), 0)
    assert idle["mean_utilization_pct"] == 1.0
    assert found[platform_db.b] == []


def test_silent_agents_are_noted_for_their_own_tenant_alone(platform_db):
    quiet, sending = uuid.uuid4(), uuid.uuid4()

    def enrol(session: TenantSession) -> None:
        for agent_id in (quiet, sending):
            session.execute(
                insert(Agent).values(tenant_id=platform_db.a.uuid, agent_id=agent_id, name="node")
            )
        stream = {"agent_id": sending, "epoch": uuid.uuid4(), "high_water_mark": 3}
        session.execute(insert(AgentStream).values(tenant_id=platform_db.a.uuid, **stream))

    platform_db.database.run_as_tenant(platform_db.a, Origin.REQUEST, enrol)
    silent_agents.record_silent_agents(platform_db.database, change_ref="nightly")
    noted = {
        tenant: platform_db.database.run_as_tenant(tenant, Origin.REQUEST, silences)
        for tenant in (platform_db.a, platform_db.b)
    }
    assert str(quiet) in noted[platform_db.a]
    assert str(sending) not in noted[platform_db.a]
    assert str(quiet) not in noted[platform_db.b]


def silences(session: TenantSession) -> list[str]:
    details = session.scalars(select(AuditLog.detail).where(AuditLog.action == silent_agents.ACTION))
    return [agent for detail in details for agent in detail["silent_agents"]]


def sweep_details(session: TenantSession) -> list[dict[str, object]]:
    detail = session.scalars(select(AuditLog.detail).where(AuditLog.action == sweep.ACTION)).one()
    return detail["idle_gpus"]


def test_a_begin_row_names_its_transaction(platform_db, run):
    run(tenant_names, change_ref="numbered")
    with psycopg.connect(platform_db.admin_url) as admin:
        numbers = admin.execute(
            "SELECT count(DISTINCT transaction_id), min(transaction_id) > 0 FROM app.bypass_log "
            "WHERE change_ref = 'numbered'"
        ).fetchone()
    assert numbers == (2, True)


def call_sites() -> set[tuple[str, str, str]]:
    """Every (path, function, reason) in the platform's source that calls `run_as_bypass`."""
    found = set()
    for path in sorted((ROOT / "core_platform").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for call in ast.walk(function):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr == "run_as_bypass"
                ):
                    reason = call.args[1]
                    assert isinstance(reason, ast.Attribute), f"{path}: name the reason literally"
                    found.add((str(path.relative_to(ROOT)), function.name, reason.attr))
    return found


def test_every_call_of_the_bypass_is_registered_and_every_registration_is_called():
    registry = yaml.safe_load((ROOT / "core_platform/tenancy/bypass_sites.yaml").read_text())
    registered = {(s["path"], s["function"], s["reason"]) for s in registry["sites"]}
    assert registered == call_sites()
    for site in registry["sites"]:
        assert site["owner"]
        assert site["why"]
        assert site["kind"] in {"cron", "grpc-after-hmac", "cross-service"}
        assert site["reason"] in BypassReason.__members__


def test_every_registered_reader_exists_and_names_declared_tables():
    from core_platform.schema import declared

    registry = yaml.safe_load((ROOT / "core_platform/tenancy/readers.yaml").read_text())
    for reader in registry["readers"]:
        tree = ast.parse((ROOT / reader["path"]).read_text())
        functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        assert reader["function"] in functions, reader["id"]
        assert set(reader["tables"]) <= set(declared()), reader["id"]


def test_the_bypass_log_can_be_read_through_its_model(run):
    begins = run(
        lambda session: session.scalars(
            select(BypassLog).where(BypassLog.phase == "begin", BypassLog.scope == "*")
        ).all()
    )
    assert all(begin.begin_id is None for begin in begins)
    assert begins
