"""Conclusions from a tenant's own numbers, each with the numbers it was drawn from."""

from core_platform.integrity.anomalies import Decision, decide_day, decisions, spend_days
from core_platform.integrity.budgets import BudgetState, budget_states, set_budget
from core_platform.integrity.recommendations import Advice, advice, answer, answers, recommend

__all__ = [
    "Advice",
    "BudgetState",
    "Decision",
    "advice",
    "answer",
    "answers",
    "budget_states",
    "decide_day",
    "decisions",
    "recommend",
    "set_budget",
    "spend_days",
]
