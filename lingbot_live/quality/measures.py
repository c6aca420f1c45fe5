"""Depth quality of one image without a reference: region, fill, plane, ranges, edges, scale.

These are the corrected forms of what the vendors' tools show (theirs: `realsense_dqt` beside).
Results are `Numbers`: plain values under the keys of `metric` beside, nan = not available.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import Calibration, DepthMap, Mask
from lingbot_live.geometry import rays
from lingbot_live.roi import Roi

Numbers = dict[str, float]
Floats = npt.NDArray[np.float64]

NAN = float("nan")
_MAD = 1.4826  # median absolute deviation to standard deviation of a normal distribution
_TRIM = 4.0  # standard deviations; cutting there lowers an RMS of normal noise by 0.05 % only
_DRAWS, _JURY = 64, 500  # planes tried, points that judge each
_EXACT_M = 1e-6  # residuals below this are arithmetic, not noise
_BEYOND = np.float32(1e6)  # metres, farther than any depth
_PLANE_RMS_MOST = 0.05  # of the distance; rougher than that is no plane
SCALE_LIMITS = (0.97, 1.03)  # refined over raw, outside of which people are warned


class PlaneFit(NamedTuple):
    """``normal . point + offset_m = 0``; the unit normal faces away from the camera."""

    normal: Floats  # (3,)
    offset_m: float  # minus the perpendicular distance of the camera
    inliers: Mask  # (N,) the points that the plane was fitted to


def fill_share(depth_m: DepthMap) -> float:
    """Return ``valid / all`` of (H, W) depth; the same as the vendors' fill rate, 0 to 1."""
    return float(np.count_nonzero(depth_m)) / max(depth_m.size, 1)


def fit_plane(points_m: Floats) -> PlaneFit | None:
    """Fit a plane to (N, 3) points of which up to half lie elsewhere; None if there is none.

    Start: of some planes through three points the one with the least median distance (least median
    of squares, Rousseeuw, J. Am. Stat. Assoc. 1984). Then repeated total least squares by SVD over
    the points within 4 robust standard deviations (1.4826 MAD). The draw is fixed, so equal points
    give equal planes.
    """
    if len(points_m) < 3:
        return None
    start = _least_median_plane(points_m)
    if start is None:
        return None
    normal, offset_m = start
    inliers = np.ones(len(points_m), bool)
    for _ in range(10):
        distance = np.abs(points_m @ normal + offset_m)
        last, inliers = inliers, distance <= max(_TRIM * _MAD * np.median(distance), _EXACT_M)
        if inliers.sum() < 3:
            return None
        if np.array_equal(last, inliers):
            break
        normal, offset_m = _least_squares_plane(points_m[inliers])
    sign = 1 if offset_m <= 0 else -1
    return PlaneFit(sign * normal, sign * offset_m, inliers)


