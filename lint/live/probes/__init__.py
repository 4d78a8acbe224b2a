"""Adversarial probes of a live database: what one tenant can reach of another's, tried for real."""

from lint.live.probes.binding import GivenValues, PlainSetting, TenantBinding
from lint.live.probes.errors import ProbeError
from lint.live.probes.prober import probe
from lint.live.probes.result import Inconclusive, ProbeFinding, ProbeResult

__all__ = [
    "GivenValues",
    "Inconclusive",
    "PlainSetting",
    "ProbeError",
    "ProbeFinding",
    "ProbeResult",
    "TenantBinding",
    "probe",
]
