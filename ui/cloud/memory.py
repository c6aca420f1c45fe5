"""Memory that the window and the cloud's child process share, and the messages beside it.

The memory has no name that could be left behind: on POSIX it is an unlinked file whose descriptor
the child inherits, on Windows a mapping that ends with its last handle. So nothing has to be
cleaned up, even where both processes are killed.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from lingbot_live.frame import ColorImage, Intrinsics, RefinedFrame
from lingbot_live.quality.ruler import Box, Plane, Vector
from ui.cloud.points import Scene, subsampled
from ui.cloud.scene import MAX_CLOUDS, MAX_HEIGHT_PX, MAX_WIDTH_PX, Home, ViewSettings

T = TypeVar("T", bound=np.generic)

MAX_FRAME_PX = 1280 * 960  # larger frames are thinned on the way in
_COLOR_AT = 0
_RAW_AT = _COLOR_AT + 3 * MAX_FRAME_PX
_REFINED_AT = _RAW_AT + 4 * MAX_FRAME_PX
_SLOT_SIZE = _REFINED_AT + 4 * MAX_FRAME_PX  # pages that no frame fills are never there
_PICTURE_AT = MAX_CLOUDS * _SLOT_SIZE
_SIZE = _PICTURE_AT + 3 * MAX_WIDTH_PX * MAX_HEIGHT_PX


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What belongs to the arrays of a frame in one slot of the shared memory."""

    slot: int
    camera: str
    intrinsics: Intrinsics
    depth_scale_m: float


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


class CloudMemory:
    """A frame per slot going to the child and one picture back; messages say whose turn it is.

    ``handle`` is what `attach` needs in the child, ``pass_fds`` what `subprocess` must hand on.
    """

    def __init__(self) -> None:
        self.pass_fds: tuple[int, ...] = ()
        if sys.platform == "win32":
            self.handle = f"lingbot-live-{uuid.uuid4()}"
            self._map = mmap.mmap(-1, _SIZE, tagname=self.handle)
        else:
            descriptor = _unnamed_file()
            os.ftruncate(descriptor, _SIZE)
            self.pass_fds = (descriptor,)
            self.handle = str(descriptor)
            self._map = mmap.mmap(descriptor, _SIZE)

    @classmethod
    def attach(cls, handle: str) -> CloudMemory:
        """Map the parent's memory, in the child."""
        memory = cls.__new__(cls)
        memory.handle, memory.pass_fds = handle, ()
        if sys.platform == "win32":
            memory._map = mmap.mmap(-1, _SIZE, tagname=handle)
        else:
            memory._map = mmap.mmap(int(handle), _SIZE)
        return memory

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()
        for descriptor in self.pass_fds:
            os.close(descriptor)
        self.pass_fds = ()

    def write_frame(self, refined: RefinedFrame, slot: int = 0) -> FrameHeader:
        """Copy a frame in: 1 ms at 640x480."""
        frame, step = refined.frame, 1
        while frame.depth_raw[::step, ::step].size > MAX_FRAME_PX:
            step += 1
        intrinsics = subsampled(frame.intrinsics, step)
        size = (intrinsics.height, intrinsics.width)
        begin = slot * _SLOT_SIZE
        self._array(begin + _COLOR_AT, (*size, 3), np.uint8)[:] = frame.color[::step, ::step]
        self._array(begin + _RAW_AT, size, np.uint16)[:] = frame.depth_raw[::step, ::step]
        self._array(begin + _REFINED_AT, size, np.float32)[:] = refined.depth_m[::step, ::step]
        return FrameHeader(slot, frame.camera, intrinsics, frame.depth_scale_m)

    def read_frame(self, header: FrameHeader) -> Scene:
        """Return the frame; its refined depth and colour stay in the shared memory."""
        size = (header.intrinsics.height, header.intrinsics.width)
        begin = header.slot * _SLOT_SIZE
        raw = self._array(begin + _RAW_AT, size, np.uint16)
        return Scene(
            header.camera,
            self._array(begin + _COLOR_AT, (*size, 3), np.uint8),
            np.multiply(raw, np.float32(header.depth_scale_m), dtype=np.float32),
            self._array(begin + _REFINED_AT, size, np.float32),
            header.intrinsics,
        )

    def picture(self, width: int, height: int) -> ColorImage:
        """Return the (H, W, 3) uint8 picture; the child writes it, the parent copies it."""
        return self._array(_PICTURE_AT, (height, width, 3), np.uint8)

    def _array(
        self, offset: int, shape: tuple[int, ...], dtype: type[T]
    ) -> np.ndarray[tuple[int, ...], np.dtype[T]]:
        return np.ndarray(shape, np.dtype(dtype), self._map, offset)


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("lingbot-live-cloud")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
