"""BYP005: the bypass ends with its callback, and nothing of it is left over."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]


def found(lint: Lint, files: dict[str, str], config: LintConfig | None = None) -> list[str]:
    return [finding.message for finding in lint(files, config).findings if finding.rule == "BYP005"]


def callback(body: str, before: str = "", asynchronous: bool = False) -> dict[str, str]:
    word = "async def" if asynchronous else "def"
    text = f"{before}\nkept = []\n{word} work(session):\n{indent(body, '    ')}\n"
    return {"a.py": f"{text}def start(tenant):\n    run_as_bypass(tenant, Reason.X, work)\n"}


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("return session", "is returned"),
        ("return session, 1", "is returned"),
        ("if x:\n    return session\nreturn None", "is returned"),
        ("yield session", "is yielded"),
        ("global last\nlast = session", "is stored in last"),
        ("cache['s'] = session", "is stored in cache[]"),
        ("app.session = session", "is stored in app.session"),
        ("kept.append(session)", "is kept in kept"),
        ("pool.submit(later, session)", "is handed to pool.submit"),
        ("Thread(target=later, args=(session,)).start()", "is handed to Thread"),
        ("asyncio.create_task(later(session))", "is handed to asyncio.create_task"),
    ],
)
def test_a_session_that_outlives_its_bypass_is_found(lint: Lint, body: str, how: str) -> None:
    (message,) = found(lint, callback(body))
    assert f"the bypass's session {how}" in message


@pytest.mark.parametrize(
    "body",
    [
        "return session.scalars(query).all()",
        "rows = session.execute(query)\nreturn [row.id for row in rows]",
        "mine = session\nmine.execute(query)",
        "found = []\nfound.append(session.get(Row, 1))\nreturn found",
        "helper(session)\nreturn 1",
        "state = {}\nstate['x'] = session.info",
    ],
)
def test_what_was_read_may_leave_the_bypass(lint: Lint, body: str) -> None:
    assert found(lint, callback(body)) == []


def test_a_session_stored_on_the_object_of_a_method_is_found(lint: Lint) -> None:
    text = "class Job:\n    def start(self, t):\n        run_as_bypass(t, Reason.X, self.work)\n"
    text += "    def work(self, session):\n        self.session = session\n"
    (message,) = found(lint, {"a.py": text})
    assert "is stored in self.session" in message


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("run_as_bypass(tenant, Reason.Y, more)", "opens a bypass inside another one"),
        ("again(session)", "opens a bypass inside another one"),
        ("run_as_tenant(other, visit)", "binds a tenant inside a bypass"),
        ("with tenant_session(other) as s: s.get(1)", "binds a tenant inside a bypass"),
    ],
)
def test_another_authority_inside_a_bypass_is_found(lint: Lint, body: str, how: str) -> None:
    before = "def again(session):\n    run_as_bypass(t, Reason.Y, more)\n"
    (message,) = found(lint, callback(body, before))
    assert how in message


def test_tenants_visited_after_the_bypass_has_ended_are_right(lint: Lint) -> None:
    text = "def ids(session): return session.scalars(q).all()\ndef sweep():\n"
    text += "    tenants = run_as_bypass(ALL_TENANTS, Reason.X, ids)\n"
    text += "    for tenant in tenants: run_as_tenant(tenant, visit)\n"
    assert found(lint, {"a.py": text}) == []


def test_a_bypass_that_nobody_awaits_is_found(lint: Lint) -> None:
    text = "async def f(t: TenantId):\n    {}arun_as_bypass(t, Reason.X, work)\n"
    (message,) = found(lint, {"a.py": text.format("")})
    assert "is not awaited" in message
    assert found(lint, {"a.py": text.format("await ")}) == []
    assert found(lint, {"a.py": text.format("return ")}) == []


def test_a_coroutine_that_takes_the_session_and_is_not_awaited_is_found(lint: Lint) -> None:
    before = "async def save(session): ...\n"
    (message,) = found(lint, callback("save(session)", before, asynchronous=True))
    assert "is not awaited" in message
    assert found(lint, callback("await save(session)", before, asynchronous=True)) == []


def test_a_block_that_hands_its_session_out_is_found(lint: Lint) -> None:
    text = "def f():\n    with bypass_rls() as session:\n        {}\n"
    (message,) = found(lint, {"a.py": text.format("return session")})
    assert "is returned" in message
    assert found(lint, {"a.py": text.format("return session.get(Row, 1)")}) == []


def test_a_block_inside_a_block_is_a_warning(lint: Lint) -> None:
    text = "def f():\n    with bypass_rls() as a:\n        g()\n"
    text += "def g():\n    with bypass_rls() as b:\n        b.x()\n"
    findings = [one for one in lint({"a.py": text}).findings if one.rule == "BYP005"]
    assert [(one.severity, one.line) for one in findings] == [("warning", 5)]
