#!/usr/bin/env python3
"""Verifies an evidence pack offline: one file, the standard library alone, Python 3.9 or newer.

For an auditor who trusts nobody: read this file, compare its SHA-256 with the one on the portal, then
run it on the pack (a zip, or the folder it was unpacked to). It imports nothing of ours and repeats
the Ed25519, Merkle and note code of ``evidence.proofs`` on purpose: a verifier that shares code with
what it verifies shares its faults. Tests of the project hold the two to the same answers.

Formats: RFC 8032 (Ed25519), RFC 6962 section 2.1 (Merkle), DSSE, C2SP signed-note, tlog-tiles, tlog-proof.

    python3 verify.py pack.zip --origin example.com/log --key 'example.com/log+0a1b2c3d+AQ…'

Exit codes: 0 everything holds; 1 something does not (the file is named); 2 wrong usage.
"""

from __future__ import annotations

import argparse
import binascii
import functools
import hashlib
import json
import re
import stat
import struct
import sys
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST, NOTE, SUMS, SCHEMA = "MANIFEST.json", "MANIFEST.note", "SHA256SUMS", "posture.pack/v2"
VERDICT, SCOPE, ROTATION = "posture.verdict/v1", "posture.scope/v1", "posture.log_key/v1"
STATEMENT, RECORD = "https://in-toto.io/Statement/v1", "https://tensorcost.com/posture/record/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
AUDIENCES = ("public", "nda", "auditor")
TREE_HEADS = tuple(b'{"audience":"%s",' % name.encode() for name in AUDIENCES)
USUAL_ENDS = b'{"payload":""}]}'
SIGNED_BY = '","payloadType":"%s","signatures":[{"keyid":"%s","sig":"'
NAME = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+)*")
EVIDENCE = re.compile(r"06-evidence/[0-9]{6,}\.dsse\.json")
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_TREES = (r'\{"digest":\{"sha256":"([0-9a-f]{64})"\},"name":"' + name + r'"\}' for name in AUDIENCES)
USUAL = re.compile(  # the one canonical text of a record's statement in which nothing is escaped
    rf'\{{"_type":"{re.escape(STATEMENT)}","predicate":\{{"collector":\{{"name":"[^"]*","source":"[^"]*",'
    r'"version":"[^"]*"\},"expires":"[^"]*","kind":"([^"]*)","observed":\{"end":"[^"]*","start":"[^"]*"\},'
    r'"outcome":"[^"]*","reason":"[^"]*","recorded":"([^"]*)",("run":"[^"]*","subject":"[^"]*","unit":"[^"]*")\},'
    rf'"predicateType":"{re.escape(RECORD)}","subject":\[{",".join(_TREES)}\]\}}'
)
NOT_CHECKED = "NOT CHECKED: each entry's own signature (--signatures); the root over all of them is signed."
NOT_PINNED = """NOT PINNED: the key came with the pack, so this shows that the pack agrees with itself, and
nothing about who made it. Run again with --origin and --key from a source of your own."""


class Bad(Exception):
    """What was read proves nothing: why, and the file where that is not the one at hand."""


class Key(NamedTuple):
    """A log's name and its raw Ed25519 public key."""

    name: str
    public: bytes


# Ed25519 (RFC 8032 section 5.1), strict and without cofactor.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)
WEAK: set[bytes] = set()


