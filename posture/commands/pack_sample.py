"""`posture pack sample`: samples for auditors that neither side can choose."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evidence.proofs.keys import Verifier
    from evidence.record import Record
    from posture.sample_files import SampleFile
    from posture.workspace import Workspace

_LARGE = 1_000
"""Items of the population that a table's last line is shown for."""

SUMMARY = "draw samples that neither the auditor nor the operator can choose"

EXAMPLE = """who does what, in this order:
  operator  posture pack sample take --from 2026-07-01 --to 2026-09-30   log the populations
  both      posture pack sample sizes --table sampling.yaml              how many, and what would be missed
  auditor   posture pack sample nonce                                    keep the nonce, give the commitment
  operator  posture pack sample commit --population core.bypass_uses --size 25 \\
                --commitment HEX --auditor "Example Audit LLP"           log it, give the checkpoint
  auditor   keeps the checkpoint, and only then gives the nonce
  operator  posture pack sample draw --commitment-entry 42 --nonce HEX   the picks, with their proofs
  auditor   posture pack sample verify core.bypass_uses-000042.sample.json --key KEY --kept CHECKPOINT
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the steps of a sample."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    taken = _step(steps, "take", "read the populations of every database and log them")
    taken.add_argument("--from", dest="first", metavar="DAY", help="default: yesterday (UTC)")
    taken.add_argument("--to", dest="last", metavar="DAY", help="including; default: until now")
    steps.add_parser("nonce", help="make a nonce and its commitment; nothing is stored")
    committed = _step(steps, "commit", "log an auditor's commitment to a nonce and a size")
    committed.add_argument("--population", required=True, metavar="NAME", help="as `take` prints it")
    committed.add_argument("--entry", type=int, help="which of that name (default: the newest)")
    committed.add_argument("--size", required=True, type=int, metavar="N")
    committed.add_argument("--commitment", required=True, metavar="HEX", help="SHA-256 of the nonce")
    committed.add_argument("--auditor", required=True, metavar="WHO", help="read by auditors only")
    drawn = _step(steps, "draw", "draw what a nonce leads to, and write the files")
    drawn.add_argument("--commitment-entry", required=True, type=int, metavar="N")
    drawn.add_argument("--nonce", required=True, metavar="HEX", help="64 digits; `-` reads standard input")
    again = _step(steps, "files", "write the files of a logged sample again")
    again.add_argument("--entry", required=True, type=int, metavar="N", help="of the sample")
    for writing in (committed, drawn, again):
        writing.add_argument("--out", metavar="DIR", help="default: samples under the project's state")
    verified = _step(steps, "verify", "check a sample's file; needs no ledger")
    verified.add_argument("file", metavar="FILE")
    verified.add_argument("--key", help="the log's verifier key (default: the project's, if there is one)")
    verified.add_argument("--kept", metavar="FILE", help="the checkpoint that `commit` wrote")
    sizes = _step(steps, "sizes", "an auditor's table of sizes, and what each would miss")
    sizes.add_argument("--table", required=True, metavar="FILE", help="such as examples/sampling.yaml")


def _step(
    steps: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = steps.add_parser(
        name, help=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do one step."""
    steps = {
        "take": _take,
        "nonce": _nonce,
        "commit": _commit,
        "draw": _draw,
        "files": _files,
        "verify": _verify,
        "sizes": _sizes,
    }
    return steps[arguments.step](arguments)


def _take(arguments: argparse.Namespace) -> int:
    from evidence.record import Outcome
    from posture.access import AccessBook
    from posture.records import RunClock
    from posture.sampling import take
    from posture.times import midnight

    workspace = _opened(arguments, writing=True)
    start = midnight(arguments.first, "--from") if arguments.first else None
    end = midnight(arguments.last, "--to", after=True) if arguments.last else None
    if start and start >= min(end or RunClock.now(), RunClock.now()):
        raise UsageError(f"--from {arguments.first} is not before the end of the window")
    taken = take(workspace.project, workspace.log, AccessBook(workspace.project, start, end))
    for entry, record in taken:
        print(_population_line(entry, record))
    whole = taken and all(record.header.outcome is Outcome.OBSERVED for _, record in taken)
    return Exit.HOLDS if whole else Exit.INCOMPLETE


def _population_line(entry: int, record: Record) -> str:
    from evidence.kinds.population import Population
    from evidence.payload import timestamp

    payload, header = record.payload, record.header
    if not isinstance(payload, Population):
        return f"{header.subject:<26} {header.outcome}: {header.reason}"
    second = (
        "the second source agrees"
        if payload.reconciled
        else (
            f"the second source counts {payload.second_count}, at {payload.difference_count} places otherwise"
        )
    )
    gaps = f", {payload.gap_count} gaps in {payload.sequence}" if payload.sequence else ""
    partial = "" if header.outcome == "observed" else f"  {header.outcome.upper()}: {header.reason}"
    window = f"{timestamp(payload.window.start)} to {timestamp(payload.window.end)}"
    return f"{payload.name:<26} entry {entry}, {payload.count} items, {second}{gaps}; {window}{partial}"


def _nonce(_arguments: argparse.Namespace) -> int:
    from evidence.sampling import NONCE_BYTES, commitment_of

    nonce = secrets.token_bytes(NONCE_BYTES)
    print(f"nonce       {nonce.hex()}   keep it to yourself until the commitment is logged")
    print(f"commitment  {commitment_of(nonce).hex()}   give this to the operator; the nonce works once")
    return Exit.HOLDS


