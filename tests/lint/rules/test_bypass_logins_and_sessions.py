"""BYP006 for logins that bypass, and BYP007: one ORM session, several tenants."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]


def rules(lint: Lint, text: str, path: str = "app/a.py", config: LintConfig | None = None) -> list[str]:
    return [one.rule for one in lint({path: text}, config).findings if one.rule.startswith("BYP")]


@pytest.mark.parametrize(
    "text",
    [
        'import os\nurl = os.environ["APP_BYPASS_URL"]\n',
        'import os\nurl = os.getenv("ADMIN_DATABASE_URL")\n',
        'import os\nkey = os.environ.get("SUPABASE_SERVICE_ROLE_KEY")\n',
        'from decouple import config\nurl = config("TENANCY_BYPASS_DSN")\n',
    ],
)
def test_a_login_around_row_security_is_found_outside_settings(lint: Lint, text: str) -> None:
    assert rules(lint, text) == ["BYP006"]
    for place in ("app/settings.py", "app/config.py", "core/tenancy/a.py"):
        assert rules(lint, "", "app/a.py") == []
        assert [one for one in rules(lint, text, place) if one == "BYP006"] == []


@pytest.mark.parametrize(
    "text",
    [
        'import os\nurl = os.environ["DATABASE_URL"]\n',
        'import os\nurl = os.getenv("ADMIN_EMAIL")\n',
        'print("set ADMIN_DATABASE_URL first")\n',
        'NAMES = ["APP_BYPASS_URL"]\n',
    ],
)
def test_other_settings_and_mere_names_are_no_login(lint: Lint, text: str) -> None:
    assert rules(lint, text) == []


def test_a_login_read_twice_in_a_function_is_one_finding(lint: Lint) -> None:
    text = 'def f(env):\n    a = getenv("APP_BYPASS_URL")\n    b = getenv("APP_BYPASS_URL")\n'
    assert rules(lint, text) == ["BYP006"]


IMPORTS = "from sqlalchemy.orm import Session, sessionmaker\nmake = sessionmaker(engine)\n"


def loop(body: str, before: str = "session = make()") -> str:
    return f"{IMPORTS}def f(tenants):\n    {before}\n    for tenant in tenants:\n{indent(body, '        ')}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{IMPORTS}session = Session(engine)\n",
        f"{IMPORTS}session = make()\n",
        loop("bind_tenant(session, tenant)\nsession.get(Order, 1)"),
        loop("session.execute(text(\"SELECT set_config('app.tenant_id', :t, true)\"), {'t': tenant})"),
        loop("set_current_org(session, tenant)", "session = Session(engine)"),
        f"{IMPORTS}def f(s: Session, tenants):\n    for t in tenants:\n        set_tenant(s, t)\n",
        f"{IMPORTS}def f(ts):\n    with make() as s:\n        for t in ts:\n            use_tenant(s, t)\n",
    ],
)
def test_a_session_that_serves_several_tenants_is_found(lint: Lint, text: str) -> None:
    assert rules(lint, text, "db.py") == ["BYP007"]


@pytest.mark.parametrize(
    "text",
    [
        loop("with make() as session:\n    bind_tenant(session, tenant)"),
        loop("bind_tenant(session, tenant)\nsession.get(Order, 1)\nsession.expunge_all()"),
        loop("session.get(Order, tenant)"),
        loop("notify_tenant(session, tenant)"),
        f"{IMPORTS}def f():\n    session = make()\n    bind_tenant(session, 1)\n",
        f"{IMPORTS}with make() as session:\n    session.get(Order, 1)\n",
        "from requests import Session\nsession = Session()\n",
    ],
)
def test_a_session_for_each_tenant_is_right(lint: Lint, text: str) -> None:
    assert rules(lint, text, "db.py") == []
