"""Mutated real statements through the whole lint: no crash, no hang, and the rest is still linted.

`make fuzz` runs the long one; POSTURE_FUZZ_SECONDS says how long, POSTURE_FUZZ_SEED replays a run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lint import lint_paths

from .mutations import mutated

#: Of the process, so that a busy machine fails nobody. A file of this size takes some 10 ms.
CPU_SECONDS = 5.0
INTACT = "CREATE TABLE intact (tenant_id int);"
HEADER = "from alembic import op\nrevision = 'a'\ndown_revision = None\n"


def lint_mutated(folder: Path, text: str) -> None:
    """Lint a text as a migration, as a revision's SQL and as Python, beside another, intact history."""
    broken, intact = folder / "broken" / "migrations", folder / "intact" / "migrations"
    for each in (broken, intact):
        each.mkdir(parents=True, exist_ok=True)
    content = text.encode("utf-8", "replace")
    (intact / "1.sql").write_text(INTACT)
    (broken / "1.sql").write_bytes(content)
    (broken / "a.py").write_text(f"{HEADER}def upgrade():\n    op.execute({text!r})\n")
    (broken / "b.py").write_bytes(b"down_revision = 'a'\n" + content)
    started = time.process_time()
    report = lint_paths([folder], root=folder)
    assert time.process_time() - started < CPU_SECONDS
    found = [finding.rule for finding in report.findings if finding.path == "intact/migrations/1.sql"]
    assert found == ["RLS001"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_a_mutated_statement_neither_crashes_nor_hangs_the_lint(tmp_path: Path, random: Random) -> None:
    lint_mutated(tmp_path, mutated(random))


@pytest.mark.soak
def test_mutated_statements_for_minutes(tmp_path: Path) -> None:
    seconds = float(os.environ.get("POSTURE_FUZZ_SECONDS", "120"))
    seed = int(os.environ.get("POSTURE_FUZZ_SEED", str(time.time_ns())))
    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end or done == 0:
        text = mutated(Random(seed + done))
        try:
            lint_mutated(tmp_path, text)
        except Exception as error:
            error.add_note(f"POSTURE_FUZZ_SEED={seed + done} replays this text:\n{text[:2000]}")
            raise
        done += 1
    print(f"{done} mutated statements in {seconds:.0f} s, from seed {seed}")
