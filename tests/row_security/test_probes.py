"""What the prober promises: it tries everything, says what it saw, leaves nothing, guesses nothing."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import pytest

from core_platform.schema.migrate import RoleCredentials, upgrade
from core_platform.tenancy import SealKey, TenantId
from core_platform.tenancy.ticket import SETTING, seal
from lint.live.probes import ProbeError, ProbeResult, probe
from lint.live.read import read_database
from lint.live.verify import verify
from posture.embedded.postgres import PostgresServer
from tests.row_security.conftest import A, B, Shop, copied
from tests.row_security.faults import CLEAN, MINE, ROLE

SEAL = SealKey("test-1", bytes(range(32)))
PROTECT = f"""
ALTER TABLE shop.{{0}} OWNER TO shop_owner;
ALTER TABLE shop.{{0}} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shop.{{0}} TO shop_app USING ({MINE}) WITH CHECK ({MINE});
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.{{0}} TO shop_app;
"""


def probed(shop: Shop, role: str = ROLE, **options: object) -> ProbeResult:
    return probe(shop.dsn, read_database(shop.dsn), role=role, **options)  # type: ignore[arg-type]


def rules(result: ProbeResult, table: str) -> set[str]:
    return {one.rule for one in result.findings if one.table == table}


def test_every_tenant_table_of_the_clean_schema_is_seeded_and_held(shop: Shop) -> None:
    result = probed(shop)
    assert result.findings == ()
    assert result.inconclusive == ()
    protected = CLEAN.count("CREATE POLICY tenant ON")
    assert len(result.seeded) == protected
    assert result.setting == "app.tenant_id"


def test_a_finding_says_what_was_seen_and_the_smallest_fix(shop: Shop) -> None:
    shop.execute("ALTER TABLE shop.member DISABLE ROW LEVEL SECURITY")
    seen = next(one for one in probed(shop).findings if one.probe == "select")
    assert seen.table == "shop.member"
    assert "as tenant A, 1 row of other tenants in shop.member" in seen.message
    assert seen.fix == "ALTER TABLE shop.member ENABLE ROW LEVEL SECURITY;"


def test_nothing_is_left_behind(shop: Shop) -> None:
    tables = shop.rows("SELECT format('shop.%I', tablename) FROM pg_tables WHERE schemaname = 'shop'")
    before = shop.rows("SELECT count(*) FROM pg_class"), shop.rows("SELECT count(*) FROM pg_policies")
    result = probed(shop)
    assert (
        shop.rows("SELECT count(*) FROM pg_class"),
        shop.rows("SELECT count(*) FROM pg_policies"),
    ) == before
    for (table,) in tables:
        assert shop.rows(f"SELECT count(*) FROM {table}") == [(1 if table == "shop.country" else 0,)]
    assert any("sequences" in note for note in result.notes)


def test_a_database_with_rows_in_it_keeps_them_and_is_judged_alike(shop: Shop) -> None:
    shop.execute(
        f"INSERT INTO shop.member SELECT t::uuid, n"
        f" FROM unnest(ARRAY['{A}', '{B}']) t, generate_series(1, 50) n"
    )
    result = probed(shop)
    assert (result.findings, result.inconclusive) == ((), ())
    assert shop.rows("SELECT count(*) FROM shop.member") == [(100,)]


@pytest.mark.parametrize(
    ("role", "reason"),
    [("postgres", "superuser"), ("nobody_here", "no such role"), ("shop_bypass", "BYPASSRLS")],
)
def test_a_role_that_no_policy_binds_is_refused(shop: Shop, role: str, reason: str) -> None:
    if role == "shop_bypass":
        shop.execute(
            "DO $$BEGIN CREATE ROLE shop_bypass BYPASSRLS; EXCEPTION WHEN duplicate_object THEN NULL; END$$"
        )
    with pytest.raises(ProbeError, match=reason):
        probed(shop, role=role)


def test_a_table_that_takes_no_row_is_inconclusive_and_names_the_reason(shop: Shop) -> None:
    shop.execute(
        "CREATE TABLE shop.odd (tenant_id uuid PRIMARY KEY, code text NOT NULL CHECK (md5(code) = 'x'))"
    )
    shop.execute(PROTECT.format("odd"))
    result = probed(shop)
    (unclear,) = result.inconclusive
    assert (unclear.table, unclear.probe) == ("shop.odd", "seed")
    assert "odd_code_check" in unclear.why
    assert "shop.odd" not in result.seeded


def test_rows_are_made_for_types_and_constraints_of_all_sorts(shop: Shop) -> None:
    shop.execute(
        """
        CREATE DOMAIN shop.slug AS varchar(20) CHECK (VALUE ~ '^[a-z0-9]{3,20}$');
        CREATE TYPE shop.mood AS ENUM ('sad', 'glad');
        CREATE TABLE shop.zoo (
            tenant_id uuid NOT NULL, id bigserial, slug shop.slug NOT NULL, mood shop.mood NOT NULL,
            rate numeric(3, 2) NOT NULL CHECK (rate > 0 AND rate <= 1),
            small smallint NOT NULL CHECK (small IN (7, 9)),
            begins timestamptz NOT NULL, ends timestamptz NOT NULL, CHECK (ends > begins),
            during tstzrange NOT NULL, moods shop.mood[] NOT NULL, ip inet NOT NULL, raw bytea NOT NULL,
            digest text NOT NULL CHECK (octet_length(digest) = 64), flag boolean NOT NULL CHECK (NOT flag),
            kind text NOT NULL CHECK (kind LIKE 'zoo-%'), doc jsonb NOT NULL,
            day date NOT NULL CHECK (day > '2030-01-01'),
            spent interval NOT NULL, code char(2) NOT NULL CHECK (code = upper(code) OR code IN ('aa', 'bb')),
            PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, slug), EXCLUDE USING gist (during WITH &&)
        );
        """
    )
    shop.execute(PROTECT.format("zoo") + "GRANT USAGE ON SEQUENCE shop.zoo_id_seq TO shop_app")
    result = probed(shop)
    assert result.inconclusive == ()
    assert "shop.zoo" in result.seeded


@pytest.mark.parametrize(
    "partitions",
    [
        "BY HASH (id)| FOR VALUES WITH (MODULUS 2, REMAINDER 0)| FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "BY LIST (kind)| FOR VALUES IN ('a', 'b')| DEFAULT",
        f"BY LIST (tenant_id)| FOR VALUES IN ('{A}')| FOR VALUES IN ('{B}')",
        "BY RANGE (id)| FOR VALUES FROM (MINVALUE) TO (100)| FOR VALUES FROM (100) TO (MAXVALUE)",
    ],
)
def test_rows_find_a_partition(shop: Shop, partitions: str) -> None:
    key, first, second = partitions.split("|")
    primary = "" if "tenant_id" in key else ", PRIMARY KEY (tenant_id, id, kind)"
    shop.execute(
        "CREATE TABLE shop.part (tenant_id uuid NOT NULL, id bigint NOT NULL, kind text NOT NULL"
        f"{primary}) PARTITION {key};"
        f"CREATE TABLE shop.part_1 PARTITION OF shop.part {first};"
        f"CREATE TABLE shop.part_2 PARTITION OF shop.part {second};"
        "CREATE INDEX ON shop.part (tenant_id)"
    )
    shop.execute(PROTECT.format("part"))
    result = probed(shop)
    assert (result.findings, result.inconclusive) == ((), ())
    assert "shop.part" in result.seeded


_SETTING = "nullif(current_setting('app.tenant_id', true), '')"
_CLAIM = "(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'tenant_id')::uuid"
SOUND = {
    "a text tenant": f"""
        CREATE TABLE own.t (tenant_id text NOT NULL CHECK (tenant_id <> ''), id int, PRIMARY KEY
        (tenant_id, id));
        CREATE POLICY p ON own.t USING (tenant_id = {_SETTING});""",
    "an integer tenant that refers to its own entry": f"""
        CREATE TABLE own.tenants (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
        CREATE TABLE own.t (tenant_id int NOT NULL REFERENCES own.tenants, id int, PRIMARY KEY
        (tenant_id, id));
        CREATE POLICY p ON own.t USING (tenant_id = {_SETTING}::int);""",
    "the tenant in a JSON claim": f"""
        CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
        CREATE POLICY p ON own.t USING (tenant_id = {_CLAIM});""",
    "deleted rows hidden from their own tenant": f"""
        CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, deleted_at timestamptz, state text NOT NULL,
            PRIMARY KEY (tenant_id, id));
        CREATE POLICY p ON own.t USING (tenant_id = {_SETTING}::uuid AND deleted_at IS NULL AND state
        <> 'gone');""",
    "a permissive policy under a restrictive one": f"""
        CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
        CREATE POLICY a ON own.t USING (true);
        CREATE POLICY p ON own.t AS RESTRICTIVE USING (tenant_id = {_SETTING}::uuid);""",
    "a policy for each command": f"""
        CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
        CREATE POLICY s ON own.t FOR SELECT USING (tenant_id = {_SETTING}::uuid);
        CREATE POLICY i ON own.t FOR INSERT WITH CHECK (tenant_id = {_SETTING}::uuid);
        CREATE POLICY u ON own.t FOR UPDATE USING (tenant_id = {_SETTING}::uuid);
        CREATE POLICY d ON own.t FOR DELETE USING (tenant_id = {_SETTING}::uuid);""",
    "a trigger that writes the bound tenant into every row": f"""
        CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
        CREATE FUNCTION own.bind() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
            $$BEGIN NEW.tenant_id := coalesce({_SETTING}::uuid, NEW.tenant_id); RETURN NEW; END$$;
        CREATE TRIGGER bind BEFORE INSERT OR UPDATE ON own.t FOR EACH ROW EXECUTE FUNCTION own.bind();
        CREATE POLICY p ON own.t USING (tenant_id = {_SETTING}::uuid);""",
    "a tenant column of another name": f"""
        CREATE TABLE own.t (org_id uuid NOT NULL, id int, PRIMARY KEY (org_id, id));
        CREATE POLICY p ON own.t USING (org_id = {_SETTING}::uuid);""",
}


@pytest.mark.parametrize("made", SOUND.values(), ids=SOUND.keys())
def test_other_sound_schemas_are_clean_too(cluster: PostgresServer, made: str) -> None:
    with copied(cluster, "template1") as shop:
        shop.execute(
            f"CREATE SCHEMA own AUTHORIZATION shop_owner; SET ROLE shop_owner; {made}"
            "ALTER TABLE own.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
            "GRANT USAGE ON SCHEMA own TO shop_app; GRANT SELECT, INSERT, UPDATE, DELETE ON own.t TO shop_app"
        )
        result = probed(shop)
    assert (result.findings, result.inconclusive) == ((), ())
    assert result.seeded == ("own.t",)


def test_a_membership_that_a_binding_alone_can_name_is_inconclusive(cluster: PostgresServer) -> None:
    with copied(cluster, "template1") as shop:
        shop.execute(
            """
            CREATE SCHEMA own AUTHORIZATION shop_owner; SET ROLE shop_owner;
            CREATE TABLE own.member (user_id uuid PRIMARY KEY, team uuid NOT NULL);
            CREATE TABLE own.t (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
            CREATE POLICY p ON own.t USING (tenant_id IN (SELECT team FROM own.member
                WHERE user_id = nullif(current_setting('app.user_id', true), '')::uuid));
            ALTER TABLE own.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            GRANT USAGE ON SCHEMA own TO shop_app; GRANT SELECT ON own.t, own.member TO shop_app
            """
        )
        result = probed(shop)
    assert result.findings == ()
    assert "give a binding" in result.inconclusive[0].why


def test_what_cannot_be_tried_is_named_and_stops_nothing(shop: Shop) -> None:
    shop.execute(
        """
        CREATE TABLE shop.login (tenant_id text NOT NULL, id int, PRIMARY KEY (tenant_id, id));
        ALTER TABLE shop.login OWNER TO shop_owner;
        ALTER TABLE shop.login ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON shop.login TO shop_app USING (tenant_id = session_user AND tenant_id <> '');
        CREATE TABLE shop.fixed (tenant_id uuid GENERATED ALWAYS AS (md5('a')::uuid) STORED, id int);
        ALTER TABLE shop.fixed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON shop.fixed TO shop_app USING (false);
        GRANT SELECT ON shop.login, shop.fixed TO shop_app;
        CREATE VIEW shop.broken WITH (security_invoker = true) AS SELECT 1 / 0 AS x, tenant_id FROM shop.note;
        GRANT SELECT ON shop.broken TO shop_app;
        CREATE FUNCTION shop.any(a anyelement) RETURNS anyelement LANGUAGE sql SECURITY DEFINER AS 'SELECT a';
        CREATE FUNCTION shop.ids(a int, VARIADIC c text[]) RETURNS TABLE (x uuid) LANGUAGE plpgsql
            SECURITY DEFINER AS $$BEGIN RETURN QUERY SELECT id FROM shop.note; END$$;
        """
    )
    result = probed(shop)
    unclear = {(one.table, one.probe) for one in result.inconclusive}
    assert unclear == {
        ("shop.any", "function"),
        ("shop.broken", "view"),
        ("shop.fixed", "seed"),
        ("shop.login", "select"),
    }
    assert [(one.rule, one.table) for one in result.findings] == [("RLS032", "shop.ids")]


def test_circular_foreign_keys_are_seeded_by_a_superuser(shop: Shop) -> None:
    shop.execute(
        """
        CREATE TABLE shop.egg (tenant_id uuid NOT NULL, id uuid NOT NULL, hen uuid NOT NULL,
            PRIMARY KEY (tenant_id, id));
        CREATE TABLE shop.hen (tenant_id uuid NOT NULL, id uuid NOT NULL, egg uuid NOT NULL,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, egg) REFERENCES shop.egg (tenant_id, id));
        ALTER TABLE shop.egg ADD FOREIGN KEY (tenant_id, hen) REFERENCES shop.hen (tenant_id, id);
        """
    )
    shop.execute(PROTECT.format("egg") + PROTECT.format("hen"))
    result = probed(shop)
    assert result.inconclusive == ()
    assert {"shop.egg", "shop.hen"} <= set(result.seeded)


def test_read_only_looks_at_existing_rows_and_writes_none(shop: Shop) -> None:
    shop.execute(f"INSERT INTO shop.member VALUES ('{A}', 1), ('{B}', 2)")
    held = probed(shop, read_only=True)
    assert held.findings == ()
    assert held.seeded == ("shop.member",)
    assert "shop.invoice" in {one.table for one in held.inconclusive}
    shop.execute("ALTER TABLE shop.member DISABLE ROW LEVEL SECURITY")
    leaking = probed(shop, read_only=True)
    assert "RLS002" in rules(leaking, "shop.member")
    assert not any("sequences" in note for note in leaking.notes)


def test_an_owner_that_is_no_superuser_can_probe(shop: Shop) -> None:
    shop.execute(
        "DO $$BEGIN CREATE ROLE shop_admin LOGIN PASSWORD 'password';"
        " EXCEPTION WHEN duplicate_object THEN NULL; END$$;"
        "GRANT shop_owner, shop_app TO shop_admin"
    )
    dsn = shop.login("shop_admin")
    result = probe(dsn, read_database(dsn), role=ROLE)
    assert (result.findings, result.inconclusive) == ((), ())
    shop.execute("CREATE POLICY more ON shop.member FOR INSERT TO shop_app WITH CHECK (true)")
    assert "RLS012" in rules(probe(dsn, read_database(dsn), role=ROLE), "shop.member")


def test_a_connection_that_made_the_setting_before_says_so(shop: Shop) -> None:
    with psycopg.connect(shop.dsn, autocommit=True) as connection:
        connection.execute("SELECT set_config('app.tenant_id', '', false)")
        result = probe(connection, read_database(shop.dsn), role=ROLE)
    assert [one.probe for one in result.inconclusive] == ["unset"]


@pytest.mark.parametrize("setting", ["app.tenant_id=one", "app.tenant_id=one,one", "=a,b"])
def test_half_given_values_are_refused(shop: Shop, setting: str) -> None:
    with pytest.raises(ProbeError, match="VALUE_A,VALUE_B"):
        probed(shop, tenant_setting=setting)


class Tickets:
    """Mints the platform's sealed tickets."""

    def settings(self, tenant: str) -> Mapping[str, str]:
        return {SETTING: seal(SEAL, TenantId.parse(tenant))}


