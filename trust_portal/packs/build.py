"""Builds an evidence pack: everything an auditor needs to check the log and the verdicts offline.

The same log, window, catalogue and moment give the same bytes. SHA256SUMS names every file with its digest
and is signed with the log's key, so that a list made anew does not verify; `verify.py` in the pack
checks all of it, and `reperform.py` judges again.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from checks.check import load_checks
from checks.sources import carried_sources, judging_source
from controls.claims import load_catalogue, load_drafted
from controls.responsibilities import load_responsibilities
from controls.verdict import Verdict
from evidence.ledger.log import Ledger
from evidence.ledger.tiles import TileReader
from evidence.payload import Audience, Json, encode, subtrees, timestamp
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Signer
from evidence.proofs.merkle import consistency_proof, verify_consistency
from evidence.proofs.notes import open_checkpoint, read_checkpoint, sign_note, verifier_key_text
from evidence.proofs.signers import Ed25519Verifier
from evidence.record import Interval, Record
from evidence.view import LoggedRecord
from trust_portal.errors import PackError
from trust_portal.packs.archive import Archive, write_archive
from trust_portal.packs.documents.engagement import Engagement, Entry, Window
from trust_portal.packs.documents.files import document_files
from trust_portal.packs.documents.spreadsheet import disarmed
from trust_portal.packs.lines import log_files
from trust_portal.packs.selection import Selection, select
from trust_portal.packs.verify import CHECKPOINT, KEYS, MANIFEST, NOTE, SCHEMA, SINCE, SUMS

VERIFY: Final = {
    "verify/verify.py": "verify.py",
    "verify/index.html": "verify.html",
    "verify/reperform.py": "reperform.py",
}
"""Programs of a pack, and the files of this package that they are."""

_RANK: Final = tuple(Audience)


@dataclass(frozen=True, slots=True)
class Order:
    """What pack is asked for.

    Attributes:
        engagement: the audit or question that it is made for (``soc2-type2-2026``).
        project: whose system it reports on.
        audience: who will read it; what they may not read is left out.
        window: the days that it reports on; None for the whole log.
        as_of: the moment of knowledge; None for the newest time of recording.
        since: an older checkpoint that the log is to be shown to extend.
        beside: gives more files by name (populations and samples), from the entries that are carried and the
            checkpoint.
        evidence_keys: raw public keys that signed entries, where they are not the log's own.
    """

    engagement: str
    project: str
    audience: Audience = Audience.AUDITOR
    window: Window | None = None
    as_of: datetime | None = None
    since: bytes | None = None
    beside: Callable[[frozenset[int], bytes], Mapping[str, bytes]] = lambda _entries, _checkpoint: {}
    evidence_keys: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was written.

    Attributes:
        entries: of the log that it proves.
        carried: entries that it holds.
        window: from its first moment to the pack's own.
        verdicts: SHA-256 (hex) of the signed statement of each verdict of the window, and of the newest ones.
        sha256: of the whole zip.
        verifier: SHA-256 of the verify.py inside, to compare with the portal.
    """

    path: Path
    files: int
    entries: int
    carried: int
    window: Interval
    verdicts: tuple[str, ...]
    bytes: int
    sha256: str
    verifier: str


