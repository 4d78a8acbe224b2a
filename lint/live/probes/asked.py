"""Which tenants two given values of a setting stand for: the policies themselves are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from sqlglot import expressions as exp

from lint.live.probes.errors import ProbeError
from lint.live.probes.session import Actor, Session
from lint.live.probes.solve import bare, column_of, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue
    from lint.live.probes.binding import GivenValues


def tenants_asked(
    connection: psycopg.Connection[Any], catalogue: Catalogue, role: str, given: GivenValues
) -> GivenValues:
    """The values with their tenants; ProbeError when no policy tells which tenant a value means."""
    session = Session(connection)
    session.begin()
    try:
        for expression in dict.fromkeys(_compared(catalogue)):
            found = [_asked(session, role, {given.setting: one}, expression) for one in given.values]
            if found[0] and found[1] and found[0] != found[1]:
                return replace(given, tenants=(found[0], found[1]))
    finally:
        session.end()
    raise ProbeError(
        f"{given.setting}: no policy tells which two tenants the given values mean; "
        "they may have expired, or be of one tenant"
    )


def _asked(session: Session, role: str, settings: dict[str, str], expression: str) -> str:
    actor = Actor(role)
    answer = session.undone(actor.script(settings, f"SELECT ({expression})::text"))
    return str(answer.last[0][0] or "") if answer.last else ""


def _compared(catalogue: Catalogue) -> Iterator[str]:
    """What policies compare a tenant column with."""
    for table in catalogue.tables.values():
        for policy in table.permissive:
            tree = parsed(policy.using or "true")
            for equal in tree.find_all(exp.EQ) if tree is not None and table.tenant_column else ():
                for side, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
                    if column_of(side) == table.tenant_column and not isinstance(bare(other), exp.Column):
                        yield other.sql("postgres")
