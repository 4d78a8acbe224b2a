"""Statements of SQL text and the cursor that reads one.

sqlglot's parser knows no row security statement (every CREATE POLICY is an opaque command) and one
ParseError loses the file, so statements are split here by `lint.history.lexical` and read by
`lint.history.statements`. A statement is parallel lists, not objects: what a token says is compared far
more often than where it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, count, pairwise
from operator import add, sub
from typing import TYPE_CHECKING

from lint.errors import SqlUnreadableError
from lint.history.lexical import COMMENTS, Piece, first_word, fold, is_string, lexemes, literal, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    Broken = Callable[[int, int, str], None]

_PSQL_COMMAND = re.compile(r"^\\[A-Za-z!?.].*$", re.MULTILINE)
_COPY_ROWS = re.compile(
    r"(^[ \t]*COPY\b[^;]{1,1000}?\bFROM\s+stdin\b[^;]{0,400};[^\n]*\n)(.*?)(^\\\.)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_OPENING = frozenset({"(", "["})
_CLOSING = frozenset({")", "]"})
_CLOSING_OF = {"(": ")", "[": "]"}


class Script:
    """SQL text and the offsets of its lines, to turn an offset into a place a person can open."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _line_starts(self) -> list[int]:
        before = accumulate(map(len, self.text.split("\n")), initial=0)
        return [*map(add, before, count())][:-1]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1


class Statement:
    """The tokens of one statement: as written, in upper case, and (when asked for) where each begins."""

    __slots__ = ("_found", "_starts", "script", "texts", "words")

    def __init__(
        self,
        script: Script,
        texts: list[str],
        starts: list[int] | None = None,
        found: tuple[int, list[str]] = (0, []),
    ) -> None:
        """Take tokens with their offsets, or with the lexemes `found` from an offset on."""
        self.script = script
        self.texts = texts
        #: Quoted text keeps its quotes, so that no word of the grammar equals it.
        self.words = [*map(str.upper, texts)]
        self._starts = starts
        self._found = found

    @classmethod
    def read(cls, script: Script, text: str, start: int = 0) -> Statement:
        """Read `text`, which begins at an offset of the script and has its quotes closed."""
        found = lexemes(text)
        texts = [*map(str.lstrip, found)]
        if "--" in text or "/*" in text:
            texts = [one for one in texts if one[:2] not in COMMENTS]
        return cls(script, texts, None, (start, found))

    @classmethod
    def of(cls, tokens: list[str]) -> Statement:
        """Return tokens as a statement that stands in no script."""
        return cls(Script(""), tokens, [0] * len(tokens))

    @property
    def starts(self) -> list[int]:
        """The offset of each token in the script."""
        if self._starts is None:
            at, found = self._found
            ends = [*accumulate(map(len, found), initial=at)][1:]
            if len(found) > len(self.texts):
                texts = [*map(str.lstrip, found)]
                ends = [end for text, end in zip(texts, ends, strict=True) if text[:2] not in COMMENTS]
            self._starts = [*map(sub, ends, map(len, self.texts))]
        return self._starts

    @property
    def start(self) -> int:
        """The offset of the first character."""
        at, found = self._found
        if self._starts is None and len(found) == len(self.texts):  # no comment among them
            return at + len(found[0]) - len(self.texts[0])
        return self.starts[0]

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        at, found = self._found
        if self._starts is None and len(found) == len(self.texts):
            return at + sum(map(len, found))
        return self.starts[-1] + len(self.texts[-1])

    @property
    def source(self) -> str:
        """The statement as written."""
        return self.between(0, len(self.texts))

    def between(self, first: int, last: int) -> str:
        """Return the tokens from `first` to before `last` as written, "" for none."""
        if first >= last:
            return ""
        starts = self.starts
        return self.script.text[starts[first] : starts[last - 1] + len(self.texts[last - 1])]

    def part(self, first: int, last: int | None = None) -> Statement:
        """Return the tokens from `first` to before `last` as a statement of their own."""
        return Statement(self.script, self.texts[first:last], self.starts[first:last])

    def without(self, first: int, last: int) -> Statement:
        """Return the statement without the tokens from `first` to before `last`."""
        texts, starts = self.texts, self.starts
        return Statement(self.script, texts[:first] + texts[last:], starts[:first] + starts[last:])

    def extend(self, other: Statement, between: str, at: int) -> None:
        """Go on with the tokens of what follows in the script behind a token `between` at an offset."""
        self.starts.extend((at, *other.starts))
        self.texts.extend((between, *other.texts))
        self.words.extend((between, *other.words))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def psql_blanked(text: str) -> str:
    """Blank what only psql reads: its commands, and rows of COPY FROM stdin."""
    if "\n\\" in text or text.startswith("\\"):
        if "\n\\." in text:
            text = _COPY_ROWS.sub(lambda m: m[1] + _blank(m[2] + m[3]), text)
        text = _PSQL_COMMAND.sub(lambda m: _blank(m[0]), text)
    return text


