"""How fast the log appends and verifies, beside the raw limits of the same machine in the same run.

Run: ``python bench/ledger.py [--seconds 20] [--entries 100000]``. Each entry is a signed record with three
blobs, as a collector makes it. Small batches are compared, by the clock, with what cannot be left out: sign
each payload, hash each byte, write the same bytes to one file, and sync it once for each batch. The long log
is compared, by processor time, with signing and hashing alone; its last part shows whether time and memory
grow with the log.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.ledger import Ledger, PendingEntry, VerifyReport, verify_ledger
from evidence.proofs import dsse
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.proofs.statement import PAYLOAD_TYPE, Statement, Subject

ORIGIN = "bench.example/ledger"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
KEY = Ed25519Verifier(SIGNER.public)
BATCHES = (1, 10, 500)
LONG_BATCH = 1_000
PARTS = 10
AUDIENCES = ("public", "nda", "auditor")


@dataclass(frozen=True)
class Unsigned:
    """A record before it is signed: identity, statement and subtrees."""

    identity: str
    statement: bytes
    blobs: tuple[bytes, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table: entries for each second by the log, and by the bare work."""

    what: str
    ours: float
    raw: float

    def __str__(self) -> str:
        return f"{self.what:<34}{self.ours:>12,.0f}{self.raw:>12,.0f}{self.raw / self.ours:>9.2f}x"


def unsigned(number: int) -> Unsigned:
    """A record of a usual size: about 900 bytes of statement, 3 subtrees of 100 to 1,500 bytes."""
    parts = ["run-1", f"databases/{number}", "postgres.row_security/v1", "postgres:core"]
    predicate = dict(zip(("run", "unit", "kind", "subject"), parts, strict=True))
    predicate |= {
        "reason": "",
        "outcome": "observed",
        "collector": "x" * 120,
        "recorded": "2026-01-01T00:00:00.000Z",
    }
    blobs = tuple(
        canonical_bytes({"audience": name, "salt": f"{number:032x}", "value": "v" * size})
        for name, size in zip(AUDIENCES, (100, 300, 1500), strict=True)
    )
    subjects = tuple(
        Subject(name, hashlib.sha256(blob).hexdigest()) for name, blob in zip(AUDIENCES, blobs, strict=True)
    )
    statement = Statement(subjects, "https://example.com/bench/v1", predicate)
    return Unsigned(canonical_bytes(parts).decode(), statement.encode(), blobs)


def signed(record: Unsigned) -> PendingEntry:
    """The entry that is appended."""
    envelope = dsse.sign(PAYLOAD_TYPE, record.statement, [SIGNER])
    return PendingEntry(record.identity, envelope.encode(), record.blobs)


def batches(records: Sequence[Unsigned], size: int) -> Iterator[Sequence[Unsigned]]:
    """The records in runs of `size`."""
    for start in range(0, len(records), size):
        yield records[start : start + size]


def append_rate(folder: Path, records: Sequence[Unsigned], size: int, budget: float) -> float:
    """Entries for each second, signing included, until the budget is used up."""
    ledger = Ledger.open(folder / "log", origin=ORIGIN, signer=SIGNER, create=True)
    return rate(records, size, budget, lambda batch: ledger.append(signed(record) for record in batch))


def raw_rate(folder: Path, records: Sequence[Unsigned], size: int, budget: float) -> float:
    """The same records signed, hashed, written one after the other and synced after each batch."""
    with (folder / "raw").open("wb", buffering=0) as file:

        def write(batch: Sequence[Unsigned]) -> None:
            content = bytearray()
            for record in batch:
                content += SIGNER.sign(record.statement) + record.statement
                hashlib.sha256(record.statement).digest()
                for blob in record.blobs:
                    hashlib.sha256(blob).digest()
                    content += blob
            file.write(content)
            os.fsync(file.fileno())

        return rate(records, size, budget, write)


