"""Alembic's entry point: migrates over the connection that `core_platform.schema.migrate` opened.

It never opens one itself, so that a migration always runs as `core_owner` under a lock timeout.
"""

from alembic import context
from sqlalchemy import Connection

from core_platform.schema import Base


def _migrate() -> None:
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise TypeError("migrate through core_platform.schema.migrate.upgrade, not alembic's CLI")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table_schema="app",
        include_schemas=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_migrate()
