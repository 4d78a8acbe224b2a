"""Samples as an auditor and an operator draw them, and what either could try."""

from __future__ import annotations

import copy
import csv
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from evidence.kinds.population import Population, Sample, SampleCommitment
from evidence.payload import Audience, encode, subtrees
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.notes import verifier_key_text
from evidence.proofs.signers import Ed25519Signer, Ed25519Verifier
from evidence.record import CollectorId, Interval, Outcome
from evidence.sampling import ItemTree, SamplingError, commitment_of, drawn, item_leaves, seed_of
from posture import sampling
from posture.cli import Exit, run
from posture.config import Project, load_project
from posture.errors import UsageError
from posture.records import RecordLog, RunClock
from posture.sample_files import encoded, pack_files, picks_csv, sample_file
from posture.sample_verification import verify_sample
from posture.sampling import commit, draw, find_population, root_at
from posture.workspace import Workspace, open_workspace

ORIGIN = "log.example/posture"
CONFIG = f"project: x\nstate: state\nledger: {{origin: {ORIGIN}, signer: 'file:ledger.key', path: ledger}}\n"
ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "sample.json"
SCHEMA = json.loads((ROOT / "docs/schema/pack-sample.schema.json").read_text())
NOW = datetime(2026, 11, 23, 15, 4, 5, 678000, tzinfo=UTC)
NONCE = bytes(range(32))
KEY = Ed25519Signer.from_seed(b"\7" * 32)
VERIFIER = Ed25519Verifier(KEY.public)


def population(count: int = 40, salt: bytes = b"\5" * 32, name: str = "core.uses") -> Population:
    rows = tuple({"id": str(n), "who": f"=job-{n}"} for n in range(count))
    return Population(
        name=name,
        source="the log of uses",
        query="SELECT …",
        parameters={},
        code="dd" * 32,
        window=Interval(NOW, NOW),
        count=count,
        second_source="another",
        second_query="SELECT …",
        second_count=count,
        difference_count=0,
        reconciled=True,
        differences=(),
        sequence="id",
        gap_count=0,
        gaps=(),
        root=ItemTree(item_leaves(rows, salt)).root.hex(),
        salt=salt.hex(),
        items=rows,
    )


def publish(log: RecordLog, payload: Population, outcome: Outcome = Outcome.OBSERVED) -> int:
    clock = RunClock.start()
    now = clock.now()
    record = clock.record(
        unit="databases/core",
        subject=f"postgres:core/{payload.name}",
        kind=Population,
        payload=payload,
        observed=Interval(now, now),
        lifetime=sampling.KEPT,
        by=CollectorId("test", "1", ""),
        outcome=outcome,
        reason="" if outcome is Outcome.OBSERVED else "too many",
    )
    return log.append([record])[0].index


def opened(folder: Path) -> RecordLog:
    return RecordLog(folder, origin=ORIGIN, signer=KEY)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RecordLog]:
    log = opened(tmp_path / "ledger")
    publish(log, population())
    yield log
    log.ledger.close()


def promised(log: RecordLog, size: int = 7, nonce: bytes = NONCE) -> sampling.Logged:
    records = log.read()
    return commit(
        log,
        records,
        population=find_population(records, "core.uses"),
        size=size,
        commitment=commitment_of(nonce).hex(),
        auditor="Example Audit LLP",
    )


def drew(log: RecordLog, size: int = 7) -> sampling.Logged:
    promise = promised(log, size)
    return draw(log, log.read(), commitment_entry=promise.entry, nonce=NONCE)


def file_of(log: RecordLog, entry: int) -> bytes:
    return encoded(sample_file(log.ledger, log.read(), entry))


