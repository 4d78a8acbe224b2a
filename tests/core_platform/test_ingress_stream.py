"""The ingress from outside, over real TLS, Redis and PostgreSQL: nothing gets in, nothing gets lost."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core_platform.agent import AgentClient, AgentIdentity, build_hello, telemetry
from tests.core_platform.ingress_lab import AUDIENCE, Lab, register_agent, running_lab


@pytest.fixture(scope="module")
def lab(platform_db: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("ingress")
    db = platform_db
    with running_lab(folder, db.app_url, db.admin_url, db.seal.secret, db.seal.kid) as running:
        yield running


@pytest.fixture(scope="module")
def agent_a(platform_db: Any) -> AgentIdentity:
    return register_agent(platform_db.database, platform_db.a)


@pytest.fixture(scope="module")
def agent_b(platform_db: Any) -> AgentIdentity:
    return register_agent(platform_db.database, platform_db.b, key_id="ak_0b.p3")


def test_a_verified_agents_batches_are_stored_under_its_tenant(lab: Lab, agent_a: AgentIdentity) -> None:
    summary = AgentClient(agent_a, lab.address).stream(islice(telemetry(1, gpus=2), 5))
    assert (summary.acknowledged, summary.streams) == (5, 1)
    rows = lab.samples_of(agent_a)
    assert [(row[2], row[3]) for row in rows] == [(s, g) for s in range(1, 6) for g in range(2)]
    assert {row[0] for row in rows} == {agent_a.tenant}


def test_a_replayed_hello_is_refused(lab: Lab, agent_a: AgentIdentity) -> None:
    hello = build_hello(agent_a, AUDIENCE)
    assert lab.knock(hello) == "welcome"
    assert lab.knock(hello) == "ALREADY_EXISTS replayed"
