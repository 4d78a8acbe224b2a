from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from collectors.aws.drivers import LiveDriver, RecordingDriver, ReplayDriver
from collectors.aws.flow import AwsAccess, Call
from collectors.aws.refusals import AwsRefused, refusal_of_code
from collectors.boundary import look
from collectors.collector import NotObserved, Observed, Sighting
from collectors.errors import CassetteError
from collectors.registry import collectors_for
from evidence.kinds import aws as kinds
from evidence.record import Outcome
from evidence.scope import Unit
from posture.embedded.aws import MotoServer
from posture.embedded.aws_account import EmulatedAccount, seed_account
from posture.embedded.deny_proxy import DenyProxy

ACCOUNT = "111122223333"
EMPTY_ACCOUNT = "444455556666"
REGION = "us-east-1"
POPULATIONS = ("aws.rds", "aws.s3", "aws.ec2", "aws.cloudtrail", "aws.guardduty", "aws.config")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        seed_account(EmulatedAccount(server.endpoint, ACCOUNT, REGION))
        yield server


def session_of(endpoint: str, account: str) -> boto3.Session:
    outside = boto3.Session("AKIAEMULATEDACCOUNT0", "emulated", region_name=REGION)
    keys = outside.client("sts", endpoint_url=endpoint).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/audit", RoleSessionName="tests", DurationSeconds=900
    )["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def live(moto: MotoServer, *, endpoint: str = "", account: str = ACCOUNT) -> LiveDriver:
    return LiveDriver(
        REGION,
        account=account,
        endpoint_url=endpoint or moto.endpoint,
        session=session_of(moto.endpoint, account),
    )


def sight(population: str, driver: Any) -> Sighting:
    (collector,) = collectors_for(population)
    unit = Unit(f"{population}/1", population, f"aws:{ACCOUNT}/{REGION}", {})
    (sighting,) = look(collector, unit, AwsAccess(driver))
    return sighting


def payload(sighting: Sighting) -> Any:
    assert isinstance(sighting, Observed), sighting
    return sighting.payload


@pytest.mark.parametrize("population", POPULATIONS)
def test_a_live_look_recorded_and_replayed_gives_the_same_sighting(
    population: str, moto: MotoServer, tmp_path: Path
) -> None:
    recording = RecordingDriver(live(moto))
    seen = sight(population, recording)
    assert isinstance(seen, Observed)
    assert seen.outcome is Outcome.OBSERVED
    recording.save(tmp_path / "cassette.json")
    assert b"SecretAccessKey" not in (tmp_path / "cassette.json").read_bytes()
    assert sight(population, ReplayDriver.load(tmp_path / "cassette.json")) == seen


def test_each_service_is_described_as_it_is(moto: MotoServer) -> None:
    seen = {population: payload(sight(population, live(moto))) for population in POPULATIONS}
    assert seen["aws.rds"].count == 2
    assert seen["aws.rds"].instances[0].backup_retention_days == 35
    assert sorted(bucket.algorithm for bucket in seen["aws.s3"].buckets) == ["AES256", "aws:kms"]
    assert seen["aws.ec2"].encrypted_by_default
    assert all(volume.encrypted for volume in seen["aws.ec2"].volumes)
    (trail,) = seen["aws.cloudtrail"].trails
    assert (trail.multi_region, trail.log_file_validation, trail.logging) == (True, True, True)
    assert seen["aws.guardduty"] == kinds.GuardDutyDetectors(count=1, enabled=1)
    assert seen["aws.config"] == kinds.ConfigRecorders(count=1, recording=1)


def test_an_empty_account_is_observed_to_be_empty(moto: MotoServer) -> None:
    for population in ("aws.rds", "aws.s3", "aws.cloudtrail", "aws.guardduty", "aws.config"):
        assert payload(sight(population, live(moto, account=EMPTY_ACCOUNT))).count == 0


@pytest.mark.parametrize(
    ("population", "service", "operation"),
    [
        ("aws.rds", "rds", "DescribeDBInstances"),
        ("aws.s3", "s3", "ListBuckets"),
        ("aws.ec2", "ec2", "GetEbsEncryptionByDefault"),
        ("aws.cloudtrail", "cloudtrail", "DescribeTrails"),
        ("aws.guardduty", "guardduty", "ListDetectors"),
        ("aws.config", "config", "DescribeConfigurationRecorderStatus"),
    ],
)
def test_one_lost_permission_is_a_denial_never_an_empty_list(
    population: str, service: str, operation: str, moto: MotoServer
) -> None:
    with DenyProxy(moto.endpoint, [(service, operation)]) as proxy:
        sighting = sight(population, live(moto, endpoint=proxy.endpoint))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.DENIED
    assert f"{service}:{operation}" in sighting.reason


@pytest.mark.parametrize(
    ("population", "service", "operation"),
    [
        ("aws.s3", "s3", "GetBucketEncryption"),
        ("aws.cloudtrail", "cloudtrail", "GetTrailStatus"),
        ("aws.guardduty", "guardduty", "GetDetector"),
    ],
)
def test_a_refusal_for_single_things_makes_the_record_a_part(
    population: str, service: str, operation: str, moto: MotoServer
) -> None:
    with DenyProxy(moto.endpoint, [(service, operation)]) as proxy:
        sighting = sight(population, live(moto, endpoint=proxy.endpoint))
    assert isinstance(sighting, Observed)
    assert sighting.outcome is Outcome.PARTIAL
    assert "refused" in sighting.reason
    assert payload(sighting).count >= 1


def test_a_bucket_without_encryption_keeps_what_was_seen() -> None:
    missing = AwsRefused(Outcome.UNSUPPORTED, "ServerSideEncryptionConfigurationNotFoundError", "none")
    sighting = sight("aws.s3", Canned({"ListBuckets": [{"Buckets": [{"Name": "b"}]}], **_of(missing)}))
    assert payload(sighting).buckets == (kinds.S3Bucket("b", None),)
    assert isinstance(sighting, Observed)
    assert sighting.outcome is Outcome.OBSERVED


def test_every_page_of_a_list_is_read() -> None:
    first = {"DBInstances": [_instance("a")], "Marker": "more"}
    driver = Canned({"DescribeDBInstances": [first, {"DBInstances": [_instance("b")]}]})
    assert [one.identifier for one in payload(sight("aws.rds", driver)).instances] == ["a", "b"]
    assert driver.calls[1].parameters == {"Marker": "more"}


def test_a_refusal_on_the_second_page_is_a_refusal_of_all() -> None:
    first = {"DBInstances": [_instance("a")], "Marker": "more"}
    throttled = AwsRefused(Outcome.THROTTLED, "Throttling", "rds:DescribeDBInstances: Throttling")
    sighting = sight("aws.rds", Canned({"DescribeDBInstances": [first, throttled]}))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.THROTTLED


def test_a_list_that_never_ends_is_refused() -> None:
    again = {"DBInstances": [], "Marker": "more"}
    sighting = sight("aws.rds", Canned({"DescribeDBInstances": [again] * 2_000}))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.PARTIAL


def test_a_reply_without_the_field_that_decides_is_no_observation() -> None:
    lacking = {name: value for name, value in _instance("a").items() if name != "StorageEncrypted"}
    sighting = sight("aws.rds", Canned({"DescribeDBInstances": [{"DBInstances": [lacking]}]}))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.PARTIAL
    assert "KeyError" in sighting.reason


def test_a_call_that_was_not_recorded_is_unreachable(tmp_path: Path) -> None:
    sighting = sight("aws.rds", ReplayDriver([]))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.UNREACHABLE
    (tmp_path / "x.json").write_text('{"version":2,"calls":[]}')
    for name in ("x.json", "absent.json"):
        with pytest.raises(CassetteError, match=name):
            ReplayDriver.load(tmp_path / name)


def test_a_recorded_refusal_is_replayed_as_one(tmp_path: Path) -> None:
    denied = AwsRefused(Outcome.DENIED, "AccessDenied", "rds:DescribeDBInstances: AccessDenied", "no")
    recording = RecordingDriver(Canned({"DescribeDBInstances": [denied]}))
    seen = sight("aws.rds", recording)
    recording.save(tmp_path / "cassette.json")
    assert sight("aws.rds", ReplayDriver.load(tmp_path / "cassette.json")) == seen


def test_credentials_of_another_account_see_nothing(moto: MotoServer) -> None:
    driver = LiveDriver(
        REGION,
        account=ACCOUNT,
        endpoint_url=moto.endpoint,
        session=session_of(moto.endpoint, EMPTY_ACCOUNT),
    )
    sighting = sight("aws.rds", driver)
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.DENIED
    assert "WrongAccount" in sighting.reason or "another account" in sighting.reason


def test_an_endpoint_that_does_not_answer_is_unreachable() -> None:
    session = boto3.Session("AKIAEMULATEDACCOUNT0", "x")
    driver = LiveDriver(REGION, endpoint_url="http://127.0.0.1:9", session=session)
    sighting = sight("aws.guardduty", driver)
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.UNREACHABLE


def test_an_operation_that_the_emulator_lacks_is_unsupported(moto: MotoServer) -> None:
    for call in (
        Call("rds", "DescribePendingMaintenanceActions"),
        Call("accessanalyzer", "ListAnalyzers"),
    ):
        with pytest.raises(AwsRefused) as refused:
            live(moto).answer(call)
        assert refused.value.outcome is Outcome.UNSUPPORTED


def test_error_codes_of_every_spelling_are_typed() -> None:
    assert refusal_of_code("AccessDeniedException") is Outcome.DENIED
    assert refusal_of_code("UnauthorizedOperation") is Outcome.DENIED
    assert refusal_of_code("ThrottlingException") is Outcome.THROTTLED
    assert refusal_of_code("SlowDown") is Outcome.THROTTLED
    assert refusal_of_code("ServiceUnavailable") is Outcome.UNREACHABLE
    assert refusal_of_code("SomethingNew") is Outcome.UNSUPPORTED


class Canned:
    """Answers each operation from a list, and keeps the calls."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self._answers = answers
        self.calls: list[Call] = []

    def answer(self, call: Call) -> Any:
        self.calls.append(call)
        answer = self._answers[call.operation].pop(0)
        if isinstance(answer, AwsRefused):
            raise answer
        return answer


def _of(refused: AwsRefused) -> dict[str, list[Any]]:
    return {"GetBucketEncryption": [refused]}


def _instance(identifier: str) -> dict[str, Any]:
    return {
        "DBInstanceIdentifier": identifier,
        "StorageEncrypted": True,
        "MultiAZ": True,
        "BackupRetentionPeriod": 35,
        "PubliclyAccessible": False,
    }
