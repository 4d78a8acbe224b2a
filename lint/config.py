"""What a project calls its tenant column, its bypass and its places allowed to open connections.

Every setting has a default that fits most projects, so that a stranger can run the lint with none.
`posture.yaml` is read by its owner; `LintConfig.from_mapping` takes the section already parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from lint.errors import LintConfigError

TENANT_COLUMNS = (
    "tenant_id",
    "organization_id",
    "organisation_id",
    "org_id",
    "workspace_id",
    "account_id",
    "team_id",
    "company_id",
)
#: Where code may open a connection when a project has not said: its database modules by habit.
ENTRY_POINTS = (
    "**/db.py",
    "**/database.py",
    "**/engine.py",
    "**/session.py",
    "**/sessions.py",
    "**/db/**",
    "**/database/**",
    "**/tenancy/**",
    "**/alembic/**",
    "**/migrations/**",
    "**/conftest.py",
    "**/db.[cm]?[jt]s",
    "**/db.[jt]s",
    "**/*database*.[jt]s",
    "**/prisma.[jt]s",
    "**/prisma/**",
    "**/*prisma*.service.ts",
    "**/drizzle/**",
    "**/drizzle.config.*",
    "**/kysely.[jt]s",
    "**/knexfile.*",
    "**/sequelize.[jt]s",
    "**/data-source.[jt]s",
    "**/pool.[jt]s",
    "**/seed.[jt]s",
)
#: Of these, where rows are met as the owner, by tests or by the tenant scope itself; what else reads
#: protected tables on a connection that it opens is told like any other reader.
READING_ENTRY_POINTS = ("**/tenancy/**", "**/alembic/**", "**/migrations/**", "**/conftest.py")
#: Functions that run their callback for one tenant.
TENANT_SCOPES = ("run_as_tenant", "tenant_session", "withTenant", "forTenant", "runAsTenant")
#: npm packages whose `runAsBypass` is the verified one.
BYPASS_PACKAGES = ("@tensorcost/db-utils",)
VERIFIED_PACKAGES = ("**/tenancy/**", "**/db_utils/**", "**/db-utils/**")
#: Roles of hosted Postgres that bypass row security anyway; a policy for them opens nothing.
PRIVILEGED_ROLES = (
    "service_role",
    "postgres",
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_storage_admin",
    "dashboard_user",
)
RLS_OPERATIONS = {"enable_tenant_rls": ("tenant_isolation", "bypass_grant")}
BYPASS_NAMES = ("run_as_bypass", "arun_as_bypass", "runAsBypass")
#: What opens a session around row security in a `with` block or as a dependency, by habit.
BYPASS_CONTEXTS = (
    "bypass_rls",
    "rls_bypass",
    "*_bypass_rls",
    "*_rls_bypass",
    "*bypass_rls_*",
    "*bypassRls*",
    "*BypassRls*",
    "*bypassRLS*",
)
#: Calls that prove who is asking: after one of these, what the caller claims is verified.
VERIFIERS = (
    "verify_hello",
    "verify_hmac",
    "verify_mac",
    "verify_signature",
    "verify_request_signature",
    "authenticate_agent",
    "authenticate_request",
    "verifyHello",
    "verifyHmac",
    "verifySignature",
    "authenticateAgent",
)
VERIFIED_TYPES = ("TenantId", "Verified*", "Authenticated*")
ALL_TENANTS = ("AllTenants", "ALL_TENANTS", "ALL", "all_tenants", "allTenants", "*")
TENANT_LISTINGS = ("list*tenants", "*active_tenants", "listTenants", "listActiveTenants", "*tenant_ids")
#: Environment variables that hold a login around row security.
BYPASS_SETTINGS = (
    "*BYPASS*_URL",
    "*BYPASS*_DSN",
    "*BYPASS*_URI",
    "*SERVICE_ROLE_KEY",
    "*ADMIN_DATABASE_URL",
    "*ADMIN_DB_URL",
    "*SUPERUSER_DATABASE_URL",
)
#: Where settings are read by habit; naming a bypass login there uses nothing yet.
SETTINGS_MODULES = ("**/settings.py", "**/settings/**", "**/config.py", "**/config/**", "**/env.*")
BYPASS_KINDS = ("grpc-after-hmac", "cron", "cross-service")


@dataclass(frozen=True, slots=True)
class LintConfig:
    """Settings of one lint run; paths and globs are relative to the linted root."""

    #: Names of the column that holds the tenant, the likeliest first.
    tenant_columns: tuple[str, ...] = TENANT_COLUMNS
    #: Session settings that carry the tenant, beyond dotted names that say so themselves.
    tenant_gucs: tuple[str, ...] = ()
    #: Functions that run a callback around row security.
    bypass_names: tuple[str, ...] = BYPASS_NAMES
    #: Globs of names that open such a session in a `with` block or as a dependency.
    bypass_contexts: tuple[str, ...] = BYPASS_CONTEXTS
    #: Calls that go around row security by an argument: `using(MainRouter.admin_db)`.
    bypass_markers: tuple[str, ...] = ()
    #: Functions that bind a tenant and hand over a session.
    tenant_scopes: tuple[str, ...] = TENANT_SCOPES
    #: Types of a parameter that is a session already bound, to a tenant or to a bypass.
    tenant_session_types: tuple[str, ...] = ("TenantSession", "AsyncTenantSession")
    bypass_session_types: tuple[str, ...] = ("BypassSession", "AsyncBypassSession")
    #: Files that may open connections; what is read on them is judged where the glob is only a habit.
    entry_points: tuple[str, ...] = ENTRY_POINTS
    #: Files that implement the bypass and the tenant scope, and may do by hand what others may not.
    verified_packages: tuple[str, ...] = VERIFIED_PACKAGES
    #: Packages whose bypass is the verified one.
    bypass_packages: tuple[str, ...] = BYPASS_PACKAGES
    #: Path of the YAML registry of allowed bypass sites, None when there is none.
    registry: str | None = None
    #: Kinds of sites that the registry may hold.
    bypass_kinds: tuple[str, ...] = BYPASS_KINDS
    #: How many bypass sites there may be at most, when the registry does not say.
    bypass_ceiling: int | None = None
    #: Globs of environment variables that hold a login around row security.
    bypass_settings: tuple[str, ...] = BYPASS_SETTINGS
    #: Functions that verify who is asking, by name or as "Class.method".
    verifiers: tuple[str, ...] = VERIFIERS
    #: Globs of types whose values were verified, such as a parsed tenant id.
    verified_types: tuple[str, ...] = VERIFIED_TYPES
    #: Names that mean every tenant, allowed where the registry says scope: all-tenants.
    all_tenants: tuple[str, ...] = ALL_TENANTS
    #: Globs of functions that list tenants: looping over their result visits real ones.
    tenant_listings: tuple[str, ...] = TENANT_LISTINGS
    #: Globs of base classes whose public methods answer requests from outside.
    handler_bases: tuple[str, ...] = ("*Servicer",)
    #: Globs of further request handlers, as "path:function".
    handlers: tuple[str, ...] = ()
    #: Path of the file of known findings, relative to the root; None looks for `.posture-baseline.json`.
    baseline: str | None = None
    #: Files and folders that are not read.
    exclude: tuple[str, ...] = ()
    #: Tables that hold no tenant's rows in spite of a tenant column, each with its reason.
    global_tables: Mapping[str, str] = field(default_factory=dict)
    #: The project's own operations that ENABLE, FORCE and add policies, and which ones they add.
    rls_operations: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(RLS_OPERATIONS))
    #: Roles that bypass row security anyway, so that a policy for them opens nothing.
    privileged_roles: tuple[str, ...] = PRIVILEGED_ROLES
    #: The one tenant column, where names and policies would lead astray; None lets it be found.
    tenant_column: str | None = None
    #: Roles that serve tenants, where grants and policies of the migrations do not show them.
    serving_roles: tuple[str, ...] = ()
    #: True when the application connects as the role that runs the migrations and owns the tables.
    app_owns_tables: bool = False
    #: Rollout plan: the wave in which each table ("schema.name") is to be enforced.
    waves: Mapping[str, int] = field(default_factory=dict)
    #: Path of a YAML file that holds such a plan.
    wave_plan: str | None = None
    #: The wave the rollout has reached; without it every planned table is due.
    current_wave: int | None = None
    #: How many tenant tables must be enforced at least: a count that may only rise.
    coverage_floor: int | None = None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> LintConfig:
        """Read the `lint` section of a configuration; raise LintConfigError naming the key."""
        known = {setting.name for setting in fields(cls)}
        settings: dict[str, Any] = {}
        for key, value in mapping.items():
            if key not in known:
                choices = ", ".join(sorted(known))
                raise LintConfigError(f"lint.{key}: unknown setting; known are {choices}")
            settings[key] = _READERS.get(key, _texts)(key, value)
        return cls(**settings)

    def is_global(self, table: str) -> bool:
        """Say whether a table ("schema.name") is declared to hold no tenant's rows."""
        return table in self.global_tables or table.removeprefix("public.") in self.global_tables


