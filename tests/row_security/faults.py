"""A clean multi-tenant schema, and the ways in which row security fails, each seeded on it alone.

Modes and lab ids are those of the failure catalogue; `expected` holds every code that fits: the rule
that names the cause, or the one that names what a tenant sees of it.
"""

from __future__ import annotations

from dataclasses import dataclass

OWNER = "shop_owner"
ROLE = "shop_app"
SETTING = "app.tenant_id"
TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
MINE = f"tenant_id = {TENANT}"

#: Roles belong to a cluster, so they are made once and never changed by a fault outside a database.
ROLES = """
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN;
CREATE ROLE shop_report LOGIN;
CREATE ROLE shop_staff NOLOGIN;
"""

_PROTECTED = ("customer", "invoice", "invoice_line", "event", "document", "member", "note", "audit")

CLEAN = (
    """
CREATE SCHEMA shop AUTHORIZATION shop_owner;
GRANT USAGE ON SCHEMA shop TO shop_app, shop_report;
SET ROLE shop_owner;
CREATE TYPE shop.plan AS ENUM ('free', 'paid');
CREATE DOMAIN shop.money AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE TABLE shop.country (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO shop.country VALUES ('CH', 'Switzerland');
CREATE TABLE shop.customer (
    tenant_id uuid NOT NULL, customer_id uuid NOT NULL DEFAULT gen_random_uuid(),
    email text NOT NULL CHECK (email LIKE '%@%'), plan shop.plan NOT NULL DEFAULT 'free',
    country text NOT NULL REFERENCES shop.country (code), tags text[] NOT NULL DEFAULT '{}', profile jsonb,
    PRIMARY KEY (tenant_id, customer_id), UNIQUE (tenant_id, email)
);
CREATE TABLE shop.invoice (
    tenant_id uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, customer_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'paid')),
    total shop.money NOT NULL, doubled numeric GENERATED ALWAYS AS (total * 2) STORED,
    currency char(3) NOT NULL CHECK (length(currency) = 3), is_public boolean NOT NULL DEFAULT false,
    due date NOT NULL, paid date, CHECK (paid >= due), body text,
    PRIMARY KEY (tenant_id, number),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customer (tenant_id, customer_id)
);
CREATE TABLE shop.invoice_line (
    tenant_id uuid NOT NULL, number bigint NOT NULL, line smallint NOT NULL CHECK (line BETWEEN 1 AND 999),
    body text NOT NULL, PRIMARY KEY (tenant_id, number, line),
    FOREIGN KEY (tenant_id, number) REFERENCES shop.invoice (tenant_id, number) ON DELETE CASCADE
);
CREATE TABLE shop.event (
    tenant_id uuid NOT NULL, event_id uuid NOT NULL, seen timestamptz NOT NULL, kind text NOT NULL, body text,
    PRIMARY KEY (tenant_id, event_id, seen)
) PARTITION BY RANGE (seen);
CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.event_2026 PARTITION OF shop.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE shop.event_2025 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE shop.event_2026 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE TABLE shop.document (
    tenant_id uuid NOT NULL, document_id uuid NOT NULL, parent_id uuid, body text,
    PRIMARY KEY (tenant_id, document_id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES shop.document (tenant_id, document_id)
        ON DELETE SET NULL (parent_id)
);
CREATE TABLE shop.member (
    tenant_id uuid NOT NULL, user_id bigint NOT NULL, active boolean NOT NULL DEFAULT true,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE TABLE shop.note (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid NOT NULL, body text, secret text
);
CREATE INDEX ON shop.note (tenant_id);
CREATE TABLE shop.audit (
    tenant_id uuid NOT NULL, entry_id uuid NOT NULL DEFAULT gen_random_uuid(), body text,
    PRIMARY KEY (tenant_id, entry_id)
);
"""
    + "".join(
        f"""
ALTER TABLE shop.{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shop.{table} TO shop_app USING ({MINE}) WITH CHECK ({MINE});
GRANT SELECT, INSERT{"" if table == "audit" else ", UPDATE, DELETE"} ON shop.{table} TO shop_app;
"""
        for table in _PROTECTED
    )
    + f"""
GRANT SELECT ON shop.country TO shop_app;
CREATE VIEW shop.open_invoice WITH (security_invoker = true) AS
    SELECT tenant_id, number, total FROM shop.invoice WHERE status <> 'paid';
GRANT SELECT ON shop.open_invoice TO shop_app;
CREATE FUNCTION shop.current_tenant() RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS 'SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid';
CREATE FUNCTION shop.member_count() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'SELECT count(*) FROM shop.member WHERE tenant_id = shop.current_tenant()';
REVOKE ALL ON FUNCTION shop.current_tenant(), shop.member_count() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.current_tenant(), shop.member_count() TO shop_app, shop_owner;
CREATE POLICY owner_reads ON shop.member FOR SELECT TO shop_owner USING ({MINE});
CREATE FUNCTION shop.log_note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$BEGIN INSERT INTO shop.audit (tenant_id, body) VALUES (NEW.tenant_id, NEW.body); RETURN NEW; END$$;
REVOKE ALL ON FUNCTION shop.log_note() FROM PUBLIC;
CREATE TRIGGER log AFTER INSERT ON shop.note FOR EACH ROW EXECUTE FUNCTION shop.log_note();
RESET ROLE;
"""
)


