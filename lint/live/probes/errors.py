"""Why a probe of a database cannot begin; what fails inside one is an answer, not an exception."""

from lint.errors import LintError


class ProbeError(LintError):
    """A database or a role that cannot be probed; the message says what to give instead."""
