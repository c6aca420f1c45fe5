"""RGB-D images on disk, played like a camera: ``folder:PATH``.

Layouts are told apart by what lies in the folder, see `drivers.folder.layouts`.
Frames come at ``config.fps`` (30 by default), or as fast as read without ``config.realtime``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drivers.folder import layouts, pictures
from drivers.folder.layouts import Item
from drivers.folder.lens import Lens
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver
from lingbot_live.cameras.pace import Pace
from lingbot_live.cameras.playback import Preview
from lingbot_live.cameras.previews import shrink
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadFrameError,
    BadRecordingError,
    CameraError,
    CameraNotFoundError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Calibration, ColorImage, DepthMap, Intrinsics
from lingbot_live.registration import LiveRegistration
from lingbot_live.system.held import Held

DEFAULT_FPS = 30.0
CACHE_BYTES = 256 << 20  # 170 decoded pairs of 640x480
_SEARCH_S = 5.0  # for a pair that can be shown


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A decoded pair, aligned."""

    color: ColorImage  # (H, W, 3) uint8 RGB
    depth: pictures.Depth  # (H, W)
    calibration: Calibration
    alignment: Alignment = Alignment.NONE
    truth_m: DepthMap | None = None  # (H, W) where it is known


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

    _pace = Held[Pace[int]]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._items: list[Item] = []
        self._registered: tuple[Calibration, LiveRegistration] | None = None
        self._cache: dict[int, Pair] = {}
        self._cached_bytes = 0
        self._faults: dict[int, str] = {}  # why a pair cannot be shown
        self._position = 0
        self._fps = config.fps or DEFAULT_FPS

    def _cam_open(self) -> None:
        if self.config.width is not None:
            raise CameraError(
                f"{self.info.address}: images keep their own size; leave width and height out"
            )
        sequence = layouts.scan(Path(self.info.target))
        self._items = sequence.items
        if sequence.unpaired:
            self.missed["unpaired"] += sequence.unpaired
        self._position = 0
        self._check_one_opens()
        duration_s = (len(self._items) - 1) / self._fps
        self.playback = self._pace = Pace(
            self, self, duration_s, 1 / self._fps, preview=self._preview
        )
        self.info = replace(self.info, details={"layout": sequence.layout})

    def _check_one_opens(self) -> None:
        """Raise what is wrong with the first pair if no pair can be shown."""
        first: BadRecordingError | None = None
        until_s = time.monotonic() + _SEARCH_S
        shares_lens = self._items[0].lens is self._items[-1].lens
        for position in range(len(self._items)):
            try:
                self._decoded(position)
            except BadRecordingError as error:
                first = first or error
                is_hopeless = shares_lens and not isinstance(error, BadFrameError)
                if is_hopeless or time.monotonic() > until_s:
                    break
            else:
                return
        if first is not None:
            raise BadRecordingError(str(first)) from first

    def _cam_read(self, timeout_s: float) -> Capture | None:
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
        """Decode a pair.

        Raises:
            BadFrameError: it is damaged; it is counted, and the next one may be read.
        """
        arrival_ns = time.monotonic_ns()
        try:
            pair = self._decoded(item)
        except BadRecordingError as error:
            self.missed["damaged"] += 1
            self._faults[item] = str(error)
            raise BadFrameError(str(error)) from error
        return Capture(
            color=pair.color,
            depth_raw=pair.depth.raw,
            depth_scale_m=pair.depth.scale_m,
            calibration=pair.calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=self._stamp_us(item),
            alignment=pair.alignment,
            label=self._items[item].label,
            reference_m=pair.truth_m,
            out_of_range=pair.depth.out_of_range,
        )

    def _preview(self, position_s: float) -> Preview | None:
        """Decode the colour alone; on whatever thread, so nothing of the reader's is touched."""
        items = self._items
        if not items:
            return None
        at = min(max(round(position_s * self._fps), 0), len(items) - 1)
        return shrink(_color(items[at]))

    def _stamp_us(self, position: int) -> int:
        recorded_us = self._items[position].timestamp_us
        return round(position * 1e6 / self._fps) if recorded_us is None else recorded_us

    def _decoded(self, position: int) -> Pair:
        if position in self._cache:
            return self._cache[position]
        if position in self._faults:  # found in the round before
            raise BadFrameError(self._faults[position])
        decoded = self._load(self._items[position])
        size = decoded.color.nbytes + decoded.depth.raw.nbytes
        # The first pairs stay: throwing out the oldest would miss every time in a loop.
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[position] = decoded
            self._cached_bytes += size
        return decoded

    def _load(self, item: Item) -> Pair:
        if item.lens is None:
            raise BadFrameError(item.fault)
        depth = pictures.read_depth(item.depth, item.depth_scale_m)
        color = pictures.read_color(item.color, depth.size)
        pair = replace(self._aligned(item, color, depth), truth_m=_truth_m(item, depth.size))
        for array in (pair.color, pair.depth.raw):
            array.setflags(write=False)
        return pair

    def _aligned(self, item: Item, color: ColorImage, depth: pictures.Depth) -> Pair:
        """Bring depth onto colour where they are of different sensors."""
        height, width = depth.raw.shape
        is_same_size = color.shape[:2] == (height, width)
        if item.depth_lens is None and not is_same_size:
            raise BadFrameError(
                f"{item.color}: colour is {color.shape[1]}x{color.shape[0]} but depth "
                f"{width}x{height}; align depth to colour first"
            )
        if item.depth_lens is None:
            return Pair(color, depth, Calibration(_fitted(item, item.lens, color)))
        own = item.depth_lens.fitted(width, height)
        if is_same_size and item.T_color_depth.is_identity:
            # Colour was brought to depth's size, whatever the calibration of its sensor says.
            return Pair(color, depth, Calibration(own))
        lens = _fitted(item, item.lens, color)
        known = Calibration(lens, own, item.T_color_depth)
        raw = self._registration(known)(depth.raw, depth.scale_m)
        return Pair(color, replace(depth, raw=raw), known, Alignment.OWN)

    def _registration(self, known: Calibration) -> LiveRegistration:
        if self._registered is None or self._registered[0] != known:
            own, T_color_depth = known.before_alignment
            made = LiveRegistration(own, known.color, T_color_depth, keep_values=False)
            self._registered = known, made
        return self._registered[1]

    def _cam_close(self) -> None:
        self.playback = self._pace = None
        self._items, self._cache, self._cached_bytes, self._faults = [], {}, 0, {}


def _truth_m(item: Item, size: tuple[int, int]) -> DepthMap | None:
    if item.truth is None:
        return None
    truth = pictures.read_depth(item.truth, item.depth_scale_m)
    if truth.size != size:
        raise BadFrameError(
            f"{item.truth}: true depth is {truth.size[1]}x{truth.size[0]} but depth "
            f"{size[1]}x{size[0]}; they must be pixel by pixel the same view"
        )
    return np.multiply(truth.raw, np.float32(truth.scale_m), dtype=np.float32)


def _color(item: Item) -> ColorImage:
    return pictures.read_color(item.color)


def _fitted(item: Item, lens: Lens | Intrinsics | None, color: ColorImage) -> Intrinsics:
    height, width = color.shape[:2]
    if isinstance(lens, Lens):
        return lens.fitted(width, height)
    if lens is None:
        raise BadRecordingError(f"{item.color}: nothing tells its calibration")
    if (lens.width, lens.height) != (width, height):
        raise BadRecordingError(
            f"{item.color}: {width}x{height} is not its data set's {lens.width}x{lens.height}; add "
            "an intrinsics.json"
        )
    return lens
