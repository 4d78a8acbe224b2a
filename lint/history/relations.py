"""Views, sequences, types, schemas, publications and comments, read from tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import DataType
from lint.history import facts
from lint.history.lexical import literal
from lint.history.queries import read_query
from lint.history.sql import Cursor
from lint.history.types import read_type

if TYPE_CHECKING:
    from lint.history.facts import Fact, Name

_FALSE = frozenset({"false", "off", "0", "no"})


def create_view(cursor: Cursor) -> list[Fact]:
    """Read CREATE VIEW with the cursor behind CREATE [OR REPLACE]."""
    temporary = cursor.eat("TEMP") or cursor.eat("TEMPORARY")
    cursor.eat("RECURSIVE")
    materialized = cursor.eat("MATERIALIZED")
    cursor.expect("VIEW")
    if_not_exists = cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    columns: tuple[str, ...] = ()
    if cursor.word() == "(":
        columns = tuple(one.identifier() for one in cursor.elements())
    options: dict[str, str] = {}
    while not cursor.done and cursor.word() != "AS":
        if cursor.eat("WITH") and cursor.word() == "(":
            options = view_options(cursor)
        else:
            cursor.at += 1
    cursor.expect("AS")
    body, check = _body(cursor)
    query = read_query(body)
    return [
        facts.CreateView(
            name,
            query.text,
            materialized,
            _is_on(options, "security_invoker"),
            query,
            columns,
            _is_on(options, "security_barrier"),
            check or options.get("check_option"),
            if_not_exists,
            temporary or name[0] == "pg_temp",
        )
    ]


def _body(cursor: Cursor) -> tuple[Cursor, str | None]:
    """Read the query to its end; returns it without WITH … CHECK OPTION, and which option that is."""
    words = cursor.words[max(cursor.at, cursor.end - 4) : cursor.end]
    kind, cut = None, 0
    if words[-2:] == ["CHECK", "OPTION"]:
        is_named = words[-3] in {"LOCAL", "CASCADED"}
        kind, cut = (words[-3].lower(), 4) if is_named else ("cascaded", 3)
    elif words[-3:] == ["WITH", "NO", "DATA"]:
        cut = 3
    elif words[-2:] == ["WITH", "DATA"]:
        cut = 2
    return cursor.window(cursor.at, cursor.end - cut), kind


def view_options(cursor: Cursor) -> dict[str, str]:
    """Read `(name [= value], …)` of WITH, SET or RESET."""
    found = {}
    for option in cursor.elements():
        name = option.name()[-1]
        found[name] = literal(option.texts[option.end - 1]).lower() if option.eat("=") else "true"
    return found


def _is_on(options: dict[str, str], name: str) -> bool:
    return options.get(name, "false") not in _FALSE


def alter_view(cursor: Cursor) -> list[Fact]:
    """Read ALTER [MATERIALIZED] VIEW with the cursor behind VIEW."""
    cursor.eat("IF", "EXISTS")
    name = cursor.name()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenameTable(name, cursor.identifier())]
    if cursor.eat("OWNER", "TO"):
        return [facts.SetOwner(name, cursor.identifier())]
    if cursor.eat("SET", "SCHEMA"):
        return [facts.SetSchema(name, cursor.identifier())]
    if cursor.eat("RENAME"):
        cursor.eat("COLUMN")
        column = cursor.identifier()
        cursor.expect("TO")
        return [facts.RenameColumn(name, column, cursor.identifier())]
    reset = cursor.eat("RESET")
    if (reset or cursor.eat("SET")) and cursor.word() == "(":
        return [_options_changed(name, view_options(cursor), reset=reset)]
    return []


def _options_changed(name: Name, options: dict[str, str], *, reset: bool) -> Fact:
    if reset:
        options = dict.fromkeys(options, "false")
    check = options.get("check_option")
    return facts.AlterView(
        name,
        _is_on(options, "security_invoker") if "security_invoker" in options else None,
        _is_on(options, "security_barrier") if "security_barrier" in options else None,
        "" if reset and check else check,
    )


def create_sequence(cursor: Cursor) -> list[Fact]:
    """Read CREATE SEQUENCE with the cursor behind CREATE; temporary ones are left out."""
    temporary = cursor.eat("TEMP") or cursor.eat("TEMPORARY")
    cursor.eat("UNLOGGED")
    cursor.expect("SEQUENCE")
    cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    return [] if temporary else [facts.CreateSequence(name, _owned_by(cursor))]


def _owned_by(cursor: Cursor) -> Name | None:
    if not cursor.skip_to("OWNED"):
        return None
    cursor.expect("OWNED", "BY")
    name = cursor.name()
    return None if name == ("none",) else name


def alter_sequence(cursor: Cursor) -> list[Fact]:
    """Read ALTER SEQUENCE with the cursor behind it."""
    cursor.eat("IF", "EXISTS")
    name = cursor.name()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenameTable(name, cursor.identifier())]
    if cursor.eat("OWNER", "TO"):
        return [facts.SetOwner(name, cursor.identifier())]
    if cursor.eat("SET", "SCHEMA"):
        return [facts.SetSchema(name, cursor.identifier())]
    return [facts.OwnSequence(name, _owned_by(cursor))] if cursor.has("OWNED", "BY") else []


def create_extension(cursor: Cursor) -> list[Fact]:
    """Read CREATE EXTENSION with the cursor behind it."""
    cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.identifier()
    cursor.eat("WITH")
    return [facts.CreateExtension(name, cursor.identifier() if cursor.eat("SCHEMA") else None)]


def create_type(cursor: Cursor) -> list[Fact]:
    """Read CREATE TYPE … AS ENUM with the cursor behind TYPE; other kinds hold nothing a rule reads."""
    name = cursor.name()
    if not cursor.eat("AS", "ENUM"):
        return []
    labels = tuple(element.string() for element in cursor.elements())
    return [facts.CreateType(name, DataType("", name[-1], "enum", labels))]


def create_domain(cursor: Cursor) -> list[Fact]:
    """Read CREATE DOMAIN with the cursor behind it."""
    name = cursor.name()
    cursor.eat("AS")
    base = read_type(cursor)
    nullable, checks = True, []
    while not cursor.done:
        if cursor.eat("NOT", "NULL"):
            nullable = False
        elif cursor.eat("CHECK"):
            checks.append(f"CHECK (({cursor.group_text()}))")
        else:
            cursor.at += 1
    return [facts.CreateType(name, DataType("", name[-1], "domain", (), base, nullable, tuple(checks)))]


def alter_type(cursor: Cursor) -> list[Fact]:
    """Read ALTER TYPE or DOMAIN with the cursor behind that word."""
    name = cursor.name()
    if cursor.eat("ADD", "VALUE"):
        cursor.eat("IF", "NOT", "EXISTS")
        label = cursor.string()
        before = cursor.string() if cursor.eat("BEFORE") else None
        after = cursor.string() if cursor.eat("AFTER") else None
        return [facts.AlterType(name, label, before, after)]
    if cursor.eat("RENAME", "VALUE"):
        old = cursor.string()
        cursor.expect("TO")
        return [facts.AlterType(name, renamed=(old, cursor.string()))]
    if cursor.eat("RENAME", "TO"):
        return [facts.AlterType(name, to=cursor.identifier())]
    if cursor.eat("SET", "SCHEMA"):
        return [facts.AlterType(name, schema=cursor.identifier())]
    if cursor.eat("SET", "NOT", "NULL"):
        return [facts.AlterType(name, nullable=False)]
    if cursor.eat("DROP", "NOT", "NULL"):
        return [facts.AlterType(name, nullable=True)]
    if cursor.eat("ADD") and cursor.skip_to("CHECK"):
        cursor.at += 1
        return [facts.AlterType(name, check=f"CHECK (({cursor.group_text()}))")]
    return []


def create_schema(cursor: Cursor) -> list[Fact]:
    """Read CREATE SCHEMA with the cursor behind it; what follows in the same statement is left unread."""
    cursor.eat("IF", "NOT", "EXISTS")
    name = None if cursor.word() == "AUTHORIZATION" else cursor.identifier()
    owner = cursor.identifier() if cursor.eat("AUTHORIZATION") else None
    return [facts.CreateSchema(name or owner or "", owner)]


def alter_schema(cursor: Cursor) -> list[Fact]:
    """Read ALTER SCHEMA with the cursor behind it."""
    name = cursor.identifier()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenameSchema(name, cursor.identifier())]
    cursor.expect("OWNER", "TO")
    return [facts.SetOwnerOf("schema", (name,), cursor.identifier())]


def create_publication(cursor: Cursor) -> list[Fact]:
    """Read CREATE PUBLICATION with the cursor behind it."""
    name = cursor.identifier()
    if not cursor.eat("FOR"):
        return [facts.Publish(name, "create")]
    if cursor.eat("ALL", "TABLES"):
        return [facts.Publish(name, "create", all_tables=True)]
    tables, schemas = _published(cursor)
    return [facts.Publish(name, "create", tables, schemas)]


_PUBLICATION_ACTIONS = {"ADD": "add", "SET": "set", "DROP": "remove"}


def alter_publication(cursor: Cursor) -> list[Fact]:
    """Read ALTER PUBLICATION with the cursor behind it."""
    name = cursor.identifier()
    word = cursor.word()
    if word not in _PUBLICATION_ACTIONS or cursor.word(1) not in {"TABLE", "TABLES"}:
        return []
    cursor.at += 1
    tables, schemas = _published(cursor)
    if word == "ADD":
        return [facts.Publish(name, "add", tables, schemas)]
    return [facts.Publish(name, "set" if word == "SET" else "remove", tables, schemas)]


def _published(cursor: Cursor) -> tuple[tuple[tuple[Name, str | None], ...], tuple[str, ...]]:
    """Read TABLE a (columns) WHERE (…), TABLES IN SCHEMA b."""
    tables: list[tuple[Name, str | None]] = []
    schemas: list[str] = []
    in_schemas = False
    for one in cursor.rest_elements():
        if one.eat("TABLES", "IN", "SCHEMA"):
            in_schemas = True
        elif one.word() == "WITH" or one.eat("TABLE"):
            in_schemas = False
        if in_schemas:
            schemas.append(one.identifier())
            continue
        one.eat("ONLY")
        name = one.name()
        one.eat("*")
        if one.word() == "(":
            one.skip_group()
        tables.append((name, one.group_text() if one.eat("WHERE") else None))
    return tuple(tables), tuple(schemas)


def comment(cursor: Cursor) -> list[Fact]:
    """Read COMMENT ON TABLE with the cursor behind COMMENT."""
    if not cursor.eat("ON", "TABLE"):
        return []
    name = cursor.name()
    cursor.expect("IS")
    return [facts.CommentOn(name, None if cursor.eat("NULL") else cursor.string())]
