"""The GPU agent: the client of the ingress, and the low-level stream that probes attack it with."""

from core_platform.agent.client import AgentClient, StreamSummary
from core_platform.agent.hello import (
    AgentIdentity,
    build_hello,
    hello_message,
    identity_from_pepper,
    server_clock_ms,
)
from core_platform.agent.streams import (
    IngressAddress,
    OpenStream,
    StreamEnded,
    batch_message,
    connect,
    open_stream,
)
from core_platform.agent.telemetry import GpuReading, telemetry

__all__ = [
    "AgentClient",
    "AgentIdentity",
    "GpuReading",
    "IngressAddress",
    "OpenStream",
    "StreamEnded",
    "StreamSummary",
    "batch_message",
    "build_hello",
    "connect",
    "hello_message",
    "identity_from_pepper",
    "open_stream",
    "server_clock_ms",
    "telemetry",
]
