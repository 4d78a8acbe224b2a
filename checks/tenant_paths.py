"""Tenant isolation (RLS), the paths of requests, sweeps and joins through the source.

A part of the area `tenant_isolation` in a module of its own, for length. Judges what the lint's audit
read: what each request handler reaches and what it verified before, which rows a scheduled sweep reads
for whom, and whether a join of services keeps to one tenant. That nothing wrong was found shows nothing
where nothing was there to be found: without a handler, a sweep or a join the verdict is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, weigh
from checks.populations import DAILY, SOURCES
from checks.source_evidence import Sources, empty, place, sources_of
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.source import BypassUse, ServiceJoin, SourceBypass
from evidence.scope import Scope
from evidence.view import Evidence, Observation

SERVER: Final = "core_platform/ingress/server.py"
SWEEP: Final = "core_platform/tenancy/sweep.py"
SILENT_AGENTS: Final = "core_platform/integrity/silent_agents.py"

NO_BINDING: Final = "No binding of a tenant was reached from a request handler: nothing was shown."
CRON: Final = "cron"
ALL_TENANTS: Final = "all-tenants"
#: Where the tenant of a bypass may come from, one at a time.
ONE_TENANT: Final = frozenset({"loop", "verified"})
NOT_KNOWN: Final = "unknown"
#: Scopes in which no policy filters a join.
UNFILTERED: Final = frozenset({"bypass", "raw"})


# --- RLS-09 ---------------------------------------------------------------------------------------


@check("RLS-09", expects=[Expect(SourceBypass, over=SOURCES, every=DAILY)])
def handlers_verify_first(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every tenant binding and bypass that a request handler reaches comes after a verification."""
    sources = sources_of(evidence, scope)
    entries = [entry for source in sources for entry in source.payload.entries]
    facts: dict[str, int | str] = {
        "handlers": sum(len(source.payload.handler_names) for source in sources),
        "bindings": len(entries),
        "verified": sum(entry.verified_by is not None for entry in entries),
    }
    if not facts["handlers"]:
        return undecided("No request handler was found in source: nothing was shown.")
    return weigh(
        _unverified(sources),
        (*_not_followed(sources), *empty(sources), *([] if entries else [NO_BINDING])),
        facts=facts,
        holds=(
            "{verified} of {bindings} bindings that {handlers} request handlers reach come after a "
            "verification."
        ),
        fails="Only {verified} of {bindings} bindings that request handlers reach are verified before.",
    )


def _unverified(sources: Sources) -> Iterator[Deviation]:
    for source in sources:
        for entry in source.payload.entries:
            where = place(entry)
            if entry.verified_by is None:
                what = f"{entry.call} in {entry.function} is reached from {entry.handler} unverified"
                yield deviation(source, what, where)
            elif entry.tenant_origin == "request":
                what = f"{entry.call} in {entry.function} binds the tenant that {entry.shown_by} states"
                yield deviation(source, what, where)


def _not_followed(sources: Sources) -> Iterator[str]:
    calls = sum(len(source.payload.opaque) for source in sources)
    if calls:
        yield f"{calls} calls that handlers make unverified could not be followed."


@sabotage("RLS-09", "rows written before the hello is verified", names="SampleStore.note_foreign_tenant")
def bind_before_verification(twin: Twin) -> None:
    """The call moved up by two lines: who sends a hello chooses whose rows are written."""
    twin.source.patch(
        SERVER,
        "            agent = await self.verifier.verify(await _next_hello(messages, deadline))\n",
        "            hello = await _next_hello(messages, deadline)\n"
        "            await self._in_thread(self.samples.note_foreign_tenant, hello)\n"
        "            agent = await self.verifier.verify(hello)\n",
    )


@sabotage("RLS-09", "verification started and not awaited", names="SampleStore.store")
def ignore_the_verification(twin: Twin) -> None:
    """A coroutine that nobody awaits verifies nothing; the agent is who the hello says."""
    twin.source.patch(
        SERVER,
        "            agent = await self.verifier.verify(await _next_hello(messages, deadline))\n",
        "            hello = await _next_hello(messages, deadline)\n"
        "            self.verifier.verify(hello)\n"
        "            agent = VerifiedAgent(hello.tenant, hello.agent_id, hello.key_id, None, hello)\n",
    )


@sabotage("RLS-09", "verification skipped for one kind of hello", names="SampleStore.store")
def skip_the_verification_on_a_branch(twin: Twin) -> None:
    """Known agents are waved through: one path of two is verified."""
    twin.source.patch(
        SERVER,
        "            agent = await self.verifier.verify(await _next_hello(messages, deadline))\n",
        "            hello = await _next_hello(messages, deadline)\n"
        "            agent = VerifiedAgent(hello.tenant, hello.agent_id, hello.key_id, None, hello)\n"
        "            if not hello.key_id.startswith('known'):\n"
        "                agent = await self.verifier.verify(hello)\n",
    )


# --- RLS-10 ---------------------------------------------------------------------------------------


