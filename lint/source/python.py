"""Python source read by tree-sitter: functions with their control flow, calls, names and strings.

tree-sitter parses the newest syntax on any interpreter and recovers from errors, so that a file
with one broken line is still read. Nothing is imported or executed.
"""

from __future__ import annotations

from functools import cache

import tree_sitter_python
from tree_sitter import Language, Parser

from lint.limits import within_time
from lint.source.python_statements import StatementReading
from lint.source.sites import Source, unread
from lint.source.syntax import lost_line


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))


def read_python(content: bytes, path: str, watched: frozenset[str] | None = None) -> Source:
    """Return what a Python file does; a file with syntax errors is read as far as it goes.

    With `watched`, only names that end in one of these (through any alias) are told as values.
    """
    return within_time(path, lambda: _read(content, path, watched), lambda: unread(path, "python"))


def _read(content: bytes, path: str, watched: frozenset[str] | None) -> Source:
    root = _parser().parse(content).root_node
    reading = StatementReading(path, watched)
    reading.module(root)
    return Source(
        path,
        tuple(reading.calls),
        tuple(reading.references),
        tuple(reading.texts),
        reading.imports,
        functions=reading.functions,
        broken=reading.broken,
        lost=lost_line(root) if reading.broken else 0,
        star_exports=tuple(reading.wildcards),
        classes=reading.classes,
    )
