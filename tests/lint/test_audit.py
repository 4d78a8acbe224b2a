"""The audit: what claims on the bypass rest on, from the same reading that the rules judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lint.api import audit_paths, lint_paths
from lint.config import LintConfig

if TYPE_CHECKING:
    from pathlib import Path

    from lint.source.audit import SourceAudit

SCHEMA = """
CREATE TABLE crm.tenant (tenant_id uuid PRIMARY KEY);
CREATE TABLE crm.setting (tenant_id uuid PRIMARY KEY REFERENCES crm.tenant, theme text);
CREATE TABLE crm.account (
    tenant_id uuid NOT NULL REFERENCES crm.tenant, id uuid, PRIMARY KEY (tenant_id, id));
""" + "".join(
    f"ALTER TABLE crm.{table} ENABLE ROW LEVEL SECURITY; ALTER TABLE crm.{table} FORCE ROW LEVEL SECURITY;\n"
    f"CREATE POLICY own ON crm.{table} USING (tenant_id = current_setting('app.tenant', true)::uuid);\n"
    for table in ("tenant", "setting", "account")
)
SERVER = """
class Agents(base.AgentsServicer):
    def Send(self, request, context):
        {body}


def store(session: TenantSession):
    session.execute("SELECT 1 FROM crm.account")


def bind(database, tenant):
    database.run_as_tenant(tenant, Origin.AGENT, store)


def purge(database):
    database.run_as_bypass(ALL_TENANTS, Reason.PURGE, store)
"""


def audit(folder: Path, **files: str) -> SourceAudit:
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations" / "0001.sql").write_text(SCHEMA)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return audit_paths([folder], LintConfig(), folder)


def served(folder: Path, body: str) -> SourceAudit:
    return audit(folder, server=SERVER.format(body=body))


def test_the_report_is_the_lints_own(tmp_path: Path) -> None:
    seen = served(tmp_path, "bind(self.database, request.tenant)")
    assert seen.report.findings == lint_paths([tmp_path], LintConfig(), tmp_path).findings
    assert seen.report.findings


def test_every_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lint.source import read, sources

    parsed: list[str] = []
    original = read.read_source

    def counted(file, config):  # type: ignore[no-untyped-def]  # stands in for `read_source`
        parsed.append(file.path)
        return original(file, config)

    monkeypatch.setattr(sources, "read_source", counted)
    served(tmp_path, "bind(self.database, verify_hello(request).tenant)")
    assert parsed == ["server.py"]


def test_only_the_table_of_the_tenants_themselves_lists_them(tmp_path: Path) -> None:
    assert served(tmp_path, "pass").listings == ("crm.tenant",)


@pytest.mark.parametrize(
    ("body", "verified"),
    [
        ("agent = verify_hello(request); bind(self.database, agent.tenant)", "verify_hello"),
        ("bind(self.database, request.tenant); verify_hello(request)", None),
        ("bind(self.database, verify_hello(request).tenant) if request.a else bind(self.database, 1)", None),
    ],
)
def test_a_binding_is_verified_when_every_path_to_it_is(
    tmp_path: Path, body: str, verified: str | None
) -> None:
    (entry,) = served(tmp_path, body).entries
    assert (entry.handler, entry.function, entry.verified_by) == ("server.py:Agents.Send", "bind", verified)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("callback(request)", ["callback"]),
        ("request.registry.close(request)", ["request.registry.close"]),
        ("request.registry.describe(request)", []),
        ("verify_hello(request); callback(request)", []),
        ("print(request)", []),
    ],
)
def test_an_unverified_call_that_may_bind_and_is_not_followed_is_told(
    tmp_path: Path, body: str, told: list[str]
) -> None:
    closing = "def close(database):\n    bind(database, 1)\n"
    seen = audit(tmp_path, server=SERVER.format(body=body) + closing)
    assert [one.written for one in seen.opaque] == told


def test_a_handlers_file_that_cannot_be_read_in_full_is_told(tmp_path: Path) -> None:
    seen = served(tmp_path, "bind(self.database, verify_hello(request).tenant)\n        x = (1 +")
    assert any("syntax" in one.reason for one in seen.opaque)


def test_a_block_is_read_for_its_tables_too(tmp_path: Path) -> None:
    block = (
        "def sweep(pool):\n    with bypass_rls() as session:\n"
        "        session.execute('SELECT tenant_id FROM crm.account')\n"
    )
    (use,) = audit(tmp_path, sweep=block).uses
    assert (use.reads, use.unread) == (("crm.account",), ())
    (use,) = audit(tmp_path, sweep=block.replace("'SELECT tenant_id FROM crm.account'", "built()")).uses
    assert use.reads == ()
    assert "not in sight" in use.unread[0]


JOB = """
from sqlalchemy import text


def sweep(database):
    database.run_as_bypass(ALL_TENANTS, Reason.SWEEP, work)


def work(session: BypassSession):
    listed = text("SELECT tenant_id FROM crm.tenant")
    found = session.execute(listed)
{more}


def helper(connection, statement):
    return connection.execute(statement)
"""


@pytest.mark.parametrize(
    ("more", "reads", "unread"),
    [
        ("    return found", ("crm.tenant",), ()),
        ("    session.execute(text('SELECT 1 FROM public.price'))", ("crm.tenant",), ()),
        ("    session.execute(text('SELECT id FROM crm.account'))", ("crm.account", "crm.tenant"), ()),
        ("    session.execute(made())", ("crm.tenant",), ("jobs.py:work",)),
        ("    session.execute(f'SELECT * FROM {found}')", ("crm.tenant",), ("jobs.py:work",)),
        ("    helper(session, made())", ("crm.tenant",), ("jobs.py:helper",)),
    ],
)
def test_a_statement_inside_a_bypass_is_read_or_told(
    tmp_path: Path, more: str, reads: tuple[str, ...], unread: tuple[str, ...]
) -> None:
    (use,) = audit(tmp_path, jobs=JOB.format(more=more)).uses
    assert (use.reads, use.unread) == (reads, unread)
