"""Tokens and statements as PostgreSQL's lexical structure has them (manual, chapter 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint.errors import SqlUnreadableError
from lint.history.lexical import fold, is_name, is_number, is_string, literal, pieces
from lint.history.sql import Script, Statement, read_statements, statements, tokenized

PIECES = [
    "'",
    '"',
    "$$",
    "$a$",
    "$1",
    "٣",
    "U&",
    "N",
    "/*",
    "*/",
    "--",
    "\n",
    ";",
    "E'",
    "\\",
    "a",
    "1",
    ".",
    "=",
    "-",
    "(",
    "[",
    " ",
]


def tokens(text: str) -> list[list[str]]:
    return [statement.texts for statement in statements(Script(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b", ["a", ".", "b"]),
        ('"a ""b"" c".d', ['"a ""b"" c"', ".", "d"]),
        ("'it''s;' x", ["'it''s;'", "x"]),
        (r"E'a\'b;' x", [r"E'a\'b;'", "x"]),
        (r"'a\' x", [r"'a\'", "x"]),
        ("N'a' B'01' X'ff' U&'\\0041' U&\"d\"", ["N'a'", "B'01'", "X'ff'", "U&'\\0041'", 'U&"d"']),
        ("date'2020-01-01'", ["date", "'2020-01-01'"]),
        ("$$ a; 'b $$ c", ["$$ a; 'b $$", "c"]),
        ("$f$ a; $$ b; $$ $g$ $f$", ["$f$ a; $$ b; $$ $g$ $f$"]),
        ("a$b$c = $1", ["a$b$c", "=", "$1"]),
        ("1 1.5 .5 1e-3 0xff 1_000 1..3", ["1", "1.5", ".5", "1e-3", "0xff", "1_000", "1", "..", "3"]),
        ("a::int[] := b", ["a", "::", "int", "[", "]", ":=", "b"]),
        ("a=-1", ["a", "=", "-", "1"]),
        ("a@-1 <-> b->>c", ["a", "@-", "1", "<->", "b", "->>", "c"]),
        ("a<>-b*c", ["a", "<>", "-", "b", "*", "c"]),
        ("a --b\n+ c/* d */- e", ["a", "+", "c", "-", "e"]),
        ("a /* b /* c; */ d */ e", ["a", "e"]),
        (
            "a=%s AND b=%(c)s AND d=? AND e @? f",
            [
                "a",
                "=",
                "%",
                "s",
                "AND",
                "b",
                "=",
                "%",
                "(",
                "c",
                ")",
                "s",
                "AND",
                "d",
                "=",
                "?",
                "AND",
                "e",
                "@?",
                "f",
            ],
        ),
        ("a *//*'*/ b", ["a", "*/", "b"]),
        ("t.c%TYPE", ["t", ".", "c", "%", "TYPE"]),
        ("1$a$ 2e'b' $1$c$ 0b_1 0o17", ["1$a$", "2e", "'b'", "$1$c$", "0b_1", "0o17"]),
        ("größe = 'ß'", ["größe", "=", "'ß'"]),
    ],
)
def test_tokens_are_cut_as_postgresql_cuts_them(text: str, found: list[str]) -> None:
    assert tokens(text) == [found]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a; b;; c", 3),
        ("-- a; b\n/* c; */ ; d", 1),
        ("CREATE RULE r AS ON UPDATE TO t DO (DELETE FROM a; DELETE FROM b); SELECT 1", 2),
        ("CREATE TABLE rule (a int); SELECT 1", 2),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3", 2),
        ("CREATE FUNCTION s.atomic() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3", 2),
        ("CREATE FUNCTION atomic() RETURNS int AS 'a' LANGUAGE sql; SELECT 3", 2),
    ],
)
def test_a_semicolon_ends_a_statement_outside_quotes_comments_and_bodies(text: str, count: int) -> None:
    assert len(tokens(text)) == count


@pytest.mark.parametrize(
    ("token", "meaning"),
    [
        ("Abc", "abc"),
        ("ÀB", "Àb"),
        ('"A""b"', 'A"b'),
        ("'A''b'", "A'b"),
        (r"E'a\n\'\\\x41\101\u00e9'", "a\n'\\AAé"),
        (r"e'\0'", "\ufffd"),
        ("U&'d\\0061t\\+000061\\\\'", "data\\"),
        ('u&"\\0061"', "a"),
        ("$a$ 'x' $a$", " 'x' "),
        ("X'1F'", "1F"),
        ("a$", "a$"),
        ("x" * 70, "x" * 63),
        ('"' + "é" * 40 + '"', "é" * 31),
    ],
)
def test_a_token_means_what_postgresql_stores(token: str, meaning: str) -> None:
    assert fold(token) == meaning


def test_a_long_literal_stays_whole() -> None:
    assert literal(f"'{'x' * 100}'") == "x" * 100


def test_names_strings_and_numbers_are_told_apart() -> None:
    assert [is_name(one) for one in ("a", '"a"', "_a", "1", "'a'", "N'a'", "$1", "(")] == [True] * 3 + [
        False
    ] * 5
    assert [is_string(one) for one in ("'a'", "E'a'", "$$ $$", "a$", "$", '"a"', "$1")] == [True] * 3 + [
        False
    ] * 4
    assert [is_number(one) for one in ("1", ".5", "0x1", ".", "a1", "$1")] == [True] * 3 + [False] * 3


def test_a_quote_that_is_never_closed_loses_its_own_statement_alone() -> None:
    told: list[tuple[int, int, str]] = []
    text = "SELECT 1;\nSELECT 'a\n  b;\nSELECT 2;\nSELECT /* 3;\n"
    found = [one.source for one in statements(Script(text), lambda *where: told.append(where))]
    assert found == ["SELECT 1", "SELECT 2"]
    assert [(text[first : last + 1], reason.split(" that")[0]) for first, last, reason in told] == [
        ("SELECT 'a\n  b;", "a quote"),
        ("SELECT /* 3;", "a comment"),
    ]


def test_without_anyone_to_tell_a_broken_quote_is_an_error() -> None:
    with pytest.raises(SqlUnreadableError, match="never closed"):
        list(statements(Script("SELECT 'a")))
    with pytest.raises(SqlUnreadableError, match="never closed"):
        tokenized("a = $x$ b")


def test_statements_that_nobody_wants_are_counted_without_being_read() -> None:
    found = list(
        read_statements(Script("SELECT 1; /* */ drop TABLE a; (SELECT 2)"), {"DROP"}, lambda *_: None)
    )
    assert [one and one.words for one in found] == [None, ["DROP", "TABLE", "A"], None]


def places(statement: Statement) -> list[str]:
    text = statement.script.text
    return [text[at : at + len(token)] for at, token in zip(statement.starts, statement.texts, strict=True)]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=40).map("".join))
@settings(max_examples=500, deadline=2000)
def test_every_token_stands_where_it_says_and_every_piece_is_told(text: str) -> None:
    if "\\" in text:
        text = text.replace("\n\\", "\n")
    found = list(statements(Script(text), lambda *_: None))
    for statement in found:
        assert places(statement) == statement.texts
        assert not {"'", '"', "/*", "$$"} & set(statement.texts), "both patterns see the same quotes"
        assert (statement.start, statement.end) == (
            statement.starts[0],
            statement.starts[-1] + len(statement.texts[-1]),
        )
    cut = list(pieces(text))
    assert [one.start for one in cut][1:] == [one.end + (not one.broken) for one in cut][:-1]
    assert cut[-1].end == len(text) if cut else not text
