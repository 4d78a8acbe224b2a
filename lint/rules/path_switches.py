"""RLS005, RLS042 and RLS043: what became of a table's protection between its first and last file.

A table may be open or closed for a moment inside one transaction; what counts is what other
sessions could see between two transactions, and what is still so at the head.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import tenant_column_of, written_name
from lint.history import facts
from lint.history.steps import Closing, Loss, Watcher
from lint.history.work import Rows
from lint.rules.database_rules import RLS043
from lint.rules.path_rules import RLS005, RLS042
from lint.rules.path_tables import Replaced, written_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Column, Place, Table
    from lint.config import LintConfig
    from lint.history.steps import Life, Lives, Moment, Step
    from lint.report import Finding

#: State rules that say of the head what RLS005 says of the statement that made it so.
_SAID_BY_STATE = {
    "enable": ("RLS001", "RLS002", "RLS004"),
    "force": ("RLS004",),
    "policy": ("RLS003",),
}
_FILLING = frozenset({"update", "delete", "merge", "truncate"})


class Switches(Watcher):
    """Compares each table before and after every change."""

    def __init__(self, config: LintConfig, moment: Moment, lives: Lives) -> None:
        self.config = config
        self.moment = moment
        self.lives = lives
        self.windows: list[Finding] = []
        #: The table that a change is about, as it was; one change may run others.
        self._before: list[Table | None] = []

    def before(self, step: Step) -> None:
        """Remember the tables as they are."""
        self._before.append(_touched(step))

    def after(self, step: Step) -> None:
        """See what a change took away, closed, opened or filled."""
        before, table = self._before.pop(), _touched(step)
        if table is None:
            return
        life = self.lives.of(table.qualified)
        if before is not None and before.qualified == table.qualified and _is_switched(before, table):
            self._losses(life, before, table, step)
            self._windows(life, before, table, step)
        self._filling(life, table, step)

    # RLS005

    def _losses(self, life: Life, before: Table, after: Table, step: Step) -> None:
        for kind, had, has in (
            ("enable", before.enabled, after.enabled),
            ("force", before.forced, after.forced),
            ("policy", bool(before.permissive), bool(after.permissive)),
        ):
            if had and not has:
                life.lost[kind] = Loss(step.place, before)
            elif has:
                life.lost.pop(kind, None)

    # RLS042

    def _windows(self, life: Life, before: Table, after: Table, step: Step) -> None:
        closed = after.enabled and not after.permissive
        was_closed = before.enabled and not before.permissive
        if closed and not was_closed and life.older_than(self.moment.file):
            opened = bool(before.enabled and before.permissive)
            life.closed = Closing(step.place, self.moment.file, self.moment.transaction, opened)
        elif not closed and life.closed is not None:
            closing, life.closed = life.closed, None
            if after.enabled and not after.half_read and closing.transaction != self.moment.transaction:
                self.windows.append(_window(after, closing, step.place))

    # RLS043

    def _filling(self, life: Life, table: Table, step: Step) -> None:
        change = step.change
        if isinstance(change, facts.AddColumn) and self._is_unfilled(change.column, life, table):
            life.unfilled = (change.column.name, step.place)
        elif life.unfilled is not None and _fills(change, life.unfilled[0]):
            life.unfilled = life.vanished = None
        elif life.unfilled is not None and table.enabled and life.vanished is None:
            life.vanished = step.place

    def _is_unfilled(self, column: Column, life: Life, table: Table) -> bool:
        if not column.nullable or column.default is not None or column.generated:
            return False
        is_tenant = tenant_column_of([column], self.config.tenant_columns) is not None
        return is_tenant and life.older_than(self.moment.file) and not table.enabled

    def noted(self, place: Place) -> None:
        """Give up on columns of a file of which a part was not analysed: it may fill them."""
        path = place.path
        for life in self.lives.tables.values():
            if life.unfilled is not None and life.unfilled[1].path == path:
                life.unfilled = life.vanished = None

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield what is still so at the head, and the windows on the way."""
        for name, life in self.lives.tables.items():
            table = head.tables.get(name)
            if table is None or self.config.is_global(name):
                continue
            for kind, loss in life.lost.items():
                if _still(kind, table, life):
                    replaced.update((code, name, None) for code in _SAID_BY_STATE[kind])
                    yield _loss(kind, table, loss)
            if life.vanished is not None and life.unfilled is not None:
                yield from _vanished(table, *life.unfilled, life.vanished, replaced)
        for finding in self.windows:
            if not self.config.is_global(finding.table or ""):
                yield finding


def _is_switched(before: Table, after: Table) -> bool:
    """Say whether anything that protects a table may have changed; most changes leave it alone."""
    return (
        before.policies is not after.policies
        or before.enabled != after.enabled
        or before.forced != after.forced
    )


