"""Pages and their JSON twins agree, nothing gated gets out, and one posture gives one site, byte by byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from trust_portal.claims import CompiledPosture
from trust_portal.errors import PortalError
from trust_portal.site.build import CONTENT_POLICY, SiteReport, build_site

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "portal.schema.json"
GATED = ("gated_table_4711", "arn:aws:rds:gated", "111122223333")
LOG = {
    "log_origin": "posture.example/log",
    "log_key": "posture.example/log+0a1b2c3d+AQkr",
    "checkpoint": "posture.example/log\n5\nroot=\n\n\u2014 posture.example/log c2ln\n",
}
VOID = {"meta", "link", "br", "img", "input"}

Build = Callable[[Path], SiteReport]


@pytest.fixture(scope="module")
def build(posture: CompiledPosture) -> Build:
    return lambda out: build_site(
        posture,
        out=out,
        title="TensorCost <&> Co",
        contact="mailto:security@example.com",
        as_of=posture.as_of,
        **LOG,
    )


@pytest.fixture(scope="module")
def site(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("portal") / "site"
    build(out)
    return out


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


class Microdata(HTMLParser):
    """The page read back: items with their properties, and what the head and the links say."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[dict[str, list[Any]]] = []
        self._open: list[tuple[str, Any, str | None]] = []
        self._scopes: list[dict[str, list[Any]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        name = found.get("itemprop")
        value: Any = found.get("value") or found.get("datetime")
        if "itemscope" in found:
            value = {}
            if not name:
                self.items.append(value)
        if name:
            self._scopes[-1].setdefault(name, []).append("" if value is None else value)
        if "itemscope" in found:
            self._scopes.append(value)
        if tag not in VOID:
            text_of = name if name and value is None and "value" not in found else None
            self._open.append((tag, "itemscope" in found, text_of))

    def handle_data(self, text: str) -> None:
        for _, scoped, name in reversed(self._open):
            if name:
                self._scopes[-1][name][-1] += text
            if name or scoped:
                return

    def handle_endtag(self, tag: str) -> None:
        opened, scoped, _ = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"
        if scoped:
            self._scopes.pop()


def read_back(page: Path) -> Microdata:
    parser = Microdata()
    parser.feed(page.read_text("utf-8"))
    return parser


def twin_of(page: Path, site: Path) -> dict[str, Any]:
    links = [
        found for tag, found in read_back(page).tags if tag == "link" and found.get("rel") == "alternate"
    ]
    (link,) = links
    assert link["type"] == "application/json"
    href = str(link["href"])
    path = site / href.lstrip("/") if href.startswith("/") else page.parent / href
    return dict(json.loads(path.read_text("utf-8")))


def test_each_page_links_a_twin_that_follows_the_schema(site: Path) -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))
    assert len(pages(site)) == 73
    for page in pages(site):
        validator.validate(twin_of(page, site))
    for path in (site / "api").rglob("*.json"):
        validator.validate(json.loads(path.read_text("utf-8")))


def test_a_claim_page_parses_back_to_the_values_of_its_twin(site: Path) -> None:
    for page in sorted((site / "claims").glob("*.html")):
        twin = twin_of(page, site)
        (item,) = read_back(page).items
        (claim,) = item["claim"]
        expected = twin["claim"]
        for name in ("id", "word", "state", "text", "reason", "quote", "stated_as"):
            assert claim[name] == [expected[name]], f"{page.name}: {name}"
        for name in ("deviations", "freshness_seconds"):
            assert claim[name] == [str(expected[name])]
        for name in ("observed", "valid_until", "measured", "check", "checked", "scope", "source"):
            assert claim.get(name, [""]) == [expected[name] or ""], f"{page.name}: {name}"
        assert claim.get("evidence", []) == expected["evidence"]
        assert claim.get("expects", []) == expected["expects"]
        (facts,) = claim.get("facts", [{}])
        assert {name: [str(value)] for name, value in expected["facts"].items()} == facts
        (ledger,) = claim.get("completeness", [{}])
        assert ledger == {name: rows for name, rows in expected["completeness"].items() if rows}
        assert item["as_of"] == [twin["as_of"]]
        assert item["valid_until"] == [twin["valid_until"]]