def _texts(key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        got = type(value).__name__
        raise LintConfigError(f"lint.{key}: expected a list of texts, got {got}")
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            raise LintConfigError(f"lint.{key}[{index}]: expected a text, got {item!r}")
    return tuple(value)


def _path(key: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise LintConfigError(f"lint.{key}: expected a text, got {value!r}")


def _reasons(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        got = type(value).__name__
        raise LintConfigError(f"lint.{key}: expected a mapping of table to reason, got {got}")
    for table, reason in value.items():
        if not isinstance(reason, str) or not reason.strip():
            raise LintConfigError(f"lint.{key}.{table}: give the reason why it is global")
    return {str(table): str(reason) for table, reason in value.items()}


def _operations(key: str, value: object) -> dict[str, tuple[str, ...]]:
    """Read a list of operations, each adding one policy of its name, or operation to policies."""
    if not isinstance(value, Mapping):
        return {name: (name,) for name in _texts(key, value)}
    operations = {str(name): _texts(f"{key}.{name}", policies) for name, policies in value.items()}
    for name, policies in operations.items():
        if not policies:
            raise LintConfigError(f"lint.{key}.{name}: name the policies that it adds")
    return operations


def _flag(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise LintConfigError(f"lint.{key}: expected true or false, got {value!r}")


def _count(key: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise LintConfigError(f"lint.{key}: expected a whole number, 0 or more, got {value!r}")


def wave_mapping(key: str, value: object) -> dict[str, int]:
    """Read a plan, as table to wave or as wave to tables; raise LintConfigError naming the entry."""
    if not isinstance(value, Mapping):
        raise LintConfigError(f"lint.{key}: expected a mapping of table to wave, got {type(value).__name__}")
    plan: dict[str, int] = {}
    for name, entry in value.items():
        if isinstance(name, int) and not isinstance(name, bool):
            plan |= dict.fromkeys(_texts(f"{key}.{name}", entry), name)
        elif isinstance(entry, int) and not isinstance(entry, bool):
            plan[str(name)] = entry
        else:
            raise LintConfigError(f"lint.{key}.{name}: expected the number of its wave, got {entry!r}")
    return plan


_READERS = {
    "registry": _path,
    "baseline": _path,
    "bypass_ceiling": _count,
    "global_tables": _reasons,
    "rls_operations": _operations,
    "tenant_column": _path,
    "app_owns_tables": _flag,
    "waves": wave_mapping,
    "wave_plan": _path,
    "current_wave": _count,
    "coverage_floor": _count,
}


def path_matches(path: str, patterns: Sequence[str]) -> bool:
    """Say whether a relative path is matched by a glob, or lies below a folder named plainly.

    `**/x` also matches `x` at the root, and `*` crosses folders, as in most ignore files' use.
    """
    return any(_matches_one(path, pattern.rstrip("/")) for pattern in patterns)


def _matches_one(path: str, pattern: str) -> bool:
    if path == pattern or path.startswith(f"{pattern}/") or fnmatchcase(path, pattern):
        return True
    return pattern.startswith("**/") and fnmatchcase(path, pattern[3:])
