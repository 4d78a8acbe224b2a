"""The transparency log: append signed envelopes in batches, read them, and prove them.

One sequencer at a time appends (other processes wait for the store's lock). An append returns when
its entries, their blobs and the checkpoint over them are durable; entries of a batch are accepted
together or not at all. Formats: c2sp.org/tlog-tiles, tlog-checkpoint and tlog-proof.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evidence.ledger.admission import Admitted, admitted, blobs_of
from evidence.ledger.blobs import BlobReader, blob_file, framed_blob
from evidence.ledger.edge import Edge, clear_leftovers
from evidence.ledger.entries import FactsOf, PendingEntry, SignedEntry, statement_facts
from evidence.ledger.errors import (
    EntryRefused,
    IdentityConflict,
    KeyRetired,
    LedgerDamaged,
    LedgerMissing,
    NotStored,
    ReadOnlyLedger,
)
from evidence.ledger.index import Head, IdentityIndex, Indexed, LogIndex
from evidence.ledger.keychain import (
    ROTATIONS,
    KeyChain,
    Rotation,
    clear_hint,
    hint,
    parse_rotation,
    read_chain,
)
from evidence.ledger.layout import CHECKPOINT, VERIFIER_KEY
from evidence.ledger.store import CACHE, DirectoryStore, Store
from evidence.ledger.tiles import TileReader
from evidence.ledger.uncollected import uncollected
from evidence.proofs.dsse import Envelope, verify
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Signer, Verifier
from evidence.proofs.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
)
from evidence.proofs.notes import (
    Checkpoint,
    open_checkpoint,
    parse_verifier_key,
    read_checkpoint,
    sign_checkpoint,
    verifier_key_text,
)
from evidence.proofs.signers import Ed25519Verifier
from evidence.proofs.tlog_proof import TlogProof


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append acknowledges.

    Attributes:
        index: of the entry in the log, from zero.
        leaf: the entry's leaf hash.
        duplicate: the entry was in the log before; nothing was written for it.
    """

    index: int
    leaf: bytes
    duplicate: bool = False


