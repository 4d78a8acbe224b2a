"""What a failed command says: one line with what, where and the next step, and the exit code that fits.

The one boundary behind which no exception passes. Errors of our own families are told in their own
words; a fault of this program is told as one, with an exit code that no finding and no gap has, so that
a broken gate is never taken for a judged one.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass

from posture.cli import Exit
from posture.errors import UsageError

TRACEBACK = "POSTURE_TRACEBACK"

_FAMILIES = (
    ("evidence.errors", "EvidenceError"),
    ("evidence.proofs.errors", "ProofsError"),
    ("core_platform.errors", "PlatformError"),
    ("collectors.errors", "CollectorError"),
    ("controls.errors", "ControlsError"),
    ("lint.errors", "LintError"),
    ("trust_portal.errors", "PortalError"),
    ("posture.deployment", "DeploymentError"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The line for standard error, and the exit code."""

    text: str
    code: Exit


def told(error: Exception) -> Failure:
    """What to say about `error`, and how to end."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if _is(error, "evidence.ledger.errors", "LedgerDamaged"):
        return _damaged(error)
    if isinstance(error, UsageError):
        cause = error.__cause__
        if isinstance(cause, Exception) and _is(cause, "evidence.ledger.errors", "LedgerDamaged"):
            return _damaged(cause)
        return Failure(str(error), Exit.USAGE)
    if any(_is(error, module, family) for module, family in _FAMILIES):
        return Failure(_one_line(error), Exit.USAGE)
    if isinstance(error, ModuleNotFoundError):
        return Failure(f"{error}; install it with `pip install 'tensorcost-posture[all]'`", Exit.USAGE)
    if isinstance(error, OSError):
        return Failure(_operating_system(error), Exit.USAGE)
    return Failure(
        f"a fault in Posture itself, nothing was decided: {type(error).__name__}: {_one_line(error)}; "
        f"run again with {TRACEBACK}=1 and report what it prints",
        Exit.FAULT,
    )


def _damaged(error: Exception) -> Failure:
    text = f"the ledger is damaged: {_one_line(error)}; `posture ledger verify` names every bad file"
    return Failure(text, Exit.USAGE)


def _operating_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename is not None else ""
    return f"{place}{error.strerror or _one_line(error)}; name another place, or make this one usable"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is(error: Exception, module: str, family: str) -> bool:
    """Whether `error` belongs to a family; a module that was never imported has raised nothing."""
    kind = getattr(sys.modules.get(module), family, None)
    return kind is not None and isinstance(error, kind)
