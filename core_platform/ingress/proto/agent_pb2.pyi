# ruff: noqa
# fmt: off
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentMessage(_message.Message):
    __slots__ = ("hello", "samples")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    samples: SampleBatch
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., samples: _Optional[_Union[SampleBatch, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "tenant", "key_id", "agent_id", "ts_ms", "nonce", "audience", "challenge", "capabilities", "mac")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TS_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    version: int
    tenant: bytes
    key_id: str
    agent_id: bytes
    ts_ms: int
    nonce: bytes
    audience: str
    challenge: bytes
    capabilities: bytes
    mac: bytes
    def __init__(self, version: _Optional[int] = ..., tenant: _Optional[bytes] = ..., key_id: _Optional[str] = ..., agent_id: _Optional[bytes] = ..., ts_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ..., audience: _Optional[str] = ..., challenge: _Optional[bytes] = ..., capabilities: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class SampleBatch(_message.Message):
    __slots__ = ("epoch", "seq", "samples", "claimed_tenant")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_TENANT_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    seq: int
    samples: _containers.RepeatedCompositeFieldContainer[GpuSample]
    claimed_tenant: bytes
    def __init__(self, epoch: _Optional[bytes] = ..., seq: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[GpuSample, _Mapping]]] = ..., claimed_tenant: _Optional[bytes] = ...) -> None: ...

class GpuSample(_message.Message):
    __slots__ = ("gpu_index", "ts_ms", "utilization_percent", "memory_used_mib", "power_watts")
    GPU_INDEX_FIELD_NUMBER: _ClassVar[int]
    TS_MS_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_MIB_FIELD_NUMBER: _ClassVar[int]
    POWER_WATTS_FIELD_NUMBER: _ClassVar[int]
    gpu_index: int
    ts_ms: int
    utilization_percent: float
    memory_used_mib: int
    power_watts: float
    def __init__(self, gpu_index: _Optional[int] = ..., ts_ms: _Optional[int] = ..., utilization_percent: _Optional[float] = ..., memory_used_mib: _Optional[int] = ..., power_watts: _Optional[float] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("hello_ok", "ack", "challenge")
    HELLO_OK_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    hello_ok: HelloOk
    ack: Ack
    challenge: Challenge
    def __init__(self, hello_ok: _Optional[_Union[HelloOk, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., challenge: _Optional[_Union[Challenge, _Mapping]] = ...) -> None: ...

class HelloOk(_message.Message):
    __slots__ = ("epoch", "resume_from", "server_time_ms")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESUME_FROM_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    resume_from: int
    server_time_ms: int
    def __init__(self, epoch: _Optional[bytes] = ..., resume_from: _Optional[int] = ..., server_time_ms: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("epoch", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    seq: int
    def __init__(self, epoch: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("challenge",)
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    def __init__(self, challenge: _Optional[bytes] = ...) -> None: ...
