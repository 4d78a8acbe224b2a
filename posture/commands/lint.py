"""`posture lint`: the row-security and bypass lint, for any Postgres project."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands.options import add_config, lint_config, linted_root, project_file, repository_of
from posture.errors import UsageError

if TYPE_CHECKING:
    from lint.config import LintConfig
    from lint.files import Found
    from lint.report import Report

FORMATS = ("text", "json", "sarif", "junit", "github")
CACHE = Path(".posture/cache/lint")

EXAMPLE = """examples:
  posture lint migrations/ src/             read these folders
  posture lint --strict .                   also fail on statements that were not analysed
  posture lint --write-baseline .           adopt it: know what is there, fail on what is new
  posture lint --changed origin/main .      tell only what this branch changed
  posture lint --format sarif . > lint.sarif
  posture lint --explain RLS004             why a rule exists, what fails it, what cures it

Findings of severity error or warning exit 1; with --strict, statements that could not be analysed
exit 3 when there is nothing worse. A finding is silenced in place, with an end and a reason:
`-- posture: ignore RLS010 until 2027-03-01 (owner): shared price list`. Settings stand in the `lint`
section of posture.yaml.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: here)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--strict", action="store_true", help="exit 3 when something was not analysed")
    parser.add_argument("-v", "--verbose", action="store_true", help="information and every place")
    parser.add_argument("--explain", metavar="CODE", help="explain a rule and end")
    parser.add_argument("--list-rules", action="store_true", help="one line for each rule, and end")
    _add_choices(parser)
    _add_baseline(parser)
    _add_cache(parser)
    add_config(parser)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is told")
    group.add_argument(
        "--select", action="append", default=[], metavar="RULES", help="only these: RLS0,BYP001"
    )
    group.add_argument("--ignore", action="append", default=[], metavar="RULES", help="all but these")
    group.add_argument("--changed", metavar="BASE", help="only what was changed since this commit or branch")
    group.add_argument("--tenant-column", metavar="NAME", help="the column that holds the tenant")
    group.add_argument(
        "--show-suppressed", action="store_true", help="with sarif: silenced and known findings, marked so"
    )


