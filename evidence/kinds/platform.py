"""What is seen of the platform's own processes: whether its sessions keep anything of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Payload, Public


@dataclass(frozen=True, slots=True)
class TenantContext(Payload):
    """What one pooled connection kept of the tenants that it served, tried with the platform's own code.

    Attributes:
        sessions: tenant sessions opened, one of them ended by a failure.
        backends: server processes that served them; more than one means that reuse was not shown.
        left_behind: after how many sessions a tenant's ticket was still bound to the connection.
        foreign_rows: rows of another tenant that a session saw.
        own_rows: rows of its own tenant that the sessions saw; 0 means that nothing was shown.
        unbound_sqlstate: how a statement outside any session was refused; '' when it was not.
    """

    kind: ClassVar[str] = "platform.tenant_context/v1"

    sessions: Public[int]
    backends: Public[int]
    left_behind: Public[int]
    foreign_rows: Public[int]
    own_rows: Public[int]
    unbound_sqlstate: Public[str]
