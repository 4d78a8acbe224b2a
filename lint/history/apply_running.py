"""What running code does: DO blocks and calls of functions that the history itself made.

Both are followed against the catalogue of that moment. Search path and role belong to the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.history import facts
from lint.history.apply_privileges import functions_named
from lint.history.blocks import run_block, run_function
from lint.history.state import HANDLERS, handles
from lint.history.work import Act, RoleChange, Rows, SettingChange, Transaction

if TYPE_CHECKING:
    from lint.history.state import State

_MAX_CALL_DEPTH = 4


@handles(facts.RunBlock)
def _run_block(state: State, change: facts.RunBlock) -> None:
    if state.call_depth >= _MAX_CALL_DEPTH:
        state.note("DO blocks inside DO blocks, too deep to follow")
        return
    state.call_depth += 1
    run_block(change.body, change.read, state)
    state.call_depth -= 1


@handles(facts.RunFunction)
def _run_function(state: State, change: facts.RunFunction) -> None:
    """Follow a function of this history whose body changes the schema; any other changes nothing."""
    for function in functions_named(state, (change.name, None)):
        if len(change.arguments) < function.required_arguments or state.call_depth >= _MAX_CALL_DEPTH:
            continue
        state.call_depth += 1
        run_function(function, change, state)
        state.call_depth -= 1
        return


@handles(facts.SetSearchPath)
def _set_search_path(state: State, change: facts.SetSearchPath) -> None:
    state.search_path = tuple(name for name in change.schemas if name != "$user")


@handles(facts.SetSessionRole)
def _set_session_role(state: State, change: facts.SetSessionRole) -> None:
    state.role = change.role


def _beside(state: State, change: Act) -> None:
    """Change nothing: rows, settings and transactions are for watchers."""


HANDLERS.update(dict.fromkeys((Rows, SettingChange, RoleChange, Transaction), _beside))


@handles(facts.Refused)
def _refused(state: State, change: facts.Refused) -> None:
    state.refused.append((state.place, change.statement))


@handles(facts.NotAnalysed)
def _not_analysed(state: State, change: facts.NotAnalysed) -> None:
    state.note(change.reason)