@check("RLS-10", expects=[Expect(SourceBypass, over=SOURCES, every=DAILY)])
def sweeps_go_tenant_by_tenant(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every scheduled sweep reaches one tenant at a time; for all at once it reads their listing alone."""
    sources = sources_of(evidence, scope)
    sweeps = [use for source in sources for use in _sweeps(source)]
    if not sweeps:
        return undecided("No scheduled sweep was found in source: nothing was shown.")
    return weigh(
        (deviation(source, what, where) for source in sources for what, where in _strays(source)),
        (*empty(sources), *(doubt for source in sources for doubt in _not_seen(source))),
        facts={
            "sweeps": len(sweeps),
            "listings": sum(use.tenant_origin == ALL_TENANTS for use in sweeps),
            "visits": sum(len(use.visits) for use in sweeps),
        },
        holds=(
            "{sweeps} scheduled sweeps were read: {listings} list the tenants under the bypass and read "
            "nothing else there; tenants are visited one at a time."
        ),
        fails="{deviations} places in {sweeps} scheduled sweeps reach other than one tenant at a time.",
    )


def _sweeps(source: Observation[SourceBypass]) -> Iterator[BypassUse]:
    return (use for use in source.payload.uses if use.site_kind == CRON)


def _strays(source: Observation[SourceBypass]) -> Iterator[tuple[str, str]]:
    """Each place where a sweep does not keep to one tenant, as (what, where)."""
    for use in _sweeps(source):
        if use.tenant_origin == ALL_TENANTS:
            for table in sorted(set(use.reads) - set(source.payload.listings)):
                yield f"{use.function} reads {table} of all tenants under the bypass", place(use)
        elif use.tenant_origin not in {*ONE_TENANT, NOT_KNOWN}:
            told = use.shown_by or use.tenant
            yield f"{use.function} takes its tenant from {use.tenant_origin}: {told}", place(use)
        for visit in use.visits:
            if visit.origin not in {*ONE_TENANT, NOT_KNOWN}:
                what = f"{use.function} visits a tenant from {visit.origin}: {visit.shown_by}"
                yield what, f"{use.path}:{visit.line}"


def _not_seen(source: Observation[SourceBypass]) -> Iterator[str]:
    for use in _sweeps(source):
        if NOT_KNOWN in {use.tenant_origin, *(visit.origin for visit in use.visits)}:
            yield "Where a sweep takes its tenant from could not be told."
        if use.tenant_origin == ALL_TENANTS and (use.unread or not use.reads):
            yield "What a sweep reads for all tenants at once could not be told."


@sabotage("RLS-10", "sweep reads samples of all tenants under the bypass", names="gpu.gpu_sample")
def sweep_all_tenants_at_once(twin: Twin) -> None:
    """Who has samples, asked of everybody's samples."""
    twin.source.patch(
        SWEEP,
        'active = select(Tenant.tenant_id).where(Tenant.state == "active").order_by(Tenant.tenant_id)',
        "active = select(GpuSample.tenant_id).distinct().order_by(GpuSample.tenant_id)",
    )


@sabotage("RLS-10", "sweep takes its tenant from a request", names="request")
def sweep_for_a_request(twin: Twin) -> None:
    """A sweep that anybody may send somewhere."""
    twin.source.patch(
        SWEEP,
        "def sweep_idle_gpus(database: PlatformDatabase, *, change_ref: str) -> SweepReport:",
        "def sweep_idle_gpus(\n"
        "    database: PlatformDatabase, request: Any, *, change_ref: str\n"
        ") -> SweepReport:",
    )
    twin.source.patch(
        SWEEP,
        "        ALL_TENANTS, BypassReason.ANOMALY_SWEEP,",
        '        request.query["tenant_id"], BypassReason.ANOMALY_SWEEP,',
    )


@sabotage("RLS-10", "sweep with no tenant", names=SWEEP)
def sweep_without_a_tenant(twin: Twin) -> None:
    """NULL, which reads as everybody wherever it is forgotten."""
    twin.source.patch(
        SWEEP, "        ALL_TENANTS, BypassReason.ANOMALY_SWEEP,", "        None, BypassReason.ANOMALY_SWEEP,"
    )


# --- RLS-11 ---------------------------------------------------------------------------------------


@check("RLS-11", expects=[Expect(SourceBypass, over=SOURCES, every=DAILY)])
def joins_carry_the_tenant(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every join across services outside a tenant's scope holds each side to the same tenant."""
    sources = sources_of(evidence, scope)
    joins = [join for source in sources for join in source.payload.service_joins]
    if not joins:
        return undecided("No join across services outside a tenant's scope was found: nothing was shown.")
    return weigh(
        (
            deviation(source, f"{join.function}: {join.missing}", place(join))
            for source in sources
            for join in source.payload.service_joins
            if join.missing and join.scope in UNFILTERED
        ),
        (*empty(sources), *_scope_not_known(joins)),
        facts={"joins": len(joins), "carried": sum(not join.missing for join in joins)},
        holds="{carried} of {joins} joins across services carry the tenant on both sides.",
        fails="Only {carried} of {joins} joins across services carry the tenant on both sides.",
    )


def _scope_not_known(joins: Iterable[ServiceJoin]) -> Iterator[str]:
    for join in joins:
        if join.missing and join.scope not in UNFILTERED:
            yield "A join across services carries no tenant, and in which scope it runs could not be told."


@sabotage("RLS-11", "tenant left out of one side of a join", names="find_silent_agents")
def drop_the_tenant_from_a_join(twin: Twin) -> None:
    """An agent's id alone: two tenants with one id see each other's telemetry as their own."""
    twin.source.patch(
        SILENT_AGENTS,
        "and_(Agent.tenant_id == AgentStream.tenant_id, Agent.agent_id == AgentStream.agent_id)",
        "and_(Agent.agent_id == AgentStream.agent_id)",
    )


@sabotage("RLS-11", "tenant of a join one of two conditions", names="find_silent_agents")
def loosen_the_tenant_of_a_join(twin: Twin) -> None:
    """OR for AND: the tenant need not match where the agent does."""
    twin.source.patch(SILENT_AGENTS, "same_agent = and_(", "same_agent = or_(")