class Ledger:
    """One log. Threads may share an instance; processes each open their own."""

    def __init__(
        self,
        store: Store,
        cache: Path,
        *,
        origin: str,
        signer: Signer | None,
        chain: KeyChain,
        facts_of: FactsOf,
    ) -> None:
        self.origin = origin
        self._store = store
        self._signer = signer
        self._chain = chain
        self._trusted: tuple[Verifier, ...] = (Ed25519Verifier(chain.newest),)
        self._facts_of = facts_of
        self._mutex = threading.Lock()
        self._read_head: Head | None = None
        self._edge: tuple[bytes, Edge] | None = None
        self._blobs = BlobReader(store)
        self._index = LogIndex(cache / "identities.sqlite", store, self._all_keys, facts_of)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        origin: str,
        signer: Signer | None = None,
        create: bool = False,
        trusted: Sequence[Verifier] = (),
        facts_of: FactsOf = statement_facts,
    ) -> Ledger:
        """Open the log of a directory.

        Args:
            path: the log's folder.
            origin: the log's name; its checkpoints must carry it.
            signer: signs checkpoints; without one the log is read-only.
            create: begin a log where there is none.
            trusted: public keys, one of which is the log's, now or before a rotation. By default the
                signer's; of a read-only log the one lying in its folder, which proves nothing (see
                `verify_ledger`).
            facts_of: how entries are read; the default reads in-toto statements.

        Raises:
            LedgerMissing: no log here, and `create` is not set.
            LedgerDamaged: the checkpoint is not that of this origin and key.
            KeyRetired: the signer's key signs this log no more.
        """
        store = DirectoryStore(path)
        if create and signer is not None and not store.contains(CHECKPOINT):
            _begin(store, path, origin, signer)
        if not store.contains(CHECKPOINT):
            raise LedgerMissing(f"no log in {path}; create one with a signer, or check the path")
        keys = tuple(trusted) or ((Ed25519Verifier(signer.public),) if signer else _own_key(store, origin))
        chain = _chain_of(store, origin, keys)
        _refuse_retired(chain, signer, origin)
        return cls(store, path / CACHE, origin=origin, signer=signer, chain=chain, facts_of=facts_of)

    @property
    def store(self) -> Store:
        """The log's files, for whoever renders them."""
        return self._store

    @property
    def size(self) -> int:
        """Entries in the log, as published now."""
        return self.checkpoint().size

    @property
    def root(self) -> bytes:
        """The root over all published entries."""
        return self.checkpoint().root

    def checkpoint(self) -> Checkpoint:
        """The published checkpoint, its signature verified."""
        return self._head().checkpoint

    def signed_checkpoint(self) -> bytes:
        """The published checkpoint as a signed note; what an auditor should keep."""
        return self._head().signed

    def append(self, entries: Iterable[PendingEntry | SignedEntry]) -> tuple[Receipt, ...]:
        """Log a batch; durable on return, all of it or nothing.

        Entries may be made while they are taken; the lock is held only after the last one.

        An entry whose identity is in the log already with the same envelope payload is acknowledged
        with the old entry's place and `duplicate` set.

        Raises:
            ReadOnlyLedger: opened without a signer.
            EntryRefused: not an envelope, too large, or at odds with its identity or blobs.
            IdentityConflict: the identity is in the log with other content.
            StoreFailure: the disk refused; nothing was acknowledged, and the log goes on from before.
            LedgerDamaged, LedgerRolledBack: the log on disk is not the one that was signed.
        """
        if self._signer is None:
            raise ReadOnlyLedger(f"{self.origin} was opened without a signer; nothing can be appended")
        with uncollected():
            batch = [admitted(entry, self._facts_of) for entry in entries]
            _refuse_rotations(batch)
            with self._mutex, self._store.sequencing() as in_order:
                if not in_order:
                    self._edge = None
                head = self._head()
                index = self._index.at(head)
                receipts, new = self._plan(batch, index, head.checkpoint.size)
                if new:
                    self._commit(self._signer, head, new)
        return receipts

    @property
    def keys(self) -> KeyChain:
        """The keys of this log in the order of their time, as published now."""
        self._head()
        return self._chain

    def rotate(self, entry: PendingEntry | SignedEntry, successor: Signer) -> Receipt:
        """Log a change of key (see `keychain`); from its checkpoint on, the successor signs.

        Raises:
            ReadOnlyLedger, EntryRefused, IdentityConflict, StoreFailure: as `append`.
        """
        if self._signer is None:
            raise ReadOnlyLedger(f"{self.origin} was opened without a signer; its key cannot be changed")
        batch = [admitted(entry, self._facts_of)]
        with self._mutex, self._store.sequencing() as in_order:
            if not in_order:
                self._edge = None
            head = self._head()
            rotation = _checked_rotation(head.checkpoint.size, entry.envelope, self._signer, successor)
            receipts, new = self._plan(batch, self._index.at(head), head.checkpoint.size)
            chain = KeyChain(self._chain.own, (*self._chain.rotations, rotation))
            self._commit(successor, head, new, {ROTATIONS: hint([item.entry for item in chain.rotations])})
            self._signer, self._chain = successor, chain
            self._trusted = (Ed25519Verifier(successor.public),)
            self._store.write({VERIFIER_KEY: _key_line(self.origin, successor.public)})
        return receipts[0]

    def read(self, index: int) -> bytes:
        """The envelope of one entry; `IndexError` beyond the log."""
        size = self.size
        if not 0 <= index < size:
            raise IndexError(f"entry {index} of a log of {size}")
        (entry,) = TileReader(self._store, size).entries(index, index + 1)
        return entry

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The envelopes from `start` up to, without, `stop` (by default, and at most, the present size)."""
        size = self.size
        return TileReader(self._store, size).entries(start, size if stop is None else min(stop, size))

    def verified_entries(self, signers: Sequence[Verifier] = ()) -> tuple[Envelope, ...]:
        """Every envelope as published now, for whoever decides something by what the log says.

        A signature alone would let an older entry stand in a newer one's place, and the root alone says
        nothing of who observed: so both are checked, at about 0.15 ms for each entry.

        Args:
            signers: more keys that may sign envelopes; the log's own always may, each in its time.

        Raises:
            LedgerDamaged: an entry that no trusted key signed, or entries that are not those of the
                checkpoint; nothing of such a log is returned.
        """
        checkpoint, frontier = self.checkpoint(), Frontier()
        verifiers = {key: Ed25519Verifier(key) for key in self._chain.keys}
        envelopes = []
        for index, entry in enumerate(TileReader(self._store, checkpoint.size).entries(0, checkpoint.size)):
            frontier.append(leaf_hash(entry))
            trusted = (verifiers[self._chain.of_entry(index)], *signers)
            envelopes.append(_signed_envelope(entry, trusted, f"entry {index} of {self.origin}"))
        if frontier.root() != checkpoint.root:
            raise LedgerDamaged(f"{self.origin}: the entries on disk are not those of its checkpoint")
        return tuple(envelopes)

    def blob(self, index: int, digest: str) -> bytes:
        """A payload subtree of an entry by its SHA-256 in hex, checked.

        Raises:
            NotStored: it is not kept here (a public copy of a log leaves the gated ones out).
            LedgerDamaged: what lies there has another digest.
        """
        return self._blobs.read(index, digest)

    def prove_inclusion(self, index: int) -> TlogProof:
        """The proof that entry `index` is in the log as published now."""
        head = self._head()
        size = head.checkpoint.size
        path = inclusion_proof(TileReader(self._store, size).node, index, size)
        return TlogProof(index, path, head.signed)

    def prove_consistency(self, old_size: int) -> tuple[bytes, ...]:
        """The proof that the log as published now begins with what it was at `old_size`."""
        size = self.size
        return consistency_proof(TileReader(self._store, size).node, old_size, size)

    def close(self) -> None:
        """Release the cache's file."""
        self._index.close()

    def _head(self) -> Head:
        signed = self._store.read(CHECKPOINT)
        known = self._read_head
        if known is None or known.signed != signed:
            known = Head(signed, self._opened(signed))
            self._read_head = known
        return known

    def _all_keys(self) -> tuple[Verifier, ...]:
        return tuple(Ed25519Verifier(key) for key in self._chain.keys)

    def _opened(self, signed: bytes) -> Checkpoint:
        """The checkpoint of a log whose key another process may have changed meanwhile."""
        try:
            return open_checkpoint(signed, origin=self.origin, trusted=self._trusted)
        except ProofsError:
            self._chain = _chain_of(self._store, self.origin, self._all_keys())
            _refuse_retired(self._chain, self._signer, self.origin)
            self._trusted = (Ed25519Verifier(self._chain.newest),)
            return _opened(signed, self.origin, self._trusted)

    def _plan(
        self, batch: Sequence[Admitted], index: IdentityIndex, size: int
    ) -> tuple[tuple[Receipt, ...], list[Admitted]]:
        """Sort out what is in the log or earlier in the batch; conflicts are refused before any write."""
        receipts: list[Receipt] = []
        new: list[Admitted] = []
        known_already = index.find([item.key for item in batch])
        for item in batch:
            known = known_already.get(item.key)
            if known is None:
                position = size + len(new)
                known_already[item.key] = Indexed(position, item.payload)
                new.append(item)
                receipts.append(Receipt(position, item.leaf))
            elif known.payload != item.payload:
                raise IdentityConflict(
                    f"{item.identity} is entry {known.position} of {self.origin} with other content; "
                    "an observation is logged once, a later one needs its own run"
                )
            else:
                leaf = self._leaf(known.position, size, new)
                receipts.append(Receipt(known.position, leaf, duplicate=True))
        return tuple(receipts), new

    def _leaf(self, position: int, size: int, new: Sequence[Admitted]) -> bytes:
        if position >= size:
            return new[position - size].leaf
        return TileReader(self._store, size).node(0, position)

    def _commit(
        self,
        signer: Signer,
        head: Head,
        new: Sequence[Admitted],
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        edge = self._loaded_edge(head)
        # Until the checkpoint is out, the edge in memory runs ahead of the log: a failure drops it.
        self._edge = None
        size = head.checkpoint.size
        blobs = b"".join(framed_blob(digest, blob) for digest, blob in blobs_of(new).items())
        place = blob_file(size)
        edge.extend([item.envelope for item in new], [item.leaf for item in new])
        growth = edge.take()
        # A writer that died here may have left blobs and partial tiles of an append that never counted.
        for leftover in (*growth.entered, *(() if blobs else (place,))):
            self._store.discard(leftover)
        self._store.write({**growth.files, **(beside or {}), **({place: blobs} if blobs else {})})
        checkpoint = Checkpoint(self.origin, edge.frontier.size, edge.frontier.root())
        signed = sign_checkpoint(checkpoint, signer)
        self._store.publish(signed)
        self._read_head, self._edge = Head(signed, checkpoint), (signed, edge)
        rows = ((position, item.key, item.payload) for position, item in enumerate(new, start=size))
        self._index.remember(rows, signed)
        for folder in growth.replaced:
            self._store.discard(folder)

    def _loaded_edge(self, head: Head) -> Edge:
        if self._edge is not None and self._edge[0] == head.signed:
            return self._edge[1]
        clear_leftovers(self._store, head.checkpoint.size)
        clear_hint(self._store, head.checkpoint.size)
        return Edge.load(TileReader(self._store, head.checkpoint.size), head.checkpoint)


def _begin(store: DirectoryStore, path: Path, origin: str, signer: Signer) -> None:
    with store.sequencing():
        if store.contains(CHECKPOINT):
            return
        if any(store.names("tile")):
            raise LedgerDamaged(
                f"{path} holds tiles but no checkpoint; restore it, a new log would be a fork"
            )
        store.write({VERIFIER_KEY: _key_line(origin, signer.public)})
        store.publish(sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), signer))


