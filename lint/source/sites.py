"""What a source file does that bears on tenancy, whatever language it is written in.

An extractor for each language fills these; the rules in `lint.rules.source` read only these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lint.catalogue import Place

ArgumentKind = Literal["literal", "member", "name", "function", "other"]

#: Stands in a text for an interpolated part; a valid identifier, so that the SQL still parses.
HOLE = "__not_known__"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: `member` is a dotted constant, `function` an anonymous function."""

    kind: ArgumentKind
    text: str
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call: the callee with import aliases resolved, as written, and the function around it."""

    callee: str
    written: str
    arguments: tuple[Argument, ...]
    function: str
    place: Place

    @property
    def name(self) -> str:
        """The last part of the callee."""
        return self.callee.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Reference:
    """A name used as a value instead of being called."""

    target: str
    function: str
    place: Place


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is no documentation: its value, and the calls it is an argument of."""

    value: str
    calls: tuple[str, ...]
    function: str
    place: Place


@dataclass(frozen=True, slots=True)
class Source:
    """One source file, as far as the rules read it."""

    path: str
    calls: tuple[Call, ...]
    references: tuple[Reference, ...]
    texts: tuple[Text, ...]
    imports: Mapping[str, str]
