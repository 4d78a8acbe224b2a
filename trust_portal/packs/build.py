"""Builds an evidence pack: everything an auditor needs to check the log and the verdicts offline.

The same log gives the same bytes. The manifest names every file with its SHA-256 and is signed with
the log's key, so a manifest made anew does not verify; `verify.py` in the pack checks all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final, Protocol, cast

from checks.check import load_checks
from checks.sources import carried_sources, judging_source
from controls.verdict import Verdict
from evidence.payload import Audience, Json, timestamp
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.dsse import Envelope
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Signer
from evidence.proofs.notes import read_checkpoint, sign_note, verifier_key_text
from evidence.proofs.statement import Statement
from evidence.proofs.tlog_proof import TlogProof
from evidence.record import PREDICATE_TYPE
from evidence.scope import Scope
from trust_portal.errors import PackError
from trust_portal.packs.archive import write_archive

SCHEMA: Final = "posture.pack/v1"
VERIFIER: Final = "verify/verify.py"
_RANK: Final = tuple(Audience)


class Log(Protocol):
    """What a pack reads of a log; `evidence.ledger.Ledger` fulfils it."""

    origin: str

    def signed_checkpoint(self) -> bytes:
        """The published checkpoint, a signed note."""
        ...

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The envelopes in order."""
        ...

    def prove_inclusion(self, index: int) -> TlogProof:
        """The proof that an entry is in the log."""
        ...

    def blob(self, index: int, digest: str) -> bytes:
        """A payload subtree of an entry by its SHA-256 in hex."""
        ...


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was written.

    Attributes:
        sha256: of the whole zip.
        verifier: SHA-256 of the verify.py inside, to compare with the portal.
    """

    path: Path
    files: int
    entries: int
    verdicts: int
    bytes: int
    sha256: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the log with its parsed statement."""

    index: int
    envelope: bytes
    statement: Statement

    @property
    def kind(self) -> str:
        return str(self.statement.predicate.get("kind"))

    @property
    def recorded(self) -> str:
        return str(self.statement.predicate.get("recorded"))


def build_pack(
    ledger: Log,
    out: Path,
    *,
    signer: Signer,
    as_of: datetime,
    audience: Audience = Audience.AUDITOR,
    portal: bytes | None = None,
    evidence_keys: Sequence[bytes] = (),
) -> PackReport:
    """Write a pack over the whole log as it is published now.

    Args:
        ledger: the log.
        out: the zip; replaced in one step.
        signer: the log's own key, which signs the manifest.
        as_of: verdicts and the scope are the latest recorded up to this moment.
        audience: payload subtrees that it may not read are left out.
        portal: ``api/v1/posture.json`` of the site, so that both can be compared.
        evidence_keys: raw public keys that signed entries, where they are not the log's own.

    Raises:
        PackError: the log grew meanwhile, has no scope or verdict, or is too large for one pack.
    """
    checkpoint = ledger.signed_checkpoint()
    entries = list(_entries(ledger, read_checkpoint(checkpoint).size))
    verdicts = _latest(entries, Verdict.kind, as_of)
    files: dict[str, bytes] = {
        "checkpoint": checkpoint,
        "keys/log.vkey": verifier_key_text(ledger.origin, signer.public).encode() + b"\n",
        "keys/evidence.vkey": _evidence_keys(ledger.origin, (signer.public, *evidence_keys)),
        VERIFIER: resources.files("trust_portal.packs").joinpath("verify.py").read_bytes(),
        **dict(_log_files(ledger, entries, checkpoint)),
        **dict(_payloads(ledger, entries, audience)),
        **dict(_copies(ledger, verdicts, audience)),
        "scope.json": _scope(ledger, entries, as_of, audience),
        **{f"checks/{path}": source for path, source in carried_sources().items()},
    }
    if portal is not None:
        files["portal/posture.json"] = portal
    files["README.txt"] = _readme(ledger.origin, files, as_of, audience)
    _sign(files, ledger.origin, signer, as_of, audience, len(entries))
    size = write_archive(files, out)
    return PackReport(
        out, len(files), len(entries), len(verdicts), size, _file_digest(out), _digest(files[VERIFIER])
    )


def _entries(ledger: Log, size: int) -> Iterator[_Entry]:
    for index, envelope in enumerate(ledger.entries(0, size)):
        try:
            statement = Statement.parse(Envelope.decode(envelope).payload)
        except ProofsError as error:
            raise PackError(f"entry {index} of {ledger.origin}: {error}; verify the log first") from error
        yield _Entry(index, envelope, statement)


