"""How far each refined pixel can be trusted: an order, from what is known of it without truth."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import table
from lingbot_live.frame import (
    ColorImage,
    DepthMap,
    Mask,
    Origin,
    OriginMap,
    RefinedFrame,
    TrustMap,
    in_metres,
)
from lingbot_live.geometry import nearest_pixels, value_at
from lingbot_live.quality.measures import local_range

Support: TypeAlias = npt.NDArray[np.uint8]  # (H, W), 1 where raw depth is there and near, else 0
Indices: TypeAlias = npt.NDArray[np.intp]
Part: TypeAlias = tuple[slice, slice] | tuple[Indices, Indices]  # rows and columns of a picture

HALF = 0.05  # expected relative error at which trust is one half
# Of relative error, fitted to the simulated sensors' true errors; those of what is measured so that
# each tenth by trust is wrong by more than the one before, at two sizes, steadied or not.
_BASE, _UNMEASURED, _GUESSED = 0.002, 0.0055, 0.02
_OF_DISAGREEMENT, _OF_DISTANCE, _OF_MISSING = 0.25, 0.37, 0.03
_OF_STEP, _OF_STEP_UNMEASURED = 0.127, 0.22
_CONTRADICTED = 0.1  # relative; raw depth so far off does not support a pixel
_MOST_DISAGREEMENT = 0.3
_WINDOW, _WIDE, _EDGE = 7, 31, 9  # pixels at a width of 640
_FAR_SHARE = 100 / 640  # of the width; support farther away than that is none
_ALL = (slice(None), slice(None))
_FEW = 64  # pixels around which trust is told sooner than everywhere
_ALONG = 0.955  # pixels that a step along a row or a column counts in distances of OpenCV
# By a pixel's number: of its kind (twice its origin, one more where it has support), of its age.
_NUMBERS = np.arange(256)
_STEP_OF_KIND = np.where(_NUMBERS % 2, _OF_STEP, _OF_STEP_UNMEASURED).astype(np.float32)
_OF_KIND = (
    _BASE
    + _OF_MISSING
    + np.where(_NUMBERS % 2, 0, _UNMEASURED)
    + np.where(_NUMBERS // 2 >= Origin.STANDING, _GUESSED, 0)
).astype(np.float32)
_OF_AGE = (1 / np.sqrt(np.maximum(_NUMBERS, 1))).astype(np.float32)


def trust_map(refined: RefinedFrame) -> TrustMap:
    """Return the trust (H, W) float32 in each pixel of refined depth, 0 where there is none.

    It is ``1 / (1 + e / 0.05)`` with the relative error e that is to be expected (see
    `_expected_error`), halved where the refiner does not vouch: an order, from the least to the
    most sure, near to but not measured as a probability. Where trust was recorded, it is that.
    """
    if refined.trust is not None:
        return refined.trust
    seen = _Seen.of(refined, _ALL)
    return _trust(seen, np.asarray(cv2.distanceTransform(seen.support ^ 1, cv2.DIST_L2, 3)))


def trust_at(refined: RefinedFrame, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what `trust_map` tells at the pixels nearest to (N, 2) u, v: (N,), 0 outside.

    Around a few pixels it takes a fraction of the map's time.
    """
    if refined.trust is not None or len(pixels) > _FEW:
        return value_at(trust_map(refined), pixels)
    column, row, inside = nearest_pixels(refined.depth_m.shape, pixels)
    told = np.zeros(len(pixels), np.float32)
    if inside.any():
        told[inside] = _trust_around(refined, row[inside], column[inside])
    return told


def trust_picture(trust: TrustMap, colormap: str) -> ColorImage:
    """Return trust (H, W) in colours, (H, W, 3): the far end of the scale is full trust."""
    colors = table(colormap)
    picture: ColorImage = colors[np.ceil(trust * np.float32(len(colors) - 1)).astype(np.intp)]
    return picture