def rate(
    records: Sequence[Unsigned], size: int, budget: float, work: Callable[[Sequence[Unsigned]], object]
) -> float:
    """Entries for each second of `work` over batches, for at most `budget` seconds."""
    done = 0
    start = time.perf_counter()
    for batch in batches(records, size):
        work(batch)
        done += len(batch)
        if time.perf_counter() - start > budget:
            break
    return done / (time.perf_counter() - start)


def long_log(folder: Path, count: int) -> Iterator[Row | str]:
    """A log of many entries, part by part, against bare signing and hashing of the same bytes."""
    ledger = Ledger.open(folder / "long", origin=ORIGIN, signer=SIGNER, create=True)
    size = count // PARTS
    spent: list[tuple[float, float, int]] = []
    for part in range(PARTS):
        records = [unsigned(number) for number in range(part * size, (part + 1) * size)]
        raw = processor_time(lambda records=records: [bare(record) for record in records])
        ours = processor_time(
            lambda records=records: [
                ledger.append(signed(record) for record in batch) for batch in batches(records, LONG_BATCH)
            ]
        )
        spent.append((size / ours, size / raw, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    for part in (0, PARTS - 1):
        yield Row(f"append, entries {part * size:,}-{(part + 1) * size:,}", *spent[part][:2])
    first, last = (spent[part][2] // 1024 for part in (0, PARTS - 1))
    yield f"most memory after the first part {first} MB, after the last {last} MB"


def bare(record: Unsigned) -> None:
    """Sign the payload and hash every byte that is logged."""
    SIGNER.sign(record.statement)
    for content in (record.statement, *record.blobs):
        hashlib.sha256(content).digest()


def processor_time(work: Callable[[], object]) -> float:
    """Seconds that this process was computing."""
    start = time.process_time()
    work()
    return time.process_time() - start


def verify_rates(folder: Path, records: Sequence[Unsigned]) -> Row:
    """Full verification of a log against bare signature checks and hashes of the same bytes."""
    entries = [signed(record) for record in records]
    ledger = Ledger.open(folder / "verified", origin=ORIGIN, signer=SIGNER, create=True)
    for start in range(0, len(entries), 500):
        ledger.append(entries[start : start + 500])
    messages = [
        (dsse.pre_authentication_encoding(PAYLOAD_TYPE, record.statement), SIGNER.sign(record.statement))
        for record in records
    ]
    signatures = [SIGNER.sign(message) for message, _ in messages]

    def check_bare() -> None:
        for (message, _), signature, entry in zip(messages, signatures, entries, strict=True):
            KEY.verify(message, signature)
            for content in (entry.envelope, *entry.blobs):
                hashlib.sha256(content).digest()

    raw = min(processor_time(check_bare) for _ in range(3))
    reports: list[VerifyReport] = []
    ours = min(
        processor_time(lambda: reports.append(verify_ledger(folder / "verified", origin=ORIGIN, key=KEY)))
        for _ in range(3)
    )
    report = reports[-1]
    if not report.ok:
        raise SystemExit(f"the log does not verify: {report.first}")
    return Row(f"verify {len(records):,} entries", len(records) / ours, len(records) / raw)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="about how long to run in all")
    parser.add_argument(
        "--folder", type=Path, help="where to write (a disk to be measured; default: temporary)"
    )
    parser.add_argument("--entries", type=int, default=100_000, help="length of the long log")
    options = parser.parse_args()
    budget = options.seconds / 8
    records = [unsigned(number) for number in range(5_000)]
    print(f"{'entries for each second':<34}{'ledger':>12}{'raw limit':>12}{'ratio':>10}")
    for size in BATCHES:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            raw = raw_rate(Path(name), records, size, budget / 2)
            ours = append_rate(Path(name), records, size, budget)
            print(Row(f"append, batches of {size}", ours, raw), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for row in long_log(Path(name), options.entries):
            print(row, flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(verify_rates(Path(name), records[:2_000]), flush=True)


if __name__ == "__main__":
    main()
