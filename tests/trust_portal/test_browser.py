"""In a real browser: no console error under the policy, nothing fetched elsewhere, readable on any screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.trust_portal.chromium import launched, needs_chromium
from trust_portal.claims import CompiledPosture
from trust_portal.site.build import HEADERS, build_site

Scheme = Literal["light", "dark"]
PAGES = (
    "index.html",
    "areas/tenant_isolation.html",
    "claims/RLS-01.html",
    "claims/RLS-03.html",
    "checks-can-fail.html",
    "exceptions.html",
    "verify.html",
    "404.html",
)

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
]


class _Pages(SimpleHTTPRequestHandler):
    """Serves the site with the headers that it asks a server for."""

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            if name != "Strict-Transport-Security":
                self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(posture: CompiledPosture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out = tmp_path_factory.mktemp("portal") / "site"
    build_site(
        posture,
        out=out,
        title="TensorCost",
        contact="mailto:security@example.com",
        as_of=posture.as_of,
        log_origin="posture.example/log",
        log_key="posture.example/log+0a1b2c3d+" + "A" * 44,
        checkpoint="posture.example/log\n5\n" + "r" * 43 + "=\n",
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(out)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


browser = pytest.fixture(scope="module")(launched)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


def test_the_console_stays_clean_and_no_request_leaves_the_site(
    context: BrowserContext, address: str
) -> None:
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        page.goto(f"{address}/{path}")
        assert page.locator("h1").count() == 1, path
    # A browser asks for the icon by itself; the page names none.
    assert [line for line in said if "favicon" not in line and "404" not in line] == []
    assert [url for url in asked if not url.startswith(address)] == []
    assert context.cookies() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_at_320_pixels(browser: Browser, address: str, scheme: Scheme) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    for path in PAGES:
        page.goto(f"{address}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    context.close()


def test_pages_are_read_without_javascript(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/claims/RLS-01.html")
    assert "What was checked" in page.inner_text("main")
    assert "out of date after" in page.inner_text("body > footer")
    assert not page.locator("#stale").is_visible()
    context.close()


def test_a_dead_site_looks_dead(context: BrowserContext, address: str, posture: CompiledPosture) -> None:
    page = context.new_page()
    page.clock.set_fixed_time(posture.as_of)
    page.goto(f"{address}/index.html")
    assert not page.locator("#stale").is_visible()
    page.clock.set_fixed_time(posture.valid_until.replace(year=posture.valid_until.year + 1))
    page.goto(f"{address}/index.html")
    assert page.locator("#stale").is_visible()


CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const lum = c => c.slice(0, 3).map(linear)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) low.push(`${e.className || e.tagName}: ${ratio.toFixed(2)}`);
  }
  return low; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa_in_both_schemes(
    browser: Browser, address: str, scheme: Scheme
) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    for path in PAGES:
        page.goto(f"{address}/{path}")
        assert page.evaluate(CONTRAST) == [], f"{scheme} {path}"
    context.close()
