"""Does tenancy hold, in source and in a live database? Useful alone on any Postgres project.

`lint_paths` judges migrations and source, `read_live` with `lint_catalogue` a database, and
`coverage_of` counts the tables enforced. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lint.api import (
        coverage_live,
        coverage_of,
        explain,
        lint_catalogue,
        lint_paths,
        read_live,
        replay_paths,
    )
    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.errors import LintConfigError, LintError
    from lint.report import Coverage, Finding, Report

__all__ = [
    "Catalogue",
    "Coverage",
    "Finding",
    "LintConfig",
    "LintConfigError",
    "LintError",
    "Report",
    "coverage_live",
    "coverage_of",
    "explain",
    "lint_catalogue",
    "lint_paths",
    "read_live",
    "replay_paths",
]

_HOMES = {
    "Catalogue": "lint.catalogue",
    "Coverage": "lint.report",
    "Finding": "lint.report",
    "LintConfig": "lint.config",
    "LintConfigError": "lint.errors",
    "LintError": "lint.errors",
    "Report": "lint.report",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "lint.api")), name)
