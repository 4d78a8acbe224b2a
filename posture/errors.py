"""What a command may raise to end with one clear line: wrong usage, or a failure with a next step."""

from __future__ import annotations


class UsageError(Exception):
    """Wrong usage or configuration: what, where and the next step (exit code 2)."""
