"""Depth-quality numbers exactly as Intel's depth-quality-tool computes them, oddities included.

Source: librealsense, ``tools/depth-quality/rs-depth-quality.cpp`` and ``depth-metrics.h`` (state of
July 2025). They are here to be compared with what that tool shows. The corrected numbers are in
`lingbot_live.quality.measures` and `lingbot_live.quality.temporal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import Intrinsics, RawDepth
from lingbot_live.geometry import rays

Points = npt.NDArray[np.float64]  # (N, 3) metres
_FIFO = 39  # the tool drops one image on reaching 40


class RsPlane(NamedTuple):
    """``normal . point + offset_m = 0``, with a unit normal."""

    normal: npt.NDArray[np.float64]  # (3,)
    offset_m: float


class RsNumbers(NamedTuple):
    """What the tool shows for one image, in its units; None where it shows nothing."""

    rs_fill_percent: float
    rs_distance_mm: float
    rs_angle_deg: float
    rs_plane_rms_mm: float
    rs_plane_rms_percent: float
    rs_subpixel_rms_px: float | None
    rs_z_accuracy_percent: float | None


def rs_roi(width: int, height: int, percent: float = 40) -> tuple[slice, slice]:
    """Return rows and columns of the tool's centred rectangle, ``percent`` of each side."""
    half = np.float32(0.5) * np.float32(percent / 100)  # in single precision, as the tool
    low, high = np.float32(0.5) - half, np.float32(0.5) + half
    rows = slice(int(np.float32(height) * low), int(np.float32(height) * high))
    return rows, slice(int(np.float32(width) * low), int(np.float32(width) * high))


def rs_plane(points_m: Points) -> RsPlane | None:
    """Fit the tool's plane to (N, 3) points: least squares along the axis of best condition.

    Centroid and covariance sums; of the three axes the one with the largest 2x2 determinant is
    taken as the dependent variable (Emil Ernerfeldt, "Fitting a plane to many points in 3D",
    ilikebigbits.com, 2015). None with fewer than 3 points or where they span no plane.
    """
    if len(points_m) < 3:
        return None
    centroid = points_m.mean(0)
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = (points_m - centroid).T @ (points_m - centroid)
    determinants = (yy * zz - yz * yz, xx * zz - xz * xz, xx * yy - xy * xy)
    best = int(np.argmax(determinants))
    if determinants[best] <= 0:
        return None
    directions = (
        (determinants[0], xz * yz - xy * zz, xy * yz - xz * yy),
        (xz * yz - xy * zz, determinants[1], xy * xz - yz * xx),
        (xy * yz - xz * yy, xy * xz - yz * xx, determinants[2]),
    )
    normal = np.array(directions[best]) / np.linalg.norm(directions[best])
    return RsPlane(normal, float(-normal @ centroid))


def rs_numbers(
    depth_raw: RawDepth,
    depth_scale_m: float,
    intrinsics: Intrinsics,
    roi: tuple[slice, slice],
    baseline_m: float | None = None,
    distance_mm: float | None = None,
) -> RsNumbers | None:
    """Return the numbers of one image (H, W); None where the tool would keep its old ones.

    ``distance_mm`` is the true distance to the target. All definitions are the tool's:

    - fill: ``100 * valid / pixels`` of the region, valid meaning raw != 0;
    - distance: ``-offset``, signed by the normal; angle: ``acos(|normal_z|)``;
    - the plane is fitted to all points, then ``N // 200`` points are dropped at either end of z;
    - plane RMS: ``sqrt(mean e^2)`` of the perpendicular residuals e, also in % of the distance;
    - sub-pixel RMS: ``sqrt(mean (bf/|P| - bf/|P'|)^2)`` with ``bf = baseline_mm * fx *
      depth_scale``, P' the foot of P on the plane and Euclidean lengths, so that it is in pixels
      only where a raw unit is 1 mm;
    - Z accuracy: ``100 * median(plane_to_truth + e) / truth`` with the plane's depth at the image
      centre, and element ``n // 2`` of the sorted values as the median.
    """
    raw = depth_raw[roi]
    points = _points(depth_raw, depth_scale_m, intrinsics, roi)
    plane = rs_plane(points)
    if plane is None:
        return None
    points = _without_ends(points)
    residuals_mm = 1000 * (points @ plane.normal + plane.offset_m)
    rms_mm = float(np.sqrt(np.mean(residuals_mm**2)))
    plane_mm = -1000 * plane.offset_m
    return RsNumbers(
        rs_fill_percent=100 * float(np.count_nonzero(raw)) / raw.size,
        rs_distance_mm=plane_mm,
        rs_angle_deg=float(np.degrees(np.arccos(min(1.0, abs(float(plane.normal[2])))))),
        rs_plane_rms_mm=rms_mm,
        rs_plane_rms_percent=100 * rms_mm / plane_mm,
        rs_subpixel_rms_px=None
        if baseline_m is None
        else _subpixel_px(points, plane, 1000 * baseline_m * intrinsics.fx * depth_scale_m),
        rs_z_accuracy_percent=None
        if distance_mm is None
        else _z_accuracy(residuals_mm, plane, intrinsics, distance_mm),
    )


def rs_temporal_noise_percent(region_raw: Sequence[RawDepth]) -> float:
    """Return the tool's temporal noise of the last 39 images (h, w) of the region, in %.

    Per pixel, of the values that are not 0: population standard deviation over median; then the
    median of that over **all** pixels, those never valid counting as 0, times 100. Medians are
    element ``n // 2``.
    """
    stack = np.stack(list(region_raw)[-_FIFO:]).reshape(-1, region_raw[0].size).astype(np.float64)
    valid = stack > 0
    count = valid.sum(0)
    mean = stack.sum(0) / np.maximum(count, 1)
    deviation = np.sqrt((((stack - mean) * valid) ** 2).sum(0) / np.maximum(count, 1))
    ordered = np.sort(stack, axis=0)  # zeros first
    middle = np.minimum(len(stack) - count + count // 2, len(stack) - 1)
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    noise = np.sort(np.where(count > 0, deviation / np.maximum(median, 1), 0))
    return float(100 * noise[noise.size // 2])


def _points(
    depth_raw: RawDepth, scale_m: float, intrinsics: Intrinsics, roi: tuple[slice, slice]
) -> Points:
    z = depth_raw[roi].astype(np.float64) * scale_m
    valid = z > 0
    directions = rays(intrinsics)[roi].astype(np.float64)
    xy = directions[valid] * z[valid][:, None]
    return np.column_stack([xy, z[valid]])


def _without_ends(points_m: Points) -> Points:
    cut = len(points_m) // 200
    ordered = points_m[np.argsort(points_m[:, 2], kind="stable")]
    return ordered[cut : len(ordered) - cut]


def _subpixel_px(points_m: Points, plane: RsPlane, bf: float) -> float:
    height = points_m @ plane.normal + plane.offset_m
    feet = points_m - height[:, None] * plane.normal
    difference = bf / np.linalg.norm(points_m, axis=1) - bf / np.linalg.norm(feet, axis=1)
    return float(np.sqrt(np.mean(difference**2)))


def _z_accuracy(
    residuals_mm: npt.NDArray[np.float64],
    plane: RsPlane,
    intrinsics: Intrinsics,
    distance_mm: float,
) -> float:
    x, y = rays(intrinsics)[intrinsics.height // 2, intrinsics.width // 2].astype(np.float64)
    z_m = -plane.offset_m / (plane.normal @ np.array([x, y, 1.0]))
    errors = np.sort(1000 * z_m - distance_mm + residuals_mm)
    return float(100 * errors[errors.size // 2] / distance_mm)
