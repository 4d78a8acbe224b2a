"""Signed notes, checkpoints and tlog-proofs: C2SP's own examples, and everything else refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.proofs.encoding import base64_text
from evidence.proofs.errors import InvalidProof, InvalidSignature, KeyProblem, MalformedNote, ProofsError
from evidence.proofs.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, nodes_of, tree_root
from evidence.proofs.notes import (
    Checkpoint,
    NoteKey,
    note_key_id,
    open_checkpoint,
    open_note,
    parse_note,
    parse_verifier_key,
    read_checkpoint,
    sign_checkpoint,
    sign_note,
    verifier_key_text,
)
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.proofs.tlog_proof import TlogProof

ORIGIN = "log.example/posture"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
OTHER = Ed25519Signer.from_seed(bytes(32))
TRUSTED = [Ed25519Verifier(SIGNER.public)]
HEAD = Checkpoint(ORIGIN, 3, tree_root([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")]))

# The example of c2sp.org/signed-note and that of golang.org/x/mod/sumdb/note, with its published key.
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj9"
    "9ihAQwaqP3ZekRwNtIc=\n"
).encode()
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_the_note_of_the_specification_is_read_as_it_says() -> None:
    note = parse_note(C2SP_NOTE)
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert [item.name for item in note.signatures] == ["quasimodo.example/salvatore"]
    assert note.signatures[0].key_id.hex() == "367ba04b"
    assert note.encode() == C2SP_NOTE


def test_a_note_signed_by_another_implementation_verifies() -> None:
    name, public = parse_verifier_key(GO_KEY)
    assert name == "PeterNeumann"
    assert verifier_key_text(name, public) == GO_KEY
    open_note(GO_NOTE, [NoteKey(name, Ed25519Verifier(public))])
    with pytest.raises(InvalidSignature):
        open_note(GO_NOTE.replace(b"answer", b"Answer"), [NoteKey(name, Ed25519Verifier(public))])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        "a+c74f20a3+AA==",
        GO_KEY[:-1],
        "P" + GO_KEY,
        "a b+" + GO_KEY,
        GO_KEY.replace("c74f20a3", "c74f20a4"),
    ],
)
def test_a_verifier_key_that_does_not_hang_together_is_refused(text: str) -> None:
    with pytest.raises(KeyProblem):
        parse_verifier_key(text)


def test_the_key_id_binds_name_and_key() -> None:
    assert (
        note_key_id("a", SIGNER.public) != note_key_id("b", SIGNER.public) != note_key_id("b", OTHER.public)
    )


def test_a_checkpoint_is_signed_and_opened() -> None:
    signed = sign_checkpoint(HEAD, SIGNER)
    assert signed.decode().startswith(f"{ORIGIN}\n3\n{base64_text(HEAD.root)}\n\n— {ORIGIN} ")
    assert open_checkpoint(signed, origin=ORIGIN, trusted=TRUSTED) == HEAD == read_checkpoint(signed)


def test_a_checkpoint_by_another_key_or_of_another_log_is_refused() -> None:
    with pytest.raises(InvalidSignature, match="none of these is the pinned key"):
        open_checkpoint(sign_checkpoint(HEAD, OTHER), origin=ORIGIN, trusted=TRUSTED)
    with pytest.raises(InvalidSignature):
        open_checkpoint(sign_checkpoint(HEAD, SIGNER), origin="log.example/other", trusted=TRUSTED)
    foreign = sign_note(Checkpoint("log.example/other", 3, HEAD.root).text(), ORIGIN, SIGNER)
    with pytest.raises(MalformedNote, match=r"expected 'log.example/posture'"):
        open_checkpoint(foreign, origin=ORIGIN, trusted=TRUSTED)


def test_witnesses_may_sign_below_the_log() -> None:
    note = sign_checkpoint(HEAD, SIGNER)
    cosigned = note + sign_note(HEAD.text(), "witness.example", OTHER).split(b"\n\n")[1]
    assert open_checkpoint(cosigned, origin=ORIGIN, trusted=TRUSTED) == HEAD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "\n1\nAA==\n",
        f"o\n01\n{base64_text(bytes(32))}\n",
        f"o\n-1\n{base64_text(bytes(32))}\n",
        f"o\n1\n{base64_text(bytes(31))}\n",
        f"o\n1\n{base64_text(bytes(32))}",
        f"o\n0\n{base64_text(bytes(32))}\n",
        f"o\n1\n{base64_text(bytes(32))}\nextension\n",
        f"o\n{2**63}\n{base64_text(bytes(32))}\n",
        f"o\n\u0661\n{base64_text(bytes(32))}\n",
        f"o\n1\n{base64_text(bytes(32))[:-2]}B=\n",
    ],
)
def test_other_forms_of_a_checkpoint_are_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        Checkpoint.parse(text)


def test_an_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, SIGNER), origin=ORIGIN, trusted=TRUSTED) == empty


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        b"text\n\n- a AAAAAAA=\n",
        "text\n\n— a AAAAAAA=".encode(),
        "text\n\n— a\u00a0b AAAAAAA=\n".encode(),
        "text\n\n— a+b AAAAAAA=\n".encode(),
        "text\n\n— a AAAAAA==\n".encode(),
        "te\txt\n\n— a AAAAAAA=\n".encode(),
        "te\rxt\n\n— a AAAAAAA=\n".encode(),
        b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n".encode(),
        "text\n\n— a AAAAAAB=\n".encode(),
        b"text\n\n" + "— a AAAAAAA=\n".encode() * 101,
        b"x" * 1_000_001,
    ],
)
def test_other_forms_of_a_note_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedNote):
        parse_note(content)


def test_a_text_that_no_note_can_carry_is_not_signed() -> None:
    for text, name in (
        ("no newline", "a"),
        ("tab\t\n", "a"),
        ("fine\n", "a b"),
        ("fine\n", ""),
        ("fine\n", "a+b"),
    ):
        with pytest.raises(MalformedNote):
            sign_note(text, name, SIGNER)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_of_a_checkpoint_goes_unseen(position: int, bit: int) -> None:
    signed = bytearray(sign_checkpoint(HEAD, SIGNER))
    signed[position % len(signed)] ^= 1 << bit
    with pytest.raises(ProofsError):
        open_checkpoint(bytes(signed), origin=ORIGIN, trusted=TRUSTED)


# tlog-proof


def _proof(extra: bytes | None = None) -> TlogProof:
    leaves = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")]
    return TlogProof(1, inclusion_proof(nodes_of(leaves), 1, 3), sign_checkpoint(HEAD, SIGNER), extra)


def test_a_tlog_proof_is_read_as_written_and_proves_its_entry() -> None:
    for extra in (None, b"", b"context"):
        proof = _proof(extra)
        assert TlogProof.parse(proof.encode()) == proof
        assert proof.verify(b"b", origin=ORIGIN, trusted=TRUSTED) == HEAD
    lines = _proof(b"x").encode().decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra eA==", "index 1"]
    assert lines[5:7] == ["", ORIGIN]


def test_a_tlog_proof_of_another_entry_or_log_is_refused() -> None:
    with pytest.raises(InvalidProof):
        _proof().verify(b"a", origin=ORIGIN, trusted=TRUSTED)
    with pytest.raises(InvalidSignature):
        _proof().verify(b"b", origin=ORIGIN, trusted=[Ed25519Verifier(OTHER.public)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"proof@v1", b"proof@v2"),
        (b"index 1", b"index 01"),
        (b"index 1\n", b""),
        (b"index 1", b"index one"),
        (b"extra eA==\n", b"extra eB==\n"),
        (b"extra eA==\n", b"index 1\nextra eA==\n"),
        (b"\n\nlog", b"\nlog"),
        (b"index 1\n", b"index 1\n" + b"AAAA\n"),
        (b"index 1\n", b"index 1\n" + (base64_text(bytes(32)) + "\n").encode() * 64),
    ],
)
def test_other_forms_of_a_tlog_proof_are_refused(old: bytes, new: bytes) -> None:
    written = _proof(b"x").encode()
    assert old in written
    with pytest.raises(MalformedNote):
        TlogProof.parse(written.replace(old, new, 1))
