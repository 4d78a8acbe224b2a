"""Models by Postgres schema, and the Alembic migrations that create them."""
