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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.history.facts import Fact


class Replay(State):
    """One database's history, replayed statement after statement."""

    def begin_file(self) -> None:
        """Forget what one file's session had set: each migration gets the default search path."""
        self.search_path = (DEFAULT_SCHEMA,)
        self.role = None

    def apply(self, changes: Iterable[Fact], place: Place) -> None:
        """Apply the facts of one statement that stands at `place`."""
        self.place = place
        for change in changes:
            HANDLERS[type(change)](self, change)
