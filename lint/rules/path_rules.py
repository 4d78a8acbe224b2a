"""The rules that only a history shows: what happens on the way to the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lint.rules.rule import Rule

PATH_RULES: tuple[Rule, ...] = ()
