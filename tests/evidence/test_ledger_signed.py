"""Entries that this process signs: logged without being read back, and no other than if they had been."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.ledger import EntryFacts, Ledger, PendingEntry, SignedEntry, statement_facts, verify_ledger
from evidence.ledger.errors import EntryRefused, IdentityConflict
from evidence.ledger.keychain import ROTATION, rotation_subject, rotation_unit
from evidence.ledger.layout import MAX_ENTRY_BYTES
from evidence.ledger.store import DirectoryStore
from evidence.proofs import dsse
from evidence.proofs.canonical import MAX_DEPTH, canonical_bytes
from evidence.proofs.errors import InvalidSignature, MalformedEnvelope, ProofsError
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE, STATEMENT_TYPE, Statement, Subject
from tests.evidence.appending import KEY, ORIGIN, OTHER, SIGNER, entry, identity, open_log, signed, statement

TEXT = st.text(max_size=6)
ABOUT = {"run": "r1", "unit": "u", "kind": "k/v1", "subject": "s"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def nested(levels: int) -> Any:
    value: Any = "innermost"
    for _ in range(levels):
        value = [value]
    return value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
DEEP = st.integers(MAX_DEPTH - 4, MAX_DEPTH + 1).map(nested)
PREDICATES = st.dictionaries(TEXT, VALUES | DEEP, max_size=3).flatmap(
    lambda more: st.fixed_dictionaries(
        {field: TEXT | st.none() if field == "unit" else TEXT for field in ABOUT}
    ).map(lambda about: more | about)
)
SUBJECTS = st.lists(st.builds(Subject, TEXT, st.binary(min_size=32, max_size=32).map(bytes.hex)), max_size=3)


@settings(deadline=None)
@given(SUBJECTS, TEXT, PREDICATES)
def test_what_is_known_of_a_signed_entry_is_what_its_bytes_say(
    subjects: Sequence[Subject], predicate_type: str, predicate: dict[str, Any]
) -> None:
    said = Statement(tuple(subjects), predicate_type, predicate)
    try:
        made, again = SignedEntry(said, (), [SIGNER]), SignedEntry.batch([(said, ())], [SIGNER])[0]
    except ProofsError:
        # Then neither can it be written and read the long way.
        with pytest.raises(ProofsError):
            statement_facts(dsse.sign(PAYLOAD_TYPE, whole(said), [SIGNER]).encode())
        return
    assert dsse.Envelope.decode(made.envelope).payload == whole(said)
    assert statement_facts(made.envelope) == made.facts == again.facts
    assert made.envelope == again.envelope
    assert made.identity == canonical_bytes([predicate[field] for field in ABOUT]).decode()


def whole(said: Statement) -> bytes:
    """A statement written as one value."""
    subjects = [{"name": item.name, "digest": {"sha256": item.sha256}} for item in said.subjects]
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": said.predicate_type,
            "predicate": dict(said.predicate),
        }
    )


def test_a_log_has_the_same_bytes_whether_its_entries_were_signed_here_or_elsewhere(tmp_path: Path) -> None:
    for name, make in (("here", signed), ("elsewhere", entry)):
        ledger = open_log(tmp_path / name)
        ledger.append([make(f"u{n}", blobs=(b"shared", b"%d" % n)) for n in range(300)])
        assert ledger.append([make("u7", blobs=(b"shared", b"7"))])[0].duplicate
        assert verify_ledger(tmp_path / name, origin=ORIGIN, key=KEY).ok
    here, elsewhere = (DirectoryStore(tmp_path / name) for name in ("here", "elsewhere"))
    for folder in ("tile", "blobs"):
        names = list(here.names(folder))
        assert names == list(elsewhere.names(folder))
        assert all(here.read(name) == elsewhere.read(name) for name in names)
    assert here.read("checkpoint") == elsewhere.read("checkpoint")


def test_a_batch_is_signed_entry_for_entry(path: Path) -> None:
    said = [(statement(f"u{n}", blobs=(b"%d" % n,)), (b"%d" % n,)) for n in range(3)]
    batch = SignedEntry.batch(iter(said), [SIGNER])
    assert [(item.envelope, item.blobs) for item in batch] == [
        (entry(f"u{n}", blobs=blobs).envelope, blobs) for n, (_, blobs) in enumerate(said)
    ]
    assert [receipt.index for receipt in open_log(path).append(batch)] == [0, 1, 2]
    assert SignedEntry.batch([], [SIGNER]) == []


def test_only_what_came_from_elsewhere_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_log(path)
    here, elsewhere = signed("a"), entry("b")

    def unreadable(content: bytes) -> dsse.Envelope:
        raise MalformedEnvelope("read")

    monkeypatch.setattr(dsse.Envelope, "decode", unreadable)
    assert ledger.append([here])[0].index == 0
    with pytest.raises(EntryRefused, match="read"):
        ledger.append([elsewhere])


def test_a_log_that_reads_its_entries_in_another_way_reads_signed_ones_too(path: Path) -> None:
    def by_digest(content: bytes) -> EntryFacts:
        facts = statement_facts(content)
        return EntryFacts(facts.envelope, hashlib.sha256(content).hexdigest(), facts.blobs)

    ledger = Ledger.open(path, origin=ORIGIN, signer=SIGNER, create=True, facts_of=by_digest)
    with pytest.raises(EntryRefused, match="the envelope says"):
        ledger.append([signed("a")])
    envelope = signed("a").envelope
    assert ledger.append([PendingEntry(by_digest(envelope).identity, envelope)])[0].index == 0


def test_signed_entries_are_refused_like_others(path: Path) -> None:
    ledger = open_log(path)
    ledger.append([signed("known", value="1")])
    upper = Statement((Subject("x", hashlib.sha256(b"x").hexdigest().upper()),), "t", ABOUT)
    for refused, error, message in (
        (signed("large", value="x" * MAX_ENTRY_BYTES), EntryRefused, "at most 65535"),
        (SignedEntry(statement("a"), (b"not mentioned",), [SIGNER]), EntryRefused, "does not commit"),
        (SignedEntry(statement("a", blobs=(b"x",)), (), [SIGNER]), EntryRefused, "was not given"),
        (SignedEntry(statement("a", blobs=(b"x",)), (b"y",), [SIGNER]), EntryRefused, "was not given"),
        (SignedEntry(upper, (b"x",), [SIGNER]), EntryRefused, "was not given"),
        (signed("known", value="2"), IdentityConflict, "with other content"),
    ):
        with pytest.raises(error, match=message):
            ledger.append([signed("fine"), refused])
    assert ledger.size == 1
    assert verify_ledger(path, origin=ORIGIN, key=KEY).ok


def test_a_signed_change_of_key_is_appended_by_rotation_alone(path: Path) -> None:
    ledger = open_log(path)
    about = ABOUT | {
        "kind": ROTATION, "unit": rotation_unit(SIGNER.public), "subject": rotation_subject(OTHER.public),
    }  # fmt: skip
    change = SignedEntry(Statement((), "https://example.com/t", about), (), [SIGNER, OTHER])
    with pytest.raises(EntryRefused, match=r"Ledger\.rotate"):
        ledger.append([change])
    assert ledger.rotate(change, OTHER).index == 0
    assert ledger.keys.newest == OTHER.public


def test_an_identity_that_is_not_text_is_not_signed() -> None:
    with pytest.raises(MalformedEnvelope, match="not all text"):
        SignedEntry(Statement((), "t", ABOUT | {"unit": 7}), (), [SIGNER])


def test_nobody_signs_what_cannot_be_read_again() -> None:
    many = [Ed25519Signer.from_seed(bytes([n]) * 32) for n in range(17)]
    assert dsse.Envelope.decode(SignedEntry(statement("a"), (), many[:16]).envelope)
    for signers in ([], many, [SIGNER, SIGNER]):
        with pytest.raises(InvalidSignature, match="signer"):
            SignedEntry(statement("a"), (), signers)


def test_the_identity_is_the_one_that_others_give(path: Path) -> None:
    assert signed("a").identity == identity("a") == entry("a").identity
