"""Where a text that the tokenizer refuses can be read all the same.

One quote too many loses a whole file otherwise. What cannot be read goes from the statement it is
in to the next line that begins one, which is as near as PostgreSQL's own lexer can be followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEXEME = re.compile(
    r"(?P<whole>--[^\n]*|/\*.*?\*/|[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|\"[^\"]*\""
    r"|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)|(?P<end>;)|(?P<broken>'|\"|/\*|(?<![\w$])\$(?:[^\W\d]\w*)?\$)",
    re.DOTALL,
)
_BEGINS = re.compile(
    r"^[ \t]*(?:create|alter|drop|grant|revoke|insert|update|delete|select|set|reset|do|comment|begin"
    r"|commit|with|call|truncate|reassign)\b",
    re.IGNORECASE | re.MULTILINE,
)
#: A text broken more often than this is not SQL.
MAX_BREAKS = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, by its offsets; `broken` when a quote in it is never closed."""

    start: int
    end: int
    broken: bool = False


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text at its semicolons, quotes and comments left whole."""
    start = at = breaks = 0
    while True:
        match = _LEXEME.search(text, at)
        if match is None:
            yield Piece(start, len(text))
            return
        at = match.end()
        if match["end"]:
            yield Piece(start, at - 1)
            start = at
        elif match["broken"]:
            breaks += 1
            begins = _BEGINS.search(text, text.find("\n", at) + 1 or len(text))
            end = begins.start() if begins is not None and breaks < MAX_BREAKS else len(text)
            yield Piece(start, end, broken=True)
            start = at = end
