"""Names that PostgreSQL chooses for constraints, indexes and sequences.

`t_pkey`, `t_a_b_key`, `t_a_fkey`, `t_a_check`, `t_a_idx`, `t_a_seq`; cut to 63 bytes and numbered
when taken (`makeObjectName` and `ChooseRelationName` in PostgreSQL's indexcmds.c).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.copying import replace
from lint.history.lexical import MAX_IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection

    from lint.catalogue import Constraint, ForeignKey, Key, Table

_LABELS = {"primary": "pkey", "unique": "key", "index": "idx"}
_CALL = re.compile(r'\(*\s*(?:"?[\w$]+"?\.)?"?([A-Za-z_][\w$]*)"?\s*\(')


def object_name(table: str, column: str, label: str) -> str:
    """Join table, column and label by `_`, the longer of the first two cut to fit."""
    plain = f"{table}_{column}_{label}" if column else f"{table}_{label}"
    if len(plain) <= MAX_IDENTIFIER_BYTES and plain.isascii():
        return plain
    first, second = table.encode(), column.encode()
    room = MAX_IDENTIFIER_BYTES - len(label) - 1 - (1 if column else 0)
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = [first.decode("utf-8", "ignore"), second.decode("utf-8", "ignore"), label]
    return "_".join(part for part in parts if part)


def chosen(table: str, column: str, label: str, taken: Collection[str]) -> str:
    """Return the first free name, numbered from 1 when the plain one is taken."""
    name, number = object_name(table, column, label), 0
    while name in taken:
        number += 1
        name = object_name(table, column, f"{label}{number}")
    return name


def names_of(table: Table) -> set[str]:
    """Return the names of a table's keys, foreign keys and constraints."""
    return {item.name for group in (table.keys, table.foreign_keys, table.constraints) for item in group}


def named_key(key: Key, table: Table, *, is_constraint: bool) -> Key:
    """Return a key with the name PostgreSQL gives it, unless it has one."""
    return key if key.name else replace(key, name=key_name(key, table, is_constraint=is_constraint))


def key_name(key: Key, table: Table, *, is_constraint: bool) -> str:
    """Return the name of a key, its own or the one PostgreSQL gives it."""
    if key.name:
        return key.name
    column = "" if key.kind == "primary" else "_".join(_part_names(key))
    label = _LABELS[key.kind] if is_constraint else "idx"
    return chosen(table.name, column[:MAX_IDENTIFIER_BYTES], label, names_of(table))


def _part_names(key: Key) -> list[str]:
    """Return what each part of a key lends to the name of its index."""
    found: list[str] = []
    for part in key.parts or key.columns:
        name = part
        if part not in key.columns:
            match = _CALL.match(part)
            name = match[1].lower() if match else "expr"
        number, plain = 0, name
        while name in found:
            number += 1
            name = f"{plain}{number}"
        found.append(name)
    return found


def foreign_key_name(key: ForeignKey, table: Table) -> str:
    """Return the name of a foreign key, its own or the one PostgreSQL gives it."""
    return key.name or chosen(table.name, "_".join(key.columns), "fkey", names_of(table))


def named_constraint(constraint: Constraint, table: Table) -> Constraint:
    """Return a check or exclusion with its columns, and its name unless it has one."""
    columns = constraint.columns or columns_named(constraint.definition, table)
    if constraint.name:
        return replace(constraint, columns=columns)
    if constraint.kind == "exclusion":
        column, label = "_".join(columns), "excl"
    else:
        column, label = columns[0] if len(columns) == 1 else "", "check"
    return replace(constraint, columns=columns, name=chosen(table.name, column, label, names_of(table)))


_IDENTIFIERS = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")+)\"|([A-Za-z_][\w$]*)")


def identifiers_in(text: str) -> set[str]:
    """Return the identifiers of an expression, folded, string literals left out."""
    found = set()
    for quoted, plain in _IDENTIFIERS.findall(text):
        if quoted:
            found.add(quoted.replace('""', '"'))
        elif plain:
            found.add(plain.lower())
    return found


def columns_named(text: str, table: Table) -> tuple[str, ...]:
    """Return the columns of a table that an expression names, in the table's order."""
    present = identifiers_in(text)
    return tuple(column.name for column in table.columns if column.name in present)
