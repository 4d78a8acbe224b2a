"""Signed notes and checkpoints to the letter of c2sp.org/signed-note and c2sp.org/tlog-checkpoint.

A note's text means nothing until a pinned key has verified it: `open_note` and `open_checkpoint`
take the keys, `read_checkpoint` says in its name that it trusts nobody.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evidence.proofs.ed25519 import refuse_weak_key
from evidence.proofs.encoding import base64_bytes, base64_text
from evidence.proofs.errors import InvalidSignature, KeyProblem, MalformedNote, ProofsError
from evidence.proofs.keys import Signer, Verifier
from evidence.proofs.merkle import EMPTY_ROOT, HASH_BYTES

ED25519_TYPE: Final = b"\x01"
KEY_ID_BYTES: Final = 4
SIGNATURE_PREFIX: Final = "\u2014 "
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
MAX_TREE_SIZE: Final = 2**63 - 1

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, its four-byte id, and the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures, not yet believed."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        lines = [
            f"{SIGNATURE_PREFIX}{item.name} {base64_text(item.key_id + item.signature)}\n"
            for item in self.signatures
        ]
        return f"{self.text}\n{''.join(lines)}".encode()


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A pinned key: its name (of a log: the origin) and what verifies with it."""

    name: str
    verifier: Verifier

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), cut to four bytes."""
        return note_key_id(self.name, self.verifier.public)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: which log, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note text of exactly three lines.

        Extension lines are refused: the specification advises against them because no monitor can
        audit them, and our log never writes one.

        Raises:
            MalformedNote: naming the line that is wrong.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise MalformedNote("a checkpoint has three lines: origin, tree size, root hash")
        size = parse_size(lines[1], "tree size")
        try:
            root = base64_bytes(lines[2])
        except ProofsError as error:
            raise MalformedNote(f"root hash: {error}") from error
        if len(root) != HASH_BYTES:
            raise MalformedNote(f"root hash has {len(root)} bytes, expected {HASH_BYTES}")
        if size == 0 and root != EMPTY_ROOT:
            raise MalformedNote("a checkpoint of no entries has the root of the empty tree")
        return cls(lines[0], size, root)


def note_key_id(name: str, public: bytes) -> bytes:
    """The key id of a signed note."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519_TYPE + public).digest()[:KEY_ID_BYTES]


def verifier_key_text(name: str, public: bytes) -> str:
    """A public key as one line, ``name+id+base64``: the form in which logs publish theirs."""
    return f"{name}+{note_key_id(name, public).hex()}+{base64_text(ED25519_TYPE + public)}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """The name and the raw public key of a line that `verifier_key_text` writes.

    Raises:
        KeyProblem: another form or algorithm, a weak key, or an id that does not match.
    """
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    try:
        content = base64_bytes(encoded)
        public = content.removeprefix(ED25519_TYPE)
        refuse_weak_key(public)
    except ProofsError as error:
        raise KeyProblem(f"verifier key {text[:100]!r}: {error}") from error
    if not _is_key_name(name) or text != verifier_key_text(name, public):
        raise KeyProblem(f"verifier key {text[:100]!r}: name, id {key_hash!r} and key do not belong together")
    return name, public


def parse_note(content: bytes) -> Note:
    """Split a note into text and signatures without believing either.

    Raises:
        MalformedNote: too large, not UTF-8, control characters, no signature, or a signature line
            in another form.
    """
    if len(content) > MAX_NOTE_BYTES:
        raise MalformedNote(f"a note of {len(content)} bytes; the limit is {MAX_NOTE_BYTES}")
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedNote(f"a note is UTF-8; byte {error.start} is not") from error
    if _CONTROL.search(decoded):
        raise MalformedNote("a note contains a control character other than newline")
    text, blank, tail = decoded.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise MalformedNote(f"a note ends in a blank line and 1 to {MAX_SIGNATURES} signature lines")
    return Note(text + "\n", tuple(map(_signature, lines)))


def sign_note(text: str, name: str, signer: Signer) -> bytes:
    """The note's bytes, signed under a key name.

    Raises:
        MalformedNote: the text or the name is not allowed in a note.
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise MalformedNote("a note's text ends in a newline and has no other control characters")
    if not _is_key_name(name):
        raise MalformedNote(f"key name {name!r} is empty or holds a space or a plus")
    signature = NoteSignature(name, note_key_id(name, signer.public), signer.sign(text.encode()))
    return Note(text, (signature,)).encode()


def open_note(content: bytes, trusted: Sequence[NoteKey]) -> Note:
    """Parse a note and return it when a pinned key signed it.

    Signatures by unknown keys are ignored; one by a pinned key that fails refuses the note.

    Raises:
        MalformedNote: see `parse_note`.
        InvalidSignature: no pinned key signed it, or a pinned key's signature does not verify.
    """
    note = parse_note(content)
    by_id = {(key.name, key.key_id): key.verifier for key in trusted}
    known = [item for item in note.signatures if (item.name, item.key_id) in by_id]
    for item in known:
        by_id[item.name, item.key_id].verify(note.text.encode(), item.signature)
    if not known:
        signed_by = ", ".join(f"{item.name} ({item.key_id.hex()})" for item in note.signatures)
        raise InvalidSignature(f"the note is signed by {signed_by}; none of these is the pinned key")
    return note


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed note of a checkpoint; the key's name is the log's origin."""
    return sign_note(checkpoint.text(), checkpoint.origin, signer)


def open_checkpoint(content: bytes, *, origin: str, trusted: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint of a pinned log: its origin, signed by a pinned key.

    Raises:
        MalformedNote: not a checkpoint, or one of another log.
        InvalidSignature: not signed by a pinned key.
    """
    note = open_note(content, [NoteKey(origin, verifier) for verifier in trusted])
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise MalformedNote(f"a checkpoint of {checkpoint.origin!r}, expected {origin!r}")
    return checkpoint


def read_checkpoint(content: bytes) -> Checkpoint:
    """What a checkpoint says, with nobody's signature verified.

    Raises:
        MalformedNote: not a signed note with a checkpoint as its text.
    """
    return Checkpoint.parse(parse_note(content).text)


def parse_size(text: str, what: str) -> int:
    """An ASCII decimal without leading zeroes, below 2^63."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_TREE_SIZE:
        raise MalformedNote(f"{what} {text[:30]!r} is not a decimal number without leading zeroes")
    return int(text)


def _signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(SIGNATURE_PREFIX).partition(" ")
    try:
        content = base64_bytes(encoded)
    except ProofsError as error:
        raise MalformedNote(f"signature line: {error}") from error
    if not line.startswith(SIGNATURE_PREFIX) or not _is_key_name(name) or len(content) <= KEY_ID_BYTES:
        raise MalformedNote(f"not a signature line: {line[:80]!r}")
    return NoteSignature(name, content[:KEY_ID_BYTES], content[KEY_ID_BYTES:])


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)