def _key_line(origin: str, public: bytes) -> bytes:
    return verifier_key_text(origin, public).encode() + b"\n"


def _chain_of(store: Store, origin: str, trusted: Sequence[Verifier]) -> KeyChain:
    """The keys of a log that one of the trusted ones leads to, and its checkpoint signed by the newest."""
    signed = store.read(CHECKPOINT)
    try:
        size = read_checkpoint(signed).size
    except ProofsError as error:
        raise LedgerDamaged(f"{CHECKPOINT}: {error}") from error
    for verifier in trusted:
        chain = read_chain(store, size, verifier.public)
        if verifier.public in chain.keys and (chain.rotations or len(trusted) == 1):
            _opened(signed, origin, [Ed25519Verifier(chain.newest)])
            return chain
        with suppress(ProofsError):
            if not chain.rotations:
                open_checkpoint(signed, origin=origin, trusted=[verifier])
                return chain
    raise LedgerDamaged(f"{CHECKPOINT}: not signed by a trusted key of {origin}, nor by one that it led to")


def _refuse_retired(chain: KeyChain, signer: Signer | None, origin: str) -> None:
    if signer is not None and signer.public != chain.newest:
        raise KeyRetired(
            f"{origin} is signed by {verifier_key_text(origin, chain.newest)} since entry "
            f"{chain.rotations[-1].entry if chain.rotations else 0}; name that key as the ledger's signer"
        )


