"""In which order the files of one history are applied, as the tool that wrote the layout would.

Numbers count by their value, dates as they are written: `2026_07_02` comes after `20260417120000` for
every tool that compares names; goose, golang-migrate and Flyway compare numbers. Drizzle's journal,
sqitch's plan, Flyway's versions, graphile-migrate's committed and current steps and the scripts of a
PostgreSQL extension have rules of their own.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lint.files import SourceFile

FLYWAY = re.compile(r"(?P<kind>[VBR])(?P<version>\d[\w.]*?)?__.+\.sql\Z")
_EXTENSION = re.compile(r"(?P<name>[\w-]+?)--(?P<version>\d[\w.]*?)(?:--(?P<to>\d[\w.]*?))?\.sql\Z")
_VERSIONED = re.compile(r"[VBRv]?\d|R__")
_SUPABASE = re.compile(r"\d+_.*\.sql\Z")
#: A time to the day and what follows, however that is set off: other tools of the platform's write them so.
_STAMPED = re.compile(r"(?:19|20)\d{6}\d*\D.*\.sql\Z")
_RELATION = rb'(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?(?:"?\w+"?\s*\.\s*)?"?(\w+)'
_CREATED = re.compile(rb"\bcreate\s+(?:unlogged\s+)?table\s+" + _RELATION, re.IGNORECASE)
_ALTERED = re.compile(
    rb"\b(?:alter\s+table|references|create\s+policy\s+(?:\"[^\"]*\"|\w+)\s+on)\s+" + _RELATION, re.IGNORECASE
)
_CHECKPOINT = re.compile(rb"\A(?:--[^\n]*\n)*--\s*atlas:checkpoint\b")
_UP_FILE = re.compile(r"(?:up|migration)\.sql\Z", re.IGNORECASE)

_DATED = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])")
#: The sections of dbmate and goose.
_DBMATE = re.compile(rb"^--\s*migrate:up\b", re.MULTILINE)
_GOOSE = re.compile(rb"^--\s*\+goose\s+up\b", re.MULTILINE | re.IGNORECASE)
_GOLANG = re.compile(r"\d+_.*\.up\.sql\Z")
#: How much of a folder must be named so, to be golang-migrate's.
_MOSTLY = 0.8

Order = tuple[Any, ...]


def is_versioned(path: str) -> bool:
    """Say whether a file's name, or its step's folder, starts with a version."""
    file = PurePosixPath(path)
    name = file.parent.name if _UP_FILE.match(file.name) else file.name
    return bool(_VERSIONED.match(name) or _EXTENSION.match(name)) or file.parent.name in {
        "committed",
        "deploy",
    }


def natural(path: str) -> Order:
    """Order by the numbers in a path, by value, and by its words."""
    parts = re.split(r"(\d+)", path)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)


def chronological(path: str) -> Order:
    """Order by numbers as `natural` does, then by dates as text, then by words, folder by folder."""
    return tuple(_of_part(part) for part in path.split("/"))


def _of_part(part: str) -> Order:
    if _DATED.match(part):
        return (1, ((0, 0, part),))
    return (0 if part[:1].isdigit() else 2, natural(part))


def in_order(folder: str, files: Sequence[SourceFile], notes: list[str]) -> list[SourceFile]:
    """Return the files of a history as they are applied; what the tool would skip becomes a note."""
    plain = sorted(files, key=lambda file: chronological(file.path))
    if not plain:
        return []
    for applies, order in _TOOLS:
        if applies(folder, plain):
            kept = order(plain)
            _note_skipped(folder, plain, kept, order.__doc__ or "", notes)
            if order is _supabase:
                _note_missed(folder, kept, notes)
            return kept
    return plain


def _note_skipped(
    folder: str, files: Sequence[SourceFile], kept: Sequence[SourceFile], rule: str, notes: list[str]
) -> None:
    kept_paths = {file.path for file in kept}
    left = [file.path for file in files if file.path not in kept_paths]
    if left:
        shown = ", ".join(PurePosixPath(path).name for path in left[:3])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        notes.append(f"{folder}: {shown}{more} not replayed: {rule}")


def _note_missed(folder: str, kept: Sequence[SourceFile], notes: list[str]) -> None:
    others = [file.location.name for file in kept if not _SUPABASE.match(_step(file))]
    if others:
        count = "1 file is" if len(others) == 1 else f"{len(others)} files are"
        notes.append(
            f"{folder}: {count} not named <timestamp>_name.sql as the Supabase command line wants it "
            f"({others[0]}), and replayed all the same: later files alter what they create"
        )


def _home(files: Sequence[SourceFile], folder: str) -> Path:
    """Return where a history's folder is on disk."""
    file = files[0]
    depth = len(PurePosixPath(file.path).parts) - len(PurePosixPath(folder).parts)
    return file.location.parents[max(depth - 1, 0)]


