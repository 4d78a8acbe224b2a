"""The database as one role meets it: which policies bind it, what it may do, and as whom.

Row security does not bind superusers, roles with BYPASSRLS, and owners of tables without FORCE
(PostgreSQL manual, 5.9); a policy binds a role when it is for PUBLIC or for a role whose rights the
role has by inheritance. A check as a role that nothing binds would prove nothing, so it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from lint.catalogue import PUBLIC, Place
from lint.errors import LintError
from lint.rules.expressions import Session
from lint.rules.row_security import hosted, opened
from lint.rules.selectors import Selectors, selectors_of
from lint.rules.tenancy import discover
from lint.rules.tenant_roles import TenantRoles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lint.catalogue import Catalogue, Command, Function, Policy, Table, View
    from lint.config import LintConfig
    from lint.report import Coverage
    from lint.rules.tenancy import Tenancy

#: The commands that policies are written for, in the order a person thinks of them.
COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete")
_NAMED_ROLES = 8


class RoleRefusedError(LintError):
    """A role that cannot be verified: it is missing, or nothing binds it."""


class Placed(Protocol):
    """Anything of a catalogue that knows where it was written."""

    @property
    def place(self) -> Place | None:
        """The place, None when a database told it."""


@dataclass(frozen=True)
class Viewpoint:
    """A catalogue, the role that serves tenants, and what is known about tenants in it."""

    catalogue: Catalogue
    role: str
    tenancy: Tenancy
    config: LintConfig
    _privileges: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def session(self) -> Session:
        """What the expressions of this database ask of the session."""
        return Session(self.catalogue)

    @cached_property
    def tenant_roles(self) -> TenantRoles:
        """Which roles that policies ask for are roles within one tenant."""
        return TenantRoles(self.catalogue, self.session)

    @cached_property
    def selectors(self) -> Selectors:
        """The columns of users' own rows by which policies decide."""
        return selectors_of(self.catalogue, self.session)

    def place(self, *things: Placed | None) -> Place:
        """Return where the first of these was written, the catalogue's source when none was."""
        places = (thing.place for thing in things if thing is not None)
        return next((place for place in places if place is not None), Place(self.catalogue.source))

    @property
    def from_history(self) -> bool:
        """True when migrations told the catalogue, so that owners and grants may be unsaid."""
        return False

    def granted_by_name(self, table: Table) -> bool:
        """Say whether a table's privileges were granted to the role on purpose, and not assumed."""
        return bool(self.commands(table))

    def may_be(self, role: str) -> bool:
        """Say whether a role is the one that serves tenants."""
        return role == self.role

    @property
    def owner_stays_away(self) -> bool:
        """True when migrations show that tenants are served by another role than the owner."""
        return False

    @property
    def serving(self) -> tuple[str, ...]:
        """Every role that serves tenants, this one among them."""
        return (self.role,)

    @property
    def sql_role(self) -> str:
        """The role as SQL may name it."""
        return self.role

    def owner_text(self, owner: str | None) -> str:
        """Return who an owner is, in words."""
        return owner or "its owner"

    def owns(self, table: Table) -> bool:
        """Say whether the role has the rights of a table's owner."""
        return table.owner in self.rights

    @cached_property
    def shared(self) -> dict[str, bool]:
        """Whether a policy gives the role every row of a table to read, by the table, as far as asked."""
        return {}

    @cached_property
    def views_over(self) -> Mapping[str, tuple[View, ...]]:
        """The views that read a table when they are asked, by the table, directly or through other views."""
        found: dict[str, tuple[View, ...]] = {}
        for one in self.catalogue.views.values():
            if not one.materialized:
                for name in self.tables_below(one):
                    found[name] = (*found.get(name, ()), one)
        return found

    def tables_below(self, one: View) -> frozenset[str]:
        """Return the tables that a view reads, itself or through the views that it reads."""
        found: set[str] = set()
        waiting, seen = [one], {one.qualified}
        while waiting:
            for name in waiting.pop().reads:
                inner = self.catalogue.views.get(name)
                if inner is None:
                    found.add(name)
                elif name not in seen:
                    seen.add(name)
                    waiting.append(inner)
        return frozenset(found)

    @cached_property
    def hosted(self) -> bool:
        """True on a hosted platform, which grants everything to its roles and lets policies decide."""
        return hosted(self.catalogue)

    @cached_property
    def rights(self) -> frozenset[str]:
        """The roles whose rights the role has without SET ROLE, itself and PUBLIC among them."""
        return self.rights_of(self.role)

    def rights_of(self, role: str) -> frozenset[str]:
        """Return the roles whose rights `role` inherits, itself and PUBLIC among them."""
        return self._closure(role, inherited_only=True)

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The roles the role can become or has the rights of."""
        return self._closure(self.role, inherited_only=False)

    def _closure(self, role: str, *, inherited_only: bool) -> frozenset[str]:
        found = {role, PUBLIC}
        waiting = [role]
        while waiting:
            member = waiting.pop()
            for edge in self.catalogue.memberships:
                usable = edge.inherit or (edge.set_role and not inherited_only)
                if edge.member == member and usable and edge.role not in found:
                    found.add(edge.role)
                    waiting.append(edge.role)
        return frozenset(found)

    def applies(self, policy: Policy, role: str | None = None) -> bool:
        """Say whether a policy is for a role (this one, unless another is named)."""
        rights = self.rights if role is None else self.rights_of(role)
        return not rights.isdisjoint(policy.roles)

    def permissive(self, table: Table, command: Command, role: str | None = None) -> tuple[Policy, ...]:
        """Return the permissive policies for a command that are for a role."""
        return tuple(
            policy
            for policy in table.permissive
            if policy.command in {"all", command} and self.applies(policy, role)
        )

    def privileges(self, relation: str) -> frozenset[str]:
        """Return the privileges the role has on a relation, on any of its columns included."""
        if not self._privileges:
            gathered: dict[str, set[str]] = {}
            for grant in self.catalogue.grants:
                if grant.kind in {"relation", "column"} and grant.grantee in self.rights:
                    gathered.setdefault(grant.relation, set()).add(grant.privilege)
            self._privileges.update({name: frozenset(found) for name, found in gathered.items()})
            self._privileges.setdefault("", frozenset())
        found = self._privileges.get(relation, frozenset())
        if self._owns(relation):
            return found | frozenset(COMMANDS)
        return found if self.may_use(relation.partition(".")[0]) else frozenset()

    @cached_property
    def _usable_schemas(self) -> frozenset[str]:
        granted = {
            grant.relation
            for grant in self.catalogue.grants
            if grant.kind == "schema" and grant.privilege == "usage" and grant.grantee in self.rights
        }
        return frozenset(
            granted | {name for name, owner in self.catalogue.schemas.items() if owner in self.rights}
        )

    def may_use(self, schema: str) -> bool:
        """Say whether the role may name objects of a schema; true where schemas are not known."""
        return not self.catalogue.schemas or schema in self._usable_schemas

    def _owns(self, relation: str) -> bool:
        item = self.catalogue.tables.get(relation) or self.catalogue.views.get(relation)
        return item is not None and item.owner in self.rights

    def has_whole(self, relation: str, privilege: str) -> bool:
        """Say whether the role surely has a privilege on a whole relation, whatever its columns say."""
        return self._owns(relation) or any(
            grant.kind == "relation"
            and grant.privilege in {privilege, "all"}
            and grant.grantee in self.rights
            for grant in self.catalogue.grants_on(relation)
        )

    def commands(self, table: Table) -> tuple[Command, ...]:
        """Return the commands that are granted to the role on a table."""
        privileges = self.privileges(table.qualified)
        return tuple(command for command in COMMANDS if command in privileges)

    def may_execute(self, function: Function) -> bool:
        """Say whether the role may call a function, as far as grants on it go."""
        if function.owner in self.rights:
            return True
        return self.may_use(function.schema) and not self.rights.isdisjoint(function.executors)

    def exempt(self, role: str | None, table: Table) -> str | None:
        """Return why row security of a table does not bind a role, None when it does."""
        if role is None:
            return None
        attributes = self.catalogue.roles.get(role)
        if attributes is not None and attributes.superuser:
            return f"{role} is a superuser"
        if attributes is not None and attributes.bypass_row_security:
            return f"{role} has BYPASSRLS"
        if table.enabled and not table.forced and table.owner in self.rights_of(role):
            return f"{role} owns {table.qualified}, which does not force row security"
        return None

    def enforced(self, table: Table) -> bool:
        """Say whether a table is enabled, has a policy for each granted command, and binds the role."""
        if not table.enabled or self.exempt(self.role, table) is not None:
            return False
        granted = self.commands(table)
        if not granted:
            return bool(table.permissive)
        return all(self.permissive(table, command) for command in granted)

    def tenant_tables(self) -> tuple[Table, ...]:
        """Return the tables holding tenant rows, by name; partitions are their parent's matter."""
        return tuple(t for t in self.catalogue.tenant_tables() if not self.config.is_global(t.qualified))

    def is_protected(self, name: str) -> bool:
        """Say whether a relation is a table under row security that holds tenant rows."""
        table = self.catalogue.tables.get(name)
        return table is not None and table.enabled and bool(table.tenant_column or table.policies)

    def coverage(self) -> Coverage:
        """Count the tenant tables, enforced as this role meets them."""
        from lint.coverage import coverage_of
        from lint.rules.policies import TablePolicies

        doors = opened(
            finding
            for table in self.tenant_tables()
            if table.enabled
            for finding in TablePolicies(table, self).findings()
        )
        return coverage_of(
            self.catalogue,
            self.config.global_tables,
            enforced=lambda table: table.qualified not in doors and self.enforced(table),
        )