def _log_files(ledger: Log, entries: Sequence[_Entry], checkpoint: bytes) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        proof = ledger.prove_inclusion(entry.index)
        if proof.checkpoint != checkpoint:
            raise PackError(f"{ledger.origin} grew while it was packed; build the pack again")
        yield f"entries/{entry.index:06d}.json", entry.envelope
        yield f"proofs/{entry.index:06d}.tlog-proof", proof.encode()


def _payloads(ledger: Log, entries: Sequence[_Entry], audience: Audience) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        for digest in _readable(entry, audience):
            yield f"payloads/{digest}", ledger.blob(entry.index, digest)


def _readable(entry: _Entry, audience: Audience) -> list[str]:
    """Digests of what the entry commits to and the audience may read."""
    everything = entry.statement.predicate_type != PREDICATE_TYPE
    allowed = {name.value for name in _RANK[: _RANK.index(audience) + 1]}
    return [item.sha256 for item in entry.statement.subjects if everything or item.name in allowed]


def _latest(entries: Sequence[_Entry], kind: str, as_of: datetime) -> dict[str, _Entry]:
    """The last entry of a kind for each unit; a verdict's unit is its check."""
    latest: dict[str, _Entry] = {}
    for entry in entries:
        if entry.kind == kind and entry.recorded <= timestamp(as_of):
            latest[str(entry.statement.predicate.get("unit"))] = entry
    return latest


def _copies(ledger: Log, verdicts: Mapping[str, _Entry], audience: Audience) -> Iterator[tuple[str, bytes]]:
    if not verdicts:
        raise PackError(f"{ledger.origin} holds no verdict up to that moment; run the checks first")
    for entry in verdicts.values():
        copy = _copy(ledger, entry, audience)
        verdict = cast("dict[str, Json]", copy["value"])
        if verdict["check"] not in load_checks():
            continue  # a check that is gone is judged no more; the log and verify.py still tell of it
        if verdict["source"] != judging_source():
            raise PackError(
                f"check {verdict['check']} was judged by other source than this version's; "
                "judge again before packing, so that the pack can carry what judged"
            )
        yield f"verdicts/{verdict['check']}.json", canonical_bytes(copy)


def _copy(ledger: Log, entry: _Entry, audience: Audience) -> dict[str, Json]:
    """A logged payload in one piece, with the entry that it must agree with."""
    value: dict[str, Json] = {}
    for digest in _readable(entry, audience):
        value |= parse_strict(ledger.blob(entry.index, digest))["value"]
    return {"entry": entry.index, "value": value}


def _scope(ledger: Log, entries: Sequence[_Entry], as_of: datetime, audience: Audience) -> bytes:
    scopes = list(_latest(entries, Scope.kind, as_of).values())
    if not scopes:
        raise PackError(f"{ledger.origin} holds no scope up to that moment; collect first")
    return canonical_bytes(_copy(ledger, max(scopes, key=lambda entry: entry.index), audience))


def _evidence_keys(origin: str, publics: Sequence[bytes]) -> bytes:
    lines = dict.fromkeys(verifier_key_text(origin, public) for public in publics)
    return "".join(f"{line}\n" for line in lines).encode()


def _sign(
    files: dict[str, bytes], origin: str, signer: Signer, as_of: datetime, audience: Audience, entries: int
) -> None:
    listed = {name: {"sha256": _digest(content), "size": len(content)} for name, content in files.items()}
    manifest = canonical_bytes(
        {
            "schema": SCHEMA,
            "origin": origin,
            "as_of": timestamp(as_of),
            "audience": audience.value,
            "entries": entries,
            "files": listed,
        }
    )
    note = sign_note(f"{SCHEMA}\n{origin}\n{_digest(manifest)}\n", origin, signer)
    files["MANIFEST.json"] = manifest
    files["MANIFEST.note"] = note


def _readme(origin: str, files: Mapping[str, bytes], as_of: datetime, audience: Audience) -> bytes:
    template = resources.files("trust_portal.packs").joinpath("README.txt").read_text("utf-8")
    return template.format(
        origin=origin,
        as_of=timestamp(as_of),
        audience=audience.value,
        verifier=_digest(files[VERIFIER]),
        key=files["keys/log.vkey"].decode().strip(),
    ).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
