"""How far each refined pixel can be trusted: an order, from what is known of it without truth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import table
from lingbot_live.frame import ColorImage, DepthMap, Mask, Origin, RefinedFrame, TrustMap
from lingbot_live.quality.measures import local_range

HALF = 0.05  # expected relative error at which trust is one half
# Of relative error, fitted by least squares to the simulated sensors' true errors.
_BASE, _UNMEASURED, _GUESSED = 0.002, 0.005, 0.02
_OF_DISAGREEMENT, _OF_DISTANCE, _OF_MISSING = 0.8, 0.37, 0.05
_OF_STEP, _OF_STEP_UNMEASURED = 0.09, 0.22
_CONTRADICTED = 0.1  # relative; raw depth so far off does not support a pixel
_MOST_DISAGREEMENT = 0.3
_WINDOW, _WIDE, _EDGE = 7, 31, 9  # pixels at a width of 640
_FAR_SHARE = 100 / 640  # of the width; support farther away than that is none


def trust_map(refined: RefinedFrame) -> TrustMap:
    """Return the trust (H, W) float32 in each pixel of refined depth, 0 where there is none.

    It is ``1 / (1 + e / 0.05)`` with the relative error e that is to be expected (see
    `expected_error`), halved where the refiner does not vouch: an order, from the least to the
    most sure, near to but not measured as a probability. Where trust was recorded, it is that.
    """
    if refined.trust is not None:
        return refined.trust
    trust = 1 / (1 + expected_error(refined) / np.float32(HALF))
    trust *= np.where(refined.mask, np.float32(1), np.float32(0.5))
    return np.asarray(trust * (refined.depth_m > 0), np.float32)


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


def expected_error(refined: RefinedFrame) -> DepthMap:
    """Return the error (H, W) to be expected of refined depth, as a share of it.

    A sum of what is seen: how far measured depth around disagrees with it, less what steadying
    over `RefinedFrame.age` frames takes away; how far the nearest measurement that supports it is;
    how much is missing around; whether it lies at a depth edge, more so where nothing was measured;
    whether the refiner guessed a whole body (`Origin`).
    """
    depth_m, raw_m = refined.depth_m, refined.frame.depth_m
    scale = depth_m.shape[1] / 640
    off = cv2.absdiff(depth_m, raw_m) / np.maximum(depth_m, np.float32(1e-3))
    supported = (raw_m > 0) & (off < _CONTRADICTED)
    near, far = local_range(depth_m, _odd(_EDGE * scale))
    step = np.minimum((far - near) / np.maximum(near, np.float32(0.1)), np.float32(1))
    error = _BASE + np.float32(_OF_DISAGREEMENT) * _disagreement(refined, off, scale)
    error += np.float32(_OF_DISTANCE) * _distance(supported)
    error += _OF_MISSING * (1 - _mean(supported, _odd(_WIDE * scale)))
    error += np.where(supported, _OF_STEP, _OF_STEP_UNMEASURED).astype(np.float32) * step
    error += np.where(supported, np.float32(0), np.float32(_UNMEASURED))
    if refined.origin is not None:
        error += np.float32(_GUESSED) * (refined.origin >= Origin.STANDING)
    return np.asarray(error, np.float32)


def _disagreement(refined: RefinedFrame, off: DepthMap, scale: float) -> DepthMap:
    """Return the mean relative distance from the raw depth measured around, (H, W)."""
    measured = refined.frame.depth_raw > 0
    size = _odd(_WINDOW * scale)
    total = _mean(np.minimum(off, np.float32(_MOST_DISAGREEMENT)) * measured, size)
    mean = total / np.maximum(_mean(measured, size), np.float32(1e-3))
    if refined.age is not None:  # raw noise around a steady mean says less the longer it is steady
        mean /= np.sqrt(np.maximum(refined.age, 1).astype(np.float32))
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


def _odd(size: float) -> int:
    return max(3, 2 * round((size - 1) / 2) + 1)
