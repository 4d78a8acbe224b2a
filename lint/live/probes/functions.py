"""Functions that the role may call: do they return, change or bind another tenant's rows?

Only functions that can do more than their caller are called: SECURITY DEFINER, a SET clause, or a
body that makes settings. Each is called with B's ids for its arguments and undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lint.live.probes.doors import changes, seen_in
from lint.live.probes.reads import visible
from lint.live.probes.scene import Scene, Target, many
from lint.live.probes.session import AS_LOGIN, name, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CALLABLE: Final = """
SELECT p.oid, n.nspname, p.proname, p.prosecdef, p.prokind::text, p.provolatile::text, p.proleakproof,
       coalesce(p.proconfig, '{{}}')::text[], p.prosrc,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, at)
              ORDER BY u.at),
       format_type(p.prorettype, NULL), p.provariadic <> 0
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind IN ('f', 'p')
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
   AND l.lanname NOT IN ('c', 'internal')
   AND (p.prosecdef OR p.proconfig IS NOT NULL OR p.proleakproof OR p.prosrc ~* 'set_config|set\\s+local')
   AND has_schema_privilege({role}, n.oid, 'USAGE') AND has_function_privilege({role}, p.oid, 'EXECUTE')
   AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass
                   AND x.objid = p.oid AND x.deptype = 'e')
 ORDER BY p.prosecdef DESC, 2, 3
"""
_PLAIN_ARGUMENTS: Final = {
    "boolean": "true", "json": "{}", "jsonb": "{}", "date": "2026-01-15", "interval": "1 hour",
    "timestamp with time zone": "2026-01-15", "timestamp without time zone": "2026-01-15",
}  # fmt: skip
_NUMBERS: Final = ("integer", "bigint", "smallint", "numeric", "double precision", "real")
_TEXTS: Final = ("text", "character varying", "citext", "name")
#: An index on the tenant would hide from a function what a sequential scan shows it.
_NO_INDEX: Final = ("SET LOCAL enable_indexscan = off", "SET LOCAL enable_bitmapscan = off")
#: What a body that names a table its search_path does not hold ends with.
_UNDEFINED: Final = frozenset({"42P01", "42883", "3F000"})


@dataclass(frozen=True, slots=True)
class Callable:
    """A function or procedure that the role may call."""

    oid: int
    schema: str
    name: str
    definer: bool
    kind: str
    volatility: str
    leakproof: bool
    settings: tuple[str, ...]
    body: str
    arguments: tuple[str, ...]
    returns: str
    variadic: bool

    @property
    def qualified(self) -> str:
        """The name that findings use."""
        return f"{self.schema}.{self.name}"

    def call(self, values: Sequence[str | None]) -> str:
        """The call, its arguments cast to their types."""
        pairs = zip(values, self.arguments, strict=True)
        words = [f"{'NULL' if value is None else quoted(value)}::{kind}" for value, kind in pairs]
        if self.variadic:
            words[-1] = f"VARIADIC {words[-1]}"
        return f"{name(self.schema, self.name)}({', '.join(words)})"


def functions(scene: Scene) -> None:
    """Every function that can do more than the role that calls it."""
    for row in scene.session.rows(_CALLABLE.format(role=quoted(scene.actor.role))):
        function = _read(row)
        if scene.seeder is None and function.volatility == "v":
            continue
        if function.leakproof:
            _peeks(scene, function)
        _binds(scene, function)
        if scene.protocol.rules_of(function.qualified):
            continue
        if function.definer or any(setting.startswith("row_security=") for setting in function.settings):
            _called(scene, function)


def _read(row: tuple[Any, ...]) -> Callable:
    settings, body, arguments = tuple(row[7]), row[8], tuple(row[9])
    oid, schema, function, definer, kind, volatility, leakproof = row[:7]
    returns, variadic = row[10:]
    return Callable(
        oid,
        schema,
        function,
        definer,
        kind,
        volatility,
        leakproof,
        settings,
        body,
        arguments,
        returns,
        variadic,
    )


def _arguments(scene: Scene, function: Callable) -> list[str | None]:
    """B's ids wherever their type fits, plain values elsewhere."""
    made: list[str | None] = []
    kinds = {target.relation.columns[target.tenant].formatted for target in scene.targets}
    for kind in function.arguments:
        if kind in _NUMBERS:
            made.append(scene.b if scene.b.isdigit() else "1")
        elif kind in kinds or kind in {"uuid", *_TEXTS}:
            made.append(scene.b)
        else:
            made.append("{}" if kind.endswith("[]") else _PLAIN_ARGUMENTS.get(kind))
    return made


def _called(scene: Scene, function: Callable) -> None:
    call = function.call(_arguments(scene, function))
    fix = f"compare the tenant in {function.qualified}, or ALTER FUNCTION … SECURITY INVOKER"
    if function.kind == "f":
        # The call is kept apart from the condition, so that it is evaluated once.
        answer = scene.as_a(seen_in(scene, f"(SELECT {call} AS value OFFSET 0)"))
        if answer.failed:
            _broken(scene, function, answer.sqlstate, answer.said)
        elif answer.last[0][0] and not _echoes(scene, function):
            message = (
                f"as tenant A, {many(answer.last[0][0])} of tenant B through function {function.qualified}"
            )
            scene.report("RLS032", function.qualified, "function", message, fix)
            return
        read = [target for target in scene.targets if target.relation.name in function.body]
        if not answer.failed and read and changes(scene, f"SELECT {call} AS value", read):
            message = f"as tenant A, {function.qualified} answers otherwise when tenant B gets a row"
            scene.report("RLS032", function.qualified, "function", message, fix)
    if function.volatility == "v":
        _touches(scene, function, call, fix)


