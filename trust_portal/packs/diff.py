"""What changed between two audits: the documents of two packs compared, claim by claim.

For `posture pack diff A B`. Only documents are read and nothing of a pack is run; whether a pack is
genuine is the verifier's question and is asked first.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from evidence.payload import Audience, Json
from evidence.proofs.canonical import parse_strict
from evidence.proofs.errors import ProofsError
from trust_portal.claims import Word
from trust_portal.errors import PackError
from trust_portal.packs.documents.engagement import strings

SCHEMA: Final = "posture.pack.diff/v1"
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
MAX_DOCUMENTS: Final = 4096
_WANTED: Final = re.compile(
    r"02-control-matrix/matrix\.json|03-criteria/[A-Z0-9.]+/criterion\.json|07-exceptions/exceptions\.json"
    r"|coverage\.json|verdicts/[A-Za-z0-9_.-]+\.json"
)

T = TypeVar("T")
V = TypeVar("V")


class _Window(msgspec.Struct):
    first: str
    last: str


class _Head(msgspec.Struct):
    engagement: str
    project: str
    origin: str
    audience: Audience
    window: _Window
    as_of: str


class _Result(msgspec.Struct):
    word: Word


class _Kills(msgspec.Struct):
    score: str
    hollow: bool


class _Row(msgspec.Struct):
    id: str
    result: _Result
    kills: _Kills | None


class _Matrix(_Head):
    rows: list[_Row]


class _Criterion(msgspec.Struct):
    id: str
    standing: str
    counts: dict[str, int]


class _Exception(msgspec.Struct):
    id: str
    check: str
    status: str


class _Exceptions(msgspec.Struct):
    exceptions: list[_Exception]


class _CheckCoverage(msgspec.Struct):
    check: str
    totals: dict[str, int]


class _Coverage(msgspec.Struct):
    checks: list[_CheckCoverage]


class _Value(msgspec.Struct):
    check: str
    state: str


class _Verdict(msgspec.Struct):
    value: _Value


@dataclass(frozen=True, slots=True)
class PackDocuments:
    """What is compared of one pack."""

    matrix: _Matrix
    criteria: Mapping[str, _Criterion]
    exceptions: Mapping[str, _Exception]
    coverage: Mapping[str, Mapping[str, int]]
    verdicts: Mapping[str, str]


def diff_packs(earlier: Path, later: Path) -> dict[str, Json]:
    """Compare two packs, each a zip or a folder.

    Raises:
        PackError: a pack cannot be read, or lacks a document, or one has another form than this version's.
    """
    return diff_documents(read_documents(earlier), read_documents(later))


def read_documents(path: Path) -> PackDocuments:
    """The compared documents of a pack.

    Raises:
        PackError: as `diff_packs`.
    """
    files = dict(_files(path))
    matrix = _document(path, files, "02-control-matrix/matrix.json", _Matrix)
    exceptions = _document(path, files, "07-exceptions/exceptions.json", _Exceptions)
    coverage = _document(path, files, "coverage.json", _Coverage)
    criteria = [_document(path, files, name, _Criterion) for name in files if name.startswith("03-criteria/")]
    verdicts = [_document(path, files, name, _Verdict) for name in files if name.startswith("verdicts/")]
    return PackDocuments(
        matrix,
        {one.id: one for one in criteria},
        {one.id: one for one in exceptions.exceptions},
        {one.check: one.totals for one in coverage.checks},
        {one.value.check: one.value.state for one in verdicts},
    )


def diff_documents(earlier: PackDocuments, later: PackDocuments) -> dict[str, Json]:
    """The comparison as JSON: what was added, withdrawn and changed, from the earlier to the later."""
    words = (_words(earlier), _words(later))
    return {
        "schema": SCHEMA,
        "earlier": _head(earlier.matrix),
        "later": _head(later.matrix),
        "cautions": list(_cautions(earlier.matrix, later.matrix)),
        "claims": _compared("id", *words) | {"worse": list(_worse(*words))},
        "verdicts": _compared("check", earlier.verdicts, later.verdicts),
        "criteria": _compared("id", _standings(earlier), _standings(later)),
        "kills": _compared("id", _kills(earlier), _kills(later)),
        "exceptions": _exceptions(earlier.exceptions, later.exceptions),
        "coverage": _compared("check", _totals(earlier), _totals(later)),
    }


def diff_text(diff: Mapping[str, Any]) -> str:
    """The comparison in lines, worst first."""
    lines = [f"earlier  {_titled(diff['earlier'])}", f"later    {_titled(diff['later'])}"]
    lines += [f"caution  {caution}" for caution in diff["cautions"]]
    exceptions = diff["exceptions"]
    lines += _listed("new exceptions", exceptions["new"])
    lines += _listed("still open", exceptions["still_open"])
    lines += _listed(
        "open before and not listed now (closed before the later window, or left out)",
        exceptions["not_listed"],
    )
    lines += _listed("retested", exceptions["retested"])
    for name in ("claims", "verdicts", "criteria", "kills", "coverage"):
        lines += _section(name, diff[name])
    shown = lines if len(lines) > 2 else [*lines, "nothing changed"]
    return "".join(f"{_printable(line)}\n" for line in shown)


def _printable(line: str) -> str:
    """A stranger's pack must not steer the terminal."""
    return "".join(one if one.isprintable() else "?" for one in line)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if not path.exists():
        raise PackError(f"{path}: there is no such pack; name a zip or a folder")
    found = _folder(path) if path.is_dir() else _zip(path)
    for number, (name, content) in enumerate(found, 1):
        if number > MAX_DOCUMENTS or len(content) > MAX_DOCUMENT_BYTES:
            raise PackError(
                f"{path}: {name}: more than {MAX_DOCUMENTS} documents, or {MAX_DOCUMENT_BYTES} bytes in one"
            )
        yield name, content


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        for file in sorted(path.rglob("*.json")):
            name = file.relative_to(path).as_posix()
            if _WANTED.fullmatch(name):
                with file.open("rb") as opened:
                    yield name, opened.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error}") from error


