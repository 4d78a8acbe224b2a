"""The one place where an unexpected error of a collector becomes a typed non-observation.

Prowler loses evidence in broad `except` clauses that leave a list empty; here an error can only end
in the tables below, and a kind of evidence of which nothing was said becomes `partial`. The tables
name the classes by text, so that this module imports no driver that a plain install lacks.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from collectors.aws.refusals import refusal_of_code
from collectors.collector import Collector, NotObserved, Observed, Sighting
from collectors.errors import Refused
from evidence.payload import Payload, encode
from evidence.proofs.canonical import canonical_bytes
from evidence.record import Outcome
from evidence.scope import Unit

SQLSTATES: Final[Mapping[str, tuple[Outcome, str]]] = {
    "42501": (Outcome.DENIED, "insufficient privilege"),
    "28": (Outcome.DENIED, "the login was refused"),
    "53": (Outcome.THROTTLED, "the server is out of resources"),
    "55P03": (Outcome.THROTTLED, "a lock was not granted in time"),
    "40": (Outcome.THROTTLED, "the transaction lost against another"),
    "57014": (Outcome.UNREACHABLE, "the statement took too long"),
    "57": (Outcome.UNREACHABLE, "the server is going down or coming up"),
    "08": (Outcome.UNREACHABLE, "the connection failed"),
    "3D000": (Outcome.UNREACHABLE, "there is no such database"),
    "0A000": (Outcome.UNSUPPORTED, "the server does not have this feature"),
    "42": (Outcome.UNSUPPORTED, "the server lacks an object that the collector reads"),
}
"""SQLSTATE, or its class of two characters, from PostgreSQL's appendix A; the longer entry wins."""

CLASSES: Final[Mapping[str, tuple[Outcome, str]]] = {
    "redis.exceptions.AuthenticationError": (Outcome.DENIED, "the login was refused"),
    "redis.exceptions.NoPermissionError": (Outcome.DENIED, "the command is not permitted"),
    "redis.exceptions.ConnectionError": (Outcome.UNREACHABLE, "the connection failed"),
    "redis.exceptions.TimeoutError": (Outcome.UNREACHABLE, "no answer in time"),
    "redis.exceptions.ResponseError": (Outcome.UNSUPPORTED, "the server refused the command"),
    "botocore.exceptions.NoCredentialsError": (Outcome.DENIED, "there are no credentials"),
    "botocore.exceptions.PartialCredentialsError": (Outcome.DENIED, "the credentials are incomplete"),
    "botocore.exceptions.CredentialRetrievalError": (Outcome.DENIED, "credentials cannot be had"),
    "botocore.exceptions.TokenRetrievalError": (Outcome.DENIED, "the sign-in has expired"),
    "botocore.exceptions.ConnectionError": (Outcome.UNREACHABLE, "the endpoint does not answer"),
    "botocore.exceptions.HTTPClientError": (Outcome.UNREACHABLE, "the endpoint does not answer"),
    "botocore.parsers.ResponseParserError": (Outcome.UNSUPPORTED, "the reply is none of this API"),
    "botocore.exceptions.BotoCoreError": (Outcome.UNSUPPORTED, "the call cannot be made"),
    "psycopg.OperationalError": (Outcome.UNREACHABLE, "the connection failed"),
    "builtins.PermissionError": (Outcome.DENIED, "reading is not permitted"),
    "ssl.SSLError": (Outcome.UNREACHABLE, "the TLS handshake failed"),
    "builtins.OSError": (Outcome.UNREACHABLE, "the source cannot be reached"),
    "builtins.NotImplementedError": (Outcome.UNSUPPORTED, "the source does not have this"),
}
"""Exception classes by module and name; the nearest base in an error's MRO that is named here counts."""

GRPC_STATUSES: Final[Mapping[str, tuple[Outcome, str]]] = {
    "UNAVAILABLE": (Outcome.UNREACHABLE, "the service does not answer"),
    "DEADLINE_EXCEEDED": (Outcome.UNREACHABLE, "no answer in time"),
    "PERMISSION_DENIED": (Outcome.DENIED, "the call is not permitted"),
    "UNAUTHENTICATED": (Outcome.DENIED, "the call is not authenticated"),
    "RESOURCE_EXHAUSTED": (Outcome.THROTTLED, "too many calls"),
    "UNIMPLEMENTED": (Outcome.UNSUPPORTED, "the service does not have this"),
}

_LOGIN_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist"
    r"|permission denied for database"
)
"""libpq gives no SQLSTATE for a refused connection, only words."""


def look(collector: Collector[Any], unit: Unit, access: object) -> tuple[Sighting, ...]:
    """Let a collector look at a unit; what ends in an error or in silence is a sighting too.

    An error after a sighting takes its completeness away: what was seen stays, as `partial`.
    """
    return look_through(collector, unit, lambda: access)


