"""What the rules over the path share: names of places, and which tables hide their rows from whom.

A policy hides every row from a session that bound nothing when each of its ways to be true asks the
session for something. Whatever cannot be decided counts as open: a rule over the path speaks only
where the statement surely meets nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import expressions as exp

from lint.history.work import ANY_SETTING
from lint.rules.branches import Branches
from lint.rules.expressions import Session, called_functions, setting_reads
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.row_security import hosted
from lint.rules.scopes import Scope

if TYPE_CHECKING:
    from lint.catalogue import Catalogue, Command, Place, Policy, Table
    from lint.history.steps import Moment
    from lint.rules.branches import Alternative, Condition

#: (rule, table, subject or None for any): findings over the state that one over the path replaces.
Replaced: TypeAlias = "set[tuple[str, str, str | None]]"

#: Roles that migrations may run as, by their names; a policy for one of them may let rows through.
_MIGRATING = re.compile(
    r"owner|migrat|admin|postgres|super|service|deploy|maint|bypass|root|operator|current_|session_",
    re.IGNORECASE,
)


def written_place(place: Place) -> str:
    """Return a place as a person looks it up."""
    return f"{place.path}:{place.line}"


def migrates_exempt(head: Catalogue) -> bool:
    """Say whether row security does not bind the role that migrates.

    On hosted platforms it has BYPASSRLS; elsewhere a history may make such a role by name.
    """
    return hosted(head) or any(
        (role.superuser or role.bypass_row_security) and "migrat" in role.name.lower()
        for role in head.roles.values()
    )


class Hidden:
    """Which rows a migration meets at one moment of a history."""

    def __init__(self, catalogue: Catalogue, moment: Moment) -> None:
        self.catalogue = catalogue
        self.moment = moment
        self.session = Session(catalogue)

    def binds(self, table: Table) -> bool:
        """Say whether row security of a table binds the role that migrates at this moment."""
        if not (table.enabled and table.forced) or self.moment.row_security_off:
            return False
        if self._is_exempt(table.owner):
            return False
        role = self.moment.role
        return role is None or (role in self.catalogue.roles and not self._is_exempt(role))

    def _is_exempt(self, name: str | None) -> bool:
        role = self.catalogue.roles.get(name or "")
        return role is not None and (role.superuser or role.bypass_row_security)

    def hides(self, table: Table, command: Command, *, whatever_is_bound: bool = False) -> bool:
        """Say whether no row of a table passes its policies for a command, with what is bound now."""
        if table.half_read or not self.binds(table):
            return False
        policies = [p for p in table.permissive if p.command in {"all", command}]
        if not all(self._shut(policy, table, command) for policy in policies):
            return False
        return whatever_is_bound or not self.bound_for(table)

    def bound_for(self, table: Table) -> bool:
        """Say whether the session has set what the policies of a table may ask for."""
        names = {change.name for change in self.moment.bound()}
        if not names:
            return False
        asked = self.settings(table)
        return ANY_SETTING in names or asked is None or not names.isdisjoint(asked)

    def settings(self, table: Table) -> frozenset[str] | None:
        """Return the settings that the policies of a table read, None when a part is not known."""
        found: set[str] = set()
        for policy in table.policies:
            if policy.opaque:
                return None
            for _, text in policy.clauses():
                try:
                    tree = parse_predicate(text)
                except PredicateError:
                    return None
                if any(not self.session.settings_of(name) for name, _ in called_functions(tree)):
                    return None
                found |= self.session.settings_in(tree)
        return frozenset(found)

    def _shut(self, policy: Policy, table: Table, command: Command) -> bool:
        """Say whether a policy lets no row through while nothing is bound."""
        if policy.opaque:
            return True
        if not self._may_be_for_migrations(policy, table):
            return True
        text = policy.check if command == "insert" and policy.check is not None else policy.using
        if text is None:
            return True
        try:
            ways = self._ways(text, table)
        except (PredicateError, RecursionError):
            return False
        return all(any(self._asks(condition) for condition in way.conditions) for way in ways)

    def _may_be_for_migrations(self, policy: Policy, table: Table) -> bool:
        return any(
            role in {"public", table.owner, self.moment.role} or _MIGRATING.search(role)
            for role in policy.roles
        )

    def _ways(self, text: str, table: Table) -> tuple[Alternative, ...]:
        branches = Branches(Scope.of_table(table, self.catalogue), table.tenant_column, self.session)
        return branches.alternatives(parse_predicate(text))

    def _asks(self, condition: Condition) -> bool:
        """Say whether a condition surely fails for a session that bound nothing."""
        if condition.kind == "switch":
            return True
        if condition.kind not in {"tenant", "row"}:
            return False
        if self.session.asks_session(condition.node):
            return True
        return condition.node.find(exp.From) is None and any(called_functions(condition.node))

    def raises(self, table: Table) -> bool:
        """Say whether a policy fails (42704) while its setting was never set, so that it is not silent."""
        for policy in table.policies:
            for _, text in policy.clauses():
                try:
                    reads = list(setting_reads(parse_predicate(text)))
                except PredicateError:
                    continue
                if any(not read.missing_ok for read in reads):
                    return True
        return False
