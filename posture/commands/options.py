"""Arguments that several commands share, and how the project's configuration is found."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posture.errors import UsageError

if TYPE_CHECKING:
    from lint.config import LintConfig
    from posture.config import Project

CONFIG_NAME = "posture.yaml"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config``."""
    parser.add_argument("--config", metavar="FILE", help=f"default: the nearest {CONFIG_NAME} upwards")


def project_file(named: str | None, start: Path = Path()) -> Path | None:
    """The configuration file: the named one, else the nearest one from `start` upwards, else None."""
    if named is not None:
        return Path(named)
    begin = start.absolute()
    candidates = [folder / CONFIG_NAME for folder in (begin, *begin.parents)]
    return next((path for path in candidates if path.is_file()), None)


def load(named: str | None) -> Project:
    """The project; a missing file is a usage error that says how to begin."""
    from posture.config import load_project

    found = project_file(named)
    if found is None:
        raise UsageError(
            f"no {CONFIG_NAME} here or above: name one with --config, or see docs/configuration.md; "
            "`posture demo --keep` writes a complete one"
        )
    return load_project(found)


def linted_root(file: Path | None, paths: Sequence[Path]) -> Path:
    """What paths are relative to: the folder of posture.yaml, else the repository, else here.

    Code-scanning services want paths from the repository's top. A single folder elsewhere is its own root.
    """
    if file is not None:
        return file.absolute().parent
    repository = repository_of(paths[0])
    if repository is not None:
        return repository
    outside = not paths[0].resolve().is_relative_to(Path.cwd())
    return paths[0] if outside and len(paths) == 1 and paths[0].is_dir() else Path()


def repository_of(path: Path) -> Path | None:
    """The top of the git repository that a path lies in, None outside of one."""
    begin = path.absolute()
    return next((folder for folder in (begin, *begin.parents) if (folder / ".git").exists()), None)


def lint_config(path: Path | None) -> LintConfig:
    """The `lint` section of a configuration, or the defaults."""
    from lint.config import LintConfig

    if path is None:
        return LintConfig()
    from posture.config import load_project

    return LintConfig.from_mapping(load_project(path).lint)
