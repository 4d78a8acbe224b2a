"""A cluster for each test worker with the clean schema as a template; each test takes a copy of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from posture.embedded.postgres import PostgresServer
from posture.embedded.postgres_binaries import Binaries
from tests.row_security.faults import CLEAN, ROLES

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Shop:
    """A copy of the clean schema: `dsn` logs in as the superuser."""

    server: PostgresServer
    database: str

    @property
    def dsn(self) -> str:
        return self.server.url("postgres", self.database)

    def login(self, role: str) -> str:
        return self.server.url(role, self.database, "password")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()


@contextmanager
def clean_cluster(folder: Path, binaries: Binaries | None = None) -> Iterator[PostgresServer]:
    """A running server whose database `clean` holds the clean schema."""
    with PostgresServer.create(folder, durable=False, binaries=binaries) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(ROLES)
            connection.execute("CREATE DATABASE clean")
        with psycopg.connect(server.url("postgres", "clean"), autocommit=True) as connection:
            connection.execute(CLEAN.encode())
        yield server


@contextmanager
def copied(server: PostgresServer, template: str = "clean") -> Iterator[Shop]:
    """A copy of a template database, dropped at the end."""
    database = f"shop_{next(_NUMBERS)}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(made.format(sql.Identifier(database), sql.Identifier(template)))
        try:
            yield Shop(server, database)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for each worker: a role belongs to its whole cluster."""
    with clean_cluster(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture
def shop(cluster: PostgresServer) -> Iterator[Shop]:
    """A fresh copy of the clean schema."""
    with copied(cluster) as one:
        yield one
