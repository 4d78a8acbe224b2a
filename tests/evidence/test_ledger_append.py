"""Appending: once for each identity, all of a batch or nothing, and never over a log that was rolled back."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.ledger import Ledger, PendingEntry, verify_ledger
from evidence.ledger.errors import (
    EntryRefused,
    IdentityConflict,
    LedgerDamaged,
    LedgerMissing,
    LedgerRolledBack,
    NotStored,
    ReadOnlyLedger,
    StoreFailure,
)
from evidence.ledger.index import IdentityIndex, Indexed
from evidence.ledger.layout import MAX_ENTRY_BYTES, Tile, levels, parse_tile_name, tiles_of
from evidence.ledger.store import DirectoryStore
from evidence.proofs.merkle import leaf_hash, tree_root, verify_consistency
from evidence.proofs.notes import read_checkpoint
from tests.evidence.appending import KEY, ORIGIN, OTHER, SIGNER, entry, identity, open_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def _entries(start: int, stop: int) -> list[PendingEntry]:
    return [entry(f"u{number}") for number in range(start, stop)]


def _good(path: Path) -> bool:
    report = verify_ledger(path, origin=ORIGIN, key=KEY)
    assert report.first is None
    return report.ok


def test_what_was_appended_is_read_back_and_proved(path: Path) -> None:
    ledger = open_log(path)
    batch = [entry("a", blobs=(b"public", b"auditor")), entry("b")]
    receipts = ledger.append(batch)
    assert [receipt.index for receipt in receipts] == [0, 1]
    assert [receipt.leaf for receipt in receipts] == [leaf_hash(item.envelope) for item in batch]
    assert (ledger.size, ledger.read(1)) == (2, batch[1].envelope)
    assert ledger.blob(0, hashlib.sha256(b"auditor").hexdigest()) == b"auditor"
    head = ledger.prove_inclusion(1).verify(batch[1].envelope, origin=ORIGIN, trusted=[KEY])
    assert head == ledger.checkpoint() == read_checkpoint(ledger.signed_checkpoint())


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 140), min_size=1, max_size=6))
def test_any_batches_give_the_tree_of_rfc_6962(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log")
    ledger = open_log(path)
    leaves: list[bytes] = []
    heads = [ledger.checkpoint()]
    for size in batches:
        batch = _entries(len(leaves), len(leaves) + size)
        leaves += [receipt.leaf for receipt in ledger.append(batch)]
        heads.append(ledger.checkpoint())
        assert (ledger.size, ledger.root) == (len(leaves), tree_root(leaves))
    for head in heads:
        proof = ledger.prove_consistency(head.size)
        verify_consistency(head.size, head.root, ledger.size, ledger.root, proof)
    again = open_log(path)
    assert [leaf_hash(item) for item in again.entries()] == leaves
    again.append([entry("one more")])
    assert _good(path)


def test_a_log_of_70_000_has_the_tiles_that_the_specification_lists() -> None:
    tiles = [tile for level in range(levels(70_000)) for tile in tiles_of(level, 70_000)]
    assert len([tile for tile in tiles if tile.level == 0]) == 274
    assert [tile.width for tile in tiles if tile.width < 256] == [112, 17, 1]
    assert Tile(0, 1234067).name == "tile/0/x001/x234/067"
    assert Tile(None, 0, 3).name == "tile/entries/000.p/3"
    assert parse_tile_name("tile/0/x001/x234/067") == Tile(0, 1234067)


@pytest.mark.parametrize(
    "name",
    ["tile/0/0", "tile/00/000", "tile/0/x000/001", "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/1000"],
)
def test_a_path_that_no_tile_has_is_no_tile(name: str) -> None:
    assert parse_tile_name(name) is None


def test_partial_tiles_go_when_the_full_one_is_there(path: Path) -> None:
    ledger = open_log(path)
    ledger.append(_entries(0, 10))
    ledger.append(_entries(10, 255))
    assert (path / "tile/0/000.p/10").is_file()
    ledger.append(_entries(255, 257))
    assert not (path / "tile/0/000.p").exists()
    assert sorted(DirectoryStore(path).names("tile")) == [
        "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/1",
    ]  # fmt: skip
    assert _good(path)


def test_an_identity_is_logged_once(path: Path) -> None:
    ledger = open_log(path)
    first = ledger.append([entry("a", value="1"), entry("b")])
    again = ledger.append([entry("a", value="1"), entry("c"), entry("c")])
    assert [(item.index, item.duplicate) for item in again] == [(0, True), (2, False), (2, True)]
    assert again[0].leaf == first[0].leaf
    assert ledger.size == 3
    with pytest.raises(IdentityConflict, match=r"entry 0 of log\.example/posture with other content"):
        ledger.append([entry("d"), entry("a", value="2")])
    with pytest.raises(IdentityConflict):
        ledger.append([entry("e"), entry("e", value="2")])
    assert ledger.size == 3
    assert _good(path)


def test_the_same_payload_under_another_signature_is_the_same_entry(path: Path) -> None:
    ledger = open_log(path)
    ledger.append([entry("a")])
    (receipt,) = ledger.append([entry("a", signer=OTHER)])
    assert receipt.duplicate
    assert ledger.size == 1


def test_entries_that_cannot_be_verified_later_are_refused(path: Path) -> None:
    ledger = open_log(path)
    large = entry("large", value="x" * MAX_ENTRY_BYTES)
    unsigned = PendingEntry(
        identity("a"), entry("a").envelope.replace(b'"signatures":[{', b'"signatures":[{}, {')
    )
    foreign = PendingEntry(identity("a"), entry("b").envelope)
    unbound = PendingEntry(identity("a"), entry("a").envelope, (b"not mentioned",))
    missing = PendingEntry(identity("a"), entry("a", blobs=(b"mentioned",)).envelope)
    for refused, message in (
        (large, "at most 65535"), (unsigned, "exactly the members"), (foreign, "the envelope says"),
        (unbound, "does not commit"), (missing, "was not given"),
    ):  # fmt: skip
        with pytest.raises(EntryRefused, match=message):
            ledger.append([entry("fine"), refused])
    assert ledger.size == 0
    assert _good(path)


def test_the_largest_entry_is_accepted(path: Path) -> None:
    ledger = open_log(path)
    room = (MAX_ENTRY_BYTES - len(entry("a").envelope)) * 3 // 4
    sizes = [entry("a", value="x" * (room - spare)) for spare in range(4)]
    large = next(item for item in sizes if len(item.envelope) <= MAX_ENTRY_BYTES)
    assert len(large.envelope) > MAX_ENTRY_BYTES - 4
    ledger.append([large])
    assert ledger.read(0) == large.envelope
    assert _good(path)


def test_an_append_writes_its_blobs_into_one_file_and_each_entry_has_its_own(path: Path) -> None:
    ledger = open_log(path)
    ledger.append([entry("a", blobs=(b"shared", b"one")), entry("b", blobs=(b"shared",))])
    ledger.append([entry("c")])
    ledger.append([entry("d", blobs=(b"shared", b"four"))])
    assert list(DirectoryStore(path).names("blobs")) == ["blobs/000", "blobs/003"]
    shared = hashlib.sha256(b"shared").hexdigest()
    assert [ledger.blob(index, shared) for index in (0, 1, 3)] == [b"shared"] * 3
    with pytest.raises(NotStored, match="blobs/003"):
        ledger.blob(3, hashlib.sha256(b"one").hexdigest())
    assert _good(path)
    (path / "blobs/003").unlink()
    problem = verify_ledger(path, origin=ORIGIN, key=KEY).first
    assert problem is not None
    assert (problem.file, problem.entry) == ("blobs/000", 3)


def test_blobs_of_an_append_that_never_counted_are_gone_with_the_next(path: Path) -> None:
    ledger = open_log(path)
    ledger.append([entry("a", blobs=(b"one",))])
    (path / "blobs/001").write_bytes(b"left by a writer that died")
    assert verify_ledger(path, origin=ORIGIN, key=KEY).leftovers == ["blobs/001"]
    ledger.append([entry("b")])
    assert not (path / "blobs/001").exists()
    assert _good(path)


def test_reading_beyond_the_log_is_an_error(path: Path) -> None:
    ledger = open_log(path)
    ledger.append(_entries(0, 3))
    for index in (-1, 3):
        with pytest.raises(IndexError):
            ledger.read(index)
    assert list(ledger.entries(2, 9)) == [ledger.read(2)]
    assert list(ledger.entries(1, 1)) == []
    with pytest.raises(NotStored):
        ledger.blob(0, "0" * 64)


def test_a_log_is_created_only_when_asked(path: Path) -> None:
    with pytest.raises(LedgerMissing, match="no log in"):
        open_log(path, create=False)
    open_log(path)
    assert open_log(path, create=False).size == 0


def test_a_log_is_opened_under_its_own_name_and_key(path: Path) -> None:
    open_log(path)
    with pytest.raises(LedgerDamaged):
        Ledger.open(path, origin="log.example/other", signer=SIGNER)
    with pytest.raises(LedgerDamaged):
        Ledger.open(path, origin=ORIGIN, signer=OTHER)


def test_without_a_signer_a_log_is_read_only(path: Path) -> None:
    open_log(path).append([entry("a")])
    reader = Ledger.open(path, origin=ORIGIN)
    assert reader.read(0) == entry("a").envelope
    with pytest.raises(ReadOnlyLedger):
        reader.append([entry("b")])


def test_a_log_whose_checkpoint_is_lost_is_not_begun_again(path: Path) -> None:
    open_log(path).append([entry("a")])
    (path / "checkpoint").unlink()
    with pytest.raises(LedgerDamaged, match="would be a fork"):
        open_log(path)


def test_two_instances_see_each_other(path: Path) -> None:
    one, two = open_log(path), open_log(path)
    for number in range(6):
        (one, two)[number % 2].append([entry(f"u{number}")])
    assert one.size == two.size == 6
    assert two.append([entry("u0")])[0].duplicate
    assert _good(path)


# The cache


@pytest.mark.parametrize(
    "damage", ["missing", "behind", "rubbish", "foreign", "truncated", "of an earlier version"]
)
def test_the_index_is_made_anew_when_it_is(path: Path, damage: str) -> None:
    ledger = open_log(path)
    ledger.append(_entries(0, 4))
    ledger.close()
    index = path / ".cache/identities.sqlite"
    kept = index.read_bytes()
    if damage == "missing":
        shutil.rmtree(path / ".cache")
    elif damage == "behind":
        open_log(path).append(_entries(4, 300))
        IdentityFiles(index).replace(kept)
    elif damage == "rubbish":
        IdentityFiles(index).replace(b"rubbish" * 1000)
    elif damage == "of an earlier version":
        IdentityFiles(index).replace(b"")
        with sqlite3.connect(index) as database:
            database.execute("CREATE TABLE entry (identity, position, payload)")
            database.execute("CREATE TABLE covered (only, checkpoint)")
            database.execute("INSERT INTO covered VALUES (1, ?)", (ledger.signed_checkpoint(),))
        database.close()
    elif damage == "truncated":
        IdentityFiles(index).replace(kept[: len(kept) // 2])
    else:
        with sqlite3.connect(index) as database:
            database.execute("UPDATE covered SET checkpoint = 'not a note'")
        database.close()
    again = open_log(path)
    size = again.size
    assert all(receipt.duplicate for receipt in again.append(_entries(0, size)))
    with pytest.raises(IdentityConflict):
        again.append([entry("u2", value="other")])
    assert again.append([entry("new")])[0].index == size
    assert _good(path)


def test_the_index_tells_identities_apart_whose_keys_begin_alike(tmp_path: Path) -> None:
    index = IdentityIndex(tmp_path / "identities.sqlite")
    one, other, third = (b"\xff" * 8 + bytes([n]) * 24 for n in range(3))
    index.add([(0, one, b"first"), (1, other, b"other"), (2, one, b"later")], b"checkpoint")
    assert index.find([other, third]) == {other: Indexed(1, b"other")}
    assert index.find([one]) == {one: Indexed(0, b"first")}
    index.close()


class IdentityFiles:
    """The SQLite file of the cache, without its journals."""

    def __init__(self, index: Path) -> None:
        self.index = index

    def replace(self, content: bytes) -> None:
        for file in self.index.parent.iterdir():
            file.unlink()
        self.index.write_bytes(content)


def test_a_log_that_was_rolled_back_is_not_continued(path: Path, tmp_path: Path) -> None:
    ledger = open_log(path)
    ledger.append(_entries(0, 3))
    shutil.copytree(path, tmp_path / "backup")
    ledger.append(_entries(3, 5))
    ledger.close()
    shutil.copytree(path / ".cache", tmp_path / "cache")
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "backup", path)
    shutil.rmtree(path / ".cache", ignore_errors=True)
    shutil.copytree(tmp_path / "cache", path / ".cache")
    with pytest.raises(LedgerRolledBack, match="would fork the log"):
        open_log(path).append([entry("other")])


def test_a_damaged_edge_is_not_continued(path: Path) -> None:
    open_log(path).append(_entries(0, 3))
    tile = path / "tile/0/000.p/3"
    tile.write_bytes(tile.read_bytes()[:-1] + b"\x00")
    with pytest.raises(LedgerDamaged, match="do not lead to the root"):
        open_log(path).append([entry("more")])


# Storage that fails


class FullDisk(DirectoryStore):
    """A store whose disk is full after a number of files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.room = 0

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            if self.room <= 0:
                raise StoreFailure(f"cannot write to {self.root}: {os.strerror(errno.ENOSPC)}")
            self.room -= 1
            super().write({name: content})


