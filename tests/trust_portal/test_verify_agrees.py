"""verify.py repeats the proofs code on purpose, index.html repeats verify.py; all give the same answers."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from evidence.payload import Audience
from evidence.proofs import canonical, dsse, ed25519, merkle, notes
from evidence.proofs.encoding import base64_bytes
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import key_id
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE
from evidence.record import Record, seal
from tests.trust_portal.chromium import launched, needs_chromium
from tests.trust_portal.packing import (
    FIRST,
    KEY,
    ORIGIN,
    OTHER,
    SIGNER,
    Writer,
    forged,
    month,
    record,
    scope,
    verified,
)
from trust_portal.packs import verify
from trust_portal.packs.archive import write_archive
from trust_portal.packs.lines import row

QUICK = settings(deadline=None, max_examples=60)
LOG_KEY = verify.parse_key(KEY)
PURE = ed25519.PureVerifier(SIGNER.public)

# RFC 8032 section 7.1, tests 1 to 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


def theirs_accepts(call: Callable[..., object], *arguments: Any) -> bool:
    """Whether the project's own code accepts."""
    try:
        call(*arguments)
    except ProofsError:
        return False
    return True


def ours_accepts(call: Callable[..., object], *arguments: Any) -> bool:
    """Whether verify.py accepts; what Python itself refuses is caught at its one boundary."""
    try:
        call(*arguments)
    except (verify.Bad, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def signature_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """The answer of verify.py, which must be the same with and without `cryptography`."""
    pure = ours_accepts(verify.check_signature, public, message, signature)
    try:
        verify.check_signature(public, message, signature, native=True)
    except Exception:  # noqa: BLE001 - the library's own type
        assert not pure
    else:
        assert pure
    return pure


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
@pytest.mark.parametrize("flip", [False, True])
def test_signatures_are_judged_alike(public: str, message: str, signature: str, flip: bool) -> None:
    altered = bytearray.fromhex(signature)
    altered[3] ^= flip
    arguments = (bytes.fromhex(public), bytes.fromhex(message), bytes(altered))
    assert signature_holds(*arguments) is not flip
    assert theirs_accepts(ed25519.verify, *arguments) is not flip


@pytest.mark.parametrize("public", sorted(ed25519.SMALL_ORDER))
def test_keys_of_small_order_are_refused_by_both(public: bytes) -> None:
    arguments = (public, b"", public + bytes(32))
    assert not signature_holds(*arguments)
    assert not theirs_accepts(ed25519.verify, *arguments)
    assert public in verify.WEAK


@pytest.mark.parametrize("raised", [ed25519.ORDER, 2 * ed25519.ORDER])
def test_an_s_above_the_group_order_is_refused_by_both(raised: int) -> None:
    signature = SIGNER.sign(b"m")
    s = (int.from_bytes(signature[32:], "little") + raised).to_bytes(32, "little")
    arguments = (SIGNER.public, b"m", signature[:32] + s)
    assert not signature_holds(*arguments)
    assert not theirs_accepts(ed25519.verify, *arguments)


@QUICK
@given(st.binary(min_size=32, max_size=32))
def test_points_are_read_alike(public: bytes) -> None:
    ours = ours_accepts(verify._point, public) and public not in verify.WEAK
    assert ours is theirs_accepts(ed25519.refuse_weak_key, public)


@QUICK
@given(st.lists(st.binary(max_size=6), max_size=40))
def test_roots_are_the_same(entries: list[bytes]) -> None:
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    assert verify.tree_root(leaves) == merkle.tree_root(leaves)


@QUICK
@given(st.integers(0, 700), st.integers(0, 700))
def test_roots_over_bundles_are_the_roots_over_their_entries(size: int, old: int) -> None:
    """And so the hashes of bundles prove both that an entry is in the log and that the log only grew."""
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(max(size, old))]
    for entries in (leaves[:size], leaves[:old]):
        bundles = [entries[n : n + verify.WIDTH] for n in range(0, len(entries), verify.WIDTH)]
        assert verify.tree_root([verify.tree_root(one) for one in bundles]) == merkle.tree_root(entries)


