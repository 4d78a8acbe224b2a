"""The lint as a library: lint paths, judge a catalogue, read a live database, count coverage.

Everything heavy is imported inside the function that needs it, so that importing this module costs
nothing; the command line and the collectors call only what stands here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lint.catalogue import Catalogue, Place
from lint.collection import seldom_collected
from lint.config import TENANT_COLUMNS, LintConfig
from lint.coverage import coverage_of, merged
from lint.limits import PROGRAM, PROGRAM_SECONDS, late_files, within_time
from lint.report import Report, Stats, fingerprinted
from lint.rules.table_rules import RLS090

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lint.files import Corpus, SourceFile
    from lint.histories import History
    from lint.report import Coverage, Finding
    from lint.rules.head import Head
    from lint.source.audit import SourceAudit
    from lint.source.inventory import BypassUse
    from lint.source.sites import Source
    from lint.source.sources import Sources

__all__ = [
    "audit_paths",
    "bypass_inventory",
    "coverage_live",
    "coverage_of",
    "explain",
    "lint_catalogue",
    "lint_corpus",
    "lint_paths",
    "read_live",
    "replay_paths",
]


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
    with seldom_collected():
        corpus = gather([Path(path) for path in paths], base, settings.exclude)
        return lint_corpus(corpus, settings, base, as_of or datetime.now(tz=UTC).date())


def audit_paths(
    paths: Sequence[Path | str],
    config: LintConfig | None = None,
    root: Path | str = ".",
    *,
    as_of: date | None = None,
) -> SourceAudit:
    """Lint as `lint_paths` does, and say of the same files what the claims on the bypass rest on.

    Those are every bypass with what it reads, what each request handler reaches and what it verified
    before, and the joins across services. Raises as `lint_paths` does.
    """
    from lint.files import gather
    from lint.rules.bypass_sites import Registry, load_registry
    from lint.source.audit import audit_of

    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    report, catalogues, sources = _linted(corpus, settings, base, as_of or datetime.now(tz=UTC).date())
    registry = Registry("")
    if settings.registry:
        registry = load_registry(base / settings.registry, settings.bypass_kinds, settings.registry)
    return audit_of(report, registry, sources, catalogues)


def lint_corpus(corpus: Corpus, settings: LintConfig, base: Path, as_of: date) -> Report:
    """Lint files already read, as `lint_paths` does."""
    with seldom_collected():
        return _linted(corpus, settings, base, as_of)[0]


def _linted(
    corpus: Corpus, settings: LintConfig, base: Path, as_of: date
) -> tuple[Report, list[Catalogue], Sources]:
    """Return the report, the catalogue at the head of each history, and the sources as they were read."""
    from lint.histories import read_histories, unread_findings
    from lint.rules.head import asked_settings
    from lint.source.sources import Sources
    from lint.suppress import apply_suppressions

    started = time.perf_counter()
    histories = list(read_histories(corpus, settings, base))
    heads, findings = _judged(histories, settings)
    findings.extend(unread_findings(corpus, histories))
    coverage = merged(head.coverage for head in heads)
    findings.extend(_rollout_findings(heads, coverage, settings, base))
    judged = [head.catalogue for head in heads]
    asked = asked_settings(heads)
    named = replace(settings, tenant_gucs=tuple(dict.fromkeys((*settings.tenant_gucs, *asked))))
    with late_files() as late:
        sources = Sources(corpus, named, judged)
        findings.extend(_source_findings(sources, judged, base))
    findings.extend(_cut_short(path, reason) for path, reason in late.items())
    findings.extend(_unreadable(file) for file in corpus.unreadable)
    kept, suppressed, suppressions = apply_suppressions(findings, corpus, as_of)
    stats = Stats(
        corpus.count,
        sum(history.statements for history in histories),
        time.perf_counter() - started,
        sum(finding.rule == RLS090.code for finding in kept),
        len(suppressed),
    )
    report = Report(
        fingerprinted(kept),
        coverage,
        stats,
        fingerprinted(suppressed),
        suppressions=suppressions,
        tenancy=_tenancy_text(heads),
        notes=tuple(corpus.notes),
    )
    return report, judged, sources


def replay_paths(
    paths: Sequence[Path | str], config: LintConfig | None = None, root: Path | str = "."
) -> list[Catalogue]:
    """Return the catalogue at the head of each history found below the paths."""
    from lint.files import gather
    from lint.histories import read_histories

    settings, base = config or LintConfig(), Path(root)
    corpus = gather([Path(path) for path in paths], base, settings.exclude)
    histories = read_histories(corpus, settings, base)
    return [_with_tenants(history.catalogue, settings) for history in histories]


def lint_catalogue(catalogue: Catalogue, config: LintConfig | None = None) -> Report:
    """Judge one catalogue, such as a live database's; the finding's path is its source."""
    from lint.rules.head import judge_head

    started = time.perf_counter()
    settings = config or LintConfig()
    head = judge_head(catalogue, settings)
    findings = fingerprinted(head.findings)
    unread = sum(finding.rule == RLS090.code for finding in findings)
    stats = Stats(seconds=time.perf_counter() - started, not_analysed=unread)
    return Report(findings, head.coverage, stats, tenancy=head.tenancy.text)


def read_live(dsn: str, tenant_columns: Iterable[str] = TENANT_COLUMNS) -> Catalogue:
    """Read the catalogue of a PostgreSQL database; raise LintError when it cannot be reached."""
    from lint.live.read import read_database

    return _with_tenants(read_database(dsn), LintConfig(tenant_columns=tuple(tenant_columns)))


def bypass_inventory(
    paths: Sequence[Path | str], config: LintConfig | None = None, root: Path | str = "."
) -> tuple[BypassUse, ...]:
    """Return every use of the bypass below the paths: its site, tenant, handlers and verification.

    Raises LintError for a path that does not exist, LintConfigError for a registry that is no use.
    """
    from lint.files import gather
    from lint.source.inventory import inventory

    settings, base = config or LintConfig(), Path(root)
    return inventory(gather([Path(path) for path in paths], base, settings.exclude), settings, base)


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


def _cut_short(path: str, reason: str) -> Finding:
    if path == PROGRAM:
        return RLS090.finding(
            Place(path),
            f"not analysed: the calls of the whole program were not followed to the end: {reason}",
            "lint a smaller folder, or exclude generated sources",
            subject="program too slow",
        )
    return RLS090.finding(
        Place(path),
        f"not analysed: {reason}",
        "exclude the file, or divide it",
        subject="too slow",
    )


def _unreadable(file: SourceFile) -> Finding:
    return RLS090.finding(
        Place(file.path),
        f"not analysed: {file.unreadable}",
        "exclude the file, or store it as UTF-8 text",
        subject="unreadable",
    )


def _judged(histories: Iterable[History], config: LintConfig) -> tuple[list[Head], list[Finding]]:
    heads: list[Head] = []
    findings: list[Finding] = []
    for history in histories:
        head, found = history.judged(config)
        heads.append(head)
        findings.extend(found)
    return heads, findings


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


def _source_findings(sources: Sources, catalogues: Sequence[Catalogue], root: Path) -> list[Finding]:
    from lint.reads import noted
    from lint.rules.source import source_findings
    from lint.rules.wrap import wrap_findings

    if sources.config.registry:
        noted(root / sources.config.registry)
    found = [_passed_over(source) for source in sources.whole if source.lost]
    rules = (partial(source_findings, sources, root), partial(wrap_findings, sources, catalogues))
    for rule in rules:
        found.extend(_within_program(rule))
    return found


def _within_program(rule: Callable[[], Iterator[Finding]]) -> list[Finding]:
    return within_time(PROGRAM, lambda: list(rule()), list, PROGRAM_SECONDS)


def _passed_over(source: Source) -> Finding:
    return RLS090.finding(
        Place(source.path, source.lost),
        "not analysed: from this line on the syntax cannot be read, so statements were passed over",
        "correct the syntax, or exclude the file",
        subject="syntax",
    )
