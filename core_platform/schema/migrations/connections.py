"""The administrator's connections: the only ones outside `core_platform.tenancy`.

Used to migrate and to install keys, never to serve. They act as `core_owner` or `core_seal`, roles
that nobody logs in as; row security is forced on the owner, so even these reach no tenant's rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from core_platform.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

LOCK_TIMEOUT: Final = timedelta(seconds=2)

_ADVISORY_LOCK: Final = 0x706F7374  # "post": one migration of a database at a time


@contextmanager
def administrator(admin_url: str) -> Iterator[psycopg.Connection]:
    """A connection that holds the migration lock of its database until the block ends."""
    with connected(admin_url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        yield connection


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    """A plain connection, one statement to a transaction, for catalog and roles."""
    with translated(), _engine(url).connect() as connection:
        raw = connection.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise TypeError("the platform migrates over psycopg")
        raw.autocommit = True
        yield raw


@contextmanager
def as_owner(admin_url: str) -> Iterator[Connection]:
    """A connection that acts as `core_owner` and gives up on a lock after `LOCK_TIMEOUT`."""
    with _engine(admin_url).connect() as connection:
        milliseconds = LOCK_TIMEOUT // timedelta(milliseconds=1)
        connection.exec_driver_sql("SET search_path = pg_catalog, pg_temp")
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        # posture: ignore BYP006 until 2027-11-30 (data-platform): the owner has fewer rights than the
        # administrator; RLS is forced on it
        connection.exec_driver_sql("SET ROLE core_owner")
        connection.commit()
        yield connection


@contextmanager
def acting_as(admin: psycopg.Connection, role: str) -> Iterator[None]:
    """One transaction of `admin` in the rights of a role that nobody logs in as."""
    with admin.transaction():
        # posture: ignore BYP006 until 2027-11-30 (data-platform): core_seal and core_owner can read no
        # tenant's table: RLS is forced
        admin.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield


def _engine(url: str) -> Engine:
    target = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(target, poolclass=NullPool, hide_parameters=True)
