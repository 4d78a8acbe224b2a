"""Invocation log objects in a customer's bucket, one line at a time and never more than was agreed.

Only the tenant's registered bucket and prefix are read, and only objects that AWS's own layout makes
log objects: bodies that Bedrock moved out (``/data/``) and permission checks are no records. Inflation
is bounded in bytes, ratio, line length and lines, because a log object is a stranger's gzip.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isal import isal_zlib

from core_platform.errors import PlatformError
from core_platform.redaction.bedrock import MAX_LINE_BYTES

if TYPE_CHECKING:
    from botocore.client import BaseClient

MAX_OBJECT_BYTES = 256 * 1024 * 1024
MAX_RATIO = 200
MAX_RECORDS = 100_000
#: Ratios mean nothing before this much came out.
RATIO_FROM_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_GZIP = 16 + 15
_RECORDS = re.compile(
    r"AWSLogs/(?P<account>[0-9]{12})/BedrockModelInvocationLogs/(?P<region>[a-z0-9-]{4,30})/"
    r"(?:[0-9]{2,4}/){0,4}[^/]+\.json\.gz"
)
_MARKER = "permission-check"


class ObjectRefused(PlatformError):
    """An object that breaks a limit or is no gzip; ``error_class`` says which, never its bytes."""

    def __init__(self, error_class: str) -> None:
        super().__init__(error_class)
        self.error_class = error_class


@dataclass(frozen=True, slots=True)
class LogBucket:
    """One registered place: a boto3 S3 client, a bucket, and the prefix the logs begin at."""

    client: "BaseClient"
    bucket: str
    prefix: str = ""

    def units(self) -> Iterator["LogObject"]:
        """The log objects, by key. Errors of the client come as botocore's own."""
        start = f"{self.prefix.rstrip('/')}/" if self.prefix else ""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{start}AWSLogs/"
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                if account := account_of(entry["Key"], start):
                    yield LogObject(self, entry["Key"], account)


@dataclass(frozen=True, slots=True)
class LogObject:
    """A log object: its bucket, its key, and the account whose folder it lies in."""

    place: LogBucket
    key: str
    account: str

    @property
    def reference(self) -> str:
        """Bucket and key."""
        return f"{self.place.bucket}/{self.key}"

    def lines(self) -> Iterator[bytes]:
        """The object's lines without their ends.

        Raises:
            ObjectRefused: a limit is passed, or the object is no complete gzip.
        """
        body = self.place.client.get_object(Bucket=self.place.bucket, Key=self.key)["Body"]
        return split_lines(inflate(body.iter_chunks(_CHUNK_BYTES)))


def account_of(key: str, start: str) -> str | None:
    """The account of the log object that a key names, or None for a body, a marker or anything else."""
    match = _RECORDS.fullmatch(key.removeprefix(start))
    if match is None or "/data/" in key or _MARKER in key:
        return None
    return match["account"]


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Inflate gzip, of several members too, within the limits.

    Raises:
        ObjectRefused: ``object:ratio``, ``object:size``, ``object:truncated`` or ``object:not_gzip``.
    """
    meter = _Meter()
    member = isal_zlib.decompressobj(_GZIP)
    for chunk in chunks:
        pending = chunk
        meter.taken += len(chunk)
        while pending:
            if member.eof:
                member = isal_zlib.decompressobj(_GZIP)
            try:
                piece = member.decompress(pending, _CHUNK_BYTES)
            # isal's stub declares the exception class as an instance of Exception.
            except isal_zlib.IsalError:  # type: ignore[misc]
                raise ObjectRefused("object:not_gzip") from None
            meter.give(len(piece))
            yield piece
            pending = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise ObjectRefused("object:truncated")


@dataclass(slots=True)
class _Meter:
    taken: int = 0
    given: int = 0

    def give(self, size: int) -> None:
        self.given += size
        if self.given > MAX_OBJECT_BYTES:
            raise ObjectRefused("object:size")
        if self.given > max(RATIO_FROM_BYTES, MAX_RATIO * self.taken):
            raise ObjectRefused("object:ratio")


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines from pieces. One that is too long comes cut, a byte over the limit, to be refused.

    Raises:
        ObjectRefused: ``object:records``.
    """
    count, rest = 0, b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                count += 1
                yield line
        if count > MAX_RECORDS:
            raise ObjectRefused("object:records")
        if len(rest) > MAX_LINE_BYTES + 1:
            rest = rest[: MAX_LINE_BYTES + 1]
    if rest.strip():
        yield rest
