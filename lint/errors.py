"""What can go wrong with a whole lint run, as opposed to with one file.

One unreadable file is a finding (RLS090) and never an exception; a path that does not exist or a
configuration that cannot be understood stops the run, because its answer would be about nothing.
"""


class LintError(Exception):
    """A lint run that cannot give an answer; the message names the thing and the next step."""


class LintConfigError(LintError):
    """A setting that cannot be used; the message opens with the dotted key."""


class SqlUnreadableError(LintError):
    """Text that PostgreSQL's lexical rules refuse, such as an unterminated string."""
