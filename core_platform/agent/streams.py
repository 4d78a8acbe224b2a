"""One stream to the ingress: a TLS channel, a hello sent exactly as given, messages both ways.

For the agent and for probes from outside: nothing here corrects what it is told to send, so a probe
can replay, skew and forge. Blocking, one thread for each stream.
"""

import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import UUID

import grpc

from core_platform.agent.hello import AgentIdentity, build_hello, hello_message
from core_platform.agent.telemetry import GpuReading
from core_platform.errors import PlatformError
from core_platform.ingress.hello import Hello
from core_platform.ingress.proto import agent_pb2

_METHOD = f"/{agent_pb2.DESCRIPTOR.services_by_name['AgentIngress'].full_name}/Stream"


@dataclass(frozen=True, slots=True)
class IngressAddress:
    """Where the ingress is: ``host:port``, the CA that signed it (PEM), the audience it answers to.

    ``server_name`` is the name in its certificate where that is not the host; ``client_pair`` is a
    private key and a certificate (PEM) where the ingress asks for one.
    """

    target: str
    ca: bytes = field(repr=False)
    audience: str
    server_name: str | None = None
    client_pair: tuple[bytes, bytes] | None = field(default=None, repr=False)


class StreamEnded(PlatformError):
    """The server ended the stream: gRPC's status, its text, and what came in the trailers.

    ``reason`` is the server's own word (``replayed``, ``clock_skew``); for a hello that was answered
    by a challenge nobody took up it is ``challenged``.
    """

    def __init__(self, code: grpc.StatusCode, details: str, trailers: dict[str, str | bytes]) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.reason = details.partition(":")[0]
        self.trailers = trailers


class OpenStream:
    """One call of the service. Use it as a context manager: leaving it ends the call."""

    def __init__(self, channel: grpc.Channel, *, timeout: float | None = None) -> None:
        self._outbox: queue.SimpleQueue[agent_pb2.AgentMessage | None] = queue.SimpleQueue()
        requests = iter(self._outbox.get, None)
        method = channel.stream_stream(
            _METHOD,
            request_serializer=agent_pb2.AgentMessage.SerializeToString,
            response_deserializer=agent_pb2.ServerMessage.FromString,
        )
        self._call = method(requests, timeout=timeout)
        self.welcome = agent_pb2.HelloOk()

    def send(self, message: agent_pb2.AgentMessage) -> None:
        """Queue one message; whether the server took it shows in `receive`."""
        self._outbox.put(message)

    def receive(self) -> agent_pb2.ServerMessage:
        """The server's next message.

        Raises:
            StreamEnded: there is none, because the server ended the stream.
        """
        try:
            reply: agent_pb2.ServerMessage = next(self._call)
        except StopIteration:
            raise StreamEnded(grpc.StatusCode.OK, "ended", {}) from None
        except grpc.RpcError as error:
            raise StreamEnded(error.code(), error.details() or "", _trailers(error)) from None
        else:
            return reply

    def close(self) -> None:
        """End the call, whatever state it is in."""
        self._outbox.put(None)
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def connect(address: IngressAddress) -> Iterator[grpc.Channel]:
    """A TLS channel to the ingress, closed at the end."""
    key, certificate = address.client_pair or (None, None)
    credentials = grpc.ssl_channel_credentials(address.ca, key, certificate)
    options: list[tuple[str, str | int]] = [
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if address.server_name:
        options.append(("grpc.ssl_target_name_override", address.server_name))
    with grpc.secure_channel(address.target, credentials, options) as channel:
        yield channel


def open_stream(
    channel: grpc.Channel,
    hello: Hello,
    *,
    answer_as: AgentIdentity | None = None,
    timeout: float | None = None,
) -> OpenStream:
    """Send ``hello`` exactly as given and wait for the welcome.

    Where the server asks for a challenge, ``answer_as`` answers it; without it that is a refusal, so
    whoever replays a hello sees what a thief would see. ``timeout`` in seconds bounds the whole call.

    Raises:
        StreamEnded: the hello was not accepted.
    """
    stream = OpenStream(channel, timeout=timeout)
    try:
        stream.send(hello_message(hello))
        reply = stream.receive()
        if reply.WhichOneof("body") == "challenge":
            reply = _answer(stream, hello, reply.challenge.challenge, answer_as)
        stream.welcome = reply.hello_ok
    except BaseException:
        stream.close()
        raise
    return stream


def _trailers(error: grpc.RpcError) -> dict[str, str | bytes]:
    return {one.key: one.value for one in error.trailing_metadata() or ()}


def _answer(
    stream: OpenStream, hello: Hello, challenge: bytes, identity: AgentIdentity | None
) -> agent_pb2.ServerMessage:
    if identity is None:
        raise StreamEnded(grpc.StatusCode.FAILED_PRECONDITION, "challenged: not answered", {})
    answer = build_hello(identity, hello.audience, ts_ms=hello.ts_ms, challenge=challenge)
    stream.send(hello_message(answer))
    return stream.receive()


def batch_message(
    epoch: UUID, seq: int, readings: Iterable[GpuReading], *, claimed_tenant: UUID | None = None
) -> agent_pb2.AgentMessage:
    """One batch as it goes over the wire; ``claimed_tenant`` is for probes, no agent sets it."""
    return agent_pb2.AgentMessage(
        samples=agent_pb2.SampleBatch(
            epoch=epoch.bytes,
            seq=seq,
            samples=[_sample(one) for one in readings],
            claimed_tenant=claimed_tenant.bytes if claimed_tenant else b"",
        )
    )


def _sample(reading: GpuReading) -> agent_pb2.GpuSample:
    return agent_pb2.GpuSample(
        gpu_index=reading.gpu_index,
        ts_ms=reading.ts_ms,
        utilization_percent=reading.utilization_percent,
        memory_used_mib=reading.memory_used_mib,
        power_watts=reading.power_watts,
    )