def by_hand(log: RecordLog, **changes: Any) -> bytes:
    """The file of a sample that an operator logs without `draw`, some of its values chosen."""
    promise_entry, promise = next(iter(dict(sampling.of_kind(log.read(), SampleCommitment)).items()))
    size = changes.pop("size", promise_entry + 1)
    root = root_at(log.ledger, size)
    seed = seed_of(bytes.fromhex(changes.get("root", promise.root)), NONCE, root)
    honest = Sample(
        population=promise.population,
        entry=promise.entry,
        root=promise.root,
        count=promise.count,
        commitment_entry=promise_entry,
        commitment=promise.commitment,
        nonce=NONCE.hex(),
        checkpoint_size=size,
        checkpoint_root=root.hex(),
        drawn=drawn(seed, promise.count, promise.size),
    )
    logged = sampling._log(log, "by-hand", "x", dataclasses.replace(honest, **changes))
    return file_of(log, logged.entry)


def test_a_sample_is_drawn_and_everything_about_it_is_proved(log: RecordLog) -> None:
    promise = promised(log)
    done = draw(log, log.read(), commitment_entry=promise.entry, nonce=NONCE)
    verified = verify_sample(file_of(log, done.entry), origin=ORIGIN, key=VERIFIER, kept=promise.checkpoint)
    assert verified.file.size == len(set(verified.file.drawn)) == 7
    assert [one.row["id"] for one in verified.file.picks] == [str(n) for n in verified.file.ordered]
    assert verified.file.whole == "100 % testing of 40 items: misses none"
    assert verified.file.misses[0].chance == "82.5 %"
    assert any("as in the checkpoint that was kept" in line for line in verified.checked)
    assert not any("NOT CHECKED" in line for line in verified.checked)


def test_a_file_stays_true_while_the_log_grows(log: RecordLog) -> None:
    done = drew(log)
    before = sample_file(log.ledger, log.read(), done.entry)
    for n in range(300):
        publish(log, population(1, name=f"core.other{n}"))
    after = sample_file(log.ledger, log.read(), done.entry)
    for file in (before, after):
        verify_sample(encoded(file), key=VERIFIER)
    assert dataclasses.replace(after, log=before.log) == before


def test_without_a_key_the_report_says_so(log: RecordLog) -> None:
    done = drew(log)
    verified = verify_sample(file_of(log, done.entry))
    assert "SIGNATURE NOT CHECKED" in verified.checked[0]
    with pytest.raises(SamplingError, match="sign"):
        verify_sample(
            file_of(log, done.entry), key=Ed25519Verifier(Ed25519Signer.from_seed(bytes(32)).public)
        )
    with pytest.raises(SamplingError, match="expected 'another"):
        verify_sample(file_of(log, done.entry), origin="another.example/log")


def test_a_population_that_is_logged_after_the_promise_changes_nothing(log: RecordLog) -> None:
    promise = promised(log)
    later = population(40, salt=b"\6" * 32)
    entry = publish(log, later)
    done = draw(log, log.read(), commitment_entry=promise.entry, nonce=NONCE)
    file = verify_sample(file_of(log, done.entry), key=VERIFIER, kept=promise.checkpoint).file
    assert file.population_root == population().root != later.root
    assert file.log.population.entry != entry


@pytest.mark.parametrize("size", [1, 2, 4, 5], ids=lambda size: f"tree-of-{size}")
def test_another_checkpoint_than_that_of_the_promise_is_refused(log: RecordLog, size: int) -> None:
    publish(log, population(name="core.before"))
    promised(log)
    publish(log, population(name="core.later"))
    publish(log, population(name="core.latest"))
    with pytest.raises(SamplingError, match=f"takes the tree of {size} entries; it must be that of 3"):
        verify_sample(by_hand(log, size=size), key=VERIFIER)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drawn": (0, 1, 2, 3, 4, 5, 6)}, "drawn"),
        ({"drawn": (0, 1)}, "promise says size"),
        ({"nonce": "11" * 32}, "the nonce is not the promised one"),
        ({"nonce": "11" * 32, "commitment": hashlib.sha256(b"\x11" * 32).hexdigest()}, "promise says commit"),
        ({"root": population(salt=b"\6" * 32).root}, "population says root"),
        ({"count": 39}, "population says count"),
    ],
    ids=["picks", "fewer", "nonce", "nonce-and-promise", "root", "count"],
)
def test_what_an_operator_chose_is_refused(log: RecordLog, changes: dict[str, Any], words: str) -> None:
    promised(log)
    with pytest.raises(SamplingError, match=words):
        verify_sample(by_hand(log, **changes), key=VERIFIER)


