"""Facts of one SQL statement, read by recursive descent over tokens.

About fifteen kinds of statement matter to row security (PostgreSQL manual, part VI); the rest
changes nothing a rule reads and gives no fact. A statement of a kind that matters which does not
follow the grammar gives `NotAnalysed`, never silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from sqlglot.tokenizer_core import TokenType

from lint.catalogue import Command, Key, Policy
from lint.history import facts
from lint.history.blocks import block_facts
from lint.history.sql import STRINGS, Cursor, Statement, split_commas
from lint.history.tables import alter_table, create_table
from lint.history.work import acts

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.history.facts import Fact

#: The project's own operations and the policies that each adds.
Operations = Mapping[str, tuple[str, ...]]
NO_OPERATIONS: Operations = MappingProxyType({})

_COMMANDS = frozenset({"all", "select", "insert", "update", "delete"})
_FALSE = frozenset({"false", "off", "0", "no"})


def statement_facts(statement: Statement, operations: Operations = NO_OPERATIONS) -> list[Fact]:
    """Return what a statement does and changes; `operations` are the project's own that enable RLS."""
    beside = acts(statement)
    changes = _changes(statement, operations)
    return [*beside, *changes] if beside else changes


def _changes(statement: Statement, operations: Operations) -> list[Fact]:
    cursor = Cursor(statement)
    word = cursor.word()
    read = _READERS.get(word)
    if read is None and not (word == "DO" or (operations and word in {"SELECT", "PERFORM"})):
        return []
    cursor.at = 1
    try:
        if read is not None:
            return read(cursor)
        return _do(cursor, operations) if word == "DO" else _own_operation(cursor, operations)
    except (IndexError, ValueError) as error:
        if word in {"SELECT", "PERFORM"}:
            return []
        opening = " ".join(statement.source[:60].split())
        return [facts.NotAnalysed(f"`{opening}…` is not a statement as known here ({error})")]