# Supabase


def _is_supabase(folder: str, files: Sequence[SourceFile]) -> bool:
    """Ask for the folder on disk: the one that is named on the command line is the same history."""
    return bool(files) and _home(files, folder).absolute().parts[-2:] == ("supabase", "migrations")


def _supabase(files: Sequence[SourceFile]) -> list[SourceFile]:
    """the Supabase command line applies only files named <timestamp>_name.sql"""
    named = [file for file in files if _SUPABASE.match(_step(file))]
    stamped = [file for file in files if _STAMPED.match(_step(file))]
    return _by_name(stamped if _are_missed(named, stamped) else named)


def _are_missed(named: Sequence[SourceFile], stamped: Sequence[SourceFile]) -> bool:
    """Say whether files by their right names alter tables that only others create, which were applied too."""
    others = [file for file in stamped if file not in named]
    made = _names(_CREATED, others) - _names(_CREATED, named)
    return not made.isdisjoint(_names(_ALTERED, named))


def _names(pattern: re.Pattern[bytes], files: Sequence[SourceFile]) -> set[bytes]:
    return {name.lower() for file in files for name in pattern.findall(file.content)}


def _step(file: SourceFile) -> str:
    """Return the name that a tool orders a step by: the file's, or its folder's for `up.sql`."""
    name = file.location.name
    return f"{file.location.parent.name}.sql" if _UP_FILE.match(name) else name


# Tools that compare names, and tools that compare numbers


