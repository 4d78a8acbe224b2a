"""Takes AWS permissions away: a loopback proxy that answers AccessDenied to chosen operations.

For tests and for `posture demo`, to show that a lost permission turns a verdict into `unknown` and
never into green. Everything else is passed to the endpoint behind it, unread.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from posture.embedded.aws_operations import AwsRequest, OperationMatcher
from posture.embedded.errors import EmbeddedError, NotRunningError
from posture.embedded.process import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST = "127.0.0.1"
MAX_CONNECTIONS = 16
MAX_BODY_BYTES = 64 << 20
IDLE_SECONDS = 5.0
UPSTREAM_SECONDS = 120.0

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}
_REWRITTEN = _HOP_BY_HOP | {"content-length", "date", "server"}


class DenyProxy(Server):
    """A proxy in front of `endpoint`; `with` starts it and closes it.

    >>> with DenyProxy(moto.endpoint, [("rds", "DescribeDBInstances")]) as proxy:
    ...     client = boto3.client("rds", endpoint_url=proxy.endpoint)
    """

    def __init__(self, endpoint: str, denied: Iterable[tuple[str, str]] = ()) -> None:
        behind = urlsplit(endpoint)
        if behind.scheme != "http" or behind.hostname is None or behind.port is None:
            raise EmbeddedError(f"the deny proxy stands before http://host:port, not {endpoint}")
        self._behind = (behind.hostname, behind.port)
        self._denied: dict[tuple[str, str], OperationMatcher] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._server: _BoundedServer | None = None
        self._thread: threading.Thread | None = None
        for service, operation in denied:
            self.deny(service, operation)

    @property
    def endpoint(self) -> str:
        """For boto3's `endpoint_url`; NotRunningError before the start."""
        if self._server is None:
            raise NotRunningError("the deny proxy is not running: call start() first")
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def refused(self) -> Counter[tuple[str, str]]:
        """How often each (service, operation) was refused so far."""
        with self._lock:
            return Counter(self._refused)

    def deny(self, service: str, operation: str) -> None:
        """Refuse an operation from now on; EmbeddedError when AWS has no such operation."""
        matcher = OperationMatcher(service, operation)
        with self._lock:
            self._denied[(service, operation)] = matcher

    def allow(self, service: str, operation: str) -> None:
        """Let an operation pass again."""
        with self._lock:
            self._denied.pop((service, operation), None)

    def start(self) -> None:
        """Listen on a free loopback port. Does nothing when it runs."""
        if self._server is not None:
            return
        self._server = _BoundedServer((HOST, 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="deny-proxy", daemon=True, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and wait for the requests in flight. Safe to call twice."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def matcher_of(self, request: AwsRequest) -> OperationMatcher | None:
        """What refuses this request, counted; None when it may pass."""
        with self._lock:
            for pair, matcher in self._denied.items():
                if matcher.matches(request):
                    self._refused[pair] += 1
                    return matcher
        return None

    def forward(self, request: AwsRequest) -> tuple[int, list[tuple[str, str]], bytes]:
        """The answer of the endpoint behind; OSError or HTTPException when there is none."""
        connection = http.client.HTTPConnection(*self._behind, timeout=UPSTREAM_SECONDS)
        try:
            headers = {k: v for k, v in request.headers.items() if k not in _HOP_BY_HOP | {"expect"}}
            connection.request(request.method, request.target, request.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class _BoundedServer(HTTPServer):
    """At most MAX_CONNECTIONS at a time; one connection carries one request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: DenyProxy) -> None:
        self.proxy = proxy
        self._pool = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="deny-proxy")
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        self._pool.submit(self._answer, request, client_address)

    def _answer(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        try:
            self.finish_request(request, client_address)
        except OSError:  # the client went away: nobody is left to tell
            pass
        finally:
            self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self._pool.shutdown(wait=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # for Expect: 100-continue, which boto3 sends before a body
    timeout = IDLE_SECONDS
    server: _BoundedServer

    def handle_any(self) -> None:
        """Refuse, forward, or say in HTTP's words why neither is possible."""
        body = self._body()
        if body is None:
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = AwsRequest(self.command, self.path, headers, body)
        matcher = self.server.proxy.matcher_of(request)
        if matcher is not None:
            denial = matcher.denial()
            self._reply(denial.status, list(denial.headers.items()), denial.body)
            return
        try:
            self._reply(*self.server.proxy.forward(request))
        except (OSError, http.client.HTTPException) as failure:
            why = f"the AWS endpoint behind the deny proxy did not answer: {failure}"
            self._reply(HTTPStatus.BAD_GATEWAY, [("Content-Type", "text/plain")], why.encode())

    def _body(self) -> bytes | None:
        """The request's body; None (and answered) when its length is not told or too large."""
        if self.headers.get("Transfer-Encoding"):
            self._reply(HTTPStatus.LENGTH_REQUIRED, [], b"")
            return None
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, [], b"")
            return None
        return self.rfile.read(int(length))

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _REWRITTEN:
                self.send_header(name, value)
        head = self.command == "HEAD"
        told = next((v for k, v in headers if head and k.lower() == "content-length"), str(len(body)))
        self.send_header("Content-Length", told)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if not head:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """Say nothing: the caller sees every answer."""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = handle_any  # noqa: N815 - http.server's names
