"""Recommendations and what people answered: each answer a row of its own, the newest one counts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from core_platform.errors import InvalidValue
from core_platform.schema.insight import Recommendation, RecommendationFeedback

if TYPE_CHECKING:
    from core_platform.tenancy import TenantSession


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation as it is shown, its saving in US dollars a month."""

    recommendation_id: uuid.UUID
    rule: str
    subject: str
    monthly_saving_usd: float
    state: str


def recommend(session: TenantSession, *, rule: str, subject: str, monthly_saving_usd: float) -> uuid.UUID:
    """Make one recommendation to the session's tenant; returns its id."""
    recommendation_id = uuid.uuid4()
    session.add(
        Recommendation(
            tenant_id=session.context.tenant.uuid,
            recommendation_id=recommendation_id,
            rule=rule,
            subject=subject,
            monthly_saving_usd=monthly_saving_usd,
        )
    )
    session.flush()
    return recommendation_id


def answer(session: TenantSession, recommendation_id: uuid.UUID, *, accept: bool) -> None:
    """Accept or dismiss as the session's actor.

    Raises:
        InvalidValue: the recommendation is not this tenant's.
    """
    state = "accepted" if accept else "dismissed"
    answered = update(Recommendation).where(Recommendation.recommendation_id == recommendation_id)
    if session.execute(answered.values(state=state)).rowcount != 1:
        raise InvalidValue(f"this tenant has no recommendation {recommendation_id}")
    session.add(
        RecommendationFeedback(
            tenant_id=session.context.tenant.uuid,
            recommendation_id=recommendation_id,
            answer=state,
            given_by=session.context.actor,
        )
    )
    session.flush()


def advice(session: TenantSession) -> list[Advice]:
    """The tenant's recommendations, the largest saving first."""
    made = select(
        Recommendation.recommendation_id,
        Recommendation.rule,
        Recommendation.subject,
        Recommendation.monthly_saving_usd,
        Recommendation.state,
    )
    largest_first = (Recommendation.monthly_saving_usd.desc(), Recommendation.recommendation_id)
    return [Advice(*row) for row in session.execute(made.order_by(*largest_first))]


def answers(session: TenantSession, recommendation_id: uuid.UUID) -> list[tuple[str, str]]:
    """Every answer to one recommendation in order, each with who gave it."""
    given = select(RecommendationFeedback.answer, RecommendationFeedback.given_by).where(
        RecommendationFeedback.recommendation_id == recommendation_id
    )
    return [(row.answer, row.given_by) for row in session.execute(given.order_by("given_at"))]
