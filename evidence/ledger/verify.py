"""Check a whole log without trusting it: every byte that its checkpoint stands for, in one pass.

For an auditor, or for a stranger with a copy. The tree is computed again from the entries; where
entries and tiles disagree, the one that leads to the signed root is right and the other file is
named. Without a key from elsewhere a log made anew would pass, and the report says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from evidence.ledger.blobs import BLOBS, blob_file, frames, parse_blob_file
from evidence.ledger.entries import EntryFacts, FactsOf, statement_facts
from evidence.ledger.errors import LedgerError, NotStored
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
from evidence.proofs.notes import Checkpoint, open_checkpoint, parse_verifier_key
from evidence.proofs.signers import Ed25519Verifier

PROGRESS_EVERY = 4
"""Bundles between two calls of the progress function."""


def verify_ledger(
    log: Path | Store,
    *,
    origin: str,
    key: Verifier | None,
    signers: Sequence[Verifier] = (),
    since: bytes | None = None,
    withheld_blobs: bool = False,
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
        withheld_blobs: whether blobs may be missing, as they are in a copy for the public.
        facts_of: how entries are read.
        progress: called with entries checked and entries in all.
    """
    store = DirectoryStore(log) if isinstance(log, Path) else log
    report = VerifyReport(origin, pinned=key is not None)
    log_key = _log_key(store, report, key)
    if log_key is not None:
        report.checkpoint = _checkpoint(store, report, log_key)
    if log_key is None or report.checkpoint is None:
        return report
    old = _older(report, since, log_key)
    verification = _Verification(store, report, report.checkpoint, (log_key, *signers), facts_of)
    with uncollected():
        verification.tree(old, progress)
        verification.other_tiles()
        verification.blobs(withheld=withheld_blobs)
    return report


def _log_key(store: Store, report: VerifyReport, pinned: Verifier | None) -> Verifier | None:
    """The pinned key, or for want of one the key that lies in the log."""
    try:
        name, public = parse_verifier_key(store.read(VERIFIER_KEY).decode().removesuffix("\n"))
    except NotStored:
        if pinned is None:
            report.add(VERIFIER_KEY, "missing, and no key was given to check with")
        return pinned
    except (LedgerError, ProofsError, UnicodeDecodeError) as error:
        report.add(VERIFIER_KEY, str(error))
        return pinned
    if name != report.origin or (pinned is not None and public != pinned.public):
        report.add(VERIFIER_KEY, f"holds another key ({name}, {public.hex()}) than this log's")
        return pinned
    return pinned or Ed25519Verifier(public)


def _checkpoint(store: Store, report: VerifyReport, key: Verifier) -> Checkpoint | None:
    try:
        return open_checkpoint(store.read(CHECKPOINT), origin=report.origin, trusted=[key])
    except (LedgerError, ProofsError) as error:
        report.add(CHECKPOINT, str(error))
        return None


def _older(report: VerifyReport, since: bytes | None, key: Verifier) -> Checkpoint | None:
    if since is None:
        return None
    try:
        return open_checkpoint(since, origin=report.origin, trusted=[key])
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
        signers: Sequence[Verifier],
        facts_of: FactsOf,
    ) -> None:
        self._store = store
        self._report = report
        self._checkpoint = checkpoint
        self._signers = signers
        self._facts_of = facts_of
        self._identities: set[bytes] = set()
        self._commitments: list[tuple[int, bytes]] = []
        self._asked = 0

    def tree(self, old: Checkpoint | None, progress: Progress | None) -> None:
        """Compute the tree from the entries; compare it with the tiles, the checkpoint and an older one."""
        size = self._checkpoint.size
        rebuild = Rebuild(self._store, self._report, watch=None if old is None else old.size)
        for bundle in tiles_of(None, size):
            for position, (offset, entry) in enumerate(rebuild.bundle(bundle), start=bundle.n * WIDTH):
                self._entry(bundle.name, position, offset, entry)
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

    def blobs(self, *, withheld: bool) -> None:
        """Check every blob against its digest and the entry that commits to it; count what is not there."""
        files = sorted(self._blob_files())
        ends = [*(first for first, _ in files), self._checkpoint.size]
        self._absent(self._until(ends[0]), blob_file(0), withheld=withheld)
        for (_, name), end in zip(files, ends[1:], strict=True):
            expected = self._until(end)
            self._blob_file(name, expected)
            self._absent(expected, name, withheld=withheld)

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
            for frame in frames(self._store.read(name), where=name):
                entry = expected.get(frame.digest)
                if entry is None:
                    self._report.add(name, "no entry commits to this blob", offset=frame.offset)
                elif not frame.intact:
                    what = f"a blob does not have its digest {frame.digest.hex()}"
                    self._report.add(name, what, entry=entry, offset=frame.offset)
                else:
                    self._report.blobs += 1
                    del expected[frame.digest]
        except LedgerError as error:
            self._report.add(name, str(error))

    def _absent(self, missing: dict[bytes, int], file: str, *, withheld: bool) -> None:
        if withheld:
            self._report.withheld += len(missing)
            return
        for digest, entry in missing.items():
            what = f"blob {digest.hex()} is missing; an entry commits to it"
            self._report.add(file, what, entry=entry)

    def _entry(self, file: str, position: int, offset: int, entry: bytes) -> None:
        try:
            facts = self._facts_of(entry)
            dsse.verify(facts.envelope, self._signers)
        except InvalidSignature as error:
            self._report.add(file, f"signature: {error}", entry=position, offset=offset)
            return
        except ProofsError as error:
            self._report.add(file, str(error), entry=position, offset=offset)
            return
        self._report.signatures += 1
        self._unique(file, position, offset, facts)
        for digest in facts.blobs:
            self._commitments.append((position, bytes.fromhex(digest)))

    def _unique(self, file: str, position: int, offset: int, facts: EntryFacts) -> None:
        identity = hashlib.sha256(facts.identity.encode()).digest()
        if identity in self._identities:
            message = f"a second entry with identity {facts.identity}"
            self._report.add(file, message, entry=position, offset=offset)
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
