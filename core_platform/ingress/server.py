"""The ingress itself: one stream for each agent, nothing accepted before a verified hello.

Run by ``python -m core_platform.ingress``. It connects the checks (verification), the rows (samples)
and gRPC; each refusal becomes one status and one log line, and neither carries what the peer sent.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from core_platform.errors import DatabaseRefused
from core_platform.ingress.hello import Hello
from core_platform.ingress.limits import (
    DRAIN_SECONDS,
    HELLO_DEADLINE_SECONDS,
    MAX_HELLO_BYTES,
    SERVER_OPTIONS,
)
from core_platform.ingress.nonces import HelloRate, NonceStore
from core_platform.ingress.proto import agent_pb2, agent_pb2_grpc
from core_platform.ingress.refusals import Refusal, StreamRefused
from core_platform.ingress.registration import find_registered
from core_platform.ingress.samples import SampleStore, claims_foreign_tenant, parse_batch
from core_platform.ingress.tls import is_tls13, require_floor
from core_platform.ingress.verification import (
    ChallengeRequired,
    HelloVerifier,
    Position,
    Registration,
    VerifiedAgent,
    new_challenge,
)
from core_platform.settings import PlatformSettings
from core_platform.tenancy import PlatformDatabase

log = logging.getLogger("core_platform.ingress")

SERVICE = agent_pb2.DESCRIPTOR.services_by_name["AgentIngress"].full_name
RETRY_AFTER = "retry-after-ms"
CLOCK_HINT = "clock-hint-bin"

T = TypeVar("T")
Messages = AsyncIterator[agent_pb2.AgentMessage]

STATUS: Mapping[Refusal, grpc.StatusCode] = {
    Refusal.NOT_TLS13: grpc.StatusCode.UNAUTHENTICATED,
    Refusal.NO_HELLO: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Refusal.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Refusal.CLOCK_SKEW: grpc.StatusCode.FAILED_PRECONDITION,
    Refusal.NOT_REGISTERED: grpc.StatusCode.PERMISSION_DENIED,
    Refusal.REPLAYED: grpc.StatusCode.ALREADY_EXISTS,
    Refusal.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Refusal.STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Refusal.SECOND_HELLO: grpc.StatusCode.INVALID_ARGUMENT,
    Refusal.FOREIGN_TENANT: grpc.StatusCode.PERMISSION_DENIED,
    Refusal.OUT_OF_SEQUENCE: grpc.StatusCode.OUT_OF_RANGE,
}


@dataclass(frozen=True, slots=True)
class AgentIngress(agent_pb2_grpc.AgentIngressServicer):
    """The service of agent.proto. ``threads`` carries the blocking database work.

    Every ``recheck_seconds`` an open stream must still be registered.
    """

    verifier: HelloVerifier
    samples: SampleStore
    threads: ThreadPoolExecutor
    recheck_seconds: int

    async def Stream(  # noqa: N802 - the method is named by the protobuf service
        self, request_iterator: Messages, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[agent_pb2.ServerMessage]:
        """Serve one agent until it ends the stream or is refused."""
        try:
            _require_tls13(context)
            async for reply in self._converse(request_iterator):
                yield reply
        except StreamRefused as refused:
            await _abort(context, refused)
        except DatabaseRefused as error:
            log.warning("database_refused", extra={"kind": type(error).__name__})
            unavailable = StreamRefused(Refusal.STORE_UNAVAILABLE, "try again later")
            await _abort(context, unavailable)

    async def _converse(self, messages: Messages) -> AsyncIterator[agent_pb2.ServerMessage]:
        deadline = asyncio.get_running_loop().time() + HELLO_DEADLINE_SECONDS
        try:
            agent = await self.verifier.verify(await _next_hello(messages, deadline))
        except ChallengeRequired:
            challenge = new_challenge()
            yield agent_pb2.ServerMessage(challenge=agent_pb2.Challenge(challenge=challenge))
            answer = await _next_hello(messages, deadline)
            agent = await self.verifier.verify(answer, challenge=challenge)
        log.info("hello_accepted", extra=_who(agent))
        yield agent_pb2.ServerMessage(hello_ok=_hello_ok(agent.position))
        async for message in self._while_registered(agent, messages):
            yield await self._take(agent, message)

    async def _while_registered(self, agent: VerifiedAgent, messages: Messages) -> Messages:
        """The agent's messages, for as long as key, agent and tenant stay active."""
        arrival = asyncio.ensure_future(_next_or_none(messages))
        check_at = time.monotonic() + self.recheck_seconds
        try:
            while not arrival.done() or arrival.result() is not None:
                await asyncio.wait({arrival}, timeout=max(0.0, check_at - time.monotonic()))
                if time.monotonic() >= check_at:
                    await self.verifier.check_again(agent)
                    check_at = time.monotonic() + self.recheck_seconds
                if arrival.done() and (message := arrival.result()) is not None:
                    arrival = asyncio.ensure_future(_next_or_none(messages))
                    yield message
        finally:
            arrival.cancel()

    async def _take(self, agent: VerifiedAgent, message: agent_pb2.AgentMessage) -> agent_pb2.ServerMessage:
        if message.WhichOneof("body") != "samples":
            raise StreamRefused(Refusal.SECOND_HELLO, "a stream has one hello, then samples")
        if claims_foreign_tenant(message.samples, agent):
            await self._in_thread(self.samples.note_foreign_tenant, agent)
            raise StreamRefused(Refusal.FOREIGN_TENANT, "the stream belongs to another tenant")
        stored = await self._in_thread(self.samples.store, agent, parse_batch(message.samples))
        ack = agent_pb2.Ack(epoch=stored.epoch.bytes, seq=stored.high_water_mark)
        return agent_pb2.ServerMessage(ack=ack)

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, call, *args)


