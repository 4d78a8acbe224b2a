"""Check a whole log without trusting it: every byte that its checkpoint stands for, in one pass.

For an auditor, or for a stranger with a copy. The tree is computed again from the entries; where
entries and tiles disagree, the one that leads to the signed root is right and the other file is
named. Without a key from elsewhere a log made anew would pass, and the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from evidence.ledger.blobs import BLOBS, blob_file, frames, holds_in_order, parse_blob_file
from evidence.ledger.entries import EntryFacts, FactsOf, statement_facts
from evidence.ledger.errors import LedgerError, NotStored
from evidence.ledger.index import identity_key
from evidence.ledger.keychain import ROTATIONS, KeyChain, is_rotation, read_chain
from evidence.ledger.layout import (
    CHECKPOINT,
    HEIGHT,
    VERIFIER_KEY,
    WIDTH,
    Tile,
    levels,
    parse_tile_name,
    tiles_of,
)
from evidence.ledger.rebuild import Rebuild, first_difference
from evidence.ledger.report import Progress, VerifyReport
from evidence.ledger.store import DirectoryStore, Store
from evidence.ledger.tiles import read_hashes, read_tile
from evidence.ledger.uncollected import uncollected
from evidence.proofs import dsse
from evidence.proofs.errors import InvalidSignature, ProofsError
from evidence.proofs.keys import Verifier
from evidence.proofs.merkle import tree_root
from evidence.proofs.notes import Checkpoint, open_checkpoint, parse_verifier_key, read_checkpoint
from evidence.proofs.signers import Ed25519Verifier

PROGRESS_EVERY = 4
"""Bundles between two calls of the progress function."""

_Found: TypeAlias = tuple[int, int, EntryFacts]
"""Position of an entry, its offset in the bundle, and what it says."""

_Wrong: TypeAlias = tuple[int, int, str]
"""Position of an entry, its offset in the bundle, and what does not hold."""


def verify_ledger(
    log: Path | Store,
    *,
    origin: str,
    key: Verifier | None,
    signers: Sequence[Verifier] = (),
    since: bytes | None = None,
    partial: bool = False,
    facts_of: FactsOf = statement_facts,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check checkpoint, entries, tiles, envelope signatures, blobs, and that identities are unique.

    Args:
        log: the folder of the log, or its store.
        origin: the log's name, known from elsewhere.
        key: the log's public key, known from elsewhere; None falls back to the key in the log.
        signers: more keys that may sign envelopes (the log's own always may).
        since: an older signed checkpoint of the log; this one must extend it.
        partial: whether blobs and entry bundles may be missing, as in a copy for the public or for a
            window of time; the hashes of all entries must be there.
        facts_of: how entries are read.
        progress: called with entries checked and entries in all.
    """
    store = DirectoryStore(log) if isinstance(log, Path) else log
    report = VerifyReport(origin, pinned=key is not None)
    chain = _chain(store, report, key)
    if chain is None:
        return report
    report.checkpoint = _checkpoint(store, report, chain)
    if report.checkpoint is None:
        return report
    old = _older(report, since, chain)
    verification = _Verification(store, report, report.checkpoint, chain, signers, facts_of, partial=partial)
    with uncollected():
        verification.tree(old, progress)
        verification.other_tiles()
        verification.blobs()
    return report


def _chain(store: Store, report: VerifyReport, pinned: Verifier | None) -> KeyChain | None:
    """The log's keys: those that the pinned one belongs to, or for want of one the key in the log."""
    own = pinned or _own_key(store, report)
    if own is None:
        return None
    try:
        size = read_checkpoint(store.read(CHECKPOINT)).size
        chain = read_chain(store, size, own.public)
    except (LedgerError, ProofsError) as error:
        report.add(CHECKPOINT, str(error))
        return None
    if own.public not in chain.keys:
        report.add(ROTATIONS, f"the key {own.public.hex()} is none of those that signed this log")
        return None
    if pinned is not None:
        _compare_own_key(store, report, chain)
    return chain


def _own_key(store: Store, report: VerifyReport) -> Verifier | None:
    try:
        name, public = parse_verifier_key(store.read(VERIFIER_KEY).decode().removesuffix("\n"))
    except NotStored:
        report.add(VERIFIER_KEY, "missing, and no key was given to check with")
        return None
    except (LedgerError, ProofsError, UnicodeDecodeError) as error:
        report.add(VERIFIER_KEY, str(error))
        return None
    if name != report.origin:
        report.add(VERIFIER_KEY, f"is the key of {name}, expected {report.origin}")
        return None
    return Ed25519Verifier(public)


