"""A project with its ledger opened: what every command on evidence starts from.

The ledger lies under the project's state unless `posture.yaml` says otherwise. A signing key that is
named as a file and does not exist yet is made on the first run, readable by its owner alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from evidence.ledger.errors import LedgerError
from evidence.proofs.errors import KeyProblem, ProofsError
from evidence.proofs.keys import Signer, Verifier
from evidence.proofs.signers import UNLOCK_VARIABLE, Ed25519Verifier, create_key, load_signer
from posture.access import AccessBook
from posture.config import Ledger, Project
from posture.errors import UsageError
from posture.pipeline import Collected, collect
from posture.progress import Console
from posture.records import RecordLog
from posture.scoping import scope_of
from posture.secrets import Key


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
    return load_or_create_signer(ledger.signer)


def load_or_create_signer(key: Key) -> Signer:
    """The signer that a reference names; a file that does not exist yet is made, readable by its owner.

    It is encrypted with POSTURE_KEY_PASSPHRASE where that is set.

    Raises:
        UsageError: the key cannot be read or made.
    """
    path = _key_file(key)
    try:
        if path is None:
            return _named_signer(key.text)
        return load_signer(f"file:{path}") if path.exists() else create_key(path, passphrase=_passphrase())
    except KeyProblem as error:
        raise UsageError(str(error)) from error


def _named_signer(reference: str) -> Signer:
    scheme, _, name = reference.partition(":")
    if scheme == "awskms":
        from posture.kms_signer import load_kms_signer

        return load_kms_signer(name)
    return load_signer(reference)


def _passphrase() -> bytes | None:
    text = os.environ.get(UNLOCK_VARIABLE)
    return text.encode() if text else None


def _pinned(ledger: Ledger) -> tuple[Verifier, ...]:
    """The configured key for reading, so that a log made anew with another one is refused.

    A reader who may not read the key reads the log by the key in its folder, as a stranger does.
    """
    if ledger.signer is None:
        return ()
    path = _key_file(ledger.signer)
    try:
        signer = load_signer(f"file:{path}") if path else _named_signer(ledger.signer.text)
    except KeyProblem:
        return ()
    return (Ed25519Verifier(signer.public),)


def _key_file(secret: Key) -> Path | None:
    scheme, _, name = secret.text.partition(":")
    return secret.base / Path(name).expanduser() if scheme == "file" else None
