"""What is kept of one Bedrock invocation log record: a new record, built from allowed fields only.

The promise behind it is that no prompt enters the platform. Nothing is copied and then cleaned; a
field that is not listed here cannot pass, whatever AWS adds. Shapes follow the AWS user guide, "Model
invocation logging", for all four operations; bodies are hashed as delivered and never parsed.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import msgspec

from core_platform.redaction.json_levels import Fault, Level, RecordRefused, read_level
from core_platform.redaction.keys import TenantHasher

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_TOKENS = 2**31 - 1
MAX_METADATA_KEYS = 32

T = TypeVar("T")


class Operation(StrEnum):
    """The operations whose records are projected."""

    INVOKE_MODEL = "InvokeModel"
    INVOKE_MODEL_STREAM = "InvokeModelWithResponseStream"
    CONVERSE = "Converse"
    CONVERSE_STREAM = "ConverseStream"


@dataclass(frozen=True, slots=True)
class SpendRecord:
    """All that is kept of an invocation. Hashes are keyed for the tenant (`TenantHasher`)."""

    request_id: str
    occurred_at: datetime
    account_id: str
    region: str
    model_id: str
    operation: Operation
    input_tokens: int | None
    output_tokens: int | None
    prompt_hash: str | None
    response_hash: str | None
    role_name: str | None
    session_hash: str | None
    overflow: bool
    metadata: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Projection:
    """How one tenant's records are projected.

    ``metadata_keys`` are the request metadata that the tenant asked to keep; none, and the tenant's
    ``capture_metadata`` off, is the default.
    """

    hasher: TenantHasher
    metadata_keys: frozenset[str] = frozenset()

    def project(self, line: bytes, unknown: Counter[str]) -> SpendRecord:
        """One record from one line; names of unknown fields are counted in ``unknown`` as hashes.

        Raises:
            RecordRefused: the line is not a record that can be projected in full.
        """
        _refuse_text_that_is_not_utf8(line)
        record = read_level(line)
        _text(record, "schemaType", _SCHEMA_TYPE)
        request, response = _level(record, "input"), _level(record, "output")
        self._count_unknown(unknown, {"": record, "input.": request, "output.": response})
        operation = Operation(_text(record, "operation", _OPERATION))
        role_name, session_hash = self._identity(record)
        return SpendRecord(
            request_id=_text(record, "requestId", _REQUEST_ID),
            occurred_at=_instant(record, "timestamp"),
            account_id=_text(record, "accountId", _ACCOUNT),
            region=_text(record, "region", _REGION),
            model_id=_model(record),
            operation=operation,
            input_tokens=_tokens(request, "inputTokenCount"),
            output_tokens=_tokens(response, "outputTokenCount"),
            prompt_hash=self._body_hash("prompt/v2", operation, request.get("inputBodyJson")),
            response_hash=self._body_hash("response/v2", operation, response.get("outputBodyJson")),
            role_name=role_name,
            session_hash=session_hash,
            overflow=not _OVERFLOW.isdisjoint((*request, *response)),
            metadata=self._metadata(record),
        )

    def _body_hash(self, domain: str, operation: Operation, body: msgspec.Raw | None) -> str | None:
        """Over the bytes as delivered: a body written differently is a different body."""
        if body is None or body == _NULL:
            return None
        return self.hasher.digest(domain, operation.encode() + b"\x00", memoryview(body))

    def _identity(self, record: Level) -> tuple[str | None, str | None]:
        """Role name, and the hash of who used it: a session's name is often an e-mail address."""
        if "identity" not in record:
            return None, None
        level = _level(record, "identity")
        if "arn" not in level:
            return None, None
        arn = _ARN.fullmatch(_decode(level, "arn", _STRING))
        if arn is None:
            raise RecordRefused(Fault.FIELD, "identity.arn")
        return arn["role"], self.hasher.digest("session/v2", (arn["session"] or arn["other"]).encode())

    def _metadata(self, record: Level) -> dict[str, str] | None:
        """The allowed request metadata; a value that is not plainly a label is hashed."""
        if not self.metadata_keys or "requestMetadata" not in record:
            return None
        level = _level(record, "requestMetadata")
        kept = sorted(self.metadata_keys & level.keys())[:MAX_METADATA_KEYS]
        return {name: self._label(_decode(level, name, _STRING)) for name in kept}

    def _label(self, value: str) -> str:
        return value if _LABEL.fullmatch(value) else self.hasher.digest("metadata/v2", value.encode())

    def _count_unknown(self, unknown: Counter[str], levels: Mapping[str, Level]) -> None:
        for prefix, level in levels.items():
            for name in level.keys() - _KNOWN[prefix]:
                unknown[self.hasher.digest("field/v2", f"{prefix}{name}".encode())[:19]] += 1


