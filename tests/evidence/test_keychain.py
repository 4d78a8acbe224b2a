"""Rotation of the log's key: logged, signed by both, and a reader who pinned either key can follow."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from evidence.ledger import Ledger, PendingEntry, verify_ledger
from evidence.ledger.errors import EntryRefused, KeyRetired, LedgerDamaged, StoreFailure
from evidence.ledger.keychain import ROTATION, rotation_subject, rotation_unit
from evidence.ledger.store import DirectoryStore
from evidence.proofs import dsse
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.proofs.statement import PAYLOAD_TYPE, Statement, Subject
from tests.evidence.appending import KEY, ORIGIN, OTHER, SIGNER, entry, open_log

NEXT = Ed25519Signer.from_seed(b"n" * 32)
LATER = Ed25519Signer.from_seed(b"l" * 32)


def rotation(
    retired: Ed25519Signer, successor: Ed25519Signer, signers: tuple[Ed25519Signer, ...] = ()
) -> PendingEntry:
    """An entry that changes the key."""
    about = {
        "run": "r1",
        "unit": rotation_unit(retired.public),
        "kind": ROTATION,
        "subject": rotation_subject(successor.public),
    }
    blob = successor.public
    statement = Statement((Subject("key", hashlib.sha256(blob).hexdigest()),), "https://example.com/t", about)
    envelope = dsse.sign(PAYLOAD_TYPE, statement.encode(), signers or (retired, successor))
    return PendingEntry(canonical_bytes(list(about.values())).decode(), envelope.encode(), (blob,))


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """Entries 0 and 1 by the first key, its end at 2, 3 by the second, its end at 4, 5 by the third."""
    path = tmp_path / "log"
    ledger = open_log(path)
    ledger.append([entry("a"), entry("b")])
    ledger.rotate(rotation(SIGNER, NEXT), NEXT)
    ledger.append([entry("c", signer=NEXT)])
    ledger.rotate(rotation(NEXT, LATER), LATER)
    ledger.append([entry("d", signer=LATER)])
    return path


@pytest.mark.parametrize("signer", [SIGNER, NEXT, LATER])
def test_whoever_pinned_a_key_of_the_chain_can_verify_the_whole_log(
    rotated: Path, signer: Ed25519Signer
) -> None:
    report = verify_ledger(rotated, origin=ORIGIN, key=Ed25519Verifier(signer.public))
    assert (report.problems, report.signatures) == ([], 6)
    ledger = Ledger.open(rotated, origin=ORIGIN, trusted=[Ed25519Verifier(signer.public)])
    assert ledger.keys.newest == LATER.public
    assert len(ledger.verified_entries()) == 6


def test_a_key_outside_the_chain_verifies_nothing(rotated: Path) -> None:
    report = verify_ledger(rotated, origin=ORIGIN, key=Ed25519Verifier(OTHER.public))
    assert report.first is not None
    assert "none of those that signed this log" in report.first.message
    with pytest.raises(LedgerDamaged):
        Ledger.open(rotated, origin=ORIGIN, trusted=[Ed25519Verifier(OTHER.public)])


def test_a_retired_key_signs_nothing_any_more(rotated: Path) -> None:
    with pytest.raises(KeyRetired, match="name that key as the ledger's signer"):
        open_log(rotated)
    ledger = Ledger.open(rotated, origin=ORIGIN, signer=LATER)
    ledger.append([entry("late", signer=SIGNER)])
    report = verify_ledger(rotated, origin=ORIGIN, key=KEY)
    assert report.first is not None
    assert (report.first.entry, "none of these keys" in report.first.message) == (6, True)
    with pytest.raises(LedgerDamaged, match="entry 6"):
        ledger.verified_entries()


def test_a_writer_notices_that_another_one_changed_the_key(tmp_path: Path) -> None:
    path = tmp_path / "log"
    slow, quick = open_log(path), open_log(path)
    quick.append([entry("a")])
    quick.rotate(rotation(SIGNER, NEXT), NEXT)
    with pytest.raises(KeyRetired):
        slow.append([entry("b")])
    assert quick.size == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (rotation(SIGNER, NEXT, (SIGNER,)), "signed by both keys"),
        (rotation(SIGNER, NEXT, (NEXT,)), "signed by both keys"),
        (rotation(OTHER, NEXT), "names other keys"),
        (rotation(SIGNER, OTHER), "names other keys"),
        (entry("x"), "no change of key"),
    ],
)
def test_a_change_of_key_that_is_not_by_both_is_refused(
    tmp_path: Path, wrong: PendingEntry, message: str
) -> None:
    ledger = open_log(tmp_path / "log")
    with pytest.raises(EntryRefused, match=message):
        ledger.rotate(wrong, NEXT)
    ledger.append([entry("a")])
    assert verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY).problems == []


def test_a_change_of_key_cannot_be_appended_like_another_entry(tmp_path: Path) -> None:
    ledger = open_log(tmp_path / "log")
    with pytest.raises(EntryRefused, match=r"Ledger\.rotate"):
        ledger.append([rotation(SIGNER, NEXT)])


def test_without_the_hint_the_newest_key_alone_no_longer_explains_the_log(rotated: Path) -> None:
    (rotated / "log.rotations").unlink()
    report = verify_ledger(rotated, origin=ORIGIN, key=Ed25519Verifier(LATER.public))
    assert not report.ok
    assert not verify_ledger(rotated, origin=ORIGIN, key=KEY).ok


def test_an_older_checkpoint_is_opened_with_the_key_of_its_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = open_log(path)
    ledger.append([entry("a")])
    old = ledger.signed_checkpoint()
    ledger.rotate(rotation(SIGNER, NEXT), NEXT)
    middle = ledger.signed_checkpoint()
    ledger.append([entry("b", signer=NEXT)])
    for since, size in ((old, 1), (middle, 2)):
        report = verify_ledger(path, origin=ORIGIN, key=Ed25519Verifier(NEXT.public), since=since)
        assert report.problems == []
        assert report.extends is not None
        assert report.extends.size == size


class FullDisk(DirectoryStore):
    """A disk with room for so many files."""

    room = 0

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            if self.room <= 0:
                raise StoreFailure(f"no room for {name}")
            self.room -= 1
            super().write({name: content})


@pytest.mark.parametrize("room", range(6))
def test_a_rotation_that_the_disk_refused_did_not_happen(tmp_path: Path, room: int) -> None:
    path = tmp_path / "log"
    ledger = open_log(path)
    ledger.append([entry("a")])
    store = FullDisk(path)
    ledger._store = store
    store.room = room
    with pytest.raises(StoreFailure):
        ledger.rotate(rotation(SIGNER, NEXT), NEXT)
    store.room = 100
    happened = ledger.size == 2
    ledger.append([entry("b", signer=NEXT if happened else SIGNER)])
    key = NEXT if happened else SIGNER
    assert verify_ledger(path, origin=ORIGIN, key=Ed25519Verifier(key.public)).problems == []
    assert Ledger.open(path, origin=ORIGIN, signer=key).keys.newest == key.public


def test_a_rotation_whose_checkpoint_did_not_get_out_did_not_happen(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ledger = open_log(path)
    ledger.append([entry("a")])
    before = {name: (path / name).read_bytes() for name in ("checkpoint", "log.vkey")}
    ledger.rotate(rotation(SIGNER, NEXT), NEXT)
    ledger.close()
    shutil.rmtree(path / ".cache")
    for name, content in before.items():
        (path / name).write_bytes(content)
    again = open_log(path)
    again.append([entry("b")])
    assert again.keys.newest == SIGNER.public
    assert open_log(path).read(1) == again.read(1)
    assert verify_ledger(path, origin=ORIGIN, key=KEY).problems == []
