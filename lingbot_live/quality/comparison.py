"""Measures cameras and refiners one after another: what `measure` and `compare` report.

Cameras run in turn, not at once, so that they neither share a processor nor light up each other's
scene; a comparison of live cameras wants a scene that stands still. Every refiner gets the very
same frames.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lingbot_live.calibration.rig import Rig
from lingbot_live.calibration.views import region_into_view
from lingbot_live.cameras import registry
from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.controls import Control
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, NothingRecordedError
from lingbot_live.frame import DepthMap, Frame, RawDepth, RefinedFrame, RefinerInfo
from lingbot_live.quality.comparison_frames import ComparisonSettings, FrameReader, transform_to
from lingbot_live.quality.depth_errors import error_by_distance
from lingbot_live.quality.measures import Numbers, range_histogram
from lingbot_live.quality.meter import (
    DepthMeter,
    MeterSettings,
    change_numbers,
    mean_numbers,
)
from lingbot_live.quality.realsense_dqt import rs_numbers, rs_roi, rs_temporal_noise_percent
from lingbot_live.quality.temporal import Stillness
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.scale_check import MovedRegion, moved_regions, scale_warnings
from lingbot_live.roi import Roi
from lingbot_live.system.signals import at_once

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
DISTANCE_EDGES_M: Floats = np.arange(0.0, 8.01, 0.5)
HISTOGRAM_EDGES_M: Floats = np.arange(0.0, 10.01, 0.2)
_LEAST_PIXELS = 300  # of the reference in a distance bin, a frame, to be drawn


@dataclass(slots=True)
class StreamResult:
    """One camera through one refiner, or raw."""

    label: str
    numbers: Numbers
    refiner: RefinerInfo | None  # None: raw
    by_distance: Floats | None  # (3, B): median error m, covered share, pixels a frame
    histogram: Floats  # (B,) share of all pixels
    warnings: tuple[str, ...]
    picture_m: DepthMap | None  # depth of the run's picture, if it has any
    frames: int  # measured


@dataclass(slots=True)
class SensorRun:
    """One camera: its conditions, one picture, and a result per stream (raw first)."""

    address: str
    title: str  # for people: a recording's without its folders
    info: CameraInfo
    controls: tuple[Control, ...]  # at the start
    picture: Frame
    streams: list[StreamResult]
    frames_read: int
    frames_measured: int
    span_s: float
    missed: dict[str, int]
    rs_compatible: Numbers
    roi: Roi


class _Stream:
    """Collects what one stream gives."""

    def __init__(self, label: str, settings: MeterSettings) -> None:
        self.label = label
        self._meter = DepthMeter(settings)
        self._changes: list[Numbers] = []
        self._moved: list[MovedRegion] = []  # of the frame with the largest
        self._distances: list[Floats] = []
        self._histograms: list[Floats] = []
        self._picture: DepthMap | None = None
        self.refiner: RefinerInfo | None = None

    @property
    def frames(self) -> int:
        """How many were added."""
        return len(self._histograms)

    def add(self, result: Frame | RefinedFrame | None, *, moved: bool, is_picture: bool) -> None:
        if is_picture:
            self._picture = None if result is None else result.depth_m
        if result is None:
            return
        frame, depth_m = result if isinstance(result, Frame) else result.frame, result.depth_m
        if isinstance(result, RefinedFrame):
            self._changes.append(_change_numbers(result))
            self._moved = max(self._moved, moved_regions(frame.depth_m, depth_m))
            self.refiner = result.refiner
        self._meter.add(depth_m, frame, moved=moved)
        sparse = depth_m[::2, ::2]
        self._histograms.append(range_histogram(sparse, HISTOGRAM_EDGES_M))
        if frame.reference_m is not None:
            reference_m = frame.reference_m[::2, ::2]
            self._distances.append(error_by_distance(sparse, reference_m, DISTANCE_EDGES_M))

    def result(self) -> StreamResult:
        numbers = self._meter.numbers() | mean_numbers(self._changes)
        return StreamResult(
            self.label,
            numbers,
            self.refiner,
            _mean_by_distance(self._distances),
            np.mean(self._histograms, axis=0),
            scale_warnings(numbers.get("scale_ratio", float("nan")), self._moved),
            self._picture,
            self.frames,
        )


def _change_numbers(result: RefinedFrame) -> Numbers:
    numbers = change_numbers(result, stride=2)
    recorded = result.frame.recorded
    if recorded is not None and result.depth_m is recorded.depth_m:
        numbers["refine_ms"] = float("nan")  # reading a file says nothing of the refiner
    return numbers


def _mean_by_distance(rows: list[Floats]) -> Floats | None:
    """Average over frames; bins seldom seen become nan."""
    if not rows:
        return None
    stack = np.stack(rows)
    pixels = 4 * stack[:, 2].mean(0)  # of every second row and column
    known = np.isfinite(stack)
    total = np.where(known, stack, 0).sum(0)
    mean = np.divide(total, known.sum(0), out=np.full_like(total, np.nan), where=known.any(0))
    mean[:2, pixels < _LEAST_PIXELS] = np.nan
    mean[2] = pixels
    return np.asarray(mean)


def growth_exponent(by_distance: Floats, edges_m: Floats = DISTANCE_EDGES_M) -> float:
    """Return p of ``error ~ distance^p`` by least squares in logarithms, weighted by pixels.

    Of the distances at which the sensor works: at least half covered, median error below 10 % of
    the distance. nan with fewer than three. Stereo's depth error grows with p = 2 (depth is
    inverse to disparity), a time-of-flight camera's much slower as long as light suffices.
    """
    centre = (edges_m[1:] + edges_m[:-1]) / 2
    median, share, pixels = by_distance
    with np.errstate(invalid="ignore"):
        usable = (median > 0) & (median < 0.1 * centre) & (share >= 0.5)
    if usable.sum() < 3:
        return float("nan")
    weight = np.sqrt((pixels * share)[usable])
    return float(np.polyfit(np.log(centre[usable]), np.log(median[usable]), 1, w=weight)[0])


def measure_camera(
    address: str,
    refiners: Sequence[str],
    settings: ComparisonSettings,
    progress: Callable[[int, int | None], None] = lambda _done, _all: None,
    first: SensorRun | None = None,
    stop: threading.Event | None = None,
) -> SensorRun:
    """Open one camera, run every refiner on its frames, and return all numbers.

    ``progress`` hears how many frames are measured, and of how many if that is known. With a rig,
    the region is the one that shows the same place in space as in the run of the ``first`` camera.
    ``stop`` ends it after the frame at hand, with what was measured until then; so does a signal,
    in the middle of a frame.

    Raises:
        KeyboardInterrupt: it was ended before the first frame was measured.
        ConfigError: an unknown refiner; no reference where one is asked for; a camera that the rig
            does not know, or that does not see the region.
        CameraError: the camera or recording fails.
        RefinerError: a refiner fails.
    """
    engines: list[Refiner] = []
    stop = stop or threading.Event()
    try:
        for text in refiners:
            with at_once():
                engines.append(registry.create_refiner(RefinerConfig.parse(text)))
        # "none" is raw depth, which is measured anyway.
        named = [
            (text, engine)
            for text, engine in zip(refiners, engines, strict=True)
            if engine.info.name != "none" or engine.finish is not None
        ]
        reader = FrameReader(address, settings)
        with contextlib.closing(reader.frames()) as frames:
            wanted = _until(stop, frames)
            opening = next(wanted, None)
            if opening is None and stop.is_set():
                raise KeyboardInterrupt
            return _run(reader, opening, wanted, named, settings, progress, first)
    finally:
        for engine in engines:
            engine.close()


@dataclass(frozen=True, slots=True)
class Measurer:
    """Makes in another process what measures a camera there, as `measure_camera` does."""

    refiners: Sequence[str]
    settings: ComparisonSettings
    first: SensorRun | None = None

    def __call__(self) -> Callable[[str], SensorRun]:
        """Return what measures the camera of an address."""
        return lambda address: measure_camera(
            address, self.refiners, self.settings, first=self.first
        )


def _until(stop: threading.Event, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames until ``stop`` is set; a signal ends the wait for the next one, too."""
    while not stop.is_set():
        try:
            with at_once():
                frame = next(frames)
        except (StopIteration, KeyboardInterrupt):
            return
        yield frame


