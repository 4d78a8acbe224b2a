"""Payload types, one module for each source: frozen dataclasses of the standard library only.

Importing this package registers every kind in `evidence.payload.KINDS`.
"""

from evidence.kinds import aws, ingress, log_key, platform, postgres, redaction, source, twin

__all__ = ["aws", "ingress", "log_key", "platform", "postgres", "redaction", "source", "twin"]
