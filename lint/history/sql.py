"""Statements of SQL text, by sqlglot's tokenizer alone.

sqlglot's parser knows no row security statement (every CREATE POLICY is an opaque command) and one
ParseError loses the file, so only its tokenizer is used: statements are split here and read by
`lint.history.statements`. Rules from the PostgreSQL manual, chapter 4.1 (lexical structure).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from lint.errors import SqlUnreadableError
from lint.history import kinds
from lint.history.recovery import Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

#: PostgreSQL's NAMEDATALEN - 1: longer identifiers are cut, and cut names still match each other.
MAX_IDENTIFIER_BYTES = 63

_PARAMETER = re.compile(r"\$(?<![\w$]\$)(?=\d)")
_REWRITTEN = re.compile(r"(?<![\w$@])@(?=\d)")
_PSQL_COMMAND = re.compile(r"^\\[A-Za-z!?.].*$", re.MULTILINE)
_COPY_ROWS = re.compile(
    r"(^[ \t]*COPY\b[^;]{1,1000}?\bFROM\s+stdin\b[^;]{0,400};[^\n]*\n)(.*?)(^\\\.)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_TEXT = frozenset(
    {
        kinds.STRING,
        kinds.IDENTIFIER,
        kinds.HEREDOC_STRING,
        kinds.BYTE_STRING,
        kinds.UNICODE_STRING,
        kinds.NATIONAL_STRING,
        kinds.RAW_STRING,
    }
)
STRINGS = _TEXT - {kinds.IDENTIFIER}
_COMMANDS = frozenset({kinds.COMMAND, kinds.EXECUTE, kinds.FETCH, kinds.SHOW})
_OPENING = frozenset({kinds.L_PAREN, kinds.L_BRACKET})
_CLOSING = frozenset({kinds.R_PAREN, kinds.R_BRACKET})
#: What the tokenizer hands over as one token though it is two words of PostgreSQL's grammar.
_PHRASES = frozenset(kind for words, kind in Postgres.Tokenizer.KEYWORDS.items() if " " in words)
_ATOMIC = re.compile(r"\b[bB][eE][gG][iI][nN]\s+[aA][tT][oO][mM][iI][cC]\b")
_WORD = re.compile(r"\S+")
#: Statements that may hold a semicolon outside quotes.
_HOLDS_SEMICOLONS = re.compile(r"\batomic\b|\brule\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"(?:\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*([^\W\d]\w*)?")
#: The compiled tokenizer recurses into a command behind BEGIN, and its stack holds some 20,000 of them.
_NESTED_COMMAND = re.compile(
    r"\bbegin\s+(?:do|execute|exec|fetch|lock|rename|show|call|explain|optimize|prepare|vacuum|declare|refresh"
    r"|reindex|reset)\b",
    re.IGNORECASE,
)
MAX_NESTED_COMMANDS = 4000
#: One for all: making it costs more than most statements take to tokenize.
_TOKENIZER = Postgres.Tokenizer(dialect=Postgres())


@dataclass(frozen=True)
class Script:
    """SQL text and the offsets of its lines, to turn an offset into a place a person can open.

    A script cut out of another one knows where it began there.
    """

    text: str
    whole: Script | None = None
    start: int = 0

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of a character offset."""
        if self.whole is not None:
            return self.whole.line_and_column(self.start + offset)
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1


@dataclass(frozen=True, slots=True)
class Statement:
    """The tokens of one statement, in the script they came from."""

    tokens: list[Token]
    script: Script

    @property
    def source(self) -> str:
        """The statement as written."""
        return source_of(self.tokens, self.script)

    def in_single_words(self) -> Statement:
        """Return the statement with tokens such as PRIMARY KEY split into their words."""
        if _PHRASES.isdisjoint([token.token_type for token in self.tokens]):
            return self
        return Statement([one for token in self.tokens for one in _words_of(token, self.script)], self.script)


def source_of(tokens: list[Token], script: Script) -> str:
    """Return a run of tokens as written, "" for none."""
    return script.text[tokens[0].start : tokens[-1].end + 1] if tokens else ""


def flat(tokens: list[Token], script: Script) -> str:
    """Return a run of tokens as written, on one line."""
    return " ".join(source_of(tokens, script).split())


