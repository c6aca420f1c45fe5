"""What is known of a camera, and what one hands over: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from lingbot_live.frame import (
    Alignment,
    Calibration,
    ColorImage,
    DepthMap,
    ExtraPicture,
    RawDepth,
    RecordedDepth,
)


class CameraState(str, Enum):
    """Where a camera or a feed stands."""

    CLOSED = "closed"
    OPENING = "opening"
    STREAMING = "streaming"
    STALLED = "stalled"  # open, but no frame for a while
    HANGING = "hanging"  # its driver does not return from a call
    RECONNECTING = "reconnecting"  # gone; tried again with growing pauses
    ENDED = "ended"  # a recording reached its end
    FAILED = "failed"

    @property
    def is_lost(self) -> bool:
        """Whether no frame can be hoped for."""
        return self in (CameraState.FAILED, CameraState.HANGING)


@dataclass(frozen=True, slots=True)
class StreamProfile:
    """One stream setting a device offers."""

    stream: str  # "color" or "depth"
    width: int
    height: int
    fps: float
    format: str = ""


@dataclass(frozen=True, slots=True)
class RecordedFacts:
    """What a session file says of one of its cameras before a frame is read."""

    cameras: tuple[str, ...]  # all in the file
    frames: int
    refined: int  # of them with refined depth
    duration_s: float
    damage: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what is assumed of another program's file


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """One camera or recording that a driver can open."""

    driver: str  # scheme of the address
    target: str  # rest of the address
    name: str  # for people: model, or what is simulated
    serial: str = ""
    is_recording: bool = False
    is_simulated: bool = False
    profiles: tuple[StreamProfile, ...] = ()
    details: dict[str, str] = field(default_factory=dict)  # firmware, USB speed: for people
    recorded: RecordedFacts | None = None  # of session files

    @property
    def address(self) -> str:
        """The text that names this camera on the command line."""
        return f"{self.driver}:{self.target}"


@dataclass(slots=True)
class Capture:
    """What a camera hook hands over: one colour and depth that belong together.

    The arrays must be owned by the capture (copied out of SDK memory) and aligned to each other.
    """

    color: ColorImage  # (H, W, 3) uint8 RGB
    depth_raw: RawDepth  # (H, W) uint16 sensor units, aligned to colour
    depth_scale_m: float  # metres per raw unit
    calibration: Calibration
    arrival_ns: int  # time.monotonic_ns() when the SDK handed it over, before any conversion
    device_timestamp_us: int
    device_index: int | None = None  # the device's own frame number, to see gaps
    alignment: Alignment = Alignment.NONE
    reference_m: DepthMap | None = None
    label: str = ""
    recorded: RecordedDepth | None = None
    out_of_range: int = 0  # as `Frame.out_of_range`
    extras: Mapping[str, ExtraPicture] = field(default_factory=dict)  # only where they are wanted
