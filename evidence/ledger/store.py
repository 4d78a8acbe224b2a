"""Where a log's files are kept, and the order in which they become durable.

What `write` returned from survives a power cut, and only then does `publish` replace the checkpoint,
so no checkpoint ever covers an entry that is not there. A directory does this with fsync and rename;
the Protocol is small enough for an object store with a lease.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from evidence.ledger.errors import NotStored, StoreFailure
from evidence.ledger.layout import CHECKPOINT

STAGING: Final = ".staging"
LOCK: Final = ".lock"
CACHE: Final = ".cache"
SYNC_THREADS: Final = 8


class Store(Protocol):
    """The files of one log, by their path in the tlog-tiles layout."""

    def read(self, name: str) -> bytes:
        """The content of a file; `NotStored` when there is none."""
        ...

    def contains(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """The paths of all files below a folder, sorted."""
        ...

    def write(self, files: Mapping[str, bytes]) -> None:
        """Store files, each one whole or not at all; all of them are durable on return."""
        ...

    def publish(self, checkpoint: bytes) -> None:
        """Replace the checkpoint in one step, durable on return."""
        ...

    def discard(self, path: str) -> None:
        """Forget a file, or all files of a folder; need not be durable."""
        ...

    def sequencing(self) -> AbstractContextManager[bool]:
        """Be the only writer for a while; waits for its turn. Says whether the last one left in order."""
        ...


class DirectoryStore:
    """A log in a directory of a local file system that honours fsync and flock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    def read(self, name: str) -> bytes:
        """The content of a file; `NotStored` when there is none."""
        with _refusals(f"cannot read {self._prefix}{name}"):
            try:
                # Verification reads a file for each blob; building a Path would cost more than reading.
                with os.fdopen(os.open(f"{self._prefix}{name}", os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotStored(f"{self._prefix}{name} is missing") from error

    def contains(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.root / name).is_file()

    def names(self, prefix: str) -> Iterator[str]:
        """The paths of all files below a folder, sorted within each folder."""
        for folder, folders, files in os.walk(self.root / prefix):
            folders.sort()
            for file in sorted(files):
                yield (Path(folder) / file).relative_to(self.root).as_posix()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Store files by fsync, rename and fsync of every folder that changed."""
        with _refusals(f"cannot write to {self.root}"):
            staged = {
                self._stage(n, content): self.root / name for n, (name, content) in enumerate(files.items())
            }
            _sync_all(staged)
            changed: set[Path] = set()
            for file, path in staged.items():
                _place(file, path, changed)
            _sync_all(changed)

    def publish(self, checkpoint: bytes) -> None:
        """Replace the checkpoint by rename."""
        self.write({CHECKPOINT: checkpoint})

    def discard(self, path: str) -> None:
        """Remove a file or a folder."""
        with _refusals(f"cannot remove {self.root / path}"):
            try:
                (self.root / path).unlink(missing_ok=True)
            except (IsADirectoryError, PermissionError):  # POSIX lets a system say either of a folder
                shutil.rmtree(self.root / path)

    @contextmanager
    def sequencing(self) -> Iterator[bool]:
        """Hold the lock of the directory; the kernel frees it when its holder dies.

        The lock file is empty except while someone writes, so a holder that died or failed is noticed.
        """
        with _refusals(f"cannot lock {self.root}"):
            (self.root / STAGING).mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with _refusals(f"cannot lock {self.root}"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                in_order = os.fstat(descriptor).st_size == 0
                os.pwrite(descriptor, b"writing", 0)
            yield in_order
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def _stage(self, n: int, content: bytes) -> Path:
        """A numbered file; only the holder of the lock stages, and what a dead one left is overwritten."""
        staged = self.root / STAGING / str(n)
        with staged.open("wb", buffering=0) as file:
            # A disk that runs full takes a part and says so by a smaller number, not by an error.
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
        return staged


def _place(staged: Path, path: Path, changed: set[Path]) -> None:
    try:
        staged.rename(path)
    except FileNotFoundError:
        _make_folders(path.parent, changed)
        staged.rename(path)
    changed.add(path.parent)


def _make_folders(folder: Path, changed: set[Path]) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, changed)
    folder.mkdir(exist_ok=True)
    changed.add(folder.parent)


def _sync_all(paths: Collection[Path]) -> None:
    """Make files or folders durable; side by side, so that the file system joins their commits."""
    if len(paths) < SYNC_THREADS:
        for path in paths:
            _sync(path)
        return
    with ThreadPoolExecutor(SYNC_THREADS) as threads:
        for _ in threads.map(_sync, paths):
            pass


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFailure(f"{what}: {error.strerror or error}") from error
