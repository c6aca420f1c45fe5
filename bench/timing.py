"""Interleaved timing, on the minimum: what scatters on a shared machine hits both alike."""

from __future__ import annotations

import time
from collections.abc import Callable


def interleaved_ms(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int = 15
) -> tuple[float, float]:
    """Return the fastest run of each in milliseconds, taken in turns after one warm-up."""
    ours(), peer()
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for slot, call in enumerate((ours, peer)):
            started = time.perf_counter()
            call()
            best[slot] = min(best[slot], (time.perf_counter() - started) * 1000)
    return best[0], best[1]
