"""Rules over keys and columns of tenant tables: what a constraint tells or does across tenants.

Constraints and referential actions work without row security (PostgreSQL manual, 5.9), so what
keeps tenants apart there is the tenant column in the key.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from sqlglot import expressions as exp

from lint.catalogue import spelled, written_name
from lint.history.values import HOLE
from lint.rules.branches import Branches
from lint.rules.database_rules import RLS021, RLS043, RLS050, RLS051, RLS052
from lint.rules.expressions import literal, setting_reads
from lint.rules.memberships import PERSON
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.scopes import Scope
from lint.rules.tenant_columns import TENANT_TABLES, singular, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Column, ForeignKey, Key, Policy, Table
    from lint.report import Finding
    from lint.rules.branches import Alternative
    from lint.rules.viewpoint import Viewpoint

_INDEX_METHODS = frozenset({"btree", "hash", "gin", "gist"})
#: Values nobody can guess, so that "it exists already" tells nothing.
_SECRET_WORDS = frozenset(
    {"token", "hash", "digest", "secret", "nonce", "fingerprint", "hmac", "checksum", "signature"}
)
#: Words of values that are unique in the world, or are how a person logs in.
_WORLDWIDE_WORDS = frozenset(
    {
        *("username", "login", "domain", "subdomain", "hostname", "host", "url"),
        *("handle", "fqdn", "arn", "stripe", "webhook", "ip", "mac", "serial"),
    }
)
#: How a person is reached: in a table of those who log in, the way they do.
_CONTACT_WORDS = frozenset({"email", "mail", "phone", "address"})
_PEOPLE = frozenset({"user", "profile", "account", "admin", "member", "login", "identity", "auth", "staff"})
#: First words of ids that a tenant chooses, or that its own sources do.
_MADE_UP = frozenset({"idempotency", "dedupe", "dedup"})
_CHOSEN = frozenset({"external", "source", "legacy", "import", "natural"}) | _MADE_UP
#: What becomes of a row that loses its tenant.
_LOST = {
    "unseen": "disappears",
    "shared": "every tenant sees it",
    "seen": "only who is let in by another column sees it",
}
_OVERWRITES = frozenset({"SET NULL", "SET DEFAULT"})
#: Last words of what is drawn by chance and given to a person.
_HANDED_OUT = (["short", "code"], ["invite", "code"], ["share", "code"], ["recovery", "code"])
_DRAWN = re.compile(r"\(*(?:\w+\.)?(?:gen_random_uuid|uuid_generate_v\d\w*|nextval)\s*\(", re.IGNORECASE)
_CONSTANT = re.compile(r"\(*'[^']*'(?:::[\w .\"]+)?\)*\Z|-?\d+\Z")


def key_findings(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS021, RLS043 and RLS050 to RLS052 for one tenant table."""
    column = table.column(table.tenant_column or "")
    if column is None:
        return
    if view.tenancy.by_table.get(table.qualified) or _is_compared(table, column):
        yield from _index(table, column, view)  # an index serves a comparison, not a function
    yield from _column(table, column, view)
    for key in table.keys:
        yield from _unique(table, key, column, view)
    for foreign in table.foreign_keys:
        yield from _overwriting(table, foreign, column, view)
        yield from _crossing(table, foreign, column, view)


def _is_compared(table: Table, column: Column) -> bool:
    """Say whether a policy compares the tenant column by itself with what a query tells."""
    name = rf'"?\b{re.escape(column.name)}\b"?'
    others = r"(?:=\s*(?:any\s*)?\(+|\bin\s*\()\s*select\b"
    compared = re.compile(rf"{name}\s*{others}", re.IGNORECASE)
    return any(compared.search(text) for policy in table.permissive for _, text in policy.clauses())


def _index(table: Table, column: Column, view: Viewpoint) -> Iterator[Finding]:
    leading = (
        key.leading == column.name and key.valid and key.predicate is None and key.method in _INDEX_METHODS
        for key in table.keys
    )
    if any(leading):
        return
    yield RLS021.finding(
        view.place(column, table),
        f"{table.qualified} has no index that begins with {column.name}: each query reads all tenants' rows",
        f"CREATE INDEX ON {table.written} ({written_name(column.name)});",
        table=table.qualified,
        severity="info" if view.from_history else None,
        cause="no index begins with the tenant column",
    )


