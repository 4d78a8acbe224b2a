"""Names of data types as PostgreSQL's `format_type` writes them.

Functions are told apart by them and columns compared by them, so that `int4`, `INTEGER` and `int`
have to be one (PostgreSQL manual, chapter 8, table 8.1). Types made by users are left as written,
with their schema if one was: the replay knows which schemas there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import written_name

if TYPE_CHECKING:
    from lint.history.sql import Cursor

_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "bool": "boolean",
    "varchar": "character varying",
    "char": "character",
    "nchar": "character",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "varbit": "bit varying",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
}
SERIALS = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}
_INTERVAL_FIELDS = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"})
_SINGLE_PRECISION_BITS = 24
#: Names of types of pg_catalog that need no other spelling.
BUILT_IN = frozenset(
    {*_ALIASES.values(), *SERIALS, "smallint", "bigint", "text", "uuid", "json", "jsonb", "xml", "bytea"}
    | {"date", "interval", "money", "inet", "cidr", "macaddr", "macaddr8", "bit", "point", "line", "lseg"}
    | {
        "bpchar",
        "box",
        "path",
        "polygon",
        "circle",
        "tsvector",
        "tsquery",
        "oid",
        "name",
        "regclass",
        "regproc",
    }
    | {"regtype", "regrole", "regnamespace", "regprocedure", "void", "record", "trigger", "event_trigger"}
    | {"anyelement", "anyarray", "anynonarray", "anyenum", "anyrange", "anycompatible", "internal", "cstring"}
    | {"int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "pg_lsn", "jsonpath"}
    | {"xid", "cid", "tid", "xid8", "refcursor", "language_handler", "fdw_handler", "unknown", '"char"'}
)
#: Types that are one word with nothing behind it, by that word: most columns have one of them.
_PLAIN = {
    word.upper(): _ALIASES.get(word, word)
    for word in {"int", "int4", "int2", "int8", "integer", "smallint", "bigint", "bool", "boolean", "date"}
    | {"varchar", "float4", "float8", "timestamptz", "timetz", "text", "uuid", "json", "jsonb", "bytea"}
    | {"numeric"}
}
#: What makes more of it: a length, a schema, an array.
_GOES_ON = frozenset({"(", ".", "[", "ARRAY"})


def read_type(cursor: Cursor, *, modifiers: bool = True) -> str:
    """Read a type name; `modifiers` keeps a length or precision, as columns have and arguments not."""
    plain = _PLAIN.get(cursor.word())
    if plain is not None and cursor.word(1) not in _GOES_ON:
        cursor.at += 1
        return plain
    quoted = cursor.text[-1] == '"'
    name = cursor.name()
    if len(name) > 1 and name[-2] == "pg_catalog":
        name = name[-1:]
    base = _named(cursor, name, quoted=quoted)
    modifier = _modifier(cursor)
    base, modifier = _lengths(base, modifier)
    if base == "bpchar" and not modifiers:
        base = "character"
    if base in {"timestamp without time zone", "time without time zone"}:
        base = _zoned(cursor, base)
    return _assembled(base, modifier if modifiers else "") + _dimensions(cursor)


def _named(cursor: Cursor, name: tuple[str, ...], *, quoted: bool) -> str:
    if len(name) > 1 or quoted:
        written = ".".join(written_name(part) for part in name)
        return '"char"' if written == "char" else written
    word = name[0]
    if word == "national":
        word = cursor.identifier()
    if word == "double":
        cursor.eat("PRECISION")
        return "double precision"
    varying = word in {"character", "char", "bit"} and cursor.eat("VARYING")
    if varying:
        return "bit varying" if word == "bit" else "character varying"
    if word == "interval":
        while cursor.word() in _INTERVAL_FIELDS or cursor.word() == "TO":
            cursor.at += 1
    return _ALIASES.get(word, word if word in BUILT_IN else written_name(word))


def _modifier(cursor: Cursor) -> str:
    if cursor.word() != "(":
        return ""
    return "(" + "".join(cursor.group_text().split()) + ")"


def _lengths(base: str, modifier: str) -> tuple[str, str]:
    """Apply what a length means: `float(10)` is another type, `char` is one character."""
    if base == "float":
        bits = modifier.strip("()")
        single = bits.isdecimal() and int(bits) <= _SINGLE_PRECISION_BITS
        return ("real" if single else "double precision"), ""
    if base == "bpchar" and modifier:
        return "character", modifier
    if base in {"character", "bit"} and not modifier:
        return base, "(1)"
    if base == "numeric" and modifier and "," not in modifier:
        return base, modifier[:-1] + ",0)"
    return base, modifier


def _zoned(cursor: Cursor, base: str) -> str:
    if cursor.eat("WITH", "TIME", "ZONE"):
        return base.replace("without", "with")
    cursor.eat("WITHOUT", "TIME", "ZONE")
    return base


def _assembled(base: str, modifier: str) -> str:
    first, space, rest = base.partition(" ")
    if modifier and first in {"timestamp", "time"}:
        return f"{first}{modifier}{space}{rest}"
    return base + modifier


def _dimensions(cursor: Cursor) -> str:
    """Read `[]`, `[3]` and ARRAY; PostgreSQL keeps no count of dimensions."""
    found = cursor.eat("ARRAY")
    while cursor.word() == "[":
        cursor.skip_group()
        found = True
    return "[]" if found else ""
