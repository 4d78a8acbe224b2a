"""Rules over functions that run with their owner's rights, or that set whose rows are meant.

A SECURITY DEFINER function is a way past row security that its author reviewed, or did not: what tells
them apart is whether it asks who calls, or wants what only the right caller has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.branches import Branches
from lint.rules.database_rules import RLS032, RLS035
from lint.rules.expressions import called_functions, chooses_rows
from lint.rules.memberships import PERSON, is_membership
from lint.rules.mentions import names_relation, unqualified_in
from lint.rules.passages import whose_rows
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.results import body_text
from lint.rules.scopes import Scope
from lint.rules.tenant_columns import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Function, Place, Table
    from lint.report import Finding
    from lint.rules.branches import Alternative
    from lint.rules.viewpoint import Viewpoint

_SETS = re.compile(
    r"\bset_config\s*\(\s*(?:'(?P<literal>[^']+)'|(?P<name>[\w$]+))|"
    r"\bset\s+(?:local\s+|session\s+)?(?P<plain>[a-z_][\w$]*\.[\w$.]+)\s*(?:=|to)\s",
    re.IGNORECASE,
)
#: Words of values that only the right caller knows.
_SECRETS = re.compile(
    r"\b(?!errcode\b)\w*(?:token|secret|password|passcode|otp|code|hash|key|signature)\w*\s*=|"
    r"=\s*\w*(?:token|secret|password|passcode|otp|code|hash|key|signature)",
    re.IGNORECASE,
)
#: What an UPDATE writes: values, and no question that a caller has to answer.
_ASSIGNED = re.compile(r"\bset\b(?!\s*_config)[^;]*?\bwhere\b", re.IGNORECASE)
#: A row that is added, which tells nobody another.
_INSERTED = re.compile(r'\binsert\s+into\s+"?\w+"?(?:\s*\.\s*"?\w+"?)?', re.IGNORECASE)
#: INSERT INTO table (columns) VALUES (values), as far as neither holds parentheses but empty ones.
_INSERTS = re.compile(
    r"\binsert\s+into\s+(?P<table>(?:\"?\w+\"?\s*\.\s*)?\"?\w+\"?)\s*\((?P<columns>[^()]*)\)\s*"
    r"values\s*\((?P<values>(?:[^()]|\(\))*)\)",
    re.IGNORECASE,
)
_ASKS_ANYTHING = re.compile(r"\b(?:select|perform|if|case|where|raise)\b", re.IGNORECASE)
#: Types of ids.
_IDS = frozenset({"uuid", "bigint", "integer", "int", "int4", "int8"})


def function_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS032 and RLS035 for the functions that the role, or its policies and triggers, can run."""
    called = _called_by_tables(view)
    for function in view.catalogue.functions.values():
        reached = view.may_execute(function) and not function.is_trigger
        if function.security_definer and (reached or function.qualified in called):
            yield from _definer(function, view)
            if reached:
                yield from _joins(function, view)
            if function.qualified not in called:
                yield from _answers_about_rows(function, view)
        if reached:
            yield from _sets_tenant(function, view)
        if reached and function.leakproof and function.arguments:
            yield from _leakproof(function, view, helper=function.qualified in called)


def _joins(function: Function, view: Viewpoint) -> Iterator[Finding]:
    """RLS032 for a function by which a caller makes himself a member of the tenant that he names."""
    body = body_text(function)
    if _ASKS_ANYTHING.search(body) or _SECRETS.search(body):
        return
    arguments = {name.lower() for name in function.argument_names} | {
        f"${number}" for number, _ in enumerate(function.argument_names, 1)
    }
    for match in _INSERTS.finditer(body):
        table = view.catalogue.table(re.sub(r"[\s\"]", "", match["table"]))
        if table is None or not table.enabled or not _ties_people(table):
            continue
        columns = [one.strip().strip('"').lower() for one in match["columns"].split(",")]
        values = [one.strip().lower().partition("::")[0] for one in match["values"].split(",")]
        given = dict(zip(columns, values, strict=False)).get(table.tenant_column or "", "")
        if given in arguments:
            yield RLS032.finding(
                view.place(function),
                f"function {function.signature} adds a row to {table.qualified} for the {table.tenant_column}"
                f" that its caller names, and asks for nothing else: {view.role} joins any tenant",
                "ask in it for an invitation, or for a member who lets him in",
                table=table.qualified,
                subject=f"{function.signature}:joins",
            )


