"""Memory that the window and the cloud's child process share, and the messages beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, Intrinsics, RefinedFrame
from lingbot_live.geometry import subsampled
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.quality.ruler import Box, Plane, Vector
from lingbot_live.system.shared import SharedMemory
from ui.cloud.points import Scene
from ui.cloud.scene import MAX_CLOUDS, MAX_HEIGHT_PX, MAX_WIDTH_PX, Home, ViewSettings

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

MAX_FRAME_PX = 1280 * 960  # larger frames are thinned on the way in
_COLOR_AT = 0
_RAW_AT = _COLOR_AT + 3 * MAX_FRAME_PX
_REFINED_AT = _RAW_AT + 4 * MAX_FRAME_PX
_SLOT_SIZE = _REFINED_AT + 4 * MAX_FRAME_PX  # pages that no frame fills are never there
_PICTURE_AT = MAX_CLOUDS * _SLOT_SIZE
_SURFACE_AT = _PICTURE_AT + 3 * MAX_WIDTH_PX * MAX_HEIGHT_PX
MAX_VERTICES = 1_000_000  # of a surface
_SIZE = _SURFACE_AT + 48 * MAX_VERTICES


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What belongs to the arrays of a frame in one slot of the shared memory."""

    slot: int
    camera: str
    intrinsics: Intrinsics
    depth_scale_m: float


@dataclass(frozen=True, slots=True)
class SurfaceHeader:
    """How large the surface in the shared memory is."""

    vertices: int
    triangles: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks what is seen at a place of the picture, or in a rectangle between two places."""

    purpose: str  # comes back with the answer
    first_px: tuple[float, float]
    last_px: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the clouds hold at the place of an `Ask`, in the common axes."""

    ask: Ask
    point_m: Vector | None = None  # the front-most, None on the background
    offset: Vector | None = None  # of an orbit round that point
    slot: int | None = None  # whose point it is
    planes: tuple[tuple[int, Plane], ...] = ()  # of a rectangle, by slot
    box: Box | None = None  # round the points of a rectangle


@dataclass(frozen=True, slots=True)
class Job:
    """Asks the child for one picture; it answers with a `Picture` or a `Failure`."""

    view: ViewSettings
    frames: tuple[FrameHeader, ...] = ()  # that are new
    slots: tuple[int, ...] = ()  # that hold a frame, new or not; all others are forgotten
    ask: Ask | None = None
    surface: SurfaceHeader | None = None  # that is new


@dataclass(frozen=True, slots=True)
class Picture:
    """Tells that a picture lies in the shared memory."""

    width: int
    height: int
    points: int
    render_ms: float  # from the job's arrival to the picture
    home: Home = field(
        default_factory=Home
    )  # with the view's orbit, where the picture was taken from
    answer: Answer | None = None
    is_thinned: bool = False  # it has fewer points than asked for, to be done sooner


@dataclass(frozen=True, slots=True)
class Failure:
    """The child's last word."""

    text: str


class CloudMemory(SharedMemory):
    """A frame per slot and a surface going to the child, and one picture back.

    Messages say whose turn it is.
    """

    def __init__(self) -> None:
        super().__init__(_SIZE, "cloud")

    @classmethod
    def attach(cls, handle: str) -> CloudMemory:
        """Map the parent's memory, in the child."""
        return cls.attached(handle, _SIZE)

    def write_frame(
        self, refined: RefinedFrame, slot: int = 0, color: ColorImage | None = None
    ) -> FrameHeader:
        """Copy a frame in, in its own colours or in ``color``, (H, W, 3): 1 ms at 640x480."""
        frame, step = refined.frame, 1
        color = frame.color if color is None else color
        while frame.depth_raw[::step, ::step].size > MAX_FRAME_PX:
            step += 1
        intrinsics = subsampled(frame.intrinsics, step)
        size = (intrinsics.height, intrinsics.width)
        begin = slot * _SLOT_SIZE
        self.array(begin + _COLOR_AT, (*size, 3), np.uint8)[:] = color[::step, ::step]
        self.array(begin + _RAW_AT, size, np.uint16)[:] = frame.depth_raw[::step, ::step]
        self.array(begin + _REFINED_AT, size, np.float32)[:] = refined.depth_m[::step, ::step]
        return FrameHeader(slot, frame.camera, intrinsics, frame.depth_scale_m)

    def read_frame(self, header: FrameHeader) -> Scene:
        """Return the frame; its refined depth and colour stay in the shared memory."""
        size = (header.intrinsics.height, header.intrinsics.width)
        begin = header.slot * _SLOT_SIZE
        raw = self.array(begin + _RAW_AT, size, np.uint16)
        return Scene(
            header.camera,
            self.array(begin + _COLOR_AT, (*size, 3), np.uint8),
            np.multiply(raw, np.float32(header.depth_scale_m), dtype=np.float32),
            self.array(begin + _REFINED_AT, size, np.float32),
            header.intrinsics,
        )

    def picture(self, width: int, height: int) -> ColorImage:
        """Return the (H, W, 3) uint8 picture; the child writes it, the parent copies it."""
        return self.array(_PICTURE_AT, (height, width, 3), np.uint8)

    def write_surface(self, surface: SceneSurface) -> SurfaceHeader:
        """Copy a surface in; where it is too large, what there is no room for is left out."""
        header = SurfaceHeader(
            min(len(surface.points_m), MAX_VERTICES), min(len(surface.triangles), 2 * MAX_VERTICES)
        )
        parts = (surface.points_m, surface.colors, surface.triangles)
        for array, values in zip(self._surface(header), parts, strict=True):
            array[:] = values[: len(array)]
        return header

    def read_surface(self, header: SurfaceHeader) -> SceneSurface:
        """Return a copy of the surface."""
        points_m, colors, triangles = self._surface(header)
        inside = (triangles < header.vertices).all(axis=1)
        return SceneSurface(points_m.copy(), colors.copy(), triangles[inside])

    def _surface(self, header: SurfaceHeader) -> tuple[Floats, Floats, Integers]:
        count = header.vertices
        return (
            self.array(_SURFACE_AT, (count, 3), np.float32),
            self.array(_SURFACE_AT + 12 * MAX_VERTICES, (count, 3), np.float32),
            self.array(_SURFACE_AT + 24 * MAX_VERTICES, (header.triangles, 3), np.int32),
        )
