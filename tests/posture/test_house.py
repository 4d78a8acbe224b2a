"""What keeps the house in order: documents that cannot drift, and nothing of one machine."""

import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest

from checks.check import SABOTAGES, load_checks
from collectors.registry import COLLECTORS, collectors_for
from evidence.kinds.population import Population
from posture.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_generated_parts_of_the_documents_are_what_the_code_says():
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    pages = dict(generate["pages"]())
    assert {page.name for page in pages} >= {"architecture.md", "lint.md", "add-a-control.md"}
    for page, text in pages.items():
        assert page.read_text() == text, f"{page.name} is out of date: make docs"
    rules = set((ROOT / "docs" / "rules").glob("*.md"))
    assert rules <= set(pages), "a page of a rule that is gone: make docs"


def test_every_dependency_is_named_with_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    wanted = {re.match(r"[A-Za-z0-9-]+", one).group() for group in groups for one in group}
    told = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in wanted - {"tensorcost-posture"} if name not in told} == set()


def test_locked_requirements_name_no_index_and_have_hashes():
    for name in ("run", "dev", "bootstrap"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        assert "://" not in text
        pinned = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)


def test_no_file_names_a_home_folder_or_a_package_index():
    named = re.compile(r"(?<![\w.])/(?:root|home)/[a-z.]|-{2}(?:extra-)?index.url|-{2}find.links")
    found = []
    for path in tracked():
        if path.suffix not in {".png", ".zip", ".pdf"}:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if named.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_every_population_that_a_check_expects_has_a_collector_of_that_kind():
    for check in load_checks().values():
        for expect in check.expects:
            kinds = {kind for collector in collectors_for(expect.over) for kind in collector.kinds}
            assert expect.kind in kinds, f"{check.id} expects {expect.kind.kind} over {expect.over}"


def test_every_check_has_a_sabotage_and_every_collector_a_check():
    assert {one.check for one in SABOTAGES} == set(load_checks())
    judged = {expect.kind for check in load_checks().values() for expect in check.expects}
    seen = {kind for population in COLLECTORS for one in collectors_for(population) for kind in one.kinds}
    # Populations are judged by the auditors who draw from them.
    assert seen - {Population} <= judged


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_teaches_with_an_example(command, capsys):
    from posture.cli import run

    with pytest.raises(SystemExit) as ended:
        run([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "examples:" in said
    assert f"posture {command}" in said.split("examples:")[1]


def test_functions_stay_short():
    import ast

    lengths = {}
    for path in tracked():
        relative = path.relative_to(ROOT)
        if path.suffix != ".py" or relative.parts[0] in {"tests", "bench"} or "_pb2" in path.name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{relative}:{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    ordered = sorted(lengths.values())
    assert ordered[len(ordered) // 2] <= 9
    assert ordered[int(len(ordered) * 0.95)] <= 35
    assert {name: length for name, length in lengths.items() if length > 80} == {}
