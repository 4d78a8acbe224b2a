"""The migration operations of a multi-tenant schema, and `op`, through which revisions use them.

`op.enable_tenant_rls` is the one way a table becomes a tenant table: ENABLE, FORCE, both policies and
the grants in one transaction, so there is no window in which a table is granted but not protected
(PostgreSQL manual, section 5.9). It reverses itself in `downgrade` as `op.disable_tenant_rls`.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, cast

import alembic.op
from alembic.operations import MigrateOperation, Operations

from core_platform.schema.base import TENANT_COMMENT

APP_POLICY: Final = "tenant_isolation"
BYPASS_POLICY: Final = "bypass_grant"
OBSERVE_POLICY: Final = "tenant_observation"
TRIAL_POLICY: Final = "tenant_trial"
TRIAL_SETTING: Final = "app.rls_trial"
APP_PREDICATE: Final = "tenant_id = (SELECT app.current_tenant())"
BYPASS_PREDICATE: Final = "(SELECT app.bypass_scope()) IN ('*', tenant_id::text)"
EVERY_COMMAND: Final = "SELECT, INSERT, UPDATE, DELETE"
ADDING: Final = "SELECT, INSERT"
CHANGING: Final = "SELECT, INSERT, UPDATE"
#: A partition is reached through its table alone, whose grants and policies apply there.
NO_COMMAND: Final = ""

_TABLE: Final = re.compile(r"[a-z_]+\.[a-z_]+")


@Operations.register_operation("enable_tenant_rls")
class EnableTenantRls(MigrateOperation):
    """Protect one tenant table and grant it to the login roles."""

    def __init__(self, table: str, app: str, bypass: str) -> None:
        self.table = _qualified(table)
        self.app = app
        self.bypass = bypass

    @classmethod
    def enable_tenant_rls(
        cls,
        operations: Operations,
        table: str,
        *,
        app: str = EVERY_COMMAND,
        bypass: str = EVERY_COMMAND,
    ) -> None:
        """Enable and force row security on `schema.table`, with both policies and the grants.

        `NO_COMMAND` grants nothing, for a partition.
        """
        operations.invoke(cls(table, app, bypass))

    def reverse(self) -> MigrateOperation:
        """The operation that takes the protection and the grants away again."""
        return DisableTenantRls(self.table)

    def statements(self) -> list[str]:
        """The SQL, in an order that leaves no moment of access without protection."""
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} FORCE ROW LEVEL SECURITY",
            _policy(self.table, APP_POLICY, "core_app", APP_PREDICATE),
            _policy(self.table, BYPASS_POLICY, "core_bypass", BYPASS_PREDICATE),
            f"REVOKE ALL ON {self.table} FROM PUBLIC",
            *_grant(self.app, self.table, "core_app"),
            *_grant(self.bypass, self.table, "core_bypass"),
            f"GRANT SELECT ON {self.table} TO core_backup",
            f"COMMENT ON TABLE {self.table} IS '{TENANT_COMMENT}'",
        ]


@Operations.register_operation("disable_tenant_rls")
class DisableTenantRls(MigrateOperation):
    """Undo `EnableTenantRls`: the grants go first, so that nobody reads an unprotected table."""

    def __init__(self, table: str) -> None:
        self.table = _qualified(table)

    @classmethod
    def disable_tenant_rls(cls, operations: Operations, table: str) -> None:
        """Take grants, policies and row security from `schema.table`; for `downgrade` only."""
        operations.invoke(cls(table))

    def reverse(self) -> MigrateOperation:
        """The operation that protects the table again, with every command granted."""
        return EnableTenantRls(self.table, EVERY_COMMAND, EVERY_COMMAND)

    def statements(self) -> list[str]:
        """The SQL, grants first."""
        return [
            f"REVOKE ALL ON {self.table} FROM core_app, core_bypass, core_backup",
            f"DROP POLICY {APP_POLICY} ON {self.table}",
            f"DROP POLICY {BYPASS_POLICY} ON {self.table}",
            f"ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} DISABLE ROW LEVEL SECURITY",
            f"COMMENT ON TABLE {self.table} IS NULL",
        ]


@Operations.register_operation("observe_tenant_rls")
class ObserveTenantRls(MigrateOperation):
    """Let every statement through and log those without a tenant: the wave before enforcement."""

    def __init__(self, table: str) -> None:
        self.table = _qualified(table)

    @classmethod
    def observe_tenant_rls(cls, operations: Operations, table: str) -> None:
        """Watch `schema.table` with a policy that filters nothing, for every role."""
        operations.invoke(cls(table))

    def statements(self) -> list[str]:
        """The SQL. A bare `OR true` would be folded away and log nothing.

        The second policy filters for a session that asks for a trial, so that readers can be verified
        under row security before anybody else is. A login of the old schema that is none of the
        platform's needs EXECUTE on `app.observe_tenant`.
        """
        watch = f"(SELECT app.observe_tenant('{self.table}')) IS NOT NULL"
        off = f"(SELECT coalesce(current_setting('{TRIAL_SETTING}', true), '') <> 'on')"
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            *_without_observation(self.table),
            _policy(self.table, OBSERVE_POLICY, "PUBLIC", watch),
            _policy(self.table, TRIAL_POLICY, "core_app", f"{off} OR {APP_PREDICATE}", "RESTRICTIVE"),
        ]


@Operations.register_operation("enforce_tenant_rls")
class EnforceTenantRls(MigrateOperation):
    """From observing to enforcing in one transaction, with no moment of neither."""

    def __init__(self, table: str, app: str, bypass: str) -> None:
        self.enabling = EnableTenantRls(table, app, bypass)

    @classmethod
    def enforce_tenant_rls(
        cls, operations: Operations, table: str, *, app: str = EVERY_COMMAND, bypass: str = EVERY_COMMAND
    ) -> None:
        """Replace the observing policy of `schema.table` by the platform's own, and force it."""
        operations.invoke(cls(table, app, bypass))

    def statements(self) -> list[str]:
        """The SQL: the platform's policies, then away with the one that let everything through."""
        return [
            *self.enabling.statements(),
            *_without_observation(self.enabling.table),
        ]


