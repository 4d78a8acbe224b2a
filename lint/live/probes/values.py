"""A value for one column: its type's plainest, inside what constraints wish, different each time."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lint.live.probes.solve import Wish, first_choice, moment_for, number_for, text_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.live.probes.structure import Column

_SIZE: Final = re.compile(r"\((\d+)(?:,(\d+))?\)")
_WIDEST: Final = {"int2": 32_000, "int4": 2_000_000_000, "int8": 9_000_000_000_000}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "citext", "name", "char"})
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "oid", "numeric", "float4", "float8", "money"})
_MOMENTS: Final = frozenset({"date", "timestamp", "timestamptz"})
_RANGES: Final = frozenset({"daterange", "tsrange", "tstzrange"})
_FIXED: Final[dict[str, str]] = {
    "time": "12:00",
    "timetz": "12:00+00",
    "interval": "1 hour",
    "xml": "<a/>",
    "point": "(0,0)",
    "ltree": "a",
    "hstore": "a=>1",
    "tsvector": "probe",
    "tsquery": "probe",
    "macaddr": "02:00:00:00:00:01",
    "cidr": "192.0.2.0/24",
    "regclass": "pg_class",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes the values of one synthetic row: a mark that finds it again, and its number."""

    mark: str
    number: int

    @property
    def text(self) -> str:
        """A text that no other row has and that says whose it is."""
        return f"{self.mark}{self.number}"

    @property
    def moment(self) -> datetime:
        """Now, some minutes apart for each row."""
        now = datetime.now(UTC).replace(microsecond=0)
        return now - timedelta(minutes=self.number % 50)


def value_for(column: Column, wish: Wish, recipe: Recipe) -> str | None:
    """A value of the column's type as text; None where no value is known or NULL is wished for."""
    if wish.null:
        return None
    chosen = first_choice(wish, recipe.number if column.base == "uuid" else 0)
    if chosen is not None:
        return chosen
    if column.labels:
        return next((label for label in column.labels if label not in wish.refused), None)
    maker = next((make for bases, make in _MAKERS if column.base in bases), None)
    if maker is not None:
        return maker(column, wish, recipe)
    return _other(column, recipe)


def _uuid(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column, wish, recipe
    return str(uuid.uuid4())


def _text(column: Column, wish: Wish, recipe: Recipe) -> str:
    size = _SIZE.search(column.formatted)
    text = text_for(wish, recipe.text)
    if column.base == "char":
        return text[-1:]
    return text[-int(size[1]) :] if size and column.base in {"varchar", "bpchar"} else text


def _number(column: Column, wish: Wish, recipe: Recipe) -> str:
    size = _SIZE.search(column.formatted)
    limit = _WIDEST.get(column.base, 1_000_000)
    if size and column.base == "numeric":
        limit = 10 ** max(0, int(size[1]) - int(size[2] or 0))
    if column.base.startswith("int") and not wish.low and not wish.high:
        return str(limit // 2 + recipe.number)
    return number_for(wish, recipe.number % limit if limit > 1 else 0)


def _moment(column: Column, wish: Wish, recipe: Recipe) -> str:
    found = moment_for(wish, recipe.moment + timedelta(days=2 if wish.after else 0))
    return found.date().isoformat() if column.base == "date" else found.isoformat()


def _range(column: Column, wish: Wish, recipe: Recipe) -> str:
    del wish
    start = datetime(2100, 1, 1, tzinfo=UTC) + timedelta(days=2 * recipe.number)
    end = start + timedelta(days=1)
    if column.base == "daterange":
        return f"[{start.date()},{end.date()})"
    zone = "" if column.base == "tsrange" else "+00"
    return f"[{start:%Y-%m-%d %H:%M:%S}{zone},{end:%Y-%m-%d %H:%M:%S}{zone})"


def _count_range(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column, wish
    return f"[{1_000_000 + 2 * recipe.number},{1_000_001 + 2 * recipe.number})"


def _bytes(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column
    text = text_for(wish, recipe.text)
    return "\\x" + text.encode().hex()


def _json(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column, wish
    return f'{{"probe": "{recipe.text}"}}'


def _boolean(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column, wish, recipe
    return "false"


def _address(column: Column, wish: Wish, recipe: Recipe) -> str:
    del column, wish
    return f"198.51.{recipe.number // 250 % 250}.{recipe.number % 250 + 1}"


def _bits(column: Column, wish: Wish, recipe: Recipe) -> str:
    del wish, recipe
    size = _SIZE.search(column.formatted)
    return "0" * int(size[1] if size else 1)


_MAKERS: Final[tuple[tuple[frozenset[str], Callable[[Column, Wish, Recipe], str]], ...]] = (
    (frozenset({"uuid"}), _uuid),
    (_TEXTS, _text),
    (_NUMBERS, _number),
    (_MOMENTS, _moment),
    (_RANGES, _range),
    (frozenset({"int4range", "int8range", "numrange"}), _count_range),
    (frozenset({"bytea"}), _bytes),
    (frozenset({"json", "jsonb"}), _json),
    (frozenset({"bool"}), _boolean),
    (frozenset({"inet"}), _address),
    (frozenset({"bit", "varbit"}), _bits),
)


def _other(column: Column, recipe: Recipe) -> str | None:
    if column.category == "A" or column.kind == "m":
        return "{}"
    if column.base == "vector":
        size = _SIZE.search(column.formatted)
        return str([recipe.number % 7] * int(size[1] if size else 3)).replace(" ", "")
    return _FIXED.get(column.base)


def tenant_ids(columns: list[Column], token: str) -> tuple[str, str]:
    """Two tenants that nobody has, in the type that most restricts what an id may look like."""
    bases = {column.base for column in columns}
    numbers = [base for base in ("int2", "int4", "int8") if base in bases]
    if "uuid" in bases:
        return str(uuid.uuid4()), str(uuid.uuid4())
    if numbers:
        start = _WIDEST[numbers[0]] - 10
        return str(start), str(start + 1)
    labels = next((column.labels for column in columns if len(column.labels) > 1), None)
    if labels:
        return labels[0], labels[1]
    if bases & {"numeric", "float8", "oid"}:
        return "900001", "900002"
    sizes = [int(found[1]) for column in columns if (found := _SIZE.search(column.formatted))]
    width = min(sizes, default=32)
    return f"tenant-{token}-a"[-width:], f"tenant-{token}-b"[-width:]
