"""What the pipeline itself costs a frame, and how fast the command line answers."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.camera import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.frame import Calibration, Intrinsics
from lingbot_live.refiner import PassthroughRefiner
from lingbot_live.session import Session

FRAMES = 300


class StillCamera(Camera):
    """Hands out the same picture as fast as it is asked, so that only the pipeline is timed."""

    def _cam_open(self) -> None:
        rng = np.random.default_rng(0)
        self._color = rng.integers(0, 255, (480, 640, 3), np.uint8)
        self._depth = rng.integers(300, 4000, (480, 640)).astype(np.uint16)
        self._calibration = Calibration(Intrinsics(640, 480, 600, 600, 320, 240))
        self._left = FRAMES

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self._left == 0:
            raise EndOfStreamError("done")
        self._left -= 1
        now = time.monotonic_ns()
        return Capture(self._color, self._depth, 0.001, self._calibration, now, now // 1000)

    def _cam_close(self) -> None:
        pass


def _camera() -> Camera:
    return StillCamera(CameraInfo("bench", "still", "still"), CameraConfig())


def _through_session() -> None:
    session = Session([("still", _camera)], PassthroughRefiner)
    session.start()
    session.wait()
    session.stop()


def _bare_loop() -> None:
    refiner = PassthroughRefiner()
    with _camera() as camera:
        for _ in range(FRAMES):
            refiner.refine(camera.read(1.0))


def run() -> list[tuple[str, float, str, float]]:
    ours, bare = interleaved_ms(_through_session, _bare_loop, rounds=5)
    help_ms, typer_ms = interleaved_ms(
        lambda: subprocess.run(
            [sys.executable, "-m", "lingbot_live", "--help"], check=True, capture_output=True
        ),
        lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True),
    )
    what = "pipeline a frame, pass-through, 640x480"
    return [
        (what, ours / FRAMES, "read and refine in one thread", bare / FRAMES),
        ("lingbot-live --help", help_ms, "python -c 'import typer'", typer_ms),
    ]
