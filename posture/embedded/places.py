"""Where a server's files may lie and whom it runs as.

PostgreSQL refuses to run as root, and the account it then runs as cannot pass a parent folder with
mode 0700 (a clone below `mktemp -d`, anything below /root). No parent's mode is ever changed:
what must be reachable is put into a short public folder of its own. Short also because the path of
a unix socket holds 107 bytes at most (sun_path in unix(7)).
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from posture.embedded.errors import PrepareError

PUBLIC_PARENT = Path("/tmp")  # noqa: S108 - mkdtemp makes each folder new, private and unguessable
PREFIX = "pst-"
SOCKET_PATH_BYTES = 107
UNPRIVILEGED = "nobody"
BELONGS_TO = "belongs-to"
NEW_SECONDS = 120

_held: dict[Path, int] = {}
_swept: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    name: str
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Account:
        """Who we are. An account without a passwd line keeps its number as its name."""
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return cls(name, uid, os.getegid())

    @classmethod
    def unprivileged(cls) -> Account:
        """The account that a server runs as when we are root: nobody, who owns nothing else."""
        try:
            entry = pwd.getpwnam(UNPRIVILEGED)
        except KeyError:
            raise PrepareError(
                f"PostgreSQL does not run as root and this machine has no account "
                f"'{UNPRIVILEGED}': run as an ordinary user, or add that account"
            ) from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


def drop_to() -> Account | None:
    """Whom a server that refuses root must run as; None when we are not root."""
    return Account.unprivileged() if os.geteuid() == 0 else None


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` may pass every folder down to and including `path`, by their mode bits."""
    try:
        return all(_may_pass(part, account) for part in _folders(path.resolve(strict=True)))
    except OSError:
        return False


def _folders(path: Path) -> list[Path]:
    return [*([path] if path.is_dir() else []), *path.parents]


def _may_pass(folder: Path, account: Account) -> bool:
    about = folder.stat()
    if about.st_uid == account.uid:
        return bool(about.st_mode & stat.S_IXUSR)
    if about.st_gid == account.gid:
        return bool(about.st_mode & stat.S_IXGRP)
    return bool(about.st_mode & stat.S_IXOTH)


def public_folder(owner: Account | None = None, mode: int = 0o700) -> Path:
    """A new short folder which nobody else can have prepared, owned by `owner` (else by us).

    It is locked as long as this program lives or until `remove`; what a killed program left is
    swept by the next one.
    """
    parent = PUBLIC_PARENT if PUBLIC_PARENT.is_dir() else Path(tempfile.gettempdir())
    _sweep_once(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    _held[folder] = _locked(folder)
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)
    folder.chmod(mode)
    return folder


def durable_folder(owner: Account | None, pointer: Path) -> Path:
    """A public folder that outlives this program, for as long as the file `pointer` names it.

    The caller writes `pointer`.
    """
    folder = public_folder(owner)
    (folder / BELONGS_TO).write_text(f"{pointer}\n")
    return folder


def hold(folder: Path) -> None:
    """Take up a public folder of an earlier program; BlockingIOError while that one lives."""
    if folder not in _held:
        _held[folder] = _locked(folder)


def release(folder: Path) -> None:
    """Let another program take up the folder; nothing to do when we do not hold it."""
    held = _held.pop(folder, None)
    if held is not None:
        os.close(held)


def remove(tree: Path) -> None:
    """Remove a tree that we made; what is already gone is no error."""
    shutil.rmtree(tree, ignore_errors=True)
    release(tree)


def sweep(parent: Path) -> list[Path]:
    """Remove the public folders of programs that were killed; returns what was removed."""
    left = [folder for folder in sorted(parent.glob(f"{PREFIX}*")) if _left_behind(folder)]
    for folder in left:
        remove(folder)
    return left


def _sweep_once(parent: Path) -> None:
    if parent not in _swept:
        _swept.add(parent)
        sweep(parent)


def _left_behind(folder: Path) -> bool:
    """Ours, not new, and neither locked by a living program nor named by the file it belongs to."""
    try:
        about = folder.lstat()
        ours = about.st_uid == os.geteuid() or (os.geteuid() == 0 and about.st_uid == nobody())
        if not ours or not stat.S_ISDIR(about.st_mode):
            return False
        if time.time() - about.st_mtime < NEW_SECONDS or _named_by_its_pointer(folder):
            return False
        os.close(_locked(folder))
    except OSError:  # gone meanwhile, closed to us, or locked: not ours to remove
        return False
    return True


def _named_by_its_pointer(folder: Path) -> bool:
    note = folder / BELONGS_TO
    if not note.is_file():
        return False
    pointer = Path(note.read_text().strip())
    return pointer.is_file() and pointer.read_text().strip() == str(folder)


def nobody() -> int | None:
    """The number of the unprivileged account, None where there is none."""
    try:
        return pwd.getpwnam(UNPRIVILEGED).pw_uid
    except KeyError:
        return None


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock; BlockingIOError when another program has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def socket_in(folder: Path, name: str) -> Path:
    """The path of a socket below `folder`; PrepareError when the kernel would refuse its length."""
    path = folder / name
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES:
        raise PrepareError(
            f"the socket path {path} has {length} bytes and the kernel takes {SOCKET_PATH_BYTES}: "
            f"make {PUBLIC_PARENT} usable"
        )
    return path


def give(tree: Path, owner: Account | None) -> None:
    """Make `owner` own `tree` and everything in it; nothing to do when that is us."""
    if owner is None:
        return
    for folder, _, names in os.walk(tree):
        os.chown(folder, owner.uid, owner.gid)
        for name in names:
            os.chown(Path(folder) / name, owner.uid, owner.gid, follow_symlinks=False)