def test_a_population_that_was_logged_after_its_promise_is_refused(tmp_path: Path) -> None:
    log, other = opened(tmp_path / "ledger"), population()
    promise = SampleCommitment(
        "core.uses", 1, "", other.root, other.count, 7, commitment_of(NONCE).hex(), "x"
    )
    sampling._log(log, "early", "x", promise)
    publish(log, other)
    with pytest.raises(UsageError, match="not the population that the sample was promised of"):
        draw(log, log.read(), commitment_entry=0, nonce=NONCE)
    digest = log.read()[1].digest
    records = [
        dataclasses.replace(
            one,
            record=dataclasses.replace(one.record, payload=dataclasses.replace(promise, statement=digest)),
        )
        if one.entry == 0
        else one
        for one in log.read()
    ]
    done = draw(log, records, commitment_entry=0, nonce=NONCE)
    records += log.read()[2:]
    with pytest.raises(SamplingError, match="must be logged before the promise"):
        verify_sample(encoded(sample_file(log.ledger, records, done.entry)), key=VERIFIER)


def test_a_log_that_was_written_anew_does_not_have_the_kept_checkpoint(
    log: RecordLog, tmp_path: Path
) -> None:
    """Who knows the nonce could log the promise again, and again, until the picks suit."""
    kept = promised(log).checkpoint
    anew = opened(tmp_path / "anew")
    publish(anew, population())
    done = drew(anew)
    content = file_of(anew, done.entry)
    verify_sample(content, key=VERIFIER)
    with pytest.raises(SamplingError, match="its history was written anew"):
        verify_sample(content, key=VERIFIER, kept=kept)


def test_a_kept_checkpoint_of_another_size_is_not_taken_for_the_draws(log: RecordLog) -> None:
    promise = promised(log)
    done = draw(log, log.read(), commitment_entry=promise.entry, nonce=NONCE)
    with pytest.raises(SamplingError, match="the kept checkpoint has 3 entries, the draw takes 2"):
        verify_sample(file_of(log, done.entry), key=VERIFIER, kept=done.checkpoint)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from leaves(item, (*path, name))
    if not isinstance(value, dict | list):
        yield path


def test_no_value_of_a_file_can_be_changed(log: RecordLog) -> None:
    done = drew(log, 3)
    document = json.loads(file_of(log, done.entry))
    paths = list(leaves(document))
    assert len(paths) > 60
    for path in paths:
        changed = copy.deepcopy(document)
        parent = changed
        for name in path[:-1]:
            parent = parent[name]
        old = parent[path[-1]]
        parent[path[-1]] = old + 1 if isinstance(old, int) else f"{'0' if old[:1] != '0' else '1'}{old[1:]}"
        with pytest.raises(SamplingError):
            verify_sample(canonical_bytes(changed), key=VERIFIER)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"a":1,"a":2}'])
def test_what_is_no_sample_file_is_refused(content: bytes) -> None:
    with pytest.raises(SamplingError):
        verify_sample(content)


def test_a_file_with_other_spacing_or_order_is_refused(log: RecordLog) -> None:
    done = drew(log)
    pretty = json.dumps(json.loads(file_of(log, done.entry)), indent=1).encode()
    with pytest.raises(SamplingError, match="not canonical"):
        verify_sample(pretty, key=VERIFIER)


