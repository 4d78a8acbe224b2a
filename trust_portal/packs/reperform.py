#!/usr/bin/env python3
"""Judges again: runs the checks that a pack carries over the pack's own evidence, and compares the verdicts.

For an auditor. The pack is verified first (`verify.py`, which lies beside this file), and its code runs only
when the digest of `judging/` is the one that logged verdicts name. It runs in a process of its own whose
modules are `judging/` and Python's standard library (3.11 or newer); it needs no network and writes nothing.

    python3 reperform.py pack.zip --origin example.com/log --key 'example.com/log+0a1b2c3d+AQ…'

Exit codes: 0 every verdict of the pack follows; 1 one does not, or the pack does not verify; 2 wrong usage;
3 something could not be judged again, and it is said what.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.dont_write_bytecode = True  # an unpacked pack stays the files that its manifest names
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import verify  # type: ignore[import-not-found, unused-ignore]
else:
    from trust_portal.packs import verify

CHILD = """
import base64, json, sys
sys.path.insert(0, sys.argv[1])
from checks.check import load_checks
from checks.reperform import reperform
from checks.sources import judging_source
from evidence import kinds
from evidence.record import unseal
from evidence.view import LoggedRecord
records, wanted = [], set(map(int, sys.argv[3:]))
for line in sys.stdin:
    said = json.loads(line)
    trees = {digest: base64.b64decode(tree) for digest, tree in said["trees"].items()}
    record = unseal(base64.b64decode(said["statement"]), trees.__getitem__)
    records.append(LoggedRecord(record, said["digest"], said["entry"]))
if judging_source() != sys.argv[2]:
    raise SystemExit("the source that runs is not the one that judged")
load_checks()
found = reperform(records, [one for one in records if one.entry in wanted])
json.dump([[one.check, one.entry, one.field, one.logged, one.again] for one in found], sys.stdout)
"""


class NotJudged(Exception):
    """Nothing can be judged again from this pack, or the judging process failed."""


def reperform(run: verify.Verification) -> tuple[list[str], list[str], int]:
    """Judge the verdicts of a verified pack again.

    Returns:
        Differences, what could not be judged again, and how many verdicts were.

    Raises:
        NotJudged: the pack is not an auditor's, or no verdict of it was judged by the source that it carries.
    """
    if run.manifest["audience"] != verify.AUDIENCES[-1]:
        raise NotJudged(f"a pack for the audience {run.manifest['audience']} lacks payloads that judges read")
    ours: list[tuple[int, str]] = []
    others: list[tuple[int, str]] = []
    for index, check, source in _verdicts(run):
        (ours if source == run.source else others).append((index, check))
    if not ours:
        raise NotJudged("no verdict of the pack was judged by the source that it carries")
    left = sorted({check for index, check in others if index in run.newest[verify.VERDICT].values()})
    lacking = [
        f"{check}: its newest verdict was judged by other source than judging/ holds" for check in left
    ]
    if len(others) > len(left):
        older = len(others) - len(left)
        run.notes.append(f"{older} earlier verdicts were judged by other source; they stay as logged.")
    return _run(run, [index for index, _ in ours]), lacking, len(ours)


def _verdicts(run: verify.Verification) -> Iterator[tuple[int, str, str]]:
    """Entry, check and source of each verdict of the window, and of the newest of each check."""
    window, newest = run.manifest["window"], {*run.newest[verify.VERDICT].values()}
    for index, recorded in run.recorded.items():
        inside = recorded[:10] >= window["from"] and recorded <= run.manifest["as_of"]
        if (inside or index in newest) and run.entry(index)[0][verify.KIND] == verify.VERDICT:
            value = run.record(index)["value"]
            yield index, value["check"], value["source"]


def _run(run: verify.Verification, wanted: Sequence[int]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="judging-") as folder:
        for name, content in run.files.items():
            if name.startswith("judging/"):
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        command = [sys.executable, "-I", "-S", "-B", "-c", CHILD, str(Path(folder, "judging")), run.source]
        done = subprocess.run(
            [*command, *map(str, wanted)],
            input="".join(json.dumps(line) + "\n" for line in _lines(run)),
            capture_output=True,
            text=True,
            cwd=folder,
            env={},
            check=False,
        )
    if done.returncode:
        raise NotJudged(f"the judging process failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return [
        f"{check} (entry {entry}): {field} was {logged}, again it is {again}"
        for check, entry, field, logged, again in json.loads(done.stdout)
    ]


def _lines(run: verify.Verification) -> Iterator[dict[str, Any]]:
    """Each carried record with its three payload subtrees, in the order of the log."""
    for index in run.recorded:
        cells, trees = run.entry(index)
        statement = verify.statement_of(cells)
        yield {
            "entry": index,
            "digest": hashlib.sha256(statement).hexdigest(),
            "statement": base64.b64encode(statement).decode(),
            "trees": {hashlib.sha256(tree).hexdigest(): base64.b64encode(tree).decode() for tree in trees},
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Judge a pack's evidence again and compare the verdicts.")
    parser.add_argument("pack", help="the zip, or the folder that it was unpacked to")
    parser.add_argument("--origin", help="the log's name, from a source of your own")
    parser.add_argument("--key", help="the log's key line (name+id+base64), from a source of your own")
    options = parser.parse_args(arguments)
    try:
        key = verify.pinned(options.pack, options.origin, options.key)
    except (verify.Bad, ValueError) as error:
        print(f"reperform.py: {error}", file=sys.stderr)
        return 2
    run = verify.Verification(key, signatures=True, say=lambda line: print(line, file=sys.stderr))
    run.verify(Path(options.pack))
    print(verify.report(run, options.pack, as_json=False))
    if run.problems:
        return 1
    known = len(run.notes)
    try:
        differences, lacking, judged = reperform(run)
    except NotJudged as error:
        print(f"{options.pack}: nothing was judged again: {error}")
        return 3
    for line in (*differences, *lacking, *run.notes[known:]):
        print(line)
    print(f"{options.pack}: {judged} verdicts judged again, {len(differences)} difference(s)")
    return 1 if differences else 3 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
