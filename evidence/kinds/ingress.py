"""What is seen of the agent ingress when it is attacked from outside its socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Auditor, Nda, Payload, Public


@dataclass(frozen=True, slots=True)
class IngressAttempt:
    """One hello or handshake and how the ingress answered.

    Attributes:
        name: what was tried: ``genuine``, ``replay``, ``concurrent_replay``, ``skew_plus_300000``,
            ``skew_plus_300001``, ``skew_minus_300000``, ``skew_minus_300001``, ``bad_mac``,
            ``truncated_mac``, ``missing_hello``, ``wrong_tenant``, ``unknown_key``,
            ``unregistered_agent``, ``foreign_payload_tenant``, ``plaintext``, ``tls_1_2``, ``tls_1_3``.
        must: ``accept`` or ``refuse``, as the security page promises.
        did: ``accept``, ``refuse`` or ``unclear`` (the attempt could not be carried out).
        code: the gRPC status, TLS alert or socket error that answered.
    """

    name: str
    must: str
    did: str
    code: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class IngressAttack(Payload):
    """A round of attacks on one ingress, with the transcript for auditors."""

    kind: ClassVar[str] = "ingress.attack/v1"

    attempts: Public[tuple[IngressAttempt, ...]]
    endpoint: Nda[str]
    transcript: Auditor[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TlsVersions(Payload):
    """Which protocol versions an endpoint accepted, each tried with a client that speaks only that one.

    Attributes:
        accepted: of ``TLSv1.0``, ``TLSv1.1``, ``TLSv1.2``, ``TLSv1.3``, ``plaintext``.
        refused: likewise.
        untried: versions that the probing client itself could not speak.
    """

    kind: ClassVar[str] = "tls.versions/v1"

    accepted: Public[tuple[str, ...]]
    refused: Public[tuple[str, ...]]
    untried: Public[tuple[str, ...]]
    endpoint: Nda[str]


@dataclass(frozen=True, slots=True)
class StreamTenancy(Payload):
    """Under which tenant the rows of a stream were written, also when the payload named another.

    Attributes:
        genuine_sent: samples that named no other tenant, sent before: the positive control.
        genuine_stored: of these, found under the hello's tenant; a probe that finds none counts nothing.
        sent: samples sent by the probe agent under its own hello, each naming another tenant.
        did: how the ingress answered them: ``accept``, ``refuse`` or ``unclear``.
        code: the gRPC status that answered.
        under_hello_tenant: rows found under the hello's tenant.
        under_claimed_tenant: rows found under the tenant that the payload named.
    """

    kind: ClassVar[str] = "ingress.stream_tenancy/v1"

    genuine_sent: Public[int]
    genuine_stored: Public[int]
    sent: Public[int]
    did: Public[str]
    code: Public[str]
    under_hello_tenant: Public[int]
    under_claimed_tenant: Public[int]