def _create(cursor: Cursor) -> list[Fact]:
    replacing = cursor.eat("OR", "REPLACE")
    word = cursor.word()
    if word == "POLICY":
        return _create_policy(cursor)
    if word in {"TABLE", "TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "FOREIGN"}:
        return _create_table_or_view(cursor)
    if word in {"VIEW", "MATERIALIZED", "RECURSIVE"}:
        return _create_view(cursor)
    if word in {"FUNCTION", "PROCEDURE"}:
        return _create_function(cursor)
    if word in {"INDEX", "UNIQUE"} and not replacing:
        return _create_index(cursor)
    if word in {"ROLE", "USER"}:
        return _role(cursor)
    return []


def _create_table_or_view(cursor: Cursor) -> list[Fact]:
    ahead = 0
    while cursor.word(ahead) in {"TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "FOREIGN"}:
        ahead += 1
    return create_table(cursor) if cursor.word(ahead) == "TABLE" else []


def _create_policy(cursor: Cursor) -> list[Fact]:
    cursor.expect("POLICY")
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    permissive = cursor.identifier() == "permissive" if cursor.eat("AS") else True
    command = cursor.identifier() if cursor.eat("FOR") else "all"
    if command not in _COMMANDS:
        raise ValueError(f"FOR {command}")
    roles = cursor.identifiers() if cursor.eat("TO") else ("public",)
    using = cursor.group_text() if cursor.eat("USING") else None
    check = cursor.group_text() if cursor.eat("WITH", "CHECK") else None
    if not cursor.done:
        raise ValueError(f"unexpected {cursor.tokens[cursor.at].text[:30]}")
    policy = Policy(name, permissive, cast("Command", command), roles, using, check)
    return [facts.CreatePolicy(table, policy)]


def _create_view(cursor: Cursor) -> list[Fact]:
    cursor.eat("RECURSIVE")
    materialized = cursor.eat("MATERIALIZED")
    cursor.expect("VIEW")
    cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    invoker = False
    while not cursor.done and cursor.word() != "AS":
        if cursor.eat("WITH") and cursor.is_kind(TokenType.L_PAREN):
            invoker = _security_invoker(cursor)
        elif cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
        else:
            cursor.at += 1
    cursor.expect("AS")
    body = Statement(cursor.rest(), cursor.script).source if not cursor.done else ""
    return [facts.CreateView(name, body, materialized, invoker)]


def _security_invoker(cursor: Cursor) -> bool:
    for element in cursor.group_elements():
        option = Cursor(element)
        if option.word() == "SECURITY_INVOKER":
            value = element.tokens[-1].text.lower() if len(element.tokens) > 1 else "true"
            return value not in _FALSE
    return False


def _create_function(cursor: Cursor) -> list[Fact]:
    cursor.at += 1
    name = cursor.name()
    definer, search_path = False, None
    while not cursor.done:
        if cursor.eat("SECURITY", "DEFINER"):
            definer = True
        elif cursor.eat("SET", "SEARCH_PATH"):
            cursor.at += 1
            search_path = cursor.tokens[cursor.at].text if not cursor.done else ""
        else:
            cursor.at += 1
    return [facts.CreateFunction(name, definer, search_path)]


def _create_index(cursor: Cursor) -> list[Fact]:
    unique = cursor.eat("UNIQUE")
    cursor.expect("INDEX")
    cursor.eat("CONCURRENTLY")
    cursor.eat("IF", "NOT", "EXISTS")
    name = "" if cursor.word() == "ON" else cursor.name()[-1]
    cursor.expect("ON")
    cursor.eat("ONLY")
    table = cursor.name()
    if cursor.eat("USING"):
        cursor.at += 1
    columns = tuple(
        Cursor(element).identifier()
        for element in cursor.group_elements()
        if element.tokens[0].token_type is not TokenType.L_PAREN
    )
    key = Key(columns, "unique" if unique else "index", name)
    return [facts.AddConstraint(table, (key,))]


def _alter(cursor: Cursor) -> list[Fact]:
    word = cursor.word()
    if word == "POLICY":
        return _alter_policy(cursor)
    if cursor.eat("TABLE") or cursor.eat("FOREIGN", "TABLE"):
        return alter_table(cursor)
    if word in {"ROLE", "USER"}:
        return _role(cursor)
    if cursor.eat("VIEW"):
        return _alter_view(cursor)
    if cursor.eat("SCHEMA"):
        name = cursor.identifier()
        return [facts.RenameSchema(name, cursor.identifier())] if cursor.eat("RENAME", "TO") else []
    return []


def _alter_policy(cursor: Cursor) -> list[Fact]:
    cursor.expect("POLICY")
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenamePolicy(table, name, cursor.identifier())]
    roles = cursor.identifiers() if cursor.eat("TO") else None
    using = cursor.group_text() if cursor.eat("USING") else None
    check = cursor.group_text() if cursor.eat("WITH", "CHECK") else None
    return [facts.AlterPolicy(table, name, roles, using, check)]


def _alter_view(cursor: Cursor) -> list[Fact]:
    cursor.eat("IF", "EXISTS")
    name = cursor.name()
    if cursor.eat("SET") and cursor.is_kind(TokenType.L_PAREN):
        return [facts.AlterView(name, _security_invoker(cursor))]
    if cursor.eat("RESET"):
        return [facts.AlterView(name, security_invoker=False)]
    return []


def _role(cursor: Cursor) -> list[Fact]:
    cursor.at += 1
    name = cursor.identifier()
    if cursor.word() in {"SET", "RESET", "RENAME"} or cursor.word() == "IN":
        return []
    words = {cursor.word(ahead) for ahead in range(len(cursor.rest()))}
    return [
        facts.AlterRole(
            name,
            _attribute(words, "SUPERUSER"),
            _attribute(words, "BYPASSRLS"),
            _attribute(words, "LOGIN"),
        )
    ]


def _attribute(words: set[str], name: str) -> bool | None:
    if name in words:
        return True
    return False if f"NO{name}" in words else None


def _drop(cursor: Cursor) -> list[Fact]:
    if cursor.eat("POLICY"):
        cursor.eat("IF", "EXISTS")
        name = cursor.identifier()
        cursor.expect("ON")
        return [facts.DropPolicy(cursor.name(), name)]
    if cursor.eat("TABLE") or cursor.eat("FOREIGN", "TABLE"):
        cursor.eat("IF", "EXISTS")
        return [facts.DropTable(name) for name in cursor.names()]
    if cursor.eat("VIEW") or cursor.eat("MATERIALIZED", "VIEW"):
        cursor.eat("IF", "EXISTS")
        return [facts.DropView(name) for name in cursor.names()]
    if cursor.eat("SCHEMA"):
        cursor.eat("IF", "EXISTS")
        return [facts.DropSchema(name) for name in cursor.identifiers()]
    return []


def _grant(cursor: Cursor) -> list[Fact]:
    return _privileges(cursor, revoked=False)


def _revoke(cursor: Cursor) -> list[Fact]:
    cursor.eat("GRANT", "OPTION", "FOR")
    return _privileges(cursor, revoked=True)


def _privileges(cursor: Cursor, *, revoked: bool) -> list[Fact]:
    """Read a grant on tables; grants of roles or on other objects give nothing a rule reads."""
    privileges: list[str] = []
    while not cursor.done and cursor.word() not in {"ON", "TO", "FROM"}:
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
            continue
        privileges.append(cursor.word().lower())
        cursor.at += 1
    if not cursor.eat("ON"):
        return []
    if not cursor.eat("TABLE") and cursor.word() in _OTHER_OBJECTS:
        return []
    relations = cursor.names()
    cursor.expect("FROM" if revoked else "TO")
    grantees = tuple(_grantee(Cursor(Statement(run, cursor.script))) for run in split_commas(cursor.rest()))
    named = tuple(p for p in privileges if p not in {",", "privileges", ""})
    return [facts.GrantPrivileges(relations, named, grantees, revoked)]


_OTHER_OBJECTS = frozenset(
    {"ALL", "SCHEMA", "FUNCTION", "FUNCTIONS", "PROCEDURE", "ROUTINE", "SEQUENCE", "SEQUENCES"}
    | {"DATABASE", "TYPE", "DOMAIN", "LANGUAGE", "FOREIGN", "TABLESPACE", "PARAMETER", "LARGE"}
)


def _grantee(cursor: Cursor) -> str:
    cursor.eat("GROUP")
    return cursor.identifier()


def _set(cursor: Cursor) -> list[Fact]:
    if cursor.word() in {"SESSION", "LOCAL"}:
        cursor.at += 1
    if not cursor.eat("SEARCH_PATH"):
        return []
    cursor.at += 1
    schemas = [Cursor(Statement(run, cursor.script)).identifier() for run in split_commas(cursor.rest())]
    return [facts.SetSearchPath(tuple(name for name in schemas if name not in {"", "default"}))]


def _do(cursor: Cursor, operations: Operations) -> list[Fact]:
    """Read the body of DO, which the tokenizer hands over as one raw string after the command."""
    end = cursor.tokens[-1].end + 1
    raw = cursor.script.text[cursor.tokens[0].end + 1 : end]
    return block_facts(raw, partial(statement_facts, operations=operations))


def _own_operation(cursor: Cursor, operations: Operations) -> list[Fact]:
    """Read `SELECT app.enable_tenant_rls('schema.table')` as what the project says it means."""
    policies = operations.get(cursor.name()[-1])
    if policies is None or not cursor.take(TokenType.L_PAREN):
        return []
    argument = cursor.tokens[cursor.at]
    if argument.token_type not in STRINGS:
        return [facts.NotAnalysed("row security of a table that is not named by a literal")]
    return [facts.TenantSecurity(tuple(argument.text.split(".")), policies)]


_READERS: dict[str, Callable[[Cursor], list[Fact]]] = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "GRANT": _grant,
    "REVOKE": _revoke,
    "SET": _set,
}