def _words_of(token: Token, script: Script) -> Iterator[Token]:
    if token.token_type not in _PHRASES:
        yield token
        return
    for match in _WORD.finditer(script.text, token.start, token.end + 1):
        yield Token(kinds.VAR, match[0], token.line, token.col, match.start(), match.end() - 1)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def psql_blanked(text: str) -> str:
    """Blank what only psql reads: its commands, and rows of COPY FROM stdin."""
    if "\n\\" in text or text.startswith("\\"):
        if "\n\\." in text:
            text = _COPY_ROWS.sub(lambda m: m[1] + _blank(m[2] + m[3]), text)
        text = _PSQL_COMMAND.sub(lambda m: _blank(m[0]), text)
    return text


def _same_length_sql(text: str) -> str:
    """Blank what only psql reads and rewrite `$1`, which the tokenizer takes for a dollar quote."""
    text = psql_blanked(text)
    return _PARAMETER.sub("@", text) if "$" in text else text


def tokenize(text: str) -> list[Token]:
    """Return PostgreSQL tokens of `text`; raise SqlUnreadableError with the tokenizer's reason."""
    if len(text) > MAX_NESTED_COMMANDS and len(_NESTED_COMMAND.findall(text)) > MAX_NESTED_COMMANDS:
        raise SqlUnreadableError(f"more than {MAX_NESTED_COMMANDS} commands stand inside each other")
    try:
        return _TOKENIZER.tokenize(_same_length_sql(text))
    except SqlglotError as error:
        raise SqlUnreadableError(" ".join(str(error).split())[:160]) from error
    except (ValueError, IndexError, OverflowError, RecursionError) as error:
        raise SqlUnreadableError(f"the tokenizer gave up: {error}"[:160]) from error


def tokenize_body(text: str) -> list[Token]:
    """Tokenize a PL/pgSQL body, in which DECLARE and EXECUTE start statements.

    The tokenizer takes those for client commands and hands over what follows as one string, so
    that string is tokenized again in its place. Raises SqlUnreadableError.
    """
    tokens: list[Token] = []
    swallowed = False
    for token in tokenize(text):
        if swallowed and token.token_type is kinds.STRING:
            first = tokens[-1].end + 1
            tokens.extend(_shifted(inner, first) for inner in tokenize(text[first : token.end + 1]))
        else:
            tokens.append(token)
        swallowed = token.token_type in _COMMANDS
    return tokens


def _shifted(token: Token, by: int) -> Token:
    return Token(token.token_type, token.text, token.line, token.col, token.start + by, token.end + by)


def read_statements(
    script: Script, wanted: Collection[str], broken: Callable[[int, int, str], None]
) -> Iterator[Statement | None]:
    """Yield the statements of a script whose first word (upper case) is wanted, None for each other.

    Only wanted statements are tokenized, each on its own, so that one broken quote loses one statement:
    `broken` is told (first offset, last offset, reason).
    """
    if _HOLDS_SEMICOLONS.search(script.text):
        yield from statements(script, broken)
        return
    text = psql_blanked(script.text)
    for piece in pieces(text):
        first = _FIRST_WORD.match(text, piece.start, piece.end)
        if piece.broken:
            broken(*_filled(text, piece), "a quote that is never closed")
        elif first is not None and first[1] and first[1].upper() in wanted:
            yield from _read_piece(script, text, first.start(1), piece.end, broken)
        elif text[piece.start : piece.end].strip() and first is not None and first.end() < piece.end:
            yield None


def _read_piece(
    script: Script, text: str, start: int, end: int, broken: Callable[[int, int, str], None]
) -> Iterator[Statement]:
    part = Script(text[start:end], script, start)
    try:
        tokens = tokenize(part.text)
    except SqlUnreadableError as error:
        broken(start, end - 1, str(error))
        return
    if tokens:
        yield Statement(tokens, part)


def statements(script: Script, broken: Callable[[int, int, str], None] | None = None) -> Iterator[Statement]:
    """Yield the statements of a script, split at `;` outside parentheses and BEGIN ATOMIC bodies.

    `broken` is told (first offset, last offset, reason) of each part that cannot be tokenized; without
    it SqlUnreadableError is raised for the first.
    """
    for tokens in _readable(script, broken):
        split = _split_atomic if _ATOMIC.search(script.text) else _split_plain
        for part in split(tokens):
            yield Statement(part, script)


def _readable(script: Script, broken: Callable[[int, int, str], None] | None) -> Iterator[list[Token]]:
    """Yield the tokens of a script: all of them, or those of its statements that can be read."""
    try:
        yield tokenize(script.text)
    except SqlUnreadableError as error:
        if broken is None:
            raise
        reason = str(error)
    else:
        return
    blanked = psql_blanked(script.text)
    for piece in pieces(blanked):
        text = blanked[piece.start : piece.end]
        if piece.broken:
            broken(*_filled(blanked, piece), "a quote that is never closed")
            continue
        try:
            yield [_shifted(token, piece.start) for token in tokenize(text)]
        except SqlUnreadableError:
            broken(*_filled(blanked, piece), reason)


