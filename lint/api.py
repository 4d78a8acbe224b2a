"""The lint as a library: lint paths, judge a catalogue, read a live database, count coverage.

Everything heavy is imported inside the function that needs it, so that importing this module costs
nothing; the command line and the collectors call only what stands here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from lint.catalogue import Catalogue, Place, with_tenant_columns
from lint.config import TENANT_COLUMNS, LintConfig
from lint.coverage import coverage_of, merged
from lint.report import Report, Stats, fingerprinted
from lint.rules.table_rules import RLS090

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.files import Corpus, SourceFile
    from lint.report import Coverage, Finding

__all__ = [
    "coverage_live",
    "coverage_of",
    "explain",
    "lint_catalogue",
    "lint_paths",
    "read_live",
    "replay_paths",
]

_HISTORY_RULES = "RLS"


def lint_paths(
    paths: Sequence[Path | str], config: LintConfig | None = None, root: Path | str = "."
) -> Report:
    """Lint files and folders; paths in the report are relative to `root`.

    Raises LintError for a path that does not exist and LintConfigError for a registry that cannot
    be used. A file that cannot be read is a finding (RLS090), never an exception.
    """
    from lint.files import gather
    from lint.suppress import apply_suppressions

    started = time.perf_counter()
    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    catalogues, findings, statements = _histories(corpus, settings, base)
    for catalogue in catalogues:
        findings.extend(_catalogue_findings(catalogue, settings))
    findings.extend(_source_findings(corpus, catalogues, settings, base))
    findings.extend(_unreadable(file) for file in corpus.unreadable)
    kept, suppressed = apply_suppressions(findings, corpus)
    stats = Stats(
        corpus.count,
        statements,
        time.perf_counter() - started,
        sum(finding.rule == RLS090.code for finding in kept),
        len(suppressed),
    )
    coverage = merged(coverage_of(one, settings.global_tables) for one in catalogues)
    return Report(fingerprinted(kept), coverage, stats, fingerprinted(suppressed))


def replay_paths(
    paths: Sequence[Path | str], config: LintConfig | None = None, root: Path | str = "."
) -> list[Catalogue]:
    """Return the catalogue at the head of each history found below the paths."""
    from lint.files import gather

    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    return _histories(corpus, settings, base)[0]


def lint_catalogue(catalogue: Catalogue, config: LintConfig | None = None) -> Report:
    """Judge one catalogue, such as a live database's; the finding's path is its source."""
    started = time.perf_counter()
    settings = config or LintConfig()
    judged = with_tenant_columns(catalogue, settings.tenant_columns)
    findings = fingerprinted(_catalogue_findings(judged, settings))
    unread = sum(finding.rule == RLS090.code for finding in findings)
    stats = Stats(seconds=time.perf_counter() - started, not_analysed=unread)
    return Report(findings, coverage_of(judged, settings.global_tables), stats)


def read_live(dsn: str, tenant_columns: Iterable[str] = TENANT_COLUMNS) -> Catalogue:
    """Read the catalogue of a PostgreSQL database; raise LintError when it cannot be reached."""
    from lint.live.read import read_database

    return with_tenant_columns(read_database(dsn), tenant_columns)


def coverage_live(dsn: str, role: str, config: LintConfig | None = None) -> Coverage:
    """Count the tenant tables of a database that are enforced as `role` meets them.

    A table counts when it is enabled, has a policy for each command the role is granted, and is
    forced or not the role's own. Raises LintError as `lint.live.verify.verify` does.
    """
    from lint.live.read import read_database
    from lint.rules.viewpoint import viewpoint_of

    return viewpoint_of(read_database(dsn), role, config or LintConfig()).coverage()


def explain(code: str) -> str:
    """Return the explanation of a rule; raise LintError for a code that does not exist."""
    from lint.errors import LintError
    from lint.rules.registry import RULES

    rule = RULES.get(code.upper())
    if rule is None:
        raise LintError(f"{code}: no such rule; known are {', '.join(sorted(RULES))}")
    return rule.explanation


def _histories(corpus: Corpus, config: LintConfig, root: Path) -> tuple[list[Catalogue], list[Finding], int]:
    """Replay every history of a corpus: catalogues, what was not analysed, statements read."""
    from lint.history.alembic import replay_revisions
    from lint.history.read import replay_files
    from lint.history.replay import Replay

    operations = config.rls_operations
    catalogues: list[Catalogue] = []
    findings: list[Finding] = []
    statements = 0
    for folder, files in corpus.histories.items():
        replay = Replay(folder)
        statements += replay_files(files, replay, operations)
        catalogues.append(with_tenant_columns(replay.catalogue(), config.tenant_columns))
        findings.extend(_not_analysed(replay.not_analysed))
    for folder, files in corpus.revisions.items():
        replay = Replay(folder)
        statements += replay_revisions(files, replay, operations, root)
        catalogues.append(with_tenant_columns(replay.catalogue(), config.tenant_columns))
        findings.extend(_not_analysed(replay.not_analysed))
    return catalogues, findings, statements


def _not_analysed(notes: Iterable[tuple[Place, str]]) -> Iterator[Finding]:
    for place, reason in notes:
        yield RLS090.finding(
            place,
            f"not analysed: {reason}",
            "write it with literals, or review it by hand and suppress RLS090 with the reason",
            subject=reason,
        )


def _unreadable(file: SourceFile) -> Finding:
    return RLS090.finding(
        Place(file.path),
        f"not analysed: {file.unreadable}",
        "exclude the file, or store it as UTF-8 text",
        subject="unreadable",
    )


def _catalogue_findings(catalogue: Catalogue, config: LintConfig) -> list[Finding]:
    from lint.rules.row_security import role_findings, table_findings

    return [*table_findings(catalogue, config), *role_findings(catalogue, config)]


def _source_findings(
    corpus: Corpus, catalogues: Sequence[Catalogue], config: LintConfig, root: Path
) -> list[Finding]:
    from lint.rules.source import source_findings
    from lint.rules.wrap import wrap_findings

    return [*source_findings(corpus, config, root), *wrap_findings(corpus, catalogues, config)]