def viewpoint_of(
    catalogue: Catalogue,
    role: str,
    config: LintConfig,
    tenant_setting: str | None = None,
    tenant_column: str | None = None,
) -> Viewpoint:
    """Return the database as `role` meets it; raise RoleRefusedError for one that nothing binds."""
    known, tenancy = discover(catalogue, config, tenant_setting, tenant_column)
    view = Viewpoint(known, role, tenancy, config)
    _refuse_missing(view)
    _refuse_unbound(view)
    return view


def _refuse_missing(view: Viewpoint) -> None:
    if view.role in view.catalogue.roles:
        return
    logins = [role.name for role in view.catalogue.roles.values() if role.login and not role.superuser]
    raise RoleRefusedError(
        f"role {view.role} does not exist in database {view.catalogue.database}: "
        f"name the login that serves tenants{_choices(logins)}"
    )


def _choices(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return ""
    more = f" and {len(listed) - _NAMED_ROLES} more" if len(listed) > _NAMED_ROLES else ""
    return f" (logins are {', '.join(listed[:_NAMED_ROLES])}{more})"


def _refuse_unbound(view: Viewpoint) -> None:
    role = view.catalogue.roles[view.role]
    why = None
    if role.superuser:
        why = "is a superuser, and no policy binds a superuser"
    elif role.bypass_row_security:
        why = "has BYPASSRLS, so no policy binds it"
    else:
        owned = [table.qualified for table in view.tenant_tables() if table.owner == role.name]
        if owned:
            more = f" and {len(owned) - 1} more" if len(owned) > 1 else ""
            why = (
                f"owns {owned[0]}{more}: an owner may switch row security off, and is exempt where it "
                "is not forced"
            )
    if why is not None:
        raise RoleRefusedError(
            f"role {view.role} {why}; verify the role that serves tenants, and let tables belong to "
            "another role that nobody logs in as"
        )
