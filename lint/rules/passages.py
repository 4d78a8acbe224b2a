"""Rules over what reads tenant rows beside a query: views, functions, partitions, triggers, rules.

Each runs with somebody's rights; the question is whether row security binds that somebody, and
whether the role that serves tenants can get there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.branches import Branches
from lint.rules.database_rules import RLS030, RLS031, RLS032, RLS033, RLS034, RLS035
from lint.rules.expressions import called_functions, chooses_rows
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.results import body_text
from lint.rules.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, Function, Place, RewriteRule, Table, Trigger, View
    from lint.report import Finding
    from lint.rules.branches import Alternative
    from lint.rules.viewpoint import Viewpoint

_RELATION_WORD = r"\b(?:from|join|into|update|only|using|table|delete\s+from)\s+(?:only\s+)?"
_BARE_RELATION = re.compile(rf'{_RELATION_WORD}("?[a-z_][\w$]*"?)(?![\w$])(?!\s*[.(])', re.IGNORECASE)
_WRITES = re.compile(
    r'\b(?:insert\s+into|update(?:\s+only)?)\s+("?[\w$]+"?(?:\s*\.\s*"?[\w$]+"?)?)', re.IGNORECASE
)
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
#: The name of a common table expression, which hides a table's.
_COMMON_TABLE = re.compile(
    r"\b([a-z_]\w*)\s*(?:\([^()]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s+)?\(", re.IGNORECASE
)
#: What an UPDATE writes: values, and no question that a caller has to answer.
_ASSIGNED = re.compile(r"\bset\b(?!\s*_config)[^;]*?\bwhere\b", re.IGNORECASE)
#: A row that is added, which tells nobody another.
_INSERTED = re.compile(r'\binsert\s+into\s+"?\w+"?(?:\s*\.\s*"?\w+"?)?', re.IGNORECASE)
#: Types of ids.
_IDS = frozenset({"uuid", "bigint", "integer", "int", "int4", "int8"})
_STRINGS = re.compile(r"'(?:[^']|'')*'")
_NOT_RELATIONS = frozenset(
    {"select", "lateral", "unnest", "json", "jsonb", "new", "old", "strict", "set", "values", "of", "pg_temp"}
)


#: A partition whose name is put together, and what would protect it.
_MADE_PARTITION = re.compile(
    r'create\s+table\s[^;\']*?\bpartition\s+of\s+(?:("?\w+"?)\.)?"?(\w+)', re.IGNORECASE
)
_PROTECTS = re.compile(r"enable\s+row\s+level\s+security|revoke\b", re.IGNORECASE)


# Views


def view_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS030 and RLS031 for the views the role can read."""
    for one in view.catalogue.views.values():
        if not view.privileges(one.qualified):
            continue
        if one.security_invoker and not one.materialized:
            yield from _without_grants(one, _protected(one.reads, view), view)
            continue
        yield from _read_by(one, view)
        yield from _through_another(one, view)


def _protected(names: Iterable[str], view: Viewpoint) -> list[Table]:
    return [view.catalogue.tables[name] for name in sorted(names) if view.is_protected(name)]


