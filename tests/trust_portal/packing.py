"""A month of a judged log for the tests of packs: real checks over real records, the same bytes each time.

Run as a program: ``packing.py LOG OUT [FIRST LAST]`` opens a log, reads it and writes a pack of it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from checks.verdicts import Bench
from controls.verdict import Verdict
from evidence import kinds
from evidence.kinds.aws import RdsInstance, RdsInstances
from evidence.ledger import Ledger, PendingEntry
from evidence.payload import Payload
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.dsse import Envelope, sign
from evidence.proofs.notes import sign_note, verifier_key_text
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE
from evidence.record import CollectorId, Header, Interval, Outcome, Record, seal, unseal
from evidence.scope import Scope, Unit
from evidence.view import LoggedRecord, evidence_of
from trust_portal.packs import verify
from trust_portal.packs.archive import write_archive
from trust_portal.packs.build import Order, PackReport, build_pack
from trust_portal.packs.documents.engagement import Window

ORIGIN = "posture.example/log"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
OTHER = Ed25519Signer.from_seed(bytes(32))
KEY = verifier_key_text(ORIGIN, SIGNER.public)
FIRST = datetime(2026, 11, 2, 6, tzinfo=UTC)
CANARY = "core-gated-4711"
"""A name that stands in an auditor's subtree and in deviations alone."""

CHECKS = ("AVL-03", "RLS-01")
assert kinds


def salts() -> Callable[[int], bytes]:
    """Salts that are the same in each run, so that two logs of the same records are the same bytes."""
    count = iter(range(1_000_000))
    return lambda size: hashlib.sha256(b"salt %d" % next(count)).digest()[:size]


class Writer:
    """Logs records and keeps what a reader of the log would have."""

    def __init__(self, folder: Path, signer: Ed25519Signer = SIGNER) -> None:
        self.ledger = Ledger.open(folder, origin=ORIGIN, signer=signer, create=True)
        self.records: list[LoggedRecord] = []
        self.signer = signer
        self._salt = salts()

    def add(self, *records: Record, change: Callable[[bytes], bytes] = bytes) -> None:
        """Append a batch; `change` tampers with each signed envelope."""
        pending = []
        for record in records:
            sealed = seal(record, salt=self._salt)
            envelope = change(sign(PAYLOAD_TYPE, sealed.statement, [self.signer]).encode())
            pending.append(PendingEntry(record.identity, envelope, tuple(sealed.subtrees.values())))
            digest = hashlib.sha256(sealed.statement).hexdigest()
            self.records.append(LoggedRecord(record, digest, len(self.records)))
        self.ledger.append(pending)

    def judge(self, at: datetime, checks: Iterable[str] = CHECKS, **changes: Any) -> None:
        """Log the real verdicts of some checks over everything logged."""
        evidence = evidence_of(self.records, len(self.records), at)
        assert evidence.scope is not None
        bench = Bench(evidence, evidence.scope, entries=len(self.records), as_of=at)
        verdicts = [bench.verdict(check) for check in checks]
        self.add(*(record(one, f"checks/{one.check}", f"check:{one.check}", at) for one in verdicts if one))

    def pack(self, out: Path, **order: Any) -> PackReport:
        """Build a pack of the log."""
        made = Order(**{"engagement": "soc2", "project": "demo", **order})
        return build_pack(self.ledger, self.records, out, signer=self.signer, order=made)


def record(
    payload: Payload | None, unit: str, subject: str, at: datetime, *, kind: str = "", run: str = ""
) -> Record:
    """A record seen and logged at a moment."""
    header = Header(
        run=run or f"run-{at.isoformat()}",
        unit=unit,
        kind=payload.kind if payload else kind,
        subject=subject,
        observed=Interval(at, at),
        recorded=at,
        expires=at + timedelta(days=7),
        collector=CollectorId("test", "1", "0" * 64),
        outcome=Outcome.OBSERVED if payload else Outcome.DENIED,
        reason="" if payload else "AccessDenied",
    )
    return Record(header, payload)


