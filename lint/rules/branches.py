"""The ways in which a policy's expression can become true, and what each asks of the row.

An expression is read as alternatives (OR) of conditions (AND). An alternative is *bound* when one
of its conditions compares the row with the session or with a sub-select; every other is a door, and
its conditions say which: an unset setting, a switch that the session can set, or nothing at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

from sqlglot import expressions as exp

from lint.catalogue import PUBLIC
from lint.rules.bodies import calls_that_may_ask
from lint.rules.expressions import (
    arguments_of,
    called_functions,
    function_name,
    inlined_call,
    is_connected_role,
    literal,
    uncast,
)
from lint.rules.predicates import PredicateError, bare, constant, parse_predicate
from lint.rules.results import result_of
from lint.rules.scopes import columns_with_meaning
from lint.rules.unset import true_when_unset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import Function, Policy, Table
    from lint.rules.expressions import Session
    from lint.rules.scopes import Scope

Kind = Literal[
    "tenant",
    "row",
    "unset",
    "switch",
    "state",
    "anyone",
    "untied",
    "elsewhere",
    "no_tenant",
    "literal",
    "open",
]

_MAX_ALTERNATIVES = 256
#: Roles as which a hosted platform's clients come; a test for one of them is passed by every tenant.
_CLIENTS = frozenset({"authenticated", "anon"})
_PUBLIC_ROLES = frozenset({PUBLIC, "authenticated"})
#: Comparisons that more than one tenant passes.
_REFUSING = (exp.NEQ, exp.NullSafeNEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
#: What decides by its parts, so that a function's body is worth opening.
_DECIDING = (exp.Or, exp.And, exp.Case)
#: What a comparison is when it is denied.
_DENIED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.NullSafeEQ: exp.NullSafeNEQ,
    exp.NullSafeNEQ: exp.NullSafeEQ,
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
}
#: What a value must hold to name a tenant: any digit but zero, or a word that is not one for nobody.
_SOMEBODY = re.compile(
    r"[1-9]|^(?!null$|none$|nobody$|unset$|undefined$|invalid$|anonymous$)[a-z]", re.IGNORECASE
)
#: Words by which people of the platform are told from those of a tenant.
_PLATFORM = re.compile(
    r"super|platform|system|staff|root|global|internal|service|support|saas|operator|is_?admin|god",
    re.IGNORECASE,
)
#: Marks a condition with the function ("schema.name") in whose body it stands.
_THROUGH = "through"
#: Marks the body of a SECURITY DEFINER function.
_AS_OWNER = "as_owner"
#: Functions that call each other are opened so deep.
_MAX_DEPTH = 4
Way = tuple[exp.Expr, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an alternative: what kind of question it is, and its node.

    "untied" looks the row up in other tables, and asks nowhere who is connected; "elsewhere" asks who is
    connected in a table of tenants, and nowhere for the row, so that any tenant of theirs will do.
    """

    kind: Kind
    node: exp.Expr

    @property
    def function(self) -> str | None:
        """The function in whose body the condition stands, None where the policy says it itself."""
        name: str | None = self.node.meta.get(_THROUGH)
        return name

    @property
    def sql(self) -> str:
        """The condition as SQL."""
        return _without_casts_of_constants(self.node).sql("postgres")

    @property
    def text(self) -> str:
        """The condition as SQL, at most 80 characters."""
        text = self.sql
        return text if len(text) <= 80 else f"{text[:77]}…"


@dataclass(frozen=True, slots=True)
class Alternative:
    """Conditions that together let a row through."""

    conditions: tuple[Condition, ...]

    @property
    def bound(self) -> bool:
        """True when the row is compared with the session, or with rows the session may see."""
        return any(condition.kind in {"tenant", "row"} for condition in self.conditions)

    def first(self, *kinds: Kind) -> Condition | None:
        """Return the first condition of one of these kinds, or None."""
        return next((condition for condition in self.conditions if condition.kind in kinds), None)

    @property
    def text(self) -> str:
        """The alternative as SQL, at most 80 characters."""
        text = " AND ".join(condition.text for condition in self.conditions) or "true"
        return text if len(text) <= 80 else f"{text[:77]}…"


