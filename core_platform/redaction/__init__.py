"""Bedrock invocation logs, ingested by projection so that no prompt enters the platform."""

from core_platform.redaction.bedrock import Operation, Projection, SpendRecord
from core_platform.redaction.cloudwatch_reader import LogGroup
from core_platform.redaction.ingest import IngestSummary, ingest_source
from core_platform.redaction.json_levels import Fault, RecordRefused
from core_platform.redaction.keys import HashKeyring, TenantHasher
from core_platform.redaction.s3_reader import LogBucket, ObjectRefused
from core_platform.redaction.sample_logs import SampleLogs, sample_logs

__all__ = [
    "Fault",
    "HashKeyring",
    "IngestSummary",
    "LogBucket",
    "LogGroup",
    "ObjectRefused",
    "Operation",
    "Projection",
    "RecordRefused",
    "SampleLogs",
    "SpendRecord",
    "TenantHasher",
    "ingest_source",
    "sample_logs",
]