ACCOUNTS = tuple(f"1111222233{n:02d}" for n in range(24))


def scope(accounts: Iterable[str] = ACCOUNTS) -> Scope:
    units = (Unit(f"aws.rds/{one}/eu", "aws.rds", f"aws:{one}/eu", {}) for one in accounts)
    return Scope("demo", tuple(units))


def look(at: datetime, account: str, *, broken: bool = False) -> Record:
    """What the account's databases are like; broken: one of them stands in a single zone."""
    instances = RdsInstances(1, (RdsInstance(CANARY, True, not broken, 35, False),))
    return record(instances, f"aws.rds/{account}/eu", f"aws:{account}/eu", at)


def month(folder: Path, *, days: int = 28, accounts: int = 24) -> Writer:
    """Daily looks at some accounts, judged each day; for three days in the middle one account is broken."""
    writer = Writer(folder)
    chosen = ACCOUNTS[:accounts]
    for day in range(days):
        at = FIRST + timedelta(days=day)
        broken = days // 2 <= day < days // 2 + 3
        looks = [look(at, one, broken=broken and one == chosen[0]) for one in chosen]
        writer.add(record(scope(chosen), "scope", "project:demo", at), *looks)
        writer.judge(at + timedelta(minutes=5))
    return writer


def days(first: int, last: int) -> Window:
    """A window by numbers of days from the first one of the log."""
    day = FIRST.date()
    return Window(day + timedelta(days=first), day + timedelta(days=last))


def verified(path: Path, *, signatures: bool = False, key: str | None = KEY) -> verify.Verification:
    """A run of the verifier."""
    run = verify.Verification(verify.parse_key(key) if key else None, signatures, lambda line: None)
    run.verify(path)
    return run


def named(path: Path, **options: Any) -> set[str]:
    """The files that a run of the verifier names."""
    return {file for file, _ in verified(path, **options).problems}


def forged(
    files: dict[str, bytes], change: dict[str, bytes | None], signer: Ed25519Signer = SIGNER, **said: Any
) -> dict[str, bytes]:
    """What the holder of a key would make of a pack: files changed or left out, a consistent list of them."""
    made = {name: content for name, content in {**files, **change}.items() if content is not None}
    if said:
        made[verify.MANIFEST] = canonical_bytes({**parse_strict(files[verify.MANIFEST]), **said})
    for name in (verify.NOTE, verify.SUMS):
        made.pop(name, None)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
    sums = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
    note = f"{verify.SCHEMA}\n{ORIGIN}\n{hashlib.sha256(sums).hexdigest()}\n"
    return {**made, verify.SUMS: sums, verify.NOTE: sign_note(note, ORIGIN, signer)}


def zipped(files: dict[str, bytes], path: Path) -> Path:
    """A pack of these files."""
    write_archive(files, path)
    return path


def read_log(folder: Path) -> tuple[Ledger, list[LoggedRecord]]:
    """A log and its records, with no signature checked."""
    ledger = Ledger.open(folder, origin=ORIGIN, signer=SIGNER)
    records = []
    for index, entry in enumerate(ledger.entries()):
        statement = Envelope.decode(entry).payload
        logged = unseal(statement, partial(ledger.blob, index))
        records.append(LoggedRecord(logged, hashlib.sha256(statement).hexdigest(), index))
    return ledger, records


def main() -> None:
    folder, out, *window = sys.argv[1:]
    ledger, records = read_log(Path(folder))
    first, last = map(date.fromisoformat, window) if window else (None, None)
    order = Order("soc2", "demo", window=Window(first, last) if first and last else None)
    print(build_pack(ledger, records, Path(out), signer=SIGNER, order=order).sha256)


if __name__ == "__main__":
    main()


def of_verdict(one: LoggedRecord) -> Verdict:
    """The verdict of a record."""
    assert isinstance(one.record.payload, Verdict)
    return one.record.payload