def unique_findings(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS050 for a tenant table that is open anyway: closing it will not mend its keys."""
    column = table.column(table.tenant_column or "")
    if column is not None:
        for key in table.keys:
            yield from _unique(table, key, column, view)


def _column(table: Table, column: Column, view: Viewpoint) -> Iterator[Finding]:
    if column.nullable and _without_tenant(table, view) == "unseen":
        yield RLS043.finding(
            view.place(column, table),
            f"{table.qualified}.{column.name} may be NULL: such a row belongs to no tenant and no tenant "
            "sees it",
            f"ALTER TABLE {table.written} ALTER COLUMN {written_name(column.name)} SET NOT NULL;",
            table=table.qualified,
            subject="nullable",
            severity="info" if view.from_history else None,
            cause=f"{column.name} may be NULL",
        )
    if column.default is not None and _DRAWN.match(column.default) and not _is_key(table, column):
        yield RLS043.finding(
            view.place(column, table),
            f"{table.qualified}.{column.name} defaults to {column.default}: rows written without a tenant "
            "are filed under one that does not exist, and nobody sees them",
            f"ALTER TABLE {table.written} ALTER COLUMN {written_name(column.name)} DROP DEFAULT;",
            table=table.qualified,
            subject="default",
        )
    yield from default_findings(table, view)


def default_findings(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS043 for a tenant column that is one tenant's where nobody said whose row it is."""
    column = table.column(table.tenant_column or "")
    if column is None or column.default is None or column.generated:
        return
    told = _constant_tenant(column.default)
    if told is not None:
        yield RLS043.finding(
            view.place(column, table),
            f"{table.qualified}.{column.name} defaults to {told}: rows written without a tenant "
            "are filed under that one",
            f"ALTER TABLE {table.written} ALTER COLUMN {written_name(column.name)} DROP DEFAULT;",
            table=table.qualified,
            subject="default",
            cause=f"{column.name} defaults to {told}",
        )


def _is_key(table: Table, column: Column) -> bool:
    """Say whether the column is a key by itself, as the tenant's own is, or refers to one that exists."""
    unique = any(key.columns == (column.name,) and key.kind != "index" for key in table.keys)
    return unique or any(column.name in foreign.columns for foreign in table.foreign_keys)


def _constant_tenant(default: str) -> str | None:
    """Return the one tenant a default is, by itself or where a setting was not made; None for no tenant."""
    if _CONSTANT.match(default):
        return "a constant" if HOLE in default else default
    try:
        tree = parse_predicate(default)
    except PredicateError:
        return None
    value = literal(tree.expressions[-1]) if isinstance(tree, exp.Coalesce) and tree.expressions else None
    return f"'{value}'" if value and any(True for _ in setting_reads(tree)) else None


def _without_tenant(table: Table, view: Viewpoint) -> Literal["unseen", "shared", "seen"]:
    """Return what the policies make of a row without a tenant: nobody's, everybody's, or another column's."""
    branches = Branches(Scope.of_table(table, view.catalogue), table.tenant_column, view.session)
    found: Literal["unseen", "seen"] = "unseen"
    for policy in table.permissive:
        if policy.command not in {"all", "select"}:
            continue
        for way in _ways(policy, branches):
            if way.first("no_tenant"):
                return "shared"
            named = frozenset[str]().union(*(branches.row_columns(one.node) for one in way.conditions))
            if way.bound and table.tenant_column not in named:
                found = "seen"
    return found


def _ways(policy: Policy, branches: Branches) -> tuple[Alternative, ...]:
    try:
        return branches.alternatives(parse_predicate(policy.using or "false"))
    except PredicateError:
        return ()


def _unique(table: Table, key: Key, column: Column, view: Viewpoint) -> Iterator[Finding]:
    named = key.columns or _named_in(key, table)
    if key.kind == "index" or not named or column.name in named:
        return
    if any(re.search(rf"\b{re.escape(column.name)}\b", part) for part in (*key.parts, key.predicate or "")):
        return
    if _is_surrogate(table, key):
        return
    if any(_tells_nothing(table.column(one)) and not _is_shared(one, table, view) for one in key.columns):
        return
    if _is_handed_out(key):
        return
    if view.from_history and _is_global_by_nature(table, replace(key, columns=named), column, view):
        return
    names = ", ".join(key.parts or key.columns)
    yield RLS050.finding(
        view.place(key, table),
        f"{table.qualified}: {key.name or 'a unique key'} ({names}) is unique over all tenants: 23505 tells "
        "a tenant that another has the value",
        f"UNIQUE ({column.name}, {names})",
        table=table.qualified,
        subject=key.name or names,
        severity="info" if view.from_history and _tells_little(table, named) else None,
    )


def _tells_little(table: Table, columns: tuple[str, ...]) -> bool:
    """Say whether a value is hardly guessed, or its table is open to everybody who asks anyway."""
    made_up = any(words(name)[0] in _MADE_UP for name in columns)
    return made_up or not table.enabled or _is_how_people_log_in(table, columns)


def _is_how_people_log_in(table: Table, columns: tuple[str, ...]) -> bool:
    """Say whether a key is the address of somebody who logs in: one for the whole world, by design or not."""
    people = not _PEOPLE.isdisjoint(word.removesuffix("s") for word in words(table.name))
    return people and len(columns) == 1 and not _CONTACT_WORDS.isdisjoint(words(columns[0]))


def _named_in(key: Key, table: Table) -> tuple[str, ...]:
    """Return what the expressions of a key name: the columns, or the fields of a document in one."""
    text = " ".join(key.parts)
    fields = re.findall(r"->>?\s*'(\w+)'", text)
    return tuple(dict.fromkeys(fields or [word for word in re.findall(r"\w+", text) if table.column(word)]))


def _is_surrogate(table: Table, key: Key) -> bool:
    """Say whether a key is an id that the application makes, or another row's."""
    if key.kind == "primary" and len(key.columns) == 1:
        name = key.columns[0].lower()
        return name in {"id", "uuid", "uid", "pk"} or name in {
            f"{table.name.lower()}_id",
            f"{table.name.lower()}id",
        }
    return any(key.columns and set(key.columns) <= set(one.columns) for one in table.foreign_keys)


def _is_handed_out(key: Key) -> bool:
    """Say whether a key is drawn by chance to be handed out: the state of a login, the code of a short link.

    A state that says how far a row has come is never unique by itself.
    """
    if len(key.columns) != 1:
        return False
    return key.columns[0] == "state" or words(key.columns[0])[-2:] in _HANDED_OUT


def _is_global_by_nature(table: Table, key: Key, column: Column, view: Viewpoint) -> bool:
    """Say whether a key's value is one of the whole world, or made of ids that nobody can guess."""
    if any(_is_id(name) and not _is_shared(name, table, view) for name in key.columns):
        return True
    if singular(table.name) in TENANT_TABLES and spelled(column.name).startswith(singular(table.name)):
        return True
    if any(other.kind == "primary" and other.columns == (column.name,) for other in table.keys):
        return True  # one row for each tenant: the tenant itself
    if not _SECRET_WORDS.isdisjoint(word.removesuffix("s") for word in words(table.name)):
        return True  # a table of tokens: what is unique in it is drawn by chance
    return len(key.columns) == 1 and not _WORLDWIDE_WORDS.isdisjoint(words(key.columns[0]))


def _is_id(name: str) -> bool:
    found = words(name)
    return found[0] not in _CHOSEN and found[-1] in {
        "id",
        "uuid",
        "ulid",
        "key",
        "ref",
        "sha",
        "arn",
        "uri",
        "path",
    }


def _is_shared(name: str, table: Table, view: Viewpoint) -> bool:
    """Say whether an id is that of a row which all tenants share, so that they meet in it."""
    targets = [key.target for key in table.foreign_keys if key.columns == (name,)]
    found = [view.catalogue.tables.get(target) for target in targets]
    person = not PERSON.isdisjoint(words(name))
    return not person and any(
        one is not None
        and one.known
        and one.tenant_column is None
        and singular(one.name) not in TENANT_TABLES
        for one in found
    )


def _tells_nothing(column: Column | None) -> bool:
    """Say whether a value cannot be guessed, or is the database's own choice."""
    if column is None:
        return True
    generated = column.identity is not None or "nextval(" in (column.default or "")
    secret = not _SECRET_WORDS.isdisjoint(words(column.name))
    return column.type.lower() == "uuid" or generated or secret


def _overwriting(table: Table, foreign: ForeignKey, column: Column, view: Viewpoint) -> Iterator[Finding]:
    for event, action in (("DELETE", foreign.on_delete), ("UPDATE", foreign.on_update)):
        narrowed = event == "DELETE" and foreign.set_columns and column.name not in foreign.set_columns
        if action not in _OVERWRITES or column.name not in foreign.columns or narrowed:
            continue
        if len(foreign.columns) == 1 and event == "DELETE" and action == "SET DEFAULT":
            continue
        others = ", ".join(name for name in foreign.columns if name != column.name)
        outcome = (
            f"the row loses its tenant and {_LOST[_without_tenant(table, view)]}"
            if column.nullable
            else "the statement fails with 23502"
        )
        yield RLS052.finding(
            view.place(foreign, table),
            f"{table.qualified}: ON {event} {action} of {foreign.name or 'its key'} to {foreign.target} "
            f"overwrites {column.name}: {outcome}",
            f"ON {event} {action} ({others})" if others else f"ON {event} RESTRICT",
            table=table.qualified,
            subject=f"{foreign.name}:{event}",
            severity="info" if view.from_history and not others else None,
        )


def _crossing(table: Table, foreign: ForeignKey, column: Column, view: Viewpoint) -> Iterator[Finding]:
    target = view.catalogue.tables.get(foreign.target)
    if target is None or not target.tenant_column or table.parent or foreign.columns == (column.name,):
        return
    pairs = dict(zip(foreign.columns, foreign.target_columns, strict=False))
    if pairs.get(column.name) == target.tenant_column or target.tenant_column in foreign.target_columns:
        yield from _unmatched(table, foreign, column, view)
        return
    cascades = foreign.on_delete in {"CASCADE", *_OVERWRITES}
    told = (
        f"ON DELETE {foreign.on_delete} reaches rows of other tenants that point at it"
        if cascades
        else "it may point at another tenant's row, and 23503 tells whether that exists"
    )
    yield RLS051.finding(
        view.place(foreign, table),
        f"{table.qualified} ({', '.join(foreign.columns)}) refers to {target.qualified} without the tenant: "
        f"{told}",
        f"FOREIGN KEY ({column.name}, {', '.join(foreign.columns)}) REFERENCES {target.written} "
        f"({target.tenant_column}, {', '.join(foreign.target_columns)})",
        table=table.qualified,
        subject=foreign.name or ",".join(foreign.columns),
        severity="info" if view.from_history else None,
        cause="foreign keys between tenant tables leave the tenant out",
    )


def _unmatched(table: Table, foreign: ForeignKey, column: Column, view: Viewpoint) -> Iterator[Finding]:
    """A composite key with a NULL tenant is not checked (MATCH SIMPLE)."""
    composite = len(foreign.columns) > 1 and column.name in foreign.columns
    if not composite or not column.nullable or foreign.match_full or _never_null(table, column.name):
        return
    yield RLS051.finding(
        view.place(foreign, table),
        f"{table.qualified}: {foreign.name} is not checked where {column.name} is NULL, so such a row may "
        f"point at any row of {foreign.target}",
        f"ALTER TABLE {table.written} ALTER COLUMN {written_name(column.name)} SET NOT NULL;",
        table=table.qualified,
        subject=f"{foreign.name}:null",
    )


def _never_null(table: Table, column: str) -> bool:
    pattern = re.compile(rf'\(*"?{re.escape(column)}"? IS NOT NULL\)*')
    return any(pattern.fullmatch(check.definition) for check in table.constraints)
