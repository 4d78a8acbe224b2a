"""Changing the key that signs the ledger: logged, signed by both keys, and effective with its checkpoint."""

from __future__ import annotations

from datetime import timedelta

from evidence.kinds.log_key import LogKey
from evidence.ledger.keychain import rotation_subject, rotation_unit
from evidence.proofs.keys import Signer
from evidence.record import CollectorId, Interval, Record
from posture.cli import VERSION
from posture.records import RunClock

LIFETIME = timedelta(days=3650)
"""A change of key is evidence for as long as the log is read."""


def rotation_record(retired: Signer, successor: Signer, reason: str) -> Record:
    """The record that retires one key and names the next."""
    clock = RunClock.start()
    now = clock.now()
    return clock.record(
        unit=rotation_unit(retired.public),
        subject=rotation_subject(successor.public),
        kind=LogKey,
        payload=LogKey(retired.public.hex(), successor.public.hex(), reason),
        observed=Interval(now, now),
        lifetime=LIFETIME,
        by=CollectorId("posture.ledger", VERSION, ""),
    )
