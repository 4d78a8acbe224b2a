"""GitHub's workflow commands: findings as annotations on a pull request.

Escaping follows actions/toolkit (`command.ts`): a message that could begin a new line could run
another command, so line breaks and percent signs are encoded, in properties also colons and commas.
GitHub shows the first ten annotations of each level of a step, so the worst levels come first and a
last line, which is no command, says how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from posture.reporting.items import LEVELS, Level, ReportItem

_COMMANDS: dict[Level, str] = {"error": "error", "warning": "warning", "note": "notice"}
#: How many annotations of each level GitHub shows of one step.
SHOWN = 10
_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def to_github(items: Sequence[ReportItem]) -> str:
    """One command a line for each item that counts; the empty string for none."""
    counting = [item for item in items if item.silenced is None]
    lines = [_command(item) for item in sorted(counting, key=lambda item: LEVELS.index(item.level))]
    for level in LEVELS:
        count = sum(item.level == level for item in counting)
        if count > SHOWN:
            lines.append(f"{count} findings of level {level}: GitHub annotates the first {SHOWN} of a step")
    return "".join(f"{line}\n" for line in lines)


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
