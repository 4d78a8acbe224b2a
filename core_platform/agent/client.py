"""The agent: one numbered sequence of batches, carried over as many streams as it takes.

A batch leaves the agent only when the server said that it is durable; after a lost connection the
server says where to go on. Batches sent twice are one batch there.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import grpc

from core_platform.agent.hello import AgentIdentity, build_hello, server_clock_ms
from core_platform.agent.streams import (
    IngressAddress,
    OpenStream,
    StreamEnded,
    batch_message,
    connect,
    open_stream,
)
from core_platform.agent.telemetry import GpuReading
from core_platform.ingress.hello import Hello

#: Batches on their way without an acknowledgement.
WINDOW = 32
#: An agent believes an authenticated clock hint up to this far from its own clock.
MAX_CLOCK_OFFSET_MS = 24 * 3600 * 1000
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 2.0

#: What another attempt may cure; everything else is a refusal that stays.
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OK,
    }
)

Readings = Sequence[GpuReading]


@dataclass(slots=True)
class StreamSummary:
    """What became of one `AgentClient.stream`: batches acknowledged, and streams it took."""

    acknowledged: int = 0
    streams: int = 0


class _Patience:
    """Waits between attempts, longer each time, until nothing was acknowledged for too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._acknowledged = 0
        self._until = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE_SECONDS

    def endures(self, ended: StreamEnded, acknowledged: int) -> bool:
        """Pause and say True, or False if another attempt would be of no use."""
        if acknowledged > self._acknowledged:
            self._acknowledged = acknowledged
            self._until = time.monotonic() + self._seconds
            self._pause = _FIRST_PAUSE_SECONDS
        if ended.code not in _PASSING or time.monotonic() > self._until:
            return False
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        return True


class AgentClient:
    """Sends batches under one identity. ``patience`` is the seconds without progress to endure."""

    def __init__(
        self,
        identity: AgentIdentity,
        address: IngressAddress,
        *,
        epoch: UUID | None = None,
        patience: float = 30.0,
    ) -> None:
        self.identity = identity
        self.address = address
        self.epoch = epoch or uuid4()
        self._patience = patience
        self._next_seq = 1
        self._clock_offset_ms = 0
        self._unacknowledged: deque[tuple[int, Readings]] = deque()

    def stream(self, batches: Iterable[Readings]) -> StreamSummary:
        """Send every batch and return when all are durable.

        Raises:
            StreamEnded: the server refuses this agent for good, or stays away beyond ``patience``.
        """
        source, summary, patience = iter(batches), StreamSummary(), _Patience(self._patience)
        while True:
            try:
                self._one_stream(source, summary)
            except StreamEnded as ended:
                if not patience.endures(ended, summary.acknowledged):
                    raise
            else:
                return summary

    def _one_stream(self, source: Iterator[Readings], summary: StreamSummary) -> None:
        with connect(self.address) as channel, self._open(channel) as stream:
            summary.streams += 1
            if stream.welcome.epoch == self.epoch.bytes:
                summary.acknowledged += self._drop_until(stream.welcome.resume_from - 1)
            self._send_all(stream, source, summary)

    def _open(self, channel: grpc.Channel) -> OpenStream:
        hello = self._hello()
        try:
            return open_stream(channel, hello, answer_as=self.identity)
        except StreamEnded as ended:
            if not self._follow_clock(hello, ended.trailers.get("clock-hint-bin")):
                raise
        return open_stream(channel, self._hello(), answer_as=self.identity)

    def _hello(self) -> Hello:
        ts_ms = time.time_ns() // 1_000_000 + self._clock_offset_ms
        return build_hello(self.identity, self.address.audience, ts_ms=ts_ms)

    def _send_all(self, stream: OpenStream, source: Iterator[Readings], summary: StreamSummary) -> None:
        on_the_way = 0
        while True:
            self._fill(source)
            if not self._unacknowledged:
                return
            for seq, readings in list(self._unacknowledged)[on_the_way:]:
                stream.send(batch_message(self.epoch, seq, readings))
            on_the_way = len(self._unacknowledged)
            dropped = self._drop_until(stream.receive().ack.seq)
            on_the_way -= dropped
            summary.acknowledged += dropped

    def _fill(self, source: Iterator[Readings]) -> None:
        while len(self._unacknowledged) < WINDOW and (batch := next(source, None)) is not None:
            self._unacknowledged.append((self._next_seq, batch))
            self._next_seq += 1

    def _drop_until(self, seq: int) -> int:
        dropped = 0
        while self._unacknowledged and self._unacknowledged[0][0] <= seq:
            self._unacknowledged.popleft()
            dropped += 1
        return dropped

    def _follow_clock(self, hello: Hello, hint: str | bytes | None) -> bool:
        """Adopt the server's clock, if it sent an authentic hint that is not absurd."""
        if not isinstance(hint, bytes):
            return False
        server_ms = server_clock_ms(self.identity, hello, hint)
        if server_ms is None or abs(server_ms - hello.ts_ms) > MAX_CLOCK_OFFSET_MS:
            return False
        self._clock_offset_ms = server_ms - time.time_ns() // 1_000_000
        return True
