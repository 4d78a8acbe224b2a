"""A project with its ledger opened: what every command on evidence starts from.

The ledger lies under the project's state unless `posture.yaml` says otherwise. A signing key that is
named as a file and does not exist yet is made on the first run, readable by its owner alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evidence.ledger.errors import LedgerError
from evidence.proofs.errors import KeyProblem, ProofsError
from evidence.proofs.keys import Signer, Verifier
from evidence.proofs.signers import Ed25519Verifier, create_key, load_signer
from posture.access import AccessBook
from posture.config import Ledger, Project
from posture.errors import UsageError
from posture.pipeline import Collected, collect
from posture.progress import Console
from posture.records import RecordLog
from posture.scoping import scope_of
from posture.secrets import Secret


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project, the folder of its state, and its log of records."""

    project: Project
    state: Path
    log: RecordLog
    signer: Signer | None


def open_workspace(project: Project, *, writing: bool) -> Workspace:
    """Open the project's ledger, for reading only or with its signer.

    Raises:
        UsageError: no ledger is configured or there is none yet, the key cannot be used, or the log
            is damaged; naming what and the next step.
    """
    if project.ledger is None:
        raise UsageError("posture.yaml has no `ledger` section: add `ledger: {origin: …, signer: file:…}`")
    project.state.mkdir(parents=True, exist_ok=True)
    path = project.ledger.path or project.state / "ledger"
    try:
        signer = _signer(project.ledger) if writing else None
        trusted = () if writing else _pinned(project.ledger)
        log = RecordLog(path, origin=project.ledger.origin, signer=signer, trusted=trusted)
    except (LedgerError, ProofsError) as error:
        raise UsageError(str(error)) from error
    return Workspace(project, project.state, log, signer)


def collect_into(workspace: Workspace, console: Console) -> Collected:
    """Look at everything in the project's scope and log it.

    Raises:
        UsageError: a secret or a file that the configuration names is missing.
    """
    book = AccessBook(workspace.project)
    book.check()
    scope = scope_of(workspace.project)
    collected = collect(workspace.log, scope, book, state=workspace.state, progress=console.detail)
    console.done()
    return collected


def _signer(ledger: Ledger) -> Signer:
    if ledger.signer is None:
        raise UsageError("ledger.signer is missing: name a key, such as `signer: file:ledger.key`")
    path = _key_file(ledger.signer)
    if path is None:
        return load_signer(ledger.signer.text)
    return load_signer(f"file:{path}") if path.exists() else create_key(path)


def _pinned(ledger: Ledger) -> tuple[Verifier, ...]:
    """The configured key for reading, so that a log made anew with another one is refused.

    A reader who may not read the key reads the log by the key in its folder, as a stranger does.
    """
    if ledger.signer is None:
        return ()
    path = _key_file(ledger.signer)
    try:
        signer = load_signer(f"file:{path}" if path else ledger.signer.text)
    except KeyProblem:
        return ()
    return (Ed25519Verifier(signer.public),)


def _key_file(secret: Secret) -> Path | None:
    scheme, _, name = secret.text.partition(":")
    return secret.base / Path(name).expanduser() if scheme == "file" else None
