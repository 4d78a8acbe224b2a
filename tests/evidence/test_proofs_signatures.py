"""Signatures: RFC 8032's vectors, two verifiers that agree, keys that are kept private, DSSE."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer._key import SSlibKey

from evidence.proofs import dsse, ed25519
from evidence.proofs import statement as statements
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.dsse import Envelope
from evidence.proofs.ed25519 import ORDER, PRIME, SMALL_ORDER, PureVerifier
from evidence.proofs.errors import InvalidSignature, KeyProblem, MalformedEnvelope
from evidence.proofs.keys import Verifier
from evidence.proofs.signers import (
    SCHEMES,
    UNLOCK_VARIABLE,
    Ed25519Signer,
    Ed25519Verifier,
    create_key,
    load_signer,
)
from evidence.proofs.statement import PAYLOAD_TYPE, Statement, Subject

SEED = bytes(range(32))
VERIFIERS: list[Callable[[bytes], Verifier]] = [PureVerifier, Ed25519Verifier]

# RFC 8032 section 7.1: secret, public, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
            "3dca179c138ac17ad9bef1177331a704"
        ),
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_vectors_of_rfc_8032(
    verifier: Callable[[bytes], Verifier], secret: str, public: str, message: str, signature: str
) -> None:
    signer = Ed25519Signer.from_seed(bytes.fromhex(secret))
    assert signer.public.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    verifier(signer.public).verify(bytes.fromhex(message), bytes.fromhex(signature))


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 8 * 96 - 1))
def test_both_verifiers_agree_on_true_and_flipped_signatures(seed: bytes, message: bytes, bit: int) -> None:
    signer = Ed25519Signer.from_seed(seed)
    signature = signer.sign(message)
    whole = bytearray(signer.public + signature)
    whole[bit // 8] ^= 1 << bit % 8
    for verifier in VERIFIERS:
        verifier(signer.public).verify(message, signature)
        with pytest.raises((InvalidSignature, KeyProblem)):
            verifier(bytes(whole[:32])).verify(message, bytes(whole[32:]))


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_signature_with_s_raised_by_the_group_order_is_refused(
    verifier: Callable[[bytes], Verifier],
) -> None:
    signer = Ed25519Signer.from_seed(SEED)
    signature = signer.sign(b"message")
    raised = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(InvalidSignature, match="group order"):
        verifier(signer.public).verify(b"message", signature[:32] + raised.to_bytes(32, "little"))


@pytest.mark.parametrize("weak", sorted(SMALL_ORDER))
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_key_that_anyone_can_sign_for_is_refused(
    verifier: Callable[[bytes], Verifier], weak: bytes
) -> None:
    with pytest.raises(KeyProblem, match="small order"):
        verifier(weak).verify(b"anything", weak + bytes(32))
    with pytest.raises(InvalidSignature, match="small order"):
        verifier(Ed25519Signer.from_seed(SEED).public).verify(b"anything", weak + bytes(32))


def test_the_table_of_small_orders_is_the_whole_torsion_group() -> None:
    points = {encoding: ed25519._decompress(encoding) for encoding in SMALL_ORDER}
    assert len(points) == 8
    for point in points.values():
        assert point is not None
        total = ed25519.NEUTRAL
        for _ in range(8):
            total = ed25519._add(total, point)
        assert ed25519._compress(total) == ed25519._compress(ed25519.NEUTRAL)
    sums = {
        ed25519._compress(ed25519._add(a, b)) for a in points.values() for b in points.values() if a and b
    }
    assert sums == SMALL_ORDER


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(31),
        bytes(33),
        PRIME.to_bytes(32, "little"),
        (PRIME + 3).to_bytes(32, "little"),
        (2).to_bytes(32, "little"),
        ((1 << 255) + 1).to_bytes(32, "little"),
    ],
)
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_key_that_is_no_canonical_point_is_refused(
    verifier: Callable[[bytes], Verifier], public: bytes
) -> None:
    with pytest.raises(KeyProblem):
        verifier(public).verify(b"m", bytes(64))


@pytest.mark.parametrize("length", [0, 63, 65])
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_signature_of_another_length_is_refused(verifier: Callable[[bytes], Verifier], length: int) -> None:
    with pytest.raises(InvalidSignature, match="64 bytes"):
        verifier(Ed25519Signer.from_seed(SEED).public).verify(b"m", bytes(length))


def test_a_created_key_is_readable_by_its_owner_only_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ledger.pem"
    created = create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_signer(f"file:{path}")
    assert (loaded.public, loaded.key_id) == (created.public, created.key_id)
    with pytest.raises(KeyProblem, match="never overwritten"):
        create_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "ledger.pem"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(KeyProblem, match="chmod 600"):
        load_signer(f"file:{path}")


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.pem"
    created = create_key(path, passphrase=b"open sesame")
    assert b"ENCRYPTED" in path.read_bytes()
    monkeypatch.delenv(UNLOCK_VARIABLE, raising=False)
    with pytest.raises(KeyProblem, match=UNLOCK_VARIABLE):
        load_signer(f"file:{path}")
    monkeypatch.setenv(UNLOCK_VARIABLE, "wrong")
    with pytest.raises(KeyProblem, match="passphrase"):
        load_signer(f"file:{path}")
    monkeypatch.setenv(UNLOCK_VARIABLE, "open sesame")
    assert load_signer(f"file:{path}").public == created.public


def test_a_key_in_the_environment_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created = create_key(tmp_path / "k.pem")
    monkeypatch.setenv("LEDGER_KEY", (tmp_path / "k.pem").read_text())
    assert load_signer("env:LEDGER_KEY").public == created.public
    monkeypatch.delenv("LEDGER_KEY")
    with pytest.raises(KeyProblem, match="LEDGER_KEY is not set"):
        load_signer("env:LEDGER_KEY")


def test_what_is_not_an_ed25519_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    path.touch(mode=0o600)
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content, message in ((other, "expected Ed25519"), (b"rubbish", "not a PEM")):
        path.write_bytes(content)
        with pytest.raises(KeyProblem, match=message):
            load_signer(f"file:{path}")
    for reference in (f"file:{tmp_path}/none", "ledger.pem", "gcpkms:x", ""):
        with pytest.raises(KeyProblem):
            load_signer(reference)


def test_another_scheme_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "seed", lambda rest: Ed25519Signer.from_seed(bytes.fromhex(rest)))
    assert load_signer("seed:" + SEED.hex()).public == Ed25519Signer.from_seed(SEED).public


def test_a_private_key_is_never_shown() -> None:
    assert repr(Ed25519Signer.from_seed(SEED)) == f"Ed25519Signer({Ed25519Signer.from_seed(SEED).key_id})"


def test_importing_what_a_pack_verifies_with_needs_no_cryptography() -> None:
    modules = "canonical, dsse, ed25519, encoding, keys, merkle, notes, statement, tlog_proof"
    code = f"import sys; from evidence.proofs import {modules}; sys.exit('cryptography' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# DSSE


def _signed(payload: bytes = b'{"a":1}', seed: bytes = SEED) -> Envelope:
    return dsse.sign(PAYLOAD_TYPE, payload, [Ed25519Signer.from_seed(seed)])


def _trusted(seed: bytes = SEED) -> list[Verifier]:
    return [Ed25519Verifier(Ed25519Signer.from_seed(seed).public)]


def test_the_pre_authentication_encoding_of_the_specification() -> None:
    encoded = dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_our_envelopes_verify_in_securesystemslib() -> None:
    signer = Ed25519Signer.from_seed(SEED)
    envelope = Envelope.decode(_signed().encode())
    theirs = TheirEnvelope.from_dict(json.loads(envelope.encode()))
    key = SSlibKey(signer.key_id, "ed25519", "ed25519", {"public": signer.public.hex()})
    assert list(theirs.verify([key], 1)) == [signer.key_id]
    assert theirs.pae() == dsse.pre_authentication_encoding(PAYLOAD_TYPE, envelope.payload)


def test_a_signed_envelope_names_its_signers() -> None:
    two = [Ed25519Signer.from_seed(SEED), Ed25519Signer.from_seed(SEED[::-1])]
    envelope = Envelope.decode(dsse.sign(PAYLOAD_TYPE, b"{}", two).encode())
    assert dsse.verify(envelope, _trusted()) == (two[0].key_id,)
    assert dsse.verify(envelope, _trusted() + _trusted(SEED[::-1])) == (two[0].key_id, two[1].key_id)


def test_no_trusted_signature_is_a_refusal() -> None:
    with pytest.raises(InvalidSignature, match="none of these keys is trusted"):
        dsse.verify(_signed(), _trusted(SEED[::-1]))
    with pytest.raises(InvalidSignature, match="nobody"):
        dsse.verify(Envelope(PAYLOAD_TYPE, b"{}", ()), _trusted())
    with pytest.raises(InvalidSignature, match="at least one signer"):
        dsse.sign(PAYLOAD_TYPE, b"{}", [])


def test_type_and_payload_are_both_signed() -> None:
    envelope = _signed()
    for changed in (
        Envelope("text/plain", envelope.payload, envelope.signatures),
        Envelope(envelope.payload_type, b'{"a":2}', envelope.signatures),
    ):
        with pytest.raises(InvalidSignature):
            dsse.verify(changed, _trusted())


def test_a_broken_signature_of_a_trusted_key_is_not_outvoted() -> None:
    good, broken = _signed().signatures[0], _signed(seed=SEED[::-1]).signatures[0]
    broken = dsse.Signature(broken.key_id, good.signature)
    envelope = Envelope(PAYLOAD_TYPE, b'{"a":1}', (good, broken))
    with pytest.raises(InvalidSignature):
        dsse.verify(envelope, _trusted() + _trusted(SEED[::-1]))


def _members(**changes: Any) -> bytes:
    parsed = json.loads(_signed().encode()) | changes
    return json.dumps(
        {k: v for k, v in parsed.items() if v is not ...}, sort_keys=True, separators=(",", ":")
    ).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload":"","payload":""}',
        _members(extra=1),
        _members(signatures=[]),
        _members(signatures=...),
        _members(payload="e30"),
        _members(payload="eyJhIjoxfR=="),
        _members(payload=1),
        _members(signatures=[{"sig": "AA=="}]),
        _members(signatures={"keyid": "", "sig": ""}),
        _members(signatures=[{"keyid": "k", "sig": "AA=="}] * 2),
        _members(signatures=[{"keyid": str(n), "sig": "AA=="} for n in range(17)]),
        _signed().encode() + b"\n",
    ],
)
def test_other_forms_of_an_envelope_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        Envelope.decode(content)


# Statements


def test_a_statement_is_read_as_written() -> None:
    digest = hashlib.sha256(b"blob").hexdigest()
    statement = Statement((Subject("auditor", digest),), "https://example.com/p/v1", {"run": "r1"})
    assert Statement.parse(statement.encode()) == statement
    assert statement.encode().startswith(
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"run":"r1"}'
    )


@pytest.mark.parametrize(
    "change",
    [
        (b"Statement/v1", b"Statement/v0.1"),
        (b'"predicate":{}', b'"predicate":[]'),
        (b'"name"', b'"nome"'),
        (b'"sha256"', b'"sha512"'),
        (b'"aaaa', b'"AAAA'),
        (b'"predicateType":"t"', b'"predicateType":1'),
        (b'"predicate":{}', b'"predicate":{},"more":1'),
        (b'"predicate":{}', b'"predicate":{},"predicate":{}'),
        (b'"subject":[', b'"subject":[1,'),
    ],
)
def test_other_forms_of_a_statement_are_refused(change: tuple[bytes, bytes]) -> None:
    written = Statement((Subject("s", "a" * 64),), "t", {}).encode()
    assert change[0] in written
    with pytest.raises(MalformedEnvelope):
        Statement.parse(written.replace(*change))


PIECES = [
    b'"', b"\\", b",", b"{", b"}", b"[", b"]", b":", b" ", b"\n", b"1", b"1.0", b"a", b"A", b"=", b"\xc3\xa9",
    b"\xff", b'\\"', b"\\u0061", b'"a":1', b',"predicateType":"t"', b',"subject":[]', b'"predicate":{}',
    b',"payloadType":"t"',
]  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 4), st.sampled_from(PIECES)), max_size=3)


def _changed(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in changes:
        at = place % (len(content) + 1)
        content = content[:at] + piece + content[at + length :]
    return content


def _read(read: Callable[[bytes], object], content: bytes) -> object:
    try:
        return read(content)
    except MalformedEnvelope:
        return "refused"


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.builds(Subject, st.text(max_size=3), st.just("a" * 64)), max_size=3),
    st.sampled_from(["t", "", "é", 't"', "t\\"]),
    st.sampled_from([{}, {"a": {"b": [1, "x"]}}, {"predicateType": "t", "subject": []}, {"é": 1.5}]),
    CHANGES,
)
def test_the_usual_text_of_a_statement_has_no_second_reading(
    subjects: list[Subject], kind: str, predicate: dict[str, Any], changes: list[tuple[int, int, bytes]]
) -> None:
    content = _changed(Statement(tuple(subjects), kind, predicate).encode(), changes)
    with pytest.MonkeyPatch.context() as without:
        read = _read(Statement.parse, content)
        without.setattr(statements, "_usual_statement", lambda _: None)
        assert read == _read(Statement.parse, content)


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=5), st.sampled_from(["t", "", "é", 't"', "t\\"]), CHANGES)
def test_the_usual_text_of_an_envelope_has_no_second_reading(
    payload: bytes, kind: str, changes: list[tuple[int, int, bytes]]
) -> None:
    content = _changed(dsse.sign(kind, payload, [Ed25519Signer.from_seed(SEED)]).encode(), changes)
    with pytest.MonkeyPatch.context() as without:
        read = _read(Envelope.decode, content)
        without.setattr(dsse, "_usual_envelope", lambda _: None)
        assert read == _read(Envelope.decode, content)


def test_a_statement_of_the_usual_text_is_no_deeper_than_another() -> None:
    deepest = canonical_bytes({"a": json.loads("[" * 126 + "]" * 126)})
    for predicate, readable in ((deepest, True), (deepest.replace(b"[]", b"[[]]"), False)):
        written = Statement((), "t", {}).encode().replace(b"{}", predicate)
        assert (_read(Statement.parse, written) != "refused") is readable
