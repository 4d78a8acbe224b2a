"""Which files a run reads, and in which order a history replays them.

Folders that hold other people's code, build output or tests are passed over below a linted folder;
a file named on the command line is read whatever its folder. Undo scripts (`*.down.sql`) are no
part of a history, since only the way up is deployed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.errors import LintError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PASSED_OVER = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__"}
    | {"site-packages", "dist", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".posture"}
    | {"tests", "test", "__tests__"}
)
_SUFFIXES = frozenset({".sql", ".py", ".pyi"})
_UNDO = re.compile(r"(?:^|[._-])(?:down|undo|rollback|revert)\.sql\Z|\AU\d[\w.]*__", re.IGNORECASE)
_UNDO_FOLDERS = frozenset({"down", "revert", "rollback", "undo", "verify"})
_MIGRATION_FOLDERS = frozenset({"migrations", "migration", "migrate", "versions", "drizzle", "deploy"})
_REVISION = re.compile(rb"^down_revision\b", re.MULTILINE)
#: Larger files are reported, not read: no migration written by people comes near.
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: where it is, its path relative to the linted root, and its bytes or why not."""

    path: str
    location: Path
    content: bytes = b""
    unreadable: str | None = None

    @property
    def is_revision(self) -> bool:
        """True for an Alembic revision, which says what it revises."""
        return self.location.suffix == ".py" and bool(_REVISION.search(self.content))


@dataclass(frozen=True, slots=True)
class Corpus:
    """The files of a run, by how they are read."""

    #: SQL files of each history folder, in the order they are applied.
    histories: dict[str, list[SourceFile]] = field(default_factory=dict)
    #: Alembic revisions of each folder, in no order yet.
    revisions: dict[str, list[SourceFile]] = field(default_factory=dict)
    sources: list[SourceFile] = field(default_factory=list)
    unreadable: list[SourceFile] = field(default_factory=list)
    count: int = 0

    def readable(self) -> Iterator[SourceFile]:
        """Yield every file that was read."""
        for history in self.histories.values():
            yield from history
        yield from self.sources


def gather(paths: Sequence[Path], root: Path, exclude: Sequence[str]) -> Corpus:
    """Find and read the files below `paths`; raise LintError for a path that does not exist."""
    histories: dict[str, list[SourceFile]] = {}
    revisions: dict[str, list[SourceFile]] = {}
    sources: list[SourceFile] = []
    unreadable: list[SourceFile] = []
    files = list(_files(paths, root, exclude))
    for file in files:
        if file.unreadable:
            unreadable.append(file)
        elif file.location.suffix == ".sql":
            histories.setdefault(_history_of(file.path), []).append(file)
        else:
            sources.append(file)
            if file.is_revision:
                revisions.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    for history in histories.values():
        history.sort(key=lambda file: _order(file.path))
    return Corpus(histories, revisions, sources, unreadable, len(files))


def _files(paths: Sequence[Path], root: Path, exclude: Sequence[str]) -> Iterator[SourceFile]:
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise LintError(f"{path}: no such file or folder; check the path given to the lint")
        for location in sorted(_walk(path)):
            relative = _relative(location, root)
            if location in seen or path_matches(relative, exclude):
                continue
            seen.add(location)
            yield _read(location, relative)


def _walk(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    try:
        entries = list(path.iterdir())
    except OSError as error:
        raise LintError(f"{path}: cannot be listed ({error.strerror})") from error
    for entry in entries:
        if entry.is_dir():
            if entry.name not in PASSED_OVER and not entry.is_symlink():
                yield from _walk(entry)
        elif entry.suffix in _SUFFIXES and not _is_undo(entry):
            yield entry


def _is_undo(path: Path) -> bool:
    if path.suffix != ".sql":
        return False
    return bool(_UNDO.search(path.name)) or path.parent.name in _UNDO_FOLDERS


def _relative(location: Path, root: Path) -> str:
    try:
        return location.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return location.as_posix()


def _read(location: Path, relative: str) -> SourceFile:
    try:
        size = location.stat().st_size
        if size > MAX_BYTES:
            return SourceFile(relative, location, unreadable=f"it has {size} bytes")
        content = location.read_bytes()
    except OSError as error:
        return SourceFile(relative, location, unreadable=error.strerror or "it cannot be read")
    if b"\0" in content[:8192]:
        return SourceFile(relative, location, unreadable="it is binary")
    return SourceFile(relative, location, content)


def _history_of(path: str) -> str:
    """Return the folder whose files make one history: the nearest folder named like migrations."""
    parents = PurePosixPath(path).parents
    return next((str(p) for p in parents if p.name.lower() in _MIGRATION_FOLDERS), ".")


def _order(path: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """Order as the tools do: numbers by value, Flyway's repeatable scripts last."""
    name = PurePosixPath(path).name
    parts: Iterable[str] = re.split(r"(\d+)", path)
    key = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]
    return name.startswith("R__"), key


def text_of(file: SourceFile) -> tuple[str, str | None]:
    """Decode a file; the second value is the reason when some bytes are not UTF-8."""
    try:
        return file.content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
        return file.content.decode("utf-8", "replace").removeprefix("\ufeff"), reason
