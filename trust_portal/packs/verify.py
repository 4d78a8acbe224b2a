#!/usr/bin/env python3
"""Verifies an evidence pack offline: one file, the standard library alone, Python 3.9 or newer.

For an auditor who trusts nobody: read this file, compare its SHA-256 with the one on the portal, then
run it on the pack (a zip, or the folder it was unpacked to). It imports nothing of ours and repeats
the Ed25519, Merkle and note code of ``evidence.proofs`` on purpose: a verifier that shares code with
what it verifies shares its faults. A test of the project holds the two to the same answers.

Formats: RFC 8032 (Ed25519), RFC 6962 section 2.1 (Merkle), DSSE, C2SP signed-note and tlog-proof.

    python3 verify.py pack.zip --origin example.com/log --key 'example.com/log+0a1b2c3d+AQ…'

Exit codes: 0 everything holds; 1 something does not (the file is named); 2 wrong usage.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import functools
import hashlib
import json
import re
import stat
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

MAX_PACK_BYTES = 4 * 1024**3 - 1
MAX_FILES = 65_535
MAX_FILE_BYTES = 256 * 1024**2
MAX_JSON_BYTES = 64 * 1024**2
MAX_ENTRY_BYTES = 65_535
MANIFEST, SIGNATURE = "MANIFEST.json", "MANIFEST.note"
SCHEMA = "posture.pack/v1"
AUDIENCES = ("public", "nda", "auditor")
RECORD_TYPE = "https://tensorcost.com/posture/record/v1"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
VERDICT, SCOPE = "posture.verdict/v1", "posture.scope/v1"
NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
JUDGING = "checks/"
DIGEST = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Bad(Exception):
    """What was read proves nothing; the message says why."""


class Problem(NamedTuple):
    """Something that does not hold, and the file in which it shows."""

    file: str
    message: str


class Key(NamedTuple):
    """A log's name and its raw Ed25519 public key."""

    name: str
    public: bytes


# ---------- Ed25519 (RFC 8032 section 5.1), strict and without cofactor ----------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _add(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * D * a[3] * b[3] % P, 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def _point(encoded: bytes) -> Point | None:
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
    if y >= P or (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _small(point: Point) -> bool:
    for _ in range(3):
        point = _add(point, point)
    return _encoded(point) == _encoded(NEUTRAL)


NEUTRAL: Point = (0, 1, 1, 0)
BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


@functools.lru_cache(maxsize=64)
def _steps(public: bytes) -> tuple[Point, Point, Point, Point]:
    """Nothing, the base point, the negated key and both: what one bit of each number adds."""
    key = _point(public)
    if key is None or _small(key):
        raise Bad("the key is weak or not canonical")
    minus = (P - key[0], key[1], 1, P - key[3])
    return (NEUTRAL, BASE, minus, _add(BASE, minus))


def check_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """Return when the signature holds; weak keys, weak R and altered S are refused."""
    if len(public) != 32 or len(signature) != 64:
        raise Bad("an Ed25519 key has 32 bytes and a signature 64")
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        raise Bad("the signature was altered: S is not below the group order")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    steps = _steps(public)
    total = NEUTRAL
    for bit in range(252, -1, -1):  # s * BASE - challenge * key, sharing the doublings
        total = _add(total, total)
        total = _add(total, steps[(s >> bit & 1) + 2 * (challenge >> bit & 1)])
    if _encoded(total) != signature[:32] or _small(total):
        raise Bad("the signature does not verify")


# ---------- Merkle tree (RFC 6962 section 2.1) ----------


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; an odd one out is carried up, never doubled."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [node_hash(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0] if level else hashlib.sha256(b"").digest()


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return when the audit path leads from the leaf to the root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Bad(f"entry {index} is not in a log of {size}")
    inner = (index ^ (size - 1)).bit_length()
    if len(path) != inner + f"{index >> inner:b}".count("1"):
        raise Bad("the proof has the wrong length")
    node = leaf
    for level, sibling in enumerate(path):
        right = level >= inner or index >> level & 1
        node = node_hash(sibling, node) if right else node_hash(node, sibling)
    if node != root:
        raise Bad("the proof does not lead to the checkpoint's root")


# ---------- strict texts: base64, JSON, notes, DSSE, proofs ----------


def unbase64(text: str) -> bytes:
    """Base64 with one text for each byte string; Python alone forgives stray bits."""
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Bad("not base64") from error
    if base64.b64encode(content).decode() != text:
        raise Bad("base64 with stray bits")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Bad("a key stands twice in an object")
    return found


def _refuse(text: str) -> None:
    raise Bad(f"{text[:20]} is not allowed in evidence")


def unjson(content: bytes) -> dict[str, Any]:
    """A JSON object without doubled keys, fractions or excessive depth."""
    if len(content) > MAX_JSON_BYTES:
        raise Bad(f"{len(content)} bytes of JSON")
    try:
        parsed = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_refuse
        )
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Bad("not a JSON object")
    return parsed


