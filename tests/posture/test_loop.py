"""The loop on a real platform: looked at, judged, and failing safe when something is taken away."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import psycopg
import pytest
import yaml

from controls.verdict import State, Verdict
from core_platform.agent import AgentClient, StreamEnded, telemetry
from evidence.ledger.verify import verify_ledger
from evidence.proofs.signers import Ed25519Verifier
from evidence.record import Outcome
from evidence.scope import Scope
from posture.cli import Exit, run
from posture.config import load_project
from posture.deployment import Deployment
from posture.embedded.deny_proxy import DenyProxy
from posture.pipeline import judge, verdicts_of
from posture.progress import Console
from posture.records import RunClock
from posture.summary import exit_code, to_json
from posture.traffic import demo_tenants, ingress_address
from posture.workspace import collect_into, open_workspace

pytestmark = pytest.mark.xdist_group("scene")
QUIET = Console(quiet=True)
SECTIONS = ("databases", "ingress", "ingestion", "sources", "aws", "platform")


def edited(path, change):
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture
def project_file(scene, tmp_path):
    path = tmp_path / "posture.yaml"
    path.write_bytes(scene.project_file.read_bytes())
    return path


def states(verdicts):
    return {verdict.check: verdict.state for verdict in verdicts}


def test_every_check_holds_on_the_untouched_platform(workspace):
    collected = collect_into(workspace, QUIET)
    verdicts = judge(workspace.log)
    assert set(collected.outcomes) == {Outcome.OBSERVED}
    assert {
        verdict.check: verdict.reason for verdict in verdicts if verdict.state is not State.SATISFIED
    } == {}
    assert len(verdicts) >= 12
    assert exit_code(verdicts) is Exit.HOLDS


def test_verdicts_and_scope_are_in_the_log_and_follow_from_it_again(workspace):
    collect_into(workspace, QUIET)
    verdicts = judge(workspace.log)
    records = workspace.log.read()
    logged = [one.record.payload for one in records if isinstance(one.record.payload, Verdict)]
    assert tuple(logged) == verdicts
    assert isinstance(records[0].record.payload, Scope)
    assert verdicts_of(records, as_of=verdicts[0].as_of) == verdicts


def test_a_lost_aws_permission_makes_the_verdict_unknown_and_the_gate_exit_3(scene, project_file, capsys):
    with DenyProxy(scene.aws.endpoint, [("rds", "DescribeDBInstances")]) as proxy:
        account = scene.aws.account
        edited(project_file, lambda d: d["aws"]["accounts"][account].update(endpoint_url=proxy.endpoint))
        code = run(["gate", "--quiet", "--format", "json", "--config", str(project_file)])
    said = json.loads(capsys.readouterr().out)
    by_check = {verdict["check"]: verdict for verdict in said["verdicts"]}
    assert code == Exit.INCOMPLETE
    assert by_check["AVL-03"]["state"] == by_check["CRY-02"]["state"] == "unknown"
    assert "denied" in by_check["AVL-03"]["completeness"]["refused"][0]
    assert by_check["RLS-01"]["state"] == "satisfied"
    assert said["summary"]["unknown"] == 2


def test_nothing_in_scope_is_never_green(project_file, capsys):
    edited(
        project_file,
        lambda d: [d.pop(key) for key in (*d,) if key in SECTIONS],
    )
    assert run(["gate", "--quiet", "--config", str(project_file)]) == Exit.INCOMPLETE
    assert " ok " not in capsys.readouterr().out


def test_an_unreachable_database_is_a_typed_non_observation(project_file):
    def unplug(document):
        document["databases"]["core"]["url"] = "postgresql://nobody@/core?host=/nonexistent"

    workspace = open_workspace(load_project(edited(project_file, unplug)), writing=True)
    collect_into(workspace, QUIET)
    records = [logged.record for logged in workspace.log.read()]
    catalog = [one for one in records if one.header.kind == "postgres.row_security/v1"]
    assert [one.header.outcome for one in catalog] == [Outcome.UNREACHABLE]
    assert catalog[0].payload is None
    assert catalog[0].header.reason
    assert states(judge(workspace.log))["RLS-01"] is State.UNKNOWN


def test_a_stopped_redis_lets_no_agent_in(scene, tmp_path):
    folder = tmp_path / "deployment"
    with Deployment(folder, template=scene.template.snapshot, durable=False) as deployment:
        deployment.start_ingress()
        agent = demo_tenants(deployment)[0].agents[0]
        address = ingress_address(deployment)
        assert AgentClient(agent, address).stream(_batches()).acknowledged == 2
        before = _samples(deployment)
        deployment.redis.stop()
        with pytest.raises(StreamEnded) as ended:
            AgentClient(agent, address, patience=1).stream(_batches())
        assert ended.value.code.name == "UNAVAILABLE"
        assert _samples(deployment) == before
        deployment.redis.start()
        assert AgentClient(agent, address).stream(_batches()).acknowledged == 2


def _batches():
    return islice(telemetry(1, start_ms=int(time.time() * 1000) - 60_000), 2)


def _samples(deployment):
    with psycopg.connect(deployment.admin_url) as connection:
        return connection.execute("SELECT count(*) FROM gpu.gpu_sample").fetchone()[0]


def test_stale_evidence_is_not_judged_green(workspace):
    collect_into(workspace, QUIET)
    records = workspace.log.read()
    fresh = verdicts_of(records, as_of=RunClock.now())
    assert to_json(fresh)["summary"]["satisfied"] == len(fresh)
    assert all(verdict.valid_until > verdict.as_of for verdict in fresh)
    outlived = verdicts_of(records, as_of=max(verdict.valid_until for verdict in fresh))
    assert set(states(outlived).values()) == {State.UNKNOWN}


def pipeline_killed_after(seconds, project_file):
    """Run the real command and kill it with SIGKILL; returns whether it was killed in time."""
    command = [sys.executable, "-m", "posture", "collect", "--quiet", "--config", str(project_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def acknowledged(project_file):
    path = project_file.parent / "ledger" / "checkpoint"
    return int(path.read_text().splitlines()[1]) if path.exists() else 0


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_a_killed_pipeline_continues_and_loses_nothing_acknowledged(scene, project_file, rounds):
    dice = random.Random(rounds)
    sizes, kills = [0], 0
    for _ in range(rounds):
        kills += pipeline_killed_after(dice.uniform(0.6, 2.5), project_file)
        sizes.append(acknowledged(project_file))
        assert sizes[-1] >= sizes[-2]
    workspace = open_workspace(load_project(project_file), writing=True)
    collect_into(workspace, QUIET)
    records = workspace.log.read()
    assert kills >= 1
    assert len(records) >= sizes[-1]
    identities = [one.record.identity for one in records]
    assert len(identities) == len(set(identities))
    verifier = Ed25519Verifier(workspace.signer.public)
    report = verify_ledger(project_file.parent / "ledger", origin=workspace.log.ledger.origin, key=verifier)
    assert report.ok, report.first
    assert exit_code(judge(workspace.log)) is Exit.HOLDS


def test_an_interrupted_run_is_continued_under_its_own_id(scene, project_file, monkeypatch):
    import posture.pipeline as pipeline

    workspace = open_workspace(load_project(project_file), writing=True)
    real, seen = pipeline.look_at, []

    def stop_after_three(clock, unit, collector, access):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(unit.id)
        return real(clock, unit, collector, access)

    monkeypatch.setattr(pipeline, "PARALLEL_UNITS", 1)
    monkeypatch.setattr(pipeline, "look_at", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        collect_into(workspace, QUIET)
    first = {one.record.header.run for one in workspace.log.read()}
    monkeypatch.setattr(pipeline, "look_at", real)
    collected = collect_into(workspace, QUIET)
    assert {collected.run} == first
    assert collected.continued >= 2
    assert len({one.record.header.run for one in workspace.log.read()}) == 1


def test_a_missing_secret_is_told_before_anything_is_collected(project_file, capsys):
    edited(project_file, lambda d: d["databases"]["core"].update(url="env:POSTURE_TEST_NOT_SET"))
    assert run(["collect", "--quiet", "--config", str(project_file)]) == Exit.USAGE
    told = capsys.readouterr().err
    assert "databases.core.url" in told
    assert "POSTURE_TEST_NOT_SET" in told
    assert not (Path(project_file.parent) / "ledger" / "tile").exists()


def test_the_commands_agree_on_one_ledger(project_file, capsys):
    config = ["--config", str(project_file)]
    assert run(["collect", "--quiet", *config]) == Exit.HOLDS
    assert run(["check", *config]) == Exit.HOLDS
    assert run(["portal", "build", *config]) == Exit.HOLDS
    assert run(["pack", "build", *config]) == Exit.HOLDS
    printed = capsys.readouterr().out
    origin, key = printed.rsplit("pin: --origin ", 1)[1].strip().split(" --key ")
    pack = project_file.parent / "state" / "pack.zip"
    assert run(["pack", "verify", str(pack), "--origin", origin, "--key", key]) == Exit.HOLDS
    assert run(["ledger", "verify", "--key", key, *config]) == Exit.HOLDS
    assert run(["ledger", "prove", "0", *config]) == Exit.HOLDS
    proof = capsys.readouterr().out
    assert "c2sp.org/tlog-proof@v1" in proof
    for form in ("json", "sarif", "junit", "github"):
        assert run(["check", "--format", form, *config]) == Exit.HOLDS
    index = (project_file.parent / "portal" / "index.html").read_text()
    assert "TensorCost" in index
    verifier = project_file.parent / "verify.py"
    verifier.write_bytes(_file_of(pack, "verify/verify.py"))
    alone = subprocess.run(
        [sys.executable, "-I", "-S", str(verifier), str(pack), "--origin", origin, "--key", key],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert alone.returncode == 0, alone.stdout + alone.stderr


def _file_of(pack, name):
    import zipfile

    with zipfile.ZipFile(pack) as archive:
        return archive.read(name)


def test_progress_is_plain_lines_off_a_terminal(project_file):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "posture", "collect", "--config", str(project_file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "databases/core" in done.stderr
    assert "\r" not in done.stderr
    assert done.stdout.startswith("run ")
    assert time.monotonic() - started < 60


def test_the_verifier_tries_the_platforms_own_database_and_finds_nothing(project_file, capsys):
    config = ["--config", str(project_file)]
    code = run(["rls", "verify", "--database", "core", "--format", "json", *config])
    said = json.loads(capsys.readouterr().out)
    assert {one["rule"] for one in said["findings"]} <= {"RLS055"}, said["findings"]
    assert said["inconclusive"] == []
    assert said["probes"] > 500
    assert code == (Exit.FINDINGS if said["findings"] else Exit.HOLDS)
    for form in ("text", "sarif", "junit", "github"):
        assert run(["rls", "verify", "--database", "core", "--format", form, *config]) == code
    assert run(["rls", "verify", "--database", "nowhere", *config]) == Exit.USAGE
    assert run(["rls", "verify", *config]) == Exit.USAGE
    url = load_project(project_file).databases["core"].url.resolve()
    assert run(["rls", "coverage", "--dsn", url, "--role", "core_app", *config]) == Exit.HOLDS
    assert run(["rls", "verify", "--dsn", url, "--role", "postgres", *config]) == Exit.USAGE
    assert "superuser" in capsys.readouterr().err