def _require_tls13(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if not is_tls13(context.auth_context()):
        raise StreamRefused(Refusal.NOT_TLS13, "this server speaks TLS 1.3 only")


async def _next_or_none(messages: Messages) -> agent_pb2.AgentMessage | None:
    return await anext(messages, None)


async def _next_hello(messages: Messages, deadline: float) -> agent_pb2.Hello:
    try:
        async with asyncio.timeout_at(deadline):
            message = await anext(messages)
    except (TimeoutError, StopAsyncIteration):
        raise StreamRefused(Refusal.NO_HELLO, "a stream begins with a hello, in time") from None
    if message.WhichOneof("body") != "hello" or message.ByteSize() > MAX_HELLO_BYTES:
        raise StreamRefused(Refusal.MALFORMED, "a stream begins with a hello of 4 KiB at most")
    return message.hello


def _hello_ok(position: Position | None) -> agent_pb2.HelloOk:
    now_ms = time.time_ns() // 1_000_000
    if position is None:
        return agent_pb2.HelloOk(resume_from=1, server_time_ms=now_ms)
    return agent_pb2.HelloOk(
        epoch=position.epoch.bytes,
        resume_from=position.high_water_mark + 1,
        server_time_ms=now_ms,
    )


async def _abort(context: grpc.aio.ServicerContext[Any, Any], refused: StreamRefused) -> NoReturn:
    log.warning("stream_refused", extra={"refusal": refused.refusal.value})
    trailers: list[tuple[str, str | bytes]] = []
    if refused.retry_after_ms is not None:
        trailers.append((RETRY_AFTER, str(refused.retry_after_ms)))
    if refused.clock_hint is not None:
        trailers.append((CLOCK_HINT, refused.clock_hint))
    await context.abort(STATUS[refused.refusal], str(refused), tuple(trailers))


def _who(agent: VerifiedAgent) -> dict[str, str]:
    return {"tenant": str(agent.tenant), "agent": str(agent.agent_id), "key_id": agent.key_id}


@dataclass(slots=True)
class IngressServer:
    """One listening ingress: `start`, `wait` until told, `drain`."""

    settings: PlatformSettings
    database: PlatformDatabase
    port: int = 0
    _server: grpc.aio.Server = field(init=False)
    _nonces: NonceStore = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _health: health.HealthServicer = field(init=False)

    async def start(self) -> int:
        """Listen, and return the port.

        Raises:
            TlsFloorMissing: this process would accept TLS 1.2.
            SettingsError: a secret, certificate or address cannot be used.
        """
        require_floor()
        ingress = self.settings.require_ingress()
        rate = HelloRate(burst=ingress.hello_burst, per_second=ingress.hello_per_second)
        self._nonces = NonceStore(ingress.redis_url, rate, timeout_ms=ingress.redis_timeout_ms)
        self._threads = ThreadPoolExecutor(ingress.database_threads, "ingress-database")
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        # protoc generates no types for this function.
        agent_pb2_grpc.add_AgentIngressServicer_to_server(self._servicer(), self._server)  # type: ignore[no-untyped-call]
        self._add_health_and_reflection()
        self.port = self._server.add_secure_port(ingress.listen, _credentials(self.settings))
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        return self.port

    async def drain(self) -> None:
        """Say that no more is taken, let streams end, and give everything back."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(DRAIN_SECONDS)
        self._threads.shutdown()
        await self._nonces.close()

    def _servicer(self) -> AgentIngress:
        async def find(hello: Hello) -> Registration | None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, find_registered, self.database, hello)

        verifier = HelloVerifier(
            peppers=self.settings.pepper_bytes(),
            audience=self.settings.require_ingress().audience,
            find_registered=find,
            nonces=self._nonces,
        )
        recheck_seconds = self.settings.require_ingress().recheck_seconds
        return AgentIngress(verifier, SampleStore(self.database), self._threads, recheck_seconds)

    def _add_health_and_reflection(self) -> None:
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)


def _credentials(settings: PlatformSettings) -> grpc.ServerCredentials:
    """TLS with the server's certificate; with a client CA, only for agents that present one."""
    ingress = settings.require_ingress()
    pair = (settings.file(ingress.private_key), settings.file(ingress.certificate))
    if ingress.client_ca is None:
        return grpc.ssl_server_credentials([pair])
    client_ca = settings.file(ingress.client_ca)
    return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=True)
