"""What is seen of an AWS account in one region: storage encryption, backups and monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Auditor, Payload, Public


@dataclass(frozen=True, slots=True)
class RdsInstance:
    """A database instance, as ``rds:DescribeDBInstances`` tells it."""

    identifier: str
    encrypted: bool
    multi_az: bool
    backup_retention_days: int
    publicly_accessible: bool


@dataclass(frozen=True, slots=True)
class RdsInstances(Payload):
    """The database instances of an account and region."""

    kind: ClassVar[str] = "aws.rds.instances/v1"

    count: Public[int]
    instances: Auditor[tuple[RdsInstance, ...]]


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket; `algorithm` is ``AES256``, ``aws:kms``, or None when the bucket states no encryption."""

    name: str
    algorithm: str | None


@dataclass(frozen=True, slots=True)
class S3Buckets(Payload):
    """The buckets of an account (S3 lists them for all regions at once)."""

    kind: ClassVar[str] = "aws.s3.buckets/v1"

    count: Public[int]
    buckets: Auditor[tuple[S3Bucket, ...]]


@dataclass(frozen=True, slots=True)
class EbsVolume:
    """A volume."""

    identifier: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class EbsVolumes(Payload):
    """The EBS volumes of an account and region, and whether new ones are encrypted by default."""

    kind: ClassVar[str] = "aws.ec2.volumes/v1"

    count: Public[int]
    encrypted_by_default: Public[bool]
    volumes: Auditor[tuple[EbsVolume, ...]]


@dataclass(frozen=True, slots=True)
class Trail:
    """A CloudTrail trail with its live status."""

    name: str
    multi_region: bool
    log_file_validation: bool
    logging: bool


@dataclass(frozen=True, slots=True)
class CloudTrails(Payload):
    """The trails that are visible in an account and region."""

    kind: ClassVar[str] = "aws.cloudtrail.trails/v1"

    count: Public[int]
    trails: Auditor[tuple[Trail, ...]]


@dataclass(frozen=True, slots=True)
class GuardDutyDetectors(Payload):
    """GuardDuty detectors of an account and region: how many there are, how many are enabled."""

    kind: ClassVar[str] = "aws.guardduty.detectors/v1"

    count: Public[int]
    enabled: Public[int]


@dataclass(frozen=True, slots=True)
class ConfigRecorders(Payload):
    """AWS Config recorders of an account and region: how many there are, how many are recording."""

    kind: ClassVar[str] = "aws.config.recorders/v1"

    count: Public[int]
    recording: Public[int]
