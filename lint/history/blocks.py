"""PL/pgSQL bodies, followed as far as their text and the catalogue decide what runs.

Loops over literal arrays, VALUES and PostgreSQL's catalogs, and EXECUTE of literals, `||` and
`format` are unrolled, since whole families of policies exist only that way. A branch is taken
unless its condition is known to be false: the usual guard asks whether an object exists already, in
a history that may have begun before. What depends on data gives a note. Grammar: PostgreSQL manual,
chapter 43.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from lint.copying import replace
from lint.errors import SqlUnreadableError
from lint.history import facts
from lint.history.expressions import Expressions, Value
from lint.history.holes import without_holes
from lint.history.lexical import fold, is_name, is_string, literal
from lint.history.sql import Cursor, Script, Statement, split_statements, statements, tokenized
from lint.history.values import HOLE
from lint.history.virtual import Virtual
from lint.history.work import Rows, counts_rows, loop_source, question, swallows_duplicates
from lint.limits import check_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lint.catalogue import Function
    from lint.history.facts import Fact
    from lint.history.state import State

#: A body without these changes no schema, and is not followed.
_CHANGES_SCHEMA = re.compile(
    r"\b(?:execute|create|alter|drop|grant|revoke|perform|call|comment)\b", re.IGNORECASE
)
#: What EXECUTE of a text that begins so cannot do: change the schema.
_CHANGES_NOTHING = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "ANALYZE", "VACUUM", "REFRESH", "LOCK", "NOTIFY"}
    | {"TRUNCATE", "COPY", "REINDEX", "CLUSTER", "LISTEN", "EXPLAIN", "SHOW", "WITH"}
)
#: A loop nest that would unroll further than this is reported, not followed.
MAX_UNROLLED = 5000
_MAX_DEPTH = 40
_MAX_RANGE = 1000
#: Words of a query that does more than answer: a WITH query that writes, or a setting made by the way.
_ACTING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "SET_CONFIG"})
_UNKNOWN_TEXT = "EXECUTE of text that is known only when it runs"
_POLICY_CATALOGS = frozenset({"PG_POLICIES", "PG_POLICY"})
#: A variable is declared, filled, and then used.
_DECIDING_USES = 3
_BEFORE_STATEMENT = frozenset({"", ";", "THEN", "ELSE", "LOOP", "BEGIN"})
_SKIPPED = frozenset(
    {"RAISE", "RETURN", "NULL", "GET", "EXIT", "CONTINUE", "ASSERT", "CLOSE", "OPEN", "FETCH"}
)


def run_block(body: str | None, read: Callable[[Statement], list[Fact]], state: State) -> None:
    """Run a DO body on the state; `read` reads its statements."""
    if body is None:
        state.note("a DO block without a literal body")
        return
    _run(body, read, state, {}, "a DO block")


def run_function(function: Function, call: facts.RunFunction, state: State) -> None:
    """Run a function of this history with the arguments of a call, if it changes the schema."""
    if function.is_trigger or not _CHANGES_SCHEMA.search(function.body):
        return
    names = state.argument_names.get(function.signature, ())
    values: dict[str, Value] = dict.fromkeys(names)
    for number, argument in enumerate(call.arguments):
        values[f"${number + 1}"] = argument
        if number < len(names):
            values[names[number]] = argument
    if function.language == "plpgsql":
        _run(function.body, call.read, state, values, f"function {function.qualified}")
    elif function.language == "sql":
        for statement in statements(Script(function.body)):
            for change in call.read(statement):
                state.apply_one(change)


def _run(
    body: str, read: Callable[[Statement], list[Fact]], state: State, values: Mapping[str, Value], what: str
) -> None:
    secured: set[str] = set()
    unread = True
    try:
        block = _Block(body, read, state, values, secured)
        block.run()
        unread = block.unread
    except (SqlUnreadableError, IndexError, ValueError) as error:
        reason = "it ends too early" if isinstance(error, IndexError) else str(error)
        state.note(f"{what} that cannot be followed ({reason})")
    if unread:
        for table in [state.tables[name] for name in secured if name in state.tables]:
            state.put(replace(table, half_read=True))


class _Block:
    """One PL/pgSQL body: its tokens, variables of known value, and the state it changes."""

    def __init__(
        self,
        body: str,
        read: Callable[[Statement], list[Fact]],
        state: State,
        values: Mapping[str, Value],
        secured: set[str],
    ) -> None:
        self.read = read
        self.state = state
        self.cursor = Cursor(tokenized(body))
        self.values: dict[str, Value] = dict(values)
        self.guards = Expressions(self._lookup, self._virtual(absent=None).select)
        self.steps = 0
        self.depth = 0
        self.counts = counts_rows(body)
        #: How often each name is written, messages left out.
        self.uses = _uses(self.cursor.statement)
        #: How many FOR loops are open: what binds each tenant in turn may meet none of its rows.
        self.loops = 0
        #: The queries of cursors that are declared, by name.
        self.cursors: dict[str, list[str]] = {}
        #: Policies whose "it exists already" passes unheard here; None for those of any name.
        self.swallowed: frozenset[str] | None = frozenset()
        #: Tables that the body enables or whose policies it drops: what was not read may make policies there.
        self.secured = secured
        #: True when an EXECUTE was not read that may have made a policy.
        self.unread = False

    def _virtual(self, *, absent: bool | None) -> Virtual:
        return Virtual(self.state, self._lookup, absent=absent)

    def _lookup(self, name: tuple[str, ...]) -> Value:
        """Return a variable, or a field of a record."""
        value = self.values.get(name[0])
        if len(name) > 1:
            return value.get(name[1]) if isinstance(value, dict) else None
        if isinstance(value, dict):
            return next(iter(value.values())) if len(value) == 1 else None
        return value

    def run(self) -> None:
        while not self.cursor.done:
            self._statement()

    def _body(self, *ends: str) -> None:
        """Run statements until one of the words, which is left unread."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        while not self.cursor.done and self.cursor.word() not in ends:
            self._statement()
        self.depth -= 1

    def _step(self) -> None:
        check_time()
        self.steps += 1
        if self.steps > MAX_UNROLLED:
            raise ValueError(f"more than {MAX_UNROLLED} steps")

    def _statement(self) -> None:
        self._step()
        word = self.cursor.word()
        control = _CONTROL.get(word)
        if control is not None:
            control(self)
        elif word in _SKIPPED:
            self._tokens_to()
        elif not self._assignment():
            self._plain()

    def _run_to(self, *ends: str) -> Cursor:
        """Read tokens up to one of the words or `;` outside parentheses, and step over it."""
        cursor, first = self.cursor, self.cursor.at
        found = cursor.skip_to(";", *ends)
        run = cursor.window(first, cursor.at)
        cursor.at += found
        return run

    def _tokens_to(self, *ends: str) -> list[str]:
        return self._run_to(*ends).rest()

    def _value(self, tokens: list[str]) -> Value:
        return Expressions(self._lookup, self._virtual(absent=False).select, holes=True).value(tokens)

    # Declarations and assignments

    def _declare(self) -> None:
        self.cursor.at += 1
        while not self.cursor.done and self.cursor.word() != "BEGIN":
            declaration = self._tokens_to()
            if not declaration or self._cursor(declaration):
                continue
            for index, token in enumerate(declaration):
                if token in {":=", "="} or token.upper() == "DEFAULT":
                    self.values[fold(declaration[0])] = self._value(declaration[index + 1 :])
                    break
            else:
                self.values[fold(declaration[0])] = None

    def _cursor(self, declaration: list[str]) -> bool:
        """Keep the query of `name CURSOR FOR SELECT …`; say whether it was one."""
        words = [*map(str.upper, declaration)]
        if "CURSOR" not in words[1:4] or not {"FOR", "IS"} & set(words):
            return False
        at = next(at for at, word in enumerate(words) if word in {"FOR", "IS"})
        self.cursors[fold(declaration[0])] = declaration[at + 1 :]
        return True

    def _assignment(self) -> bool:
        cursor = self.cursor
        if cursor.word(1) not in {":=", "="}:
            return False
        name = cursor.identifier()
        cursor.at += 1
        tokens = self._tokens_to()
        self.values[name] = self._value(tokens)
        self._ask(tokens, (name,))
        return True

    def _ask(self, tokens: list[str], variables: tuple[str, ...] = ()) -> None:
        """Tell of a query whose answer decides what is done, in a condition or by variables used again."""
        used = (name for name in variables if self.uses[name] >= _DECIDING_USES)
        if "FROM" in map(str.upper, tokens) and (not variables or any(used)):
            for change in question(Cursor(Statement.of(tokens))):
                self.state.apply_one(change)

    # Control structures

    def _begin(self) -> None:
        self.cursor.at += 1
        outer = self.swallowed
        if self._is_swallowing():
            self.swallowed = None
        self._body("END", "EXCEPTION")
        self.swallowed = outer
        if self.cursor.word() == "EXCEPTION":
            self._skip_handlers()
        self._tokens_to()

    def _is_swallowing(self) -> bool:
        """Look ahead: do the handlers of the block that begins here pass over a duplicate?"""
        start = self.cursor.at
        self._skip_body("END", "EXCEPTION")
        first = self.cursor.at
        if self.cursor.word() == "EXCEPTION":
            self._skip_handlers()
        handlers = self.cursor.words[first : self.cursor.at]
        self.cursor.at = start
        return swallows_duplicates(handlers)

    def _skip_handlers(self) -> None:
        """Step over exception handlers, which run only when the body failed."""
        self._skip_body("END")

    def _skip_body(self, *ends: str) -> None:
        """Step over statements up to one of the words at this level, which is left unread."""
        nested, cursor = 0, self.cursor
        first = cursor.at
        while not cursor.done:
            word = cursor.word()
            if word == "END" and nested:
                nested -= 1
                self._tokens_to()
                first = cursor.at
                continue
            if nested == 0 and word in ends:
                return
            before = cursor.word(-1)
            begins = cursor.at == first or before in _BEFORE_STATEMENT or is_string(before)
            nested += word in {"BEGIN", "LOOP", "CASE"} or (word == "IF" and begins)
            cursor.at += 1

    def _if(self) -> None:
        """Run the branches that are not known to be passed over; one known to be taken is the last."""
        ends = ("ELSIF", "ELSEIF", "ELSE", "END")
        decided = False
        while True:
            word = self.cursor.word()
            self.cursor.at += 1
            condition = [] if word == "ELSE" else self._tokens_to("THEN")
            truth = True if word == "ELSE" else self.guards.truth(condition)
            self._ask(condition)
            if decided or truth is False:
                self._pass_over(condition, *ends)
            else:
                self._guarded(condition, *ends)
            decided = decided or truth is True
            if self.cursor.word() not in {"ELSIF", "ELSEIF", "ELSE"}:
                break
        self._tokens_to()

    def _guarded(self, condition: list[str], *ends: str) -> None:
        outer = self.swallowed
        if _asks_for_policy(condition) and outer is not None:
            self.swallowed = outer | _texts(condition)
        self._body(*ends)
        self.swallowed = outer

    def _pass_over(self, condition: list[str], *ends: str) -> None:
        """Step over a branch; a policy that is there already is still told of what it keeps out."""
        first = self.cursor.at
        self._skip_body(*ends)
        if not _asks_for_policy(condition):
            return
        for statement in split_statements(self.cursor.statement.part(first, self.cursor.at)):
            for change in self.read(statement):
                if isinstance(change, facts.CreatePolicy):
                    self.state.apply_one(replace(change, swallowed=True))

    def _case(self) -> None:
        """Run every branch of a CASE statement."""
        self._tokens_to("WHEN")
        while not self.cursor.done and self.cursor.word() != "END":
            self._tokens_to("THEN", "ELSE")
            self._body("WHEN", "ELSE", "END")
        self._tokens_to()

    def _foreach(self) -> None:
        self.cursor.at += 1
        variable = self.cursor.identifier()
        if self.cursor.eat("SLICE"):
            self.cursor.at += 1
        self.cursor.expect("IN", "ARRAY")
        items = self._value(self._tokens_to("LOOP"))
        self._repeat((variable,), items if isinstance(items, tuple) else None)

    def _for(self) -> None:
        self.cursor.at += 1
        variables = self.cursor.identifiers()
        self.cursor.expect("IN")
        self.cursor.eat("REVERSE")
        source = self._run_to("LOOP")
        items = self._items(source)
        if items is None:
            for change in loop_source(source):
                self.state.apply_one(change)
        self._repeat(variables, items)

    def _items(self, source: Cursor) -> tuple[Value, ...] | None:
        """Return what a FOR loop goes over: rows of a query, or numbers of a range."""
        first, dots, last = source.rest_source().partition("..")
        if dots:
            return _range(first.strip(), last.strip(), self._lookup)
        tokens = source.rest()
        if len(tokens) == 1 and fold(tokens[0]) in self.cursors:
            tokens = self.cursors[fold(tokens[0])]
        rows = self._virtual(absent=False).select(tokens[1:-1] if tokens[:1] == ["("] else tokens)
        return None if rows is None else tuple(rows)

    def _repeat(self, variables: tuple[str, ...], items: tuple[Value, ...] | None) -> None:
        """Run the loop's body once for each item; once with nothing known when they are not."""
        start = self.cursor.at
        if items is None:
            items = (None,)
        if not items:
            self._skip_body("END")
        self.loops += 1
        for item in items:
            self.cursor.at = start
            self._bind(variables, item)
            self._body("END")
        self.loops -= 1
        self._tokens_to()

    def _bind(self, variables: tuple[str, ...], item: Value) -> None:
        if len(variables) == 1:
            self.values[variables[0]] = item
            return
        parts = list(item.values()) if isinstance(item, dict) else []
        for number, variable in enumerate(variables):
            self.values[variable] = parts[number] if number < len(parts) else None

    def _loop(self) -> None:
        if self.cursor.word() == "WHILE":
            self._tokens_to("LOOP")
        else:
            self.cursor.at += 1
        self._body("END")
        self._tokens_to()

    # Statements

    def _plain(self) -> None:
        first = self.cursor.at
        run = self._run_to()
        if run.done:
            self.cursor.at = max(self.cursor.at, first + 1)
            return
        statement = run.statement.part(run.at, run.end)
        if run.word() not in {"SELECT", "WITH"} or not self._into(statement):
            self._apply(statement)
        if run.word() == "PERFORM" and self.counts:
            self._ask(statement.texts)

    def _apply(self, statement: Statement) -> None:
        for change in self.read(statement):
            if isinstance(change, facts.RunFunction):
                change = self._with_arguments(statement, change)  # noqa: PLW2901 - same call, known now
            self._one(change)

    def _one(self, change: Fact) -> None:
        self.state.apply_one(self._in_context(change))
        if isinstance(change, facts.RowSecurityChange) and change.enabled:
            self.secured.add(self.state.key(change.name))
        elif isinstance(change, facts.DropPolicy):
            self.secured.add(self.state.key(change.table))

    def _in_context(self, change: Fact) -> Fact:
        """Return a fact with what the code around it does about its count or its duplicate."""
        if isinstance(change, Rows):
            return replace(change, checked=self.counts, looped=self.loops > 0)
        if isinstance(change, facts.CreatePolicy):
            swallowed = self.swallowed is None or change.policy.name in self.swallowed
            return replace(change, swallowed=swallowed)
        return change

    def _with_arguments(self, statement: Statement, call: facts.RunFunction) -> facts.RunFunction:
        """Return a call with arguments that are variables of this block."""
        cursor = Cursor(statement, statement.words.index("("))
        values = tuple(_argument(self._value(one.rest())) for one in cursor.elements())
        return facts.RunFunction(call.name, values, call.read, call.from_query)

    def _into(self, statement: Statement) -> bool:
        """Run SELECT … INTO variables with what it does by the way; say whether it was one."""
        at = _variables_at(statement.words)
        if at is None:
            return False
        cursor = Cursor(statement, at + 1)
        cursor.eat("STRICT")
        variables = cursor.identifiers()
        query = statement.without(at, cursor.at)
        if not _ACTING.isdisjoint(query.words):
            self._apply(query)
        else:
            self._ask(query.texts, variables)
        rows = self._virtual(absent=False).select(query.texts)
        self._bind(variables, rows[0] if rows else None)
        return True

    def _execute(self) -> None:
        self.cursor.at += 1
        argument = self._argument(self._tokens_to())
        text = self._value(argument)
        if isinstance(text, str):
            for statement in statements(Script(text)):
                self._step()
                self._made_up(statement)
        elif not _changes_nothing(argument):
            self.state.note(_UNKNOWN_TEXT)
            self.unread = self.unread or _may_make_policies(argument)

    def _made_up(self, statement: Statement) -> None:
        """Apply a statement of EXECUTE, as far as its text is known."""
        if HOLE not in statement.source:
            self._apply(statement)
        elif HOLE in statement.texts[0]:
            self.state.note(_UNKNOWN_TEXT)
            self.unread = True
        else:
            for change in self.read(statement):
                self.unread = self.unread or isinstance(change, facts.CreatePolicy)
                for known in without_holes(change, statement.source):
                    self._one(known)

    @staticmethod
    def _argument(tokens: list[str]) -> list[str]:
        """Return the text expression of EXECUTE, without INTO and USING."""
        for index, token in enumerate(tokens):
            if index and token.upper() in {"INTO", "USING"}:
                return tokens[:index]
        return tokens


