"""What an adversarial probe of a database found, and what it could not find out.

A probe that could not be seeded or run is `Inconclusive` with its reason: it never counts as held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.report import Severity


@dataclass(frozen=True, slots=True, order=True)
class ProbeFinding:
    """One thing that a tenant could do, or could not do and should: what was seen, the smallest fix.

    `table` is the table, view or function ("schema.name") the probe went through.
    """

    rule: str
    severity: Severity
    table: str
    probe: str
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Inconclusive:
    """One probe whose answer is not known, and why."""

    table: str
    probe: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All that one probe of a database saw.

    Attributes:
        probes: how many attempts were made, those that held among them.
        notes: what the run leaves behind or leaves out, such as sequences that advanced.
        statements: how many round trips it took.
        server_version: `server_version_num`, such as 150018.
        setting: the setting that carries the tenant, '' when none was found.
        seeded: the tables that the probes found rows of both tenants in.
    """

    findings: tuple[ProbeFinding, ...]
    probes: int
    inconclusive: tuple[Inconclusive, ...]
    notes: tuple[str, ...] = ()
    statements: int = 0
    server_version: int = 0
    setting: str = ""
    seeded: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The part of the published form of `rls verify` that probes answer for."""
        return {
            "findings": [
                {
                    "rule": found.rule,
                    "severity": found.severity,
                    "table": found.table,
                    "probe": found.probe,
                    "message": found.message,
                    "fix": found.fix,
                }
                for found in self.findings
            ],
            "probes": self.probes,
            "inconclusive": [
                {"table": one.table, "probe": one.probe, "why": one.why} for one in self.inconclusive
            ],
            "server_version": self.server_version,
        }


@dataclass(slots=True)
class Protocol:
    """What the probes write down while they run; one finding for each rule, table and probe."""

    found: dict[tuple[str, str, str], ProbeFinding] = field(default_factory=dict)
    unclear: dict[tuple[str, str], Inconclusive] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    probes: int = 0

    def tried(self, count: int = 1) -> None:
        """Count attempts."""
        self.probes += count

    def finding(self, finding: ProbeFinding) -> None:
        """Write a finding down, unless the same one is there already."""
        self.found.setdefault((finding.rule, finding.table, finding.probe), finding)

    def inconclusive(self, table: str, probe: str, why: str) -> None:
        """Write down that a probe has no answer; the first reason stays."""
        reason = " ".join(why.split())
        self.unclear.setdefault((table, probe), Inconclusive(table, probe, reason))

    def note(self, text: str) -> None:
        """Write down what the reader must know of the run as a whole."""
        self.notes.setdefault(text)

    def rules_of(self, table: str) -> frozenset[str]:
        """The codes already found on a table."""
        return frozenset(rule for rule, at, _ in self.found if at == table)

    def sorted_findings(self) -> tuple[ProbeFinding, ...]:
        """The findings by table, rule and probe."""
        return _by_place(self.found.values())


def _by_place(findings: Iterable[ProbeFinding]) -> tuple[ProbeFinding, ...]:
    return tuple(sorted(findings, key=lambda one: (one.table, one.rule, one.probe)))