def read_statements(script: Script, wanted: Collection[str], broken: Broken) -> Iterator[Statement | None]:
    """Yield the statements of a script whose first word (upper case) is wanted, None for each other.

    A broken quote loses one statement: `broken` is told (first offset, last offset, reason).
    """
    return _read(script, wanted, broken)


def statements(script: Script, broken: Broken | None = None) -> Iterator[Statement]:
    """Yield the statements of a script, split at `;` outside CREATE RULE … (…) and BEGIN ATOMIC bodies.

    `broken` is told (first offset, last offset, reason) of each part that cannot be read; without it
    SqlUnreadableError is raised for the first.
    """
    for statement in _read(script, None, broken or _refused):
        if statement is not None:
            yield statement


def tokenized(text: str) -> Statement:
    """Return an expression, a query or a whole body as one run of tokens; raise SqlUnreadableError."""
    blanked = psql_blanked(text)
    for piece in pieces(blanked):
        if piece.broken:
            _refused(*_filled(blanked, piece), piece.broken)
    return Statement.read(Script(text), blanked)


def _refused(first: int, last: int, reason: str) -> None:
    raise SqlUnreadableError(f"{reason}, in characters {first + 1} to {last + 1}")


def _read(script: Script, wanted: Collection[str] | None, broken: Broken) -> Iterator[Statement | None]:
    text, held = psql_blanked(script.text), None
    for piece in pieces(text):
        if piece.broken:
            if held is not None:
                yield held.statement
                held = None
            broken(*_filled(text, piece), piece.broken)
        elif held is not None:
            held.add(Statement.read(script, text[piece.start : piece.end], piece.start), piece.start - 1)
            if held.opened <= 0:
                yield held.statement
                held = None
        else:
            start, word = first_word(text, piece.start, piece.end)
            if start >= piece.end:
                continue
            if wanted is not None and word not in wanted:
                yield None
                continue
            statement = Statement.read(script, text[start : piece.end], start)
            held = _held(statement) if word == "CREATE" else None
            if held is None:
                yield statement
    if held is not None:
        yield held.statement


class _Held:
    """A statement whose body holds semicolons, until what it opened is closed."""

    def __init__(self, statement: Statement, opening: str, closing: str, first: int) -> None:
        self.statement = statement
        self.opening = opening
        self.closing = closing
        self.opened = 0
        self._count(statement.words[first:])

    def _count(self, words: list[str]) -> None:
        self.opened += words.count(self.opening) - words.count(self.closing)

    def add(self, statement: Statement, semicolon: int) -> None:
        """Go on with what follows a semicolon at an offset of the script."""
        self.statement.extend(statement, ";", semicolon)
        self._count(statement.words)


def _held(statement: Statement) -> _Held | None:
    """Return a CREATE whose first semicolon stands inside its body, None for one that is whole."""
    words, held = statement.words, None
    if "RULE" in words[1:4]:
        held = _Held(statement, "(", ")", 0)
    elif "ATOMIC" in words:
        at = next((at for at, pair in enumerate(pairwise(words)) if pair == ("BEGIN", "ATOMIC")), None)
        if at is not None:
            held = _Held(statement, "CASE", "END", at)
            held.opened += 1
    return held if held is not None and held.opened > 0 else None


def _filled(text: str, piece: Piece) -> tuple[int, int]:
    """Return the offsets of a piece without the space around it."""
    inside = text[piece.start : piece.end]
    first = piece.start + len(inside) - len(inside.lstrip())
    return first, piece.start + max(len(inside.rstrip()) - 1, 0)


def split_statements(run: Statement) -> Iterator[Statement]:
    """Yield the statements in a run of tokens."""
    start = 0
    for at, word in enumerate(run.words):
        if word == ";":
            if at > start:
                yield run.part(start, at)
            start = at + 1
    if start < len(run.words):
        yield run.part(start)


