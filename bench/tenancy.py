"""What row security with sealed tickets costs a client, as ratios to the same work without it in one run.

``python bench/tenancy.py`` starts its own PostgreSQL, fills one million rows of 100 tenants twice, one
table under the platform's policies and one without, and takes turns between the two, so that a busy
machine slows both. Ratios: a point read on the bare driver and through a session, a filter of one
tenant's 10,000 rows among the million, and a whole ORM transaction from begin to check-in. Exit code 1
if a bar is missed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from core_platform.schema.migrate import RoleCredentials, login_url, provision_tenant, upgrade
from core_platform.schema.migrations.operations import EnableTenantRls
from core_platform.tenancy import Origin, PlatformDatabase, SealKey, TenantContext, TenantId
from core_platform.tenancy.ticket import SETTING, seal
from posture.embedded.postgres import PostgresServer

SEAL = SealKey("bench", bytes(range(32)))
TENANTS, ROWS = 100, 1_000_000
ROUNDS = 40
POINT_READS, FILTERS, TRANSACTIONS = 50, 1, 25
#: At most this many times the same without row security; a transaction by its rate.
POINT_READ_BAR, FILTER_BAR, TRANSACTION_BAR = 1.40, 1.10, 0.80


class Base(DeclarativeBase):
    pass


class Plain(Base):
    __tablename__ = "plain"
    __table_args__ = ({"schema": "bench"},)
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[float]
    label: Mapped[str]


class Secured(Base):
    __tablename__ = "secured"
    __table_args__ = ({"schema": "bench"},)
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[float]
    label: Mapped[str]


@dataclass(frozen=True)
class Ratio:
    """Milliseconds of one piece of work without and with row security: medians over the rounds."""

    name: str
    without_ms: float
    with_ms: float
    bar: float
    is_rate: bool = False

    @property
    def value(self) -> float:
        return self.without_ms / self.with_ms if self.is_rate else self.with_ms / self.without_ms

    @property
    def held(self) -> bool:
        return self.value >= self.bar if self.is_rate else self.value <= self.bar


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json: bool = parser.parse_args().json
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer.create(Path(folder), durable=False) as server,
    ):
        ratios = measure(server.url(server.superuser, "postgres"))
    report(ratios, as_json=as_json)
    return 0 if all(ratio.held for ratio in ratios) else 1


def measure(admin_url: str) -> list[Ratio]:
    upgrade(admin_url, credentials=RoleCredentials("app", "bypass"), seal=SEAL)
    app_url = login_url(admin_url, "core_app", "app")
    tenants = [uuid.UUID(int=number) for number in range(1, TENANTS + 1)]
    fill(admin_url)
    database = PlatformDatabase(app_url, seal=SEAL, pool_size=1)
    tenant = TenantId.parse(tenants[7])
    provision_tenant(database, tenant, "bench")
    try:
        return [*statements(app_url, tenant), *sessions(app_url, database, tenant)]
    finally:
        database.close()


def fill(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA bench")
        for name in ("plain", "secured"):
            admin.execute(
                f"CREATE TABLE bench.{name} (tenant_id uuid NOT NULL, item_id bigint NOT NULL,"
                " amount double precision NOT NULL, label text NOT NULL, PRIMARY KEY (tenant_id, item_id))"
            )
            admin.execute(
                f"INSERT INTO bench.{name} SELECT lpad(to_hex(i % {TENANTS} + 1), 32, '0')::uuid, i,"
                f" i / 7.0, 'label ' || i FROM generate_series(1, {ROWS}) i"
            )
            admin.execute(f"VACUUM ANALYZE bench.{name}")
        admin.execute("GRANT USAGE ON SCHEMA bench TO core_app, core_bypass, core_backup")
        admin.execute("GRANT SELECT ON bench.plain TO core_app")
        for statement in EnableTenantRls("bench.secured", "SELECT", "SELECT").statements():
            admin.execute(statement)


def statements(app_url: str, tenant: TenantId) -> list[Ratio]:
    """Statements alone, inside one transaction each: what policy and ticket add to them."""
    with psycopg.connect(app_url) as connection:
        connection.execute("SELECT set_config(%s, %s, true)", (SETTING, seal(SEAL, tenant)))

        def run(statement: str, times: int, *parameters: object) -> Callable[[], None]:
            def go() -> None:
                for _ in range(times):
                    assert connection.execute(statement, parameters).fetchall()

            return go

        item = tenant.uuid.int - 1 + TENANTS
        one = "SELECT * FROM bench.{} WHERE {}item_id = %s"
        many = "SELECT count(*), sum(amount), max(label) FROM bench.{} {}"
        mine = "tenant_id = %s AND "
        return [
            compare(
                "point read, bare driver",
                run(one.format("plain", mine), POINT_READS, tenant.uuid, item),
                run(one.format("secured", ""), POINT_READS, item),
                POINT_READ_BAR,
                POINT_READS,
            ),
            compare(
                f"filter of {ROWS // TENANTS:,} in {ROWS:,} rows",
                run(many.format("plain", "WHERE tenant_id = %s"), FILTERS, tenant.uuid),
                run(many.format("secured", ""), FILTERS),
                FILTER_BAR,
                FILTERS,
            ),
        ]


def sessions(app_url: str, database: PlatformDatabase, tenant: TenantId) -> list[Ratio]:
    """A stock SQLAlchemy session and the platform's: one statement, and from begin to check-in."""
    engine = create_engine(app_url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1)
    item = tenant.uuid.int - 1 + TENANTS
    context = TenantContext(tenant, Origin.REQUEST, "bench")

    def without() -> None:
        for _ in range(TRANSACTIONS):
            with Session(engine, expire_on_commit=False) as session, session.begin():
                mine = select(Plain).where(Plain.tenant_id == tenant.uuid, Plain.item_id == item)
                assert session.scalars(mine).one().item_id == item

    def under_ticket() -> None:
        for _ in range(TRANSACTIONS):
            with database.tenant_session(context) as session:
                assert session.scalars(select(Secured).where(Secured.item_id == item)).one().item_id == item

    def read_plain() -> None:
        mine = select(Plain.amount).where(Plain.tenant_id == tenant.uuid, Plain.item_id == item)
        for _ in range(POINT_READS):
            assert plain.execute(mine).one()

    def read_secured() -> None:
        mine = select(Secured.amount).where(Secured.item_id == item)
        for _ in range(POINT_READS):
            assert secured.execute(mine).one()

    try:
        with Session(engine) as plain, database.tenant_session(context) as secured:
            read = compare("point read, session", read_plain, read_secured, POINT_READ_BAR, POINT_READS)
        whole = compare("ORM transaction", without, under_ticket, TRANSACTION_BAR, TRANSACTIONS, is_rate=True)
    finally:
        engine.dispose()
    return [read, whole]


