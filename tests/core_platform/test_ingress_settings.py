"""Settings that cannot be used say which key, and what to do; secrets stand in them by reference."""

import json
from pathlib import Path
from typing import Any

import pytest

from core_platform.settings import SettingsError, parse_settings, read_settings

GOOD: dict[str, Any] = {
    "app_url": "postgresql://core_app@/x",
    "seal": {"kid": "k1", "secret": "file:seal"},
    "ingress": {
        "audience": "here",
        "certificate": "server.pem",
        "private_key": "server.key",
        "redis_url": "unix:///run/redis.sock",
        "peppers": {"p3": "env:TEST_PEPPER"},
    },
}


def parse(folder: Path = Path(), **changes: Any) -> Any:
    return parse_settings({**GOOD, **changes}, origin="settings.json", folder=folder)


def test_secrets_are_read_where_the_references_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seal").write_text("ab" * 32 + "\n")
    monkeypatch.setenv("TEST_PEPPER", "cd" * 32)
    (tmp_path / "settings.json").write_text(json.dumps(GOOD))
    settings = read_settings(tmp_path / "settings.json")
    assert settings.secret(settings.seal.secret) == b"\xab" * 32
    assert settings.pepper_bytes() == {"p3": b"\xcd" * 32}
    assert "ab" * 16 not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"seal": {"kid": "k1"}}, r"key 'seal\.secret' is missing"),
        ({"ingress": {**GOOD["ingress"], "tls": 1}}, r"unknown key 'ingress\.tls'"),
        ({"app_url": 5}, r"Expected `str`, got `int` - at `\$\.app_url`"),
        ({"ingress": {**GOOD["ingress"], "hello_burst": "many"}}, r"\$\.ingress\.hello_burst"),
        ({"ingress": []}, r"\$\.ingress"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(**changes)


def test_a_document_that_is_no_object_is_refused() -> None:
    with pytest.raises(SettingsError, match="Expected `object`"):
        parse_settings([], origin="x", folder=Path())


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hunter2-hunter2", "must be a reference"),
        ("env:NOT_SET_ANYWHERE", "is not set"),
        ("file:absent", "FileNotFoundError"),
        ("file:short", "2 bytes, at least 32"),
        ("file:words", "not hexadecimal"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_reference(
    tmp_path: Path, reference: str, message: str
) -> None:
    (tmp_path / "short").write_text("abcd")
    (tmp_path / "words").write_text("open sesame")
    with pytest.raises(SettingsError, match=message) as error:
        parse(tmp_path).secret(reference)
    assert "hunter2" not in str(error.value)
    assert "sesame" not in str(error.value)


def test_files_that_are_not_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.json: cannot be read"):
        read_settings(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SettingsError, match=r"bad\.json: not JSON"):
        read_settings(tmp_path / "bad.json")


def test_a_part_that_is_needed_and_missing_is_named() -> None:
    settings = parse(ingress=None)
    with pytest.raises(SettingsError, match="'ingress' is missing"):
        settings.require_ingress()
    with pytest.raises(SettingsError, match="'redaction' is missing"):
        settings.require_redaction()
