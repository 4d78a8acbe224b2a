"""The register of waivers is read to the letter, and a mistake in it is named with its line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from controls.errors import WaiverError
from controls.waivers import load_waivers
from evidence.kinds.waiver import Waiver

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 23)
CHECKS = {"RLS-01", "RLS-07", "CRY-01"}
BOTH = '[identity.app_user, "databases:one: x: ai.spend"]'
GOOD = """\
# reviewed by security
- id: W-1
  check: RLS-01
  deviations: [identity.app_user, "databases:one: x: ai.spend"]
  owner: platform team
  reason: >
    moved in
    the next wave
  compensating: CRY-01
  expires: 2027-01-31
  ticket: SEC-12
"""


def read(tmp_path: Path, text: str) -> tuple[Waiver, ...]:
    path = tmp_path / "waivers.yaml"
    path.write_text(text)
    return load_waivers(path, checks=CHECKS, today=TODAY)


def test_a_waiver_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == (
        Waiver(
            id="W-1",
            check="RLS-01",
            deviations=("identity.app_user", "databases:one: x: ai.spend"),
            owner="platform team",
            reason="moved in the next wave",
            compensating="CRY-01",
            expires=datetime(2027, 1, 31, tzinfo=UTC),
            ticket="SEC-12",
        ),
    )


@pytest.mark.parametrize("text", ["", "[]\n", "# none\n"])
def test_a_register_without_waivers_has_none(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == ()


def test_an_expired_waiver_is_read_and_not_live(tmp_path: Path) -> None:
    (waiver,) = read(tmp_path, GOOD.replace("2027-01-31", "2025-01-31"))
    assert waiver.expires.year == 2025


def test_366_days_are_the_longest(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("2027-01-31", "2027-11-24"))
    with pytest.raises(WaiverError, match=r"waivers\.yaml:10: expires: 2027-11-25 is more than 366 days"):
        read(tmp_path, GOOD.replace("2027-01-31", "2027-11-25"))


WRONG = {
    "no list": ("id: W-1\n", r":1: is no list"),
    "not YAML": ("- {id: [\n", "is not YAML"),
    "an alias": ("- &a {id: *a}\n", r":1: uses an alias"),
    "deep": ("[" * 50 + "]" * 50, "nested deeper"),
    "no mapping": ("- W-1\n", r":1: is no waiver"),
    "an unknown key": (GOOD + "  until: 2027\n", r":12: until: is an unknown key"),
    "a repeated key": (GOOD + "  owner: me\n", r":12: owner: is given twice"),
    "a repeated id": (GOOD + GOOD, r":13: id: W-1 stands in the register twice"),
    "no compensating control": (
        GOOD.replace("  compensating: CRY-01\n", ""),
        r":2: compensating: is missing",
    ),
    "an empty reason": (
        GOOD.replace("team", "").replace("owner: platform", "owner: ''"),
        r":5: owner: is empty",
    ),
    "an unknown check": (GOOD.replace("RLS-01", "RLS-99"), r":3: check: there is no check 'RLS-99'"),
    "an unknown compensation": (GOOD.replace("CRY-01", "CRY-99"), r":9: compensating: there is no check"),
    "itself": (GOOD.replace("CRY-01", "RLS-01"), r":9: compensating: RLS-01 cannot make up for itself"),
    "no deviations": (
        GOOD.replace(BOTH, "[]"),
        r":4: deviations",
    ),
    "one deviation": (
        GOOD.replace(BOTH, "all"),
        r":4: deviations",
    ),
    "a number": (GOOD.replace("platform team", "12"), r":5: owner: is no text"),
    "a person": (GOOD.replace("platform team", "ann@example.com"), r":5: owner: is an address"),
    "no date": (GOOD.replace("2027-01-31", "soon"), r":10: expires: 'soon' is no date"),
    "a time": (GOOD.replace("2027-01-31", "2027-01-31T10:00:00Z"), r":10: expires"),
    "a bad id": (GOOD.replace("W-1", "W 1/../x"), r":2: id: 'W 1/../x' is no name"),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(WaiverError, match=told):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match="cannot be read"):
        load_waivers(tmp_path / "none.yaml", checks=CHECKS, today=TODAY)
    (tmp_path / "latin.yaml").write_bytes(b"- id: \xe4\n")
    with pytest.raises(WaiverError, match="is not YAML"):
        load_waivers(tmp_path / "latin.yaml", checks=CHECKS, today=TODAY)
