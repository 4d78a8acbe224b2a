"""DO blocks, followed as far as their text decides what runs.

Loops over literal arrays and EXECUTE of literals, `||` and `format` are unrolled, since whole
families of policies exist only that way. Every branch of an IF is taken as run, because the usual
guard asks whether the object exists already. What depends on data gives `NotAnalysed`.
PL/pgSQL grammar: PostgreSQL manual, chapter 43.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token, TokenType

from lint.errors import SqlUnreadableError
from lint.history import facts
from lint.history.sql import STRINGS, Cursor, Script, Statement, fold, split_commas, statements, tokenize_body
from lint.history.work import counted, fills_variable, loop_source, swallows_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.history.facts import Fact

_BODY = re.compile(r"\$((?:[^\W\d]\w*)?)\$(.*)\$\1\$", re.DOTALL)
_QUOTED_BODY = re.compile(r"'((?:[^']|'')*)'", re.DOTALL)
_FORMAT = re.compile(r"%(?:(\d+)\$)?([sIL%])")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*\Z")
#: A loop nest that would unroll further than this is reported, not followed.
MAX_UNROLLED = 5000
_MAX_DEPTH = 40
_POLICY_CATALOGS = frozenset({"PG_POLICIES", "PG_POLICY"})

Value = str | tuple[str, ...] | None


def block_facts(raw: str, read: Callable[[Statement], list[Fact]]) -> list[Fact]:
    """Return the facts of a DO body (`raw` is all that follows DO), statements read by `read`."""
    match = _BODY.search(raw)
    quoted = None if match else _QUOTED_BODY.match(raw.strip())
    if match is None and quoted is None:
        return [facts.NotAnalysed("a DO block without a literal body")]
    body = match[2] if match else quoted[1].replace("''", "'") if quoted else ""
    try:
        block = _Block(Script(body), read)
        block.run()
    except (SqlUnreadableError, IndexError, ValueError) as error:
        return [facts.NotAnalysed(f"a DO block that cannot be followed ({error})")]
    return [counted(fact, body) for fact in block.found if not fills_variable(fact)]


def quote_ident(name: str) -> str:
    """Return a name as `quote_ident` writes it (always quoting is equal in meaning)."""
    return name if _PLAIN_NAME.match(name) else '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return a string literal as `quote_literal` writes it."""
    return "'" + text.replace("'", "''") + "'"


