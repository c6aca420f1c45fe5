"""Windows around pixels: extremes in one, and pictures cut so that each part has its own whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from lingbot_live.frame import DepthMap, RawDepth
from lingbot_live.system.helper import Helper

Image = TypeVar("Image", RawDepth, DepthMap)
Part = TypeVar("Part")


class Band(NamedTuple):
    """Rows of a picture, and of what has to be looked at for them."""

    wide: slice  # of the picture
    own: slice  # of those


def in_bands(
    work: Callable[[Band], Part], rows: int, reach_px: int, helper: Helper
) -> Sequence[Part]:
    """Have the upper and the lower half of a picture done side by side; a small one as a whole.

    They are those of the whole where no pixel's hangs on others more than ``reach_px`` away.
    """
    middle = rows // 2
    if middle < reach_px:
        return [work(Band(slice(0, rows), slice(0, rows)))]
    upper = Band(slice(0, middle + reach_px), slice(0, middle))
    lower = Band(slice(middle - reach_px, rows), slice(reach_px, rows - middle + reach_px))
    return helper.both(lambda: work(upper), lambda: work(lower))


def extremes(near: Image, far: Image, width_px: int) -> tuple[Image, Image]:
    """Return the least of ``near`` and the greatest of ``far`` in a window around each pixel."""
    kernel = np.ones((width_px, width_px), np.uint8)
    return cv2.erode(near, kernel), cv2.dilate(far, kernel)
