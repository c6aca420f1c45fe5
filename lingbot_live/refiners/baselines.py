"""Plain ways to fill holes, to measure refiners against; they smooth and remove nothing.

They are named in `lingbot_live.quality.evaluation` alone, not offered for streaming.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.refiners.base import Refiner

Fill = Callable[[Frame], DepthMap]


class BaselineRefiner(Refiner):
    """Fills every hole of the raw depth by one rule; measured pixels stay as they are."""

    def __init__(self, name: str, fill: Fill, note: str) -> None:
        super().__init__(RefinerInfo(name, note=note))
        self._fill = fill

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m = self._fill(frame) if frame.depth_raw.any() else frame.depth_m
        return depth_m, np.asarray(depth_m > 0)


def fill_nearest(frame: Frame) -> DepthMap:
    """Give each hole the depth of the nearest measured pixel (OpenCV's 5x5 distances)."""
    import cv2

    holes = (frame.depth_raw == 0).astype(np.uint8)
    kind = cv2.DIST_LABEL_PIXEL
    _, labels = cv2.distanceTransformWithLabels(holes, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=kind)
    depth_m = frame.depth_m
    by_label = np.zeros(int(labels.max()) + 1, np.float32)
    measured = holes == 0
    by_label[labels[measured]] = depth_m[measured]
    return np.asarray(by_label[labels])


def fill_telea(frame: Frame) -> DepthMap:
    """OpenCV's inpainting with radius 3 (Telea, J. Graphics Tools 2004), on the raw values."""
    import cv2

    holes = (frame.depth_raw == 0).astype(np.uint8)
    filled = cv2.inpaint(frame.depth_raw, holes, 3, cv2.INPAINT_TELEA)
    return np.asarray(filled * np.float32(frame.depth_scale_m), np.float32)


def fill_push_pull(frame: Frame) -> DepthMap:
    """Mean of measured pixels in a pyramid, pulled up and pushed back into the holes.

    Gortler, Grzeszczuk, Szeliski, Cohen, "The Lumigraph", SIGGRAPH 1996.
    """
    import cv2

    depth_m = frame.depth_m
    levels = [(depth_m, (depth_m > 0).astype(np.float32))]
    while max(levels[-1][0].shape) > 1 and not levels[-1][1].all():
        height, width = levels[-1][0].shape
        size = ((width + 1) // 2, (height + 1) // 2)
        total, weight = (cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in levels[-1])
        levels.append((total, weight))
    filled = np.zeros_like(levels[-1][0])
    for total, weight in reversed(levels):
        coarse = cv2.resize(filled, total.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = np.where(weight > 0, total / np.maximum(weight, np.float32(1e-9)), coarse)
    return np.asarray(filled, np.float32)


BASELINES: dict[str, tuple[Fill, str]] = {
    "nearest": (fill_nearest, "nearest measured pixel"),
    "telea": (fill_telea, "OpenCV inpainting, radius 3"),
    "pushpull": (fill_push_pull, "pyramid of means"),
}


def create_baseline(name: str) -> Refiner:
    """Return a baseline of `BASELINES`."""
    fill, note = BASELINES[name]
    return BaselineRefiner(name, fill, note)
