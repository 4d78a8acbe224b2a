"""An auditor's own table of sample sizes, `sampling.yaml`.

The AICPA fixes no sizes and every firm has habits of its own, so the table is a file of theirs and never
a constant of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from posture.config_reader import read_typed
from posture.errors import UsageError

ALL = "all"


@dataclass(frozen=True, slots=True)
class _Line:
    sample: object
    up_to: object = None


@dataclass(frozen=True, slots=True)
class _File:
    auditor: str
    basis: str
    sizes: tuple[_Line, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Populations of up to so many items (None: any larger one), and the sample (None: all items)."""

    up_to: int | None
    sample: int | None

    def size(self, count: int) -> int:
        """How many of `count` items are drawn."""
        return count if self.sample is None else min(self.sample, count)


@dataclass(frozen=True, slots=True)
class Habits:
    """Whose table it is, what it rests on, and its bands by rising size."""

    auditor: str
    basis: str
    bands: tuple[Band, ...]

    def size(self, count: int) -> int | None:
        """How many items of a population of `count` are drawn; None where the table does not say."""
        found = (band for band in self.bands if band.up_to is None or count <= band.up_to)
        band = next(found, None)
        return None if band is None else band.size(count)


def load_habits(path: Path) -> Habits:
    """Read a `sampling.yaml`.

    Raises:
        ConfigError: naming the line and the key that is wrong.
        UsageError: a size is no number, or the bands do not rise.
    """
    read = read_typed(path, _File)
    bands = tuple(
        Band(_number(line.up_to, path, f"sizes[{n}].up_to"), _sample(line.sample, path, f"sizes[{n}].sample"))
        for n, line in enumerate(read.sizes)
    )
    limits = [band.up_to for band in bands]
    known = [limit for limit in limits if limit is not None]
    if not bands or None in limits[:-1] or any(b <= a for a, b in pairwise(known)):
        raise UsageError(
            f"{path}: sizes must rise by `up_to`, and only the last line may go without it; sort them"
        )
    return Habits(read.auditor, read.basis, bands)


def _sample(value: object, path: Path, key: str) -> int | None:
    return None if value == ALL else _number(value, path, key) or _refuse(value, path, key)


def _number(value: object, path: Path, key: str) -> int | None:
    if value is None:
        return None
    return value if type(value) is int and value > 0 else _refuse(value, path, key)


def _refuse(value: object, path: Path, key: str) -> int:
    raise UsageError(f"{path}: {key} is {value!r}; give a number above 0, or `all` as a sample")