def _add(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * D * a[3] * b[3] % P, 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def _times(number: int, point: Point) -> Point:
    total = NEUTRAL
    for bit in f"{number:b}":
        total = _add(total, total)
        total = _add(total, point) if bit == "1" else total
    return total


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@functools.lru_cache(maxsize=64)
def _point(encoded: bytes) -> Point:
    """The point of a canonical encoding; one of small order signs anything and is refused."""
    sign, y = divmod(int.from_bytes(encoded, "little"), 2**255)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    x = x * pow(2, (P - 1) // 4, P) % P if (v * x * x - u) % P else x
    x = P - x if x & 1 != sign else x
    point = (x, y, 1, x * y % P)
    if len(encoded) != 32 or (v * x * x - u) % P or _encoded(point) != encoded or encoded in WEAK:
        raise Bad("not a key: no canonical encoding of a point, or of small order")
    return point


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
EIGHTH = _point(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
WEAK.update(_encoded(_times(number, EIGHTH)) for number in range(8))
_point.cache_clear()


def check_signature(
    public: bytes, message: bytes, signature: bytes, native: Callable[..., Any] | None
) -> None:
    """Return when the signature holds; `native` does the last step, where `cryptography` is installed."""
    key, r, s = _point(public), signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L or r in WEAK:
        raise Bad("the signature was altered: its length, S not below the group order, or R of small order")
    if native is not None:
        native(public).verify(signature, message)
        return
    challenge = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    minus = (P - key[0], key[1], 1, P - key[3])
    if _encoded(_add(_times(s, BASE), _times(challenge, minus))) != r:
        raise Bad("the signature does not verify")


# Merkle trees (RFC 6962 section 2.1).
def sha256(*parts: bytes) -> bytes:
    """SHA-256 over the parts; a leaf's first part is 0x00, an inner node's 0x01."""
    return hashlib.sha256(b"".join(parts)).digest()


def tree_levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    """All hashes of a tree, from its leaves to its root; an odd one out is carried up, never doubled."""
    levels = [leaves or [sha256()]]
    while len(level := levels[-1]) > 1:
        pairs = [sha256(b"\x01", level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        levels.append([*pairs, *level[len(pairs) * 2 :]])
    return levels


def audit_path(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """The hashes that lead from a leaf to the root."""
    beside = ((level, index >> height ^ 1) for height, level in enumerate(levels))
    return [level[at] for level, at in beside if at < len(level)]


# Strict texts. What Python itself refuses to read is caught in one place, `Verification._guard`.
def unbase64(text: str | bytes) -> bytes:
    """Base64 with one text for each byte string; Python alone forgives stray bits."""
    written = text.encode("ascii") if isinstance(text, str) else text
    content = binascii.a2b_base64(written)
    if binascii.b2a_base64(content, newline=False) != written:
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


def parse_key(text: str) -> Key:
    """A verifier key line, ``name+id+base64``."""
    name, _, rest = text.partition("+")
    key_hash, _, encoded = rest.partition("+")
    content = unbase64(encoded)
    if not name or content[:1] != b"\x01" or key_hash != sha256(name.encode(), b"\n", content)[:4].hex():
        raise Bad("not an Ed25519 verifier key (name+id+base64)")
    _point(content[1:])
    return Key(name, content[1:])


def open_note(content: bytes, key: Key) -> list[str]:
    """The lines of a note that this key, and nobody else, signed."""
    text, _, line = content.decode("utf-8").rpartition("\n\n")
    expected = f"\u2014 {key.name} "
    if not text or not line.startswith(expected) or not line.endswith("\n") or line.count("\n") != 1:
        raise Bad(f"not a note with one signature by {key.name}")
    signature = unbase64(line[len(expected) : -1])
    if signature[:4] != sha256(key.name.encode(), b"\n\x01", key.public)[:4]:
        raise Bad("signed with another key than the one given, or than the one that it leads to")
    check_signature(key.public, f"{text}\n".encode(), signature[4:], None)
    return text.split("\n")


def open_checkpoint(content: bytes, key: Key) -> tuple[int, bytes]:
    """Size and root of a checkpoint that this key signed."""
    origin, size, root = open_note(content, key)
    if origin != key.name or not NUMBER.fullmatch(size) or len(unbase64(root)) != 32:
        raise Bad(f"not a checkpoint of {key.name}")
    return int(size), unbase64(root)


def key_id(public: bytes) -> str:
    """How an envelope names the key that signed it."""
    return "ed25519:" + sha256(public).hex()


def open_envelope(
    content: bytes, keys: Mapping[str, bytes], check: bool = True, native: Callable[..., Any] | None = None
) -> bytes:
    """The payload of a DSSE envelope signed by a known key; `check` says whether to see that it really is."""
    envelope = unjson(content)
    signed = {item["keyid"]: unbase64(item["sig"]) for item in envelope["signatures"]}
    again = [{name: item[name] for name in ("keyid", "sig")} for item in envelope["signatures"]]
    payload = unbase64(envelope["payload"])
    if envelope != {"payload": envelope["payload"], "payloadType": PAYLOAD_TYPE, "signatures": again}:
        raise Bad("not the envelope of a statement")
    if len(signed) != len(again) or not signed.keys() & keys.keys():
        raise Bad("signed by no key that may sign this entry, or twice by one")
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    for name in sorted(signed.keys() & keys.keys()) if check else ():
        check_signature(keys[name], message, signed[name], native)
    return payload


def read_facts(text: bytes) -> tuple[str, ...]:
    """Kind, time of recording, identity and digests of the three payload subtrees of any record."""
    statement = unjson(text)
    about, trees = statement["predicate"], statement["subject"]
    if (statement["_type"], statement["predicateType"], len(statement)) != (STATEMENT, RECORD, 4):
        raise Bad("not the statement of a record")
    if [(tree["name"], *tree["digest"]) for tree in trees] != [(name, "sha256") for name in AUDIENCES]:
        raise Bad("a record commits to three subtrees: public, nda and auditor")
    quoted = ",".join(f'"{name}":{canonical(about[name]).decode()}' for name in ("run", "subject", "unit"))
    return (about["kind"], about["recorded"], quoted, *(tree["digest"]["sha256"] for tree in trees))


# The pack: a folder, or a zip of which every byte is accounted for.
def open_pack(path: Path) -> dict[str, bytes]:
    """The files of a zip or of an unpacked folder."""
    files = dict(_folder(path)) if path.is_dir() else _zip(path)
    for name in files:
        if not NAME.fullmatch(name):
            raise Bad(f"{name[:100]!r} is no name for a file of a pack")
    return files


def _folder(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        mode, name = path.lstat().st_mode, path.relative_to(root).as_posix()
        if stat.S_ISREG(mode):
            yield name, path.read_bytes()
        elif not stat.S_ISDIR(mode):
            raise Bad("a link or a device; a pack has plain files alone", name)


def _zip(path: Path) -> dict[str, bytes]:
    """Read a zip and demand the very bytes that our writer makes of these files: no gap, no comment, no
    compression, no second reading; so a flipped byte outside of a file shows as well."""
    files, sums = {}, {}
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if item.compress_type != zipfile.ZIP_STORED or item.file_size > path.stat().st_size:
                raise Bad("a file that is compressed, or larger than the pack", item.filename[:100])
            files[item.filename], sums[item.filename] = archive.read(item), item.CRC
    with path.open("rb") as raw:
        wrong = next((name for name, chunk in zip_chunks(files, sums) if raw.read(len(chunk)) != chunk), None)
        if wrong is not None or raw.read(1):
            raise Bad("the zip is not the one that a writer of packs makes of its files", wrong or "its end")
    return files


def zip_chunks(files: Mapping[str, bytes], sums: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The bytes of a pack as zip, in pieces: files stored in the order of their names and dated 1980."""
    directory, offset = b"", 0
    for name in sorted(files):
        encoded, size = name.encode("ascii"), len(files[name])
        shared = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, sums[name], size, size, len(encoded), 0)
        yield name, b"PK\x03\x04" + shared + encoded
        yield name, files[name]
        tail = struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, offset)
        directory += b"PK\x01\x02\x14\x03" + shared + tail + encoded
        offset += 30 + len(encoded) + size
    end = struct.pack("<HHHHLLH", 0, 0, len(files), len(files), len(directory), offset, 0)
    yield "its directory", directory + b"PK\x05\x06" + end


def tile_names(kind: str, count: int) -> list[str]:
    """Where a log keeps `count` entries or hashes: 256 in each tile, the last one named by its width."""
    digits = [f"{n:0{len(str(n)) + -len(str(n)) % 3}}" for n in range(-(-count // 256))]
    names = [f"log/tile/{kind}/" + re.sub(r"(\d{3})(?=\d)", r"x\1/", text) for text in digits]
    return [*names[:-1], f"{names[-1]}.p/{count % 256}"] if count % 256 else names


def split_bundle(content: bytes) -> list[bytes]:
    """The entries of a bundle, each behind its length."""
    entries, at = [], 0
    while at < len(content):
        start = at + 2
        at = start + int.from_bytes(content[at:start], "big")
        entries.append(content[start:at])
    if at != len(content):
        raise Bad("an entry is cut off")
    return entries


class Verification:
    """One run over one pack: what does not hold, what a reader should know, and what was looked at."""

    keep = False  # all statements and payloads, for whoever judges again

    def __init__(self, key: Key | None, signatures: bool, say: Callable[[str], None]) -> None:
        self.pinned, self.signatures, self.say = key, signatures, say
        self.native = _native() if signatures else None
        self.files: dict[str, bytes] = {}
        self.problems: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.counted: dict[str, int] = {}
        self.facts: dict[int, Sequence[str]] = {}  # kind, time of recording, identity, digests of subtrees
        self.texts: dict[int, bytes] = {}  # statements of verdicts and scopes
        self.trees: dict[str, bytes] = {}  # payload subtrees that are read, by digest
        self.cited: dict[str, int] = {}  # entries of 06-evidence, by the digest of their statement
        self.states: dict[str, str] = {}  # of the newest verdicts, by the name of their file

    def verify(self, path: Path) -> None:
        """Open the pack and check all of it; what rests on something broken is not attempted."""
        self._guard(str(path), lambda: self.files.update(open_pack(path)))
        steps: dict[Callable[[], None], str] = {self._keys: "log/checkpoint", self._manifest: NOTE}
        steps |= {self._tree: "log/checkpoint", self._entries: "log/", self._payloads: "log/blobs/"}
        for step, name in {**steps, self._copies: "verdicts/"}.items():
            if not self.problems:
                self._guard(name, step)

    def _guard(self, name: str, step: Callable[..., object], *given: object) -> None:
        """The one boundary, at which whatever a forged pack breaks becomes a problem of that pack."""
        try:
            step(*given)
        except Bad as error:
            self._add(error.args[1] if error.args[1:] else name, error.args[0])
        except Exception as error:  # noqa: BLE001
            self._add(name, f"not in the form of a pack ({error!r})")

    def _add(self, file: str, message: str) -> None:
        self.problems.append((file, message))

    def _named(self, prefix: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(prefix))

    def _file(self, name: str) -> bytes:
        if name not in self.files:
            raise Bad("is missing from the pack", name)
        return self.files[name]

    def _keys(self) -> None:
        """The log's keys in the order of their time: a change of key is an entry that both keys signed."""
        own = self.pinned or parse_key(self._file("log/log.vkey").decode().rstrip("\n"))
        self.size = min(int(self._file("log/checkpoint").split(b"\n")[1]), sum(map(len, self.files.values())))
        hinted = map(int, self.files.get("log/log.rotations", b"").split())
        self.turns, self.keys = [index for index in hinted if index < self.size], [own.public]
        self.bundles = tile_names("entries", self.size)
        for index in self.turns:
            entry = split_bundle(self._file(self.bundles[index // 256]))[index % 256]
            about = unjson(unbase64(unjson(entry)["payload"]))["predicate"]
            if about["kind"] != ROTATION:
                raise Bad(f"entry {index} is no change of key", "log/log.rotations")
            old, new = bytes.fromhex(about["unit"][8:]), bytes.fromhex(about["subject"][8:])
            self.keys = [old] if index == self.turns[0] else self.keys
            if self.keys[-1] != old or sorted(set(self.turns)) != self.turns:
                raise Bad(f"entry {index} is no change from the key of its time", "log/log.rotations")
            for public in (old, new):
                open_envelope(entry, {key_id(public): public})
            self.keys.append(new)
        if own.public not in self.keys:
            raise Bad("the key given is none of those that signed this log", "log/log.rotations")
        self.key = Key(own.name, self.keys[-1])

    def _manifest(self) -> None:
        signed, content = open_note(self._file(NOTE), self.key), self._file(MANIFEST)
        if signed != [SCHEMA, self.key.name, sha256(content).hex()]:
            raise Bad("is not the manifest that was signed, or of another form or log", MANIFEST)
        self.manifest = unjson(content)
        if [self.manifest["schema"], self.manifest["origin"]] != signed[:2]:
            raise Bad("says another form or log than its signature", MANIFEST)
        listed, found = self.manifest["files"], dict(self.files)
        del found[MANIFEST], found[NOTE]
        for name in sorted({*listed, *found}):
            if name not in found or name not in listed:
                self._add(name, "is not named by the manifest" if name in found else "is missing")
            elif listed[name] != {"sha256": sha256(found[name]).hex(), "size": len(found[name])}:
                self._add(name, "was altered: size or SHA-256 is not the manifest's")
        sums = "".join(f"{listed[name]['sha256']}  {name}\n" for name in sorted(listed) if name != SUMS)
        if self._file(SUMS) != sums.encode():
            raise Bad("does not say what the manifest says", SUMS)
        self.counted["files"] = len(listed)

    def _tree(self) -> None:
        """The root over all leaf hashes is the signed one, of the present and of the older checkpoint."""
        size, root = open_checkpoint(self._file("log/checkpoint"), self.key)
        hashes = b"".join(map(self._file, tile_names("0", size)))
        self.levels = tree_levels([hashes[at : at + 32] for at in range(0, len(hashes), 32)])
        if len(hashes) != 32 * size or size != self.manifest["entries"] or self.levels[-1][0] != root:
            raise Bad("its root is not the one over the log's entries", "log/checkpoint")
        tiles = {f"log/{name}" for name in ("checkpoint", "log.vkey", "log.rotations", "since")}
        for level in range(0, size.bit_length(), 8):
            names, hashes = tile_names(str(level // 8), size >> level), b"".join(self.levels[level])
            for number, name in enumerate(names):
                width = min(256, (size >> level) - 256 * number)
                if self._file(name) != hashes[8192 * number : 8192 * number + 32 * width]:
                    raise Bad("does not hold the hashes of the tree below it", name)
            tiles.update(names)
        for name in sorted({*self._named("log/")} - {*self._named("log/blobs/")} - tiles - {*self.bundles}):
            self._add(name, "no file of this log has this name")
        if "log/since" in self.files:
            self._guard("log/since", self._since, self.files["log/since"])

    def _since(self, note: bytes) -> None:
        signer = self.keys[bisect_left(self.turns, int(note.split(b"\n")[1]))]
        size, root = open_checkpoint(note, Key(self.key.name, signer))
        if size > self.size or tree_levels(self.levels[0][:size])[-1][0] != root:
            raise Bad("the log does not begin with these entries: its history was rewritten")
        self.notes.append(f"The log extends the older checkpoint over {size} entries.")

    def _entries(self) -> None:
        publics = [parse_key(line).public for line in self._file("keys/evidence.vkey").decode().splitlines()]
        others = [public for public in publics if public not in self.keys]
        self.signers = [{key_id(key): key for key in (public, *others)} for public in self.keys]
        self.heads = [{(SIGNED_BY % (PAYLOAD_TYPE, name)).encode() for name in era} for era in self.signers]
        self.identities: dict[str, int] = {}
        for number, name in enumerate(self.bundles):
            if name in self.files:
                self._guard(name, self._bundle, number, split_bundle(self.files[name]))
                self.say(f"  {min(self.size, number * 256 + 256)} of {self.size} entries")
        self.counted.update(entries=len(self.facts), signatures=len(self.facts) if self.signatures else 0)

    def _bundle(self, number: int, entries: Sequence[bytes]) -> None:
        first, sha, expected = number * 256, hashlib.sha256, self.levels[0][number * 256 : number * 256 + 256]
        leaves = [sha(b"\x00" + entry).digest() for entry in entries]
        if leaves != expected:
            wrong = [n for n, leaf in enumerate(leaves) if leaf not in expected[n : n + 1]]
            raise Bad(f"entry {first + min(wrong, default=0)} or their number is not the checkpoint's")
        for index, entry in enumerate(entries, first):
            text = self._statement(index, entry)
            usual = None if b"\\" in text else USUAL.fullmatch(text.decode())
            facts = self.facts[index] = usual.groups() if usual else read_facts(text)
            kind, identity = facts[0], facts[0] + facts[2]
            if self.identities.setdefault(identity, index) != index:
                raise Bad(f"entry {index} observes again what entry {self.identities[identity]} observed")
            if kind == ROTATION and index not in self.turns:
                raise Bad(f"entry {index} changes the key, and log.rotations does not name it")
            if kind in (VERDICT, SCOPE) or self.keep:
                self.texts[index] = text

    def _statement(self, index: int, entry: bytes) -> bytes:
        """The payload of an envelope: of the usual one without a parser, of any other with all care."""
        era, end = bisect_left(self.turns, index), entry.find(b'"', 12)
        if self.signatures or entry[end:-92] not in self.heads[era] or entry[:12] + entry[-4:] != USUAL_ENDS:
            return open_envelope(entry, self.signers[era], self.signatures, self.native)
        return unbase64(entry[12:end])

    def _payloads(self) -> None:
        """Beside the log lies all that its entries commit to and this audience may read, and nothing else."""
        self.readable = AUDIENCES.index(self.manifest["audience"]) + 1
        self.newest = {kind: self._newest(kind) for kind in (VERDICT, SCOPE)}
        cited = {int(name[12:-10]) for name in self.files if EVIDENCE.fullmatch(name)}
        read = cited.union(self.newest[VERDICT].values(), self.newest[SCOPE].values())
        self.wanted = {digest for index in read & self.facts.keys() for digest in self.facts[index][3:]}
        firsts = sorted((int(re.sub("[x/]", "", name[10:])), name) for name in self._named("log/blobs/"))
        for number, (first, name) in enumerate(firsts or [(0, "log/blobs/")]):
            end = firsts[number + 1][0] if number + 1 < len(firsts) else self.size
            self._guard(name, self._blobs, name, range(first if number else 0, end))

    def _blobs(self, name: str, indices: Sequence[int]) -> None:
        content, expected = self._file(name), dict[str, bytes]()
        for index in indices:
            if index in self.facts:
                expected.update(zip(self.facts[index][3 : 3 + self.readable], TREE_HEADS))  # noqa: B905
        at, starts, found, said = 0, [], [], []
        for head in expected.values():
            start = at + 36
            starts.append(start)
            said.append(content[at : at + 32])
            at = start + int.from_bytes(content[at + 32 : start], "big")
            found.append(hashlib.sha256(content[start:at]).hexdigest())
            if not content.startswith(head, start):
                raise Bad(f"the payload at byte {start} is for another audience than its entry says")
        if found != list(expected) or b"".join(said).hex() != "".join(found) or at != len(content):
            raise Bad("holds not just the payloads that entries commit to and this audience may read")
        for digest, start, end in zip(found, starts, [*starts[1:], at + 36]):  # noqa: B905
            if self.keep or digest in self.wanted:
                self.trees[digest] = content[start : end - 36]
        self.counted["payloads"] = self.counted.get("payloads", 0) + len(expected)

    def _newest(self, kind: str) -> dict[str, int]:
        """The last entry of a kind for each unit and subject, up to the pack's moment."""
        found = {}
        for index in sorted(self.texts):
            named, at, about = self.facts[index][:3]
            if named == kind and at <= self.manifest["as_of"] and at[:10] <= self.manifest["window"]["to"]:
                found[about.partition('","subject":')[2]] = index
        return found

    def _copies(self) -> None:
        """What lies in the pack for reading says what the log says: evidence, verdicts and scope."""
        stems = [name[:-10] for name in sorted(self.files) if EVIDENCE.fullmatch(name)]
        for stem in stems:
            self._guard(f"{stem}.dsse.json", self._evidence, stem, int(stem[12:]))
        known = {f"{stem}.{end}" for stem in stems for end in ("dsse.json", "tlog-proof", "json")}
        for name in sorted({*self._named("06-evidence/")} - known - {"06-evidence/index.csv"}):
            self._add(name, "belongs to no entry of the log that lies beside it")
        judges = {name[8:]: sha256(self.files[name]).hex() for name in self._named("judging/")}
        self.source = sha256(canonical(judges)).hex()
        for index in self.newest[VERDICT].values():
            self._verdict(index, self.value(index, self.texts[index])[1])
        for name in sorted({*self._named("verdicts/")} - self.states.keys()):
            self._add(name, "is no check's newest verdict in the log")
        last = max(self.newest[SCOPE].values())
        value = self.value(last, self.texts[last])[1]
        self._guard("scope.json", self._same, "scope.json", {"entry": last, "value": value})
        self._guard("02-control-matrix/matrix.json", self._matrix)
        self._guard("log/", self._window)
        self.counted.update(evidence=len(self.cited), verdicts=len(self.states))

    def _verdict(self, index: int, value: dict[str, Any]) -> None:
        name = f"verdicts/{value['check']}.json"
        self.states[name] = value["state"]
        self._guard(name, self._same, name, {"entry": index, "value": value})
        for digest in set(value["evidence"]) - self.cited.keys():
            self._add(name, f"judged statement {digest}, which 06-evidence does not hold")
        if value["source"] != self.source:
            self.notes.append(f"{value['check']} was judged by other source than judging/ holds.")

    def _same(self, name: str, said: dict[str, Any]) -> None:
        if self._file(name) != canonical(said):
            raise Bad(f"differs from what entry {said['entry']} of the log says, the newest of its kind")

    def _evidence(self, stem: str, index: int) -> None:
        entry = self._file(stem + ".dsse.json")
        if index not in self.facts or sha256(b"\x00", entry) != self.levels[0][index]:
            raise Bad(f"is not entry {index} of the log")
        lines = b"".join(map(binascii.b2a_base64, audit_path(self.levels, index)))
        head = b"c2sp.org/tlog-proof@v1\nindex %d\n%s\n" % (index, lines)
        if self._file(stem + ".tlog-proof") != head + self._file("log/checkpoint"):
            raise Bad(f"is not the proof that leads from entry {index} to the root", stem + ".tlog-proof")
        text = self._statement(index, entry)
        header, value = self.value(index, text)
        said = {"entry": index, "header": header, "value": value}
        self._guard(stem + ".json", self._same, stem + ".json", said)
        self.cited[sha256(text).hex()] = index

    def value(self, index: int, text: bytes) -> tuple[Any, Any]:
        """Header and payload of a record, as far as this pack's readers may see it; None for nothing seen."""
        header, trees = unjson(text)["predicate"], []
        for digest, audience in zip(self.facts[index][3 : 3 + self.readable], AUDIENCES):  # noqa: B905
            tree = unjson(self.trees[digest])
            trees.append(tree["value"])
            if (tree["audience"], tree["kind"]) != (audience, header["kind"]):
                raise Bad(f"payload {digest} of entry {index} belongs elsewhere")
        value = {name: tree[name] for tree in trees for name in tree or ()}
        if len(value) != sum(len(tree or ()) for tree in trees) or len({tree is None for tree in trees}) != 1:
            raise Bad(f"the payloads of entry {index} do not fit together")
        return header, None if None in trees else value

    def _matrix(self) -> None:
        """What the control matrix says of a claim must follow from its verdict; it may say less."""
        for row in unjson(self._file("02-control-matrix/matrix.json"))["rows"]:
            state = self.states.get(f"verdicts/{row['test']['check']}.json", "unknown")
            word, said = row["result"]["word"], row["result"]["state"]
            if said not in (state, "unknown") or (word == "verified" and state != "satisfied"):
                raise Bad(f"claim {row['id']} says {word} ({said}), its verdict {state}")

    def _window(self) -> None:
        """Every entry from the window's first day to the pack's moment is here, and one on either side."""
        first, until = self.manifest["window"]["from"], self.manifest["as_of"]
        inside = [n for n, fact in self.facts.items() if fact[1][:10] >= first and fact[1] <= until]
        beside = range(max(0, min(inside) - 1), min(self.size, max(inside) + 2))
        if lacking := {*beside} - {*self.facts}:
            raise Bad("entries of the window are missing", self.bundles[min(lacking) // 256])
        if absent := sum(name not in self.files for name in self.bundles):
            self.notes.append(f"{absent} of {len(self.bundles)} bundles lie outside of the window.")
        if later := sum(fact[0] == VERDICT and fact[1] > until for fact in self.facts.values()):
            self.notes.append(f"{later} verdicts of these bundles are from after the pack's own moment.")


def _native() -> Callable[..., Any] | None:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return None
    return Ed25519PublicKey.from_public_bytes


def report(run: Verification, path: str, as_json: bool) -> str:
    """The outcome for a program or a reader."""
    found = [{"file": file, "message": message} for file, message in run.problems]
    by = ("cryptography" if run.native else "this file's own arithmetic") if run.signatures else None
    if as_json:
        said = {"ok": not found, "pinned": bool(run.pinned), "checked": run.counted, "problems": found}
        return json.dumps({**said, "notes": run.notes, "signatures": by}, indent=1, sort_keys=True)
    lines = [f"{file}: {message}" for file, message in run.problems] + run.notes
    lines.append(f"Each entry's own signature: checked with {by}." if by else NOT_CHECKED)
    lines += [] if run.pinned else [NOT_PINNED]
    counted = ", ".join(f"{number} {what}" for what, number in run.counted.items())
    bad = f"{len(found)} problem(s); do not rely on this pack."
    return "\n".join([*lines, f"{path}: {bad if found else f'holds ({counted}).'}"])


def pinned(pack: str, origin: str | None, line: str | None) -> Key | None:
    """The key that the reader brought, or none; `Bad` for half a key or a pack that is not there."""
    key = parse_key(line) if line else None
    if (key and key.name) != origin or not Path(pack).exists():
        raise Bad("--origin and --key belong together, and PACK is a zip or a folder that is there")
    return key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify an evidence pack offline, trusting nobody.")
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
