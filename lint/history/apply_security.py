"""What row security switches and policies do to the state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import Policy, Table
from lint.copying import replace
from lint.history import facts
from lint.history.state import UnreadLoss, handles
from lint.history.values import HOLE

if TYPE_CHECKING:
    from lint.history.state import State


@handles(facts.RowSecurityChange)
def _row_security(state: State, change: facts.RowSecurityChange) -> None:
    table = state.table(change.name)
    enabled = table.enabled if change.enabled is None else change.enabled
    forced = table.forced if change.forced is None else change.forced
    unsure = None if change.enabled else table.unsure
    state.put(replace(table, enabled=enabled, forced=forced, security_place=state.place, unsure=unsure))


@handles(facts.UnreadSecurity)
def _unread(state: State, change: facts.UnreadSecurity) -> None:
    """Mark every table that the statement may have been about, unless the file gives back what it takes."""
    found = (state.place.path, change.kind)
    if change.gives:
        state.unread_losses[found] = None
        return
    meant = [table for table in state.tables.values() if _may_mean(change, table)]
    for table in meant:
        state.put(replace(table, unsure=state.place))
    if meant:
        state.unread_losses.setdefault(found, UnreadLoss(state.place, change.text, len(meant)))


def _may_mean(change: facts.UnreadSecurity, table: Table) -> bool:
    if not (table.enabled or table.policies) or not _fits(change.table[-1], table.name):
        return False
    if len(change.table) > 1 and not _fits(change.table[-2], table.schema):
        return False
    return change.kind == "enable" or any(_fits(change.policy, one.name) for one in table.policies)


def _fits(written: str, name: str) -> bool:
    """Say whether a name with holes can be a name."""
    return re.fullmatch(".*".join(map(re.escape, written.split(HOLE))), name) is not None


@handles(facts.TenantSecurity)
def _tenant_security(state: State, change: facts.TenantSecurity) -> None:
    table = state.table(change.name)
    others = tuple(policy for policy in table.policies if policy.name not in change.policies)
    made = tuple(Policy(name, place=state.place, opaque=True) for name in change.policies)
    policies = (*others, *made)
    state.put(replace(table, enabled=True, forced=True, policies=policies, security_place=state.place))


@handles(facts.CreatePolicy)
def _create_policy(state: State, change: facts.CreatePolicy) -> None:
    table = state.table(change.table)
    if change.swallowed and table.policy(change.policy.name) is not None:
        return
    others = tuple(p for p in table.policies if p.name != change.policy.name)
    roles = tuple(state.current_role(role) for role in change.policy.roles)
    policy = replace(change.policy, roles=roles, place=state.place)
    state.put(replace(table, policies=(*others, policy), unsure=None))


@handles(facts.AlterPolicy)
def _alter_policy(state: State, change: facts.AlterPolicy) -> None:
    table = state.table(change.table)
    policy = table.policy(change.policy)
    if policy is None:
        return
    altered = replace(
        policy,
        roles=policy.roles if change.roles is None else change.roles,
        using=policy.using if change.using is None else change.using,
        check=policy.check if change.check is None else change.check,
        place=state.place,
    )
    _swap(state, table, policy, altered)


@handles(facts.RenamePolicy)
def _rename_policy(state: State, change: facts.RenamePolicy) -> None:
    table = state.table(change.table)
    policy = table.policy(change.policy)
    if policy is not None:
        _swap(state, table, policy, replace(policy, name=change.to))


def _swap(state: State, table: Table, old: Policy, new: Policy) -> None:
    policies = tuple(new if policy is old else policy for policy in table.policies)
    state.put(replace(table, policies=policies))


@handles(facts.DropPolicy)
def _drop_policy(state: State, change: facts.DropPolicy) -> None:
    table = state.tables.get(state.key(change.table))
    if table is not None:
        left = tuple(policy for policy in table.policies if policy.name != change.policy)
        state.put(replace(table, policies=left))
