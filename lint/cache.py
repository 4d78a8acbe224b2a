"""Answers stored by their content: the same files, settings, lint and day give the stored report.

An entry holds the report as JSON and the digests of files read beyond those linted; anything that does
not fit is no entry. This path is taken by every run over an unchanged project, so it imports neither the
rules nor a parser. Entries are written beside and renamed, so a run that
is killed leaves none half-written, and the oldest go when the folder grows over its bound.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lint.reads import recording
from lint.report import Coverage, Finding, Report, Stats, Suppression, TableCoverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    from lint.config import LintConfig
    from lint.files import Found, SourceFile

MAX_BYTES = 64 * 1024 * 1024
MAX_ENTRIES = 64
_ABSENT = ""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of stored reports; what cannot be read or written there is passed over."""

    folder: Path

    def report(
        self, found: Found, config: LintConfig, root: Path, as_of: date, make: Callable[[], Report]
    ) -> tuple[Report, bool]:
        """Return the report for the files found, and whether it was stored; `make` lints when it was not."""
        path = self.folder / f"{_key(found, config, root, as_of)}.json"
        stored = _stored(path)
        if stored is not None:
            return stored, True
        with recording() as reads:
            made = make()
        if not reads.passing:
            digests = {str(one): _digest_of(one) for one in sorted(reads.paths)}
            with suppress(OSError):  # a folder that cannot be written to only costs time
                self._write(path, json.dumps({"reads": digests, "report": asdict(made)}).encode())
        return made, False

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
            try:
                file.write(content)
                file.close()
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
        self._bound(path)

    def _bound(self, newest: Path) -> None:
        """Remove the entries used longest ago until the folder is within its bounds."""
        entries = sorted(self.folder.glob("*.json"), key=lambda entry: entry.stat().st_mtime, reverse=True)
        size = 0
        for count, entry in enumerate(entries, start=1):
            size += entry.stat().st_size
            if entry != newest and (count > MAX_ENTRIES or size > MAX_BYTES):
                entry.unlink(missing_ok=True)


def _stored(path: Path) -> Report | None:
    try:
        entry = json.loads(path.read_bytes())
        report = _report(entry["report"])
        if any(_digest_of(Path(read)) != digest for read, digest in entry["reads"].items()):
            return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    with suppress(OSError):
        os.utime(path)
    return report


def _report(stored: dict[str, Any]) -> Report:
    """Build a report from its JSON; raise as the constructors do when it is something else."""
    findings, suppressed, known = (
        tuple(Finding(**finding) for finding in stored.pop(name))
        for name in ("findings", "suppressed", "known")
    )
    suppressions = tuple(
        Suppression(**one | {"rules": tuple(one["rules"])}) for one in stored.pop("suppressions")
    )
    coverage = Coverage(tuple(TableCoverage(**table) for table in stored.pop("coverage")["tables"]))
    stats = Stats(**stored.pop("stats"))
    notes = tuple(stored.pop("notes"))
    return Report(
        findings, coverage, stats, suppressed, known=known, suppressions=suppressions, notes=notes, **stored
    )


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return _ABSENT


def _key(found: Found, config: LintConfig, root: Path, as_of: date) -> str:
    """Digest everything an answer depends on; each part is told apart by its length."""
    settings = replace(config, baseline=None)  # applied to the answer, not part of it
    total = hashlib.sha256(_lint_digest())
    for part in (
        json.dumps(asdict(settings), sort_keys=True).encode(),
        as_of.isoformat().encode(),
        os.fsencode(root.resolve()),
        *_files(found),
    ):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def _files(found: Found) -> Iterable[bytes]:
    """Each file's path, the folder it was named by, its content or why it was not read; then the notes."""
    for file in found.files:
        yield f"{file.path}\0{file.base}".encode("utf-8", "surrogateescape")
        yield _content_of(file)
    yield from (note.encode("utf-8", "surrogateescape") for note in found.notes)


def _content_of(file: SourceFile) -> bytes:
    return file.content if file.unreadable is None else b"\0" + file.unreadable.encode()


@cache
def _lint_digest() -> bytes:
    """Digest the lint itself: another version may answer differently."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        total.update(path.name.encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.digest()