def _ties_people(table: Table) -> bool:
    """Say whether each row ties one person to one tenant, by a key over both."""
    tenant = table.tenant_column or ""
    keyed = (key.columns for key in table.keys if key.kind != "index" and tenant in key.columns)
    return is_membership(table, tenant) and any(
        not PERSON.isdisjoint(words(name)) for columns in keyed for name in columns
    )


def _called_by_tables(view: Viewpoint) -> frozenset[str]:
    """Return the functions that policies and triggers of tables call."""
    found: set[str] = set()
    for table in view.catalogue.tables.values():
        found.update(trigger.function for trigger in table.triggers)
        for policy in table.policies:
            for _, text in policy.clauses():
                try:
                    called = called_functions(parse_predicate(text))
                    found.update(view.session.qualified(name) for name, _ in called)
                except PredicateError:
                    continue
    return frozenset(found)


def _definer(function: Function, view: Viewpoint) -> Iterator[Finding]:
    place = view.place(function)
    body = body_text(function)
    signature = function.signature
    if function.search_path is None and function.language != "c" and not _has_parsed_body(function):
        yield RLS032.finding(
            place,
            f"function {signature} runs as {view.owner_text(function.owner)} and has no search_path of its "
            "own: its caller decides, with a temporary table or a schema, what its names mean",
            f"ALTER FUNCTION {signature} SET search_path = pg_catalog, pg_temp;",
            subject=signature,
            severity="warning" if view.hosted and view.from_history else None,
            cause="SECURITY DEFINER without a search_path",
        )
    elif _is_empty_path(function) and unqualified_in(body, view.catalogue):
        names = ", ".join(sorted(unqualified_in(body, view.catalogue)))
        yield RLS032.finding(
            place,
            f"function {signature} has an empty search_path and names {names} without a schema: it fails "
            "with 42P01 when it runs",
            "qualify every name in its body",
            subject=signature,
        )
    yield from _reads_as_owner(function, body, view, place)


def _has_parsed_body(function: Function) -> bool:
    """Say whether the body was parsed when it was made (BEGIN ATOMIC or RETURN), its names fixed."""
    return function.language == "sql" and re.match(r"\s*(?:RETURN|BEGIN ATOMIC)\b", function.body) is not None


def _reads_as_owner(function: Function, body: str, view: Viewpoint, place: Place) -> Iterator[Finding]:
    if function.is_trigger:
        return
    if view.from_history and not _tells_rows(function, view):
        yield from _changes_as_owner(function, body, view, place)
        return
    for table in view.catalogue.tables.values():
        if not _holds_secrets(table, view) or not _reads(body, table, view):
            continue
        told = _reads(_INSERTED.sub("", body), table, view)
        why = view.exempt(function.owner, table) or _either_way(function, table, view)
        if why is None or not (told or _chooses_rows(function)):
            continue
        done = f"reaches {whose_rows(table)} through it" if told else "may add rows of any id that it names"
        yield RLS032.finding(
            place,
            f"function {function.signature} {'reads' if told else 'writes'} {table.qualified} as "
            f"{view.owner_text(function.owner)}, and {why}: {view.role} {done}",
            f"ALTER FUNCTION {function.signature} SECURITY INVOKER; or ask in it who calls",
            table=table.qualified,
            subject=function.signature,
            severity="info" if view.session.asks_caller(function) else "warning",
        )
        return


def _either_way(function: Function, table: Table, view: Viewpoint) -> str | None:
    """Return what is wrong with reading a forced table as an owner that no migration names, or None.

    A plain owner is bound by FORCE and finds nothing, so that a function which works has another.
    """
    if not view.from_history or function.owner is not None or not table.forced or not table.tenant_column:
        return None
    return "only a superuser or BYPASSRLS finds any row of a forced table that way"


