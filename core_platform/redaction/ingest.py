"""From a tenant's logs to its spend events: each record once, whatever is interrupted.

One unit is one transaction: its events, its quarantined lines and the mark that it was read. A run
that dies leaves whole units or nothing, and the next run goes on with the first unmarked one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Self

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.redaction.bedrock import Projection, SpendRecord
from core_platform.redaction.json_levels import Fault, RecordRefused
from core_platform.redaction.keys import HashKeyring
from core_platform.redaction.log_source import LogPlace, LogUnit
from core_platform.redaction.s3_reader import ObjectRefused
from core_platform.schema.ai import AiSpendEvent, IngestedObject, QuarantinedRecord
from core_platform.schema.identity import Tenant
from core_platform.settings import LogSource
from core_platform.tenancy import Origin, PlatformDatabase, TenantId, TenantSession

_ROWS_AT_ONCE = 500

_Row = tuple[type[AiSpendEvent] | type[QuarantinedRecord], dict[str, object]]


@dataclass(slots=True)
class IngestSummary:
    """What one run did. ``unknown_fields`` counts by keyed hash of the field's name."""

    objects: int = 0
    skipped: int = 0
    records: int = 0
    quarantined: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)

    def add(self, other: Self) -> None:
        """Count what another part of the run did."""
        self.objects += other.objects
        self.skipped += other.skipped
        self.records += other.records
        self.quarantined += other.quarantined
        self.unknown_fields.update(other.unknown_fields)


def ingest_source(
    database: PlatformDatabase, place: LogPlace, source: LogSource, keyring: HashKeyring
) -> IngestSummary:
    """Read every unit of a registered source that was not read before.

    Errors of AWS come as botocore's own, of the database as `PlatformError`; what was ingested until
    then stays, and another run continues.
    """
    tenant = TenantId.parse(source.tenant)
    hasher = keyring.of(tenant)
    done, captures = _what_is_known(database, tenant)
    allowed = frozenset(source.metadata_keys) if captures else frozenset()
    summary = IngestSummary()
    for found in place.units():
        object_hash = hasher.digest("object/v2", found.reference.encode())
        if object_hash in done:
            summary.skipped += 1
            continue
        reading = _Reading(found, object_hash, tenant, Projection(hasher, allowed))
        summary.add(database.run_as_tenant(tenant, Origin.INGESTION, reading.ingest))
    return summary


def _what_is_known(database: PlatformDatabase, tenant: TenantId) -> tuple[frozenset[str], bool]:
    return database.run_as_tenant(tenant, Origin.INGESTION, known_objects)


def known_objects(session: TenantSession) -> tuple[frozenset[str], bool]:
    """Hashes of the objects that were read, and whether the tenant lets metadata be kept."""
    done = frozenset(session.scalars(select(IngestedObject.object_hash)))
    return done, bool(session.scalar(select(Tenant.capture_metadata)))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One unit on its way into one transaction."""

    found: LogUnit
    object_hash: str
    tenant: TenantId
    projection: Projection

    def ingest(self, session: TenantSession) -> IngestSummary:
        """Claim the object, write what it holds, and leave the counts with the claim."""
        claim = upsert(IngestedObject).values(
            tenant_id=self.tenant.uuid, object_hash=self.object_hash, records=0, quarantined=0
        )
        mine = claim.on_conflict_do_nothing().returning(IngestedObject.object_hash)
        if session.scalar(mine) is None:
            return IngestSummary(skipped=1)
        done = IngestSummary(objects=1)
        rows = self._rows(done)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            _write(session, some)
        session.execute(
            update(IngestedObject)
            .where(IngestedObject.object_hash == self.object_hash)
            .values(records=done.records, quarantined=done.quarantined)
        )
        return done

    def _rows(self, done: IngestSummary) -> Iterator[_Row]:
        """Every line as a row of one of the two tables; an object that fails ends with a fault."""
        number = -1
        try:
            for number, line in enumerate(self.found.lines()):
                yield self._row(number, line, done)
        except ObjectRefused as refused:
            yield self._quarantine(number + 1, refused.error_class, done)

    def _row(self, number: int, line: bytes, done: IngestSummary) -> _Row:
        try:
            record = self.projection.project(line, done.unknown_fields)
            _refuse_other_account(record, self.found)
        except RecordRefused as refused:
            return self._quarantine(number, refused.error_class, done)
        done.records += 1
        return AiSpendEvent, self._event(number, record)

    def _event(self, number: int, record: SpendRecord) -> dict[str, object]:
        columns = {one.name: getattr(record, one.name) for one in fields(record)}
        metadata = columns.pop("metadata")
        place = {"tenant_id": self.tenant.uuid, "source_object_hash": self.object_hash, "line": number}
        return {**columns, **place, "metadata_values": metadata}

    def _quarantine(self, number: int, error_class: str, done: IngestSummary) -> _Row:
        done.quarantined += 1
        return QuarantinedRecord, {
            "tenant_id": self.tenant.uuid,
            "object_hash": self.object_hash,
            "line": number,
            "error_class": error_class,
        }


def _refuse_other_account(record: SpendRecord, found: LogUnit) -> None:
    """A record of another account than its unit's was not put there by Bedrock."""
    if record.account_id != found.account:
        raise RecordRefused(Fault.FIELD, "accountId")


def _write(session: TenantSession, rows: list[_Row]) -> None:
    for model in (AiSpendEvent, QuarantinedRecord):
        if of_model := [row for kind, row in rows if kind is model]:
            session.execute(insert(model), of_model)
