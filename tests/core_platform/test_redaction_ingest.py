"""From a bucket to rows: each record once, under its tenant, and no content anywhere."""

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from core_platform.errors import PlatformError
from core_platform.redaction import HashKeyring, SampleLogs, ingest_bucket, sample_logs
from core_platform.redaction.s3_reader import (
    MAX_OBJECT_BYTES,
    ObjectRefused,
    as_log_object,
    inflate,
    split_lines,
)
from core_platform.settings import LogSource

KEYRING = HashKeyring(bytes(range(32)))
ROOT = "AWSLogs/111122223333/BedrockModelInvocationLogs"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"logs-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def deliver(s3: Any, bucket: str, sample: SampleLogs) -> None:
    for key, content in sample.objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)


def everything_stored(admin_url: str) -> str:
    """Every column of every row of every table of the platform, as text."""
    with psycopg.connect(admin_url) as admin:
        tables = admin.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return "\n".join(
            str(admin.execute(f'SELECT t::text FROM "{schema}"."{name}" t'.encode()).fetchall())
            for schema, name in tables
        )


def events_of(db: Any, tenant: Any) -> int:
    with psycopg.connect(db.admin_url) as admin:
        row = admin.execute(
            "SELECT count(*) FROM ai.ai_spend_event WHERE tenant_id = %s", (tenant.uuid,)
        ).fetchone()
        assert row
        return int(row[0])


def test_every_record_is_stored_once_and_no_content_with_it(s3: Any, bucket: str, platform_db: Any) -> None:
    db = platform_db
    sample = sample_logs(1, prefix="bedrock", objects=3, records_per_object=20)
    deliver(s3, bucket, sample)
    source = LogSource(str(db.a), bucket, "bedrock")
    before = events_of(db, db.a)
    summary = ingest_bucket(db.database, s3, source, KEYRING)
    assert (summary.objects, summary.records, summary.quarantined) == (3, sample.records, 0)
    assert events_of(db, db.a) - before == sample.records

    again = ingest_bucket(db.database, s3, source, KEYRING)
    assert (again.objects, again.skipped, again.records) == (0, 3, 0)
    assert events_of(db, db.a) - before == sample.records

    stored = everything_stored(db.admin_url)
    assert "anthropic.claude" in stored
    assert not [word for word in sample.canaries if word in stored]


def test_a_tenant_that_captures_metadata_keeps_what_it_listed(s3: Any, bucket: str, platform_db: Any) -> None:
    db = platform_db
    sample = sample_logs(2, objects=1)
    deliver(s3, bucket, sample)
    keys = ("application",)
    ingest_bucket(db.database, s3, LogSource(str(db.b), bucket, metadata_keys=keys), KEYRING)
    with psycopg.connect(db.admin_url) as admin:
        kept = admin.execute(
            "SELECT DISTINCT metadata FROM ai.ai_spend_event WHERE tenant_id = %s", (db.b.uuid,)
        ).fetchall()
    assert {json.dumps(one) for (one,) in kept} == {"null", '{"application": "checkout"}'}
    assert not [word for word in sample.canaries if word in everything_stored(db.admin_url)]


def test_bad_lines_are_quarantined_by_place_and_fault(s3: Any, bucket: str, platform_db: Any) -> None:
    db = platform_db
    good = gzip.decompress(next(v for k, v in sample_logs(3).objects.items() if k.endswith("gz")))
    first, second = good.splitlines()[:2]
    canary = "CANARY-QUARANTINE"
    lines = [first, canary.encode(), second.replace(b"111122223333", b"999988887777"), second]
    s3.put_object(Bucket=bucket, Key=f"{ROOT}/us-east-1/x.json.gz", Body=gzip.compress(b"\n".join(lines)))
    summary = ingest_bucket(db.database, s3, LogSource(str(db.a), bucket), KEYRING)
    assert (summary.records, summary.quarantined) == (2, 2)
    with psycopg.connect(db.admin_url) as admin:
        found = admin.execute("SELECT line, error_class FROM ai.quarantined_record ORDER BY line").fetchall()
    assert found == [(1, "not_json"), (2, "field:accountId")]
    assert canary not in everything_stored(db.admin_url)


