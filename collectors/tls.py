"""Which protocol versions an endpoint accepts, each tried by a client that speaks only that one.

For the promise that the ingress takes TLS 1.3 and nothing below it (RFC 8446; RFC 8996 retires 1.0
and 1.1), tried from outside the socket. Whether the certificate is trusted is another question and is
not asked here, so that it cannot pass for a refusal. A version that this machine's OpenSSL cannot
speak, or that got no answer, is `untried`, never refused.
"""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from collectors.collector import Observed, Sighting
from evidence.kinds.ingress import TlsVersions
from evidence.payload import Payload
from evidence.scope import Unit

TIMEOUT: Final = timedelta(seconds=5)
VERSIONS: Final = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
PLAINTEXT: Final = "plaintext"

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
UNTRIED: Final = "untried"

#: RFC 9113, 3.4: the preface of a client that knows that the server speaks HTTP/2, and no settings.
_H2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_H2_SETTINGS: Final = 4
_FRAME_HEADER_BYTES: Final = 9
#: Old versions need old suites, which OpenSSL 3 refuses above level 0.
_EVERY_CIPHER: Final = "ALL:@SECLEVEL=0"
_ANONYMOUS: Final = "aNULL:@SECLEVEL=0"
#: More than a full handshake of TLS 1.0 to 1.2 takes (RFC 5246, 7.3).
_FLIGHTS: Final = 8


class TlsAddress(Protocol):
    """Where an endpoint is: ``host:port``, and the name in its certificate where that is not the host."""

    @property
    def target(self) -> str:
        """``host:port``."""

    @property
    def server_name(self) -> str | None:
        """The name to ask for (SNI); None for the host."""


class TlsAccess(Protocol):
    """Anything that has such an address; an `IngressAccess` is one."""

    @property
    def address(self) -> TlsAddress:
        """Where the endpoint is."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The plain form of both protocols, for an endpoint that is not an ingress."""

    target: str
    server_name: str | None = None

    @property
    def address(self) -> Endpoint:
        """Itself."""
        return self


@dataclass(frozen=True, slots=True)
class Trial:
    """How one version fared, and what the server answered (an alert, a close, a protocol)."""

    result: str
    answer: str


class TlsCollector:
    """Tries every version on one endpoint."""

    name: str = "tls.versions"
    version: str = "1"
    population: str = "ingress"
    kinds: Sequence[type[Payload]] = (TlsVersions,)

    def collect(self, unit: Unit, access: TlsAccess) -> Iterable[Sighting]:
        """One `TlsVersions`; an endpoint to which no connection can be made is unreachable."""
        trials = {name: try_tls(access.address, name) for name in VERSIONS}
        trials[PLAINTEXT] = try_plaintext(access.address)
        sorted_by = {
            result: tuple(name for name, trial in trials.items() if trial.result == result)
            for result in (ACCEPTED, REFUSED, UNTRIED)
        }
        yield Observed(TlsVersions(**sorted_by, endpoint=access.address.target), unit.subject)


def try_tls(address: TlsAddress, name: str) -> Trial:
    """One handshake that offers only the version `name`.

    Raises:
        OSError: no connection could be made, which says nothing about TLS.
    """
    if not can_speak(name):
        return Trial(UNTRIED, "this machine's OpenSSL cannot speak it")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, VERSIONS[name], _EVERY_CIPHER)
    context.set_alpn_protocols(["h2"])
    host = address.server_name or _host_port(address.target)[0]
    with _connected(address.target) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as secured:
                return Trial(ACCEPTED, secured.version() or "")
        except TimeoutError:
            return Trial(UNTRIED, "no answer in time")
        except ssl.SSLError as error:
            return Trial(REFUSED, error.reason or "closed during the handshake")
        except ConnectionError as error:
            return Trial(REFUSED, type(error).__name__)


def try_plaintext(address: TlsAddress) -> Trial:
    """HTTP/2 without TLS: accepted when the server answers with settings of its own.

    Raises:
        OSError: no connection could be made.
    """
    with _connected(address.target) as connection:
        try:
            connection.sendall(_H2_PREFACE)
            answer = connection.recv(_FRAME_HEADER_BYTES)
        except TimeoutError:
            return Trial(UNTRIED, "no answer in time")
        except ConnectionError as error:
            return Trial(REFUSED, type(error).__name__)
    if not answer:
        return Trial(REFUSED, "closed")
    if answer.startswith(b"HTTP/") or (len(answer) > 3 and answer[3] == _H2_SETTINGS):
        return Trial(ACCEPTED, "answered in plaintext")
    return Trial(REFUSED, f"answered {answer.hex()}")


def can_speak(name: str) -> bool:
    """Whether this machine's OpenSSL can complete a handshake of the version, tried against itself.

    Distributions switch old versions off in many ways; a client that silently cannot offer one would
    report a refusal that never happened. TLS 1.3 has no anonymous suites to try it with, and is always
    compiled in.
    """
    if name == "TLSv1.3":
        return ssl.HAS_TLSv1_3
    ends = [_bio_end(VERSIONS[name], server_side=side) for side in (False, True)]
    try:
        for _ in range(_FLIGHTS):
            finished = [_advance(*end) for end in ends]
            if all(finished):
                return True
            _carry(ends)
    except (ssl.SSLError, ValueError):
        return False
    return False


_End = tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]


def _bio_end(version: ssl.TLSVersion, *, server_side: bool) -> _End:
    protocol = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = _context(protocol, version, _ANONYMOUS)
    return context.wrap_bio(incoming, outgoing, server_side=server_side), incoming, outgoing


def _advance(end: ssl.SSLObject, _incoming: ssl.MemoryBIO, _outgoing: ssl.MemoryBIO) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _carry(ends: Sequence[_End]) -> None:
    (_, to_client, from_client), (_, to_server, from_server) = ends
    to_server.write(from_client.read())
    to_client.write(from_server.read())


def _context(protocol: int, version: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # to offer the old versions is the purpose
        context.minimum_version = version
        context.maximum_version = version
    return context


def _connected(target: str) -> socket.socket:
    return socket.create_connection(_host_port(target), timeout=TIMEOUT.total_seconds())


def _host_port(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)
