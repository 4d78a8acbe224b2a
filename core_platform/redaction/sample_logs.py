"""Bedrock invocation logs as AWS delivers them, with marked words where content can hide.

For demonstrations and tests: seeded, so every run makes the same. Each canary is a word that occurs
nowhere else; found anywhere behind the ingestion, it shows that content got through.
"""

import gzip
import json
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from core_platform.redaction.bedrock import Operation

_MODELS = (
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "amazon.nova-pro-v1:0",
    "meta.llama3-1-70b-instruct-v1:0",
)
_ROLES = ("checkout-service", "support-bot", "data-science", "nightly-batch")
_WORDS = ("the", "invoice", "of", "our", "customer", "was", "late", "please", "write", "a", "reply")
_START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SampleLogs:
    """Objects by key, as they lie in the bucket; the canaries in them; how many records they hold."""

    objects: Mapping[str, bytes]
    canaries: tuple[str, ...]
    records: int


@dataclass(slots=True)
class _Author:
    """Writes records, and remembers each canary that it planted."""

    dice: random.Random
    account: str
    region: str
    canaries: list[str] = field(default_factory=list)

    def canary(self) -> str:
        word = f"CANARY-{self.dice.getrandbits(96):024X}"
        self.canaries.append(word)
        return word

    def prose(self) -> str:
        words = self.dice.choices(_WORDS, k=self.dice.randint(5, 40))
        return " ".join([*words, self.canary()])

    def record(self, number: int) -> dict[str, Any]:
        operation = self.dice.choice(tuple(Operation))
        at = _START + timedelta(seconds=37 * number)
        return {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "accountId": self.account,
            "identity": {"arn": self._arn()},
            "region": self.region,
            "requestId": str(uuid.UUID(int=self.dice.getrandbits(128), version=4)),
            "operation": operation.value,
            "modelId": self.dice.choice(_MODELS),
            **self._metadata(),
            "input": self._request(operation),
            "output": self._response(operation),
        }

    def _arn(self) -> str:
        role, session = self.dice.choice(_ROLES), f"{self.canary()}@example.com"
        return f"arn:aws:sts::{self.account}:assumed-role/{role}/{session}"

    def _metadata(self) -> dict[str, Any]:
        if self.dice.random() < 0.5:
            return {}
        return {"requestMetadata": {"application": "checkout", "note": self.canary()}}

    def _request(self, operation: Operation) -> dict[str, Any]:
        tokens = {"inputContentType": "application/json", "inputTokenCount": self.dice.randint(5, 9000)}
        if self.dice.random() < 0.05:
            return {**tokens, "inputBodyS3Path": f"s3://logs/data/{self.canary()}_input.json.gz"}
        return {**tokens, "inputBodyJson": _REQUESTS[operation](self.prose())}

    def _response(self, operation: Operation) -> dict[str, Any]:
        return {
            "outputContentType": "application/json",
            "outputTokenCount": self.dice.randint(1, 2000),
            "outputBodyJson": _RESPONSES[operation](self.prose()),
        }


def _invoke(text: str) -> dict[str, Any]:
    return {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": text}]}


def _converse(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {}}


def _stream(text: str) -> list[dict[str, Any]]:
    half = len(text) // 2
    deltas = [{"type": "content_block_delta", "delta": {"text": part}} for part in (text[:half], text[half:])]
    return [{"type": "message_start"}, *deltas, {"type": "message_stop"}]


def _guarded(text: str) -> dict[str, Any]:
    trace = {"guardrail": {"inputAssessment": {"wordPolicy": {"customWords": [{"match": text}]}}}}
    return {"output": {"message": {"content": [{"text": text}]}}, "trace": trace}


_REQUESTS = {
    Operation.INVOKE_MODEL: _invoke,
    Operation.INVOKE_MODEL_STREAM: _invoke,
    Operation.CONVERSE: _converse,
    Operation.CONVERSE_STREAM: _converse,
}
_RESPONSES: Mapping[Operation, Any] = {
    # Bodies that are not JSON for Bedrock arrive as one string.
    Operation.INVOKE_MODEL: str,
    Operation.INVOKE_MODEL_STREAM: _stream,
    Operation.CONVERSE: _guarded,
    Operation.CONVERSE_STREAM: _stream,
}


def sample_logs(
    seed: int,
    *,
    account: str = "111122223333",
    region: str = "us-east-1",
    prefix: str = "",
    objects: int = 3,
    records_per_object: int = 20,
) -> SampleLogs:
    """A bucket's worth of logs: record objects, and the markers and bodies a reader must skip."""
    author = _Author(random.Random(seed), account, region)  # noqa: S311 - reproducible, no secret
    made = dict(_objects(author, prefix, objects, records_per_object))
    return SampleLogs(made, tuple(author.canaries), objects * records_per_object)


def _objects(author: _Author, prefix: str, objects: int, records: int) -> Iterator[tuple[str, bytes]]:
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    root = f"{start}AWSLogs/{author.account}/BedrockModelInvocationLogs"
    yield f"{root}/amazon-bedrock-logs-permission-check", b""
    for number in range(objects):
        folder = f"{root}/{author.region}/2026/11/01/{number % 24:02d}"
        lines = [author.record(number * records + one) for one in range(records)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        yield f"{folder}/{number:05d}_{author.dice.getrandbits(32):08x}.json.gz", _gzip(text)
        body = json.dumps({"prompt": author.prose()})
        yield f"{folder}/data/{author.dice.getrandbits(32):08x}_input.json.gz", _gzip(body)


def _gzip(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)
