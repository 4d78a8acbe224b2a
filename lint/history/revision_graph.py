"""The order in which Alembic applies revisions: each after those it revises and depends on.

Branches, merges, several heads, `depends_on` and branch labels are followed. A cycle, which Alembic
refuses to run, keeps the order of the files and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A revision's place in the graph."""

    path: str
    name: str
    #: What it revises and what it depends on: identifiers or branch labels.
    after: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def in_order(nodes: Sequence[Node], report_cycle: Callable[[Node], None]) -> list[Node]:
    """Return nodes so that each comes after those it follows; independent ones in file order."""
    waiting = sorted(nodes, key=lambda node: node.path)
    named = _named(waiting)
    ordered: list[Node] = []
    done: set[str] = set()
    entered: set[str] = set()
    stack = [(node, False) for node in reversed(waiting)]
    while stack:
        node, expanded = stack.pop()
        if node.path in done:
            continue
        if expanded:
            done.add(node.path)
            ordered.append(node)
            continue
        if node.path in entered:
            continue
        entered.add(node.path)
        stack.append((node, True))
        for earlier in _before(node, named):
            if earlier.path not in entered:
                stack.append((earlier, False))
            elif earlier.path not in done:
                report_cycle(node)
    return ordered


def _named(nodes: Sequence[Node]) -> dict[str, Node]:
    found = {node.name: node for node in reversed(nodes)}
    for node in nodes:
        for label in node.labels:
            found.setdefault(label, node)
    return found


def _before(node: Node, named: dict[str, Node]) -> list[Node]:
    found: list[Node] = []
    for wanted in node.after:
        name = wanted.partition("@")[0] if "@" in wanted else wanted
        earlier = named.get(name) or _abbreviated(name, named)
        if earlier is not None and earlier.path != node.path:
            found.append(earlier)
    return found


def _abbreviated(name: str, named: dict[str, Node]) -> Node | None:
    """Return the one revision whose identifier begins so, as Alembic allows from four letters on."""
    if len(name) < 4:
        return None
    matches = {node.path: node for full, node in named.items() if full.startswith(name)}
    return next(iter(matches.values())) if len(matches) == 1 else None
