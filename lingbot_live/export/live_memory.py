"""Memory that the app and the process of a live reconstruction share, and their messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import (
    Calibration,
    ColorImage,
    DepthMap,
    Frame,
    Intrinsics,
    RawDepth,
    RefinedFrame,
)
from lingbot_live.geometry import subsampled
from lingbot_live.perception.odometry import TrackState
from lingbot_live.perception.reconstruction import Depth, Fusing
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.perception.trust import trusted
from lingbot_live.quality.ruler import Box
from lingbot_live.system.shared import SharedMemory

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

MAX_FRAME_PX = 640 * 480  # larger frames are thinned: their every second pixel tells as much here
MAX_VERTICES = 1_000_000
_RAW_AT = 3 * MAX_FRAME_PX
_REFINED_AT = _RAW_AT + 2 * MAX_FRAME_PX
_POINTS_AT = _REFINED_AT + 4 * MAX_FRAME_PX
_COLORS_AT = _POINTS_AT + 12 * MAX_VERTICES
_TRIANGLES_AT = _COLORS_AT + 12 * MAX_VERTICES
_SIZE = _TRIANGLES_AT + 24 * MAX_VERTICES


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What belongs to the arrays of the frame in the memory."""

    camera: str
    index: int
    device_timestamp_us: int
    intrinsics: Intrinsics
    depth_scale_m: float


@dataclass(frozen=True, slots=True)
class SurfaceHeader:
    """How large the surface in the memory is, and of which depth."""

    depth: Depth
    vertices: int
    triangles: int


@dataclass(frozen=True, slots=True)
class SaveOrder:
    """What is to be written: a mesh of the depth that is shown, or the camera's way."""

    path: Path  # that the result is to have; a file beside it becomes it
    is_way: bool = False
    box: Box | None = None  # of the mesh, what lies in it


@dataclass(frozen=True, slots=True)
class LiveJob:
    """Asks the child for one step; it answers with `LiveNews`."""

    fusing: Fusing
    shown: Depth
    frame: FrameHeader | None = None
    begins_anew: bool = False  # forget all that was before
    wants_surface: bool = False  # even if the last one is recent
    save: SaveOrder | None = None


@dataclass(frozen=True, slots=True)
class LiveNews:
    """Where the reconstruction stands, as plain data."""

    state: TrackState = TrackState.TRACKING
    frames: int = 0  # fused
    left_out: int = 0
    found_again: int = 0
    loops: int = 0
    length_m: float = 0.0
    busy_ms: float = 0.0  # of the last frame
    surface: SurfaceHeader | None = None  # that is new
    saved: Path | None = None
    error: str = ""


class LiveMemory(SharedMemory):
    """A frame going to the child and a surface back; messages say whose turn it is."""

    def __init__(self) -> None:
        super().__init__(_SIZE, "scene")

    @classmethod
    def attach(cls, handle: str) -> LiveMemory:
        """Map the parent's memory, in the child."""
        return cls.attached(handle, _SIZE)

    def write_frame(self, refined: RefinedFrame, least_trust: float) -> FrameHeader:
        """Copy a frame in, of refined depth what is trusted: 5 ms at 640x480."""
        frame, step = refined.frame, 1
        while frame.depth_raw[::step, ::step].size > MAX_FRAME_PX:
            step += 1
        intrinsics = subsampled(frame.intrinsics, step)
        color, raw, depth_m = self._frame(intrinsics)
        color[:] = frame.color[::step, ::step]
        raw[:] = frame.depth_raw[::step, ::step]
        depth_m[:] = trusted(refined, least_trust)[::step, ::step]
        return FrameHeader(
            frame.camera, frame.index, frame.device_timestamp_us, intrinsics, frame.depth_scale_m
        )

    def read_frame(self, header: FrameHeader) -> tuple[Frame, dict[Depth, DepthMap]]:
        """Return a copy of the frame and its depths (H, W), metres."""
        color, raw, depth_m = self._frame(header.intrinsics)
        frame = Frame(
            header.camera, header.index, 0, header.device_timestamp_us, color.copy(), raw.copy(),
            header.depth_scale_m, Calibration(header.intrinsics),
        )  # fmt: skip
        return frame, {Depth.RAW: frame.depth_m, Depth.REFINED: depth_m.copy()}

    def write_surface(self, depth: Depth, surface: SceneSurface) -> SurfaceHeader:
        """Copy a surface in; what there is no room for is left out."""
        vertices = min(len(surface.points_m), MAX_VERTICES)
        inside = surface.triangles[(surface.triangles < vertices).all(axis=1)]
        header = SurfaceHeader(depth, vertices, min(len(inside), 2 * MAX_VERTICES))
        points, colors, triangles = self._surface(header)
        points[:] = surface.points_m[:vertices]
        colors[:] = surface.colors[:vertices]
        triangles[:] = inside[: header.triangles]
        return header

    def read_surface(self, header: SurfaceHeader) -> SceneSurface:
        """Return a copy of the surface."""
        points_m, colors, triangles = self._surface(header)
        return SceneSurface(points_m.copy(), colors.copy(), triangles.copy())

    def _frame(self, of: Intrinsics) -> tuple[ColorImage, RawDepth, DepthMap]:
        size = (of.height, of.width)
        return (
            self.array(0, (*size, 3), np.uint8),
            self.array(_RAW_AT, size, np.uint16),
            self.array(_REFINED_AT, size, np.float32),
        )

    def _surface(self, of: SurfaceHeader) -> tuple[Floats, Floats, Integers]:
        return (
            self.array(_POINTS_AT, (of.vertices, 3), np.float32),
            self.array(_COLORS_AT, (of.vertices, 3), np.float32),
            self.array(_TRIANGLES_AT, (of.triangles, 3), np.int32),
        )
