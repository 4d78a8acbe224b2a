"""The examples that a user reads are true: the bad one is found, and nothing is wrong with the good one.

PostgreSQL itself accepts both: what a rule finds is no error of syntax.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from lint import LintConfig, Report, explain, lint_paths
from lint.catalogue import Catalogue
from lint.objects import Role
from lint.rules.pages import page
from lint.rules.privileges import server_findings
from lint.rules.registry import RULES
from lint.rules.rule import Rule
from lint.rules.viewpoint import viewpoint_of

from .surroundings import AROUND, ELSEWHERE, ROLES, ROWS

#: It judges a server, so that no file shows it.
LIVE_ONLY = {"RLS055"}
#: Before the day that the example of SUP001 gives.
TODAY = date(2026, 12, 1)
STATED = sorted(set(RULES) - LIVE_ONLY)
OF_SQL = [code for code in STATED if RULES[code].language == "sql"]


def linted(folder: Path, code: str, example: str) -> Report:
    around = AROUND[code]
    for name, text in around.project(example).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return lint_paths([folder], around.config, folder, as_of=TODAY)


def test_every_rule_has_surroundings_for_its_example() -> None:
    assert set(AROUND) == set(RULES) - LIVE_ONLY


@pytest.mark.parametrize("code", STATED)
def test_the_bad_example_is_found(tmp_path: Path, code: str) -> None:
    found = [finding for finding in linted(tmp_path, code, RULES[code].bad).findings if finding.rule == code]
    assert found
    example = set(AROUND[code].project(RULES[code].bad)) - {"migrations/0001.sql", "migrations/0099.sql"}
    assert {finding.path for finding in found} <= example, "it is found in what stands around it"


@pytest.mark.parametrize("code", STATED)
def test_nothing_is_wrong_with_the_good_example(tmp_path: Path, code: str) -> None:
    findings = linted(tmp_path, code, RULES[code].good).findings
    assert [one for one in findings if one.rule == code or one.severity != "info"] == []


@pytest.mark.parametrize(("which", "found"), [("bad", ["RLS055"]), ("good", [])])
def test_the_server_of_the_bad_example_has_holes_and_that_of_the_good_one_none(
    which: str, found: list[str]
) -> None:
    (version,) = re.findall(r"-- (\d+)\.(\d+)", getattr(RULES["RLS055"], which))
    major, minor = map(int, version)
    catalogue = Catalogue("shop", {}, roles={"app": Role("app")}, server_version=major * 10000 + minor)
    view = viewpoint_of(catalogue, "app", LintConfig())
    assert [one.rule for one in server_findings(view)] == found


@pytest.mark.parametrize("which", ["bad", "good"])
@pytest.mark.parametrize("code", OF_SQL)
def test_postgresql_accepts_the_example(postgres: str, code: str, which: str) -> None:
    example = RULES[code].bad if which == "bad" else RULES[code].good
    project = AROUND[code].project(example)
    migrations = [project[name] for name in sorted(project) if name.endswith(".sql")]
    with psycopg.connect(postgres) as connection:
        if connection.info.server_version < 150000:
            pytest.skip("the examples are written for PostgreSQL 15")
        for text in (ROLES, migrations[0], ELSEWHERE, ROWS * (code == "WRAP007"), *migrations[1:]):
            connection.execute(text)
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        connection.rollback()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_says_how_to_fix_it_and_where_it_comes_from(rule: Rule) -> None:
    assert rule.fix.endswith(".")
    assert rule.source.endswith(".")
    for text in (explain(rule.code), page(rule)):
        assert " ".join(rule.fix.split()) in " ".join(text.split())
        assert " ".join(rule.source.split()) in " ".join(text.split())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_titles_have_one_form_and_texts_name_no_address(rule: Rule) -> None:
    assert rule.title == rule.title.rstrip(".")
    assert rule.title[0].islower() or rule.title.startswith("SET ")
    assert not re.search(r"https?://|/home/|/tmp/|\b[A-M]\d\d\b", rule.explanation)


def test_a_page_shows_no_suppression_where_there_is_none_to_make() -> None:
    assert "posture: ignore RLS054" not in page(RULES["RLS054"])
    assert "// posture: ignore WRAP004 until" in page(RULES["WRAP004"])
    assert "-- posture: ignore RLS001 until" in page(RULES["RLS001"])
