"""Measuring in space: the values of all cameras at a point, lengths, planes, boxes. Metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lingbot_live.errors import ConfigError
from lingbot_live.frame import DepthMap, Extrinsics, Intrinsics, Mask, Matrix
from lingbot_live.geometry import project
from lingbot_live.quality.plane import fit_plane

Vector = tuple[float, float, float]

EDGES = tuple((a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit)


@dataclass(frozen=True, slots=True)
class Probe:
    """What one camera measured in the direction of a point."""

    pixel: tuple[int, int]  # u, v
    true_m: float  # the point's own depth in this camera
    raw_m: float  # 0 = no measurement
    refined_m: float


def probe(
    point_m: Vector,
    T_camera_common: Extrinsics,
    intrinsics: Intrinsics,
    raw_m: DepthMap,
    refined_m: DepthMap,
) -> Probe | None:
    """Return a camera's depths at a point of the common frame; None where it does not see it.

    ``raw_m`` and ``refined_m`` are (H, W) metres.
    """
    local = T_camera_common.apply([point_m])
    if local[0, 2] <= 0:
        return None
    u, v = (int(n) for n in np.rint(project(local, intrinsics)[0]))
    if not (0 <= u < intrinsics.width and 0 <= v < intrinsics.height):
        return None
    return Probe((u, v), float(local[0, 2]), float(raw_m[v, u]), float(refined_m[v, u]))


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane through points, ``normal . p + offset_m = 0``, and how well they lie on it."""

    normal: Vector  # unit, away from the origin
    offset_m: float
    centre_m: Vector  # of the points that lie on it
    rms_mm: float  # of their distances, perpendicular
    inlier_share: float
    points: int

    @property
    def distance_m(self) -> float:
        """From the origin, perpendicular."""
        return -self.offset_m

    @property
    def tilt_deg(self) -> float:
        """Between the plane's normal and the z axis, 0 to 90."""
        return angle_deg(self.normal, (0.0, 0.0, 1.0))


def plane_through(points_m: Matrix, camera_m: Vector = (0.0, 0.0, 0.0)) -> Plane | None:
    """Fit a plane to (N, 3) points seen from ``camera_m`` by `fit_plane`; None if there is none."""
    fit = fit_plane(points_m, np.array(camera_m))
    if fit is None:
        return None
    on = points_m[fit.inliers]
    residual_m = on @ fit.normal + fit.offset_m
    return Plane(
        _vector(fit.normal),
        float(fit.offset_m),
        _vector(on.mean(0)),
        1000 * float(np.sqrt(np.mean(residual_m**2))),
        float(fit.inliers.mean()),
        len(points_m),
    )


def length_m(a: Vector, b: Vector) -> float:
    """Return the distance between two points."""
    return math.dist(a, b)


def angle_deg(a: Vector, b: Vector) -> float:
    """Return the angle between two lines, 0 to 90 degrees; exact for small angles too."""
    across, along = np.linalg.norm(np.cross(a, b)), abs(np.dot(a, b))
    return math.degrees(math.atan2(float(across), float(along)))


@dataclass(frozen=True, slots=True)
class Box:
    """An upright box; what lies outside is not looked at."""

    low_m: Vector
    high_m: Vector

    def __post_init__(self) -> None:
        if not all(low < high for low, high in zip(self.low_m, self.high_m, strict=True)):
            raise ConfigError(
                f"crop box: from {self.low_m} to {self.high_m} m holds nothing; each low value "
                "must be less than its high one"
            )

    @classmethod
    def around(cls, points_m: Matrix, margin_m: float = 0.01) -> Box | None:
        """Return the box of (N, 3) points but for the last hundredth on each side; None of none."""
        if len(points_m) == 0:
            return None
        low, high = np.percentile(points_m, [1, 99], axis=0)
        return cls(_vector(low - margin_m), _vector(high + margin_m))

    def holds(self, points_m: Matrix) -> Mask:
        """Return which of (N, 3) points lie inside, (N,)."""
        inside = np.ones(len(points_m), bool)
        for axis in range(3):  # by columns, which is several times faster
            column = points_m[:, axis]
            inside &= (column >= self.low_m[axis]) & (column <= self.high_m[axis])
        return inside

    @property
    def corners_m(self) -> Matrix:
        """(8, 3); bit 0 of the index is x's side, bit 1 y's, bit 2 z's. `EDGES` joins them."""
        ends = (self.low_m, self.high_m)
        return np.array([[ends[n >> axis & 1][axis] for axis in range(3)] for n in range(8)])


def _vector(values: Matrix | Sequence[float]) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))
