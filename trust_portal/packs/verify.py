#!/usr/bin/env python3
"""Verifies an evidence pack offline: one file, the standard library alone, Python 3.9 or newer.

For an auditor who trusts nobody: read it, compare its SHA-256 with the one on the portal, then run it on
the pack. It imports nothing of ours and repeats the code of ``evidence.proofs`` on purpose: a verifier
that shares code with what it verifies shares its faults. What vouches for what, from the key that you bring:

    the log's key    signs  SHA256SUMS.note, and so each file but those of log/entries and log/payloads,
                     and    log/checkpoint, the root over all entries
    log/checkpoint   fixes  log/bundles, a hash for each 256 entries, and each hash one file of log/entries
    log/entries      fix    log/payloads, and what 06-evidence/, verdicts/ and scope.json may say

    python3 verify.py pack.zip --origin example.com/log --key 'example.com/log+0a1b2c3d+AQ…'
"""

from __future__ import annotations

import argparse
import binascii
import functools
import importlib.util
import json
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA, MANIFEST, SUMS, NOTE = "posture.pack/v3", "MANIFEST.json", "SHA256SUMS", "SHA256SUMS.note"
KEYS, MATRIX = "keys/log.vkey", "02-control-matrix/matrix.json"
CHECKPOINT, BUNDLES, SINCE = "log/checkpoint", "log/bundles", "log/since"
VERDICT, SCOPE, ROTATION = "posture.verdict/v1", "posture.scope/v1", "posture.log_key/v1"
AUDIENCES, BY_LINE = ("public", "nda", "auditor"), ("log/entries/", "log/payloads/")
EVIDENCE = "06-evidence/%06d.json"
NAME = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+)*")
NOT_CHECKED = "NOT CHECKED: each entry's own signature (--signatures); the root over all of them is signed."
NOT_PINNED = "NOT PINNED: the key came with the pack; bring --origin and --key from a source of your own."


class Bad(Exception):
    """What was read proves nothing: why, and the file where that is not the one at hand."""


# Ed25519 (RFC 8032 section 5.1), strict and without cofactor.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z and xy = T/Z


