"""The data directory of an embedded PostgreSQL: where it lies, how it is made, copied and removed.

For `posture.embedded.postgres`. A server's account may be unable to reach the folder that the
caller named; then the data lie in a public folder, which the file `data.location` names.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from posture.embedded.errors import InUseError, PrepareError, StartError
from posture.embedded.places import (
    Account,
    durable_folder,
    give,
    hold,
    public_folder,
    reachable,
    remove,
)
from posture.embedded.process import Child

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posture.embedded.postgres_binaries import Binaries

SUPERUSER = "postgres"
INITDB_TIMEOUT = timedelta(seconds=120)
PASSWORD_BYTES = 24
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"}

_DATA = "data"
_DRAFT = "data.draft"
_ELSEWHERE = "data.location"
_PASSWORD = "superuser.password"  # noqa: S105 - the name of a file
_OWN_CONFIGURATION = "posture.conf"
_SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] ",
}
_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one initialised data directory lies and what reaches it."""

    directory: Path
    data: Path
    binaries: Binaries
    account: Account | None


def made_folder(directory: Path) -> Path:
    """The absolute path of `directory`, made where it is missing; PrepareError when it cannot be."""
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as failure:
        raise PrepareError(f"cannot make the folder {directory}: {failure}") from failure
    return directory


def place(directory: Path, account: Account | None, *, durable: bool) -> Path:
    """The data directory: in `directory`, unless the server's account cannot reach it there.

    The file `data.location` then names the folder, for the next run.
    """
    pointer = directory / _ELSEWHERE
    data = existing(directory)
    if data.parent != directory:
        try:
            hold(data.parent)
        except BlockingIOError as held:
            raise in_use(data) from held
    if initialised(data) or account is None or reachable(directory, account):
        return data
    folder = durable_folder(account, pointer) if durable else public_folder(account)
    pointer.write_text(f"{folder}\n")
    return folder / _DATA


def existing(directory: Path) -> Path:
    """Where the cluster of `directory` lies, or would lie if nothing forbids it."""
    try:
        elsewhere = Path((directory / _ELSEWHERE).read_text().strip()) / _DATA
    except OSError:
        return directory / _DATA
    return elsewhere if initialised(elsewhere) else directory / _DATA


def remove_data(directory: Path, data: Path) -> None:
    """Remove the data wherever they lie, and the note that says where."""
    remove(data if data.parent == directory else data.parent)
    remove(directory / _DRAFT)
    (directory / _ELSEWHERE).unlink(missing_ok=True)


def initialised(data: Path) -> bool:
    """Whether a whole cluster lies there."""
    return (data / "PG_VERSION").is_file()


def initialise(cluster: Cluster, template: Path | None, *, durable: bool) -> None:
    """Make the data directory, by initdb or from a stopped server's directory.

    It takes its name when it is whole, so a kill half-way leaves nothing that looks like a cluster.
    """
    draft = replace(cluster, data=cluster.data.with_name(_DRAFT))
    remove(draft.data)
    remove(cluster.data)
    if template is None:
        _run_initdb(draft, durable=durable)
    else:
        _copy(template.absolute(), draft)
    draft.data.rename(cluster.data)


def _copy(template: Path, draft: Cluster) -> None:
    """Copy a stopped cluster with its passwords; one that still runs would be torn."""
    if initialised(template):  # the data directory itself was named
        template = template.parent
    source = existing(template)
    if not initialised(source):
        raise PrepareError(f"the template {template} holds no initialised data directory")
    if (source / "postmaster.pid").exists():
        raise PrepareError(f"the template {source} is in use or crashed: stop its server first")
    try:
        shutil.copytree(source, draft.data, symlinks=True)
        _secret_file(draft.directory / _PASSWORD, password_of(template))
    except (OSError, shutil.Error) as failure:
        raise PrepareError(f"cannot copy {source} to {draft.data}: {failure}") from failure
    draft.data.chmod(0o700)
    give(draft.data, draft.account)


def _run_initdb(draft: Cluster, *, durable: bool) -> None:
    """Run initdb with the password in a file: it refuses one on standard input."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    folder = public_folder(draft.account)
    draft.data.mkdir(mode=0o700)
    try:
        password_file = _secret_file(folder / "password", password)
        give(folder, draft.account)
        give(draft.data, draft.account)
        _make_cluster(draft, password_file, durable=durable)
    finally:
        remove(folder)
    _secret_file(draft.directory / _PASSWORD, password)


def _make_cluster(cluster: Cluster, password_file: Path, *, durable: bool) -> None:
    initdb = Child(
        name=f"initdb {cluster.binaries.version}",
        command=(
            str(cluster.binaries.initdb),
            f"--pgdata={cluster.data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *(() if durable else ("--no-sync",)),
        ),
        log=cluster.directory / "initdb.log",
        env=ENVIRONMENT,
        account=cluster.account,
    )
    initdb.start()
    code = initdb.wait_exit(INITDB_TIMEOUT)
    if code != 0:
        raise StartError(initdb.name, f"ended with exit code {code}", str(initdb.log), initdb.log_tail())
    with (cluster.data / "postgresql.conf").open("a") as configuration:
        configuration.write(f"include '{_OWN_CONFIGURATION}'\n")


def configure(cluster: Cluster, settings: Mapping[str, str], *, durable: bool) -> None:
    """Write our settings into a file of their own, where ALTER SYSTEM can still overrule them."""
    ours = {**_SETTINGS, **({} if durable else _THROWAWAY), **settings}
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in ours.items()]
    path = cluster.data / _OWN_CONFIGURATION
    path.write_text("".join(lines))
    path.chmod(0o600)
    if cluster.account is not None:
        os.chown(path, cluster.account.uid, cluster.account.gid)


def _secret_file(path: Path, secret: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return path


def password_of(directory: Path) -> str:
    """The superuser's password; PrepareError when the folder has lost it."""
    path = directory / _PASSWORD
    try:
        return path.read_text().strip()
    except OSError as failure:
        raise PrepareError(
            f"{directory} holds a cluster without its {_PASSWORD} ({failure}): remove the folder "
            "to begin anew"
        ) from failure


def in_use(data: Path) -> InUseError:
    """The error that names who holds the data."""
    return InUseError(
        f"the data directory {data} is held by another program (PostgreSQL process "
        f"{lock_holder(data)}, from its postmaster.pid): stop that one, or use another directory"
    )


def lock_holder(data: Path) -> str:
    """The process id in postmaster.pid, or `unknown`."""
    try:
        return (data / "postmaster.pid").read_text().partition("\n")[0]
    except OSError:
        return "unknown"
