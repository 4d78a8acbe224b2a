"""Draw the samples of a pack again: `python rederive.py` in 05-samples. Python 3.9 or newer, nothing else.

Recomputes each sample's picks from its nonce and two roots, and that each pick is in the population. That
the roots and the promised nonce are those of the log is what verify/verify.py and the log show.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import pathlib
import sys
from typing import Any


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts in a row."""
    return hashlib.sha256(b"".join(parts)).digest()


def draw(seed: bytes, count: int, size: int) -> list[int]:
    """Candidates are the leading bits of HMAC-SHA-256(seed, block); too large or drawn: passed over."""
    picks: dict[int, None] = {}
    block, shift = 0, 64 - (count - 1).bit_length()
    while len(picks) < size <= count:
        word = hmac.new(seed, block.to_bytes(8, "big"), "sha256").digest()[:8]
        candidate, block = int.from_bytes(word, "big") >> shift, block + 1
        if candidate < count:
            picks[candidate] = None
    return list(picks)


def root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The RFC 6962 root that a leaf at this index and its path (from the bottom) lead to."""
    if size == 1 or not path:
        return leaf if size == 1 and not path else b"a path of another length"
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        return sha256(b"\1", root(leaf, index, left, path[:-1]), path[-1])
    return sha256(b"\1", path[-1], root(leaf, index - left, size - left, path[:-1]))


def check(sample: dict[str, Any]) -> str:
    """What is wrong with a sample; '' when all of it follows."""
    part = {name: bytes.fromhex(sample[name]) for name in ("population_root", "nonce", "checkpoint_root")}
    if sha256(part["nonce"]).hex() != sample["commitment"]:
        return "the nonce is not the promised one"
    if draw(sha256(b"posture.sample/v1", *part.values()), sample["count"], sample["size"]) != sample["drawn"]:
        return "the picks are not those that follow"
    if [pick["index"] for pick in sample["picks"]] != sorted(sample["drawn"]):
        return "the rows are not those of the picks"
    for pick in sample["picks"]:
        item = {"row": pick["row"], "salt": pick["salt"]}
        text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        path = [bytes.fromhex(one) for one in pick["proof"]]
        if (
            root(sha256(b"\0", text.encode()), pick["index"], sample["count"], path)
            != part["population_root"]
        ):
            return f"item {pick['index']} is not in the population"
    return ""


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    files = [pathlib.Path(name) for name in sys.argv[1:]] or sorted(here.glob("*.sample.json"))
    wrong = {str(file): check(json.loads(file.read_bytes())) for file in files}
    for name, why in wrong.items():
        print(f"{name}: {why or 'the picks follow, and each is in the population'}")
    sys.exit(0 if wrong and not any(wrong.values()) else 1)
