"""A pack that a stranger can check: any byte that is flipped, cut, removed or added is named."""

from __future__ import annotations

import ast
import base64
import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence.kinds.log_key import LogKey
from evidence.ledger import Ledger, PendingEntry
from evidence.ledger.entries import EntryFacts, statement_facts
from evidence.ledger.keychain import rotation_subject, rotation_unit
from evidence.payload import Audience
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.dsse import sign
from evidence.proofs.notes import verifier_key_text
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE
from evidence.record import Record, seal
from evidence.view import LoggedRecord
from tests.trust_portal.packing import (
    ACCOUNTS,
    CANARY,
    FIRST,
    KEY,
    ORIGIN,
    OTHER,
    SIGNER,
    Writer,
    days,
    forged,
    look,
    month,
    named,
    record,
    scope,
    verified,
    zipped,
)
from trust_portal.errors import PackError
from trust_portal.packs import archive, verify
from trust_portal.packs.archive import write_archive

HOUSE = Path(__file__).parents[2]
GATED = CANARY.encode()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    made = month(tmp_path_factory.mktemp("log") / "ledger", days=4, accounts=3)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def pack(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pack") / "pack.zip"
    writer.pack(out)
    return out


@pytest.fixture(scope="module")
def files(pack: Path) -> dict[str, bytes]:
    return contents(pack)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    """A month in several bundles."""
    made = month(tmp_path_factory.mktemp("long") / "ledger")
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def week(long: Writer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of three days in the middle, as known on the day after them."""
    out = tmp_path_factory.mktemp("week") / "week.zip"
    long.pack(out, window=days(20, 22), as_of=FIRST + timedelta(days=23, hours=1))
    return out


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def flipped(content: bytes, at: int, choose: random.Random) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << choose.randrange(8)]) + content[at + 1 :]


# ---------- the verifier as a program ----------


def test_a_stranger_verifies_the_pack_with_nothing_but_python(pack: Path) -> None:
    command = [sys.executable, "-I", "-S", verify.__file__, str(pack)]
    pins = ["--origin", ORIGIN, "--key", KEY]
    done = subprocess.run([*command, *pins], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout
    assert "NOT PINNED" not in done.stdout
    assert "NOT CHECKED: each entry's own signature" in done.stdout
    signed = subprocess.run([*command, *pins, "--signatures"], capture_output=True, text=True)
    assert "checked with this file's own arithmetic" in signed.stdout
    unpinned = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    said = json.loads(unpinned.stdout)
    assert (said["ok"], said["pinned"], said["signatures"]) == (True, False, None)
    missing = subprocess.run([*command[:-1], "no.zip"], capture_output=True, text=True)
    assert missing.returncode == 2


def test_signatures_are_left_to_cryptography_where_it_is_installed(
    pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.main([str(pack), "--signatures"]) == 0
    assert "checked with cryptography" in capsys.readouterr().out


def test_the_verifier_is_one_file_for_python_3_9_that_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(verify.__file__).read_text("utf-8"), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - {"cryptography"} <= sys.stdlib_module_names


def test_the_verifier_can_be_read_in_one_sitting() -> None:
    """All of the file counts, with its comments, docstrings and empty lines."""
    lines = Path(verify.__file__).read_text("utf-8").splitlines()
    assert len(lines) < 500
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize(
    "pins",
    [["--key", KEY], ["--origin", "other.example/log", "--key", KEY], ["--origin", ORIGIN], ["--key", "x"]],
)
def test_half_a_pin_is_wrong_usage(pack: Path, pins: list[str]) -> None:
    assert verify.main([str(pack), *pins]) == 2


def test_an_unpinned_run_says_so_loudly(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(pack)]) == 0
    assert "NOT PINNED" in capsys.readouterr().out


# ---------- determinism and layout ----------


@pytest.mark.parametrize(
    "environment",
    [{"TZ": "Asia/Kolkata", "PYTHONHASHSEED": "1"}, {"TZ": "America/Lima", "PYTHONHASHSEED": "7"}],
)
def test_the_same_log_gives_the_same_bytes_elsewhere(
    week: Path,
    tmp_path_factory: pytest.TempPathFactory,
    long: Writer,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    """Another process, folder, time zone and hash seed; the log itself is written anew, too."""
    log = month(tmp_path / "elsewhere" / "log", days=4, accounts=3).ledger
    log.close()
    whole = tmp_path / "whole.zip"
    month(tmp_path / "here", days=4, accounts=3).pack(whole)
    again = tmp_path / "far" / "again.zip"
    program = HOUSE / "tests" / "trust_portal" / "packing.py"
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "elsewhere" / "log"), str(again)],
        cwd=tmp_path,
        env={**os.environ, **environment, "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == whole.read_bytes()


def test_the_layout_is_the_published_one(files: dict[str, bytes], week: Path) -> None:
    for name in (
        "00-README.html",
        "00-README.txt",
        "01-system-description/description.json",
        "02-control-matrix/matrix.xlsx",
        "06-evidence/index.csv",
        "07-exceptions/exceptions.html",
        "08-responsibilities/responsibilities.json",
        "09-changes/changes.json",
        "coverage.json",
        "scope.json",
        "verdicts/AVL-03.json",
        "judging/checks/operations.py",
        "log/checkpoint",
        "log/bundles",
        "log/entries/000000.txt",
        "log/payloads/auditor/000000.txt",
        "keys/log.vkey",
        "verify/verify.py",
        "verify/index.html",
        "verify/reperform.py",
        "SHA256SUMS",
        "SHA256SUMS.note",
    ):
        assert name in files
    criteria = {name.split("/")[1] for name in files if name.startswith("03-criteria/")}
    assert len(criteria) == 61
    assert {name.split("/")[1] for name in contents(week) if name.startswith("03-criteria/")} == criteria


def test_sha256sum_reads_the_sums(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(files, tmp_path)
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    sums = files["SHA256SUMS"].decode().splitlines()
    assert sums == sorted(sums, key=lambda line: line[66:])
    assert len(sums) == len(files) - 2


def test_the_manifest_and_the_report_are_as_their_schemas_say(
    files: dict[str, bytes], pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    schemas = HOUSE / "docs" / "schema"
    manifest = json.loads((schemas / "pack-manifest.schema.json").read_text())
    jsonschema_rs.validator_for(manifest).validate(json.loads(files["MANIFEST.json"]))
    verify.main([str(pack), "--format", "json"])
    report = json.loads((schemas / "pack-verification.schema.json").read_text())
    jsonschema_rs.validator_for(report).validate(json.loads(capsys.readouterr().out))


# ---------- every byte counts ----------


def test_a_flipped_byte_in_any_file_is_found_and_the_file_is_named(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = unpacked(files, tmp_path)
    assert named(folder) == set()
    choose = random.Random(7)
    for name, content in files.items():
        at = choose.randrange(len(content))
        (folder / name).write_bytes(flipped(content, at, choose))
        assert name in named(folder), f"{name}, byte {at}"
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("cut", [0, -1])
def test_a_truncated_file_is_named(files: dict[str, bytes], tmp_path: Path, cut: int) -> None:
    folder = unpacked(files, tmp_path)
    for name, content in sorted(files.items())[::3]:
        (folder / name).write_bytes(content[:cut])
        assert name in named(folder), name
        (folder / name).write_bytes(content)


def test_a_removed_and_an_added_file_are_named(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(files, tmp_path)
    for name, content in sorted(files.items())[::3]:
        (folder / name).unlink()
        assert name in named(folder), name
        (folder / name).write_bytes(content)
    for name in ("extra.txt", "log/entries/000256.txt", "verdicts/RLS-99.json"):
        (folder / name).write_bytes(b"x")
        assert name in named(folder), name
        (folder / name).unlink()


def test_a_link_in_an_unpacked_folder_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(files, tmp_path / "pack")
    (folder / "link").symlink_to(tmp_path)
    assert verified(folder).problems == [("link", "a link or a device; a pack has plain files alone")]


def corrupted_zips(pack: Path, target: Path, rounds: int, seed: int) -> None:
    """Flip a byte of the zip at random places, often in its directory; every time something is found."""
    whole = pack.read_bytes()
    end = int.from_bytes(whole[-6:-2], "little")
    choose = random.Random(seed)
    for _ in range(rounds):
        at = choose.randrange(end if choose.random() < 0.4 else 0, len(whole))
        target.write_bytes(flipped(whole, at, choose))
        assert verified(target).problems, f"byte {at}"


def corrupted_folders(files: dict[str, bytes], folder: Path, rounds: int, seed: int) -> None:
    """Flip a byte of a file at random; the file is named."""
    unpacked(files, folder)
    choose, names = random.Random(seed), sorted(files)
    for _ in range(rounds):
        name = choose.choice(names)
        at = choose.randrange(len(files[name]))
        (folder / name).write_bytes(flipped(files[name], at, choose))
        assert name in named(folder), f"{name}, byte {at}"
        (folder / name).write_bytes(files[name])


def test_random_corruptions_are_all_detected(pack: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    corrupted_zips(pack, tmp_path / "flipped.zip", 150, seed=11)
    corrupted_folders(files, tmp_path / "folder", 100, seed=13)


@pytest.mark.soak
def test_ten_thousand_corruptions_are_all_detected(
    pack: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    corrupted_zips(pack, tmp_path / "flipped.zip", 6_000, seed=17)
    corrupted_folders(files, tmp_path / "folder", 4_000, seed=19)


@pytest.mark.parametrize("junk", ["prefix", "suffix", "comment", "cut", "empty"])
def test_bytes_that_belong_to_no_file_are_refused(pack: Path, tmp_path: Path, junk: str) -> None:
    content = pack.read_bytes()
    altered = {
        "prefix": b"#!" + content,
        "suffix": content + b"x",
        "comment": content[:-2] + b"\x01\x00x",
        "cut": content[:-30],
        "empty": b"",
    }
    path = tmp_path / "altered.zip"
    path.write_bytes(altered[junk])
    assert verified(path).problems


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a//b", "a\\b", "checks/../x", ".", "a/..", "é"])
def test_names_that_leave_the_folder_are_refused(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for one, content in sorted({**files, name: b"x"}.items()):
            opened.writestr(zipfile.ZipInfo(one), content)
    assert verified(path).problems
    if name.isascii():
        write_archive({**files, name: b"x"}, path)
        assert "no name for a file of a pack" in verified(path).problems[0][1]


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(zipfile.ZipInfo("a"), b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr(zipfile.ZipInfo("a"), b"two")
    assert verified(path).problems


def test_a_compressed_zip_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "deflated.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in sorted(files.items()):
            opened.writestr(name, content)
    assert verified(path).problems


def test_more_than_a_plain_zip_can_hold_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with pytest.raises(PackError, match="a pack holds at most 2"):
        write_archive(dict.fromkeys("abc", b""), tmp_path / "p.zip")
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    with pytest.raises(PackError, match="pack a shorter window"):
        write_archive({"a": bytes(100)}, tmp_path / "p.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["a-file/pack.zip", "a-folder"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "a-file").write_bytes(b"")
    (tmp_path / "a-folder" / "in-it").mkdir(parents=True)
    with pytest.raises(PackError, match="cannot write"):
        write_archive({"a": b"x"}, tmp_path / where)


KILLED = """
import sys
from pathlib import Path
from trust_portal.packs.archive import write_archive
n = 0
while True:
    n += 1
    write_archive({"a": bytes([n % 251]) * 3_000_000, "b": bytes([n % 251])}, Path(sys.argv[1]))
    print(n, flush=True)
"""


def killed_writers(out: Path, rounds: int, seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(rounds):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(out)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HOUSE)},
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(choose.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        read = dict(verify.open_pack(out))
        assert read["a"] == read["b"] * 3_000_000


def test_a_builder_that_is_killed_leaves_the_old_pack_or_the_new_one(tmp_path: Path) -> None:
    killed_writers(tmp_path / "pack.zip", 5, seed=3)


@pytest.mark.soak
def test_a_builder_that_is_killed_two_hundred_times(tmp_path: Path) -> None:
    killed_writers(tmp_path / "pack.zip", 200, seed=5)


# ---------- whoever holds the key may not lie either ----------


def test_a_manifest_made_anew_with_another_key_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(forged(files, {"00-README.txt": b"trust us"}, OTHER), tmp_path / "forged.zip")
    assert named(path) == {"SHA256SUMS.note"}


def test_a_prettier_verdict_than_the_logged_one_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    """Even the holder of the log's key cannot ship a copy that says something else than the log."""
    verdict = parse_strict(files["verdicts/RLS-01.json"])
    verdict["value"]["state"] = "satisfied"
    path = zipped(forged(files, {"verdicts/RLS-01.json": canonical_bytes(verdict)}), tmp_path / "p.zip")
    (problem,) = verified(path).problems
    assert problem[0] == "verdicts/RLS-01.json"
    assert "differs from what entry" in problem[1]


def test_a_number_that_became_true_is_another_verdict(files: dict[str, bytes], tmp_path: Path) -> None:
    """For Python 1 equals true; for a reader of the verdict it does not."""
    verdict = parse_strict(files["verdicts/AVL-03.json"])
    assert verdict["value"]["facts"]["deviations"] == 1
    verdict["value"]["facts"]["deviations"] = True
    path = zipped(forged(files, {"verdicts/AVL-03.json": canonical_bytes(verdict)}), tmp_path / "true.zip")
    assert named(path) == {"verdicts/AVL-03.json"}


def evidence(files: dict[str, bytes]) -> list[str]:
    """The files of 06-evidence that hold a record."""
    return sorted(name for name in files if name.startswith("06-evidence/") and name.endswith(".json"))


def _newest(files: dict[str, bytes], check: str) -> dict[str, Any]:
    return dict(parse_strict(files[f"verdicts/{check}.json"]))


def test_an_older_greener_verdict_in_place_of_the_last_one_fails(
    writer: Writer, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Whoever holds the key may not choose which of several genuine verdicts to show."""
    assert _newest(files, "AVL-03")["value"]["state"] == "failed"
    writer.pack(tmp_path / "older.zip", as_of=FIRST + timedelta(days=1))
    older = contents(tmp_path / "older.zip")["verdicts/AVL-03.json"]
    assert parse_strict(older)["value"]["state"] == "satisfied"
    path = zipped(forged(files, {"verdicts/AVL-03.json": older}), tmp_path / "chosen.zip")
    assert named(path) == {"verdicts/AVL-03.json"}


def test_a_failed_verdict_that_is_left_out_fails(files: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(forged(files, {"verdicts/AVL-03.json": None}), tmp_path / "left-out.zip")
    assert named(path) == {"verdicts/AVL-03.json"}


def test_evidence_beside_a_verdict_is_what_was_logged(files: dict[str, bytes], tmp_path: Path) -> None:
    one, other = evidence(files)[:2]
    for change in (
        {one: files[other]},
        {one: None},
        {one: files[one].replace(b'"outcome":"observed"', b'"outcome":"denied"')},
        {"06-evidence/000000.json": b"{}"},
        {"06-evidence/999999.json": files[one]},
        {"06-evidence/0000001.json": files[one]},
    ):
        found = named(zipped(forged(files, change), tmp_path / "p.zip"))
        assert found, change
        assert all(name.startswith(("06-evidence/", "verdicts/")) for name in found)


def test_a_control_matrix_that_says_more_than_the_verdicts_fails(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    matrix = parse_strict(files["02-control-matrix/matrix.json"])
    row = next(row for row in matrix["rows"] if row["test"]["check"] == "AVL-03")
    assert row["result"]["word"] == "failed"
    row["result"] |= {"word": "verified", "state": "satisfied"}
    path = zipped(
        forged(files, {"02-control-matrix/matrix.json": canonical_bytes(matrix)}), tmp_path / "p.zip"
    )
    (problem,) = verified(path).problems
    assert problem == (
        "02-control-matrix/matrix.json",
        "claim AVL-03 says verified (satisfied), its verdict failed",
    )


def test_check_source_that_did_not_judge_is_told(files: dict[str, bytes], tmp_path: Path) -> None:
    name = "judging/checks/isolation.py"
    path = zipped(forged(files, {name: files[name] + b"# kinder\n"}), tmp_path / "source.zip")
    run = verified(path)
    assert run.problems == []
    assert run.notes == [
        f"{check} was judged by other source than judging/ holds." for check in ("AVL-03", "RLS-01")
    ]


def test_deep_json_is_refused_without_a_crash(files: dict[str, bytes], tmp_path: Path) -> None:
    deep = b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for name in ("scope.json", "02-control-matrix/matrix.json"):
        assert named(zipped(forged(files, {name: deep}), tmp_path / "deep.zip")) == {name}


def test_nonsense_in_a_signed_manifest_does_not_crash(files: dict[str, bytes], tmp_path: Path) -> None:
    for said in (
        {"schema": "posture.pack/v2"},
        {"origin": "other.example/log"},
        {"audience": "all"},
        {"window": {}},
        {"as_of": 7},
    ):
        assert verified(zipped(forged(files, {}, **said), tmp_path / "p.zip")).problems, said


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[-1]],
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: [rows[0].replace(b"observed", b"denied"), *rows[1:]],
        lambda rows: [rows[0].replace(b"\t", b"\t\t", 1), *rows[1:]],
        lambda rows: [rows[0] + b"\t", *rows[1:]],
        lambda rows: [rows[0].replace(b"test", b'test","kind":"posture.verdict/v1', 1), *rows[1:]],
        lambda rows: [rows[0].replace(b"test", b"te\\u0073t", 1), *rows[1:]],
        lambda rows: [b""],
    ],
)
def test_rows_of_entries_that_are_not_the_logs_are_found(
    files: dict[str, bytes], tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    name = "log/entries/000000.txt"
    rows = b"\n".join(change(files[name].split(b"\n")))
    assert rows != files[name]
    assert named(zipped(forged(files, {name: rows}), tmp_path / "p.zip")) == {name}
    assert named(unpacked({**files, name: rows}, tmp_path / "folder")) == {name}


def test_a_text_that_has_to_be_escaped_is_carried_in_its_one_form(tmp_path: Path) -> None:
    writer = month(tmp_path / "log", days=1, accounts=1)
    at = FIRST + timedelta(minutes=9)
    odd = 'a "quoted"\\ tab\t, line\nand é\u2028'
    looked = look(at, ACCOUNTS[0])
    writer.add(dataclasses.replace(looked, header=dataclasses.replace(looked.header, unit=odd)))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip")
    run = verified(tmp_path / "p.zip", signatures=True)
    assert run.problems == []
    (entry,) = (index for index in run.recorded if "quoted" in run.entry(index)[0][verify.UNIT])
    assert run.record(entry)["header"]["unit"] == odd
    files = contents(tmp_path / "p.zip")
    name = "log/entries/000000.txt"
    for other in (b"\\u00e9", b"\\/"):
        rows = files[name].replace("é".encode(), other)
        assert named(zipped(forged(files, {name: rows}), tmp_path / "q.zip")) == {name}


def test_hashes_of_bundles_that_are_not_the_logs_are_found(files: dict[str, bytes], tmp_path: Path) -> None:
    for hashes in (b"", files["log/bundles"] * 2, b"0" * 64 + b"\n", files["log/bundles"].upper()[:-1]):
        assert named(zipped(forged(files, {"log/bundles": hashes}), tmp_path / "p.zip")) == {"log/bundles"}


# ---------- audiences ----------


def test_a_pack_for_the_public_holds_nothing_gated(writer: Writer, pack: Path, tmp_path: Path) -> None:
    assert GATED in pack.read_bytes()
    for audience in (Audience.PUBLIC, Audience.NDA):
        path = tmp_path / f"{audience}.zip"
        writer.pack(path, audience=audience)
        run = verified(path, signatures=True)
        assert run.problems == []
        assert (GATED in path.read_bytes()) is (audience is Audience.NDA)  # deviations are under NDA
    roots = {contents(path)["log/checkpoint"] for path in (*tmp_path.iterdir(), pack)}
    assert len(roots) == 1


def test_a_gated_payload_smuggled_into_a_public_pack_is_found(
    writer: Writer, files: dict[str, bytes], tmp_path: Path
) -> None:
    writer.pack(tmp_path / "public.zip", audience=Audience.PUBLIC)
    public = contents(tmp_path / "public.zip")
    name, gated = "log/payloads/public/000000.txt", "log/payloads/auditor/000000.txt"
    assert gated not in public
    smuggled = public[name] + b"\n" + files[gated].split(b"\n")[0]
    for content in (smuggled, files[gated], public[name] + b"\n" + GATED):
        assert named(zipped(forged(public, {name: content}), tmp_path / "p.zip")) == {
            "log/entries/000000.txt"
        }
        assert named(unpacked({**public, name: content}, tmp_path / "folder")) == {name}
    assert named(zipped(forged(public, {gated: files[gated]}), tmp_path / "p.zip")) == {gated}
    extra = "log/entries/notes.txt"
    assert named(zipped(forged(public, {extra: GATED}), tmp_path / "p.zip")) == {extra}


def test_an_entry_that_calls_a_gated_payload_public_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever writes the log may not show to the public what says of itself that it is for auditors."""
    from evidence import record as records

    writer = month(tmp_path / "log", days=1, accounts=1)
    plain = records.canonical_bytes
    with monkeypatch.context() as patched:
        patched.setattr(
            records,
            "canonical_bytes",
            lambda value: plain(value).replace(b'"public","kind"', b'"auditor","kind"'),
        )
        writer.add(look(FIRST + timedelta(minutes=9), ACCOUNTS[0]))
    writer.judge(FIRST + timedelta(minutes=14), ["RLS-01"])
    writer.pack(tmp_path / "p.zip", audience=Audience.PUBLIC)
    assert named(tmp_path / "p.zip") == {"log/entries/000000.txt"}


def test_a_payload_that_is_left_out_is_found(files: dict[str, bytes], tmp_path: Path) -> None:
    name = "log/payloads/nda/000000.txt"
    lines = files[name].split(b"\n")
    for changed in (lines[:-1], [lines[1], lines[0], *lines[2:]], [*lines, b""]):
        path = zipped(forged(files, {name: b"\n".join(changed)}), tmp_path / "p.zip")
        assert named(path), len(changed)
        assert named(unpacked({**files, name: b"\n".join(changed)}, tmp_path / "folder")) == {name}
    assert named(zipped(forged(files, {name: None}), tmp_path / "p.zip")) == {name}


# ---------- windows ----------


def test_a_window_carries_what_its_verdicts_need(long: Writer, week: Path) -> None:
    run = verified(week, signatures=True)
    assert run.problems == []
    assert run.counted["entries"] < len(long.records)
    assert any("lie outside of the window" in note for note in run.notes)
    manifest = parse_strict(contents(week)["MANIFEST.json"])
    assert manifest["window"] == {"from": "2026-11-22", "to": "2026-11-24"}
    assert manifest["engagement"] == "soc2"


def test_a_bundle_that_is_left_out_of_a_window_is_found(week: Path, tmp_path: Path) -> None:
    files = contents(week)
    bundles = sorted(name for name in files if name.startswith(verify.BY_LINE))
    assert len(bundles) == 8
    for name in bundles:
        assert verified(zipped(forged(files, {name: None}), tmp_path / "p.zip")).problems, name
    whole = [name for name in bundles if name.endswith("/000512.txt")]
    path = zipped(forged(files, dict.fromkeys(whole)), tmp_path / "p.zip")
    assert verified(path).problems, "with its payloads, too"


def test_a_wider_window_than_the_entries_is_found(week: Path, tmp_path: Path) -> None:
    window = {"from": "2026-11-02", "to": "2026-11-24"}
    path = zipped(forged(contents(week), {}, window=window), tmp_path / "p.zip")
    (problem,) = verified(path).problems
    assert "entries of the window are missing" in problem[1]


def test_a_pack_needs_a_verdict_up_to_its_moment(writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no verdict up to that moment"):
        writer.pack(tmp_path / "p.zip", as_of=FIRST - timedelta(days=1))
    with pytest.raises(PackError, match="nothing was logged from"):
        writer.pack(tmp_path / "p.zip", window=days(20, 21))
    assert list(tmp_path.iterdir()) == []


def test_a_pack_of_an_earlier_moment_says_that_the_log_went_on(writer: Writer, tmp_path: Path) -> None:
    writer.pack(tmp_path / "earlier.zip", as_of=FIRST + timedelta(days=1))
    run = verified(tmp_path / "earlier.zip")
    assert run.problems == []
    assert any("are from after the pack's own moment" in note for note in run.notes)


# ---------- older checkpoints and changes of key ----------


def test_an_older_checkpoint_is_proved_to_be_extended(tmp_path: Path) -> None:
    writer = month(tmp_path / "log", days=2, accounts=2)
    old = writer.ledger.signed_checkpoint()
    at = FIRST + timedelta(days=3)
    writer.add(look(at, ACCOUNTS[0]))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip", since=old)
    run = verified(tmp_path / "p.zip")
    assert run.problems == []
    assert run.notes[0].startswith("The log extends the older checkpoint over")
    assert b"proves that nothing before it was rewritten" in contents(tmp_path / "p.zip")["00-README.txt"]


def test_a_rewritten_history_is_neither_packed_nor_verified(tmp_path: Path) -> None:
    other = month(tmp_path / "other", days=3, accounts=1)
    old = other.ledger.signed_checkpoint()
    writer = month(tmp_path / "log", days=4, accounts=2)
    with pytest.raises(PackError, match="does not extend the older checkpoint"):
        writer.pack(tmp_path / "p.zip", since=old)
    writer.pack(tmp_path / "p.zip")
    path = zipped(forged(contents(tmp_path / "p.zip"), {"log/since": old}), tmp_path / "q.zip")
    assert verified(path).problems == [
        ("log/since", "the log does not begin with these entries: its history was rewritten")
    ]


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A pack of a log whose key changed in the middle."""
    folder = tmp_path_factory.mktemp("rotated")
    writer = month(folder / "log", days=2, accounts=2)
    at = FIRST + timedelta(days=2)
    rotate(writer, rotation(at))
    writer.add(look(at, ACCOUNTS[0]))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(folder / "p.zip")
    return contents(folder / "p.zip")


def rotation(at: datetime) -> Record:
    key = LogKey(SIGNER.public.hex(), OTHER.public.hex(), "yearly rotation")
    return record(key, rotation_unit(SIGNER.public), rotation_subject(OTHER.public), at)


def rotate(writer: Writer, change: Record) -> None:
    sealed = seal(change, salt=bytes)
    envelope = sign(PAYLOAD_TYPE, sealed.statement, [SIGNER, OTHER]).encode()
    writer.ledger.rotate(PendingEntry(change.identity, envelope, tuple(sealed.subtrees.values())), OTHER)
    digest = hashlib.sha256(sealed.statement).hexdigest()
    writer.records.append(LoggedRecord(change, digest, len(writer.records)))
    writer.signer = OTHER


def signed_by(signer: Ed25519Signer) -> Callable[[bytes], bytes]:
    """Takes the signature of an envelope away and puts another one there."""

    def change(envelope: bytes) -> bytes:
        parsed = parse_strict(envelope)
        return sign(parsed["payloadType"], base64.b64decode(parsed["payload"]), [signer]).encode()

    return change


def test_a_reader_who_pinned_the_old_key_is_led_to_the_new_one(
    rotated: dict[str, bytes], tmp_path: Path
) -> None:
    path = zipped(rotated, tmp_path / "p.zip")
    for key in (KEY, verifier_key_text(ORIGIN, OTHER.public), None):
        assert verified(path, key=key, signatures=True).problems == []
    stranger = verifier_key_text(ORIGIN, Ed25519Signer.from_seed(b"s" * 32).public)
    assert named(path, key=stranger) == {"keys/log.vkey"}


def test_keys_that_did_not_lead_to_one_another_are_found(rotated: dict[str, bytes], tmp_path: Path) -> None:
    """Whoever holds the newest key may not name older ones, leave one out, or change their order."""
    old, new = rotated["keys/log.vkey"].decode().splitlines()
    stranger = verifier_key_text(ORIGIN, Ed25519Signer.from_seed(b"s" * 32).public)
    for lines in ([new], [stranger, new], [old, stranger, new], [stranger, old, new], [old, old, new]):
        keys = "".join(f"{line}\n" for line in lines).encode()
        path = zipped(forged(rotated, {"keys/log.vkey": keys}, OTHER), tmp_path / "p.zip")
        assert named(path, key=lines[0]) & {"keys/log.vkey", "log/entries/000000.txt"}, lines
    assert named(zipped(forged(rotated, {"keys/log.vkey": b""}, OTHER), tmp_path / "p.zip")) == {
        "keys/log.vkey"
    }


def test_a_key_of_its_own_may_sign_entries_where_the_pack_names_it(tmp_path: Path) -> None:
    writer = month(tmp_path / "log", days=1, accounts=1)
    at = FIRST + timedelta(minutes=9)
    writer.add(look(at, ACCOUNTS[0]), change=signed_by(OTHER))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip", evidence_keys=[OTHER.public])
    assert verified(tmp_path / "p.zip", signatures=True).problems == []
    assert named(tmp_path / "p.zip", key=verifier_key_text(ORIGIN, OTHER.public)) == {"keys/log.vkey"}


def test_a_retired_key_signs_nothing_any_more(tmp_path: Path) -> None:
    writer = month(tmp_path / "log", days=1, accounts=1)
    at = FIRST + timedelta(hours=1)
    rotate(writer, rotation(at))
    writer.add(look(at, ACCOUNTS[0]), change=signed_by(SIGNER))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip")
    (problem,) = verified(tmp_path / "p.zip").problems
    assert problem == ("log/entries/000000.txt", "entry 5 is signed by no key that may sign this entry")


# ---------- the published weaknesses of other tools (engines.md 2.1) ----------


def test_a_signature_covers_who_and_when_and_not_the_payload_alone(tmp_path: Path) -> None:
    """auditree: the signature covered the content only, so that its time could be set at will."""
    writer = month(tmp_path / "log", days=1, accounts=1)

    def aged(envelope: bytes) -> bytes:
        parsed = parse_strict(envelope)
        text = base64.b64decode(parsed["payload"]).replace(b"2026-11-09", b"2027-11-09")
        return canonical_bytes({**parsed, "payload": base64.b64encode(text).decode()})

    at = FIRST + timedelta(minutes=9)
    writer.add(look(at, ACCOUNTS[0]), change=aged)
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip")
    (problem,) = verified(tmp_path / "p.zip", signatures=True).problems
    assert problem[0].startswith("log/entries/")
    assert "InvalidSignature" in problem[1]


def test_evidence_replayed_under_another_name_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    """auditree: a file copied over another one, with its signature, verified as the other."""
    one, other = evidence(files)[:2]
    swapped = {one: files[other], other: files[one]}
    assert named(zipped(forged(files, swapped), tmp_path / "p.zip")) == {one, other}


def test_a_stripped_signature_makes_an_entry_invalid(tmp_path: Path) -> None:
    """auditree: evidence whose signature was taken away was accepted as unsigned evidence."""
    writer = month(tmp_path / "log", days=1, accounts=1)
    at = FIRST + timedelta(minutes=9)
    writer.add(look(at, ACCOUNTS[0]), change=signed_by(OTHER))
    writer.judge(at + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip")
    (problem,) = verified(tmp_path / "p.zip").problems
    assert "signed by no key that may sign this entry" in problem[1]
    files = contents(tmp_path / "p.zip")
    name = "log/entries/000000.txt"
    *cells, _, _ = files[name].split(b"\n")[0].split(b"\t")
    for signed in ([b"", b""], [b"ed25519:x", b"AA=="], []):
        row = b"\t".join([*cells, *signed])
        rows = b"\n".join([row, *files[name].split(b"\n")[1:]])
        assert named(zipped(forged(files, {name: rows}), tmp_path / "q.zip")) == {name}


def test_a_list_and_the_same_list_with_its_last_leaf_twice_have_two_roots() -> None:
    """corsair: an odd leaf was doubled, so that [a, b, c] and [a, b, c, c] had one root."""
    a, b, c = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in (b"a", b"b", b"c"))
    assert verify.tree_root([a, b, c]) != verify.tree_root([a, b, c, c])
    inner = verify.tree_root([a, b])
    assert hashlib.sha256(b"\x00" + a + b).digest() != inner


def test_silence_is_never_green_in_a_pack(tmp_path: Path) -> None:
    """prowler: without the permission to look, a check passed."""
    writer = Writer(tmp_path / "log")
    account = ACCOUNTS[0]
    writer.add(record(scope([account]), "scope", "project:demo", FIRST))
    refused = record(None, f"aws.rds/{account}/eu", f"aws:{account}/eu", FIRST, kind="aws.rds.instances/v1")
    writer.add(refused)
    writer.judge(FIRST + timedelta(minutes=5))
    writer.pack(tmp_path / "p.zip")
    files = contents(tmp_path / "p.zip")
    assert _newest(files, "AVL-03")["value"]["state"] == "unknown"
    assert verified(tmp_path / "p.zip").problems == []
    assert parse_strict(files["06-evidence/000001.json"])["value"] is None


def test_two_entries_about_one_observation_are_refused(tmp_path: Path) -> None:
    """An observation is logged once; a log that was made to hold two of them does not verify."""
    writer = month(tmp_path / "log", days=1, accounts=1)
    writer.ledger.close()
    writer.ledger = Ledger.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, facts_of=each_for_itself)
    once = look(FIRST + timedelta(minutes=9), ACCOUNTS[0])
    for salt in (b"1", b"2"):
        sealed = seal(once, salt=lambda size, salt=salt: salt * size)
        envelope = sign(PAYLOAD_TYPE, sealed.statement, [SIGNER]).encode()
        identity = hashlib.sha256(envelope).hexdigest()
        writer.ledger.append([PendingEntry(identity, envelope, tuple(sealed.subtrees.values()))])
        digest = hashlib.sha256(sealed.statement).hexdigest()
        writer.records.append(LoggedRecord(once, digest, len(writer.records)))
    writer.pack(tmp_path / "p.zip")
    (problem,) = verified(tmp_path / "p.zip").problems
    assert problem == ("log/entries/000000.txt", "entry 5 observes again what entry 4 observed")


def each_for_itself(entry: bytes) -> EntryFacts:
    """Facts by which no entry is a duplicate of another one."""
    return statement_facts(entry)._replace(identity=hashlib.sha256(entry).hexdigest())
