"""A key in AWS KMS, asked over HTTP by boto3 as AWS's own service is.

The emulator of this project has no Ed25519 keys, so a small server speaks the two calls of the KMS API
that are used, and enforces its limit of 4,096 bytes.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence.proofs.errors import KeyProblem
from evidence.proofs.signers import Ed25519Verifier
from posture.kms_signer import load_kms_signer

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
CURVE = ec.generate_private_key(ec.SECP256R1())
KEYS = {"alias/ledger": PRIVATE.public_key(), "alias/curve": CURVE.public_key()}


class Kms(BaseHTTPRequestHandler):
    """GetPublicKey and Sign of the KMS JSON protocol."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        action = self.headers["X-Amz-Target"].removeprefix("TrentService.")
        status, reply = {"GetPublicKey": self._public_key, "Sign": self._sign}[action](body)
        content = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _public_key(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["KeyId"] not in KEYS:
            return 400, {"__type": "NotFoundException", "message": f"Alias {body['KeyId']} is not found."}
        der = KEYS[body["KeyId"]].public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return 200, {"KeyId": body["KeyId"], "PublicKey": base64.b64encode(der).decode()}

    def _sign(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        message = base64.b64decode(body["Message"])
        if (
            body["SigningAlgorithm"] != "ED25519_SHA_512"
            or body["MessageType"] != "RAW"
            or len(message) > 4096
        ):
            return 400, {"__type": "ValidationException", "message": "refused"}
        if message == b"denied":
            return 400, {"__type": "AccessDeniedException", "message": "not allowed: kms:Sign"}
        return 200, {"KeyId": body["KeyId"], "Signature": base64.b64encode(PRIVATE.sign(message)).decode()}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kms)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEMULATEDACCOUNT0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulated")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_kms_key_signs_what_its_public_key_verifies() -> None:
    signer = load_kms_signer("alias/ledger")
    assert signer.public == PRIVATE.public_key().public_bytes_raw()
    Ed25519Verifier(signer.public).verify(b"message", signer.sign(b"message"))
    assert "alias/ledger" in repr(signer)


@pytest.mark.parametrize(
    ("key", "message"), [("alias/none", "is not found"), ("alias/curve", "ECC_NIST_EDWARDS25519")]
)
def test_a_key_that_cannot_be_used_says_why(key: str, message: str) -> None:
    with pytest.raises(KeyProblem, match=message):
        load_kms_signer(key)


def test_a_refusal_and_a_long_message_are_typed_errors() -> None:
    signer = load_kms_signer("alias/ledger")
    with pytest.raises(KeyProblem, match="kms:Sign"):
        signer.sign(b"denied")
    with pytest.raises(KeyProblem, match="at most 4096"):
        signer.sign(bytes(4097))
