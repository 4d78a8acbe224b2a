"""Servers for the first run: PostgreSQL, a Redis-compatible server and moto, all on loopback."""
