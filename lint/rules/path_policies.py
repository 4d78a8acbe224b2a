"""RLS044, RLS045 and RLS046: policies lost or skipped in silence, locks, and names of other tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lint.catalogue import written_name
from lint.history import facts
from lint.history.steps import Watcher
from lint.history.work import SettingChange
from lint.rules.path_rules import RLS044, RLS045, RLS046
from lint.rules.path_tables import Replaced, written_place
from lint.rules.row_security import hosted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Place, Policy, Table
    from lint.config import LintConfig
    from lint.history.steps import Lives, Moment, Step
    from lint.report import Finding, Severity

_POLICY_FACTS = (facts.CreatePolicy, facts.AlterPolicy, facts.RenamePolicy, facts.DropPolicy)
_CASCADING = (
    facts.DropTable,
    facts.DropView,
    facts.DropColumn,
    facts.DropConstraint,
    facts.DropFunction,
    facts.DropType,
)
_LOCKING = (facts.RowSecurityChange, *_POLICY_FACTS)


@dataclass
class Lost:
    """Policies of one table that a CASCADE took, and by what."""

    place: Place
    dropped: str
    policies: list[Policy]


class Cascades(Watcher):
    """RLS044: what CASCADE took, and what was skipped because it exists already."""

    kinds = (*_CASCADING, facts.CreatePolicy, facts.DropPolicy)

    def __init__(self, config: LintConfig) -> None:
        self.config = config
        self.lost: dict[str, Lost] = {}
        self.skipped: list[Finding] = []
        #: Names that were dropped and that the table never had, by table and file.
        self.missed: dict[tuple[str, str], str] = {}
        self._before: list[dict[str, tuple[Policy, ...]]] = []

    def before(self, step: Step) -> None:
        """Note what is about to go, and what will not come."""
        change = step.change
        if getattr(change, "cascade", False):
            self._before.append(
                {name: one.policies for name, one in step.replay.tables.items() if one.policies}
            )
        elif isinstance(change, facts.DropPolicy):
            self._missed(change, step)
        elif isinstance(change, facts.CreatePolicy):
            table = step.replay.tables.get(step.replay.key(change.table))
            existing = table.policy(change.policy.name) if table is not None else None
            if table is not None and existing is not None and change.swallowed:
                self._skipped(change.policy, existing, table, step.place)
            elif table is not None:
                self.lost.pop(table.qualified, None)
                self._beside(change.policy, table, step.place)

    def _missed(self, change: facts.DropPolicy, step: Step) -> None:
        table = step.replay.tables.get(step.replay.key(change.table))
        if table is not None and table.policies and table.policy(change.policy) is None:
            self.missed[table.qualified, step.place.path] = change.policy

    def _beside(self, new: Policy, table: Table, place: Place) -> None:
        """Note a policy that was to replace one, which stays because the DROP named another."""
        dropped = self.missed.get((table.qualified, place.path))
        old = next((one for one in table.policies if _same_question(one, new)), None)
        if dropped is None or old is None or old.opaque or _same(old, new):
            return
        self.skipped.append(
            RLS044.finding(
                place,
                f"DROP POLICY {dropped} on {table.qualified} drops nothing: there is none of that name. "
                f"{new.name} comes beside {old.name}, which asks the same and stays as it was",
                f"DROP POLICY {written_name(old.name)} ON {table.written};",
                table=table.qualified,
                subject=f"{new.name}:beside",
                cause="policies that a DROP by a wrong name left beside the new ones",
            )
        )

    def after(self, step: Step) -> None:
        """Note which policies went along with what a CASCADE dropped."""
        if not getattr(step.change, "cascade", False):
            return
        for name, policies in self._before.pop().items():
            table = step.replay.tables.get(name)
            if table is None:
                continue
            own = isinstance(step.change, facts.DropColumn) and step.replay.key(step.change.name) == name
            gone = [
                policy
                for policy in policies
                if table.policy(policy.name) is None or _depends(policy, step.change, own=own)
            ]
            if gone:
                self.lost[name] = Lost(step.place, _dropped(step.change), gone)

    def _skipped(self, new: Policy, old: Policy, table: Table, place: Place) -> None:
        if _same(new, old) or old.opaque:
            return
        was = f" ({written_place(old.place)})" if old.place else ""
        self.skipped.append(
            RLS044.finding(
                place,
                f"policy {new.name} on {table.qualified} exists already{was} with another text, so this one "
                "is skipped in silence and the old one stays",
                f"DROP POLICY IF EXISTS {written_name(new.name)} ON {table.written}; before CREATE POLICY, "
                "without the guard",
                table=table.qualified,
                subject=f"{new.name}:skipped",
            )
        )

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield what was lost and not made again, and what was skipped."""
        for name, lost in self.lost.items():
            table = head.tables.get(name)
            if table is not None and table.enabled and not self.config.is_global(name):
                yield _lost(table, lost, replaced)
        yield from self.skipped


