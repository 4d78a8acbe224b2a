"""Nothing is judged that the log's key did not sign, or that is not what its checkpoint stands for."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.kinds.aws import GuardDutyDetectors
from evidence.ledger.layout import Tile, framed
from evidence.proofs import dsse
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE
from evidence.record import CollectorId, Interval, Record, seal
from posture.config import load_project
from posture.errors import UsageError
from posture.records import RecordLog, RunClock
from posture.workspace import open_workspace

ORIGIN = "log.example/posture"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
STRANGER = Ed25519Signer.from_seed(bytes(32))


def detectors(enabled: int, unit: str = "aws.guardduty/111122223333/us-east-1") -> Record:
    clock = RunClock.start()
    now = clock.now()
    return clock.record(
        unit=unit,
        subject="aws:111122223333/us-east-1",
        kind=GuardDutyDetectors,
        payload=GuardDutyDetectors(1, enabled),
        observed=Interval(now, now),
        lifetime=timedelta(days=7),
        by=CollectorId("test", "1", ""),
    )


def opened(folder: Path) -> RecordLog:
    return RecordLog(folder / "ledger", origin=ORIGIN, signer=SIGNER)


@pytest.fixture
def log(tmp_path: Path) -> RecordLog:
    log = opened(tmp_path)
    for record in (detectors(1), detectors(0)):
        log.append([record])
    return log


def rewrite(log: RecordLog, folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the entries on disk, and leave checkpoint and hashes as they were."""
    entries = change(list(log.ledger.entries()))
    name = Tile(None, 0, len(entries)).name
    (folder / "ledger" / name).write_bytes(b"".join(map(framed, entries)))


def test_what_was_appended_is_read_again(log: RecordLog) -> None:
    assert [seen.record.payload for seen in log.read()] == [GuardDutyDetectors(1, n) for n in (1, 0)]


def test_an_entry_that_another_key_signed_is_not_read(log: RecordLog, tmp_path: Path) -> None:
    """A red observation replaced by a green one, signed by somebody."""
    sealed = seal(detectors(1), salt=bytes)
    forged = dsse.sign(PAYLOAD_TYPE, sealed.statement, [STRANGER]).encode()
    rewrite(log, tmp_path, lambda entries: [entries[0], forged])
    with pytest.raises(UsageError, match=r"entry 1 of .* none of these keys is trusted"):
        opened(tmp_path).read()


def test_an_older_genuine_entry_in_the_place_of_a_newer_one_is_not_read(
    log: RecordLog, tmp_path: Path
) -> None:
    """Yesterday's green over today's red: the signature holds, the root does not."""
    rewrite(log, tmp_path, lambda entries: [entries[1], entries[0]])
    with pytest.raises(UsageError, match="not those of its checkpoint"):
        opened(tmp_path).read()


def test_a_subtree_that_was_exchanged_is_not_read(log: RecordLog, tmp_path: Path) -> None:
    blobs = [path for path in (tmp_path / "ledger").rglob("*") if path.is_file()]
    green = next(path for path in blobs if b'"enabled":1' in path.read_bytes())
    red = next(path for path in blobs if b'"enabled":0' in path.read_bytes())
    red.write_bytes(green.read_bytes())
    with pytest.raises(UsageError, match="digest"):
        opened(tmp_path).read()


def test_a_full_disk_keeps_what_was_acknowledged_and_says_so(tmp_path: Path) -> None:
    """The process may write no file above 40 kB; a batch that needs more is refused as a whole."""
    program = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_records import detectors, opened
from posture.config import load_project
from posture.errors import UsageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = opened(Path({str(tmp_path)!r}))
log.append([detectors(1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    log.append([detectors(1, f"unit/{{n}}") for n in range(90)])
except UsageError as error:
    print(error)
print(log.ledger.size)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, size = done.stdout.splitlines()
    assert "nothing of this batch was logged" in told
    assert "File too large" in told
    assert size == "1"
    log = opened(tmp_path)
    assert len(log.read()) == 1
    log.append([detectors(0)])
    assert len(log.read()) == 2


def test_ten_thousand_records_are_read_and_verified_in_seconds(tmp_path: Path) -> None:
    log, one = opened(tmp_path), detectors(1)
    header = one.header
    log.append(
        dataclasses.replace(one, header=dataclasses.replace(header, unit=f"unit/{n}")) for n in range(2_000)
    )
    started = time.process_time()
    assert len(log.read()) == 2_000
    assert time.process_time() - started < 4


def test_a_reader_with_the_configured_key_refuses_a_log_made_anew(tmp_path: Path) -> None:
    """A forged log brings its own key along; the one that posture.yaml names decides."""
    file = tmp_path / "posture.yaml"
    file.write_text("project: demo\nledger:\n  origin: log.example/posture\n  signer: file:ledger.key\n")
    project = load_project(file)
    open_workspace(project, writing=True).log.append([detectors(0)])
    assert len(open_workspace(project, writing=False).log.read()) == 1
    shutil.rmtree(project.state / "ledger")
    forged = RecordLog(project.state / "ledger", origin=ORIGIN, signer=STRANGER)
    forged.append([detectors(1)])
    with pytest.raises(UsageError, match="checkpoint"):
        open_workspace(project, writing=False)
    (tmp_path / "ledger.key").unlink()
    assert len(open_workspace(project, writing=False).log.read()) == 1
