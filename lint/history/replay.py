"""The catalogue after each statement of a history, as PostgreSQL would have it.

The state and its names are in `lint.history.state`; what each kind of fact does to it is in the
modules `apply_…`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import DEFAULT_SCHEMA, Place
from lint.history import (  # noqa: F401 - each registers what its facts do
    apply_columns,
    apply_privileges,
    apply_relations,
    apply_routines,
    apply_running,
    apply_security,
    apply_tables,
)
from lint.history.state import HANDLERS, State
from lint.history.steps import Step, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lint.history.facts import Fact

    Told = tuple[Callable[[Step], None], ...]


class Replay(State):
    """One database's history, replayed statement after statement."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._watchers: tuple[Watcher, ...] = ()
        #: Whom to tell before and after a change, by its kind.
        self._told: dict[type, tuple[Told, Told]] = {}

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Who is told of every change, before and after it."""
        return self._watchers

    @watchers.setter
    def watchers(self, watchers: tuple[Watcher, ...]) -> None:
        self._watchers = watchers
        self._told.clear()

    def begin_file(self, path: str = "") -> None:
        """Forget what one file's session had set: each migration gets the default search path."""
        self.search_path = (DEFAULT_SCHEMA,)
        self.role = None
        for watcher in self.watchers:
            watcher.begin_file(path)

    def apply(self, changes: Iterable[Fact], place: Place) -> None:
        """Apply the facts of one statement that stands at `place`."""
        self.place = place
        for change in changes:
            self.apply_one(change)

    def apply_one(self, change: Fact) -> None:
        """Apply one fact, and tell the watchers before and after."""
        kind = type(change)
        before, after = self._told.get(kind) or self._whom_to_tell(kind)
        step = Step(change, self.place, self)
        for tell in before:
            tell(step)
        HANDLERS[kind](self, change)
        for tell in after:
            tell(step)

    def _whom_to_tell(self, kind: type) -> tuple[Told, Told]:
        listening = [w for w in self._watchers if w.kinds is None or kind in w.kinds]
        before = tuple(w.before for w in listening if type(w).before is not Watcher.before)
        after = tuple(w.after for w in listening if type(w).after is not Watcher.after)
        self._told[kind] = before, after
        return before, after

    def note(self, reason: str) -> None:
        """Record that something was not analysed, and tell the watchers."""
        super().note(reason)
        for watcher in self.watchers:
            watcher.noted(self.place)