def test_a_run_that_dies_leaves_whole_objects_and_the_next_goes_on(
    s3: Any, bucket: str, platform_db: Any
) -> None:
    db = platform_db
    sample = sample_logs(4, objects=4, records_per_object=10)
    deliver(s3, bucket, sample)
    before = events_of(db, db.a)

    class Dying:
        """The client of a process that is killed while it reads its third object."""

        taken = 0

        def get_paginator(self, name: str) -> Any:
            return s3.get_paginator(name)

        def get_object(self, **where: str) -> Any:
            self.taken += 1
            if self.taken == 3:
                raise ConnectionResetError
            return s3.get_object(**where)

    source = LogSource(str(db.a), bucket)
    with pytest.raises(ConnectionResetError):
        ingest_bucket(db.database, Dying(), source, KEYRING)
    assert events_of(db, db.a) - before == 20
    ingest_bucket(db.database, s3, source, KEYRING)
    assert events_of(db, db.a) - before == sample.records


def test_two_runs_at_once_store_each_record_once(s3: Any, bucket: str, platform_db: Any) -> None:
    db = platform_db
    sample = sample_logs(5, objects=3, records_per_object=10)
    deliver(s3, bucket, sample)
    before = events_of(db, db.a)
    source = LogSource(str(db.a), bucket)
    with ThreadPoolExecutor(2) as runs:
        both = [runs.submit(ingest_bucket, db.database, s3, source, KEYRING) for _ in range(2)]
        assert sum(one.result().records for one in both) == sample.records
    assert events_of(db, db.a) - before == sample.records


@pytest.mark.parametrize(
    ("key", "is_log"),
    [
        (f"p/{ROOT}/us-east-1/2026/11/01/00/a.json.gz", True),
        (f"p/{ROOT}/us-east-1/2026/11/01/00/data/a_input.json.gz", False),
        (f"p/{ROOT}/amazon-bedrock-logs-permission-check", False),
        (f"p/{ROOT}/us-east-1/amazon-bedrock-logs-permission-check.json.gz", False),
        ("p/AWSLogs/111122223333/CloudTrail/us-east-1/a.json.gz", False),
        (f"other/{ROOT}/us-east-1/a.json.gz", False),
    ],
)
def test_only_log_objects_are_read(key: str, is_log: bool) -> None:
    assert (as_log_object(key, "p/") is not None) is is_log


def refused(content: bytes) -> str:
    with pytest.raises(ObjectRefused) as error:
        for _ in inflate([content]):
            pass
    return error.value.error_class


def test_gzip_is_inflated_within_limits() -> None:
    two_members = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert list(split_lines(inflate([two_members]))) == [b"one", b"two"]
    bytewise = [two_members[at : at + 1] for at in range(len(two_members))]
    assert list(split_lines(inflate(bytewise))) == [b"one", b"two"]
    assert refused(gzip.compress(b"x" * 100)[:-9]) == "object:truncated"
    assert refused(b"no gzip at all, not even close") == "object:not_gzip"
    assert refused(gzip.compress(bytes(8 * 1024 * 1024))) == "object:ratio"
    assert refused(zlib.compress(b"zlib, not gzip")) == "object:not_gzip"


def test_no_object_is_inflated_beyond_its_limit() -> None:
    # Stored blocks: nothing to gain by compression, so the size is what stops it.
    block = gzip.compress(bytes(range(256)) * 4096, compresslevel=0)
    with pytest.raises(ObjectRefused, match="object:size"):
        for _ in inflate(block for _ in range(MAX_OBJECT_BYTES // (256 * 4096) + 1)):
            pass


def test_an_object_that_breaks_off_is_quarantined_with_what_came_before(
    s3: Any, bucket: str, platform_db: Any
) -> None:
    whole = next(v for k, v in sample_logs(6).objects.items() if k.endswith("gz"))
    s3.put_object(Bucket=bucket, Key=f"{ROOT}/us-east-1/cut.json.gz", Body=whole[:-20])
    source = LogSource(str(platform_db.a), bucket)
    summary = ingest_bucket(platform_db.database, s3, source, KEYRING)
    assert (summary.objects, summary.quarantined) == (1, 1)


def test_a_source_of_nobody_is_refused_before_anything_is_read(s3: Any, platform_db: Any) -> None:
    with pytest.raises(PlatformError):
        ingest_bucket(platform_db.database, s3, LogSource("not-a-tenant", "b"), KEYRING)


def test_the_redaction_imports_no_ingress() -> None:
    code = "import core_platform.redaction, sys; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=sys.path[0] or None).returncode == 0
