"""The ingress when its nonce store fails: nobody gets in, and nothing that was used works again."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core_platform.agent import AgentClient, AgentIdentity, StreamEnded, build_hello, telemetry
from tests.core_platform.ingress_lab import AUDIENCE, Lab, register_agent, running_lab


@pytest.fixture
def lab(platform_db: Any, tmp_path: Path) -> Iterator[Lab]:
    db = platform_db
    with running_lab(tmp_path, db.app_url, db.admin_url, db.seal.secret, db.seal.kid) as running:
        yield running


@pytest.fixture
def agent(platform_db: Any, request: pytest.FixtureRequest) -> AgentIdentity:
    number = abs(hash(request.node.name)) % 10**6
    return register_agent(platform_db.database, platform_db.a, key_id=f"ak_{number}.p3")


def test_a_replayed_hello_is_refused_after_a_redis_restart(lab: Lab, agent: AgentIdentity) -> None:
    used = build_hello(agent, AUDIENCE)
    assert lab.knock(used) == "welcome"
    lab.redis.kill()
    lab.redis.start()
    assert lab.knock(used) == "FAILED_PRECONDITION challenged"
    # Not even the memory of the append-only file is trusted: an honest agent proves freshness.
    assert lab.knock(build_hello(agent, AUDIENCE)) == "FAILED_PRECONDITION challenged"
    assert lab.knock(build_hello(agent, AUDIENCE), answer_as=agent) == "welcome"
    summary = AgentClient(agent, lab.address).stream(islice(telemetry(3), 2))
    assert summary.acknowledged == 2


def test_without_redis_no_agent_gets_in(lab: Lab, agent: AgentIdentity) -> None:
    lab.redis.stop()
    assert lab.knock(build_hello(agent, AUDIENCE), answer_as=agent) == "UNAVAILABLE store_unavailable"
    with pytest.raises(StreamEnded) as ended:
        AgentClient(agent, lab.address, patience=0.3).stream(islice(telemetry(3), 2))
    assert ended.value.reason == "store_unavailable"
    assert int(ended.value.trailers["retry-after-ms"]) >= 1000
    assert lab.samples_of(agent) == []
    lab.redis.start()
    assert AgentClient(agent, lab.address).stream(islice(telemetry(3), 2)).acknowledged == 2


def test_an_open_stream_outlives_its_nonce_store(lab: Lab, agent: AgentIdentity) -> None:
    batches = telemetry(3, gpus=1)

    def with_a_crash_between() -> Iterator[Any]:
        yield next(batches)
        lab.redis.kill()
        yield next(batches)

    assert AgentClient(agent, lab.address).stream(with_a_crash_between()).acknowledged == 2
