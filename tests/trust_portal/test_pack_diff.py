"""Two packs compared: what an auditor of this year asks about the one of last year."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import random
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from evidence.payload import Audience
from evidence.proofs.canonical import canonical_bytes, parse_strict
from tests.trust_portal.engagements import AS_OF, FIRST, LAST, engagement, month
from trust_portal.errors import PackError
from trust_portal.packs.diff import diff_packs, diff_text
from trust_portal.packs.documents.engagement import Engagement, Window
from trust_portal.packs.documents.files import document_files

SCHEMA = jsonschema_rs.validator_for(
    json.loads((Path(__file__).parents[2] / "docs/schema/pack-diff.schema.json").read_text("utf-8"))
)
MONTH = month()


def pack(folder: Path, made: Engagement, states: dict[str, str], change: Any = None) -> Path:
    """A pack's documents and verdicts, unpacked."""
    files = document_files(made)
    for check, state in states.items():
        files[f"verdicts/{check}.json"] = canonical_bytes(
            {"entry": 1, "value": {"check": check, "state": state}}
        )
    if change:
        change(files)
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def zipped(folder: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return out


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the auditor got it on the seventh day: RLS-01 failed, CRY-01 was retested."""
    first = engagement(
        entries=MONTH, window=Window(FIRST, FIRST + timedelta(days=6)), as_of=AS_OF - timedelta(22)
    )
    return pack(tmp_path_factory.mktemp("earlier"), first, {"RLS-01": "failed", "CRY-01": "satisfied"})


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    second = engagement(entries=MONTH, window=Window(FIRST + timedelta(days=7), LAST))
    states = {"RLS-01": "satisfied", "CRY-01": "satisfied", "RLS-08": "failed"}
    return pack(tmp_path_factory.mktemp("later"), second, states)


def changed(compared: dict[str, Any], key: str) -> dict[str, tuple[str, str]]:
    return {one[key]: (one["from"], one["to"]) for one in compared["changed"]}


def test_two_packs_are_compared_claim_by_claim(earlier: Path, later: Path) -> None:
    found = diff_packs(earlier, later)
    assert SCHEMA.is_valid(found), [error.message for error in SCHEMA.iter_errors(found)]
    claims: Any = found["claims"]
    assert changed(claims, "id")["RLS-01"] == ("failed", "verified")
    assert changed(claims, "id")["RLS-08"] == ("verified", "failed")
    assert "RLS-08" in claims["worse"]
    assert "RLS-01" not in claims["worse"]
    verdicts: Any = found["verdicts"]
    assert changed(verdicts, "check") == {"RLS-01": ("failed", "satisfied")}
    assert verdicts["added"] == [{"check": "RLS-08", "to": "failed"}]
    exceptions: Any = found["exceptions"]
    assert [name[:10] for name in exceptions["retested"]] == ["EXC-RLS-01"]
    assert [name[:10] for name in exceptions["new"]] == ["EXC-AVL-03", "EXC-RLS-08"]
    coverage: Any = found["coverage"]
    before, after = changed(coverage, "check")["CRY-01"]
    assert before == "7 of 7 received"
    assert after == "18 of 21 received, 1 late, 1 stale, 1 missing"
    assert found["cautions"] == []


def test_a_pack_is_the_same_as_itself_as_a_folder_and_as_a_zip(later: Path, tmp_path: Path) -> None:
    found = diff_packs(later, zipped(later, tmp_path / "later.zip"))
    for name in ("claims", "verdicts", "criteria", "kills", "coverage"):
        compared: Any = found[name]
        assert not compared["added"] + compared["withdrawn"] + compared["changed"]
    assert "nothing changed" not in diff_text(found), "an exception is still open, and that is told"
    assert "still open: 1" in diff_text(found)


def test_the_text_begins_with_the_worst(earlier: Path, later: Path) -> None:
    lines = diff_text(diff_packs(earlier, later)).splitlines()
    assert lines[0].startswith("earlier  demo, soc2-type2, 2026-11-02 to 2026-11-08, for auditor")
    assert lines[2] == "new exceptions: 2"
    claims = lines[lines.index(next(line for line in lines if line.startswith("claims:"))) + 1 :]
    assert claims[0].startswith("  ! RLS-08  verified -> failed")


def test_packs_that_cannot_be_compared_plainly_say_why(later: Path, tmp_path: Path) -> None:
    other = engagement(Audience.PUBLIC, entries=MONTH, project="another", origin="elsewhere/log")
    other = dataclasses.replace(other, as_of=AS_OF - timedelta(days=1))
    cautions = diff_packs(later, pack(tmp_path / "other", other, {}))["cautions"]
    assert [str(one).partition(":")[0] for one in cautions] == [
        "the packs are of two logs",
        "the packs are for two audiences",
        "the packs are of two projects",
        "the first pack is the newer one",
    ]


def test_an_exception_that_is_told_no_more_is_named(later: Path, tmp_path: Path) -> None:
    def forget(files: dict[str, bytes]) -> None:
        parsed = parse_strict(files["07-exceptions/exceptions.json"])
        parsed["exceptions"] = [one for one in parsed["exceptions"] if one["check"] != "RLS-08"]
        files["07-exceptions/exceptions.json"] = canonical_bytes(parsed)

    silent = pack(tmp_path / "silent", engagement(entries=MONTH), {}, forget)
    found: Any = diff_packs(later, silent)["exceptions"]
    assert [name[:10] for name in found["not_listed"]] == ["EXC-RLS-08"]


def test_a_strangers_pack_cannot_steer_the_terminal(later: Path) -> None:
    found: Any = copy.deepcopy(diff_packs(later, later))
    found["earlier"]["project"] = "demo\x1b[2J\nverified: everything"
    assert "\x1b" not in diff_text(found)
    assert len(diff_text(found).splitlines()[0].split("verified: everything")) == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda files: files.pop("coverage.json"), "has no coverage.json"),
        (lambda files: files.update({"coverage.json": b"[]"}), "coverage.json: Expected `object`"),
        (lambda files: files.update({"coverage.json": b'{"checks":'}), "coverage.json: not strict JSON"),
        (
            lambda files: files.update({"verdicts/X.json": b'{"value":{"check":1,"state":"x"}}'}),
            "verdicts/X.json",
        ),
        (lambda files: files.update({"03-criteria/CC6.1/criterion.json": b"{}"}), "03-criteria/CC6.1"),
    ],
)
def test_a_damaged_pack_is_named(later: Path, tmp_path: Path, damage: Any, said: str) -> None:
    broken = pack(tmp_path / "broken", engagement(entries=MONTH), {}, damage)
    for path in (broken, zipped(broken, tmp_path / "broken.zip")):
        with pytest.raises(PackError, match=said) as raised:
            diff_packs(later, path)
        assert str(path) in str(raised.value)


def test_no_random_damage_crashes_the_comparison(later: Path, tmp_path: Path) -> None:
    whole = zipped(later, tmp_path / "whole.zip").read_bytes()
    chance = random.Random(5)
    for n in range(150):
        content = bytearray(whole)
        for _ in range(3):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path = tmp_path / "damaged.zip"
        path.write_bytes(content[: chance.randrange(len(content))] if n % 5 == 0 else content)
        with contextlib.suppress(PackError):
            diff_packs(later, path)


def test_a_file_that_is_no_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    for path, said in (
        (tmp_path / "text.zip", "no readable zip"),
        (tmp_path / "none.zip", "there is no such pack"),
    ):
        with pytest.raises(PackError, match=said):
            diff_packs(path, path)
