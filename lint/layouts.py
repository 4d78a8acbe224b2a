"""Which SQL files were applied to one database: the histories below a folder, told by layout.

The migration tools agree on little: a folder for each step or a file for each step, an undo beside
it or inside it, a dump of the result next to the steps. What decides here is what a file is, not
which tool is installed: versioned names make a history, a dump that repeats a history is not a
second database, and folders named for what is not applied (`rollback`, `examples`, `seeds`) are
left out with a note unless they are named on the command line. `lint.ordering` orders the files.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from lint.files import PYTHON, SCRIPTS
from lint.ordering import FLYWAY, in_order, is_versioned
from lint.programs import DEFINES, script_histories, unread_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lint.files import SourceFile

_UNDO = re.compile(r"(?:^|\.)(?:down|undo|rollback|revert)\.sql\Z|\AU\d[\w.]*__", re.IGNORECASE)
#: `x_down.sql` undoes `x_up.sql` or `x.sql`; alone it may as well add a column named so.
_UNDO_OF = re.compile(r"[_-](?:down|undo|rollback|revert)\.sql\Z", re.IGNORECASE)
_UNDO_FOLDERS = frozenset({"down", "revert", "undo", "verify"})
_NOT_APPLIED: Mapping[str, frozenset[str]] = {
    "not applied yet, by its folder's name": frozenset(
        {"migrations-future", "migrations_future", "future", "pending", "draft", "drafts", "proposed", "wip"}
    ),
    "no longer applied, by its folder's name": frozenset(
        {"archive", "archived", "archives", "deprecated", "obsolete", "old", "attic", "disabled", "unused"}
        | {"rollback", "rollbacks", "backup", "backups", "migrations-archive", "migrations_archive"}
    ),
    "an example, by its folder's name": frozenset(
        {"doc", "docs", "documentation", "example", "examples", "sample", "samples", "snippets", "demo"}
        | {"templates", "playground", "playgrounds", "demos", "sandbox", "sandboxes"}
    ),
    "rows and no schema, by its folder's name": frozenset(
        {"seed", "seeds", "seeders", "fixture", "fixtures", "testdata", "test-data", "test_data"}
    ),
    "written for another database": frozenset(
        {"mysql", "mariadb", "sqlite", "sqlite3", "oracle", "mssql", "sqlserver", "h2", "db2", "clickhouse"}
    ),
}
_SEED = re.compile(r"seeds?(?:[._-]\w+)*\.sql\Z", re.IGNORECASE)
_PGTAP = re.compile(rb"\bselect\s+(?:\*\s+from\s+)?(?:\w+\.)?(?:plan|no_plan|finish)\s*\(", re.IGNORECASE)
#: Folders that hold parts of one step or one schema rather than a history of their own.
_PARTS = frozenset(
    {"up", "committed", "current", "sqls", "tables", "policies", "functions", "views", "triggers", "types"}
    | {"indexes", "roles", "grants", "rls", "extensions", "enums", "procedures", "constraints", "sequences"}
)
_STEP_FILES = frozenset({"up.sql", "migration.sql"})
_PERIOD = re.compile(r"\d{1,4}\Z")
_STEP_FOLDER = re.compile(r"V?\d")
_MIGRATION_FOLDERS = frozenset({"migrations", "migration", "migrate", "versions"})
_CREATES = re.compile(
    rb'\bcreate\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?(?:"?\w+"?\s*\.\s*)?"?(\w+)', re.IGNORECASE
)
#: Names of files that tell the whole schema at once.
_DUMP = re.compile(
    r"(?:db_|database_)?(?:schema|structure|dump|schema_dump|init|full_schema|baseline)\.sql\Z", re.IGNORECASE
)
_SQL_NAME = re.compile(rb"[\w.-]+\.sql\b")
_REVISION_ID = re.compile(rb"^revision\b[^=\n]*=\s*['\"]([^'\"\n]+)", re.MULTILINE)
_REFERS = re.compile(
    rb"^(?:down_revision|depends_on)\b[^=\n]*=\s*(\([^)]*\)|\[[^\]]*\]|[^\n]*)", re.MULTILINE
)
_QUOTED = re.compile(rb"['\"]([^'\"\n]+)['\"]")


@dataclass(slots=True)
class Migrations:
    """The histories of a run, each in order where its files say it, and notes on what was left out."""

    histories: dict[str, list[SourceFile]] = field(default_factory=dict)
    revisions: dict[str, list[SourceFile]] = field(default_factory=dict)
    scripts: dict[str, list[SourceFile]] = field(default_factory=dict)
    queries: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Migrations of each folder that no reader takes.
    unread: dict[str, list[SourceFile]] = field(default_factory=dict)


def arranged(files: Iterable[SourceFile]) -> Migrations:
    """Sort the files of a run into the histories that they are part of."""
    found = Migrations()
    sql: list[SourceFile] = []
    revisions: list[SourceFile] = []
    programs: list[SourceFile] = []
    for file in files:
        if file.location.suffix == ".sql":
            sql.append(file)
        elif file.is_revision:
            revisions.append(file)
        elif file.location.suffix in PYTHON | SCRIPTS:
            programs.append(file)
    found.revisions = _graphs(revisions)
    found.scripts = script_histories(programs, lambda file: _why_left_out(file) is None)
    read = {file.path for steps in found.scripts.values() for file in steps}
    found.unread = unread_folders(file for file in programs if file.path not in read)
    code = [*revisions, *(file for steps in found.scripts.values() for file in steps)]
    groups = _groups(_applied(sql, _read_by(code), found))
    histories = {folder: group for folder, group in groups.items() if _is_schema(group, found)}
    steps, baselines = _told_once(histories, found.notes)
    for folder in sorted({*steps, *baselines}):
        before = in_order(folder, baselines.get(folder, []), found.notes)
        found.histories[folder] = before + in_order(folder, steps.get(folder, []), found.notes)
    return found


# Files that are no part of a history


def _applied(sql: Iterable[SourceFile], read_by_code: _ReadByCode, found: Migrations) -> Iterator[SourceFile]:
    left: Counter[str] = Counter()
    files = list(sql)
    names = {file.path.lower() for file in files}
    for file in files:
        reason = _why_left_out(file)
        if reason is not None:
            left[reason] += 1
        elif not _is_undo(file, names) and not read_by_code.has(file):
            yield file
    for reason, count in left.items():
        found.notes.append(f"{_files(count)} left out of the histories: {reason}; name it to lint it")


def _files(count: int) -> str:
    return "1 SQL file was" if count == 1 else f"{count} SQL files were"


def _below(file: SourceFile) -> list[str]:
    """Return the folders between the path that was named and the file."""
    parts = PurePosixPath(file.path).parts[:-1]
    named = 0 if file.base == "." else len(PurePosixPath(file.base).parts)
    return [part.lower() for part in parts[named:]]


def _why_left_out(file: SourceFile) -> str | None:
    if file.path == file.base:
        return None
    if _SEED.match(file.location.name):
        return "rows and no schema, by its name"
    for folder in _below(file):
        for reason, folders in _NOT_APPLIED.items():
            if folder in folders:
                return f"{reason} ({folder}/)"
    lowered = file.content.lower()  # the pattern is tried at every letter, these are found at once
    is_test = (b"plan" in lowered or b"finish" in lowered) and _PGTAP.search(lowered)
    return "a pgTAP test" if is_test else None


def _is_undo(file: SourceFile, names: set[str]) -> bool:
    if file.path == file.base:
        return False
    if _UNDO.search(file.location.name) or PurePosixPath(file.path).parent.name in _UNDO_FOLDERS:
        return True
    match = _UNDO_OF.search(file.path)
    if match is None:
        return False
    stem = file.path[: match.start()].lower()
    return any(f"{stem}{ending}" in names for ending in (".sql", "_up.sql", "-up.sql", "_deploy.sql"))


@dataclass(frozen=True, slots=True)
class _ReadByCode:
    """SQL files that migrations in code read: those are theirs to replay."""

    names: frozenset[str]
    #: Folders of migrations that read SQL files, by name or by pattern.
    folders: frozenset[PurePosixPath]

    def has(self, file: SourceFile) -> bool:
        """Say whether a migration in code reads the file."""
        if file.path == file.base:
            return False
        return file.location.name in self.names or not self.folders.isdisjoint(
            PurePosixPath(file.path).parents
        )


def _read_by(code: Iterable[SourceFile]) -> _ReadByCode:
    names: set[str] = set()
    folders: set[PurePosixPath] = set()
    for file in code:
        if b".sql" in file.content:
            names.update(name.decode() for name in _SQL_NAME.findall(file.content))
            folders.add(PurePosixPath(file.path).parent)
    return _ReadByCode(frozenset(names), frozenset(folders))


def _is_schema(group: list[SourceFile], found: Migrations) -> bool:
    """Say whether files define anything; files that only read and write rows are queries."""
    if any(DEFINES.search(file.content) for file in group):
        return True
    found.queries.extend(group)
    return False


# Files of one history


def _groups(files: Iterable[SourceFile]) -> dict[str, list[SourceFile]]:
    groups: dict[str, list[SourceFile]] = {}
    for file in files:
        groups.setdefault(_history_of(file.path), []).append(file)
    return dict(sorted(groups.items()))


def _history_of(path: str) -> str:
    """Return the folder whose files make one history with this one."""
    file = PurePosixPath(path)
    folder = file.parent
    if file.name.lower() in _STEP_FILES and _STEP_FOLDER.match(folder.name):
        folder = folder.parent
    while folder.name.lower() in _PARTS or _PERIOD.match(folder.name):
        folder = folder.parent
    if FLYWAY.match(file.name):  # Flyway looks below its location too
        named = (p for p in (folder, *folder.parents) if p.name.lower() in _MIGRATION_FOLDERS)
        folder = next(named, folder)
    return str(folder)


_Groups: TypeAlias = "dict[str, list[SourceFile]]"


def _told_once(groups: _Groups, notes: list[str]) -> tuple[_Groups, _Groups]:
    """Return the steps of each history, and the dumps that came before them.

    What tells a versioned history a second time is left out, or one database would be judged twice.
    """
    steps: _Groups = {}
    whole: _Groups = {}
    for folder, group in groups.items():
        versioned = any(is_versioned(file.path) for file in group)
        dumps = [file for file in group if _DUMP.match(file.location.name) or not versioned]
        if dumps:
            whole[folder] = dumps
        if len(dumps) < len(group):
            steps[folder] = [file for file in group if file not in dumps]
    _leave_out_copies(steps, notes)
    tables = {folder: _created(group) for folder, group in steps.items()}
    for folder, dumps in list(whole.items()):
        twin = _twin(folder, _created(dumps), tables)
        if twin is not None:
            del whole[folder]
            notes.append(f"{folder}: {_files(len(dumps))} not replayed, since {twin} tells the same schema")
    return steps, whole


def _leave_out_copies(steps: _Groups, notes: list[str]) -> None:
    """Leave out a folder of migrations whose files, by their names and tables, another folder holds too."""
    for folder, group in sorted(steps.items(), key=lambda one: _is_tools(one[0])):
        twin = next((one for one in steps if one != folder and _is_copy(group, steps[one])), None)
        if twin is not None:
            del steps[folder]
            notes.append(
                f"{folder}: {_files(len(group))} not replayed, since {twin} holds the same migrations"
            )


def _is_tools(folder: str) -> bool:
    return PurePosixPath(folder).name.lower() in _MIGRATION_FOLDERS


def _is_copy(group: Sequence[SourceFile], other: Sequence[SourceFile]) -> bool:
    mine, theirs = (Counter(_unversioned(file) for file in files) for files in (group, other))
    alike = 5 * (mine & theirs).total() >= 4 * max(mine.total(), theirs.total())
    made = _created(group)
    return alike and len(made) > 1 and made == _created(other)


def _unversioned(file: SourceFile) -> str:
    """Return a step's name without its version."""
    path = PurePosixPath(file.path)
    name = path.parent.name if path.name.lower() in _STEP_FILES else path.stem
    return re.sub(r"\AV?[\d_.-]+", "", name).lower()