_NULL = msgspec.Raw(b"null")
_STRING, _INTEGER = msgspec.json.Decoder(str), msgspec.json.Decoder(int)
_INSTANT = msgspec.json.Decoder(datetime)
_SCHEMA_TYPE = re.compile("ModelInvocationLog")
_OPERATION = re.compile("|".join(Operation))
_REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_LABEL = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
#: A model or inference profile by AWS's own naming; a customer's resource by its generated id.
_MODEL = re.compile(r"([a-z]{2,6}\.)?[a-z0-9]{2,20}\.[a-z0-9][a-z0-9.-]{1,62}(:[0-9a-z]{1,8}){0,2}")
_MODEL_ARN = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(?P<kind>[a-z-]{5,40})/"
    r"(?:[^/]{1,128}/)?(?P<id>[a-z0-9][a-z0-9.:-]{1,80})"
)
_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:"
    r"(?:assumed-role/(?P<role>[A-Za-z0-9_+=,.@-]{1,64})/(?P<session>[^/]{1,64})|(?P<other>.{1,600}))",
    re.DOTALL,
)
_OVERFLOW = frozenset({"inputBodyS3Path", "outputBodyS3Path"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {"schemaType", "schemaVersion", "timestamp", "accountId", "region", "inferenceRegion"}
        | {"requestId", "operation", "modelId", "status", "errorCode", "identity"}
        | {"requestMetadata", "performanceConfig", "input", "output"}
    ),
    "input.": frozenset(
        {"inputContentType", "inputBodyJson", "inputBodyS3Path", "inputTokenCount"}
        | {"cacheReadInputTokenCount", "cacheWriteInputTokenCount"}
    ),
    "output.": frozenset({"outputContentType", "outputBodyJson", "outputBodyS3Path", "outputTokenCount"}),
}


def _refuse_text_that_is_not_utf8(line: bytes) -> None:
    """The parser accepts any bytes inside a body, so this looks first."""
    if len(line) > MAX_LINE_BYTES:
        raise RecordRefused(Fault.TOO_LONG)
    if not line.isascii() and not _is_utf8(line):
        raise RecordRefused(Fault.NOT_UTF8)


def _is_utf8(line: bytes) -> bool:
    # The decoder's error holds the line: it ends here, and nothing is raised from it.
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode(level: Level, name: str, shape: msgspec.json.Decoder[T]) -> T:
    try:
        return shape.decode(level[name])
    except (KeyError, msgspec.DecodeError):
        raise RecordRefused(Fault.FIELD, name if name in _NAMED else "metadata") from None


_NAMED = frozenset().union(*_KNOWN.values(), {"arn"})


def _level(level: Level, name: str) -> Level:
    """A nested object; one that is absent, as in records of errors, is empty."""
    return read_level(bytes(level[name])) if name in level else {}


def _text(level: Level, name: str, form: re.Pattern[str]) -> str:
    value = _decode(level, name, _STRING)
    if not form.fullmatch(value):
        raise RecordRefused(Fault.FIELD, name)
    return value


def _tokens(level: Level, name: str) -> int | None:
    if name not in level:
        return None
    count = _decode(level, name, _INTEGER)
    if not 0 <= count <= MAX_TOKENS:
        raise RecordRefused(Fault.FIELD, name)
    return count


def _instant(level: Level, name: str) -> datetime:
    instant = _decode(level, name, _INSTANT)
    if instant.tzinfo is None:
        raise RecordRefused(Fault.FIELD, name)
    return instant.astimezone(UTC)


def _model(record: Level) -> str:
    """The model's id; of an ARN its kind and id, without account and customer's names."""
    value = _decode(record, "modelId", _STRING)
    if _MODEL.fullmatch(value):
        return value
    if arn := _MODEL_ARN.fullmatch(value):
        return f"{arn['kind']}/{arn['id']}"
    raise RecordRefused(Fault.FIELD, "modelId")