def _refuse_rotations(batch: Iterable[Admitted]) -> None:
    for item in batch:
        if item.rotates:
            raise EntryRefused(f"{item.identity} changes the log's key; `Ledger.rotate` does that")


def _checked_rotation(index: int, entry: bytes, retired: Signer, successor: Signer) -> Rotation:
    try:
        rotation = parse_rotation(index, entry)
    except LedgerDamaged as error:
        raise EntryRefused(str(error)) from error
    if (rotation.retired, rotation.successor) != (retired.public, successor.public):
        raise EntryRefused("the change of key names other keys than the two that sign the log")
    return rotation


def _own_key(store: Store, origin: str) -> tuple[Verifier, ...]:
    try:
        name, public = parse_verifier_key(store.read(VERIFIER_KEY).decode().rstrip("\n"))
    except (NotStored, ProofsError, UnicodeDecodeError) as error:
        raise LedgerDamaged(f"{VERIFIER_KEY}: {error}; name the log's key to read it") from error
    if name != origin:
        raise LedgerDamaged(f"{VERIFIER_KEY} is the key of {name!r}, expected {origin!r}")
    return (Ed25519Verifier(public),)


def _signed_envelope(entry: bytes, trusted: Sequence[Verifier], where: str) -> Envelope:
    try:
        envelope = Envelope.decode(entry)
        verify(envelope, trusted)
    except ProofsError as error:
        raise LedgerDamaged(f"{where}: {error}") from error
    return envelope


def _opened(signed: bytes, origin: str, trusted: Sequence[Verifier]) -> Checkpoint:
    try:
        return open_checkpoint(signed, origin=origin, trusted=trusted)
    except ProofsError as error:
        raise LedgerDamaged(f"{CHECKPOINT}: {error}") from error
