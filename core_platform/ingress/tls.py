"""The TLS floor: version 1.3 and nothing below it, although grpcio offers no such setting.

`ssl_server_credentials` takes no version (grpc/grpc issue 37305). What holds is to leave TLS 1.2
without a usable cipher suite: pre-shared-key suites need a key that nobody configures, and TLS 1.3
has suites of its own. gRPC reads the variable once, at its first use in the process, so `raise_floor`
runs before anything imports grpc; the handler looks again at what was negotiated.
"""

import os
import sys
from collections.abc import Iterable, Mapping

from core_platform.errors import PlatformError

CIPHER_VARIABLE = "GRPC_SSL_CIPHER_SUITES"
#: The only TLS 1.2 suite offered, and one that cannot be negotiated.
NO_TLS12_SUITE = "ECDHE-PSK-AES128-CBC-SHA"
TLS_VERSION = "TLSv1.3"


class TlsFloorMissing(PlatformError):
    """The floor could not be set in this process; nothing may be served."""


def raise_floor() -> None:
    """Take TLS 1.2 away from every gRPC server and channel of this process.

    Raises:
        TlsFloorMissing: grpc was imported before, so it may have read the variable already.
    """
    if "grpc" in sys.modules and os.environ.get(CIPHER_VARIABLE) != NO_TLS12_SUITE:
        raise TlsFloorMissing("call raise_floor() before grpc is imported")
    os.environ[CIPHER_VARIABLE] = NO_TLS12_SUITE


def require_floor() -> None:
    """Refuse to serve without the floor.

    Raises:
        TlsFloorMissing: `raise_floor` was not called.
    """
    if os.environ.get(CIPHER_VARIABLE) != NO_TLS12_SUITE:
        raise TlsFloorMissing(f"{CIPHER_VARIABLE} is not {NO_TLS12_SUITE}: TLS 1.2 would be accepted")


def is_tls13(auth_context: Mapping[str, Iterable[bytes]]) -> bool:
    """Whether gRPC's authentication context shows TLS 1.3; an empty one is a plaintext peer."""
    return TLS_VERSION.encode() in auth_context.get("ssl_tls_version", ())
