"""GitHub's workflow commands: findings as annotations on a pull request.

Escaping follows actions/toolkit (`command.ts`): a message that could begin a new line could run
another command, so line breaks and percent signs are encoded, in properties also colons and commas.
"""

from __future__ import annotations

from collections.abc import Sequence

from posture.reporting.items import Level, ReportItem

_COMMANDS: dict[Level, str] = {"error": "error", "warning": "warning", "note": "notice"}
_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def to_github(items: Sequence[ReportItem]) -> str:
    """One command a line for each item; the empty string for none."""
    return "".join(f"{_command(item)}\n" for item in items)


def _command(item: ReportItem) -> str:
    properties = {
        "file": item.path,
        "line": item.line if item.path else None,
        "col": item.column if item.path and item.line else None,
        "title": f"{item.rule} {item.title}",
    }
    told = ",".join(
        f"{name}={str(value).translate(_IN_PROPERTY)}"
        for name, value in properties.items()
        if value is not None
    )
    message = item.message if item.help is None else f"{item.message}\n{item.help}"
    return f"::{_COMMANDS[item.level]} {told}::{message.translate(_IN_MESSAGE)}"
