"""The summary is two pages of PDF from the portal's own object, or one clear line where Pango is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trust_portal.claims import CompiledPosture
from trust_portal.documents.summary import render_summary, write_summary
from trust_portal.errors import PdfUnavailable
from trust_portal.site.twins import LogHead

LOG = LogHead("posture.example/log", "posture.example/log+0a1b2c3d+AQkr", "checkpoint")
GATED = ("gated_table_4711", "arn:aws:rds:gated", "111122223333")


def write(posture: CompiledPosture, out: Path) -> bytes:
    try:
        write_summary(posture, out, title="TensorCost", contact="mailto:s@example.com", log=LOG)
    except PdfUnavailable as error:
        pytest.skip(str(error))
    return out.read_bytes()


def test_the_summary_has_two_pages_and_the_same_bytes_each_time(
    posture: CompiledPosture, tmp_path: Path
) -> None:
    first = write(posture, tmp_path / "a.pdf")
    assert first.startswith(b"%PDF-")
    import weasyprint

    html = render_summary(posture, title="TensorCost", contact="mailto:s@example.com", log=LOG)
    assert len(weasyprint.HTML(string=html).render().pages) == 2
    assert write(posture, tmp_path / "deep" / "b.pdf") == first


def test_the_summary_says_what_the_portal_says_and_nothing_gated(posture: CompiledPosture) -> None:
    html = render_summary(posture, title="A & B", contact="mailto:s@example.com", log=LOG)
    assert "A &amp; B" in html
    assert not [word for word in GATED if word in html]
    for claim in posture.claims:
        assert claim.id in html


def test_without_pango_there_is_one_clear_line(
    posture: CompiledPosture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(PdfUnavailable, match="PDFs need WeasyPrint and Pango"):
        write_summary(posture, tmp_path / "a.pdf", title="t", contact="mailto:s@example.com", log=LOG)
    assert list(tmp_path.iterdir()) == []