def _touched(step: Step) -> Table | None:
    """Return the table that a change is about, as it is now."""
    change = step.change
    if isinstance(change, Rows):
        name: object = change.target
    else:
        name = getattr(change, "table", None) or getattr(change, "name", None)
    return step.replay.tables.get(step.replay.key(name)) if isinstance(name, tuple) else None


def _still(kind: str, table: Table, life: Life) -> bool:
    if kind == "enable":
        return not table.enabled
    if kind == "force":
        return table.enabled and not table.forced
    return table.enabled and not (table.permissive or table.half_read) and "enable" not in life.lost


def _loss(kind: str, table: Table, loss: Loss) -> Finding:
    message, fix = _LOSSES[kind](table, loss.before)
    owned = table.tenant_column or loss.before.policies or not table.known
    return RLS005.finding(
        loss.place,
        message,
        fix,
        table=table.qualified,
        subject=kind,
        severity=None if owned else "warning",
    )


def _disabled(table: Table, before: Table) -> tuple[str, str]:
    count = len(before.policies)
    policies = "1 policy stays" if count == 1 else f"{count} policies stay"
    looks = f"; its {policies} in pg_policies and looks like protection" if count else ""
    message = (
        f"row security of {table.qualified} is switched off here and stays off: every role with SELECT "
        f"reads every tenant's rows{looks}"
    )
    return message, f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;"


def _unforced(table: Table, before: Table) -> tuple[str, str]:
    owner = f" ({before.owner})" if before.owner else ""
    message = (
        f"row security of {table.qualified} is no longer forced from here on: its owner{owner} reads every "
        "tenant's rows"
    )
    return message, f"ALTER TABLE {table.written} FORCE ROW LEVEL SECURITY;"


def _closed(table: Table, before: Table) -> tuple[str, str]:
    last = next((policy.name for policy in before.permissive), "tenant")
    message = (
        f"{last} was the last permissive policy of {table.qualified}, and none follows: reads return 0 rows "
        "and UPDATE and DELETE touch 0 rows, in silence"
    )
    using = f"{table.tenant_column or 'tenant_id'} = <the bound tenant>"
    return message, f"CREATE POLICY {written_name(last)} ON {table.written} USING ({using});"


_LOSSES = {"enable": _disabled, "force": _unforced, "policy": _closed}


def _window(table: Table, closing: Closing, opened: Place) -> Finding:
    why = "its last policy is dropped here" if closing.had_policy else "row security is enabled here"
    return RLS042.finding(
        closing.place,
        f"{table.qualified}: {why}, and the policy that lets rows through comes in a later transaction "
        f"({written_place(opened)}): in between every read returns 0 rows and every UPDATE touches 0 rows",
        "put ENABLE and CREATE POLICY (or DROP and CREATE) into one migration, in one transaction",
        table=table.qualified,
        subject="window",
        cause="the policy comes in a later transaction than row security",
    )


def _fills(change: facts.Fact, column: str) -> bool:
    """Say whether a change gives rows a value, shows that they have one, or takes them away."""
    if isinstance(change, Rows):
        named = not change.columns or column in change.columns
        return change.verb in _FILLING and named
    if isinstance(change, facts.SetNullable):
        return change.column == column and not change.nullable
    return isinstance(change, (facts.DropColumn, facts.RenameColumn)) and change.column == column


def _vanished(
    table: Table, column: str, added: Place, enabled: Place, replaced: Replaced
) -> Iterator[Finding]:
    present = table.column(column)
    if not table.enabled or present is None or not present.nullable:
        return
    if not table.permissive or not all(_asks_for(column, policy.using) for policy in table.permissive):
        return
    replaced.add(("RLS043", table.qualified, "nullable"))
    yield RLS043.finding(
        added,
        f"{table.qualified}.{column} is added without a value and never filled, and row security is enabled "
        f"at {written_place(enabled)}: the rows that were there have NULL and vanish for every tenant",
        f"fill it before ENABLE, then ALTER TABLE {table.written} ALTER {written_name(column)} SET NOT NULL;",
        table=table.qualified,
        subject="unfilled",
    )


def _asks_for(column: str, using: str | None) -> bool:
    """Say whether an expression can only be true when it asked for the column."""
    if using is None:
        return True
    alternatives = re.split(r"\bOR\b", using, flags=re.IGNORECASE)
    name = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)", re.IGNORECASE)
    null = re.compile(rf"{re.escape(column)}\"?\s+IS\s+NULL", re.IGNORECASE)
    return all(name.search(part) and not null.search(part) for part in alternatives)
