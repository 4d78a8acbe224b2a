"""Which column of each table says whose row it is, by its name, its foreign key and the policies.

A name such as `tenant_id` says so by itself; `team_id` or `company_id` also stands in tables that
merely mention a team or a company, so it counts only with evidence beside it. Where policies ask who
the *user* is and never name the column, rows belong to users, and that is said instead of guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lint.catalogue import spelled, tenant_column_of
from lint.config import TENANT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lint.catalogue import Catalogue, ForeignKey, Table
    from lint.config import LintConfig

#: Names that also stand for something else than whose row it is.
WEAK = frozenset({"accountid", "teamid", "companyid"})
#: Tables of tenants, by their singular names.
TENANT_TABLES = frozenset(
    {"tenant", "organization", "organisation", "org", "workspace", "account", "team", "company"}
)
_PROVIDER_COLUMNS = frozenset({"accesstoken", "refreshtoken", "oauthname", "provideraccountid"})
#: Words in a column's name that point at a tenant without saying that the row is its own.
_POINTING_WORDS = frozenset(
    {
        *("current", "default", "active", "last", "selected", "parent", "previous", "home", "primary"),
        *("source", "target", "from", "to", "invited", "inviting", "referred", "referrer", "original"),
        *("personal", "created", "preferred", "billing", "linked", "related", "merged", "external"),
    }
)
#: In how many tables a weak name must stand to be the tenant's where nothing else is.
_ENOUGH = 3
_ASKS_USER = re.compile(
    r"auth\s*\.\s*(?:uid|jwt|email)\s*\(|current_user|session_user|user_id|userid", re.IGNORECASE
)
_USER_COLUMN = re.compile(
    r"\"?(\w+)\"?\s*=\s*\(*\s*(?:select\s+)?auth\s*\.\s*uid\s*\(|auth\s*\.\s*uid\s*\(\s*\)"
    r"(?:\s+as\s+\w+)?\s*\)*\s*=\s*\"?(?:\w+\"?\s*\.\s*\"?)?(\w+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """The tenant column by table, and the users' columns by how many tables they own rows in."""

    by_table: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, int] = field(default_factory=dict)


def named_columns(catalogue: Catalogue, config: LintConfig) -> NamedColumns:
    """Return the tenant column of each table that its name, or a key to a tenant, tells."""
    candidates = dict(_candidates(catalogue, config))
    refuted = _refuted(candidates, catalogue, config)
    kept = {table: column for table, column in candidates.items() if spelled(column) not in refuted}
    unsure = _unsure(kept, config)
    return NamedColumns(
        {
            name: column
            for name, column in kept.items()
            if spelled(column) not in unsure or _in_policies(catalogue.tables[name], column)
        },
        _owners(catalogue),
    )


def _candidates(catalogue: Catalogue, config: LintConfig) -> Iterator[tuple[str, str]]:
    for key, table in catalogue.tables.items():
        if config.is_global(key):
            continue
        column = tenant_column_of(table.columns, config.tenant_columns) or _by_key(table, catalogue)
        if column is not None:
            yield key, column


def _by_key(table: Table, catalogue: Catalogue) -> str | None:
    """Return the column of a foreign key to a table of tenants."""
    found = (key.columns[0] for key in table.foreign_keys if _points_at_tenant(key, table, catalogue))
    return next(found, None)


def _points_at_tenant(key: ForeignKey, table: Table, catalogue: Catalogue) -> bool:
    target = catalogue.tables.get(key.target)
    if len(key.columns) != 1 or key.target == table.qualified or _is_provider(target):
        return False
    if not _POINTING_WORDS.isdisjoint(words(key.columns[0])):
        return False
    return singular(key.target.rpartition(".")[2]) in TENANT_TABLES


def _is_provider(table: Table | None) -> bool:
    """Say whether a table holds accounts at login providers, which are nobody's tenants."""
    if table is None:
        return False
    return not _PROVIDER_COLUMNS.isdisjoint(spelled(column.name) for column in table.columns)


def words(name: str) -> list[str]:
    """Return the words of a name in either spelling, in lower case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


def singular(name: str) -> str:
    """Return a table's name without plural, case and underscores: `Companies` is `company`."""
    plain = spelled(name)
    if plain.endswith("ies"):
        return f"{plain[:-3]}y"
    return plain.removesuffix("s")


def _refuted(candidates: Mapping[str, str], catalogue: Catalogue, config: LintConfig) -> frozenset[str]:
    """Return the names that no policy ever asks for where policies ask for the user instead."""
    asked: Counter[str] = Counter()
    users: Counter[str] = Counter()
    for name, column in candidates.items():
        table = catalogue.tables[name]
        if not table.permissive or not table.enabled:
            continue
        if any(policy.opaque for policy in table.permissive) or _in_policies(table, column):
            asked[spelled(column)] += 1
        elif any(_ASKS_USER.search(text) for policy in table.permissive for _, text in policy.clauses()):
            users[spelled(column)] += 1
    given = {spelled(name) for name in config.tenant_columns} if _is_given(config) else set()
    return frozenset(name for name in users if not asked[name] and name not in given)


def _is_given(config: LintConfig) -> bool:
    return config.tenant_columns != TENANT_COLUMNS


def _in_policies(table: Table, column: str) -> bool:
    pattern = re.compile(rf"\b{re.escape(column)}\b", re.IGNORECASE)
    return any(pattern.search(text) for policy in table.policies for _, text in policy.clauses())


def _unsure(candidates: Mapping[str, str], config: LintConfig) -> frozenset[str]:
    """Return the names that need a policy to vouch for them."""
    counts = Counter(spelled(column) for column in candidates.values())
    known = frozenset(spelled(name) for name in config.tenant_columns)
    strong = known if _is_given(config) else known - WEAK
    if any(name in strong for name in counts):
        return frozenset(name for name in counts if name not in strong)
    return frozenset(name for name, count in counts.items() if count < _ENOUGH)


def _owners(catalogue: Catalogue) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for table in catalogue.tables.values():
        texts = [text for policy in table.permissive for _, text in policy.clauses()]
        counts.update({name for text in texts for name in _user_columns(text)})
    return dict(counts.most_common())


def _user_columns(text: str) -> Iterable[str]:
    for left, right in _USER_COLUMN.findall(text):
        if (left or right).lower() != "id":  # the user's own row, such as a profile
            yield left or right
