"""RLS006 to RLS008: what is granted to a role, or meant by a policy, and refused all the same, in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.database_rules import RLS006, RLS007, RLS008
from lint.rules.viewpoint import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.catalogue import Command, Policy, Table
    from lint.report import Finding
    from lint.rules.viewpoint import Viewpoint

_USING_COMMANDS = frozenset({"all", "select", "update", "delete"})
_WITHOUT = {
    "select": "reads return 0 rows",
    "insert": "INSERT fails with 42501",
    "update": "UPDATE touches 0 rows, in silence",
    "delete": "DELETE touches 0 rows, in silence",
}


class Refusals:
    """The policies of one enabled table, as far as they let a granted command through at all."""

    def __init__(self, table: Table, view: Viewpoint) -> None:
        self.table = table
        self.view = view

    def findings(self) -> Iterator[Finding]:
        """Yield policies that let nothing through, and commands that no policy does."""
        yield from self._absent_clauses()
        yield from self._gaps()

    def _absent_clauses(self) -> Iterator[Finding]:
        for policy in self.table.policies:
            missing = _missing_clause(policy)
            if missing is None or not policy.permissive or policy.opaque:
                continue
            if self._others_let_through(policy):
                yield self._adds_nothing(policy, missing)
                continue
            yield RLS007.finding(
                self.view.place(policy, self.table),
                f"policy {policy.name} on {self.table.qualified} is for {policy.command.upper()} and has "
                f"no {missing}, which denies: {_WITHOUT[_first_command(policy)]}",
                f"ALTER POLICY {policy.name} ON {self.table.written} {missing} "
                f"({self.table.tenant_column or 'tenant_id'} = <the bound tenant>);",
                table=self.table.qualified,
                subject=policy.name,
            )

    def _others_let_through(self, policy: Policy) -> bool:
        """Say whether every command of a policy has another permissive policy for the same roles."""
        others = [one for one in self.table.permissive if one is not policy and _missing_clause(one) is None]
        return all(
            any(
                one.command in {"all", command}
                and (PUBLIC in one.roles or set(policy.roles) <= set(one.roles))
                for one in others
            )
            for command in commands_of(policy)
        )

    def _adds_nothing(self, policy: Policy, missing: str) -> Finding:
        return RLS007.finding(
            self.view.place(policy, self.table),
            f"policy {policy.name} on {self.table.qualified} is for {policy.command.upper()} and has no "
            f"{missing}: it lets no row through by itself, only another policy does",
            f"ALTER POLICY {policy.name} ON {self.table.written} {missing} (…), or drop it",
            table=self.table.qualified,
            subject=policy.name,
            severity="warning",
        )

    def _gaps(self) -> Iterator[Finding]:
        granted = self.view.commands(self.table)
        if not granted or not self.table.permissive:
            return
        open_to = {c for c in granted if self.view.permissive(self.table, c)}
        told = self.view.granted_by_name(self.table)
        if not open_to:
            if told:
                yield self._wrong_roles(granted)
            return
        missing = [command for command in granted if command not in open_to]
        if missing and (told or self._is_blind(open_to)):
            yield self._gap(missing if told else ["select"], open_to)

    def _is_blind(self, open_to: set[Command]) -> bool:
        """Say whether rows may be changed that nobody may see, so that no WHERE finds them."""
        return "select" not in open_to and not open_to.isdisjoint({"update", "delete"})

    def _gap(self, missing: Sequence[Command], open_to: set[Command]) -> Finding:
        names = ", ".join(command.upper() for command in missing)
        if self._is_blind(open_to):
            told = (
                "UPDATE and DELETE find their rows by SELECT policies, and there is none: they touch 0 rows, "
                "in silence"
            )
        else:
            told = "; ".join(_WITHOUT[command] for command in missing)
        chosen = self.view.from_history and not self._is_blind(open_to)
        return RLS006.finding(
            self.view.place(self.table.permissive[0], self.table),
            f"{self.view.role} is granted {names} on {self.table.qualified}, no policy lets it: {told}",
            f"CREATE POLICY … ON {self.table.written} FOR {missing[0].upper()}, "
            f"or REVOKE {names} ON {self.table.written} FROM {self.view.sql_role};",
            table=self.table.qualified,
            subject=names,
            severity="info" if self.view.hosted or chosen else None,
            cause=f"{names} granted and no policy for it",
        )

    def _wrong_roles(self, granted: Iterable[Command]) -> Finding:
        roles = sorted({role for policy in self.table.permissive for role in policy.roles})
        granted_to = {grant.grantee for grant in self.view.catalogue.grants_on(self.table.qualified)}
        served = self.view.from_history and not granted_to.isdisjoint({*roles} & {*self.view.serving})
        names = ", ".join(command.upper() for command in granted)
        return RLS008.finding(
            self.view.place(self.table.permissive[0], self.table),
            f"{self.table.qualified} grants {names} to {self.view.role}, and its policies are for "
            f"{', '.join(roles)} only: {self.view.role} gets 0 rows, in silence",
            f"ALTER POLICY {self.table.permissive[0].name} ON {self.table.written} TO {self.view.sql_role};",
            table=self.table.qualified,
            subject="roles",
            severity="info" if served else None,
            cause=f"granted to {self.view.role}, with policies for other roles" if served else "",
        )


def commands_of(policy: Policy) -> tuple[Command, ...]:
    """Return the commands that a policy is for."""
    return COMMANDS if policy.command == "all" else (policy.command,)


def _first_command(policy: Policy) -> str:
    return "select" if policy.command == "all" else policy.command


def _missing_clause(policy: Policy) -> str | None:
    if policy.command in _USING_COMMANDS and policy.using is None:
        return "USING"
    if policy.command == "insert" and policy.check is None:
        return "WITH CHECK"
    return None
