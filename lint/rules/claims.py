"""What a policy believes though the client itself says it: its own metadata, its own request headers.

On a hosted platform a user may write `user_metadata` of his own account, and it stands in his token;
headers and cookies come with every request as the client made them. Neither tells who somebody is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.rules.expressions import arguments_of, called_functions
from lint.rules.results import result_of

if TYPE_CHECKING:
    from sqlglot import expressions as exp

    from lint.rules.branches import Alternative
    from lint.rules.expressions import Session

_METADATA = re.compile(r"'[^']*\buser_metadata\b|\braw_user_meta_data\b")
_REQUEST = re.compile(r"'request\.(?:headers?|cookies?)\b")
#: Words of a value in a header that only the right caller has.
_PROOF = re.compile(r"token|secret|password|api_?key|apikey|signature|hash|digest|crypt|hmac", re.IGNORECASE)
#: What stands in every policy, or function that policies call, in which a client is believed.
_MENTIONED = re.compile(r"user_meta|request\.(?:header|cookie)")
_MAX_DEPTH = 4


def may_believe(text: str, session: Session) -> bool:
    """Say whether a policy's text, or a function it may call, speaks of what clients say at all."""
    return _MENTIONED.search(text) is not None or session.mentions(_MENTIONED)


def believed(way: Alternative, session: Session) -> str | None:
    """Return what the client says of itself and a way lets it in by, None where something else binds it."""
    told = None
    for condition in way.conditions:
        said = _said(condition.node, session)
        if said is None and condition.kind in {"tenant", "row", "literal", "elsewhere"}:
            return None
        told = told or said
    return told


def _said(node: exp.Expr, session: Session) -> str | None:
    text = " ".join(_texts(node, session, 0))
    if _METADATA.search(text):
        return "user_metadata, which each user writes of himself"
    if _REQUEST.search(text) and not _PROOF.search(text):
        return "a header of the request, which each client writes as it likes"
    return None


def _texts(node: exp.Expr, session: Session, depth: int) -> list[str]:
    """Return an expression as SQL, and what the functions it calls return."""
    texts = [node.sql("postgres")]
    for name, call in called_functions(node):
        functions = session.functions(name) if depth < _MAX_DEPTH else []
        bodies = [result_of(one, arguments_of(call)) for one in functions]
        texts += [text for one in bodies if one is not None for text in _texts(one, session, depth + 1)]
    return texts