def test_the_published_form_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`POSTURE_UPDATE_GOLDEN=1 pytest tests/posture/test_sampling.py` writes it anew."""
    monkeypatch.setattr("posture.records.secrets.token_bytes", bytes)
    monkeypatch.setattr("posture.records.secrets.token_hex", lambda n: "00" * n)
    monkeypatch.setattr(RunClock, "now", staticmethod(lambda: NOW))
    log = opened(tmp_path / "ledger")
    publish(log, population())
    done = drew(log, 3)
    document = json.loads(file_of(log, done.entry))
    jsonschema_rs.validator_for(SCHEMA).validate(document)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("POSTURE_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    verify_sample(canonical_bytes(json.loads(GOLDEN.read_text())), origin=ORIGIN, key=VERIFIER)


def test_a_pack_carries_populations_and_samples_that_its_own_page_derives_again(
    log: RecordLog, tmp_path: Path
) -> None:
    promise = promised(log)
    publish(log, population(3))
    publish(log, population(2, name="core.others"))
    done = draw(log, log.read(), commitment_entry=promise.entry, nonce=NONCE)
    files = pack_files(log.ledger, log.read(), Audience.AUDITOR)
    assert files == pack_files(log.ledger, log.read(), Audience.AUDITOR)
    assert set(files) == {
        "04-populations/core.uses-000000.population.json",
        "04-populations/core.uses-000000.csv",
        "04-populations/core.uses-000002.population.json",
        "04-populations/core.uses-000002.csv",
        "04-populations/core.others.population.json",
        "04-populations/core.others.csv",
        "05-samples/core.uses.sample.json",
        "05-samples/rederive.py",
    }
    verify_sample(files["05-samples/core.uses.sample.json"], key=VERIFIER)
    told = json.loads(files["04-populations/core.uses-000000.population.json"])
    assert told["samples"] == [{"commitment_entry": 1, "size": 7, "sample_entry": done.entry}]
    rows = list(csv.DictReader(io.StringIO(files["04-populations/core.others.csv"].decode())))
    assert rows == [{"item": "0", "id": "0", "who": "'=job-0"}, {"item": "1", "id": "1", "who": "'=job-1"}]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    page = tmp_path / "05-samples/rederive.py"
    assert subprocess.run([sys.executable, "-I", str(page)], check=False).returncode == 0


@pytest.mark.parametrize("audience", [Audience.PUBLIC, Audience.NDA])
def test_nothing_of_the_items_is_in_what_others_read(log: RecordLog, audience: Audience) -> None:
    drew(log)
    files = pack_files(log.ledger, log.read(), audience)
    assert set(files) == {
        "04-populations/core.uses.population.json",
        "05-samples/core.uses.sample.json",
    }
    for content in files.values():
        assert b"job-" not in content
        assert b"Example Audit" not in content
        assert (b"05" * 32) not in content
    assert population().root.encode() in files["04-populations/core.uses.population.json"]


def test_a_pack_that_does_not_carry_the_sample_does_not_show_it(log: RecordLog) -> None:
    drew(log)
    files = pack_files(log.ledger, log.read(), Audience.AUDITOR, entries=frozenset({0}))
    assert set(files) == {"04-populations/core.uses.population.json", "04-populations/core.uses.csv"}
    assert json.loads(files["04-populations/core.uses.population.json"])["samples"] == []
    assert pack_files(log.ledger, log.read(), Audience.AUDITOR, entries=frozenset()) == {}


def test_the_picks_for_a_spreadsheet_name_their_place_in_the_draw(log: RecordLog) -> None:
    done = drew(log)
    file = sample_file(log.ledger, log.read(), done.entry)
    rows = list(csv.DictReader(io.StringIO(picks_csv(file).decode())))
    assert [int(row["item"]) for row in rows] == list(file.ordered)
    assert [int(row["item"]) for row in sorted(rows, key=lambda row: int(row["drawn"]))] == list(file.drawn)


# The command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose log holds one population of 40 items."""
    monkeypatch.delenv("POSTURE_KEY_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posture.yaml").write_text(CONFIG)
    publish(workspace(tmp_path).log, population())
    return tmp_path


def workspace(folder: Path) -> Workspace:
    return open_workspace(load_project(folder / "posture.yaml"), writing=True)


def step(*words: str) -> int:
    return run(["pack", "sample", *words])


def committing(nonce: bytes = NONCE, **changes: str) -> list[str]:
    given = {
        "population": "core.uses",
        "size": "7",
        "commitment": commitment_of(nonce).hex(),
        "auditor": "Example Audit LLP",
    }
    return ["commit", *(word for name, value in (given | changes).items() for word in (f"--{name}", value))]


