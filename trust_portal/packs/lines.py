"""The log as a pack carries it: a row of cells for each entry, and beside it a line for each payload.

A row holds what differs from one entry to another; `verify.py` makes the signed envelope of it again, and the
log's hash of that envelope proves every cell. So the log can be read with any editor, and no byte of it is
decoded twice. 256 entries go into a file, and `log/bundles` has the root over each such file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from evidence.ledger.layout import WIDTH
from evidence.ledger.log import Ledger
from evidence.ledger.tiles import TileReader
from evidence.payload import Audience
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.dsse import Envelope
from evidence.proofs.encoding import base64_text
from evidence.proofs.merkle import leaf_hash, tree_root
from evidence.record import parse_statement, subtree_digests
from trust_portal.errors import PackError
from trust_portal.packs.verify import BUNDLES, DIGESTS, envelope_of, lines_file

_RANK = tuple(Audience)


def log_files(
    ledger: Ledger, size: int, audience: Audience, wanted: Collection[int]
) -> Iterator[tuple[str, bytes]]:
    """The files of a log's first entries, for an audience.

    Args:
        ledger: the log.
        size: how many entries are proved; the hash of each bundle of them is there.
        audience: who may read the result.
        wanted: entries to carry; their whole bundles are.

    Raises:
        PackError: an entry is not a record, or not in the form that a row can stand for.
        EvidenceError: the log is damaged.
    """
    reader = TileReader(ledger.store, size)
    kept = {index // WIDTH for index in wanted}
    roots = []
    for n in range(-(-size // WIDTH)):
        if n in kept:
            entries = reader.bundle(n)
            roots.append(tree_root([leaf_hash(entry) for entry in entries]))
            yield from _bundle(ledger, n * WIDTH, entries, audience)
        else:
            roots.append(_root(reader, n))
    yield BUNDLES, "".join(f"{root.hex()}\n" for root in roots).encode()


def _root(reader: TileReader, n: int) -> bytes:
    """The root over a bundle from the hashes of its entries."""
    return tree_root(
        [reader.node(0, index) for index in range(n * WIDTH, min(n * WIDTH + WIDTH, reader.size))]
    )


def _bundle(
    ledger: Ledger, first: int, entries: Sequence[bytes], audience: Audience
) -> Iterator[tuple[str, bytes]]:
    readable = _RANK[: _RANK.index(audience) + 1]
    rows = []
    payloads: list[list[bytes]] = [[] for _ in readable]
    for index, entry in enumerate(entries, start=first):
        cells = row(entry, where=f"entry {index}")
        for column, digest in zip(payloads, cells[DIGESTS:], strict=False):
            column.append(ledger.blob(index, digest))
        rows.append("\t".join([*cells[:DIGESTS], *cells[DIGESTS + len(readable) :]]))
    yield lines_file("entries", first), "\n".join(rows).encode()
    for name, column in zip(readable, payloads, strict=True):
        yield lines_file(f"payloads/{name}", first), b"\n".join(column)


def row(entry: bytes, *, where: str) -> Sequence[str]:
    """The cells of an envelope, with the digest of each audience's payload.

    Raises:
        PackError: another envelope than this one follows from them, so that they cannot stand for it.
    """
    envelope = Envelope.decode(entry)
    statement = parse_statement(envelope.payload)
    cells = [
        *map(_text, _header(statement.predicate)),
        *subtree_digests(statement).values(),
        " ".join(_text(item.key_id) for item in envelope.signatures),
        " ".join(base64_text(item.signature) for item in envelope.signatures),
    ]
    if envelope_of(cells) != entry:
        raise PackError(f"{where} is not the canonical envelope of a record, which a pack cannot carry")
    return cells


def _header(said: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a record's header in the order of the canonical statement."""
    yield from (said["collector"][name] for name in ("name", "source", "version"))
    yield from (said[name] for name in ("expires", "kind"))
    yield from (said["observed"][name] for name in ("end", "start"))
    yield from (said[name] for name in ("outcome", "reason", "recorded", "run", "subject", "unit"))


def _text(value: str) -> str:
    """A text as it stands between quotes in canonical JSON."""
    return canonical_bytes(value).decode()[1:-1]