def _least_median_plane(points_m: Floats) -> tuple[Floats, float] | None:
    rng = np.random.default_rng(0)
    a, b, c = (points_m[rng.integers(len(points_m), size=_DRAWS)] for _ in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    usable = length > 1e-12
    if not usable.any():
        return None
    normals = normals[usable] / length[usable, None]
    offsets = -(normals * a[usable]).sum(1)
    jury = points_m[:: -(-len(points_m) // _JURY)]
    medians = np.median(np.abs(normals @ jury.T + offsets[:, None]), axis=1)
    best = int(medians.argmin())
    return normals[best], float(offsets[best])


def _least_squares_plane(points_m: Floats) -> tuple[Floats, float]:
    centroid = points_m.mean(0)
    normal = np.linalg.svd(points_m - centroid, full_matrices=False)[2][2]
    return normal, float(-normal @ centroid)


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


def range_histogram(depth_m: DepthMap, edges_m: Floats) -> Floats:
    """Return the share of all pixels by depth, one per bin of ``edges_m`` (metres, ascending)."""
    counts = np.histogram(depth_m[depth_m > 0], edges_m)[0]
    return counts / max(depth_m.size, 1)


def scale_ratio(raw_m: DepthMap, refined_m: DepthMap) -> float:
    """Return the median of ``refined / raw`` where both are valid; nan where nothing is.

    A refiner may fill and smooth, but the metric scale is the sensor's: outside `SCALE_LIMITS` one
    of the two is wrong (checkpoint of another depth range, wrong depth unit).
    """
    both = (raw_m > 0) & (refined_m > 0)
    return float(np.median(refined_m[both] / raw_m[both])) if both.any() else NAN


# ---- edges -----------------------------------------------------------------------------------


def local_range(depth_m: DepthMap, size_px: int) -> tuple[DepthMap, DepthMap]:
    """Return the nearest and the farthest valid depth around each pixel, (H, W) metres."""
    import cv2

    kernel = np.ones((size_px, size_px), np.uint8)
    near = cv2.erode(np.where(depth_m > 0, depth_m, _BEYOND), kernel)
    return np.asarray(near, np.float32), np.asarray(cv2.dilate(depth_m, kernel), np.float32)


def depth_edges(depth_m: DepthMap, size_px: int = 5, step: float = 0.08) -> Mask:
    """Return the pixels (H, W) within a window that holds a step of more than ``step`` of depth."""
    near, far = local_range(depth_m, size_px)
    return np.asarray(far > near * np.float32(1 + step))


def flying_share(depth_m: DepthMap) -> float:
    """Return the share of the valid pixels at depth edges that hang between the two sides.

    At an edge (a step over 8 % in 5x5 pixels) a pixel flies when it lies between 20 % and 80 % of
    the way from the near to the far side. Slopes are told from steps by a 9x9 window, whose
    contrast on a slope is larger by half or more, and from noise by its lack of two sides: there
    most pixels of the window lie in between. Flying pixels: Sarbolandi, Lefloch,
    Kolb, "Kinect range sensing", CVIU 2015. nan where there is no edge.
    """
    import cv2

    near, far = local_range(depth_m, 5)
    contrast = far - near
    wide_near, wide_far = local_range(depth_m, 9)
    valid = depth_m > 0
    edge = valid & (contrast > np.float32(0.08) * near)
    edge &= wide_far - wide_near < np.float32(1.5) * contrast
    height = depth_m - near
    between = valid & (height > np.float32(0.2) * contrast) & (height < np.float32(0.8) * contrast)
    crowd, company = (cv2.blur(a.astype(np.float32), (5, 5)) for a in (between, valid))
    edge &= crowd < np.float32(0.5) * company
    inner = edge[4:-4, 4:-4]  # where no window is cut off
    return float(between[4:-4, 4:-4][inner].mean()) if inner.any() else NAN


def edge_fattening_px(depth_m: DepthMap, reference_m: DepthMap, reach_px: int = 6) -> float:
    """Return by how many pixels near objects are too wide, on average along their outlines.

    Around every step of over 10 % in the reference, far pixels measured at the near depth count
    plus, near pixels measured at the far depth minus; the balance is divided by the length of the
    outlines. Block matching fattens by about half its window (Scharstein and Szeliski, IJCV 2002).
    nan where the reference has no edge or nothing was measured beside one.
    """
    near, far = local_range(reference_m, 2 * reach_px + 1)
    known = (reference_m > 0) & (far > near * np.float32(1.1))
    middle = (near + far) / 2
    is_far = reference_m > middle
    seen = known & (depth_m > 0)
    length = _outline_px(is_far, known)
    if length == 0 or not seen.any():
        return NAN
    seems_far = depth_m > middle
    gained = np.count_nonzero(seen & is_far & ~seems_far)
    lost = np.count_nonzero(seen & ~is_far & seems_far)
    return float((gained - lost) / length)


def _outline_px(is_far: Mask, known: Mask) -> float:
    """Length of the border between near and far: the gradient of 2x2 blocks, summed."""
    side = is_far.astype(np.float32)
    across, down = np.diff(side, axis=1), np.diff(side, axis=0)
    across, down = across[1:] + across[:-1], down[:, 1:] + down[:, :-1]
    blocks = np.sqrt(across * across + down * down) / 2
    inside = known[1:, 1:] & known[:-1, 1:] & known[1:, :-1] & known[:-1, :-1]
    return float(blocks[inside].sum())
