"""GPU readings for machines without a GPU: seeded, so that every run sends the same.

For demonstrations, load and tests. Utilisation follows a slow daily curve with jobs that come and go;
memory and power follow utilisation, as they do on real cards.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

DAY_SECONDS = 86_400
CARD_MEMORY_MIB = 81_920
IDLE_WATTS, PEAK_WATTS = 68.0, 700.0


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One reading of one GPU: milliseconds since 1970, percent, MiB, watts."""

    gpu_index: int
    ts_ms: int
    utilization_percent: float
    memory_used_mib: int
    power_watts: float


def telemetry(
    seed: int, *, gpus: int = 8, start_ms: int = 1_764_000_000_000, step_ms: int = 15_000
) -> Iterator[tuple[GpuReading, ...]]:
    """Batches without end, one reading for each GPU every ``step_ms``; equal seeds give equal ones."""
    dice = random.Random(seed)  # noqa: S311 - reproducible load, not a secret
    load = [dice.uniform(20, 80) for _ in range(gpus)]
    ts_ms = start_ms
    while True:
        load = [_next_load(dice, one) for one in load]
        yield tuple(_reading(dice, index, ts_ms, one) for index, one in enumerate(load))
        ts_ms += step_ms


def _next_load(dice: random.Random, load: float) -> float:
    """Mostly drifts; sometimes a job starts or ends."""
    if dice.random() < 0.02:
        return dice.choice((3.0, 95.0))
    return min(100.0, max(0.0, load + dice.gauss(0, 2)))


def _reading(dice: random.Random, index: int, ts_ms: int, load: float) -> GpuReading:
    daily = 0.85 + 0.15 * math.sin(2 * math.pi * (ts_ms / 1000 % DAY_SECONDS) / DAY_SECONDS)
    percent = round(min(100.0, load * daily), 2)
    share = percent / 100
    return GpuReading(
        gpu_index=index,
        ts_ms=ts_ms,
        utilization_percent=percent,
        memory_used_mib=int(CARD_MEMORY_MIB * min(0.98, 0.05 + 0.9 * share)),
        power_watts=round(IDLE_WATTS + (PEAK_WATTS - IDLE_WATTS) * share + dice.uniform(0, 5), 1),
    )
