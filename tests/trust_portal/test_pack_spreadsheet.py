"""The control matrix as CSV and as a workbook: same cells, no formula, the same bytes for ever."""

from __future__ import annotations

import copy
import csv
import io
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.trust_portal.engagements import engagement
from trust_portal.packs.documents.engagement import Reading
from trust_portal.packs.documents.matrix import matrix_document
from trust_portal.packs.documents.spreadsheet import COLUMNS, MAX_CELL_CHARACTERS, matrix_csv, matrix_xlsx

MATRIX = matrix_document(Reading(engagement()))
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def with_text(text: str) -> dict[str, Any]:
    """The matrix with its first row's sentence replaced."""
    changed: Any = copy.deepcopy(MATRIX)
    changed["rows"][0]["said"] = text
    return changed


def csv_cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def xlsx_cells(content: bytes) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        sheet = ET.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    return [[cell.findtext(f"{SHEET}is/{SHEET}t") or "" for cell in row] for row in sheet.iter(f"{SHEET}row")]


SAID = [heading for heading, _, _ in COLUMNS].index("What the evidence says")


def test_both_hold_the_same_rows() -> None:
    cells = csv_cells(matrix_csv(MATRIX))
    assert cells == xlsx_cells(matrix_xlsx(MATRIX))
    assert cells[0] == [heading for heading, _, _ in COLUMNS]
    rows = MATRIX["rows"]
    assert isinstance(rows, list)
    assert len(cells) == len(rows) + 1
    first = dict(zip(cells[0], cells[1], strict=True))
    assert first["Id"] == "RLS-01"
    assert first["Days with evidence"] == "25 of 28"
    assert first["Sabotages caught"] == "7 of 7"
    assert first["Verdicts that deviated"] == "3 of 25"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    hostile = f'{start}HYPERLINK("x")'
    assert csv_cells(matrix_csv(with_text(hostile)))[1][SAID] == f"'{hostile}"
    content = matrix_xlsx(with_text(hostile))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    assert b"<f" not in sheet
    assert sheet.count(b"<c ") == sheet.count(b't="inlineStr"')


@pytest.mark.parametrize("text", ['a "quoted", text', "two\r\nlines", "ünïcode 🔒", "a <b> & c", "trailing "])
def test_text_survives_both(text: str) -> None:
    assert csv_cells(matrix_csv(with_text(text)))[1][SAID] == text
    assert xlsx_cells(matrix_xlsx(with_text(text)))[1][SAID] == text.replace("\r\n", "\n")


def test_lines_end_as_rfc_4180_says() -> None:
    content = matrix_csv(MATRIX)
    assert content.endswith(b"\r\n")
    assert content.count(b"\n") == content.count(b"\r\n") == len(csv_cells(content))


def test_what_xml_cannot_carry_and_what_is_too_long_is_replaced() -> None:
    assert xlsx_cells(matrix_xlsx(with_text("a\x00\x1b\ufffeb")))[1][SAID] == "a\ufffd\ufffd\ufffdb"
    assert xlsx_cells(matrix_xlsx(with_text("_x0041_")))[1][SAID] == "_x005F_x0041_"
    longest = xlsx_cells(matrix_xlsx(with_text("x" * (MAX_CELL_CHARACTERS + 1))))[1][SAID]
    assert len(longest) <= MAX_CELL_CHARACTERS
    assert longest.endswith("(whole in matrix.json)")


def test_the_bytes_of_the_workbook_depend_on_the_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = matrix_xlsx(MATRIX)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert matrix_xlsx(copy.deepcopy(MATRIX)) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
