"""verify.py repeats the proofs code on purpose; here the two give the same answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.proofs import dsse, ed25519, merkle, notes
from evidence.proofs.encoding import base64_bytes
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import key_id
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.tlog_proof import TlogProof
from trust_portal.packs import verify

QUICK = settings(deadline=None, max_examples=60)
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
ORIGIN = "posture.example/log"
KEY = verify.Key(ORIGIN, SIGNER.public)
PURE = ed25519.PureVerifier(SIGNER.public)

# RFC 8032 section 7.1, tests 1 to 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


def theirs_accepts(call: object, *arguments: object) -> bool:
    """Whether the project's own code accepts."""
    try:
        call(*arguments)  # type: ignore[operator] - a function
    except ProofsError:
        return False
    return True


def ours_accepts(call: object, *arguments: object) -> bool:
    """Whether verify.py accepts."""
    try:
        call(*arguments)  # type: ignore[operator] - a function
    except verify.Bad:
        return False
    return True


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_verify(public: str, message: str, signature: str) -> None:
    given_bytes = [bytes.fromhex(text) for text in (public, message, signature)]
    verify.check_signature(*given_bytes)
    given_bytes[1] += b"x"
    assert not ours_accepts(verify.check_signature, *given_bytes)


@QUICK
@given(st.binary(max_size=80), st.integers(0, 64 * 8 - 1), st.booleans())
def test_signatures_are_judged_alike(message: bytes, bit: int, flip: bool) -> None:
    signature = bytearray(SIGNER.sign(message))
    if flip:
        signature[bit // 8] ^= 1 << bit % 8
    arguments = (SIGNER.public, message, bytes(signature))
    assert ours_accepts(verify.check_signature, *arguments) is not flip
    assert theirs_accepts(ed25519.verify, *arguments) is not flip


@pytest.mark.parametrize("public", sorted(ed25519.SMALL_ORDER))
def test_keys_of_small_order_are_refused_by_both(public: bytes) -> None:
    arguments = (public, b"", public + bytes(32))
    assert not ours_accepts(verify.check_signature, *arguments)
    assert not theirs_accepts(ed25519.verify, *arguments)


@pytest.mark.parametrize("raised", [ed25519.ORDER, 2 * ed25519.ORDER])
def test_an_s_above_the_group_order_is_refused_by_both(raised: int) -> None:
    signature = SIGNER.sign(b"m")
    s = (int.from_bytes(signature[32:], "little") + raised).to_bytes(32, "little")
    arguments = (SIGNER.public, b"m", signature[:32] + s)
    assert not ours_accepts(verify.check_signature, *arguments)
    assert not theirs_accepts(ed25519.verify, *arguments)


@QUICK
@given(st.lists(st.binary(max_size=6), max_size=40))
def test_roots_are_the_same(entries: list[bytes]) -> None:
    assert verify.tree_root([verify.leaf_hash(entry) for entry in entries]) == merkle.tree_root(
        merkle.leaf_hash(entry) for entry in entries
    )


@QUICK
@given(st.integers(1, 40), st.data())
def test_inclusion_is_judged_alike(size: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = list(merkle.inclusion_proof(merkle.nodes_of(leaves), index, size))
    root = merkle.tree_root(leaves)
    verify.check_inclusion(leaves[index], index, size, path, root)
    claimed = data.draw(st.integers(0, size))
    other = data.draw(st.sampled_from([path, path[:-1], [*path, root], path[::-1]]))
    arguments = (leaves[index], claimed, size, other, root)
    assert ours_accepts(verify.check_inclusion, *arguments) is theirs_accepts(
        merkle.verify_inclusion, *arguments
    )


@QUICK
@given(st.text(alphabet="AQb+/=9_ \n", max_size=12))
def test_base64_is_read_alike(text: str) -> None:
    accepted = theirs_accepts(base64_bytes, text)
    assert ours_accepts(verify.unbase64, text) is accepted
    if accepted:
        assert verify.unbase64(text) == base64_bytes(text)


@QUICK
@given(st.integers(0, 400), st.integers(0, 7), st.booleans())
def test_checkpoints_are_judged_alike(at: int, bit: int, flip: bool) -> None:
    root = merkle.leaf_hash(b"x")
    note = bytearray(notes.sign_checkpoint(notes.Checkpoint(ORIGIN, 7, root), SIGNER))
    if flip:
        note[at % len(note)] ^= 1 << bit
    accepted = theirs_accepts(lambda: notes.open_checkpoint(bytes(note), origin=ORIGIN, trusted=[PURE]))
    assert (
        ours_accepts(lambda: verify.parse_checkpoint(verify.open_note(bytes(note), KEY), ORIGIN)) is accepted
    )
    assert accepted is not flip


@QUICK
@given(st.integers(0, 2000), st.integers(0, 7))
def test_a_flipped_envelope_is_refused_by_both(at: int, bit: int) -> None:
    envelope = bytearray(dsse.sign("application/vnd.in-toto+json", b'{"a":1}', [SIGNER]).encode())
    keys = {key_id(SIGNER.public): SIGNER.public}
    assert verify.open_envelope(bytes(envelope), keys, check=True) == b'{"a":1}'
    envelope[at % len(envelope)] ^= 1 << bit
    assert not theirs_accepts(lambda: dsse.verify(dsse.Envelope.decode(bytes(envelope)), [PURE]))
    with pytest.raises((verify.Bad, KeyError, TypeError, AttributeError, ValueError)):
        verify.open_envelope(bytes(envelope), keys, check=True)


def test_keys_and_proofs_are_read_alike() -> None:
    line = notes.verifier_key_text(ORIGIN, SIGNER.public)
    assert verify.parse_key(line) == KEY
    for altered in (line[:-1], line.replace("+", "-", 1), "x" + line):
        assert not ours_accepts(verify.parse_key, altered)
        assert not theirs_accepts(notes.parse_verifier_key, altered)
    checkpoint = notes.sign_checkpoint(notes.Checkpoint(ORIGIN, 1, merkle.leaf_hash(b"x")), SIGNER)
    proof = TlogProof(0, (merkle.leaf_hash(b"y"),), checkpoint)
    assert verify.parse_proof(proof.encode(), checkpoint) == (0, [merkle.leaf_hash(b"y")])
