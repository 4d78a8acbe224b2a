"""Whether a day's tokens of a model are out of proportion to the days before.

A rule anyone can compute again from the stored numbers: more than three times the mean of the days
before it, once there are three of them. Quiet days are decided and kept like loud ones, so that a day
without a decision is a gap and not a calm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Date, cast, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.schema.ai import AiSpendEvent
from core_platform.schema.insight import AnomalyDecision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core_platform.tenancy import TenantSession

RULE_VERSION: Final = "mean-ratio/1"
LEAST_DAYS: Final = 3
WINDOW: Final = timedelta(days=28)
FACTOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Decision:
    """One model's day: tokens of that day, mean tokens of the days before, and what follows."""

    model_id: str
    day: date
    observed: float
    baseline: float
    verdict: str


def decide_day(session: TenantSession, day: date) -> list[Decision]:
    """Decide every model that was used on `day` (UTC) and keep the decisions; again changes nothing."""
    made = list(_judged(spend_by_day(session, day - WINDOW, day), day))
    for one in made:
        row = upsert(AnomalyDecision).values(
            tenant_id=session.context.tenant.uuid,
            model_id=one.model_id,
            day=one.day,
            rule_version=RULE_VERSION,
            baseline=one.baseline,
            observed=one.observed,
            verdict=one.verdict,
        )
        session.execute(row.on_conflict_do_nothing())
    return made


def decisions(session: TenantSession) -> list[Decision]:
    """What was decided for the tenant, by day and model."""
    made = select(
        AnomalyDecision.model_id,
        AnomalyDecision.day,
        AnomalyDecision.observed,
        AnomalyDecision.baseline,
        AnomalyDecision.verdict,
    )
    rows = session.execute(made.order_by(AnomalyDecision.day, AnomalyDecision.model_id))
    return [Decision(*row) for row in rows]


def spend_days(session: TenantSession) -> list[date]:
    """The days (UTC) on which the tenant used any model, in order."""
    days = select(cast(func.timezone("UTC", AiSpendEvent.occurred_at), Date)).distinct()
    return sorted(session.scalars(days))


def spend_by_day(session: TenantSession, first: date, last: date) -> dict[str, dict[date, float]]:
    """Tokens by model and day (UTC), both ends included."""
    day = cast(func.timezone("UTC", AiSpendEvent.occurred_at), Date)
    tokens = func.coalesce(func.sum(AiSpendEvent.input_tokens + AiSpendEvent.output_tokens), 0)
    statement = select(AiSpendEvent.model_id, day, tokens).where(day.between(first, last))
    found: dict[str, dict[date, float]] = {}
    for model_id, on, total in session.execute(statement.group_by(AiSpendEvent.model_id, day)):
        found.setdefault(model_id, {})[on] = float(total)
    return found


def _judged(spend: dict[str, dict[date, float]], day: date) -> Iterator[Decision]:
    for model_id, by_day in sorted(spend.items()):
        if day in by_day:
            before = [tokens for on, tokens in by_day.items() if on < day]
            baseline = sum(before) / len(before) if before else 0.0
            yield Decision(model_id, day, by_day[day], baseline, _verdict(by_day[day], baseline, len(before)))


def _verdict(observed: float, baseline: float, days: int) -> str:
    if days < LEAST_DAYS:
        return "too_little_history"
    return "anomalous" if observed > FACTOR * baseline else "normal"
