"""An evidence pack that was handed out: what it was, to whom it went, and which verdicts it carried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Auditor, Payload, Public
from evidence.record import Interval


@dataclass(frozen=True, slots=True)
class IssuedPack(Payload):
    """One pack, logged when it was built.

    Attributes:
        sha256: of the whole zip (hex).
        audience: who may read it (``public``, ``nda``, ``auditor``).
        window: the time that it reports on.
        recipient: the engagement or person that it was made for; '' for everybody.
        entries: how many entries the log had that it proves.
        verdicts: SHA-256 (hex) of the signed statement of each verdict that it carries.
    """

    kind: ClassVar[str] = "posture.pack/v1"

    sha256: Public[str]
    audience: Public[str]
    window: Public[Interval]
    recipient: Auditor[str]
    entries: Public[int]
    verdicts: Public[tuple[str, ...]]
