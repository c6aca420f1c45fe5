"""Measures a feed as it streams: sampled frames in, averaged numbers out, raw beside refined."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lingbot_live.frame import DepthMap, Frame, RefinedFrame
from lingbot_live.quality.depth_errors import Change, change_map, change_shares, reference_errors
from lingbot_live.quality.measures import (
    NAN,
    Numbers,
    edge_fattening_px,
    fill_share,
    flying_share,
)
from lingbot_live.quality.plane import plane_quality
from lingbot_live.quality.temporal import Stillness, TemporalWindow
from lingbot_live.refiners.scale_check import (
    MovedRegion,
    moved_regions,
    scale_ratio,
    scale_warnings,
)
from lingbot_live.roi import Roi


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """What is measured and how often; the defaults suit a live panel."""

    roi: Roi = field(default_factory=Roi)
    distance_m: float | None = None  # true distance to the target in the region
    period_s: float = 0.25  # between measured frames, by the frames' arrival; 0 = every frame
    stride: int = 3  # every so many pixels in both directions for whole-image numbers
    most_points: int = 5_000  # of the region, for the plane
    edge_parts: int = 4  # edge numbers come from one of so many bands of rows, in turn
    averaged: int = 20  # measured frames behind each mean
    window: int = 40  # the most measured frames behind temporal noise
    longest_still: bool = False  # noise of the longest stretch without motion, not of the last


@dataclass(frozen=True, slots=True)
class QualitySnapshot:
    """Means over the last measured frames, by the keys of `metric`; nan = n/a."""

    raw: Numbers
    refined: Numbers | None  # None while only Frames came
    change: Numbers | None
    frames: int  # measured since the start or `reset`
    cost_ms: float  # mean of one measured frame, to be shown among the stats
    warnings: tuple[str, ...] = field(default=())


class DepthMeter:
    """Numbers of one stream of depth, raw or refined: means of the last images and their noise."""

    def __init__(self, settings: MeterSettings) -> None:
        self._settings = settings
        self._rows: deque[Numbers] = deque(maxlen=settings.averaged)
        self._window = TemporalWindow(settings.window)
        self._region = (slice(0), slice(0))
        self._added = 0
        self._longest: Numbers = {}  # of the stretches that motion ended

    def add(self, depth_m: DepthMap, frame: Frame, *, moved: bool) -> None:
        """Take the depth (H, W) metres of ``frame``; ``moved`` if the scene did since the last."""
        step = self._settings.stride
        self._rows.append(image_numbers(depth_m, frame, self._settings, self._added))
        self._added += 1
        self._region = _coarser(self._settings.roi.slices(depth_m.shape), step)
        if moved:
            if self._settings.longest_still and len(self._window) > self._longest_frames:
                self._longest = self._window.numbers(self._region)
            self._window.clear()
        self._window.add(np.ascontiguousarray(depth_m[::step, ::step]))

    def numbers(self) -> Numbers:
        """Return the means, and the temporal noise of the stretch without motion."""
        recent = len(self._window) >= self._longest_frames
        noise = self._window.numbers(self._region) if recent else self._longest
        return mean_numbers(self._rows) | noise

    @property
    def _longest_frames(self) -> float:
        return self._longest.get("still_frames", 0.0)


class QualityMeter:
    """Takes Frames or RefinedFrames of one feed and keeps their quality numbers.

    Not every frame is measured and not every pixel (see `MeterSettings`): means of a few hundred
    thousand noisy pixels do not gain from more. Edge numbers need every pixel, since an edge is a
    matter of neighbours; they take a band of rows at a time. All methods may be called from any
    thread, one `add` at a time.
    """

    def __init__(self, settings: MeterSettings | None = None) -> None:
        self.settings = settings or MeterSettings()
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything, after the scene or the settings of the camera changed."""
        with self._lock:
            self._raw = DepthMeter(self.settings)
            self._refined = DepthMeter(self.settings)
            self._change: deque[Numbers] = deque(maxlen=self.settings.averaged)
            self._costs_ms: deque[float] = deque(maxlen=self.settings.averaged)
            self._moved: list[MovedRegion] = []  # in the last measured frame
            self._stillness = Stillness()
            self._last_ns: int | None = None
            self._frames = 0

    def add(self, result: Frame | RefinedFrame) -> bool:
        """Measure a frame if it is time for one; returns whether it was (about 10 ms then).

        Raises:
            ConfigError: the region does not lie inside the image.
        """
        frame = result.frame if isinstance(result, RefinedFrame) else result
        with self._lock:
            since_ns = None if self._last_ns is None else frame.timestamp_ns - self._last_ns
            if since_ns is not None and since_ns < self.settings.period_s * 1e9:
                return False
            self._last_ns = frame.timestamp_ns
            started_s = time.thread_time()
            self._measure(frame, result if isinstance(result, RefinedFrame) else None)
            self._costs_ms.append((time.thread_time() - started_s) * 1000)
        return True

    def snapshot(self) -> QualitySnapshot:
        """Return the means of what was measured last (about 5 ms)."""
        with self._lock:
            raw = self._raw.numbers()
            change = mean_numbers(self._change) if self._change else None
            refined = self._refined.numbers() if change else None
            cost_ms = float(np.mean(self._costs_ms)) if self._costs_ms else 0.0
            ratio = change["scale_ratio"] if change else NAN
            warnings = scale_warnings(ratio, self._moved)
            return QualitySnapshot(raw, refined, change, self._frames, cost_ms, warnings)

    def _measure(self, frame: Frame, refined: RefinedFrame | None) -> None:
        moved = self._stillness.moved(frame.color)
        self._frames += 1
        self._raw.add(frame.depth_m, frame, moved=moved)
        if refined is not None:
            self._refined.add(refined.depth_m, frame, moved=moved)
            self._change.append(change_numbers(refined, self.settings.stride))
            self._moved = moved_regions(frame.depth_m, refined.depth_m)


