"""The other areas: what breaks a promise is named, and what shows nothing is unknown."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from controls.verdict import State
from evidence.kinds.aws import (
    CloudTrails,
    ConfigRecorders,
    EbsVolume,
    EbsVolumes,
    GuardDutyDetectors,
    RdsInstance,
    RdsInstances,
    S3Bucket,
    S3Buckets,
    Trail,
)
from evidence.kinds.ingress import IngressAttack, StreamTenancy, TlsVersions
from evidence.kinds.redaction import BodyHashes, CanarySearch, SearchedPlace
from evidence.record import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    Changing = Callable[..., Any]

PROMISES = [
    ("ING-01", "missing_hello", "accept"),
    ("ING-01", "bad_mac", "accept"),
    ("ING-01", "truncated_mac", "accept"),
    ("ING-01", "unknown_key", "accept"),
    ("ING-02", "wrong_tenant", "accept"),
    ("ING-03", "skew_plus_300000", "refuse"),
    ("ING-03", "skew_minus_300000", "refuse"),
    ("ING-03", "skew_plus_300001", "accept"),
    ("ING-03", "skew_minus_300001", "accept"),
    ("ING-04", "replay", "accept"),
    ("ING-04", "concurrent_replay", "accept"),
    ("ING-10", "plaintext", "accept"),
    ("ING-16", "unregistered_agent", "accept"),
]


def places(verdict: Any) -> set[str]:
    return {deviation.where for deviation in verdict.deviations}


@pytest.mark.parametrize(("check", "name", "did"), PROMISES)
def test_a_broken_promise_of_the_ingress_is_named(
    world: Any, with_attempt: Changing, check: str, name: str, did: str
) -> None:
    verdict = world.judge(check, with_attempt(name, did=did))
    assert verdict.state is State.FAILED
    assert places(verdict) == {name}


@pytest.mark.parametrize(("check", "name", "did"), PROMISES)
def test_what_the_evidence_says_must_happen_is_not_believed(
    world: Any, with_attempt: Changing, check: str, name: str, did: str
) -> None:
    assert world.judge(check, with_attempt(name, did=did, must=did)).state is State.FAILED


@pytest.mark.parametrize(("check", "name", "did"), PROMISES)
@pytest.mark.parametrize("fields", [{"did": "unclear"}, {"did": ""}, {"name": "something_else"}])
def test_an_attempt_that_was_not_carried_out_shows_nothing(
    world: Any, with_attempt: Changing, check: str, name: str, did: str, fields: Any
) -> None:
    assert world.judge(check, with_attempt(name, **fields)).state is State.UNKNOWN


@pytest.mark.parametrize("check", ["ING-01", "ING-02", "ING-03", "ING-04", "ING-10", "ING-16"])
def test_an_ingress_that_refuses_everybody_shows_nothing(
    world: Any, with_attempt: Changing, check: str
) -> None:
    assert world.judge(check, with_attempt("genuine", did="refuse")).state is State.UNKNOWN


def test_the_worst_of_repeated_attempts_counts(world: Any) -> None:
    def twice(seen: IngressAttack) -> IngressAttack:
        accepted = tuple(dataclasses.replace(one, did="accept") for one in seen.attempts)
        return dataclasses.replace(seen, attempts=seen.attempts + accepted)

    assert world.judge("ING-04", {IngressAttack: twice}).state is State.FAILED


def test_rows_under_the_claimed_tenant_are_named(world: Any, with_fields: Changing) -> None:
    verdict = world.judge("ING-08", with_fields(StreamTenancy, under_claimed_tenant=1))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"foreign_payload_tenant"}


@pytest.mark.parametrize("stored", [0, 4])
@pytest.mark.parametrize("did", ["accept", "unclear"])
def test_lost_samples_show_nothing_about_tenancy(
    world: Any, with_fields: Changing, stored: int, did: str
) -> None:
    changes = with_fields(StreamTenancy, under_hello_tenant=stored, did=did)
    assert world.judge("ING-08", changes).state is State.UNKNOWN


@pytest.mark.parametrize(("sent", "stored"), [(0, 0), (3, 0), (3, 2)])
def test_without_genuine_rows_under_the_hello_nothing_is_shown(
    world: Any, with_fields: Changing, sent: int, stored: int
) -> None:
    """An ingress that closes every stream writes under no foreign tenant either."""
    changes = with_fields(StreamTenancy, genuine_sent=sent, genuine_stored=stored)
    assert world.judge("ING-08", changes).state is State.UNKNOWN


def test_samples_stored_under_the_hello_are_as_good_as_refused(world: Any, with_fields: Changing) -> None:
    changes = with_fields(StreamTenancy, under_hello_tenant=5, did="accept")
    assert world.judge("ING-08", changes).state is State.SATISFIED


def test_plaintext_seen_by_the_version_probe_counts(world: Any, with_fields: Changing) -> None:
    verdict = world.judge("ING-10", with_fields(TlsVersions, accepted=("TLSv1.3", "plaintext")))
    assert places(verdict) == {"plaintext"}


def test_plaintext_is_red_even_where_no_other_attempt_could_be_made(
    world: Any, with_fields: Changing
) -> None:
    changes = {
        **with_fields(TlsVersions, accepted=("plaintext",), refused=("TLSv1.2", "TLSv1.3")),
        IngressAttack: lambda _seen: Outcome.UNREACHABLE,
    }
    assert world.judge("ING-10", changes).state is State.FAILED


@pytest.mark.parametrize("version", ["TLSv1.0", "TLSv1.1", "TLSv1.2", "plaintext", "SSLv3"])
def test_an_older_protocol_is_named(world: Any, with_fields: Changing, version: str) -> None:
    verdict = world.judge("CRY-01", with_fields(TlsVersions, accepted=("TLSv1.3", version)))
    assert verdict.state is State.FAILED
    assert places(verdict) == {version}


@pytest.mark.parametrize(
    "fields",
    [
        {"refused": ("TLSv1.2",), "untried": ("plaintext",)},
        {"refused": ("plaintext",), "untried": ("TLSv1.2",)},
        {"refused": ()},
        {"accepted": ()},
    ],
)
def test_versions_that_were_not_tried_show_nothing(world: Any, with_fields: Changing, fields: Any) -> None:
    assert world.judge("CRY-01", with_fields(TlsVersions, **fields)).state is State.UNKNOWN


def test_untried_versions_are_published(world: Any) -> None:
    verdict = world.judge("CRY-01")
    assert verdict.facts["untried"] == "TLSv1.0, TLSv1.1"
    assert "TLSv1.0" in verdict.reason


PLAIN = RdsInstance("core-scratch", False, True, 35, False)


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        (RdsInstances, {"instances": (PLAIN,)}, "core-scratch"),
        (S3Buckets, {"buckets": (S3Bucket("exports", None),), "count": 1}, "exports"),
        (S3Buckets, {"buckets": (S3Bucket("exports", "DES"),), "count": 1}, "exports"),
        (EbsVolumes, {"volumes": (EbsVolume("vol-2", False),)}, "vol-2"),
        (EbsVolumes, {"encrypted_by_default": False}, "EBS default encryption"),
    ],
)
def test_what_is_not_encrypted_is_named(
    world: Any, with_fields: Changing, kind: Any, fields: Any, where: str
) -> None:
    verdict = world.judge("CRY-02", with_fields(kind, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {where}


def test_an_account_that_stores_nothing_shows_nothing(world: Any, with_fields: Changing) -> None:
    changes = {
        **with_fields(RdsInstances, count=0, instances=()),
        **with_fields(S3Buckets, count=0, buckets=()),
        **with_fields(EbsVolumes, count=0, volumes=()),
    }
    assert world.judge("CRY-02", changes).state is State.UNKNOWN


@pytest.mark.parametrize("check", ["CRY-02", "AVL-03"])
def test_a_resource_that_was_counted_and_not_described_is_in_doubt(
    world: Any, with_fields: Changing, check: str
) -> None:
    assert world.judge(check, with_fields(RdsInstances, count=2)).state is State.UNKNOWN


@pytest.mark.parametrize(
    "name", ["postgres:ai.ai_spend_event", "redis:db0", "log:ingestion", "somewhere else"]
)
def test_a_found_canary_is_named_by_its_place(world: Any, name: str) -> None:
    def found(seen: CanarySearch) -> CanarySearch:
        return dataclasses.replace(seen, places=(*seen.places, SearchedPlace(name, 10, 1)))

    verdict = world.judge("RED-01", {CanarySearch: found})
    assert verdict.state is State.FAILED
    assert places(verdict) == {name}
    assert verdict.claims == ("RED-01", "RED-02")


TABLE, REDIS, LOG = (
    SearchedPlace("postgres:ai.ai_spend_event", 9, 0),
    SearchedPlace("redis:db0", 9, 0),
    SearchedPlace("log:ingestion", 9, 0),
)


@pytest.mark.parametrize(
    "fields",
    [
        {"planted": 0},
        {"ingested_records": 0},
        {"encodings": ()},
        {"places": ()},
        {"places": (TABLE, REDIS)},
        {"places": (TABLE, LOG)},
        {"places": (REDIS, LOG)},
        {"places": (dataclasses.replace(TABLE, bytes_read=0), REDIS, LOG)},
        {"places": (TABLE, REDIS, dataclasses.replace(LOG, bytes_read=0))},
    ],
)
def test_a_search_that_could_not_find_shows_nothing(world: Any, with_fields: Changing, fields: Any) -> None:
    assert world.judge("RED-01", with_fields(CanarySearch, **fields)).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"plain_sha256": 1}, "plain SHA-256"),
        ({"shared_between_tenants": 1}, "shared between tenants"),
        ({"well_formed": 59}, "hash form"),
    ],
)
def test_weak_hashes_are_named(world: Any, with_fields: Changing, fields: Any, where: str) -> None:
    verdict = world.judge("RED-03", with_fields(BodyHashes, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {where}


@pytest.mark.parametrize("fields", [{"rows": 0, "well_formed": 0}, {"planted_in_several": 0}])
def test_hashes_that_could_not_show_a_shared_key_show_nothing(
    world: Any, with_fields: Changing, fields: Any
) -> None:
    assert world.judge("RED-03", with_fields(BodyHashes, **fields)).state is State.UNKNOWN


GOOD = Trail("platform-trail", True, True, True)
SUBJECT = "aws:111122223333/us-east-1"


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        (CloudTrails, {"trails": (), "count": 0}, f"CloudTrail in {SUBJECT}"),
        (CloudTrails, {"trails": (dataclasses.replace(GOOD, logging=False),)}, GOOD.name),
        (CloudTrails, {"trails": (dataclasses.replace(GOOD, multi_region=False),)}, GOOD.name),
        (CloudTrails, {"trails": (dataclasses.replace(GOOD, log_file_validation=False),)}, GOOD.name),
        (GuardDutyDetectors, {"count": 0, "enabled": 0}, f"GuardDuty in {SUBJECT}"),
        (GuardDutyDetectors, {"enabled": 0}, f"GuardDuty in {SUBJECT}"),
        (ConfigRecorders, {"recording": 0}, f"Config in {SUBJECT}"),
    ],
)
def test_what_does_not_watch_is_named(
    world: Any, with_fields: Changing, kind: Any, fields: Any, where: str
) -> None:
    verdict = world.judge("MON-01", with_fields(kind, **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {where}


def test_one_good_trail_is_enough(world: Any, with_fields: Changing) -> None:
    trails = (GOOD, dataclasses.replace(GOOD, name="old", logging=False))
    assert world.judge("MON-01", with_fields(CloudTrails, count=2, trails=trails)).state is State.SATISFIED


@pytest.mark.parametrize("fields", [{"multi_az": False}, {"backup_retention_days": 34}])
def test_a_fragile_instance_is_named(world: Any, with_fields: Changing, fields: Any) -> None:
    instance = dataclasses.replace(RdsInstance("core-primary", True, True, 35, False), **fields)
    verdict = world.judge("AVL-03", with_fields(RdsInstances, instances=(instance,)))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"core-primary"}


def test_no_instance_shows_nothing_about_backups(world: Any, with_fields: Changing) -> None:
    changes = with_fields(RdsInstances, count=0, instances=())
    assert world.judge("AVL-03", changes).state is State.UNKNOWN


@pytest.mark.parametrize("check", ["RED-01", "RED-03"])
@pytest.mark.parametrize(("planted", "found"), [(0, 0), (40, 0), (40, 39)])
def test_canaries_that_nobody_has_ingested_yet_show_nothing(
    world: Any, with_fields: Changing, check: str, planted: int, found: int
) -> None:
    """Rows of earlier ingestions are no sign that the planted objects were read."""
    changes = with_fields(CanarySearch, planted_records=planted, planted_found=found)
    assert world.judge(check, changes).state is State.UNKNOWN
