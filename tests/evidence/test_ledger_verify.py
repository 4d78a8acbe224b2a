"""Verification: every flipped byte is found and its file named; a rewritten or shortened log is refused."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.ledger import EntryFacts, Ledger, PendingEntry, statement_facts, verify_ledger
from evidence.ledger.blobs import HEADER_BYTES, framed_blob, frames
from evidence.ledger.layout import MAX_ENTRY_BYTES
from evidence.ledger.store import DirectoryStore
from evidence.proofs import dsse
from evidence.proofs.notes import verifier_key_text
from evidence.proofs.signers import Ed25519Verifier
from tests.evidence.appending import KEY, ORIGIN, OTHER, SIGNER, entry, open_log

GOLDEN = Path(__file__).parent / "golden"


def _build(path: Path, sizes: tuple[int, ...]) -> Ledger:
    ledger = open_log(path)
    for size in sizes:
        start = ledger.size
        ledger.append([entry(f"u{n}", blobs=(f"blob {n}".encode(),)) for n in range(start, start + size)])
    return ledger


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 entries: a full tile and a partial one on level 0, and older partial ones."""
    path = tmp_path_factory.mktemp("small") / "log"
    ledger = _build(path, (250, 20, 20, 10))
    ledger.close()
    shutil.rmtree(path / ".cache")
    for spare in (".staging", ".lock"):
        shutil.rmtree(path / spare, ignore_errors=True)
    (path / ".lock").unlink()
    return path


def _files(path: Path) -> list[str]:
    return [file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if file.is_file()]


