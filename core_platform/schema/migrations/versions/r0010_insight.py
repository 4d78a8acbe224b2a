"""Budgets, decisions about anomalies, recommendations and what people answered."""

from core_platform.schema.migrations.operations import ADDING, CHANGING, op

revision = "0010"
down_revision = "0009"

BUDGET = """
CREATE TABLE ai.budget (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    model_id text NOT NULL,
    monthly_tokens bigint NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, model_id),
    CONSTRAINT budget_monthly_tokens_check CHECK (monthly_tokens > 0)
)
"""

ANOMALY_DECISION = """
CREATE TABLE ai.anomaly_decision (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    model_id text NOT NULL,
    day date NOT NULL,
    rule_version text NOT NULL,
    baseline double precision NOT NULL,
    observed double precision NOT NULL,
    verdict text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, model_id, day, rule_version),
    CONSTRAINT anomaly_decision_verdict_check
        CHECK (verdict IN ('normal', 'anomalous', 'too_little_history')),
    CONSTRAINT anomaly_decision_tokens_check CHECK (baseline >= 0 AND observed >= 0)
)
"""

RECOMMENDATION = """
CREATE TABLE ai.recommendation (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    recommendation_id uuid NOT NULL,
    rule text NOT NULL,
    subject text NOT NULL,
    monthly_saving_usd numeric(12, 2) NOT NULL,
    state text NOT NULL DEFAULT 'open',
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, recommendation_id),
    CONSTRAINT recommendation_state_check CHECK (state IN ('open', 'accepted', 'dismissed')),
    CONSTRAINT recommendation_monthly_saving_usd_check CHECK (monthly_saving_usd >= 0)
)
"""

RECOMMENDATION_FEEDBACK = """
CREATE TABLE ai.recommendation_feedback (
    tenant_id uuid NOT NULL,
    recommendation_id uuid NOT NULL,
    feedback_id uuid NOT NULL,
    answer text NOT NULL,
    given_by text NOT NULL,
    given_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, recommendation_id, feedback_id),
    FOREIGN KEY (tenant_id, recommendation_id)
        REFERENCES ai.recommendation (tenant_id, recommendation_id),
    CONSTRAINT recommendation_feedback_answer_check CHECK (answer IN ('accepted', 'dismissed'))
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute(BUDGET)
    op.enable_tenant_rls("ai.budget")
    op.execute(ANOMALY_DECISION)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ai.anomaly_decision"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    op.enable_tenant_rls("ai.anomaly_decision", app=ADDING, bypass=ADDING)
    op.execute(RECOMMENDATION)
    op.enable_tenant_rls("ai.recommendation", app=CHANGING)
    op.execute(RECOMMENDATION_FEEDBACK)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ai.recommendation_feedback"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    op.enable_tenant_rls("ai.recommendation_feedback", app=ADDING, bypass=ADDING)


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("ai.recommendation_feedback")
    op.execute("DROP TABLE ai.recommendation_feedback")
    op.disable_tenant_rls("ai.recommendation")
    op.execute("DROP TABLE ai.recommendation")
    op.disable_tenant_rls("ai.anomaly_decision")
    op.execute("DROP TABLE ai.anomaly_decision")
    op.disable_tenant_rls("ai.budget")
    op.execute("DROP TABLE ai.budget")
