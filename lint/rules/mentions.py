"""Which relations the text of a routine names: PL/pgSQL keeps no dependencies, so text is all there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lint.catalogue import Catalogue

_RELATION_WORD = r"\b(?:from|join|into|update|only|using|table|delete\s+from)\s+(?:only\s+)?"
_BARE_RELATION = re.compile(rf'{_RELATION_WORD}("?[a-z_][\w$]*"?)(?![\w$])(?!\s*[.(])', re.IGNORECASE)
#: The name of a common table expression, which hides a table's.
_COMMON_TABLE = re.compile(
    r"\b([a-z_]\w*)\s*(?:\([^()]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s+)?\(", re.IGNORECASE
)
_STRINGS = re.compile(r"'(?:[^']|'')*'")
_NOT_RELATIONS = frozenset(
    {"select", "lateral", "unnest", "json", "jsonb", "new", "old", "strict", "set", "values", "of", "pg_temp"}
)


def names_relation(body: str, schema: str, name: str) -> bool:
    """Say whether a routine's text names a relation: qualified anywhere, or bare where one stands.

    Read as text because PL/pgSQL keeps no dependencies; a name made while it runs stays unseen.
    """
    if name.lower() not in body.lower():
        return False
    qualified = rf'\b{re.escape(schema)}"?\s*\.\s*"?{re.escape(name)}\b'
    bare = rf'{_RELATION_WORD}"?{re.escape(name)}\b(?!\s*\.)'
    return re.search(f"{qualified}|{bare}", body, re.IGNORECASE) is not None


def unqualified_in(body: str, catalogue: Catalogue) -> frozenset[str]:
    """Return the tables that a body names without a schema."""
    tables = {table.name for table in catalogue.tables.values()}
    text = _STRINGS.sub("''", body)
    found = {name.strip('"') for name in _BARE_RELATION.findall(text)}
    return frozenset((found & tables) - _NOT_RELATIONS - set(_COMMON_TABLE.findall(text)))
