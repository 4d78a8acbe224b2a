"""RLS019 across languages: the setting that policies read against the setting that code sets.

PostgreSQL compares the names of settings without case. It speaks only when the code sets a tenant's
setting at all: a project whose code is not part of the run sets none, which proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.rules.database_rules import RLS019
from lint.rules.results import body_text
from lint.rules.tenancy import discover
from lint.source.settings import is_tenant_setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.catalogue import Catalogue, Place
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.settings import SettingSite

_READS = re.compile(r"current_setting\s*\(\s*'([^']+)'", re.IGNORECASE)
_SETS = re.compile(
    r"\bset_config\s*\(\s*'([^']+)'|\bset\s+(?:local\s+|session\s+)?([\w.]+)\s*(?:=|\bto\b)", re.IGNORECASE
)
#: Gateways set these for every request; no code of the project does.
_OF_GATEWAYS = ("request.", "jwt.", "role")
#: How many letters two names may differ in and still be one name misspelt.
_MISSPELT = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A setting that policies compare the tenant with, and a policy that does."""

    name: str
    table: str
    policy: str
    place: Place | None
    tables: int


def unmatched_settings(
    readers: Readers, catalogues: Sequence[Catalogue], config: LintConfig
) -> Iterator[Finding]:
    """Yield RLS019 for settings that code sets and policies never read, while theirs is never set."""
    set_by_code = _set_by_code(readers, config)
    if not set_by_code or readers.settings.unnamed:
        return
    read = frozenset(name for catalogue in catalogues for name in _read_anywhere(catalogue))
    set_by_sql = frozenset(name for catalogue in catalogues for name in _set_in_functions(catalogue))
    for catalogue in catalogues:
        for asked in _asked(catalogue, config):
            if asked.name in set_by_code or asked.name in set_by_sql or asked.name.startswith(_OF_GATEWAYS):
                continue
            for name, site in set_by_code.items():
                if name not in read and (_similar(name, asked.name) or len(set_by_code) == 1):
                    yield _finding(name, site, asked)


def _finding(name: str, site: SettingSite, asked: _Asked) -> Finding:
    where = f" ({asked.place.path}:{asked.place.line})" if asked.place is not None else ""
    many = f" and those of {asked.tables - 1} more tables" if asked.tables > 1 else ""
    return RLS019.finding(
        site.place,
        f"the code sets {name}, but policy {asked.policy} on {asked.table}{where}{many} reads "
        f"{asked.name}, which nothing sets: every query of a tenant sees 0 rows, in silence",
        f"set {asked.name} here, or let the policies read {name}",
        table=asked.table,
        subject=f"{name}:{asked.name}",
    )


def _set_by_code(readers: Readers, config: LintConfig) -> dict[str, SettingSite]:
    found: dict[str, SettingSite] = {}
    for site in readers.settings.sites:
        if site.change.effect == "setting" and is_tenant_setting(site.change.name, config):
            found.setdefault(site.change.name.lower(), site)
    return found


def _asked(catalogue: Catalogue, config: LintConfig) -> Iterator[_Asked]:
    """Yield the tenant's settings of a catalogue, each with a policy that reads it."""
    known, tenancy = discover(catalogue, config)
    for name in tenancy.settings:
        tables = [table for table, settings in tenancy.by_table.items() if name in settings]
        if not tables or "bypass" in name:
            continue
        table = known.tables[min(tables)]
        policy = next((p for p in table.policies if _mentions(p.using, p.check, name)), None)
        policy = policy or next(iter(table.policies))
        yield _Asked(name, table.qualified, policy.name, policy.place, len(tables))


def _mentions(using: str | None, check: str | None, name: str) -> bool:
    return name in f"{using or ''} {check or ''}".lower()


def _read_anywhere(catalogue: Catalogue) -> Iterator[str]:
    """Yield every setting that policies, functions, views and defaults read."""
    texts = [
        clause for table in catalogue.tables.values() for p in table.policies for _, clause in p.clauses()
    ]
    texts.extend(body_text(function) for function in catalogue.functions.values())
    texts.extend(view.definition for view in catalogue.views.values())
    texts.extend(c.default for t in catalogue.tables.values() for c in t.columns if c.default)
    for text in texts:
        yield from (name.lower() for name in _READS.findall(text))


def _set_in_functions(catalogue: Catalogue) -> Iterator[str]:
    for function in catalogue.functions.values():
        for called, written in _SETS.findall(body_text(function)):
            yield (called or written).lower()
    yield from (setting.name.lower() for setting in catalogue.settings)


def _similar(one: str, other: str) -> bool:
    """Say whether two names may be meant to be one: the same last part, or few letters apart."""
    last, theirs = one.rpartition(".")[2], other.rpartition(".")[2]
    if last == theirs or last.startswith(theirs) or theirs.startswith(last):
        return True
    words = set(last.split("_")) & set(theirs.split("_")) - {"id", "current"}
    return bool(words) or _distance(one, other) <= _MISSPELT


def _distance(one: str, other: str) -> int:
    """Return the number of letters to change, add or take away (Levenshtein)."""
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        above, row[0] = row[0], index
        for at, theirs in enumerate(other, 1):
            changed = above + (letter != theirs)
            above, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, changed)
    return row[-1]
