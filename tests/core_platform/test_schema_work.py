"""What a tenant's people do with the platform's tables, and what the database refuses them."""

import uuid
from datetime import UTC, date, datetime, timedelta
from functools import partial

import psycopg
import pytest
from sqlalchemy import delete, insert, select, update

from core_platform.actions import ActionStep, decide, history, open_actions, propose, step
from core_platform.errors import InvalidValue, TenantRefused
from core_platform.events import append_event, events_after, heads
from core_platform.integrity import (
    advice,
    answer,
    answers,
    budget_states,
    decide_day,
    decisions,
    recommend,
    set_budget,
)
from core_platform.lifecycle import (
    HeldTenant,
    begin_offboarding,
    cancel_offboarding,
    copy_of_tenant,
    exports,
    make_export,
    open_holds,
    place_hold,
    release_hold,
    retention,
    set_retention,
    state_history,
)
from core_platform.schema import (
    ActionTransition,
    AiSpendEvent,
    AnomalyDecision,
    AppUser,
    Event,
    ExportBundle,
    RecommendationFeedback,
    Tenant,
    TenantStateChange,
)
from core_platform.tenancy import Origin

PROPOSAL = {"kind": "gpu.stop", "target": "node-1/0", "detail": {}}


@pytest.fixture
def work(platform_db):
    """Run a function as tenant A, or B, in the name of somebody."""

    def run(fn, *arguments, tenant=platform_db.a, by="user:ada", **options):
        job = partial(_call, fn=fn, arguments=arguments, options=options)
        return platform_db.database.run_as_tenant(tenant, Origin.REQUEST, job, actor=by)

    return run


def _call(session, fn, arguments, options):
    return fn(session, *arguments, **options)


def test_an_action_goes_from_proposal_to_outcome_and_each_step_is_on_record(work):
    action = work(propose, **PROPOSAL, by="user:ben")
    work(decide, action, approve=True)
    assert [one.state for one in work(open_actions) if one.action_id == action] == ["approved"]
    for state in ("executing", "unknown", "done"):
        work(step, action, state, by="worker")
    assert [one for one in work(open_actions) if one.action_id == action] == []
    assert work(history, action) == [
        ActionStep(1, "proposed", "user:ben"),
        ActionStep(2, "approved", "user:ada"),
        ActionStep(3, "executing", "worker"),
        ActionStep(4, "unknown", "worker"),
        ActionStep(5, "done", "worker"),
    ]


def test_nobody_decides_their_own_action(work):
    action = work(propose, **PROPOSAL, by="user:ben")
    with pytest.raises(InvalidValue):
        work(decide, action, approve=True, by="user:ben")
    assert [one.state for one in work(history, action)] == ["proposed"]


@pytest.mark.parametrize("state", ["executing", "done", "proposed2", "unknown"])
def test_a_step_that_the_state_machine_does_not_have_is_refused(work, state):
    action = work(propose, **PROPOSAL, by="user:ben")
    with pytest.raises(InvalidValue):
        work(step, action, state)


def test_an_action_of_another_tenant_cannot_be_decided(work, platform_db):
    action = work(propose, **PROPOSAL, by="user:ben")
    with pytest.raises(InvalidValue, match="no action"):
        work(decide, action, approve=True, tenant=platform_db.b)


def test_a_streams_positions_have_no_gaps_and_can_be_followed(work, platform_db):
    assert [work(append_event, "s", "k", {"n": n}) for n in range(3)] == [1, 2, 3]
    with pytest.raises(LookupError):
        work(lambda session: (append_event(session, "s", "k", {}), {}["gone"]))
    assert work(append_event, "s", "k", {"n": 3}) == 4
    assert [one.payload["n"] for one in work(events_after, "s", 1)] == [1, 2, 3]
    assert work(heads)["s"] == 4
    assert work(heads, tenant=platform_db.b) == {}


@pytest.mark.parametrize(
    "model", [ActionTransition, Event, TenantStateChange, AnomalyDecision, RecommendationFeedback]
)
def test_what_is_on_record_can_be_neither_changed_nor_deleted(work, platform_db, model):
    table = model.__table__
    for statement in (update(model).values(tenant_id=platform_db.a.uuid), delete(model)):
        with pytest.raises(TenantRefused):
            work(lambda session, s=statement: session.execute(s))
    with psycopg.connect(platform_db.admin_url, autocommit=True) as admin:
        for words in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                admin.execute(words)


