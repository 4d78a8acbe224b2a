from __future__ import annotations

from pathlib import Path

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.source_lint import SourceAccess, SourceLintCollector
from evidence.kinds.source import LintReport, SourceBypass
from evidence.record import Outcome
from evidence.scope import Unit
from lint.config import LintConfig
from posture.platform_lint import PLATFORM_LINT

ROOT = Path(__file__).parents[2]
UNIT = Unit("sources/app", "sources", "source:app", {})
MIGRATION = """
CREATE TABLE shop.customer (tenant_id uuid PRIMARY KEY);
CREATE TABLE shop.invoice (tenant_id uuid PRIMARY KEY);
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.customer FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer USING (tenant_id = current_setting('app.tenant', true)::uuid);
"""
SWEEP = "def sweep():\n    run_as_bypass(ALL, Reason.SWEEP, count, change_ref='1')\n"

SCHEMA = """
CREATE TABLE crm.tenant (tenant_id uuid PRIMARY KEY);
CREATE TABLE crm.account (
    tenant_id uuid NOT NULL REFERENCES crm.tenant, id uuid, PRIMARY KEY (tenant_id, id));
CREATE TABLE billing.invoice (tenant_id uuid NOT NULL REFERENCES crm.tenant, account_id uuid);
"""
PROTECTED = "".join(
    f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;\n"
    f"CREATE POLICY own ON {table} USING (tenant_id = current_setting('app.tenant', true)::uuid);\n"
    for table in ("crm.tenant", "crm.account", "billing.invoice")
)
REGISTRY = """
ceiling: 2
sites:
  - {id: nightly, path: jobs.py, function: nightly, kind: cron, reason: SWEEP, owner: ops, scope: all-tenants,
     expires: 2099-11-30}
  - {id: pairs, path: jobs.py, function: pairs, kind: cross-service, reason: JOIN, owner: ops}
"""
JOBS = """
def nightly(database):
    tenants = database.run_as_bypass(ALL_TENANTS, Reason.SWEEP, list_tenants)
    for tenant in tenants:
        database.run_as_tenant(tenant, Origin.SWEEP, visit)


def list_tenants(session: BypassSession):
    return session.execute("SELECT tenant_id FROM crm.tenant")


def pairs(database):
    return database.run_as_bypass(ALL_TENANTS, Reason.JOIN, join)


def join(session: BypassSession):
    return session.execute(
        "SELECT 1 FROM billing.invoice i JOIN crm.account a"
        " ON a.tenant_id = i.tenant_id AND a.id = i.account_id"
    )
"""
SERVER = """
class Ingress(base.IngressServicer):
    def Send(self, request, context):
        agent = verify_hello(request.hello)
        return self.database.run_as_tenant(agent.tenant, Origin.AGENT, store)

    def Peek(self, request, context):
        return self.database.run_as_tenant(request.hello.tenant, Origin.AGENT, store)

    def Either(self, request, context, handle):
        handle(request)


def store(session: TenantSession):
    session.execute("SELECT 1 FROM billing.invoice")
"""
ALLOWED = """
def as_owner(session):
    # posture: ignore BYP006 until 2099-12-31 (ops): a migration of 2026
    session.execute("SET ROLE core_owner")
"""


def tree(folder: Path, **files: str) -> SourceAccess:
    (folder / "migrations").mkdir()
    (folder / "migrations" / "0001.sql").write_text(SCHEMA + PROTECTED)
    (folder / "sites.yaml").write_text(REGISTRY)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return SourceAccess(folder, config=LintConfig.from_mapping({"registry": "sites.yaml"}))


def bypass(access: SourceAccess) -> SourceBypass:
    report, found = look(SourceLintCollector(), UNIT, access)
    assert isinstance(report, Observed), report
    assert isinstance(found, Observed), found
    assert isinstance(found.payload, SourceBypass)
    return found.payload


