"""The guided refiner against OpenCV's inpainting of the same holes, and in a pipeline."""

from __future__ import annotations

import time

import cv2
import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.pipeline.session import Session
from lingbot_live.quality.depth_errors import mask_blocks
from lingbot_live.refiners.guided import create_guided

_CONFIG = RefinerConfig("guided")
_IN_PIPELINE = 60  # frames


def _frame(height: int, width: int) -> Frame:
    """Boxes before a slanted wall with sensor noise, 30 % of it in holes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth_m = 1 / (0.3 + 0.1 * x / width + 0.1 * y / height)
    color = rng.integers(90, 110, (height, width, 3)).astype(np.uint8)
    for _ in range(12):
        top, left = rng.integers(0, height - 60), rng.integers(0, width - 60)
        box = np.s_[top : top + rng.integers(30, 200), left : left + rng.integers(30, 200)]
        depth_m[box] = rng.uniform(0.8, 2.0)
        color[box] = rng.integers(0, 256, 3)
    depth_m *= 1 + 0.003 * rng.standard_normal(depth_m.shape)
    depth_raw = (depth_m * 1000).astype(np.uint16)
    depth_raw[mask_blocks(np.ones_like(depth_raw, bool), rng, 0.3)] = 0
    calibration = Calibration(Intrinsics(width, height, 600, 600, width / 2, height / 2))
    return Frame("bench", 0, 0, 0, color, depth_raw, 0.001, calibration)


class _Still(Camera):
    """Hands out one frame at 30 a second."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(CameraInfo("bench", "still", "still"), CameraConfig())
        self._frame, self._left = frame, _IN_PIPELINE

    def _cam_open(self) -> None:
        pass

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self._left == 0:
            raise EndOfStreamError("done")
        self._left -= 1
        time.sleep(1 / 30)
        now, frame = time.monotonic_ns(), self._frame
        return Capture(frame.color, frame.depth_raw, 0.001, frame.calibration, now, now // 1000)

    def _cam_close(self) -> None:
        pass


def _in_pipeline_ms(frame: Frame) -> float:
    """Return the median time that refining takes between capture and the rest of a session."""
    session = Session([("still", lambda: _Still(frame))], lambda: create_guided(_CONFIG))
    with session:
        session.wait()
    (feed,) = session.stats().feeds.values()
    return feed.figures.latency_ms["refine"].p50


def run() -> list[tuple[str, float, str, float]]:
    refiner = create_guided(_CONFIG)
    rows = []
    for height, width, rounds in ((480, 640, 15), (720, 1280, 5)):
        frame = _frame(height, width)
        holes = (frame.depth_raw == 0).astype(np.uint8)
        ours_ms, peer_ms = interleaved_ms(
            lambda f=frame: refiner.refine(f),
            lambda f=frame, h=holes: cv2.inpaint(f.depth_raw, h, 3, cv2.INPAINT_TELEA),
            rounds,
        )
        rows.append((f"guided, {width}x{height}", ours_ms, "cv2.inpaint Telea", peer_ms))
        within_ms = _in_pipeline_ms(frame)
        rows.append((f"guided in the pipeline, {width}x{height}", within_ms, "alone", ours_ms))
    return rows
