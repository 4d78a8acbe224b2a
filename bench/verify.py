"""How long `posture rls verify` takes on tenant tables, against the bare round trips of its statements.

The messages that the probes sent are recorded and sent again raw, through libpq alone, in the same
run: what is left is the work of the verifier itself. Run as `python bench/verify.py [TABLES]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

ROUNDS = 5
ROLE = "bench_app"
TENANT = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
PARENT = """
CREATE ROLE bench_owner NOLOGIN;
CREATE ROLE bench_app LOGIN;
CREATE SCHEMA bench AUTHORIZATION bench_owner;
GRANT USAGE ON SCHEMA bench TO bench_app;
"""
TABLE = """
CREATE TABLE bench.t{n} (
    tenant_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), email text NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done')), amount numeric(12, 2) CHECK
    (amount >= 0),
    parent_id uuid, seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email){foreign}
);
ALTER TABLE bench.t{n} OWNER TO bench_owner;
ALTER TABLE bench.t{n} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON bench.t{n} TO bench_app USING ({tenant}) WITH CHECK ({tenant});
GRANT SELECT, INSERT, UPDATE, DELETE ON bench.t{n} TO bench_app;
"""


def schema(tables: int) -> str:
    reference = ", FOREIGN KEY (tenant_id, parent_id) REFERENCES bench.t{} (tenant_id, id)"
    return PARENT + "".join(
        TABLE.format(n=n, tenant=TENANT, foreign=reference.format(n - 1) if n % 5 else "")
        for n in range(tables)
    )


def replayed(dsn: str, scripts: list[str]) -> None:
    """Send the same messages again, reading each answer and doing nothing with it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        raw = connection.pgconn
        for script in scripts:
            raw.send_query(script.encode())
            while (result := raw.get_result()) is not None:
                while result.status == psycopg.pq.ExecStatus.COPY_OUT and raw.get_copy_data(0)[0] > 0:
                    pass
        raw.exec_(b"ROLLBACK")


def least(run: Callable[[], object]) -> float:
    """Seconds, the least of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def measured(dsn: str) -> None:
    from lint.live.probes import probe
    from lint.live.read import read_database
    from lint.live.verify import verify

    scripts: list[str] = []
    catalogue = read_database(dsn)
    found = probe(dsn, catalogue, role=ROLE, scripts=scripts)
    bare = least(lambda: replayed(dsn, list(scripts)))
    probes = least(lambda: probe(dsn, catalogue, role=ROLE))
    whole = least(lambda: verify(dsn, role=ROLE))
    print(
        f"{len(found.seeded)} tables, {found.probes} probes, {len(scripts)} round trips, "
        f"{len(found.findings)} findings, {len(found.inconclusive)} inconclusive"
    )
    print(f"{'':34}{'seconds':>9}{'of bare':>9}")
    for name, taken in (
        ("bare round trips", bare),
        ("probes", probes),
        ("verify (catalog and probes)", whole),
    ):
        print(f"{name:34}{taken:9.2f}{taken / bare:8.2f}x")


def main() -> None:
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)
    from posture.embedded.postgres import PostgresServer

    tables = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer.create(Path(folder) / "pg", durable=False) as server,
    ):
        dsn = server.url("postgres", "postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(schema(tables).encode())
        measured(dsn)


if __name__ == "__main__":
    main()
