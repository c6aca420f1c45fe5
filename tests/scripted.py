"""A camera that follows a script: what a test needs to see happen, happens."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.frame import Calibration, DepthMap, Frame, Intrinsics, Mask, RefinerInfo
from lingbot_live.refiners.base import Refiner

Step = "int | BaseException | Callable[[], object]"
INTRINSICS = Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5)


def capture(number: int = 0, value: int = 1000) -> Capture:
    color = np.full((6, 8, 3), number % 256, np.uint8)
    depth = np.full((6, 8), value, np.uint16)
    now = time.monotonic_ns()
    return Capture(color, depth, 0.001, Calibration(INTRINSICS), now, number * 33_333, number)


class ScriptedCamera(Camera):
    """Each step is a device number to deliver, an error to raise, or a call to make."""

    def __init__(
        self, steps: Sequence[object], period_s: float = 0.0, name: str = "scripted"
    ) -> None:
        super().__init__(CameraInfo("scripted", name, name), CameraConfig())
        self.steps = list(steps)
        self.period_s = period_s
        self.open_errors: list[BaseException] = []
        self.log: list[str] = []

    def _cam_open(self) -> None:
        self.log.append("open")
        if self.open_errors:
            raise self.open_errors.pop(0)

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if not self.steps:
            raise EndOfStreamError("script is over")
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            step()
            return None
        time.sleep(self.period_s)
        return capture(int(step))  # type: ignore[call-overload]

    def _cam_close(self) -> None:
        self.log.append("close")


class SlowRefiner(Refiner):
    """Takes a given time and remembers what it saw."""

    def __init__(self, seconds: float = 0.0, fail_on: Sequence[int] = ()) -> None:
        super().__init__(RefinerInfo("slow"))
        self.seconds = seconds
        self.fail_on = set(fail_on)
        self.seen: list[tuple[str, int]] = []
        self.closed = False

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        self.seen.append((frame.camera, frame.index))
        time.sleep(self.seconds)
        if frame.index in self.fail_on:
            raise ValueError(f"frame {frame.index} is bad")
        return frame.depth_m, frame.depth_raw > 0

    def close(self) -> None:
        self.closed = True


def create_slow(config: RefinerConfig) -> Refiner:
    return SlowRefiner()
