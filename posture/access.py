"""How each collector reaches each unit, from the project's configuration.

Built and checked before anything is collected: a secret that is missing is an error of the configuration,
with its line and key, and not a surprise in the middle of a run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.collector import Collector
from collectors.errors import Refused
from evidence.record import Outcome
from evidence.scope import Unit
from posture.config import AgentCredentials, Database, Ingestion, Isolation, Project
from posture.errors import UsageError
from posture.scoping import AWS_POPULATIONS

if TYPE_CHECKING:
    from core_platform.agent import AgentIdentity

TENANT_COLUMNS = ("tenant_id",)


@dataclass(frozen=True, slots=True)
class SettingBinding:
    """Binds a transaction to a tenant by one setting: the id itself, or a sealed ticket for it."""

    setting: str
    ticket: Callable[[str], str]

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The settings to make for one transaction."""
        return {self.setting: self.ticket(tenant)}


@dataclass
class AccessBook:
    """Opens the way to every unit of a project's scope.

    Calling it raises `Refused` for a probe that the configuration leaves out, which the pipeline logs as
    `unsupported`.

    Args:
        project: what is in scope, and how it is reached.
        start, end: the window of populations that auditors draw from; None as their collector says.
    """

    project: Project
    start: datetime | None = None
    end: datetime | None = None
    _drivers: dict[tuple[str, str], object] = field(default_factory=dict)

    def check(self) -> None:
        """Read every secret and every list of canaries once, before long work.

        Raises:
            UsageError: one is missing, naming line, key and remedy.
        """
        for secret in self.project.secrets():
            secret.resolve()
        for name, ingestion in self.project.ingestion.items():
            _planted(name, ingestion)

    def __call__(self, unit: Unit, collector: Collector[Any]) -> object:
        """The collector's way to the unit."""
        if unit.population in AWS_POPULATIONS:
            return self._aws(unit.attributes["account"], unit.attributes["region"])
        name = unit.id.partition("/")[2]
        openers: dict[str, Callable[[str], object]] = {
            "postgres.row_security": self._catalog,
            "postgres.isolation": self._isolation,
            "postgres.rls_waves": self._catalog,
            "postgres.populations": self._populations,
            "ingress.attack": self._ingress,
            "ingress.stream_tenancy": self._ingress,
            "tls.versions": self._tls,
            "redaction.canaries": self._canaries,
            "redaction.body_hashes": self._canaries,
            "source.lint": self._source,
            "platform.tenant_context": self._platform,
        }
        return openers[collector.name](name)

    def _catalog(self, name: str) -> object:
        from collectors.postgres import PostgresAccess

        database = self.project.databases[name]
        return PostgresAccess(database.url.resolve(), database.app_role, TENANT_COLUMNS)

    def _populations(self, name: str) -> object:
        from collectors.populations import PopulationAccess

        return PopulationAccess(self.project.databases[name].url.resolve(), self.start, self.end)

    def _isolation(self, name: str) -> object:
        from collectors.isolation import IsolationAccess
        from collectors.postgres import PostgresAccess

        database = self.project.databases[name]
        app_url, isolation = _probed(name, database)
        catalog = PostgresAccess(app_url, database.app_role, TENANT_COLUMNS)
        first, second = isolation.tenants[:2]
        return IsolationAccess(catalog, (first, second), binding_of(isolation))

    def _ingress(self, name: str) -> object:
        from collectors.ingress_attack import IngressAccess
        from core_platform.agent import IngressAddress

        ingress = self.project.ingress[name]
        if ingress.probe is None or ingress.probe.unregistered is None or ingress.probe.database is None:
            raise Refused(
                Outcome.UNSUPPORTED,
                "the probe is not configured",
                f"ingress.{name}.probe needs an agent, an unregistered agent and a database",
            )
        probe, tenant = ingress.probe, uuid.UUID(ingress.probe.tenant)
        authority = ingress.ca_file.read_bytes() if ingress.ca_file else b""
        return IngressAccess(
            address=IngressAddress(ingress.address, authority, ingress.audience, ingress.server_name),
            probe=_identity(tenant, probe.agent),
            other_tenant=uuid.UUID(probe.other_tenant),
            unregistered=_identity(tenant, ingress.probe.unregistered),
            rows_written=partial(_samples_of, self.project.databases[ingress.probe.database].url.resolve()),
        )

    def _tls(self, name: str) -> object:
        from collectors.tls import Endpoint

        ingress = self.project.ingress[name]
        return Endpoint(ingress.address, ingress.server_name)

    def _canaries(self, name: str) -> object:
        from collectors.canaries import CanaryAccess, PlantedBody

        ingestion = self.project.ingestion[name]
        planted = _planted(name, ingestion)
        bodies = tuple(
            PlantedBody(tenant, text.encode())
            for tenant, texts in planted["bodies"].items()
            for text in texts
        )
        redis = self.project.redis
        return CanaryAccess(
            dsn=self.project.databases[ingestion.database].url.resolve(),
            redis_url=redis.url.resolve() if redis else None,
            logs=ingestion.logs,
            canaries=tuple(planted["canaries"]),
            bodies=bodies,
            requests=tuple(planted["requests"]),
        )

    def _platform(self, name: str) -> object:
        from collectors.tenant_context import PlatformAccess

        platform = self.project.platform[name]
        if len(platform.tenants) < 2:
            raise Refused(
                Outcome.UNSUPPORTED,
                "the probe is not configured",
                f"platform.{name}.tenants needs two tenants",
            )
        return PlatformAccess(platform.settings, (platform.tenants[0], platform.tenants[1]), platform.source)

    def _source(self, name: str) -> object:
        from collectors.source_lint import SourceAccess
        from lint.config import LintConfig

        config = LintConfig.from_mapping(self.project.lint)
        return SourceAccess(self.project.sources[name].path, config=config)

    def _aws(self, account: str, region: str) -> object:
        from collectors.aws.drivers import LiveDriver
        from collectors.aws.flow import AwsAccess
        from posture.aws_sessions import session_for

        if (account, region) not in self._drivers:
            configured = self.project.aws.accounts[account] if self.project.aws else None
            endpoint = configured.endpoint_url.resolve() if configured and configured.endpoint_url else None
            role = configured.role_arn if configured else None
            session = session_for(region, role_arn=role, endpoint_url=endpoint)
            driver = LiveDriver(region, account=account, endpoint_url=endpoint, session=session)
            self._drivers[account, region] = AwsAccess(driver)
        return self._drivers[account, region]


