"""Actions on customers' accounts: proposed by one person, decided by another, each step on record."""

from core_platform.actions.requests import (
    ActionStep,
    ActionView,
    decide,
    history,
    open_actions,
    propose,
    step,
)

__all__ = ["ActionStep", "ActionView", "decide", "history", "open_actions", "propose", "step"]
