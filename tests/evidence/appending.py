"""Entries for the tests of the log, and a process that appends them until it is killed.

Run as a program: ``appending.py LOG WRITER COUNT BATCH``; prints each acknowledged index on its own line.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from evidence.ledger import Ledger, PendingEntry, SignedEntry
from evidence.proofs import dsse
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.proofs.statement import PAYLOAD_TYPE, Statement, Subject

ORIGIN = "log.example/posture"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
OTHER = Ed25519Signer.from_seed(bytes(32))
KEY = Ed25519Verifier(SIGNER.public)


def statement(unit: str, *, value: str = "", blobs: tuple[bytes, ...] = ()) -> Statement:
    """What is said about `unit`."""
    about = {"run": "r1", "unit": unit, "kind": "test.kind/v1", "subject": "postgres:core"}
    subjects = tuple(Subject(f"blob-{n}", hashlib.sha256(blob).hexdigest()) for n, blob in enumerate(blobs))
    return Statement(subjects, "https://example.com/test/v1", about | {"value": value})


def entry(
    unit: str, *, value: str = "", blobs: tuple[bytes, ...] = (), signer: Ed25519Signer = SIGNER
) -> PendingEntry:
    """An entry about `unit` that was signed elsewhere: the log knows its bytes alone."""
    payload = statement(unit, value=value, blobs=blobs).encode()
    envelope = dsse.sign(PAYLOAD_TYPE, payload, [signer]).encode()
    return PendingEntry(identity(unit), envelope, blobs)


def signed(unit: str, *, value: str = "", blobs: tuple[bytes, ...] = ()) -> SignedEntry:
    """The same entry, signed here."""
    return SignedEntry(statement(unit, value=value, blobs=blobs), blobs, [SIGNER])


def identity(unit: str) -> str:
    """The identity of the entry about `unit`."""
    return canonical_bytes(["r1", unit, "test.kind/v1", "postgres:core"]).decode()


def open_log(path: Path, *, create: bool = True) -> Ledger:
    """The test log, with its signer."""
    return Ledger.open(path, origin=ORIGIN, signer=SIGNER, create=create)


def main(path: str, writer: str, count: str, batch: str) -> None:
    """Append `count` batches of `batch` entries, each with a blob of its own."""
    ledger = open_log(Path(path))
    for number in range(int(count)):
        units = [f"{writer}-{number}-{n}" for n in range(int(batch))]
        receipts = ledger.append([signed(unit, blobs=(f"blob of {unit}".encode(),)) for unit in units])
        for unit, receipt in zip(units, receipts, strict=True):
            print(receipt.index, unit, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
