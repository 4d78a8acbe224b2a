"""The agent ingress attacked from outside its socket, with what it answered as evidence.

Each attempt of `evidence.kinds.ingress` is made with the agent's own public client, which sends what
it is told to. An answer that has another cause (no connection, a rate limit, a store that is down) is
`unclear`: it proves neither promise nor breach. No key, MAC or full nonce enters the transcript.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Final
from uuid import UUID, uuid4

import grpc

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from collectors.tls import ACCEPTED, UNTRIED, Trial, try_plaintext, try_tls
from core_platform.agent import (
    AgentIdentity,
    GpuReading,
    IngressAddress,
    OpenStream,
    StreamEnded,
    batch_message,
    build_hello,
    connect,
    open_stream,
)
from core_platform.ingress.hello import Hello
from evidence.kinds.ingress import IngressAttack, IngressAttempt, StreamTenancy
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

CALL_TIMEOUT: Final = timedelta(seconds=10)
READY_TIMEOUT: Final = timedelta(seconds=5)
SKEW_LIMIT_MS: Final = 300_000
CONCURRENT: Final = 4
RACES: Final = 3
LEAST_MARGIN_MS: Final = 20
PATIENCE: Final = 5
"""How often an attempt is repeated that a rate limit answered, or whose timing cannot be judged."""

SAMPLES: Final = 3

ACCEPT: Final = "accept"
REFUSE: Final = "refuse"
UNCLEAR: Final = "unclear"

_REASON: Final = re.compile(r"[a-z][a-z0-9_]*")
_OTHER_CAUSE: Final = frozenset({"throttled", "store_unavailable"})


@dataclass(frozen=True, slots=True)
class IngressAccess:
    """An ingress, and agents to attack it with.

    Attributes:
        address: where it is, the CA that signed it, and the audience it answers to.
        probe: a registered agent of a tenant kept for probes; its genuine samples stay there.
        other_tenant: another tenant that exists.
        unregistered: an agent with a rightly derived key that was never registered.
        rows_written: how many sample rows lie under a tenant for an epoch (tenant, epoch).
    """

    address: IngressAddress
    probe: AgentIdentity
    other_tenant: UUID
    unregistered: AgentIdentity
    rows_written: Callable[[UUID, UUID], int]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back: ``accept``, ``refuse`` or ``unclear``, the code, and the server's own word."""

    did: str
    code: str
    reason: str = ""
    elapsed_ms: int = 0


class IngressAttackCollector:
    """Attacks one ingress."""

    name: str = "ingress.attack"
    version: str = "1"
    population: str = "ingress"
    kinds: Sequence[type[Payload]] = (IngressAttack,)

    def collect(self, unit: Unit, access: IngressAccess) -> Iterable[Sighting]:
        """One `IngressAttack`; unreachable when nothing listens."""
        _require_listener(access.address.target)
        attack = _Attack(access)
        attempts = tuple(attack.attempts())
        payload = IngressAttack(attempts, access.address.target, tuple(attack.transcript))
        yield Observed(payload, unit.subject)


class StreamTenancyCollector:
    """Sends samples that name another tenant, and counts where they are."""

    name: str = "ingress.stream_tenancy"
    version: str = "2"
    population: str = "ingress"
    kinds: Sequence[type[Payload]] = (StreamTenancy,)

    def collect(self, unit: Unit, access: IngressAccess) -> Iterable[Sighting]:
        """One `StreamTenancy`; an ingress that takes no genuine sample leaves nothing to count."""
        _require_listener(access.address.target)
        yield Observed(_Attack(access).stream_tenancy(), unit.subject)


def _require_listener(target: str) -> None:
    host, _, port = target.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), READY_TIMEOUT.total_seconds()).close()