class _Block:
    """One PL/pgSQL body: tokens, variables of known value, and the facts found so far."""

    def __init__(self, script: Script, read: Callable[[Statement], list[Fact]]) -> None:
        self.script = script
        self.read = read
        self.cursor = Cursor(Statement(tokenize_body(script.text), script))
        self.values: dict[str, Value] = {}
        self.found: list[Fact] = []
        self.steps = 0
        self.depth = 0

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

    def _statement(self) -> None:
        self.steps += 1
        if self.steps > MAX_UNROLLED:
            raise ValueError(f"more than {MAX_UNROLLED} steps")
        control = {
            "DECLARE": self._declare,
            "BEGIN": self._begin,
            "IF": self._if,
            "FOREACH": self._foreach,
            "FOR": self._for,
            "WHILE": self._loop,
            "LOOP": self._loop,
            "EXECUTE": self._execute,
        }.get(self.cursor.word())
        if control is not None:
            control()
        elif not self._assignment():
            self._plain()

    def _tokens_to(self, *ends: str) -> list[Token]:
        """Read tokens up to one of the words or `;` outside parentheses, and step over it."""
        cursor, first = self.cursor, self.cursor.at
        while not cursor.done:
            if cursor.is_kind(TokenType.SEMICOLON) or cursor.word() in ends:
                tokens = cursor.tokens[first : cursor.at]
                cursor.at += 1
                return tokens
            if cursor.is_kind(TokenType.L_PAREN):
                cursor.skip_group()
            else:
                cursor.at += 1
        return cursor.tokens[first:]

    def _declare(self) -> None:
        self.cursor.at += 1
        while not self.cursor.done and self.cursor.word() != "BEGIN":
            declaration = self._tokens_to()
            for index, token in enumerate(declaration):
                if token.token_type in {TokenType.COLON_EQ, TokenType.EQ} or token.text.upper() == "DEFAULT":
                    self.values[fold(declaration[0])] = self._value(declaration[index + 1 :])
                    break

    def _begin(self) -> None:
        self.cursor.at += 1
        first = len(self.found)
        self._body("END", "EXCEPTION")
        if self.cursor.word() == "EXCEPTION":
            start = self.cursor.at
            self._skip_handlers()
            if swallows_duplicates(self.cursor.tokens[start : self.cursor.at]):
                self._swallow(first)
        self._tokens_to()

    def _swallow(self, first: int, names: set[str] | None = None) -> None:
        """Mark policies made since `first` (of those names) as skipped where they exist already."""
        for index, fact in enumerate(self.found[first:], first):
            if isinstance(fact, facts.CreatePolicy) and (names is None or fact.policy.name in names):
                self.found[index] = replace(fact, swallowed=True)

    def _skip_handlers(self) -> None:
        """Step over exception handlers, which run only when the body failed."""
        nested = 0
        while not self.cursor.done:
            word = self.cursor.word()
            if word == "END":
                if nested == 0:
                    return
                nested -= 1
                self._tokens_to()
                continue
            nested += word in {"BEGIN", "IF", "LOOP", "CASE"}
            self.cursor.at += 1

    def _if(self) -> None:
        condition = self._tokens_to("THEN")
        first = len(self.found)
        self._body("ELSIF", "ELSEIF", "ELSE", "END")
        if _asks_for_policy(condition):
            self._swallow(first, {token.text for token in condition if token.token_type in STRINGS})
        while self.cursor.word() in {"ELSIF", "ELSEIF", "ELSE"}:
            if self.cursor.word() == "ELSE":
                self.cursor.at += 1
            else:
                self._tokens_to("THEN")
            self._body("ELSIF", "ELSEIF", "ELSE", "END")
        self._tokens_to()

    def _foreach(self) -> None:
        self.cursor.at += 1
        variable = self.cursor.identifier()
        self.cursor.expect("IN", "ARRAY")
        self._repeat(variable, self._value(self._tokens_to("LOOP")))

    def _for(self) -> None:
        self.cursor.at += 1
        variable = self.cursor.identifier()
        source = self._tokens_to("LOOP")
        self.found.extend(loop_source(source, self.script))
        self._repeat(variable, self._unnested(source))

    def _unnested(self, source: list[Token]) -> Value:
        """Return the items of `IN SELECT unnest(ARRAY[…])`, None for any other source."""
        for index, token in enumerate(source):
            if token.text.upper() == "UNNEST":
                cursor = Cursor(Statement(source, self.script), index + 1)
                cursor.skip_group()
                return self._value(source[index + 2 : cursor.at - 1])
        return None

    def _repeat(self, variable: str, items: Value) -> None:
        start = self.cursor.at
        for item in items if isinstance(items, tuple) and items else (None,):
            self.cursor.at = start
            self.values[variable] = item
            self._body("END")
        self._tokens_to()

    def _loop(self) -> None:
        if self.cursor.word() == "WHILE":
            self._tokens_to("LOOP")
        else:
            self.cursor.at += 1
        self._body("END")
        self._tokens_to()

    def _assignment(self) -> bool:
        cursor = self.cursor
        following = cursor.at + 1
        if following >= len(cursor.tokens):
            return False
        if cursor.tokens[following].token_type is not TokenType.COLON_EQ:
            return False
        name = cursor.identifier()
        cursor.at += 1
        self.values[name] = self._value(self._tokens_to())
        return True

    def _plain(self) -> None:
        first = self.cursor.at
        tokens = self._tokens_to()
        if not tokens:
            self.cursor.at = max(self.cursor.at, first + 1)
            return
        self.found.extend(self.read(Statement(tokens, self.script)))

    def _execute(self) -> None:
        self.cursor.at += 1
        text = self._value(self._argument(self._tokens_to()))
        if not isinstance(text, str):
            self.found.append(facts.NotAnalysed("EXECUTE of text that is known only when it runs"))
            return
        for statement in statements(Script(text)):
            self.found.extend(self.read(statement))

    @staticmethod
    def _argument(tokens: list[Token]) -> list[Token]:
        """Return the text expression of EXECUTE, without INTO and USING."""
        for index, token in enumerate(tokens):
            if index and token.text.upper() in {"INTO", "USING"} and token.token_type not in STRINGS:
                return tokens[:index]
        return tokens

    def _value(self, tokens: list[Token]) -> Value:
        """Return what an expression of literals and known variables is, None when unknown."""
        parts = _split_at(tokens, TokenType.DPIPE)
        if len(parts) > 1:
            texts = [self._value(part) for part in parts]
            known = [text for text in texts if isinstance(text, str)]
            return "".join(known) if len(known) == len(texts) else None
        return self._single(tokens)

    def _single(self, tokens: list[Token]) -> Value:
        casts = _split_at(tokens, TokenType.DCOLON)
        tokens = casts[0] if casts else tokens
        if not tokens:
            return None
        first = tokens[0]
        if len(tokens) == 1:
            return first.text if first.token_type in STRINGS else self.values.get(fold(first))
        if first.token_type is TokenType.L_PAREN:
            return self._value(tokens[1:-1])
        word = first.text.upper()
        if word == "ARRAY":
            items = [self._value(run) for run in split_commas(tokens[2:-1])]
            known = tuple(item for item in items if isinstance(item, str))
            return known if len(known) == len(items) else None
        return self._call(word, [self._value(run) for run in split_commas(tokens[2:-1])])

    def _call(self, function: str, arguments: list[Value]) -> Value:
        texts = [argument for argument in arguments if isinstance(argument, str)]
        if len(texts) != len(arguments) or not texts:
            return None
        if function == "FORMAT":
            return _formatted(texts[0], texts[1:])
        if function == "QUOTE_IDENT":
            return quote_ident(texts[0])
        if function == "QUOTE_LITERAL":
            return quote_literal(texts[0])
        if function in {"CONCAT", "LOWER", "UPPER"}:
            joined = "".join(texts)
            return {"CONCAT": joined, "LOWER": joined.lower(), "UPPER": joined.upper()}[function]
        return None


