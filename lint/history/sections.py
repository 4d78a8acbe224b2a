"""The part of a migration's text that is applied on the way up, with every line where it was.

Many tools keep the undo in the same file, below a comment of their own. What is not applied is
blanked rather than cut, so that places stay true.
"""

from __future__ import annotations

import re

#: The comments that open the way up and the way down, tool by tool.
_HEADINGS: tuple[tuple[str, str], ...] = (
    (r"migrate:up\b", r"migrate:down\b"),  # dbmate
    (r"\+goose[ \t]+up\b", r"\+goose[ \t]+down\b"),
    (r"\+migrate[ \t]+up\b", r"\+migrate[ \t]+down\b"),  # sql-migrate
    (r"\+micrate[ \t]+up\b", r"\+micrate[ \t]+down\b"),
    (r"up[ \t]+migration\b", r"down[ \t]+migration\b"),  # node-pg-migrate
    (r"-*[ \t]*up[ \t]*-*[ \t]*$", r"-*[ \t]*down[ \t]*-*[ \t]*$"),
    (r"//[ \t]*@up\b", r"//[ \t]*@undo\b"),  # MyBatis Migrations
    (r"--[ \t]*never\b", r"--[ \t]*create above[ \t]*/[ \t]*drop below"),  # tern
)
_UP = "|".join(up for up, _ in _HEADINGS)
_DOWN = "|".join(down for _, down in _HEADINGS)
_ANY_DOWN = re.compile(rf"^[ \t]*--[ \t]*(?:{_DOWN})", re.IGNORECASE | re.MULTILINE)
#: One of them stands in every heading of a way down.
_DOWN_WORDS = ("down", "undo", "drop below")
_DOWN_SECTION = re.compile(
    rf"^[ \t]*--[ \t]*(?:{_DOWN}).*?(?=^[ \t]*--[ \t]*(?:{_UP})|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_LIQUIBASE = re.compile(r"\A\s*--\s*liquibase formatted sql", re.IGNORECASE)
_CHANGESET = re.compile(
    r"^--\s*changeset\b([^\n]*)\n.*?(?=^--\s*changeset\b|\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_FOR_DATABASES = re.compile(r"\bdbms:\s*\"?([\w,!\s]+?)\"?(?=\s+\w+:|\s*$)", re.IGNORECASE)


def way_up(text: str) -> str:
    """Blank what a migration does only on its way down, or only for another database."""
    if "--" not in text:
        return text
    lowered = text.lower()  # the pattern is tried at every letter, these are found at once
    if any(word in lowered for word in _DOWN_WORDS) and _ANY_DOWN.search(text):
        text = _DOWN_SECTION.sub(lambda match: _blank(match[0]), text)
    if _LIQUIBASE.match(text):
        text = _CHANGESET.sub(lambda match: match[0] if _is_ours(match[1]) else _blank(match[0]), text)
    return text


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _is_ours(attributes: str) -> bool:
    """Say whether a Liquibase changeset is applied to PostgreSQL."""
    match = _FOR_DATABASES.search(attributes)
    if match is None:
        return True
    names = [name.strip().lower() for name in match[1].split(",")]
    refused = [name[1:].strip() for name in names if name.startswith("!")]
    return "postgresql" in names or (bool(refused) and "postgresql" not in refused)
