"""The lint as a library: lint paths, judge a catalogue, read a live database, count coverage.

Everything heavy is imported inside the function that needs it, so that importing this module costs
nothing; the command line and the collectors call only what stands here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lint.catalogue import Catalogue, Place
from lint.config import TENANT_COLUMNS, LintConfig
from lint.coverage import coverage_of, merged
from lint.limits import late_files
from lint.report import Report, Stats, fingerprinted
from lint.rules.table_rules import RLS090

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.files import Corpus, SourceFile
    from lint.report import Coverage, Finding
    from lint.rules.head import Head

__all__ = [
    "coverage_live",
    "coverage_of",
    "explain",
    "lint_catalogue",
    "lint_corpus",
    "lint_paths",
    "read_live",
    "replay_paths",
]

_HISTORY_RULES = "RLS"


def lint_paths(
    paths: Sequence[Path | str],
    config: LintConfig | None = None,
    root: Path | str = ".",
    *,
    as_of: date | None = None,
) -> Report:
    """Lint files and folders; paths in the report are relative to `root`.

    `as_of` is the day on which suppressions are judged, today when it is not given. Raises LintError
    for a path that does not exist and LintConfigError for a registry that cannot be used. A file that
    cannot be read is a finding (RLS090), never an exception.
    """
    from lint.files import gather

    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    return lint_corpus(corpus, settings, base, as_of or datetime.now(tz=UTC).date())


def lint_corpus(corpus: Corpus, settings: LintConfig, base: Path, as_of: date) -> Report:
    """Lint files already read, as `lint_paths` does."""
    from lint.suppress import apply_suppressions

    started = time.perf_counter()
    catalogues, findings, statements = _histories(corpus, settings, base)
    heads = _heads(catalogues, settings)
    findings.extend(finding for head in heads for finding in head.findings)
    coverage = merged(coverage_of(head.catalogue, settings.global_tables) for head in heads)
    findings.extend(_rollout_findings(heads, coverage, settings, base))
    judged = [head.catalogue for head in heads]
    with late_files() as late:
        findings.extend(_source_findings(corpus, judged, settings, base))
    findings.extend(_not_analysed((Place(path), reason) for path, reason in late.items()))
    findings.extend(_unreadable(file) for file in corpus.unreadable)
    kept, suppressed, suppressions = apply_suppressions(findings, corpus, as_of)
    stats = Stats(
        corpus.count,
        statements,
        time.perf_counter() - started,
        sum(finding.rule == RLS090.code for finding in kept),
        len(suppressed),
    )
    return Report(
        fingerprinted(kept),
        coverage,
        stats,
        fingerprinted(suppressed),
        suppressions=suppressions,
        tenancy=_tenancy_text(heads),
        notes=tuple(corpus.notes),
    )


def replay_paths(
    paths: Sequence[Path | str], config: LintConfig | None = None, root: Path | str = "."
) -> list[Catalogue]:
    """Return the catalogue at the head of each history found below the paths."""
    from lint.files import gather

    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    found = _histories(corpus, settings, base)[0]
    return [_with_tenants(catalogue, settings) for catalogue in found]


def lint_catalogue(catalogue: Catalogue, config: LintConfig | None = None) -> Report:
    """Judge one catalogue, such as a live database's; the finding's path is its source."""
    started = time.perf_counter()
    settings = config or LintConfig()
    (head,) = _heads([catalogue], settings)
    findings = fingerprinted(head.findings)
    unread = sum(finding.rule == RLS090.code for finding in findings)
    stats = Stats(seconds=time.perf_counter() - started, not_analysed=unread)
    coverage = coverage_of(head.catalogue, settings.global_tables)
    return Report(findings, coverage, stats, tenancy=head.tenancy.text)


def read_live(dsn: str, tenant_columns: Iterable[str] = TENANT_COLUMNS) -> Catalogue:
    """Read the catalogue of a PostgreSQL database; raise LintError when it cannot be reached."""
    from lint.live.read import read_database

    return _with_tenants(read_database(dsn), LintConfig(tenant_columns=tuple(tenant_columns)))


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


def _columns(config: LintConfig) -> tuple[str, ...]:
    return (config.tenant_column,) if config.tenant_column else config.tenant_columns


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
        catalogues.append(replay.catalogue())
        findings.extend(_not_analysed(replay.not_analysed))
    for folder, files in corpus.revisions.items():
        replay = Replay(folder)
        statements += replay_revisions(files, replay, operations, root)
        catalogues.append(replay.catalogue())
        findings.extend(_not_analysed(replay.not_analysed))
    for folder, files in corpus.scripts.items():
        from lint.history.sequelize import replay_scripts

        replay = Replay(folder)
        statements += replay_scripts(files, replay, operations, root)
        catalogues.append(replay.catalogue())
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


def _heads(catalogues: Iterable[Catalogue], config: LintConfig) -> list[Head]:
    from lint.rules.head import judge_head

    return [judge_head(catalogue, config) for catalogue in catalogues]


def _tenancy_text(heads: Iterable[Head]) -> str:
    """Tell what was found; a history without tenants is told only where no other has any."""
    found = [head.tenancy for head in heads]
    telling = [tenancy for tenancy in found if tenancy.columns] or found
    return "; ".join(dict.fromkeys(tenancy.text for tenancy in telling))


def _rollout_findings(
    heads: Sequence[Head], coverage: Coverage, config: LintConfig, root: Path
) -> Iterator[Finding]:
    from lint.reads import noted
    from lint.rules.waves import floor_findings, planned_waves, wave_findings

    if config.wave_plan:
        noted(root / config.wave_plan)
    planned = replace(config, waves=planned_waves(config, root))
    catalogues = [head.catalogue for head in heads]
    yield from wave_findings(catalogues, planned)
    yield from floor_findings(coverage, config, catalogues[0].source if catalogues else ".")


def _with_tenants(catalogue: Catalogue, config: LintConfig) -> Catalogue:
    from lint.rules.tenancy import discover

    return discover(catalogue, config, tenant_column=config.tenant_column)[0]


def _source_findings(
    corpus: Corpus, catalogues: Sequence[Catalogue], config: LintConfig, root: Path
) -> list[Finding]:
    from lint.reads import noted
    from lint.rules.source import source_findings
    from lint.rules.wrap import wrap_findings

    if config.registry:
        noted(root / config.registry)
    return [*source_findings(corpus, config, root), *wrap_findings(corpus, catalogues, config)]
