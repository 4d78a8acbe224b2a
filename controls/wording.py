"""Which words a claim may use: numbers come from facts, and strong words need a stated proof.

The rules of conviction 1 of the design, for whoever writes the catalogue and for the claims compiler:
a number that somebody typed and an "all" that nobody counted are errors, not style.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Final

from controls.errors import CatalogueError

STRONG_WORDS: Final = (
    "all",
    "every",
    "only",
    "never",
    "always",
    "none",
    "nothing",
    "nowhere",
    "cannot",
    "impossible",
    "unreachable",
    "by construction",
    "read-only",
    "guaranteed",
    "TLS 1.3",
)
"""Words that leave no exception; each needs an equation over the facts of a satisfied verdict."""

_STRONG: Final = re.compile(
    r"(?<![\w-])(" + "|".join(re.escape(word) for word in STRONG_WORDS) + r")(?![\w-])", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"(?<![\w.-])\d[\d.,]*(?![\w-])")
_EQUATION: Final = re.compile(r'([a-z][a-z0-9_]*) = ([a-z][a-z0-9_]*|0|[1-9][0-9]*|"[^"]+")')

Fact = int | str


def strong_words(text: str) -> tuple[str, ...]:
    """The strong words of a text in their catalogue spelling, sorted, each once."""
    spelled = {word.lower(): word for word in STRONG_WORDS}
    return tuple(sorted({spelled[found.lower()] for found in _STRONG.findall(text)}))


def typed_numbers(text: str) -> tuple[str, ...]:
    """Numbers that stand in the text itself, outside placeholders, names (``SHA-256``) and strong words."""
    bare = _STRONG.sub("", re.sub(r"\{[^{}]*\}", "", text))
    return tuple(_NUMBER.findall(bare))


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the facts that a text needs, in order.

    Raises:
        CatalogueError: a placeholder is not a plain name.
    """
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise CatalogueError(f"placeholders of {text!r} do not parse: {error}") from error
    for name in fields:
        if not name.isidentifier():
            raise CatalogueError(f"placeholder {{{name}}} is not the plain name of a fact")
    return tuple(fields)


def check_equation(equation: str) -> None:
    """Refuse a proof that is not ``fact = fact``, ``fact = number`` or ``fact = "text"``."""
    if not _EQUATION.fullmatch(equation):
        raise CatalogueError(
            f'proof {equation!r} is not of the form `fact = fact`, `fact = number` or `fact = "text"`'
        )


def equation_facts(equation: str) -> tuple[str, ...]:
    """Names of the facts on both sides."""
    left, _, right = equation.partition(" = ")
    return (left, right) if right.isidentifier() else (left,)


def holds(equation: str, facts: Mapping[str, Fact]) -> bool:
    """Whether an equation is true of the facts; nought of nought proves nothing.

    Raises:
        KeyError: naming a fact that is not there.
    """
    left, _, right = equation.partition(" = ")
    if right.isdecimal():
        return facts[left] == int(right)
    if right.startswith('"'):
        return facts[left] == right.strip('"')
    return facts[left] == facts[right] != 0