def test_a_whole_log_holds(small: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = verify_ledger(small, origin=ORIGIN, key=KEY, progress=lambda done, of: seen.append((done, of)))
    assert (report.ok, report.pinned, report.problems, report.leftovers) == (True, True, [], [])
    assert (report.entries, report.signatures, report.blobs, report.withheld) == (300, 300, 300, 0)
    assert seen == [(256, 300), (300, 300)]


def test_one_flipped_byte_in_any_file_is_named(small: Path) -> None:
    chance = random.Random(7)
    files = _files(small)
    structural = [name for name in files if not name.startswith("blobs/")]
    assert {"checkpoint", "log.vkey", "tile/0/000", "tile/1/000.p/1", "tile/entries/001.p/34"} <= set(files)
    for name in structural * 3 + [name for name in files if name.startswith("blobs/")] * 5:
        content = (small / name).read_bytes()
        at = chance.randrange(len(content))
        changed = bytearray(content)
        changed[at] ^= 1 << chance.randrange(8)
        (small / name).write_bytes(changed)
        report = verify_ledger(small, origin=ORIGIN, key=KEY)
        (small / name).write_bytes(content)
        assert not report.ok
        assert report.first is not None
        assert report.first.file == name, f"byte {at} of {name}: {report.problems}"


def test_a_flipped_byte_names_its_entry_and_place(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    shutil.copytree(small, path)
    tile = path / "tile/0/000"
    content = bytearray(tile.read_bytes())
    content[100 * 32 + 5] ^= 1
    tile.write_bytes(content)
    first = verify_ledger(path, origin=ORIGIN, key=KEY).first
    assert first is not None
    assert (first.file, first.entry, first.offset) == ("tile/0/000", 100, 100 * 32)
    assert str(first).startswith("tile/0/000, byte 3200 (entry 100): ")


@pytest.mark.parametrize("change", [lambda c: b"", lambda c: c[:-1], lambda c: c + b"\0", None])
@pytest.mark.parametrize(
    "name", ["tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/1/000.p/1", "checkpoint"]
)
def test_a_file_that_is_cut_prolonged_or_missing_is_named(
    small: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None
) -> None:
    path = tmp_path / "log"
    shutil.copytree(small, path)
    if change is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(change((path / name).read_bytes()))
    report = verify_ledger(path, origin=ORIGIN, key=KEY)
    assert report.first is not None
    assert report.first.file == name


def test_a_missing_blob_is_named_unless_it_is_withheld(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    shutil.copytree(small, path)
    file = path / "blobs/000"
    content = file.read_bytes()
    cut = next(frame for frame in frames(content, where="blobs/000") if frame.content == b"blob 3")
    file.write_bytes(content[: cut.offset - HEADER_BYTES] + content[cut.offset + len(cut.content) :])
    first = verify_ledger(path, origin=ORIGIN, key=KEY).first
    assert first is not None
    assert (first.file, first.entry) == ("blobs/000", 3)
    public = verify_ledger(path, origin=ORIGIN, key=KEY, partial=True)
    assert (public.ok, public.withheld, public.blobs) == (True, 1, 299)


def test_a_file_that_does_not_belong_is_named(small: Path, tmp_path: Path) -> None:
    for name in ("tile/0/stray", "blobs/stray", "tile/0/x000/001"):
        path = tmp_path / name.replace("/", "-")
        shutil.copytree(small, path)
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"")
        first = verify_ledger(path, origin=ORIGIN, key=KEY).first
        assert first is not None
        assert first.file == name


def test_what_an_unfinished_append_left_is_listed_and_not_counted(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    shutil.copytree(small, path)
    (path / "tile/0/001.p/99").write_bytes(b"half")
    report = verify_ledger(path, origin=ORIGIN, key=KEY)
    assert (report.ok, report.leftovers) == (True, ["tile/0/001.p/99"])


def test_without_a_pinned_key_the_report_says_so(small: Path) -> None:
    report = verify_ledger(small, origin=ORIGIN, key=None)
    assert (report.ok, report.pinned) == (True, False)


def test_a_log_made_anew_under_another_key_is_refused(tmp_path: Path) -> None:
    forged = Ledger.open(tmp_path / "log", origin=ORIGIN, signer=OTHER, create=True)
    forged.append([entry("u0", signer=OTHER)])
    assert verify_ledger(tmp_path / "log", origin=ORIGIN, key=None).ok
    report = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY)
    assert not report.ok
    assert {problem.file for problem in report.problems} == {"checkpoint", "log.vkey"}


def test_another_logs_name_is_refused(small: Path) -> None:
    assert not verify_ledger(small, origin="log.example/other", key=KEY).ok


def test_an_entry_that_nobody_trusted_signed_is_named(tmp_path: Path) -> None:
    ledger = open_log(tmp_path / "log")
    ledger.append([entry("u0"), entry("u1", signer=OTHER)])
    report = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY)
    assert report.first is not None
    assert (report.first.file, report.first.entry) == ("tile/entries/000.p/2", 1)
    assert "none of these keys is trusted" in report.first.message
    trusted = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY, signers=[Ed25519Verifier(OTHER.public)])
    assert trusted.ok


def test_an_older_checkpoint_is_shown_to_be_extended(tmp_path: Path) -> None:
    ledger = _build(tmp_path / "log", ())
    heads = [ledger.signed_checkpoint()]
    for number in range(3):
        ledger.append([entry(f"v{number}-{n}") for n in range(120)])
        heads.append(ledger.signed_checkpoint())
    for head in heads:
        report = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY, since=head)
        assert report.ok
        assert report.extends is not None


def test_a_shortened_a_rewritten_and_a_foreign_history_are_refused(tmp_path: Path) -> None:
    ledger = _build(tmp_path / "log", (5,))
    newer = ledger.signed_checkpoint()
    shorter = _build(tmp_path / "shorter", (3,))
    assert shorter.size == 3
    rewritten = open_log(tmp_path / "rewritten")
    rewritten.append([entry(f"other{n}") for n in range(9)])
    foreign = Ledger.open(tmp_path / "foreign", origin=ORIGIN, signer=OTHER, create=True).signed_checkpoint()
    for path, since, message in (
        ("shorter", newer, "the log has 3 entries; the older checkpoint had 5"),
        ("rewritten", newer, "history was rewritten"),
        ("log", foreign, "not one of this log"),
    ):
        report = verify_ledger(tmp_path / path, origin=ORIGIN, key=KEY, since=since)
        assert not report.ok
        assert report.first is not None
        assert message in report.first.message