def _compares_names(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    dbmate = any(_DBMATE.search(file.content) for file in files)
    return dbmate or all(file.location.name == "migration.sql" for file in files)


def _by_name(files: Sequence[SourceFile]) -> list[SourceFile]:
    """dbmate and Prisma apply migrations in the order of their names"""
    return sorted(files, key=lambda file: (_step(file), file.path))


def _compares_numbers(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    return any(_GOOSE.search(file.content) for file in files)


def _by_number(files: Sequence[SourceFile]) -> list[SourceFile]:
    """goose applies migrations in the order of their numbers"""
    return sorted(files, key=lambda file: natural(file.path))


def _is_golang(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    named = sum(_GOLANG.match(file.location.name) is not None for file in files)
    return named > 1 and named >= _MOSTLY * len(files)


def _golang(files: Sequence[SourceFile]) -> list[SourceFile]:
    """golang-migrate applies only files named <version>_name.up.sql"""
    return _by_number([file for file in files if _GOLANG.match(file.location.name)])


# Drizzle


def _journal_path(folder: str, files: Sequence[SourceFile]) -> Path:
    return _home(files, folder) / "meta" / "_journal.json"


def _is_drizzle(folder: str, files: Sequence[SourceFile]) -> bool:
    return bool(_tags(_journal_path(folder, files)))


def _drizzle(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Drizzle applies only what its journal (meta/_journal.json) lists"""
    folder = str(PurePosixPath(files[0].path).parent)
    tags = _tags(_journal_path(folder, files))
    by_tag = {file.location.stem: file for file in files}
    return [by_tag[tag] for tag in tags if tag in by_tag]


def _tags(journal: Path) -> list[str]:
    try:
        entries = json.loads(journal.read_bytes())["entries"]
        listed = sorted(entries, key=lambda entry: int(entry["idx"]))
        return [str(entry["tag"]) for entry in listed]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


# Flyway


def _is_flyway(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    found = (FLYWAY.match(file.location.name) for file in files)
    return any(match is not None and match["kind"] == "V" for match in found)


def _flyway(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Flyway applies V…__, B…__ and R__ scripts, and a baseline only where no older version is left"""
    matched = [(match, file) for file in files if (match := FLYWAY.match(file.location.name))]
    versions = [(version(match["version"] or ""), file) for match, file in matched if match["kind"] == "V"]
    bases = [(version(match["version"] or ""), file) for match, file in matched if match["kind"] == "B"]
    base = max(bases, key=lambda pair: pair[0], default=None)
    if base is not None and not any(number <= base[0] for number, _ in versions):
        versions.append(base)
    repeatable = [file for match, file in matched if match["kind"] == "R"]
    applied = [file for _, file in sorted(versions, key=lambda pair: (pair[0], pair[1].path))]
    return applied + sorted(repeatable, key=lambda file: file.location.name)


def version(text: str) -> tuple[int, ...]:
    """Return a version as numbers to compare: `2_1` and `2.1.0` are one."""
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


# graphile-migrate


def _is_graphile(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    return any(PurePosixPath(file.path).parent.name == "committed" for file in files)


def _graphile(files: Sequence[SourceFile]) -> list[SourceFile]:
    """graphile-migrate applies its hooks, what is committed and what is current"""

    def stage(file: SourceFile) -> Order:
        parent = PurePosixPath(file.path).parent.name
        current = parent == "current" or file.location.name == "current.sql"
        return (1 if parent == "committed" else 2 if current else 0, natural(file.path))

    return sorted(files, key=stage)


# sqitch


def _is_sqitch(folder: str, files: Sequence[SourceFile]) -> bool:
    return PurePosixPath(folder).name == "deploy" and bool(_planned(_home(files, folder).parent))


def _sqitch(files: Sequence[SourceFile]) -> list[SourceFile]:
    """sqitch applies only what its plan (sqitch.plan) lists"""
    by_name = {file.location.stem: file for file in files}
    return [by_name[name] for name in _planned(files[0].location.parent.parent) if name in by_name]


def _planned(folder: Path) -> list[str]:
    try:
        lines = (folder / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.split()[0] for line in lines if line.strip() and line[0] not in "%#@ "]


# PostgreSQL extensions


def _is_extension(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    return any(_EXTENSION.match(file.location.name) for file in files)


def _extension(files: Sequence[SourceFile]) -> list[SourceFile]:
    """CREATE EXTENSION runs the newest install script and the updates that lead on from it"""
    scripts = [(match, file) for file in files if (match := _EXTENSION.match(file.location.name))]
    kept: list[SourceFile] = []
    for name in sorted({match["name"] for match, _ in scripts}):
        own = [(match, file) for match, file in scripts if match["name"] == name]
        kept.extend(_installed([(match["version"], match["to"], file) for match, file in own]))
    return kept


def _installed(scripts: list[tuple[str, str | None, SourceFile]]) -> list[SourceFile]:
    whole = [(version(at), file) for at, to, file in scripts if to is None]
    first, applied = max(whole, key=lambda pair: pair[0], default=((), None))
    kept = [] if applied is None else [applied]
    updates = sorted(
        ((version(at), version(to), file) for at, to, file in scripts if to is not None),
        key=lambda update: update[:2],
    )
    at = first
    for start, end, file in updates:
        if start >= at and end > start:
            kept.append(file)
            at = end
    return kept


# Atlas


def _is_atlas(folder: str, files: Sequence[SourceFile]) -> bool:
    del folder
    return any(_CHECKPOINT.match(file.content) for file in files[1:])


def _atlas(files: Sequence[SourceFile]) -> list[SourceFile]:
    """a checkpoint tells again what the files before it did"""
    return [file for index, file in enumerate(files) if index == 0 or not _CHECKPOINT.match(file.content)]


_Applies: TypeAlias = "Callable[[str, Sequence[SourceFile]], bool]"
_Orders: TypeAlias = "Callable[[Sequence[SourceFile]], list[SourceFile]]"
#: How to tell a tool's layout, and its order. The first that fits decides.
_TOOLS: tuple[tuple[_Applies, _Orders], ...] = (
    (_is_supabase, _supabase),
    (_is_drizzle, _drizzle),
    (_is_flyway, _flyway),
    (_is_graphile, _graphile),
    (_is_sqitch, _sqitch),
    (_is_extension, _extension),
    (_is_atlas, _atlas),
    (_is_golang, _golang),
    (_compares_names, _by_name),
    (_compares_numbers, _by_number),
)
