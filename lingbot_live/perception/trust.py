"""How far each refined pixel can be trusted: an order, from what is known of it without truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
)
from lingbot_live.geometry import nearest_pixels, value_at
from lingbot_live.quality.measures import local_range

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
_FEW = 32  # pixels around which trust is told sooner than everywhere


def trust_map(refined: RefinedFrame) -> TrustMap:
    """Return the trust (H, W) float32 in each pixel of refined depth, 0 where there is none.

    It is ``1 / (1 + e / 0.05)`` with the relative error e that is to be expected (see
    `_expected_error`), halved where the refiner does not vouch: an order, from the least to the
    most sure, near to but not measured as a probability. Where trust was recorded, it is that.
    """
    return _trust(_Seen.of(refined)) if refined.trust is None else refined.trust


def trust_at(refined: RefinedFrame, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what `trust_map` tells at the pixels nearest to (N, 2) u, v: (N,), 0 outside.

    Around a few pixels it takes a fraction of the map's time.
    """
    if refined.trust is not None or len(pixels) > _FEW:
        return value_at(trust_map(refined), pixels)
    seen = _Seen.of(refined)
    reach = seen.pixels(max(_WINDOW, _WIDE, _EDGE)) // 2
    u, v, inside = nearest_pixels(refined.depth_m.shape, pixels)
    told = np.zeros(len(pixels), np.float32)
    for index in np.flatnonzero(inside):
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (v[index], u[index]))
        around = _trust(seen.part(rows, columns))
        told[index] = around[v[index] - rows.start, u[index] - columns.start]
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
    return np.where(trust_map(refined) >= least, refined.depth_m, np.float32(0))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What is known of a result, or of a part of one, pixel by pixel: (H, W) each."""

    width: int  # of the whole picture
    depth_m: DepthMap
    mask: Mask
    measured: Mask  # raw depth is there
    off: DepthMap  # how far it is from refined depth, as a share of that
    supported: Mask  # it is there, and near
    distance: DepthMap  # of the nearest support, 1 at `_FAR_SHARE` of the width
    origin: OriginMap | None
    age: npt.NDArray[np.uint8] | None

    @classmethod
    def of(cls, refined: RefinedFrame) -> _Seen:
        depth_m, raw_m = refined.depth_m, refined.frame.depth_m
        off = cv2.absdiff(depth_m, raw_m) / np.maximum(depth_m, np.float32(1e-3))
        measured = raw_m > 0
        supported = measured & (off < _CONTRADICTED)
        return cls(
            depth_m.shape[1], depth_m, refined.mask, measured, off, supported,
            _distance(supported), refined.origin, refined.age,
        )  # fmt: skip

    def part(self, rows: slice, columns: slice) -> _Seen:
        at = (rows, columns)
        return replace(
            self,
            depth_m=self.depth_m[at],
            mask=self.mask[at],
            measured=self.measured[at],
            off=self.off[at],
            supported=self.supported[at],
            distance=self.distance[at],
            origin=None if self.origin is None else self.origin[at],
            age=None if self.age is None else self.age[at],
        )

    def pixels(self, size: int) -> int:
        """Return the odd number of pixels that a window of ``size`` at a width of 640 has here."""
        return max(3, 2 * round((size * self.width / 640 - 1) / 2) + 1)


def _trust(seen: _Seen) -> TrustMap:
    trust = 1 / (1 + _expected_error(seen) / np.float32(HALF))
    trust *= np.where(seen.mask, np.float32(1), np.float32(0.5))
    return np.asarray(trust * (seen.depth_m > 0), np.float32)


def _expected_error(seen: _Seen) -> DepthMap:
    """Return the error (H, W) to be expected of refined depth, as a share of it.

    A sum of what is seen: how far measured depth around disagrees with it, less what steadying
    over `RefinedFrame.age` frames takes away; how far the nearest measurement that supports it is;
    how much is missing around; whether it lies at a depth edge, more so where nothing was measured;
    whether the refiner guessed a whole body (`Origin`).
    """
    near, far = local_range(seen.depth_m, seen.pixels(_EDGE))
    step = np.minimum((far - near) / np.maximum(near, np.float32(0.1)), np.float32(1))
    error = _BASE + np.float32(_OF_DISAGREEMENT) * _disagreement(seen)
    error += np.float32(_OF_DISTANCE) * seen.distance
    error += _OF_MISSING * (1 - _mean(seen.supported, seen.pixels(_WIDE)))
    error += np.where(seen.supported, _OF_STEP, _OF_STEP_UNMEASURED).astype(np.float32) * step
    error += np.where(seen.supported, np.float32(0), np.float32(_UNMEASURED))
    if seen.origin is not None:
        error += np.float32(_GUESSED) * (seen.origin >= Origin.STANDING)
    return np.asarray(error, np.float32)


def _disagreement(seen: _Seen) -> DepthMap:
    """Return the mean relative distance from the raw depth measured around, (H, W)."""
    size = seen.pixels(_WINDOW)
    total = _mean(np.minimum(seen.off, np.float32(_MOST_DISAGREEMENT)) * seen.measured, size)
    mean = total / np.maximum(_mean(seen.measured, size), np.float32(1e-3))
    if seen.age is not None:  # raw noise around a steady mean says less the longer it is steady
        mean /= np.sqrt(np.maximum(seen.age, 1).astype(np.float32))
    return np.asarray(mean, np.float32)


def _distance(supported: Mask) -> DepthMap:
    """Return how far the nearest supporting measurement is, 1 at `_FAR_SHARE` of the width."""
    most_px = _FAR_SHARE * supported.shape[1]
    if not supported.any():
        return np.ones(supported.shape, np.float32)
    distance_px = cv2.distanceTransform((~supported).view(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.minimum(distance_px / most_px, 1), np.float32)


def _mean(values: npt.NDArray[np.generic], size_px: int) -> DepthMap:
    return np.asarray(cv2.blur(values.astype(np.float32), (size_px, size_px)))
