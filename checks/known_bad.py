"""Ten known-bad snippets: files to seed in the source of a twin, each with one fault that the lint must name.

Six modules and four migrations, by path. They are texts here and run nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_MODULES: Final = "core_platform/integrity"
_REVISIONS: Final = "core_platform/schema/migrations/versions"
_FIRST: Final = "0011"


def _module(title: str, imports: str, body: str) -> str:
    return f'"""{title}."""\n\n{imports}\n\n\n{body}\n'


def _modules() -> Iterator[tuple[str, str]]:
    session = "from typing import Any"
    yield (
        "unregistered",
        _module(
            "A bypass at no registered site",
            "from core_platform.tenancy.context import ALL_TENANTS, BypassReason",
            "def purge(database, work):\n"
            "    database.run_as_bypass(ALL_TENANTS, BypassReason.OFFBOARD_PURGE, work, change_ref='-')",
        ),
    )
    yield (
        "handed_on",
        _module(
            "A bypass handed on as a value",
            session,
            "def verb(database: Any):\n    return database.run_as_bypass",
        ),
    )
    yield (
        "other_role",
        _module(
            "Another role by hand",
            session,
            "def f(session: Any):\n    session.execute('SET ROLE core_owner')",
        ),
    )
    yield (
        "switched_off",
        _module(
            "Row security off for a session",
            session,
            "def f(session: Any):\n    session.execute('SET row_security = off')",
        ),
    )
    yield (
        "bound_for_good",
        _module(
            "A tenant bound for the session and not the transaction",
            session,
            "def f(session: Any, ticket: str):\n"
            "    session.execute(\"SELECT set_config('app.tenant_ticket', %s, false)\", (ticket,))",
        ),
    )
    yield (
        "loose_join",
        _module(
            "A join of two services without the tenant",
            "from sqlalchemy import select\n\n"
            "from core_platform.schema.gpu import AgentStream\n"
            "from core_platform.schema.identity import Agent\n"
            "from core_platform.tenancy import BypassSession",
            "def pairs(session: BypassSession):\n"
            "    joined = select(Agent.agent_id).join(AgentStream, Agent.agent_id == AgentStream.agent_id)\n"
            "    return session.execute(joined)",
        ),
    )


def _revisions() -> Iterator[tuple[str, str]]:
    table = "CREATE TABLE ai.seeded (tenant_id uuid NOT NULL, note text NOT NULL)"
    yield "r9101_seeded_table", table
    yield (
        "r9102_seeded_policy",
        "CREATE POLICY everybody ON ai.ai_spend_event TO core_app USING (true) WITH CHECK (true)",
    )
    yield "r9103_seeded_owner", "ALTER TABLE identity.app_user NO FORCE ROW LEVEL SECURITY"
    yield "r9104_seeded_copy", "CREATE MATERIALIZED VIEW ai.seeded_copy AS SELECT * FROM ai.ai_spend_event"


def _revision(number: int, before: str, statement: str) -> str:
    return (
        '"""A fault, seeded."""\n\nfrom core_platform.schema.migrations.operations import op\n\n'
        f'revision = "{number}"\ndown_revision = "{before}"\n\n\n'
        f'def upgrade() -> None:\n    """Seed it."""\n    op.execute("{statement}")\n'
    )


def _files() -> Iterator[tuple[str, str]]:
    for name, text in _modules():
        yield f"{_MODULES}/seeded_{name}.py", text
    before = _FIRST
    for name, statement in _revisions():
        number = name[1:5]
        yield f"{_REVISIONS}/{name}.py", _revision(int(number), before, statement)
        before = number


KNOWN_BAD: Final = dict(_files())
"""Each file of the ten by its path below the source's root."""
