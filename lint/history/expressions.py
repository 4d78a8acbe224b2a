"""Values of PL/pgSQL expressions, as far as literals, known variables and the catalogue decide them.

None means "known only when it runs", and NULL that there is no value. What is put together of known and
unknown parts can be a text with holes (`lint.history.values.HOLE`). Booleans have three values for the
same reason; a comparison with NULL is taken for false, which is what WHERE makes of it. PostgreSQL
manual, chapters 9 and 43.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, TypeAlias

from lint.history.lexical import fold, is_number, is_string, literal
from lint.history.sql import split_commas
from lint.history.values import HOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Null:
    """The type of NULL: a value that is known to be none."""

    def __repr__(self) -> str:
        return "NULL"


NULL = Null()
Value: TypeAlias = "str | bool | tuple[Value, ...] | dict[str, Value] | Null | None"

_FORMAT = re.compile(r"%(?:(\d+)\$)?(?:-?\d+)?([sIL%])")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_OPENING = frozenset({"(", "["})
_CLOSING = frozenset({")", "]"})
_MAX_DEPTH = 60
_LONGEST_PATTERN = 200
_CONSTANTS: dict[str, Value] = {"TRUE": True, "FALSE": False, "NULL": NULL}
#: Who runs the migrations: the words stand for a role where a statement names one.
_RUNNING = frozenset({"CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"})
#: What a regular expression may hold to be tried here: nothing that is repeated may hold a repetition.
_PLAIN_PATTERN = re.compile(r"(?:[^\\()*+{}]|\\.|\((?:[^\\()*+{}]|\\.)*\)(?![*+{])|(?<=[^)])[*+])*\Z")


def quote_ident(name: str) -> str:
    """Return a name as `quote_ident` writes it (always quoting is equal in meaning)."""
    return name if _PLAIN_NAME.match(name) else '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return a string literal as `quote_literal` writes it."""
    return "'" + text.replace("'", "''") + "'"