def _reads(body: str, table: Table, view: Viewpoint) -> bool:
    """Say whether a body names a table, or a view through which it is read."""
    if names_relation(body, table.schema, table.name):
        return True
    over = view.views_over.get(table.qualified, ())
    return any(names_relation(body, one.schema, one.name) for one in over)


def _tells_rows(function: Function, view: Viewpoint) -> bool:
    """Say whether a function can tell its caller another tenant's rows, as far as its text shows.

    One that asks who calls, answers yes or no, or wants a secret that only the right caller has is a
    reviewed way past row security and no fault.
    """
    returns = function.returns.lower()
    if returns in {"", "void", "boolean", "bool", "trigger"} or view.session.asks_caller(function):
        return False
    return _SECRETS.search(body_text(function)) is None


def _changes_as_owner(function: Function, body: str, view: Viewpoint, place: Place) -> Iterator[Finding]:
    """RLS032 for a function that changes or deletes rows by an id its caller chooses, and tells none."""
    asks = view.session.asks_caller(function) or _SECRETS.search(_ASSIGNED.sub(" where ", body)) is not None
    if asks or not _chooses_rows(function) or not view.may_execute(function):
        return
    for table in view.catalogue.tables.values():
        if not _holds_secrets(table, view) or not _changes(body, table):
            continue
        why = view.exempt(function.owner, table)
        if why is not None:
            yield RLS032.finding(
                place,
                f"function {function.signature} changes rows of {table.qualified} as "
                f"{view.owner_text(function.owner)}, and {why}: {view.role} may change {whose_rows(table)} "
                "by their ids",
                f"ALTER FUNCTION {function.signature} SECURITY INVOKER; or ask in it who calls",
                table=table.qualified,
                subject=function.signature,
                severity="warning",
            )
            return


def _changes(body: str, table: Table) -> bool:
    """Say whether a body updates or deletes rows of a table."""
    name = rf'(?:"?{re.escape(table.schema)}"?\s*\.\s*)?"?{re.escape(table.name)}\b(?!\s*\.)'
    return re.search(rf"\b(?:update|delete\s+from)\s+(?:only\s+)?{name}", body, re.IGNORECASE) is not None


def _chooses_rows(function: Function) -> bool:
    """Say whether a caller hands ids over, one or several, or a value that is called so."""
    lists = {part.strip().removesuffix("[]") for part in function.arguments.lower().split(",")}
    named = any(name.lower().endswith(("id", "ids", "_uuid")) for name in function.argument_names)
    return not _IDS.isdisjoint(lists) or named


def _takes_ids(function: Function) -> bool:
    return not _IDS.isdisjoint(part.strip() for part in function.arguments.lower().split(","))


def _answers_about_rows(function: Function, view: Viewpoint) -> Iterator[Finding]:
    """Tell of yes-or-no answers about rows of an id that whoever calls may choose.

    What a policy calls has to be callable; of the rest PUBLIC needs nothing. Answers are no rows, so that
    it is information.
    """
    if not view.from_history or not _answers_anyone(function, view):
        return
    body = body_text(function)
    for table in view.tenant_tables():
        unknown = function.owner is None and table.enabled
        exempt = unknown or view.exempt(function.owner, table) is not None
        if exempt and _holds_secrets(table, view) and names_relation(body, table.schema, table.name):
            yield RLS032.finding(
                view.place(function),
                f"function {function.signature} answers whoever calls it about {table.qualified} with an id "
                f"of any tenant: PUBLIC may execute it, it runs as {view.owner_text(function.owner)}, "
                "and it does not ask who calls",
                f"REVOKE EXECUTE ON FUNCTION {function.signature} FROM PUBLIC;",
                subject=f"{function.signature}:answers",
                severity="info",
                cause="definer functions that answer PUBLIC about rows by their id",
            )
            return


def _answers_anyone(function: Function, view: Viewpoint) -> bool:
    boolean = function.returns.lower() in {"boolean", "bool"}
    asks = view.session.asks_caller(function) or _SECRETS.search(body_text(function)) is not None
    return boolean and _takes_ids(function) and PUBLIC in function.executors and not asks


