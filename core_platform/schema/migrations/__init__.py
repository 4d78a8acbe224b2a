"""The Alembic environment of the platform's schema; `core_platform.schema.migrate` runs it."""