def look_through(
    collector: Collector[Any], unit: Unit, open_access: Callable[[], object]
) -> tuple[Sighting, ...]:
    """As `look`, where the way to the unit is opened here: one that is barred is not seen either."""
    seen: list[Sighting] = []
    try:
        for sighting in collector.collect(unit, open_access()):
            _refuse_what_cannot_be_logged(collector, sighting, seen)
            seen.append(sighting)
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a typed outcome
        refused = refusal_of(error)
        seen = [_incomplete(sighting, refused) for sighting in seen]
        kinds = _unseen(collector.kinds, seen)
        seen.extend(not_observed(kind, unit, refused) for kind in kinds)
    return (*seen, *silence(collector, unit, seen))


def _refuse_what_cannot_be_logged(
    collector: Collector[Any], sighting: Sighting, before: Iterable[Sighting]
) -> None:
    """One sighting that the ledger would refuse must not take those of the whole run with it.

    Raises:
        Refused: another kind than announced, or a second sighting of one subject.
        MalformedEvidence, CanonicalError: a float, a lone surrogate, a number beyond 2^53 - 1.
    """
    if _kind(sighting) not in collector.kinds:
        raise Refused(Outcome.PARTIAL, f"the collector did not announce {_kind(sighting).kind}")
    if (_kind(sighting), sighting.subject) in {(_kind(one), one.subject) for one in before}:
        raise Refused(Outcome.PARTIAL, "the collector spoke twice of one subject")
    payload = encode(sighting.payload) if isinstance(sighting, Observed) else None
    canonical_bytes([sighting.subject, sighting.reason, sighting.detail, payload])


def silence(collector: Collector[Any], unit: Unit, seen: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """One `partial` for each of the collector's kinds of which nothing was said."""
    refused = Refused(Outcome.PARTIAL, "the collector said nothing of this kind")
    return tuple(not_observed(kind, unit, refused) for kind in _unseen(collector.kinds, seen))


def not_observed(kind: type[Payload], unit: Unit, refused: Refused) -> NotObserved:
    """The non-observation that a refusal makes of a unit."""
    return NotObserved(kind, unit.subject, refused.outcome, refused.reason, refused.detail)


def refusal_of(error: Exception) -> Refused:
    """Type an error by what it carries (AWS code, SQLSTATE, gRPC status), else by its class.

    An error in no table is a fault of the collector, or a reply it was not written for: `partial`,
    and the class is named.
    """
    if isinstance(error, Refused):
        return error
    outcome, reason = (
        _by_aws_code(error)
        or _by_sqlstate(error)
        or _by_grpc_status(error)
        or _by_class(error)
        or (Outcome.PARTIAL, f"the collector failed ({type(error).__name__})")
    )
    words = " ".join(str(error).split()).encode("utf-8", "backslashreplace").decode()
    return Refused(outcome, reason, f"{type(error).__name__}: {words}")


def _by_aws_code(error: Exception) -> tuple[Outcome, str] | None:
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping) or "Error" not in response:
        return None
    code = str(response["Error"].get("Code", ""))
    return refusal_of_code(code), f"AWS answered {code}"


def _by_sqlstate(error: Exception) -> tuple[Outcome, str] | None:
    state = getattr(error, "sqlstate", None)
    if not state:
        return None
    found = SQLSTATES.get(state) or SQLSTATES.get(state[:2])
    return (found[0], f"{found[1]} (SQLSTATE {state})") if found else None


def _by_grpc_status(error: Exception) -> tuple[Outcome, str] | None:
    """Of grpc's own errors, where `code` is a method, and of those that carry one as an attribute."""
    code = getattr(error, "code", None)
    status = code() if callable(code) else code
    return GRPC_STATUSES.get(getattr(status, "name", ""))


def _by_class(error: Exception) -> tuple[Outcome, str] | None:
    names = [f"{base.__module__}.{base.__qualname__}" for base in type(error).__mro__]
    if "psycopg.OperationalError" in names and _LOGIN_REFUSED.search(str(error)):
        return Outcome.DENIED, "the login was refused"
    return next((CLASSES[name] for name in names if name in CLASSES), None)


def _unseen(kinds: Iterable[type[Payload]], seen: Iterable[Sighting]) -> list[type[Payload]]:
    told = {_kind(sighting) for sighting in seen}
    return [kind for kind in kinds if kind not in told]


def _kind(sighting: Sighting) -> type[Payload]:
    return type(sighting.payload) if isinstance(sighting, Observed) else sighting.kind


def _incomplete(sighting: Sighting, refused: Refused) -> Sighting:
    if isinstance(sighting, NotObserved) or sighting.outcome is not Outcome.OBSERVED:
        return sighting
    return dataclasses.replace(
        sighting, outcome=Outcome.PARTIAL, reason=refused.reason, detail=refused.detail
    )