def _filled(text: str, piece: Piece) -> tuple[int, int]:
    """Return the offsets of a piece without the space around it."""
    inside = text[piece.start : piece.end]
    first = piece.start + len(inside) - len(inside.lstrip())
    return first, piece.start + max(len(inside.rstrip()) - 1, 0)


def split_statements(tokens: list[Token], script: Script) -> Iterator[Statement]:
    """Yield the statements in a run of tokens."""
    for part in _split_plain(tokens):
        yield Statement(part, script)


def _split_plain(tokens: list[Token]) -> Iterator[list[Token]]:
    semicolon, opening, closing = kinds.SEMICOLON, kinds.L_PAREN, kinds.R_PAREN
    start = depth = 0
    for index, token in enumerate(tokens):
        kind = token.token_type
        if kind is opening:
            depth += 1
        elif kind is closing:
            depth -= 1
        elif kind is semicolon and (depth <= 0 or not _is_rule(tokens, start)):
            if index > start:
                yield tokens[start:index]
            start, depth = index + 1, 0
    if start < len(tokens):
        yield tokens[start:]


def _is_rule(tokens: list[Token], start: int) -> bool:
    """Say whether a statement is CREATE RULE, the only one with `;` inside parentheses."""
    return any(token.text.upper() == "RULE" for token in tokens[start + 1 : start + 4])


def _split_atomic(tokens: list[Token]) -> Iterator[list[Token]]:
    """Split like `_split_plain`, keeping SQL-standard function bodies (BEGIN ATOMIC) together."""
    current: list[Token] = []
    depth = atomic = 0
    for token in tokens:
        kind = token.token_type
        if kind is kinds.SEMICOLON and not atomic and (depth <= 0 or not _is_rule(current, 0)):
            if current:
                yield current
            current, depth = [], 0
            continue
        depth += (kind is kinds.L_PAREN) - (kind is kinds.R_PAREN)
        atomic = _atomic_depth(token, current, atomic)
        current.append(token)
    if current:
        yield current


def _atomic_depth(token: Token, before: list[Token], depth: int) -> int:
    word = token.text.upper()
    if word == "ATOMIC" and before and before[-1].text.upper() == "BEGIN":
        return 1
    if depth and word == "CASE":
        return depth + 1
    return depth - 1 if depth and word == "END" else depth


def fold(token: Token) -> str:
    """Return an identifier as PostgreSQL stores it: folded unless quoted, cut at 63 bytes."""
    name = token.text if token.token_type in _TEXT else token.text.lower()
    if len(name) <= MAX_IDENTIFIER_BYTES and name.isascii():
        return name
    raw = name.encode("utf-8", "replace")
    return name if len(raw) <= MAX_IDENTIFIER_BYTES else raw[:MAX_IDENTIFIER_BYTES].decode("utf-8", "ignore")