def _echoes(scene: Scene, function: Callable) -> bool:
    """Whether the function only returned the argument that it was given."""
    known = {target.relation.columns[target.tenant].formatted for target in scene.targets}
    return function.returns in known and bool(function.arguments)


def _broken(scene: Scene, function: Callable, sqlstate: str, said: str) -> None:
    """A body that does not find its names is a fault; a refusal holds; anything else is no answer."""
    if sqlstate in _UNDEFINED and f"{function.name}(" not in said:
        message = f"as tenant A, {function.qualified} fails: {said}"
        fix = "write the schema of each name in its body: its search_path does not hold them"
        scene.report("RLS032", function.qualified, "function", message, fix)
    elif sqlstate[:2] in {"42", "22", "55", "57"} and sqlstate != "42501":
        why = f"it could not be called with made-up arguments: {said}"
        scene.protocol.inconclusive(function.qualified, "function", why)


def _touches(scene: Scene, function: Callable, call: str, fix: str) -> None:
    """Whether a call as A changes or deletes rows of B: their places in the tables tell."""
    statement = f"CALL {call}" if function.kind == "p" else f"SELECT {call}"
    if not scene.targets:
        return
    places = ", ".join(_places(target, scene.b) for target in scene.targets if target.foreign)
    look = f"SELECT md5(concat_ws(';', {places}))"
    scene.protocol.tried()
    become = scene.actor.script(scene.settings(scene.a), statement)
    answer = scene.session.undone([look, *become, AS_LOGIN, look])
    if not answer.failed and answer.rows[0] != answer.last:
        message = f"as tenant A, calling {function.qualified} changes rows of tenant B"
        scene.report("RLS032", function.qualified, "function effect", message, fix)


def _places(target: Target, tenant: str) -> str:
    rows = f"FROM {target.sql} WHERE {target.column} = {quoted(tenant)}"
    return f"(SELECT coalesce(string_agg(tableoid || ' ' || ctid, ',' ORDER BY tableoid, ctid), '-') {rows})"


def _binds(scene: Scene, function: Callable) -> None:
    """A function that makes the tenant's setting moves its caller to any tenant."""
    set_clause = [
        setting for setting in function.settings if setting.partition("=")[0].lower() in scene.carriers
    ]
    if set_clause:
        message = f"{function.qualified} runs with {set_clause[0]}, whichever tenant calls it"
        fix = f"ALTER FUNCTION {function.qualified} RESET {set_clause[0].partition('=')[0]};"
        scene.report("RLS032", function.qualified, "function", message, fix)
    if "set_config" not in function.body.lower() or function.kind != "f":
        return
    target = next((one for one in scene.targets if one.readable), None)
    for values in _binding_calls(scene, function):
        if target is None:
            continue
        answer = scene.as_a(f"SELECT {function.call(values)}", visible(target, scene.a))
        if not answer.failed and answer.last[0][1]:
            message = (
                f"as tenant A, after {function.qualified} {many(answer.last[0][1])} of {target.qualified}"
            )
            fix = f"REVOKE EXECUTE ON FUNCTION {function.qualified} FROM PUBLIC, {scene.actor.role};"
            scene.report("RLS035", function.qualified, "function binds", message, fix)
            return


def _binding_calls(scene: Scene, function: Callable) -> Iterator[list[str | None]]:
    for setting, value in scene.settings(scene.b).items():
        values = _arguments(scene, function)
        texts = [at for at, kind in enumerate(function.arguments) if kind in _TEXTS]
        if len(texts) > 1:
            values[texts[0]], values[texts[1]] = setting, value
        elif texts:
            values[texts[0]] = value
        yield values


def _peeks(scene: Scene, function: Callable) -> None:
    """A LEAKPROOF function is run before the policy: what it tells, it tells of every row."""
    if len(function.arguments) != 1 or function.arguments[0] not in _TEXTS:
        return
    for target in (one for one in scene.targets if one.readable and one.active):
        column = next((one.name for one in target.relation.columns.values() if one.base == "text"), None)
        if column is None:
            continue
        call = f"{name(function.schema, function.name)}({name(column)})"
        asking = f"SELECT count(*) FROM {target.sql} WHERE {call}"  # noqa: S608 - quoted
        heard = scene.session.overheard(scene.actor.script(scene.settings(scene.a), *_NO_INDEX, asking))
        scene.protocol.tried()
        mark = scene.seeder.mark(scene.b) if scene.seeder else scene.b
        if any(mark in text for text in heard):
            message = (
                f"as tenant A, LEAKPROOF {function.qualified} is shown rows of tenant B in {target.qualified}"
            )
            fix = f"ALTER FUNCTION {function.qualified} NOT LEAKPROOF;"
            scene.report("RLS032", function.qualified, "leakproof", message, fix)
            return
