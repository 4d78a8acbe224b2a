"""Builds the portal: static pages and their JSON twins, the same bytes from the same posture.

For whoever publishes the site. Everything is written beside the target and put in its place by
renaming, so that a reader never sees half a site. Nothing is read but the compiled posture.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from evidence.payload import Json, parse_timestamp, timestamp
from trust_portal.claims import CompiledPosture
from trust_portal.errors import PortalError
from trust_portal.site.twins import (
    LogHead,
    Twin,
    area_twin,
    claim_twin,
    exceptions_twin,
    kills_twin,
    posture_twin,
    verify_twin,
)

CONTENT_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""What a page may load; it stands in each page, so that it holds from a folder as well."""

HEADERS: Final = {
    "Content-Security-Policy": (
        f"{CONTENT_POLICY}; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""What a server sends beside the policy; some directives count in a header alone."""

SECURITY_TXT_LIFE: Final = timedelta(days=180)
"""RFC 9116 recommends less than a year."""

SITE_MARK: Final = "api/v1/posture.json"
"""What tells a folder that holds a portal, and may be replaced, from any other."""

GLYPHS: Final = {
    "verified": "✓",
    "failed": "✕",
    "overdue": "!",
    "not shown": "?",
    "waived": "~",
    "in flight": "→",
    "roadmap": "◇",
    "policy": "§",
    "not applicable": "=",
}
"""A shape for each word, so that no status is told by colour alone."""


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What was written: HTML pages, all files, and their bytes together."""

    pages: int
    files: int
    bytes: int
    index: Path


@dataclass(frozen=True, slots=True)
class _Page:
    path: str
    template: str
    twin_path: str
    twin: Twin


def build_site(
    compiled: CompiledPosture,
    *,
    out: Path,
    title: str,
    contact: str,
    as_of: datetime,
    log_origin: str,
    log_key: str,
    checkpoint: str,
) -> SiteReport:
    """Write the whole site to `out`, replacing what was there.

    Args:
        compiled: the posture, compiled for the public.
        out: the site's folder; its parent must be writable.
        title: whose posture it is.
        contact: where to report a vulnerability (``mailto:…`` or ``https:…``).
        as_of: must be the posture's own moment; a site never speaks for another one.
        log_origin: the log that the evidence is in.
        log_key: the log's verifier key, one line.
        checkpoint: the log's signed checkpoint.

    Raises:
        PortalError: `as_of` is not the posture's, or `contact` is no URI.
    """
    if as_of != compiled.as_of:
        raise PortalError(f"the posture speaks for {compiled.as_of}, the site was asked for {as_of}")
    if ":" not in contact:
        raise PortalError(f"contact {contact!r} is no URI; write mailto:security@example.com or https://…")
    log = LogHead(log_origin, log_key, checkpoint)
    files = dict(_files(compiled, title, contact, log))
    with _replacing(out) as folder:
        for path, content in sorted(files.items()):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    pages = sum(1 for path in files if path.endswith(".html"))
    return SiteReport(pages, len(files), sum(map(len, files.values())), out / "index.html")


def _files(posture: CompiledPosture, title: str, contact: str, log: LogHead) -> Iterator[tuple[str, bytes]]:
    environment = _environment()
    shared = {
        "site_title": title,
        "contact": contact,
        "policy": CONTENT_POLICY,
        "nav": [(area.name, area.title) for area in posture.catalogue.areas],
    }
    front = posture_twin(posture, title, contact, log)
    for page in _pages(posture, front, log):
        yield page.path, _render(environment, page, shared)
        yield page.twin_path, _json(page.twin)
    yield (
        "404.html",
        _render(environment, _Page("404.html", "404.html", SITE_MARK, front), shared),
    )
    yield "checkpoint", log.checkpoint.encode()
    yield "_headers", _headers()
    yield ".well-known/security.txt", _security_txt(contact, posture.as_of)
    for name in ("style.css", "stale.js"):
        yield name, resources.files("trust_portal.site").joinpath("static", name).read_bytes()


def _pages(posture: CompiledPosture, front: Twin, log: LogHead) -> Iterator[_Page]:
    yield _Page("index.html", "index.html", SITE_MARK, front)
    for area in posture.catalogue.areas:
        twin = area_twin(posture, area)
        yield _Page(f"areas/{area.name}.html", "area.html", f"api/v1/areas/{area.name}.json", twin)
    for claim in posture.claims:
        twin = claim_twin(posture, claim)
        yield _Page(f"claims/{claim.id}.html", "claim.html", f"api/v1/claims/{claim.id}.json", twin)
    yield _Page("checks-can-fail.html", "kills.html", "api/v1/kills.json", kills_twin(posture))
    yield _Page("exceptions.html", "exceptions.html", "api/v1/exceptions.json", exceptions_twin(posture))
    verify = verify_twin(posture, log, verifier_digest())
    yield _Page("verify.html", "verify.html", "api/v1/verify.json", verify)


def verifier_digest() -> str:
    """SHA-256 (hex) of the verify.py that packs carry."""
    source = resources.files("trust_portal.packs").joinpath("verify.py").read_bytes()
    return hashlib.sha256(source).hexdigest()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("trust_portal.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = day
    environment.filters["span"] = _span
    environment.globals["glyphs"] = GLYPHS
    return environment


def _render(environment: Environment, page: _Page, shared: Mapping[str, object]) -> bytes:
    # A server answers 404 at any depth, so that page alone links from the root.
    root = "/" if page.path == "404.html" else "../" * page.path.count("/")
    template = environment.get_template(page.template)
    html = template.render(
        page.twin, **shared, root=root, twin_path=page.twin_path, path=page.path, twin=page.twin
    )
    return html.encode()


def _json(twin: Twin) -> bytes:
    return (json.dumps(twin, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _headers() -> bytes:
    lines = ["/*", *(f"  {name}: {value}" for name, value in HEADERS.items())]
    return ("\n".join(lines) + "\n").encode()


def _security_txt(contact: str, as_of: datetime) -> bytes:
    expires = timestamp(as_of + SECURITY_TXT_LIFE)
    return f"Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\n".encode()


def day(value: Json) -> str:
    """``23 Nov 2026, 15:04 UTC`` from an RFC 3339 time."""
    moment = parse_timestamp(str(value)).astimezone(UTC)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{moment.day} {months[moment.month - 1]} {moment.year}, {moment:%H:%M} UTC"


def _span(seconds: int) -> str:
    days = seconds // 86_400
    return f"{days} day{'' if days == 1 else 's'}"


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `out` when the block ends well."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SITE_MARK).exists())):
        raise PortalError(f"{out} holds something else than a portal; name an empty or a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.new-", dir=out.parent))
    fresh.chmod(0o755)
    try:
        yield fresh
        if out.exists():
            _swap(fresh, out)
        else:
            fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, out: Path) -> None:
    previous = Path(tempfile.mkdtemp(prefix=f".{out.name}.old-", dir=out.parent))
    old = previous / "site"
    out.rename(old)
    try:
        fresh.rename(out)
    except OSError:
        old.rename(out)
        raise
    finally:
        shutil.rmtree(previous, ignore_errors=True)