def _asks_for_policy(condition: list[Token]) -> bool:
    """Say whether a condition is `IF NOT EXISTS (SELECT … FROM pg_policies …)`."""
    words = [token.text.upper() for token in condition]
    return words[:3] == ["IF", "NOT", "EXISTS"] and not _POLICY_CATALOGS.isdisjoint(words)


def _split_at(tokens: list[Token], kind: TokenType) -> list[list[Token]]:
    runs: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.token_type in {TokenType.L_PAREN, TokenType.L_BRACKET}
        depth -= token.token_type in {TokenType.R_PAREN, TokenType.R_BRACKET}
        if token.token_type is kind and depth == 0:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs


_QUOTES: dict[str, Callable[[str], str]] = {"I": quote_ident, "L": quote_literal, "s": str}


def _formatted(template: str, arguments: list[str]) -> str | None:
    """Apply PostgreSQL's `format`; None when it asks for more arguments than there are."""
    position = 0
    pieces: list[str] = []
    end = 0
    for match in _FORMAT.finditer(template):
        pieces.append(template[end : match.start()])
        end = match.end()
        if match[2] == "%":
            pieces.append("%")
            continue
        position = int(match[1]) if match[1] else position + 1
        if not 1 <= position <= len(arguments):
            return None
        pieces.append(_QUOTES[match[2]](arguments[position - 1]))
    return "".join([*pieces, template[end:]])