class Cursor:
    """A reading position in a statement, or in a part of it that ends before `end`.

    `IndexError` (ran off the end) and `ValueError` (not what the grammar says) are the two ways a
    statement can turn out to be something else; `lint.history.statements` catches both.
    """

    __slots__ = ("at", "end", "first", "statement", "texts", "words")

    def __init__(self, statement: Statement, at: int = 0, end: int | None = None) -> None:
        self.statement = statement
        self.texts = statement.texts
        self.words = statement.words
        self.first = self.at = at
        self.end = len(self.words) if end is None else end

    @property
    def done(self) -> bool:
        """True when no token is left."""
        return self.at >= self.end

    @property
    def text(self) -> str:
        """The token at the position, as written."""
        if self.at >= self.end:
            raise IndexError
        return self.texts[self.at]

    @property
    def left(self) -> int:
        """How many tokens are left."""
        return self.end - self.at

    def word(self, ahead: int = 0) -> str:
        """Return the token at the position in upper case, quotes and all, "" outside the part."""
        index = self.at + ahead
        return self.words[index] if self.first <= index < self.end else ""

    def eat(self, *words: str) -> bool:
        """Step over the words if they are next, all or none."""
        at = self.at
        if at >= self.end or self.words[at] != words[0]:
            return False
        last = at + len(words)
        if last > at + 1 and (last > self.end or self.words[at:last] != [*words]):
            return False
        self.at = last
        return True

    def expect(self, *words: str) -> None:
        """Step over the words or raise ValueError."""
        if not self.eat(*words):
            raise ValueError(f"expected {' '.join(words)}")

    def identifier(self) -> str:
        """Read one identifier."""
        at = self.at
        if at >= self.end:
            raise IndexError
        self.at = at + 1
        return fold(self.texts[at])

    def name(self) -> tuple[str, ...]:
        """Read a dotted name."""
        found: tuple[str, ...] = (self.identifier(),)
        while self.at < self.end and self.words[self.at] == ".":
            self.at += 1
            found += (self.identifier(),)
        return found

    def identifiers(self) -> tuple[str, ...]:
        """Read a comma-separated list of identifiers."""
        return tuple(name[-1] for name in self.names())

    def names(self) -> tuple[tuple[str, ...], ...]:
        """Read a comma-separated list of dotted names."""
        found = [self.name()]
        while self.eat(","):
            found.append(self.name())
        return tuple(found)

    def string(self) -> str:
        """Read one string literal; raise ValueError for anything else."""
        if not is_string(self.text):
            raise ValueError("expected a string")
        self.at += 1
        return literal(self.texts[self.at - 1])

    def skip_to(self, *words: str) -> bool:
        """Step over tokens, groups at a time, up to one of the words; say whether there was one."""
        every = self.words
        while self.at < self.end:
            word = every[self.at]
            if word in words:
                return True
            if word in _CLOSING_OF:
                self.skip_group()
            else:
                self.at += 1
        return False

    def has(self, *words: str) -> bool:
        """Say whether the words stand, in a row, anywhere from the position on."""
        every, length, wanted = self.words, len(words), [*words]
        return any(
            every[at] == words[0] and every[at : at + length] == wanted
            for at in range(self.at, self.end - length + 1)
        )

    def window(self, first: int, last: int) -> Cursor:
        """Return a cursor over the tokens from `first` to before `last`."""
        return Cursor(self.statement, first, last)

    def rest(self) -> list[str]:
        """Return the tokens from the position on."""
        return self.texts[self.at : self.end]

    def source_since(self, first: int) -> str:
        """Return what was read since a position, as written."""
        return self.statement.between(first, self.at)

    def rest_source(self) -> str:
        """Return what stands from the position on, as written."""
        return self.statement.between(self.at, self.end)

    def flat_since(self, first: int) -> str:
        """Return what was read since a position, as written, on one line."""
        return " ".join(self.source_since(first).split())

    def flat_rest(self) -> str:
        """Return what stands from the position on, as written, on one line."""
        return " ".join(self.rest_source().split())

    def elements(self) -> list[Cursor]:
        """Read one ( ) group and return a cursor for each of its comma-separated elements."""
        first = self.at + 1
        self.skip_group()
        return self._between_commas(first, self.at - 1)

    def rest_elements(self) -> list[Cursor]:
        """Return a cursor for each comma-separated element from the position on."""
        return self._between_commas(self.at, self.end)

    def _between_commas(self, first: int, last: int) -> list[Cursor]:
        found: list[Cursor] = []
        depth, start = 0, first
        for at, word in enumerate(self.words[first:last], first):
            if word == ",":
                if depth == 0:
                    if at > start:
                        found.append(Cursor(self.statement, start, at))
                    start = at + 1
            elif word in _OPENING:
                depth += 1
            elif word in _CLOSING:
                depth -= 1
        if last > start:
            found.append(Cursor(self.statement, start, last))
        return found

    def skip_group(self) -> None:
        """Step over one balanced ( ) or [ ] group, or over one token that opens none."""
        at, words = self.at, self.words
        opening = self.word()
        closing = _CLOSING_OF.get(opening)
        if closing is None:
            self.at = at + 1
            return
        opened, at = 1, at + 1
        while opened:
            try:
                last = words.index(closing, at, self.end)
            except ValueError:
                raise IndexError from None
            opened += words[at:last].count(opening) - 1
            at = last + 1
        self.at = at

    def group_text(self) -> str:
        """Read one balanced ( ) group and return what stands inside, as written."""
        if self.word() != "(":
            raise ValueError("expected (")
        first = self.at
        self.skip_group()
        starts = self.statement.starts
        return self.statement.script.text[starts[first] + 1 : starts[self.at - 1]].strip()


def split_commas(tokens: list[str]) -> list[list[str]]:
    """Split a token run at its outermost commas, leaving out empty runs."""
    runs: list[list[str]] = [[]]
    depth = 0
    for text in tokens:
        if text == "," and depth == 0:
            runs.append([])
            continue
        depth += (text in _OPENING) - (text in _CLOSING)
        runs[-1].append(text)
    return [run for run in runs if run]