def _dropped(change: facts.Fact) -> str:
    """Return what a DROP … CASCADE drops, as a person would say it."""
    if isinstance(change, facts.DropColumn):
        return f"column {'.'.join((*change.name, change.column))}"
    if isinstance(change, facts.DropFunction):
        return f"function {'.'.join(change.routine[0])}"
    kind = type(change).__name__.removeprefix("Drop").lower()
    name = getattr(change, "name", ())
    return f"{kind} {'.'.join(name) if isinstance(name, tuple) else name}"


def _depends(policy: Policy, change: facts.Fact, *, own: bool) -> bool:
    """Say whether a policy names what goes: also where no file made it, so that its kind is not known."""
    text = " ".join(clause for _, clause in policy.clauses())
    if isinstance(change, facts.DropColumn):
        return _named(text, change.column) and (own or _named(text, change.name[-1]))
    if isinstance(change, facts.DropFunction):
        return _named(text, change.routine[0][-1], after=r"\"?\s*\(")
    if isinstance(change, facts.DropTable):
        return _named(text, change.name[-1], before=r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?(?:[\w\"]+\.)?\"?")
    return False


def _named(text: str, word: str, *, before: str = r"(?<!\w)", after: str = r"(?!\w)") -> bool:
    return re.search(before + re.escape(word) + after, text, re.IGNORECASE) is not None


def _same(one: Policy, other: Policy) -> bool:
    """Say whether two policies mean the same, spelling of white space and case aside."""
    return _meaning(one) == _meaning(other)


def _same_question(one: Policy, other: Policy) -> bool:
    """Say whether two policies ask the same for the same, an empty or missing setting aside."""
    shape = (one.permissive, one.command, set(one.roles)) == (
        other.permissive,
        other.command,
        set(other.roles),
    )
    return shape and bool(one.using) and _question(one.using or "") == _question(other.using or "")


def _question(text: str) -> str:
    plain = re.sub(r"::\s*\w+|\bnullif\b|\bselect\b|\btrue\b|''", "", text, flags=re.IGNORECASE)
    return re.sub(r"[\s(),]+", "", plain).lower()


def _meaning(policy: Policy) -> tuple[object, ...]:
    clauses = tuple(re.sub(r"[\s()]+", "", text or "").lower() for text in (policy.using, policy.check))
    return policy.permissive, policy.command, tuple(sorted(policy.roles)), clauses


def _lost(table: Table, lost: Lost, replaced: Replaced) -> Finding:
    names = {policy.name for policy in lost.policies}
    left = [policy for policy in table.permissive if policy.name not in names]
    told = ", ".join(sorted(names))
    if left:
        follows = f"{len(left)} of its permissive policies remain"
    else:
        follows = "none is left that lets a row through: reads return 0 rows, in silence"
        replaced.update({("RLS003", table.qualified, None), ("RLS005", table.qualified, "policy")})
    return RLS044.finding(
        lost.place,
        f"CASCADE drops {told} of {table.qualified} together with {lost.dropped}; {follows}",
        f"DROP POLICY by name, and CREATE POLICY on {table.written} for what replaces it",
        table=table.qualified,
        subject=f"{lost.dropped}:cascade",
        severity=None if left else "error",
    )


@dataclass
class _Locked:
    """The statements of one file that lock tables in use."""

    place: Place
    tables: dict[str, None] = field(default_factory=dict)
    statements: int = 0


class Locks(Watcher):
    """RLS045: one finding for each file that locks tables which were there before it."""

    kinds = (SettingChange, *_LOCKING)

    def __init__(self, moment: Moment, lives: Lives) -> None:
        self.moment = moment
        self.lives = lives
        self.files: dict[str, _Locked] = {}
        self.habit = False

    def before(self, step: Step) -> None:
        """Note a statement that takes ACCESS EXCLUSIVE with no time bound."""
        change = step.change
        if isinstance(change, SettingChange) and change.name == "lock_timeout":
            self.habit = True
        if not isinstance(change, _LOCKING) or "lock_timeout" in self.moment.settings:
            return
        written = change.name if isinstance(change, facts.RowSecurityChange) else change.table
        name = step.replay.key(written)
        if self.lives.of(name).older_than(self.moment.file) and self.moment.file > 1:
            locked = self.files.setdefault(step.place.path, _Locked(step.place))
            locked.tables[name] = None
            locked.statements += 1

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield one finding for each file where the project has the habit, else one for the history.

        On hosted platforms the role that serves clients has a lock_timeout of its own, so that
        queries do not pile up for long; there only the habit counts.
        """
        del replaced
        files = list(self.files.values())
        if self.habit:
            yield from (_unbounded(locked, len(files)) for locked in files)
        elif files and not hosted(head):
            yield _unbounded(files[-1], len(files), "info")


def _unbounded(locked: _Locked, files: int, severity: Severity | None = None) -> Finding:
    tables = list(locked.tables)
    more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
    take = "takes" if locked.statements == 1 else "take"
    others = f" ({files} files of this history do so, and none sets it)" if severity and files > 1 else ""
    return RLS045.finding(
        locked.place,
        f"{_count(locked.statements, 'statement')} on row security of {tables[0]}{more} {take} ACCESS "
        f"EXCLUSIVE with no lock_timeout: behind one long reader every later query waits{others}",
        "SET lock_timeout = '3s'; as the first statement of the file",
        table=tables[0] if len(tables) == 1 else None,
        subject="lock_timeout",
        severity=severity,
        cause="ACCESS EXCLUSIVE is waited for without a lock_timeout",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class Namesakes(Watcher):
    """RLS046: row security for a table that no file creates, beside one of nearly that name."""

    kinds = (facts.RowSecurityChange, facts.CreatePolicy)

    def __init__(self) -> None:
        self.written: dict[str, Place] = {}

    def before(self, step: Step) -> None:
        """Note a table that row security is written for and that is not known."""
        change = step.change
        if isinstance(change, facts.RowSecurityChange):
            written = change.name
        elif isinstance(change, facts.CreatePolicy):
            written = change.table
        else:
            return
        name = step.replay.key(written)
        table = step.replay.tables.get(name)
        if table is None or not table.known:
            self.written.setdefault(name, step.place)

    def findings(self, head: Catalogue, replaced: Replaced) -> Iterator[Finding]:
        """Yield the tables that stay unknown and have an unprotected namesake."""
        by_spelling = {table.qualified.lower(): table for table in head.tables.values() if table.known}
        for name, place in self.written.items():
            meant = by_spelling.get(name.lower())
            table = head.tables.get(name)
            if meant is None or meant.qualified == name or meant.enabled or (table and table.known):
                continue
            replaced.update((code, meant.qualified, None) for code in ("RLS001", "RLS002"))
            made = f" ({written_place(meant.place)})" if meant.place else ""
            yield RLS046.finding(
                place,
                f"row security is written for {name}, which no file creates; {meant.written}{made} is "
                "another table to PostgreSQL and stays open: every role with SELECT reads all its rows",
                f"ALTER TABLE {meant.written} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
                table=meant.qualified,
                subject=name,
            )
        yield from self._two_of_one(head)

    def _two_of_one(self, head: Catalogue) -> Iterator[Finding]:
        """Yield names that differ in upper and lower case alone, where no file creates either table."""
        spelled: dict[str, list[str]] = {}
        for name in self.written:
            table = head.tables.get(name)
            if table is not None and not table.known:
                spelled.setdefault(name.lower(), []).append(name)
        for names in (found for found in spelled.values() if len(found) > 1):
            folded = next((name for name in names if name == name.lower()), names[0])
            others = ", ".join(head.tables[name].written for name in names if name != folded)
            yield RLS046.finding(
                self.written[folded],
                f"row security is written for {folded} and for {others}, which are two tables to PostgreSQL, "
                "and no file creates either: what is written for the one leaves the other as it is",
                f"write the name as the table has it: {others}",
                table=folded,
                subject=folded,
            )