class Expressions:
    """Evaluates token runs; `lookup` knows variables and columns, `select` the rows of a query."""

    def __init__(
        self,
        lookup: Callable[[tuple[str, ...]], Value],
        select: Callable[[list[str]], list[dict[str, Value]] | None],
        *,
        absent: bool | None = None,
        holes: bool = False,
    ) -> None:
        self.lookup = lookup
        self.select = select
        #: True where a text of known and unknown parts is wanted, with holes for the unknown ones.
        self.holes = holes
        #: What EXISTS is when no row is known: None where a history may have begun before.
        self.absent = absent
        self._depth = 0

    def value(self, tokens: list[str]) -> Value:
        """Return the value of an expression; raise ValueError when it is nested too deeply."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("an expression nested too deeply")
        found = self._any(tokens) if tokens else None
        self._depth -= 1
        return found

    def truth(self, tokens: list[str]) -> bool | None:
        """Return what a condition is, None when it cannot be told."""
        found = self.value(tokens)
        return found if isinstance(found, bool) else None

    def _any(self, tokens: list[str]) -> Value:
        if len(tokens) == 1:
            return self._word(tokens[0])
        if is_string(tokens[0]) and all(map(is_string, tokens)):
            return _continued(tokens)
        words = [*map(str.upper, tokens)]
        for word, decisive in (("OR", True), ("AND", False)):
            parts = _split(tokens, words, word)
            if len(parts) > 1:
                return _combined(map(self.truth, parts), decisive=decisive)
        if words[0] == "NOT":
            inner = self.truth(tokens[1:])
            return None if inner is None else not inner
        compared = self._compared(tokens, words)
        if compared is not _NOT_COMPARED:
            return compared if isinstance(compared, bool) else None
        parts = _split(tokens, words, "||")
        if len(parts) > 1:
            return self._joined([self.value(part) for part in parts])
        plain, *casts = _split(tokens, words, "::")
        whole = self._single(plain)
        if casts and isinstance(whole, str) and casts[0][-1:] and casts[0][-1].upper() == "REGCLASS":
            return _as_relation(whole)
        return whole

    def _joined(self, values: list[Value]) -> Value:
        """Apply `||` to texts, or to arrays."""
        if any(isinstance(value, tuple) for value in values):
            return _known(
                [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
            )
        values = [HOLE if value is None and self.holes else value for value in values]
        texts = [value for value in values if isinstance(value, str)]
        return "".join(texts) if len(texts) == len(values) else None

    def _compared(self, tokens: list[str], words: list[str]) -> Value:
        """Return what a comparison is, `_NOT_COMPARED` when the tokens are none."""
        if "IS" not in words and _COMPARISONS.keys().isdisjoint(words):
            return _NOT_COMPARED
        depth = 0
        for at, word in enumerate(words):
            depth += (word in _OPENING) - (word in _CLOSING)
            compare = _COMPARISONS.get(word)
            if depth or at == 0 or (compare is None and word != "IS"):
                continue
            negated = words[at - 1] == "NOT"
            left = self.value(tokens[: at - 1 if negated else at])
            if compare is None:
                return self._is(left, tokens[at + 1 :])
            found = self._compare(compare, left, tokens[at + 1 :])
            return found if found is None or not negated else not found
        return _NOT_COMPARED

    def _compare(
        self, compare: Callable[[Value, Value], bool | None], left: Value, tokens: list[str]
    ) -> bool | None:
        """Compare with a value, with one of a list, or with every item of `ALL (array)`."""
        if len(tokens) > 1 and tokens[0].upper() == "ALL":
            items = self.value(tokens[2:-1])
            if not isinstance(items, tuple):
                return None
            return _combined([compare(left, item) for item in items], decisive=False)
        return compare(left, self._right(tokens))

    def _is(self, left: Value, tokens: list[str]) -> bool | None:
        """Return what `IS [NOT] NULL`, TRUE, FALSE and DISTINCT FROM say of a value."""
        words = [*map(str.upper, tokens)]
        negated = words[:1] == ["NOT"]
        if negated:
            tokens, words = tokens[1:], words[1:]
        found: bool | None = None
        if words == ["NULL"]:
            found = None if left is None else left is NULL
        elif words in (["TRUE"], ["FALSE"]) and isinstance(left, (bool, Null)):
            found = left is (words == ["TRUE"])
        elif words[:2] == ["DISTINCT", "FROM"]:
            right = self.value(tokens[2:])
            if left is NULL or right is NULL:
                found = None if left is None or right is None else left is not right
            else:
                found = _unequal(left, right)
        return found if found is None or not negated else not found

    def _right(self, tokens: list[str]) -> Value:
        """Return the right side of a comparison: a value, a list in parentheses, or ANY (array)."""
        if len(tokens) > 1 and tokens[0].upper() in {"ANY", "SOME"}:
            inner = self.value(tokens[2:-1])
            return inner if isinstance(inner, tuple) else None
        if tokens and tokens[0] == "(" and not _is_select(tokens[1:]):
            items = [self.value(run) for run in split_commas(tokens[1:-1])]
            return items[0] if len(items) == 1 else tuple(items)
        return self.value(tokens)

    def _single(self, tokens: list[str]) -> Value:
        if not tokens:
            return None
        first = tokens[0]
        if first == "(":
            return self._parenthesised(tokens)
        if len(tokens) == 1:
            return self._word(first)
        word = first.upper()
        if tokens[1] == ".":
            return (
                self.lookup(tuple(fold(token) for token in tokens[::2]))
                if _is_dotted(tokens)
                else self._call(tokens)
            )
        if word == "ARRAY":
            return self._array(tokens)
        if word == "EXISTS":
            rows = self.select(tokens[2:-1])
            return None if rows is None else bool(rows) or self.absent
        return self._call(tokens)

    def _word(self, token: str) -> Value:
        if is_string(token):
            return literal(token)
        if is_number(token):
            return token
        constant = _CONSTANTS.get(token.upper())
        if constant is not None:
            return constant
        found = self.lookup((fold(token),))
        return token.lower() if found is None and token.upper() in _RUNNING else found

    def _parenthesised(self, tokens: list[str]) -> Value:
        inner = tokens[1:-1]
        if not _is_select(inner):
            return self.value(inner)
        rows = self.select(inner)
        return next(iter(rows[0].values()), None) if rows and len(rows) == 1 else None

    def _array(self, tokens: list[str]) -> Value:
        if tokens[1] == "(":
            rows = self.select(tokens[2:-1])
            return None if rows is None else _known([next(iter(row.values()), None) for row in rows])
        items = [self._element(run) for run in split_commas(tokens[2:-1])]
        return _known(items)

    def _element(self, tokens: list[str]) -> Value:
        """Return an element of ARRAY[…], which may be an array without the word."""
        if tokens[0] == "[":
            return _known([self._element(run) for run in split_commas(tokens[1:-1])])
        return self.value(tokens)

    def _call(self, tokens: list[str]) -> Value:
        opening = next((at for at, t in enumerate(tokens) if t in _OPENING), None)
        if opening is None or tokens[-1] not in _CLOSING:
            return None
        arguments = [self.value(run) for run in split_commas(tokens[opening + 1 : -1])]
        if tokens[opening] == "[":
            return _subscript(self._single(tokens[:opening]), arguments)
        function = tokens[opening - 1].upper()
        if self.holes and function in _OF_PARTS:
            arguments = [HOLE if one is None else one for one in arguments]
        return called(function, arguments)


_NOT_COMPARED: Value = {"not": "compared"}


def _combined(truths: Iterable[bool | None], *, decisive: bool) -> bool | None:
    """Combine with OR (decided by one True) or AND (decided by one False), asked no further than needed."""
    unknown = False
    for truth in truths:
        if truth is decisive:
            return decisive
        unknown = unknown or truth is None
    return None if unknown else not decisive


def _continued(tokens: list[str]) -> str:
    """Return the one constant that literals over several lines are; the first says how all are escaped."""
    prefix = tokens[0].partition("'")[0]
    return "".join(literal(token if token is tokens[0] else prefix + token) for token in tokens)


def _known(items: Sequence[Value]) -> Value:
    return None if any(item is None for item in items) else tuple(items)


def _subscript(array: Value, index: list[Value]) -> Value:
    number = index[0] if index else None
    if not isinstance(array, tuple) or not isinstance(number, str) or not number.isdecimal():
        return None
    return array[int(number) - 1] if 0 < int(number) <= len(array) else None


def _is_select(tokens: list[str]) -> bool:
    return bool(tokens) and tokens[0].upper() in {"SELECT", "WITH", "VALUES"}


def _is_dotted(tokens: list[str]) -> bool:
    return len(tokens) % 2 == 1 and set(tokens[1::2]) == {"."}


def _as_relation(name: str) -> str:
    """Return a relation's name as `regclass` shows it."""
    if '"' not in name and HOLE not in name:
        name = name.lower()
    return name.removeprefix("public.").removeprefix('"public".')


