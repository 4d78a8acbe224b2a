"""Errors of the ledger: one family, so that a pipeline can stop before it loses evidence."""

from __future__ import annotations

from evidence.errors import EvidenceError


class LedgerError(EvidenceError):
    """Base of everything that `evidence.ledger` raises on purpose."""


class LedgerMissing(LedgerError):
    """There is no log at this place."""


class LedgerDamaged(LedgerError):
    """Files of the log contradict its checkpoint; nothing is appended to such a log."""


class LedgerRolledBack(LedgerError):
    """The checkpoint is older than one that was signed here before; appending would fork the log."""


class KeyRetired(LedgerError):
    """The signer's key signed this log once; a rotation has put another one in its place."""


class ReadOnlyLedger(LedgerError):
    """The log was opened without a signer."""


class EntryRefused(LedgerError):
    """An entry that is not an envelope, is too large, or does not match its blobs or its identity."""


class IdentityConflict(LedgerError):
    """Another entry with this identity and other content is in the log."""


class NotStored(LedgerError):
    """A file that the log's layout expects is not there."""


class StoreFailure(LedgerError):
    """The storage refused: disk full, no permission, input or output error. Nothing was acknowledged."""
