"""Which of the five ways of not being seen an AWS error code stands for.

Codes as botocore reports them in ``error.response["Error"]["Code"]``; services spell the same
refusal differently (``AccessDenied``, ``AccessDeniedException``, ``UnauthorizedOperation``), so the
table holds prefixes. A code that it does not know is `unsupported`: unknown words are no evidence.
"""

from __future__ import annotations

from typing import Final

from collectors.errors import Refused
from evidence.record import Outcome

PREFIXES: Final[tuple[tuple[str, Outcome], ...]] = (
    ("AccessDenied", Outcome.DENIED),
    ("Unauthorized", Outcome.DENIED),
    ("NotAuthorized", Outcome.DENIED),
    ("AuthFailure", Outcome.DENIED),
    ("AuthorizationError", Outcome.DENIED),
    ("AllAccessDisabled", Outcome.DENIED),
    ("Forbidden", Outcome.DENIED),
    ("403", Outcome.DENIED),
    ("InvalidClientTokenId", Outcome.DENIED),
    ("InvalidAccessKeyId", Outcome.DENIED),
    ("UnrecognizedClient", Outcome.DENIED),
    ("SignatureDoesNotMatch", Outcome.DENIED),
    ("ExpiredToken", Outcome.DENIED),
    ("OptInRequired", Outcome.DENIED),
    ("Throttl", Outcome.THROTTLED),
    ("TooManyRequests", Outcome.THROTTLED),
    ("RequestLimitExceeded", Outcome.THROTTLED),
    ("RequestThrottled", Outcome.THROTTLED),
    ("SlowDown", Outcome.THROTTLED),
    ("Bandwidth", Outcome.THROTTLED),
    ("ServiceUnavailable", Outcome.UNREACHABLE),
    ("InternalError", Outcome.UNREACHABLE),
    ("InternalFailure", Outcome.UNREACHABLE),
    ("InternalServer", Outcome.UNREACHABLE),
    ("RequestTimeout", Outcome.UNREACHABLE),
    ("502", Outcome.UNREACHABLE),
    ("503", Outcome.UNREACHABLE),
    ("504", Outcome.UNREACHABLE),
)


class AwsRefused(Refused):
    """AWS refused a call. `code` is the error code, or the class of the error that kept it away."""

    def __init__(self, outcome: Outcome, code: str, reason: str, detail: str = "") -> None:
        self.code = code
        super().__init__(outcome, reason, detail)


def refusal_of_code(code: str) -> Outcome:
    """The outcome that an AWS error code stands for."""
    return next((outcome for prefix, outcome in PREFIXES if code.startswith(prefix)), Outcome.UNSUPPORTED)
