"""Rates, stage times and drops of one feed, as plain data."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

# In the order in which a frame passes them: arrival to Frame, Frame to refiner, in the refiner,
# refined to painted; the last two are from arrival on this host.
STAGES = ("camera", "wait", "refine", "display", "until_refined", "until_shown")


class Rate:
    """Events per second: over the whole run, and over the last seconds."""

    def __init__(self, recent: int = 90) -> None:
        self.count = 0
        self._first_ns = 0
        self._recent: deque[int] = deque(maxlen=recent)

    def tick(self, now_ns: int | None = None) -> None:
        """Count one event."""
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        if self.count == 0:
            self._first_ns = now_ns
        self.count += 1
        self._recent.append(now_ns)

    @property
    def mean_hz(self) -> float:
        """Over the run, from the first event to the last."""
        return self._per_second(self.count, self._first_ns)

    @property
    def recent_hz(self) -> float:
        """Over the last events; falls towards 0 when they cease."""
        if len(self._recent) < 2:
            return 0.0
        rate = self._per_second(len(self._recent), self._recent[0])
        silent_s = (time.monotonic_ns() - self._recent[-1]) / 1e9
        return min(rate, 2.0 / silent_s) if silent_s > 0 else rate

    def _per_second(self, count: int, first_ns: int) -> float:
        span_s = (self._recent[-1] - first_ns) / 1e9 if self._recent else 0.0
        return (count - 1) / span_s if span_s > 0 else 0.0


class Samples:
    """The last measurements of one thing, for percentiles."""

    def __init__(self, size: int = 600) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        """Remember one value."""
        self._values.append(value)

    def percentile(self, percent: float) -> float:
        """Return a percentile of what is remembered, 0.0 without values."""
        values = list(self._values)
        return float(np.percentile(values, percent)) if values else 0.0

    def summary(self) -> Summary | None:
        """Return median, 95th percentile and largest; None without values."""
        values = list(self._values)
        if not values:
            return None
        # np.percentile's own value in a tenth of its time; the window asks often.
        ordered, last = np.sort(values), len(values) - 1
        p50, p95 = np.interp([0.5 * last, 0.95 * last], np.arange(last + 1), ordered)
        return Summary(round(float(p50), 3), round(float(p95), 3), round(float(ordered[-1]), 3))


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the last measurements of one thing."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """What `FeedStats` counted up to a moment."""

    captured: int
    refined: int
    shown: int
    drops: dict[str, int]
    missed: dict[str, int]
    out_of_range_pixels: int
    reconnects: int
    warnings: list[str]  # of the refined depth that was looked at last
    flying_share: float | None  # of its pixels, removed as flying points; None = not asked for
    fps_captured: float
    fps_refined: float
    fps_shown: float
    fps_captured_recent: float
    fps_refined_recent: float
    fps_shown_recent: float
    latency_ms: dict[str, Summary]  # by stage of `STAGES`


class FeedStats:
    """Counts of one feed; every method may be called from any thread.

    After the feed has stopped, ``captured == refined + sum(drops)``. What never became a Frame
    (gaps in the device's numbers, mispaired images) is counted apart, as ``missed``.
    """

    def __init__(self, window: int = 600) -> None:
        self._lock = threading.Lock()
        self._captured = Rate()
        self._refined = Rate()
        self._shown = Rate()
        self._drops: Counter[str] = Counter()
        self._stages = {stage: Samples(window) for stage in STAGES}
        self.missed: Counter[str] = Counter()
        self.reconnects = 0
        self.warnings: tuple[str, ...] = ()  # of the refined depth that was looked at last
        self.flying_share: float | None = None  # of the last result
        self.out_of_range = 0  # pixels of all Frames, see `Frame.out_of_range`

    def count_captured(self, out_of_range: int = 0) -> None:
        """One Frame left the camera, with so many pixels out of range."""
        with self._lock:
            self._captured.tick()
            self.out_of_range += out_of_range

    def count_refined(self) -> None:
        """One Frame was refined."""
        with self._lock:
            self._refined.tick()

    def count_shown(self) -> None:
        """One Frame was painted."""
        with self._lock:
            self._shown.tick()

    def count_drop(self, cause: str) -> None:
        """One captured Frame will not be refined."""
        with self._lock:
            self._drops[cause] += 1

    def add_stage(self, stage: str, duration_ns: int) -> None:
        """Remember how long one frame took in a stage of `STAGES`."""
        with self._lock:
            self._stages[stage].add(duration_ns / 1e6)

    def dropped(self, cause: str) -> int:
        """Return how many captured Frames were not refined for one cause."""
        with self._lock:
            return self._drops[cause]

    def lost(self) -> dict[str, int]:
        """Return frames that stayed without refined depth, or never came to be, by cause."""
        with self._lock:
            lost = {f"not refined: {cause}": count for cause, count in self._drops.items()}
            return lost | {f"not captured: {cause}": n for cause, n in self.missed.items() if n}

    @property
    def captured(self) -> int:
        """How many Frames left the camera."""
        return self._captured.count

    @property
    def refined(self) -> int:
        """How many Frames were refined."""
        return self._refined.count

    def figures(self) -> FeedFigures:
        """Return everything as it is now."""
        with self._lock:
            return FeedFigures(
                captured=self._captured.count,
                refined=self._refined.count,
                shown=self._shown.count,
                drops=dict(self._drops),
                missed=dict(self.missed),
                out_of_range_pixels=self.out_of_range,
                reconnects=self.reconnects,
                warnings=list(self.warnings),
                flying_share=self.flying_share,
                fps_captured=round(self._captured.mean_hz, 3),
                fps_refined=round(self._refined.mean_hz, 3),
                fps_shown=round(self._shown.mean_hz, 3),
                fps_captured_recent=round(self._captured.recent_hz, 3),
                fps_refined_recent=round(self._refined.recent_hz, 3),
                fps_shown_recent=round(self._shown.recent_hz, 3),
                latency_ms={
                    stage: summary
                    for stage, samples in self._stages.items()
                    if (summary := samples.summary()) is not None
                },
            )
