"""Every history of a corpus, replayed once: its head, its path, and what could not be read.

A history is a folder of SQL files, a graph of Alembic revisions, or migrations written as scripts;
each is one database to the rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from lint.catalogue import Place
from lint.files import PYTHON
from lint.history.replay import Replay
from lint.programs import DEFINES, is_step
from lint.rules.head import Head, judge_head
from lint.rules.path import Path as PathOfHistory
from lint.rules.start import with_start
from lint.rules.table_rules import RLS090
from lint.rules.unsure import softened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.files import Corpus, SourceFile
    from lint.history.state import UnreadLoss
    from lint.history.statements import Operations
    from lint.report import Finding

_MAKES_ROLES = re.compile(
    rb"\bcreate\s+(?:role|user)\b|\balter\s+default\s+privileges\b|\bgrant\s", re.IGNORECASE
)
_MAKES_TABLES = re.compile(rb"\bcreate\s+(?:unlogged\s+)?(?:table|view|materialized)\b", re.IGNORECASE)
_PROTECTS = re.compile(rb"\bcreate\s+policy\b|\b(?:enable|force)\s+row\s+level\b", re.IGNORECASE)
_READ_AS_PYTHON = "of Python, Alembic's revisions are read (revision, down_revision, upgrade())"
_READ_AS_SCRIPT = (
    "of JavaScript and TypeScript, files that export up, run or migrate are read, as far as they hand SQL to "
    "query(), execute(), raw() or a template tagged sql"
)


@dataclass(frozen=True, slots=True)
class History:
    """One history: the catalogue at its head, the path that led there, and the gaps in it."""

    catalogue: Catalogue
    path: PathOfHistory
    gaps: tuple[tuple[Place, str], ...]
    #: How many SQL statements were read.
    statements: int
    #: What code over unknown tables may have taken away, and nothing in its file gives back.
    losses: tuple[UnreadLoss, ...] = ()
    refused: tuple[tuple[Place, str], ...] = ()
    #: The catalogue after the programs (`start`, by path) that change protection when they start.
    started: Catalogue | None = None
    start: frozenset[str] = frozenset()

    def judged(self, config: LintConfig) -> tuple[Head, list[Finding]]:
        """Return the judged head, and all that is found on the path, at the head, and not read."""
        head = judge_head(self.catalogue, config)
        way = self.path.findings(head.catalogue)
        found = [*way.without_replaced(head.findings), *way.findings]
        found = list(softened(found, head.catalogue))
        if self.started is not None:
            found = list(with_start(found, judge_head(self.started, config), self.start))
        return head, [*found, *self._losses(), *_refusals(self.refused), *_not_analysed(self._other_gaps())]

    def _losses(self) -> Iterator[Finding]:
        """Yield RLS090 as a warning where protection may have been taken from tables that nobody knows."""
        for loss in self.losses:
            among = "the protected one" if loss.tables == 1 else f"any of the {loss.tables} protected ones"
            yield RLS090.finding(
                loss.place,
                f"not analysed: `{loss.text}` is over a table known only when it runs, which may be {among}: "
                "what protects them from here on is not known",
                "write the tables' names, or say in a later migration what is to hold",
                subject="unread loss",
                severity="warning",
            )

    def _other_gaps(self) -> Iterator[tuple[Place, str]]:
        told = {(loss.place.path, loss.place.line) for loss in self.losses}
        return (gap for gap in self.gaps if (gap[0].path, gap[0].line) not in told)


def read_histories(corpus: Corpus, config: LintConfig, root: Path) -> Iterator[History]:
    """Replay each history of a corpus in turn, with what stands beside it: roles, and what programs start."""
    from lint.history.read import replay_files

    operations = config.rls_operations
    groups = list(_groups(corpus, operations, root))
    beside = _roles_beside(corpus, len(groups))
    behind = {folder: files for folder, files in corpus.histories.items() if _is_only_protection(files)}
    runs = [
        _replayed(folder, run, beside, operations, config)
        for folder, run in groups
        if folder not in beside and folder not in behind
    ]
    for folder, files in behind.items():
        if not _protect(folder, files, runs, operations, corpus.notes):
            run = partial(replay_files, files, operations=operations)
            runs.append(_replayed(folder, run, {}, operations, config))
    for one in runs:
        one.replay.watchers = ()
        one.count += _beside(one.replay, beside, operations)
    histories = [_read(one.replay, one.path, one.count) for one in runs]
    yield from _with_start(histories, [one.replay for one in runs], corpus, operations, root)


@dataclass(slots=True)
class _Replayed:
    """A history that was replayed, before what stands beside it is added."""

    replay: Replay
    path: PathOfHistory
    count: int


def _replayed(
    folder: str, run: _Run, beside: Mapping[str, list[SourceFile]], operations: Operations, config: LintConfig
) -> _Replayed:
    replay, path = Replay(folder), PathOfHistory(config)
    count = _beside(replay, beside, operations)
    replay.watchers = path.watchers
    return _Replayed(replay, path, count + run(replay))


def _protect(
    folder: str, files: list[SourceFile], runs: Sequence[_Replayed], operations: Operations, notes: list[str]
) -> bool:
    """Replay files that only protect tables behind the history that makes most of them, if any does."""
    from lint.history.read import replay_files

    counts = [sum(_mentions(file, run.replay.tables.values()) for file in files) for run in runs]
    if not any(counts):
        return False
    chosen = runs[counts.index(max(counts))]
    chosen.count += replay_files(files, chosen.replay, operations)
    notes.append(f"{folder}: replayed behind {chosen.replay.source}, whose tables it protects")
    return True


_Run: TypeAlias = "Callable[[Replay], int]"


def _groups(corpus: Corpus, operations: Operations, root: Path) -> Iterator[tuple[str, _Run]]:
    """Yield each history by its folder, and what replays it and counts its statements."""
    from lint.history.alembic import replay_revisions
    from lint.history.read import replay_files
    from lint.history.sequelize import replay_scripts

    for folder, files in corpus.histories.items():
        yield folder, partial(replay_files, files, operations=operations)
    for folder, files in corpus.revisions.items():
        yield folder, partial(replay_revisions, files, operations=operations, root=root)
    for folder, files in corpus.scripts.items():
        yield folder, partial(replay_scripts, files, operations=operations, root=root)


def _roles_beside(corpus: Corpus, histories: int) -> dict[str, list[SourceFile]]:
    """Return the folders that make roles and no table, where only one history may be meant by them.

    A container's first script gives the application its own role; migrations seldom do.
    """
    found = {
        folder: files
        for folder, files in corpus.histories.items()
        if any(_MAKES_ROLES.search(file.content) for file in files)
        and not any(_MAKES_TABLES.search(one.content) or _PROTECTS.search(one.content) for one in files)
    }
    return found if len(found) == histories - 1 else {}


def _is_only_protection(files: Sequence[SourceFile]) -> bool:
    """Say whether files make no table and protect some, as a script beside the migrations does."""
    protects = any(_PROTECTS.search(file.content) for file in files)
    return protects and not any(_MAKES_TABLES.search(file.content) for file in files)


def _beside(replay: Replay, beside: Mapping[str, list[SourceFile]], operations: Operations) -> int:
    """Replay what makes roles: before the history for its defaults, behind it for all of its tables."""
    from lint.history.read import replay_files

    return sum(replay_files(files, replay, operations) for files in beside.values())


def _with_start(
    histories: Sequence[History],
    replays: Sequence[Replay],
    corpus: Corpus,
    operations: Operations,
    root: Path,
) -> Iterator[History]:
    """Yield histories with what the program does when it starts, told to the one whose tables it names."""
    from lint.history.startup import may_run_at_start, replay_start

    steps = {
        file.path
        for group in (corpus.revisions, corpus.scripts)
        for files in group.values()
        for file in files
    }
    programs = [file for file in corpus.sources if file.path not in steps and may_run_at_start(file)]
    named = [[_mentions(file, one.catalogue.tables.values()) for one in histories] for file in programs]
    for at, (history, replay) in enumerate(zip(histories, replays, strict=True)):
        files = [
            file
            for file, counts in zip(programs, named, strict=True)
            if counts[at] and counts[at] == max(counts)
        ]
        if not files:
            yield history
            continue
        replay.watchers = ()
        replay_start(files, replay, operations, root)
        yield replace(history, started=replay.catalogue(), start=frozenset(file.path for file in files))


def _mentions(file: SourceFile, tables: Iterable[Table]) -> int:
    """Count the tables that a file names."""
    words = frozenset(re.findall(rb"\w+", file.content))
    return sum(table.name.encode() in words for table in tables)


def unread_findings(corpus: Corpus, histories: Iterable[History]) -> Iterator[Finding]:
    """Yield RLS090 for each folder of migrations of which nothing was read: silence would be a pass."""
    for folder, files in corpus.unread.items():
        yield _nothing_read(folder, files)
    silent = {one.catalogue.source for one in histories if not (one.statements or one.gaps)}
    for folder, files in {**corpus.revisions, **corpus.scripts}.items():
        steps = [file for file in files if is_step(file) and DEFINES.search(file.content)]
        if folder in silent and steps:
            yield _nothing_read(folder, steps)


def _nothing_read(folder: str, files: Sequence[SourceFile]) -> Finding:
    first = files[0]
    count = "1 migration" if len(files) == 1 else f"{len(files)} migrations"
    expected = _READ_AS_PYTHON if first.location.suffix in PYTHON else _READ_AS_SCRIPT
    return RLS090.finding(
        Place(first.path),
        f"not analysed: {count} of {folder}/ change the schema and nothing of them was read; {expected}",
        "lint the SQL that they run (a dump of the schema, or what the tool prints in a dry run), or exclude "
        "the folder",
        subject=f"migrations of {folder}",
    )


def _read(replay: Replay, path: PathOfHistory, statements: int) -> History:
    losses = tuple(loss for loss in replay.unread_losses.values() if loss is not None)
    refused = tuple(replay.refused)
    return History(replay.catalogue(), path, tuple(replay.not_analysed), statements, losses, refused)


def _refusals(refused: Iterable[tuple[Place, str]]) -> Iterator[Finding]:
    """Yield RLS090 as a warning for statements that PostgreSQL does not have: what they say does not hold."""
    for place, statement in dict.fromkeys(refused):
        yield RLS090.finding(
            place,
            f"not applied: PostgreSQL has no {statement} (42601), so the file fails here, and with it the "
            "transaction that it runs in",
            "DROP POLICY IF EXISTS … ON …; CREATE POLICY … ON …;",
            subject=statement,
            severity="warning",
            cause=f"{statement} is no statement of PostgreSQL",
        )


def _not_analysed(gaps: Iterable[tuple[Place, str]]) -> Iterator[Finding]:
    """Yield one finding for each line, however often and for whatever reasons it was given up."""
    lines: dict[tuple[str, int], tuple[Place, dict[str, None]]] = {}
    for place, reason in gaps:
        _, reasons = lines.setdefault((place.path, place.line), (place, {}))
        reasons[reason] = None
    for place, reasons in lines.values():
        reason = "; ".join(reasons)
        yield RLS090.finding(
            place,
            f"not analysed: {reason}",
            "write it with literals, or review it by hand and suppress RLS090 with the reason",
            subject=reason,
        )