def _coarser(region: tuple[slice, slice], step: int) -> tuple[slice, slice]:
    rows, columns = (slice(s.start // step, -(-s.stop // step)) for s in region)
    return rows, columns


def image_numbers(
    depth_m: DepthMap, frame: Frame, settings: MeterSettings, part: int = 0
) -> Numbers:
    """Return the numbers of one depth image (H, W) metres, raw or refined, of ``frame``.

    With a reference in the frame, errors against it as well (of every ``stride``-th pixel).
    ``part`` says which band of rows the edge numbers are taken from.
    """
    step, roi = settings.stride, settings.roi
    sparse = depth_m[::step, ::step]
    numbers = {
        "fill_share": fill_share(sparse),
        "roi_fill_share": fill_share(depth_m[roi.slices(depth_m.shape)]),
    }
    numbers |= plane_quality(
        depth_m, frame.calibration, roi, settings.distance_m, settings.most_points
    )
    band = _band(depth_m.shape[0], settings.edge_parts, part)
    numbers["flying_share"] = flying_share(depth_m[band])
    if frame.reference_m is not None:
        numbers |= reference_errors(sparse, frame.reference_m[::step, ::step])
        numbers["fattening_px"] = edge_fattening_px(depth_m[band], frame.reference_m[band])
    return numbers


def _band(height: int, parts: int, part: int) -> slice:
    number = part % parts
    return slice(number * height // parts, (number + 1) * height // parts)


def change_numbers(refined: RefinedFrame, stride: int = 1) -> Numbers:
    """Return what a refiner did: shares of pixels, median change, scale ratio, time taken."""
    raw_m = refined.frame.depth_m[::stride, ::stride]
    refined_m = refined.depth_m[::stride, ::stride]
    changes = change_map(raw_m, refined_m)
    shares = change_shares(changes)
    moved = changes == Change.CHANGED
    distance_m = np.abs(refined_m[moved] - raw_m[moved])
    return {
        "kept_share": shares[Change.KEPT],
        "changed_share": shares[Change.CHANGED],
        "filled_share": shares[Change.FILLED],
        "removed_share": float(((raw_m > 0) & (refined_m <= 0)).mean()),
        "changed_median_mm": 1000 * float(np.median(distance_m)) if distance_m.size else NAN,
        "scale_ratio": scale_ratio(raw_m, refined_m),
        "refine_ms": (refined.finished_ns - refined.started_ns) / 1e6,
    }


def mean_numbers(rows: Iterable[Numbers]) -> Numbers:
    """Return the mean of every key over the rows that have a value for it; nan where none has."""
    gathered: dict[str, list[float]] = {}
    for row in rows:
        for key, value in row.items():
            gathered.setdefault(key, []).append(value)
    finite = {key: [v for v in values if np.isfinite(v)] for key, values in gathered.items()}
    return {key: sum(v) / len(v) if v else NAN for key, v in finite.items()}
