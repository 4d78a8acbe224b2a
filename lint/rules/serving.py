"""Who serves tenants at the head of a history, where no login can be asked.

Migrations rarely name the application's login. A hosted platform brings its own roles; elsewhere it
is whoever is granted rows of tenant tables, or named by their policies, is no administrator and not
the owner of tables or of SECURITY DEFINER functions, which run with a right that nobody serves with; and
where no role is named at all, a nameless one that PUBLIC policies bind and that may do everything.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from lint.catalogue import DEFAULT_SCHEMA, PUBLIC
from lint.rules.row_security import HOSTED_CLIENTS, hosted
from lint.rules.viewpoint import COMMANDS, Viewpoint

if TYPE_CHECKING:
    from lint.catalogue import Catalogue, Function, Table
    from lint.config import LintConfig
    from lint.rules.tenancy import Tenancy

Origin = Literal["given", "hosted", "granted", "assumed"]

#: How the nameless role is called; nobody can GRANT to it, so a fix says what to put there.
APPLICATION = "the application"
#: Schemas whose relations a hosted platform serves to its clients by default.
_SERVED_SCHEMAS = frozenset({DEFAULT_SCHEMA, "storage", "graphql_public"})
_PRIVILEGES = frozenset({*COMMANDS, "truncate", "references", "trigger"})
_ROWS = frozenset({*COMMANDS, "all"})
#: Words in the names of roles that serve no tenant: people, jobs, copies and the platform itself.
_NOT_SERVING = re.compile(
    r"admin|owner|super|root|postgres|migrat|deploy|backup|dump|audit|replic|read_?only|(?:^|_)ro(?:$|_)|"
    r"bypass|service|monitor|metric|report|analy|grafana|metabase|debug|support|cron|job|seal|maint",
    re.IGNORECASE,
)
_MOST_JUDGED = 4
#: Relations from which on it shows whether a history grants by name.
_ENOUGH = 5


@dataclass(frozen=True, slots=True)
class Serving:
    """The roles that serve tenants, and how they were found out."""

    roles: tuple[str, ...]
    origin: Origin
    #: Those of a hosted project that the platform did not bring.
    own: tuple[str, ...] = ()


def serving_of(catalogue: Catalogue, config: LintConfig) -> Serving:
    """Return who serves tenants in a catalogue whose tenant columns are known."""
    if config.serving_roles:
        return Serving(config.serving_roles, "given")
    named = _named(catalogue, config)
    if hosted(catalogue):
        return _hosted(catalogue, named)
    return Serving(named, "granted") if named else Serving((APPLICATION,), "assumed")


def _hosted(catalogue: Catalogue, named: tuple[str, ...]) -> Serving:
    """Return the platform's clients, and roles of the project's own that its policies are for.

    A platform's role that no policy is for any more serves nobody, where others have taken over.
    """
    asked = {role for table in catalogue.tables.values() for one in table.permissive for role in one.roles}
    own = tuple(role for role in named if role in asked and role not in HOSTED_CLIENTS)
    clients = tuple(role for role in HOSTED_CLIENTS if not own or role in asked)
    if PUBLIC in asked and not clients:
        clients = HOSTED_CLIENTS[:1]
    return Serving((*clients, *own), "hosted", own)


def _named(catalogue: Catalogue, config: LintConfig) -> tuple[str, ...]:
    """Return the roles that are given rows of protected tables, the most used first.

    An owner of tables serves only where it is given rows of others' tables, too.
    """
    counts: Counter[str] = Counter()
    given: set[str] = set()
    holding = {t.qualified for t in catalogue.tables.values() if t.tenant_column or t.policies}
    for grant in catalogue.grants:
        if grant.relation in holding and grant.privilege in _ROWS:
            counts[grant.grantee] += 1
            given.add(grant.grantee)
    for name in holding:
        for policy in catalogue.tables[name].permissive:
            counts.update(policy.roles)
    owners = {table.owner for table in catalogue.tables.values()} - given
    owners |= {function.owner for function in catalogue.functions.values() if function.security_definer}
    return tuple(
        role
        for role, _ in counts.most_common()
        if role not in owners and _serves(role, catalogue) and role not in config.privileged_roles
    )[:_MOST_JUDGED]


def _serves(role: str, catalogue: Catalogue) -> bool:
    attributes = catalogue.roles.get(role)
    exempt = attributes is not None and (attributes.superuser or attributes.bypass_row_security)
    return role != PUBLIC and not exempt and not _NOT_SERVING.search(role)


@dataclass(frozen=True)
class HeadViewpoint(Viewpoint):
    """The head of a history as one serving role meets it.

    What migrations leave unsaid is taken as PostgreSQL's or the platform's default: objects belong to
    the role that ran the migrations, PUBLIC may execute functions, and a role that is granted nothing
    here, or next to nothing, was granted elsewhere.
    """

    origin: Origin = "assumed"
    others: tuple[str, ...] = ()
    _found: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def from_history(self) -> bool:
        """True unless a database told the catalogue."""
        return self.catalogue.server_version is None

    @cached_property
    def hosted(self) -> bool:
        """True where the serving roles are a hosted platform's."""
        return self.origin == "hosted"

    def granted_by_name(self, table: Table) -> bool:
        """Say whether a table's privileges were granted to the role on purpose, and not assumed."""
        if self.hosted:
            return not self.from_history
        return not self.rights.isdisjoint(
            grant.grantee for grant in self.catalogue.grants_on(table.qualified) if grant.privilege in _ROWS
        )

    def may_be(self, role: str) -> bool:
        """Say whether a role is the one that serves tenants; nameless, any that could serve may be."""
        return role == self.role or (self.role == APPLICATION and _serves(role, self.catalogue))

    @property
    def known(self) -> bool:
        """True when something shows that tenants are served by this role, and not by the owner."""
        return self.origin != "assumed" and not self.config.app_owns_tables

    @property
    def owner_stays_away(self) -> bool:
        """True when migrations show that tenants are served by another role than the owner."""
        return self.from_history and self.known

    @property
    def serving(self) -> tuple[str, ...]:
        """Every role that serves tenants, this one among them."""
        return (self.role, *self.others)

    @property
    def sql_role(self) -> str:
        """The role as SQL may name it."""
        return "<the application's role>" if self.role == APPLICATION else self.role

    def owner_text(self, owner: str | None) -> str:
        """Return who an owner is, in words."""
        return owner or "its owner (the role that ran the migrations)"

    @cached_property
    def _granted(self) -> frozenset[str]:
        """The relations whose rows the history grants to the role."""
        return frozenset(
            grant.relation
            for grant in self.catalogue.grants
            if grant.kind in {"relation", "column"}
            and grant.grantee in self.rights
            and grant.privilege in _ROWS
        )

    @cached_property
    def _granted_here(self) -> bool:
        """True when the history grants the role rows, and somebody rows of most protected tables.

        Where it grants but a few, the others are granted elsewhere, as by a bootstrap's GRANT … ON ALL
        TABLES: a server that could read next to nothing would have been noticed.
        """
        protected = {table.qualified for table in self.catalogue.tables.values() if table.policies}
        granted = {grant.relation for grant in self.catalogue.grants if grant.privilege in _ROWS}
        return bool(self._granted) and len(protected & granted) * 2 >= len(protected)

    def privileges(self, relation: str) -> frozenset[str]:
        """Return the privileges the role has on a relation, the platform's defaults among them."""
        if relation not in self._found:
            self._found[relation] = self._privileges_on(relation)
        return self._found[relation]

    def _privileges_on(self, relation: str) -> frozenset[str]:
        found = super().privileges(relation)
        if "all" in found:
            found |= _PRIVILEGES
        if self.hosted:
            return found | self._given_by_platform(relation)
        if self.from_history and relation not in self._granted and not self._granted_here:
            return found | frozenset(COMMANDS)
        return found

    def _given_by_platform(self, relation: str) -> frozenset[str]:
        """Return what a hosted platform grants to its clients on each new relation, and nobody took away.

        Where nearly everything is granted by name, as in a dump, the rest is not granted.
        """
        if relation.partition(".")[0] not in _SERVED_SCHEMAS or self._all_granted_here:
            return frozenset()
        return frozenset(
            command for command in COMMANDS if (relation, command, self.role) not in self.catalogue.revoked
        )

    @cached_property
    def _all_granted_here(self) -> bool:
        """True when the history grants the role nine in ten of the relations of the served schema by name."""
        made = (*self.catalogue.tables, *self.catalogue.views)
        served = {name for name in made if name.startswith(f"{DEFAULT_SCHEMA}.")}
        return len(served) >= _ENOUGH and len(served & self._granted) * 10 >= len(served) * 9

    def has_whole(self, relation: str, privilege: str) -> bool:
        """Say whether the role surely has a privilege on a whole relation: the platform's default is one."""
        given = self.hosted and privilege in self._given_by_platform(relation)
        return given or super().has_whole(relation, privilege)

    def may_use(self, schema: str) -> bool:
        """Say whether the role may name objects of a schema."""
        if schema in _SERVED_SCHEMAS or schema in self._usable_schemas:
            return True
        if self.hosted:
            return False
        return not self._schemas_granted if self.from_history else super().may_use(schema)

    @cached_property
    def _schemas_granted(self) -> bool:
        return any(grant.kind == "schema" for grant in self.catalogue.grants)

    def may_execute(self, function: Function) -> bool:
        """Say whether the role may call a function: PUBLIC may where nothing else is said."""
        if self.from_history and not function.executors and not function.language:
            return self.may_use(function.schema)
        nameless = self.role == APPLICATION and any(map(self.may_be, function.executors))
        return nameless or super().may_execute(function)

    def exempt(self, role: str | None, table: Table) -> str | None:
        """Return why row security of a table does not bind a role; None is the migrating role."""
        if role is not None or not self.from_history or not table.enabled:
            return super().exempt(role, table)
        if self.hosted:
            return "the platform's migrating role has BYPASSRLS"
        if table.owner is None and not table.forced:
            return f"it owns {table.qualified} too, which does not force row security"
        return None

    def owns(self, table: Table) -> bool:
        """Say whether the role owns a table, by its name or because the application migrates."""
        return super().owns(table) or (table.owner is None and self.config.app_owns_tables)


def viewpoints(catalogue: Catalogue, tenancy: Tenancy, config: LintConfig) -> tuple[HeadViewpoint, ...]:
    """Return a catalogue as each role that serves tenants meets it."""
    serving = serving_of(catalogue, config)
    return tuple(
        HeadViewpoint(
            catalogue,
            role,
            tenancy,
            config,
            origin="granted" if role in serving.own else serving.origin,
            others=tuple(other for other in serving.roles if other != role),
        )
        for role in serving.roles
    )
