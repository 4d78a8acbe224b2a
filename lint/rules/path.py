"""The rules over the path of one history: what happens between the first file and the head.

`Path(config).watchers` listen to a replay; `findings` are then judged against its head. A finding
over the path that says why the head is as it is takes the place of the one that says how it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.history.steps import Lives, Moment, Watcher
from lint.rules.path_keys import Keys
from lint.rules.path_policies import Cascades, Locks, Namesakes
from lint.rules.path_switches import Switches
from lint.rules.path_work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.rules.path_tables import Replaced


@dataclass(frozen=True)
class PathFindings:
    """What the path shows, and which findings over the head it says better."""

    findings: tuple[Finding, ...]
    replaced: frozenset[tuple[str, str, str | None]]

    def without_replaced(self, state: Iterable[Finding]) -> list[Finding]:
        """Return findings over the head, those left out that a finding over the path replaces."""
        return [
            finding
            for finding in state
            if (finding.rule, finding.table, None) not in self.replaced
            and (finding.rule, finding.table, finding.subject) not in self.replaced
        ]


class Path:
    """Everything that watches one replay."""

    def __init__(self, config: LintConfig) -> None:
        moment = Moment()
        lives = Lives(moment)
        self._judges = (
            Cascades(config),
            Switches(config, moment, lives),
            Work(config, moment),
            Keys(config, moment, lives),
            Locks(moment, lives),
            Namesakes(),
        )
        #: To be set as the replay's watchers: the moment and the lives are told first.
        self.watchers: tuple[Watcher, ...] = (moment, lives, *self._judges)

    def findings(self, head: Catalogue) -> PathFindings:
        """Return what the path shows, judged against the catalogue at the head."""
        replaced: Replaced = set()
        found = [finding for judge in self._judges for finding in judge.findings(head, replaced)]
        kept = PathFindings((), frozenset(replaced)).without_replaced(found)
        return PathFindings(tuple(kept), frozenset(replaced))
