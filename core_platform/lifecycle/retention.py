"""For how long a tenant's rows are kept: its own setting, or the platform's default."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.schema.lifecycle import RetentionSetting

if TYPE_CHECKING:
    from core_platform.tenancy import TenantSession

DEFAULTS: Final = {
    "gpu_samples": timedelta(days=90),
    "ai_spend": timedelta(days=400),
    "events": timedelta(days=400),
}


def set_retention(session: TenantSession, data_class: str, keep: timedelta) -> None:
    """Keep a class of the tenant's data for so many whole days, 1 to 3650.

    Raises:
        InvalidValue: there is no such class, or the time is outside the range.
    """
    values = {"days": keep.days, "set_by": session.context.actor}
    key = {"tenant_id": session.context.tenant.uuid, "data_class": data_class}
    row = upsert(RetentionSetting).values({**key, **values})
    session.execute(
        row.on_conflict_do_update(index_elements=list(key), set_={**values, "set_at": func.clock_timestamp()})
    )


def retention(session: TenantSession) -> dict[str, timedelta]:
    """How long each class of the tenant's data is kept."""
    rows = session.execute(select(RetentionSetting.data_class, RetentionSetting.days))
    return {**DEFAULTS, **{row.data_class: timedelta(days=row.days) for row in rows}}