def _scalar(value: Value) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and HOLE not in value)


def _equal(left: Value, right: Value) -> bool | None:
    if isinstance(right, tuple):
        return _in(left, right)
    if left is NULL or right is NULL:
        return False
    return left == right if _scalar(left) and _scalar(right) else None


def _unequal(left: Value, right: Value) -> bool | None:
    if left is NULL or right is NULL:
        return False
    return left != right if _scalar(left) and _scalar(right) else None


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[Value, Value], bool | None]:
    """Return a comparison of numbers; texts are ordered by a collation that only the server knows."""

    def compared(left: Value, right: Value) -> bool | None:
        if not isinstance(left, str) or not isinstance(right, str):
            return None
        numbers = is_number(left) and is_number(right) and left.isascii() and right.isascii()
        try:
            return compare(float(left), float(right)) if numbers else None
        except ValueError:
            return None

    return compared


def _in(left: Value, right: Value) -> bool | None:
    items = right if isinstance(right, tuple) else (right,)
    return _combined(
        [_equal(left, item) if not isinstance(item, tuple) else None for item in items], decisive=True
    )


_LIKE = {"%": ".*", "_": "."}


def _like(left: Value, right: Value) -> bool | None:
    if left is NULL:
        return False
    if not isinstance(left, str) or not isinstance(right, str) or HOLE in left + right:
        return None
    pieces = (_LIKE.get(part, re.escape(part.removeprefix("\\"))) for part in re.findall(r"\\.|.", right))
    return re.fullmatch("".join(pieces), left, re.DOTALL) is not None


def _ilike(left: Value, right: Value) -> bool | None:
    if not isinstance(left, str) or not isinstance(right, str):
        return None
    return _like(left.lower(), right.lower())


def _matches(left: Value, right: Value) -> bool | None:
    """Match a regular expression that means the same in Python, and cannot take long."""
    if left is NULL:
        return False
    if not isinstance(left, str) or not isinstance(right, str) or HOLE in left + right:
        return None
    if len(right) > _LONGEST_PATTERN or not _PLAIN_PATTERN.match(right):
        return None
    try:
        return re.search(right, left) is not None
    except re.error:
        return None


def _not(compare: Callable[[Value, Value], bool | None]) -> Callable[[Value, Value], bool | None]:
    def refused(left: Value, right: Value) -> bool | None:
        found = compare(left, right)
        return found if found is None or left is NULL else not found

    return refused


