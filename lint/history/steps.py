"""Watching a replay: what each session has set at a statement, and what each table has been through.

State rules read the catalogue at the head; a rule over the path needs the moment. A watcher is told
of every change before and after it is applied. `Moment` is what a statement finds: the settings and
the role of its session, its transaction, its file. `Life` is what became of one table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.history import facts
from lint.history.work import ANY_SETTING, RoleChange, SettingChange, Transaction

if TYPE_CHECKING:
    from lint.catalogue import Table
    from lint.history.facts import Fact
    from lint.history.replay import Replay

_RENAMES = (facts.RenameTable, facts.SetSchema, facts.RenameSchema)
_OFF = frozenset({"off", "false", "no", "0"})


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a replay, where it was written, and the replay that it is applied to."""

    change: Fact
    place: Place
    replay: Replay


class Watcher:
    """Is told of every file and of the changes of a replay; this one listens and does nothing."""

    #: The kinds of change that it wants to hear of, None for all.
    kinds: tuple[type, ...] | None = None

    def begin_file(self, path: str) -> None:
        """Hear that the statements of a file follow, in a session of their own."""

    def before(self, step: Step) -> None:
        """Hear of a change that is about to be applied to the replay."""

    def after(self, step: Step) -> None:
        """Hear of a change that was applied to the replay."""

    def noted(self, place: Place) -> None:
        """Hear that a part of the statement at a place was not analysed."""


@dataclass
class Moment(Watcher):
    """What a statement finds: the session's settings and role, the transaction, the file."""

    path: str = ""
    #: Number of the file in the history, from 1.
    file: int = 0
    #: Number of the transaction, over the whole history.
    transaction: int = 0
    settings: dict[str, SettingChange] = field(default_factory=dict)
    role: str | None = None
    #: Where a statement stands of which a part was not analysed: anything may be bound there.
    unclear: Place | None = None
    _explicit: bool = False
    _autocommit: bool = False
    _last: Place | None = None

    def begin_file(self, path: str) -> None:
        """Start a session: what an earlier file had set is no longer counted on."""
        self.path = path
        self.file += 1
        self.transaction += 1
        self.settings.clear()
        self.role = self.unclear = self._last = None
        self._explicit = self._autocommit = False

    def before(self, step: Step) -> None:
        """Take over what the session sets, and where one transaction ends and the next begins."""
        change, place = step.change, step.place
        if self._autocommit and not self._explicit and place != self._last:
            self.transaction += 1
        self._last = place
        if isinstance(change, Transaction):
            self._boundary(change)
        elif isinstance(change, (RoleChange, facts.SetSessionRole)):
            self.role = change.role
        elif isinstance(change, SettingChange):
            self._set(change)

    def noted(self, place: Place) -> None:
        """Remember the statement: what it binds is not known."""
        self.unclear = place

    def _boundary(self, change: Transaction) -> None:
        if change.kind == "none":
            self._autocommit = True
            return
        self._explicit = change.kind == "begin"
        self.transaction += 1
        if change.kind != "begin":
            kept = {name: made for name, made in self.settings.items() if not made.local}
            self.settings = kept

    def _set(self, change: SettingChange) -> None:
        if change.name == ANY_SETTING and change.value == "":
            self.settings.clear()
        elif change.value == "":
            self.settings.pop(change.name, None)
        else:
            self.settings[change.name] = change

    @property
    def row_security_off(self) -> bool:
        """True when a query that row security would filter fails instead (42501)."""
        change = self.settings.get("row_security")
        return change is not None and change.value is not None and change.value.lower() in _OFF

    def bound(self) -> tuple[SettingChange, ...]:
        """Return the custom settings (those with a dot in their name) that have a value."""
        return tuple(made for name, made in self.settings.items() if "." in name or name == ANY_SETTING)


@dataclass
class Life:
    """What one table has been through; numbers are those of files and transactions."""

    #: The file that created it, None when no file did or it was there before the first.
    created: int | None = None
    #: What was taken from it and not given back: "enable", "force" or "policy", and where.
    lost: dict[str, Loss] = field(default_factory=dict)
    #: Since when it has been enabled without a permissive policy.
    closed: Closing | None = None
    #: A tenant column that was added without a value for the rows of then, and where.
    unfilled: tuple[str, Place] | None = None
    #: Where it was enabled while `unfilled`.
    vanished: Place | None = None

    def older_than(self, file: int) -> bool:
        """Say whether it may hold rows when a file begins."""
        return self.created is None or self.created < file


@dataclass(frozen=True, slots=True)
class Loss:
    """Where a protection was taken away, and the table as it was before."""

    place: Place
    before: Table


@dataclass(frozen=True, slots=True)
class Closing:
    """Where a table came to be enabled without a permissive policy."""

    place: Place
    file: int
    transaction: int
    #: True when it had a policy before, so that its rows were read.
    had_policy: bool


class Lives(Watcher):
    """The life of each table by "schema.name", through renames."""

    kinds = (facts.CreateTable, facts.DropTable, facts.DropSchema, *_RENAMES)

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.tables: dict[str, Life] = {}
        self._names: tuple[str, ...] = ()

    def of(self, name: str) -> Life:
        """Return the life of a table, a new one for a table that was not met before."""
        return self.tables.setdefault(name, Life())

    def before(self, step: Step) -> None:
        """Remember the names of before a rename."""
        if isinstance(step.change, _RENAMES):
            self._names = tuple(step.replay.tables)

    def after(self, step: Step) -> None:
        """Follow tables that come, go and are renamed."""
        change, replay = step.change, step.replay
        if isinstance(change, facts.CreateTable):
            self._created(replay.key(change.name), step)
        elif isinstance(change, (facts.DropTable, facts.DropSchema)):
            for gone in [name for name in self.tables if name not in replay.tables]:
                del self.tables[gone]
        elif isinstance(change, _RENAMES):
            self._renamed(replay)

    def _created(self, name: str, step: Step) -> None:
        table = step.replay.tables.get(name)
        if table is not None and table.place == step.place:
            self.tables[name] = Life(created=self.moment.file)

    def _renamed(self, replay: Replay) -> None:
        gone = [name for name in self._names if name not in replay.tables]
        come = [name for name in replay.tables if name not in self._names]
        for old, new in zip(gone, come, strict=False):
            if old in self.tables:
                self.tables[new] = self.tables.pop(old)
