"""`posture demo`: the whole loop on embedded servers: platform, traffic, evidence, portal, pack."""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.errors import UsageError

if TYPE_CHECKING:
    from posture.progress import Console
    from posture.scene import Scene
    from posture.workspace import Workspace
    from trust_portal.claims import CompiledPosture

EXAMPLE = """examples:
  posture demo                             everything, into .posture/demo/<run>
  posture demo --keep                      leave the servers up until Ctrl-C, and say how to reach them

Needs nothing but this installation: PostgreSQL, a Redis-compatible server and an AWS emulator are started on
unix sockets and loopback ports, and stopped at the end. Any number of demos can run at the same time.
"""

RUNS = Path(".posture/demo")
KEPT = ("posture.yaml", "ledger", "ledger.key", "portal", "pack.zip", "summary.pdf", "verify.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--keep", action="store_true", help="leave the servers up until Ctrl-C")
    parser.add_argument("--folder", metavar="DIR", help="an empty one; default: .posture/demo/<run>")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the summary")


def run(arguments: argparse.Namespace) -> int:
    """Run the loop and print a summary; 0 when every check holds and every sabotage was caught."""
    from posture.progress import Console
    from posture.scene import platform_scene

    folder, lock = _empty_folder(Path(arguments.folder)) if arguments.folder else new_folder(RUNS)
    console = Console(quiet=arguments.quiet)
    started = time.monotonic()
    try:
        with platform_scene(folder, console) as scene:
            code = _loop(scene, console)
            console.say(f"done after {time.monotonic() - started:.0f} s")
            if arguments.keep:
                _keep(scene)
    finally:
        leave_results_only(folder)
        os.close(lock)
    return code


def _loop(scene: Scene, console: Console) -> int:
    from posture.config import load_project
    from posture.pipeline import judge
    from posture.prove import log_proof, prove
    from posture.publish import compiled, log_key, publish_pack, publish_portal
    from posture.summary import by_area, exit_code
    from posture.workspace import collect_into, open_workspace

    workspace = open_workspace(load_project(scene.project_file), writing=True)
    with console.step("collecting evidence: catalog, isolation probe, ingress attack, canaries, lint, AWS"):
        collect_into(workspace, console)
    with console.step("judging it"):
        verdicts = judge(workspace.log)
    with console.step("sabotaging twins: every check must turn red"):
        proof = prove(scene.template, scene.folder / "twins", progress=console.detail)
        log_proof(workspace.log, proof)
    with console.step("compiling the portal, the pack and the summary"):
        posture = compiled(workspace)
        site = publish_portal(workspace, posture)
        pack = publish_pack(workspace, scene.folder / "pack.zip")
        summary = _summary_line(workspace, posture, scene.folder / "summary.pdf")
    print(f"\nverdicts by control area:\n{by_area(verdicts)}")
    print(f"\nsabotages: {proof.matrix.killed} of {proof.matrix.sabotages} turned their check red")
    for one in proof.survivors:
        print(f"  survived: {one.check} {one.sabotage}: {proof.reasons[one.check, one.sabotage]}")
    print(f"\nportal   {_shown(site.index)}  ({site.pages} pages)")
    print(f"pack     {_shown(pack.path)}  ({pack.entries} log entries, {pack.bytes // 1024} KiB)")
    print(summary)
    _try_next(scene.folder, workspace.log.ledger.origin, log_key(workspace))
    failed = exit_code(verdicts)
    return Exit.FINDINGS if proof.survivors and failed is not Exit.FINDINGS else failed


def _summary_line(workspace: Workspace, posture: CompiledPosture, out: Path) -> str:
    from posture.publish import publish_summary
    from trust_portal.errors import PdfUnavailable

    try:
        size = publish_summary(workspace, posture, out)
    except PdfUnavailable as error:
        return f"summary  none: {error}"
    return f"summary  {_shown(out)}  (PDF, {size // 1024} KiB)"


def _try_next(folder: Path, origin: str, key: str) -> None:
    config, posture = _shown(folder / "posture.yaml"), _program()
    print("\ntry next:")
    print(f"  {posture} portal serve --config {config}")
    print(f"  {posture} pack verify {_shown(folder / 'pack.zip')} --origin {origin} --key '{key}'")
    print(f"  {posture} pack reperform {_shown(folder / 'pack.zip')} --origin {origin} --key '{key}'")
    print(f"  {posture} check --config {config}")


def _keep(scene: Scene) -> None:
    """Say how to reach everything, and wait for Ctrl-C."""
    deployment = scene.deployment
    print("\nthe servers stay up until Ctrl-C:")
    print(f"  PostgreSQL {deployment.postgres.version:<8} psql '{deployment.admin_url}'")
    print(f"  Redis               {deployment.redis.url}")
    print(f"  AWS emulator        {scene.aws.endpoint}  (account {scene.aws.account})")
    print(f"  agent ingress       {deployment.ingress_address}  (TLS 1.3 only)")
    print(f"  look again          {_program()} gate --config {_shown(scene.project_file)}", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("\nstopping")


def new_folder(parent: Path) -> tuple[Path, int]:
    """A folder of its own for each demo, `latest` pointing at the newest; what killed demos left is swept.

    The descriptor holds the folder's lock, by which the next demo knows that this one lives.
    """
    parent = parent.absolute()
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    folder = parent / name
    folder.mkdir(parents=True)
    lock = _locked(folder)
    for left in (one for one in parent.iterdir() if one.is_dir() and not one.is_symlink()):
        _sweep(left)
    link = parent / f".latest-{name}"
    link.symlink_to(name)
    link.replace(parent / "latest")
    return folder, lock


def _empty_folder(folder: Path) -> tuple[Path, int]:
    """The folder that was asked for; never one with something in it, for most of it is removed at the end."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"--folder {folder} is not empty: name a new or an empty one")
    return folder.absolute(), _locked(folder)


def _locked(folder: Path, mode: int = fcntl.LOCK_EX) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, mode)  # ours may wait a moment for a sweep that looks at it
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(folder: Path) -> None:
    """Leave only the results of a demo that was killed; one that lives holds its lock."""
    try:
        lock = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    leave_results_only(folder)
    os.close(lock)


def leave_results_only(folder: Path) -> None:
    """Remove what only running servers need: their data, secrets and sockets."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _program() -> str:
    """How this program can be called from here."""
    return "posture" if shutil.which("posture") else _shown(Path(sys.argv[0]).absolute())


def _shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
