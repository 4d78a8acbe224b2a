"""What is seen in source: the report of the row-security and bypass lint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Nda, Payload, Public


@dataclass(frozen=True, slots=True)
class LintFinding:
    """A finding of the lint; the path is relative to the linted root."""

    rule: str
    severity: str
    path: str
    line: int
    table: str
    message: str


@dataclass(frozen=True, slots=True)
class LintReport(Payload):
    """The lint over one source tree.

    Attributes:
        tenant_tables: tables holding tenant data, as the migrations define them.
        enforced: of those, the ones with row security enabled, forced and a permissive policy.
        not_analysed: statements that the lint could not read.
        suppressed: findings allowed in place with a reason.
        bypass_sites: call sites of the bypass found in source.
    """

    kind: ClassVar[str] = "source.lint/v1"

    files: Public[int]
    statements: Public[int]
    not_analysed: Public[int]
    suppressed: Public[int]
    bypass_sites: Public[int]
    tenant_tables: Public[int]
    enforced: Public[int]
    tables: Nda[tuple[str, ...]]
    findings: Nda[tuple[LintFinding, ...]]
