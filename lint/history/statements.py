"""Facts of one SQL statement, read by recursive descent over tokens.

Statements that change nothing a rule reads give no fact and cost no more than a look at their
first word. A statement of a kind that matters which does not follow the grammar gives
`NotAnalysed`, never silence. Grammar: PostgreSQL manual, part VI.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from lint.catalogue import Command, Policy
from lint.history import facts, privileges, relations, routines
from lint.history.columns import index_key
from lint.history.lexical import is_string, literal
from lint.history.queries import read_query
from lint.history.sql import Cursor, Statement, split_commas
from lint.history.tables import TABLE_WORDS, alter_table, create_table
from lint.history.work import ACTING_WORDS, acts

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.history.facts import Fact

#: The project's own operations and the policies that each adds.
Operations = Mapping[str, tuple[str, ...]]
NO_OPERATIONS: Operations = MappingProxyType({})

_COMMANDS = frozenset({"all", "select", "insert", "update", "delete"})
_OPENING_CHARACTERS = 60


def statement_facts(statement: Statement, operations: Operations = NO_OPERATIONS) -> list[Fact]:
    """Return what a statement does and changes; `operations` are the project's own that enable RLS."""
    beside = acts(statement)
    changes = _changes(statement, operations)
    return [*beside, *changes] if beside else changes


def _changes(statement: Statement, operations: Operations) -> list[Fact]:
    word = statement.words[0]
    read = _READERS.get(word)
    if read is not None:
        return _read(read, statement)
    if word in _CALLS:
        return _CALLS[word](statement, operations)
    return []


def _read(read: Callable[[Cursor], list[Fact]], statement: Statement) -> list[Fact]:
    cursor = Cursor(statement, 1)
    try:
        return read(cursor)
    except (IndexError, ValueError) as error:
        opening = " ".join(statement.source[:_OPENING_CHARACTERS].split())
        reason = "it ends too early" if isinstance(error, IndexError) else str(error)
        return [facts.NotAnalysed(f"`{opening}…` is not a statement as known here ({reason})")]


def _create(cursor: Cursor) -> list[Fact]:
    replaces = cursor.eat("OR", "REPLACE")
    if cursor.word() == "POLICY":
        no_such = "CREATE OR REPLACE POLICY" if replaces else "CREATE POLICY IF NOT EXISTS"
        if replaces or [cursor.word(ahead) for ahead in (1, 2, 3)] == ["IF", "NOT", "EXISTS"]:
            return [facts.Refused(no_such)]
    ahead = 0
    while cursor.word(ahead) in TABLE_WORDS:
        ahead += 1
    read = _CREATED.get(cursor.word(ahead))
    return read(cursor) if read is not None else []


def _create_policy(cursor: Cursor) -> list[Fact]:
    cursor.expect("POLICY")
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    permissive = cursor.identifier() == "permissive" if cursor.eat("AS") else True
    command = cursor.identifier() if cursor.eat("FOR") else "all"
    if command not in _COMMANDS:
        raise ValueError(f"FOR {command}")
    roles = privileges.grantees(cursor) if cursor.eat("TO") else ("public",)
    using = cursor.group_text() if cursor.eat("USING") else None
    check = cursor.group_text() if cursor.eat("WITH", "CHECK") else None
    _expect_end(cursor)
    policy = Policy(name, permissive, cast("Command", command), roles, using, check)
    return [facts.CreatePolicy(table, policy)]


def _expect_end(cursor: Cursor) -> None:
    if not cursor.done:
        raise ValueError(f"unexpected {cursor.text[:30]}")


def _alter_policy(cursor: Cursor) -> list[Fact]:
    cursor.at += 1
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenamePolicy(table, name, cursor.identifier())]
    roles = privileges.grantees(cursor) if cursor.eat("TO") else None
    using = cursor.group_text() if cursor.eat("USING") else None
    check = cursor.group_text() if cursor.eat("WITH", "CHECK") else None
    _expect_end(cursor)
    return [facts.AlterPolicy(table, name, roles, using, check)]


