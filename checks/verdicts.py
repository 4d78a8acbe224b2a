"""The verdicts that follow from the first entries of a log: what the pipeline logs, and what is judged again.

One way for judging now, for judging the past with today's checks and for re-performance by a stranger,
so that none of them can see other evidence than the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from checks.check import Check, load_checks
from checks.waiving import grants, waived
from controls.verdict import Verdict
from evidence.scope import Scope
from evidence.view import Evidence


class Bench:
    """The checks over what was seen at one moment.

    Args:
        evidence: what was seen (`evidence.view.evidence_of`).
        scope: what was to be seen, the scope logged last.
        entries: how many entries of the log had been read.
        as_of: the moment.
        checks: by default all of this version.
    """

    def __init__(
        self,
        evidence: Evidence,
        scope: Scope,
        *,
        entries: int,
        as_of: datetime,
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        self._evidence = evidence
        self._scope = scope
        self._entries = entries
        self._as_of = as_of
        self._checks = load_checks() if checks is None else checks
        self._own: dict[str, Verdict] = {}
        self.grants = grants(evidence)

    def own(self, check: str) -> Verdict | None:
        """What a check says by itself, before any waiver; None for a check that there is not."""
        if check not in self._own and check in self._checks:
            judged = self._checks[check](self._evidence, self._scope, self._as_of)
            self._own[check] = dataclasses.replace(judged, entries=self._entries)
        return self._own.get(check)

    def verdict(self, check: str) -> Verdict | None:
        """What is logged and published: the check's own verdict, softened where waivers hold."""
        own = self.own(check)
        return own and waived(own, self.grants, self.own, self._as_of)
