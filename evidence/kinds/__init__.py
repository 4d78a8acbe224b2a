"""Payload types, one module for each source: frozen dataclasses of the standard library only."""
