"""What the pipeline itself costs a frame, and how fast the command line answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.frame import Calibration, Intrinsics
from lingbot_live.pipeline.session import Session
from lingbot_live.refiners.base import PassthroughRefiner

FRAMES = 200
PERIOD_S = 0.005  # so slow that no frame is replaced before it is refined


class StillCamera(Camera):
    """Hands out the same picture again and again."""

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
        time.sleep(PERIOD_S)
        now = time.monotonic_ns()
        return Capture(self._color, self._depth, 0.001, self._calibration, now, now // 1000)

    def _cam_close(self) -> None:
        pass


def _camera() -> Camera:
    return StillCamera(CameraInfo("bench", "still", "still"), CameraConfig())


def _through_session() -> int:
    session = Session([("still", _camera)], PassthroughRefiner)
    session.start()
    session.wait()
    session.stop()
    return session.feeds[0].stats.refined


def _bare_loop() -> int:
    refiner = PassthroughRefiner()
    with _camera() as camera:
        for _ in range(FRAMES):
            refiner.refine(camera.read(1.0))
    return FRAMES


def _processor_ms(call: Callable[[], int]) -> float:
    """Return processor time of all threads, per refined frame."""
    started_s = time.process_time()
    frames = call()
    return (time.process_time() - started_s) * 1000 / frames


def run() -> list[tuple[str, float, str, float]]:
    pairs = [(_processor_ms(_through_session), _processor_ms(_bare_loop)) for _ in range(5)]
    ours, bare = (min(column) for column in zip(*pairs, strict=True))
    help_ms, typer_ms = interleaved_ms(
        lambda: subprocess.run(
            [sys.executable, "-m", "lingbot_live", "--help"], check=True, capture_output=True
        ),
        lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True),
    )
    what = "pipeline a frame, pass-through, 640x480, processor time"
    return [
        (what, ours, "read and refine in one thread", bare),
        ("lingbot-live --help", help_ms, "python -c 'import typer'", typer_ms),
    ]
