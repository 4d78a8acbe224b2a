"""Writes the parts of the documentation that are made from the code, so that they cannot drift.

`make docs` runs it; a test compares what it would write with what is committed.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grimp

DOCS = Path(__file__).resolve().parent
RULE_PAGES = DOCS / "rules"
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


def rule_links() -> str:
    """Every rule with a link to its page, for the index of `docs/rules`."""
    from lint.rules.registry import RULES

    rows = [f"| [{rule.code}]({rule.code}.md) | {rule.severity} | {rule.title} |" for rule in RULES.values()]
    return "\n".join(["| rule | severity | what it finds |", "|---|---|---|", *rows])


def lint_settings() -> str:
    """Every setting of the `lint` section, from the comments and defaults of `LintConfig`."""
    from lint.config import LintConfig

    told = _told_by_comments(Path(inspect.getfile(LintConfig)).read_text())
    shown = LintConfig()
    rows = [
        f"| `{setting.name}` | {_default(getattr(shown, setting.name))} | {told[setting.name]} |"
        for setting in dataclasses.fields(LintConfig)
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def _told_by_comments(source: str) -> dict[str, str]:
    """The `#:` comment above each field; fields one below the other share the comment above them."""
    told: dict[str, str] = {}
    comment: list[str] = []
    fresh = True
    for line in source.splitlines():
        if line.startswith("    #: "):
            comment = comment if not fresh else []
            comment.append(line.removeprefix("    #: "))
            fresh = False
        elif field := re.match(r"    (\w+): ", line):
            told[field[1]] = " ".join(comment)
            fresh = True
    return told


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return "<br>".join(f"`{item}`" for item in value) or "none"
    if isinstance(value, dict):
        return "<br>".join(f"`{key}`" for key in value) or "none"
    return f"`{value}`" if value else "none"


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
    "lint-settings": lint_settings,
    "rule-links": rule_links,
    "checks": checks_and_sabotages,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that has a generated part, and the page of each rule, with the text that it should have."""
    from lint.rules.pages import page as page_of
    from lint.rules.registry import RULES

    for page in (*sorted(DOCS.glob("*.md")), RULE_PAGES / "README.md"):
        text = page.read_text()
        if "<!-- generated:" in text:
            yield page, _filled(text)
    for rule in RULES.values():
        yield RULE_PAGES / f"{rule.code}.md", page_of(rule)


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
    """Write every page anew and remove those of rules that are gone; returns 0."""
    written = set()
    for page, text in pages():
        page.write_text(text)
        written.add(page)
        print(f"docs: {page.name}")
    for page in set(RULE_PAGES.glob("*.md")) - written:
        page.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
