"""The AWS emulator as a program of its own, and the proxy that takes permissions away."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from posture.embedded.aws import MotoServer
from posture.embedded.deny_proxy import DenyProxy
from posture.embedded.errors import EmbeddedError, NotRunningError

ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
REFUSALS = {
    "query": ("rds", "DescribeDBInstances", "describe_db_instances", {}, "AccessDenied"),
    "ec2": ("ec2", "DescribeVolumes", "describe_volumes", {}, "UnauthorizedOperation"),
    "json": ("cloudtrail", "DescribeTrails", "describe_trails", {}, "AccessDeniedException"),
    "rest-json": ("guardduty", "ListDetectors", "list_detectors", {}, "AccessDeniedException"),
    "rest-xml": ("s3", "GetBucketEncryption", "get_bucket_encryption", {"Bucket": "logs"}, "AccessDenied"),
}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        s3 = client(server.endpoint, "s3")
        s3.create_bucket(Bucket="logs")
        s3.put_bucket_encryption(Bucket="logs", ServerSideEncryptionConfiguration=ENCRYPTED)
        yield server


def client(endpoint: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_an_error_inside_the_emulator_is_in_its_log(moto: MotoServer) -> None:
    with pytest.raises(Exception, match=r"500|invalid XML"):
        client(moto.endpoint, "bedrock").list_foundation_models()
    deadline = time.monotonic() + 10  # it answers first and logs then
    while "NotImplementedError: The list_foundation_models" not in (moto.directory / "moto.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stopped_emulator_is_gone(tmp_path: Path) -> None:
    server = MotoServer(tmp_path / "moto")
    with pytest.raises(NotRunningError, match="call start"):
        _ = server.endpoint
    with server:
        assert client(server.endpoint, "sts").get_caller_identity()["Account"]
        address = urlsplit(server.endpoint)
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()
    assert address.hostname == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port or 0), timeout=2)
    assert "GET /moto-api/" in (tmp_path / "moto/moto.log").read_text()


@pytest.mark.parametrize("protocol", REFUSALS)
def test_a_refusal_is_said_in_the_services_own_protocol(protocol: str, moto: MotoServer) -> None:
    service, operation, call, arguments, code = REFUSALS[protocol]
    with DenyProxy(moto.endpoint, [(service, operation)]) as proxy:
        asked = client(proxy.endpoint, service)
        with pytest.raises(ClientError) as caught:
            getattr(asked, call)(**arguments)
        assert caught.value.response["Error"]["Code"] == code
        assert operation in caught.value.response["Error"]["Message"]
        assert proxy.refused == {(service, operation): 1}
        proxy.allow(service, operation)
        assert getattr(asked, call)(**arguments)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert proxy.refused == {(service, operation): 1}


def test_only_the_named_operation_is_refused(moto: MotoServer) -> None:
    denied = [("s3", "GetBucketEncryption"), ("s3", "ListObjectsV2"), ("ec2", "DescribeVolumes")]
    with DenyProxy(moto.endpoint, denied) as proxy:
        s3 = client(proxy.endpoint, "s3")
        s3.put_object(Bucket="logs", Key="a/b c.json", Body=b"\x00\xff" * 100_000)
        assert s3.get_object(Bucket="logs", Key="a/b c.json")["Body"].read() == b"\x00\xff" * 100_000
        assert s3.head_object(Bucket="logs", Key="a/b c.json")["ContentLength"] == 200_000
        assert s3.list_objects(Bucket="logs")["Contents"][0]["Key"] == "a/b c.json"
        assert s3.get_bucket_acl(Bucket="logs")["Grants"]
        assert s3.list_buckets()["Buckets"]
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket="logs")
        assert client(proxy.endpoint, "ec2").describe_instances()["Reservations"] == []
        assert client(proxy.endpoint, "rds").describe_db_instances()["DBInstances"] == []


def test_a_head_request_is_refused_without_a_body(moto: MotoServer) -> None:
    with (
        DenyProxy(moto.endpoint, [("s3", "HeadBucket")]) as proxy,
        pytest.raises(ClientError, match="403"),
    ):
        client(proxy.endpoint, "s3").head_bucket(Bucket="logs")


def test_services_of_one_signing_name_are_told_apart(moto: MotoServer) -> None:
    with DenyProxy(moto.endpoint, [("elb", "DescribeLoadBalancers")]) as proxy:
        assert client(proxy.endpoint, "elbv2").describe_load_balancers()["LoadBalancers"] == []
        with pytest.raises(ClientError, match="AccessDenied"):
            client(proxy.endpoint, "elb").describe_load_balancers()


def test_many_callers_are_served_by_few_threads(moto: MotoServer) -> None:
    with DenyProxy(moto.endpoint, [("rds", "DescribeDBClusters")]) as proxy:
        asked = client(proxy.endpoint, "rds")
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: asked.describe_db_instances(), range(80)))
    assert len(answers) == 80


def test_an_unknown_service_or_operation_is_refused_with_a_suggestion() -> None:
    with pytest.raises(EmbeddedError, match='did you mean "DescribeDBInstances"'):
        DenyProxy("http://127.0.0.1:1", [("rds", "DescribeDBInstance")])
    with pytest.raises(EmbeddedError, match='did you mean "guardduty"'):
        DenyProxy("http://127.0.0.1:1", [("gaurdduty", "ListDetectors")])
    with pytest.raises(EmbeddedError, match="http://host:port"):
        DenyProxy("https://example.com")


def test_a_missing_endpoint_is_a_bad_gateway_not_a_refusal() -> None:
    with DenyProxy("http://127.0.0.1:1", [("rds", "DescribeDBInstances")]) as proxy:
        with pytest.raises(ClientError, match="502"):
            client(proxy.endpoint, "s3").list_buckets()
        address = urlsplit(proxy.endpoint)
        raw = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
        raw.request("POST", "/", headers={"Content-Length": str(1 << 40)})
        assert raw.getresponse().status == 413
        raw.close()
    proxy.close()
    with pytest.raises(NotRunningError):
        _ = proxy.endpoint