def _create_index(cursor: Cursor) -> list[Fact]:
    unique = cursor.eat("UNIQUE")
    cursor.expect("INDEX")
    cursor.eat("CONCURRENTLY")
    if_not_exists = cursor.eat("IF", "NOT", "EXISTS")
    name = "" if cursor.word() == "ON" else cursor.name()[-1]
    cursor.expect("ON")
    cursor.eat("ONLY")
    table = cursor.name()
    key = index_key(cursor, name, unique=unique)
    return [facts.AddConstraint(table, (key,), if_not_exists=if_not_exists, is_index=True)]


def _create_schema(cursor: Cursor) -> list[Fact]:
    """Read CREATE SCHEMA and the objects that the same statement makes in it."""
    cursor.at += 1
    found = relations.create_schema(cursor)
    depth, starts = 0, []
    for at in range(cursor.at, cursor.end):
        word = cursor.words[at]
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in {"CREATE", "GRANT"}:
            starts.append(at)
    parts = [cursor.statement.part(start, end) for start, end in pairwise([*starts, cursor.end])]
    changes = [one for part in parts for one in statement_facts(part)]
    schema = found[0]
    if changes and isinstance(schema, facts.CreateSchema):
        found.append(facts.InSchema(schema.name, tuple(changes)))
    return found


def _behind(read: Callable[[Cursor], list[Fact]], words: int = 1) -> Callable[[Cursor], list[Fact]]:
    """Return a reader that starts behind the words that chose it."""

    def stepped(cursor: Cursor) -> list[Fact]:
        cursor.at += words
        return read(cursor)

    return stepped


def _alter(cursor: Cursor) -> list[Fact]:
    word = cursor.word()
    if word in {"FOREIGN", "MATERIALIZED"}:
        cursor.at += 1
        word = cursor.word()
    read = _ALTERED.get(word)
    return read(cursor) if read is not None else []


def _alter_index(cursor: Cursor) -> list[Fact]:
    cursor.eat("IF", "EXISTS")
    name = cursor.name()
    return [facts.RenameIndex(name, cursor.identifier())] if cursor.eat("RENAME", "TO") else []


def _alter_on_table(cursor: Cursor) -> list[Fact]:
    """Read ALTER TRIGGER name ON table RENAME TO."""
    cursor.at += 1
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    return [facts.ChangeTrigger(table, name, to=cursor.identifier())] if cursor.eat("RENAME", "TO") else []


def _alter_type(cursor: Cursor) -> list[Fact]:
    cursor.at += 1
    at = cursor.at
    name = cursor.name()
    if cursor.eat("OWNER", "TO"):
        return [facts.SetOwnerOf("type", name, cursor.identifier())]
    cursor.at = at
    return relations.alter_type(cursor)


def _drop(cursor: Cursor) -> list[Fact]:
    word = cursor.word()
    if word in {"FOREIGN", "MATERIALIZED"}:
        cursor.at += 1
        word = cursor.word()
    if word == "OWNED":
        return privileges.owned(cursor, dropped=True)
    if word in {"POLICY", "TRIGGER", "RULE"}:
        return _drop_on_table(cursor, word)
    if word in {"FUNCTION", "PROCEDURE", "ROUTINE"}:
        cursor.at += 1
        return routines.drop_function(cursor)
    read = _DROPPED.get(word)
    if read is None or (word == "USER" and cursor.word(1) == "MAPPING"):
        return []
    cursor.at += 1
    cursor.eat("CONCURRENTLY")
    cursor.eat("IF", "EXISTS")
    names = cursor.names()
    cascade = cursor.eat("CASCADE")
    return [read(name, cascade) for name in names]