def _through_another(one: View, view: Viewpoint, seen: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """RLS030 and RLS031 for a view that the role may not read by itself, and reads through another.

    A view reads another with its owner's rights; the tables below are read with the rights of the inner
    view's owner, or with those of who asks where that one has security_invoker.
    """
    for name in one.reads:
        inner = view.catalogue.views.get(name)
        if inner is None or name in seen or view.privileges(name) or inner.security_invoker:
            continue
        for finding in _read_by(inner, view):
            told = f"{finding.message} ({view.role} reads it through {one.qualified})"
            yield replace(finding, message=told)
        yield from _through_another(inner, view, seen | {name})


def _read_by(one: View, view: Viewpoint) -> Iterator[Finding]:
    """Yield what a view shows that reads with its owner's rights."""
    protected = _protected(view.tables_below(one) if one.materialized else one.reads, view)
    if protected and one.materialized:
        yield _materialized(one, protected, view)
    elif protected:
        yield from _as_owner(one, protected, view)


def _materialized(one: View, tables: list[Table], view: Viewpoint) -> Finding:
    return RLS031.finding(
        view.place(one),
        f"materialized view {one.qualified} stores rows of {_names(tables)} as "
        f"{view.owner_text(one.owner)} saw them, and "
        f"{view.role} reads all of it: row security cannot bind it",
        f"REVOKE ALL ON {one.schema}.{one.name} FROM {view.role}; and serve it through a table",
        table=one.qualified,
    )


def _as_owner(one: View, tables: list[Table], view: Viewpoint) -> Iterator[Finding]:
    fix = f"ALTER VIEW {one.schema}.{one.name} SET (security_invoker = true);"
    for table in tables:
        why = view.exempt(one.owner, table)
        if why is not None:
            yield RLS030.finding(
                view.place(one),
                f"view {one.qualified} reads {table.qualified} as {view.owner_text(one.owner)}, and "
                f"{why}: {view.role} sees {_whose_rows(table)} through it",
                fix,
                table=one.qualified,
                subject=table.qualified,
            )
            return
    if view.from_history and one.owner is None:
        yield _as_unknown_owner(one, tables[0], view)
        return
    blind = [t for t in tables if one.owner and not view.permissive(t, "select", one.owner)]
    if blind:
        yield RLS030.finding(
            view.place(one),
            f"view {one.qualified} reads {blind[0].qualified} as {one.owner}, for whom no policy is: it "
            "shows 0 rows to everyone",
            fix,
            table=one.qualified,
            subject=blind[0].qualified,
            severity="warning",
        )


def _as_unknown_owner(one: View, table: Table, view: Viewpoint) -> Finding:
    return RLS030.finding(
        view.place(one),
        f"view {one.qualified} reads {table.qualified} with the rights of whoever runs the migrations: a "
        f"superuser, or a role with BYPASSRLS, and {view.role} sees {_whose_rows(table)} through it",
        f"ALTER VIEW {one.schema}.{one.name} SET (security_invoker = true);",
        table=one.qualified,
        subject=table.qualified,
        severity="warning",
        cause="views without security_invoker over forced tables",
    )


def _without_grants(one: View, tables: list[Table], view: Viewpoint) -> Iterator[Finding]:
    closed = [table for table in tables if "select" not in view.privileges(table.qualified)]
    if closed:
        yield RLS030.finding(
            view.place(one),
            f"view {one.qualified} reads with its caller's rights, and {view.role} has none on "
            f"{closed[0].qualified}: it fails with 42501",
            f"GRANT SELECT ON {closed[0].written} TO {view.role};",
            table=one.qualified,
            subject=closed[0].qualified,
            severity="warning",
        )


def publication_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS031 for publications, which stream rows without asking any policy."""
    if view.hosted and view.from_history:
        return  # the platform asks the policies before it sends a change to a client
    published: dict[str, list[str]] = {}
    for one in view.catalogue.publications:
        if view.is_protected(one.table) and one.row_filter is None:
            published.setdefault(one.publication, []).append(one.table)
    for publication, tables in published.items():
        more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
        yield RLS031.finding(
            view.place(view.catalogue.tables[tables[0]]),
            f"publication {publication} streams every tenant's rows of {tables[0]}{more} to whoever may "
            "subscribe",
            "nothing, if every subscriber may hold all tenants' rows; else a publication with a row filter",
            table=tables[0],
            subject=publication,
            severity="info",
        )


def _names(tables: list[Table]) -> str:
    return ", ".join(table.qualified for table in tables)


def _whose_rows(table: Table) -> str:
    """Say what an exempt reader gets; only a table that has tenants has rows of theirs."""
    return "every tenant's rows" if table.tenant_column else "every row"


# Functions


def function_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS032 and RLS035 for the functions that the role, or its policies and triggers, can run."""
    called = _called_by_tables(view)
    for function in view.catalogue.functions.values():
        reached = view.may_execute(function) and not function.is_trigger
        if function.security_definer and (reached or function.qualified in called):
            yield from _definer(function, view)
            if function.qualified not in called:
                yield from _answers_about_rows(function, view)
        if reached:
            yield from _sets_tenant(function, view)
        if reached and function.leakproof and function.arguments:
            yield from _leakproof(function, view, helper=function.qualified in called)


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
    elif _is_empty_path(function) and _unqualified(body, view.catalogue):
        names = ", ".join(sorted(_unqualified(body, view.catalogue)))
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
        done = f"reaches {_whose_rows(table)} through it" if told else "may add rows of any id that it names"
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
                f"{view.owner_text(function.owner)}, and {why}: {view.role} may change {_whose_rows(table)} "
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


def _unqualified(body: str, catalogue: Catalogue) -> frozenset[str]:
    """Return the tables that a body names without a schema."""
    tables = {table.name for table in catalogue.tables.values()}
    text = _STRINGS.sub("''", body)
    found = {name.strip('"') for name in _BARE_RELATION.findall(text)}
    return frozenset((found & tables) - _NOT_RELATIONS - set(_COMMON_TABLE.findall(text)))


def names_relation(body: str, schema: str, name: str) -> bool:
    """Say whether a routine's text names a relation: qualified anywhere, or bare where one stands.

    Read as text because PL/pgSQL keeps no dependencies; a name made while it runs stays unseen.
    """
    if name.lower() not in body.lower():
        return False
    qualified = rf'\b{re.escape(schema)}"?\s*\.\s*"?{re.escape(name)}\b'
    bare = rf'{_RELATION_WORD}"?{re.escape(name)}\b(?!\s*\.)'
    return re.search(f"{qualified}|{bare}", body, re.IGNORECASE) is not None


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


# Partitions and children


def child_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS033 for partitions and inheritance children that answer without row security."""
    for table in view.catalogue.tables.values():
        parents = (table.parent,) if table.parent else table.inherits
        protected = next((name for name in parents if _root_protected(name, view)), None)
        granted = view.commands(table)
        if protected is None or table.enabled or not granted:
            continue
        if not (view.hosted or view.granted_by_name(table)):
            continue  # nobody knows whether the application was granted the partition itself
        kind = "partition" if table.parent else "child"
        yield RLS033.finding(
            view.place(table),
            f"{table.qualified} is a {kind} of {protected} without row security, and {view.role} may "
            f"{' and '.join(granted)} it directly: every tenant's rows in it",
            f"REVOKE ALL ON {table.written} FROM {_grantees(table, view)}; "
            f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;",
            table=table.qualified,
        )


def made_partition_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS033 for functions that make partitions of a protected table while they run.

    A partition gets no row security from its parent; what default privileges give, it answers with.
    """
    for function in view.catalogue.functions.values():
        body = body_text(function)
        for schema, name in _MADE_PARTITION.findall(body):
            parent = view.catalogue.table(".".join(part.strip('"') for part in (schema, name) if part))
            if parent is None or not view.is_protected(parent.qualified) or _PROTECTS.search(body):
                continue
            if not view.from_history or not _given_by_default(parent.schema, view):
                continue
            yield RLS033.finding(
                view.place(function),
                f"function {function.qualified} makes partitions of {parent.qualified} without row security, "
                f"and {view.role} is granted each new table: every tenant's rows in it",
                "enable row security in it, with a policy, or revoke the partition from who serves tenants",
                table=parent.qualified,
                subject=function.signature,
            )


def _given_by_default(schema: str, view: Viewpoint) -> bool:
    """Say whether new tables of a schema are readable to the role as soon as they are made."""
    given = (one for one in view.catalogue.default_privileges if one.objects == "tables")
    return view.hosted or any(
        one.grantee in view.rights and one.privilege == "select" and one.schema in {None, schema}
        for one in given
    )


def _root_protected(name: str, view: Viewpoint) -> bool:
    if view.is_protected(name):
        return True
    table = view.catalogue.tables.get(name)
    return table is not None and table.parent is not None and _root_protected(table.parent, view)


def _grantees(table: Table, view: Viewpoint) -> str:
    found = {grant.grantee for grant in view.catalogue.grants_on(table.qualified)} & view.rights
    return ", ".join(sorted(found)) or view.role


# Triggers and rules


def copy_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS034 for triggers and rules that write into tables without row security."""
    for table in view.catalogue.tables.values():
        if not view.is_protected(table.qualified):
            continue
        for what, source, name in _copies(table, view):
            target = view.catalogue.tables.get(name)
            if target is not None and _is_open_copy(target, table, view):
                yield RLS034.finding(
                    view.place(source, table),
                    f"{what} on {table.qualified} writes into {name}, which has no row security and which "
                    f"{view.role} may read: every tenant's rows in it",
                    f"give {name} row security of its own, or take the right to read it from {view.sql_role}",
                    table=name,
                    subject=f"{table.qualified}:{what}",
                )


def _copies(table: Table, view: Viewpoint) -> Iterator[tuple[str, Trigger | RewriteRule, str]]:
    """Yield (what writes, it, the table it writes into), triggers and rules by name."""
    for trigger in sorted(table.triggers, key=lambda one: one.name):
        if trigger.enabled:
            for target in sorted(_targets(trigger.function, view)):
                yield f"trigger {trigger.name}", trigger, target
    for rule in sorted(table.rules, key=lambda one: one.name):
        for target in sorted(rule.reads):
            yield f"rule {rule.name}", rule, target


def _is_open_copy(target: Table, table: Table, view: Viewpoint) -> bool:
    if target.enabled or target.qualified == table.qualified or view.config.is_global(target.qualified):
        return False
    return "select" in view.privileges(target.qualified)


def _targets(function: str, view: Viewpoint) -> frozenset[str]:
    """Return the tables that a trigger's function writes, by what its text says."""
    found: set[str] = set()
    for one in view.session.functions(function):
        for written in _WRITES.findall(body_text(one)):
            parts = [part.strip().strip('"') for part in written.split(".")]
            schemas = parts[:1] if len(parts) > 1 else _path(one, view.catalogue)
            candidates = [f"{schema}.{parts[-1]}" for schema in schemas]
            found.update(name for name in candidates if name in view.catalogue.tables)
    return frozenset(found)


def _path(function: Function, catalogue: Catalogue) -> list[str]:
    if function.search_path:
        return [part.strip().strip("\"'") for part in function.search_path.split(",")]
    return ["public", *(schema for schema in catalogue.schemas if schema != "public")]
