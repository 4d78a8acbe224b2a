"""Mutated log records of every kind through the projection: no crash, and nothing of a body comes out.

`make fuzz` runs 100,000 of them (POSTURE_FUZZ_RECORDS); POSTURE_FUZZ_SEED replays a run.
"""

import gzip
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from core_platform.redaction import HashKeyring, Projection, RecordRefused, sample_logs
from core_platform.tenancy import TenantId

TENANT = TenantId.parse("0190f5e0-0000-7000-8000-00000000000a")
PROJECTION = Projection(HashKeyring(bytes(range(32))).of(TENANT))
GRAM = 8
#: What may come out because every canary begins so.
COMMON = "CANARY-"
SPLICES = (
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"null",
        b"NaN",
        b"1e999",
        b"\\ud800",
        b"\\u0000",
    ),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"[" * 3000, b"9" * 5000),
    *(b'"requestId":"x",', b'"input":{},'),
)


@cache
def corpus() -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Records of all operations, and the canaries in them."""
    sample = sample_logs(11, objects=2, records_per_object=40)
    lines = [
        one
        for key, content in sample.objects.items()
        if content and "/data/" not in key
        for one in gzip.decompress(content).splitlines()
    ]
    return tuple(lines), sample.canaries


def spliced(dice: Random, text: bytes) -> bytes:
    at = dice.randrange(len(text))
    return text[:at] + dice.choice(SPLICES) + text[at + dice.randrange(3) :]


def flipped(dice: Random, text: bytes) -> bytes:
    at = dice.randrange(len(text))
    return text[:at] + bytes([text[at] ^ 1 << dice.randrange(8)]) + text[at + 1 :]


def cut(dice: Random, text: bytes) -> bytes:
    first, last = sorted(dice.randrange(len(text)) for _ in range(2))
    return text[:first] + text[last:]


def moved(dice: Random, text: bytes) -> bytes:
    """A piece of one record in the middle of another: bodies end up where labels belong."""
    other = dice.choice(corpus()[0])
    first, at = dice.randrange(len(other)), dice.randrange(len(text))
    return text[:at] + other[first : first + dice.randrange(200)] + text[at:]


def swapped(dice: Random, text: bytes) -> bytes:
    """The text of a body as the value of an allowed field."""
    words = dice.choice(corpus()[1]).encode()
    name = dice.choice(
        [b"modelId", b"region", b"requestId", b"accountId", b"operation", b"arn", b"timestamp"]
    )
    head, found, tail = text.partition(b'"' + name + b'": "')
    return head + found + words + tail[tail.find(b'"') :] if found else text


MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (spliced, flipped, cut, moved, swapped)


def check(seed: int) -> bool:
    """One mutated record; whether it was projected."""
    dice = Random(seed)
    lines, canaries = corpus()
    text = dice.choice(lines)
    for _ in range(dice.randint(1, 4)):
        text = dice.choice(MUTATIONS)(dice, text) or b" "
    unknown: Counter[str] = Counter()
    try:
        # A role's name is kept, also one that a mutation made out of a body's text.
        out, projected = repr(replace(PROJECTION.project(text, unknown), role_name=None)), True
    except RecordRefused as refused:
        out, projected = f"{refused!r} {refused} {refused.__cause__!r} {refused.__context__!r}", False
    out += repr(unknown)
    assert not leaks(out, canaries), f"POSTURE_FUZZ_SEED={seed}"
    return projected


def leaks(out: str, canaries: tuple[str, ...]) -> list[str]:
    """The canaries of which eight letters beyond the common beginning are in a text."""
    bodies = [word.removeprefix(COMMON) for word in canaries]
    grams = {out[at : at + GRAM] for at in range(len(out) - GRAM + 1)}
    return [
        body for body in bodies if any(body[at : at + GRAM] in grams for at in range(len(body) - GRAM + 1))
    ]


def test_mutated_records_are_projected_or_refused_and_leak_nothing() -> None:
    projected = [check(seed) for seed in range(1_000)]
    assert 50 < sum(projected) < 950


def test_a_leak_would_be_seen() -> None:
    canaries = corpus()[1]
    assert leaks(f"role='{canaries[3][9:19]}'", canaries) == [canaries[3].removeprefix(COMMON)]


@pytest.mark.soak
def test_many_mutated_records() -> None:
    seed = int(os.environ.get("POSTURE_FUZZ_SEED", str(time.time_ns())))
    for number in range(int(os.environ.get("POSTURE_FUZZ_RECORDS", "100000"))):
        check(seed + number)
