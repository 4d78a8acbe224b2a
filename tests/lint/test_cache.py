"""A stored answer is given for the same files, settings, lint and day, and for nothing else."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import lint.cache as cache_module
from lint import LintConfig, Report
from lint.api import lint_corpus
from lint.cache import Cache
from lint.files import corpus_of, find
from lint.limits import TooSlowError, check_time, file_deadline

DEFAULTS = LintConfig()
DAY = date(2026, 12, 1)
TABLE = "CREATE TABLE a (tenant_id int); -- posture: ignore RLS004 until 2027-01-01 (x): y\n"
Ask = Callable[..., tuple[Report, bool]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "p"
    (root / "m").mkdir(parents=True)
    (root / "m" / "1.sql").write_text(TABLE)
    (root / "a.py").write_text("import psycopg\npsycopg.connect(X)\n")
    return root


@pytest.fixture
def ask(tmp_path: Path, project: Path) -> Ask:
    """Ask the cache for the project's report, as the command does: (report, was it stored)."""

    def asked(config: LintConfig = DEFAULTS, day: date = DAY, root: Path = project) -> tuple[Report, bool]:
        found = find([root], root, config.exclude)
        return Cache(tmp_path / "c").report(
            found, config, root, day, lambda: lint_corpus(corpus_of(found), config, root, day)
        )

    return asked


def test_the_stored_report_is_the_report(ask: Ask) -> None:
    made, was_stored = ask()
    again, now_stored = ask()
    assert (was_stored, now_stored) == (False, True)
    assert again == made
    assert again.to_json() == made.to_json()
    assert made.suppressions
    assert made.findings


@pytest.mark.parametrize("change", ["content", "new file", "removed", "renamed", "config", "day"])
def test_whatever_an_answer_depends_on_makes_a_new_one(ask: Ask, project: Path, change: str) -> None:
    ask()
    config, day = LintConfig(), DAY
    if change == "content":
        (project / "m" / "1.sql").write_text(TABLE + " ")
    elif change == "new file":
        (project / "m" / "2.sql").write_text("")
    elif change == "removed":
        (project / "a.py").unlink()
    elif change == "renamed":
        (project / "a.py").rename(project / "b.py")
    elif change == "config":
        config = LintConfig(tenant_columns=("org_id",))
    else:
        day = date(2026, 12, 2)
    assert ask(config, day)[1] is False
    assert ask(config, day)[1] is True


def test_another_version_of_the_lint_makes_a_new_one(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    monkeypatch.setattr(cache_module, "_lint_digest", lambda: b"another")
    assert ask()[1] is False


def test_a_module_outside_the_linted_paths_that_a_revision_imports_counts(ask: Ask, project: Path) -> None:
    versions = project / "versions"
    versions.mkdir()
    (versions / "1.py").write_text(
        "from tables import NAMES\nfrom alembic import op\nrevision='1'\ndown_revision=None\n"
        "def upgrade():\n    for name in NAMES:\n        op.execute(f'CREATE TABLE {name} (tenant_id int)')\n"
    )
    config = LintConfig(exclude=("tables.py",))
    assert [f.table for f in ask(config)[0].findings if f.path == "versions/1.py"] == [None]
    assert ask(config)[1] is True
    (project / "tables.py").write_text("NAMES = ['b']\n")
    report, stored = ask(config)
    assert not stored
    assert [f.table for f in report.findings if f.path == "versions/1.py"] == ["public.b"]
    (project / "tables.py").write_text("NAMES = ['c']\n")
    assert ask(config)[1] is False


def test_the_registry_counts(ask: Ask, project: Path) -> None:
    config = LintConfig(registry="sites.yaml")
    (project / "sites.yaml").write_text("[]\n")
    ask(config)
    assert ask(config)[1] is True
    (project / "sites.yaml").write_text("[] # looked at\n")
    assert ask(config)[1] is False


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"reads": {}, "report": {"findings": 3}}'])
def test_a_damaged_entry_is_no_entry(ask: Ask, tmp_path: Path, damage: bytes) -> None:
    made, _ = ask()
    (entry,) = (tmp_path / "c").glob("*.json")
    entry.write_bytes(damage)
    assert dataclasses.replace(ask()[0], stats=made.stats) == made
    assert ask()[1] is True


def test_a_folder_that_cannot_be_written_costs_only_time(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = find([project], project, ())
    cache = Cache(tmp_path / "file" / "c")
    for _ in range(2):
        report, stored = cache.report(
            found,
            LintConfig(),
            project,
            DAY,
            lambda: lint_corpus(corpus_of(found), LintConfig(), project, DAY),
        )
        assert report.findings
        assert not stored


def test_the_entries_used_longest_ago_go_first(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    ask(day=date(2026, 12, 1))
    for day in (2, 3):
        for entry in (tmp_path / "c").glob("*.json"):
            os.utime(entry, (entry.stat().st_mtime - 100,) * 2)
        ask(day=date(2026, 12, day))
    assert len(list((tmp_path / "c").glob("*.json"))) == 2
    assert ask(day=date(2026, 12, 1))[1] is False
    assert list((tmp_path / "c").glob("*.part")) == []


def test_an_answer_that_a_slow_machine_cut_short_is_not_stored(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find([project], project, ())

    def slowly() -> Report:
        monkeypatch.setattr("lint.limits.FILE_SECONDS", -1.0)
        return lint_corpus(corpus_of(found), LintConfig(), project, DAY)

    cache = Cache(tmp_path / "c")
    report, _ = cache.report(found, LintConfig(), project, DAY, slowly)
    assert "it takes longer than" in " ".join(finding.message for finding in report.findings)
    assert list((tmp_path / "c").glob("*.json")) == []


def test_a_file_that_takes_too_long_is_one_gap_and_the_rest_is_linted(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def check() -> None:
        seen.append("")
        if len(seen) == 2:
            raise TooSlowError("it takes longer than 10 s")

    monkeypatch.setattr("lint.history.read.check_time", check)
    (project / "m" / "1.sql").write_text("CREATE TABLE a (tenant_id int);" * 2)
    (project / "m" / "2.sql").write_text("CREATE TABLE b (tenant_id int);")
    found = find([project / "m"], project, ())
    report = lint_corpus(corpus_of(found), LintConfig(), project, DAY)
    assert sorted((f.path, f.rule) for f in report.findings) == [
        ("m/1.sql", "RLS001"),
        ("m/1.sql", "RLS090"),
        ("m/2.sql", "RLS001"),
    ]


def test_an_inner_deadline_never_gives_more_time_than_the_outer() -> None:
    with file_deadline(-1), file_deadline(60), pytest.raises(TooSlowError, match="longer than -1 s"):
        check_time()
    check_time()


@pytest.mark.parametrize("name", ["a.py", "a.ts"])
def test_a_source_file_that_takes_too_long_is_one_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("lint.limits.FILE_SECONDS", -1.0)
    (tmp_path / name).write_text("run_as_bypass(a, b)\nrunAsBypass(a, b)\n")
    found = find([tmp_path], tmp_path, ())
    report = lint_corpus(corpus_of(found), DEFAULTS, tmp_path, DAY)
    assert [(f.path, f.rule) for f in report.findings] == [(name, "RLS090")]
    assert report.findings[0].message == "not analysed: it takes longer than -1 s"