def _drop_on_table(cursor: Cursor, word: str) -> list[Fact]:
    cursor.at += 1
    cursor.eat("IF", "EXISTS")
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    if word == "POLICY":
        return [facts.DropPolicy(table, name)]
    return [facts.DropTrigger(table, name) if word == "TRIGGER" else facts.DropRule(table, name)]


def _set(cursor: Cursor) -> list[Fact]:
    if cursor.eat("SESSION", "AUTHORIZATION"):
        return [_session_role(cursor)]
    if cursor.word() in {"SESSION", "LOCAL"}:
        cursor.at += 1
    if cursor.eat("ROLE"):
        return [_session_role(cursor)]
    if not cursor.eat("SEARCH_PATH"):
        return []
    cursor.at += 1
    schemas = [element.identifier() for element in cursor.rest_elements()]
    return [facts.SetSearchPath(tuple(name for name in schemas if name not in {"", "default"}))]


def _session_role(cursor: Cursor) -> Fact:
    role = cursor.identifier()
    return facts.SetSessionRole(None if role in {"none", "default"} else role)


def _reset(cursor: Cursor) -> list[Fact]:
    what = " ".join(cursor.rest()).lower()
    if what in {"role", "session authorization"}:
        return [facts.SetSessionRole(None)]
    if what in {"search_path", "all"}:
        return [facts.SetSearchPath(("public",))]
    return []


def _do(statement: Statement, operations: Operations) -> list[Fact]:
    """Read DO: its body is the string that does not name the language."""
    texts, words = statement.texts, statement.words
    bodies = (text for at, text in enumerate(texts) if is_string(text) and words[at - 1] != "LANGUAGE")
    body = next((literal(text) for text in bodies), None)
    return [facts.RunBlock(body, partial(statement_facts, operations=operations))]


def _select(statement: Statement, operations: Operations) -> list[Fact]:
    """Read SELECT: INTO makes a table, and a lone function may be one that changes the schema."""
    words = statement.words
    if len(words) > 2 and words[2] in {"(", "."}:
        return _called(Cursor(statement, 1), operations)
    if words[0] == "PERFORM" or "INTO" not in words:
        return []
    return _select_into(Cursor(statement, words.index("INTO") + 1))


def _select_into(cursor: Cursor) -> list[Fact]:
    words = {"TEMP", "TEMPORARY", "UNLOGGED", "TABLE"}
    temporary = cursor.word() in {"TEMP", "TEMPORARY"}
    while cursor.word() in words:
        cursor.at += 1
    try:
        name = cursor.name()
    except IndexError:
        return [facts.NotAnalysed("SELECT INTO without a name")]
    if temporary:
        return []
    return [facts.CreateTable(name, query=read_query(Cursor(cursor.statement)))]


def _call(statement: Statement, operations: Operations) -> list[Fact]:
    return _called(Cursor(statement, 1), operations)


def _called(cursor: Cursor, operations: Operations) -> list[Fact]:
    """Read `f('a', …)` as what the project says it means, or as a call that the replay may follow."""
    try:
        name = cursor.name()
        if cursor.word() != "(":
            return []
        arguments = cursor.elements()
    except IndexError:
        return []
    policies = operations.get(name[-1])
    if policies is not None:
        return [_own_operation(arguments, policies)]
    values = tuple(_literal(argument.rest()) for argument in arguments)
    return [facts.RunFunction(name, values, partial(statement_facts, operations=operations), not cursor.done)]


def _own_operation(arguments: list[Cursor], policies: tuple[str, ...]) -> Fact:
    first = arguments[0].text if arguments else None
    if first is None or not is_string(first):
        return facts.NotAnalysed("row security of a table that is not named by a literal")
    return facts.TenantSecurity(tuple(literal(first).split(".")), policies)


