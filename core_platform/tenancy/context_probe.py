"""Does a tenant's context end with its transaction? The platform's own sessions, tried on one connection.

For evidence (the security page: "per request via a … hook"): a pool of one connection serves tenant A,
nobody, tenant B, and A again after a failure, and after each it is asked what is left. Run as
``python -m core_platform.tenancy --settings FILE --tenants A B``; prints one JSON object.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from core_platform.schema.identity import Tenant
from core_platform.tenancy.context import Origin, TenantContext, TenantId
from core_platform.tenancy.ticket import SETTING

if TYPE_CHECKING:
    from core_platform.tenancy.database import PlatformDatabase

_ACTOR: Final = "tenancy.context_probe"
_LEFT: Final = text(f"SELECT coalesce(current_setting('{SETTING}', true), '')")
_UNBOUND: Final = text("SELECT tenant_id FROM identity.tenant")


class _FailedOnPurpose(Exception):
    """Ends a session in the way in which a request fails."""


@dataclass(frozen=True, slots=True)
class ContextReport:
    """What one connection kept of the tenants that it served.

    Attributes:
        sessions: tenant sessions opened on the connection.
        backends: server processes that served them; one, or reuse was not shown.
        left_behind: after how many of the sessions a tenant's ticket was still bound.
        foreign_rows: rows of another tenant that a session saw.
        own_rows: rows of its own tenant that the sessions saw; 0 means nothing was shown.
        unbound_sqlstate: how a statement without a session was refused; '' when it was not.
    """

    sessions: int
    backends: int
    left_behind: int
    foreign_rows: int
    own_rows: int
    unbound_sqlstate: str


def probe_context(database: PlatformDatabase, first: TenantId, second: TenantId) -> ContextReport:
    """Serve both tenants in turn; `database` must have a pool of one connection."""
    served = (first, second, first, second)
    seen = [_serve(database, tenant, fails=number == 2) for number, tenant in enumerate(served)]
    rows = [(tenant, row) for tenant, (_, visible, _) in zip(served, seen, strict=True) for row in visible]
    return ContextReport(
        sessions=len(seen),
        backends=len({backend for backend, _, _ in seen}),
        left_behind=sum(bool(left) for _, _, left in seen),
        foreign_rows=sum(row != tenant for tenant, row in rows),
        own_rows=sum(row == tenant for tenant, row in rows),
        unbound_sqlstate=_unbound(database),
    )


def _serve(database: PlatformDatabase, tenant: TenantId, *, fails: bool) -> tuple[int, list[TenantId], str]:
    """One session: its backend, the tenants that it saw, and what it left on the connection."""
    backend, visible = 0, list[TenantId]()
    context = TenantContext(tenant, Origin.REQUEST, _ACTOR)
    with suppress(_FailedOnPurpose), database.tenant_session(context) as session:
        backend = session.execute(select(func.pg_backend_pid())).one()[0]
        visible = [TenantId.parse(one) for one in session.scalars(select(Tenant.tenant_id))]
        if fails:
            raise _FailedOnPurpose
    with database._app.connect() as connection:  # noqa: SLF001 - looks behind the sessions' back
        return backend, visible, str(connection.execute(_LEFT).scalar())


def _unbound(database: PlatformDatabase) -> str:
    with database._app.connect() as connection:  # noqa: SLF001 - as above
        try:
            connection.execute(_UNBOUND).all()
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", "") or "")
    return ""
