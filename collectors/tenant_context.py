"""Whether the platform's own sessions keep anything of a tenant, by the probe that the platform ships.

The probe runs as a process of its own, from the source that is deployed, so that what is tried is what
runs. It prints one JSON object; anything else is a non-observation with its last words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from evidence.errors import MalformedEvidence
from evidence.kinds.platform import TenantContext
from evidence.payload import Payload, decode
from evidence.record import Outcome
from evidence.scope import Unit

PROBE_TIMEOUT: Final = timedelta(seconds=60)
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class PlatformAccess:
    """A deployment on this machine.

    Attributes:
        settings: the platform's JSON settings.
        tenants: two tenants that exist.
        source: the folder that holds the deployed `core_platform`; None for the installed one.
    """

    settings: Path
    tenants: tuple[str, str]
    source: Path | None = None


class TenantContextCollector:
    """Runs the platform's probe of its own sessions."""

    name: str = "platform.tenant_context"
    version: str = "1"
    population: str = "platform"
    kinds: Sequence[type[Payload]] = (TenantContext,)

    def collect(self, unit: Unit, access: PlatformAccess) -> Iterable[Sighting]:
        """One `TenantContext`. Raises `Refused` when the probe could not look or said something else."""
        said = _run(access)
        try:
            payload: TenantContext = decode(TenantContext, json.loads(said), where=self.name)
        except (ValueError, MalformedEvidence) as error:
            raise Refused(Outcome.UNSUPPORTED, "the probe said something else", str(error)) from error
        yield Observed(payload, unit.subject)


def _run(access: PlatformAccess) -> str:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if access.source is not None:
        environment["PYTHONPATH"] = str(access.source)
    command = [sys.executable, "-m", "core_platform.tenancy", "--settings", str(access.settings)]
    done = subprocess.run(
        [*command, "--tenants", *access.tenants],
        capture_output=True,
        text=True,
        env=environment,
        cwd="/",
        timeout=PROBE_TIMEOUT.total_seconds(),
        check=False,
    )
    if done.returncode != 0:
        raise Refused(Outcome.UNREACHABLE, "the probe could not look", done.stderr[-2000:])
    return done.stdout