def _uses(body: Statement) -> Counter[str]:
    """Count the names that a body writes outside of RAISE NOTICE and its like, which only tell."""
    found: Counter[str] = Counter()
    for statement in split_statements(body):
        tells = statement.words[0] == "RAISE" and statement.words[1:2] not in (["EXCEPTION"], [])
        found.update(fold(token) for token in statement.texts if not tells and is_name(token))
    return found


def _variables_at(words: list[str]) -> int | None:
    """Return where a query names the variables it fills: at an INTO that no INSERT or MERGE owns."""
    depth = 0
    for at, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "INTO":
            return None if words[at - 1] in {"INSERT", "MERGE"} else at
    return None


def _asks_for_policy(condition: list[str]) -> bool:
    """Say whether a condition is `NOT EXISTS (SELECT … FROM pg_policies …)`."""
    words = [*map(str.upper, condition)]
    return words[:2] == ["NOT", "EXISTS"] and not _POLICY_CATALOGS.isdisjoint(words)


def _texts(tokens: list[str]) -> frozenset[str]:
    return frozenset(literal(token) for token in tokens if is_string(token))


def _argument(value: Value) -> str | tuple[str, ...] | None:
    if isinstance(value, tuple):
        texts = tuple(item for item in value if isinstance(item, str))
        return texts if len(texts) == len(value) else None
    return value if isinstance(value, str) else None


