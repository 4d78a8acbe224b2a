"""Names and strings in Python's syntax tree: what an expression is called, and what it spells.

Names are given as written ("self.session", "request.json"); a part that is no name shows as `()`.
"""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING

from lint.source.sites import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tree_sitter import Node

STRINGS = frozenset({"string", "concatenated_string"})
CONSTANTS = frozenset({"true", "false", "none", "integer", "float", "ellipsis"})
_HANDS_ON = frozenset(
    {"tuple", "list", "set", "dictionary", "expression_list", "parenthesized_expression", "list_splat"}
    | {"conditional_expression", "boolean_operator", "yield"}
)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"', "\n": ""}
_ESCAPE = re.compile(r"\\([\s\S])")
_PERCENT = re.compile(r"%(?:\((?P<name>\w+)\))?[#0 +-]*\d*(?:\.\d+)?[sdrfi]|%%")
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[\w.\[\]]*)(?:![rsa])?(?::[^{}]*)?\}")
#: `not x`, `x is None`, `x == None`, `x is not None`.
_ASKED = re.compile(r"not\s+(?P<plain>\w+)|(?P<compared>\w+)\s+(?:is(?P<not>\s+not)?|==)\s+None")
_ASKING = frozenset({"not_operator", "comparison_operator"})
_LITERALLY = {"%%": "%", "{{": "{", "}}": "}"}


def text_of(node: Node | None) -> str:
    """Return the source text of a node; bytes that are not UTF-8 are replaced."""
    if node is None or node.text is None:
        return ""
    return node.text.decode("utf-8", "replace")


def first_of(node: Node) -> Node | None:
    """Return the first named child, None when there is none."""
    return next(iter(node.named_children), None)


def dotted(node: Node | None) -> str:
    """Return a dotted name; parts that are not names show as `()`."""
    parts: list[str] = []
    current = node
    while current is not None and current.type == "attribute":
        parts.append(text_of(current.child_by_field_name("attribute")))
        current = current.child_by_field_name("object")
    parts.append(text_of(current) if current is not None and current.type == "identifier" else "()")
    return ".".join(reversed(parts))


def root_of(node: Node) -> Node:
    """Return the expression whose attributes a dotted expression reads: `f()` of `f().a.b`."""
    current = node
    while current.type == "attribute":
        inner = current.child_by_field_name("object")
        if inner is None:
            break
        current = inner
    return current


def targets_of(node: Node | None) -> tuple[str, ...]:
    """Return what an assignment binds, as written: "x", "self.x", "cache[]"; of a tuple, each."""
    targets: list[str] = []
    stack = [node] if node is not None else []
    while stack:
        current = stack.pop()
        if current.type in {"identifier", "attribute"}:
            targets.append(intern(dotted(current)))
        elif current.type == "subscript":
            targets.append(f"{dotted(current.child_by_field_name('value'))}[]")
        else:
            stack.extend(reversed(current.named_children))
    return tuple(targets)


def values_of(node: Node | None) -> tuple[str, ...]:
    """Return the names whose own value an expression hands on, itself or in a tuple, list or dict."""
    values: list[str] = []
    stack = [node] if node is not None else []
    while stack:
        current = stack.pop()
        if current.type in {"identifier", "attribute"}:
            name = intern(dotted(current))
            values.extend(() if name.startswith("()") else (name,))
        elif current.type == "pair":
            value = current.child_by_field_name("value")
            stack.extend(() if value is None else (value,))
        elif current.type in _HANDS_ON:
            stack.extend(reversed(current.named_children))
    return tuple(values)


def constant_of(node: Node | None) -> str:
    """Return the text of a constant expression, "" for anything else."""
    while node is not None and node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = first_of(node)
    if node is None:
        return ""
    if node.type in CONSTANTS:
        return text_of(node)
    if node.type in STRINGS and next(interpolations(node), None) is None:
        return repr(string_value(node))
    return ""


def asked_for(condition: Node | None) -> tuple[str, int]:
    """Return the name whose presence a condition asks for, and the branch (0, 1) taken when it is missing."""
    if condition is None:
        return "", 0
    if condition.type == "identifier":
        return text_of(condition), 1
    match = _ASKED.fullmatch(text_of(condition)) if condition.type in _ASKING else None
    if match is None:
        return "", 0
    return match["plain"] or match["compared"], int(match["not"] is not None)


def string_value(node: Node) -> str:
    """Return the value of a string; one HOLE stands for each interpolated part."""
    if node.type == "concatenated_string":
        return "".join(string_value(part) for part in node.named_children if part.type == "string")
    prefix = text_of(node.children[0] if node.children else None).rstrip("\"'").lower()
    pieces = []
    for part in node.named_children:
        if part.type == "interpolation":
            pieces.append(HOLE)
        elif part.type == "string_content":
            pieces.append(_content(text_of(part), prefix))
    return "".join(pieces)


def _content(text: str, prefix: str) -> str:
    if "f" in prefix or "t" in prefix:
        text = text.replace("{{", "{").replace("}}", "}")
    return text if "r" in prefix or "\\" not in text else _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def interpolations(node: Node) -> Iterator[Node]:
    """Yield the interpolated parts of a string, in order."""
    for part in node.named_children:
        if part.type == "interpolation":
            yield part
        elif part.type == "string":
            yield from interpolations(part)


def percent_filled(value: str, given: Sequence[str], named: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return a `%` template with a HOLE for each conversion, and what each stands for."""
    return _filled(_PERCENT, value, given, named)


def brace_filled(value: str, given: Sequence[str], named: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return a `str.format` template with a HOLE for each field, and what each stands for."""
    return _filled(_BRACES, value, given, named)


def _filled(
    pattern: re.Pattern[str], value: str, given: Sequence[str], named: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    remaining = iter(given)
    holes: list[str] = []

    def fill(match: re.Match[str]) -> str:
        if match[0] in _LITERALLY:
            return _LITERALLY[match[0]]
        name = match["name"]
        holes.append(named.get(name, name) if name and not name.isdigit() else next(remaining, ""))
        return HOLE

    return pattern.sub(fill, value), tuple(holes)