class Cursor:
    """A reading position in the tokens of one statement.

    `IndexError` (ran off the end) and `ValueError` (not what the grammar says) are the two ways a
    statement can turn out to be something else; `lint.history.statements` catches both.
    """

    __slots__ = ("at", "script", "tokens", "words")

    def __init__(self, statement: Statement, at: int = 0) -> None:
        self.tokens = statement.tokens
        self.script = statement.script
        self.at = at
        #: The upper-case word of each token, "" for quoted text.
        self.words = ["" if token.token_type in _TEXT else token.text.upper() for token in self.tokens]

    @property
    def done(self) -> bool:
        """True when no token is left."""
        return self.at >= len(self.tokens)

    def word(self, ahead: int = 0) -> str:
        """Return the upper-case word at the position, "" for quoted text or the end."""
        index = self.at + ahead
        return self.words[index] if index < len(self.words) else ""

    def eat(self, *words: str) -> bool:
        """Step over the words if they are next, all or none."""
        at = self.at
        if at >= len(self.words) or self.words[at] != words[0]:
            return False
        if len(words) > 1 and self.words[at : at + len(words)] != [*words]:
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Step over the words or raise ValueError."""
        if not self.eat(*words):
            raise ValueError(f"expected {' '.join(words)}")

    def is_kind(self, kind: TokenType) -> bool:
        """Say whether the token at the position is of that kind."""
        return self.at < len(self.tokens) and self.tokens[self.at].token_type is kind

    def take(self, kind: TokenType) -> bool:
        """Step over one token of that kind if it is next."""
        if not self.is_kind(kind):
            return False
        self.at += 1
        return True

    def identifier(self) -> str:
        """Read one identifier."""
        token = self.tokens[self.at]
        self.at += 1
        return fold(token)

    def name(self) -> tuple[str, ...]:
        """Read a dotted name."""
        parts = [self.identifier()]
        while self.take(kinds.DOT):
            parts.append(self.identifier())
        return tuple(parts)

    def identifiers(self) -> tuple[str, ...]:
        """Read a comma-separated list of identifiers."""
        return tuple(name[-1] for name in self.names())

    def names(self) -> tuple[tuple[str, ...], ...]:
        """Read a comma-separated list of dotted names."""
        found = [self.name()]
        while self.take(kinds.COMMA):
            found.append(self.name())
        return tuple(found)

    def string(self) -> str:
        """Read one string literal; raise ValueError for anything else."""
        token = self.tokens[self.at]
        if token.token_type not in STRINGS:
            raise ValueError("expected a string")
        self.at += 1
        written = self.script.text[token.start : token.end + 1]
        if token.token_type is kinds.HEREDOC_STRING:
            quote = written.index("$", 1) + 1
            return written[quote:-quote]
        # the tokenizer was given @1 for $1
        return _REWRITTEN.sub("$", token.text) if "$" in written else token.text

    def skip_to(self, *words: str) -> bool:
        """Step over tokens, groups at a time, up to one of the words; say whether there was one."""
        while not self.done:
            if self.word() in words:
                return True
            if self.tokens[self.at].token_type in _OPENING:
                self.skip_group()
            else:
                self.at += 1
        return False

    def has(self, *words: str) -> bool:
        """Say whether the words stand, in a row, anywhere from the position on."""
        return any(
            all(self.word(ahead + n) == word for n, word in enumerate(words))
            for ahead in range(len(self.tokens) - self.at)
        )

    def part(self, tokens: list[Token]) -> Cursor:
        """Return a cursor over some of the tokens."""
        return Cursor(Statement(tokens, self.script))

    def flat_since(self, first: int) -> str:
        """Return what was read since a position, as written, on one line."""
        return flat(self.tokens[first : self.at], self.script)

    def elements(self) -> list[Cursor]:
        """Read one ( ) group and return a cursor for each of its comma-separated elements."""
        first = self.at + 1
        self.skip_group()
        return self._between_commas(first, self.at - 1)

    def rest_elements(self) -> list[Cursor]:
        """Return a cursor for each comma-separated element from the position on."""
        return self._between_commas(self.at, len(self.tokens))

    def _between_commas(self, first: int, last: int) -> list[Cursor]:
        found: list[Cursor] = []
        depth, start = 0, first
        tokens = self.tokens
        for at in range(first, last):
            kind = tokens[at].token_type
            if kind is kinds.COMMA and depth == 0:
                if at > start:
                    found.append(self._run(start, at))
                start = at + 1
            elif kind in _OPENING:
                depth += 1
            elif kind in _CLOSING:
                depth -= 1
        if last > start:
            found.append(self._run(start, last))
        return found

    def _run(self, first: int, last: int) -> Cursor:
        one = Cursor.__new__(Cursor)
        one.tokens, one.words = self.tokens[first:last], self.words[first:last]
        one.script, one.at = self.script, 0
        return one

    def skip_group(self) -> None:
        """Step over one balanced ( ) or [ ] group."""
        depth = 0
        while True:
            kind = self.tokens[self.at].token_type
            self.at += 1
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth <= 0:
                return

    def group_text(self) -> str:
        """Read one balanced ( ) group and return what stands inside, as written."""
        if not self.is_kind(kinds.L_PAREN):
            raise ValueError("expected (")
        first = self.tokens[self.at]
        self.skip_group()
        return self.script.text[first.end + 1 : self.tokens[self.at - 1].start].strip()

    def group_elements(self) -> list[Statement]:
        """Read one ( ) group and return its comma-separated elements as token runs."""
        first = self.at
        self.skip_group()
        inside = self.tokens[first + 1 : self.at - 1]
        return [Statement(run, self.script) for run in split_commas(inside)]

    def rest(self) -> list[Token]:
        """Return the tokens from the position on."""
        return self.tokens[self.at :]


def split_commas(tokens: list[Token]) -> list[list[Token]]:
    """Split a token run at its outermost commas, leaving out empty runs."""
    runs: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        kind = token.token_type
        if kind is kinds.COMMA and depth == 0:
            runs.append([])
            continue
        depth += (kind in _OPENING) - (kind in _CLOSING)
        runs[-1].append(token)
    return [run for run in runs if run]