def trusted(refined: RefinedFrame, least: float) -> DepthMap:
    """Return refined depth (H, W) where its trust is at least ``least``, 0 elsewhere."""
    if least <= 0:
        return refined.depth_m
    return refined.depth_m * (trust_map(refined) >= least)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What is known of a result, or of a part of one, pixel by pixel: (H, W) each."""

    width: int  # of the whole picture
    depth_m: DepthMap
    mask: Mask
    measured: Mask  # raw depth is there
    off: DepthMap  # how far it is from refined depth, as a share of that; 0 where it is not there
    support: Support
    origin: OriginMap | None
    age: npt.NDArray[np.uint8] | None

    @classmethod
    def of(cls, refined: RefinedFrame, at: Part) -> _Seen:
        depth_m = refined.depth_m[at]
        raw_m = in_metres(refined.frame.depth_raw[at], refined.frame.depth_scale_m)
        off = cv2.absdiff(depth_m, raw_m)
        off /= cv2.max(depth_m, 1e-3)
        measured = raw_m > 0
        support = measured & (off < _CONTRADICTED)
        off = _at_most(_MOST_DISAGREEMENT, off)
        off *= measured
        return cls(
            width=refined.depth_m.shape[1],
            depth_m=depth_m,
            mask=refined.mask[at],
            measured=measured,
            off=off,
            support=support.view(np.uint8),
            origin=None if refined.origin is None else refined.origin[at],
            age=None if refined.age is None else refined.age[at],
        )


def _trust(seen: _Seen, distance_px: DepthMap) -> TrustMap:
    error = _expected_error(seen, distance_px)
    error += np.float32(HALF)
    known = seen.depth_m > 0
    halves = known.view(np.uint8) + (known & seen.mask)  # of full trust
    return np.asarray(cv2.divide(halves, error, scale=HALF / 2, dtype=cv2.CV_32F))


def _trust_around(refined: RefinedFrame, row: Indices, column: Indices) -> TrustMap:
    """Return the trust in N pixels, (N,), by no more of the picture than is around them.

    Squares of it, each as large as the largest window, are looked at as one picture.
    """
    height, width = refined.depth_m.shape
    size = max(_pixels(size, width) for size in (_WINDOW, _WIDE, _EDGE))
    middle = (slice(size // 2, None, size), size // 2)
    rows, columns = _mirrored(row, size, height), _mirrored(column, size, width)
    seen = _Seen.of(refined, (rows.reshape(-1, 1), np.repeat(columns, size, axis=0)))
    distance_px = np.zeros_like(seen.depth_m)
    distance_px[middle] = [
        0 if is_support else _distance_px(refined, *at)
        for is_support, *at in zip(seen.support[middle], row, column, strict=True)
    ]
    return np.asarray(_trust(seen, distance_px)[middle])


def _mirrored(at: Indices, size: int, end: int) -> Indices:
    """Return the rows or columns (N, size) around each of (N,), mirrored where OpenCV does it."""
    around = np.add.outer(at, np.arange(size) - size // 2) % max(2 * end - 2, 1)
    return np.minimum(around, 2 * end - 2 - around)


def _distance_px(refined: RefinedFrame, row: int, column: int) -> float:
    """Return how far one pixel's nearest support is, as OpenCV's distances are, or `_most_px`."""
    most_px = _most_px(refined.depth_m.shape[1])
    for reach in (_WIDE // 2, math.ceil(most_px / _ALONG)):
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
        support = _Seen.of(refined, (rows, columns)).support
        height, width = support.shape
        top, left = reach - row + rows.start, reach - column + columns.start
        apart = _distances(reach)[top : top + height, left : left + width]
        nearest = apart.min(initial=most_px, where=support.view(bool))
        if nearest < _ALONG * reach:  # what is farther away is not nearer than that
            break
    return float(nearest)


@functools.lru_cache(maxsize=4)
def _distances(reach: int) -> DepthMap:
    """Return how far pixels are from the one in the middle, (2 * reach + 1) squared."""
    middle = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    middle[reach, reach] = 0
    return np.asarray(cv2.distanceTransform(middle, cv2.DIST_L2, 3), np.float32)


def _most_px(width: int) -> float:
    """Return from how far support is none, in a picture that wide."""
    return _FAR_SHARE * width


def _pixels(size: int, width: int) -> int:
    """Return the odd number of pixels of a window of ``size`` at 640, in a picture that wide."""
    return max(3, 2 * round((size * width / 640 - 1) / 2) + 1)


def _expected_error(seen: _Seen, distance_px: DepthMap) -> DepthMap:
    """Return the error (H, W) to be expected of refined depth, as a share of it.

    A sum of what is seen: how far measured depth around disagrees with it, less what steadying
    over `RefinedFrame.age` frames takes away; how far the nearest measurement that supports it is;
    how much is missing around; whether it lies at a depth edge, more so where nothing was measured;
    whether the refiner guessed a whole body (`Origin`).
    """
    most_px = _most_px(seen.width)
    supported = _mean(seen.support, _pixels(_WIDE, seen.width))
    kind = seen.support if seen.origin is None else seen.support + 2 * seen.origin
    error = cv2.LUT(kind, _STEP_OF_KIND)
    error *= _step(seen)
    error += cv2.LUT(kind, _OF_KIND)
    for weight, what in (
        (_OF_DISAGREEMENT, _disagreement(seen)),
        (_OF_DISTANCE / most_px, _at_most(most_px, distance_px)),
        (-_OF_MISSING, supported),
    ):
        cv2.scaleAdd(what, weight, error, dst=error)
    return np.asarray(error, np.float32)


def _step(seen: _Seen) -> DepthMap:
    """Return the depth edge around each pixel, as a share of the depth, (H, W), at most 1."""
    near_m, far_m = local_range(seen.depth_m, _pixels(_EDGE, seen.width))
    step = far_m - near_m
    step /= cv2.max(near_m, 0.1)
    return _at_most(1, step)


def _disagreement(seen: _Seen) -> DepthMap:
    """Return the mean relative distance from the raw depth measured around, (H, W)."""
    size = _pixels(_WINDOW, seen.width)
    even = np.full(size, 1 / size, np.float32)
    mean = cv2.sepFilter2D(seen.off, -1, even, even)  # three quarters of the time of `cv2.blur`
    mean /= cv2.max(_mean(seen.measured.view(np.uint8), size), 1e-3)
    if seen.age is not None:  # raw noise around a steady mean says less the longer it is steady
        mean *= cv2.LUT(seen.age, _OF_AGE)
    return np.asarray(mean, np.float32)


def _at_most(most: float, values: DepthMap) -> DepthMap:
    """Return the smaller of each, in the array itself."""
    return np.asarray(cv2.threshold(values, most, 0, cv2.THRESH_TRUNC, dst=values)[1])


def _mean(flags: npt.NDArray[np.uint8], size_px: int) -> DepthMap:
    return np.asarray(cv2.boxFilter(flags, cv2.CV_32F, (size_px, size_px)))
