"""Depth to screen pixels, against the ways that users of OpenCV go."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from bench.timing import interleaved_ms
from lingbot_live.colormap import DepthRange, colorize, colorize_rgb32
from lingbot_live.frame import DepthMap

SCALE = DepthRange()


def _depth(height: int, width: int) -> DepthMap:
    """Smooth depth from 0.2 to 5 m with a fifth of it in holes."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0.2, 5.0, (height // 16, width // 16)).astype(np.float32)
    depth_m: DepthMap = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    holes = cv2.resize(rng.random((height // 20, width // 20)), (width, height)) < 0.35
    return np.where(holes, 0, np.maximum(depth_m, 0.1)).astype(np.float32)


def _opencv(depth_m: DepthMap) -> npt.NDArray[np.uint8]:
    """The same picture as ours but 256 colours: clip to the range, map, mark the invalid."""
    share = (depth_m - SCALE.near_m) * (255 / (SCALE.far_m - SCALE.near_m))
    bgr = cv2.applyColorMap(np.clip(share, 0, 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    bgr[depth_m <= 0] = (34, 30, 28)
    return bgr


def _opencv_for_qt(depth_m: DepthMap) -> npt.NDArray[np.uint8]:
    return cv2.cvtColor(_opencv(depth_m), cv2.COLOR_BGR2BGRA)


def _opencv_8_bit(depth_m: DepthMap) -> npt.NDArray[np.uint8]:
    """OpenCV at its fastest: wrong below the near end (absolute values), holes take a colour."""
    return cv2.applyColorMap(
        cv2.convertScaleAbs(depth_m, alpha=255 / SCALE.far_m), cv2.COLORMAP_VIRIDIS
    )


def run() -> list[tuple[str, float, str, float]]:
    rows = []
    for height, width in ((480, 640), (720, 1280)):
        depth_m = _depth(height, width)
        size = f"{width}x{height}"
        for what, ours, peer_name, peer in (
            ("RGB32", colorize_rgb32, "clip + applyColorMap + mask + BGRA", _opencv_for_qt),
            ("RGB", colorize, "clip + applyColorMap + mask", _opencv),
            ("RGB32", colorize_rgb32, "convertScaleAbs + applyColorMap, no holes", _opencv_8_bit),
        ):
            ours_ms, peer_ms = interleaved_ms(
                lambda f=ours, d=depth_m: f(d, SCALE), lambda f=peer, d=depth_m: f(d), rounds=40
            )
            rows.append((f"colormap to {what}, {size}", ours_ms, peer_name, peer_ms))
    return rows
