"""Errors of the controls room: one family, each message naming the file, the key and what was expected."""

from __future__ import annotations


class ControlsError(Exception):
    """Base of everything that `controls` raises on purpose."""


class CatalogueError(ControlsError):
    """A catalogue file that does not follow its contract, or words that promise more than can be shown."""


class WaiverError(ControlsError):
    """A register of waivers that does not follow its contract; the message names file, line and key."""
