"""How fast `verify.py` checks a pack of 10,000 records, beside hashing in the same run.

Run: ``python bench/pack.py [RECORDS]``. Two raw limits, both in Python. The bare one is SHA-256 of each
signed record and of each of its three payload subtrees. The other one is all the hashing that no verifier
can leave out: the pack is read from disk, and hashed are each of its files but those of the log's lines,
each record as a leaf, each inner node of the tree, and each subtree. Measured is the processor's time of this
process, the least of several rounds.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROUNDS = 9
ORIGIN = "bench.example/ledger"
START = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 500


def fill(folder: Path, records: int) -> object:
    """A log of observations of a usual size, in batches, judged once at its end."""
    from checks.check import load_checks, scope_digest
    from controls.verdict import State, Verdict
    from evidence.kinds.postgres import RowSecurity, Table
    from evidence.proofs.signers import Ed25519Signer
    from evidence.record import CollectorId, Header, Interval, Outcome, Record
    from evidence.scope import Scope, Unit
    from posture.records import RecordLog

    log = RecordLog(folder, origin=ORIGIN, signer=Ed25519Signer.from_seed(bytes(range(32))))
    tables = tuple(
        Table(f"shop.orders_{n}", "tenant", "owner", "tenant_id", True, True, False, ()) for n in range(8)
    )

    def record(number: int, unit: str, subject: str, payload: object) -> Record:
        at = START + timedelta(seconds=number)
        return Record(
            Header(
                run=f"run-{number // BATCH}",
                unit=unit,
                kind=payload.kind,
                subject=subject,
                observed=Interval(at, at),
                recorded=at,
                expires=at + timedelta(days=30),
                collector=CollectorId("bench", "1", "0" * 64),
                outcome=Outcome.OBSERVED,
                reason="",
            ),
            payload,
        )

    scope = Scope("bench", (Unit("databases/0", "databases", "postgres:0", {}),))
    checks = load_checks()
    verdicts = [
        Verdict(
            check=name,
            claims=check.claims,
            state=State.UNKNOWN,
            reason="It was not judged.",
            facts={},
            deviations=(),
            scope=scope_digest(scope),
            source=check.source,
            as_of=START + timedelta(seconds=records),
            entries=records - len(checks),
        )
        for name, check in sorted(checks.items())
    ]
    seen = RowSecurity(160004, "app", tables, (), (), ())
    observations = records - 1 - len(verdicts)
    waiting = [record(0, "scope", "project:bench", scope)]
    waiting += [record(n, f"databases/{n}", f"postgres:{n}", seen) for n in range(1, observations + 1)]
    waiting += [record(records, f"checks/{one.check}", f"check:{one.check}", one) for one in verdicts]
    for start in range(0, len(waiting), BATCH):
        log.append(waiting[start : start + BATCH])
    return log


def least(*works: Callable[[], object]) -> list[float]:
    """Seconds of the processor for each, the least of several rounds in turn."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            started = time.process_time()
            work()
            best[number] = min(best[number], time.process_time() - started)
    return best


def whole_files(pack: Path) -> Iterator[bytes]:
    """Reads all of a pack, and gives the files that are hashed as a whole."""
    from trust_portal.packs.verify import BY_LINE, open_pack

    for name, content in open_pack(pack):
        if not name.startswith(BY_LINE):
            yield content


def main() -> None:
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)
    from evidence.ledger.blobs import frames, parse_blob_file
    from evidence.proofs.signers import Ed25519Signer
    from trust_portal.packs import verify
    from trust_portal.packs.build import Order, build_pack

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = fill(folder / "log", count)
        signer = Ed25519Signer.from_seed(bytes(range(32)))
        started = time.perf_counter()
        records = log.read()
        read = time.perf_counter() - started
        report = build_pack(
            log.ledger, records, folder / "pack.zip", signer=signer, order=Order("bench", "bench")
        )
        built = time.perf_counter() - started - read
        entries = list(log.ledger.entries())
        store = log.ledger.store
        blobs = [
            frame.content
            for file in store.names("blobs")
            if parse_blob_file(file) is not None
            for frame in frames(store.read(file), where=file)
        ]

        def bare() -> None:
            for content in (*entries, *blobs):
                hashlib.sha256(content).digest()

        def needed() -> None:
            for content in whole_files(folder / "pack.zip"):
                hashlib.sha256(content).digest()
            leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
            for _ in leaves[1:]:
                hashlib.sha256(b"\1" + leaves[0] + leaves[1]).digest()
            for content in blobs:
                hashlib.sha256(content).digest()

        def ours() -> None:
            run = verify.Verification(None, False, lambda _line: None)
            run.verify(folder / "pack.zip")
            if run.problems:
                raise SystemExit(run.problems)

        size = sum(map(len, (*entries, *blobs)))
        print(
            f"{len(entries):,} records, {len(blobs):,} payloads, {size:,} bytes; pack {report.bytes:,} bytes"
        )
        print(f"reading the log {read:.1f} s, building the pack {built:.1f} s")
        once, every, taken = least(bare, needed, ours)
        print(f"verify.py {taken:.3f} s")
        print(f"hashing the records and payloads once {once:.3f} s, {taken / once:.2f}x")
        print(f"all hashing that a verifier must do   {every:.3f} s, {taken / every:.2f}x")


if __name__ == "__main__":
    main()
