"""How fast the log appends and verifies, beside the raw limits of the same machine in the same run.

Run: ``python bench/ledger.py [--seconds 20] [--entries 100000]``. An entry is a record with three blobs, as
a collector makes it. Our time begins with its statement as a value: it is written as canonical JSON, signed,
put into its envelope and appended. The bare work is what the formats ask for over the same bytes and no
more: sign each statement (DSSE), hash each entry as a leaf and once more into the tree (RFC 6962), hash each
blob. Small batches are compared by the clock, and there the bare work also writes these bytes to one file
and syncs it once for each batch. The long log is compared by processor time, a batch each in turns; its last
part shows whether time and memory grow with the log. Verification is compared with checking each signature
and the same hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.ledger import Ledger, SignedEntry, VerifyReport, verify_ledger
from evidence.proofs import dsse
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.merkle import leaf_hash, node_hash
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.proofs.statement import PAYLOAD_TYPE, Statement, Subject

ORIGIN = "bench.example/ledger"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
KEY = Ed25519Verifier(SIGNER.public)
BATCHES = (1, 10, 500)
LONG_BATCH = 1_000
PARTS = 10
VERIFY_ROUNDS = 5
NEIGHBOUR = bytes(32)
AUDIENCES = ("public", "nda", "auditor")


@dataclass(frozen=True)
class Unsigned:
    """A record before it is signed, and for the bare work also what is made of it.

    Attributes:
        message: what is signed.
        envelope: the entry that is logged.
    """

    statement: Statement
    blobs: tuple[bytes, ...]
    message: bytes
    envelope: bytes


@dataclass(frozen=True)
class Row:
    """One line of the table: entries for each second by the log, and by the bare work."""

    what: str
    ours: float
    raw: float

    def __str__(self) -> str:
        return f"{self.what:<34}{self.ours:>12,.0f}{self.raw:>12,.0f}{self.raw / self.ours:>9.2f}x"


def unsigned(number: int) -> Unsigned:
    """A record of a usual size: 730 bytes of statement, 1,232 of envelope, subtrees of 170, 370 and 1,580."""
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
    payload = statement.encode()
    message = dsse.pre_authentication_encoding(PAYLOAD_TYPE, payload)
    return Unsigned(statement, blobs, message, dsse.sign(PAYLOAD_TYPE, payload, [SIGNER]).encode())


def signed(records: Iterable[Unsigned]) -> list[SignedEntry]:
    """The entries that are appended."""
    return SignedEntry.batch([(record.statement, record.blobs) for record in records], [SIGNER])


def bare(record: Unsigned) -> bytes:
    """Sign the statement, hash entry and blobs, and two hashes into one, as a tree does for each leaf."""
    signature = SIGNER.sign(record.message)
    node_hash(leaf_hash(record.envelope), NEIGHBOUR)
    for content in record.blobs:
        hashlib.sha256(content).digest()
    return signature


def batches(records: Sequence[Unsigned], size: int) -> Iterator[Sequence[Unsigned]]:
    """The records in runs of `size`."""
    for start in range(0, len(records), size):
        yield records[start : start + size]


def append_rate(folder: Path, records: Sequence[Unsigned], size: int, budget: float) -> float:
    """Entries for each second, signing included, until the budget is used up."""
    ledger = Ledger.open(folder / "log", origin=ORIGIN, signer=SIGNER, create=True)
    return rate(records, size, budget, lambda batch: ledger.append(signed(batch)))


def raw_rate(folder: Path, records: Sequence[Unsigned], size: int, budget: float) -> float:
    """The same records signed, hashed, written one after the other and synced after each batch."""
    with (folder / "raw").open("wb", buffering=0) as file:

        def write(batch: Sequence[Unsigned]) -> None:
            content = bytearray()
            for record in batch:
                content += bare(record)
                content += record.envelope
                for blob in record.blobs:
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
    spent: list[tuple[Row, int]] = []
    for part in range(PARTS):
        row = one_part(ledger, range(part * size, (part + 1) * size))
        spent.append((row, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
    yield spent[0][0]
    yield spent[-1][0]
    yield f"most memory after the first part {spent[0][1]} MB, after the last {spent[-1][1]} MB"


def one_part(ledger: Ledger, numbers: range) -> Row:
    """Some entries of the long log; the bare work and ours take turns, so that both have the same machine."""
    raw = ours = 0.0
    for start in range(numbers.start, numbers.stop, LONG_BATCH):
        records = [unsigned(number) for number in range(start, min(start + LONG_BATCH, numbers.stop))]
        raw += processor_time(lambda records=records: [bare(record) for record in records])
        ours += processor_time(lambda records=records: ledger.append(signed(records)))
    what = f"append, entries {numbers.start:,}-{numbers.stop:,}"
    return Row(what, len(numbers) / ours, len(numbers) / raw)


def processor_time(work: Callable[[], object]) -> float:
    """Seconds that this process was computing."""
    start = time.process_time()
    work()
    return time.process_time() - start


def verify_rates(folder: Path, records: Sequence[Unsigned]) -> Row:
    """Full verification of a log against bare signature checks and hashes of the same bytes."""
    ledger = Ledger.open(folder / "verified", origin=ORIGIN, signer=SIGNER, create=True)
    for batch in batches(records, 500):
        ledger.append(signed(batch))
    signatures = [SIGNER.sign(record.message) for record in records]

    def check_bare() -> None:
        for record, signature in zip(records, signatures, strict=True):
            KEY.verify(record.message, signature)
            node_hash(leaf_hash(record.envelope), NEIGHBOUR)
            for content in record.blobs:
                hashlib.sha256(content).digest()

    reports: list[VerifyReport] = []

    def check_log() -> None:
        reports.append(verify_ledger(folder / "verified", origin=ORIGIN, key=KEY))

    rounds = [(processor_time(check_bare), processor_time(check_log)) for _ in range(VERIFY_ROUNDS)]
    raw, ours = map(min, zip(*rounds, strict=True))
    report = reports[-1]
    if not report.ok or report.signatures != len(records) or report.blobs != 3 * len(records):
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