@QUICK
@given(st.text(alphabet="AQb+/=9_ \n", max_size=12))
def test_base64_is_read_alike(text: str) -> None:
    accepted = theirs_accepts(base64_bytes, text)
    assert ours_accepts(verify.unbase64, text) is accepted
    if accepted:
        assert verify.unbase64(text) == base64_bytes(text)


JSONS = [
    b'{"a":1}',
    b'{"a": 1}',
    b'{"b":1,"a":2}',
    b'{"a":1,"a":1}',
    b'{"a":1.0}',
    b'{"a":1e2}',
    b'{"a":1.5}',
    b'{"a":100000000000000000000}',
    b'{"a":-0}',
    b'{"a":NaN}',
    b'{"a":9007199254740991}',
    b'{"a":9007199254740992}',
    b'{"a":"\\u00e9"}',
    '{"a":"é\u2028\x7f"}'.encode(),
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":"\\n\\u0001"}',
    b'{"a":"\\u000a"}',
    b'{"a":"\n"}',
    b'{"a":true,"b":null,"c":[],"d":{}}',
    b"[1]",
    b"null",
    b"",
    b'{"a":1}x',
    b"\xef\xbb\xbf{}",
    b'{"__proto__":1}',
    b'{"a":"</script>"}',
]


def canonical_object(content: bytes) -> bool:
    """Whether the project's own code reads an object of evidence, which has no fractions, in its one text."""
    try:
        value = canonical.parse_strict(content)
    except ProofsError:
        return False
    plain = isinstance(value, dict) and not any(isinstance(item, float) for item in value.values())
    return plain and canonical.canonical_bytes(value) == content


@pytest.mark.parametrize("content", JSONS)
def test_json_is_read_alike(content: bytes) -> None:
    assert ours_accepts(verify.unjson, content) is canonical_object(content)


@QUICK
@given(st.integers(0, 400), st.integers(0, 7), st.booleans())
def test_checkpoints_are_judged_alike(at: int, bit: int, flip: bool) -> None:
    root = merkle.leaf_hash(b"x")
    note = bytearray(notes.sign_checkpoint(notes.Checkpoint(ORIGIN, 7, root), SIGNER))
    if flip:
        note[at % len(note)] ^= 1 << bit
    accepted = theirs_accepts(lambda: notes.open_checkpoint(bytes(note), origin=ORIGIN, trusted=[PURE]))
    assert ours_accepts(verify.open_checkpoint, bytes(note), LOG_KEY) is accepted
    assert accepted is not flip


@QUICK
@given(st.text(max_size=12), st.text(max_size=12), st.integers(0, 2), st.integers(0, 2000), st.integers(0, 7))
def test_a_row_stands_for_its_envelope_and_no_other(
    unit: str, reason: str, signers: int, at: int, bit: int
) -> None:
    """The verifier makes the very bytes again that were signed; altered, they are refused by both."""
    header = dataclasses.replace(record(scope([]), "u", "s", FIRST).header, unit=unit, reason=reason)
    statement = seal(Record(header, scope([])), salt=bytes).statement
    envelope = dsse.sign(PAYLOAD_TYPE, statement, [[SIGNER], [OTHER], [SIGNER, OTHER]][signers]).encode()
    cells = row(envelope, where="entry 0")
    assert verify.envelope_of(cells) == envelope
    assert verify.statement_of(cells) == statement
    keys = {key_id(one.public): one.public for one in (SIGNER, OTHER)}
    verify.check_entry(cells, keys)
    altered = list(cells)
    place = at % 16  # of what was signed
    altered[place] += chr(1 << bit)
    assert not ours_accepts(verify.check_entry, altered, keys)
    assert verify.envelope_of(altered) != envelope


def test_keys_are_read_alike() -> None:
    assert (LOG_KEY.name, LOG_KEY.public, LOG_KEY.id) == (ORIGIN, SIGNER.public, key_id(SIGNER.public))
    for altered in (KEY[:-1], KEY.replace("+", "-", 1), "x" + KEY):
        assert not ours_accepts(verify.parse_key, altered)
        assert not theirs_accepts(notes.parse_verifier_key, altered)


# ---------- the same in a browser ----------

