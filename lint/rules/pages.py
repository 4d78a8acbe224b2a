"""A rule as a page: for `docs/rules/CODE.md`, and for tools that show Markdown beside a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lint.rules.rule import Rule

#: How a comment begins.
_MARKS = {"sql": "--", "python": "#", "yaml": "#", "typescript": "//"}
#: What a rule is about, by the beginning of its code.
_AREAS = {"RLS": "row-level-security", "BYP": "bypass", "WRAP": "tenant-scope", "COV": "coverage"}
#: Scores by which code-scanning services sort: a leak between tenants, a weakness, a note.
_SCORES = {"error": 8.5, "warning": 5.5, "info": 2.0}


def page(rule: Rule) -> str:
    """The whole page of a rule."""
    return f"# {rule.code}: {rule.title}\n\nSeverity: {rule.severity}.\n\n{help_of(rule)}\n"


def help_of(rule: Rule) -> str:
    """Why, an example that fails, one that passes, when to suppress, and the source, in Markdown."""
    parts = [
        _flowing(rule.why),
        "## Fails",
        _block(rule, rule.bad),
        "## Passes",
        _block(rule, rule.good),
        "## How to fix it",
        _flowing(rule.fix),
        "## When to suppress it",
        _sentence(rule.suppress),
    ]
    if not rule.suppress.startswith("never"):
        parts.append(_block(rule, _suppression(rule)))
    return "\n\n".join([*parts, "## Where this comes from", _flowing(rule.source)])


def _block(rule: Rule, text: str) -> str:
    return f"```{rule.language}\n{text.strip()}\n```"


def tags_of(rule: Rule) -> tuple[str, ...]:
    """What the rule is about, for tools that filter."""
    area = next((name for prefix, name in _AREAS.items() if rule.code.startswith(prefix)), "lint")
    return ("security", "postgresql", "multi-tenant", area)


def score_of(rule: Rule) -> float:
    """How bad what it finds is, from 0.1 to 10.0."""
    return _SCORES[rule.severity]


def _suppression(rule: Rule) -> str:
    mark = _MARKS[rule.language]
    return f"{mark} posture: ignore {rule.code} until 2027-03-01 (owner): why this one is right"


def _flowing(text: str) -> str:
    """The text with its line breaks as spaces, paragraphs kept."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _sentence(text: str) -> str:
    flowing = _flowing(text)
    return flowing[:1].upper() + flowing[1:]