class Branches:
    """Reads the expressions of one table's policies."""

    def __init__(
        self, scope: Scope, tenant_column: str | None, session: Session, serving: Iterable[str] = ()
    ) -> None:
        self.scope = scope
        self.tenant_column = tenant_column
        self.session = session
        #: The roles that every tenant comes as.
        self.serving = frozenset(serving)

    def alternatives(self, tree: exp.Expr) -> tuple[Alternative, ...]:
        """Return every way an expression can be true; none when it is false."""
        ways = self._ways(bare(tree))[:_MAX_ALTERNATIVES]
        return tuple(Alternative(tuple(self._condition(node) for node in way)) for way in ways)

    def _ways(self, node: exp.Expr, call: exp.Expr | None = None, depth: int = 0) -> list[Way]:
        """Return the ways of a node; inside the body of a `call`, what looks something up is the call."""
        node = _decided(node)
        known = constant(node)
        if known is not None or isinstance(node, exp.Null):
            return [()] if known else []
        if isinstance(node, exp.Or):
            return self._ways(node.this, call, depth) + self._ways(node.expression, call, depth)
        if isinstance(node, exp.And):
            return _all_of(self._ways(node.this, call, depth), self._ways(node.expression, call, depth))
        if isinstance(node, exp.Case) and node.this is None:
            return self._case(node, call, depth)
        body = self._body(node) if depth < _MAX_DEPTH else None
        if body is not None:
            return self._ways(body, call or node, depth + 1)
        if call is None:
            return [(node,)]
        node.meta[_THROUGH] = function_name(call)
        return [(call if _has_query(node) else node,)]

    def _case(self, node: exp.Case, call: exp.Expr | None, depth: int) -> list[Way]:
        """Return the ways of each branch, with what its condition and those before it ask."""
        ways: list[Way] = []
        before: list[Way] = [()]
        for branch in node.args.get("ifs") or ():
            holds = self._ways(branch.this, call, depth)
            ways += _all_of(_all_of(before, holds), self._ways(branch.args["true"], call, depth))
            before = _all_of(before, self._ways(exp.Not(this=branch.this.copy()), call, depth))
        default = node.args.get("default")
        return ways if default is None else ways + _all_of(before, self._ways(default, call, depth))

    def _body(self, node: exp.Expr) -> exp.Expr | None:
        """Return the expression that a call of a function of this database is, if it decides by itself."""
        name = function_name(node)
        function = self._meant(name, node) if name is not None else None
        if function is None:
            return None
        body = result_of(function, arguments_of(node))
        if body is None or (_has_query(body) and not isinstance(_decided(body), _DECIDING)):
            return None
        return body

    def _meant(self, name: str, call: exp.Expr) -> Function | None:
        """Return the function that a call means: the only one, or the overload for what it is handed."""
        functions = self.session.functions(name)
        if len(functions) == 1:
            return functions[0]
        handed = [uncast(one) for one in arguments_of(call)]
        known = {one.name: one.type for columns in self.scope.relations.values() for one in columns or ()}
        types = ", ".join(known.get(one.name, "") for one in handed if isinstance(one, exp.Column))
        return next((one for one in functions if types and one.arguments == types), None)

    def _condition(self, node: exp.Expr) -> Condition:
        return Condition(self._kind(node), node)

    def _kind(self, node: exp.Expr) -> Kind:
        node = self._looked_up(node) or node
        row = self.row_columns(node)
        asks = self.session.asks_session(node)
        if row:
            return self._row_kind(node, row, asks=asks)
        if self._is_elsewhere(node, asks=asks):
            return "elsewhere"
        if self._passes_anyone(node) or self._body_passes_anyone(node):
            return "anyone"
        if not asks:
            return "state" if _has_query(node) or calls_that_may_ask(node, self.session) else "open"
        return self._session_kind(node)

    def _passes_anyone(self, node: exp.Expr) -> bool:
        """Say whether a condition on the session is true for every client, or whoever is signed in."""
        if _names_clients(node) or self._names_serving(node):
            return True
        return _is_signed_in(node) and self.session.asks_session(node)

    def _names_serving(self, node: exp.Expr) -> bool:
        """Say whether a condition asks whether the connected role is the one that serves every tenant."""
        inner = bare(node)
        if isinstance(inner, (exp.EQ, exp.In)) and not _has_query(inner):
            asks = is_connected_role(uncast(inner.this)) or is_connected_role(
                uncast(inner.expression or inner)
            )
        else:
            asks = (function_name(inner) or "").lower().removeprefix("pg_catalog.") == "pg_has_role"
        return asks and any(one.this in self.serving for one in inner.find_all(exp.Literal) if one.is_string)

    def _body_passes_anyone(self, node: exp.Expr) -> bool:
        """Say the same of a function without arguments whose body is one such expression."""
        call = bare(node)
        name = function_name(call)
        bodies = [inlined_call(one, call) for one in self.session.functions(name)] if name else []
        return bool(bodies) and all(body is not None and self._passes_anyone(body) for body in bodies)

    def _row_kind(self, node: exp.Expr, row: frozenset[str], *, asks: bool) -> Kind:
        """Judge a condition that names a column of the protected row."""
        if _is_null_test(node):
            return "no_tenant" if row == {self.tenant_column} and not _negated(node) else "open"
        if asks and (self._own_value_stands_in(node) or true_when_unset(node, self.session)):
            return "unset"
        if self._is_untied(node):
            return "untied"
        if self._leaves_out(node):
            return "open"
        if asks or _has_query(node) or calls_that_may_ask(node, self.session):
            return "tenant" if self.tenant_column in row else "row"
        if self.tenant_column in row and isinstance(bare(node), (exp.EQ, exp.In)):
            return "literal"
        return "open"

    def _session_kind(self, node: exp.Expr) -> Kind:
        """Judge a condition on the session alone: is it true when nothing was set, or by a switch?"""
        inner = bare(node)
        while isinstance(inner, exp.Not):
            inner = bare(inner.this)
        if _has_query(node) or not self.session.switches_in(inner):
            return "unset" if true_when_unset(node, self.session) else "state"
        if true_when_unset(node, self.session):
            return "unset"
        return "state" if _is_null_test(inner) else "switch"

    def _leaves_out(self, node: exp.Expr) -> bool:
        """Say whether a condition only refuses some rows or tenants, and lets every other through."""
        inner = bare(node)
        if isinstance(inner, exp.Not):
            told = bare(inner.this)
            looks_up = isinstance(told, exp.Exists) or (isinstance(told, exp.In) and _has_query(told))
            return looks_up and told.find(exp.Not, exp.NEQ, exp.NullSafeNEQ) is None
        sides = [uncast(inner.this), uncast(inner.expression)] if isinstance(inner, _REFUSING) else []
        named = {name for side in sides if isinstance(side, exp.Column) for name in self.row_columns(side)}
        if isinstance(inner, (exp.NEQ, exp.NullSafeNEQ)):
            return bool(named)
        return self.tenant_column in named

    def _looked_up(self, node: exp.Expr) -> exp.Expr | None:
        """Return the query that a call of a function of this database is, the row named in full in it."""
        call = bare(node)
        name = function_name(call)
        functions = self.session.functions(name) if name is not None else []
        if len(functions) != 1:
            return None
        body = result_of(functions[0], [self._named_in_full(one) for one in arguments_of(call)])
        if body is None or not _has_query(body) or self._hides_the_row(body):
            return None
        if functions[0].security_definer:
            body.meta[_AS_OWNER] = True
        return body

    def _named_in_full(self, node: exp.Expr) -> exp.Expr:
        def named(part: exp.Expr) -> exp.Expr:
            if isinstance(part, exp.Column) and not part.table and self.row_columns(part):
                return exp.column(part.this.copy(), table=self._row_name)
            return part

        return node.copy().transform(named)

    @property
    def _row_name(self) -> str:
        return next(iter(self.scope.relations))

    def _hides_the_row(self, body: exp.Expr) -> bool:
        """Say whether a body reads a relation that is called as the protected table is."""
        return any(one.alias_or_name == self._row_name for one in body.find_all(exp.Table))

    def _is_elsewhere(self, node: exp.Expr, *, asks: bool) -> bool:
        """Say whether a look-up asks for a row of the caller's in a table of tenants, of whichever tenant.

        One that names the people of the platform, or rows of no tenant, is left to its author.
        """
        if not asks or not _has_query(node) or _PLATFORM.search(node.sql("postgres")):
            return False
        tables = (one for one in self._tables_in(node) if one is not None)
        columns = {one.tenant_column for one in tables if one.tenant_column}
        nulls = (one.this for one in node.find_all(exp.Is) if _is_null_test(one) and not _negated(one))
        return bool(columns) and not any(isinstance(one, exp.Column) and one.name in columns for one in nulls)

    def _is_untied(self, node: exp.Expr) -> bool:
        """Say whether a look-up in other tables lets the same rows through whoever is connected.

        It is tied by what it asks itself, or by the policies of a table it reads; a view or a table
        that no migration shows may hold either.
        """
        if not _has_query(node) or any(True for _ in node.find_all(exp.Lateral, exp.Unnest, exp.Values)):
            return False
        if calls_that_may_ask(self._without_anyone(node), self.session):
            return False
        if self.session.asks_session(self._without_anyone(node)):
            return False
        as_owner = bool(node.meta.get(_AS_OWNER))
        tables = self._tables_in(node)
        return bool(tables) and all(
            table is not None and (self._is_open(table) or (as_owner and table.known and not table.forced))
            for table in tables
        )

    def _tables_in(self, node: exp.Expr) -> list[Table | None]:
        """Return the tables that an expression reads, None for each that is not known."""
        names = [f"{one.db}.{one.name}" if one.db else one.name for one in node.find_all(exp.Table)]
        return [self.scope.catalogue.table(name) for name in names]

    def _without_anyone(self, node: exp.Expr) -> exp.Expr:
        """Return a copy in which what every client passes is simply true."""

        def plain(part: exp.Expr) -> exp.Expr:
            return exp.true() if self._passes_anyone(part) else part

        copied: exp.Expr = node.copy().transform(plain)
        return copied

    def _is_open(self, table: Table) -> bool:
        """Say whether everybody may read all of a table, as far as its policies go."""
        if not table.known or table.parent or table.inherits:
            return False
        if not table.enabled:
            return not table.policies
        permissive = [policy for policy in table.permissive if policy.command in {"all", "select"}]
        restricted = len(permissive) < len(
            [policy for policy in table.policies if policy.command in {"all", "select"}]
        )
        return not restricted and any(self._opens(policy) for policy in permissive)

    def _opens(self, policy: Policy) -> bool:
        if policy.using is None or not _PUBLIC_ROLES.intersection(policy.roles):
            return False
        try:
            ways = self._ways(parse_predicate(policy.using))
        except (PredicateError, RecursionError):
            return False
        return any(all(self._passes_anyone(node) for node in way) for way in ways)

    def _own_value_stands_in(self, node: exp.Expr) -> bool:
        """Say whether the row is compared with coalesce(<setting>, <its own column>)."""
        return any(
            self.row_columns(uncast(part))
            for coalesce in node.find_all(exp.Coalesce)
            if self.session.asks_session(coalesce.this)
            for part in coalesce.expressions
            if isinstance(uncast(part), exp.Column)
        )

    def row_columns(self, node: exp.Expr) -> frozenset[str]:
        """Return the columns of the protected row that an expression names."""
        return frozenset(
            meaning.column
            for _, meaning in columns_with_meaning(node, self.scope)
            if meaning is not None and meaning.depth == 0
        )