def test_the_front_page_parses_back_to_its_counts(site: Path) -> None:
    twin = twin_of(site / "index.html", site)
    (item,) = read_back(site / "index.html").items
    (counts,) = item["counts"]
    numbers = {name: [str(n)] for name, n in twin["counts"].items() if name != "claims"}
    assert counts == numbers
    assert sum(int(n[0]) for n in counts.values()) == twin["counts"]["claims"] == len(twin["claims"])
    assert item["kills"] == [{name: [json.dumps(n)] for name, n in twin["kills"].items()}]


def test_every_page_says_when_it_was_observed_and_until_when_it_holds(site: Path) -> None:
    for page in pages(site):
        times = [found for tag, found in read_back(page).tags if tag == "time"]
        assert {"as_of", "valid_until"} <= {found["itemprop"] for found in times}, page.name


def test_nothing_gated_occurs_in_the_public_tree(site: Path) -> None:
    for path in site.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            assert not [word for word in GATED if word in text], path.name


def test_the_same_posture_gives_the_same_bytes(build: Build, site: Path, tmp_path: Path) -> None:
    report = build(tmp_path / "deep" / "again")
    again = {
        path.relative_to(tmp_path / "deep" / "again")
        for path in (tmp_path / "deep").rglob("*")
        if path.is_file()
    }
    first = {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert again == set(first)
    for name, content in first.items():
        assert (tmp_path / "deep" / "again" / name).read_bytes() == content, name
    assert report.files == len(first)
    assert report.bytes == sum(map(len, first.values()))


def test_pages_stay_small_and_carry_the_policy(site: Path) -> None:
    for page in pages(site):
        assert page.stat().st_size <= 60_000, page.name
        html = page.read_text("utf-8")
        assert CONTENT_POLICY.replace("'", "&#39;") in html
        assert not re.search(r'\sstyle=|\son[a-z]+="|<style|javascript:', html)
    assert (site / "style.css").stat().st_size <= 12_288
    headers = (site / "_headers").read_text("utf-8")
    assert f"Content-Security-Policy: {CONTENT_POLICY}; frame-ancestors 'none'" in headers


def test_every_link_leads_to_a_page_of_the_site_and_none_leaves_it(site: Path) -> None:
    for page in pages(site):
        for _, found in read_back(page).tags:
            target = found.get("href") or found.get("src")
            if not target or target.startswith(("#", "mailto:")):
                continue
            assert "//" not in target, f"{page.name}: {target}"
            path = site / target[1:] if target.startswith("/") else page.parent / target
            assert path.resolve().is_file(), f"{page.name}: {target}"


def test_bad_news_stands_first_and_plainly(site: Path) -> None:
    twin = twin_of(site / "exceptions.html", site)
    words = [claim["word"] for claim in twin["exceptions"]]
    assert words == sorted(words, key=["failed", "overdue", "not shown", "waived"].index)
    assert words[0] == "failed"
    front = twin_of(site / "index.html", site)
    bad = {claim["id"] for claim in front["claims"] if claim["word"] == "failed"}
    assert bad <= {claim["id"] for claim in twin["exceptions"]}


def test_words_of_others_cannot_become_markup(site: Path) -> None:
    assert "TensorCost &lt;&amp;&gt; Co" in (site / "index.html").read_text("utf-8")


def test_security_txt_names_the_contact_and_expires_within_a_year(site: Path) -> None:
    text = (site / ".well-known" / "security.txt").read_text("utf-8")
    assert text.startswith("Contact: mailto:security@example.com\nExpires: 2027-05-22T15:04:05.000Z\n")


def test_a_site_replaces_a_site_and_nothing_else(build: Build, tmp_path: Path) -> None:
    out = tmp_path / "site"
    build(out)
    (out / "leftover.html").write_text("old")
    build(out)
    assert not (out / "leftover.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(PortalError, match="something else than a portal"):
        build(home)
    assert (home / "thesis.txt").exists()


def test_a_build_that_fails_leaves_the_old_site(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    build(out)
    before = (out / "index.html").read_bytes()

    def full(*_: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        build(out)
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
