"""WRAP008: joins across services outside a tenant's scope that do not carry the tenant on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.config import path_matches
from lint.rules.wrap_rules import WRAP008
from lint.source.joins import joins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.report import Finding
    from lint.source.readers import Readers


def loose_joins(readers: Readers, files: Iterable[SourceFile], config: LintConfig) -> Iterator[Finding]:
    """Yield WRAP008 where the join surely runs unfiltered: in a bypass, or on a raw connection."""
    unfiltered = {"bypass", "raw"} if readers.scopes.any_tenant_scope else {"bypass"}
    for join in joins(readers, files):
        verified = path_matches(join.path, config.verified_packages)
        if join.carried or verified or join.scope not in unfiltered:
            continue
        tables = ", ".join(join.tables)
        yield WRAP008.finding(
            Place(join.path, join.line),
            f"this join of {tables} would pair rows of different tenants: {join.missing}",
            "add the equality of the tenant columns to the join's condition",
            table=join.tables[0],
            subject=f"{join.function}:{tables}",
        )
