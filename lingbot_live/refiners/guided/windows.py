"""Extremes in a window."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np

from lingbot_live.frame import DepthMap, RawDepth

Image = TypeVar("Image", RawDepth, DepthMap)


def extremes(near: Image, far: Image, width_px: int) -> tuple[Image, Image]:
    """Return the least of ``near`` and the greatest of ``far`` in a window around each pixel."""
    kernel = np.ones((width_px, width_px), np.uint8)
    return cv2.erode(near, kernel), cv2.dilate(far, kernel)
