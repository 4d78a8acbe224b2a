"""From a bucket to rows: each record once, under its tenant, and no content anywhere."""

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from core_platform.errors import PlatformError
from core_platform.redaction import (
    HashKeyring,
    IngestSummary,
    LogBucket,
    LogGroup,
    SampleLogs,
    ingest_source,
    sample_logs,
)
from core_platform.redaction.access import open_place, session_policy
from core_platform.redaction.s3_reader import (
    MAX_OBJECT_BYTES,
    ObjectRefused,
    account_of,
    inflate,
    split_lines,
)
from core_platform.settings import LogSource, RedactionSettings, SettingsError, parse_settings

KEYRING = HashKeyring(bytes(range(32)))
SOURCE = Path(__file__).parents[2]
STREAM = "aws/bedrock/modelinvocations"
ROOT = "AWSLogs/111122223333/BedrockModelInvocationLogs"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def base() -> boto3.Session:
    return boto3.Session("AKIATEST", "test", region_name="us-east-1")


@pytest.fixture(scope="module")
def s3(endpoint: str, base: boto3.Session) -> Any:
    return base.client("s3", endpoint_url=endpoint)


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


def a_source(tenant: Any, **where: Any) -> LogSource:
    role = "arn:aws:iam::111122223333:role/log-reader"
    return LogSource(str(tenant), role, "tensorcost-external-id", **where)


def ingest_bucket(database: Any, client: Any, source: LogSource, keyring: HashKeyring) -> IngestSummary:
    """Through a client at hand, so that tests can stand between."""
    assert source.bucket
    return ingest_source(database, LogBucket(client, source.bucket, source.prefix), source, keyring)


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
    source = a_source(db.a, bucket=bucket, prefix="bedrock")
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
    ingest_bucket(db.database, s3, a_source(db.b, bucket=bucket, metadata_keys=keys), KEYRING)
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
    summary = ingest_bucket(db.database, s3, a_source(db.a, bucket=bucket), KEYRING)
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

    source = a_source(db.a, bucket=bucket)
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
    source = a_source(db.a, bucket=bucket)
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
    assert (account_of(key, "p/") is not None) is is_log


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
    source = a_source(platform_db.a, bucket=bucket)
    summary = ingest_bucket(platform_db.database, s3, source, KEYRING)
    assert (summary.objects, summary.quarantined) == (1, 1)


def put_events(logs: Any, group: str, records: list[bytes], at: datetime) -> None:
    when = int(at.timestamp() * 1000)
    events = [{"timestamp": when + number, "message": text.decode()} for number, text in enumerate(records)]
    logs.put_log_events(logGroupName=group, logStreamName=STREAM, logEvents=events)


def test_each_event_of_a_log_group_is_stored_once_however_late_it_arrives(
    endpoint: str, base: boto3.Session, platform_db: Any
) -> None:
    db, group = platform_db, f"/aws/bedrock/{uuid4().hex[:8]}"
    logs: Any = base.client("logs", endpoint_url=endpoint)
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=STREAM)
    now = datetime.now(UTC)
    content = next(v for k, v in sample_logs(8, records_per_object=12).objects.items() if k.endswith("gz"))
    records = gzip.decompress(content).splitlines()
    # Taken in now: the first lie in a window that is just over, the others came hours late.
    for part, age in ((records[:4], 30), (records[4:], 4 * 60)):
        put_events(logs, group, part, now - timedelta(minutes=age))
    source = a_source(db.a, log_group=group, since=f"{now - timedelta(days=8):%Y-%m-%d}")
    before = events_of(db, db.a)

    def run(at: datetime) -> IngestSummary:
        place = LogGroup(logs, group, source.account, now - timedelta(hours=4, minutes=10), at)
        return ingest_source(db.database, place, source, KEYRING)

    assert run(now).records == 0
    soon = run(now + timedelta(hours=1, minutes=16))
    assert (soon.records, soon.quarantined) == (4, 0)
    assert run(now + timedelta(hours=1, minutes=16)).records == 0
    assert run(now + timedelta(hours=25)).records == len(records) - 4
    again = run(now + timedelta(hours=25))
    assert (again.objects, again.records) == (0, 0)
    assert events_of(db, db.a) - before == len(records)


