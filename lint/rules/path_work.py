"""RLS040 and WRAP007: what a migration does to rows that row security hides from it.

PostgreSQL's owner is bound under FORCE (manual, 5.9), and migrations run as the owner. On hosted
platforms the migrating role has BYPASSRLS, so nothing is said there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.errors import SqlUnreadableError
from lint.history import facts
from lint.history.sql import Cursor, tokenized
from lint.history.steps import Watcher
from lint.history.work import Rows, read_names
from lint.rules.path_rules import RLS040, WRAP007
from lint.rules.path_tables import Hidden, Replaced, migrates_exempt, written_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Command, Place, Table
    from lint.config import LintConfig
    from lint.history.steps import Moment, Step
    from lint.report import Finding, Severity

_COMMAND_OF: dict[str, Command] = {
    "insert values": "insert",
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    "merge": "update",
}
_DONE = {
    "insert": "this INSERT … SELECT adds 0 rows",
    "update": "this UPDATE touches 0 rows",
    "delete": "this DELETE removes 0 rows",
    "merge": "this MERGE matches 0 rows",
    "create table as": "the new table is filled with 0 rows",
    "create materialized view": "the new materialized view is filled with 0 rows",
    "refresh": "REFRESH replaces the rows of the materialized view with 0 rows",
    "select into": "the new table is filled with 0 rows",
    "loop": "this loop runs 0 times",
    "question": "what is done next is decided by 0 rows",
}
_CHANGING = frozenset({"insert", "update", "delete", "merge"})


class Work(Watcher):
    """Judges each statement over rows, and each check of a foreign key, at its moment."""

    kinds = (Rows,)

    def __init__(self, config: LintConfig, moment: Moment) -> None:
        self.config = config
        self.moment = moment
        self.found: list[Finding] = []
        self._told: set[tuple[str, str, str]] = set()

    def before(self, step: Step) -> None:
        """Judge a statement by what it meets."""
        change = step.change
        if isinstance(change, Rows) and self.moment.unclear != step.place:
            self._rows(change, step)

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield what was found, unless the role that migrates is exempt from row security."""
        del replaced
        if migrates_exempt(head):
            return
        yield from self.found

    def _forced(self, step: Step, *names: facts.Name) -> Iterator[Table]:
        for name in names:
            table = step.replay.tables.get(step.replay.key(name))
            if table is not None and table.enabled and table.forced:
                yield table

    # RLS040

    def _rows(self, change: Rows, step: Step) -> None:
        reads = self._reads(change, step)
        target = next(self._forced(step, change.target), None) if change.target else None
        read = next(self._forced(step, *reads), None)
        if target is None and read is None:
            return
        hidden = Hidden(step.replay.catalogue(), self.moment)
        if target is not None and self._on_target(change, target, hidden, step.place):
            return
        sources = self._forced(step, *reads)
        blind = next((table for table in sources if hidden.hides(table, "select")), None)
        if blind is not None and change.verb != "insert values":
            self._blind(change, blind, hidden, step.place)
        elif target is not None and change.verb == "insert" and hidden.hides(target, "insert"):
            self._refused(change, target, step.place)

    @staticmethod
    def _reads(change: Rows, step: Step) -> tuple[facts.Name, ...]:
        """Return what a statement reads, for REFRESH what the view's query names."""
        if change.verb != "refresh" or change.target is None:
            return change.reads
        view = step.replay.views.get(step.replay.key(change.target))
        if view is None:
            return ()
        try:
            return read_names(Cursor(tokenized(view.definition)))
        except SqlUnreadableError:
            return ()

    def _on_target(self, change: Rows, table: Table, hidden: Hidden, place: Place) -> bool:
        """Judge the table that a statement writes; True when nothing more is to be said."""
        if change.verb == "copy from":
            if hidden.binds(table):
                self._refused(change, table, place)
            return True
        command = _COMMAND_OF.get(change.verb)
        if command is None:
            return False
        if hidden.hides(table, command):
            return self._on_hidden(change, table, hidden, place)
        if hidden.hides(table, command, whatever_is_bound=True):
            self._uncounted(change, table, place)
            return True
        return False

    def _on_hidden(self, change: Rows, table: Table, hidden: Hidden, place: Place) -> bool:
        if change.verb in {"insert values", "insert"}:
            if change.reads:
                return False
            self._refused(change, table, place)
        else:
            self._blind(change, table, hidden, place)
        return True

    def _blind(self, change: Rows, table: Table, hidden: Hidden, place: Place) -> None:
        loud = hidden.raises(table)
        done = "this statement fails with 42704" if loud else _DONE[change.verb]
        why = "its policies read a setting that was never set" if loud else "no tenant is bound"
        forced = f" ({written_place(table.security_place)})" if table.security_place else ""
        target = change.target is not None and change.target[-1] == table.name
        of = "" if target and change.verb in _CHANGING else "a query on "
        self._say(
            change,
            table,
            place,
            f"{done}{'' if loud else ', in silence'}: {of}{table.qualified} is bound by FORCE ROW LEVEL "
            f"SECURITY{forced} and {why}, so the owner that migrates sees no row of it",
            "warning" if loud else None,
        )

    def _refused(self, change: Rows, table: Table, place: Place) -> None:
        if change.verb == "copy from":
            message = (
                f"COPY FROM into {table.qualified} is refused with 0A000 under FORCE ROW LEVEL SECURITY, "
                "whatever is bound, unless a superuser or a role with BYPASSRLS runs it"
            )
        else:
            message = (
                f"this INSERT into {table.qualified} fails with 42501: FORCE ROW LEVEL SECURITY binds the "
                "owner that migrates and no tenant is bound (a superuser does not notice)"
            )
        self._say(change, table, place, message, "warning")

    def _say(self, change: Rows, table: Table, place: Place, message: str, severity: Severity | None) -> None:
        """Add one finding for each statement; of those that fail, the first of a file tells it all."""
        line = 0 if change.verb in {"insert values", "copy from"} else place.line
        identity = (place.path, table.qualified, f"{change.verb}:{line}")
        if identity in self._told or self.config.is_global(table.qualified):
            return
        self._told.add(identity)
        what = "COPY" if change.verb == "copy from" else change.verb.upper().removesuffix(" VALUES")
        self.found.append(
            RLS040.finding(
                place,
                message,
                f"ALTER TABLE {table.written} NO FORCE ROW LEVEL SECURITY; {what} …; ALTER TABLE "
                f"{table.written} FORCE ROW LEVEL SECURITY; in one transaction, or bind each tenant in turn",
                table=table.qualified,
                subject=change.verb,
                severity=severity,
                cause="rows are read or written under FORCE while no tenant is bound",
            )
        )

    # WRAP007

    def _uncounted(self, change: Rows, table: Table, place: Place) -> None:
        known = all(made.value is not None for made in self.moment.bound())
        if known or change.checked or change.verb not in _CHANGING:
            return
        identity = (place.path, table.qualified, f"{change.verb}:uncounted")
        if identity in self._told:
            return
        self._told.add(identity)
        self.found.append(
            WRAP007.finding(
                place,
                f"{_DONE[change.verb]} of {table.qualified} when the tenant bound at run time is not the "
                "one meant, and nothing here looks at the count",
                "GET DIAGNOSTICS n = ROW_COUNT (in Python: result.rowcount), and fail when it stays 0",
                table=table.qualified,
                subject=change.verb,
                severity="info" if change.looped else None,
                cause="rows are changed and nobody looks at how many",
            )
        )
