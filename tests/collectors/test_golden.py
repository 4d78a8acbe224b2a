"""One payload of each kind that collectors fill, as it is published.

`POSTURE_UPDATE_GOLDEN=1 pytest tests/collectors/test_golden.py` writes the files anew.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.aws.drivers import ReplayDriver
from collectors.aws.flow import AwsAccess
from collectors.boundary import look
from collectors.collector import Observed
from collectors.registry import COLLECTORS, collectors_for
from evidence.kinds import ingress, platform, population, postgres, redaction, source
from evidence.payload import Audience, Payload, payload_from, subtrees
from evidence.record import Interval
from evidence.sampling import ItemTree, item_leaves
from evidence.scope import Unit

GOLDEN = Path(__file__).with_name("golden")
AWS = [population for population in COLLECTORS if population.startswith("aws.")]
ATTEMPT = ingress.IngressAttempt("replay", "refuse", "refuse", "ALREADY_EXISTS", "replayed")

ROWS = ({"stream": "s", "position": "1"}, {"stream": "s", "position": "3"})

EXAMPLES: tuple[Payload, ...] = (
    postgres.RowSecurity(
        server_version=150018,
        application_role="core_app",
        tables=(
            postgres.Table(
                name="identity.agent",
                classification="tenant",
                owner="core_owner",
                tenant_column="tenant_id",
                tenant_column_nullable=False,
                enabled=True,
                forced=True,
                policies=(postgres.Policy("own", True, "ALL", ("core_app",), "(tenant_id = …)", None),),
            ),
        ),
        roles=(postgres.LoginRole("core_app", True, False, False, 0, ()),),
        definer_routines=(postgres.DefinerRoutine("app.current_tenant()", "core_seal", False, True, ()),),
        views=(postgres.View("identity.names", False, True, ("identity.agent",)),),
    ),
    postgres.Isolation(
        server_version=150018,
        attempted=2,
        held=1,
        leaked=1,
        inconclusive=0,
        attempts=(
            postgres.Attempt("gpu.gpu_sample", "insert", postgres.AttemptResult.HELD, 0, "42501"),
            postgres.Attempt("gpu.gpu_sample", "select", postgres.AttemptResult.LEAKED, 3, ""),
        ),
    ),
    population.Population(
        name="core.events",
        source="events.event: rows that are added and never changed",
        query="SELECT …",
        parameters={"start": "2026-11-22T00:00:00.000Z", "end": "2026-11-23T15:04:05.678Z", "limit": "50001"},
        code="dd" * 32,
        window=Interval(
            datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, 15, 4, 5, 678000, tzinfo=UTC)
        ),
        count=2,
        second_source="events.event_stream: how far each stream's own head moved in the window",
        second_query="SELECT …",
        second_count=3,
        difference_count=1,
        reconciled=False,
        differences=(population.Difference("t/s", 2, 3),),
        sequence="position",
        gap_count=1,
        gaps=(population.Gap("t/s", 1, 3),),
        root=ItemTree(item_leaves(ROWS, bytes(32))).root.hex(),
        salt="00" * 32,
        items=ROWS,
    ),
    postgres.RlsWaves(
        1, (postgres.WaveStep("identity.agent", 1, "enforce", "r0011", datetime(2026, 11, 23, tzinfo=UTC)),)
    ),
    ingress.IngressAttack((ATTEMPT,), "ingest.test:443", ("replay: hello … -> refuse",)),
    ingress.StreamTenancy(
        genuine_sent=3,
        genuine_stored=3,
        sent=3,
        did="refuse",
        code="FAILED_PRECONDITION",
        under_hello_tenant=0,
        under_claimed_tenant=0,
    ),
    ingress.TlsVersions(("TLSv1.3",), ("TLSv1.2", "plaintext"), ("TLSv1.0",), "ingest.test:443"),
    redaction.CanarySearch(
        planted=3,
        ingested_records=60,
        planted_records=40,
        planted_found=40,
        encodings=("plain", "base64", "hex", "utf-16", "url"),
        places=(redaction.SearchedPlace("redis:db0", 512, 0),),
    ),
    redaction.BodyHashes(60, 60, 0, 0, 2),
    platform.TenantContext(4, 1, 0, 0, 4, "42501"),
    source.LintReport(
        files=1,
        statements=9,
        not_analysed=0,
        suppressed=0,
        bypass_sites=1,
        tenant_tables=1,
        enforced=1,
        tables=("identity.agent",),
        findings=(source.LintFinding("BYP001", "error", "a.py", 3, "", "not registered"),),
    ),
    source.SourceBypass(
        files=1,
        call_sites=1,
        registered=1,
        ceiling=None,
        sweeps=1,
        handlers=1,
        bindings=1,
        verified=0,
        joins=1,
        carried=0,
        allowed=1,
        listings=("identity.tenant",),
        sites=(source.BypassSite("nightly", "a.py", "sweep", "cron", "all-tenants", "ops", "2027-11-30"),),
        uses=(
            source.BypassUse(
                path="a.py",
                line=3,
                function="sweep",
                site="nightly",
                site_kind="cron",
                tenant="ALL_TENANTS",
                tenant_origin="all-tenants",
                shown_by="ALL_TENANTS",
                reads=("identity.tenant",),
                unread=("a.py:count",),
                visits=(source.TenantVisit(5, "loop", "list_tenants"),),
            ),
        ),
        handler_names=("b.py:Ingress.Stream",),
        entries=(
            source.HandlerEntry(
                "b.py:Ingress.Stream", "b.py", 7, "store", "run_as_tenant", "verified", "agent", None
            ),
        ),
        opaque=(source.OpaqueCall("b.py:Ingress.Stream", "b.py", 6, "handle", "a parameter"),),
        service_joins=(
            source.ServiceJoin("c.py", 2, "pairs", ("identity.agent", "gpu.stream"), "bypass", "the tenant"),
        ),
        allowed_findings=(source.AllowedFinding("d.py", 9, ("BYP006",), "2027-11-30", ""),),
    ),
)


def published(payload: Payload) -> str:
    tree = {"kind": payload.kind, "subtrees": subtrees(payload)}
    return json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def hold(payload: Payload, name: str) -> None:
    file = GOLDEN / f"{name}.json"
    if os.environ.get("POSTURE_UPDATE_GOLDEN"):
        file.write_text(published(payload))
    assert published(payload) == file.read_text()
    read: Any = json.loads(file.read_text())
    split = {Audience(name): fields for name, fields in read["subtrees"].items()}
    assert payload_from(read["kind"], split) == payload


@pytest.mark.parametrize("payload", EXAMPLES, ids=lambda payload: payload.kind.partition("/")[0])
def test_the_published_form_stays(payload: Payload) -> None:
    hold(payload, payload.kind.partition("/")[0])


@pytest.mark.parametrize("population", AWS)
def test_a_kept_recording_of_an_account_still_reads_the_same(population: str) -> None:
    (collector,) = collectors_for(population)
    driver = ReplayDriver.load(GOLDEN / f"{population}.cassette.json")
    unit = Unit(f"{population}/1", population, "aws:111122223333/us-east-1", {})
    (sighting,) = look(collector, unit, AwsAccess(driver))
    assert isinstance(sighting, Observed), sighting
    hold(sighting.payload, sighting.payload.kind.partition("/")[0])


def test_every_kind_that_a_collector_fills_has_a_golden_file() -> None:
    kinds = {
        kind.kind.partition("/")[0]
        for population in COLLECTORS
        for collector in collectors_for(population)
        for kind in collector.kinds
    }
    kept = {file.stem for file in GOLDEN.glob("*.json") if not file.name.endswith(".cassette.json")}
    assert kinds == kept
