"""A summary of the posture on two pages of PDF, from the same object as the portal's front page.

For a reader who passes it on without the site. WeasyPrint needs Pango, a library of the system;
where it is missing there is one clear line and everything else works. The same posture gives the
same bytes, and nothing is fetched while rendering.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Environment, PackageLoader, StrictUndefined

from trust_portal.claims import CompiledPosture
from trust_portal.errors import PdfUnavailable
from trust_portal.site.build import GLYPHS, day
from trust_portal.site.twins import LogHead, posture_twin


def write_summary(posture: CompiledPosture, out: Path, *, title: str, contact: str, log: LogHead) -> int:
    """Write the PDF and return its size in bytes.

    Raises:
        PdfUnavailable: WeasyPrint or Pango is not installed.
    """
    weasyprint = _weasyprint()
    html = render_summary(posture, title=title, contact=contact, log=log)
    content: bytes = weasyprint.HTML(string=html, url_fetcher=_refuse).write_pdf(
        pdf_identifier=hashlib.sha256(html.encode()).digest()[:16], pdf_variant="pdf/ua-1"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    return len(content)


def render_summary(posture: CompiledPosture, *, title: str, contact: str, log: LogHead) -> str:
    """The summary as HTML, with its style inside."""
    environment = Environment(
        loader=PackageLoader("trust_portal.documents"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = day
    twin = posture_twin(posture, title, contact, log)
    return environment.get_template("summary.html").render(twin, glyphs=GLYPHS)


def _weasyprint() -> Any:  # noqa: ANN401 - the library ships no types
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a banner where Pango is missing
            import weasyprint
    except (ImportError, OSError) as error:
        raise PdfUnavailable(
            f"PDFs need WeasyPrint and Pango (apt-get install libpango-1.0-0 libpangoft2-1.0-0): {error}"
        ) from error
    return weasyprint


def _refuse(url: str) -> NoReturn:
    raise PdfUnavailable(f"a document fetches nothing, and this one asked for {url[:80]}")
