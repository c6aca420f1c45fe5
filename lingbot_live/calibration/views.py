"""One camera's depth, colour and region of interest as another camera would have them."""

from __future__ import annotations

import functools

import numpy as np

from lingbot_live.frame import DepthMap, Extrinsics, Intrinsics
from lingbot_live.geometry import project, rays
from lingbot_live.registration import Registration
from lingbot_live.roi import Roi

_FINEST_M = 1e-4  # steps of the integers on the way; coarser only for depths over 6.5 m


@functools.lru_cache(maxsize=8)
def _registration(
    source: Intrinsics, target: Intrinsics, T_target_source: Extrinsics
) -> Registration:
    return Registration(source, target, T_target_source, keep_values=False)


def register_into_view(
    depth_m: DepthMap, T_target_source: Extrinsics, source: Intrinsics, target: Intrinsics
) -> DepthMap:
    """Return a camera's depth in another camera's view, (H, W) float32 metres along its z.

    ``depth_m`` is (h, w) float32 metres of the ``source`` camera, 0 = invalid. Where two surfaces
    land on one pixel, the nearest hides the other; where none does, the result is 0. Steps are
    0.1 mm up to 6.5 m. A pixel fills all that it touches, so near things grow by up to a pixel.

    Raises:
        CameraError: ``depth_m`` is not of ``source``'s size.
    """
    if T_target_source.is_identity and source == target:
        return depth_m
    farthest = float(depth_m.max(initial=0.0)) + abs(T_target_source.translation_m[2])
    scale_m = max(_FINEST_M, 1.3 * farthest / 65534)
    raw = np.rint(depth_m * np.float32(1 / scale_m)).astype(np.uint16)
    moved = _registration(source, target, T_target_source)(raw, scale_m)
    return np.multiply(moved, np.float32(scale_m), dtype=np.float32)


def region_into_view(
    roi: Roi,
    depth_m: DepthMap,
    T_target_source: Extrinsics,
    source: Intrinsics,
    target: Intrinsics,
) -> Roi | None:
    """Return the region of the target's picture that shows the place in space of the source's.

    The corners are put at the median of the region's valid depth, (H, W) float32 metres; the answer
    is the rectangle around them, cut off at the picture. None where the region has no depth or
    falls outside (less than two pixels of either side).

    Raises:
        ConfigError: the region does not lie inside the source's picture.
    """
    rows, columns = roi.slices(depth_m.shape)
    inside = depth_m[rows, columns]
    if not inside.any():
        return None
    y, x = [rows.start, rows.stop - 1], [columns.start, columns.stop - 1]
    corners = rays(source)[np.ix_(y, x)].reshape(-1, 2)
    points = T_target_source.apply(
        np.c_[corners, np.ones(4)] * float(np.median(inside[inside > 0]))
    )
    if (points[:, 2] <= 0).any():
        return None
    pixels = np.clip(np.rint(project(points, target)), 0, [target.width - 1, target.height - 1])
    (left, top), (right, bottom) = pixels.min(0).astype(int), pixels.max(0).astype(int)
    if right - left < 1 or bottom - top < 1:
        return None
    return Roi(rectangle=(int(left), int(top), int(right - left + 1), int(bottom - top + 1)))