@pytest.fixture(scope="module")
def platform(cluster: PostgresServer) -> Shop:
    with psycopg.connect(cluster.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE platform")
    url = cluster.url("postgres", "platform")
    upgrade(url, credentials=RoleCredentials(app="a", bypass="b"), seal=SEAL)
    return Shop(cluster, "platform")


def test_our_own_schema_holds_with_sealed_tickets(platform: Shop) -> None:
    result = probed(platform, role="core_app", binding=Tickets())
    assert (result.findings, result.inconclusive) == ((), ())
    assert len(result.seeded) >= 12


def test_both_layers_find_nothing_in_our_own_schema(platform: Shop) -> None:
    found = verify(platform.dsn, role="core_app", binding=Tickets())
    assert [one for one in found.findings if one.rule != "RLS055"] == []  # that one judges the server
    assert found.inconclusive == ()


def test_a_sealed_setting_is_never_guessed(platform: Shop) -> None:
    result = probed(platform, role="core_app")
    assert result.findings == ()
    assert {one.table for one in result.inconclusive} >= {"identity.agent", "gpu.gpu_sample"}
    assert all("NAME=VALUE_A,VALUE_B" in one.why for one in result.inconclusive)


def test_two_given_tickets_say_themselves_which_tenants_they_are_for(platform: Shop) -> None:
    given = ",".join(Tickets().settings(tenant)[SETTING] for tenant in (A, B))
    result = probed(platform, role="core_app", tenant_setting=f"{SETTING}={given}")
    assert (result.findings, result.inconclusive) == ((), ())
    platform.execute("ALTER TABLE ai.ingested_object DISABLE ROW LEVEL SECURITY")
    try:
        broken = probed(platform, role="core_app", tenant_setting=f"{SETTING}={given}")
    finally:
        platform.execute("ALTER TABLE ai.ingested_object ENABLE ROW LEVEL SECURITY")
    assert rules(broken, "ai.ingested_object") == {"RLS002"}
