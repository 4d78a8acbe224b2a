"""The buckets of an account and the encryption that each states.

AWS encrypts every new object since January 2023; what is recorded is nevertheless what the bucket's
own configuration says, so a bucket without one is recorded without an algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector, Reply, pages
from collectors.aws.refusals import AwsRefused
from evidence.kinds.aws import S3Bucket, S3Buckets
from evidence.payload import Payload

NO_CONFIGURATION = "ServerSideEncryptionConfigurationNotFoundError"


def s3_buckets() -> Flow:
    """``s3:ListBuckets``, then ``s3:GetBucketEncryption`` of each.

    A bucket whose encryption may not be read is counted and not described: the finding is a part.
    """
    replies = yield from pages(
        Call("s3", "ListBuckets"), sent="ContinuationToken", received="ContinuationToken"
    )
    names = [bucket["Name"] for reply in replies for bucket in reply["Buckets"]]
    described: list[S3Bucket] = []
    refusals: list[AwsRefused] = []
    for name in names:
        try:
            reply = yield Call("s3", "GetBucketEncryption", {"Bucket": name})
            described.append(S3Bucket(name, _algorithm(reply)))
        except AwsRefused as refused:
            if refused.code == NO_CONFIGURATION:
                described.append(S3Bucket(name, None))
            else:
                refusals.append(refused)
    return Finding(S3Buckets(count=len(names), buckets=tuple(described)), refusals)


def _algorithm(reply: Reply) -> str | None:
    """The default of the first rule that has one."""
    rules = reply["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault") for rule in rules]
    return next((default["SSEAlgorithm"] for default in defaults if default), None)


class S3Collector(FlowCollector):
    """Looks at S3."""

    name: str = "aws.s3"
    population: str = "aws.s3"
    kinds: Sequence[type[Payload]] = (S3Buckets,)

    def flow(self) -> Flow:
        """`s3_buckets`."""
        return s3_buckets()
