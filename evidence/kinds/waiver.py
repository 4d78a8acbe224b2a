"""A waiver: a named owner answers, until a day, for deviations that another control makes up for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from evidence.payload import Nda, Payload, Public

LONGEST: Final = timedelta(days=366)
"""How far ahead a waiver may end when it is logged; whoever still needs it then decides again."""


@dataclass(frozen=True, slots=True)
class Waiver(Payload):
    """One entry of `waivers.yaml`, logged before it is judged by.

    Attributes:
        id: unique in the register.
        check: the check whose failure it waives.
        deviations: what each waived deviation names: its place, or ``what: place``, to the letter.
        owner: the team or role that answers for it; published with the waived verdict, so no person.
        reason: why it is accepted.
        compensating: the check that must be satisfied meanwhile.
        expires: from this moment on it waives nothing.
        ticket: where it was decided; '' for nowhere.
        withdrawn: it left the register; it waives nothing until it is logged anew.
    """

    kind: ClassVar[str] = "posture.waiver/v1"

    id: Public[str]
    check: Public[str]
    deviations: Nda[tuple[str, ...]]
    owner: Public[str]
    reason: Nda[str]
    compensating: Public[str]
    expires: Public[datetime]
    ticket: Nda[str] = ""
    withdrawn: Public[bool] = False