def build_pack(
    ledger: Ledger,
    records: Sequence[LoggedRecord],
    out: Path,
    *,
    signer: Signer,
    order: Order,
    announce: Callable[[PackReport], object] = lambda _report: None,
) -> PackReport:
    """Write a pack.

    Args:
        ledger: the log.
        records: all of it, read and verified.
        out: the zip; replaced in one step.
        signer: the log's own key, which signs the manifest.
        order: what is asked for.
        announce: called when the pack is durable and before it has its name, to log that it is issued.

    Raises:
        PackError: the log holds nothing to report, or more than one pack can hold.
        UnsupportedClaim: a verdict does not carry its claim's words.
    """
    checkpoint = ledger.signed_checkpoint()
    size = min(read_checkpoint(checkpoint).size, len(records))
    if size < len(records):
        raise PackError(f"{ledger.origin} is shorter than what was read of it; read it again")
    records = records[:size]
    selection = select(records, order.window, order.as_of)
    _refuse_foreign_judges(selection)
    files = {
        **order.beside(selection.entries, checkpoint),
        **document_files(_engagement(ledger.origin, records, order, selection)),
        **dict(_log(ledger, checkpoint, order, selection)),
        **dict(_evidence(selection, order.audience)),
        **{f"verdicts/{check}.json": _copy(one, order.audience) for check, one in selection.verdicts.items()},
        "scope.json": _copy(selection.scope, order.audience),
        **{f"judging/{path}": source for path, source in carried_sources().items()},
        KEYS: _keys(ledger, order.evidence_keys),
        **{name: _program(file) for name, file in VERIFY.items()},
    }
    files |= _readme(ledger, files, order, selection)
    files[MANIFEST] = _manifest(ledger.origin, order, selection)
    files |= _signed(files, ledger.origin, signer)
    report = _report(files, out, selection, size)
    archive = write_archive(files, out, announce=lambda made: announce(report(made)))
    return report(archive)


def _report(
    files: Mapping[str, bytes], out: Path, selection: Selection, size: int
) -> Callable[[Archive], PackReport]:
    return lambda archive: PackReport(
        path=out,
        files=len(files),
        entries=size,
        carried=len(selection.entries),
        window=Interval(selection.window.start, min(selection.window.end, selection.as_of)),
        verdicts=selection.told,
        bytes=archive.size,
        sha256=archive.sha256,
        verifier=_digest(files["verify/verify.py"]),
    )


def _refuse_foreign_judges(selection: Selection) -> None:
    sources = {
        one.record.payload.source
        for one in selection.verdicts.values()
        if isinstance(one.record.payload, Verdict)
    }
    if judging_source() not in sources:
        raise PackError(
            "no verdict was judged by this version's checks, so that the pack could not carry what judged; "
            "judge again before packing, or pack with the version that judged"
        )


def _engagement(
    origin: str, records: Sequence[LoggedRecord], order: Order, selection: Selection
) -> Engagement:
    catalogue, drafted = load_catalogue(), load_drafted()
    return Engagement(
        name=order.engagement,
        project=order.project,
        origin=origin,
        window=selection.window,
        audience=order.audience,
        as_of=selection.as_of,
        entries=[Entry(one.entry, one.digest, one.record) for one in records],
        catalogue=catalogue,
        checks=load_checks(),
        responsibilities=load_responsibilities(claims=drafted, criteria=catalogue.criteria),
        drafted=drafted,
    )


def _log(
    ledger: Ledger, checkpoint: bytes, order: Order, selection: Selection
) -> Iterator[tuple[str, bytes]]:
    wanted = {*selection.entries, *(rotation.entry for rotation in ledger.keys.rotations)}
    if order.since is not None:
        _refuse_other_history(ledger, checkpoint, order.since)
        yield SINCE, order.since
        wanted.add(max(0, read_checkpoint(order.since).size - 1))  # the first entries of its bundle prove it
    yield CHECKPOINT, checkpoint
    yield from log_files(ledger, read_checkpoint(checkpoint).size, order.audience, wanted)


def _refuse_other_history(ledger: Ledger, checkpoint: bytes, since: bytes) -> None:
    """The older checkpoint must be one of this log, and the log must extend it."""
    present = read_checkpoint(checkpoint)
    try:
        key = Ed25519Verifier(ledger.keys.of_size(read_checkpoint(since).size))
        old = open_checkpoint(since, origin=ledger.origin, trusted=[key])
        proof = consistency_proof(TileReader(ledger.store, present.size).node, old.size, present.size)
        verify_consistency(old.size, old.root, present.size, present.root, proof)
    except ProofsError as error:
        raise PackError(f"the log does not extend the older checkpoint: {error}") from error


def _evidence(selection: Selection, audience: Audience) -> Iterator[tuple[str, bytes]]:
    for one in selection.cited:
        yield f"06-evidence/{one.entry:06d}.json", _copy(one, audience)
    yield "06-evidence/index.csv", _index(selection)