def compare(
    name: str,
    without: Callable[[], None],
    under: Callable[[], None],
    bar: float,
    times: int,
    *,
    is_rate: bool = False,
) -> Ratio:
    """Take turns, first one then the other leading, after one round that does not count."""
    spent: dict[Callable[[], None], list[float]] = {without: [], under: []}
    for number in range(ROUNDS + 1):
        for work in (without, under) if number % 2 else (under, without):
            started = time.perf_counter()
            work()
            if number:
                spent[work].append((time.perf_counter() - started) * 1000 / times)
    return Ratio(
        name, statistics.median(spent[without]), statistics.median(spent[under]), bar, is_rate=is_rate
    )


def report(ratios: list[Ratio], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({ratio.name: round(ratio.value, 3) for ratio in ratios}))
        return
    print(f"{'work':<34}{'without':>11}{'with':>11}{'ratio':>8}   bar")
    for ratio in ratios:
        sign = ">=" if ratio.is_rate else "<="
        verdict = "" if ratio.held else "   MISSED"
        print(
            f"{ratio.name:<34}{ratio.without_ms:>8.3f} ms{ratio.with_ms:>8.3f} ms{ratio.value:>8.2f}"
            f"   {sign} {ratio.bar:.2f}{verdict}"
        )


if __name__ == "__main__":
    sys.exit(main())