def _zip(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(filter(_WANTED.fullmatch, archive.namelist())):
                with archive.open(name) as opened:
                    yield name, opened.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise PackError(f"{path}: is no readable zip: {error}") from error


def _document(path: Path, files: Mapping[str, bytes], name: str, form: type[T]) -> T:
    if name not in files:
        raise PackError(f"{path}: has no {name}; packs before posture.pack/v3 cannot be compared")
    try:
        return msgspec.convert(parse_strict(files[name]), form)
    except (ProofsError, msgspec.ValidationError) as error:
        raise PackError(f"{path}: {name}: {error}") from error


def _head(matrix: _Matrix) -> dict[str, Json]:
    return {
        "engagement": matrix.engagement,
        "project": matrix.project,
        "origin": matrix.origin,
        "audience": matrix.audience.value,
        "window": {"first": matrix.window.first, "last": matrix.window.last},
        "as_of": matrix.as_of,
    }


def _cautions(earlier: _Matrix, later: _Matrix) -> Iterator[str]:
    """Why two packs may differ for another reason than that something changed."""
    if earlier.origin != later.origin:
        yield "the packs are of two logs: numbers of entries and exceptions do not correspond"
    if earlier.audience != later.audience:
        yield "the packs are for two audiences: what one of them lacks may only be withheld"
    if earlier.project != later.project:
        yield "the packs are of two projects"
    if earlier.as_of > later.as_of:
        yield "the first pack is the newer one"


def _words(pack: PackDocuments) -> dict[str, str]:
    return {row.id: row.result.word.value for row in pack.matrix.rows}


def _standings(pack: PackDocuments) -> dict[str, str]:
    """As in ``evidence (3 verified, 1 failed)``."""
    counts = {
        name: ", ".join(f"{number} {word}" for word, number in sorted(one.counts.items()))
        for name, one in pack.criteria.items()
    }
    return {name: f"{one.standing} ({counts[name] or 'no claim'})" for name, one in pack.criteria.items()}


def _kills(pack: PackDocuments) -> dict[str, str]:
    return {
        row.id: f"{row.kills.score}{', hollow' if row.kills.hollow else ''}"
        for row in pack.matrix.rows
        if row.kills
    }


def _totals(pack: PackDocuments) -> dict[str, str]:
    """As in ``25 of 28 received, 1 late, 2 missing``."""
    return {
        check: ", ".join(
            [
                f"{totals.get('received', 0)} of {totals.get('expected', 0)} received",
                *(
                    f"{totals[word]} {word.replace('_', ' ')}"
                    for word in ("late", "stale", "refused", "missing", "without_unit")
                    if totals.get(word)
                ),
            ]
        )
        for check, totals in pack.coverage.items()
    }


def _compared(key: str, earlier: Mapping[str, str], later: Mapping[str, str]) -> dict[str, Json]:
    both = sorted(earlier.keys() & later.keys())
    return {
        "added": [{key: name, "to": later[name]} for name in sorted(later.keys() - earlier.keys())],
        "withdrawn": [{key: name, "from": earlier[name]} for name in sorted(earlier.keys() - later.keys())],
        "changed": [
            {key: name, "from": earlier[name], "to": later[name]}
            for name in both
            if earlier[name] != later[name]
        ],
        "same": sum(earlier[name] == later[name] for name in both),
    }


def _worse(earlier: Mapping[str, str], later: Mapping[str, str]) -> Iterator[str]:
    order = [word.value for word in Word]
    for name in sorted(earlier.keys() & later.keys()):
        if order.index(later[name]) < order.index(earlier[name]):
            yield name


def _exceptions(earlier: Mapping[str, _Exception], later: Mapping[str, _Exception]) -> dict[str, Json]:
    open_before = {name for name, one in earlier.items() if one.status == "open"}
    open_now = {name for name, one in later.items() if one.status == "open"}
    return {
        "new": strings(sorted(later.keys() - earlier.keys())),
        "still_open": strings(sorted(open_before & open_now)),
        "retested": strings(sorted((open_before & later.keys()) - open_now)),
        "not_listed": strings(sorted(open_before - later.keys())),
    }


def _titled(head: Mapping[str, Any]) -> str:
    window = f"{head['window']['first']} to {head['window']['last']}"
    return f"{head['project']}, {head['engagement']}, {window}, for {head['audience']}"


def _listed(title: str, names: list[str]) -> list[str]:
    return [f"{title}: {len(names)}", *(f"  {name}" for name in names)] if names else []


def _section(title: str, compared: Mapping[str, Any]) -> list[str]:
    key = "check" if title in {"verdicts", "coverage"} else "id"
    worse = set(compared.get("worse", ()))
    lines = [f"  - {one[key]}  was {one['from']}" for one in compared["withdrawn"]]
    lines += [f"  + {one[key]}  {one['to']}" for one in compared["added"]]
    lines += [
        f"  {'!' if one[key] in worse else '~'} {one[key]}  {one['from']} -> {one['to']}"
        for one in sorted(compared["changed"], key=lambda one: (one[key] not in worse, one[key]))
    ]
    return [f"{title}: {len(lines)} changed, {compared['same']} the same", *lines] if lines else []
