"""The populations of the scope that checks expect evidence over, by the names that collectors use."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

DATABASES: Final = "databases"
PLATFORM: Final = "platform"
SOURCES: Final = "sources"
INGRESS: Final = "ingress"
INGESTION: Final = "ingestion"
RDS: Final = "aws.rds"
S3: Final = "aws.s3"
EBS: Final = "aws.ec2"
CLOUDTRAIL: Final = "aws.cloudtrail"
GUARDDUTY: Final = "aws.guardduty"
CONFIG: Final = "aws.config"

#: How old an observation may be, where the claims draft says ``P1D`` and where it says ``P7D``.
DAILY: Final = timedelta(days=1)
WEEKLY: Final = timedelta(days=7)
