"""Cameras that remember what they delivered, and sessions recorded from them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.frame import (
    Alignment,
    Calibration,
    Extrinsics,
    Frame,
    ImuSample,
    Intrinsics,
    RefinedFrame,
)
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.refiners.base import PassthroughRefiner, Refiner

TURN = Extrinsics(((0, -1, 0), (1, 0, 0), (0, 0, 1)), (0.015, 0.0, -0.002))


def calibration(width: int = 40, height: int = 30) -> Calibration:
    color = Intrinsics(width, height, 33.1, 33.7, 19.4, 14.6, (0.1, -0.2, 0.001, 0.002, 0.05))
    depth = Intrinsics(width, height, 30.0, 30.0, 19.5, 14.5)
    return Calibration(color, depth, TURN, 0.095)


class NoisyCamera(Camera):
    """Delivers ``count`` frames of noise, every raw value from 0 to 65535 among them."""

    def __init__(
        self,
        name: str = "left",
        count: int = 12,
        scale_m: float = 0.001,
        period_s: float = 0.002,
        size: tuple[int, int] = (40, 30),
        seed: int = 0,
        with_imu: bool = False,
        with_extras: bool = False,
    ) -> None:
        info = CameraInfo("noisy", name, f"Noisy {name}", serial="0042")
        super().__init__(info, CameraConfig(extras=with_extras))
        self.count, self.scale_m, self.period_s = count, scale_m, period_s
        self.size = size
        self.with_imu = with_imu
        self.rng = np.random.default_rng(seed)
        self.device_us = 5_000_000

    def _cam_open(self) -> None:
        pass

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self.count == 0:
            raise EndOfStreamError("all delivered")
        self.count -= 1
        time.sleep(self.period_s)
        self.device_us += 33_333
        width, height = self.size
        coarse = self.rng.integers(0, 255, (height // 10, width // 10, 3), np.uint8)
        color = np.repeat(np.repeat(coarse, 10, 0), 10, 1)
        depth = self.rng.integers(0, 65536, (height, width)).astype(np.uint16)
        depth[0, 0], depth[0, 1] = 0, 65535
        self._imu.extend(_readings(self.device_us) if self.with_imu else ())
        return Capture(
            color, depth, self.scale_m, calibration(width, height), time.monotonic_ns(),
            self.device_us, self.device_us // 33_333, Alignment.SDK, label=f"f{self.count}",
            extras=self._extras() if self.config.extras else {},
        )  # fmt: skip

    def _extras(self) -> dict[str, np.ndarray]:
        """Infrared of 8 and of 16 bits, and depth, each in a size of its own."""
        return {
            "infrared_left": self.rng.integers(0, 256, (24, 32), np.uint8),
            "infrared": self.rng.integers(0, 65536, (20, 36)).astype(np.uint16),
            "depth_native": self.rng.integers(0, 65536, (30, 50)).astype(np.uint16),
        }

    def _cam_close(self) -> None:
        pass


def _readings(now_us: int) -> list[ImuSample]:
    """One of both sensors, one of either alone, all before ``now_us``."""
    pull, turn = (0.1, -9.81, now_us / 7), (-0.0, 1e-9, 3.0)
    both = ImuSample(now_us - 20_001, pull, turn)
    return [both, ImuSample(now_us - 9_000, pull), ImuSample(now_us, None, turn)]


class Witness:
    """A tap that keeps everything."""

    def __init__(self) -> None:
        self.frames: dict[str, list[Frame]] = {}
        self.refined: dict[str, list[RefinedFrame]] = {}

    def __call__(self, name: str, item: Frame | RefinedFrame) -> None:
        kept: dict[str, list] = self.frames if isinstance(item, Frame) else self.refined
        kept.setdefault(name, []).append(item)


class HalfRefiner(PassthroughRefiner):
    """Gives depths between the steps of a millimetre, and a mask of its own."""

    def _refine(self, frame):
        depth_m, _ = super()._refine(frame)
        return depth_m * np.float32(0.9371), frame.depth_raw > 300


def create_half() -> Refiner:
    return HalfRefiner()


def record(
    path: Path,
    *cameras: Camera,
    options: RecorderOptions | None = None,
    refiner=create_half,
    during=None,
) -> tuple[Witness, Recorder]:
    """Record cameras to their end; return what they delivered, and the stopped recorder."""
    session = Session([(c.info.address, lambda c=c: c) for c in cameras], refiner)
    witness = Witness()
    session.add_tap(witness)
    recorder = Recorder(path, options, {"model": "none"})
    recorder.start(session)
    session.start()
    try:
        if during is not None:
            during(session, recorder)
        session.wait()
    finally:
        session.stop()
        recorder.stop()
    return witness, recorder
