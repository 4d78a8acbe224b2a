"""RLS012 for policies that ask whose row it is and not which tenant's: the row may change tenants.

A user who may write his own rows may also write the tenant column in them, unless a key over both, a
trigger or the privileges on columns keep it. Where the table is the one that says which tenant a user
belongs to, that is to join any tenant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.rules.database_rules import RLS011, RLS012
from lint.rules.expressions import IDENTITY_FUNCTIONS, called_functions
from lint.rules.predicates import bare
from lint.rules.results import body_text
from lint.rules.selectors import asker_of
from lint.rules.tenant_columns import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Command, Policy, Trigger
    from lint.report import Finding
    from lint.rules.branches import Alternative
    from lint.rules.policies import TablePolicies

#: Words in the names of columns that hold a person.
_PERSON = frozenset({"user", "owner", "member", "actor", "profile", "author", "creator", "created", "person"})
#: Words of functions that only put a date into a row.
_DATES = re.compile(r"updated|modified|timestamp|moddatetime|touch", re.IGNORECASE)
_DOES: dict[str, str] = {"insert": "write", "update": "change every column of a row"}
_WRITING: tuple[Command, ...] = ("insert", "update")


class OwnRows:
    """Judges what a user may leave behind in rows of his own, on one table."""

    def __init__(self, policies: TablePolicies) -> None:
        self.policies = policies
        self.table = policies.table
        self.view = policies.view
        self.branches = policies.branches

    def findings(self, policy: Policy) -> Iterator[Finding]:
        """Yield what one permissive policy lets a user write into another tenant, or into what decides."""
        text = policy.check or policy.using
        if text is None:
            return
        column = self.table.tenant_column
        if column is not None and policy.command == "delete":
            yield from self._left_behind(policy, text, column)
        elif column is not None:
            moved = list(self._moved(policy, text, column))
            yield from moved
            if any(one.severity == "error" for one in moved):
                return
        for name, asker in self.view.selectors.get(self.table.qualified, {}).items():
            if name != column:
                yield from self._chosen(policy, text, name, asker)

    def _way(self, policy: Policy, text: str, column: str) -> tuple[Command, Alternative] | None:
        """Return the first command and way by which a user writes a column of his own row as he likes."""
        commands = [
            one for one in _WRITING if policy.command in {"all", one} and self._may_change(one, column)
        ]
        ways = self.policies.alternatives(text)
        found = ((command, way) for command in commands for way in ways if self._is_own(way, command, column))
        return next(found, None)

    def _moved(self, policy: Policy, text: str, column: str) -> Iterator[Finding]:
        found = self._way(policy, text, column)
        if found is None:
            return
        command, way = found
        asker = asker_of(self.view.selectors, self.table, column)
        yield RLS012.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified} lets a user {_DOES[command]} where {way.text}, "
            f"whatever {column} says: {self._outcome(command, asker)}",
            f"add {column} = <the bound tenant> AND … to its WITH CHECK",
            table=self.table.qualified,
            subject=f"{policy.name}:user",
            severity="warning" if asker is None else "error",
            cause="policies that write and ask for the user alone" if asker is None else "",
        )

    def _outcome(self, command: Command, asker: str | None) -> str:
        if asker is not None:
            return f"he joins any tenant, since {asker} asks this table for his"
        if command == "insert":
            return "rows can be written into another tenant"
        moved = "the row can be moved into another tenant"
        return moved if self._are_shown() else f"{moved} (an UPDATE without WHERE asks no SELECT policy)"

    def _chosen(self, policy: Policy, text: str, column: str, asker: str) -> Iterator[Finding]:
        """RLS012 for a column of his own row that a user may write, and by which other policies decide."""
        found = self._way(policy, text, column)
        if found is None:
            return
        command, way = found
        yield RLS012.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified} lets a user {_DOES[command]} where {way.text}, "
            f"and {asker} asks this row for {column}: he gives himself what he likes",
            f"REVOKE UPDATE ON {self.table.written}; GRANT UPDATE (…) on the columns that are his to change",
            table=self.table.qualified,
            subject=f"{policy.name}:{column}",
            severity="warning" if command == "insert" else "error",
        )

    def _left_behind(self, policy: Policy, text: str, column: str) -> Iterator[Finding]:
        """RLS011 for rows of his own that a user goes on deleting after he has left their tenant."""
        if "delete" not in self.view.commands(self.table) or self.policies.restricted("delete"):
            return
        way = next(
            (way for way in self.policies.alternatives(text) if self._is_own(way, "delete", column)), None
        )
        if way is None:
            return
        yield RLS011.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified} lets a user delete rows where {way.text}, "
            f"whatever {column} says: who has left that tenant still may",
            f"add {column} = <the bound tenant> AND …",
            table=self.table.qualified,
            subject=f"{policy.name}:user",
            severity="info",
            cause="policies that delete and ask for the user alone",
        )

    def _are_shown(self) -> bool:
        """Say whether a policy shows a user rows in any tenant, since a moved row must be seen, too."""
        policies = self.view.permissive(self.table, "select")
        ways = (way for policy in policies for way in self.policies.alternatives(policy.using or "false"))
        return any(way.first("row") is not None and way.first("tenant") is None for way in ways)

    def _may_change(self, command: Command, column: str) -> bool:
        """Say whether the role may write a column by a command, and no policy forbids it."""
        if command not in self.view.commands(self.table) or self.policies.restricted(command):
            return False
        if self.view.has_whole(self.table.qualified, command):
            return True
        narrowed = {
            grant.column
            for grant in self.view.catalogue.grants_on(self.table.qualified)
            if grant.kind == "column" and grant.privilege == command and grant.grantee in self.view.rights
        }
        return not narrowed or column in narrowed

    def _is_own(self, way: Alternative, command: Command, column: str) -> bool:
        """Say whether a way asks who the user is and nothing that the column could be known by.

        A key over the user and the tenant, or a trigger before the command, may settle the tenant instead.
        """
        if any(condition.kind not in {"row", "anyone", "open"} for condition in way.conditions):
            return False
        asked = [condition.node for condition in way.conditions if condition.kind == "row"]
        if not asked or any(not self._asks_user(node) for node in asked):
            return False
        keyed = any(
            column in key.columns and len(key.columns) > 1 and self._names(asked, key.columns)
            for key in self.table.foreign_keys
        )
        settled = any(self._settles(trigger, command, column) for trigger in self.table.triggers)
        return not keyed and not settled and not self._names(asked, (column,))

    def _settles(self, trigger: Trigger, command: Command, column: str) -> bool:
        """Say whether a trigger may keep the column as it is; one that puts a date in does not."""
        if command not in trigger.events or trigger.timing != "before" or not trigger.enabled:
            return False
        if command == "insert":
            return True
        functions = self.view.session.functions(trigger.function)
        if not functions:
            return _DATES.search(trigger.function) is None
        named = re.compile(rf"\b{re.escape(column)}\b", re.IGNORECASE)
        return any(named.search(body_text(one)) or "to_jsonb" in body_text(one) for one in functions)

    def _names(self, nodes: Iterable[exp.Expr], columns: Iterable[str]) -> bool:
        wanted = frozenset(columns)
        return any(not wanted.isdisjoint(self.branches.row_columns(node)) for node in nodes)

    def _asks_user(self, node: exp.Expr) -> bool:
        """Say whether a condition is `<column> = <which person asks>`, and looks nothing up."""
        if not isinstance(bare(node), exp.EQ) or node.find(exp.From) is not None:
            return False
        named = {word for name in self.branches.row_columns(node) for word in words(name)}
        if not self.view.session.asks_session(node):
            return False
        return not named.isdisjoint(_PERSON) or _asks_platform(node)


def _asks_platform(node: exp.Expr) -> bool:
    """Say whether the other side is the platform's own answer to who is signed in."""
    names = {name for name, _ in called_functions(node)}
    return not names.isdisjoint(IDENTITY_FUNCTIONS - {"auth.role", "auth.jwt"})
