"""The prover: a sabotage is killed for the right reason only, and a survivor fails the command."""

import pytest

from checks import check as contract
from checks.check import Sabotage
from controls.verdict import Deviation
from posture.config import load_project
from posture.prove import is_named, prove
from posture.scoping import scope_of

pytestmark = pytest.mark.xdist_group("scene")


USERS = ("identity.app_user",)


def proved(scene, tmp_path, monkeypatch, *sabotages):
    contract.load_checks()
    monkeypatch.setattr("posture.prove.SABOTAGES", list(sabotages))
    return prove(
        scene.template, tmp_path / "twins", progress=lambda _line: None, only={one.check for one in sabotages}
    )


def test_a_sabotage_is_killed_when_its_check_names_what_was_broken(scene, tmp_path, monkeypatch):
    def disable(twin):
        twin.database.execute("ALTER TABLE identity.app_user DISABLE ROW LEVEL SECURITY")

    proof = proved(scene, tmp_path, monkeypatch, Sabotage("RLS-01", "disabled", USERS, disable))
    assert (proof.matrix.killed, proof.matrix.sabotages) == (1, 1)
    assert proof.to_json()["survivors"] == []
    assert "RLS-07" in proof.matrix.matrix[0].collateral


def test_a_change_that_no_check_sees_survives(scene, tmp_path, monkeypatch):
    def harmless(twin):
        twin.database.execute("COMMENT ON SCHEMA identity IS 'nothing is broken'")

    proof = proved(scene, tmp_path, monkeypatch, Sabotage("RLS-01", "harmless", USERS, harmless))
    assert proof.matrix.killed == 0
    assert proof.survivors[0].state == "satisfied"
    assert "no deviation names" in proof.to_json()["survivors"][0]["why"]


def test_red_for_another_reason_is_not_a_kill(scene, tmp_path, monkeypatch):
    def break_another(twin):
        twin.database.execute("ALTER TABLE identity.agent DISABLE ROW LEVEL SECURITY")

    proof = proved(
        scene,
        tmp_path,
        monkeypatch,
        Sabotage("RLS-01", "another table", USERS, break_another),
    )
    assert proof.survivors[0].state == "failed"
    assert proof.matrix.killed == 0


def test_a_patch_that_no_longer_fits_the_code_survives_and_says_so(scene, tmp_path, monkeypatch):
    def outdated(twin):
        twin.source.patch("core_platform/ingress/hello.py", "SKEW_MS = 12345", "SKEW_MS = 1")

    proof = proved(scene, tmp_path, monkeypatch, Sabotage("ING-03", "outdated", ("skew",), outdated))
    assert proof.survivors[0].state == "not_applied"
    assert "could not be applied" in proof.reasons["ING-03", "outdated"]


def test_a_twin_whose_process_does_not_start_is_not_a_kill(scene, tmp_path, monkeypatch):
    def stop_it(twin):
        twin.source.patch("core_platform/ingress/__main__.py", "    raise_floor()\n", "    return 7\n")

    proof = proved(scene, tmp_path, monkeypatch, Sabotage("ING-01", "does not start", ("ingress",), stop_it))
    assert proof.survivors[0].state == "not_applied"


def test_twins_are_separate_clusters_and_accounts(scene, tmp_path):
    from posture.twin import LiveTwin

    with (
        LiveTwin(tmp_path / "a", scene.template, 71) as one,
        LiveTwin(tmp_path / "b", scene.template, 72) as two,
    ):
        one.database.execute("ALTER ROLE core_app BYPASSRLS")
        one.aws.call(
            "guardduty",
            "delete_detector",
            DetectorId=one.aws.call("guardduty", "list_detectors")["DetectorIds"][0],
        )
        assert two.aws.call("guardduty", "list_detectors")["DetectorIds"]
        seen = {record.record.header.kind: record.record.payload for record in two.look({"databases"})}
        roles = {role.name: role for role in seen["postgres.row_security/v1"].roles}
        assert not roles["core_app"].bypass_rls
    assert not (tmp_path / "71").exists()


def test_an_unexpected_error_in_one_twin_costs_no_other_result(scene, tmp_path, monkeypatch):
    def crash(twin):
        raise ZeroDivisionError("a fault in the sabotage itself")

    def refuse(twin):
        twin.database.execute("ALTER TABLE identity.no_such_table DISABLE ROW LEVEL SECURITY")

    def disable(twin):
        twin.database.execute("ALTER TABLE identity.app_user DISABLE ROW LEVEL SECURITY")

    proof = proved(
        scene,
        tmp_path,
        monkeypatch,
        Sabotage("RLS-01", "crashes", USERS, crash),
        Sabotage("RLS-01", "is refused", USERS, refuse),
        Sabotage("RLS-01", "disabled", USERS, disable),
    )
    assert [one.state for one in proof.matrix.matrix] == ["not_applied", "not_applied", "failed"]
    assert proof.matrix.killed == 1
    assert "ZeroDivisionError" in proof.reasons["RLS-01", "crashes"]
    assert "no_such_table" in proof.reasons["RLS-01", "is refused"]


def test_a_twin_that_the_collector_cannot_look_at_is_not_a_kill(scene, tmp_path, monkeypatch):
    """A sabotage that takes the evidence away makes the verdict unknown, and that is no red."""

    def lock_out(twin):
        twin.database.execute("ALTER TABLE identity.app_user DISABLE ROW LEVEL SECURITY")
        twin.database.execute(
            "UPDATE pg_database SET datallowconn = false WHERE datname = current_database()"
        )

    proof = proved(scene, tmp_path, monkeypatch, Sabotage("RLS-01", "locked", USERS, lock_out))
    assert proof.survivors[0].state == "unknown"


def test_an_untouched_twin_that_cannot_be_made_leaves_no_kill(scene, tmp_path, monkeypatch):
    def disable(twin):
        twin.database.execute("ALTER TABLE identity.app_user DISABLE ROW LEVEL SECURITY")

    def broken(*_given):
        raise OSError("no space left for the untouched twin")

    monkeypatch.setattr("posture.prove._untouched", broken)
    proof = proved(scene, tmp_path, monkeypatch, Sabotage("RLS-01", "disabled", USERS, disable))
    assert proof.survivors[0].state == "not_green_before"
    assert "no space left" in proof.reasons["RLS-01", "disabled"]


@pytest.mark.parametrize(
    ("name", "where", "named"),
    [
        ("replay", "replay", True),
        ("replay", "concurrent_replay", False),
        ("core_app", "core_app_reader", False),
        ("app.scratch", "app.scratch_2", False),
        ("log:", "log:ingestion/err.log", True),
        ("vol-", "vol-0a1b", True),
        ("core_platform/sweeps.py", "core_platform/sweeps.py:12", True),
    ],
)
def test_a_deviation_names_a_thing_by_its_whole_name(name, where, named):
    assert is_named(name, Deviation("postgres:core: something", where)) is named


def test_no_sabotage_is_named_by_the_subject_that_every_deviation_begins_with(scene):
    subjects = [unit.subject for unit in scope_of(load_project(scene.project_file)).units]
    contract.load_checks()
    for sabotage in contract.SABOTAGES:
        for subject in subjects:
            named = [name for name in sabotage.names if is_named(name, Deviation(f"{subject}: ", ""))]
            assert named == [], sabotage
