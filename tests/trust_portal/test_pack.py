"""A pack that a stranger can check: any byte that is flipped, cut, removed or added is named."""

from __future__ import annotations

import ast
import base64
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controls.verdict import State
from evidence.ledger import Ledger
from evidence.payload import Audience
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.notes import sign_note, verifier_key_text
from evidence.proofs.signers import Ed25519Signer
from trust_portal.errors import PackError
from trust_portal.packs import verify
from trust_portal.packs.archive import write_archive
from trust_portal.packs.build import SCHEMA, build_pack

AS_OF = datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)
ORIGIN = "posture.example/log"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
GATED_TABLE = b"billing.gated_table_4711"
KEY = verifier_key_text(ORIGIN, SIGNER.public)
PORTAL_AS_OF = "2026-11-23T15:04:05.000Z"
PORTAL = canonical_bytes({"as_of": PORTAL_AS_OF, "claims": []})


@pytest.fixture(scope="module")
def pack(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pack") / "pack.zip"
    build_pack(ledger, out, signer=SIGNER, as_of=AS_OF, portal=PORTAL)
    return out


@pytest.fixture(scope="module")
def files(pack: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def verified(path: Path, *, signatures: bool = False, key: str | None = KEY) -> verify.Verification:
    run = verify.Verification(verify.parse_key(key) if key else None, signatures, lambda line: None)
    run.verify(path)
    return run


def named(path: Path) -> set[str]:
    return {problem.file for problem in verified(path).problems}


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def test_a_stranger_verifies_the_pack_with_nothing_but_python(pack: Path) -> None:
    command = [sys.executable, "-I", "-S", verify.__file__, str(pack)]
    done = subprocess.run([*command, "--origin", ORIGIN, "--key", KEY], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout
    assert "NOT PINNED" not in done.stdout
    unpinned = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    assert json.loads(unpinned.stdout)["pinned"] is False
    missing = subprocess.run([*command[:-1], "no.zip"], capture_output=True, text=True)
    assert missing.returncode == 2


def test_the_verifier_is_one_file_for_python_3_9_that_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(verify.__file__).read_text("utf-8"), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_a_key_without_an_origin_is_wrong_usage(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(pack), "--key", KEY]) == 2
    assert verify.main([str(pack), "--origin", "other.example/log", "--key", KEY]) == 2
    assert verify.main([str(pack), "--origin", ORIGIN, "--key", "nonsense"]) == 2
    assert "belong together" in capsys.readouterr().err


def test_an_unpinned_run_says_so_loudly(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(pack)]) == 0
    assert "NOT PINNED" in capsys.readouterr().out


def test_the_same_log_gives_the_same_bytes(ledger: Ledger, pack: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "again.zip"
    build_pack(ledger, again, signer=SIGNER, as_of=AS_OF, portal=PORTAL)
    assert again.read_bytes() == pack.read_bytes()


def test_a_flipped_byte_in_any_file_is_found_and_the_file_is_named(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = unpacked(files, tmp_path)
    assert named(folder) == set()
    choose = random.Random(7)
    for name, content in files.items():
        at = choose.randrange(len(content))
        (folder / name).write_bytes(
            content[:at] + bytes([content[at] ^ 1 << choose.randrange(8)]) + content[at + 1 :]
        )
        assert name in named(folder), f"{name}, byte {at}"
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_truncated_file_is_named(files: dict[str, bytes], tmp_path: Path, cut: int) -> None:
    folder = unpacked(files, tmp_path)
    for name, content in files.items():
        (folder / name).write_bytes(content[:cut])
        assert name in named(folder), name
        (folder / name).write_bytes(content)


def test_a_removed_and_an_added_file_are_named(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(files, tmp_path)
    for name, content in files.items():
        (folder / name).unlink()
        assert name in named(folder), name
        (folder / name).write_bytes(content)
    for name in ("extra.txt", "payloads/" + "0" * 64, "entries/000005.json"):
        (folder / name).write_bytes(b"x")
        assert name in named(folder), name
        (folder / name).unlink()


def test_a_link_in_an_unpacked_folder_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(files, tmp_path / "pack")
    (folder / "link").symlink_to(tmp_path)
    assert "a link or a device" in verified(folder).problems[0].message


def test_a_flipped_byte_anywhere_in_the_zip_is_found(pack: Path, tmp_path: Path) -> None:
    content = bytearray(pack.read_bytes())
    end = int.from_bytes(content[-6:-2], "little")
    choose = random.Random(11)
    places = [*choose.sample(range(len(content)), 40), *choose.sample(range(end, len(content)), 60)]
    flipped = tmp_path / "flipped.zip"
    for at in places:
        content[at] ^= 1 << choose.randrange(8)
        flipped.write_bytes(content)
        assert verified(flipped).problems, f"byte {at}"
        content[:] = pack.read_bytes()


@pytest.mark.parametrize("junk", ["prefix", "suffix", "comment", "cut"])
def test_bytes_that_belong_to_no_file_are_refused(pack: Path, tmp_path: Path, junk: str) -> None:
    content = pack.read_bytes()
    altered = {
        "prefix": b"#!" + content,
        "suffix": content + b"x",
        "comment": content[:-2] + b"\x01\x00x",
        "cut": content[:-30],
    }
    path = tmp_path / "altered.zip"
    path.write_bytes(altered[junk])
    assert verified(path).problems


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a//b", "a\\b", "checks/../x", "."])
def test_names_that_leave_the_folder_are_refused(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    write_archive({**files, name: b"x"}, path)
    assert "no name for a file of a pack" in verified(path).problems[0].message


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    local, first = verify.zip_headers("a", 0, 0, 0)
    _, second = verify.zip_headers("a", 0, 0, len(local))
    body = local + local
    path.write_bytes(body + first + second + verify.zip_end(2, len(first + second), len(body)))
    assert "stands twice" in verified(path).problems[0].message


def test_a_compressed_zip_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "deflated.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(name, content)
    assert verified(path).problems


def _forged(files: dict[str, bytes], change: dict[str, bytes], signer: Ed25519Signer) -> dict[str, bytes]:
    """What somebody with a key of their own would make of the pack: a consistent manifest."""
    forged = {**files, **change}
    manifest = parse_strict(forged["MANIFEST.json"])
    for name, content in change.items():
        manifest["files"][name] = {"sha256": verify.hashlib.sha256(content).hexdigest(), "size": len(content)}
    forged["MANIFEST.json"] = canonical_bytes(manifest)
    digest = verify.hashlib.sha256(forged["MANIFEST.json"]).hexdigest()
    forged["MANIFEST.note"] = sign_note(f"{SCHEMA}\n{ORIGIN}\n{digest}\n", ORIGIN, signer)
    return forged


def test_a_manifest_made_anew_with_another_key_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    other = Ed25519Signer.from_seed(bytes(32))
    path = tmp_path / "forged.zip"
    write_archive(_forged(files, {"README.txt": b"trust us"}, other), path)
    assert named(path) == {"MANIFEST.note"}


def test_a_prettier_verdict_than_the_logged_one_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    """Even the holder of the log's key cannot ship a copy that says something else than the log."""
    verdict = parse_strict(files["verdicts/RLS-01.json"])
    verdict["value"]["state"] = "satisfied"
    path = tmp_path / "prettier.zip"
    write_archive(_forged(files, {"verdicts/RLS-01.json": canonical_bytes(verdict)}, SIGNER), path)
    (problem,) = verified(path).problems
    assert problem.file == "verdicts/RLS-01.json"
    assert "differs from what entry 3 of the log says" in problem.message


def test_an_entry_that_nobody_signed_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    envelope = parse_strict(files["entries/000001.json"])
    envelope["signatures"][0]["sig"] = parse_strict(files["entries/000002.json"])["signatures"][0]["sig"]
    path = tmp_path / "unsigned.zip"
    write_archive(_forged(files, {"entries/000001.json": canonical_bytes(envelope)}, SIGNER), path)
    found = {problem.file: problem.message for problem in verified(path, signatures=True).problems}
    assert "does not verify" in found["entries/000001.json"]
    assert "does not lead to the checkpoint" in found["proofs/000001.tlog-proof"]
    assert "root" in found["checkpoint"]


def test_a_claim_on_evidence_outside_of_the_log_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    claim = {"id": "RLS-01", "evidence": ["0" * 64]}
    portal = canonical_bytes({"as_of": PORTAL_AS_OF, "claims": [claim]})
    path = tmp_path / "claim.zip"
    write_archive(_forged(files, {"portal/posture.json": portal}, SIGNER), path)
    assert "which is not in the log" in verified(path).problems[0].message


def test_check_source_that_did_not_judge_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    name = "checks/checks/isolation.py"
    path = tmp_path / "source.zip"
    write_archive(_forged(files, {name: files[name] + b"# kinder\n"}, SIGNER), path)
    assert named(path) == {"verdicts/RLS-01.json", "verdicts/RLS-07.json"}


def test_deep_json_is_refused_without_a_crash(files: dict[str, bytes], tmp_path: Path) -> None:
    deep = b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path = tmp_path / "deep.zip"
    write_archive(_forged(files, {"scope.json": deep}, SIGNER), path)
    assert named(path) == {"scope.json"}


def test_a_pack_for_the_public_holds_nothing_gated(ledger: Ledger, pack: Path, tmp_path: Path) -> None:
    public = tmp_path / "public.zip"
    build_pack(ledger, public, signer=SIGNER, as_of=AS_OF, audience=Audience.PUBLIC)
    assert GATED_TABLE in pack.read_bytes()
    assert GATED_TABLE not in public.read_bytes()
    assert verified(public, signatures=True).problems == []


def test_a_pack_needs_a_verdict_up_to_its_moment(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no verdict up to that moment"):
        build_pack(ledger, tmp_path / "p.zip", signer=SIGNER, as_of=AS_OF - timedelta(days=1))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def turned_red(grown: Callable[..., Ledger], tmp_path: Path) -> tuple[Ledger, dict[str, bytes]]:
    """A log in which RLS-07, green before, was judged again and failed; with its honest pack."""
    ledger = grown(("RLS-07", State.FAILED, AS_OF + timedelta(minutes=1), {}))
    build_pack(ledger, tmp_path / "honest.zip", signer=SIGNER, as_of=AS_OF + timedelta(minutes=2))
    with zipfile.ZipFile(tmp_path / "honest.zip") as archive:
        return ledger, {name: archive.read(name) for name in archive.namelist()}


def _of_entry(files: dict[str, bytes], index: int) -> bytes:
    """The copy for reading of a logged verdict."""
    statement = parse_strict(base64.b64decode(parse_strict(files[f"entries/{index:06d}.json"])["payload"]))
    value: dict[str, object] = {}
    for subject in statement["subject"]:
        value |= parse_strict(files[f"payloads/{subject['digest']['sha256']}"])["value"]
    return canonical_bytes({"entry": index, "value": value})


def test_an_older_greener_verdict_in_place_of_the_last_one_fails(
    turned_red: tuple[Ledger, dict[str, bytes]], tmp_path: Path
) -> None:
    """Whoever holds the key may not choose which of several genuine verdicts to show."""
    _, files = turned_red
    assert parse_strict(files["verdicts/RLS-07.json"])["value"]["state"] == "failed"
    path = tmp_path / "chosen.zip"
    write_archive(_forged(files, {"verdicts/RLS-07.json": _of_entry(files, 4)}, SIGNER), path)
    assert "a newer one of the same is entry 5" in verified(path).problems[0].message


def test_a_failed_verdict_that_is_left_out_fails(
    turned_red: tuple[Ledger, dict[str, bytes]], tmp_path: Path
) -> None:
    _, files = turned_red
    manifest = parse_strict(files["MANIFEST.json"])
    del manifest["files"]["verdicts/RLS-07.json"]
    kept = {name: content for name, content in files.items() if name != "verdicts/RLS-07.json"}
    path = tmp_path / "left-out.zip"
    write_archive(_forged({**kept, "MANIFEST.json": canonical_bytes(manifest)}, {}, SIGNER), path)
    (problem,) = verified(path).problems
    assert problem.file == "verdicts/RLS-07.json"
    assert "is missing: entry 5" in problem.message


def test_a_pack_of_an_earlier_moment_says_that_the_log_went_on(
    turned_red: tuple[Ledger, dict[str, bytes]], tmp_path: Path
) -> None:
    ledger, _ = turned_red
    build_pack(ledger, tmp_path / "earlier.zip", signer=SIGNER, as_of=AS_OF)
    run = verified(tmp_path / "earlier.zip")
    assert run.problems == []
    assert run.notes == ["The log holds 1 verdicts from after the pack's own moment."]
    assert "after the pack's own moment" in verify.report_text(run, "p.zip")


GREEN = {"word": "verified", "state": "satisfied"}
RED = {"word": "failed", "state": "failed"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({**GREEN, "check": "RLS-01"}, "says satisfied, its verdict failed"),
        ({"word": "verified", "state": "unknown", "check": "RLS-01"}, "says unknown, its verdict failed"),
        ({**GREEN, "check": "RLS-99"}, "no verdict of the log decides it"),
        ({**RED, "check": "RLS-01", "observed": "2026-11-23T15:04:04.000Z"}, "rests on another verdict"),
    ],
)
def test_a_portal_that_says_more_than_the_verdicts_fails(
    files: dict[str, bytes], tmp_path: Path, change: dict[str, str], message: str
) -> None:
    verdict = parse_strict(files["verdicts/RLS-01.json"])["value"]
    said = {"id": "RLS-01", "evidence": verdict["evidence"], "observed": verdict["as_of"], **change}
    portal = canonical_bytes({"as_of": PORTAL_AS_OF, "claims": [said]})
    path = tmp_path / "portal.zip"
    write_archive(_forged(files, {"portal/posture.json": portal}, SIGNER), path)
    (problem,) = verified(path).problems
    assert (problem.file, message in problem.message) == ("portal/posture.json", True)


def test_a_number_that_became_true_is_another_verdict(files: dict[str, bytes], tmp_path: Path) -> None:
    """For Python 1 equals true; for a reader of the verdict it does not."""
    verdict = parse_strict(files["verdicts/RLS-01.json"])
    verdict["value"]["facts"]["tables"] = True
    path = tmp_path / "true.zip"
    write_archive(_forged(files, {"verdicts/RLS-01.json": canonical_bytes(verdict)}, SIGNER), path)
    assert named(path) == {"verdicts/RLS-01.json"}


def test_a_check_that_is_gone_does_not_stop_packs_and_is_told(
    grown: Callable[..., Ledger], tmp_path: Path
) -> None:
    gone = {"check": "OLD-01", "claims": ("OLD-01",), "source": "0d" * 32}
    ledger = grown(("RLS-01", State.FAILED, AS_OF, gone))
    build_pack(ledger, tmp_path / "pack.zip", signer=SIGNER, as_of=AS_OF)
    run = verified(tmp_path / "pack.zip")
    assert run.problems == []
    (note,) = run.notes
    assert note.startswith("Not among the verdicts: OLD-01, last judged failed by other check source")
