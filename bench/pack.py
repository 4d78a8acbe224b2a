"""How fast `verify.py` checks a pack of 10,000 records, beside hashing the same records in the same run.

Run: ``python bench/pack.py [RECORDS]``. The raw limit is what no verifier can leave out: SHA-256 of each
signed record and of each of its three payload subtrees, in Python. Both are measured as processor time of
this process and as time on the clock, the least of several rounds.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROUNDS = 5
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


def least(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor, the least of several rounds."""
    clock = processor = float("inf")
    for _ in range(ROUNDS):
        started, used = time.perf_counter(), time.process_time()
        work()
        clock = min(clock, time.perf_counter() - started)
        processor = min(processor, time.process_time() - used)
    return clock, processor


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
        raw, taken = least(bare), least(ours)
        print(f"{'':24}{'hashing':>10}{'verify.py':>10}{'ratio':>8}")
        for what, one, other in (
            ("on the clock, s", raw[0], taken[0]),
            ("of the processor, s", raw[1], taken[1]),
        ):
            print(f"{what:24}{one:10.3f}{other:10.3f}{other / one:7.2f}x")


if __name__ == "__main__":
    main()
