"""What a parser passed over: a file is read around its errors, and what they swallowed is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node


def lost_line(root: Node) -> int:
    """Return the first line of an error that swallows more than a line, 0 when none does.

    A smaller one is mostly syntax newer than the grammar, and its calls are read all the same.
    """
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == "ERROR" and node.end_point[0] > node.start_point[0]:
            return int(node.start_point[0]) + 1
        waiting.extend(child for child in reversed(node.children) if child.has_error)
    return 0