def test_findings_coverage_and_bypass_sites_are_carried_over(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.sql").write_text(MIGRATION)
    (tmp_path / "sweep.py").write_text(SWEEP)
    sighting, _ = look(SourceLintCollector(), UNIT, SourceAccess(tmp_path))
    assert isinstance(sighting, Observed), sighting
    report = sighting.payload
    assert isinstance(report, LintReport)
    assert (report.tenant_tables, report.enforced, report.bypass_sites) == (2, 1, 1)
    assert report.tables == ("shop.customer", "shop.invoice")
    assert ("RLS001", "shop.invoice") in {(finding.rule, finding.table) for finding in report.findings}
    assert "BYP001" in {finding.rule for finding in report.findings}
    assert all(not finding.path.startswith("/") for finding in report.findings)


def test_a_tree_without_source_is_unreachable_not_clean(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        sightings = look(SourceLintCollector(), UNIT, SourceAccess(root))
        assert {one.kind for one in sightings if isinstance(one, NotObserved)} == {LintReport, SourceBypass}
        assert len(sightings) == 2
        for sighting in sightings:
            assert isinstance(sighting, NotObserved)
            assert sighting.outcome in {Outcome.UNREACHABLE, Outcome.PARTIAL}


def test_a_sweep_comes_with_what_it_reads_and_whom_it_visits(tmp_path: Path) -> None:
    seen = bypass(tree(tmp_path, jobs=JOBS))
    assert (seen.call_sites, seen.registered, seen.ceiling, seen.sweeps) == (2, 2, 2, 1)
    assert seen.listings == ("crm.tenant",)
    nightly, pairs = seen.uses
    assert (nightly.site, nightly.site_kind, nightly.tenant_origin) == ("nightly", "cron", "all-tenants")
    assert (nightly.reads, nightly.unread) == (("crm.tenant",), ())
    assert [visit.origin for visit in nightly.visits] == ["loop"]
    assert pairs.reads == ("billing.invoice", "crm.account")
    assert {site.id: site.expires for site in seen.sites} == {"nightly": "2099-11-30", "pairs": ""}


def test_what_runs_inside_a_bypass_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    hidden = JOBS.replace('"SELECT tenant_id FROM crm.tenant"', "statement_of(session)")
    nightly = bypass(tree(tmp_path, jobs=hidden)).uses[0]
    assert nightly.reads == ()
    assert nightly.unread == ("jobs.py:list_tenants",)


def test_a_callback_that_is_not_in_sight_is_told(tmp_path: Path) -> None:
    hidden = JOBS.replace("Reason.SWEEP, list_tenants)", "Reason.SWEEP, registered['nightly'])")
    nightly = bypass(tree(tmp_path, jobs=hidden)).uses[0]
    assert "not in sight" in nightly.unread[0]


def test_a_join_of_services_says_whether_both_sides_carry_the_tenant(tmp_path: Path) -> None:
    seen = bypass(tree(tmp_path, jobs=JOBS))
    (join,) = seen.service_joins
    assert (join.scope, join.missing, seen.joins, seen.carried) == ("bypass", "", 1, 1)
    loose = JOBS.replace("a.tenant_id = i.tenant_id AND ", "")
    (tmp_path / "jobs.py").write_text(loose)
    (join,) = bypass(SourceAccess(tmp_path)).service_joins
    assert join.missing
    assert join.function == "join"


def test_bindings_that_a_handler_reaches_say_what_verified_them(tmp_path: Path) -> None:
    seen = bypass(tree(tmp_path, server=SERVER, jobs=JOBS))
    assert seen.handler_names == (
        "server.py:Ingress.Send",
        "server.py:Ingress.Peek",
        "server.py:Ingress.Either",
    )
    found = {entry.handler.rpartition(".")[2]: entry for entry in seen.entries}
    assert (found["Send"].verified_by, found["Send"].tenant_origin) == ("verify_hello", "verified")
    assert (found["Peek"].verified_by, found["Peek"].tenant_origin) == (None, "request")
    assert (seen.handlers, seen.bindings, seen.verified) == (3, 2, 1)


def test_a_call_that_a_handler_makes_unverified_and_that_cannot_be_followed_is_told(tmp_path: Path) -> None:
    (opaque,) = bypass(tree(tmp_path, server=SERVER, jobs=JOBS)).opaque
    assert (opaque.handler, opaque.call) == ("server.py:Ingress.Either", "handle")


def test_findings_allowed_in_place_come_with_owner_and_end(tmp_path: Path) -> None:
    seen = bypass(tree(tmp_path, jobs=JOBS, allowed=ALLOWED))
    (allowed,) = seen.allowed_findings
    assert (allowed.path, allowed.rules, allowed.until, allowed.owner) == (
        "allowed.py",
        ("BYP006",),
        "2099-12-31",
        "ops",
    )


def test_the_platform_of_this_repository_shows_a_handler_a_sweep_and_a_join() -> None:
    access = SourceAccess(
        ROOT, paths=(ROOT / "core_platform",), config=LintConfig.from_mapping(PLATFORM_LINT)
    )
    seen = bypass(access)
    assert seen.handler_names == ("core_platform/ingress/server.py:AgentIngress.Stream",)
    assert (seen.bindings, seen.verified, seen.opaque) == (3, 3, ())
    assert {use.reads for use in seen.uses if use.site_kind == "cron"} == {("identity.tenant",)}
    assert {join.tables: join.missing for join in seen.service_joins} == {
        ("identity.agent", "gpu.agent_stream"): ""
    }
    assert seen.registered == seen.call_sites == seen.ceiling
