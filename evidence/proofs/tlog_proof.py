"""A proof in one text file that an entry is in a log: c2sp.org/tlog-proof@v1.

It holds the entry's index, its audit path and the checkpoint, and needs only the log's origin and
key, which the reader must have from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evidence.proofs.encoding import base64_bytes, base64_text
from evidence.proofs.errors import MalformedNote, ProofsError
from evidence.proofs.keys import Verifier
from evidence.proofs.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from evidence.proofs.notes import (
    MAX_NOTE_BYTES,
    Checkpoint,
    open_checkpoint,
    parse_size,
    read_checkpoint,
)

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof with its checkpoint.

    Attributes:
        index: of the entry, from zero.
        path: hashes from the leaf's sibling up to the root's child.
        checkpoint: the signed note, verbatim.
        extra: data of the application, authenticated by nothing.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The proof's text."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64_text(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(base64_text, self.path)
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, content: bytes) -> TlogProof:
        """Read a proof without believing it.

        Raises:
            MalformedNote: another header, order or encoding, a path that is too long, or a
                checkpoint that is not one.
        """
        if len(content) > 2 * MAX_NOTE_BYTES:
            raise MalformedNote(f"a proof of {len(content)} bytes")
        head, blank, checkpoint = content.partition(b"\n\n")
        if not blank:
            raise MalformedNote("a tlog-proof has an empty line before its checkpoint")
        read_checkpoint(checkpoint)
        try:
            lines = head.decode("ascii").split("\n")
            proof = _proof(lines, checkpoint)
        except MalformedNote:
            raise
        except (UnicodeDecodeError, ProofsError) as error:
            raise MalformedNote(f"not a tlog-proof: {error}") from error
        if proof.encode() != content:
            raise MalformedNote("not a tlog-proof in the one form that its content has")
        return proof

    def verify(self, entry: bytes, *, origin: str, trusted: Sequence[Verifier]) -> Checkpoint:
        """Check that the entry's bytes are in the pinned log; return the checkpoint that says so.

        Raises:
            MalformedNote: the checkpoint is of another log.
            InvalidSignature: the checkpoint is not signed by a pinned key.
            InvalidProof: the path does not lead from this entry to the checkpoint's root.
        """
        checkpoint = open_checkpoint(self.checkpoint, origin=origin, trusted=trusted)
        verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


def _proof(lines: list[str], checkpoint: bytes) -> TlogProof:
    if lines.pop(0) != HEADER:
        raise MalformedNote(f"a tlog-proof begins with {HEADER}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = base64_bytes(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise MalformedNote("a tlog-proof names the entry's index")
    index = parse_size(lines.pop(0).removeprefix("index "), "index")
    path = tuple(map(base64_bytes, lines))
    if len(path) > MAX_PATH or any(len(item) != HASH_BYTES for item in path):
        raise MalformedNote(f"an audit path has at most {MAX_PATH} hashes of {HASH_BYTES} bytes")
    return TlogProof(index, path, checkpoint, extra)