def _commit(arguments: argparse.Namespace) -> int:
    from posture.sampling import commit, find_population

    workspace = _opened(arguments, writing=True)
    records = workspace.log.read()
    population = find_population(records, arguments.population, arguments.entry)
    done = commit(
        workspace.log,
        records,
        population=population,
        size=arguments.size,
        commitment=arguments.commitment,
        auditor=arguments.auditor,
    )
    path = _folder(arguments, workspace) / f"{arguments.population}-{done.entry:06d}.checkpoint"
    _write({path: done.checkpoint})
    told = _population_line(population.entry, population.record)
    print(f"entry {done.entry} promises {arguments.size} items of {told}")
    print(
        f"1. give {path} to the auditor, who keeps it\n"
        "2. only then the auditor tells the nonce\n"
        f"3. posture pack sample draw --commitment-entry {done.entry} --nonce HEX"
    )
    return Exit.HOLDS


def _draw(arguments: argparse.Namespace) -> int:
    from posture.sampling import draw

    workspace = _opened(arguments, writing=True)
    nonce = _hexadecimal(sys.stdin.read() if arguments.nonce == "-" else arguments.nonce)
    done = draw(workspace.log, workspace.log.read(), commitment_entry=arguments.commitment_entry, nonce=nonce)
    return _write_sample(arguments, workspace, done.entry)


def _files(arguments: argparse.Namespace) -> int:
    return _write_sample(arguments, _opened(arguments, writing=False), arguments.entry)


def _write_sample(arguments: argparse.Namespace, workspace: Workspace, entry: int) -> int:
    from posture.sample_files import encoded, picks_csv, sample_file

    file = sample_file(workspace.log.ledger, workspace.log.read(), entry)
    folder, stem = _folder(arguments, workspace), f"{file.population}-{file.commitment_entry:06d}"
    files = {folder / f"{stem}.sample.json": encoded(file), folder / f"{stem}.sample.csv": picks_csv(file)}
    _write(files)
    print(f"entry {entry}: {file.size} of {file.count} items of {file.population}: {_numbers(file.ordered)}")
    print(_told(file))
    print("\n".join(f"wrote {path}" for path in files))
    return Exit.HOLDS


def _told(file: SampleFile) -> str:
    lines = [f"this sample of {file.size} shows none of"]
    lines += [f"  {one.deviations:>6} deviations with a chance of {one.chance}" for one in file.misses]
    return "\n".join([*lines, file.whole])


def _numbers(picks: Sequence[int], most: int = 30) -> str:
    more = f" … and {len(picks) - most} more" if len(picks) > most else ""
    return " ".join(map(str, picks[:most])) + more


def _verify(arguments: argparse.Namespace) -> int:
    from evidence.sampling import SamplingError
    from posture.sample_verification import verify_sample

    content = _read(arguments.file)
    kept = _read(arguments.kept) if arguments.kept else None
    origin, key = _pinned(arguments)
    try:
        verified = verify_sample(content, origin=origin, key=key, kept=kept)
    except SamplingError as error:
        print(f"{arguments.file}: DOES NOT HOLD: {error}")
        return Exit.FINDINGS
    print("\n".join(verified.checked))
    print(_told(verified.file))
    print(f"{arguments.file}: verified")
    return Exit.HOLDS


def _sizes(arguments: argparse.Namespace) -> int:
    from evidence.kinds.population import Population
    from posture.commands.options import project_file
    from posture.sampling import of_kind
    from posture.sampling_habits import load_habits

    habits = load_habits(Path(arguments.table))
    print(f"{habits.auditor}: {habits.basis}")
    below = 0
    for band in habits.bands:
        count = band.up_to or max(below + 1, _LARGE)
        reach = f"up to {band.up_to}" if band.up_to else f"above {below}"
        print(f"  {reach:<12} {_size(band.size(count), count)}")
        below = count
    if project_file(arguments.config) is None or load(arguments.config).ledger is None:
        return Exit.HOLDS
    populations = of_kind(_opened(arguments, writing=False).log.read(), Population)
    newest = {one.name: (entry, one) for entry, one in populations}
    for name, (entry, one) in sorted(newest.items()):
        size = habits.size(one.count)
        told = "the table does not say" if size is None else _size(size, one.count)
        print(f"{name} (entry {entry}, {one.count} items): {told}")
    return Exit.HOLDS


def _size(size: int, count: int) -> str:
    from evidence.sampling import misses, percent

    if size == 0:
        return "nothing to draw"
    if size == count:
        return f"all {count}: misses none"
    chances = ", ".join(
        f"{one.deviations}: {percent(one.chance)}" for one in misses(count, size) if one.deviations < count
    )
    return f"{size} of {count}: chance to miss all of {chances}"


def _opened(arguments: argparse.Namespace, *, writing: bool) -> Workspace:
    from posture.workspace import open_workspace

    return open_workspace(load(arguments.config), writing=writing)


def _pinned(arguments: argparse.Namespace) -> tuple[str | None, Verifier | None]:
    """The log's name and key: as given, else the project's, else unknown."""
    from evidence.proofs.errors import ProofsError
    from evidence.proofs.notes import parse_verifier_key
    from evidence.proofs.signers import Ed25519Verifier
    from posture.commands.options import project_file

    if arguments.key:
        try:
            origin, public = parse_verifier_key(arguments.key)
        except ProofsError as error:
            raise UsageError(f"--key: {error}") from error
        return origin, Ed25519Verifier(public)
    if project_file(arguments.config) is None or load(arguments.config).ledger is None:
        return None, None
    ledger = _opened(arguments, writing=False).log.ledger
    return ledger.origin, Ed25519Verifier(ledger.keys.newest)


def _folder(arguments: argparse.Namespace, workspace: Workspace) -> Path:
    return Path(arguments.out) if arguments.out else workspace.state / "samples"


def _write(files: dict[Path, bytes]) -> None:
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}; name a file") from error


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError as error:
        raise UsageError("--nonce is 64 hexadecimal digits, as `posture pack sample nonce` prints") from error
