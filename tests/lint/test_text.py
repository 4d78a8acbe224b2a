"""Text for a person: what happens, the code with a mark, the cause, the remedy; one cause is one entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lint import Report, lint_paths
from lint.entries import entries_of, shape
from lint.frames import Mark, columns, frame_of
from lint.report import Coverage, Finding, Stats
from lint.rules.registry import RULES
from lint.text import Style, render

PLAIN = Style()
HABIT = "".join(
    f"CREATE TABLE t{n} (tenant_id int);ALTER TABLE t{n} ENABLE ROW LEVEL SECURITY;"
    f"CREATE POLICY p ON t{n} USING (tenant_id = f());\n"
    for n in range(84)
)


def text_of(folder: Path, files: dict[str, str], style: Style = PLAIN) -> str:
    contents = {}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        contents[name] = text.encode()
    report = lint_paths([folder], root=folder, as_of=date(2026, 12, 1))
    return render(report, RULES, contents.get, style)


def found(rule: str = "RLS001", message: str = "m", **fields: object) -> Finding:
    values = {"severity": RULES[rule].severity, "path": "a.sql", "line": 1, "column": 1, "fix": "do it"}
    return Finding(rule, message=message, **(values | fields))


def told(*findings: Finding, style: Style = PLAIN) -> str:
    return render(Report(findings, Coverage(), Stats()), RULES, lambda path: None, style)


def test_an_entry_shows_place_code_mark_cause_and_remedy(tmp_path: Path) -> None:
    lines = text_of(tmp_path, {"m/1.sql": "\n  CREATE TABLE a (tenant_id int); SELECT 1;"}).splitlines()
    assert lines[0].startswith("error[RLS001]: public.a holds tenant rows (tenant_id)")
    assert lines[1:5] == [
        " --> m/1.sql:2:3",
        "  |",
        "2 |   CREATE TABLE a (tenant_id int); SELECT 1;",
        "  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ]
    assert lines[5].startswith("  = cause: ")
    assert lines[6] == "  = fix:"
    assert lines[7].startswith("      ALTER TABLE public.a ENABLE ROW LEVEL SECURITY")
    assert "coverage      0 of 1 tenant tables enforced" in lines


def test_a_habit_in_84_tables_is_one_entry_with_its_places(tmp_path: Path) -> None:
    text = text_of(tmp_path, {"m/1.sql": HABIT})
    assert text.count("warning[RLS004]") == 1
    assert "(84 places)" in text
    assert "     m/1.sql:2 public.t1" in text
    assert re.search(r"^84 warnings.* in \d entr", text, re.MULTILINE)
    assert len(text.splitlines()) < 30
    whole = text_of(tmp_path, {"m/1.sql": HABIT}, Style(verbose=True))
    assert "m/1.sql:84 public.t83" in whole


def test_findings_of_one_cause_are_one_entry_however_they_are_worded() -> None:
    one = found(message="A reads all", cause="every policy compares org_id")
    other = found(message="something else", cause="every policy compares org_id", line=7)
    apart = found(message="A reads all", cause="another", line=9)
    assert [len(entry.findings) for entry in entries_of([one, other, apart])] == [2, 1]
    assert "= cause: every policy compares org_id" in told(one, other)


def test_findings_that_say_different_things_stay_apart() -> None:
    a = found(message="policy p on public.a: opens for everyone", table="public.a", subject="p")
    b = found(message="policy q on public.b: opens for everyone", table="public.b", subject="q")
    c = found(message="policy q on public.b: opens for admins", table="public.b", subject="q")
    assert shape(a) == shape(b) != shape(c)
    assert len(entries_of([a, b, c])) == 2


def test_errors_come_first_and_information_is_one_line_until_asked() -> None:
    note = found("RLS090", "not analysed: x", severity="info")
    text = told(note, note, found("RLS004", "w"), found("RLS001", "e"))
    assert text.index("error[") < text.index("warning[") < text.index("info[")
    assert "at 2 places, the first is a.sql:1 (-v shows them)" in text
    assert "-->" in told(note, style=Style(verbose=True))
    assert "-->" not in told(note)


@pytest.mark.parametrize("contents", [lambda path: None, lambda path: b"", lambda path: b"\n\n\n"])
def test_a_file_that_is_gone_or_shorter_by_now_costs_the_frame_only(
    contents: Callable[[str], bytes | None],
) -> None:
    text = render(Report((found(line=9),), Coverage(), Stats()), RULES, contents)
    assert " --> a.sql:9:1" in text
    assert "|" not in text


def test_a_long_line_is_cut_around_its_column() -> None:
    line = "SELECT " + "x, " * 200 + "leak_all(a) " + ", y" * 200
    column = line.index("leak_all") + 1
    frame = frame_of(Mark("a.py", 1, column), lambda path: line.encode(), 80)
    assert frame is not None
    assert columns(frame.code) <= 80
    assert frame.code.startswith("…")
    assert frame.code.endswith("…")
    assert frame.code[frame.mark.index("^") :].startswith("leak_all(a)")
    assert frame.mark.strip() == "^" * len("leak_all")


def test_tabs_and_wide_characters_keep_the_mark_below_its_text() -> None:
    line = "\tä = '漢字'; leak(a)"
    frame = frame_of(Mark("a.py", 1, line.index("leak") + 1), lambda path: line.encode(), 80)
    assert frame is not None
    before = frame.code[: frame.code.index("leak")]
    assert columns(before) == frame.mark.index("^") == 4 + len("ä = '") + 4 + len("'; ")


def test_a_string_at_fault_is_marked_as_a_whole() -> None:
    line = 'run("SET ROLE admin", 1)'
    frame = frame_of(Mark("a.py", 1, 5), lambda path: line.encode(), 80)
    assert frame is not None
    assert frame.mark == "    " + "^" * len('"SET ROLE admin"')


def test_a_message_or_source_cannot_steer_the_terminal() -> None:
    finding = found(message="a\x1b[2Jb\r\u202ec", path="x\x1b]0;t\x07.sql", fix="SELECT 1;\x1b[0m")
    text = render(Report((finding,), Coverage(), Stats()), RULES, lambda path: b"SELECT '\x1b[31m\x9b';")
    assert not {"\x1b", "\r", "\x9b", "\u202e", "\x07"} & set(text)


def test_colours_are_used_only_when_asked() -> None:
    assert "\x1b[" not in told(found())
    assert "\x1b[1;31merror[RLS001]" in told(found(), style=Style(colour=True))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=120), st.integers(-2, 200), st.integers(1, 120), st.sampled_from(["a.sql", "a.py"]))
def test_any_line_and_column_give_a_frame_within_the_width(
    line: str, column: int, width: int, path: str
) -> None:
    content = line.encode("utf-8", "surrogatepass")
    frame = frame_of(Mark(path, 1, column), lambda _: content, width)
    if frame is not None:
        assert columns(frame.code) <= max(width, 48) + 1
        assert frame.mark.strip() == "^" * len(frame.mark.strip())
        assert frame.mark.count("^") >= 1
