"""Reading a source file by its language's extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.source.python import read_python
from lint.source.typescript import SUFFIXES, read_typescript

if TYPE_CHECKING:
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.source.sites import Source


def read_source(file: SourceFile, config: LintConfig) -> Source:
    """Return what a source file does; of names used as values, those of the bypass are told."""
    watched = frozenset(config.bypass_names)
    if file.location.suffix in SUFFIXES:
        return read_typescript(file.content, file.path, watched)
    return read_python(file.content, file.path, watched)