@pytest.mark.parametrize("room", range(6))
def test_a_full_disk_loses_nothing_and_the_log_goes_on(path: Path, room: int) -> None:
    ledger = open_log(path)
    ledger.append(_entries(0, 254))
    store = FullDisk(path)
    ledger._store = store
    store.room = room
    with pytest.raises(StoreFailure, match="No space left"):
        ledger.append([entry(f"u{number}", blobs=(b"blob",)) for number in range(254, 260)])
    assert _good(path)
    assert ledger.size == 254
    store.room = 100
    ledger.append(_entries(300, 303))
    assert ledger.size == 257
    assert _good(path)


@pytest.mark.parametrize("room", range(1, 6))
def test_what_a_failed_append_left_does_not_outlive_the_next_ones(path: Path, room: int) -> None:
    open_log(path).append(_entries(0, 250))
    waiting = open_log(path)
    waiting.append(_entries(250, 251))
    dying = open_log(path)
    dying._store = store = FullDisk(path)
    store.room = room
    with pytest.raises(StoreFailure):
        dying.append(_entries(1000, 1040))
    for number in range(300, 360):
        waiting.append([entry(f"u{number}")])
    report = verify_ledger(path, origin=ORIGIN, key=KEY)
    assert (report.first, report.leftovers) == (None, [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_typed_error(path: Path) -> None:
    ledger = open_log(path)
    path.chmod(0o500)
    with pytest.raises(StoreFailure):
        ledger.append([entry("a")])


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreFailure, match="Not a directory"):
        open_log(tmp_path / "file" / "log")
