"""Rules over the policies of one table, as the role that serves tenants meets them.

A policy for other roles says nothing about what a tenant can reach, so only those that bind the
role are judged; a RESTRICTIVE policy that asks for the tenant cures what permissive ones open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.catalogue import PUBLIC
from lint.rules.bodies import captured_argument
from lint.rules.branches import Branches, fallback_tenant
from lint.rules.claims import believed, may_believe
from lint.rules.database_rules import (
    RLS011,
    RLS012,
    RLS013,
    RLS015,
    RLS016,
)
from lint.rules.expressions import called_functions
from lint.rules.own_rows import OwnRows
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.refusals import Refusals, commands_of
from lint.rules.row_security import policy_always_true
from lint.rules.scopes import Scope
from lint.rules.table_rules import RLS010
from lint.rules.unset import true_when_unset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.catalogue import Command, Function, Policy, Table
    from lint.report import Finding
    from lint.rules.branches import Alternative, Condition
    from lint.rules.viewpoint import Viewpoint

#: Words that say anywhere in a name that it means to take away, and those that say so where they begin it.
_ASSERTING = frozenset(
    {"only", "must", "ensure", "restrict", "restricts", "prevent", "prevents", "deny", "denies", "forbid"}
    | {"forbids", "enforce", "enforces", "never", "cannot"}
)
_ASSERTING_FIRST = frozenset({"no", "not", "block", "blocks", "require", "requires"})
#: First words of a name that can only be a restriction.
_ORDERS = frozenset(
    {"ensure", "require", "restrict", "prevent", "deny", "block", "forbid", "enforce", "disallow", "only"}
)
#: Columns that say a row is meant for everyone, so that reading it needs no tenant.
_SHARED_WORDS = frozenset({"public", "shared", "global", "published", "template", "visibility", "system"})
#: Roles that a client has before anybody has signed in.
_ANYBODY = frozenset({PUBLIC, "anon"})


class TablePolicies:
    """The policies of one enabled table that bind the role, parsed once."""

    def __init__(self, table: Table, view: Viewpoint) -> None:
        self.table = table
        self.view = view
        self.bound = tuple(policy for policy in table.policies if view.applies(policy))
        scope = Scope.of_table(table, view.catalogue)
        self._ways: dict[str, tuple[Alternative, ...] | None] = {}
        self.branches = Branches(scope, table.tenant_column, view.session, view.serving)

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the policies, by policy and by command."""
        yield from Refusals(self.table, self.view).findings()
        for policy in self.bound:
            if policy.permissive:
                yield from self._open(policy)
                yield from self._unequal(policy)
                yield from self._bound_by_user(policy)
                yield from self._beside_the_bound(policy)
        yield from self._assertions()

    # RLS010, RLS011, RLS015, RLS016: doors

    def _open(self, policy: Policy) -> Iterator[Finding]:
        shut = all(self.restricted(command) for command in commands_of(policy))
        if shut or (policy.using is None and policy.command == "update" and not self._finds_rows()):
            return
        proven = list(policy_always_true(policy, self.table, self.view.catalogue))
        for clause, text in policy.clauses():
            proven += self._captured(policy, clause, text)
        yield from proven
        told = {finding.subject.rpartition(":")[2] for finding in proven}
        for clause, text in policy.clauses():
            if clause not in told and (clause == "USING" or text != policy.using):
                yield from self._doors(policy, clause, text)

    def _finds_rows(self) -> bool:
        """Say whether any policy lets UPDATE find a row: without one, no WITH CHECK is ever asked."""
        updating = self.view.permissive(self.table, "update")
        return any(one.using is not None for one in updating)

    def _captured(self, policy: Policy, clause: str, text: str) -> Iterator[Finding]:
        """RLS010 for a function in SQL whose argument is called as a column of the table it reads."""
        try:
            called = [name for name, _ in called_functions(parse_predicate(text))]
        except PredicateError:
            return
        for function in (one for name in called for one in self.view.session.functions(name)):
            taken = captured_argument(function, self.view.catalogue)
            if taken is not None:
                yield RLS010.finding(
                    self.view.place(policy, self.table),
                    f"policy {policy.name} on {self.table.qualified}: {clause} asks nothing of the row: "
                    f"in {function.qualified} `{taken[0]}` means {taken[1]}.{taken[0]}, not the argument",
                    f"write {function.name}.{taken[0]} in its body where the argument is meant, or rename it",
                    table=self.table.qualified,
                    subject=f"{policy.name}:{clause}",
                )
                return

    def restricted(self, command: Command) -> bool:
        """Say whether a RESTRICTIVE policy that binds everyone here asks every row for the tenant."""
        return any(
            not policy.permissive
            and policy.command in {"all", command}
            and all(self._binds(text) for _, text in policy.clauses())
            and any(True for _ in policy.clauses())
            for policy in self.bound
        )

    def _binds(self, text: str) -> bool:
        ways = self._read(text)
        return ways is not None and all(way.first("tenant", "literal") is not None for way in ways)

    def alternatives(self, text: str) -> tuple[Alternative, ...]:
        """Return the ways a clause can be true; none where it cannot be parsed."""
        return self._read(text) or ()

    def _read(self, text: str) -> tuple[Alternative, ...] | None:
        """Return the ways an expression can be true, None when it cannot be parsed (RLS090 says so)."""
        if text not in self._ways:
            try:
                self._ways[text] = self.branches.alternatives(parse_predicate(text))
            except (PredicateError, RecursionError):
                self._ways[text] = None
        return self._ways[text]

    def _doors(self, policy: Policy, clause: str, text: str) -> Iterator[Finding]:
        if self._open_when_unset(policy, text):
            yield self._unset(policy, clause, _short(text))
        suspect = may_believe(text, self.view.session)
        for way in self.alternatives(text):
            claim = believed(way, self.view.session) if suspect else None
            if claim is not None:
                yield self._believed(policy, clause, claim, way)
                continue
            if self.table.tenant_column:
                yield from self._fallback(policy, clause, way)
            if way.bound or way.first("literal") is not None:
                unset = way.first("unset")
                if unset is not None and self.branches.row_columns(unset.node):
                    yield self._unset(policy, clause, way.text)
            else:
                yield from self._unbound(policy, clause, way)

    def _unbound(self, policy: Policy, clause: str, way: Alternative) -> Iterator[Finding]:
        """Judge a way that compares the row with nothing of the session."""
        role = self.view.tenant_roles.of_one_tenant(way) if self.table.tenant_column else None
        if way.first("unset") is not None:
            yield self._unset(policy, clause, way.text)
        elif role is not None:
            yield self._role_alone(policy, clause, role)
        elif way.first("switch") is not None:
            yield self._switch(policy, clause, way)
        elif way.first("no_tenant") is not None:
            yield from self._without_tenant(policy, clause)
        elif way.first("state") is None:
            yield from self._loose(policy, clause, way)

    def _believed(self, policy: Policy, clause: str, claim: str, way: Alternative) -> Finding:
        return RLS015.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} believes {claim} ({way.text}): "
            "whoever asks chooses whose rows he gets",
            "ask a membership table who may, or a claim that only the server writes (app_metadata)",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}:claim",
            severity="error",
            cause=f"policies believe {claim}",
        )

    def _open_when_unset(self, policy: Policy, text: str) -> bool:
        """Say whether a whole clause is true where nobody is bound, and no single way says so."""
        ways = self.alternatives(text)
        if not ways or any(way.first("unset") is not None for way in ways):
            return False
        tree, session = parse_predicate(text), self.view.session
        nobody = self.view.hosted and not _ANYBODY.isdisjoint(policy.roles)
        return session.asks_session(tree) and true_when_unset(tree, session, nobody=nobody)

    def _unset(self, policy: Policy, clause: str, told: str) -> Finding:
        return RLS016.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} lets every row through when no tenant "
            f"is set ({told})",
            "take the branch away: an unset tenant must see no row",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            cause=f"open when unset: {told}",
        )

    def _fallback(self, policy: Policy, clause: str, way: Alternative) -> Iterator[Finding]:
        """RLS016 for a comparison that takes one tenant where the setting was not made."""
        column = self.table.tenant_column
        asked = (one for one in way.conditions if one.kind == "tenant" and self._names(one, column))
        value = next((v for one in asked if (v := fallback_tenant(one.node, self.view.session))), None)
        if value is None:
            return
        yield RLS016.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} takes {column} {value} when no "
            "tenant is set: whoever forgot to bind one reads, and may write, that tenant's rows",
            "take the constant away: an unset tenant must see no row",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            cause=f"an unset tenant is taken for {value}",
        )

    def _names(self, condition: Condition, column: str | None) -> bool:
        return column in self.branches.row_columns(condition.node)

    def _switch(self, policy: Policy, clause: str, way: Alternative) -> Finding:
        node = way.first("switch")
        settings = sorted(self.view.session.settings_in(node.node)) if node is not None else []
        named = node.function if node is not None and self.view.from_history else None
        functions = self.view.session.functions(named) if named is not None else []
        if functions:
            return self._switch_in(functions[0], settings, policy, way)
        return RLS015.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} opens to any session that sets "
            f"{' or '.join(settings)} ({way.text})",
            "give the bypass a login role and a policy of its own (TO that role)",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            cause=f"any session that sets {' or '.join(settings)}",
        )

    def _role_alone(self, policy: Policy, clause: str, role: Condition) -> Finding:
        rule = RLS012 if clause == "WITH CHECK" else RLS011
        done = "writes rows into any tenant" if rule is RLS012 else "reaches every tenant's rows"
        return rule.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} asks for a role ({role.text}) and not "
            f"for {self.table.tenant_column}, which stands beside that role elsewhere: who has it in one "
            f"tenant {done}",
            f"add {self.table.tenant_column} = <the bound tenant> AND …",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
        )

    def _switch_in(
        self, function: Function, settings: Sequence[str], policy: Policy, way: Alternative
    ) -> Finding:
        """Tell of a switch that stands in a function once, however many policies call it."""
        names = " or ".join(settings)
        return RLS015.finding(
            self.view.place(function),
            f"function {function.qualified}, which policies ask, opens to any session that sets {names} "
            f"({way.text}): among them policy {policy.name} on {self.table.qualified}",
            "give the bypass a login role and a policy of its own (TO that role)",
            subject=f"{function.qualified}:{names}",
            cause=f"any session that sets {names}",
        )

    def _without_tenant(self, policy: Policy, clause: str) -> Iterator[Finding]:
        column = self.table.column(self.table.tenant_column or "")
        if column is None or not column.nullable:
            return
        written = policy.check in {None, policy.using} and policy.command in {"all", "update"}
        writes = clause == "WITH CHECK" or written or policy.command == "delete"
        deletes = policy.command == "delete"
        done = "deleted by any tenant" if deletes else "written by any tenant and read by every other"
        yield RLS016.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} lets rows without a tenant "
            f"({column.name} IS NULL) "
            f"be {done if writes else 'read by every tenant'}",
            f"allow {column.name} IS NULL in a policy FOR SELECT only, if such rows are shared by design",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            severity="error" if writes else "info",
            cause=f"policies let rows through whose {column.name} is NULL",
        )

    def _loose(self, policy: Policy, clause: str, way: Alternative) -> Iterator[Finding]:
        """RLS011 for a row that is read, RLS012 for one that is written."""
        column = self.table.tenant_column
        if column is None:
            yield from self._for_anybody(policy, clause, way)
            return
        columns = {name for condition in way.conditions for name in self.branches.row_columns(condition.node)}
        shared = policy.command == "select" and _is_for_all(*columns, *(one.sql for one in way.conditions))
        untied, elsewhere = way.first("untied"), way.first("elsewhere")
        if untied is not None:
            asked = f"looks rows up by what is not tied to who is connected ({untied.text})"
        elif elsewhere is not None:
            asked = f"asks who is connected in any tenant and not in the row's ({elsewhere.text})"
        else:
            asked = f"does not ask for {column} where {way.text}"
        rule = RLS012 if clause == "WITH CHECK" else RLS011
        done = (
            "rows can be written into another tenant" if rule is RLS012 else "every tenant reaches those rows"
        )
        yield rule.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} {asked}, so {done}",
            f"add {column} = <the bound tenant> AND …, or make the policy RESTRICTIVE",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            severity="info" if shared else "warning" if elsewhere is not None else None,
        )

    def _for_anybody(self, policy: Policy, clause: str, way: Alternative) -> Iterator[Finding]:
        """RLS010 for a table without a tenant that whoever is signed in or bound may change."""
        changes = policy.command in {"all", "update", "delete"}
        asked = way.conditions and all(condition.kind == "anyone" for condition in way.conditions)
        if not (changes and asked and self.table.known):
            return
        yield RLS010.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: {clause} asks nothing of the row "
            f"({way.text}), so whoever is anybody may change or delete every row",
            "ask in it whose row it is, or write such rows as a role of its own and let everybody read only",
            table=self.table.qualified,
            subject=f"{policy.name}:{clause}",
            severity="warning",
        )

    # RLS012: reading and writing disagree

    def _unequal(self, policy: Policy) -> Iterator[Finding]:
        if policy.using is None or policy.check is None or self.table.tenant_column is None:
            return
        using, check = self._tests(policy.using), self._tests(policy.check)
        if not using or not check or using & check:
            return
        yield RLS012.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified} reads by {_told(using)} and writes by "
            f"{_told(check)}: a tenant's own rows are refused, or land where it cannot see them",
            "compare the same column with the same setting in USING and WITH CHECK",
            table=self.table.qualified,
            subject=f"{policy.name}:unequal",
        )

    def _bound_by_user(self, policy: Policy) -> Iterator[Finding]:
        """RLS012 for a policy by which a user writes rows of his own into any tenant."""
        yield from OwnRows(self).findings(policy)

    def _tests(self, text: str) -> frozenset[tuple[str, str]]:
        """Return (column, setting) for each comparison of the row with a setting."""
        found: set[tuple[str, str]] = set()
        for way in self.alternatives(text):
            for condition in way.conditions:
                if condition.kind in {"tenant", "row"} and condition.node.find(exp.From) is None:
                    columns = self.branches.row_columns(condition.node)
                    settings = self.view.session.settings_in(condition.node)
                    found |= {(column, setting) for column in columns for setting in settings}
        return frozenset(found)

    # RLS011: all of a user's tenants beside the bound one

    def _beside_the_bound(self, policy: Policy) -> Iterator[Finding]:
        """RLS011 for a policy that lets in every tenant of the user, and not the bound one alone."""
        ways = self.alternatives(policy.using or "")
        asked = [condition for way in ways if (condition := way.first("tenant")) is not None]
        looked_up = [one for one in asked if one.node.find(exp.From) is not None]
        bound = [one for one in asked if one.node.find(exp.From) is None and self._asks_setting(one)]
        if not bound or not looked_up:
            return
        yield RLS011.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified}: besides the bound tenant ({bound[0].text}) it "
            f"lets in those of a look-up ({looked_up[0].text}): who acts in one tenant reaches his others",
            "leave the look-up to where a tenant is chosen, and ask here for the bound one alone",
            table=self.table.qualified,
            subject=f"{policy.name}:beside",
            severity="warning",
            cause="policies that let in all tenants of a user beside the bound one",
        )

    def _asks_setting(self, condition: Condition) -> bool:
        settings = self.view.session.settings_in(condition.node)
        return not settings.isdisjoint(self.view.tenancy.settings)

    # RLS013

    def _assertions(self) -> Iterator[Finding]:
        for policy in self.bound:
            if not policy.permissive or not _asserts(policy.name):
                continue
            beside = [
                other.name
                for other in self.bound
                if other is not policy
                and other.permissive
                and not set(commands_of(other)).isdisjoint(commands_of(policy))
            ]
            if beside:
                yield RLS013.finding(
                    self.view.place(policy, self.table),
                    f"policy {policy.name} on {self.table.qualified} reads like a restriction and is "
                    f"permissive: it adds rows to those of {beside[0]}, and takes none away",
                    f"DROP POLICY and CREATE POLICY {policy.name} … AS RESTRICTIVE",
                    table=self.table.qualified,
                    subject=policy.name,
                    severity="info" if self.view.from_history and not _orders(policy.name) else None,
                    cause="permissive policies named like restrictions",
                )


def _is_for_all(*texts: str) -> bool:
    """Say whether columns or conditions speak of rows that are meant for everyone."""
    words = {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}
    joined = any(re.search(r"built_?in", text, re.IGNORECASE) for text in texts)
    return joined or not words.isdisjoint(_SHARED_WORDS)


def _short(text: str) -> str:
    told = " ".join(text.split())
    return told if len(told) <= 80 else f"{told[:77]}…"


def _orders(name: str) -> bool:
    """Say whether a name begins with the verb of a restriction, such as `deny`."""
    first = next(iter(name.lower().replace("_", " ").replace("-", " ").split()), "")
    return first in _ORDERS


def _asserts(name: str) -> bool:
    words = re.findall(r"\w+", name.lower().replace("_", " "))
    return not _ASSERTING.isdisjoint(words) or not _ASSERTING_FIRST.isdisjoint(words[:1])


def _told(tests: Iterable[tuple[str, str]]) -> str:
    return " and ".join(f"{column} = {setting}" for column, setting in sorted(tests))
