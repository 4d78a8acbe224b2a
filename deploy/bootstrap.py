"""Sets up everything that `make demo` and `make test` need, on a machine with Python 3.11 and make.

Standard library only: it runs before anything is installed. It makes `.venv`, installs the locked
requirements with their hashes, installs the project itself, and brings the system packages that no
wheel carries (Pango for PDFs, Chromium for browser tests) through apt where it has the rights. What it
may not install it names in one line; everything that does not need it still works.
"""

from __future__ import annotations

import argparse
import ctypes.util
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("run", "dev", "peers")}
#: The other linters that `make bench` measures: their pins disagree with ours, so they live apart.
PEERS = VENV / "peers"
BOOTSTRAP_REQUIREMENTS = ROOT / "requirements" / "bootstrap.txt"
APT_TIMEOUT_SECONDS = 600
PROGRAM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


@dataclass(frozen=True)
class SystemPackage:
    """Something that no wheel carries: how to see that it is there, and who needs it."""

    packages: tuple[str, ...]
    purpose: str
    needed_by: frozenset[str]
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def present(self) -> bool:
        """Whether every program and library of it can be found."""
        libraries = all(ctypes.util.find_library(name) for name in self.libraries)
        return libraries and all(shutil.which(name, path=PROGRAM_PATH) for name in self.programs)


SYSTEM_PACKAGES = (
    SystemPackage(
        ("libpango-1.0-0", "libpangoft2-1.0-0"),
        "PDF summaries",
        frozenset({"run", "dev"}),
        libraries=("pango-1.0", "pangoft2-1.0"),
    ),
    SystemPackage(
        ("chromium", "libatomic1"),
        "browser tests of the portal",
        frozenset({"dev"}),
        libraries=("atomic",),
        programs=("chromium",),
    ),
    SystemPackage(
        ("pgbouncer",),
        "tests behind a transaction pooler",
        frozenset({"dev"}),
        programs=("pgbouncer",),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up for `run` (make demo), `dev` (make test) or `peers` (make bench); 0 when it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("purpose", choices=sorted(REQUIREMENTS))
    purpose: str = parser.parse_args(arguments).purpose
    if sys.version_info < (3, 11):  # noqa: UP036 - nothing has made sure of the version yet
        have = sys.version.split()[0]
        return _refuse(f"Python 3.11 or newer is needed, this is {have}; run make PYTHON=python3.11")
    with (ROOT / ".bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if purpose == "peers":
                _peers()
            else:
                _environment(purpose)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            return _refuse(f"`{command}` ended with {error.returncode}; its words are above")
        _system_packages(purpose)
    return 0


def _environment(purpose: str) -> None:
    wanted = _digest(REQUIREMENTS[purpose], BOOTSTRAP_REQUIREMENTS, ROOT / "pyproject.toml")
    stamp = VENV / f".ready-{purpose}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    if not PYTHON.exists():
        _say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        _make_venv()
    _say(f"installing the locked requirements ({REQUIREMENTS[purpose].name})")
    _install(["--require-hashes", "-r", str(REQUIREMENTS[purpose])])
    _install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    stamp.write_text(wanted)
    _say(f"ready after {time.monotonic() - started:.0f} s")


def _peers() -> None:
    """The peers' own environment, made by uv with the locked versions and their hashes."""
    stamp = PEERS / ".ready"
    wanted = _digest(REQUIREMENTS["peers"])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _say(f"installing the peers to measure against ({REQUIREMENTS['peers'].name})")
    uv = str(VENV / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(PYTHON), str(PEERS)], check=True)
    locked = ["--require-hashes", "-r", str(REQUIREMENTS["peers"])]
    target = ["--python", str(PEERS / "bin" / "python")]
    subprocess.run([uv, "pip", "install", "--quiet", *target, *locked], check=True)
    stamp.write_text(wanted)


def _make_venv() -> None:
    """`python -m venv`; Debian splits ensurepip into python3-venv, which is fetched when it is missing."""
    make = [sys.executable, "-m", "venv", str(VENV)]
    made = subprocess.run(make, capture_output=True, text=True, check=False)
    if made.returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not _apt_install((version,)):
        sys.stderr.write(made.stdout + made.stderr)
        raise SystemExit(_refuse(f"this Python cannot make virtual environments; apt-get install {version}"))
    subprocess.run(make, check=True)


def _install(arguments: list[str]) -> None:
    """uv when it can be had (seconds instead of a minute), otherwise pip with the same locked files."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        _pip(["--require-hashes", "-r", str(BOOTSTRAP_REQUIREMENTS)])
    command = [str(uv), "pip", "install", "--quiet", "--python", str(PYTHON), *arguments]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        _say("uv could not install them; trying pip")
        _pip(arguments)


def _pip(arguments: list[str]) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([str(PYTHON), "-m", "pip", "install", *quiet, *arguments], check=True)


def _system_packages(purpose: str) -> None:
    for wanted in SYSTEM_PACKAGES:
        if purpose not in wanted.needed_by or wanted.present():
            continue
        _say(f"installing {' '.join(wanted.packages)} for {wanted.purpose}")
        if not (_apt_install(wanted.packages) and wanted.present()):
            names = " ".join(wanted.packages)
            _say(f"no {wanted.purpose} without `apt-get install {names}` as root; the rest works")


def _apt_install(packages: Sequence[str]) -> bool:
    """Install through apt as root or passwordless sudo; False where neither is possible."""
    prefix = _root_prefix()
    if prefix is None or shutil.which("apt-get") is None:
        return False
    # Offline, systemctl starts nothing: a package that brings a service is wanted for its program only.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        try:
            done = subprocess.run(
                [*prefix, "apt-get", "-qq", *step],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=APT_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def _refuse(text: str) -> int:
    print(f"setup: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