@dataclass(frozen=True)
class Fault:
    """One failure mode, seeded by `sql` on the clean schema; `id` opens with its mode's number."""

    id: str
    title: str
    sql: str
    expected: frozenset[str]
    lab: str
    #: What undoes the part of a fault that is the cluster's, not the database's.
    undo: str = ""


def _fault(id_: str, title: str, lab: str, expected: str, sql: str) -> Fault:
    return Fault(id_, title, f"SET ROLE shop_owner; {sql}; RESET ROLE", frozenset(expected.split()), lab)


def _admin(id_: str, title: str, lab: str, expected: str, sql: str, undo: str = "") -> Fault:
    return Fault(id_, title, sql, frozenset(expected.split()), lab, undo)


def _policy(using: str, *, table: str = "invoice", check: str = "") -> str:
    with_check = f" WITH CHECK ({check})" if check else ""
    return (
        f"DROP POLICY tenant ON shop.{table};"
        f"CREATE POLICY tenant ON shop.{table} TO shop_app USING ({using}){with_check}"
    )


_PLAIN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
_OPEN = "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.{0} TO shop_app"

FAULTS: tuple[Fault, ...] = (
    _fault("01", "a table with a tenant column has no row security", "A01", "RLS001",
           "CREATE TABLE shop.ledger (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, body text);"
           + _OPEN.format("ledger")),
    _fault("02", "ENABLE without any policy", "A02", "RLS003", "DROP POLICY tenant ON shop.invoice"),
    _fault("03", "a policy without ENABLE", "A03", "RLS002",
           "ALTER TABLE shop.invoice DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"),
    _fault("04", "row security is not forced", "A04", "RLS004",
           "ALTER TABLE shop.invoice NO FORCE ROW LEVEL SECURITY"),
    _fault("05", "FORCE without ENABLE", "A05", "RLS004 RLS002",
           "ALTER TABLE shop.invoice DISABLE ROW LEVEL SECURITY"),
    _admin("07", "the application's role inherits the owner's", "A07", "RLS054 RLS004",
           "ALTER TABLE shop.invoice NO FORCE ROW LEVEL SECURITY; ALTER TABLE shop.invoice OWNER TO"
           " shop_report;"
           "GRANT shop_report TO shop_app",
        undo="REVOKE shop_report FROM shop_app",
    ),
    _admin("08", "row_security = off is set on the role in this database", "A08 J11", "RLS054",
           "DO $$BEGIN EXECUTE format('ALTER ROLE shop_app IN DATABASE %I SET row_security = off',"
           " current_database()); END$$"),
    _fault("09", "INSERT WITH CHECK (true)", "B02", "RLS012 RLS010",
           "CREATE POLICY more ON shop.invoice FOR INSERT TO shop_app WITH CHECK (true)"),
    _fault("10", "UPDATE WITH CHECK (true): a row can be moved", "B03", "RLS012 RLS010",
           "DROP POLICY tenant ON shop.note;"
           f"CREATE POLICY r ON shop.note FOR SELECT TO shop_app USING ({MINE});"
           f"CREATE POLICY i ON shop.note FOR INSERT TO shop_app WITH CHECK ({MINE});"
           f"CREATE POLICY d ON shop.note FOR DELETE TO shop_app USING ({MINE});"
           f"CREATE POLICY u ON shop.note FOR UPDATE TO shop_app USING ({MINE}) WITH CHECK (true)"),
    _fault("10b", "WITH CHECK (true) beside USING of the tenant", "B03", "RLS012 RLS010",
           _policy(MINE, table="note", check="true")),
    _fault("12", "a second permissive policy widens the first", "B04", "RLS011",
           "CREATE POLICY published ON shop.invoice FOR SELECT TO shop_app USING (body LIKE '%published')"),
    _fault("13", "a policy meant as an assertion is permissive", "B04", "RLS011 RLS013",
           "CREATE POLICY only_active ON shop.member TO shop_app USING (active)"),
    _fault("14", "only restrictive policies", "B05", "RLS003",
           "DROP POLICY tenant ON shop.invoice;"
           f"CREATE POLICY tenant ON shop.invoice AS RESTRICTIVE TO shop_app USING ({MINE})"),
    _fault("15", "a setting that any session can make bypasses the policy", "B06", "RLS015",
           "CREATE POLICY bypass ON shop.invoice TO shop_app"
           " USING (current_setting('app.bypass_rls', true) = 'on')"),
    _fault("15b", "a bypass inside the tenant's policy", "B06", "RLS015",
           _policy(f"{MINE} OR current_setting('app.mode', true) = 'maintenance'")),
    _fault("15c", "a bypass through a function", "B06", "RLS015",
           "CREATE FUNCTION shop.bypassed() RETURNS boolean LANGUAGE sql STABLE SET search_path ="
           " pg_catalog, pg_temp"
           " AS 'SELECT coalesce(current_setting(''app.bypass'', true), ''off'') = ''on''';"
           + _policy(f"{MINE} OR shop.bypassed()")),
    _fault("16", "fail-open when the setting is unset", "B08", "RLS016",
           _policy(f"current_setting('app.tenant_id', true) IS NULL OR {_PLAIN}")),
    _fault("16b", "coalesce to the row's own tenant", "B09", "RLS016",
           _policy("tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid,"
           " tenant_id)")),
    _fault("16c", "fail-open on the empty string", "B08", "RLS016",
           _policy(f"current_setting('app.tenant_id', true) = '' OR {_PLAIN}")),
    _fault("17", "the policy names another role", "B07 K12", "RLS008",
           "DROP POLICY tenant ON shop.invoice;"
           f"CREATE POLICY tenant ON shop.invoice TO shop_report USING ({MINE})"),
    _admin("17b", "a role with a grant and no policy of its own", "K12 K13", "RLS008 RLS003",
           "ALTER POLICY tenant ON shop.member TO shop_staff"),
    _fault("18", "only a SELECT policy", "B10 I05", "RLS006",
           "DROP POLICY tenant ON shop.invoice;"
           f"CREATE POLICY tenant ON shop.invoice FOR SELECT TO shop_app USING ({MINE})"),
    _fault("19", "no SELECT policy", "B11", "RLS006",
           "DROP POLICY tenant ON shop.note;"
           f"CREATE POLICY i ON shop.note FOR INSERT TO shop_app WITH CHECK ({MINE});"
           f"CREATE POLICY u ON shop.note FOR UPDATE TO shop_app USING ({MINE});"
           f"CREATE POLICY d ON shop.note FOR DELETE TO shop_app USING ({MINE})"),
    _fault("20", "FOR UPDATE with only WITH CHECK", "L02", "RLS007 RLS006",
           "DROP POLICY tenant ON shop.note;"
           f"CREATE POLICY r ON shop.note FOR SELECT TO shop_app USING ({MINE});"
           f"CREATE POLICY i ON shop.note FOR INSERT TO shop_app WITH CHECK ({MINE});"
           f"CREATE POLICY d ON shop.note FOR DELETE TO shop_app USING ({MINE});"
           f"CREATE POLICY u ON shop.note FOR UPDATE TO shop_app WITH CHECK ({MINE})"),
    _fault("21", "a policy with no clause", "J21 L02", "RLS007",
           "DROP POLICY tenant ON shop.invoice; CREATE POLICY tenant ON shop.invoice TO shop_app"),
    _fault("23", "current_setting without missing_ok", "C01 M01", "RLS018",
           _policy("tenant_id = nullif(current_setting('app.tenant_id'), '')::uuid")),
    _fault("24", "'' cast to uuid on a reused connection", "C03 L03", "RLS017",
           _policy("tenant_id = current_setting('app.tenant_id', true)::uuid")),
    _fault("24b", "CASE WHEN IS NULL does not know ''", "L03", "RLS017",
           _policy("CASE WHEN current_setting('app.tenant_id', true) IS NULL THEN false"
                   " ELSE tenant_id = current_setting('app.tenant_id')::uuid END")),
    _fault("25", "a text tenant: '' matches rows with ''", "C04", "RLS016 RLS017",
           "CREATE TABLE shop.memo (tenant_id text NOT NULL DEFAULT '', id uuid NOT NULL, body text,"
           " PRIMARY KEY (tenant_id, id));"
           "ALTER TABLE shop.memo ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
           "CREATE POLICY tenant ON shop.memo TO shop_app USING (tenant_id ="
           " current_setting('app.tenant_id', true));"
           + _OPEN.format("memo")),
    _fault("26", "the tenant compared as text", "C06", "RLS014",
           _policy("tenant_id::text = current_setting('app.tenant_id', true)")),
    _fault("26b", "LIKE opens all with '%'", "K16", "RLS014",
           _policy("tenant_id::text LIKE current_setting('app.tenant_id', true)")),
    _fault("27", "the policy reads another setting than the application makes", "C08", "RLS019",
           _policy("tenant_id = nullif(current_setting('app.tenantid', true), '')::uuid")),
    _fault("28", "an RPC wraps set_config", "C09 I12", "RLS035",
           "CREATE FUNCTION shop.set_config(n text, v text) RETURNS text LANGUAGE sql SECURITY DEFINER"
           " SET search_path = pg_catalog, pg_temp AS 'SELECT set_config(n, v, false)';"
           "GRANT EXECUTE ON FUNCTION shop.set_config(text, text) TO shop_app"),
    _admin("34", "the role's default binds everybody to one tenant", "C14", "RLS054",
           "DO $$BEGIN EXECUTE format('ALTER ROLE shop_app IN DATABASE %I SET app.tenant_id = %L',"
           " current_database(), gen_random_uuid()); END$$"),
    _admin("34b", "the database's default binds everybody to one tenant", "C14", "RLS054",
           "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET app.tenant_id = %L',"
           " current_database(), gen_random_uuid()); END$$"),
    _admin("36", "a view without security_invoker over an unforced table", "D01", "RLS030",
           "CREATE VIEW shop.every_invoice AS SELECT * FROM shop.invoice;"
           "GRANT SELECT ON shop.every_invoice TO shop_app"),
    _admin("36b", "a superuser's view writes through FORCE", "D02 D08", "RLS030",
           "CREATE VIEW shop.every_note AS SELECT * FROM shop.note;"
           "GRANT SELECT, UPDATE, DELETE ON shop.every_note TO shop_app"),
    _admin("36c", "an invoker view over a definer view", "I10", "RLS030",
           "CREATE VIEW shop.inner_note AS SELECT * FROM shop.note;"
           "CREATE VIEW shop.outer_note WITH (security_invoker = true) AS SELECT * FROM shop.inner_note;"
           "GRANT SELECT ON shop.inner_note, shop.outer_note TO shop_app"),
    _admin("36d", "a view that only counts other tenants' rows", "D02", "RLS030",
           "CREATE VIEW shop.totals AS SELECT count(*) AS invoices, sum(total) AS total FROM shop.invoice;"
           "GRANT SELECT ON shop.totals TO shop_app"),
    _admin("37", "CREATE OR REPLACE VIEW drops security_invoker", "D03", "RLS030",
           "CREATE OR REPLACE VIEW shop.open_invoice AS SELECT tenant_id, number, total FROM shop.invoice"
           " WHERE status <> 'paid'; ALTER VIEW shop.open_invoice RESET (security_invoker);"
           "ALTER VIEW shop.open_invoice OWNER TO postgres"),
    _fault("38", "an invoker view without grants on its table", "J27", "RLS030 RLS022",
           "REVOKE ALL ON shop.invoice FROM shop_app"),
    _admin("39", "a materialised view", "D04", "RLS031",
           "CREATE MATERIALIZED VIEW shop.invoice_copy AS SELECT * FROM shop.invoice;"
           "GRANT SELECT ON shop.invoice_copy TO shop_app"),
    _admin("40", "a superuser's SECURITY DEFINER function returns all rows", "D05 J10", "RLS032",
           "CREATE FUNCTION shop.all_notes() RETURNS SETOF shop.note LANGUAGE sql SECURITY DEFINER"
           " SET search_path = pg_catalog, pg_temp AS 'SELECT * FROM shop.note'"),
    _admin("40b", "a definer function takes the tenant as an argument", "D05", "RLS032",
           "CREATE FUNCTION shop.notes_of(t uuid) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
           " SET search_path = pg_catalog, pg_temp AS 'SELECT body FROM shop.note WHERE tenant_id = t'"),
    _admin("40c", "a definer function deletes other tenants' rows", "D05", "RLS032",
           "CREATE FUNCTION shop.purge() RETURNS void LANGUAGE sql SECURITY DEFINER"
           " SET search_path = pg_catalog, pg_temp AS 'DELETE FROM shop.note'"),
    _admin("40d", "a function whose SET clause binds a tenant", "J10", "RLS032 RLS035",
           "DO $$BEGIN EXECUTE format('CREATE FUNCTION shop.fixed() RETURNS bigint LANGUAGE sql"
           " SET app.tenant_id = %L AS ''SELECT count(*) FROM shop.note''', gen_random_uuid()); END$$"),
    _admin("41", "a definer function without search_path in a policy", "D06", "RLS032",
           "CREATE FUNCTION shop.allowed(t uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER"
           " AS 'SELECT t = nullif(current_setting(''app.tenant_id'', true), '''')::uuid';"
           + _policy("shop.allowed(tenant_id)", table="note")),
    _admin("42", "search_path = '' and an unqualified body", "L06", "RLS032",
           "CREATE FUNCTION shop.counted() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET"
           " search_path = ''"
           " AS $$BEGIN RETURN (SELECT count(*) FROM note); END$$"),
    _fault("43", "a trigger copies rows into an unprotected log", "D07", "RLS034",
           "CREATE TABLE shop.trail (body text); GRANT SELECT ON shop.trail TO shop_app;"
           "CREATE FUNCTION shop.trail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
           " SET search_path = pg_catalog, pg_temp AS"
           " $$BEGIN INSERT INTO shop.trail VALUES (NEW.body); RETURN NEW; END$$;"
           "CREATE TRIGGER trail AFTER INSERT ON shop.document FOR EACH ROW EXECUTE FUNCTION shop.trail()"),
    _fault("43b", "a rule copies rows into an unprotected log", "J20", "RLS034",
           "CREATE TABLE shop.trail (body text); GRANT SELECT ON shop.trail TO shop_app;"
           "CREATE RULE trail AS ON INSERT TO shop.document DO ALSO INSERT INTO shop.trail VALUES"
           " (NEW.body)"),
    _admin("44", "a LEAKPROOF function of the user's own", "D09", "RLS032 RLS030 RLS020",
           "CREATE FUNCTION shop.peek(t text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF COST 0.0001"
           " SET search_path = pg_catalog, pg_temp AS $$BEGIN RAISE NOTICE '%', t; RETURN true; END$$;"
           "GRANT EXECUTE ON FUNCTION shop.peek(text) TO shop_app"),
    _fault("45", "a cast error inside a policy", "D10", "RLS014 RLS017 RLS022",
           _policy(f"body::int > 0 AND {MINE}", table="note")),
    _fault("46", "a unique constraint without the tenant", "E01 E02", "RLS050",
           "ALTER TABLE shop.customer ADD UNIQUE (email)"),
    _fault("47", "a foreign key without the tenant", "E03", "RLS051",
           "CREATE TABLE shop.remark (tenant_id uuid NOT NULL, id uuid NOT NULL, note_id uuid"
           " REFERENCES shop.note,"
           " PRIMARY KEY (tenant_id, id));"
           "ALTER TABLE shop.remark ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
           f"CREATE POLICY tenant ON shop.remark TO shop_app USING ({MINE});" + _OPEN.format("remark")),
    _fault("47b", "a cascade deletes another tenant's rows", "E04", "RLS051",
           "CREATE TABLE shop.remark (tenant_id uuid NOT NULL, id uuid NOT NULL,"
           " note_id uuid REFERENCES shop.note ON DELETE CASCADE, PRIMARY KEY (tenant_id, id));"
           "ALTER TABLE shop.remark ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
           f"CREATE POLICY tenant ON shop.remark TO shop_app USING ({MINE});"
           "GRANT SELECT ON shop.remark TO shop_app"),
    _fault("48", "ON DELETE SET NULL hits the tenant column", "J08", "RLS052",
           "ALTER TABLE shop.document DROP CONSTRAINT document_tenant_id_parent_id_fkey;"
           "ALTER TABLE shop.document ADD FOREIGN KEY (tenant_id, parent_id)"
           " REFERENCES shop.document (tenant_id, document_id) ON DELETE SET NULL"),
    _fault("49", "a composite foreign key whose tenant may be NULL", "J09", "RLS043 RLS051 RLS016",
           "ALTER TABLE shop.invoice_line DROP CONSTRAINT invoice_line_pkey;"
           "ALTER TABLE shop.invoice_line ALTER COLUMN tenant_id DROP NOT NULL"),
    _fault("50", "TRUNCATE is granted", "E06", "RLS053", "GRANT TRUNCATE ON shop.invoice TO shop_app"),
    _fault("50b", "REFERENCES is granted", "E09", "RLS053", "GRANT REFERENCES ON shop.invoice TO shop_app"),
    _fault("50c", "TRIGGER is granted", "E09", "RLS053", "GRANT TRIGGER ON shop.invoice TO shop_app"),
    _admin("54", "a publication streams every tenant's rows", "J04 I01", "RLS031 RLS053 RLS054 RLS036",
           "CREATE PUBLICATION everything FOR TABLE shop.invoice"),
    _fault("55", "a partition can be read directly", "F01", "RLS033",
           "ALTER TABLE shop.event_2026 DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;"
           "GRANT SELECT ON shop.event_2026 TO shop_app"),
    _fault("55b", "an attached partition has no row security", "F02", "RLS033",
           "CREATE TABLE shop.event_2027 (LIKE shop.event INCLUDING DEFAULTS);"
           "ALTER TABLE shop.event ATTACH PARTITION shop.event_2027 FOR VALUES FROM ('2027-01-01') TO"
           " ('2028-01-01');"
           "GRANT SELECT, INSERT ON shop.event_2027 TO shop_app"),
    _fault("55c", "a detached partition keeps its rows and grants", "J06", "RLS033 RLS001",
           "ALTER TABLE shop.event_2025 DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;"
           "ALTER TABLE shop.event DETACH PARTITION shop.event_2025; GRANT SELECT ON shop.event_2025 TO"
           " shop_app"),
    _fault("56", "an inheritance child", "F03", "RLS033 RLS001",
           "CREATE TABLE shop.old_note () INHERITS (shop.note); GRANT SELECT ON shop.old_note TO shop_app"),
    _fault("57", "CREATE TABLE AS copies rows without row security", "F04", "RLS001 RLS031",
           "CREATE TABLE shop.note_copy AS SELECT * FROM shop.note; GRANT SELECT ON shop.note_copy TO"
           " shop_app"),
    _fault("57b", "LIKE INCLUDING ALL and a swap of names", "F05 J15", "RLS001 RLS031",
           "CREATE TABLE shop.fresh (LIKE shop.note INCLUDING ALL); DROP TABLE shop.note CASCADE;"
           "ALTER TABLE shop.fresh RENAME TO note; GRANT SELECT, INSERT ON shop.note TO shop_app"),
    _fault("58", "DROP FUNCTION CASCADE takes the policy along", "F09", "RLS003",
           "CREATE FUNCTION shop.who() RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp"
           " AS 'SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid';"
           + _policy("tenant_id = shop.who()", table="note") + "; DROP FUNCTION shop.who() CASCADE"),
    _fault("62", "the tenant may be NULL and such rows are everybody's", "F14", "RLS016 RLS043",
           "ALTER TABLE shop.note ALTER COLUMN tenant_id DROP NOT NULL;"
           + _policy(f"tenant_id IS NULL OR {_PLAIN}", table="note")),
    _fault("62b", "IS NOT DISTINCT FROM shows rows without a tenant to nobody in particular", "K10",
    "RLS016 RLS043",
           "ALTER TABLE shop.note ALTER COLUMN tenant_id DROP NOT NULL;"
           + _policy("tenant_id IS NOT DISTINCT FROM nullif(current_setting('app.tenant_id', true),"
           " '')::uuid",
                     table="note")),
    _fault("62c", "a tenant column added without a backfill", "J14", "RLS043",
           "ALTER TABLE shop.note ALTER COLUMN tenant_id DROP NOT NULL"),
    _fault("63", "a constant default for the tenant", "F15", "RLS043",
           "ALTER TABLE shop.note ALTER COLUMN tenant_id SET DEFAULT '00000000-0000-0000-0000-000000000000'"),
    _fault("64", "a policy that reads its own table", "G01", "RLS022",
           _policy("tenant_id IN (SELECT tenant_id FROM shop.member WHERE user_id = 1)", table="member")),
    _fault("65", "a sub-select of a table whose own policy hides its rows", "G02", "RLS022",
           "CREATE TABLE shop.access (tenant_id uuid NOT NULL, user_id bigint NOT NULL, PRIMARY KEY"
           " (tenant_id, user_id));"
           "ALTER TABLE shop.access ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
           f"CREATE POLICY staff ON shop.access TO shop_owner USING ({MINE});"
           "GRANT SELECT ON shop.access TO shop_app;"
           + _policy("tenant_id IN (SELECT a.tenant_id FROM shop.access a)", table="note")),
    _fault("65b", "a sub-select of a table that the role may not read", "G02", "RLS022",
           "CREATE TABLE shop.access (group_id uuid PRIMARY KEY);"
           + _policy(f"{MINE} AND EXISTS (SELECT 1 FROM shop.access a WHERE a.group_id = note.tenant_id)",
                     table="note")),
    _fault("66", "a column captured by the sub-select", "G03", "RLS010",
           _policy(f"EXISTS (SELECT 1 FROM shop.member m WHERE m.{MINE} AND tenant_id = m.tenant_id)",
           table="note")),
    _fault("67", "NOT IN with NULL", "G04", "RLS014 RLS022",
           "CREATE TABLE shop.blocked (id uuid); INSERT INTO shop.blocked VALUES (NULL);"
           "GRANT SELECT ON shop.blocked TO shop_app;"
           + _policy(f"{MINE} AND tenant_id NOT IN (SELECT id FROM shop.blocked)", table="note")),
    _fault("67b", "OR binds looser than AND", "K11", "RLS011 RLS014",
           _policy(f"is_public OR body IS NOT NULL AND {MINE}")),
    _fault("67c", "a tenant written into the policy", "K11", "RLS014",
           _policy(f"{MINE} OR tenant_id = '00000000-0000-0000-0000-000000000001'")),
    _fault("68", "an IMMUTABLE function reads the setting", "G05", "RLS020",
           "CREATE FUNCTION shop.who() RETURNS uuid LANGUAGE plpgsql IMMUTABLE SET search_path ="
           " pg_catalog, pg_temp"
           " AS $$BEGIN RETURN nullif(current_setting('app.tenant_id', true), '')::uuid; END$$;"
           + _policy("tenant_id = shop.who()", table="note")),
    _fault("70", "a function of the policy is called for each row and no index helps", "H01", "RLS020 RLS021",
           "DROP INDEX shop.note_tenant_id_idx;" + _policy("tenant_id = shop.current_tenant()",
           table="note")),
    _fault("71", "a VOLATILE function in the policy", "H01", "RLS020",
           "CREATE FUNCTION shop.who() RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp"
           " AS $$BEGIN RETURN nullif(current_setting('app.tenant_id', true), '')::uuid; END$$;"
           + _policy("tenant_id = shop.who()", table="note")),
    _fault("72", "no index led by the tenant", "H01", "RLS021", "DROP INDEX shop.note_tenant_id_idx"),
    _fault("77", "two tables of one name, one of them protected", "L08", "RLS001",
           "CREATE TABLE shop.\"Note\" (LIKE shop.note INCLUDING ALL); GRANT SELECT ON shop.\"Note\" TO"
           " shop_app"),
    _fault("78", "a swallowed duplicate leaves the old policy", "L09", "RLS010",
           "DROP POLICY tenant ON shop.note; CREATE POLICY tenant ON shop.note TO shop_app USING (true);"
           f"DO $$BEGIN CREATE POLICY tenant ON shop.note TO shop_app USING ({MINE});"
           " EXCEPTION WHEN duplicate_object THEN NULL; END$$"),
    _fault("79", "USING and WITH CHECK read different settings", "L10", "RLS012",
           _policy(MINE, table="note",
                   check="tenant_id = (SELECT nullif(current_setting('app.org_id', true), '')::uuid)")),
    _fault("80", "default privileges open new tables at once", "J16", "RLS053",
           "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO shop_app"),
    _admin("81", "the application's role owns the table", "I06", "RLS054 RLS004",
           "GRANT CREATE ON SCHEMA shop TO shop_app; ALTER TABLE shop.note OWNER TO shop_app"),
)  # fmt: skip
