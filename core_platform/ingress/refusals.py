"""Why a stream is refused, as values; the server turns each into one gRPC status.

A refusal never repeats what the peer sent. An unknown key and a wrong MAC are the same refusal on
purpose: a stranger must not learn which key ids exist.
"""

from enum import StrEnum

from core_platform.errors import PlatformError


class Refusal(StrEnum):
    """The reasons, by the name that appears in status details, logs and the audit."""

    NOT_TLS13 = "not_tls13"
    NO_HELLO = "no_hello"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    CLOCK_SKEW = "clock_skew"
    NOT_REGISTERED = "not_registered"
    REPLAYED = "replayed"
    THROTTLED = "throttled"
    STORE_UNAVAILABLE = "store_unavailable"
    SECOND_HELLO = "second_hello"
    FOREIGN_TENANT = "foreign_tenant"
    OUT_OF_SEQUENCE = "out_of_sequence"


class StreamRefused(PlatformError):
    """The stream ends here. ``message`` is safe for the peer; ``clock_hint`` is authenticated."""

    def __init__(
        self,
        refusal: Refusal,
        message: str,
        *,
        retry_after_ms: int | None = None,
        clock_hint: bytes | None = None,
    ) -> None:
        super().__init__(f"{refusal.value}: {message}")
        self.refusal = refusal
        self.retry_after_ms = retry_after_ms
        self.clock_hint = clock_hint
