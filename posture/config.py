"""`posture.yaml`, the one file that configures a project, as typed values.

For whoever runs Posture on their own systems. Every section is optional; what is there is taken
literally: unknown and repeated keys are refused, each error names the line, the key and the remedy,
and a secret stands in the file only by reference (`posture.secrets`). Paths start from the file's
folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posture.config_reader import read_typed
from posture.secrets import ConfigError, Key, Place, Secret, Url, is_reference

__all__ = ["ConfigError", "Place", "Project", "Secret", "Url", "load_project"]

_NAME = {"keys": r"[A-Za-z0-9][A-Za-z0-9_.-]*", "means": "a name of letters, digits and _ . -"}
_ACCOUNT = {"pattern": r"\d{12}", "means": "an account id of 12 digits, in quotes"}
_ACCOUNTS = {"keys": _ACCOUNT["pattern"], "means": _ACCOUNT["means"]}
_ADDRESS = {
    "pattern": r"(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}",
    "means": "host:port, such as ingress.example.com:443",
}


def _named(form: Mapping[str, str] = _NAME) -> Any:  # noqa: ANN401 - stands for field(), which is Any
    return field(default_factory=dict, metadata=form)


@dataclass(frozen=True, slots=True)
class Seal:
    """The key that seals the platform's tenant tickets; `key` is hexadecimal."""

    kid: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Isolation:
    """Two tenants for the isolation probe, and how a transaction is bound to one.

    `setting` receives the tenant's id, or with `seal` a sealed ticket for it.
    """

    tenants: tuple[str, ...]
    setting: str = "app.tenant_id"
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL: `url` reads the catalog, `app_url` logs in as the application's role."""

    url: Url
    app_url: Url | None = None
    app_role: str = "core_app"
    isolation: Isolation | None = None


@dataclass(frozen=True, slots=True)
class Redis:
    """The server that holds the nonces."""

    url: Url


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """One account: where to look, as which role, at which endpoint (None: AWS itself)."""

    regions: tuple[str, ...]
    role_arn: str | None = None
    endpoint_url: Url | None = None


@dataclass(frozen=True, slots=True)
class Aws:
    """The AWS accounts in scope, by their 12 digits."""

    accounts: Mapping[str, AwsAccount] = _named(_ACCOUNTS)


@dataclass(frozen=True, slots=True)
class AgentCredentials:
    """An agent's ids and its derived key, in hexadecimal."""

    agent_id: str
    key_id: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Probe:
    """The agent identity with which the ingress is attacked from outside.

    `unregistered` is a second identity whose key was derived but never registered; `database` names
    the entry under `databases` in which the probe's rows are counted.
    """

    tenant: str
    other_tenant: str
    agent: AgentCredentials
    unregistered: AgentCredentials | None = None
    database: str | None = None


@dataclass(frozen=True, slots=True)
class Ingress:
    """An agent ingress: `address` is host:port; `ca_file` None trusts the system's roots."""

    address: str = field(metadata=_ADDRESS)
    audience: str
    ca_file: Path | None = None
    server_name: str | None = None
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Where canaries that were planted in raw logs are searched for.

    `canaries` is the JSON file that was written when they were planted; `database` names an entry
    under `databases` whose `url` sees every row; `logs` are files and folders of the platform's logs.
    """

    canaries: Path
    database: str
    logs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """A deployment of the platform on this machine, for probes that it ships.

    `tenants` are two that exist; `source` holds the deployed `core_platform` (None: the installed one).
    """

    settings: Path
    tenants: tuple[str, ...]
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A source tree for the lint."""

    path: Path


@dataclass(frozen=True, slots=True)
class Ledger:
    """The transparency log: its origin line, the key that signs, its folder (None: in state)."""

    origin: str
    signer: Key | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Portal:
    """The published pages: `out` None is a folder in state."""

    title: str
    contact: str | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that `posture.yaml` says; paths are absolute."""

    project: str
    state: Path = Path(".posture")
    databases: Mapping[str, Database] = _named()
    redis: Redis | None = None
    aws: Aws | None = None
    ingress: Mapping[str, Ingress] = _named()
    ingestion: Mapping[str, Ingestion] = _named()
    platform: Mapping[str, Platform] = _named()
    sources: Mapping[str, Source] = _named()
    lint: Mapping[str, object] = field(default_factory=dict)
    ledger: Ledger | None = None
    portal: Portal | None = None
    waivers: Path | None = None

    def secrets(self) -> Iterator[Secret]:
        """Every reference in the file; `resolve()` each to check them all before long work."""
        yield from _secrets_in(self)


def load_project(path: Path) -> Project:
    """The project that `path` describes; ConfigError for everything that is wrong with it."""
    project = read_typed(path, Project)
    return dataclasses.replace(project, state=path.absolute().parent / project.state)


def _secrets_in(value: object) -> Iterator[Secret]:
    if isinstance(value, Key):
        return
    if isinstance(value, Secret):
        yield from [value] if is_reference(value.text) else []
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from _secrets_in(getattr(value, part.name))
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _secrets_in(entry)
