"""Does tenancy hold, in source and in a live database? Useful alone on any Postgres project."""
