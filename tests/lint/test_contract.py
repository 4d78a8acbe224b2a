"""The JSON of a report is a contract: a golden file, a schema, and fingerprints that last."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs

from lint import Report, lint_paths
from lint.report import SEVERITIES
from lint.rules.registry import RULES
from lint.rules.suppression_rules import SUPPRESSION_RULES
from lint.rules.table_rules import TABLE_RULES

HERE = Path(__file__).parent
CORPUS = HERE / "corpus" / "contract"
GOLDEN = HERE / "golden" / "report.json"
SCHEMA = HERE.parents[1] / "docs" / "schema" / "lint.schema.json"
Lint = Callable[..., Report]


def reported() -> dict[str, Any]:
    document = lint_paths([CORPUS], root=CORPUS, as_of=date(2026, 12, 1)).to_json()
    document["stats"]["seconds"] = 0.0
    return document


def test_the_report_is_the_golden_file() -> None:
    text = json.dumps(reported(), indent=2) + "\n"
    if os.environ.get("POSTURE_WRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_the_report_follows_its_schema() -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    validator.validate(reported())
    assert not validator.is_valid({**reported(), "extra": 1})


def test_the_corpus_shows_every_rule_of_a_table_but_those_of_its_whole() -> None:
    shown = {finding["rule"] for finding in reported()["findings"]}
    rules = {rule.code for rule in (*TABLE_RULES, *SUPPRESSION_RULES)}
    assert rules - shown == {"RLS002", "RLS003"}
    assert {"BYP001", "BYP006", "WRAP001", "WRAP003"} <= shown


def test_paths_are_relative_to_the_linted_root() -> None:
    paths = {finding["path"] for finding in reported()["findings"]}
    assert paths == {"migrations/0001_tables.sql", "migrations/0002_security.sql", "app/jobs.py"}


def test_a_fingerprint_survives_lines_added_above(lint: Lint) -> None:
    source = "def f(c):\n    c.execute('SET app.tenant_id = 1')\n    c.execute('SET app.tenant_id = 2')\n"
    sql = "CREATE TABLE a (tenant_id int);"
    before = lint({"a.py": source, "m/1.sql": sql})
    after = lint({"a.py": "\n\n# more\n" + source, "m/1.sql": "\n\n\n" + sql})
    prints = [finding.fingerprint for finding in before.findings]
    assert prints == [finding.fingerprint for finding in after.findings]
    assert len(set(prints)) == 3
    assert before.findings[0].line != after.findings[0].line


def test_every_rule_explains_itself_with_an_example_and_a_cure() -> None:
    for code, rule in RULES.items():
        assert rule.severity in SEVERITIES
        assert code in rule.explanation
        assert all((rule.title, rule.why, rule.bad, rule.good, rule.suppress))
