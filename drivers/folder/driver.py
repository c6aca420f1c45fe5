"""RGB-D images on disk, played like a camera: ``folder:PATH``.

Three layouts, told apart by what lies in the folder (see `drivers.folder.layouts`): LingBot-Depth
examples (one, or a folder of them), TUM RGB-D, and plain ``color/ depth/ intrinsics.json``.
Frames come at ``config.fps`` (30 by default), or as fast as read without ``config.realtime``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from drivers.folder import layouts
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver
from lingbot_live.cameras.pace import Pace
from lingbot_live.cameras.playback import Preview
from lingbot_live.cameras.previews import shrink
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError, CameraNotFoundError, EndOfStreamError
from lingbot_live.frame import Calibration, ColorImage, Intrinsics, RawDepth

DEFAULT_FPS = 30.0
CACHE_BYTES = 256 << 20  # 170 decoded pairs of 640x480

Decoded = tuple[ColorImage, RawDepth, Intrinsics]


class FolderDriver(Driver):
    """Plays folders; finds nothing by itself."""

    scheme = "folder"
    title = "Folder of RGB-D images"

    def discover(self) -> list[CameraInfo]:
        """Return nothing: folders are named by the user."""
        return []

    def find(self, target: str) -> CameraInfo:
        """Return the folder as a recording."""
        path = Path(target).expanduser().absolute()
        if not path.exists():
            raise CameraNotFoundError(f"folder:{target}: no such folder {path}; check the path")
        if not path.is_dir():
            raise CameraNotFoundError(f"folder:{target}: {path} is a file; name its folder")
        return CameraInfo(self.scheme, str(path), path.name, is_recording=True)

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the folder as a camera, not yet open."""
        return FolderCamera(info, config)

    def plays(self, path: Path) -> bool:
        """Whether the folder has one of the layouts."""
        return path.is_dir() and layouts.layout(path) is not None


class FolderCamera(Camera):
    """Hands out the pairs of a folder in order; decoded pairs are kept up to `CACHE_BYTES`."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._items: list[layouts.Item] = []
        self._cache: dict[int, Decoded] = {}
        self._cached_bytes = 0
        self._position = 0
        self._fps = config.fps or DEFAULT_FPS
        self._pace: Pace[int] | None = None

    def _cam_open(self) -> None:
        if self.config.width is not None:
            raise CameraError(
                f"{self.info.address}: images keep their own size; leave width and height out"
            )
        sequence = layouts.scan(Path(self.info.target))
        self._items = sequence.items
        self.missed["unpaired"] += sequence.unpaired
        self._position = 0
        self._decoded(0)
        duration_s = (len(self._items) - 1) / self._fps
        self.playback = self._pace = Pace(
            self, self, duration_s, 1 / self._fps, preview=self._preview
        )
        self.info = replace(self.info, details={"layout": sequence.layout})

    def _cam_read(self, timeout_s: float) -> Capture | None:
        assert self._pace is not None
        return self._pace.read(timeout_s)

    def play_fetch(self, timeout_s: float) -> tuple[float, int]:
        """Return time and place of the next pair."""
        if self._position >= len(self._items):
            raise EndOfStreamError(f"{self.info.address}: the last image was shown")
        self._position += 1
        return (self._position - 1) / self._fps, self._position - 1

    def play_seek(self, position_s: float) -> None:
        """Go to the pair at a time."""
        self._position = min(round(position_s * self._fps), len(self._items) - 1)

    def play_show(self, item: int) -> Capture:
        """Decode a pair."""
        arrival_ns = time.monotonic_ns()
        place = self._items[item]
        color, depth, intrinsics = self._decoded(item)
        return Capture(
            color=color,
            depth_raw=depth,
            depth_scale_m=place.depth_scale_m,
            calibration=Calibration(intrinsics),
            arrival_ns=arrival_ns,
            device_timestamp_us=self._stamp_us(item),
            label=place.label,
        )

    def _preview(self, position_s: float) -> Preview | None:
        """Decode the colour alone; on whatever thread, so nothing of the reader's is touched."""
        items = self._items
        if not items:
            return None
        at = min(max(round(position_s * self._fps), 0), len(items) - 1)
        return shrink(layouts.read_color(items[at]))

    def _stamp_us(self, position: int) -> int:
        recorded_us = self._items[position].timestamp_us
        return round(position * 1e6 / self._fps) if recorded_us is None else recorded_us

    def _decoded(self, position: int) -> Decoded:
        if position in self._cache:
            return self._cache[position]
        decoded = layouts.load(self._items[position])
        size = decoded[0].nbytes + decoded[1].nbytes
        # The first pairs stay: throwing out the oldest would miss every time in a loop.
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[position] = decoded
            self._cached_bytes += size
        return decoded

    def _cam_close(self) -> None:
        self.playback = self._pace = None
        self._items, self._cache, self._cached_bytes = [], {}, 0
