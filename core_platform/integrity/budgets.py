"""A tenant's monthly budgets in tokens, and how much of each is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.schema.ai import AiSpendEvent
from core_platform.schema.insight import Budget

if TYPE_CHECKING:
    from datetime import datetime

    from core_platform.tenancy import TenantSession


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and the tokens used since the start of its month."""

    model_id: str
    monthly_tokens: int
    used_tokens: int

    @property
    def exceeded(self) -> bool:
        """Whether more was used than was meant."""
        return self.used_tokens > self.monthly_tokens


def set_budget(session: TenantSession, model_id: str, monthly_tokens: int) -> None:
    """Set or change one model's budget as the session's actor.

    Raises:
        InvalidValue: it is not above zero.
    """
    key = {"tenant_id": session.context.tenant.uuid, "model_id": model_id}
    values = {"monthly_tokens": monthly_tokens, "set_by": session.context.actor}
    row = upsert(Budget).values({**key, **values})
    session.execute(
        row.on_conflict_do_update(index_elements=list(key), set_={**values, "set_at": func.clock_timestamp()})
    )


def budget_states(session: TenantSession, since: datetime) -> list[BudgetState]:
    """Each budget with the tokens of its model from `since` on, by model."""
    used = func.coalesce(func.sum(AiSpendEvent.input_tokens + AiSpendEvent.output_tokens), 0)
    same_model = (AiSpendEvent.model_id == Budget.model_id) & (AiSpendEvent.occurred_at >= since)
    statement = (
        select(Budget.model_id, Budget.monthly_tokens, used)
        .outerjoin(AiSpendEvent, same_model)
        .group_by(Budget.model_id, Budget.monthly_tokens)
        .order_by(Budget.model_id)
    )
    return [BudgetState(model, meant, int(spent)) for model, meant, spent in session.execute(statement)]