def _compare_own_key(store: Store, report: VerifyReport, chain: KeyChain) -> None:
    """The key in the log's folder proves nothing, and a wrong one misleads whoever has no other."""
    if not store.contains(VERIFIER_KEY):
        return
    own = _own_key(store, report)
    if own is not None and own.public not in chain.keys:
        report.add(VERIFIER_KEY, f"holds another key ({own.public.hex()}) than this log's")


def _checkpoint(store: Store, report: VerifyReport, chain: KeyChain) -> Checkpoint | None:
    newest = Ed25519Verifier(chain.newest)
    try:
        return open_checkpoint(store.read(CHECKPOINT), origin=report.origin, trusted=[newest])
    except (LedgerError, ProofsError) as error:
        report.add(CHECKPOINT, str(error))
        return None


def _older(report: VerifyReport, since: bytes | None, chain: KeyChain) -> Checkpoint | None:
    if since is None:
        return None
    try:
        signed_by = Ed25519Verifier(chain.of_size(read_checkpoint(since).size))
        return open_checkpoint(since, origin=report.origin, trusted=[signed_by])
    except ProofsError as error:
        report.add("since", f"the older checkpoint is not one of this log: {error}")
        return None


class _Verification:
    """One walk over a log; every step adds to the report."""

    def __init__(
        self,
        store: Store,
        report: VerifyReport,
        checkpoint: Checkpoint,
        chain: KeyChain,
        signers: Sequence[Verifier],
        facts_of: FactsOf,
        *,
        partial: bool,
    ) -> None:
        self._store = store
        self._report = report
        self._checkpoint = checkpoint
        self._chain = chain
        self._rotations = {rotation.entry for rotation in chain.rotations}
        self._trusted = {key: dsse.by_key_id((Ed25519Verifier(key), *signers)) for key in chain.keys}
        self._facts_of = facts_of
        self._partial = partial
        self._identities: set[bytes] = set()
        self._commitments: list[tuple[int, bytes]] = []
        self._asked = 0

    def tree(self, old: Checkpoint | None, progress: Progress | None) -> None:
        """Compute the tree from the entries; compare it with the tiles, the checkpoint and an older one."""
        size = self._checkpoint.size
        watch = None if old is None else old.size
        rebuild = Rebuild(self._store, self._report, watch=watch, partial=self._partial)
        for bundle in tiles_of(None, size):
            self._bundle(bundle, rebuild.bundle(bundle))
            if progress is not None and (bundle.n % PROGRESS_EVERY == 0 or bundle.end == size):
                progress(bundle.end, size)
        rebuild.settle(self._checkpoint.root)
        for level in range(1, levels(size)):
            for tile in tiles_of(level, size):
                self._upper_tile(tile, rebuild.subtrees)
        if old is not None:
            self._extends(old, rebuild.watched)

    def other_tiles(self) -> None:
        """Check partial tiles of earlier checkpoints against what replaced them; list what lies beyond."""
        size = self._checkpoint.size
        for name in self._store.names("tile"):
            tile = parse_tile_name(name)
            if tile is None:
                self._report.add(name, "no file of a log has this name")
            elif tile.end > size:
                self._report.leftovers.append(name)
            else:
                self._older_tile(tile)

    def blobs(self) -> None:
        """Check every blob against its digest and the entry that commits to it; count what is not there."""
        files = sorted(self._blob_files())
        ends = [*(first for first, _ in files), self._checkpoint.size]
        self._absent(self._until(ends[0]), blob_file(0))
        for (_, name), end in zip(files, ends[1:], strict=True):
            expected = self._until(end)
            self._blob_file(name, expected)
            self._absent(expected, name)

    def _blob_files(self) -> Iterator[tuple[int, str]]:
        for name in self._store.names(BLOBS):
            first = parse_blob_file(name)
            if first is None:
                self._report.add(name, "no file of blobs has this name")
            elif first >= self._checkpoint.size:
                self._report.leftovers.append(name)
            else:
                yield first, name

    def _until(self, end: int) -> dict[bytes, int]:
        """What the entries below `end` commit to and was not asked for yet, by digest."""
        start = self._asked
        while self._asked < len(self._commitments) and self._commitments[self._asked][0] < end:
            self._asked += 1
        return {digest: entry for entry, digest in self._commitments[start : self._asked]}

    def _blob_file(self, name: str, expected: dict[bytes, int]) -> None:
        """Check one file; what was found intact is taken out of `expected`."""
        try:
            content = self._store.read(name)
            if holds_in_order(content, expected):
                self._report.blobs += len(expected)
                expected.clear()
                return
            for frame in frames(content, where=name):
                entry = expected.pop(frame.digest, None)
                if entry is not None and frame.intact:
                    self._report.blobs += 1
                elif entry is None:
                    self._report.add(name, "no entry commits to this blob", offset=frame.offset)
                else:
                    expected[frame.digest] = entry
                    what = f"a blob does not have its digest {frame.digest.hex()}"
                    self._report.add(name, what, entry=entry, offset=frame.offset)
        except LedgerError as error:
            self._report.add(name, str(error))

    def _absent(self, missing: dict[bytes, int], file: str) -> None:
        if self._partial:
            self._report.withheld += len(missing)
            return
        for digest, entry in missing.items():
            what = f"blob {digest.hex()} is missing; an entry commits to it"
            self._report.add(file, what, entry=entry)

    def _bundle(self, bundle: Tile, entries: Iterable[tuple[int, bytes]]) -> None:
        """Check the entries of a bundle; of those that are wrong, the first is named."""
        wrong: list[_Wrong] = []
        # One kind of work after the other, as each then finds its own in the processor's caches.
        read = self._readable(enumerate(entries, start=bundle.n * WIDTH), wrong)
        signed = self._signed(read, wrong)
        for position, offset, facts in signed:
            self._single(position, offset, facts, wrong)
            self._commitments += [(position, bytes.fromhex(digest)) for digest in facts.blobs]
        self._report.signatures += len(signed)
        for position, offset, message in sorted(wrong, key=itemgetter(0))[:1]:
            self._report.add(bundle.name, message, entry=position, offset=offset)

    def _readable(
        self, entries: Iterable[tuple[int, tuple[int, bytes]]], wrong: list[_Wrong]
    ) -> list[_Found]:
        read: list[_Found] = []
        for position, (offset, entry) in entries:
            try:
                read.append((position, offset, self._facts_of(entry)))
            except ProofsError as error:
                wrong.append((position, offset, str(error)))
        return read

    def _signed(self, read: Sequence[_Found], wrong: list[_Wrong]) -> list[_Found]:
        signed: list[_Found] = []
        for found in read:
            position, offset, facts = found
            try:
                dsse.verify_by(facts.envelope, self._trusted[self._chain.of_entry(position)])
                signed.append(found)
            except InvalidSignature as error:
                wrong.append((position, offset, f"signature: {error}"))
        return signed

    def _single(self, position: int, offset: int, facts: EntryFacts, wrong: list[_Wrong]) -> None:
        """See that a change of key is a known one, and that no other entry has this identity."""
        if is_rotation(facts.envelope) and position not in self._rotations:
            wrong.append((position, offset, f"a change of key that {ROTATIONS} does not name"))
        identity = identity_key(facts.identity)
        if identity in self._identities:
            wrong.append((position, offset, f"a second entry with identity {facts.identity}"))
        self._identities.add(identity)

    def _upper_tile(self, tile: Tile, subtrees: Sequence[bytes]) -> None:
        """Compare a tile above level 0 with the subtrees of 256 entries that were computed."""
        span = WIDTH ** ((tile.level or 1) - 1)
        first = tile.n * WIDTH * span
        expected = b"".join(
            tree_root(subtrees[start : start + span])
            for start in range(first, first + tile.width * span, span)
        )
        self._compare(tile, expected)

    def _compare(self, tile: Tile, expected: bytes) -> None:
        try:
            content = b"".join(read_hashes(self._store, tile))
        except LedgerError as error:
            self._report.add(tile.name, str(error))
            return
        if content != expected:
            offset = first_difference(content, expected)
            self._report.add(tile.name, "does not hold the hashes of the tiles below it", offset=offset)

    def _older_tile(self, tile: Tile) -> None:
        """A partial tile of an earlier checkpoint holds the beginning of the present one."""
        count = self._checkpoint.size >> HEIGHT * (tile.level or 0)
        present = Tile(tile.level, tile.n, min(WIDTH, count - tile.n * WIDTH))
        if tile == present:
            return
        try:
            content, (_, whole) = self._store.read(tile.name), read_tile(self._store, present)
        except NotStored:
            return  # a log that grows meanwhile has replaced it; what is missing was named before
        except LedgerError as error:
            self._report.add(tile.name, str(error))
            return
        if not content or not whole.startswith(content):
            offset = first_difference(content, whole)
            self._report.add(tile.name, f"is not the beginning of {present.name}", offset=offset)

    def _extends(self, old: Checkpoint, root: bytes | None) -> None:
        if root is None:
            message = f"the log has {self._checkpoint.size} entries; the older checkpoint had {old.size}"
        elif root != old.root:
            message = (
                f"the first {old.size} entries are not those of the older checkpoint: history was rewritten"
            )
        else:
            self._report.extends = old
            return
        self._report.add(CHECKPOINT, message)