def _add(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * D * a[3] * b[3] % P, 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def _sum(*terms: tuple[int, Point]) -> Point:
    """The sum of multiples of points."""
    total = (0, 1, 1, 0)
    for bit in reversed(range(256)):
        total = _add(total, total)
        for number, point in terms:
            total = _add(total, point) if number >> bit & 1 else total
    return total


def _encoded(point: Point) -> bytes:
    x, y = (coordinate * pow(point[2], P - 2, P) % P for coordinate in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


@functools.lru_cache(maxsize=64)
def _point(encoded: bytes) -> Point:
    sign, y = divmod(int.from_bytes(encoded, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    x = x if x & 1 == sign else P - x
    point = (x, y, 1, x * y % P)
    if len(encoded) != 32 or x * x % P != square or _encoded(point) != encoded:
        raise Bad("not a key: no canonical encoding of a point")
    return point


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
EIGHTH = _point(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
WEAK = {_encoded(_sum((number, EIGHTH))) for number in range(8)}  # of small order: such a key signs anything


def check_signature(public: bytes, message: bytes, signature: bytes, native: bool = False) -> None:
    """Return when the signature holds; the last step is left to `cryptography` if `native`."""
    key, r, s = _point(public), signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L or {r, public} & WEAK:
        raise Bad("the signature was altered (length, or S above the group order), or the key or R is weak")
    challenge = int.from_bytes(sha512(r + public + message).digest(), "little") % L
    if native:
        library = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
        library.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    elif _encoded(_sum((s, BASE), (challenge, (P - key[0], key[1], 1, P - key[3])))) != r:
        raise Bad("the signature does not verify")


# Strict texts. What Python itself refuses to read is caught in one place, `Verification._guard`.
def unbase64(text: str) -> bytes:
    """Base64 with one text for each byte string; Python alone forgives stray bits."""
    content = binascii.a2b_base64(text)
    if binascii.b2a_base64(content, newline=False) != text.encode():
        raise Bad("base64 with stray bits")
    return content


def canonical(value: object) -> bytes:
    """RFC 8785 for values with plain keys and no fractions; 1 and true differ, as they do not for Python."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _integer(text: str) -> int:
    if abs(int(text)) >= 2**53:
        raise Bad("a number that other readers may read otherwise")
    return int(text)


def unjson(content: bytes) -> dict[str, Any]:
    """A JSON object in its one canonical text, so that no key stands twice and nothing is read two ways."""
    parsed = json.loads(content, parse_int=_integer, parse_float=_integer)
    if not isinstance(parsed, dict) or canonical(parsed) != content:
        raise Bad("not an object in canonical JSON")
    return parsed


# Keys, C2SP signed notes and checkpoints, and the trees that a checkpoint is of (RFC 6962 section 2.1).
class Key(NamedTuple):
    """A log's name, a raw Ed25519 public key, and how an envelope names that key."""

    name: str
    public: bytes
    id: str


def parse_key(text: str) -> Key:
    """A verifier key line, ``name+id+base64``."""
    name, given, encoded = text.split("+", 2)
    content = unbase64(encoded)
    if not name or content[:1] != b"\x01" or sha256(name.encode() + b"\n" + content).hexdigest()[:8] != given:
        raise Bad("not an Ed25519 verifier key (name+id+base64)")
    return Key(name, content[1:], "ed25519:" + sha256(content[1:]).hexdigest())


def open_note(content: bytes, key: Key) -> list[str]:
    """The lines of a note that this key, and nobody else, signed."""
    text, _, line = content.decode().rpartition("\n\n")
    signed = re.fullmatch(f"\u2014 {re.escape(key.name)} ([A-Za-z0-9+/=]+)\n", line)
    if not text or signed is None:
        raise Bad(f"not a note with one signature by {key.name}")
    signature = unbase64(signed[1])
    if signature[:4] != sha256(key.name.encode() + b"\n\x01" + key.public).digest()[:4]:
        raise Bad("signed with another key than the log's own of its time")
    check_signature(key.public, f"{text}\n".encode(), signature[4:])
    return text.split("\n")


def open_checkpoint(content: bytes, key: Key) -> tuple[int, bytes]:
    """Size and root of a checkpoint that this key signed."""
    origin, size, root = open_note(content, key)
    if origin != key.name or str(int(size)) != size or len(unbase64(root)) != 32:
        raise Bad(f"not a checkpoint of {key.name}")
    return int(size), unbase64(root)


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves, or over subtrees of one width; an odd one is carried up, never doubled."""
    while len(hashes) > 1:
        pairs = [b"\x01" + left + right for left, right in zip(hashes[::2], hashes[1::2])]
        hashes = [sha256(pair).digest() for pair in pairs] + [*hashes[len(pairs) * 2 :]]
    return hashes[0] if hashes else sha256().digest()


# Entries of the log: a row of cells for each, as they stand in canonical JSON, where no text has two forms.
WIDTH, TYPE = 256, "application/vnd.in-toto+json"
KIND, RECORDED, RUN, SUBJECT, UNIT, DIGESTS, KEYID, SIG = 4, 9, 10, 11, 12, 13, -2, -1
BETWEEN = (  # the cells of a statement: a record's header, and the digests of what was seen for each audience
    '{"_type":"https://in-toto.io/Statement/v1","predicate":{"collector":{"name":"%","source":"%",'
    '"version":"%"},"expires":"%","kind":"%","observed":{"end":"%","start":"%"},"outcome":"%","reason":"%",'
    '"recorded":"%","run":"%","subject":"%","unit":"%"},"predicateType":'
    '"https://tensorcost.com/posture/record/v1","subject":[{"digest":{"sha256":"%"},"name":"public"},'
    '{"digest":{"sha256":"%"},"name":"nda"},{"digest":{"sha256":"%"},"name":"auditor"}]}'
).split("%")


def lines_file(kind: str, index: int) -> str:
    """Where an entry lies, or its payload for an audience: 256 to a file, named by the first of them."""
    return f"log/{kind}/{index // WIDTH * WIDTH:06d}.txt"


def statement_of(cells: Sequence[str]) -> bytes:
    """What was signed."""
    parts = [""] * 33
    parts[::2], parts[1::2] = BETWEEN, cells[:KEYID]
    return "".join(parts).encode()


def envelope_of(cells: Sequence[str]) -> bytes:
    """What was logged (DSSE); a space separates the ids of several keys, and their signatures."""
    signed = f'{{"keyid":"{cells[KEYID]}","sig":"{cells[SIG]}"}}'
    if " " in cells[KEYID]:
        pairs = dict(zip(cells[KEYID].split(" "), cells[SIG].split(" "))).items()
        signed = ",".join(f'{{"keyid":"{key}","sig":"{sig}"}}' for key, sig in pairs)
    payload = binascii.b2a_base64(statement_of(cells), newline=False)
    return b'{"payload":"' + payload + f'","payloadType":"{TYPE}","signatures":[{signed}]}}'.encode()


def check_entry(cells: Sequence[str], keys: Mapping[str, bytes], native: bool = False) -> None:
    """Return when each of these keys that signed an entry, by its word, really did."""
    statement = statement_of(cells)
    message = f"DSSEv1 {len(TYPE)} {TYPE} {len(statement)} ".encode() + statement
    for key, sig in zip(cells[KEYID].split(" "), cells[SIG].split(" ")):
        if key in keys:
            check_signature(keys[key], message, unbase64(sig), native)


# The pack: a folder, or a zip of which every byte is accounted for.
def open_pack(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a zip or of an unpacked folder."""
    if path.is_file():
        yield from _zip(path)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise Bad("a link or a device; a pack has plain files alone", name)
        if file.is_file():
            yield name, file.read_bytes()


def _zip(path: Path) -> Iterator[tuple[str, bytes]]:
    """Demand the very bytes that our writer makes: by name, stored, dated 1980, without gaps."""
    directory, count, at, last = b"", 0, 0, ""
    with path.open("rb") as raw:
        while (head := raw.read(30))[:4] == b"PK\x03\x04":
            crc, size, width = struct.unpack("<14xLL4xH2x", head)
            name = raw.read(width).decode("ascii")
            shared = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, crc, size, size, width, 0)
            if head[4:] != shared or name <= last or not NAME.fullmatch(name):
                raise Bad(f"{name[:100]!r} is no name for a file of a pack, or has another header in the zip")
            yield name, raw.read(size)
            place = struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, at)
            directory += b"PK\x01\x02\x14\x03" + shared + place + name.encode()
            count, at, last = count + 1, at + 30 + width + size, name
        end = struct.pack("<HHHHLLH", 0, 0, count, count, len(directory), at, 0)
        if head + raw.read() != directory + b"PK\x05\x06" + end:
            raise Bad("the zip's directory is not the one that a writer of packs makes")


class Verification:
    """One run over one pack: what does not hold, what a reader should know, and what was looked at."""

    def __init__(self, key: Key | None, signatures: bool, say: Callable[[str], None]) -> None:
        self.pinned, self.signatures, self.say = key, signatures, say
        self.native = signatures and importlib.util.find_spec("cryptography") is not None
        self.files, self.counted, self.identities = dict[str, bytes](), dict[str, int](), dict[str, int]()
        self.problems, self.notes = list[tuple[str, str]](), list[str]()
        self.leaves: dict[int, list[bytes]] = {}  # of each file of entries, by its first one
        self.recorded: dict[int, str] = {}  # when each entry that is here was recorded
        self.turns, self.later = list[int](), 0  # entries that changed the log's key; verdicts after `until`
        self.newest: dict[str, dict[tuple[str, str], int]] = {VERDICT: {}, SCOPE: {}}
        self.lines = functools.lru_cache(maxsize=16)(lambda name: self._file(name).split(b"\n"))

    def verify(self, path: Path) -> None:
        """Open the pack and check all of it; what rests on something broken is not attempted."""
        steps: dict[str, Callable[[], None]] = {str(path): lambda: self.files.update(open_pack(path))}
        steps |= {KEYS: self._keys, NOTE: self._sums, CHECKPOINT: self._tree, "log/entries/": self._log}
        steps |= {SINCE: self._since, "verdicts/": self._copies, MATRIX: self._matrix, "log/": self._window}
        for name, step in steps.items():
            if not self.problems:
                self._guard(name, step)

    def _guard(self, name: str, step: Callable[..., None], *given: object) -> None:
        """The one boundary, at which whatever a forged pack breaks becomes a problem of that pack."""
        try:
            step(*given)
        except Bad as error:
            self.problems.append((error.args[1] if error.args[1:] else name, error.args[0]))
        except Exception as error:  # noqa: BLE001
            self.problems.append((name, f"not in the form of a pack ({error!r})"))

    def _file(self, name: str) -> bytes:
        if name not in self.files:
            raise Bad("is missing from the pack", name)
        return self.files[name]

    def _keys(self) -> None:
        """The log's keys, first to newest (`_log` sees that each led to the next), and others that sign."""
        keys = [parse_key(line) for line in self._file(KEYS).decode().split("\n")[:-1]]
        self.keys = [key for key in keys if key.name == keys[0].name]
        self.others = keys[len(self.keys) :]
        self.signers = {key.id: key.public for key in (self.keys[0], *self.others)}
        if self.pinned and self.pinned not in self.keys:
            raise Bad("the key given is none of those that signed this log")

    def _sums(self) -> None:
        """Each file is the one that the log's newest key signed; `_bundle` checks those of lines by line."""
        key, digest = self.keys[-1], sha256(self._file(SUMS)).hexdigest()
        if open_note(self._file(NOTE), key) != [SCHEMA, key.name, digest]:
            raise Bad("is not the list that was signed, or of another form or log", SUMS)
        self.listed = {line[66:]: line[:64] for line in self._file(SUMS).decode().split("\n")[:-1]}
        for name in sorted((self.listed.keys() | self.files.keys()) - {SUMS, NOTE}):
            if name not in self.files or name not in self.listed:
                self.problems.append((name, "is missing, or is not named by SHA256SUMS"))
            elif not name.startswith(BY_LINE) and sha256(self.files[name]).hexdigest() != self.listed[name]:
                self.problems.append((name, "was altered: its SHA-256 is not the signed one"))

    def _tree(self) -> None:
        """The root over the hashes of all files of entries is the signed one; which are here is noted."""
        self.size, root = open_checkpoint(self._file(CHECKPOINT), self.keys[-1])
        self.bundles = [bytes.fromhex(text) for text in self._file(BUNDLES).decode().split("\n")[:-1]]
        if tree_root(self.bundles) != root or len(self.bundles) != -(-self.size // WIDTH):
            raise Bad("has not the root that the log's key signed", BUNDLES)
        said = self.manifest = unjson(self._file(MANIFEST))
        if [said["schema"], said["origin"]] != [SCHEMA, self.keys[-1].name]:
            raise Bad("says another form or log than its signature", MANIFEST)
        self.until, self.window = said["as_of"], said["window"]
        readable = AUDIENCES[: AUDIENCES.index(said["audience"]) + 1]
        self.kinds = ["entries", *(f"payloads/{audience}" for audience in readable)]
        self.firsts = [n for n in range(0, self.size, WIDTH) if lines_file("entries", n) in self.files]
        known = {CHECKPOINT, BUNDLES, SINCE}.union(lines_file(k, n) for k in self.kinds for n in self.firsts)
        if strange := {name for name in self.files if name.startswith("log/")} - known:
            raise Bad("is no file of this log that these readers may have", min(strange))

    def _log(self) -> None:
        for first in self.firsts:
            self._guard(lines_file("entries", first), self._bundle, first)
            self.say(f"  {min(self.size, first + WIDTH)} of {self.size} entries")
        if len(self.turns) != len(self.keys) - 1:
            raise Bad("the log does not hold the changes from each of these keys to the next one", KEYS)

    def _bundle(self, first: int) -> None:
        """The entries of a file, which commit to the payloads beside it, are those of the log."""
        names = [lines_file(kind, first) for kind in self.kinds]
        text, digests, leaves = self._file(names[0]).decode(), [], []
        counts = {text.count("\n") + 1}
        for audience, name in zip(AUDIENCES, names[1:]):
            head, trees = b'{"audience":"%b",' % audience.encode(), self._file(name).split(b"\n")
            digests.append([sha256(tree).hexdigest() for tree in trees if tree.startswith(head)])
            counts |= {len(trees), len(digests[-1])}
        for cell in re.split("[\t\n]", text) if '"' in text or "\\" in text else ():
            if canonical(json.loads(f'"{cell}"')).decode() != f'"{cell}"':
                raise Bad("has a cell that is not the text of a JSON string")
        for index, (row, beside) in enumerate(zip(text.split("\n"), zip(*digests)), first):
            cells = row.split("\t")
            cells[DIGESTS:DIGESTS] = beside
            leaves.append(sha256(b"\x00" + envelope_of(cells)).digest())
            self._entry(index, cells)
        self.leaves[first], root = leaves, tree_root(leaves)
        if root != self.bundles[first // WIDTH] or counts != {min(WIDTH, self.size - first)}:
            wrong = (name for name in names if sha256(self.files[name]).hexdigest() != self.listed[name])
            raise Bad("does not hold what the checkpoint stands for, and that alone", next(wrong, names[0]))

    def _entry(self, index: int, cells: Sequence[str]) -> None:
        """An entry observes what no other one does, and is signed by a key that may do so in its time."""
        kind, keyid, identity = cells[KIND], cells[KEYID], "\t".join(cells[RUN:DIGESTS]) + "\t" + cells[KIND]
        if self.identities.setdefault(identity, index) != index:
            raise Bad(f"entry {index} observes again what entry {self.identities[identity]} observed")
        if keyid not in self.signers and self.signers.keys().isdisjoint(keyid.split(" ")):
            raise Bad(f"entry {index} is signed by no key that may sign this entry")
        if self.signatures:
            check_entry(cells, self.signers, self.native)
        self.recorded[index] = cells[RECORDED]
        if kind == ROTATION:
            old, new = self.keys[len(self.turns) :][:2]
            wanted = [f"log-key/{old.public.hex()}", f"log-key:{new.public.hex()}", f"{old.id} {new.id}"]
            if [cells[UNIT], cells[SUBJECT], keyid] != wanted:
                raise Bad(f"entry {index} is no change from the log's key of its time to the next one")
            check_entry(cells, {old.id: old.public, new.id: new.public})
            self.turns.append(index)
            self.signers = {key.id: key.public for key in (new, *self.others)}
        elif kind in self.newest:
            if cells[RECORDED] <= self.until and cells[RECORDED][:10] <= self.window["to"]:
                self.newest[kind][cells[SUBJECT], cells[UNIT]] = index
            self.later += kind == VERDICT and cells[RECORDED] > self.until

    def _since(self) -> None:
        """The log extends the older checkpoint, where there is one: its first entries have that root."""
        if SINCE in self.files:
            size = int(self._file(SINCE).split(b"\n")[1])
            size, root = open_checkpoint(self._file(SINCE), self.keys[sum(n < size for n in self.turns)])
            whole, part = self.bundles[: size // WIDTH], size % WIDTH
            last = [tree_root(self.leaves[size - part][:part])] if part else []
            if size > self.size or tree_root([*whole, *last]) != root:
                raise Bad("the log does not begin with these entries: its history was rewritten")
            self.notes.append(f"The log extends the older checkpoint over {size} entries.")

    def entry(self, index: int) -> tuple[list[str], list[bytes]]:
        """The cells of an entry that is here, and the parts of its payload that readers may see."""
        row, *trees = (self.lines(lines_file(kind, index))[index % WIDTH] for kind in self.kinds)
        cells = row.decode().split("\t")
        cells[DIGESTS:DIGESTS] = [sha256(tree).hexdigest() for tree in trees]
        return cells, trees

    def record(self, index: int) -> dict[str, Any]:
        """The same for reading; the value is None where nothing was seen."""
        cells, trees = self.entry(index)
        header, parts = unjson(statement_of(cells))["predicate"], [unjson(tree) for tree in trees]
        said = [item for part in parts for item in (part["value"] or {}).items()]
        forms, absent = {(part["kind"], part["value"] is None) for part in parts}, parts[0]["value"] is None
        if forms != {(header["kind"], absent)} or len(said) != len(dict(said)):
            raise Bad(f"the payloads of entry {index} do not fit together", lines_file("entries", index))
        return {"entry": index, "header": header, "value": None if absent else dict(said)}

    def _copies(self) -> None:
        """What lies in the pack for reading says what the log says: evidence, verdicts and scope."""
        records = {index: self.record(index) for index in self.newest[VERDICT].values()}
        self.verdicts = {f"verdicts/{one['value']['check']}.json": one["value"] for one in records.values()}
        cited = {EVIDENCE % index: index for index in self.recorded if EVIDENCE % index in self.files}
        told = {**cited, **dict(zip(self.verdicts, records)), "scope.json": max(self.newest[SCOPE].values())}
        for name, index in told.items():
            if self._file(name) != canonical(records.get(index) or self.record(index)):
                self.problems.append((name, f"differs from what entry {index} of the log says"))
        for name in sorted(self.files.keys() - told.keys() - {"06-evidence/index.csv"}):
            if name.startswith(("06-evidence/", "verdicts/")):
                self.problems.append((name, "is no evidence and no newest verdict of the log beside it"))
        digests = {sha256(statement_of(self.entry(index)[0])).hexdigest() for index in cited.values()}
        judges = {name[8:]: self.listed[name] for name in self.files if name.startswith("judging/")}
        self.source = sha256(canonical(judges)).hexdigest()
        for name, value in self.verdicts.items():
            if lacking := {*value["evidence"]} - digests:
                self.problems.append((name, f"judged {min(lacking)}, which 06-evidence does not hold"))
            if value["source"] != self.source:
                self.notes.append(f"{value['check']} was judged by other source than judging/ holds.")
        self.counted = {"files": len(self.listed), "verdicts": len(records), "evidence": len(cited)}
        self.counted.update(entries=len(self.recorded), payloads=len(self.recorded) * len(self.kinds[1:]))

    def _matrix(self) -> None:
        """What the control matrix says of a claim must follow from its verdict; it may say less."""
        states = {value["check"]: value["state"] for value in self.verdicts.values()}
        for row in unjson(self._file(MATRIX))["rows"]:
            state, said = states.get(row["test"]["check"], "unknown"), row["result"]
            more = said["word"] == "verified" and state != "satisfied"
            if more or said["state"] not in (state, "unknown"):
                raise Bad(f"claim {row['id']} says {said['word']} ({said['state']}), its verdict {state}")

    def _window(self) -> None:
        """Every entry from the window's first day to the pack's moment is here, and one on either side."""
        inside = [n for n, time in self.recorded.items() if self.window["from"] <= time <= self.until]
        beside = range(max(0, min(inside) - 1), min(self.size, max(inside) + 2))
        if lacking := {*beside} - self.recorded.keys():
            raise Bad("entries of the window are missing", lines_file("entries", min(lacking)))
        if absent := len(self.bundles) - len(self.firsts):
            self.notes.append(f"{absent} of {len(self.bundles)} bundles lie outside of the window.")
        if self.later:
            self.notes.append(f"{self.later} verdicts of these bundles are from after the pack's own moment.")


def report(run: Verification, path: str, as_json: bool) -> str:
    """The outcome for a program or a reader."""
    by = ("cryptography" if run.native else "this file's own arithmetic") if run.signatures else None
    if as_json:
        found = [{"file": file, "message": message} for file, message in run.problems]
        said = {"ok": not found, "pinned": bool(run.pinned), "checked": run.counted, "problems": found}
        return json.dumps({**said, "notes": run.notes, "signatures": by}, indent=1, sort_keys=True)
    lines = [f"{file}: {message}" for file, message in run.problems] + run.notes
    lines += [f"Each entry's own signature: checked with {by}." if by else NOT_CHECKED]
    counted = ", ".join(f"{number} {what}" for what, number in run.counted.items())
    bad = f"{len(run.problems)} problem(s); do not rely on this pack."
    lines += [] if run.pinned else [NOT_PINNED]
    return "\n".join([*lines, f"{path}: {bad if run.problems else f'holds ({counted}).'}"])


def pinned(pack: str, origin: str | None, line: str | None) -> Key | None:
    """The key that the reader brought, or none; `Bad` for half a key or a pack that is not there."""
    key = parse_key(line) if line else None
    if (key and key.name) != origin or not Path(pack).exists():
        raise Bad("--origin and --key belong together, and PACK is a zip or a folder that is there")
    return key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Exit codes: 0 the pack holds, 1 it does not, 2 usage.")
    parser.add_argument("pack", help="the zip, or the folder that it was unpacked to")
    parser.add_argument("--origin", help="the log's name, from a source of your own")
    parser.add_argument("--key", help="the log's key line (name+id+base64), from a source of your own")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--signatures", action="store_true", help="check each entry's own signature too")
    options = parser.parse_args(arguments)
    try:
        key = pinned(options.pack, options.origin, options.key)
    except (Bad, ValueError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    run = Verification(key, options.signatures, lambda line: print(line, file=sys.stderr))
    run.verify(Path(options.pack))
    print(report(run, options.pack, options.format == "json"))
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
