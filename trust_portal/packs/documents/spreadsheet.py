"""The control matrix as CSV (RFC 4180) and as a workbook (ECMA-376), the same cells in both.

For an auditor's working papers. Text that a spreadsheet would run as a formula is disarmed in the CSV; the
workbook's cells are typed as text, which never is a formula. The bytes depend on nothing but the rows.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from evidence.payload import Json
from trust_portal.packs.documents.engagement import Document

MAX_CELL_CHARACTERS: Final = 32_767
"""What a cell of a workbook holds."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""What a workbook would read as the escape of a character (ECMA-376, 22.9.2.19)."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

Row = Mapping[str, Json]
Cell = Callable[[Row], str]


def _part(name: str, field: str) -> Cell:
    """A field of an object of the row; '' where there is no such object."""

    def read(row: Row) -> str:
        part = row[name]
        value = part[field] if isinstance(part, dict) else None
        return "" if value is None else str(value)

    return read


def _list(name: str) -> Cell:
    def read(row: Row) -> str:
        items = row[name]
        return ", ".join(str(item) for item in items) if isinstance(items, list) else ""

    return read


def _text(name: str) -> Cell:
    return lambda row: str(row[name])


def _share(name: str, part: str, whole: str) -> Cell:
    """As in ``28 of 30``."""

    def read(row: Row) -> str:
        value = row[name]
        return f"{value[part]} of {value[whole]}" if isinstance(value, dict) else ""

    return read


def _populations(row: Row) -> str:
    found = row["populations"]
    named = found if isinstance(found, list) else []
    return ", ".join(f"{one['id']} ({one['units']})" for one in named if isinstance(one, dict))


def _kills(row: Row) -> str:
    kills = row["kills"]
    if not isinstance(kills, dict):
        return ""
    return f"{kills['score']}, hollow" if kills["hollow"] else str(kills["score"])


COLUMNS: Final[tuple[tuple[str, int, Cell], ...]] = (
    ("Id", 9, _text("id")),
    ("Area", 17, _text("area")),
    ("Who", 26, _part("control", "who")),
    ("What", 46, _part("control", "what")),
    ("When", 16, _part("control", "when")),
    ("Where", 20, _part("control", "where")),
    ("How", 46, _part("control", "how")),
    ("What the evidence says", 46, _text("said")),
    ("Owner", 12, _text("owner")),
    ("Frequency", 12, _text("frequency")),
    ("Purpose", 12, _part("nature", "purpose")),
    ("Automation", 14, _part("nature", "automation")),
    ("Criteria", 18, _list("criteria")),
    ("Risk", 14, _text("risk")),
    ("Systems", 30, _list("systems")),
    ("Evidence (log entries)", 18, _list("evidence")),
    ("Populations (units)", 20, _populations),
    ("Test performed", 46, _part("test", "performed")),
    ("Source of the test (SHA-256)", 20, _part("test", "source")),
    ("Result", 14, _part("result", "word")),
    ("Reason", 46, _part("result", "reason")),
    ("Verdicts that deviated", 14, _share("deviations", "deviating", "verdicts")),
    ("Deviations in the latest", 14, _part("deviations", "latest")),
    ("Compensating control", 16, _list("compensating")),
    ("Customer duties", 16, _list("customer_duties")),
    ("Subservice duties", 16, _list("subservice_duties")),
    ("First judged", 22, _part("since", "first_judged")),
    ("Source since", 22, _part("since", "source_since")),
    ("Days with evidence", 14, _share("coverage", "received", "expected")),
    ("Days late", 10, _part("coverage", "late")),
    ("Sabotages caught", 16, _kills),
)
"""Heading, width in characters, and the cell's text."""


def matrix_csv(matrix: Document) -> bytes:
    """`matrix.csv`: UTF-8, CRLF, every field quoted where RFC 4180 asks for it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([disarmed(text) for text in line] for line in _lines(matrix))
    return out.getvalue().encode()


def matrix_xlsx(matrix: Document) -> bytes:
    """`matrix.xlsx`: one sheet with a fixed head row and filters."""
    lines = list(_lines(matrix))
    parts = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/_rels/workbook.xml.rels": _relations(
            [("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")]
        ),
        "xl/styles.xml": _styles(),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
            '<sheet name="Control matrix" sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
        "xl/worksheets/sheet1.xml": _sheet(lines),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # the same bytes on every system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _XML + content)
    return out.getvalue()


def _lines(matrix: Document) -> Iterator[list[str]]:
    rows = matrix["rows"]
    yield [heading for heading, _, _ in COLUMNS]
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            yield [cell(row) for _, _, cell in COLUMNS]


def disarmed(text: str) -> str:
    """A cell of a CSV that a spreadsheet would run as a formula, made plain text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _sheet(lines: Sequence[Sequence[str]]) -> str:
    last = f"{_letters(len(COLUMNS))}{len(lines)}"
    widths = "".join(
        f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>'
        for n, (_, width, _) in enumerate(COLUMNS, 1)
    )
    rows = "".join(_line(number, line) for number, line in enumerate(lines, 1))
    return (
        f'<worksheet xmlns="{_MAIN}"><dimension ref="A1:{last}"/><sheetViews><sheetView workbookViewId="0">'
        '<pane xSplit="1" ySplit="1" topLeftCell="B2" activePane="bottomRight" state="frozen"/></sheetView>'
        f"</sheetViews><cols>{widths}</cols><sheetData>{rows}</sheetData>"
        f'<autoFilter ref="A1:{last}"/></worksheet>'
    )


def _line(number: int, line: Iterable[str]) -> str:
    style = 1 if number == 1 else 2
    cells = "".join(
        f'<c r="{_letters(column)}{number}" t="inlineStr" s="{style}"><is>'
        f'<t xml:space="preserve">{_cell(text)}</t></is></c>'
        for column, text in enumerate(line, 1)
    )
    return f'<row r="{number}">{cells}</row>'


def _cell(text: str) -> str:
    if len(text) > MAX_CELL_CHARACTERS:
        text = text[: MAX_CELL_CHARACTERS - 30] + " … (whole in matrix.json)"
    return escape(_NOT_XML.sub("\ufffd", _ESCAPE.sub("_x005F_", text)))


def _letters(column: int) -> str:
    """1 is A, 27 is AA."""
    rest, last = divmod(column - 1, 26)
    return (_letters(rest) if rest else "") + chr(ord("A") + last)


def _content_types() -> str:
    overrides = {"workbook": "sheet.main", "styles": "styles", "worksheets/sheet1": "worksheet"}
    parts = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{_TYPE}.{kind}+xml"/>'
        for name, kind in overrides.items()
    )
    return (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{parts}</Types>'
    )


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    parts = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{parts}</Relationships>'


def _styles() -> str:
    """Plain, bold for the head row, and wrapped text at the top of its cell for the rest."""
    font = '<sz val="10"/><name val="Arial"/>'
    top = '<alignment vertical="top" wrapText="1"/>'
    common = 'numFmtId="0" borderId="0" xfId="0"'
    fill = "F2F1EC"
    return (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="3"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill><fill><patternFill patternType="solid">'
        f'<fgColor rgb="FF{fill}"/></patternFill></fill></fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="3"><xf {common} fontId="0" fillId="0"/>'
        f'<xf {common} fontId="1" fillId="2" applyAlignment="1">{top}</xf>'
        f'<xf {common} fontId="0" fillId="0" applyAlignment="1">{top}</xf></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