def _identity(tenant: uuid.UUID, credentials: AgentCredentials) -> AgentIdentity:
    from core_platform.agent import AgentIdentity

    key, agent = bytes.fromhex(credentials.key.resolve()), uuid.UUID(credentials.agent_id)
    return AgentIdentity(tenant=tenant, key_id=credentials.key_id, agent_id=agent, key=key)


def _samples_of(url: str, tenant: uuid.UUID, epoch: uuid.UUID) -> int:
    """How many samples of an epoch lie under a tenant, read by a login that sees every row."""
    import psycopg

    with psycopg.connect(url) as connection:
        # posture: ignore BYP006 until 2027-11-30 (posture): a login that a policy binds must be refused, not
        # count none
        connection.execute("SELECT set_config('row_security', 'off', false)")
        row = connection.execute(
            "SELECT count(*) FROM gpu.gpu_sample WHERE tenant_id = %s AND epoch = %s", (tenant, epoch)
        ).fetchone()
    return int(row[0]) if row else 0


def binding_of(isolation: Isolation) -> SettingBinding:
    """How a transaction is bound to a tenant, as the configuration says."""
    if isolation.seal is None:
        return SettingBinding(isolation.setting, lambda tenant: tenant)
    from core_platform.tenancy import SealKey, TenantId
    from core_platform.tenancy.ticket import seal

    key = SealKey(isolation.seal.kid, bytes.fromhex(isolation.seal.key.resolve()))
    return SettingBinding(isolation.setting, lambda tenant: seal(key, TenantId.parse(tenant)))


def _probed(name: str, database: Database) -> tuple[str, Isolation]:
    if database.app_url is None or database.isolation is None or len(database.isolation.tenants) < 2:
        raise Refused(
            Outcome.UNSUPPORTED,
            "the probe is not configured",
            f"databases.{name} needs app_url and isolation.tenants with two tenants",
        )
    return database.app_url.resolve(), database.isolation


def _planted(name: str, ingestion: Ingestion) -> dict[str, Any]:
    try:
        planted = json.loads(Path(ingestion.canaries).read_text())
        return {
            "canaries": list(planted["canaries"]),
            "bodies": dict(planted["bodies"]),
            "requests": list(planted.get("requests", ())),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"ingestion.{name}.canaries: {ingestion.canaries} is no list of planted canaries ({error})"
        ) from error
