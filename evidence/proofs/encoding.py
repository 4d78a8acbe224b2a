"""Base64 that has one text for each byte string (RFC 4648 section 3.5), and nothing else.

Python's decoder forgives stray bits before the padding, so two texts could carry one signature and
a flipped byte could go unseen; every base64 text of a proof is read through here.
"""

from __future__ import annotations

import binascii

from evidence.proofs.errors import EncodingError


def base64_ascii(content: bytes) -> bytes:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return binascii.b2a_base64(content, newline=False)


def base64_text(content: bytes) -> str:
    """The same as text."""
    return base64_ascii(content).decode("ascii")


def base64_bytes(text: str | bytes) -> bytes:
    """The bytes of a standard base64 text.

    Raises:
        EncodingError: for other alphabets, missing padding, white space or stray bits.
    """
    try:
        written = text if isinstance(text, bytes) else text.encode("ascii")
        content = binascii.a2b_base64(written, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise EncodingError(f"not base64: {text[:60]!r}") from error
    if base64_ascii(content) != written:
        raise EncodingError(f"base64 with stray bits or padding: {text[:60]!r}")
    return content