class _Attack:
    """One round: what was tried, and the lines of its transcript."""

    def __init__(self, access: IngressAccess) -> None:
        self._access = access
        self._address = access.address
        self._probe = access.probe
        self._clock_offset_ms = 0
        self.transcript: list[str] = []

    def attempts(self) -> Iterator[IngressAttempt]:
        """Every attempt, the genuine one first: without it the refusals would show little."""
        genuine = self._hello()
        yield self._made("genuine", ACCEPT, self._genuine(genuine))
        yield self._made("replay", REFUSE, self._knock("replay", genuine))
        yield self._made("concurrent_replay", REFUSE, self._concurrent_replay())
        yield from self._skews()
        yield from self._forgeries()
        yield self._made("missing_hello", REFUSE, self._without_hello())
        yield self._made("foreign_payload_tenant", REFUSE, self._claim_foreign(uuid4()))
        yield self._transport("plaintext", REFUSE, try_plaintext(self._address))
        yield self._transport("tls_1_2", REFUSE, try_tls(self._address, "TLSv1.2"))
        yield self._transport("tls_1_3", ACCEPT, try_tls(self._address, "TLSv1.3"))

    def stream_tenancy(self) -> StreamTenancy:
        """Samples that name another tenant, and where they are found; counting is checked first."""
        control, epoch = uuid4(), uuid4()
        self._send_genuine(control)
        counted = self._access.rows_written(self._probe.tenant, control)
        if counted != SAMPLES:
            raise Refused(
                Outcome.PARTIAL,
                "genuine samples were not found again",
                f"{SAMPLES} samples were acknowledged, {counted} rows were counted under their tenant",
            )
        answer = self._claim_foreign(epoch)
        return StreamTenancy(
            genuine_sent=SAMPLES,
            genuine_stored=counted,
            sent=SAMPLES,
            did=answer.did,
            code=answer.code,
            under_hello_tenant=self._access.rows_written(self._probe.tenant, epoch),
            under_claimed_tenant=self._access.rows_written(self._access.other_tenant, epoch),
        )

    def _genuine(self, hello: Hello) -> _Answer:
        """Also learns how far the server's clock is from ours, so that skews are the server's."""
        with connect(self._address) as channel:
            before = _now_ms()
            try:
                stream = open_stream(channel, hello, answer_as=self._probe, timeout=_seconds(CALL_TIMEOUT))
            except StreamEnded as ended:
                return self._noted("genuine", hello, _answer(ended))
            with stream:
                after = _now_ms()
                self._clock_offset_ms = _offset(before, after, stream.welcome.server_time_ms)
        return self._noted("genuine", hello, _Answer(ACCEPT, "OK", "welcome", after - before))

    def _concurrent_replay(self) -> _Answer:
        """One fresh hello on several connections at once: exactly one of them may get in.

        A race may be lost by chance, so it is run several times, each with a hello of its own.
        """
        answer = _Answer(UNCLEAR, "")
        for _ in range(RACES):
            answer = self._race(self._hello())
            if answer.did != REFUSE:
                break
        return answer

    def _race(self, hello: Hello) -> _Answer:
        start = Barrier(CONCURRENT)

        def at_once() -> Hello:
            start.wait(_seconds(CALL_TIMEOUT))
            return hello

        with ThreadPoolExecutor(CONCURRENT) as pool:
            racing = [
                pool.submit(self._knock_once, "concurrent_replay", at_once, None) for _ in range(CONCURRENT)
            ]
            answers = [one.result() for one in racing]
        counted = Counter(answer.did for answer in answers)
        refused = next((answer for answer in answers if answer.did == REFUSE), answers[0])
        if counted[ACCEPT] > 1:
            return _Answer(ACCEPT, "OK", f"{counted[ACCEPT]} of {CONCURRENT} got in")
        if counted[ACCEPT] == 1 and counted[REFUSE] == CONCURRENT - 1:
            return replace(refused, reason=f"{refused.reason}, one of {CONCURRENT} got in")
        return _Answer(UNCLEAR, refused.code, f"{counted[ACCEPT]} got in, {counted[UNCLEAR]} unclear")

    def _skews(self) -> Iterator[IngressAttempt]:
        """Clocks just inside and just outside the window, both ways."""
        yield self._skewed("skew_plus_300000", ACCEPT, 1, SKEW_LIMIT_MS)
        yield self._skewed("skew_plus_300001", REFUSE, 1, SKEW_LIMIT_MS + 1)
        yield self._skewed("skew_minus_300000", ACCEPT, -1, SKEW_LIMIT_MS)
        yield self._skewed("skew_minus_300001", REFUSE, -1, SKEW_LIMIT_MS + 1)

    def _skewed(self, name: str, must: str, direction: int, skew_ms: int) -> IngressAttempt:
        """One skew. A hello ages on its way, and clocks agree only so far: so it starts a margin away
        from the edge, and an answer counts only when the hello's whole way fitted into the margin."""
        margin_ms, answer = LEAST_MARGIN_MS, _Answer(UNCLEAR, "")
        for _ in range(PATIENCE):
            shift_ms = skew_ms + margin_ms if must == REFUSE else skew_ms - margin_ms
            written = partial(self._hello, skew_ms=direction * shift_ms)
            answer = self._knock(name, written, answer_as=self._probe)
            if answer.did in (must, UNCLEAR) or answer.elapsed_ms < margin_ms:
                return self._made(name, must, answer, f"{margin_ms} ms off the edge")
            margin_ms = 3 * answer.elapsed_ms
        late = _Answer(UNCLEAR, answer.code, "the way takes too long to judge the edge")
        return self._made(name, must, late)

    def _forgeries(self) -> Iterator[IngressAttempt]:
        """Hellos that no agent of this tenant could have written."""
        hello = self._hello()
        bad_mac = replace(hello, mac=secrets.token_bytes(len(hello.mac)))
        truncated = self._hello()
        truncated = replace(truncated, mac=truncated.mac[:16])
        version = self._probe.key_id.rpartition(".")[2]
        unknown = replace(self._probe, key_id=f"ak_{secrets.token_hex(6)}.{version}")
        wrong_tenant = replace(self._probe, tenant=self._access.other_tenant)
        stranger = self._access.unregistered
        yield self._made("bad_mac", REFUSE, self._knock("bad_mac", bad_mac))
        yield self._made("truncated_mac", REFUSE, self._knock("truncated_mac", truncated))
        for name, identity in (
            ("wrong_tenant", wrong_tenant),
            ("unknown_key", unknown),
            ("unregistered_agent", stranger),
        ):
            forged = self._hello(identity)
            yield self._made(name, REFUSE, self._knock(name, forged, answer_as=identity))

    def _without_hello(self) -> _Answer:
        with connect(self._address) as channel, OpenStream(channel, timeout=_seconds(CALL_TIMEOUT)) as stream:
            stream.send(batch_message(uuid4(), 1, _readings()))
            return self._noted("missing_hello", None, _received(stream))

    def _claim_foreign(self, epoch: UUID) -> _Answer:
        """A batch under the probe's own hello that names the other tenant."""
        hello = self._hello()
        with connect(self._address) as channel:
            try:
                stream = open_stream(channel, hello, answer_as=self._probe, timeout=_seconds(CALL_TIMEOUT))
            except StreamEnded as ended:
                answer = _answer(ended)
                return self._noted("foreign_payload_tenant", hello, replace(answer, did=UNCLEAR))
            with stream:
                claimed = self._access.other_tenant
                stream.send(batch_message(epoch, 1, _readings(), claimed_tenant=claimed))
                return self._noted("foreign_payload_tenant", hello, _received(stream))

    def _send_genuine(self, epoch: UUID) -> None:
        with (
            connect(self._address) as channel,
            open_stream(
                channel, self._hello(), answer_as=self._probe, timeout=_seconds(CALL_TIMEOUT)
            ) as stream,
        ):
            stream.send(batch_message(epoch, 1, _readings()))
            stream.receive()

    def _knock(
        self,
        name: str,
        hello: Hello | Callable[[], Hello],
        *,
        answer_as: AgentIdentity | None = None,
    ) -> _Answer:
        """Send a hello on a connection of its own, again where a rate limit answered.

        One that is given as a callable is written when the connection stands, so that it does not
        age while one is made.
        """
        answer = _Answer(UNCLEAR, "")
        for _ in range(PATIENCE):
            answer = self._knock_once(name, hello, answer_as)
            if answer.reason != "throttled":
                break
            time.sleep(1)
        return answer

    def _knock_once(
        self, name: str, hello: Hello | Callable[[], Hello], answer_as: AgentIdentity | None
    ) -> _Answer:
        with connect(self._address) as channel:
            if not isinstance(hello, Hello):
                _await_ready(channel)
            started = time.monotonic()
            written = hello if isinstance(hello, Hello) else hello()
            try:
                open_stream(channel, written, answer_as=answer_as, timeout=_seconds(CALL_TIMEOUT)).close()
            except StreamEnded as ended:
                answer = _answer(ended)
            else:
                answer = _Answer(ACCEPT, "OK", "welcome")
            elapsed_ms = round((time.monotonic() - started) * 1000) + 1
            return self._noted(name, written, replace(answer, elapsed_ms=elapsed_ms))

    def _hello(self, identity: AgentIdentity | None = None, *, skew_ms: int = 0) -> Hello:
        ts_ms = _now_ms() + self._clock_offset_ms + skew_ms
        return build_hello(identity or self._probe, self._address.audience, ts_ms=ts_ms)

    def _noted(self, name: str, hello: Hello | None, answer: _Answer) -> _Answer:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        sent = "samples without a hello"
        if hello is not None:
            sent = (
                f"hello tenant={hello.tenant} agent={hello.agent_id} key={hello.key_id}"
                f" ts={hello.ts_ms} nonce={hello.nonce[:4].hex()}… mac of {len(hello.mac)} bytes"
            )
        self.transcript.append(f"{at} {name}: {sent} -> {answer.did} {answer.code} {answer.reason}".rstrip())
        return answer

    def _transport(self, name: str, must: str, trial: Trial) -> IngressAttempt:
        did = ACCEPT if trial.result == ACCEPTED else UNCLEAR if trial.result == UNTRIED else REFUSE
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.transcript.append(f"{at} {name}: handshake -> {did} {trial.answer}")
        return IngressAttempt(name, must, did, trial.answer)

    def _made(self, name: str, must: str, answer: _Answer, note: str = "") -> IngressAttempt:
        said = "; ".join(part for part in (answer.reason, note) if part)
        return IngressAttempt(name, must, answer.did, answer.code, said)


