r"""PostgreSQL's lexical structure: where statements end, and what their tokens are.

A token is its text as written, so that `"a"`, `'a'` and `a` stay apart; `fold` and `literal` say what
it means. One regular expression finds the ends of statements and another the tokens of one statement,
both in time that grows with the text alone. Rules from the PostgreSQL manual, chapter 4.1. A quote that
is never closed loses the text from the statement it is in to the next line that begins one, which is as
near as PostgreSQL's own lexer can be followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: PostgreSQL's NAMEDATALEN - 1: longer identifiers are cut, and cut names still match each other.
MAX_IDENTIFIER_BYTES = 63
#: A text broken more often than this is not SQL.
MAX_BREAKS = 100
#: How often a quote may be doubled or escaped in one literal: the matcher keeps a note of each.
_MOST = 100_000
#: Matched in one go; the notes of a longer run would take more memory than the text.
_RUN_LENGTH = 400

_WORD = r"[^\W\d][\w$]*+"
_TAG = r"\$[^\W\d]\w*+\$"
_QUOTED = rf"'[^']*+(?:''[^']*+){{0,{_MOST}}}'"
_ESCAPED = rf"'[^'\\]*+(?:(?:\\[\s\S]|'')[^'\\]*+){{0,{_MOST}}}'"
_NAME = rf'"[^"]*+(?:""[^"]*+){{0,{_MOST}}}"'
_DOLLARS = r"\$\$[^$]*+(?:\$(?!\$)[^$]*+)*\$\$"


def _tagged(group: int) -> str:
    """Return the pattern of `$tag$…$tag$`, its tag being the group of that number."""
    return rf"({_TAG})[^$]*+(?:(?!\{group})\$[^$]*+)*\{group}"


def _comment(inside: str = "") -> str:
    """Return the pattern of a block comment, with what may be nested inside."""
    nested = f"|{inside}" if inside else ""
    return rf"/\*[^*/]*+(?:(?:\*(?!/)|/(?!\*){nested})[^*/]*+){{0,{_MOST}}}\*/"


_COMMENT = _comment(_comment(_comment()))
#: What PostgreSQL calls junk behind a number stays with it, so that no quote begins in its middle.
_EXPONENT = r"(?:[eE][-+]?[0-9][0-9_]*+)?"
_NUMBER = rf"(?:[0-9][0-9_]*+(?:\.(?!\.)[0-9_]*+)?|\.[0-9][0-9_]*+){_EXPONENT}(?:(?<=\w)[\w$]*+)?|\w[\w$]*+"
_OPERATOR = r"[-+*/<>=~!@#%^&|`?]"
_PLAIN = r"(?:(?!--|/\*)[-+*/<>=])"
#: An operator ends in + or - only where it holds one of ~ ! @ # % ^ & | `; none is longer than a name.
#: `=%s`, `=%(a)s` and `=?` end in the placeholder of a program's SQL, not in an operator.
_OPERATORS = (
    rf"{_PLAIN}{{0,62}}(?!%[s(])[~!@#%^&|`](?:(?!--|/\*|%[s(]|\?){_OPERATOR}|(?<=@)\?){{0,62}}"
    rf"|{_PLAIN}{{0,62}}(?!/\*)[*/<>=]|[-+]|\?[|&]?"
)


def _lexeme(tagged: str = "") -> re.Pattern[str]:
    """Return the pattern of a token or comment with the space before it; frequent ones come first."""
    return re.compile(
        rf"\s*+(?:{_WORD}(?!['&])|[(),;\[\]]|[=*](?!{_OPERATOR})|\.(?![.0-9])|{_QUOTED}|--[^\n\r]*+|{_NAME}"
        rf"|[eE]{_ESCAPED}|[bBxXnN]{_QUOTED}|[uU]&(?:{_QUOTED}|{_NAME})|{_WORD}|{_NUMBER}|\$[0-9][\w$]*+|{_DOLLARS}"
        rf"{tagged}|{_COMMENT}|::|:=|\.\.|{_OPERATORS}|[^\s])"
    )


_LEXEME = _lexeme()
#: With a group, which makes the search for all at once return groups: for the few texts that need it.
_LEXEME_OR_TAGGED = _lexeme(f"|{_tagged(1)}")
_AFTER_E = r"(?<=[eE]')(?<!\w[eE]')(?<![\w$]\$[eE]')"
#: Right behind a dollar quote E'…' may begin: the `$` before it is no part of a name.
_DOLLAR_QUOTE = rf"(?<!\w)(?:{_DOLLARS}|{_tagged(1)})(?:[eE]{_ESCAPED})?"
_RUN = re.compile(
    rf"""(?:[^;'"$/\-]++|'(?:{_AFTER_E}{_ESCAPED[1:]}|(?!{_AFTER_E}){_QUOTED[1:]})|{_NAME}|--[^\n\r]*+"""
    rf"""|{_COMMENT}|{_DOLLAR_QUOTE}|(?<=\w)\$[\w$]*+|\$(?!\$|[^\W\d]\w*+\$)"""
    rf"""|/(?!\*)|-(?!-)){{1,{_RUN_LENGTH}}}"""
)
_SPACE = re.compile(rf"(?:\s++|--[^\n\r]*+|{_COMMENT}){{1,{_RUN_LENGTH}}}")
_FIRST_WORD = re.compile(_WORD)
_BEGINS = re.compile(
    r"^[ \t]*(?:create|alter|drop|grant|revoke|insert|update|delete|select|set|reset|do|comment|begin"
    r"|commit|with|call|truncate|reassign)\b",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, by its offsets; `broken` says why when a quote in it is never closed."""

    start: int
    end: int
    broken: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text at its semicolons, quotes and comments left whole."""
    start = at = breaks = 0
    run, length = _RUN.match, len(text)
    while at < length:
        match = run(text, at)
        if match is not None:
            at = match.end()
        elif text[at] == ";":
            yield Piece(start, at)
            start = at = at + 1
        else:
            breaks += 1
            begins = _BEGINS.search(text, text.find("\n", at) + 1 or length)
            end = begins.start() if begins is not None and breaks < MAX_BREAKS else length
            yield Piece(start, end, _broken(text[at]))
            start = at = end
    yield Piece(start, length)


def first_word(text: str, start: int, end: int) -> tuple[int, str]:
    """Return where the first token of a piece begins, and its word in upper case ("" for none)."""
    while (space := _SPACE.match(text, start, end)) is not None:
        start = space.end()
    word = _FIRST_WORD.match(text, start, end)
    return start, word[0].upper() if word is not None else ""


def _broken(first: str) -> str:
    if first == "/":
        return "a comment that is never closed, or nested more than three deep"
    return "a quote that is never closed"


def lexemes(text: str) -> list[str]:
    """Return the tokens and comments of a text, each with the space before it."""
    if "$" in text:
        return [match[0] for match in _LEXEME_OR_TAGGED.finditer(text)]
    return _LEXEME.findall(text)


#: What a comment among the lexemes begins with; no token does.
COMMENTS = frozenset({"--", "/*"})


# What a token means


def is_string(token: str) -> bool:
    """Say whether a token is a string constant of any form."""
    last = token[-1]
    return last == "'" or (last == "$" and token[0] == "$" and len(token) > 1)


def is_quoted(token: str) -> bool:
    """Say whether a token is a string constant or a quoted identifier."""
    return token[-1] == '"' or is_string(token)


def is_name(token: str) -> bool:
    """Say whether a token can be an identifier, quoted or not; key words can too."""
    last = token[-1]
    return last == '"' or (last != "'" and (token[0] == "_" or token[0].isalpha()))


def is_number(token: str) -> bool:
    """Say whether a token is a numeric constant."""
    return token[0].isdecimal() or (token[0] == "." and token[1:2].isdecimal())


_LOWER = str.maketrans({chr(upper): chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)})


def fold(token: str) -> str:
    """Return an identifier as PostgreSQL stores it: folded unless quoted, cut at 63 bytes."""
    if token.isascii():
        if token[-1] not in "'\"$":
            name = token.lower()
        elif token[0] == '"':
            name = token[1:-1].replace('""', '"')
        else:
            name = literal(token)
        return name if len(name) <= MAX_IDENTIFIER_BYTES else _cut(name)
    return _cut(literal(token) if is_quoted(token) else token.translate(_LOWER))


def _cut(name: str) -> str:
    raw = name.encode("utf-8", "replace")
    return name if len(raw) <= MAX_IDENTIFIER_BYTES else raw[:MAX_IDENTIFIER_BYTES].decode("utf-8", "ignore")


def literal(token: str) -> str:
    """Return what a string constant or a quoted identifier stands for; any other token as it is folded."""
    last = token[-1]
    if last == '"':
        name = token[token.index('"') + 1 : -1].replace('""', '"')
        return _unicode(name) if token[0] in "uU" else name
    if last == "'":
        return _string(token)
    if last == "$" and token[0] == "$" and len(token) > 1:
        quote = token.index("$", 1) + 1
        return token[quote:-quote]
    return token.lower()


def _string(token: str) -> str:
    quote = token.index("'")
    inside = token[quote + 1 : -1]
    prefix = token[:quote].lower()
    if prefix == "e":
        return _ESCAPE.sub(_unescaped, inside)
    plain = inside.replace("''", "'")
    return _unicode(plain) if prefix == "u&" else plain


_ESCAPE = re.compile(
    r"''|\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[\s\S])", re.DOTALL
)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"\\(?:\\|\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")


def _unescaped(match: re.Match[str]) -> str:
    """Return what an escape of E'…' stands for."""
    written = match[0]
    if written == "''":
        return "'"
    kind, digits = written[1], written[2:]
    if digits:
        return _character(int(digits, 16) if kind in "uUx" else int(written[1:], 8))
    return _character(int(kind)) if kind in "01234567" else _CONTROL.get(kind, kind)


def _unicode(text: str) -> str:
    r"""Return U&'…' with `\XXXX` and `\+XXXXXX` replaced; UESCAPE is left aside."""
    return _UNICODE.sub(
        lambda match: _character(int(match[1] or match[2], 16)) if match[0] != r"\\" else "\\", text
    )


def _character(point: int) -> str:
    """Return a character; what is none stays recognisable as the replacement character."""
    return chr(point) if 0 < point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF else "\ufffd"