def fallback_tenant(node: exp.Expr, session: Session) -> str | None:
    """Return the constant tenant that a comparison takes where the setting is not made, or None.

    A constant that stands for nobody, such as the uuid of zeros or a negative number, is none.
    """
    for coalesce in node.find_all(exp.Coalesce):
        value = literal(coalesce.expressions[-1]) if coalesce.expressions else None
        if value is not None and _SOMEBODY.search(value) and session.asks_session(coalesce.this):
            return value
    return None


def _all_of(left: list[Way], right: list[Way]) -> list[Way]:
    """Return every way in which two conditions hold together."""
    return [a + b for a, b in product(left[:_MAX_ALTERNATIVES], right[:16])]


def _decided(node: exp.Expr) -> exp.Expr:
    """Return a condition without outer parentheses and IS TRUE, a denial moved in to what it denies."""
    node = bare(node)
    while isinstance(node, exp.Is) and _plain(node.expression) is True and not node.args.get("negate"):
        node = bare(node.this)
    if not isinstance(node, exp.Not):
        return node
    denied = bare(node.this)
    if isinstance(denied, exp.Not):
        return _decided(denied.this)
    if isinstance(denied, (exp.And, exp.Or)):
        sides = (exp.Not(this=side.copy()) for side in (denied.this, denied.expression))
        return (exp.Or if isinstance(denied, exp.And) else exp.And)(this=next(sides), expression=next(sides))
    opposite = _DENIED.get(type(denied))
    if opposite is not None:
        return opposite(this=denied.this.copy(), expression=denied.expression.copy())
    if _is_null_test(denied):
        return exp.Is(this=denied.this.copy(), expression=exp.null(), negate=not _negated(denied))
    return node