def _created(group: Iterable[SourceFile]) -> set[bytes]:
    return {name.lower() for file in group for name in _CREATES.findall(file.content)}


def _twin(folder: str, made: set[bytes], histories: Mapping[str, set[bytes]]) -> str | None:
    """Return the history nearby that makes at least half of the same tables."""
    near = PurePosixPath(folder)
    around = (near, near.parent)
    for history, tables in histories.items():
        other = PurePosixPath(history)
        nearby = any(place in (other, *other.parents) for place in around)
        if nearby and made and 2 * len(made & tables) >= len(made):
            return history
    return None


# Migrations in code


def _graphs(revisions: list[SourceFile]) -> dict[str, list[SourceFile]]:
    """Group Alembic revisions by graph: folders are one when a revision of one names one of another."""
    folders: dict[str, list[SourceFile]] = {}
    for file in revisions:
        folders.setdefault(_script_folder(file.path), []).append(file)
    home = {name: folder for folder, group in folders.items() for name in _ids(group)}
    root = {folder: folder for folder in folders}
    for folder, group in folders.items():
        for name in _referred(group):
            if home.get(name, folder) != folder and name not in _ids(group):
                _join(root, folder, home[name])
    graphs: dict[str, list[SourceFile]] = {}
    for folder, group in folders.items():
        graphs.setdefault(_top(root, folder), []).extend(group)
    return graphs


def _script_folder(path: str) -> str:
    parents = PurePosixPath(path).parents
    return str(next((p for p in parents if p.name == "versions"), parents[0]))


def _ids(group: Iterable[SourceFile]) -> set[bytes]:
    return {name for file in group for name in _REVISION_ID.findall(file.content)}


def _referred(group: Iterable[SourceFile]) -> set[bytes]:
    texts = (text for file in group for text in _REFERS.findall(file.content))
    return {name for text in texts for name in _QUOTED.findall(text)}


def _top(root: Mapping[str, str], folder: str) -> str:
    while root[folder] != folder:
        folder = root[folder]
    return folder


def _join(root: dict[str, str], one: str, other: str) -> None:
    first, second = sorted((_top(root, one), _top(root, other)))
    root[second] = first
