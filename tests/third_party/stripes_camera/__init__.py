"""A camera that sees stripes: the smallest driver with everything a driver needs.

``stripes:live`` moves a stripe across the picture; ``stripes:FILE.stripes`` plays a file, which is
NumPy's ``.npz`` with ``color`` (N, H, W, 3) uint8 and ``depth`` (N, H, W) uint16 millimetres.
"""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np

from lingbot_live.camera import Camera, CameraInfo, Capture, Driver, StreamProfile
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraNotFoundError, EndOfStreamError
from lingbot_live.frame import Calibration, Intrinsics
from lingbot_live.pace import Pace, Pacer

WIDTH, HEIGHT, FPS = 64, 48, 30.0
LENS = Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)


class StripesDriver(Driver):
    """Finds the one live camera and plays files."""

    scheme = "stripes"
    title = "Stripes"
    suffixes = (".stripes",)

    def discover(self) -> list[CameraInfo]:
        profiles = tuple(StreamProfile(s, WIDTH, HEIGHT, FPS) for s in ("color", "depth"))
        return [CameraInfo(self.scheme, "live", "Stripes camera", "S1", profiles=profiles)]

    def find(self, target: str) -> CameraInfo:
        path = Path(target)
        if path.suffix.lower() in self.suffixes and path.is_file():
            return CameraInfo(self.scheme, target, path.name, is_recording=True)
        if target == "live":
            return self.discover()[0]
        raise CameraNotFoundError(f"stripes:{target}: no such camera or file; try stripes:live")

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        return (StripesRecording if info.is_recording else LiveStripes)(info, config)


class LiveStripes(Camera):
    """Makes its own pictures, at its own rate."""

    def _cam_open(self) -> None:
        self._pacer = Pacer(FPS)
        self._number = 0

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if not self._pacer.wait(timeout_s):
            return None
        self._number += 1
        at = self._number % WIDTH
        color = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        color[:, at] = 250
        depth = np.full((HEIGHT, WIDTH), 1000, np.uint16)
        depth[:, at] = 800
        return _capture(color, depth, self._number)

    def _cam_close(self) -> None:
        pass


class StripesRecording(Camera):
    """`Pace` gives it pause, seek, speed, steps and loop; here a frame is its number."""

    def _cam_open(self) -> None:
        try:
            path = Path(self.info.target)
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                self._color, self._depth = file["color"], file["depth"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BadRecordingError(f"{self.info.target}: no stripes in it ({error})") from error
        self._next = 0
        self._pace = Pace(self, self, (len(self._color) - 1) / FPS, 1 / FPS)
        self.playback = self._pace

    def _cam_read(self, timeout_s: float) -> Capture | None:
        return self._pace.read(timeout_s)

    def play_fetch(self, timeout_s: float) -> tuple[float, int]:
        if self._next == len(self._color):
            raise EndOfStreamError(f"{self.info.target}: it is over")
        self._next += 1
        return (self._next - 1) / FPS, self._next - 1

    def play_show(self, item: int) -> Capture:
        return _capture(self._color[item].copy(), self._depth[item].copy(), item)

    def play_seek(self, position_s: float) -> None:
        self._next = round(position_s * FPS)

    def _cam_close(self) -> None:
        self.playback = None


def _capture(color: np.ndarray, depth: np.ndarray, number: int) -> Capture:
    return Capture(
        color=color,
        depth_raw=depth,
        depth_scale_m=0.001,
        calibration=Calibration(LENS),
        arrival_ns=time.monotonic_ns(),
        device_timestamp_us=round(number * 1e6 / FPS),
        device_index=number,
    )
