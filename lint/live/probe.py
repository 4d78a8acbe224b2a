"""Layer two of `posture rls verify`: the probes of `lint.live.probes`, as the verification counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.live.probes import probe as probe_database
from lint.live.verify import Inconclusive, ProbeRun, VerifyFinding

if TYPE_CHECKING:
    from lint.live.probes import ProbeResult, TenantBinding
    from lint.rules.viewpoint import Viewpoint


def probe(
    dsn: str,
    view: Viewpoint,
    *,
    read_only: bool = False,
    tenant_setting: str | None = None,
    binding: TenantBinding | None = None,
) -> ProbeRun:
    """Try what the policies should refuse, as the role of `view`; raise ProbeError when none can be.

    `tenant_setting` is NAME or NAME=VALUE_A,VALUE_B; `binding` mints the settings of a tenant.
    """
    setting = tenant_setting or (view.tenancy.setting if view.tenancy.setting_given else None)
    result = probe_database(
        dsn, view.catalogue, role=view.role, tenant_setting=setting, read_only=read_only, binding=binding
    )
    return _as_run(result)


def _as_run(result: ProbeResult) -> ProbeRun:
    findings = [
        VerifyFinding(one.rule, one.severity, one.table or None, one.probe, one.message, one.fix, one.table)
        for one in result.findings
    ]
    unclear = [Inconclusive(one.table, one.probe, one.why) for one in result.inconclusive]
    return ProbeRun(tuple(findings), result.probes, tuple(unclear), result.notes)
