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
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lingbot_live.frame import ColorImage, Intrinsics, RefinedFrame
from ui.cloud_scene import MAX_HEIGHT_PX, MAX_WIDTH_PX, Scene, Vector, ViewSettings, subsampled

T = TypeVar("T", bound=np.generic)

MAX_FRAME_PX = 1280 * 960  # larger frames are thinned on the way in
_COLOR_AT = 0
_RAW_AT = _COLOR_AT + 3 * MAX_FRAME_PX
_REFINED_AT = _RAW_AT + 4 * MAX_FRAME_PX
_PICTURE_AT = _REFINED_AT + 4 * MAX_FRAME_PX
_SIZE = _PICTURE_AT + 3 * MAX_WIDTH_PX * MAX_HEIGHT_PX


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What belongs to the arrays of a frame in the shared memory."""

    camera: str
    intrinsics: Intrinsics
    depth_scale_m: float


@dataclass(frozen=True, slots=True)
class Job:
    """Asks the child for one picture; it answers with a `Picture` or a `Failure`."""

    view: ViewSettings
    frame: FrameHeader | None  # None: as before
    pick_px: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Tells that a picture lies in the shared memory."""

    width: int
    height: int
    points: int
    render_ms: float  # from the job's arrival to the picture
    picked: Vector | None = None  # the orbit offset of the point that was asked for


@dataclass(frozen=True, slots=True)
class Failure:
    """The child's last word."""

    text: str


class CloudMemory:
    """One frame going to the child and one picture coming back; the messages say whose turn it is.

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

    def write_frame(self, refined: RefinedFrame) -> FrameHeader:
        """Copy a frame in: 1 ms at 640x480."""
        frame, step = refined.frame, 1
        while frame.depth_raw[::step, ::step].size > MAX_FRAME_PX:
            step += 1
        intrinsics = subsampled(frame.intrinsics, step)
        size = (intrinsics.height, intrinsics.width)
        self._array(_COLOR_AT, (*size, 3), np.uint8)[:] = frame.color[::step, ::step]
        self._array(_RAW_AT, size, np.uint16)[:] = frame.depth_raw[::step, ::step]
        self._array(_REFINED_AT, size, np.float32)[:] = refined.depth_m[::step, ::step]
        return FrameHeader(frame.camera, intrinsics, frame.depth_scale_m)

    def read_frame(self, header: FrameHeader) -> Scene:
        """Return the frame; its refined depth and colour stay in the shared memory."""
        size = (header.intrinsics.height, header.intrinsics.width)
        raw = self._array(_RAW_AT, size, np.uint16)
        return Scene(
            header.camera,
            self._array(_COLOR_AT, (*size, 3), np.uint8),
            np.multiply(raw, np.float32(header.depth_scale_m), dtype=np.float32),
            self._array(_REFINED_AT, size, np.float32),
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
