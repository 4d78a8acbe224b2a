"""Whatever decides a verdict is pinned by its source digest, and can be carried away and run alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from checks import sources
from checks.check import load_checks
from checks.sources import carried_sources, judging_source

if TYPE_CHECKING:
    from pathlib import Path

ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from checks.check import load_checks
from checks.reperform import reperform
from checks.sources import judging_source
assert reperform((), ()) == []
print(judging_source(), len(load_checks()))
"""


@pytest.fixture
def judging(tmp_path: Path) -> Path:
    for name, source in carried_sources().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    return tmp_path


def test_the_digest_is_over_every_carried_source_by_its_path() -> None:
    digests = {name: hashlib.sha256(source).hexdigest() for name, source in carried_sources().items()}
    assert {"checks/check.py", "controls/verdict.py", "evidence/view.py", "evidence/payload.py"} <= set(
        digests
    )
    text = json.dumps(digests, sort_keys=True, separators=(",", ":"))
    assert judging_source() == hashlib.sha256(text.encode()).hexdigest()
    assert {check.source for check in load_checks().values()} == {judging_source()}


@pytest.mark.parametrize("name", sorted(carried_sources()))
def test_an_edit_in_any_carried_source_changes_the_digest(
    judging: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (judging / name).write_bytes(carried_sources()[name] + b"# kinder\n")
    monkeypatch.setattr(sources, "HOUSE", judging)
    before = judging_source()
    sources.carried_sources.cache_clear()
    sources.judging_source.cache_clear()
    try:
        assert judging_source() != before
    finally:
        monkeypatch.undo()
        sources.carried_sources.cache_clear()
        sources.judging_source.cache_clear()


def test_carried_away_it_runs_on_the_standard_library_and_gives_the_same_digest(judging: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(judging)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == [judging_source(), str(len(load_checks()))]
