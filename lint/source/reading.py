"""The sources of a run, each read once by the extractor of its language.

Where tables are protected every file is read, since a caller without any SQL decides the scope of what
it calls. Where none is, only a file that could set a tenant's setting is worth parsing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.files import PYTHON
from lint.source.read import read_source
from lint.source.typescript_db import is_bundled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.files import Corpus
    from lint.source.sites import Source

_SETS = re.compile(rb"set_config|(?i:\bset\s+(?:local\s+|session\s+)*[\"\w{}$]+\s*[.}])")


def read_sources(corpus: Corpus, config: LintConfig, *, everything: bool) -> tuple[Source, ...]:
    """Return the sources of a run without its migrations; without `everything`, those that set something."""
    return tuple(_sources(corpus, config, everything=everything))


def _sources(corpus: Corpus, config: LintConfig, *, everything: bool) -> Iterator[Source]:
    migrations = {file.path for files in corpus.scripts.values() for file in files}
    for file in corpus.sources:
        if file.path in migrations or file.is_revision:
            continue
        if not everything and not _SETS.search(file.content):
            continue
        if file.location.suffix in PYTHON or not is_bundled(file.content):
            yield read_source(file, config)
