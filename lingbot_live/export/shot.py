"""What travels through an export: frames in, files out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.controls import ControlValue
from lingbot_live.errors import ExportError
from lingbot_live.frame import DepthMap, Frame, Intrinsics, RefinedFrame, RefinerInfo

Settings = Mapping[str, ControlValue]  # a format's options by name, checked


class DepthSource(str, Enum):
    """Which depth is exported."""

    RAW = "raw"
    REFINED = "refined"


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame on its way out."""

    number: int  # place in the recording, from 0
    time_s: float  # of the device's own clock
    frame: Frame
    source: DepthSource
    depth_m: DepthMap  # of that source, (H, W) float32 metres, 0 = invalid

    @property
    def refined_m(self) -> DepthMap | None:
        """The refined depth that was recorded; None if there is none."""
        return None if self.frame.recorded is None else self.frame.recorded.depth_m

    def as_refined(self) -> RefinedFrame:
        """Return the exported depth as a result, with mask and maker where it was recorded."""
        known = self.frame.recorded if self.source is DepthSource.REFINED else None
        mask = self.depth_m > 0 if known is None else known.mask
        info = RefinerInfo("none") if known is None else known.refiner
        trust = None if known is None else known.trust
        return RefinedFrame(self.frame, self.depth_m, mask, info, 0, 0, trust=trust)

    @property
    def name(self) -> str:
        """For files: ``000042``."""
        return f"{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a writer writes, and what it is told."""

    path: Path  # an empty folder, or the file to be made
    camera: CameraInfo
    settings: Settings
    source: DepthSource
    has_refined: bool = False  # whether any frame of the recording is known to hold refined depth
    recorded: Mapping[str, str] = field(default_factory=dict)  # what the recorder was set to

    def flag(self, name: str) -> bool:
        """Return an option that is on or off."""
        return bool(self.settings[name])

    def number(self, name: str) -> float:
        """Return an option that is a number."""
        return float(self.settings[name])

    def text(self, name: str) -> str:
        """Return an option that is a choice."""
        return str(self.settings[name])


@dataclass(frozen=True, slots=True)
class JointTarget:
    """Where a writer of all cameras together writes, and what it is told."""

    path: Path  # an empty folder
    cameras: tuple[CameraInfo, ...]
    names: tuple[str, ...]  # of cameras, fit for files
    settings: Settings
    source: DepthSource
    fps: float  # at which moments come, where they come steadily
    task: str = "recorded with lingbot-live"

    def flag(self, name: str) -> bool:
        """Return an option that is on or off."""
        return bool(self.settings[name])

    def number(self, name: str) -> float:
        """Return an option that is a number."""
        return float(self.settings[name])


class Writer(Protocol):
    """Makes a format's files at a `Target`'s path, on one thread."""

    def add(self, shot: Shot) -> None:
        """Take the next frame. Raises OSError or ExportError if it cannot be written."""

    def finish(self) -> list[str]:
        """Write what is left after the last frame; return remarks for the user."""

    def close(self) -> None:
        """Let go of all files; called once in any case, must not raise."""


class OneCalibration:
    """Remembers the first frame's intrinsics, for formats that hold one calibration."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._known: Intrinsics | None = None

    def of(self, shot: Shot) -> Intrinsics:
        """Return the intrinsics of all frames.

        Raises:
            ExportError: this frame has others than the first.
        """
        self._known = self._known or shot.frame.intrinsics
        if shot.frame.intrinsics != self._known:
            raise ExportError(
                f"{self._form}: frame {shot.number} has another calibration than the first, and "
                "the format holds one; choose a span with --frames, or write images"
            )
        return self._known