browser = pytest.fixture(scope="module")(launched)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    made = month(tmp_path_factory.mktemp("log") / "ledger", days=3, accounts=2)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def pack(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pack") / "pack.zip"
    writer.pack(out)
    return out


@pytest.fixture(scope="module")
def folder(pack: Path) -> Path:
    with zipfile.ZipFile(pack) as opened:
        opened.extractall(pack.parent / "unpacked")
    return pack.parent / "unpacked"


@pytest.fixture(scope="module")
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page of a pack, opened from its file."""
    context = browser.new_context()
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: said.append(request.url))
    address = f"file://{folder / 'verify' / 'index.html'}"
    opened.goto(address)
    yield opened
    assert said == [address]
    context.close()


ASKED = """async ([zip, key, signatures]) => {
  const bytes = Uint8Array.from(atob(zip), c => c.charCodeAt(0));
  try {
    const run = new Verification(openZip(bytes), await parseKey(key), signatures);
    return (await run.verify()).problems.map(([file]) => file);
  } catch (error) { return [error.file || "the zip"]; }
}"""


def asked(page: Page, pack: bytes, *, signatures: bool = False) -> set[str]:
    """The files that the page names."""
    return set(page.evaluate(ASKED, [base64.b64encode(pack).decode(), KEY, signatures]))


@pytest.mark.browser
@needs_chromium
def test_the_page_and_the_program_find_the_same(
    page: Page, pack: Path, folder: Path, tmp_path: Path, writer: Writer
) -> None:
    files = dict(verify.open_pack(pack))
    verdict = json.loads(files["verdicts/AVL-03.json"])
    verdict["value"]["state"] = "satisfied"
    stem = next(name for name in files if name.startswith("06-evidence/") and name.endswith(".json"))
    rows, payloads = "log/entries/000000.txt", "log/payloads/nda/000000.txt"
    lines = files[rows].split(b"\n")
    changes: list[dict[str, bytes | None]] = [
        {},
        {"verdicts/AVL-03.json": canonical.canonical_bytes(verdict)},
        {"verdicts/AVL-03.json": None},
        {"scope.json": b"{}"},
        {rows: files[rows][:-1]},
        {rows: files[rows] + b"\t"},
        {rows: b"\n".join([lines[1], lines[0], *lines[2:]])},
        {rows: files[rows].replace(b"test", b"te\\u0073t", 1)},
        {rows: files[rows].replace(b"test", b'test","kind":"x', 1)},
        {rows: None},
        {payloads: files[payloads][:-1]},
        {payloads: files[payloads] + b"\n"},
        {payloads: None},
        {"log/payloads/auditor/000256.txt": b"{}"},
        {"log/bundles": files["log/bundles"] * 2},
        {stem: b"{}"},
        {stem: None},
        {"06-evidence/0000001.json": files[stem]},
        {"06-evidence/999999.json": files[stem]},
        {"02-control-matrix/matrix.json": b"[]"},
        {"log/since": files["log/checkpoint"]},
        {"keys/log.vkey": b"x\n"},
        {"a/../b": b""},
    ]
    for change in changes:
        path = tmp_path / "changed.zip"
        write_archive(forged(files, change), path)
        ours = {file for file, _ in verified(path).problems}
        theirs = asked(page, path.read_bytes())
        assert (ours == theirs) or "a/../b" in change, (change.keys(), ours, theirs)
        assert bool(ours) is bool(change.keys() - {"log/since"})
    for audience in Audience:
        writer.pack(tmp_path / "p.zip", audience=audience)
        assert asked(page, (tmp_path / "p.zip").read_bytes(), signatures=True) == set()


@pytest.mark.browser
@needs_chromium
def test_the_page_finds_flipped_bytes(page: Page, pack: Path, tmp_path: Path) -> None:
    whole, choose = pack.read_bytes(), random.Random(23)
    end = int.from_bytes(whole[-6:-2], "little")
    for _ in range(25):
        at = choose.randrange(end if choose.random() < 0.5 else 0, len(whole))
        altered = whole[:at] + bytes([whole[at] ^ 1 << choose.randrange(8)]) + whole[at + 1 :]
        assert asked(page, altered), f"byte {at}"
        (tmp_path / "p.zip").write_bytes(altered)
        assert verified(tmp_path / "p.zip").problems


@pytest.mark.browser
@needs_chromium
def test_the_page_reads_signatures_keys_and_json_as_the_program_does(page: Page) -> None:
    check = """async ([key, message, signature]) => {
      try { await checkSignature(unhex(key), unhex(message), unhex(signature)); return true }
      catch { return false }
    }"""
    stranger = Ed25519Signer.from_seed(bytes(32))
    s = (int.from_bytes(SIGNER.sign(b"m")[32:], "little") + ed25519.ORDER).to_bytes(32, "little")
    vectors = [(bytes.fromhex(k), bytes.fromhex(m), bytes.fromhex(sig)) for k, m, sig in VECTORS]
    vectors += [(key, b"", key + bytes(32)) for key in sorted(ed25519.SMALL_ORDER)]
    vectors += [(SIGNER.public, b"m", SIGNER.sign(b"m")[:32] + s), (SIGNER.public, b"m", stranger.sign(b"m"))]
    vectors += [(SIGNER.public, b"m", key + bytes(32)) for key in sorted(ed25519.SMALL_ORDER)]
    vectors += [
        ((2**255 - 19 + 3).to_bytes(32, "little"), b"m", SIGNER.sign(b"m")),
        (b"short", b"", bytes(64)),
    ]
    for vector in vectors:
        assert page.evaluate(check, [part.hex() for part in vector]) is signature_holds(*vector), vector
    read = "([text]) => { try { unjson(unhex(text)); return true } catch { return false } }"
    for content in JSONS:
        assert page.evaluate(read, [content.hex()]) is canonical_object(content), content
    key = "async ([line]) => { try { await parseKey(line); return true } catch { return false } }"
    for line in (KEY, KEY[:-1], KEY.replace("+", "-", 1), "x" + KEY, ""):
        assert page.evaluate(key, [line]) is ours_accepts(verify.parse_key, line), line
    text = "([text]) => { try { return hex(unbase64(text)) } catch { return null } }"
    for encoded in ("", "AA==", "AB==", "AAA", "AA=", "A A=", "AAAA\n", "////", "_-__"):
        expected = verify.unbase64(encoded).hex() if ours_accepts(verify.unbase64, encoded) else None
        assert page.evaluate(text, [encoded]) == expected, encoded


@pytest.mark.browser
@needs_chromium
def test_a_reader_picks_a_pack_and_is_told(
    browser: Browser, folder: Path, pack: Path, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"file://{folder / 'verify' / 'index.html'}")
    told = page.locator("#verdict")
    page.click("button")
    expect(told).to_have_text(re.compile("choose a zip or a folder first"))
    page.set_input_files("#zip", str(pack))
    page.click("button")
    expect(told).to_have_text(re.compile("^✓ The pack holds"), timeout=30_000)
    assert "NOT PINNED" in page.inner_text("#report")
    page.fill("#origin", ORIGIN)
    page.fill("#key", KEY)
    page.check("#signatures")
    page.click("button")
    expect(page.locator("#report")).to_have_text(
        "Each entry's own signature: checked with WebCrypto.", timeout=30_000
    )
    page.fill("#origin", "other.example/log")
    page.click("button")
    expect(told).to_have_text(re.compile("belong together"))
    page.fill("#origin", ORIGIN)
    page.set_input_files("#zip", [])
    page.set_input_files("#folder", str(folder))
    page.click("button")
    expect(told).to_have_text(re.compile("^✓ The pack holds"), timeout=30_000)
    altered = tmp_path / "altered"
    shutil.copytree(folder, altered)
    (altered / "coverage.json").write_bytes(b"{}")
    page.set_input_files("#folder", str(altered))
    page.click("button")
    expect(told).to_have_text(re.compile("^✕ 1 problem"), timeout=30_000)
    assert "coverage.json: was altered" in page.inner_text("#report")
    context.close()


@pytest.mark.browser
@needs_chromium
def test_the_page_reads_well_on_a_phone_and_in_the_dark(browser: Browser, folder: Path) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"file://{folder / 'verify' / 'index.html'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
