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
    "org_id",
    "workspace_id",
    "account_id",
    "team_id",
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
)
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
BYPASS_KINDS = ("grpc-after-hmac", "cron", "cross-service")


@dataclass(frozen=True, slots=True)
class LintConfig:
    """Settings of one lint run; paths and globs are relative to the linted root."""

    #: Names of the column that holds the tenant, the likeliest first.
    tenant_columns: tuple[str, ...] = TENANT_COLUMNS
    #: Session settings that carry the tenant, beyond dotted names that say so themselves.
    tenant_gucs: tuple[str, ...] = ()
    #: Functions that bypass row security, by their last name.
    bypass_names: tuple[str, ...] = ("run_as_bypass", "runAsBypass")
    #: Functions that bind a tenant and hand over a session.
    tenant_scopes: tuple[str, ...] = ("run_as_tenant", "tenant_session", "withTenant")
    #: Files that may open connections.
    entry_points: tuple[str, ...] = ENTRY_POINTS
    #: Files that implement the bypass and the tenant scope, and may do by hand what others may not.
    verified_packages: tuple[str, ...] = VERIFIED_PACKAGES
    #: Path of the YAML registry of allowed bypass sites, None when there is none.
    registry: str | None = None
    #: Kinds of sites that the registry may hold.
    bypass_kinds: tuple[str, ...] = BYPASS_KINDS
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
    raise LintConfigError(f"lint.{key}: expected a path, got {value!r}")


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


_READERS = {
    "registry": _path,
    "baseline": _path,
    "global_tables": _reasons,
    "rls_operations": _operations,
    "tenant_column": _path,
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