def test_the_whole_way_from_a_nonce_to_a_verified_sample(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert step("nonce") == Exit.HOLDS
    nonce, commitment = (line.split()[1] for line in capsys.readouterr().out.splitlines())
    assert hashlib.sha256(bytes.fromhex(nonce)).hexdigest() == commitment
    assert step(*committing(commitment=commitment)) == Exit.HOLDS
    said = capsys.readouterr().out
    assert "entry 1 promises 7 items of core.uses" in said
    assert "draw --commitment-entry 1" in said
    assert step("draw", "--commitment-entry", "1", "--nonce", nonce) == Exit.HOLDS
    said = capsys.readouterr().out
    assert "entry 2: 7 of 40 items of core.uses" in said
    assert "100 % testing of 40 items: misses none" in said
    file = folder / "state/samples/core.uses-000001.sample.json"
    kept = folder / "state/samples/core.uses-000001.checkpoint"
    assert file.with_suffix(".csv").exists()
    signer = workspace(folder).signer
    assert signer is not None
    key = verifier_key_text(ORIGIN, signer.public)
    assert step("verify", str(file), "--key", key, "--kept", str(kept)) == Exit.HOLDS
    assert capsys.readouterr().out.endswith(": verified\n")
    assert step("verify", str(file)) == Exit.HOLDS, "the project's own key"
    before = file.read_bytes()
    file.unlink()
    assert step("files", "--entry", "2") == Exit.HOLDS
    assert file.read_bytes() == before
    file.write_bytes(before.replace(b'"size":7', b'"size":6'))
    capsys.readouterr()
    assert step("verify", str(file), "--key", key) == Exit.FINDINGS
    assert "DOES NOT HOLD" in capsys.readouterr().out


def test_an_auditor_needs_no_project_to_verify(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert step(*committing()) == Exit.HOLDS
    assert step("draw", "--commitment-entry", "1", "--nonce", NONCE.hex()) == Exit.HOLDS
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert step("verify", str(folder / "state/samples/core.uses-000001.sample.json")) == Exit.HOLDS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (committing(population="core.none"), "no population core.none; it holds: core.uses"),
        (committing(size="41"), "cannot draw 41 of the 40 items"),
        (committing(size="0"), "cannot draw 0 of the 40 items"),
        (committing(commitment="ab"), "64 hexadecimal digits"),
        ([*committing(), "--entry", "9"], "no population core.uses in entry 9"),
        (["draw", "--commitment-entry", "0", "--nonce", NONCE.hex()], "entry 0 promises no sample"),
        (["draw", "--commitment-entry", "0", "--nonce", "xyz"], "64 hexadecimal digits"),
        (["files", "--entry", "0"], "entry 0 holds no sample"),
        (["verify", "none.json"], "none.json"),
        (["verify", "posture.yaml", "--key", "x"], "--key"),
        (["sizes", "--table", "none.yaml"], "none.yaml"),
        (["take", "--from", "soon"], "write 2026-11-23"),
        (["take", "--from", "2999-01-01"], "not before the end"),
        (["take", "--from", "2026-01-02", "--to", "2026-01-01"], "not before the end"),
    ],
)
def test_a_wrong_step_ends_with_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert step(*words) == Exit.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_nonce_works_once_and_a_promise_is_drawn_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert step(*committing()) == Exit.HOLDS
    assert step(*committing()) == Exit.USAGE
    assert "this commitment is entry 1 already" in capsys.readouterr().err
    assert step("draw", "--commitment-entry", "1", "--nonce", "00" * 32) == Exit.USAGE
    assert "not the one that entry 1 promises" in capsys.readouterr().err
    assert step("draw", "--commitment-entry", "1", "--nonce", "00") == Exit.USAGE
    assert "32 bytes, this one 1" in capsys.readouterr().err
    assert step("draw", "--commitment-entry", "1", "--nonce", NONCE.hex()) == Exit.HOLDS
    assert step("draw", "--commitment-entry", "1", "--nonce", NONCE.hex()) == Exit.USAGE
    assert "drawn already, as entry 2" in capsys.readouterr().err
    assert workspace(folder).log.ledger.size == 3


