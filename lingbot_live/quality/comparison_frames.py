"""The frames of one camera that a comparison measures, each with the reference it is given."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import numpy as np

from lingbot_live.calibration.pairing import Pairing, stamp_s
from lingbot_live.calibration.rig import Rig
from lingbot_live.calibration.timing import TRUSTED
from lingbot_live.calibration.views import register_into_view
from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.cameras.controls import Control
from lingbot_live.cameras.readings import every_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import DepthMap, Extrinsics, Frame
from lingbot_live.quality.meter import MeterSettings
from lingbot_live.roi import Roi

TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """How long, how often and where is measured."""

    duration_s: float = 10.0  # of the camera's own time; wall clock for live cameras
    rate_hz: float = 10.0  # measured frames a second; 0 = every frame
    most_frames: int | None = None
    roi: Roi = field(default_factory=Roi)
    distance_m: float | None = None
    rs_compatible: bool = False  # also the numbers of Intel's tool, of raw depth
    reference: str | None = None  # TRUTH, the address of another camera, or none
    rig: Rig | None = None  # where cameras stand; carries region and reference from one to another
    clock_offset: bool = False  # apply the clocks' offset that the rig knows to pairing
    camera: CameraConfig = field(default_factory=CameraConfig)

    def __post_init__(self) -> None:
        if self.clock_offset and self.rig is None:
            raise ConfigError("--clock-offset: the offset stands in a rig file; give --rig")

    @property
    def expected_frames(self) -> int | None:
        """How many a camera that does not end gives; None = as many as it has."""
        by_time = math.inf if not self.rate_hz else self.duration_s * self.rate_hz
        most = min(by_time, math.inf if self.most_frames is None else self.most_frames)
        return math.ceil(most) if math.isfinite(most) else None

    @property
    def meter(self) -> MeterSettings:
        """Finer than live, since nothing waits."""
        return MeterSettings(
            self.roi, self.distance_m, stride=2, edge_parts=1, most_points=12_000, averaged=100_000,
            longest_still=True,
        )  # fmt: skip


class FrameReader:
    """Reads one camera and picks the frames to measure.

    ``read`` and ``measured`` count frames, ``span_s`` is the time between the first and the last.
    """

    def __init__(self, address: str, settings: ComparisonSettings) -> None:
        self._settings = settings
        self.address = address
        self.info = registry.find_camera(address)
        self.is_live = not (self.info.is_recording or self.info.is_simulated)
        self.read = self.measured = 0
        self.span_s = 0.0
        self.missed: Counter[str] = Counter()
        self.controls: tuple[Control, ...] = ()
        self.is_past_middle = False  # whether the frame handed out last is

    def frames(self) -> Generator[Frame, None, None]:
        """Open the camera and yield what is to be measured, until the settings say enough.

        Raises:
            ConfigError: a reference is asked for that the camera does not have.
            CameraError: the camera or recording fails.
        """
        with _open_camera(self.info, self._settings.camera, self.is_live) as camera:
            self.info, self.controls = camera.info, camera.controls()
            self.missed = camera.missed
            yield from self._due(camera)

    def _due(self, camera: Camera) -> Iterator[Frame]:
        settings, due_s = self._settings, 0.0
        for frame, time_s in self._timed(camera):
            self.span_s = time_s
            # Labelled frames are single pictures, each worth a look.
            if time_s < due_s - 1e-6 and not frame.label:
                continue
            due_s += (1 / settings.rate_hz) if settings.rate_hz else 0.0
            self.is_past_middle = time_s >= settings.duration_s / 2
            self.measured += 1
            yield frame
            if self.measured == settings.most_frames:
                break

    def _timed(self, camera: Camera) -> Iterator[tuple[Frame, float]]:
        """Frames with their time since the first, until the duration is over."""
        start_s: float | None = None
        for frame in self._referenced(every_frame(camera)):
            self.read += 1
            now_s = frame.timestamp_ns / 1e9 if self.is_live else stamp_s(frame)
            start_s = now_s if start_s is None else start_s
            if now_s - start_s >= self._settings.duration_s:
                return
            yield frame, now_s - start_s

    def _referenced(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Give each frame the reference that was asked for, and only that."""
        settings = self._settings
        if settings.reference in (None, self.info.address):  # it is its own reference
            yield from (dataclasses.replace(frame, reference_m=None) for frame in frames)
        elif settings.reference == TRUTH:
            for frame in frames:
                if frame.reference_m is None:
                    raise ConfigError(
                        f"{frame.camera}: it knows no truth; leave out --reference truth"
                    )
                yield frame
        else:
            info = registry.find_camera(settings.reference)
            with _open_camera(info, settings.camera, self.is_live) as other:
                pairs = _paired(frames, every_frame(other), self.is_live, self._later_s)
                for frame, true in pairs:
                    seen_m = _seen_from(frame, true, settings.rig)
                    yield dataclasses.replace(frame, reference_m=seen_m)

    def _later_s(self, frame: Frame, other: Frame) -> float:
        """By how much later the other camera stamps an event, as far as it is to be applied."""
        rig = self._settings.rig
        if not self._settings.clock_offset or rig is None:
            return 0.0
        return _clock_s(rig, other) - _clock_s(rig, frame)