def test_a_tenant_is_offboarded_and_taken_back_on_record_unless_it_is_held(work, platform_db):
    database, tenant = platform_db.database, platform_db.b
    hold = work(place_hold, "litigation", tenant=tenant)
    assert work(open_holds, tenant=tenant) == [hold]
    with pytest.raises(HeldTenant):
        begin_offboarding(database, tenant, actor="ops", change_ref="CHG-1")
    work(release_hold, hold, tenant=tenant)
    with pytest.raises(InvalidValue):
        work(release_hold, hold, tenant=tenant)
    begin_offboarding(database, tenant, actor="ops", change_ref="CHG-2")
    with pytest.raises(InvalidValue):
        begin_offboarding(database, tenant, actor="ops", change_ref="CHG-3")
    assert work(lambda session: session.scalar(select(Tenant.state)), tenant=tenant) == "offboarding_pending"
    cancel_offboarding(database, tenant, actor="ops", change_ref="CHG-4")
    assert work(state_history, tenant=tenant) == [
        ("active", "provision_tenant"),
        ("offboarding_pending", "ops"),
        ("active", "ops"),
    ]


def test_a_tenant_cannot_be_deleted_before_it_is_archived(platform_db):
    with (
        psycopg.connect(platform_db.admin_url, autocommit=True) as admin,
        pytest.raises(psycopg.errors.CheckViolation, match="no step from active to deleted"),
    ):
        admin.execute("UPDATE identity.tenant SET state = 'deleted'")


def test_an_export_holds_the_tenants_rows_alone_under_a_digest_anyone_can_compute(work, platform_db):
    for tenant in (platform_db.a, platform_db.b):
        person = AppUser(tenant_id=tenant.uuid, email=f"{tenant}@example.com", name="P")
        work(lambda session, p=person: session.add(p), tenant=tenant)
    copied = work(make_export)
    again = work(copy_of_tenant)
    assert (copied.digest, copied.rows) == (again.digest, again.rows)
    assert str(platform_db.a).encode() in copied.content
    assert str(platform_db.b).encode() not in copied.content
    (export,) = work(exports)
    assert (export.state, export.digest) == ("ready", copied.digest)
    reopened = update(ExportBundle).values(state="requested")
    with pytest.raises(InvalidValue):
        work(lambda session: session.execute(reopened))


def test_retention_is_the_tenants_setting_or_the_default(work):
    assert work(retention)["events"] == timedelta(days=400)
    work(set_retention, "events", timedelta(days=30))
    work(set_retention, "events", timedelta(days=31))
    assert work(retention)["events"] == timedelta(days=31)
    for data_class, days in (("secrets", 30), ("events", 0), ("events", 4000)):
        with pytest.raises(InvalidValue):
            work(set_retention, data_class, timedelta(days=days))


def test_a_day_out_of_proportion_is_an_anomaly_and_a_quiet_one_is_decided_too(work):
    work(_spend, {1: 100, 2: 120, 3: 80, 4: 90, 5: 1_000})
    verdicts = [work(decide_day, date(2026, 10, day))[0].verdict for day in (1, 4, 5)]
    assert verdicts == ["too_little_history", "normal", "anomalous"]
    work(decide_day, date(2026, 10, 5))
    assert [(one.day.day, one.verdict) for one in work(decisions)] == [
        (1, "too_little_history"),
        (4, "normal"),
        (5, "anomalous"),
    ]


def test_a_budget_counts_its_own_model_and_month(work):
    work(_spend, {9: 70}, model="model-2")
    work(set_budget, "model-2", 100)
    since = datetime(2026, 10, 1, tzinfo=UTC)
    (state,) = [one for one in work(budget_states, since) if one.model_id == "model-2"]
    assert (state.used_tokens, state.exceeded) == (70, False)
    work(set_budget, "model-2", 60)
    (state,) = [one for one in work(budget_states, since) if one.model_id == "model-2"]
    assert state.exceeded
    with pytest.raises(InvalidValue):
        work(set_budget, "model-2", 0)


def test_an_answer_to_a_recommendation_is_kept_beside_the_next_one(work, platform_db):
    made = work(recommend, rule="idle/1", subject="node-1", monthly_saving_usd=12.5)
    work(answer, made, accept=False)
    work(answer, made, accept=True, by="user:ben")
    assert work(answers, made) == [("dismissed", "user:ada"), ("accepted", "user:ben")]
    assert [(one.monthly_saving_usd, one.state) for one in work(advice)] == [(12.5, "accepted")]
    with pytest.raises(InvalidValue, match="no recommendation"):
        work(answer, made, accept=True, tenant=platform_db.b)


def _spend(session, tokens_by_day, model="model-1"):
    for day, tokens in tokens_by_day.items():
        session.execute(
            insert(AiSpendEvent).values(
                tenant_id=session.context.tenant.uuid,
                source_object_hash=uuid.uuid4().hex,
                line=0,
                request_id="r",
                occurred_at=datetime(2026, 10, day, 12, tzinfo=UTC),
                account_id="1",
                region="r",
                model_id=model,
                operation="Converse",
                input_tokens=tokens,
                output_tokens=0,
            )
        )
