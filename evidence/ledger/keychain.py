"""Which key signs a log when: a rotation is an entry of the log, signed by the old key and the new one.

An entry of kind `ROTATION` has the subject ``log-key:<public key in hex>`` and the unit
``log-key/<public key that goes>``. It is the last entry that the old key may sign; the checkpoint over it is
signed by the new one. So a reader who pinned any key of the chain can follow it to the newest.
`log.rotations` says where these entries stand; it is a hint, and a verifier finds any that it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evidence.ledger.errors import LedgerDamaged, NotStored
from evidence.ledger.store import Store
from evidence.ledger.tiles import TileReader
from evidence.proofs.dsse import Envelope, verify
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Verifier, key_id
from evidence.proofs.notes import parse_size
from evidence.proofs.signers import Ed25519Verifier
from evidence.proofs.statement import Statement

ROTATION: Final = "posture.log_key/v1"
ROTATIONS: Final = "log.rotations"

_ROTATION: Final = ROTATION.encode()
_SUBJECT: Final = re.compile(r"log-key:([0-9a-f]{64})")
_UNIT: Final = re.compile(r"log-key/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Rotation:
    """One change of key.

    Attributes:
        entry: its index in the log.
        retired: raw public key that may sign nothing after it.
        successor: raw public key that signs from its checkpoint on.
    """

    entry: int
    retired: bytes
    successor: bytes


@dataclass(frozen=True, slots=True)
class KeyChain:
    """The keys of a log in the order of their time.

    Attributes:
        own: the key of a log that was never rotated.
        rotations: every change of key, checked.
    """

    own: bytes
    rotations: tuple[Rotation, ...] = ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key, first to newest."""
        if not self.rotations:
            return (self.own,)
        return (self.rotations[0].retired, *(rotation.successor for rotation in self.rotations))

    @property
    def newest(self) -> bytes:
        """The key that signs now."""
        return self.keys[-1]

    def of_entry(self, index: int) -> bytes:
        """The key that may sign entry `index`; a rotation still belongs to the key that goes."""
        if not self.rotations:
            return self.own
        return self.keys[sum(rotation.entry < index for rotation in self.rotations)]

    def of_size(self, size: int) -> bytes:
        """The key that signs a checkpoint over `size` entries."""
        return self.keys[sum(rotation.entry < size for rotation in self.rotations)]


def rotation_subject(successor: bytes) -> str:
    """The subject of a rotation to a raw public key."""
    return f"log-key:{successor.hex()}"


def rotation_unit(retired: bytes) -> str:
    """The unit of a rotation from a raw public key."""
    return f"log-key/{retired.hex()}"


def read_chain(store: Store, size: int, own: bytes) -> KeyChain:
    """The chain of a log of `size` entries, each rotation checked; `own` where there is none.

    Raises:
        LedgerDamaged: the hint or an entry that it names is not what it should be.
    """
    reader = TileReader(store, size)
    found: list[Rotation] = []
    # An append that did not finish may have left its hint; the entry it names is not in the log.
    for index in (index for index in _listed(store) if index < size):
        (entry,) = reader.entries(index, index + 1)
        rotation = parse_rotation(index, entry)
        if found and rotation.retired != found[-1].successor:
            raise LedgerDamaged(f"entry {index} retires a key that did not sign the log then")
        found.append(rotation)
    return KeyChain(own, tuple(found))


def is_rotation(envelope: Envelope) -> bool:
    """Whether an envelope of the log holds a change of key."""
    return _ROTATION in envelope.payload and _kind(envelope) == ROTATION


def parse_rotation(index: int, entry: bytes) -> Rotation:
    """Read a change of key, and see that both keys signed it.

    Raises:
        LedgerDamaged: it is none, or a signature is missing or wrong.
    """
    try:
        envelope = Envelope.decode(entry)
        predicate = Statement.parse(envelope.payload).predicate
        subject = _SUBJECT.fullmatch(str(predicate.get("subject")))
        unit = _UNIT.fullmatch(str(predicate.get("unit")))
        if predicate.get("kind") != ROTATION or subject is None or unit is None:
            raise LedgerDamaged(f"entry {index} is no change of key")
        retired, successor = bytes.fromhex(unit[1]), bytes.fromhex(subject[1])
        both: list[Verifier] = [Ed25519Verifier(retired), Ed25519Verifier(successor)]
        if set(verify(envelope, both)) != {key_id(retired), key_id(successor)}:
            raise LedgerDamaged(f"entry {index}: a change of key is signed by both keys, this is by one")
    except ProofsError as error:
        raise LedgerDamaged(f"entry {index}: not a change of key: {error}") from error
    return Rotation(index, retired, successor)


def hint(rotations: Sequence[int]) -> bytes:
    """The content of `log.rotations`."""
    return "".join(f"{index}\n" for index in rotations).encode()


def clear_hint(store: Store, size: int) -> None:
    """Forget what an append that never counted named; an entry that is no rotation will stand there."""
    listed = _listed(store)
    kept = [index for index in listed if index < size]
    if kept != listed:
        store.write({ROTATIONS: hint(kept)})


def _kind(envelope: Envelope) -> object:
    try:
        return Statement.parse(envelope.payload).predicate.get("kind")
    except ProofsError:
        return None


def _listed(store: Store) -> list[int]:
    try:
        lines = store.read(ROTATIONS).decode("ascii", "replace").splitlines()
    except NotStored:
        return []
    try:
        found = [parse_size(line, "index of a rotation") for line in lines]
    except ProofsError as error:
        raise LedgerDamaged(f"{ROTATIONS}: {error}") from error
    if found != sorted(set(found)):
        raise LedgerDamaged(f"{ROTATIONS}: the indices are not in order")
    return found
