"""Which files a run reads.

Folders that hold other people's code, build output or tests are passed over below a linted folder;
a file named on the command line is read whatever its folder. `lint.layouts` says which of the SQL
files were applied to a database, and in which order.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.errors import LintError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PASSED_OVER = frozenset(
    {"venv", "node_modules", "bower_components", "__pycache__", "site-packages", "dist", "build"}
    | {"vendor", "coverage", "target", "storybook-static", "tests", "test", "__tests__", "__mocks__"}
    | {"e2e", "e2e-tests", "e2e_tests", "integration-tests", "integration_tests", "cypress", "playwright"}
)
#: Generated code holds no decision of the project's; SQL in such a folder may still be a history.
_GENERATED_FOLDERS = frozenset({"generated", "__generated__", "gen"})
PYTHON = frozenset({".py", ".pyi"})
SCRIPTS = frozenset({".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"})
PRISMA = frozenset({".prisma"})
_SUFFIXES = PYTHON | SCRIPTS | PRISMA | {".sql"}
_NOT_SOURCE = re.compile(
    r"\.(?:d\.[cm]?ts|min\.[cm]?js|(?:test|spec|stories)\.[cm]?[jt]sx?)\Z", re.IGNORECASE
)
_REVISION = re.compile(rb"^down_revision\b", re.MULTILINE)
_SEQUELIZE = re.compile(
    rb"\bqueryInterface\b|\bQueryInterface\b|\bqueryRunner\.query\b|\bQueryRunner\b|\bsequelize\.query\b"
)
#: What runs SQL in other tools' migrations: a template tagged `sql`, or a call that takes SQL.
_RUNS_SQL = re.compile(
    rb"\bsql\b[\w.]*+(?:<[^`\n<>]{0,200}>)?(?:\([^`\n]{0,300}\))?\s*+`|\bawait\s+\w+\s*`|\$(?:execute|query)Raw(?:Unsafe)?\s*[(`]"
    rb"|\.(?:query|execute|raw|unsafe|sql|addSql|executeRaw)\s*+(?:<[^>\n]{0,200}>\s*+)?\("
)
_EXPORTED_WAY_UP = re.compile(
    rb"\bexport\s+(?:default\s+)?(?:async\s+)?function\s*\*?\s*(?:up|run|migrate)\b"
    rb"|\bexport\s+(?:const|let|var)\s+(?:up|run|migrate)\b|\bexports\.(?:up|run|migrate)\s*="
    rb"|[{,]\s*(?:async\s+)?(?:run|migrate)\s*[:(]"
)
_EXPORTS = re.compile(rb"\bexport\b|\bexports\b")
#: Names of files, or of the folders around them, that are those of migrations.
_MIGRATION = re.compile(r"(?:^|/)(?:[vV]?\d[^/]*|[^/]*migrat[^/]*/[^/]*)\Z", re.IGNORECASE)
_WAY_UP = re.compile(
    rb"\bup\s*(?:[:=(]|\?\s*:)|\bexport\s+(?:async\s+)?function\s+up\b|[{,]\s*(?:async\s+)?up\s*[,}(]"
)
#: Larger files are reported, not read: no migration written by people comes near.
MAX_BYTES = 16 * 1024 * 1024
#: A program of this size on one line was written by a bundler.
BUNDLE_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_FILES = 250_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: where it is, its path relative to the linted root, and its bytes or why not."""

    path: str
    location: Path
    content: bytes = b""
    unreadable: str | None = None
    #: The path given to the run below which it was found: what is named is meant.
    base: str = ""

    @property
    def is_revision(self) -> bool:
        """True for an Alembic revision, which says what it revises."""
        return self.location.suffix == ".py" and bool(_REVISION.search(self.content))

    @property
    def is_script_migration(self) -> bool:
        """True for a migration in JavaScript or TypeScript whose way up can be followed."""
        return (
            self.location.suffix in SCRIPTS
            and bool(_SEQUELIZE.search(self.content))
            and bool(_WAY_UP.search(self.content))
        )

    @property
    def may_be_script_migration(self) -> bool:
        """True for JavaScript or TypeScript that is named as migrations are, and exports what runs SQL."""
        return (
            self.location.suffix in SCRIPTS
            and bool(_MIGRATION.search(self.path))
            and bool(_EXPORTS.search(self.content))
            and bool(_EXPORTED_WAY_UP.search(self.content) or _WAY_UP.search(self.content))
            and bool(_RUNS_SQL.search(self.content))
        )


