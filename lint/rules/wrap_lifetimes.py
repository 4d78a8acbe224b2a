"""WRAP004: is the transaction that a setting is bound to over before anything can use it?

Only what stands in the same function proves it: a pool that gives each query another connection, a
connection taken there with no transaction begun on it, autocommit switched on. A connection that came
as a parameter may be in a transaction already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.access import executor_of, root_of
from lint.source.holders import steps_of
from lint.source.program import binds_of, last
from lint.source.sites import Within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.readers import Readers
    from lint.source.settings import SettingSite
    from lint.source.sites import Call, Function, Source

_BEGINS = re.compile(r"\s*(?:BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)
_POOL = re.compile(r"(?:^|[._])(?:\w*[a-z])?pool$", re.IGNORECASE)
_PRISMA = re.compile(r"(?:^|\.)prisma\w*$", re.IGNORECASE)
_TRANSACTIONS = frozenset(
    {"transaction", "$transaction", "begin", "begin_nested", "atomic", "tx", "start", "startTransaction"}
    | {"transactional", "withTransaction", "inTransaction", "runInTransaction"}
)
#: Types that stand for a whole pool: each statement run on one may get another connection.
_POOLED = re.compile(
    r"\b(?:DataSource|EntityManager|Pool|DatabasePool|PostgresJsDatabase|NodePgDatabase|NeonHttpDatabase|"
    r"NeonDatabase|VercelPgDatabase|Kysely|Knex|Sequelize|MikroORM|(?:Drizzle|Database)\w*(?:Client|Connection|DB))\b"
)
_RUNS_ON_POOL = frozenset({"query", "execute", "raw", "unsafe", "executeQuery"})
_PRISMA_RUNS = frozenset({"$executeRaw", "$queryRaw", "$executeRawUnsafe", "$queryRawUnsafe"})
_AUTOCOMMIT = re.compile(r"\bautocommit\b\s*[=:]?\s*True|AUTOCOMMIT")


def why_over(site: SettingSite, readers: Readers) -> str | None:
    """Return why the setting is gone at once, None when a transaction may be open."""
    call = site.call
    function = site.source.functions.get(site.function)
    if call is None or function is None:
        return None
    if _in_transaction(site, function):
        return _work_without(call, site, function)
    if site.source.language == "typescript":
        return _over_in_typescript(site, call, readers)
    return _over_in_python(site, call, function)


def _work_without(call: Call, site: SettingSite, function: Function) -> str | None:
    """Return why work that is run inside the transaction is not in it: it is not given the connection.

    `transaction(async (tx) => { bind(tx); return work(); })`: what work queries runs on others, unless
    the connection is kept where it can be found.
    """
    root = root_of(call)
    if site.source.language != "typescript" or root not in function.parameters:
        return None
    parameters = {
        name
        for around in (site.source.functions.get(one) for one in _around(site.function))
        for name in (around.parameters if around is not None else ())
    }
    here = [one for one in site.source.calls if one.function == site.function and one is not call]
    kept = any(root in argument.names or root == argument.text for one in here for argument in one.arguments)
    kept = kept or any(root in bind.values for bind in binds_of(function))
    work = next((one for one in here if one.written in parameters), None)
    if kept or work is None:
        return None
    return f"{work.written}() is not given {root}, so that what it queries runs on other connections"


def _around(function: str) -> Iterator[str]:
    """Yield the functions that stand around one."""
    while "." in function:
        function = function.rpartition(".")[0]
        yield function


def _in_transaction(site: SettingSite, function: Function) -> bool:
    """Say whether a transaction is begun before or around the statement, in sight."""
    line = site.place.line
    names = {name for text in (site.text,) if text is not None for name in text.calls}
    if not _TRANSACTIONS.isdisjoint(names) or _begins(site):
        return True
    for step in steps_of(function.body):
        call = step.call if isinstance(step, Within) else None
        if call is not None and call.name in _TRANSACTIONS and call.place.line <= line:
            return True
    for call in site.source.calls:
        if call.function == site.function and call.name in _TRANSACTIONS and call.place.line <= line:
            return True
    return _is_callback(site.function, site.source)


def _begins(site: SettingSite) -> bool:
    around = site.function
    texts = (t for t in site.source.texts if around == t.function or around.startswith(f"{t.function}."))
    return any(_BEGINS.match(text.value) for text in texts) or bool(
        site.text is not None and re.search(r"\bBEGIN\b", site.text.value)
    )


def _is_callback(function: str, source: Source) -> bool:
    """Say whether a function, or one around it, is handed to something that runs it in a transaction."""
    for call in source.calls:
        if call.name in _TRANSACTIONS and any(
            argument.function
            and (function == argument.function or function.startswith(f"{argument.function}."))
            for argument in call.arguments
        ):
            return True
    return False


def _over_in_typescript(site: SettingSite, call: Call, readers: Readers) -> str | None:
    tagged = "." not in call.written and site.text is not None and site.text.tagged
    root = call.written if tagged else executor_of(call, site.source)
    raw = readers.connections.holds(root, site.function, site.source)
    if call.name in _PRISMA_RUNS:
        if _PRISMA.search(root):
            return f"{root} runs each statement in a transaction of its own"
        return None
    if call.name == "query" and (_POOL.search(root) or (raw and _is_pool(root, site.source))):
        return f"each {root}.query() may run on another connection"
    if call.name in _RUNS_ON_POOL and _is_kept_pool(root, site):
        return f"each {root}.{call.name}() may run on another connection"
    if call.name == "query" and root in _taken(site) and (raw or _is_runner(root, site)):
        return f"no transaction is begun on {root}"
    if raw and (tagged or call.name in _RUNS_ON_POOL) and not _is_parameter(root, site):
        return f"{root} runs each statement in a transaction of its own, perhaps on another connection"
    return None


def _is_parameter(root: str, site: SettingSite) -> bool:
    """Say whether a function around is given what it runs on: who gives it may have begun a transaction."""
    functions = (site.source.functions.get(one) for one in (site.function, *_around(site.function)))
    return any(root in one.parameters for one in functions if one is not None)


def _is_kept_pool(root: str, site: SettingSite) -> bool:
    """Say whether an object keeps a whole pool in an attribute; a parameter may be a transaction of one."""
    owner, dot, attribute = root.partition(".")
    if owner != "this" or not dot:
        return False
    name = site.function
    while name:
        name = name.rpartition(".")[0]
        known = site.source.classes.get(name)
        if known is not None:
            return _POOLED.search(known.attributes.get(attribute, "")) is not None
    return False


def _is_runner(root: str, site: SettingSite) -> bool:
    """Say whether a name is a TypeORM query runner, one connection that begins nothing by itself."""
    return any(root in names and call.name == "createQueryRunner" for call, names in _bound_here(site))


def _bound_here(site: SettingSite) -> Iterator[tuple[Call, tuple[str, ...]]]:
    return _bound(site.source, site.function)


def _is_pool(root: str, source: Source) -> bool:
    made = (call for call in source.calls if root in call.bound_to)
    return any(last(call.callee) == "Pool" for call in made)


def _over_in_python(site: SettingSite, call: Call, function: Function) -> str | None:
    root = root_of(call)
    if _autocommits(root, site, function):
        return f"{root} is in autocommit mode"
    libraries = {name.partition(".")[0] for name in site.source.imports.values()}
    if "asyncpg" not in libraries:
        return None
    if _POOL.search(root):
        return f"each {root}.{call.name}() may run on another connection"
    if root in _taken(site):
        return f"asyncpg begins no transaction by itself and {root} has none"
    return None


def _autocommits(root: str, site: SettingSite, function: Function) -> bool:
    for one, names in _bound(site.source, site.function):
        switched = any(_AUTOCOMMIT.search(f"{a.keyword or ''}={a.text}") for a in one.arguments)
        if root in names and switched:
            return True
    for bind in binds_of(function):
        if (
            f"{root}.autocommit" in bind.targets
            and bind.constant == "True"
            and bind.place.line < site.place.line
        ):
            return True
    return False


def _taken(site: SettingSite) -> frozenset[str]:
    """Return the names that a connection or client taken in this function has."""
    takes = {"acquire", "connect", "getconn", "Client", "connection", "create_client", "createQueryRunner"}
    return frozenset(
        name for call, names in _bound(site.source, site.function) if call.name in takes for name in names
    )


def _bound(source: Source, function: str) -> Iterator[tuple[Call, tuple[str, ...]]]:
    for call in source.calls:
        if call.function == function and call.bound_to:
            yield call, call.bound_to
    known = source.functions.get(function)
    for step in steps_of(known.body) if known is not None else ():
        if isinstance(step, Within) and step.call is not None and step.name:
            yield step.call, (step.name,)