def _index(selection: Selection) -> bytes:
    """Where each piece of evidence is, what it is of, and which checks judged it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ["entry", "kind", "unit", "subject", "outcome", "observed", "recorded", "checks", "statement_sha256"]
    )
    for one in selection.cited:
        header = one.record.header
        checks = (check for check, verdict in selection.verdicts.items() if one.digest in _judged(verdict))
        times = (timestamp(header.observed.end), timestamp(header.recorded))
        words = (header.kind, header.unit, header.subject, header.outcome.value)
        row = (f"{one.entry:06d}", *words, *times, " ".join(sorted(checks)), one.digest)
        writer.writerow(disarmed(word) for word in row)
    return out.getvalue().encode()


def _judged(verdict: LoggedRecord) -> tuple[str, ...]:
    payload = verdict.record.payload
    return payload.evidence if isinstance(payload, Verdict) else ()


def _copy(one: LoggedRecord, audience: Audience) -> bytes:
    """A logged record in one piece, as far as the audience may read it, with its entry."""
    said = {"entry": one.entry, "header": encode(one.record.header), "value": readable(one.record, audience)}
    return canonical_bytes(said)


def readable(record: Record, audience: Audience) -> dict[str, Json] | None:
    """The fields of a payload that an audience may read; None where nothing was observed."""
    if record.payload is None:
        return None
    split = subtrees(record.payload)
    allowed = _RANK[: _RANK.index(audience) + 1]
    return {name: value for one in allowed for name, value in split[one].items()}


def _keys(ledger: Ledger, evidence_keys: Sequence[bytes]) -> bytes:
    """The log's keys, first to newest, and by another name those that signed entries alone."""
    own = ledger.keys.keys
    lines = [verifier_key_text(ledger.origin, public) for public in own]
    others = (public for public in dict.fromkeys(evidence_keys) if public not in own)
    lines += [verifier_key_text(f"{ledger.origin}/evidence", public) for public in others]
    return "".join(f"{line}\n" for line in lines).encode()


def _program(file: str) -> bytes:
    source = resources.files("trust_portal.packs").joinpath(file).read_bytes()
    return verifying_page(source) if file.endswith(".html") else source


def verifying_page(source: bytes) -> bytes:
    """The page whose policy admits its own script and style alone, by their digests."""
    for element in (b"script", b"style"):
        content = source.partition(b"<%b>" % element)[2].partition(b"</%b>" % element)[0]
        digest = base64.b64encode(hashlib.sha256(content).digest())
        source = source.replace(b"sha256-" + element.upper(), b"sha256-" + digest)
    return source


def _readme(
    ledger: Ledger, files: Mapping[str, bytes], order: Order, selection: Selection
) -> dict[str, bytes]:
    environment = Environment(
        loader=PackageLoader("trust_portal.packs"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    said = {
        "origin": ledger.origin,
        "engagement": order.engagement,
        "project": order.project,
        "audience": order.audience.value,
        "window": selection.window,
        "as_of": timestamp(selection.as_of),
        "key": verifier_key_text(ledger.origin, ledger.keys.newest),
        "verifier": _digest(files["verify/verify.py"]),
        "page": _digest(files["verify/index.html"]),
        "since": order.since is not None,
        "populations": any(name.startswith("04-") for name in files),
    }
    return {
        name: environment.get_template(template).render(said).encode()
        for name, template in (("00-README.txt", "readme.txt"), ("00-README.html", "readme.html"))
    }


def _manifest(origin: str, order: Order, selection: Selection) -> bytes:
    return canonical_bytes(
        {
            "schema": SCHEMA,
            "origin": origin,
            "engagement": order.engagement,
            "audience": order.audience.value,
            "window": {"from": selection.window.first.isoformat(), "to": selection.window.last.isoformat()},
            "as_of": timestamp(selection.as_of),
        }
    )


def _signed(files: dict[str, bytes], origin: str, signer: Signer) -> dict[str, bytes]:
    """The digest of each file, and the note that signs them all."""
    sums = "".join(f"{_digest(files[name])}  {name}\n" for name in sorted(files)).encode()
    return {SUMS: sums, NOTE: sign_note(f"{SCHEMA}\n{origin}\n{_digest(sums)}\n", origin, signer)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
