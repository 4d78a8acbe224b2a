"""The database roles of the platform, as data: what each may do and which limits it runs under.

Only `core_app` and `core_bypass` log in, and neither owns, inherits or is a member of anything.
`ensure_roles` is idempotent: it creates what is missing and puts back what has drifted.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors, sql

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEARCH_PATH: Final = "pg_catalog, pg_temp"
_CONTENDED: Final = (errors.UniqueViolation, errors.DuplicateObject, errors.InternalError_)
_ATTEMPTS: Final = 10
_PAUSE: Final = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class Role:
    """A role: what it is for, whether it logs in, and whether row security binds it."""

    name: str
    purpose: str
    login: bool = False
    bypass_rls: bool = False
    statement_timeout: timedelta | None = None
    lock_timeout: timedelta = timedelta(seconds=2)
    idle_in_transaction: timedelta = timedelta(seconds=60)

    def settings(self) -> dict[str, str]:
        """The settings pinned for the role, as PostgreSQL spells them."""
        pinned = {
            "search_path": _SEARCH_PATH,
            "lock_timeout": _milliseconds(self.lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction),
        }
        if self.statement_timeout is not None:
            pinned["statement_timeout"] = _milliseconds(self.statement_timeout)
        return pinned


ROLES: Final = (
    Role("core_owner", "owns schemas, tables and functions; migrations act as it"),
    Role(
        "core_app",
        "serves tenants, each transaction under a sealed ticket",
        login=True,
        statement_timeout=timedelta(seconds=15),
    ),
    Role(
        "core_bypass",
        "works across tenants, each transaction under a grant of its own",
        login=True,
        statement_timeout=timedelta(minutes=5),
    ),
    Role("core_seal", "owns the keys that verify tickets and the function that reads them"),
    Role("core_audit", "reads the log of bypasses; granted to auditors"),
    # pg_dump leaves out app.seal_key (--exclude-table): keys are installed, never restored.
    Role("core_backup", "reads every row for pg_dump; granted for a backup only", bypass_rls=True),
)


@dataclass(frozen=True, slots=True)
class RoleCredentials:
    """The passwords of the two login roles; `repr` hides them."""

    app: str = field(repr=False)
    bypass: str = field(repr=False)

    @classmethod
    def generate(cls) -> RoleCredentials:
        """Two fresh random passwords."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24))

    def by_login(self) -> Mapping[str, str]:
        """The password of each login role."""
        return {"core_app": self.app, "core_bypass": self.bypass}


def ensure_roles(admin: psycopg.Connection, credentials: RoleCredentials) -> None:
    """Bring every role to its declared state; `admin` may create roles and is not in a transaction.

    Roles belong to the whole cluster, so migrations of two databases may meet here: retried.
    """
    for role in ROLES:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with admin.transaction():
                    _ensure(admin, role, credentials.by_login().get(role.name))
                break
            except _CONTENDED:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE.total_seconds())


def _ensure(admin: psycopg.Connection, role: Role, password: str | None) -> None:
    name = sql.Identifier(role.name)
    known = admin.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (role.name,))
    if known.fetchone() is None:
        admin.execute(sql.SQL("CREATE ROLE {}").format(name))
    attributes = sql.SQL(" ".join(_attributes(role, superuser=_is_superuser(admin))))
    admin.execute(sql.SQL("ALTER ROLE {} {}").format(name, attributes))
    if password is not None:
        # The verifier is computed here, so that the server's log never holds the password.
        verifier = admin.pgconn.encrypt_password(
            password.encode(), role.name.encode(), b"scram-sha-256"
        ).decode()
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier)))
    for setting, value in role.settings().items():
        # search_path is a list: each element is quoted by itself, or it would be one odd name.
        values = sql.SQL(", ").join(sql.Literal(part) for part in value.split(", "))
        statement = sql.SQL("ALTER ROLE {} SET {} = {}")
        admin.execute(statement.format(name, sql.Identifier(setting), values))


def _attributes(role: Role, *, superuser: bool) -> list[str]:
    words = ["LOGIN" if role.login else "NOLOGIN", "NOINHERIT", "NOCREATEDB", "NOCREATEROLE"]
    if superuser:
        # A managed server's administrator may not even name these; its roles are created without.
        words += ["NOSUPERUSER", "NOREPLICATION"]
        words.append("BYPASSRLS" if role.bypass_rls else "NOBYPASSRLS")
    return words


def _is_superuser(admin: psycopg.Connection) -> bool:
    row = admin.execute("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


def _milliseconds(limit: timedelta) -> str:
    return f"{limit // timedelta(milliseconds=1)}ms"
