"""A few lines of source with line numbers and a mark below what is at fault, as compilers show them.

Source is other people's text: control characters are shown, never sent to a terminal; tabs and wide
characters keep the mark below its text; a long line is cut around the column.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Looks up a file's bytes by its path in the report; None when they are gone.
Contents = Callable[[str], bytes | None]

_TAB = 4
_DOTTED = re.compile(r"[\w.]+\(?")
_QUOTED = re.compile(r"""(?:[fFrRbB]{0,2})(?:'[^'\n]*'?|"[^"\n]*"?|`[^`\n]*`?)""")
_CUT = "…"
#: How much of a long line stays visible before the column.
_BEFORE = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """What a frame points at; `line` and `column` begin at 1, `end_line` is 0 when not known."""

    path: str
    line: int
    column: int
    end_line: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of source cut to a width, and the mark to print below it."""

    line: int
    code: str
    mark: str
    #: True when the thing at fault goes on below the line.
    goes_on: bool = False


def frame_of(mark: Mark, contents: Contents, width: int) -> Frame | None:
    """Return the frame of a place; None when its file or line is not there any more."""
    content = contents(mark.path)
    lines = content.decode("utf-8-sig", "replace").split("\n") if content is not None else []
    if not 1 <= mark.line <= len(lines) or not lines[mark.line - 1].strip():
        return None
    text = lines[mark.line - 1].rstrip()
    start = min(max(mark.column, 1), len(text)) - 1
    end = _end(text, start, is_sql=mark.path.endswith(".sql"))
    before, fault, after = shown(text[:start]), shown(text[start:end]), shown(text[end:])
    code, offset, length = _window(before, fault, after, max(width, 2 * _BEFORE))
    return Frame(mark.line, code, " " * offset + "^" * max(length, 1), mark.end_line > mark.line)


def _end(text: str, start: int, *, is_sql: bool) -> int:
    """Where the mark ends: a statement's line, up to its `;`; in other source, the string or name there."""
    if is_sql:
        end = text.find(";", start + 1)
        return len(text) if end < 0 else end
    quoted = _QUOTED.match(text, start)
    if quoted:
        return quoted.end()
    named = _DOTTED.match(text, start)
    return named.end() - named[0].endswith("(") if named else start + 1


def _window(before: str, fault: str, after: str, width: int) -> tuple[str, int, int]:
    """Cut a line so that the fault's beginning is seen: the text, the mark's offset and its length."""
    if columns(before + fault + after) <= width:
        return before + fault + after, columns(before), columns(fault)
    if columns(before) > _BEFORE:
        before = _CUT + _last(before, _BEFORE)
    kept = _first(fault + after, width - columns(before) - 1)
    ending = _CUT if len(kept) < len(fault + after) else ""
    return before + kept + ending, columns(before), min(columns(fault), columns(kept))


def _first(text: str, width: int) -> str:
    while columns(text) > width:
        text = text[: min(len(text) - 1, width)]
    return text


def _last(text: str, width: int) -> str:
    while columns(text) > width:
        text = text[max(1, len(text) - width) :]
    return text


def shown(text: str) -> str:
    """Return text as a terminal may have it: tabs as spaces, whatever steers a terminal as a mark."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(text.replace("\t", " " * _TAB)))


def _visible(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        yield "\N{REPLACEMENT CHARACTER}" if category in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character


def columns(text: str) -> int:
    """How many columns a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