def _run(
    reader: FrameReader,
    opening: Frame | None,
    frames: Iterator[Frame],
    refiners: list[tuple[str, Refiner]],
    settings: ComparisonSettings,
    progress: Callable[[int, int | None], None],
    first: SensorRun | None,
) -> SensorRun:
    address = reader.address
    if opening is None:
        raise ConfigError(f"{address}: no frame within {settings.duration_s:g} s; nothing measured")
    if first is not None and settings.rig is not None:
        settings = dataclasses.replace(settings, roi=_same_place(first, opening, settings.rig))
    raw = _Stream("raw", settings.meter)
    streams = [(_Stream(text, settings.meter), engine) for text, engine in refiners]
    still, rs = Stillness(), _RsCollector(settings)
    picture, best = opening, (False, False)
    for measured, frame in enumerate(itertools.chain([opening], frames), 1):
        moved = still.moved(frame.color)
        try:
            with at_once():
                results = [_refined(engine, frame) for _, engine in streams]
        except KeyboardInterrupt:
            if frame is opening:
                raise
            break
        # The picture is to show every stream, and to be from the middle.
        worth = (all(results), reader.is_past_middle)
        is_picture = frame is opening or worth > best
        if is_picture:
            picture, best = frame, worth
        raw.add(frame, moved=moved, is_picture=is_picture)
        if settings.rs_compatible:
            rs.add(frame)
        for (stream, _), result in zip(streams, results, strict=True):
            stream.add(result, moved=moved, is_picture=is_picture)
        progress(measured, settings.expected_frames)
    missed = {cause: count for cause, count in reader.missed.items() if count}
    return SensorRun(
        address, _title(address), reader.info, reader.controls, picture,
        _results(address, [raw, *(stream for stream, _ in streams)]), reader.read,
        reader.measured, reader.span_s, missed, rs.numbers(), settings.roi,
    )  # fmt: skip


