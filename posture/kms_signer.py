"""`awskms:KEY`: an Ed25519 key that never leaves AWS KMS (key spec ECC_NIST_EDWARDS25519, usage SIGN_VERIFY).

KEY is a key id, an ARN or ``alias/NAME``; region and credentials are those of the environment. KMS signs raw
messages of at most 4,096 bytes (API reference, Sign), which a record's statement stays far below: its payload
is committed to by digest.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from evidence.proofs.errors import KeyProblem
from evidence.proofs.keys import key_id

ALGORITHM: Final = "ED25519_SHA_512"
MAX_MESSAGE_BYTES: Final = 4096


class KmsSigner:
    """A key in AWS KMS, by its client."""

    __slots__ = ("_client", "_key", "key_id", "public")

    def __init__(self, client: Any, key: str, public: bytes) -> None:  # noqa: ANN401 - boto3 has no types
        self._client = client
        self._key = key
        self.public = public
        self.key_id = key_id(public)

    def sign(self, message: bytes) -> bytes:
        """The signature over the message.

        Raises:
            KeyProblem: KMS refused or could not be reached, or the message is too long for it.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if len(message) > MAX_MESSAGE_BYTES:
            raise KeyProblem(
                f"awskms:{self._key}: {len(message)} bytes; KMS signs at most {MAX_MESSAGE_BYTES}"
            )
        try:
            reply = self._client.sign(
                KeyId=self._key, Message=message, MessageType="RAW", SigningAlgorithm=ALGORITHM
            )
        except (BotoCoreError, ClientError) as error:
            raise KeyProblem(f"awskms:{self._key} did not sign: {error}; check kms:Sign") from error
        return bytes(reply["Signature"])

    def __repr__(self) -> str:
        return f"KmsSigner({self._key}, {self.key_id})"


def load_kms_signer(key: str) -> KmsSigner:
    """The signer of a KMS key.

    Raises:
        KeyProblem: boto3 is not installed, KMS gives no public key, or it is not Ed25519.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as missing:
        raise KeyProblem(f"awskms:{key} needs boto3: pip install 'tensorcost-posture[aws]'") from missing
    try:
        client = boto3.client("kms")
        encoded = client.get_public_key(KeyId=key)["PublicKey"]
    except (BotoCoreError, ClientError) as error:
        raise KeyProblem(
            f"awskms:{key} gave no public key: {error}; check its id, AWS_REGION and kms:GetPublicKey"
        ) from error
    return KmsSigner(client, key, _raw(encoded, key))


def _raw(encoded: bytes, key: str) -> bytes:
    try:
        public = load_der_public_key(encoded)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem(f"awskms:{key}: its public key cannot be read: {error}") from error
    if not isinstance(public, Ed25519PublicKey):
        raise KeyProblem(f"awskms:{key} is {type(public).__name__}; make it with ECC_NIST_EDWARDS25519")
    return public.public_bytes_raw()
