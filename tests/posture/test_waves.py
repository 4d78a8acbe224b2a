"""`posture platform wave` on a real database: where tables stand, and a refusal that is a finding."""

import psycopg
import pytest

from posture.cli import Exit, run
from posture.deployment import Deployment

pytestmark = pytest.mark.xdist_group("scene")
TABLE = "gpu.card_note"


@pytest.fixture(scope="module")
def admin_url(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("waves")
    with Deployment(folder / "d", template=scene.template.snapshot, durable=False) as deployment:
        with psycopg.connect(deployment.admin_url, autocommit=True) as admin:
            admin.execute(
                f"CREATE TABLE {TABLE} (tenant_id uuid NOT NULL, note_id uuid NOT NULL,"
                " PRIMARY KEY (tenant_id, note_id));"
                f"ALTER TABLE {TABLE} OWNER TO core_owner"
            )
        yield deployment.admin_url


def wave(*words):
    return run(["platform", "wave", *words])


def test_our_own_tables_are_enforced_from_the_start(admin_url, capsys):
    assert wave("status", "--url", admin_url) == Exit.HOLDS
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 24
    assert all(" enforce " in line for line in lines)


def test_a_table_enters_the_waves_in_order_and_a_skipped_one_is_a_finding(admin_url, capsys):
    def advance(to, *more):
        return wave("advance", TABLE, to, "--url", admin_url, "--actor", "ada", *more)

    assert advance("columns") == Exit.HOLDS
    assert advance("wrap") == Exit.USAGE
    assert advance("wrap", "--unwrapped-sites", "2") == Exit.FINDINGS
    assert "2 places use it outside a session" in capsys.readouterr().out
    assert advance("wrap", "--unwrapped-sites", "0") == Exit.HOLDS
    assert advance("enforce") == Exit.FINDINGS
    assert advance("observe") == Exit.HOLDS
    assert wave("status", "--url", admin_url) == Exit.HOLDS
    assert f"{TABLE:<36}observe" in capsys.readouterr().out


def test_an_unreachable_database_is_one_clear_line(capsys):
    assert wave("status", "--url", "postgresql://x@/core?host=/nonexistent") == Exit.USAGE
    assert capsys.readouterr().err.startswith("posture: ")
