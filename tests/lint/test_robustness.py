"""No file can crash or hang a run: it becomes one RLS090, and the rest is still linted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lint import LintError, Report, lint_paths
from lint.catalogue import Catalogue, Place, Table
from lint.errors import SqlUnreadableError
from lint.history.replay import Replay
from lint.history.sql import Script, statements
from lint.history.statements import statement_facts
from lint.rules.predicates import PredicateError, always_true
from lint.source.python import read_python
from lint.source.sql_texts import setting_changes

Lint = Callable[..., Report]
TABLE = "CREATE TABLE a (tenant_id int);"
SEEDS = [path.read_text() for path in sorted((Path(__file__).parent / "corpus").rglob("*.sql"))]
WORDS = sorted({word for seed in SEEDS for word in seed.split()} | {"(", ")", ";", "$$", "'", '"', ",", "."})


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def replayed(text: str) -> None:
    replay = Replay("x")
    try:
        for statement in statements(Script(text)):
            replay.apply(statement_facts(statement, {"protect": ("p",)}), Place("x"))
    except SqlUnreadableError:
        return
    replay.catalogue()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("m/0.sql", b"SELECT 'never closed", "cannot be tokenized"),
        ("m/0.sql", b"\x00\x01\x02", "it is binary"),
        ("m/0.sql", b"-- caf\xe9\nSELECT 1;", "byte 6 is not UTF-8"),
        ("m/0.sql", b"CREATE POLICY p ON;", "is not a statement as known here"),
        ("versions/0.py", b"down_revision = None\ndef (", "not Python that can be parsed"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_linted(
    lint: Lint, name: str, content: bytes, why: str
) -> None:
    report = lint({name: content, "m/1.sql": TABLE})
    assert sorted(rules(report)) == ["RLS001", "RLS090"]
    (gap,) = [finding for finding in report.findings if finding.rule == "RLS090"]
    assert gap.path == name
    assert why in gap.message


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LintError, match=r"nowhere: no such file or folder"):
        lint_paths([tmp_path / "nowhere"], root=tmp_path)


def test_other_peoples_code_and_tests_are_passed_over_unless_named(lint: Lint, tmp_path: Path) -> None:
    report = lint({"node_modules/x/1.sql": TABLE, "tests/1.sql": TABLE})
    assert rules(report) == []
    assert rules(lint_paths([tmp_path / "tests"], root=tmp_path)) == ["RLS001"]


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=2000)
def test_arbitrary_text_never_crashes_the_front_end(text: str) -> None:
    replayed(text)
    list(setting_changes(text))


@given(st.lists(st.sampled_from(WORDS), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
def test_real_words_in_any_order_never_crash_the_replay(words: list[str], chance: random.Random) -> None:
    replayed(" ".join(words))
    replayed("DO $$ BEGIN " + " ".join(words) + " END $$;")
    seed = chance.choice(SEEDS)
    cut = chance.randrange(len(seed))
    replayed(seed[:cut] + " ".join(words) + seed[cut + chance.randrange(40) :])


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
@settings(max_examples=200, deadline=2000)
def test_an_arbitrary_predicate_is_judged_or_refused(text: str) -> None:
    table = Table("public", "a")
    try:
        always_true(text, table, Catalogue("x", {"public.a": table}))
    except PredicateError:
        return


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=2000)
def test_arbitrary_bytes_never_crash_the_python_reader(content: bytes) -> None:
    read_python(content, "x.py")


def test_deep_nesting_ends(lint: Lint) -> None:
    deep = "(" * 3000 + "true" + ")" * 3000
    python = "x = " + "[" * 3000 + "]" * 3000 + "\nrun_as_bypass(a, b)\n"
    report = lint({"m/1.sql": f"CREATE POLICY p ON a USING {deep};", "a.py": python})
    assert sorted(rules(report)) in (["BYP001", "RLS010"], ["BYP001", "RLS090"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m/1.sql", f"CREATE POLICY p ON a USING ({' OR '.join(['b = 1'] * 20000)});"),
        ("m/1.sql", f"CREATE POLICY p ON a USING ({'NOT ' * 20000}b);"),
        ("m/1.sql", f"DO $$ BEGIN {'IF a THEN ' * 20000} END $$;"),
        ("m/1.sql", f"CREATE SCHEMA a; {'/* ' * 100_000}"),
        ("m/1.sql", f"CREATE POLICY p ON {' '.join(f'1$a{number}$' for number in range(100_000))}"),
        ("m/1.sql", f"CREATE SCHEMA a; {'$a$ $b$ ' * 50_000}$c$"),
        ("versions/1.py", f"down_revision = None\nx = {'-' * 50000}1"),
        ("versions/1.py", f"down_revision = None\nx = {'+'.join(['1'] * 20000)}"),
    ],
)
def test_what_is_nested_without_end_is_one_gap(lint: Lint, name: str, content: str) -> None:
    assert rules(lint({name: content})) == ["RLS090"]


def test_a_chain_of_calls_ends(lint: Lint) -> None:
    started = time.process_time()
    assert rules(lint({"a.py": "run_as_bypass" + "(a)" * 20000})) == ["BYP001"]
    assert time.process_time() - started < 5


def test_a_loop_in_a_do_block_ends(lint: Lint) -> None:
    names = ", ".join(f"'t{n}'" for n in range(200))
    loop = f"FOREACH t IN ARRAY ARRAY[{names}] LOOP"
    body = f"{loop} {loop} {loop} EXECUTE 'SELECT 1'; END LOOP; END LOOP; END LOOP;"
    assert rules(lint({"m/1.sql": f"DO $$ BEGIN {body} END $$;"})) == ["RLS090"]