@Operations.implementation_for(ObserveTenantRls)
def _observe(operations: Operations, operation: ObserveTenantRls) -> None:
    for statement in operation.statements():
        operations.execute(statement)


@Operations.implementation_for(EnforceTenantRls)
def _enforce(operations: Operations, operation: EnforceTenantRls) -> None:
    for statement in operation.statements():
        operations.execute(statement)


@Operations.implementation_for(EnableTenantRls)
def _enable(operations: Operations, operation: EnableTenantRls) -> None:
    for statement in operation.statements():
        operations.execute(statement)


@Operations.implementation_for(DisableTenantRls)
def _disable(operations: Operations, operation: DisableTenantRls) -> None:
    for statement in operation.statements():
        operations.execute(statement)


class TenantOperations(Protocol):
    """What a revision may do: plain SQL, and the operations above."""

    def execute(self, sqltext: str) -> None:
        """Run one or more statements of fixed SQL."""

    def enable_tenant_rls(self, table: str, *, app: str = EVERY_COMMAND, bypass: str = EVERY_COMMAND) -> None:
        """Protect a tenant table; see `EnableTenantRls`."""

    def disable_tenant_rls(self, table: str) -> None:
        """Undo that; see `DisableTenantRls`."""

    def observe_tenant_rls(self, table: str) -> None:
        """Watch a table that is not enforced yet; see `ObserveTenantRls`."""

    def enforce_tenant_rls(
        self, table: str, *, app: str = EVERY_COMMAND, bypass: str = EVERY_COMMAND
    ) -> None:
        """Enforce a table that was observed; see `EnforceTenantRls`."""


# Alembic adds registered operations to its module at run time, where no type checker sees them.
op: Final = cast("TenantOperations", alembic.op)


def _policy(table: str, name: str, role: str, predicate: str, kind: str = "PERMISSIVE") -> str:
    return (
        f"CREATE POLICY {name} ON {table} AS {kind} FOR ALL TO {role} "
        f"USING ({predicate}) WITH CHECK ({predicate})"
    )


def _without_observation(table: str) -> list[str]:
    return [f"DROP POLICY IF EXISTS {name} ON {table}" for name in (OBSERVE_POLICY, TRIAL_POLICY)]


def _grant(commands: str, table: str, role: str) -> list[str]:
    return [f"GRANT {commands} ON {table} TO {role}"] if commands else []


def _qualified(table: str) -> str:
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r}: name the table as schema.table, in lower case")
    return table