def _changes_nothing(tokens: list[str]) -> bool:
    """Say whether a text begins with the word of a statement that leaves the schema alone."""
    first = next((token for token in tokens if is_string(token)), None)
    words = literal(first).split(None, 1) if first is not None else []
    return bool(words) and words[0].upper() in _CHANGES_NOTHING


def _may_make_policies(tokens: list[str]) -> bool:
    """Say whether a text that is not known may be a CREATE POLICY, by how it begins where that is written."""
    first = tokens[2:3] if [*map(str.upper, tokens[:2])] == ["FORMAT", "("] else tokens[:1]
    if not first or not is_string(first[0]):
        return True
    words = re.findall(r"\w+|\S", literal(first[0]))[:2]
    return len(words) < 2 or not words[1].isalpha() or words[1].upper() == "POLICY"


def _range(first: str, last: str, lookup: Callable[[tuple[str, ...]], Value]) -> tuple[Value, ...] | None:
    """Return the numbers of `1..3`, None when an end is not known or it is too long."""
    ends = []
    for text in (first, last):
        length = re.fullmatch(
            r"(?:array_length|cardinality)\s*\(\s*(\w+)\s*(?:,\s*1\s*)?\)", text, re.IGNORECASE
        )
        known = lookup((length[1].lower(),)) if length else text
        known = str(len(known)) if isinstance(known, tuple) else known
        if not isinstance(known, str) or not known.isdecimal():
            return None
        ends.append(int(known))
    if ends[1] - ends[0] > _MAX_RANGE:
        return None
    return tuple(str(number) for number in range(ends[0], ends[1] + 1))


_CONTROL: dict[str, Callable[[_Block], None]] = {
    "DECLARE": _Block._declare,  # noqa: SLF001 - the block's own table of statements
    "BEGIN": _Block._begin,  # noqa: SLF001
    "IF": _Block._if,  # noqa: SLF001
    "CASE": _Block._case,  # noqa: SLF001
    "FOREACH": _Block._foreach,  # noqa: SLF001
    "FOR": _Block._for,  # noqa: SLF001
    "WHILE": _Block._loop,  # noqa: SLF001
    "LOOP": _Block._loop,  # noqa: SLF001
    "EXECUTE": _Block._execute,  # noqa: SLF001
}