@dataclass(frozen=True, slots=True)
class Corpus:
    """The files of a run, by how they are read."""

    #: SQL files of each history folder, in the order they are applied.
    histories: dict[str, list[SourceFile]] = field(default_factory=dict)
    #: Alembic revisions of each revision graph, in no order yet.
    revisions: dict[str, list[SourceFile]] = field(default_factory=dict)
    sources: list[SourceFile] = field(default_factory=list)
    unreadable: list[SourceFile] = field(default_factory=list)
    count: int = 0
    #: Migrations in JavaScript or TypeScript of each folder, in the order they are applied.
    scripts: dict[str, list[SourceFile]] = field(default_factory=dict)
    #: SQL files that read and write rows but define nothing: queries of the program.
    queries: list[SourceFile] = field(default_factory=list)
    #: What was left out of the histories, and why, in sentences for a reader.
    notes: list[str] = field(default_factory=list)
    #: Prisma's schemas, which say the tables of its client's models.
    schemas: list[SourceFile] = field(default_factory=list)
    #: Migrations of each folder that no reader takes.
    unread: dict[str, list[SourceFile]] = field(default_factory=dict)

    def readable(self) -> Iterator[SourceFile]:
        """Yield every file that was read."""
        for history in self.histories.values():
            yield from history
        yield from self.queries
        yield from self.sources

    def python(self) -> Iterator[SourceFile]:
        """Yield the sources written in Python."""
        return (file for file in self.sources if file.location.suffix in PYTHON)

    def typescript(self) -> Iterator[SourceFile]:
        """Yield the sources written in TypeScript or JavaScript."""
        return (file for file in self.sources if file.location.suffix in SCRIPTS)


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a run as they were read, and what was left out: all that an answer depends on."""

    files: list[SourceFile]
    notes: list[str]


def find(paths: Sequence[Path], root: Path, exclude: Sequence[str]) -> Found:
    """Find and read the files below `paths`; raise LintError for a path that does not exist."""
    notes: list[str] = []
    return Found(list(_files(paths, root, exclude, notes)), notes)


def gather(paths: Sequence[Path], root: Path, exclude: Sequence[str]) -> Corpus:
    """Find and read the files below `paths`, and arrange them; raises as `find` does."""
    return corpus_of(find(paths, root, exclude))


def corpus_of(found: Found) -> Corpus:
    """Arrange files by how they are read: histories in their order, revisions, sources."""
    from lint.layouts import arranged  # here: an answer from the cache needs no arranging

    files, notes = found.files, found.notes
    readable = [file for file in files if file.unreadable is None]
    migrations = arranged(readable)
    return Corpus(
        migrations.histories,
        migrations.revisions,
        [file for file in readable if file.location.suffix in PYTHON | SCRIPTS],
        [file for file in files if file.unreadable is not None],
        len(files),
        migrations.scripts,
        migrations.queries,
        notes + migrations.notes,
        [file for file in readable if file.location.suffix in PRISMA],
        migrations.unread,
    )


def _files(
    paths: Sequence[Path], root: Path, exclude: Sequence[str], notes: list[str]
) -> Iterator[SourceFile]:
    seen: set[str] = set()
    for path in paths:
        if not path.exists():
            raise LintError(f"{path}: no such file or folder; check the path given to the lint")
        base = _relative(path, root)
        for location, relative in _walk(path, base, exclude, notes):
            if relative in seen:
                continue
            if len(seen) >= MAX_FILES:
                notes.append(f"{path}: only the first {MAX_FILES} files were read; name a smaller folder")
                return
            seen.add(relative)
            bundle = _bundle(location) if location.suffix in SCRIPTS else None
            if bundle:
                notes.append(f"{relative}: {bundle}, so it was not read")
            else:
                yield _read(location, relative, base)


def _walk(path: Path, base: str, exclude: Sequence[str], notes: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield (file, path relative to the root) below a path, in one order on every machine."""
    if path.is_file():
        if not path_matches(base, exclude):
            yield path, base
        return
    stack = [(str(path), "" if base == "." else f"{base}/", 0)]
    while stack:
        folder, prefix, depth = stack.pop()
        folders: list[tuple[str, str, int]] = []
        for entry in _entries(folder, depth, notes):
            relative = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not _passed_over(entry.name) and depth < MAX_DEPTH and not path_matches(relative, exclude):
                    folders.append((entry.path, f"{relative}/", depth + 1))
            elif _wanted(entry, relative) and not path_matches(relative, exclude):
                yield Path(entry.path), relative
        stack.extend(reversed(folders))


def _entries(folder: str, depth: int, notes: list[str]) -> list[os.DirEntry[str]]:
    """List a folder in order; one below the path given that cannot be listed is a note."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        message = f"{folder}: cannot be listed ({error.strerror})"
        if depth == 0:
            raise LintError(message) from error
        notes.append(f"{message}, so nothing below it was read")
        return []


def _passed_over(name: str) -> bool:
    return name in PASSED_OVER or name.startswith(".")


def _wanted(entry: os.DirEntry[str], relative: str) -> bool:
    suffix = entry.name[entry.name.rfind(".") :]
    if suffix not in _SUFFIXES or entry.is_dir():
        return False
    if suffix == ".sql":
        return True
    generated = not _GENERATED_FOLDERS.isdisjoint(relative.split("/")[:-1])
    return not generated and not (suffix in SCRIPTS and _NOT_SOURCE.search(entry.name))


def _relative(location: Path, root: Path) -> str:
    try:
        return location.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return location.as_posix()


def _bundle(location: Path) -> str | None:
    """Say why a file of JavaScript is the work of a tool, None when people wrote it."""
    try:
        size = location.stat().st_size
        if size <= BUNDLE_BYTES:
            return None
        with location.open("rb") as stream:
            first_line = stream.readline(BUNDLE_BYTES)
    except OSError:
        return None
    return f"{size} bytes on one line are generated" if len(first_line) >= BUNDLE_BYTES else None


def _read(location: Path, relative: str, base: str) -> SourceFile:
    try:
        found = location.stat()
        if not S_ISREG(found.st_mode):
            return SourceFile(relative, location, unreadable="it is not a regular file")
        if found.st_size > MAX_BYTES:
            return SourceFile(relative, location, unreadable=f"it has {found.st_size} bytes")
        content = location.read_bytes()
    except OSError as error:
        return SourceFile(relative, location, unreadable=error.strerror or "it cannot be read")
    if b"\0" in content[:8192]:
        return SourceFile(relative, location, unreadable="it is binary")
    return SourceFile(relative, location, content, base=base)


def text_of(file: SourceFile) -> tuple[str, str | None]:
    """Decode a file; the second value is the reason when some bytes are not UTF-8."""
    try:
        return file.content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
        return file.content.decode("utf-8", "replace").removeprefix("\ufeff"), reason