def test_two_draws_at_once_are_one(log: RecordLog) -> None:
    """What both had read before does not matter: the ledger takes one entry of an identity."""
    promise = promised(log)
    records = log.read()
    draw(log, records, commitment_entry=promise.entry, nonce=NONCE)
    with pytest.raises(UsageError, match="nothing of this batch was logged"):
        draw(log, records, commitment_entry=promise.entry, nonce=NONCE)


def test_of_a_partial_or_an_untrue_population_nothing_is_promised(log: RecordLog) -> None:
    publish(log, population(5), Outcome.PARTIAL)
    with pytest.raises(UsageError, match=r"is partial \(too many\); take it again"):
        promised(log)
    publish(log, dataclasses.replace(population(), root="00" * 32))
    with pytest.raises(UsageError, match="do not lead to its root"):
        promised(log)


def test_a_table_of_sizes_is_the_auditors_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert step("sizes", "--table", str(ROOT / "examples/sampling.yaml")) == Exit.HOLDS
    said = capsys.readouterr().out
    assert "up to 25     all 25: misses none" in said
    assert "core.uses (entry 0, 40 items): 25 of 40: chance to miss all of 1: 37.5 %" in said


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("[{up_to: 25, sample: 5}, {up_to: 10, sample: 5}]", "must rise"),
        ("[{sample: 5}, {up_to: 10, sample: 5}]", "must rise"),
        ("[]", "must rise"),
        ("[{up_to: ten, sample: 5}]", "sizes[0].up_to is 'ten'"),
        ("[{up_to: 10, sample: 0}]", "sizes[0].sample is 0"),
        ("[{up_to: 10, sample: true}]", "sizes[0].sample is True"),
        ("[{up_to: 10}]", "sample"),
        ("[{upto: 10, sample: 1}]", "up_to"),
    ],
)
def test_a_wrong_table_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str], sizes: str, said: str
) -> None:
    Path("sampling.yaml").write_text(f"auditor: a\nbasis: b\nsizes: {sizes}\n")
    assert step("sizes", "--table", "sampling.yaml") == Exit.USAGE
    assert said in capsys.readouterr().err


def test_a_table_that_ends_says_that_it_does_not_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sampling.yaml").write_text("auditor: a\nbasis: b\nsizes: [{up_to: 10, sample: 5}]\n")
    assert step("sizes", "--table", "sampling.yaml") == Exit.HOLDS
    assert "core.uses (entry 0, 40 items): the table does not say" in capsys.readouterr().out


def test_kinds_of_samples_keep_the_auditor_for_auditors() -> None:
    promise = SampleCommitment("p", 0, "", "", 1, 1, "", "Example Audit LLP")
    split = subtrees(promise)
    assert split[Audience.AUDITOR] == {"auditor": "Example Audit LLP"}
    assert encode(promise) == {**split[Audience.PUBLIC], **split[Audience.AUDITOR]}


@pytest.mark.xdist_group("scene")
def test_the_platforms_own_populations_are_taken_and_sampled(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("--config", str(tmp_path / "posture.yaml"))
    assert step("take", *config) == Exit.HOLDS
    taken = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in taken] == [
        "core.bypass_uses",
        "core.spend_events",
        "core.events",
        "core.tenants",
    ]
    assert "the second source agrees" in next(line for line in taken if line.startswith("core.spend_events"))
    log = open_workspace(project, writing=True).log
    held = {one.name: one for _, one in sampling.of_kind(log.read(), Population)}
    assert held["core.spend_events"].count > 0
    assert step(*committing(population="core.spend_events", size="3"), *config) == Exit.HOLDS
    assert step("draw", "--commitment-entry", "4", "--nonce", NONCE.hex(), *config) == Exit.HOLDS
    (file,) = project.state.glob("samples/core.spend_events-*.sample.json")
    assert step("verify", str(file), *config) == Exit.HOLDS
    first = json.loads(file.read_text())["picks"][0]["row"]
    assert {"tenant_id", "source_object_hash", "line", "model_id"} <= set(first)
