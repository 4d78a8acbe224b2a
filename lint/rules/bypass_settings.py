"""BYP006 for logins: a bypass login read from the environment where code should not hold one."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lint.config import SETTINGS_MODULES, path_matches
from lint.rules.bypass_rules import BYP006

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Place
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.sites import Source

#: What reads the environment, as Python and its usual settings libraries spell it.
_READS_ENVIRONMENT = frozenset({"getenv", "environ", "env", "config", "get_secret", "require_env"})
_GETS = frozenset({"get", "str", "url", "db"})
_JAVASCRIPT = re.compile(r"process\.env\.(\w+)|import\.meta\.env\.(\w+)")


def setting_findings(source: Source, config: LintConfig) -> Iterator[Finding]:
    """Yield the uses of a bypass login, outside settings modules and entry points."""
    if path_matches(source.path, (*SETTINGS_MODULES, *config.entry_points)):
        return
    told: set[tuple[str, str]] = set()
    for name, function, place in _read(source):
        named = any(fnmatchcase(name, pattern) for pattern in config.bypass_settings)
        if named and (function, name) not in told:
            told.add((function, name))
            yield BYP006.finding(
                place,
                f"{name} is read in {function or 'the module at its top level'}: whoever connects with it is "
                "under no policy, and nothing records it",
                "read it in a settings module and hand it to the verified package only",
                subject=f"{function.partition('<anonymous')[0]}:{name}",
                severity="warning",
            )


def _read(source: Source) -> Iterator[tuple[str, str, Place]]:
    """Yield the environment variables that a file reads, and where."""
    for text in source.texts:
        last = text.calls[-1] if text.calls else ""
        if last in _READS_ENVIRONMENT or (last in _GETS and text.value.isupper()):
            yield text.value, text.function, text.place
    for call in source.calls:
        for argument in call.arguments:
            match = _JAVASCRIPT.match(argument.text)
            if match is not None:
                yield match[1] or match[2], call.function, call.place
