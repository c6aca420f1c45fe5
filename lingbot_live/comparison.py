"""Measures cameras and refiners one after another: what `measure` and `compare` report.

Cameras run in turn, not at once, so that they neither share a processor nor light up each other's
scene; a comparison of live cameras wants a scene that stands still. Every refiner gets the very
same frames.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lingbot_live import registry
from lingbot_live.camera import Camera, CameraInfo
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import DepthMap, Frame, RawDepth, RefinedFrame, RefinerInfo
from lingbot_live.meter import (
    DepthMeter,
    MeterSettings,
    change_numbers,
    mean_numbers,
    scale_warnings,
)
from lingbot_live.metrics import error_by_distance
from lingbot_live.quality import Numbers, Roi, range_histogram
from lingbot_live.reading import every_frame
from lingbot_live.refiner import Refiner
from lingbot_live.rs_compat import rs_numbers, rs_roi, rs_temporal_noise_percent
from lingbot_live.temporal import Stillness

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
TRUTH = "truth"
DISTANCE_EDGES_M: Floats = np.arange(0.0, 8.01, 0.5)
HISTOGRAM_EDGES_M: Floats = np.arange(0.0, 10.01, 0.2)
_LEAST_PIXELS = 300  # of the reference in a distance bin, a frame, to be drawn


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """How long, how often and where is measured."""

    duration_s: float = 10.0  # of the camera's own time; wall clock for live cameras
    rate_hz: float = 10.0  # measured frames a second; 0 = every frame
    most_frames: int | None = None
    roi: Roi = field(default_factory=Roi)
    distance_m: float | None = None
    rs_compatible: bool = False  # also the numbers of Intel's tool, of raw depth
    reference: str | None = None  # TRUTH, the address of a camera with the same view, or none
    camera: CameraConfig = field(default_factory=CameraConfig)

    @property
    def meter(self) -> MeterSettings:
        """Finer than live, since nothing waits."""
        return MeterSettings(
            self.roi, self.distance_m, stride=2, edge_parts=1, most_points=12_000, averaged=100_000,
            longest_still=True,
        )  # fmt: skip


@dataclass(slots=True)
class StreamResult:
    """One camera through one refiner, or raw."""

    label: str
    numbers: Numbers
    refiner: RefinerInfo | None  # None: raw
    by_distance: Floats | None  # (3, B): median error m, covered share, pixels a frame
    histogram: Floats  # (B,) share of all pixels
    warnings: tuple[str, ...]
    picture_m: DepthMap  # depth of the run's picture


@dataclass(slots=True)
class SensorRun:
    """One camera: its conditions, one picture, and a result per stream (raw first)."""

    address: str
    info: CameraInfo
    picture: Frame
    streams: list[StreamResult]
    frames_read: int
    frames_measured: int
    span_s: float
    missed: dict[str, int]
    rs_compatible: Numbers


class _Stream:
    """Collects what one stream gives."""

    def __init__(self, label: str, settings: MeterSettings) -> None:
        self.label = label
        self._meter = DepthMeter(settings)
        self._changes: list[Numbers] = []
        self._distances: list[Floats] = []
        self._histograms: list[Floats] = []
        self._picture: DepthMap | None = None
        self.refiner: RefinerInfo | None = None

    def add(self, result: Frame | RefinedFrame, *, moved: bool, is_picture: bool) -> None:
        frame, depth_m = result if isinstance(result, Frame) else result.frame, result.depth_m
        if isinstance(result, RefinedFrame):
            self._changes.append(change_numbers(result, stride=2))
            self.refiner = result.refiner
        self._meter.add(depth_m, frame, moved=moved)
        sparse = depth_m[::2, ::2]
        self._histograms.append(range_histogram(sparse, HISTOGRAM_EDGES_M))
        if frame.reference_m is not None:
            reference_m = frame.reference_m[::2, ::2]
            self._distances.append(error_by_distance(sparse, reference_m, DISTANCE_EDGES_M))
        if is_picture or self._picture is None:
            self._picture = depth_m

    def result(self) -> StreamResult:
        assert self._picture is not None
        numbers = self._meter.numbers() | mean_numbers(self._changes)
        return StreamResult(
            self.label,
            numbers,
            self.refiner,
            _mean_by_distance(self._distances),
            np.mean(self._histograms, axis=0),
            scale_warnings(numbers.get("scale_ratio", float("nan"))),
            self._picture,
        )


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
    progress: Callable[[str, int], None] = lambda _address, _frames: None,
) -> SensorRun:
    """Open one camera, run every refiner on its frames, and return all numbers.

    ``progress`` hears the address and the number of measured frames.

    Raises:
        ConfigError: an unknown refiner; no reference where one is asked for.
        CameraError: the camera or recording fails.
        RefinerError: a refiner fails.
    """
    engines: list[Refiner] = []
    try:
        for text in refiners:
            engines.append(registry.create_refiner(RefinerConfig.parse(text)))
        # "none" is raw depth, which is measured anyway.
        named = [
            (text, engine)
            for text, engine in zip(refiners, engines, strict=True)
            if engine.info.name != "none"
        ]
        return _run(address, named, settings, progress)
    finally:
        for engine in engines:
            engine.close()


def _run(
    address: str,
    refiners: list[tuple[str, Refiner]],
    settings: ComparisonSettings,
    progress: Callable[[str, int], None],
) -> SensorRun:
    raw = _Stream("raw", settings.meter)
    streams = [(_Stream(text, settings.meter), engine) for text, engine in refiners]
    still, rs = Stillness(), _RsCollector(settings)
    picture: Frame | None = None
    reader = _Reader(address, settings)
    for measured, frame in enumerate(reader.frames(), 1):
        is_picture = picture is None or reader.is_middle
        picture = frame if is_picture else picture
        moved = still.moved(frame.color)
        raw.add(frame, moved=moved, is_picture=is_picture)
        if settings.rs_compatible:
            rs.add(frame)
        for stream, engine in streams:
            stream.add(engine.refine(frame), moved=moved, is_picture=is_picture)
        progress(address, measured)
    if picture is None:
        raise ConfigError(f"{address}: no frame within {settings.duration_s:g} s; nothing measured")
    results = [raw.result(), *(stream.result() for stream, _ in streams)]
    missed = {cause: count for cause, count in reader.missed.items() if count}
    return SensorRun(
        address, reader.info, picture, results, reader.read, reader.measured, reader.span_s,
        missed, rs.numbers(),
    )  # fmt: skip


class _Reader:
    """Reads one camera and picks the frames to measure."""

    def __init__(self, address: str, settings: ComparisonSettings) -> None:
        self._settings = settings
        self.info = registry.find_camera(address)
        self.is_live = not (self.info.is_recording or self.info.is_simulated)
        self.read = self.measured = 0
        self.span_s = 0.0
        self.missed: Counter[str] = Counter()
        self.is_middle = False  # whether the frame handed out last is the first of the second half
        self._was_middle = False

    def frames(self) -> Iterator[Frame]:
        settings = self._settings
        camera = _open_camera(self.info, settings.camera, self.is_live)
        with camera:
            self.info = camera.info
            due_s = 0.0
            for frame, time_s in self._timed(camera):
                self.span_s = time_s
                # Labelled frames are single pictures, each worth a look.
                if time_s < due_s - 1e-6 and not frame.label:
                    continue
                due_s += (1 / settings.rate_hz) if settings.rate_hz else 0.0
                self._mark_middle(time_s)
                self.measured += 1
                yield frame
                if self.measured == settings.most_frames:
                    break
            self.missed = camera.missed

    def _timed(self, camera: Camera) -> Iterator[tuple[Frame, float]]:
        """Frames with their time since the first, until the duration is over."""
        start_s: float | None = None
        for frame in _referenced(every_frame(camera), self._settings, self.is_live):
            self.read += 1
            now_s = frame.timestamp_ns / 1e9 if self.is_live else frame.device_timestamp_us / 1e6
            start_s = now_s if start_s is None else start_s
            if now_s - start_s >= self._settings.duration_s:
                return
            yield frame, now_s - start_s

    def _mark_middle(self, time_s: float) -> None:
        self.is_middle = not self._was_middle and time_s >= self._settings.duration_s / 2
        self._was_middle |= self.is_middle


def _open_camera(info: CameraInfo, config: CameraConfig, is_live: bool) -> Camera:
    if not is_live:
        config = dataclasses.replace(config, realtime=False, loop=False)
    return registry.driver(info.driver).create(info, config)


def _referenced(
    frames: Iterator[Frame], settings: ComparisonSettings, is_live: bool
) -> Iterator[Frame]:
    """Give each frame the reference that was asked for, and only that."""
    if settings.reference is None:
        yield from (dataclasses.replace(frame, reference_m=None) for frame in frames)
    elif settings.reference == TRUTH:
        for frame in frames:
            if frame.reference_m is None:
                raise ConfigError(f"{frame.camera}: it knows no truth; leave out --reference truth")
            yield frame
    else:
        other = _open_camera(registry.find_camera(settings.reference), settings.camera, is_live)
        with other:
            for frame, true in zip(frames, every_frame(other), strict=False):
                yield dataclasses.replace(frame, reference_m=_same_view(frame, true))


def _same_view(frame: Frame, true: Frame) -> DepthMap:
    ours, theirs = frame.intrinsics, true.intrinsics
    same_size = (ours.width, ours.height) == (theirs.width, theirs.height)
    if not (same_size and np.allclose(ours.matrix, theirs.matrix, rtol=0.01, atol=2.0)):
        raise ConfigError(
            f"{true.camera}: a reference must have the same view as {frame.camera}, pixel by "
            "pixel; these have different intrinsics. Register it first"
        )
    return true.depth_m


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
