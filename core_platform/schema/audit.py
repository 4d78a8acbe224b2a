"""What was done, by whom, for which tenant: rows that can be added and read, never changed.

The table has no foreign key to `identity.tenant`: the record of a tenant outlives the tenant.
"""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import APPEND_ONLY, Base, RowSecurity, TenantOwned


class AuditLog(TenantOwned, Base):
    """One audited action. `origin` is the door it came through; `detail` holds no content."""

    __tablename__ = "audit_log"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = ({"schema": "audit"},)

    entry_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    origin: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