def _literal(tokens: list[str]) -> str | tuple[str, ...] | None:
    """Return a string literal, casts aside, or the strings of ARRAY[…]; None for anything else."""
    if is_string(tokens[0]) and (len(tokens) == 1 or tokens[1] == "::"):
        return literal(tokens[0])
    if tokens[0].upper() == "ARRAY" and len(tokens) > 2:
        items = [_literal(run) for run in split_commas(tokens[2:-1])]
        known = tuple(item for item in items if isinstance(item, str))
        return known if len(known) == len(items) else None
    return None


_CREATED: dict[str, Callable[[Cursor], list[Fact]]] = {
    "POLICY": _create_policy,
    "TABLE": create_table,
    "VIEW": relations.create_view,
    "MATERIALIZED": relations.create_view,
    "RECURSIVE": relations.create_view,
    "FUNCTION": routines.create_function,
    "PROCEDURE": routines.create_function,
    "INDEX": _create_index,
    "UNIQUE": _create_index,
    "ROLE": privileges.create_role,
    "USER": privileges.create_role,
    "GROUP": privileges.create_role,
    "TRIGGER": routines.create_trigger,
    "CONSTRAINT": routines.create_trigger,
    "RULE": _behind(routines.create_rule),
    "SEQUENCE": relations.create_sequence,
    "EXTENSION": _behind(relations.create_extension),
    "TYPE": _behind(relations.create_type),
    "DOMAIN": _behind(relations.create_domain),
    "SCHEMA": _create_schema,
    "PUBLICATION": _behind(relations.create_publication),
}
_ALTERED: dict[str, Callable[[Cursor], list[Fact]]] = {
    "POLICY": _alter_policy,
    "TABLE": _behind(alter_table),
    "VIEW": _behind(relations.alter_view),
    "FUNCTION": _behind(routines.alter_function),
    "PROCEDURE": _behind(routines.alter_function),
    "ROUTINE": _behind(routines.alter_function),
    "INDEX": _behind(_alter_index),
    "ROLE": privileges.alter_role,
    "USER": privileges.alter_role,
    "GROUP": privileges.alter_role,
    "DATABASE": _behind(privileges.alter_database),
    "DEFAULT": _behind(privileges.default_privileges, 2),
    "TRIGGER": _alter_on_table,
    "SEQUENCE": _behind(relations.alter_sequence),
    "TYPE": _alter_type,
    "DOMAIN": _alter_type,
    "SCHEMA": _behind(relations.alter_schema),
    "PUBLICATION": _behind(relations.alter_publication),
}
_DROPPED: dict[str, Callable[[facts.Name, bool], Fact]] = {
    "TABLE": facts.DropTable,
    "VIEW": facts.DropView,
    "INDEX": lambda name, _: facts.DropIndex(name),
    "SEQUENCE": lambda name, _: facts.DropSequence(name),
    "TYPE": facts.DropType,
    "DOMAIN": facts.DropType,
    "SCHEMA": lambda name, _: facts.DropSchema(name[-1]),
    "ROLE": lambda name, _: facts.DropRole(name[-1]),
    "USER": lambda name, _: facts.DropRole(name[-1]),
    "GROUP": lambda name, _: facts.DropRole(name[-1]),
    "PUBLICATION": lambda name, _: facts.Publish(name[-1], "drop"),
}
#: Readers by a statement's first word, each given the cursor behind it.
_READERS: dict[str, Callable[[Cursor], list[Fact]]] = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "GRANT": privileges.grant,
    "REVOKE": privileges.revoke,
    "REASSIGN": lambda cursor: privileges.owned(cursor, dropped=False),
    "COMMENT": relations.comment,
    "SET": _set,
    "RESET": _reset,
}
#: Readers of statements that run other statements.
_CALLS: dict[str, Callable[[Statement, Operations], list[Fact]]] = {
    "DO": _do,
    "SELECT": _select,
    "PERFORM": _select,
    "CALL": _call,
}
#: The first words of statements that change or do something a rule reads; others need no tokens.
FIRST_WORDS = frozenset({*_READERS, *_CALLS, *ACTING_WORDS})
