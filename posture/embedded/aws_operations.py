"""Which AWS operation an HTTP request is, and how AWS would refuse it.

For the proxy that takes a permission away (`deny_proxy`). Everything comes from botocore's service
models: the signing name, the protocol and the paths. Formats: the error sections of AWS's query,
EC2, JSON and REST protocols, as botocore.parsers reads them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from posture.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from botocore.model import ServiceModel

REQUEST_ID = "00000000-0000-4000-8000-000000000000"
_SIGNED_FOR = re.compile(r"Credential=[^/\s]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_QUERY_PROTOCOLS = {"query", "ec2"}
_REST_PROTOCOLS = {"rest-json", "rest-xml"}
_PROTOCOLS = {*_QUERY_PROTOCOLS, *_REST_PROTOCOLS, "json"}


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """What of an HTTP request tells its operation. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def signed_for(self) -> str | None:
        """The service in the signature's credential scope; None for an unsigned request."""
        found = _SIGNED_FOR.search(self.headers.get("authorization", "")) or _SIGNED_FOR.search(
            unquote(self.target).replace("X-Amz-Credential", "Credential")
        )
        return found.group(1) if found else None


@dataclass(frozen=True, slots=True)
class Denial:
    """The answer that AWS gives to a caller without the permission."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OperationMatcher:
    """Recognises one operation, such as ("rds", "DescribeDBInstances").

    Operations that share method and path (S3's PutObject, CopyObject and UploadPart) are recognised
    together. Raises EmbeddedError for a service or an operation that botocore does not know.
    """

    def __init__(self, service: str, operation: str) -> None:
        model = _model(service)
        if operation not in model.operation_names:
            near = difflib.get_close_matches(operation, model.operation_names, n=1)
            hint = f'did you mean "{near[0]}"?' if near else "see boto3's reference"
            raise EmbeddedError(f"AWS service {service} has no operation {operation}: {hint}")
        self.service = service
        self.operation = operation
        self._protocol = str(model.resolved_protocol)
        if self._protocol not in _PROTOCOLS:
            raise EmbeddedError(f"{service} speaks {self._protocol}, in which the proxy refuses nothing")
        self._signing_name = str(model.signing_name)
        self._prefix = str(model.metadata.get("targetPrefix"))
        self._version = str(model.metadata.get("apiVersion"))
        self._routes = _routes(model) if self._protocol in _REST_PROTOCOLS else ()

    def matches(self, request: AwsRequest) -> bool:
        """Whether `request` calls this operation. An unsigned one is judged by its form alone."""
        if request.signed_for not in {self._signing_name, None}:
            return False
        if self._protocol == "json":
            return request.headers.get("x-amz-target") == f"{self._prefix}.{self.operation}"
        if self._protocol in _QUERY_PROTOCOLS:
            return self._matches_query(request)
        return self.operation in _best_routes(self._routes, request)

    def denial(self) -> Denial:
        """AccessDenied in the protocol of this operation's service."""
        message = f"User is not authorized to perform: {self._signing_name}:{self.operation}"
        if self._protocol in {"json", "rest-json"}:
            return _json_denial(message, self._protocol)
        body = _XML_BODIES[self._protocol].format(message=escape(message), id=REQUEST_ID)
        return Denial(403, {"Content-Type": "text/xml"}, body.encode())

    def _matches_query(self, request: AwsRequest) -> bool:
        asked = parse_qs(urlsplit(request.target).query)
        if "application/x-www-form-urlencoded" in request.headers.get("content-type", ""):
            asked |= parse_qs(request.body.decode("latin-1"))
        version = asked.get("Version", [self._version])  # tells services of one signing name apart
        return asked.get("Action") == [self.operation] and version == [self._version]


@dataclass(frozen=True, slots=True)
class _Route:
    """One operation's method, path and required query, and how specific they are."""

    operation: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str]
    literals: int

    def rank(self, request: AwsRequest) -> tuple[int, int] | None:
        """How specifically this route describes the request; None when it does not."""
        target = urlsplit(request.target)
        asked = parse_qs(target.query, keep_blank_values=True)
        fits = self.method == request.method and self.path.fullmatch(target.path)
        if not fits or any(asked.get(k, [None])[0] != v for k, v in self.query.items()):
            return None
        return len(self.query), self.literals


def _best_routes(routes: tuple[_Route, ...], request: AwsRequest) -> set[str]:
    ranked = [(rank, route.operation) for route in routes if (rank := route.rank(request)) is not None]
    best = max((rank for rank, _ in ranked), default=None)
    return {operation for rank, operation in ranked if rank == best}


def _routes(model: ServiceModel) -> tuple[_Route, ...]:
    return tuple(_route(name, model.operation_model(name).http) for name in model.operation_names)


def _route(operation: str, http: Mapping[str, str]) -> _Route:
    uri = urlsplit(http["requestUri"])
    parts = [part for part in uri.path.split("/") if part]
    pattern = "".join("/" + _part_pattern(part) for part in parts)
    query = {k: v[0] for k, v in parse_qs(uri.query, keep_blank_values=True).items()}
    literals = sum(not part.startswith("{") for part in parts)
    return _Route(operation, http["method"], re.compile(f"{pattern}/?"), query, literals)


def _part_pattern(part: str) -> str:
    """`{Key+}` takes the rest of the path, `{name}` one segment, all else is literal."""
    placeholders = re.split(r"(\{[^}]+\})", part)
    return "".join(
        (".+" if piece.endswith("+}") else "[^/]+") if piece.startswith("{") else re.escape(piece)
        for piece in placeholders
    )


def _json_denial(message: str, protocol: str) -> Denial:
    kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
    body = json.dumps({"__type": "AccessDeniedException", "message": message})
    headers = {"Content-Type": kind, "x-amzn-ErrorType": "AccessDeniedException"}
    return Denial(400 if protocol == "json" else 403, headers, body.encode())


_XML_BODIES = {
    "query": (
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        "<Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    ),
    "ec2": (
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>{message}</Message>"
        "</Error></Errors><RequestID>{id}</RequestID></Response>"
    ),
    "rest-xml": (
        "<Error><Code>AccessDenied</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
    ),
}


def _model(service: str) -> ServiceModel:
    try:
        import botocore.session
        from botocore.exceptions import UnknownServiceError
    except ImportError as missing:
        raise EmbeddedError("the deny proxy needs botocore: pip install boto3") from missing
    session = botocore.session.get_session()
    try:
        return session.get_service_model(service)
    except UnknownServiceError:
        near = difflib.get_close_matches(service, session.get_available_services(), n=1)
        hint = f'did you mean "{near[0]}"?' if near else "use boto3's name for it"
        raise EmbeddedError(f"there is no AWS service {service}: {hint}") from None
