"""What redacting costs beside reading: records of Bedrock logs against gunzip, a typed parse and a hash.

``python bench/redaction.py [--megabytes N]`` writes seeded log objects of all four operations into a
temporary folder, then reads them three ways in alternating rounds: unzipped, parsed by type with the
bodies left as bytes and hashed, without any check; by the ingestion's reader and projection; and by the
latter in two processes. It prints MB of inflated JSON per second of processor time (for two processes, by
the clock) and the ratios. ``--memory`` reads as many objects again and again until 1 GB was inflated and
prints the most memory on the way.
"""

from __future__ import annotations

import argparse
import gzip
import hmac
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import msgspec
from isal import igzip

from core_platform.redaction import HashKeyring, Operation, Projection
from core_platform.redaction.s3_reader import inflate, split_lines
from core_platform.tenancy import TenantId

TENANT = TenantId.parse("0190f5e0-0000-7000-8000-00000000000a")
KEY = bytes(range(32))
ROUNDS = 5
OBJECTS = 12
#: Bytes of text in a body: 15.6 KB of record on average, as in the corpus of the research.
SHORTEST, LONGEST = 200, 14_000
MEGABYTE = 1_000_000


class Body(msgspec.Struct):
    """The request's or the response's half of a record, its body as delivered."""

    inputBodyJson: msgspec.Raw = msgspec.Raw()  # noqa: N815 - AWS's name
    outputBodyJson: msgspec.Raw = msgspec.Raw()  # noqa: N815 - AWS's name
    inputTokenCount: int = 0  # noqa: N815 - AWS's name
    outputTokenCount: int = 0  # noqa: N815 - AWS's name


class Bare(msgspec.Struct):
    """A record as the bare reading takes it: typed, unchecked."""

    timestamp: str
    accountId: str  # noqa: N815 - AWS's name
    region: str
    requestId: str  # noqa: N815 - AWS's name
    operation: str
    modelId: str  # noqa: N815 - AWS's name
    input: Body
    output: Body


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=60, help="inflated JSON to make and read")
    parser.add_argument("--memory", action="store_true", help="also read until 1 GB was inflated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        objects = written(Path(folder), arguments.megabytes * MEGABYTE)
        size = sum(len(gzip.decompress(one.read_bytes())) for one in objects)
        bare, ours = cpu_rates(objects, size)
        one, two = clock_rates(objects, size)
        print(f"{size / MEGABYTE:.0f} MB of JSON in {len(objects)} objects")
        print(f"bare gunzip, typed parse, hash   {bare:7.0f} MB/s")
        print(f"redaction                        {ours:7.0f} MB/s   {ours / bare:.2f} of bare (aim 0.6)")
        print(f"two processes, by the clock      {two:7.0f} MB/s   {two / one:.2f}x one (aim 1.7)")
        if arguments.memory:
            print("most memory after 100 MB, 1 GB:  {:.0f}, {:.0f} MB".format(*memory(objects, size)))


def written(folder: Path, size: int) -> list[Path]:
    """Log objects of about `size` bytes of JSON together."""
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 11))) for _ in range(4000)]
    paths = []
    for number in range(OBJECTS):
        lines, length = [], 0
        while length < size // OBJECTS:
            lines.append(json.dumps(record(dice, words), separators=(",", ":")) + "\n")
            length += len(lines[-1])
        paths.append(folder / f"{number:03d}.json.gz")
        paths[-1].write_bytes(gzip.compress("".join(lines).encode(), compresslevel=6, mtime=0))
    return paths


def record(dice: random.Random, words: list[str]) -> dict[str, object]:
    """A record of any operation, bodies of natural length."""

    def prose() -> str:
        return " ".join(dice.choices(words, k=dice.randint(SHORTEST, LONGEST) // 7))

    operation = dice.choice(tuple(Operation))
    streamed = operation in (Operation.CONVERSE_STREAM, Operation.INVOKE_MODEL_STREAM)
    answer: object = (
        [{"delta": {"text": prose()[:400]}} for _ in range(12)] if streamed else {"text": prose()}
    )
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-01T12:00:00Z",
        "accountId": "111122223333",
        "identity": {"arn": "arn:aws:sts::111122223333:assumed-role/bot/session"},
        "region": "us-east-1",
        "requestId": str(UUID(int=dice.getrandbits(128), version=4)),
        "operation": operation.value,
        "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": {"messages": [{"role": "user", "content": prose()}]},
            "inputTokenCount": 900,
        },
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": answer,
            "outputTokenCount": 300,
        },
    }


def read_bare(path: Path) -> None:
    """What any reader has to do, and nothing else."""
    decoder = msgspec.json.Decoder(Bare)
    # isal's package has types for its zlib half only.
    for line in igzip.decompress(path.read_bytes()).splitlines():  # type: ignore[no-untyped-call]
        found = decoder.decode(line)
        hmac.digest(KEY, found.input.inputBodyJson, "sha256")
        hmac.digest(KEY, found.output.outputBodyJson, "sha256")


def read_ours(path: Path) -> None:
    """The ingestion's way, up to the row."""
    projection = Projection(HashKeyring(KEY).of(TENANT))
    unknown: Counter[str] = Counter()
    for line in split_lines(inflate(chunks(path))):
        projection.project(line, unknown)


def chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(256 * 1024):
            yield piece


def cpu_rates(objects: list[Path], size: int) -> tuple[float, float]:
    """MB/s of processor time, bare and ours, best of the rounds."""
    least = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for at, read in enumerate((read_bare, read_ours)):
            least[at] = min(least[at], cpu_seconds(read, objects))
    return size / MEGABYTE / least[0], size / MEGABYTE / least[1]


def cpu_seconds(read: Callable[[Path], None], objects: list[Path]) -> float:
    began = time.process_time()
    for path in objects:
        read(path)
    return time.process_time() - began


def clock_rates(objects: list[Path], size: int) -> tuple[float, float]:
    """MB/s by the clock, of one and of two processes, best of the rounds."""
    least = {1: float("inf"), 2: float("inf")}
    for processes in (1, 2) * ROUNDS:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            pool.map(read_ours, objects[:2], chunksize=1)
            began = time.perf_counter()
            pool.map(read_ours, objects, chunksize=1)
            least[processes] = min(least[processes], time.perf_counter() - began)
    return size / MEGABYTE / least[1], size / MEGABYTE / least[2]


def memory(objects: list[Path], size: int) -> tuple[float, float]:
    """Most resident memory in MB after 100 MB and after 1 GB, in this process."""
    marks: list[float] = []
    read = 0
    while len(marks) < 2:
        for path in objects:
            read_ours(path)
        read += size
        if read >= (100 * MEGABYTE, 1000 * MEGABYTE)[len(marks)]:
            marks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
    return marks[0], marks[1]


if __name__ == "__main__":
    main()
