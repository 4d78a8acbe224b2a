"""Tenant isolation (RLS), the bypass: who goes round row security, and is each of them on the list?

A part of the area `tenant_isolation` in a module of its own, for length. Judges the lint's reading of the
source (what is wrong, and what was looked at) and the live catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.known_bad import KNOWN_BAD
from checks.populations import DAILY, DATABASES, SOURCES
from checks.protection import judged_roles, tenant_tables, ways_round
from checks.source_evidence import (
    NOTHING_ANALYSED,
    Reports,
    Sources,
    empty,
    place,
    reports_of,
    sources_of,
    unread,
)
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.postgres import RowSecurity
from evidence.kinds.source import BypassSite, LintReport, SourceBypass
from evidence.scope import Scope
from evidence.view import Evidence, Observation

SITES: Final = "core_platform/tenancy/bypass_sites.yaml"

NO_TENANT_TABLE: Final = "The catalog was read and names no table that holds tenant data: nothing was shown."
#: Rules over the closed list of bypass sites: unregistered, out of date, by hand.
CLOSED_LIST: Final = frozenset({"BYP001", "BYP004", "BYP006"})


# --- RLS-04 ---------------------------------------------------------------------------------------


@check(
    "RLS-04",
    expects=[
        Expect(LintReport, over=SOURCES, every=DAILY),
        Expect(SourceBypass, over=SOURCES, every=DAILY),
    ],
)
def bypass_discipline_holds(evidence: Evidence, scope: Scope, as_of: datetime) -> Verdict:
    """The lint finds nothing wrong in the source; what is allowed in place has an owner and an end."""
    reports, sources = reports_of(evidence, scope), sources_of(evidence, scope)
    facts: dict[str, int | str] = {
        name: sum(getattr(report.payload, name) for report in reports)
        for name in ("files", "statements", "not_analysed", "suppressed")
    }
    facts["bypass_sites"] = sum(len(source.payload.uses) for source in sources)
    if not facts["files"] or not facts["statements"]:
        return undecided(NOTHING_ANALYSED)
    return weigh(
        (*_found(reports), *_unowned(sources, as_of.date()), *_above_the_ceiling(sources)),
        (*unread(reports), *empty(sources)),
        facts=facts,
        holds="The lint read {files} files with {bypass_sites} bypass sites and found nothing wrong.",
        fails="The lint found {deviations} faults in {files} files.",
    )


def _found(reports: Reports) -> Iterator[Deviation]:
    for report in reports:
        for finding in report.payload.findings:
            if finding.severity.lower() != "info":
                yield Deviation(f"{finding.rule}: {finding.message}", place(finding))


def _unowned(sources: Sources, today: date) -> Iterator[Deviation]:
    for source in sources:
        for allowed in source.payload.allowed_findings:
            rules = ", ".join(allowed.rules)
            if not allowed.owner:
                yield Deviation(f"{rules} is allowed in place and nobody answers for it", place(allowed))
            if _is_over(allowed.until, today):
                yield Deviation(f"{rules} is allowed in place with no end to come", place(allowed))


def _is_over(last_day: str, today: date) -> bool:
    """Whether a last day (ISO 8601) has passed; none at all is over too."""
    return not last_day or date.fromisoformat(last_day) < today


def _above_the_ceiling(sources: Sources) -> Iterator[Deviation]:
    for source in sources:
        ceiling, uses = source.payload.ceiling, len(source.payload.uses)
        if ceiling is not None and uses > ceiling:
            yield deviation(source, f"{uses} bypass sites, and the ceiling is {ceiling}", "ceiling")


@sabotage("RLS-04", "ten known-bad snippets seeded", names=tuple(KNOWN_BAD))
def seed_known_bad_snippets(twin: Twin) -> None:
    """Six modules and four migrations, each with another fault; all of them must be found."""
    for path, text in KNOWN_BAD.items():
        twin.source.write(path, text)


@sabotage("RLS-04", "module opens the bypass at an unregistered site", names="core_platform/sweeps.py")
def add_an_unregistered_bypass(twin: Twin) -> None:
    """A call site that bypass_sites.yaml does not list."""
    twin.source.write(
        "core_platform/sweeps.py",
        '"""A sweep that nobody registered."""\n\n'
        "from core_platform.tenancy import AllTenants, BypassReason, BypassSession, PlatformDatabase\n\n\n"
        "def sweep(database: PlatformDatabase) -> int:\n"
        '    """Read every tenant."""\n\n'
        "    def read(session: BypassSession) -> int:\n"
        "        return 0\n\n"
        "    return database.run_as_bypass(\n"
        '        AllTenants(), BypassReason.ANOMALY_SWEEP, read, change_ref="none"\n'
        "    )\n",
    )


@sabotage("RLS-04", "migration leaves a tenant table without row security", names="r9002_export_note.py")
def migrate_without_row_security(twin: Twin) -> None:
    """A raw CREATE TABLE with a tenant_id and nothing that protects it."""
    twin.source.write(
        "core_platform/schema/migrations/versions/r9002_export_note.py",
        '"""A tenant table that nobody protects."""\n\n'
        "from core_platform.schema.migrations.operations import op\n\n"
        'revision = "9002"\ndown_revision = "0011"\n\n\n'
        "def upgrade() -> None:\n"
        '    """Create the table."""\n'
        '    op.execute("CREATE TABLE ai.export_note '
        '(tenant_id uuid NOT NULL, note text NOT NULL)")\n',
    )


@sabotage("RLS-04", "finding allowed in place by nobody", names="core_platform/integrity/by_nobody.py")
def allow_a_finding_without_an_owner(twin: Twin) -> None:
    """A suppression that has a reason and an end, and no one who answers for it."""
    twin.source.write(
        "core_platform/integrity/by_nobody.py",
        '"""A role taken by hand, and allowed."""\n\n'
        "from typing import Any\n\n\n"
        "def as_owner(session: Any) -> None:\n"
        '    """Become the owner of every table."""\n'
        "    # posture" + ": ignore BYP006 until 2099-12-31: it was urgent\n"
        '    session.execute("SET ROLE core_owner")\n',
    )


# --- RLS-08 ---------------------------------------------------------------------------------------


@check(
    "RLS-08",
    expects=[
        Expect(RowSecurity, over=DATABASES, every=DAILY),
        Expect(LintReport, over=SOURCES, every=DAILY),
        Expect(SourceBypass, over=SOURCES, every=DAILY),
    ],
)
def no_other_way_round(evidence: Evidence, scope: Scope, as_of: datetime) -> Verdict:
    """No role, function or view leads round row security, and source does so at registered sites alone."""
    catalogs = seen(evidence, scope, RowSecurity, over=DATABASES)
    reports, sources = reports_of(evidence, scope), sources_of(evidence, scope)
    if not any(tenant_tables(catalog.payload) for catalog in catalogs):
        return undecided(NO_TENANT_TABLE)
    return weigh(
        (
            *(deviation(one, what, where) for one in catalogs for what, where in ways_round(one.payload)),
            *_off_the_list(reports, sources, as_of.date()),
        ),
        (*_not_read(catalogs), *unread(reports), *_no_call(sources)),
        facts={
            "roles": sum(len(judged_roles(catalog.payload)) for catalog in catalogs),
            "definer_routines": sum(len(catalog.payload.definer_routines) for catalog in catalogs),
            "views": sum(len(catalog.payload.views) for catalog in catalogs),
            "call_sites": sum(len(source.payload.uses) for source in sources),
            "registered": sum(bool(use.site) for source in sources for use in source.payload.uses),
        },
        holds=(
            "{roles} login roles, {definer_routines} definer routines and {views} views were read; none "
            "leads round row security. {registered} of {call_sites} calls of the bypass in source stand "
            "at registered sites."
        ),
        fails="{deviations} ways round row security were found.",
    )


def _not_read(catalogs: tuple[Observation[RowSecurity], ...]) -> Iterator[str]:
    for catalog in catalogs:
        if not tenant_tables(catalog.payload):
            yield "A database in scope holds no table with tenant data, so nothing was shown of it."
        if catalog.payload.application_role not in {role.name for role in catalog.payload.roles}:
            yield "The login of the application was not found among the roles."


def _no_call(sources: Sources) -> Iterator[str]:
    yield from empty(sources)
    if not any(source.payload.uses for source in sources):
        yield "No call of the bypass was found in source, so that its list is closed was not shown."


def _off_the_list(reports: Reports, sources: Sources, today: date) -> Iterator[Deviation]:
    unregistered = [use for source in sources for use in source.payload.uses if not use.site]
    for use in unregistered:
        yield Deviation("a call of the bypass that no registered site allows", place(use))
    for source in sources:
        for site in source.payload.sites:
            if _is_over(site.expires, today):
                yield Deviation(_overdue(site), site.id)
    told = {place(use) for use in unregistered}
    for report in reports:
        for finding in report.payload.findings:
            listed = finding.rule in CLOSED_LIST and finding.severity.lower() != "info"
            if listed and place(finding) not in told:
                yield Deviation(f"{finding.rule}: {finding.message}", place(finding))


def _overdue(site: BypassSite) -> str:
    if not site.expires:
        return f"the site in {site.path} has no last day, so nobody looks at it again"
    return f"the site in {site.path} expired on {site.expires}"


@sabotage("RLS-08", "application role gets BYPASSRLS", names="core_app")
def grant_bypassrls(twin: Twin) -> None:
    """Policies no longer bind the application."""
    # posture: ignore BYP006 until 2027-11-30 (posture): a sabotage: it must turn its check red
    twin.database.execute("ALTER ROLE core_app BYPASSRLS")


@sabotage("RLS-08", "application role becomes a superuser", names="core_app")
def grant_superuser(twin: Twin) -> None:
    """Nothing binds the application."""
    twin.database.execute("ALTER ROLE core_app SUPERUSER")


@sabotage("RLS-08", "application role joins the owner", names="core_app")
def grant_ownership(twin: Twin) -> None:
    """SET ROLE core_owner, then ALTER TABLE."""
    twin.database.execute("GRANT core_owner TO core_app")


@sabotage("RLS-08", "SECURITY DEFINER function of a superuser reads tenant rows", names="app.all_users")
def add_a_definer_function(twin: Twin) -> None:
    """Anybody who may call it reads every tenant."""
    twin.database.execute(
        "CREATE FUNCTION app.all_users() RETURNS SETOF identity.app_user LANGUAGE sql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS 'SELECT * FROM identity.app_user'"
    )


@sabotage("RLS-08", "view over tenant rows runs with its owner's rights", names="ai.spend_report")
def add_an_owner_view(twin: Twin) -> None:
    """A report that forgets security_invoker."""
    twin.database.execute("CREATE VIEW ai.spend_report AS SELECT * FROM ai.ai_spend_event")


@sabotage("RLS-08", "materialized view keeps tenant rows", names="gpu.sample_summary")
def add_a_materialized_view(twin: Twin) -> None:
    """A summary that no policy can protect."""
    twin.database.execute(
        "CREATE MATERIALIZED VIEW gpu.sample_summary AS"
        " SELECT tenant_id, count(*) AS samples FROM gpu.gpu_sample GROUP BY tenant_id"
    )


@sabotage("RLS-08", "module takes another role by hand", names="core_platform/integrity/by_hand.py")
def set_role_by_hand(twin: Twin) -> None:
    """No grant, no record, and the rights of the tables' owner."""
    twin.source.write(
        "core_platform/integrity/by_hand.py",
        '"""Maintenance that nobody sees."""\n\n'
        "from typing import Any\n\n\n"
        "def as_owner(session: Any) -> None:\n"
        '    """Become the owner of every table."""\n'
        '    session.execute("SET ROLE core_owner")\n',
    )


@sabotage("RLS-08", "registered site past its last day", names="idle-gpu-sweep")
def let_a_site_expire(twin: Twin) -> None:
    """The owner allowed it until then, and nobody looked again."""
    site = "    reason: ANOMALY_SWEEP\n    scope: all-tenants\n    owner: platform\n"
    twin.source.patch(SITES, f"{site}    expires: 2027-11-30", f"{site}    expires: 2026-01-31")
