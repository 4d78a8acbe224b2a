"""How long `posture rls verify` takes on tenant tables, against the bare round trips of its statements.

The messages that the probes sent are recorded and sent again raw, through libpq alone, in the same
run: what is left is the work of the verifier itself. Run as `python bench/verify.py [TABLES]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def recorded(queries: list[str]) -> Iterator[None]:
    """Keep what the catalogue's reader sends through the driver, for as long as the context is open."""
    execute = psycopg.Cursor.execute

    def recording(self: psycopg.Cursor, query: object, *rest: object, **options: object) -> object:
        text = query if isinstance(query, str | bytes) else query.as_string(self)
        queries.append(text.decode() if isinstance(text, bytes) else text)
        return execute(self, query, *rest, **options)

    psycopg.Cursor.execute = recording
    try:
        yield
    finally:
        psycopg.Cursor.execute = execute


def measured(dsn: str) -> None:
    from lint.live.probes import probe
    from lint.live.read import read_database
    from lint.live.verify import verify

    queries: list[str] = []
    scripts: list[str] = []
    with recorded(queries):
        catalogue = read_database(dsn)
    found = probe(dsn, catalogue, role=ROLE, scripts=scripts)
    bare = least(lambda: replayed(dsn, scripts))
    catalog = least(lambda: replayed(dsn, ["BEGIN", *queries]))
    probes = least(lambda: probe(dsn, catalogue, role=ROLE))
    whole = least(lambda: verify(dsn, role=ROLE))
    print(
        f"{len(found.seeded)} tables, {found.probes} probes, {len(queries)} + {len(scripts)} round trips, "
        f"{len(found.findings)} findings, {len(found.inconclusive)} inconclusive"
    )
    print(f"{'':32}{'bare s':>8}{'ours s':>8}{'ratio':>8}")
    for name, raw, taken in (("probes", bare, probes), ("verify", catalog + bare, whole)):
        print(f"{name:32}{raw:8.2f}{taken:8.2f}{taken / raw:7.2f}x")


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
