"""Planes: one way to fit them to what cameras measure, and how flat a measured target is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import Calibration, DepthMap, Mask
from lingbot_live.geometry import rays
from lingbot_live.quality.measures import NAN, Floats, Numbers
from lingbot_live.roi import Roi

_MAD = 1.4826  # median absolute deviation to standard deviation of a normal distribution
_TRIM = 4.0  # standard deviations; cutting there lowers an RMS of normal noise by 0.05 % only
_DRAWS, _JURY = 64, 500  # planes tried, points that judge each
_MANY_DRAWS, _LARGE_JURY = 200, 2000  # for a plane that may hold a small share of the points
_ROUNDS = 12  # of inliers and least squares; four or five are usual
_EXACT_M = 1e-6  # residuals below this are arithmetic, not noise
_SETTLED = 1e-7  # a step of normal and offset so small changes no number that is shown
_LEAST_SLOPE = 0.02  # cosine between ray and normal; flatter rays tell nothing of the plane
_PLANE_RMS_MOST = 0.05  # of the distance; rougher than that is no plane
_ORIGIN = np.zeros(3)


class PlaneFit(NamedTuple):
    """``normal . point + offset_m = 0``; the unit normal faces away from the origin."""

    normal: Floats  # (3,)
    offset_m: float  # minus the perpendicular distance of the origin
    inliers: Mask  # (N,) the points that the plane was fitted to


def fit_plane(points_m: Floats, camera_m: Floats = _ORIGIN) -> PlaneFit | None:
    """Fit a plane to (N, 3) points of which up to half lie elsewhere; None if there is none.

    ``camera_m`` (3,) is where they were measured from: a depth sensor errs along its rays, not
    across the plane. Least squares of the perpendicular distances takes that noise for tilt, the
    more the smaller the region. So the distances along the rays are made least, by Gauss-Newton:
    errors in variables with a known direction, for which that is the likeliest plane.

    Start: of some planes through three points the one with the least median distance (least median
    of squares, Rousseeuw, J. Am. Stat. Assoc. 1984). Inliers lie within 4 robust standard
    deviations (1.4826 MAD). The draw is fixed, so equal points give equal planes.
    """
    if len(points_m) < 3:
        return None
    start = _least_median_plane(points_m)
    if start is None:
        return None
    normal, offset_m = start
    ray = points_m - camera_m
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-12)
    inliers = np.zeros(len(points_m), bool)
    for _ in range(_ROUNDS):
        across_m = points_m @ normal + offset_m
        distance_m = np.abs(across_m)
        last, inliers = inliers, distance_m <= max(_TRIM * _MAD * np.median(distance_m), _EXACT_M)
        if np.count_nonzero(inliers) < 3:
            return None
        normal, offset_m, step = _better(points_m, ray, across_m, inliers, normal, offset_m)
        if step < _SETTLED and np.array_equal(last, inliers):
            break
    sign = 1 if offset_m <= 0 else -1
    return PlaneFit(sign * normal, sign * offset_m, inliers)


def _better(
    points_m: Floats, ray: Floats, across_m: Floats, inliers: Mask, normal: Floats, offset_m: float
) -> tuple[Floats, float, float]:
    """One step of Gauss-Newton: the new plane, and by how much it differs.

    A point lies ``r = (n . P + o) / (n . d)`` behind the plane along its unit ray d. Where the
    ray meets the plane is the foot ``F = P - r d``; then ``dr/dn = F / (n . d)`` and
    ``dr/do = 1 / (n . d)``, free of P's own noise.
    """
    slope = ray @ normal
    told = inliers & (np.abs(slope) > _LEAST_SLOPE)
    per_slope = np.divide(1.0, slope, out=np.zeros_like(slope), where=told)
    behind_m = across_m * per_slope
    sides = np.linalg.svd(normal[None])[2][1:].T  # (3, 2) two directions in the plane
    rows = np.empty((len(ray), 3))
    rows[:, :2] = points_m @ sides - behind_m[:, None] * (ray @ sides)
    centre = rows[told, :2].mean(0) if told.any() else np.zeros(2)
    rows[:, :2] = (rows[:, :2] - centre) * per_slope[:, None]
    rows[:, 2] = per_slope
    step = np.linalg.lstsq(rows.T @ rows, -rows.T @ behind_m, rcond=None)[0]
    turned = normal + sides @ step[:2]
    shifted_m = offset_m + step[2] - float(step[:2] @ centre)
    length = float(np.linalg.norm(turned))
    return turned / length, shifted_m / length, float(np.abs(step).max())


def largest_plane(points_m: Floats, near_m: float) -> tuple[Floats, float] | None:
    """Return the plane, as unit normal (3,) and offset, that most of (N, 3) points lie close to.

    Of many planes through three points each the one with the most within ``near_m`` (RANSAC,
    Fischler and Bolles, Comm. ACM 1981); None where no three points span one. The draw is fixed,
    so equal points give equal planes.
    """
    if len(points_m) < 3:
        return None
    normals, offsets = _drawn_planes(points_m, _MANY_DRAWS)
    if not len(normals):
        return None
    jury = points_m[:: -(-len(points_m) // _LARGE_JURY)]
    close = np.abs(jury @ normals.T + offsets) < near_m
    best = int(np.count_nonzero(close, axis=0).argmax())
    return normals[best], float(offsets[best])


def _least_median_plane(points_m: Floats) -> tuple[Floats, float] | None:
    normals, offsets = _drawn_planes(points_m, _DRAWS)
    if not len(normals):
        return None
    jury = points_m[:: -(-len(points_m) // _JURY)]
    medians = np.median(np.abs(normals @ jury.T + offsets[:, None]), axis=1)
    best = int(medians.argmin())
    return normals[best], float(offsets[best])


def _drawn_planes(points_m: Floats, draws: int) -> tuple[Floats, Floats]:
    """Return the unit normals (K, 3) and offsets (K,) of planes through three points each."""
    rng = np.random.default_rng(0)
    a, b, c = (points_m[rng.integers(len(points_m), size=draws)] for _ in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    usable = length > 1e-12
    normals = normals[usable] / length[usable, None]
    return normals, -(normals * a[usable]).sum(1)


def plane_quality(
    depth_m: DepthMap,
    calibration: Calibration,
    roi: Roi,
    distance_m: float | None = None,
    most_points: int = 12_000,
) -> Numbers:
    """Return how flat the target in the region is; nan where it is no plane (RMS over 5 %).

    Over the inliers of `fit_plane` among at most ``most_points`` evenly spaced pixels:

    - ``plane_distance_mm``, ``plane_tilt_deg``: of the plane, perpendicular to it;
    - ``plane_rms_mm``: ``sqrt(mean e^2)``, e the perpendicular residual; ``plane_rms_percent`` of
      the distance;
    - ``plane_inlier_share``: of the valid points; well below 1 the plane is a part of the region;
    - ``subpixel_rms_px``: ``sqrt(mean (bf/z - bf/z_plane)^2)``, b the baseline, f the focal length
      of the depth sensor, z_plane the plane's depth along the same ray. Stereo only;
    - ``z_error_mm``: ``median(z - z_plane) + z_plane(centre of the region) - distance``, with
      ``distance_m`` the true one; ``z_error_percent`` of it. Positive = measured too far.

    Definitions after Intel's and Orbbec's depth-quality papers, in true units (librealsense takes
    Euclidean lengths and the depth scale for the unit, see `lingbot_live.quality.realsense_dqt`).

    Raises:
        ConfigError: the region does not lie inside the image.
    """
    rows, columns = roi.slices(depth_m.shape)
    directions = _directions(calibration, rows, columns, most_points)
    step = _step(rows, columns, most_points)
    z = depth_m[rows, columns][::step, ::step].ravel()
    points = (directions[z > 0] * z[z > 0, None]).astype(np.float64)
    fit = fit_plane(points)
    if fit is None:
        return dict.fromkeys(PLANE_KEYS, NAN)
    middle = rays(calibration.color)[
        (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    ]
    return _plane_numbers(points, fit, middle, calibration, distance_m)


PLANE_KEYS = (
    "plane_distance_mm", "plane_tilt_deg", "plane_rms_mm", "plane_rms_percent",
    "plane_inlier_share", "subpixel_rms_px", "z_error_mm", "z_error_percent",
)  # fmt: skip


def _step(rows: slice, columns: slice, most_points: int) -> int:
    pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
    return max(1, int(np.ceil(np.sqrt(pixels / most_points))))


def _directions(
    calibration: Calibration, rows: slice, columns: slice, most_points: int
) -> npt.NDArray[np.float32]:
    step = _step(rows, columns, most_points)
    xy = rays(calibration.color)[rows, columns][::step, ::step].reshape(-1, 2)
    return np.column_stack([xy, np.ones(len(xy), np.float32)])


def _plane_numbers(
    points_m: Floats,
    fit: PlaneFit,
    middle: npt.NDArray[np.float32],
    calibration: Calibration,
    distance_m: float | None,
) -> Numbers:
    inliers = points_m[fit.inliers]
    z = inliers[:, 2]
    # Residual and plane depth along the ray: P lies on the ray at z, the plane at z_plane.
    residual = inliers @ fit.normal + fit.offset_m
    z_plane = -fit.offset_m * z / (residual - fit.offset_m)
    rms_mm = 1000 * float(np.sqrt(np.mean(residual**2)))
    if rms_mm > _PLANE_RMS_MOST * -1000 * fit.offset_m:
        return dict.fromkeys(PLANE_KEYS, NAN)
    centre_m = -fit.offset_m / float(fit.normal @ np.array([*middle, 1.0]))
    subpixel = error_mm = NAN
    if calibration.baseline_m is not None:
        focal_px = (calibration.depth or calibration.color).fx
        shift = calibration.baseline_m * focal_px * (1 / z - 1 / z_plane)
        subpixel = float(np.sqrt(np.mean(shift**2)))
    if distance_m is not None:
        error_mm = 1000 * (float(np.median(z - z_plane)) + centre_m - distance_m)
    values = (
        -1000 * fit.offset_m,
        float(np.degrees(np.arccos(min(1.0, abs(float(fit.normal[2])))))),
        rms_mm,
        rms_mm / (-10 * fit.offset_m) if fit.offset_m else NAN,
        float(fit.inliers.mean()),
        subpixel,
        error_mm,
        error_mm / (10 * distance_m) if distance_m else NAN,
    )
    return dict(zip(PLANE_KEYS, values, strict=True))
