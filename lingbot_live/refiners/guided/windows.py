"""Windows around pixels: extremes in one, and pictures cut so that each part has its own whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from lingbot_live.frame import DepthMap, RawDepth
from lingbot_live.system.helper import Helper

Image = TypeVar("Image", RawDepth, DepthMap)
Part = TypeVar("Part")

_MOST_BANDS = 4  # so that neither thread waits long for the other
_LEAST_ROWS = 200  # of a band: threads wait for the interpreter's lock between calls


class Band(NamedTuple):
    """Rows of a picture, and of what has to be looked at for them."""

    wide: slice  # of the picture
    own: slice  # of those


def in_bands(work: Callable[[Band], Part], rows: int, reach_px: int, helper: Helper) -> list[Part]:
    """Have the bands of a picture done side by side; a small picture is one.

    The results are those of the whole where none hangs on pixels more than ``reach_px`` away.
    """
    number = max(1, min(_MOST_BANDS, rows // _LEAST_ROWS))
    cuts = [rows * i // number for i in range(number + 1)]
    return helper.each(work, [_band(*cut, reach_px, rows) for cut in pairwise(cuts)])


def _band(start: int, stop: int, reach_px: int, rows: int) -> Band:
    first = max(start - reach_px, 0)
    return Band(slice(first, min(stop + reach_px, rows)), slice(start - first, stop - first))


def extremes(near: Image, far: Image, width_px: int) -> tuple[Image, Image]:
    """Return the least of ``near`` and the greatest of ``far`` in a window around each pixel."""
    kernel = np.ones((width_px, width_px), np.uint8)
    return cv2.erode(near, kernel), cv2.dilate(far, kernel)
