"""RLS041: foreign keys that are checked while row security hides rows from the check.

The check is a query of the owner over both tables, and FORCE binds the owner. A key on rows that
cannot break it (a new table, a new column without a value, a key dropped and made again in one
file) is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.history import facts
from lint.history.steps import Watcher
from lint.history.work import Rows
from lint.rules.path_rules import RLS041
from lint.rules.path_tables import Hidden, Replaced, migrates_exempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, ForeignKey, Place, Table
    from lint.config import LintConfig
    from lint.history.steps import Lives, Moment, Step
    from lint.report import Finding

_EMPTY = "*"


class Keys(Watcher):
    """Judges each foreign key at the moment when it is checked."""

    def __init__(self, config: LintConfig, moment: Moment, lives: Lives) -> None:
        self.config = config
        self.moment = moment
        self.lives = lives
        self.found: list[Finding] = []
        #: Columns of tables that this file added and did not fill; `*` for a table without rows.
        self._unfilled: dict[str, set[str]] = {}
        self._at_start: dict[str, Table] | None = None

    def begin_file(self, path: str) -> None:
        """Forget what an earlier file had added."""
        del path
        self._unfilled.clear()
        self._at_start = None

    def before(self, step: Step) -> None:
        """Judge a key, and note what a file adds and fills."""
        if self._at_start is None:
            self._at_start = dict(step.replay.tables)
        change = step.change
        if isinstance(change, facts.AddColumn):
            self._added(change, step.replay.key(change.name))
        elif isinstance(change, Rows) and change.target is not None:
            self._filled(change, step.replay.key(change.target))
        elif isinstance(change, facts.AddConstraint):
            for key in change.foreign_keys:
                if key.validated:
                    self._key(step, step.replay.key(change.name), key)
        elif isinstance(change, facts.ChangeConstraint) and change.validated:
            self._validation(change, step)

    def _added(self, change: facts.AddColumn, table: str) -> None:
        column = change.column
        if column.default is None and not column.generated and column.identity is None:
            self._unfilled.setdefault(table, set()).add(column.name if column.nullable else _EMPTY)

    def _filled(self, change: Rows, table: str) -> None:
        if change.verb == "truncate":
            self._unfilled.setdefault(table, set()).add(_EMPTY)
        else:
            self._unfilled.pop(table, None)

    def _validation(self, change: facts.ChangeConstraint, step: Step) -> None:
        name = step.replay.key(change.name)
        table = step.replay.tables.get(name)
        for key in table.foreign_keys if table is not None else ():
            if key.name == change.constraint:
                self._key(step, name, key)

    def _key(self, step: Step, name: str, key: ForeignKey) -> None:
        child = step.replay.tables.get(name)
        target = step.replay.key(tuple(key.target.split(".")))
        parent = step.replay.tables.get(target)
        if child is None or self._cannot_break(name, key) or _holds(child, key, target):
            return
        hidden = Hidden(step.replay.catalogue(), self.moment)
        known = (self._at_start or {}).get(name)
        held = known is not None and _holds(known, key, target)
        if hidden.hides(child, "select", whatever_is_bound=True):
            if not held:
                self._say(step.place, child, key, child, hidden)
        elif parent is not None and hidden.hides(parent, "select", whatever_is_bound=True):
            self._say(step.place, child, key, parent, hidden)

    def _cannot_break(self, name: str, key: ForeignKey) -> bool:
        """Say whether no row can have a value in the key's columns yet."""
        unfilled = self._unfilled.get(name, set())
        return not self.lives.of(name).older_than(self.moment.file) or not unfilled.isdisjoint(
            {_EMPTY, *key.columns}
        )

    def _say(self, place: Place, child: Table, key: ForeignKey, forced: Table, hidden: Hidden) -> None:
        if self.config.is_global(forced.qualified):
            return
        loud = hidden.raises(forced) and not hidden.bound_for(forced)
        told = _raising(child, key, forced) if loud else _told(child, key, forced)
        self.found.append(
            RLS041.finding(
                place,
                told.message,
                f"ALTER TABLE {forced.written} NO FORCE ROW LEVEL SECURITY; before it and FORCE after it, "
                "in one transaction",
                table=child.qualified,
                subject=f"{','.join(key.columns)}->{key.target}",
                severity="warning" if loud else None,
                cause=told.cause,
            )
        )

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield what was found, unless the role that migrates is exempt from row security."""
        del replaced
        if not migrates_exempt(head):
            yield from self.found


@dataclass(frozen=True, slots=True)
class _Effect:
    """What becomes of a key under FORCE: told of this one, and said of all like it."""

    message: str
    cause: str


def _holds(table: Table, key: ForeignKey, target: str) -> bool:
    """Say whether a table has the same checked key, so that a guard keeps another from being added."""
    return any(k.validated and (k.columns, k.target) == (key.columns, target) for k in table.foreign_keys)


def _told(child: Table, key: ForeignKey, forced: Table) -> _Effect:
    columns = ", ".join(key.columns)
    if forced is child:
        return _Effect(
            f"the foreign key ({columns}) to {key.target} is checked against no row: {child.qualified} is "
            "forced, so its rows are hidden from the check, and the constraint is marked valid while "
            "orphans may exist",
            "FORCE hides the rows that point, so a foreign key is valid without a check",
        )
    return _Effect(
        f"the foreign key ({columns}) of {child.qualified} fails with 23503 although its rows are sound: "
        f"{key.target} is forced, so the check sees none of the rows that are referenced",
        "FORCE hides the rows pointed at, so a foreign key fails with 23503",
    )


def _raising(child: Table, key: ForeignKey, forced: Table) -> _Effect:
    return _Effect(
        f"the foreign key ({', '.join(key.columns)}) of {child.qualified} fails with 42704: "
        f"{forced.qualified} is forced, and its policies read a setting that nobody set before the check",
        "a foreign key is checked by policies whose setting was never set",
    )
