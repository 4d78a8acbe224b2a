"""What others must do: own words, linked to claims that exist, and each company named by the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controls.claims import HERE, load_catalogue, load_drafted
from controls.errors import CatalogueError
from controls.responsibilities import RESPONSIBILITIES, load_responsibilities

CRITERIA = load_catalogue().criteria
DRAFTED = load_drafted()
TEXT = RESPONSIBILITIES.read_text("utf-8")


def loaded(path: Path = RESPONSIBILITIES):
    return load_responsibilities(path, claims=DRAFTED, criteria=CRITERIA)


def test_customers_and_companies_are_numbered_and_linked() -> None:
    found = loaded()
    assert [duty.id for duty in found.customer] == [f"CUEC-{n:02}" for n in range(1, len(found.customer) + 1)]
    assert len(found.customer) == 11
    assert {duty.organisation for duty in found.subservice} == {
        "Amazon Web Services",
        "LaunchDarkly",
        "PagerDuty",
        "KnowBe4",
    }
    assert all(duty.claims and duty.criteria for duty in (*found.customer, *found.subservice))


def test_each_company_is_named_by_the_page() -> None:
    page = (HERE / "source" / "security-page.txt").read_text("utf-8")
    for duty in loaded().subservice:
        assert duty.page in page
        assert any(word in duty.page for word in ("AWS", duty.organisation))


def test_the_fourteen_criteria_that_the_page_never_touches_are_known() -> None:
    touched = {criterion for served in DRAFTED.values() for criterion in served}
    assert len(CRITERIA) == 61
    untouched = [name for name in CRITERIA if name not in touched]
    assert len(untouched) == 14
    assert {"CC1.2", "CC3.3", "CC6.4", "P7.1"} < set(untouched)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("claims: [SEC-06, SEC-07]", "claims: [SEC-99]", r"CUEC-06: claims names SEC-99, which is no claim"),
        (
            "criteria: [CC2.3, CC7.3]",
            "criteria: [CC99.1]",
            r"CUEC-11: criteria names CC99.1, which is no criterion",
        ),
        ("criteria: [CC2.3, CC7.3]", "criteria: []", r"CUEC-11: criteria is empty"),
        ("id: CUEC-05", "id: CUEC-06", r"CUEC-06 stands where CUEC-05 was expected"),
        ("id: CUEC-05", "id: five", r"has no id of the form CUEC-01"),
        ("    title: Assign roles by need\n", "", r"CUEC-05: key 'title' is missing"),
        ("    title: Assign roles by need\n", "    title: 5\n", r"CUEC-05: Expected `str`"),
        (
            "    title: Assign roles by need\n",
            "    title: x\n    owner: y\n",
            r"CUEC-05: unknown key 'owner'",
        ),
        ("    organisation: KnowBe4\n", "", r"CSOC-04: key 'organisation' is missing"),
        ("subservice:", "subservices:", r"unknown key 'subservices'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert TEXT.count(old) == 1
    path = tmp_path / "responsibilities.yaml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(CatalogueError, match=f"^responsibilities.yaml: .*{said}|{said}") as raised:
        loaded(path)
    assert re.match(r"responsibilities\.yaml: ", str(raised.value))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "responsibilities.yaml"
    path.write_text("customer: []\nsubservice: []\n")
    with pytest.raises(CatalogueError, match="CUECs are no list of at least one"):
        loaded(path)
