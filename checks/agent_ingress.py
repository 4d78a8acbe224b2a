"""Agent ingress (ING): does anything get in without a verified, fresh, tenant-bound hello?

Judges attacks made on the running ingress from outside its socket. What must be refused and accepted
stands here, not in the evidence; and since a server that refuses everybody looks secure, refusals count
only where a genuine hello of the same round was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, INGRESS
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.ingress import IngressAttack, IngressAttempt, StreamTenancy, TlsVersions
from evidence.scope import Scope
from evidence.view import Evidence, Observation

ACCEPT, REFUSE, UNCLEAR = "accept", "refuse", "unclear"
GENUINE = "genuine"
NO_ATTACK = "No ingress was attacked: nothing was shown."

HELLO = "core_platform/ingress/hello.py"
NONCES = "core_platform/ingress/nonces.lua"
REGISTRATION = "core_platform/ingress/registration.py"
SERVER = "core_platform/ingress/server.py"
VERIFICATION = "core_platform/ingress/verification.py"

Attacks = tuple[Observation[IngressAttack], ...]
Streams = tuple[Observation[StreamTenancy], ...]
Expected = Mapping[str, str]


def _judge(evidence: Evidence, scope: Scope, expected: Expected, *, holds: str, fails: str) -> Verdict:
    """Weigh the attempts that `expected` names against what it says must happen to them."""
    attacks = seen(evidence, scope, IngressAttack, over=INGRESS)
    tried = [one for attack in attacks for one in attack.payload.attempts if one.name in expected]
    if not tried:
        return undecided(NO_ATTACK)
    return weigh(
        _broken_promises(attacks, expected),
        _gaps(attacks, expected),
        facts={
            "attempts": len(tried),
            "refused": sum(1 for one in tried if one.did == REFUSE),
            "ingresses": len(attacks),
        },
        holds=holds,
        fails=fails,
    )


def _broken_promises(attacks: Attacks, expected: Expected) -> Iterator[Deviation]:
    opposite = {ACCEPT: REFUSE, REFUSE: ACCEPT}
    for attack in attacks:
        for one in attack.payload.attempts:
            must = expected.get(one.name)
            if must is not None and one.did == opposite[must]:
                yield deviation(attack, f"must {must}, did {one.did} ({one.code})", one.name)


def _gaps(attacks: Attacks, expected: Expected) -> Iterator[str]:
    for attack in attacks:
        genuine = _named(attack.payload, GENUINE)
        if not genuine or any(one.did != ACCEPT for one in genuine):
            yield "A genuine hello was not accepted, so refusals of others show nothing."
        for name in expected:
            tried = _named(attack.payload, name)
            if not tried or any(one.did not in (ACCEPT, REFUSE) for one in tried):
                yield f"The attempt {name} was not carried out, so its promise was not shown."


def _named(attack: IngressAttack, name: str) -> list[IngressAttempt]:
    return [one for one in attack.attempts if one.name == name]


# --- ING-01 ---------------------------------------------------------------------------------------


@check("ING-01", expects=[Expect(IngressAttack, over=INGRESS, every=DAILY)])
def streams_need_a_verified_hello(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """No stream is accepted without a verified hello."""
    names = ("missing_hello", "bad_mac", "truncated_mac", "unknown_key")
    return _judge(
        evidence,
        scope,
        dict.fromkeys(names, REFUSE),
        holds="All {attempts} streams without a verified hello were refused, a genuine one accepted.",
        fails="{deviations} of {attempts} streams without a verified hello were accepted.",
    )


@sabotage("ING-01", "MAC comparison skipped", names="bad_mac")
def skip_the_mac(twin: Twin) -> None:
    """Whatever MAC is sent counts as right."""
    twin.source.patch(
        VERIFICATION,
        "if not compare_digest(expected, hello.mac):",
        "if not compare_digest(expected, expected):",
    )


@sabotage("ING-01", "MAC compared up to the length that was sent", names="truncated_mac")
def compare_a_prefix(twin: Twin) -> None:
    """The length check goes, and the comparison stops where the sender stopped."""
    twin.source.patch(HELLO, "if len(hello.mac) != MAC_BYTES:", "if len(hello.mac) > MAC_BYTES:")
    twin.source.patch(
        VERIFICATION,
        "if not compare_digest(expected, hello.mac):",
        "if not compare_digest(expected[: len(hello.mac)], hello.mac):",
    )


# --- ING-02 ---------------------------------------------------------------------------------------


@check("ING-02", expects=[Expect(IngressAttack, over=INGRESS, every=DAILY)])
def macs_are_bound_to_the_tenant(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """A MAC made for one tenant does not verify for another."""
    return _judge(
        evidence,
        scope,
        {"wrong_tenant": REFUSE},
        holds="A hello made with one tenant's key and naming another tenant was refused.",
        fails="A hello made with one tenant's key was accepted for another tenant.",
    )


@sabotage("ING-02", "key cache forgets whose key it holds", names="wrong_tenant")
def cache_keys_by_id_alone(twin: Twin) -> None:
    """The first tenant's key serves every tenant that names its key id, and nobody asks who registered."""
    twin.source.patch(
        VERIFICATION,
        "return derive_agent_key(pepper, hello.tenant, hello.key_id)",
        'return globals().setdefault("_KEYS", {}).setdefault('
        "hello.key_id, derive_agent_key(pepper, hello.tenant, hello.key_id))",
    )
    twin.source.patch(REGISTRATION, "return found is not None", "return True")


