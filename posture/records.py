"""Records in and out of the ledger: sealed, signed and appended; read back and checked against digests.

The only place where a `Record` meets the transparency log, for the pipeline, the packs and the portal.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from evidence import kinds
from evidence.errors import EvidenceError
from evidence.ledger.entries import SignedEntry
from evidence.ledger.errors import LedgerError
from evidence.ledger.log import Ledger, Receipt
from evidence.payload import Payload
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Signer, Verifier
from evidence.record import CollectorId, Header, Interval, Outcome, Record, seal, unseal
from evidence.view import LoggedRecord
from posture.errors import UsageError

__all__ = ["RecordLog", "RunClock", "kinds"]


@dataclass(frozen=True, slots=True)
class RunClock:
    """A run's id and the one clock that its records are stamped by."""

    run: str

    @classmethod
    def start(cls) -> RunClock:
        """A new run, its id sortable by time and unique."""
        return cls(f"{cls.now():%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}")

    @staticmethod
    def now() -> datetime:
        """The current moment in UTC, cut to the milliseconds that evidence carries."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def record(
        self,
        *,
        unit: str,
        subject: str,
        kind: type[Payload],
        payload: Payload | None,
        observed: Interval,
        lifetime: timedelta,
        by: CollectorId,
        outcome: Outcome = Outcome.OBSERVED,
        reason: str = "",
        detail: str = "",
    ) -> Record:
        """A record of this run, recorded now and expiring `lifetime` after it was observed."""
        header = Header(
            run=self.run,
            unit=unit,
            kind=kind.kind,
            subject=subject,
            observed=observed,
            recorded=self.now(),
            expires=observed.end + lifetime,
            collector=by,
            outcome=outcome,
            reason=reason,
        )
        return Record(header, payload, detail)


class RecordLog:
    """The ledger as a log of records.

    Args:
        path: the ledger's directory.
        origin: the log's name, as verifiers pin it.
        signer: signs entries and checkpoints; None opens the log for reading.
        trusted: keys that the log must be signed with, where there is no signer; by default the one in
            its own folder, which a log made anew brings along.
    """

    def __init__(
        self, path: Path, *, origin: str, signer: Signer | None, trusted: Sequence[Verifier] = ()
    ) -> None:
        self.ledger = Ledger.open(
            path, origin=origin, signer=signer, create=signer is not None, trusted=trusted
        )
        self._signer = signer

    def append(self, records: Iterable[Record]) -> tuple[Receipt, ...]:
        """Seal, sign and append records as one batch; durable when this returns.

        Raises:
            UsageError: the ledger refused (a full disk, a damaged log); what was acknowledged before
                is there, and of this batch nothing is.
        """
        try:
            return self.ledger.append(self._signed(records))
        except LedgerError as error:
            raise UsageError(f"nothing of this batch was logged: {error}; then run the same again") from error

    def rotate(self, record: Record, successor: Signer) -> Receipt:
        """Log a change of the log's key, signed by both keys; the successor signs from now on.

        Raises:
            UsageError: the log refused, or was opened for reading.
        """
        if self._signer is None:
            raise UsageError("the ledger was opened for reading; its key cannot be changed")
        try:
            receipt = self.ledger.rotate(self._signed([record], successor)[0], successor)
        except LedgerError as error:
            raise UsageError(f"the ledger's key was not changed: {error}") from error
        self._signer = successor
        return receipt

    def read(self) -> tuple[LoggedRecord, ...]:
        """Every record of the log in its order; signatures, the log's root and each subtree checked.

        Raises:
            UsageError: the log holds an entry that its key did not sign, or is not the one that its
                checkpoint stands for; nothing of it may be judged.
        """
        try:
            return tuple(self._logged())
        except (EvidenceError, ProofsError) as error:
            raise UsageError(
                f"this ledger cannot be relied on: {error}; `posture ledger verify` names every file"
            ) from error

    def _logged(self) -> Iterator[LoggedRecord]:
        for entry, envelope in enumerate(self.ledger.verified_entries()):
            record = unseal(envelope.payload, partial(self.ledger.blob, entry))
            yield LoggedRecord(record, hashlib.sha256(envelope.payload).hexdigest(), entry)

    def _signed(self, records: Iterable[Record], *also: Signer) -> list[SignedEntry]:
        if self._signer is None:
            raise ValueError("this log was opened for reading; open it with a signer to append")
        sealed = [seal(record, salt=secrets.token_bytes) for record in records]
        unsigned = [(one.unsigned, tuple(one.subtrees.values())) for one in sealed]
        return SignedEntry.batch(unsigned, [self._signer, *also])


def of_run(records: Sequence[LoggedRecord], run: str) -> tuple[Record, ...]:
    """The records of one run."""
    return tuple(logged.record for logged in records if logged.record.header.run == run)
