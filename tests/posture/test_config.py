"""`posture.yaml`: what is right becomes typed values, what is wrong names line, key and remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posture.config import ConfigError, Project, load_project
from posture.secrets import Secret, resolve

WHOLE = """\
project: acme
state: var/posture
databases:
  core:
    url: postgresql://reader@db.example.com/core
    app_url: env:APP_URL
    isolation: {tenants: [t1, t2], setting: app.tenant_ticket, seal: {kid: s1, key: "file:seal"}}
redis: {url: "unix:///run/redis.sock"}
aws:
  accounts:
    "011122223333":
      regions: [us-east-1, eu-west-1]
      role_arn: arn:aws:iam::011122223333:role/posture
ingress:
  main:
    address: "ingress.example.com:443"
    audience: ingress.example.com
    ca_file: ca.pem
    probe:
      {tenant: t1, other_tenant: t2, agent: {agent_id: a1, key_id: k1, key: "file:probe.key"}}
ingestion:
  logs: {canaries: canaries.json, database: core, logs: [logs]}
sources: {core: {path: src}}
lint: {ignore: [RLS001, 2, 2.5, yes], nested: {a: null}}
ledger: {origin: example.com/log, signer: "file:log.key"}
portal: {title: Acme, out: site}
"""


def load(folder: Path, text: str | bytes) -> Project:
    path = folder / "posture.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_project(path)


def refusal(folder: Path, text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value


def test_the_whole_file_becomes_typed_values(tmp_path: Path) -> None:
    project = load(tmp_path, WHOLE)
    assert project.state == tmp_path / "var/posture"
    core = project.databases["core"]
    assert core.url.resolve() == "postgresql://reader@db.example.com/core"
    assert core.app_role == "core_app"
    assert core.isolation is not None
    assert core.isolation.tenants == ("t1", "t2")
    assert project.aws is not None
    assert project.aws.accounts["011122223333"].regions == ("us-east-1", "eu-west-1")
    assert project.ingestion["logs"].logs == (tmp_path / "logs",)
    assert project.ingress["main"].ca_file == tmp_path / "ca.pem"
    assert project.sources["core"].path == tmp_path / "src"
    assert project.lint == {"ignore": ["RLS001", 2, 2.5, True], "nested": {"a": None}}
    assert project.portal is not None
    assert project.portal.out == tmp_path / "site"


def test_every_section_is_optional(tmp_path: Path) -> None:
    project = load(tmp_path, "project: acme\n")
    assert project.databases == {}
    assert project.redis is None
    assert project.state == tmp_path / ".posture"


def test_all_references_are_listed_with_their_lines(tmp_path: Path) -> None:
    listed = [(secret.text, secret.place.line) for secret in load(tmp_path, WHOLE).secrets()]
    lines = [("env:APP_URL", 6), ("file:seal", 7), ("file:probe.key", 20)]
    assert listed == lines


BAD: dict[str, tuple[str | bytes, int, str, str]] = {
    "unknown key": (
        "project: a\ndatabases:\n  core:\n    ulr: env:X\n",
        4,
        "databases.core.ulr",
        'did you mean "url"?',
    ),
    "unknown section": ("project: a\ndatabase: {}\n", 2, "database", 'did you mean "databases"?'),
    "nothing near": ("project: a\nredis:\n  zzz: 1\n", 3, "redis.zzz", "known here: url"),
    "list for text": ("project: [a]\n", 1, "project", "not text"),
    "text for a list": (
        "project: a\naws:\n  accounts:\n    '111122223333':\n      regions: us-east-1\n",
        5,
        "aws.accounts.111122223333.regions",
        "[one, two]",
    ),
    "number for text": ("project: a\n\nportal:\n  title: 7\n", 4, "portal.title", 'quotes: "7"'),
    "date for text": ("project: a\nportal: {title: 2026-01-01}\n", 2, "portal.title", "quotes"),
    "text for keys": ("project: a\nredis: localhost\n", 2, "redis", "not keys with values"),
    "nothing": ("project: a\nstate:\n", 2, "state", "nothing, not text"),
    "missing key": ("project: a\nredis:\n  {}\n", 3, "redis.url", "add `url: …` here"),
    "missing project": ("state: x\n", 1, "project", "is missing"),
    "duplicate key": (
        "project: a\nredis:\n  url: env:A\n  url: env:B\n",
        4,
        "redis.url",
        "first in line 3",
    ),
    "duplicate in a passed-through section": (
        "project: a\nlint:\n  x: 1\n  x: 2\n",
        4,
        "lint.x",
        "first in line 3",
    ),
    "password in a URL": (
        "project: a\nredis:\n  url: redis://:hunter2@db/0\n",
        3,
        "redis.url",
        "env:NAME",
    ),
    "password in a parameter": (
        "project: a\nredis: {url: 'postgresql://u@h/d?password=hunter2'}\n",
        2,
        "redis.url",
        "password written out",
    ),
    "no URL": ("project: a\nredis: {url: localhost}\n", 2, "redis.url", "is not a URL"),
    "literal key": (
        "project: a\nledger:\n  origin: o\n  signer: c2VjcmV0\n",
        4,
        "ledger.signer",
        "awskms:KEY",
    ),
    "account id": (
        "project: a\naws:\n  accounts:\n    prod: {regions: [x]}\n",
        4,
        "aws.accounts.prod",
        "12 digits",
    ),
    "name": ("project: a\ndatabases:\n  'a b': {url: env:X}\n", 3, "databases.a b", "a name of"),
    "address": ("project: a\ningress:\n  x:\n    address: host\n", 4, "ingress.x.address", "host:port"),
    "alias": ("project: &a x\nstate: *a\n", 2, "", "write the value out"),
    "tab": ("project: a\n\tstate: x\n", 2, "", "is not YAML"),
    "control character": ("project: a\nstate: \x07\n", 2, "", "forbids"),
    "not UTF-8": (b"project: a\nstate: \xff\n", 2, "", "UTF-8"),
    "a list": ("- project\n", 1, "", "holds no keys"),
    "empty": ("", 1, "", "holds no keys"),
    "two documents": ("project: a\n---\nproject: b\n", 2, "", "is not YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_is_refused_with_line_key_and_remedy(case: str, tmp_path: Path) -> None:
    text, line, key, said = BAD[case]
    error = refusal(tmp_path, text)
    assert (error.place.line, error.place.key) == (line, key), str(error)
    assert said in str(error)
    assert str(error).startswith(f"{tmp_path}/posture.yaml:{line}: ")
    assert "hunter2" not in str(error)
    assert "c2VjcmV0" not in str(error)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read \(No such file"):
        load_project(tmp_path / "absent.yaml")


def test_deep_nesting_is_refused_not_a_crash(tmp_path: Path) -> None:
    assert "nested deeper than 32" in str(refusal(tmp_path, "lint: " + "[" * 20_000))


def test_a_missing_environment_variable_names_line_key_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTURE_TEST_ABSENT", raising=False)
    project = load(tmp_path, "project: a\nredis:\n  url: env:POSTURE_TEST_ABSENT\n")
    assert project.redis is not None
    with pytest.raises(ConfigError, match=r"yaml:3: redis\.url: .*ABSENT is not set; set it"):
        project.redis.url.resolve()
    monkeypatch.setenv("POSTURE_TEST_ABSENT", "redis://:pw@h/0")
    assert project.redis.url.resolve() == "redis://:pw@h/0"


def test_a_missing_or_empty_secret_file_names_the_file(tmp_path: Path) -> None:
    project = load(tmp_path, "project: a\nledger: {origin: o, signer: 'file:log.key'}\n")
    assert project.ledger is not None
    assert project.ledger.signer is not None
    with pytest.raises(ConfigError, match=r"yaml:2: ledger\.signer: .*log\.key cannot be read"):
        project.ledger.signer.resolve()
    (tmp_path / "log.key").write_text("\n")
    with pytest.raises(ConfigError, match=r"log\.key is empty"):
        project.ledger.signer.resolve()
    (tmp_path / "log.key").write_text("  secret\n")
    assert project.ledger.signer.resolve() == "  secret"


def test_a_literal_is_never_taken_for_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTURE_TEST_SECRET", "value")
    assert resolve("env:POSTURE_TEST_SECRET") == "value"
    with pytest.raises(ConfigError, match="is no reference"):
        resolve("plain")
    assert "value" not in repr(Secret("env:POSTURE_TEST_SECRET"))


def test_reading_the_model_costs_no_heavy_import() -> None:
    asked = "import sys, posture.config; print([m for m in ('yaml','boto3','msgspec') if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert told.stdout.strip() == "[]"


KEYS = st.sampled_from(
    [
        "project",
        "state",
        "databases",
        "redis",
        "aws",
        "accounts",
        "ingress",
        "probe",
        "lint",
        "url",
        "regions",
        "key",
        "<<",
        "=",
    ]
)
SCALARS = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.sampled_from(["null", "1e999", "0b", "-", "~", "2026-99-99", "!!int x", "!!bool", "!x y"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.one_of(KEYS, inner), inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=8,
)
SECTIONS = st.lists(st.tuples(KEYS, TREES), max_size=5).map(
    lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode), SECTIONS))
def test_any_file_is_a_project_or_a_config_error(text: bytes | str, tmp_path: Path) -> None:
    content = text.encode(errors="replace") if isinstance(text, str) else text
    said = verdict(tmp_path, content)
    assert said == "a project" or said.startswith(f"{tmp_path}/posture.yaml")


def verdict(folder: Path, content: bytes) -> str:
    try:
        load(folder, content)
    except ConfigError as error:
        return str(error)
    return "a project"