def _same_place(first: SensorRun, frame: Frame, rig: Rig) -> Roi:
    seen = first.picture
    T = transform_to(rig, frame, seen)
    roi = region_into_view(first.roi, seen.depth_m, T, seen.intrinsics, frame.intrinsics)
    if roi is None:
        raise ConfigError(
            f"{frame.camera}: it does not see what region {first.roi} of {seen.camera} shows; "
            "choose another region, or calibrate again"
        )
    return roi


def _refined(engine: Refiner, frame: Frame) -> RefinedFrame | None:
    """Return None where depth that was recorded is asked for and this frame has none."""
    try:
        return engine.refine(frame)
    except NothingRecordedError:
        return None


def _results(address: str, streams: list[_Stream]) -> list[StreamResult]:
    for stream in streams:
        if not stream.frames:
            log.warning("%s: it holds no %s depth; left out", address, stream.label)
    return [stream.result() for stream in streams if stream.frames]


def _title(address: str) -> str:
    """Shorten ``SCHEME:FOLDERS/NAME`` to ``SCHEME:NAME``."""
    path, hash_sign, camera = address.partition("#")
    scheme, colon, target = path.rpartition(":")
    return f"{scheme}{colon}{Path(target).name}{hash_sign}{camera}"


class _RsCollector:
    """The numbers of Intel's tool for the raw depth, where the region is one of its rectangles."""

    def __init__(self, settings: ComparisonSettings) -> None:
        self._settings = settings
        self._rows: list[Numbers] = []
        self._regions: list[RawDepth] = []

    def add(self, frame: Frame) -> None:
        settings, shape = self._settings, frame.depth_raw.shape
        whole = settings.roi.rectangle is None
        roi = (
            rs_roi(shape[1], shape[0], settings.roi.percent)
            if whole
            else settings.roi.slices(shape)
        )
        distance_mm = None if settings.distance_m is None else 1000 * settings.distance_m
        found = rs_numbers(
            frame.depth_raw, frame.depth_scale_m, frame.intrinsics, roi,
            frame.calibration.baseline_m, distance_mm,
        )  # fmt: skip
        self._regions = [*self._regions[-38:], frame.depth_raw[roi].copy()]
        if found is not None:
            values = found._asdict().items()
            self._rows.append({k: float("nan") if v is None else v for k, v in values})

    def numbers(self) -> Numbers:
        noise = rs_temporal_noise_percent(self._regions) if len(self._regions) > 1 else float("nan")
        return mean_numbers(self._rows) | {"rs_temporal_noise_percent": noise}