def _holds_secrets(table: Table, view: Viewpoint) -> bool:
    """Say whether a table under row security hides rows from the role at all."""
    if not view.is_protected(table.qualified):
        return False
    if not view.from_history:
        return True
    if table.qualified not in view.shared:
        view.shared[table.qualified] = _shared(table, view)
    return not view.shared[table.qualified]


def _shared(table: Table, view: Viewpoint) -> bool:
    """Say whether a policy gives the role every row of a table to read anyway."""
    branches = Branches(Scope.of_table(table, view.catalogue), table.tenant_column, view.session)
    for policy in view.permissive(table, "select"):
        if (policy.using or "").strip().lower() == "true":
            return True
        try:
            ways = branches.alternatives(parse_predicate(policy.using or "false"))
        except PredicateError:
            continue
        if table.tenant_column is None and any(_asks_nobody(way) for way in ways):
            return True
    return False


def _asks_nobody(way: Alternative) -> bool:
    """Say whether every client passes, whatever the row is."""
    return all(condition.kind == "anyone" for condition in way.conditions)


def _is_empty_path(function: Function) -> bool:
    return function.search_path is not None and function.search_path.strip().strip("\"'") == ""


def _sets_tenant(function: Function, view: Viewpoint) -> Iterator[Finding]:
    for setting in function.settings:
        name, _, value = setting.partition("=")
        if name.lower() in view.tenancy.settings:
            yield RLS035.finding(
                view.place(function),
                f"function {function.signature} runs under {name} = {value} whoever calls it, and "
                f"{view.role} may: it answers with that tenant's rows",
                f"ALTER FUNCTION {function.signature} RESET {name};",
                subject=function.signature,
            )
    if not function.arguments or (view.from_history and not view.hosted and not _unguarded(function, view)):
        return  # an application's own login can set it without any function
    settings = _settings_made(function, view)
    if not settings:
        return
    yield RLS035.finding(
        view.place(function),
        f"function {function.signature} sets {', '.join(sorted(settings))}, and {view.role} may call it: a "
        "client that may choose functions becomes any tenant",
        f"REVOKE EXECUTE ON FUNCTION {function.signature} FROM PUBLIC, {view.sql_role}; or check the caller",
        subject=function.signature,
        severity="error" if view.hosted and view.from_history else None,
    )


def _unguarded(function: Function, view: Viewpoint) -> bool:
    """Say whether everybody may call a setter that was made to be more than SET, and asks nothing.

    SECURITY DEFINER says that a caller is not trusted with what it does; PUBLIC may call it all the same.
    One that chooses rows, wants a secret or asks who calls decides for itself.
    """
    body = body_text(function)
    asks = chooses_rows(body) or view.session.asks_caller(function) or _SECRETS.search(body) is not None
    return function.security_definer and PUBLIC in function.executors and not asks


def _settings_made(function: Function, view: Viewpoint) -> frozenset[str]:
    """Return the tenant settings (or "any setting") that a function makes from its arguments."""
    found: set[str] = set()
    for match in _SETS.finditer(body_text(function)):
        if match["name"]:
            found.add("any setting")
        else:
            setting = (match["literal"] or match["plain"]).lower()
            found |= {setting} & set(view.tenancy.settings)
    return frozenset(found)


def _leakproof(function: Function, view: Viewpoint, *, helper: bool) -> Iterator[Finding]:
    """Name a function that is handed columns of rows; without an argument it is handed nothing.

    A policy's own `helper` is what refuses the rows, and LEAKPROOF lets an index serve it.
    """
    yield RLS032.finding(
        view.place(function),
        f"function {function.signature} is LEAKPROOF by its maker's word: in a WHERE it sees rows before any "
        "policy has refused them",
        f"ALTER FUNCTION {function.signature} NOT LEAKPROOF;",
        subject=f"{function.signature}:leakproof",
        severity="info" if helper and view.from_history else "warning",
        cause="functions that are LEAKPROOF by their maker's word",
    )
