"""Depth-quality metrics: pure functions of raw, refined and, where there is one, reference depth.

The masked-depth protocol measures a refiner where no true depth is known: hide part of the valid
raw depth (`mask_blocks` or `mask_sparse`), refine what is left (`hide`), and compare on the hidden
pixels (`rel_error`).
"""

from __future__ import annotations

import dataclasses
from enum import IntEnum
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import INVALID_RGB
from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, DepthMap, Frame, Mask


def mask_blocks(
    valid: Mask,
    rng: np.random.Generator,
    share: float = 0.4,
    size_px: tuple[int, int] = (40, 160),
) -> Mask:
    """Choose valid pixels (H, W) to hide, as rectangles like the large holes of shiny surfaces.

    Rectangles of sides drawn evenly from ``size_px`` (both ends included) fall anywhere, also
    across the border, until they cover ``share`` of the image.

    Raises:
        ConfigError: ``share`` lies outside 0 to 0.95, or a size is not positive.
    """
    low, high = size_px
    if not 0 <= share <= 0.95 or not 0 < low <= high:
        raise ConfigError(
            f"masked blocks: share {share} must lie in 0 to 0.95, sides {size_px} be 1 or more, "
            "the smaller first"
        )
    covered = np.zeros(valid.shape, bool)
    while covered.mean() < share:
        height, width = (int(side) for side in rng.integers(low, high + 1, 2))
        top = int(rng.integers(1 - height, valid.shape[0]))
        left = int(rng.integers(1 - width, valid.shape[1]))
        covered[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return covered & valid


def mask_sparse(valid: Mask, rng: np.random.Generator, keep: float = 0.005) -> Mask:
    """Choose valid pixels (H, W) to hide, so that each is kept with the probability ``keep``.

    Raises:
        ConfigError: ``keep`` lies outside 0 to 1.
    """
    if not 0 <= keep <= 1:
        raise ConfigError(f"masked sparse: keep {keep} must lie in 0 to 1")
    return np.asarray(valid & (rng.random(valid.shape) >= keep))


def hide(frame: Frame, hidden: Mask) -> Frame:
    """Return the frame without the raw depth of the hidden pixels (H, W)."""
    return dataclasses.replace(frame, depth_raw=np.where(hidden, np.uint16(0), frame.depth_raw))


def rel_error(depth_m: DepthMap, reference_m: DepthMap, where: Mask) -> float:
    """Return REL, the mean of ``|depth - reference| / reference`` over ``where``.

    Pixels without a reference are left out; pixels without depth (0) count as an error of 1.
    Returns nan where nothing can be compared.

    Raises:
        ConfigError: the three differ in shape.
    """
    _same_shape("rel_error", depth_m, reference_m, where)
    where = where & (reference_m > 0)
    if not where.any():
        return float("nan")
    reference = reference_m[where]
    return float((np.abs(depth_m[where] - reference) / reference).mean(dtype=np.float64))


DELTAS = (1.25, 1.10, 1.05, 1.03)


def reference_errors(depth_m: DepthMap, reference_m: DepthMap) -> dict[str, float]:
    """Return the errors against a reference, over valid pixels and over all pixels.

    With d the depth and g the reference, over the pixels where both are valid (as published depth
    completion results are: Eigen et al., NeurIPS 2014; Uhrig et al., 3DV 2017):

    - ``absrel`` mean ``|d - g| / g``, ``mae_m`` mean ``|d - g|``, ``rmse_m`` root mean square;
    - ``delta_125``, ``_110``, ``_105``, ``_103``: share with ``max(d/g, g/d)`` below 1.25, ...;
    - ``bias_m``: median of ``d - g``.

    Those say nothing of holes, and leaving out hard pixels makes them better. So a second set,
    with ``_all`` in the key, counts every pixel that has a reference; one without depth (0)
    stands as depth 0: an error of g, a relative error of 1, outside every delta.
    ``coverage_share`` is the share of the reference that has depth.

    Raises:
        ConfigError: the two differ in shape.
    """
    _same_shape("reference_errors", depth_m, reference_m)
    known = reference_m > 0
    d, g = depth_m[known], reference_m[known]
    seen = d > 0
    error = np.abs(d - g)
    with np.errstate(divide="ignore"):
        ratio = np.maximum(d / g, g / d)  # infinite without depth
    errors = {"coverage_share": float(seen.mean()) if seen.size else float("nan")}
    errors |= _errors(error[seen], g[seen], ratio[seen], "")
    errors["bias_m"] = float(np.median(d[seen] - g[seen])) if seen.any() else float("nan")
    return errors | _errors(error, g, ratio, "_all")


def _errors(error: DepthMap, g: DepthMap, ratio: DepthMap, suffix: str) -> dict[str, float]:
    deltas = (f"delta_{round(100 * t)}{suffix}" for t in DELTAS)
    keys = [f"absrel{suffix}", f"mae{suffix}_m", f"rmse{suffix}_m", *deltas]
    if error.size == 0:
        return dict.fromkeys(keys, float("nan"))
    wide = np.float64  # of the sums
    values = [
        (error / g).mean(dtype=wide),
        error.mean(dtype=wide),
        np.sqrt((error * error).mean(dtype=wide)),
        *((ratio < t).mean() for t in DELTAS),
    ]
    return {key: float(value) for key, value in zip(keys, values, strict=True)}


def error_by_distance(
    depth_m: DepthMap, reference_m: DepthMap, edges_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return per distance bin: median ``|d - g|`` (m), covered share, pixels of reference; (3, B).

    Pixels fall into the bins between ``edges_m`` (ascending, metres) by their reference. The median
    is over pixels with depth; it tells a sensor's noise from its failures. nan for empty bins.
    """
    which = np.digitize(reference_m, edges_m) - 1
    which[reference_m <= 0] = -1
    seen = depth_m > 0
    error = np.abs(depth_m - reference_m)
    rows = []
    for number in range(len(edges_m) - 1):
        inside = which == number
        pixels, measured = int(inside.sum()), inside & seen
        median = float(np.median(error[measured])) if measured.any() else float("nan")
        rows.append((median, measured.sum() / pixels if pixels else float("nan"), pixels))
    return np.array(rows, np.float64).T


class Change(IntEnum):
    """What a refiner did to a pixel."""

    INVALID = 0  # refined depth has no value
    KEPT = 1  # was valid and stayed within the tolerance
    CHANGED = 2  # was valid and moved by more
    FILLED = 3  # was invalid and has a value now


CHANGE_RGB = {  # on dark and on white
    Change.INVALID: INVALID_RGB,
    Change.KEPT: (96, 102, 110),
    Change.CHANGED: (242, 163, 58),
    Change.FILLED: (76, 154, 255),
}
_CHANGE_TABLE = np.zeros((256, 1, 3), np.uint8)
_CHANGE_TABLE[: len(Change), 0] = [CHANGE_RGB[kind] for kind in Change]


class Tolerance(NamedTuple):
    """How far a pixel may move and still count as kept: the larger of the two.

    The defaults are the noise of the sensors themselves, so a move within them says nothing:
    2 mm is about the least that time-of-flight and close stereo repeat, and 1 % of the depth lies
    within what makers of stereo cameras state as accuracy (2 % at 2 m).
    """

    absolute_m: float = 0.002
    relative: float = 0.01


DEFAULT_TOLERANCE = Tolerance()


def change_map(
    raw_m: DepthMap, refined_m: DepthMap, tolerance: Tolerance = DEFAULT_TOLERANCE
) -> npt.NDArray[np.uint8]:
    """Return the `Change` of each pixel, (H, W) uint8, from depth in metres, 0 = invalid.

    Raises:
        ConfigError: the two differ in shape.
    """
    _same_shape("change_map", raw_m, refined_m)
    allowed_m = np.maximum(raw_m * np.float32(tolerance.relative), np.float32(tolerance.absolute_m))
    kept = np.abs(refined_m - raw_m) <= allowed_m
    changes = np.where(kept, np.uint8(Change.KEPT), np.uint8(Change.CHANGED))
    changes[raw_m <= 0] = Change.FILLED
    changes[refined_m <= 0] = Change.INVALID
    return changes


def change_picture(changes: npt.NDArray[np.uint8]) -> ColorImage:
    """Return a `change_map` in the colours of `CHANGE_RGB`, (H, W, 3) uint8."""
    return np.asarray(cv2.applyColorMap(changes, _CHANGE_TABLE), np.uint8)


def change_shares(changes: npt.NDArray[np.uint8]) -> dict[Change, float]:
    """Return the share of all pixels, 0 to 1, by kind of `change_map`; they add up to 1."""
    every = max(changes.size, 1)
    return {kind: np.count_nonzero(changes == kind) / every for kind in Change}


def _same_shape(who: str, *arrays: npt.NDArray[np.generic]) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ConfigError(f"{who}: the arrays must have one shape, not {shapes}")
