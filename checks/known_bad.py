"""Ten known-bad snippets: files to seed in the source of a twin, each with one fault that the lint must name.

Six modules and four migrations, by path. They are texts here and run nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_FOLDER: Final = "core_platform/integrity"
_REVISIONS: Final = "core_platform/schema/migrations/versions"
_FIRST: Final = "0011"


_ANYTHING: Final = "from typing import Any"
_JOINED: Final = """from sqlalchemy import select

from core_platform.schema.gpu import AgentStream
from core_platform.schema.identity import Agent
from core_platform.tenancy import BypassSession"""

#: By name: what is wrong, what is imported, and the code.
_MODULES: Final = {
    "unregistered": (
        "A bypass at no registered site",
        "from core_platform.tenancy.context import ALL_TENANTS, BypassReason",
        (
            "def purge(database, work):\n"
            "    database.run_as_bypass(ALL_TENANTS, BypassReason.OFFBOARD_PURGE, work, change_ref='-')"
        ),
    ),
    "handed_on": (
        "A bypass handed on as a value",
        _ANYTHING,
        "def verb(database: Any):\n    return database.run_as_bypass",
    ),
    "other_role": (
        "Another role by hand",
        _ANYTHING,
        "def f(session: Any):\n    session.execute('SET ROLE core_owner')",
    ),
    "switched_off": (
        "Row security off for a session",
        _ANYTHING,
        "def f(session: Any):\n    session.execute('SET row_security = off')",
    ),
    "bound_for_good": (
        "A tenant bound for the session and not the transaction",
        _ANYTHING,
        (
            "def f(session: Any, ticket: str):\n"
            "    session.execute(\"SELECT set_config('app.tenant_ticket', %s, false)\", (ticket,))"
        ),
    ),
    "loose_join": (
        "A join of two services without the tenant",
        _JOINED,
        (
            "def pairs(session: BypassSession):\n"
            "    joined = select(Agent.agent_id).join(AgentStream, Agent.agent_id == AgentStream.agent_id)\n"
            "    return session.execute(joined)"
        ),
    ),
}


def _revisions() -> Iterator[tuple[str, str]]:
    table = "CREATE TABLE ai.seeded (tenant_id uuid NOT NULL, note text NOT NULL)"
    yield "r9101_seeded_table", table
    yield (
        "r9102_seeded_policy",
        "CREATE POLICY everybody ON ai.ai_spend_event TO core_app USING (true) WITH CHECK (true)",
    )
    yield "r9103_seeded_owner", "ALTER TABLE identity.app_user NO FORCE ROW LEVEL SECURITY"
    yield "r9104_seeded_copy", "CREATE MATERIALIZED VIEW ai.seeded_copy AS SELECT * FROM ai.ai_spend_event"


def _revision(number: str, before: str, statement: str) -> str:
    return (
        '"""A fault, seeded."""\n\nfrom core_platform.schema.migrations.operations import op\n\n'
        f'revision = "{number}"\ndown_revision = "{before}"\n\n\n'
        f'def upgrade() -> None:\n    """Seed it."""\n    op.execute("{statement}")\n'
    )


def _files() -> Iterator[tuple[str, str]]:
    for name, (title, imports, code) in _MODULES.items():
        yield f"{_FOLDER}/seeded_{name}.py", f'"""{title}."""\n\n{imports}\n\n\n{code}\n'
    before = _FIRST
    for name, statement in _revisions():
        number = name[1:5]
        yield f"{_REVISIONS}/{name}.py", _revision(number, before, statement)
        before = number


KNOWN_BAD: Final = dict(_files())
"""Each file of the ten by its path below the source's root."""
