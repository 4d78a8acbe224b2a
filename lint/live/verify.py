"""Can tenants reach each other in this database? The catalog is judged, then the role tries.

Layer one reads the system catalogs and applies the rules of `lint.rules`; layer two
(`lint.live.probe`) becomes the application's role and attempts what the policies should refuse. The
rules and why they exist stand in `lint.rules.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lint.config import LintConfig

if TYPE_CHECKING:
    from lint.live.probes import TenantBinding
    from lint.report import Coverage, Finding, Severity
    from lint.rules.tenancy import Tenancy

#: The probe name of findings that come from the catalog alone.
CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class VerifyFinding:
    """One fault of a live database: what was seen, by which probe, and the smallest fix.

    `table` is "schema.name", or None when the fault is of a role, a function or the server.
    """

    rule: str
    severity: Severity
    table: str | None
    probe: str
    message: str
    fix: str
    #: What is at fault (a policy, view, function, role), so that equal faults can be told apart.
    subject: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the published form; the fix is part of the text output only."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "table": self.table,
            "probe": self.probe,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """A probe that could not be seeded or run, and why: never a pass."""

    table: str
    probe: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {"table": self.table, "probe": self.probe, "why": self.why}


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """What layer two hands back: how many probes ran, what they found, which could not."""

    findings: tuple[VerifyFinding, ...] = ()
    probes: int = 0
    inconclusive: tuple[Inconclusive, ...] = ()
    #: What the run leaves behind or leaves out, such as sequences that advanced.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer of one `posture rls verify`; `server_version` is `server_version_num`."""

    findings: tuple[VerifyFinding, ...]
    probes: int
    inconclusive: tuple[Inconclusive, ...]
    server_version: int
    role: str
    tenancy: Tenancy
    coverage: Coverage
    seconds: float = field(default=0.0, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """True when something beyond information was found: exit code 1."""
        return any(finding.severity != "info" for finding in self.findings)

    @property
    def incomplete(self) -> bool:
        """True when a probe is inconclusive: exit code 3 with --strict."""
        return bool(self.inconclusive)

    def to_json(self) -> dict[str, Any]:
        """Return exactly the published JSON object."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "probes": self.probes,
            "inconclusive": [one.to_json() for one in self.inconclusive],
            "server_version": self.server_version,
        }


def verify(
    dsn: str,
    *,
    role: str,
    tenant_setting: str | None = None,
    tenant_column: str | None = None,
    read_only: bool = False,
    config: LintConfig | None = None,
    binding: TenantBinding | None = None,
) -> Verification:
    """Judge the catalog and probe as `role`, which must be a login that serves tenants.

    `tenant_setting` is NAME, or NAME=VALUE_A,VALUE_B where a value cannot be made from a tenant's
    id; `binding` mints the settings of a tenant instead. `dsn` is a privileged login: it seeds, and
    becomes the role.

    Raises LintError when the database cannot be read or `role` is missing, a superuser, BYPASSRLS
    or the owner of a tenant table: a probe as such a role would prove nothing.
    """
    import time

    from lint.live.probe import probe
    from lint.live.read import read_database
    from lint.rules.live import judged
    from lint.rules.viewpoint import viewpoint_of

    started = time.perf_counter()
    settings = config or LintConfig()
    name = tenant_setting.partition("=")[0] if tenant_setting else None
    view = viewpoint_of(read_database(dsn), role, settings, name, tenant_column)
    catalog = tuple(_from_catalog(finding) for finding in judged(view))
    run = probe(dsn, view, read_only=read_only, tenant_setting=tenant_setting, binding=binding)
    return Verification(
        (*catalog, *run.findings),
        run.probes,
        run.inconclusive,
        view.catalogue.server_version or 0,
        role,
        view.tenancy,
        view.coverage(),
        time.perf_counter() - started,
        run.notes,
    )


def _from_catalog(finding: Finding) -> VerifyFinding:
    return VerifyFinding(
        finding.rule,
        finding.severity,
        finding.table,
        CATALOG,
        finding.message,
        finding.fix,
        finding.subject,
    )
