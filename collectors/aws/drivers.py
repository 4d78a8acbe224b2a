"""Who answers a flow's calls: AWS itself, a recording of it, or AWS while a recording is made.

One switch turns live into replay, as cloud-custodian's flight data does. A cassette holds calls,
replies and refusals as canonical JSON (RFC 8785) and no credentials; a call that it does not hold is
`unreachable`, so that a recording which is too short can never look like an empty account.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from collectors.aws.flow import Call, Driver, Reply
from collectors.aws.refusals import AwsRefused
from collectors.boundary import refusal_of
from collectors.errors import CassetteError
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.errors import CanonicalError
from evidence.record import Outcome

CONNECT_TIMEOUT: Final = timedelta(seconds=3)
READ_TIMEOUT: Final = timedelta(seconds=15)
MAX_ATTEMPTS: Final = 3
CASSETTE_VERSION: Final = 1


class LiveDriver:
    """Calls AWS, or an emulator at `endpoint_url`, in one account and region.

    Args:
        region: of every client.
        account: the account's id; before the first call the credentials must prove to be its own.
            None leaves that out.
        endpoint_url: of an emulator; None is AWS.
        session: where credentials come from (a profile, an assumed role); None is boto3's chain.
    """

    def __init__(
        self,
        region: str,
        *,
        account: str | None = None,
        endpoint_url: str | None = None,
        session: boto3.Session | None = None,
    ) -> None:
        self._region = region
        self._account = account
        self._endpoint_url = endpoint_url
        self._session = session or boto3.Session()
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    def answer(self, call: Call) -> Reply:
        """The reply of AWS. Retries as botocore's standard mode does, at most twice.

        Raises:
            AwsRefused: refused, throttled, unreachable, or not an API that answers there.
        """
        if self._account is not None:
            self._require_account(self._account)
        return self._send(call)

    def _require_account(self, expected: str) -> None:
        found = self._send(Call("sts", "GetCallerIdentity"))["Account"]
        if found != expected:
            raise AwsRefused(
                Outcome.DENIED,
                "WrongAccount",
                "the credentials belong to another account",
                f"the credentials are of account {found}, the scope names {expected}",
            )
        self._account = None

    def _send(self, call: Call) -> Reply:
        try:
            method = getattr(self._client(call.service), xform_name(call.operation))
            reply = method(**call.parameters)
        except (ClientError, BotoCoreError, ResponseParserError, OSError) as error:
            raise _refused(call, error) from error
        return {name: _plain(value) for name, value in reply.items() if name != "ResponseMetadata"}

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,
                    region_name=self._region,
                    endpoint_url=self._endpoint_url,
                    config=_config(emulated=self._endpoint_url is not None),
                )
            return self._clients[service]


class RecordingDriver:
    """Passes calls on to another driver and keeps what it answered."""

    def __init__(self, inner: Driver) -> None:
        self._inner = inner
        self._entries: list[dict[str, Any]] = []

    def answer(self, call: Call) -> Reply:
        """The inner driver's answer. Raises AwsRefused as it does."""
        entry: dict[str, Any] = {
            "service": call.service,
            "operation": call.operation,
            "parameters": dict(call.parameters),
        }
        self._entries.append(entry)
        try:
            reply = self._inner.answer(call)
        except AwsRefused as refused:
            entry["refused"] = {
                "outcome": refused.outcome.value,
                "code": refused.code,
                "reason": refused.reason,
                "detail": refused.detail,
            }
            raise
        entry["reply"] = dict(reply)
        return reply

    def save(self, file: Path) -> None:
        """Write the cassette."""
        file.write_bytes(canonical_bytes({"version": CASSETTE_VERSION, "calls": self._entries}) + b"\n")


class ReplayDriver:
    """Answers from a cassette: equal calls in the order in which they were recorded."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._answers: dict[bytes, deque[dict[str, Any]]] = defaultdict(deque)
        for entry in entries:
            self._answers[_key(entry)].append(entry)

    @classmethod
    def load(cls, file: Path) -> ReplayDriver:
        """Read a cassette.

        Raises:
            CassetteError: the file cannot be read or is none.
        """
        try:
            cassette = parse_strict(file.read_bytes().rstrip(b"\n"))
        except (OSError, CanonicalError) as error:
            raise CassetteError(f"{file}: cannot be read as a cassette: {error}") from error
        if not isinstance(cassette, dict) or cassette.get("version") != CASSETTE_VERSION:
            raise CassetteError(f"{file}: not a cassette of version {CASSETTE_VERSION}; record it anew")
        return cls(cassette["calls"])

    def answer(self, call: Call) -> Reply:
        """The recorded reply. Raises AwsRefused as recorded, or `unreachable` for an unknown call."""
        entry = {"service": call.service, "operation": call.operation, "parameters": call.parameters}
        waiting = self._answers.get(_key(entry))
        if not waiting:
            raise AwsRefused(
                Outcome.UNREACHABLE,
                "NotRecorded",
                "the call is not in the recording",
                f"{call} with these parameters is not in the cassette, or was answered already",
            )
        recorded = waiting.popleft()
        if refused := recorded.get("refused"):
            raise AwsRefused(
                Outcome(refused["outcome"]), refused["code"], refused["reason"], refused["detail"]
            )
        reply: Reply = recorded["reply"]
        return reply


def _key(entry: Mapping[str, Any]) -> bytes:
    return canonical_bytes([entry["service"], entry["operation"], dict(entry["parameters"])])


def _config(*, emulated: bool) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT.total_seconds(),
        read_timeout=READ_TIMEOUT.total_seconds(),
        user_agent_extra="posture-collector",
        # An emulator has one address; buckets cannot be names of hosts there.
        s3={"addressing_style": "path"} if emulated else None,
    )


def _refused(call: Call, error: Exception) -> AwsRefused:
    """Name the call in the reason: which permission is missing is what an operator must know."""
    typed = refusal_of(error)
    code = type(error).__name__
    if isinstance(error, ClientError):
        code = str(error.response["Error"].get("Code", code))
    return AwsRefused(typed.outcome, code, f"{call}: {code}", f"{call}: {typed.detail}")


def _plain(value: Any) -> Any:  # noqa: ANN401 - what botocore parsed
    """The value as canonical JSON can hold it, so that a recorded reply equals the live one."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
