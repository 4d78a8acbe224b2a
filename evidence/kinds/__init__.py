"""Payload types, one module for each source: frozen dataclasses of the standard library only.

Importing this package registers every kind in `evidence.payload.KINDS`.
"""

from evidence.kinds import (
    aws,
    erratum,
    ingress,
    log_key,
    pack,
    platform,
    population,
    postgres,
    redaction,
    source,
    twin,
    waiver,
)

__all__ = [
    "aws",
    "erratum",
    "ingress",
    "log_key",
    "pack",
    "platform",
    "population",
    "postgres",
    "redaction",
    "source",
    "twin",
    "waiver",
]
