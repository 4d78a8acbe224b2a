"""A loopback server for looking at a built portal, with the headers that its `_headers` file asks for."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path
from typing import Any

from posture.cli import Exit
from posture.errors import UsageError

HOST = "127.0.0.1"
HIGHEST_PORT = 65_535


class PortalHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files of one folder, each with the portal's own headers, and says nothing on the console."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, "": "text/plain; charset=utf-8"}  # noqa: RUF012 - the base class's form

    def __init__(self, *arguments: Any, headers: dict[str, str], **options: Any) -> None:  # noqa: ANN401 - the base class's
        self._portal_headers = headers
        super().__init__(*arguments, **options)

    def end_headers(self) -> None:
        """Add the portal's headers."""
        for name, value in self._portal_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: who reads the portal is nobody's business."""


def portal_headers(folder: Path) -> dict[str, str]:
    """The headers of the portal's `_headers` file that go with every page."""
    lines = (folder / "_headers").read_text().splitlines()
    pairs = [line.strip().partition(":") for line in lines if line.startswith(" ") and ":" in line]
    return {name.strip(): value.strip() for name, _, value in pairs}


def serve_portal(folder: Path, port: int) -> int:
    """Serve until interrupted; the address is printed."""
    if not (folder / "index.html").exists():
        raise UsageError(f"no portal in {folder}; run `posture portal build` first")
    if not 0 <= port <= HIGHEST_PORT:
        raise UsageError(f"--port {port} is none: give 0 (a free one) to {HIGHEST_PORT}")
    handler = functools.partial(PortalHandler, directory=str(folder), headers=portal_headers(folder))
    with http.server.ThreadingHTTPServer((HOST, port), handler) as server:
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    return Exit.HOLDS
