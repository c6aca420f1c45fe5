"""Drivers and refiners that break the promises of a plug-in, each in one way.

``fine:good`` breaks none, and streams at once where a simulated camera has a room to draw first.
"""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path

import numpy as np
from sessions import NoisyCamera

from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.refiners.base import Refiner

_COUNT = 100_000


class FineDriver(Driver):
    """Breaks none; the others break one of its."""

    scheme, title = "fine", "Fine"

    def discover(self) -> list[CameraInfo]:
        return [self.find("0")]

    def find(self, target: str) -> CameraInfo:
        return CameraInfo(self.scheme, target, self.title)

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        camera = FaultyCamera(target=info.target, driver=self.scheme)
        return camera


class FaultyCamera(NoisyCamera):
    """Noise for ever, but for what ``target`` says goes wrong, and after how many frames.

    In its open: ``open`` raises, ``stuck`` hangs. In its read: ``read`` raises, ``none`` is no
    capture, ``silent`` has none, ``hang`` hangs, ``deaf`` hangs in native code, where Python hears
    no signal.
    """

    def __init__(self, target: str, driver: str) -> None:
        super().__init__(target, count=_COUNT, period_s=0.03, size=(320, 240))
        self.info = CameraInfo(driver, target, "Faulty")
        self.fault, _, after = target.partition("-")
        self.after = int(after or 0)
        self.returns = threading.Event()  # set: what hangs goes on

    def _cam_open(self) -> None:
        if self.fault == "open":
            raise KeyError("no such register")
        if self.fault == "stuck":
            self.returns.wait(1000)

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self.fault == "silent":
            time.sleep(timeout_s)
            return None
        if self.count < _COUNT - 3 and Path(".plugins").is_dir():
            Path(".plugins", "streaming").touch()  # for tests that wait for that
        self.after -= 1
        if self.after >= 0 or self.fault not in ("read", "none", "hang", "deaf"):
            return super()._cam_read(timeout_s)
        if self.fault == "hang":
            self.returns.wait(1000)
        if self.fault == "deaf":
            hang_in_native_code()
        if self.fault == "read":
            raise ZeroDivisionError("division by zero")
        return "no capture"  # type: ignore[return-value]


def hang_in_native_code() -> None:
    """Wait for a lock that this thread holds, in the C library."""
    lock = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(lock)


class RaisingDriver(FineDriver):
    scheme, title = "raising", "Raises where it lists"

    def discover(self) -> list[CameraInfo]:
        raise RuntimeError("bus error")


class TalkingDriver(FineDriver):
    scheme, title = "talking", "Lists what is no camera"

    def discover(self) -> list[CameraInfo]:
        return ["camera 1", None]  # type: ignore[list-item]


class HangingDriver(FineDriver):
    scheme, title = "hanging", "Never answers"

    def discover(self) -> list[CameraInfo]:
        time.sleep(1000)
        return []


class WrongDriver(FineDriver):
    scheme, title = "wrong", "Cannot be made"

    def __init__(self) -> None:
        raise OSError("no such bus")


class FaultyRefiner(Refiner):
    """Breaks what its model says: ``raise``, ``hang``, ``shape``, ``negative``, ``nan``.

    With ``load`` it takes for ever to start.
    """

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__(RefinerInfo("faulty"))
        self.fault = config.model
        if self.fault == "load":
            time.sleep(1000)

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m, mask = frame.depth_m + np.float32(1), np.ones(frame.depth_raw.shape, np.bool_)
        if self.fault == "raise":
            raise KeyError("layer 3")
        if self.fault == "hang":
            time.sleep(1000)
        if self.fault == "nothing":
            return None  # type: ignore[return-value]
        if self.fault == "shape":
            return depth_m[1:], mask[1:]
        depth_m[0, 0] = {"negative": -1.0, "nan": np.nan, "inf": np.inf}.get(self.fault, 1.0)
        return depth_m, mask


DRIVERS = {
    kind.scheme: kind.__name__
    for kind in (FineDriver, RaisingDriver, TalkingDriver, HangingDriver, WrongDriver)
} | {"broken": "not_there"}
