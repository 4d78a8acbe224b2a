"""A history of plain SQL migrations, replayed file after file in the order `lint.layouts` found.

Of each file only the way up is replayed (`lint.history.sections`). One file that cannot be read is
noted; the rest is still replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.files import text_of
from lint.history.facts import NotAnalysed
from lint.history.sections import way_up
from lint.history.sql import Script, Statement, read_statements
from lint.history.statements import FIRST_WORDS, statement_facts
from lint.history.work import outside_transactions
from lint.limits import TooSlowError, check_time, file_deadline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.files import SourceFile
    from lint.history.replay import Replay
    from lint.history.statements import Operations


def place_of(statement: Statement, path: str, first_line: int = 1) -> Place:
    """Return where a statement stands in its file."""
    script = statement.script
    line, column = script.line_and_column(statement.start)
    end_line, _ = script.line_and_column(statement.end - 1)
    return Place(path, line + first_line - 1, column, end_line + first_line - 1)


def replay_files(files: Iterable[SourceFile], replay: Replay, operations: Operations) -> int:
    """Replay SQL files in the order given; return how many statements were read."""
    count = 0
    for file in files:
        text, unreadable = text_of(file)
        if unreadable:
            replay.apply([NotAnalysed(unreadable)], Place(file.path))
        replay.begin_file(file.path)
        replay.apply(outside_transactions(text), Place(file.path))
        with file_deadline():
            count += replay_text(way_up(text), file.path, replay, operations)
    return count


def replay_text(text: str, path: str, replay: Replay, operations: Operations) -> int:
    """Replay the statements of one text; return how many there were."""
    count, script = 0, Script(text)

    def broken(first: int, last: int, reason: str) -> None:
        line, column = script.line_and_column(first)
        place = Place(path, line, column, script.line_and_column(last)[0])
        replay.apply([NotAnalysed(f"it cannot be tokenized up to line {place.end_line}: {reason}")], place)

    try:
        for statement in read_statements(script, FIRST_WORDS, broken):
            check_time()
            count += 1
            if statement is None:
                continue
            changes = statement_facts(statement, operations)
            if changes:
                replay.apply(changes, place_of(statement, path))
    except TooSlowError as error:
        replay.apply([NotAnalysed(f"the rest of the file: {error}")], Place(path))
    return count
