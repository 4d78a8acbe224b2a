"""Writes the parts of the documentation that are made from the code, so that they cannot drift.

`make docs` runs it; a test compares what it would write with what is committed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grimp

DOCS = Path(__file__).resolve().parent
HOUSE = ("evidence", "core_platform", "lint", "controls", "collectors", "checks", "trust_portal", "posture")


def import_diagram() -> str:
    """The house as a Mermaid diagram: an arrow from each room to the rooms that it imports."""
    graph = grimp.build_graph(*HOUSE, cache_dir=None)
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {room}[{room}/]" for room in HOUSE]
    lines += [
        f"    {importer} --> {imported}"
        for importer in HOUSE
        for imported in HOUSE
        if importer != imported and any(_imports(graph, importer, imported))
    ]
    return "\n".join([*lines, "```"])


def lint_rules() -> str:
    """Every rule of the lint in one table."""
    from lint.rules.registry import RULES

    rows = [f"| {rule.code} | {rule.severity} | {rule.title} |" for rule in RULES.values()]
    return "\n".join(["| rule | severity | what it finds |", "|---|---|---|", *rows])


def checks_and_sabotages() -> str:
    """Every check with what must turn it red."""
    from checks.check import SABOTAGES, load_checks

    rows = []
    for check in sorted(load_checks().values(), key=lambda one: (one.area, one.id)):
        what = "<br>".join(one.what for one in SABOTAGES if one.check == check.id)
        rows.append(f"| {check.id} | {check.area} | {check.title.rstrip('.')} | {what} |")
    return "\n".join(
        ["| check | area | what it judges | sabotages that must turn it red |", "|---|---|---|---|", *rows]
    )


GENERATED: dict[str, Callable[[], str]] = {
    "imports": import_diagram,
    "lint-rules": lint_rules,
    "checks": checks_and_sabotages,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that has a generated part, with the text that it should have."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text()
        if "<!-- generated:" in text:
            yield page, _filled(text)


def _filled(text: str) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- generated:{name} -->\n\n{GENERATED[name]()}\n\n<!-- end -->"

    return re.sub(r"<!-- generated:([a-z-]+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def _imports(graph: grimp.ImportGraph, importer: str, imported: str) -> Iterator[tuple[str, str]]:
    below = {importer, *graph.find_descendants(importer)}
    targets = {imported, *graph.find_descendants(imported)}
    for module in below:
        yield from (
            (module, other) for other in graph.find_modules_directly_imported_by(module) if other in targets
        )


def main() -> int:
    """Write every page anew; returns 0."""
    for page, text in pages():
        page.write_text(text)
        print(f"docs: {page.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
