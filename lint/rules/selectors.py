"""Columns by which a user's own row decides what he sees: his current tenant, his role, a flag.

`tenant_id = (SELECT tenant_id FROM profile WHERE id = auth.uid())` is as good as the right to write
`profile.tenant_id`. The look-ups are found as text, in policies and in the functions that they call, since
PL/pgSQL keeps no dependencies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.rules.expressions import called_functions
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.results import body_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.catalogue import Catalogue, Function, Table
    from lint.rules.expressions import Session

_WHO = r"auth\s*\.\s*(?:uid|jwt|email)\s*\(|current_setting\s*\(|\bcurrent_user\b|\bsession_user\b"
_ASKS = re.compile(_WHO, re.IGNORECASE)
#: SELECT item [INTO v] FROM table [alias] WHERE …, to the end of the query as far as text shows it.
_LOOK_UP = re.compile(
    r"\bselect\s+(?:distinct\s+)?(?P<item>(?:\w+\.)?\"?\w+\"?|count\(\*\)|coalesce\([^()]*\))(?:\s*::\s*\w+)?"
    r"(?:\s+as\s+\w+)?(?:\s+into\s+(?:strict\s+)?\w+)?\s+from\s+(?:only\s+)?"
    r"(?P<table>(?:\"?\w+\"?\s*\.\s*)?\"?\w+\"?)(?:\s+(?:as\s+)?(?!where\b|join\b|left\b|inner\b|cross\b)\w+)?"
    r"\s+where\s+(?P<where>[^;]{0,2000})",
    re.IGNORECASE,
)
#: A column that is compared with words, or that is asked for by itself.
_WORDS = re.compile(
    r"(?:\b\w+\.)?\"?\b(?P<word>\w+)\"?(?:\s*::\s*\w+)?\s*(?:=\s*(?:any\s*\(\s*)?|in\s*\(\s*)(?:array\s*\[\s*)?'"
    r"|(?:\b\w+\.)?\"?\b(?P<flag>(?:is|has|can)_\w+)\b(?!\s*\()",
    re.IGNORECASE,
)
#: By table, each column that decides, and what asks for it.
Selectors = dict[str, dict[str, str]]
_MAX_DEPTH = 4


def selectors_of(catalogue: Catalogue, session: Session) -> Selectors:
    """Return, by table ("schema.name"), the columns of a user's own row that policies ask for."""
    found: Selectors = {}
    seen: set[str] = set()
    for table in catalogue.tables.values():
        if not table.enabled:
            continue
        for policy in table.permissive:
            for _, text in policy.clauses():
                if text in seen:
                    continue
                seen.add(text)
                _note(text, f"policy {policy.name} on {table.qualified}", catalogue, found)
                for function in _called(text, session):
                    _note(
                        body_text(function), f"{function.qualified}(), which policies ask", catalogue, found
                    )
    return found


def _called(text: str, session: Session) -> Iterator[Function]:
    """Yield the functions that an expression calls, and those that they call."""
    try:
        waiting = [(name, 0) for name, _ in called_functions(parse_predicate(text))]
    except (PredicateError, RecursionError):
        return
    seen: set[str] = set()
    while waiting:
        name, depth = waiting.pop()
        for function in session.functions(name):
            if function.qualified not in seen and depth <= _MAX_DEPTH:
                seen.add(function.qualified)
                yield function
                waiting.extend((one, depth + 1) for one in session.called_in(function))


def _note(text: str, asker: str, catalogue: Catalogue, found: Selectors) -> None:
    for match in _LOOK_UP.finditer(text):
        where = _to_the_end(match["where"])
        table = catalogue.table(re.sub(r"[\s\"]", "", match["table"]))
        if table is None or not _ASKS.search(where):
            continue
        item = re.sub(r"\A.*\.|[\"\s]", "", match["item"])
        names = [item, *(one["word"] or one["flag"] for one in _WORDS.finditer(where))]
        for name in names:
            if _decides(table, name, where):
                found.setdefault(table.qualified, {}).setdefault(name, asker)


def _to_the_end(text: str) -> str:
    """Return the part of a text up to the parenthesis that closes what was open before it."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return text[:at]
    return text


def _decides(table: Table, name: str, where: str) -> bool:
    """Say whether a name is a column that can be written: no key, and not who the user is."""
    if table.column(name) is None:
        return False
    if any(key.columns == (name,) and key.kind != "index" for key in table.keys):
        return False
    me = rf"\b{re.escape(name)}\b\"?\s*=\s*\(*\s*(?:select\s+)?(?:{_WHO})"
    return re.search(me, where, re.IGNORECASE) is None


def asker_of(selectors: Mapping[str, Mapping[str, str]], table: Table, column: str | None) -> str | None:
    """Return what asks for a column of a user's own row, None when nothing does."""
    return selectors.get(table.qualified, {}).get(column or "")
