"""The catalogue quotes the page to the letter, and its words promise no more than a verdict can carry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from checks.check import load_checks
from controls.claims import HERE, Claim, load_catalogue
from controls.errors import CatalogueError
from controls.wording import holds, placeholders, strong_words, typed_numbers

CATALOGUE = load_catalogue()
PREFIXES = {
    "tenant_isolation": ("RLS",),
    "agent_ingress": ("ING",),
    "cryptography": ("CRY",),
    "redaction": ("RED",),
    "operations": ("MON", "AVL"),
    "secrets": ("SEC",),
}
CLAIM = """
  - id: {id}
    quote: "x"
    status: in_place
    how: auto
    check: {id}
    criteria: [CC6.1]
    view: public
    freshness: P1D
    asserted: It holds.
    not_shown: It is not shown.
"""


def _squeezed(text: str) -> str:
    """The page's text lost its code marks and some spaces; nothing else may differ."""
    return re.sub(r"[\s`]+", "", text)


@pytest.mark.parametrize("claim", CATALOGUE.claims, ids=lambda claim: claim.id)
def test_every_quote_stands_on_the_security_page(claim: Claim) -> None:
    page = (HERE / "source" / "security-page.txt").read_text("utf-8")
    assert _squeezed(claim.quote) in _squeezed(page)


def test_every_claim_of_the_six_areas_is_in_the_catalogue() -> None:
    drafted = yaml.safe_load((HERE / "source" / "claims-draft.yaml").read_text("utf-8"))["claims"]
    for area in CATALOGUE.areas:
        expected = [item["id"] for item in drafted if item["id"].split("-")[0] in PREFIXES[area.name]]
        assert [claim.id for claim in area.claims] == expected
    assert len(CATALOGUE.claims) == 62


def test_the_catalogue_and_the_checks_name_each_other() -> None:
    checks = load_checks()
    decided = {claim.id: claim.check for claim in CATALOGUE.claims if claim.check}
    assert decided == {name: check.id for check in checks.values() for name in check.claims}


def test_a_claim_without_a_check_says_what_is_missing() -> None:
    for claim in CATALOGUE.claims:
        assert bool(claim.check) != bool(claim.needs), claim.id


def test_criteria_have_titles_in_our_own_words() -> None:
    assert len(CATALOGUE.criteria) == 61
    for claim in CATALOGUE.claims:
        assert all(CATALOGUE.criteria[name] for name in claim.criteria)


def _folder(tmp_path: Path, claims: str) -> Path:
    text = f"area: secrets\ntitle: Secrets\nsummary: How.\nclaims:{claims}"
    (tmp_path / "secrets.yaml").write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("quote:", "qoute:"), r"secrets\.yaml: SEC-01: unknown key 'qoute'"),
        (("    view: public\n", ""), r"secrets\.yaml: SEC-01: key 'view' is missing"),
        (("in_place", "in_spirit"), r"secrets\.yaml: SEC-01: .*in_spirit.* - at `\$\.status`"),
        (("P1D", "daily"), r"secrets\.yaml: SEC-01: .* - at `\$\.freshness`"),
        (("CC6.1", "CC9.9"), r"SEC-01: criteria names CC9\.9"),
        (("check: SEC-01\n", "needs: a probe\n    check: SEC-01\n"), "SEC-01: both check and needs"),
        (("    check: SEC-01\n", ""), "SEC-01: neither check nor needs"),
        (("It holds", "All of it holds"), "SEC-01: asserted says 'all' and proof states no equation"),
        (("It is not shown", "It is never shown"), "SEC-01: not_shown says 'never'"),
        (("It is not shown", "21 are shown"), "SEC-01: not_shown has the typed number 21"),
        (("It holds", "It holds for 9 tables"), "SEC-01: asserted has the typed number 9"),
        (("It is not shown", "It is {n} times shown"), "SEC-01: not_shown uses a fact"),
        (("    view: public\n", "    view: public\n    view: nda\n"), "key 'view' stands twice"),
    ],
)
def test_a_wrong_entry_is_named_with_file_claim_and_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    broken = CLAIM.format(id="SEC-01").replace(*change)
    with pytest.raises(CatalogueError, match=message):
        load_catalogue(_folder(tmp_path, broken))


def test_a_claim_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="SEC-01 stands in the catalogue twice"):
        load_catalogue(_folder(tmp_path, CLAIM.format(id="SEC-01") * 2))


def test_a_proof_must_be_an_equation_over_facts(tmp_path: Path) -> None:
    claim = CLAIM.format(id="SEC-01").replace("It holds.", "All of it holds.")
    with pytest.raises(CatalogueError, match="of the form `fact = fact`"):
        load_catalogue(_folder(tmp_path, claim + "    proof: {all: trust me}\n"))
    assert load_catalogue(_folder(tmp_path, claim + "    proof: {all: seen = there}\n")).claims


def test_strong_words_and_numbers_are_found_where_they_are_words_and_numbers() -> None:
    assert strong_words("Every row, and ONLY these; TLS 1.3 alone") == ("TLS 1.3", "every", "only")
    assert strong_words("allowed, small, read-write, everyone") == ()
    assert typed_numbers("21 of 50 in {n} days, 99.9% up") == ("21", "50", "99.9")
    assert typed_numbers("SHA-256, HMAC-SHA256, S3, TLS 1.3 and ADR-0010") == ()
    assert placeholders("{a} of {b}") == ("a", "b")
    assert holds("seen = there", {"seen": 2, "there": 2})
    assert not holds("deviations = 0", {"deviations": 1})
    assert not holds("seen = there", {"seen": 0, "there": 0}), "nought of nought proves nothing"
    assert holds('accepted = "TLSv1.3"', {"accepted": "TLSv1.3"})
