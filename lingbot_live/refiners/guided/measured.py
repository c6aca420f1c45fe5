"""Which raw depth can be trusted: flying pixels, islands and glints are no measurements."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import Mask, RawDepth
from lingbot_live.refiners.guided.windows import Band, extremes, in_bands
from lingbot_live.system.helper import ALONE, Helper

_HOLE = -32_768
# The last percent of the 16-bit range is where sensors write "too far to tell", 65535 "nothing".
SATURATED_RAW = 64_880
_FLYING_STEP = 12  # a depth edge is a step by more than this part of the depth
# Outliers are islands up to so many pixels, cut off by a step in thousandths of log depth.
_SPECK = (24, 40)
_ISLAND = (400, 1100)
# An island that reaches farther is too large, whatever lies there; two more rows fill gaps.
_SPECK_REACH_PX = _SPECK[0] + 2
_FLYING_REACH_PX = 6  # how far around a pixel `flying` looks: three windows of 5
_COMPANY_PX = (31, 31)
_COMPANY = 0.3 * _COMPANY_PX[0] * _COMPANY_PX[1]  # known there, for a measurement to be dense


class Candidates(NamedTuple):
    """What could be trusted at first sight, each (H, W)."""

    known: Mask  # whether anything was measured
    dense: Mask  # whether enough around it was
    steps: npt.NDArray[np.int16]  # thousandths of log depth, `_HOLE` in holes and small islands


def candidates(depth_raw: RawDepth, helper: Helper = ALONE) -> Candidates:
    """Return what `reliable` looks at."""
    largest_px = min(_SPECK[0], depth_raw.size // 50)

    def within(band: Band) -> Candidates:
        steps = np.take(_log_steps(), depth_raw[band.wide], mode="clip")
        known = np.asarray(steps != _HOLE)
        company = cv2.boxFilter(known.view(np.uint8), cv2.CV_16U, _COMPANY_PX, normalize=False)
        # Gaps of a pixel or two must not make islands of a thinned-out but sound measurement.
        islands = cv2.dilate(steps, np.ones((3, 3), np.uint8))
        cv2.copyTo(steps, known.view(np.uint8), islands)
        cv2.filterSpeckles(islands, _HOLE, largest_px, _SPECK[1])
        return Candidates(*(a[band.own] for a in (known, known & (company > _COMPANY), islands)))

    parts = in_bands(within, len(depth_raw), _SPECK_REACH_PX, helper)
    return Candidates(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def islands(among: Candidates) -> Mask | None:
    """Return what belongs to larger islands (H, W); None where measurements are sparse.

    Sparse measurements stand alone by nature.
    """
    if 2 * np.count_nonzero(among.dense) < np.count_nonzero(among.known):
        return None
    steps = among.steps.copy()
    cv2.filterSpeckles(steps, _HOLE, min(_ISLAND[0], steps.size // 50), _ISLAND[1])
    return np.asarray(steps == _HOLE)


def reliable(
    depth_raw: RawDepth,
    among: Candidates,
    larger: Callable[[], Mask | None],
    helper: Helper = ALONE,
) -> tuple[Mask, bool]:
    """Return where a measurement (H, W) can be trusted, and whether those are sparse.

    Dropped are flying pixels and islands at a depth of their own, unless nothing else is there. Of
    sparse measurements none is. The larger islands are asked for at the end.
    """
    known, dense, steps = among
    sound = known & ~(((steps == _HOLE) | _glints(depth_raw)) & dense)

    def settled(band: Band) -> Mask:
        left = sound[band.wide].copy()
        left.ravel()[flying(depth_raw[band.wide], left)] = False
        return np.asarray(left[band.own])

    parts, adrift = in_bands(settled, len(known), _FLYING_REACH_PX, helper), larger()
    if adrift is None:
        return known, True
    sound = np.concatenate(parts) & ~(adrift & dense)
    return (sound if (sound & (depth_raw < SATURATED_RAW)).any() else known), False


@functools.cache
def _log_steps() -> npt.NDArray[np.int16]:
    """Return thousandths of log depth by raw value, `_HOLE` where that is no measurement."""
    table = np.full(65_536, _HOLE, np.int16)
    table[1:-1] = np.rint(1000 * np.log(np.arange(1, 65_535)))
    return table


def _glints(depth_raw: RawDepth) -> Mask:
    """Find saturated patches too small for the sky: reflections."""
    saturated = depth_raw >= SATURATED_RAW
    if not saturated.any():
        return saturated
    _, labels, stats, _ = cv2.connectedComponentsWithStats(saturated.view(np.uint8))
    return np.asarray((stats[:, cv2.CC_STAT_AREA] < depth_raw.size // 100)[labels] & saturated)


def flying(depth_raw: RawDepth, known: Mask) -> npt.NDArray[np.intp]:
    """Return flat indices of the known pixels that hang between the two sides of a depth step.

    On a step the contrast of a wide window is that of a narrow one; on a steep plane, which must
    stay, it grows with the width.
    """
    unknown = known.astype(np.uint16) - np.uint16(1)  # all bits where it is not known
    near, far = extremes(depth_raw | unknown, depth_raw & ~unknown, 5)
    contrast = cv2.subtract(far, near)
    steps = np.flatnonzero((contrast > near // _FLYING_STEP) & known)
    wide_near, wide_far = extremes(near, far, 5)
    wide = cv2.subtract(wide_far, wide_near).ravel()[steps]
    height, full = (a.ravel()[steps].astype(np.float32) for a in (depth_raw - near, contrast))
    found = steps[(height > 0.2 * full) & (height < 0.8 * full) & (wide < 1.5 * full)]
    flags = np.zeros(depth_raw.shape, np.uint8)
    flags.ravel()[found] = 255
    # Where most pixels lie between the extremes there are no two sides, only noise.
    return np.asarray(found[cv2.blur(flags, (5, 5)).ravel()[found] < 255 * 0.6])
