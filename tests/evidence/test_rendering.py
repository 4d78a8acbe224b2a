"""A rendering for an audience proves the same root, and holds nothing that the audience may not read."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from evidence.errors import EvidenceError
from evidence.ledger import Ledger, PendingEntry, verify_ledger
from evidence.ledger.errors import NotStored
from evidence.payload import Audience, Auditor, Nda, Payload, Public
from evidence.proofs import dsse
from evidence.proofs.statement import PAYLOAD_TYPE, Statement
from evidence.record import CollectorId, Header, Interval, Outcome, Record, seal, subtree_digests
from evidence.rendering import write_rendering
from tests.evidence.appending import KEY, ORIGIN, SIGNER, open_log

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Canaries(Payload):
    """One value for each audience."""

    kind: ClassVar[str] = "test.canaries/v1"

    shown: Public[str]
    gated: Nda[str]
    secret: Auditor[str]


def canary(audience: Audience, number: int) -> str:
    """A text that occurs nowhere else."""
    return f"canary-{audience.value}-{number:04d}-{'z' * 8}"


def pending(number: int) -> PendingEntry:
    header = Header(
        run="r1",
        unit=f"units/{number}",
        kind=Canaries.kind,
        subject="subject",
        observed=Interval(NOW, NOW),
        recorded=NOW,
        expires=NOW + timedelta(days=7),
        collector=CollectorId("test", "1", ""),
        outcome=Outcome.OBSERVED,
        reason="",
    )
    payload = Canaries(*(canary(audience, number) for audience in Audience))
    record = Record(header, payload, detail=canary(Audience.AUDITOR, number + 5000))
    sealed = seal(record, salt=secrets.token_bytes)
    envelope = dsse.sign(PAYLOAD_TYPE, sealed.statement, [SIGNER])
    return PendingEntry(record.identity, envelope.encode(), tuple(sealed.subtrees.values()))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    log = open_log(tmp_path_factory.mktemp("rendering") / "log")
    for start, stop in ((0, 3), (3, 300), (300, 600)):
        log.append([pending(number) for number in range(start, stop)])
    return log


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("audience", list(Audience))
def test_each_audience_finds_its_own_and_nothing_more(
    ledger: Ledger, tmp_path: Path, audience: Audience
) -> None:
    out = tmp_path / "out"
    write_rendering(ledger.store, ledger.signed_checkpoint(), out, audience)
    content = everything_in(out)
    for other in Audience:
        found = canary(other, 17).encode() in content
        assert found == (list(Audience).index(other) <= list(Audience).index(audience))
    report = verify_ledger(out, origin=ORIGIN, key=KEY, partial=True)
    assert report.problems == []
    assert report.checkpoint == ledger.checkpoint()
    readable = list(Audience).index(audience) + 1
    assert (report.entries, report.blobs, report.withheld) == (600, 600 * readable, 600 * (3 - readable))


def test_a_window_keeps_its_bundles_and_the_root(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_rendering(
        ledger.store, ledger.signed_checkpoint(), out, Audience.AUDITOR, wanted=lambda index: index == 300
    )
    report = verify_ledger(out, origin=ORIGIN, key=KEY, partial=True)
    assert report.problems == []
    assert (report.entries, report.unseen) == (256, 344)
    content = everything_in(out)
    assert canary(Audience.AUDITOR, 256).encode() in content
    assert canary(Audience.AUDITOR, 255).encode() not in content
    assert not verify_ledger(out, origin=ORIGIN, key=KEY).ok


def test_a_flipped_byte_of_a_rendering_is_named(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_rendering(ledger.store, ledger.signed_checkpoint(), out, Audience.PUBLIC)
    for path in [path for path in sorted(out.rglob("*")) if path.is_file()]:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        report = verify_ledger(out, origin=ORIGIN, key=KEY, partial=True)
        assert path.relative_to(out).as_posix() in {problem.file for problem in report.problems}
        path.write_bytes(content)


def test_what_was_withheld_is_not_to_be_had(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_rendering(ledger.store, ledger.signed_checkpoint(), out, Audience.PUBLIC)
    copy = Ledger.open(out, origin=ORIGIN, trusted=[KEY])
    statement = Statement.parse(dsse.Envelope.decode(copy.read(4)).payload)
    digests = subtree_digests(statement)
    assert canary(Audience.PUBLIC, 4).encode() in copy.blob(4, digests[Audience.PUBLIC])
    with pytest.raises(NotStored, match="entry 4"):
        copy.blob(4, digests[Audience.NDA])


def test_a_folder_that_holds_something_is_not_written_into(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(EvidenceError, match="not empty"):
        write_rendering(ledger.store, ledger.signed_checkpoint(), tmp_path, Audience.PUBLIC)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