def test_the_role_is_assumed_with_its_external_id_and_no_more_rights_than_reading(
    endpoint: str, base: boto3.Session, bucket: str
) -> None:
    source = a_source(uuid4(), bucket=bucket, prefix="bedrock")
    assumed: list[Any] = []
    base.events.register("before-call.sts.AssumeRole", lambda params, **_: assumed.append(params["body"]))
    settings = RedactionSettings("env:NONE", aws_endpoint_url=endpoint)
    place = open_place(base, settings, source, datetime.now(UTC))
    assert not assumed
    assert list(place.units()) == []
    (asked,) = assumed
    assert (asked["ExternalId"], asked["DurationSeconds"]) == ("tensorcost-external-id", 900)
    allowed = {one["Action"] for one in json.loads(asked["Policy"])["Statement"]}
    assert allowed == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}


@pytest.mark.parametrize("credentials", [True, False], ids=["one bucket gone", "no credentials"])
def test_a_source_that_cannot_be_read_keeps_nobody_waiting_and_is_named(
    endpoint: str, s3: Any, bucket: str, platform_db: Any, tmp_path: Path, credentials: bool
) -> None:
    db = platform_db
    deliver(s3, bucket, sample_logs(12, objects=1, records_per_object=3))
    (tmp_path / "key").write_text(bytes(range(32)).hex())
    places = [(db.a, "no-such-bucket"), (db.b, bucket)]
    sources = [asdict(a_source(tenant, bucket=name)) for tenant, name in places]
    document = {
        "app_url": db.app_url,
        "seal": {"kid": db.seal.kid, "secret": "file:key"},
        "redaction": {"hash_key": "file:key", "aws_endpoint_url": endpoint, "sources": sources},
    }
    (tmp_path / "platform.json").write_text(json.dumps(document))
    keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"} if credentials else {}
    alone = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "core_platform.redaction", "--settings", str(tmp_path / "platform.json")]
    ran = subprocess.run(command, capture_output=True, text=True, env={**alone, **keys})
    assert ran.returncode == 2
    assert f"tenant {db.a}: AWS did not answer" in ran.stderr
    assert [json.loads(line)["tenant"] for line in ran.stdout.splitlines()] == [str(db.b)] * credentials
    assert "Traceback" not in ran.stderr


def test_a_session_for_a_log_group_may_filter_its_events_and_nothing_else() -> None:
    source = a_source(uuid4(), log_group="/aws/bedrock/logs", since="2026-11-01")
    (statement,) = session_policy(source, "eu-west-1")["Statement"]
    assert statement["Action"] == "logs:FilterLogEvents"
    assert statement["Resource"] == "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/bedrock/logs:*"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "either 'bucket' or 'log_group'"),
        ({"bucket": "b", "log_group": "g", "since": "2026-11-01"}, "either 'bucket' or 'log_group'"),
        ({"log_group": "g"}, "needs 'since'"),
        ({"log_group": "g", "since": "soon"}, "needs 'since'"),
        ({"bucket": "b", "role_arn": "arn:aws:iam::111122223333:user/x"}, "not the ARN of a role"),
        ({"bucket": "b", "external_id": "short"}, "fewer than 16"),
    ],
)
def test_a_source_that_could_read_too_much_or_nothing_is_refused(changes: Any, said: str) -> None:
    source = {"tenant": "t", "role_arn": "arn:aws:iam::111122223333:role/r", "external_id": "x" * 16}
    document = {
        "app_url": "u",
        "seal": {"kid": "k", "secret": "env:S"},
        "redaction": {"hash_key": "env:H", "sources": [{**source, **changes}]},
    }
    with pytest.raises(SettingsError, match=said):
        parse_settings(document, origin="platform.json", folder=Path())


def test_a_source_of_nobody_is_refused_before_anything_is_read(s3: Any, platform_db: Any) -> None:
    with pytest.raises(PlatformError):
        ingest_bucket(platform_db.database, s3, a_source("not-a-tenant", bucket="b"), KEYRING)


def test_the_redaction_imports_no_ingress() -> None:
    code = "import core_platform.redaction, sys; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=sys.path[0] or None).returncode == 0
