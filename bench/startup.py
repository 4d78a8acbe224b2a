"""How long `posture --help` takes, against an interpreter that does nothing.

Both are started in turn in one run, so that other work on the machine meets both alike; the medians are
compared. Ends with 1 when the ratio is above the aim. Run as `python bench/startup.py [ROUNDS]`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 20
AIM = 10.0
NOTHING = (sys.executable, "-c", "pass")
OURS = (str(Path(sys.executable).with_name("posture")), "--help")


def seconds(command: Sequence[str]) -> float:
    """The wall-clock seconds from the start of a program to its end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(rounds: int) -> int:
    """Measure, print both medians and their ratio; 0 when the ratio is within the aim."""
    for command in (NOTHING, OURS):  # the first start writes byte code and fills the disk's cache
        seconds(command)
    pairs = [(seconds(NOTHING), seconds(OURS)) for _ in range(rounds)]
    nothing, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = ours / nothing
    print(f"python -c pass   {nothing * 1000:6.1f} ms (median of {rounds})")
    print(f"posture --help   {ours * 1000:6.1f} ms (median of {rounds})")
    print(f"ratio            {ratio:6.1f}    (aim: at most {AIM:g})")
    return 0 if ratio <= AIM else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS))
