"""What stands around each rule's documented example, so that it can be linted as a user would lint it.

The examples speak of the tables, roles and functions of a small shop that bills its tenants. A line of
an example that is nothing but the name of a file in a comment (`-- 0005.sql`, `# bypass_sites.yaml`)
begins that file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lint import LintConfig

_FILE = re.compile(r"(?:--|#|//) (?P<name>[\w./-]+\.(?:sql|yaml|py|ts))")
#: The last day of what an example registers; years from now it still lies ahead for the test.
_LAST_DAY = ("expires: 2027-", "expires: 2999-")

SHOP = """
CREATE ROLE app LOGIN;
CREATE SCHEMA app;
CREATE FUNCTION app.current_tenant() RETURNS uuid STABLE LANGUAGE sql
  AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;
CREATE FUNCTION app.current_user_id() RETURNS uuid STABLE LANGUAGE sql
  AS $$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$;
CREATE TABLE tenant (id uuid PRIMARY KEY, name text);
"""
#: What the examples name and no lint has to see: for the server that runs them.
ROLES = "".join(f"CREATE ROLE {role};\n" for role in ("anon", "authenticated", "reporting", "app_bypass"))
ELSEWHERE = """
CREATE FUNCTION app.bypass_scope() RETURNS text STABLE LANGUAGE sql AS $$ SELECT NULL $$;
CREATE FUNCTION app.my_teams() RETURNS SETOF uuid STABLE LANGUAGE sql AS $$ SELECT NULL::uuid $$;
CREATE TABLE rollout (table_name text, due timestamptz);
INSERT INTO tenant VALUES (gen_random_uuid(), 'A');
"""
#: A row for the backfill that asserts to have touched one.
ROWS = "INSERT INTO invoice (id, tenant_id) SELECT gen_random_uuid(), id FROM tenant;\n"
_COLUMNS = (
    "id uuid UNIQUE, tenant_id uuid NOT NULL, number text, state text, currency text, amount numeric,\n"
    "  customer_id uuid, PRIMARY KEY (tenant_id, id)"
)


def made(table: str) -> str:
    return f"CREATE TABLE {table} (id uuid UNIQUE, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, id));\n"


def switched_on(table: str) -> str:
    return f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\nALTER TABLE {table} FORCE ROW LEVEL SECURITY;\n"


def protected(table: str) -> str:
    policy = f"CREATE POLICY tenant ON {table} USING (tenant_id = (SELECT app.current_tenant()));\n"
    return switched_on(table) + policy


def granted(table: str) -> str:
    return f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO app;\n"


#: The table of which most examples speak: as it is made, with the switches on, with its policy, served.
INVOICE = f"{SHOP}CREATE TABLE invoice ({_COLUMNS});\n"
CLOSED = INVOICE + switched_on("invoice")
PROTECTED = INVOICE + protected("invoice")
SERVED = PROTECTED + granted("invoice")
MEMBER = (
    "CREATE TABLE member (\n  tenant_id uuid NOT NULL, user_id uuid, team_id uuid,\n"
    "  PRIMARY KEY (tenant_id, user_id));\n"
)
CUSTOMER = made("customer")
#: A hosted platform, where clients come as its roles and may call functions.
HOSTED = (
    f"{SHOP}CREATE TABLE invoice ({_COLUMNS});\nALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice TO authenticated USING (tenant_id = (SELECT app.current_tenant()));\n"
)
SERVICES = f"{SHOP}CREATE SCHEMA billing;\nCREATE SCHEMA crm;\n" + "".join(
    f"CREATE TABLE {table} (tenant_id uuid NOT NULL, id uuid, number text, name text, account_id uuid,\n"
    f"  PRIMARY KEY (tenant_id, id));\n{protected(table)}"
    for table in ("billing.invoice", "crm.account")
)
SCOPED = "def read(tenant):\n    run_as_tenant(tenant, work)\n\ndef work(session): ...\n"
REGISTRY = LintConfig(registry="bypass_sites.yaml")


def site(path: str, function: str, kind: str = "cron") -> dict[str, str]:
    """A registry that allows the bypass of an example, so that nothing else is found in it."""
    entry = f"{{id: one, path: {path}, function: {function}, kind: {kind}, scope: all-tenants, reason: r, "
    return {"bypass_sites.yaml": f"- {entry}owner: o, expires: 2999-12-31}}\n"}


@dataclass(frozen=True)
class Around:
    """The file that an example stands in, what is migrated before and after it, and the rest."""

    before: str = CLOSED
    after: str = ""
    name: str = "migrations/0002.sql"
    files: Mapping[str, str] = field(default_factory=dict)
    config: LintConfig = field(default_factory=LintConfig)

    def project(self, example: str) -> dict[str, str]:
        """The files of a project that holds the example."""
        project = {"migrations/0001.sql": self.before, **self.files, **_parts(example, self.name)}
        if self.after:
            project["migrations/0099.sql"] = self.after
        return project


def _parts(example: str, name: str) -> dict[str, str]:
    """An example by the files that it names; `name` is that of what stands before the first."""
    parts: dict[str, list[str]] = {}
    for line in example.replace(*_LAST_DAY).splitlines():
        if told := _FILE.fullmatch(line):
            name = told["name"] if not told["name"].endswith(".sql") else f"migrations/{told['name']}"
        else:
            parts.setdefault(name, []).append(line.removeprefix("# ") if name.endswith(".yaml") else line)
    return {name: "\n".join(lines) + "\n" for name, lines in parts.items()}


def code(before: str = SERVED, **more: object) -> Around:
    """An example that is a module of a program, over a served table unless said otherwise."""
    return Around(before, **{"name": "app/jobs.py", **more})  # type: ignore[arg-type]


#: RLS055 is not here: it judges a server, and has a test of its own.
AROUND: dict[str, Around] = {
    **dict.fromkeys(("RLS003", "RLS007", "RLS011", "RLS012", "RLS014", "RLS015"), Around()),
    **dict.fromkeys(("RLS016", "RLS017", "RLS018", "RLS020"), Around()),
    **dict.fromkeys(("RLS002", "RLS004", "RLS042"), Around(INVOICE)),
    **dict.fromkeys(("RLS005", "RLS040", "RLS045", "RLS053"), Around(PROTECTED)),
    **dict.fromkeys(("RLS030", "RLS031", "RLS032", "RLS034", "WRAP007"), Around(SERVED)),
    "RLS001": Around(SHOP),
    "RLS006": Around(),
    "RLS008": Around(),
    "RLS010": Around(CLOSED + MEMBER + protected("member")),
    "RLS013": Around(),
    "RLS019": Around(
        CLOSED + "".join(made(table) + protected(table) for table in ("customer", "payment", "product"))
    ),
    "RLS021": Around(SHOP, protected("invoice")),
    "RLS022": Around(SHOP + MEMBER + switched_on("member")),
    "RLS033": Around(
        SHOP + "CREATE TABLE event (tenant_id uuid NOT NULL, year int) PARTITION BY LIST (year);\n"
        "CREATE INDEX ON event (tenant_id);\n" + protected("event") + granted("event")
    ),
    "RLS035": Around(HOSTED),
    "RLS041": Around(PROTECTED + CUSTOMER + protected("customer")),
    "RLS043": Around(
        SHOP + CUSTOMER + "CREATE TABLE invoice (id uuid PRIMARY KEY, customer_id uuid);\n",
        "CREATE INDEX ON invoice (tenant_id);\n" + protected("invoice"),
        config=LintConfig(global_tables={"customer": "the example looks at invoice alone"}),
    ),
    "RLS044": Around(CLOSED + "CREATE POLICY tenant ON invoice USING (tenant_id IS NOT NULL);\n"),
    "RLS046": Around(SHOP),
    "RLS050": Around(SHOP, protected("member")),
    "RLS051": Around(PROTECTED, protected("payment")),
    "RLS052": Around(PROTECTED, protected("payment")),
    "RLS054": Around(SERVED + "CREATE ROLE app_owner;\nALTER TABLE invoice OWNER TO app_owner;\n"),
    "RLS056": Around(PROTECTED),
    "RLS090": Around(PROTECTED + made("payment") + protected("payment")),
    "COV001": Around(INVOICE, config=LintConfig(current_wave=2, waves={"invoice": 1})),
    "SUP001": Around(
        SHOP
        + "CREATE TABLE price (tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (tenant_id, id));\n"
        + switched_on("price")
    ),
    "BYP001": code(config=REGISTRY, files={"bypass_sites.yaml": "[]\n"}),
    "BYP002": code(config=REGISTRY, files=site("app/jobs.py", "<module>")),
    "BYP003": code(config=REGISTRY, files=site("app/jobs.py", "Ingest.Report", "grpc-after-hmac")),
    "BYP004": code(
        config=REGISTRY,
        files={"jobs/sweep.py": "def run():\n    run_as_bypass(ALL_TENANTS, Reason.SWEEP, work)\n"},
    ),
    "BYP005": code(config=REGISTRY, files=site("app/jobs.py", "<module>")),
    "BYP006": code(config=REGISTRY, files=site("app/jobs.py", "<module>")),
    "BYP007": code(),
    "WRAP001": code(files={"app/scope.py": SCOPED}),
    "WRAP002": code(),
    "WRAP003": code(),
    "WRAP004": code(name="src/db/invoices.ts"),
    "WRAP005": code(),
    "WRAP006": code(files={"app/scope.py": SCOPED}),
    "WRAP008": code(SERVICES, config=REGISTRY, files=site("app/jobs.py", "<module>")),
}