@sabotage("ING-02", "MAC and registration not checked for the tenant named", names="wrong_tenant")
def trust_the_named_tenant(twin: Twin) -> None:
    """A hello is whoever it says it is."""
    twin.source.patch(
        VERIFICATION, "if not compare_digest(expected, hello.mac):", "if not expected or not hello.mac:"
    )
    twin.source.patch(REGISTRATION, "return found is not None", "return True")


# --- ING-03 ---------------------------------------------------------------------------------------


@check("ING-03", expects=[Expect(IngressAttack, over=INGRESS, every=DAILY)])
def clocks_may_differ_by_300_seconds(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Hellos up to 300,000 ms off the server's clock are accepted, one millisecond more is refused."""
    return _judge(
        evidence,
        scope,
        {
            "skew_plus_300000": ACCEPT,
            "skew_minus_300000": ACCEPT,
            "skew_plus_300001": REFUSE,
            "skew_minus_300001": REFUSE,
        },
        holds="The skew window is 300 seconds both ways: its edges are accepted, past them is refused.",
        fails="{deviations} of {attempts} hellos at the edges of the skew window were judged wrongly.",
    )


@sabotage("ING-03", "skew window ten times as wide", names="skew_plus_300001")
def widen_the_window(twin: Twin) -> None:
    """Fifty minutes instead of five."""
    twin.source.patch(HELLO, "SKEW_MS = 300_000\n", "SKEW_MS = 3_000_000\n")


@sabotage("ING-03", "old hellos are never refused", names="skew_minus_300001")
def forget_the_past(twin: Twin) -> None:
    """Only hellos from the future are refused."""
    twin.source.patch(
        VERIFICATION, "if abs(now_ms - hello.ts_ms) > SKEW_MS:", "if hello.ts_ms - now_ms > SKEW_MS:"
    )


# --- ING-04 ---------------------------------------------------------------------------------------


@check("ING-04", expects=[Expect(IngressAttack, over=INGRESS, every=DAILY)])
def hellos_are_used_once(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """A hello is accepted once, also when many clients race with it."""
    return _judge(
        evidence,
        scope,
        {"replay": REFUSE, "concurrent_replay": REFUSE},
        holds="A used hello was refused, one after another and in a race.",
        fails="A used hello was accepted again.",
    )


@sabotage("ING-04", "nonce written without NX", names="replay")
def overwrite_nonces(twin: Twin) -> None:
    """A used nonce is written over."""
    twin.source.patch(NONCES, "'1', 'NX', 'PX'", "'1', 'PX'")


@sabotage("ING-04", "nonce looked up, then set", names="concurrent_replay")
def look_then_set(twin: Twin) -> None:
    """Between the two calls every racing client is the first; a slow store makes the gap wide."""
    twin.source.patch(NONCES, "'1', 'NX', 'PX'", "'1', 'PX'")
    call = "            word, wait_ms, run = await self._script(\n"
    twin.source.patch(
        "core_platform/ingress/nonces.py",
        call,
        "            if await self._redis.exists(_nonce_key(hello)):\n"
        "                return Decision(Answer.REPLAYED)\n"
        '            await __import__("asyncio").sleep(0.25)\n' + call,
    )


# --- ING-08 ---------------------------------------------------------------------------------------


@check(
    "ING-08",
    expects=[Expect(StreamTenancy, over=INGRESS, every=DAILY)],
)
def rows_belong_to_the_hello(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Rows are written under the hello's tenant, and none under one that a payload names instead."""
    streams = seen(evidence, scope, StreamTenancy, over=INGRESS)
    if not any(stream.payload.sent > 0 for stream in streams):
        return undecided("No samples that name another tenant were sent: nothing was shown.")
    return weigh(
        _foreign_rows(streams),
        _unaccounted(streams),
        facts={
            "genuine": sum(stream.payload.genuine_sent for stream in streams),
            "stored": sum(stream.payload.genuine_stored for stream in streams),
            "sent": sum(stream.payload.sent for stream in streams),
            "own": sum(stream.payload.under_hello_tenant for stream in streams),
            "foreign": sum(stream.payload.under_claimed_tenant for stream in streams),
        },
        holds=(
            "{stored} of {genuine} genuine samples were found under the hello's tenant; of {sent} that "
            "named another tenant none was written under it."
        ),
        fails="{foreign} of {sent} samples were written under the tenant that the payload named.",
    )


def _foreign_rows(streams: Streams) -> Iterator[Deviation]:
    for stream in streams:
        if stream.payload.under_claimed_tenant > 0:
            what = f"{stream.payload.under_claimed_tenant} rows under the tenant that the payload named"
            yield deviation(stream, what, "foreign_payload_tenant")


def _unaccounted(streams: Streams) -> Iterator[str]:
    """A stream that stores nothing at all writes under no foreign tenant either, and shows nothing."""
    for stream in streams:
        counted = stream.payload
        if counted.genuine_sent < 1 or counted.genuine_stored != counted.genuine_sent:
            yield "Genuine samples were not found again, so not finding others shows nothing."
        # The ingress answers such a stream by closing it: a refusal, not a loss, when it said so itself.
        if counted.sent < 1 or (counted.under_hello_tenant != counted.sent and counted.did != REFUSE):
            yield "Samples that named another tenant were neither stored under their own nor refused."


@sabotage("ING-08", "tenant of the rows taken from the payload", names="foreign_payload_tenant")
def believe_the_payload(twin: Twin) -> None:
    """The stream goes on as the tenant that its payload names.

    The composite foreign keys would still refuse rows of an agent that the other tenant does not have,
    so they are dropped too.
    """
    twin.source.patch(
        SERVER,
        "            await self._in_thread(self.samples.note_foreign_tenant, agent)\n",
        "            from dataclasses import replace\n"
        "            from uuid import UUID\n"
        "            from core_platform.tenancy import TenantId\n"
        "            named = TenantId.parse(UUID(bytes=message.samples.claimed_tenant))\n"
        "            agent = replace(agent, tenant=named)\n"
        "        if False:\n",
    )
    for table in ("gpu_sample", "agent_stream"):
        twin.database.execute(f"ALTER TABLE gpu.{table} DROP CONSTRAINT {table}_tenant_id_agent_id_fkey")


# --- ING-10 ---------------------------------------------------------------------------------------


@check(
    "ING-10",
    expects=[
        Expect(IngressAttack, over=INGRESS, every=DAILY),
        Expect(TlsVersions, over=INGRESS, every=DAILY),
    ],
)
def plaintext_is_refused(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Plaintext gRPC connections fail before they reach the handler."""
    attacks = seen(evidence, scope, IngressAttack, over=INGRESS)
    endpoints = seen(evidence, scope, TlsVersions, over=INGRESS)
    if not attacks and not endpoints:
        return undecided(NO_ATTACK)
    spoken = [one for one in endpoints if "plaintext" in one.payload.accepted]
    expected = {"plaintext": REFUSE}
    return weigh(
        [
            *_broken_promises(attacks, expected),
            *(deviation(one, "the endpoint accepts plaintext", "plaintext") for one in spoken),
        ],
        _gaps(attacks, expected),
        facts={"ingresses": len(endpoints)},
        holds="Plaintext connections to {ingresses} ingresses were refused, a genuine one accepted.",
        fails="An ingress answered a plaintext connection.",
    )


@sabotage("ING-10", "port opened without TLS", names="plaintext")
def open_a_plaintext_port(twin: Twin) -> None:
    """The port speaks to anybody who connects."""
    twin.source.patch(
        SERVER,
        "add_secure_port(ingress.listen, _credentials(self.settings))",
        "add_insecure_port(ingress.listen)",
    )


# --- ING-16 ---------------------------------------------------------------------------------------


@check("ING-16", expects=[Expect(IngressAttack, over=INGRESS, every=DAILY)])
def agents_are_registered(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """An agent that nobody registered is refused although its MAC is right."""
    return _judge(
        evidence,
        scope,
        {"unregistered_agent": REFUSE},
        holds="An agent that nobody registered was refused.",
        fails="An agent that nobody registered was accepted.",
    )


@sabotage("ING-16", "registration not asked for", names="unregistered_agent")
def accept_anybody(twin: Twin) -> None:
    """The flag that the security page says was removed."""
    twin.source.patch(REGISTRATION, "return found is not None", "return True")
