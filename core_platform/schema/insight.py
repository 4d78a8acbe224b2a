"""What the platform concludes from a tenant's numbers: budgets, anomalies, recommendations, answers."""

import uuid
from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Numeric, func
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import APPEND_ONLY, Base, RowSecurity, TenantOwned, of_tenant, within_tenant


class Budget(TenantOwned, Base):
    """How many tokens a tenant means to spend on one model in a calendar month."""

    __tablename__ = "budget"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("monthly_tokens > 0", name="monthly_tokens"),
        {"schema": "ai"},
    )

    model_id: Mapped[str] = mapped_column(primary_key=True)
    monthly_tokens: Mapped[int] = mapped_column(BigInteger)
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AnomalyDecision(TenantOwned, Base):
    """What one look at one day of a model's spend decided, the quiet days included; never changed.

    `baseline` and `observed` are tokens; `score` is observed over baseline.
    """

    __tablename__ = "anomaly_decision"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = (
        of_tenant(),
        CheckConstraint("verdict IN ('normal', 'anomalous', 'too_little_history')", name="verdict"),
        CheckConstraint("baseline >= 0 AND observed >= 0", name="tokens"),
        {"schema": "ai"},
    )

    model_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    rule_version: Mapped[str] = mapped_column(primary_key=True)
    baseline: Mapped[float]
    observed: Mapped[float]
    verdict: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Recommendation(TenantOwned, Base):
    """A way to spend less, with its estimate in US dollars a month and the rule that found it."""

    __tablename__ = "recommendation"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT", "UPDATE"))
    __table_args__ = (
        of_tenant(),
        CheckConstraint("state IN ('open', 'accepted', 'dismissed')", name="state"),
        CheckConstraint("monthly_saving_usd >= 0", name="monthly_saving_usd"),
        {"schema": "ai"},
    )

    recommendation_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    rule: Mapped[str]
    subject: Mapped[str]
    monthly_saving_usd: Mapped[float] = mapped_column(Numeric(12, 2, asdecimal=False))
    state: Mapped[str] = mapped_column(server_default="open")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class RecommendationFeedback(TenantOwned, Base):
    """One person's answer to a recommendation; a change of mind is another row."""

    __tablename__ = "recommendation_feedback"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = (
        within_tenant("recommendation_id", "ai.recommendation.recommendation_id"),
        CheckConstraint("answer IN ('accepted', 'dismissed')", name="answer"),
        {"schema": "ai"},
    )

    recommendation_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    feedback_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    answer: Mapped[str]
    given_by: Mapped[str]
    given_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
