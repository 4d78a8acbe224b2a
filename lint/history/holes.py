"""Facts read from text with holes: what is known of them, and what a rule would miss of the rest.

A fact with a hole where it only describes a policy's condition is kept with that condition opaque; of a
fact whose object is not known, it is said what it may have taken away.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from lint.copying import replace
from lint.history import facts
from lint.history.values import HOLE
from lint.history.work import Act

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Policy
    from lint.history.facts import Fact

#: Fields that describe an object: with a hole in them it is still known which object it is.
_DESCRIPTIONS = frozenset(
    {"default", "definition", "body", "predicate", "parts", "text", "where", "value", "type", "bound"}
    | {"partition_key", "settings"}
)


def without_holes(fact: Fact, source: str) -> list[Fact]:
    """Return a fact as far as it is known, and a note where a rule would miss the rest."""
    where = set(_holes(fact))
    if not where or isinstance(fact, Act):
        return [fact]
    opening = " ".join(source.replace(HOLE, "…")[:60].split())
    note = facts.NotAnalysed(f"`{opening}` names what is known only when it runs")
    if isinstance(fact, facts.CreatePolicy) and not any(HOLE in part for part in fact.table):
        return [note, replace(fact, policy=_opaque(fact.policy))]
    return [fact] if where <= _DESCRIPTIONS else [note, *_unread(fact, opening)]


def _unread(fact: Fact, text: str) -> Iterator[Fact]:
    """Yield what a statement over objects that are not known may have taken away, or given."""
    if isinstance(fact, facts.DropPolicy):
        yield facts.UnreadSecurity("policy", fact.table, fact.policy, text)
    elif isinstance(fact, facts.CreatePolicy):
        yield facts.UnreadSecurity("policy", fact.table, fact.policy.name, text, gives=True)
    elif isinstance(fact, facts.RowSecurityChange) and fact.enabled is not None:
        yield facts.UnreadSecurity("enable", fact.name, "", text, gives=fact.enabled)


def _opaque(policy: Policy) -> Policy:
    """Return a policy of a known table without what is not known of it: it stands for anything."""
    roles = ("public",) if HOLE in policy.roles else policy.roles
    return replace(policy, roles=roles, using=None, check=None, opaque=True)


def _holes(value: object, name: str = "") -> Iterator[str]:
    """Yield the names of the fields, at any depth, whose value has a part that is not known."""
    if isinstance(value, str):
        if HOLE in value:
            yield name
    elif isinstance(value, (tuple, list, frozenset)):
        for item in value:
            yield from _holes(item, name)
    elif isinstance(value, dict):
        yield from _holes([*value, *value.values()], name)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _holes(getattr(value, part.name), part.name)