def _lowered(compare: Callable[[Value, Value], bool | None]) -> Callable[[Value, Value], bool | None]:
    def compared(left: Value, right: Value) -> bool | None:
        both = isinstance(left, str) and isinstance(right, str)
        return compare(str(left).lower(), str(right).lower()) if both else compare(left, right)

    return compared


_COMPARISONS: dict[str, Callable[[Value, Value], bool | None]] = {
    "=": _equal,
    "<>": _unequal,
    "!=": _unequal,
    "<": _ordered(operator.lt),
    ">": _ordered(operator.gt),
    "<=": _ordered(operator.le),
    ">=": _ordered(operator.ge),
    "IN": _in,
    "LIKE": _like,
    "ILIKE": _ilike,
    "~~": _like,
    "!~~": _not(_like),
    "~": _matches,
    "~*": _lowered(_matches),
    "!~": _not(_matches),
    "!~*": _not(_lowered(_matches)),
}


def split_words(tokens: list[str], word: str) -> list[list[str]]:
    """Split a token run at a word (in upper case) or a symbol outside of parentheses."""
    return _split(tokens, [*map(str.upper, tokens)], word)


def _split(tokens: list[str], words: list[str], separator: str) -> list[list[str]]:
    if separator not in words:
        return [tokens]
    runs: list[list[str]] = []
    depth = start = 0
    for at, word in enumerate(words):
        if word == separator and depth == 0:
            runs.append(tokens[start:at])
            start = at + 1
        else:
            depth += (word in _OPENING) - (word in _CLOSING)
    return [*runs, tokens[start:]]


# Functions


def called(function: str, arguments: list[Value]) -> Value:
    """Return what a function of PostgreSQL gives for known arguments, None for any other."""
    if function == "COALESCE":
        return next((one for one in arguments if one is not None and one is not NULL), None)
    if function == "CURRENT_DATABASE" and not arguments:
        return "current_database"
    if function == "ARRAY_APPEND" and len(arguments) > 1 and isinstance(arguments[0], tuple):
        return _known([*arguments[0], arguments[1]])
    if function == "CURRENT_SCHEMA":
        return "public"
    texts = [argument for argument in arguments if isinstance(argument, str)]
    if len(texts) != len(arguments) or not texts:
        return None
    if function == "FORMAT":
        return formatted(texts[0], texts[1:])
    apply = _TEXT_FUNCTIONS.get((function, len(texts))) or _TEXT_FUNCTIONS.get((function, 0))
    return apply(*texts) if apply is not None else None


def _split_part(text: str, separator: str, number: str) -> str | None:
    parts = text.split(separator) if separator else [text]
    return parts[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(parts) else None


#: By name and number of arguments, 0 for any number.
_TEXT_FUNCTIONS: dict[tuple[str, int], Callable[..., Value]] = {
    ("QUOTE_IDENT", 1): quote_ident,
    ("QUOTE_LITERAL", 1): quote_literal,
    ("CONCAT", 0): lambda *texts: "".join(texts),
    ("CONCAT_WS", 0): lambda separator, *texts: separator.join(texts),
    ("LOWER", 1): str.lower,
    ("UPPER", 1): str.upper,
    ("TRIM", 1): str.strip,
    ("BTRIM", 1): str.strip,
    ("REPLACE", 3): str.replace,
    ("SPLIT_PART", 3): _split_part,
    ("STRING_TO_ARRAY", 2): lambda text, separator: tuple(text.split(separator)) if separator else (text,),
}
#: Functions whose text is known in part where some of their arguments are not.
_OF_PARTS = frozenset({"FORMAT", "CONCAT", "CONCAT_WS", "QUOTE_IDENT", "QUOTE_LITERAL"})
_QUOTES: dict[str, Callable[[str], str]] = {"I": quote_ident, "L": quote_literal, "s": str}


def formatted(template: str, arguments: list[str]) -> str | None:
    """Apply PostgreSQL's `format`; None when it asks for more arguments than there are."""
    position = end = 0
    pieces: list[str] = []
    for match in _FORMAT.finditer(template):
        pieces.append(template[end : match.start()])
        end = match.end()
        if match[2] == "%":
            pieces.append("%")
            continue
        position = int(match[1]) if match[1] else position + 1
        if not 1 <= position <= len(arguments):
            return None
        pieces.append(_QUOTES[match[2]](arguments[position - 1]))
    return "".join([*pieces, template[end:]])
