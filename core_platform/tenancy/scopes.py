"""What a transaction is opened with: a tenant's sealed ticket, or a grant behind a begin record.

Shared by the blocking and the asyncio doors of `PlatformDatabase`, so that both bind the same way and
refuse the same requests.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Insert, event, insert
from sqlalchemy.orm import Session

from core_platform.errors import BypassRefused, InvalidTenant
from core_platform.schema.app import BypassLog
from core_platform.tenancy.context import (
    AllTenants,
    BypassReason,
    BypassScope,
    Origin,
    TenantContext,
    TenantId,
)
from core_platform.tenancy.pool import begin_bound
from core_platform.tenancy.ticket import SETTING, TicketBook

if TYPE_CHECKING:
    from sqlalchemy.orm import SessionTransaction

GRANT_SETTING: Final = "app.bypass_grant"
BIND: Final = "bind"
NO_BYPASS_LOGIN: Final = "this service was given no bypass login (bypass_url)"
_LONGEST_CHANGE_REF: Final = 200

Bind = Callable[[Connection], None]

#: What this thread or task has open: a bypass may not start inside either.
_open_scope: ContextVar[str] = ContextVar("open_scope", default="")


class ScopedSession(Session):
    """A session whose transaction begins with what `info["bind"]` does to its connection."""


@event.listens_for(ScopedSession, "after_begin")
def _begin_in_scope(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    bind: Bind = session.info[BIND]
    bind(connection)


def session_options(bind: Bind) -> dict[str, Any]:
    """How a session of either kind is made: one transaction, begun on purpose, bound at its begin."""
    return {
        "autobegin": False,
        "expire_on_commit": False,
        "close_resets_only": False,
        "info": {BIND: bind},
    }


def bound_to_tenant(tickets: TicketBook, context: TenantContext) -> Bind:
    """Begin with a ticket for the context's tenant.

    Raises:
        InvalidTenant: there is no context; nothing reaches the database.
    """
    if not isinstance(context, TenantContext):
        raise InvalidTenant("a tenant session opens for a TenantContext only")

    def bind(connection: Connection) -> None:
        begin_bound(connection, SETTING, tickets.ticket(context.tenant))

    return bind


def background_context(
    tenant: TenantId, origin: Origin, fn: Callable[..., object], actor: str
) -> TenantContext:
    """The context of a background job; it acts under its function's name unless told otherwise."""
    return TenantContext(tenant, origin, actor or getattr(fn, "__qualname__", type(fn).__name__))


@dataclass(frozen=True, slots=True)
class BypassRequest:
    """A bypass that may be asked for: over what, for which listed reason, under which change.

    Raises:
        BypassRefused: one of them is missing, or a scope is open already.
    """

    scope: BypassScope
    reason: BypassReason
    change_ref: str
    begin_id: uuid.UUID = field(default_factory=uuid.uuid4)

    def __post_init__(self) -> None:
        if not isinstance(self.scope, TenantId | AllTenants):
            raise BypassRefused("a bypass takes a TenantId, or ALL_TENANTS said in full")
        if not isinstance(self.reason, BypassReason):
            raise BypassRefused("a bypass takes a reason from the closed list BypassReason")
        if not self.change_ref.strip() or len(self.change_ref) > _LONGEST_CHANGE_REF:
            raise BypassRefused("a bypass names its change or job in 1 to 200 characters")
        if _open_scope.get():
            raise BypassRefused(f"a {_open_scope.get()} is open already: finish it before a bypass")

    def begin_record(self) -> Insert:
        """The record that is committed before the work starts, on another connection."""
        return self._entry("begin", self.begin_id, None)

    def open_grant(self, connection: Connection) -> None:
        """Begin, name a grant, and write it: it counts in this transaction only."""
        grant_id = uuid.uuid4()
        begin_bound(connection, GRANT_SETTING, str(grant_id))
        connection.execute(self._entry("grant", grant_id, self.begin_id))

    def _entry(self, phase: str, entry_id: uuid.UUID, begin_id: uuid.UUID | None) -> Insert:
        return insert(BypassLog).values(
            entry_id=entry_id,
            phase=phase,
            begin_id=begin_id,
            scope=str(self.scope),
            reason=self.reason.value,
            change_ref=self.change_ref,
        )


class opened:  # noqa: N801 - read as a word: `with opened("bypass")`
    """Remember for this thread or task that a scope is open."""

    __slots__ = ("_entered", "_scope")

    def __init__(self, scope: str) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._entered: Token[str] = _open_scope.set(self._scope)

    def __exit__(self, *_raised: object) -> None:
        _open_scope.reset(self._entered)
