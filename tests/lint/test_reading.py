"""Statements that no rule reads are counted and not tokenized; the others are read as in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lint.catalogue import Catalogue, Place
from lint.history.replay import Replay
from lint.history.sql import Script, Statement, read_statements, statements
from lint.history.statements import FIRST_WORDS, statement_facts

CORPUS = sorted((Path(__file__).parent / "corpus").rglob("*.sql"))
MIXED = """-- a; comment
/* another; */ CREATE TABLE a (id int DEFAULT 1, note text DEFAULT 'x;y');
EXPLAIN SELECT 1;
ALTER TABLE a ENABLE ROW LEVEL SECURITY; VACUUM a;;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $b$ SELECT 1; DROP TABLE a; $b$;
(SELECT 1) UNION SELECT 2;
DO $$ BEGIN EXECUTE 'ALTER TABLE a FORCE ROW LEVEL SECURITY'; END $$;
LISTEN x"""


def told(first: int, last: int, reason: str) -> None:
    raise AssertionError((first, last, reason))


@pytest.mark.parametrize("text", [MIXED, *(path.read_text() for path in CORPUS)])
def test_reading_piece_by_piece_gives_the_same_catalogue(text: str) -> None:
    whole = list(statements(Script(text)))
    pieces = list(read_statements(Script(text), FIRST_WORDS, told))
    assert len(pieces) == len(whole)
    assert replayed(pieces) == replayed(whole)


def replayed(read: Iterable[Statement | None]) -> Catalogue:
    replay = Replay("test")
    for statement in read:
        if statement is not None:
            replay.apply(statement_facts(statement), Place("test"))
    return replay.catalogue()


def test_places_are_those_of_the_whole_text() -> None:
    script = Script(MIXED)
    found = [s for s in read_statements(script, FIRST_WORDS, told) if s is not None]
    lines = [statement.script.line_and_column(statement.start) for statement in found]
    assert lines[:2] == [(2, 16), (4, 1)]