def _await_ready(channel: grpc.Channel) -> None:
    """Wait for the handshake; one that fails shows in the call that follows."""
    try:
        grpc.channel_ready_future(channel).result(timeout=_seconds(READY_TIMEOUT))
    except grpc.FutureTimeoutError:
        return


def _answer(ended: StreamEnded) -> _Answer:
    """A refusal carries a word of the server's; anything else is the network's or gRPC's own."""
    said = str(ended).partition(": ")[2]
    own_word = _REASON.fullmatch(ended.reason) is not None and ":" in said
    refused = own_word and ended.reason not in _OTHER_CAUSE
    return _Answer(REFUSE if refused else UNCLEAR, ended.code.name, ended.reason if own_word else said)


def _received(stream: OpenStream) -> _Answer:
    try:
        reply = stream.receive()
    except StreamEnded as ended:
        return _answer(ended)
    return _Answer(ACCEPT, "OK", reply.WhichOneof("body") or "")


def _readings() -> tuple[GpuReading, ...]:
    return tuple(GpuReading(index, _now_ms(), 50.0, 1024, 250.0) for index in range(SAMPLES))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def _offset(before_ms: int, after_ms: int, server_ms: int) -> int:
    """How far the server's clock is ahead of ours; 0 when they agree as far as can be seen."""
    if before_ms <= server_ms <= after_ms:
        return 0
    return server_ms - (before_ms + after_ms) // 2