def _plain(node: exp.Expr) -> bool | None:
    return bool(node.this) if isinstance(node, exp.Boolean) else None


def _without_casts_of_constants(node: exp.Expr) -> exp.Expr:
    """Return a copy without the `::text` that PostgreSQL puts behind every constant."""

    def plain(part: exp.Expr) -> exp.Expr:
        return part.this if isinstance(part, exp.Cast) and isinstance(part.this, exp.Literal) else part

    copied: exp.Expr = node.copy().transform(plain)
    return copied


def _has_query(node: exp.Expr) -> bool:
    return node.find(exp.From) is not None


def _is_null_test(node: exp.Expr) -> bool:
    inner = bare(node)
    return isinstance(inner, exp.Is) and isinstance(uncast(inner.expression), exp.Null)


def _is_signed_in(node: exp.Expr) -> bool:
    """Say whether a condition on the session is `<who asks> IS NOT NULL`, true for whoever is anybody."""
    inner = bare(node)
    if isinstance(inner, exp.Not):
        return _is_null_test(inner.this) and not _negated(inner.this)
    return _is_null_test(inner) and _negated(inner)


def _names_clients(node: exp.Expr) -> bool:
    """Say whether a condition is `auth.role() = 'authenticated'`, or asks for one of several such roles."""
    inner = bare(node)
    if isinstance(inner, (exp.EQ, exp.In)) and not _has_query(inner) and _asks_role(inner.this):
        return any(one.this in _CLIENTS for one in inner.find_all(exp.Literal) if one.is_string)
    return False


def _asks_role(node: exp.Expr) -> bool:
    names = {name.rpartition(".")[2].lower() for name, _ in called_functions(node)}
    claims = [str(one.this).lower() for one in node.find_all(exp.Literal, exp.JSONPathKey)]
    return "role" in names or any(claim == "role" or claim.endswith(".role") for claim in claims)


def _negated(node: exp.Expr) -> bool:
    return bool(bare(node).args.get("negate"))
