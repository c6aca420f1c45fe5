"""The meters behind the quality panel, on their own thread; knows no Qt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.quality.meter import MeterSettings, QualityMeter, QualitySnapshot


@dataclass(frozen=True, slots=True)
class Sample:
    """What one camera shows now, and how to measure it."""

    result: Frame | RefinedFrame
    settings: MeterSettings


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers by the cameras' numbers, and what finding them took."""

    snapshots: dict[int, QualitySnapshot]
    cost_ms: float  # processor time of this round over all cameras
    core_share: float  # of one core, since the first round


class Meters:
    """One meter per camera; a camera whose settings changed begins anew."""

    def __init__(self) -> None:
        self._meters: dict[int, QualityMeter] = {}
        self._started_s: float | None = None
        self._used_s = 0.0

    def measure(self, samples: Mapping[int, Sample]) -> Measured:
        """Measure what is new and return the means; about 15 ms a camera.

        Raises:
            ConfigError: a region does not lie inside its image.
        """
        now_s, used_s = time.monotonic(), time.thread_time()
        self._started_s = now_s if self._started_s is None else self._started_s
        self._meters = {n: self._meter(n, sample.settings) for n, sample in samples.items()}
        for number, sample in samples.items():
            self._meters[number].add(sample.result)
        snapshots = {number: meter.snapshot() for number, meter in self._meters.items()}
        cost_s = time.thread_time() - used_s
        self._used_s += cost_s
        return Measured(
            snapshots, 1000 * cost_s, self._used_s / max(now_s - self._started_s + 0.5, 0.5)
        )

    def _meter(self, number: int, settings: MeterSettings) -> QualityMeter:
        meter = self._meters.get(number)
        return meter if meter and meter.settings == settings else QualityMeter(settings)