def _add_baseline(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("baseline: findings that are known and do not fail")
    group.add_argument("--baseline", metavar="FILE", help="default: .posture-baseline.json at the root")
    group.add_argument("--write-baseline", action="store_true", help="know everything found now")
    group.add_argument("--update-baseline", action="store_true", help="forget what is gone; adds nothing")


def _add_cache(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cache")
    group.add_argument("--cache-dir", metavar="DIR", help=f"default: {CACHE} in the project")
    group.add_argument("--no-cache", action="store_true", help="lint even what was linted before")


def run(arguments: argparse.Namespace) -> int:
    """Lint, print, and return 0, 1 or (with --strict) 3."""
    from lint.errors import LintError

    try:
        if arguments.explain or arguments.list_rules:
            return _explained(arguments.explain)
        return _linted(arguments)
    except LintError as error:
        raise UsageError(str(error)) from error


def _explained(code: str | None) -> int:
    from lint.api import explain
    from lint.rules.registry import RULES

    if code:
        print(explain(code))
    else:
        for rule in RULES.values():
            print(f"{rule.code:<8} {rule.severity:<8} {rule.title}")
    return Exit.HOLDS


def _linted(arguments: argparse.Namespace) -> int:
    from lint.files import find
    from posture.commands.lint_output import Output, written

    started = time.perf_counter()
    paths = [Path(path) for path in arguments.paths or ["."]]
    file = project_file(arguments.config, paths[0])
    root, config = linted_root(file, paths), _config(arguments, file)
    found = find(paths, root, config.exclude)
    report, stored = _report(arguments, found, config, root)
    if arguments.select or arguments.ignore:
        from lint.selection import selected

        report = selected(report, arguments.select, arguments.ignore)
    report, notes = _known(arguments, report, root, config)
    if arguments.changed:
        report, note = _changed(arguments.changed, report, root, found)
        notes.append(note)
    seconds = time.perf_counter() - started
    output = Output(report, found, seconds, tuple(notes), stored, arguments.show_suppressed)
    sys.stdout.write(written(output, arguments.format, verbose=arguments.verbose))
    if arguments.write_baseline:
        return Exit.HOLDS
    return _exit(report, strict=arguments.strict)


def _exit(report: Report, *, strict: bool) -> int:
    if report.failed:
        return Exit.FINDINGS
    shown_nothing = report.incomplete or not report.stats.files
    return Exit.INCOMPLETE if strict and shown_nothing else Exit.HOLDS


def _config(arguments: argparse.Namespace, file: Path | None) -> LintConfig:
    config = lint_config(file)
    if arguments.tenant_column:
        config = replace(config, tenant_column=arguments.tenant_column)
    return config


def _report(
    arguments: argparse.Namespace, found: Found, config: LintConfig, root: Path
) -> tuple[Report, bool]:
    """The report, from the cache where the same was linted before."""
    today = datetime.now(tz=UTC).date()
    folder = _cache_folder(arguments, root)

    def lint() -> Report:
        from lint.api import lint_corpus
        from lint.files import corpus_of

        with _progress(found):
            return lint_corpus(corpus_of(found), config, root, today)

    if folder is None:
        return lint(), False
    from lint.cache import Cache

    return Cache(folder).report(found, config, root, today, lint)


def _cache_folder(arguments: argparse.Namespace, root: Path) -> Path | None:
    """Where answers are stored; nowhere by default outside a project, which nobody asked to write to."""
    if arguments.no_cache:
        return None
    if arguments.cache_dir:
        return Path(arguments.cache_dir)
    is_project = project_file(arguments.config, root) is not None or repository_of(root) is not None
    return root / CACHE if is_project else None


def _progress(found: Found) -> AbstractContextManager[object]:
    if not sys.stderr.isatty():
        return nullcontext()
    from posture.progress import late_line

    return late_line(f"linting {len(found.files):,} files")


def _known(
    arguments: argparse.Namespace, report: Report, root: Path, config: LintConfig
) -> tuple[Report, list[str]]:
    """Set known findings apart, and write the baseline when that is asked."""
    from lint.baseline import NAME, Baseline, read_baseline, write_baseline

    if arguments.write_baseline or arguments.update_baseline:
        _refuse_parts(arguments)
    path = Path(arguments.baseline) if arguments.baseline else root / (config.baseline or NAME)
    if arguments.write_baseline:
        baseline = Baseline.of(report.findings)
        write_baseline(baseline, path)
        return baseline.apply(report), [_noted(f"now known in {_near(path)}: {len(baseline.known)}")]
    if not (path.is_file() or arguments.baseline or config.baseline or arguments.update_baseline):
        return report, []
    baseline = read_baseline(path)
    if arguments.update_baseline:
        shrunk = baseline.shrunk(report.findings)
        write_baseline(shrunk, path)
        gone = len(baseline.known) - len(shrunk.known)
        return shrunk.apply(report), [_noted(f"gone, and taken out of {_near(path)}: {gone}")]
    judged = baseline.apply(report)
    gone = 0 if arguments.select or arguments.ignore else baseline.gone(judged)
    note = _noted(f"known and gone by now: {gone}; the baseline can shrink, run --update-baseline")
    return judged, [note] if gone else []


def _near(path: Path) -> str:
    """A path as a person would write it here."""
    here = Path.cwd()
    return str(path.absolute().relative_to(here) if path.absolute().is_relative_to(here) else path)


def _noted(text: str) -> str:
    """A line of the summary that goes on from the one above."""
    return f"{'':13} {text}"


def _refuse_parts(arguments: argparse.Namespace) -> None:
    """A baseline of a part would forget the rest."""
    if arguments.write_baseline and arguments.update_baseline:
        raise UsageError("--update-baseline only removes and --write-baseline begins anew: give one")
    for name in ("select", "ignore", "changed"):
        if getattr(arguments, name):
            raise UsageError(f"a baseline is of the whole project: leave out --{name}")


def _changed(base: str, report: Report, root: Path, found: Found) -> tuple[Report, str]:
    from lint.changed import changes_since
    from lint.files import corpus_of

    changes, corpus = changes_since(base, root), corpus_of(found)
    histories = (*corpus.histories.values(), *corpus.revisions.values(), *corpus.scripts.values())
    migrations = {file.path for history in histories for file in history}
    told = tuple(finding for finding in report.findings if changes.touch(finding, migrations))
    elsewhere = len(report.findings) - len(told)
    unread = sum(finding.rule == "RLS090" for finding in told)
    limited = replace(report, findings=told, stats=replace(report.stats, not_analysed=unread))
    return limited, f"{'changed':13} since {base}; findings elsewhere, not told: {elsewhere}"