def parse_key(text: str) -> Key:
    """A verifier key line, ``name+id+base64``."""
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    content = unbase64(encoded)
    expected = hashlib.sha256(name.encode() + b"\n" + content).digest()[:4].hex()
    if not name or len(content) != 33 or content[:1] != b"\x01" or key_hash != expected:
        raise Bad("not an Ed25519 verifier key (name+id+base64)")
    return Key(name, content[1:])


def open_note(content: bytes, key: Key) -> str:
    """The text of a note that this key, and nobody else, signed."""
    try:
        text, blank, line = content.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise Bad("not UTF-8") from error
    expected = f"\u2014 {key.name} "
    if not blank or not line.startswith(expected) or not line.endswith("\n") or line.count("\n") != 1:
        raise Bad(f"not a note with one signature by {key.name}")
    signature = unbase64(line[len(expected) : -1])
    if signature[:4] != hashlib.sha256(key.name.encode() + b"\n\x01" + key.public).digest()[:4]:
        raise Bad("signed with another key than the one given")
    check_signature(key.public, (text + "\n").encode(), signature[4:])
    return text + "\n"


def parse_checkpoint(text: str, origin: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[0] != origin or not NUMBER.fullmatch(lines[1]):
        raise Bad(f"not a checkpoint of {origin}")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Bad("the root has not 32 bytes")
    return int(lines[1]), root


def parse_proof(content: bytes, checkpoint: bytes) -> tuple[int, list[bytes]]:
    """Index and audit path of a tlog-proof that ends in the pack's own checkpoint."""
    head, blank, note = content.partition(b"\n\n")
    if not blank or note != checkpoint:
        raise Bad("the proof is over another checkpoint than the pack's")
    lines = head.decode("ascii", "replace").split("\n")
    number = lines[1][6:] if len(lines) > 1 else ""
    if lines[0] != "c2sp.org/tlog-proof@v1" or lines[1][:6] != "index " or not NUMBER.fullmatch(number):
        raise Bad("not a tlog-proof")
    return int(number), [unbase64(line) for line in lines[2:]]


def open_envelope(content: bytes, keys: dict[str, bytes], check: bool) -> bytes:
    """The payload of a DSSE envelope that a known key signed."""
    envelope = unjson(content)
    if set(envelope) != {"payload", "payloadType", "signatures"} or not envelope["signatures"]:
        raise Bad("not a signed DSSE envelope")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise Bad("an envelope of something else than a statement")
    payload, kind = unbase64(envelope["payload"]), envelope["payloadType"].encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    known = [item for item in envelope["signatures"] if item["keyid"] in keys]
    if not known:
        raise Bad("signed by no key that the manifest names")
    for item in known if check else []:
        check_signature(keys[item["keyid"]], message, unbase64(item["sig"]))
    return payload


# ---------- the pack: a folder, or a zip of which every byte is accounted for ----------


class Pack(NamedTuple):
    """Names in the pack, and how to read one."""

    names: frozenset[str]
    read: Callable[[str], bytes]


def open_pack(path: Path) -> Pack:
    """A zip or an unpacked folder."""
    return _open_folder(path) if path.is_dir() else _open_zip(path)


def _open_folder(root: Path) -> Pack:
    names = []
    for path in root.rglob("*"):
        shown = path.relative_to(root).as_posix()
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Bad(f"{shown}: a link or a device; a pack has plain files alone")
        if stat.S_ISREG(mode):
            names.append(shown)
    _check_names(names)
    return Pack(frozenset(names), lambda name: _read_file(root / name))


def _read_file(path: Path) -> bytes:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise Bad(f"more than {MAX_FILE_BYTES} bytes")
    return path.read_bytes()


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
            raise Bad(f"{name[:100]!r} is no name for a file of a pack")
    if len(set(names)) != len(names) or len(names) > MAX_FILES:
        raise Bad(f"a name stands twice, or there are more than {MAX_FILES} files")


def _open_zip(path: Path) -> Pack:
    size = path.stat().st_size
    if not 22 <= size <= MAX_PACK_BYTES:
        raise Bad("not a zip of a size that a pack can have")
    file = path.open("rb")
    spans = dict(_zip_spans(file, size))

    def read(name: str) -> bytes:
        start, size, crc = spans[name]
        file.seek(start)
        content = file.read(size)
        if zlib.crc32(content) != crc:
            raise Bad("its bytes do not have the checksum of the zip's directory")
        return content

    return Pack(frozenset(spans), read)


def _zip_spans(file: BinaryIO, size: int) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Walk the directory and demand that each header is the one that our writer makes: no gap, no
    comment, no compression, no second reading; so a flipped byte outside of a file shows as well."""
    file.seek(size - 22)
    count, length, start = struct.unpack("<8xHHLL", file.read(22)[:20])[1:]
    if start + length + 22 != size or length > MAX_FILES * 512:
        raise Bad("the zip's directory does not end where the file does")
    file.seek(start)
    directory, at, offset, names = file.read(length), 0, 0, []
    while at < length:
        fields = directory[at : at + 46]
        if len(fields) < 46:
            raise Bad("the zip's directory is cut off")
        crc, packed, _, name_length = struct.unpack("<16xLLLH", fields[:30])
        name = directory[at + 46 : at + 46 + name_length].decode("ascii", "replace")
        local, central = zip_headers(name, crc, packed, offset)
        file.seek(offset)
        if file.read(len(local)) != local or directory[at : at + len(central)] != central:
            raise Bad(f"{name[:100]}: its header in the zip was altered")
        if packed > MAX_FILE_BYTES:
            raise Bad(f"{name[:100]}: more than {MAX_FILE_BYTES} bytes")
        names.append(name)
        yield name, (offset + len(local), packed, crc)
        offset, at = offset + len(local) + packed, at + len(central)
    file.seek(size - 22)
    if offset != start or len(names) != count or file.read(22) != zip_end(count, length, start):
        raise Bad("the zip has bytes that belong to no file, or its end was altered")
    if names != sorted(names):
        raise Bad("the files of the zip are not in order")
    _check_names(names)


def zip_headers(name: str, crc: int, size: int, offset: int) -> tuple[bytes, bytes]:
    """Local and central header of a stored file, dated 1 January 1980, readable by all."""
    encoded = name.encode("ascii", "replace")
    shared = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, crc, size, size, len(encoded), 0)
    tail = struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, offset)
    return b"PK\x03\x04" + shared + encoded, b"PK\x01\x02\x14\x03" + shared + tail + encoded


def zip_end(count: int, length: int, start: int) -> bytes:
    """The end record of a zip without a comment."""
    return b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, count, count, length, start, 0)


# ---------- verification ----------


class Verification:
    """One run over one pack: what holds, what does not, and what was looked at."""

    pack: Pack

    def __init__(self, key: Key | None, signatures: bool, say: Callable[[str], None]) -> None:
        self.key, self.signatures, self.say = key, signatures, say
        self.pinned = key is not None
        self.problems: list[Problem] = []
        self.counted: dict[str, int] = {}
        self.manifest: dict[str, Any] = {}
        self.statements: dict[int, dict[str, Any]] = {}
        self.digests: dict[str, int] = {}
        self.identities: dict[tuple[Any, ...], int] = {}
        self.notes: list[str] = []

    def verify(self, path: Path) -> None:
        """Open the pack and check all of it; every problem is collected."""
        try:
            self.pack = open_pack(path)
            self._check()
        except (Bad, OSError) as error:
            self.problems.append(Problem(str(path), str(error)))

    def _check(self) -> None:
        """What rests on a broken manifest or checkpoint is not attempted."""
        if not self._guard(SIGNATURE, self._open_manifest):
            return
        self._check_files()
        size, root = 0, b""
        try:
            size, root = self._checkpoint()
        except Bad as error:
            self.problems.append(Problem("checkpoint", str(error)))
            return
        self._check_entries(size, root)
        self._check_payloads()
        for name in self._listed("verdicts/"):
            self._guard(name, self._check_copy, name, VERDICT)
        self._guard("scope.json", self._check_copy, "scope.json", SCOPE)
        self._guard("verdicts/", self._check_nothing_is_left_out)
        if "portal/posture.json" in self.manifest["files"]:
            self._guard("portal/posture.json", self._check_portal)

    def _guard(self, name: str, step: Callable[..., None], *given: object) -> bool:
        try:
            step(*given)
        except Bad as error:
            found = error.args[1] if len(error.args) > 1 else name
            self.problems.append(Problem(found, str(error.args[0])))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            self.problems.append(Problem(name, f"not in the form of a pack ({error!r})"))
        else:
            return True
        return False

    def _listed(self, prefix: str) -> list[str]:
        return sorted(name for name in self.manifest["files"] if name.startswith(prefix))

    def _read(self, name: str) -> bytes:
        if name not in self.pack.names:
            raise Bad("is missing from the pack", name)
        return self.pack.read(name)

    def _open_manifest(self) -> None:
        if self.key is None:
            self.key = parse_key(self._read("keys/log.vkey").decode("ascii", "replace").rstrip("\n"))
        lines = open_note(self._read(SIGNATURE), self.key).split("\n")
        if len(lines) != 4 or lines[0] != SCHEMA or lines[1] != self.key.name:
            raise Bad(f"not the note of a pack of {self.key.name}")
        content = self._read(MANIFEST)
        if hashlib.sha256(content).hexdigest() != lines[2]:
            raise Bad("is not the manifest that was signed", MANIFEST)
        self.manifest = unjson(content)
        if self.manifest["schema"] != SCHEMA or self.manifest["origin"] != self.key.name:
            raise Bad("is of another form or log", MANIFEST)

    def _check_files(self) -> None:
        listed = self.manifest["files"]
        for name in sorted(self.pack.names - set(listed) - {MANIFEST, SIGNATURE}):
            self.problems.append(Problem(name, "is in the pack, and the manifest does not name it"))
        for done, (name, expected) in enumerate(sorted(listed.items())):
            self._guard(name, self._check_file, name, expected)
            if done % 5000 == 4999:
                self.say(f"  {done + 1} of {len(listed)} files")
        self.counted["files"] = len(listed)

    def _check_file(self, name: str, expected: dict[str, Any]) -> None:
        content = self._read(name)
        if len(content) != expected["size"] or hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise Bad("was altered: size or SHA-256 is not the manifest's")

    def _checkpoint(self) -> tuple[int, bytes]:
        if self.key is None:
            raise Bad("no key")
        size, root = parse_checkpoint(open_note(self._read("checkpoint"), self.key), self.key.name)
        if size != self.manifest["entries"] or len(self._listed("entries/")) != size:
            raise Bad(f"{size} entries in the log, {len(self._listed('entries/'))} in the pack")
        return size, root

    def _check_entries(self, size: int, root: bytes) -> None:
        leaves: dict[int, bytes] = {}
        checkpoint, keys = self._read("checkpoint"), self._evidence_keys()
        for index in range(size):
            name, proof = f"entries/{index:06d}.json", f"proofs/{index:06d}.tlog-proof"
            self._guard(name, self._check_entry, name, index, keys, leaves)
            self._guard(proof, self._check_proof, proof, index, leaves, (size, root, checkpoint))
            if index % 200 == 199:
                self.say(f"  {index + 1} of {size} entries")
        if tree_root([leaves[index] for index in sorted(leaves)]) != root:
            self.problems.append(Problem("checkpoint", "its root is not the root over the pack's entries"))
        self.counted["entries"] = self.counted["inclusion_proofs"] = size
        self.counted["signatures"] = size if self.signatures else 0

    def _check_entry(self, name: str, index: int, keys: dict[str, bytes], leaves: dict[int, bytes]) -> None:
        content = self._read(name)
        leaves[index] = leaf_hash(content)
        if len(content) > MAX_ENTRY_BYTES:
            raise Bad("larger than an entry may be")
        self._keep(index, open_envelope(content, keys, self.signatures))

    def _check_proof(
        self, name: str, index: int, leaves: dict[int, bytes], head: tuple[int, bytes, bytes]
    ) -> None:
        size, root, checkpoint = head
        claimed, path = parse_proof(self._read(name), checkpoint)
        if claimed != index:
            raise Bad("proves another entry than its name says")
        if index in leaves:
            check_inclusion(leaves[index], index, size, path, root)

    def _evidence_keys(self) -> dict[str, bytes]:
        lines = self._read("keys/evidence.vkey").decode("ascii", "replace").splitlines()
        publics = [parse_key(line).public for line in lines]
        return {"ed25519:" + hashlib.sha256(public).hexdigest(): public for public in publics}

    def _keep(self, index: int, payload: bytes) -> None:
        statement = unjson(payload)
        about = [statement["predicate"][name] for name in ("run", "unit", "kind", "subject")]
        if statement["_type"] != STATEMENT_TYPE or not all(isinstance(text, str) for text in about):
            raise Bad("not an in-toto statement about a record")
        if self.identities.setdefault(tuple(about), index) != index:
            raise Bad(f"observes a second time what entry {self.identities[tuple(about)]} observed")
        self.statements[index] = statement
        self.digests[hashlib.sha256(payload).hexdigest()] = index

    def _subtrees(self, index: int) -> Iterator[tuple[str, str]]:
        """Audience and digest of each subtree that this pack's readers may see."""
        statement = self.statements[index]
        readable = AUDIENCES[: AUDIENCES.index(self.manifest["audience"]) + 1]
        for subject in statement["subject"]:
            if statement["predicateType"] != RECORD_TYPE or subject["name"] in readable:
                yield subject["name"], subject["digest"]["sha256"]

    def _check_payloads(self) -> None:
        wanted = {digest for index in self.statements for _, digest in self._subtrees(index)}
        listed = {name[len("payloads/") :] for name in self._listed("payloads/")}
        for digest in sorted(wanted ^ listed):
            word = "is committed to and missing" if digest in wanted else "belongs to no entry"
            self.problems.append(Problem(f"payloads/{digest}", word))
        for digest in sorted(wanted & listed):
            self._guard(f"payloads/{digest}", self._check_payload, digest)
        self.counted["payloads"] = len(wanted & listed)

    def _check_payload(self, digest: str) -> None:
        content = self._read(f"payloads/{digest}")
        if not DIGEST.fullmatch(digest) or hashlib.sha256(content).hexdigest() != digest:
            raise Bad("does not have the digest in its name")

    def _check_copy(self, name: str, kind: str) -> None:
        """A verdict or scope for reading must say what the logged one says, field by field."""
        copy = unjson(self._read(name))
        index = copy["entry"]
        if type(index) is not int:
            raise Bad("names no entry")
        if self.statements[index]["predicate"]["kind"] != kind:
            raise Bad(f"entry {index} is no {kind}")
        logged = self._logged(index, kind)
        if _canonical(copy["value"]) != _canonical(logged):
            raise Bad(f"differs from what entry {index} of the log says")
        unit = self.statements[index]["predicate"]["unit"]
        newest = self._newest(kind).get(unit) if kind == VERDICT else max(self._newest(kind).values())
        if index != newest:
            raise Bad(f"is entry {index}, and a newer one of the same is entry {newest}")
        if kind == VERDICT:
            self._check_verdict(name, logged)
        self.counted[kind] = self.counted.get(kind, 0) + 1

    def _logged(self, index: int, kind: str) -> dict[str, Any]:
        """What an entry says, as far as this pack's readers may see it."""
        logged: dict[str, Any] = {}
        for audience, digest in self._subtrees(index):
            tree = unjson(self._read(f"payloads/{digest}"))
            if tree["audience"] != audience or tree["kind"] != kind or set(tree["value"]) & set(logged):
                raise Bad(f"payload {digest} of entry {index} belongs elsewhere")
            logged.update(tree["value"])
        return logged

    def _newest(self, kind: str) -> dict[str, int]:
        """The last entry of a kind for each unit, up to the pack's moment."""
        found = {}
        for index in sorted(self.statements):
            predicate = self.statements[index]["predicate"]
            if predicate["kind"] == kind and predicate["recorded"] <= self.manifest["as_of"]:
                found[predicate["unit"]] = index
        return found

    def _check_nothing_is_left_out(self) -> None:
        """Each check's last verdict is in the pack; whoever packs may not choose among them."""
        shown = {unjson(self._read(name))["entry"] for name in self._listed("verdicts/")}
        source = self._judging_source()
        for unit, index in sorted(self._newest(VERDICT).items()):
            verdict = self._logged(index, VERDICT)
            name = f"verdicts/{verdict['check']}.json"
            if index in shown:
                continue
            if verdict["source"] == source:
                self.problems.append(
                    Problem(name, f"is missing: entry {index} is the last verdict of {unit}")
                )
            else:
                self.notes.append(
                    f"Not among the verdicts: {verdict['check']}, last judged {verdict['state']} by other "
                    f"check source than the pack carries (entry {index})."
                )
        later = [
            index
            for index, statement in self.statements.items()
            if statement["predicate"]["kind"] == VERDICT
            and statement["predicate"]["recorded"] > self.manifest["as_of"]
        ]
        if later:
            self.notes.append(f"The log holds {len(later)} verdicts from after the pack's own moment.")

    def _check_verdict(self, name: str, verdict: dict[str, Any]) -> None:
        if name != f"verdicts/{verdict['check']}.json":
            raise Bad(f"is the verdict of check {verdict['check']}")
        for digest in verdict["evidence"]:
            if digest not in self.digests:
                raise Bad(f"judged statement {digest}, which is not in the log")
        if verdict["source"] != self._judging_source():
            raise Bad("was made by other check source than the pack carries")

    def _judging_source(self) -> str:
        """SHA-256 over the canonical list of paths and digests of all that judges (checks.sources)."""
        judges = {
            name[len(JUDGING) :]: item["sha256"]
            for name, item in self.manifest["files"].items()
            if name.startswith(JUDGING)
        }
        return hashlib.sha256(json.dumps(judges, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def _check_portal(self) -> None:
        """What the portal said must follow from the last verdicts of its moment; it may say less."""
        portal = unjson(self._read("portal/posture.json"))
        judged: dict[str, dict[str, Any]] = {}
        for index in sorted(self.statements):
            if self.statements[index]["predicate"]["kind"] == VERDICT:
                verdict = self._logged(index, VERDICT)
                if verdict["as_of"] <= portal["as_of"]:
                    judged[verdict["check"]] = verdict
        for claim in portal["claims"]:
            for digest in claim["evidence"]:
                if digest not in self.digests:
                    raise Bad(f"claim {claim['id']} rests on {digest}, which is not in the log")
            self._check_claim(claim, judged.get(claim["check"]))

    def _check_claim(self, claim: dict[str, Any], verdict: dict[str, Any] | None) -> None:
        green = claim["state"] == "satisfied" or claim["word"] == "verified"
        if verdict is None:
            if green or claim["evidence"]:
                raise Bad(f"claim {claim['id']} says {claim['word']}, and no verdict of the log decides it")
            return
        if claim["state"] not in (verdict["state"], "unknown") or (green and verdict["state"] != "satisfied"):
            raise Bad(f"claim {claim['id']} says {claim['state']}, its verdict {verdict['state']}")
        if claim["evidence"] != verdict["evidence"] or claim["observed"] != verdict["as_of"]:
            raise Bad(f"claim {claim['id']} rests on another verdict than the last of its moment")


def _canonical(value: object) -> str:
    """Text in which 1 and true differ, as they do not for Python."""
    return json.dumps(value, sort_keys=True)


def report_text(run: Verification, path: str) -> str:
    """The outcome for a reader."""
    lines = [f"{item.file}: {item.message}" for item in run.problems]
    counted = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in run.counted.items())
    lines += run.notes
    if run.counted and not run.signatures:
        lines.append("Not checked: the signatures of single entries (--no-signatures).")
    if not run.pinned:
        lines.append(
            "NOT PINNED: the key came with the pack, so this shows that the pack agrees with itself, and\n"
            "nothing about who made it. Run again with --origin and --key from a source of your own."
        )
    if run.problems:
        return "\n".join([*lines, f"{path}: {len(run.problems)} problem(s); do not rely on this pack."])
    return "\n".join([*lines, f"{path}: holds ({counted})."])


def report_json(run: Verification) -> str:
    """The outcome for a program."""
    problems = [{"file": item.file, "message": item.message} for item in run.problems]
    outcome = {
        "ok": not problems,
        "pinned": run.pinned,
        "checked": run.counted,
        "problems": problems,
        "notes": run.notes,
    }
    return json.dumps({**outcome, "signatures": run.signatures}, indent=1, sort_keys=True)


def pinned_key(origin: str | None, key: str | None) -> Key | None:
    """The key that the reader brought; both or neither."""
    if key is None and origin is None:
        return None
    if key is None or origin is None:
        raise Bad("--origin and --key belong together")
    parsed = parse_key(key)
    if parsed.name != origin:
        raise Bad(f"the key is of {parsed.name}, the origin is {origin}")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify an evidence pack offline, trusting nobody.")
    parser.add_argument("pack", help="the zip, or the folder that it was unpacked to")
    parser.add_argument("--origin", help="the log's name, from a source of your own")
    parser.add_argument("--key", help="the log's key line (name+id+base64), from a source of your own")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--no-signatures", action="store_true", help="skip the entries' own signatures")
    options = parser.parse_args(arguments)
    try:
        key = pinned_key(options.origin, options.key)
        Path(options.pack).stat()
    except (Bad, OSError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    run = Verification(key, not options.no_signatures, say)
    run.verify(Path(options.pack))
    print(report_json(run) if options.format == "json" else report_text(run, options.pack))
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
