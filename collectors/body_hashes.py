"""The form of the stored hashes of prompts and responses, judged against bodies that were planted.

The security page says "SHA-256"; what is built is a hash keyed for each tenant, since a plain one is
found by guessing and links equal prompts of two tenants. So the hashes of known bodies are compared
with what plain hashing would give, and between tenants.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from psycopg import sql

from collectors.canaries import CanaryAccess, PlantedBody, SpendTable
from collectors.collector import Observed, Sighting
from collectors.postgres import Connection, connect
from evidence.kinds.redaction import BodyHashes
from evidence.payload import Payload
from evidence.scope import Unit

WELL_FORMED: Final = re.compile(r"h2:[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}$")

#: Prefixes that the platform's own hash puts before a body; a plain hash may cover them as well.
_DOMAINS: Final = (b"", b"prompt/v2\x00", b"response/v2\x00")


class BodyHashCollector:
    """Reads the hash columns of the spend events."""

    name: str = "redaction.body_hashes"
    version: str = "1"
    population: str = "ingestion"
    kinds: Sequence[type[Payload]] = (BodyHashes,)

    def collect(self, unit: Unit, access: CanaryAccess) -> Iterable[Sighting]:
        """One `BodyHashes`."""
        with connect(access.dsn) as connection:
            # posture: ignore BYP006 until 2027-11-30 (posture): the auditor's login must see every row, or
            # be refused loudly
            connection.execute("SELECT set_config('row_security', 'off', false)")
            found = list(_hashes(connection, access.spend))
        yield Observed(_judged(found, access.bodies), unit.subject)


def _hashes(connection: Connection, spend: SpendTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tenant and hashes of every row that has one."""
    names = (spend.tenant_column, *spend.hash_columns)
    columns = sql.SQL(", ").join(sql.SQL("{0}::text AS {0}").format(sql.Identifier(name)) for name in names)
    statement = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(spend.schema, spend.name))
    for row in connection.execute(statement):
        hashes = tuple(row[name] for name in spend.hash_columns if row[name] is not None)
        if hashes:
            yield row[spend.tenant_column], hashes


def _judged(found: Sequence[tuple[str, tuple[str, ...]]], bodies: Sequence[PlantedBody]) -> BodyHashes:
    plain = {digest for body in bodies for digest in plain_digests(body)}
    tenants_of: dict[str, set[str]] = defaultdict(set)
    for tenant, hashes in found:
        for one in hashes:
            tenants_of[one].add(tenant)
    return BodyHashes(
        rows=len(found),
        well_formed=sum(all(WELL_FORMED.fullmatch(one) for one in hashes) for _, hashes in found),
        plain_sha256=sum(any(_digest(one) in plain for one in hashes) for _, hashes in found),
        shared_between_tenants=sum(len(tenants) > 1 for tenants in tenants_of.values()),
        planted_in_several=_planted_in_several(bodies),
    )


def plain_digests(body: PlantedBody) -> Iterator[str]:
    """What an unkeyed SHA-256 of a body would be, with and without what may stand before it."""
    for domain in _DOMAINS:
        for operation in (b"", body.operation.encode() + b"\x00"):
            yield hashlib.sha256(domain + operation + body.body).hexdigest()


def _digest(stored: str) -> str | None:
    match = _DIGEST.search(stored.lower())
    return match[0] if match else None


def _planted_in_several(bodies: Iterable[PlantedBody]) -> int:
    tenants_of: dict[tuple[str, bytes], set[str]] = defaultdict(set)
    for body in bodies:
        tenants_of[body.operation, body.body].add(body.tenant)
    return sum(len(tenants) > 1 for tenants in tenants_of.values())


class _Record(msgspec.Struct):
    operation: str
    input: dict[str, msgspec.Raw]
    output: dict[str, msgspec.Raw]


def planted_bodies(tenant: str, objects: Mapping[str, bytes]) -> tuple[PlantedBody, ...]:
    """The bodies in a bucket of Bedrock invocation logs, byte for byte as they stand in their lines.

    Objects below ``/data/`` and empty markers are no records; a line that is none is passed over.
    """
    return tuple(
        PlantedBody(tenant, bytes(raw), record.operation)
        for key, content in objects.items()
        if content and "/data/" not in key
        for line in gzip.decompress(content).splitlines()
        for record in _records(line)
        for raw in _bodies(record)
    )


def _records(line: bytes) -> Iterator[_Record]:
    try:
        yield msgspec.json.decode(line, type=_Record)
    except msgspec.DecodeError:
        return


def _bodies(record: _Record) -> Iterator[Any]:
    for level, name in ((record.input, "inputBodyJson"), (record.output, "outputBodyJson")):
        if name in level:
            yield level[name]
