"""A folder of plain SQL migrations, replayed file after file.

Fits numbered and timestamped files, Supabase, Prisma (`*/migration.sql`), Drizzle, Flyway, and the
up sections of dbmate and goose. One file that cannot be read is noted; the rest is still replayed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.files import text_of
from lint.history.facts import NotAnalysed
from lint.history.sql import Script, Statement, statements
from lint.history.statements import statement_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.files import SourceFile
    from lint.history.replay import Replay
    from lint.history.statements import Operations

_DOWN_SECTION = re.compile(
    r"^[ \t]*--[ \t]*(?:migrate:down|\+goose[ \t]+down|\+migrate[ \t]+down).*?"
    r"(?=^[ \t]*--[ \t]*(?:migrate:up|\+goose[ \t]+up|\+migrate[ \t]+up)|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)


def way_up(text: str) -> str:
    """Blank the down sections of a migration, keeping every line where it is."""
    if "--" not in text:
        return text
    return _DOWN_SECTION.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def place_of(statement: Statement, path: str, first_line: int = 1) -> Place:
    """Return where a statement stands in its file."""
    script = statement.script
    line, column = script.line_and_column(statement.tokens[0].start)
    end_line, _ = script.line_and_column(statement.tokens[-1].end)
    return Place(path, line + first_line - 1, column, end_line + first_line - 1)


def replay_files(files: Iterable[SourceFile], replay: Replay, operations: Operations) -> int:
    """Replay SQL files in the order given; return how many statements were read."""
    count = 0
    for file in files:
        text, unreadable = text_of(file)
        if unreadable:
            replay.apply([NotAnalysed(unreadable)], Place(file.path))
        replay.begin_file()
        count += replay_text(way_up(text), file.path, replay, operations)
    return count


def replay_text(text: str, path: str, replay: Replay, operations: Operations) -> int:
    """Replay the statements of one text; return how many there were."""
    count, script = 0, Script(text)

    def broken(first: int, last: int, reason: str) -> None:
        line, column = script.line_and_column(first)
        place = Place(path, line, column, script.line_and_column(last)[0])
        replay.apply([NotAnalysed(f"it cannot be tokenized up to line {place.end_line}: {reason}")], place)

    for statement in statements(script, broken):
        count += 1
        changes = statement_facts(statement, operations)
        if changes:
            replay.apply(changes, place_of(statement, path))
    return count
