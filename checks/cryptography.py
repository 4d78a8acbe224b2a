"""Cryptography (CRY): what protects the bytes in transit and at rest, as seen from outside.

Transit is judged by handshakes with clients that speak one protocol version each, rest by what AWS says
of every instance, bucket and volume. Where nothing is stored, nothing was shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeAlias, TypeVar

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, EBS, INGRESS, RDS, S3
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.aws import EbsVolumes, RdsInstances, S3Buckets
from evidence.kinds.ingress import TlsVersions
from evidence.payload import Payload
from evidence.scope import Scope
from evidence.view import Evidence, Observation

TLS13 = "TLSv1.3"
OLDER = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "plaintext")
#: Without an attempt at these the endpoint was not examined; older clients may be hard to come by.
MUST_BE_TRIED = ("TLSv1.2", "plaintext")
#: What S3 calls AES-256, with its own keys or with KMS's.
AES_256 = frozenset({"AES256", "aws:kms", "aws:kms:dsse"})

P = TypeVar("P", bound=Payload)
Seen: TypeAlias = tuple[Observation[P], ...]
Endpoints = Seen[TlsVersions]


# --- CRY-01 ---------------------------------------------------------------------------------------


@check("CRY-01", expects=[Expect(TlsVersions, over=INGRESS, every=DAILY)])
def only_tls13_is_spoken(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every ingress speaks TLS 1.3 and nothing older."""
    endpoints = seen(evidence, scope, TlsVersions, over=INGRESS)
    if not endpoints:
        return undecided("No endpoint was asked which protocol versions it speaks: nothing was shown.")
    return weigh(
        _wrong_versions(endpoints),
        _untried_versions(endpoints),
        facts={
            "endpoints": len(endpoints),
            "accepted": _listed(name for one in endpoints for name in one.payload.accepted),
            "refused": _listed(name for one in endpoints for name in one.payload.refused),
            "untried": _listed(name for one in endpoints for name in _untried(one.payload)),
        },
        holds="{endpoints} endpoints speak TLS 1.3 only; refused: {refused}; untried: {untried}.",
        fails="An endpoint was seen to accept: {accepted}; refused: {refused}.",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"


def _untried(endpoint: TlsVersions) -> tuple[str, ...]:
    known = {*endpoint.accepted, *endpoint.refused}
    return tuple(name for name in (*OLDER, TLS13) if name not in known)


def _wrong_versions(endpoints: Endpoints) -> Iterator[Deviation]:
    for endpoint in endpoints:
        for name in endpoint.payload.accepted:
            if name != TLS13:
                yield deviation(endpoint, f"accepts {name}", name)
        if TLS13 in endpoint.payload.refused:
            yield deviation(endpoint, f"refuses {TLS13}", TLS13)


def _untried_versions(endpoints: Endpoints) -> Iterator[str]:
    for endpoint in endpoints:
        if TLS13 not in endpoint.payload.accepted:
            yield "No TLS 1.3 handshake was seen, so refusals of others show nothing."
        untried = [name for name in MUST_BE_TRIED if name in _untried(endpoint.payload)]
        if untried:
            yield f"Not tried: {', '.join(untried)}."


@sabotage("CRY-01", "TLS 1.2 given a suite that can be negotiated", names="TLSv1.2")
def let_tls12_in(twin: Twin) -> None:
    """The setting that a well-meaning operator would call modern."""
    twin.source.patch(
        "core_platform/ingress/tls.py",
        'NO_TLS12_SUITE = "ECDHE-PSK-AES128-CBC-SHA"',
        'NO_TLS12_SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"',
    )


# --- CRY-02 ---------------------------------------------------------------------------------------


@check(
    "CRY-02",
    expects=[
        Expect(RdsInstances, over=RDS, every=DAILY),
        Expect(S3Buckets, over=S3, every=DAILY),
        Expect(EbsVolumes, over=EBS, every=DAILY),
    ],
)
def storage_is_encrypted(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every database instance, bucket and volume is encrypted, and new volumes by default."""
    instances = seen(evidence, scope, RdsInstances, over=RDS)
    buckets = seen(evidence, scope, S3Buckets, over=S3)
    volumes = seen(evidence, scope, EbsVolumes, over=EBS)
    facts: dict[str, int | str] = {
        "instances": sum(len(one.payload.instances) for one in instances),
        "buckets": len({bucket.name for one in buckets for bucket in one.payload.buckets}),
        "volumes": sum(len(one.payload.volumes) for one in volumes),
    }
    listed = sum(number for number in facts.values() if isinstance(number, int))
    doubts = [*_undescribed(instances, buckets, volumes)]
    if not listed:
        doubts.append("No database instance, bucket or volume exists in scope: nothing was shown.")
    return weigh(
        [*_plain_instances(instances), *_plain_buckets(buckets), *_plain_volumes(volumes)],
        doubts,
        facts={**facts, "resources": listed},
        holds="All {instances} instances, {buckets} buckets and {volumes} volumes are encrypted.",
        fails="{deviations} of {resources} instances, buckets and volumes or defaults lack encryption.",
    )


def _undescribed(
    instances: Seen[RdsInstances], buckets: Seen[S3Buckets], volumes: Seen[EbsVolumes]
) -> Iterator[str]:
    """Where a list holds more or less than was counted; one too few must not make up for one too many."""
    pairs = [
        *((one.payload.count, len(one.payload.instances)) for one in instances),
        *((one.payload.count, len(one.payload.buckets)) for one in buckets),
        *((one.payload.count, len(one.payload.volumes)) for one in volumes),
    ]
    for counted, described in pairs:
        if counted != described:
            yield f"{counted} resources were counted and {described} described."


def _plain_instances(seen_in: tuple[Observation[RdsInstances], ...]) -> Iterator[Deviation]:
    for region in seen_in:
        for instance in region.payload.instances:
            if not instance.encrypted:
                yield deviation(region, "the instance's storage is not encrypted", instance.identifier)


def _plain_buckets(seen_in: tuple[Observation[S3Buckets], ...]) -> Iterator[Deviation]:
    """S3 lists an account's buckets in each region that is looked at; each is one bucket."""
    told: set[str] = set()
    for account in seen_in:
        for bucket in account.payload.buckets:
            if bucket.algorithm not in AES_256 and bucket.name not in told:
                told.add(bucket.name)
                stated = bucket.algorithm or "no encryption"
                yield deviation(account, f"the bucket states {stated}", bucket.name)


def _plain_volumes(seen_in: tuple[Observation[EbsVolumes], ...]) -> Iterator[Deviation]:
    for region in seen_in:
        if not region.payload.encrypted_by_default:
            yield deviation(region, "new volumes are not encrypted by default", "EBS default encryption")
        for volume in region.payload.volumes:
            if not volume.encrypted:
                yield deviation(region, "the volume is not encrypted", volume.identifier)


@sabotage("CRY-02", "database instance created without encryption", names="core-scratch")
def create_a_plain_instance(twin: Twin) -> None:
    """Storage encryption cannot be switched off, so a plain instance appears beside the others."""
    twin.aws.call(
        "rds",
        "create_db_instance",
        DBInstanceIdentifier="core-scratch",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="core",
        ManageMasterUserPassword=True,
        StorageEncrypted=False,
        PubliclyAccessible=False,
        MultiAZ=True,
        BackupRetentionPeriod=35,
    )


@sabotage("CRY-02", "bucket loses its encryption setting", names="tensorcost-exports")
def strip_a_bucket(twin: Twin) -> None:
    """The bucket no longer states how it encrypts."""
    listed = twin.aws.call("s3", "list_buckets")["Buckets"]
    for bucket in listed if isinstance(listed, list) else ():
        if bucket["Name"].startswith("tensorcost-exports"):
            twin.aws.call("s3", "delete_bucket_encryption", Bucket=bucket["Name"])


@sabotage("CRY-02", "volume created without encryption", names="vol-")
def create_a_plain_volume(twin: Twin) -> None:
    """Default encryption is switched off for as long as the volume takes, then on again."""
    twin.aws.call("ec2", "disable_ebs_encryption_by_default")
    twin.aws.call("ec2", "create_volume", AvailabilityZone="us-east-1a", Size=8, Encrypted=False)
    twin.aws.call("ec2", "enable_ebs_encryption_by_default")


@sabotage("CRY-02", "default encryption of new volumes switched off", names="EBS default encryption")
def stop_encrypting_by_default(twin: Twin) -> None:
    """Existing volumes stay as they are."""
    twin.aws.call("ec2", "disable_ebs_encryption_by_default")