def test_two_entries_of_one_identity_are_named(tmp_path: Path) -> None:
    def by_signature(content: bytes) -> EntryFacts:
        facts = statement_facts(content)
        return EntryFacts(facts.envelope, str(facts.envelope.signatures), facts.blobs)

    blind = Ledger.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, create=True, facts_of=by_signature)
    for value in ("once", "again"):
        envelope = entry("u0", value=value).envelope
        blind.append([PendingEntry(by_signature(envelope).identity, envelope)])
    first = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY).first
    assert first is not None
    assert first.entry == 1
    assert "second entry with identity" in first.message


def test_the_verifier_does_not_stumble_over_random_corruption(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    shutil.copytree(small, path)
    chance = random.Random(11)
    files = [name for name in _files(path) if name.startswith("tile/")]
    for _ in range(40):
        name = chance.choice(files)
        content = (path / name).read_bytes()
        changed = bytearray(content)
        for _ in range(chance.randint(1, 20)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        (path / name).write_bytes(changed)
        report = verify_ledger(path, origin=ORIGIN, key=KEY)
        (path / name).write_bytes(content)
        assert report.ok == (changed == content)


def test_the_published_form_of_a_log_does_not_change(tmp_path: Path) -> None:
    ledger = _build(tmp_path / "log", (2, 1))
    ledger.append([entry("longest", value="x" * (MAX_ENTRY_BYTES // 2))])
    ledger.close()
    written = {
        name: content
        for name in ("checkpoint", "log.vkey", "tile/0/000.p/4")
        if (content := (tmp_path / "log" / name).read_bytes())
    }
    proof = ledger.prove_inclusion(2).encode()
    assert written["checkpoint"] == (GOLDEN / "ledger.checkpoint").read_bytes()
    assert proof == (GOLDEN / "ledger.tlog-proof").read_bytes()
    assert written["tile/0/000.p/4"].hex() == (GOLDEN / "ledger.tile.hex").read_text().replace("\n", "")
    assert ledger.read(0) == (GOLDEN / "ledger.entry.json").read_bytes()
    assert written["log.vkey"].decode() == verifier_key_text(ORIGIN, SIGNER.public) + "\n"
    assert sorted(DirectoryStore(tmp_path / "log").names("tile")) == [
        f"tile/{level}/000.p/{width}" for level in ("0", "entries") for width in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content + framed_blob(hashlib.sha256(b"more").digest(), b"more"),
            "no entry commits",
        ),
        (lambda content: content + content, "no entry commits"),
        (lambda content: content + b"x", "cut off"),
        (lambda content: content[:-1], "cut off"),
        (lambda content: b"", "is missing"),
    ],
)
def test_a_file_of_blobs_holds_what_entries_commit_to_and_nothing_else(
    tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "log"
    open_log(path).append([entry("a", blobs=(b"one", b"two")), entry("b", blobs=(b"three",))])
    file = path / "blobs/000"
    file.write_bytes(change(file.read_bytes()))
    first = verify_ledger(path, origin=ORIGIN, key=KEY).first
    assert first is not None
    assert first.file == "blobs/000"
    assert message in first.message


def test_the_first_entry_that_is_wrong_is_named_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    def anything(content: bytes) -> EntryFacts:
        return EntryFacts(dsse.Envelope.decode(content), hashlib.sha256(content).hexdigest(), ())

    blind = Ledger.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, create=True, facts_of=anything)
    twice, no_statement = entry("u0", value="again"), dsse.sign("text/plain", b"{}", [SIGNER])
    wrong = {
        "twice": twice.envelope,
        "by another": entry("u1", signer=OTHER).envelope,
        "no statement": no_statement.encode(),
    }
    for envelope in (entry("u0").envelope, *wrong.values()):
        blind.append([PendingEntry(anything(envelope).identity, envelope)])
    report = verify_ledger(tmp_path / "log", origin=ORIGIN, key=KEY)
    assert [(problem.entry, "second entry" in problem.message) for problem in report.problems] == [(1, True)]
    assert (report.entries, report.signatures) == (4, 2)
