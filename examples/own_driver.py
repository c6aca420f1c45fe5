"""A camera of your own: a moving ramp of depth. A package would register it by entry point."""

import time

import numpy as np

from lingbot_live.camera import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.frame import Calibration, Intrinsics
from lingbot_live.registry import create_refiner
from lingbot_live.session import Session

LENS = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)


class RampCamera(Camera):
    """Thirty pictures a second of a ramp that moves."""

    def _cam_open(self) -> None:
        self._number = 0

    def _cam_read(self, timeout_s: float) -> Capture | None:
        time.sleep(1 / 30)
        self._number += 1
        depth = 500 + (np.arange(64, dtype=np.uint16) + self._number) % 64 * np.ones((48, 1), "u2")
        return Capture(
            color=np.full((48, 64, 3), self._number % 256, np.uint8),
            depth_raw=depth.astype(np.uint16),
            depth_scale_m=0.001,
            calibration=Calibration(LENS),
            arrival_ns=time.monotonic_ns(),
            device_timestamp_us=time.monotonic_ns() // 1000,
            device_index=self._number,
        )

    def _cam_close(self) -> None:
        """Nothing is held."""


camera = RampCamera(CameraInfo("ramp", "one", "Ramp"), CameraConfig())
session = Session([("ramp", lambda: camera)], lambda: create_refiner(RefinerConfig("none")))
session.start(max_frames=30)
session.wait()
session.stop()
print(session.stats().feeds["ramp"].figures)
