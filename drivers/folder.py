"""RGB-D images on disk, played like a camera: ``folder:PATH``.

Three layouts, told apart by what lies in the folder (see `drivers._rgbd`): LingBot-Depth examples
(one, or a folder of them), TUM RGB-D sequences, and plain ``color/ depth/ intrinsics.json``.
Frames come at ``config.fps`` (30 by default), or as fast as read without ``config.realtime``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from drivers import _rgbd
from lingbot_live.camera import Camera, CameraInfo, Capture, Driver, Pacer
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
        return path.is_dir() and _rgbd.layout(path) is not None


class FolderCamera(Camera):
    """Hands out the pairs of a folder in order; decoded pairs are kept up to `CACHE_BYTES`."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._items: list[_rgbd.Item] = []
        self._cache: dict[int, Decoded] = {}
        self._cached_bytes = 0
        self._position = 0
        self._pacer = Pacer(config.fps or DEFAULT_FPS)

    def _cam_open(self) -> None:
        if self.config.width is not None:
            raise CameraError(
                f"{self.info.address}: images keep their own size; leave width and height out"
            )
        sequence = _rgbd.scan(Path(self.info.target))
        self._items = sequence.items
        self.missed["unpaired"] += sequence.unpaired
        self._position = 0
        self._pacer = Pacer(self.config.fps or DEFAULT_FPS)
        self._decoded(0)
        self.info = replace(self.info, details={"layout": sequence.layout})

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self._position >= len(self._items):
            if not self.config.loop:
                raise EndOfStreamError(f"{self.info.address}: the last image was shown")
            self._position = 0
        if self.config.realtime and not self._pacer.wait(timeout_s):
            return None
        arrival_ns = time.monotonic_ns()
        item = self._items[self._position]
        self._position += 1  # before decoding, so that reading gets past a damaged image
        color, depth, intrinsics = self._decoded(self._position - 1)
        return Capture(
            color=color,
            depth_raw=depth,
            depth_scale_m=item.depth_scale_m,
            calibration=Calibration(intrinsics),
            arrival_ns=arrival_ns,
            device_timestamp_us=self._stamp_us(item),
            label=item.label,
        )

    def _stamp_us(self, item: _rgbd.Item) -> int:
        if item.timestamp_us is not None:
            return item.timestamp_us
        return round((self._position - 1) * 1e6 / (self.config.fps or DEFAULT_FPS))

    def _decoded(self, position: int) -> Decoded:
        if position in self._cache:
            return self._cache[position]
        decoded = _rgbd.load(self._items[position])
        size = decoded[0].nbytes + decoded[1].nbytes
        # The first pairs stay: throwing out the oldest would miss every time in a loop.
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[position] = decoded
            self._cached_bytes += size
        return decoded

    def _cam_close(self) -> None:
        self._items, self._cache, self._cached_bytes = [], {}, 0