def _clock_s(rig: Rig, frame: Frame) -> float:
    camera = rig.camera(_name_in_rig(frame))
    if camera.address == rig.reference.address:
        return 0.0
    if not camera.time_confidence >= TRUSTED:
        raise ConfigError(
            f"--clock-offset: the rig knows no sure offset of {camera.address}'s clock; measure it "
            "with `lingbot-live calibrate --rig FILE --time-offset`, something moving before both"
        )
    return camera.time_offset_ms / 1000


def _open_camera(info: CameraInfo, config: CameraConfig, is_live: bool) -> Camera:
    if not is_live:
        config = dataclasses.replace(config, realtime=False, loop=False)
    return registry.driver(info.driver).create(info, config)


def _paired(
    frames: Iterator[Frame],
    others: Iterator[Frame],
    is_live: bool,
    later_s: Callable[[Frame, Frame], float] = lambda frame, other: 0.0,
) -> Iterator[tuple[Frame, Frame]]:
    """Give each frame the other camera's that `Pairing` finds; ends with either.

    Raises:
        ConfigError: by their absolute stamps the recordings were not made at one time.
    """
    pairing = Pairing(others, is_live, later_s)
    for frame in frames:
        near = pairing.at(frame)
        if pairing.is_over:
            break
        if near is not None:
            yield frame, near
    if pairing.missed:
        raise ConfigError(
            f"{pairing.missed}: by its stamps it was not recorded at one time with the frames it "
            "is to be the reference of; record both together"
        )


def transform_to(rig: Rig, target: Frame, source: Frame) -> Extrinsics:
    """Return ``T_target_source`` of the cameras of two frames.

    Raises:
        ConfigError: the rig lacks one of them.
    """
    poses = [rig.camera(_name_in_rig(frame)).pose for frame in (target, source)]
    return poses[0].inverse() @ poses[1]


def _name_in_rig(frame: Frame) -> str:
    """A rig knows cameras by their live address, which a session file keeps behind the #."""
    return frame.camera.rpartition("#")[2]


def _seen_from(frame: Frame, true: Frame, rig: Rig | None) -> DepthMap:
    """Return the depth of ``true`` in the view of ``frame``."""
    ours, theirs = frame.intrinsics, true.intrinsics
    if rig is not None:
        return register_into_view(true.depth_m, transform_to(rig, frame, true), theirs, ours)
    same_size = (ours.width, ours.height) == (theirs.width, theirs.height)
    if not (same_size and np.allclose(ours.matrix, theirs.matrix, rtol=0.01, atol=2.0)):
        raise ConfigError(
            f"{true.camera}: without a rig file a reference must have the same view as "
            f"{frame.camera}, pixel by pixel; these have different intrinsics. Calibrate the two, "
            "then give --rig"
        )
    return true.depth_m
