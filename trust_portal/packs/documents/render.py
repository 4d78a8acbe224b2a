"""A document as HTML: the JSON object and nothing else, for print and for screens.

No script and no request: the style stands in the page, and the page's own policy admits only its digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from trust_portal.packs.documents.engagement import Document
from trust_portal.site.build import GLYPHS, day

TITLES: Final = {
    "description": "System description",
    "matrix": "Control matrix",
    "criterion": "Criterion",
    "exceptions": "Exceptions and retests",
    "responsibilities": "Responsibilities of others",
    "changes": "Changes in the window",
    "coverage": "Coverage, day by day",
}
PAGES: Final = (
    ("01-system-description/description.html", "System description"),
    ("02-control-matrix/matrix.html", "Control matrix"),
    ("07-exceptions/exceptions.html", "Exceptions"),
    ("08-responsibilities/responsibilities.html", "Responsibilities"),
    ("09-changes/changes.html", "Changes"),
    ("coverage.html", "Coverage"),
)
SHAPES: Final = {
    **GLYPHS,
    "open": "✕",
    "retested": "✓",
    "evidence": "•",
    "no evidence": "?",
    "untouched": "○",
    "satisfied": "✓",
    "unknown": "?",
    "not_applicable": "=",
}
"""A shape for each word, so that no status is told by colour alone."""


def render(document: Document, path: str) -> bytes:
    """The page of a document that stands at `path` in the pack."""
    kind = str(document["schema"]).removeprefix("posture.pack.").partition("/")[0]
    style, digest = _style()
    html = (
        _environment()
        .get_template(f"{kind}.html")
        .render(
            document,
            page_title=TITLES[kind],
            root="../" * path.count("/"),
            source=f"{path.rpartition('/')[2]}.json",
            pages=PAGES,
            here=f"{path}.html",
            style=style,
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        )
    )
    return html.encode()


def strip(days: str, first: str) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The letters of each month as runs, with the month's name: ``("Nov 2026", [("r", 12), ("m", 1)])``."""
    begin = date.fromisoformat(first)
    dated = ((begin + timedelta(days=n), letter) for n, letter in enumerate(days))
    for month, items in groupby(dated, key=lambda item: item[0].strftime("%Y-%m")):
        runs = groupby(letter for _, letter in items)
        yield month, [(letter, sum(1 for _ in run)) for letter, run in runs]


@cache
def _style() -> tuple[str, str]:
    text = (
        resources.files("trust_portal.packs.documents").joinpath("templates/document.css").read_text("utf-8")
    )
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, digest


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("trust_portal.packs.documents"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = day
    environment.globals.update(shapes=SHAPES, strip=strip)
    return environment
