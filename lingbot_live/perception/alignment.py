"""The pose that fits landmarks and depth together, each counting as much as it is exact."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import DepthMap, Intrinsics, Matrix
from lingbot_live.geometry import rays
from lingbot_live.perception.landmarks import REACH_PX, Looked, Sighting, View, pictured

_STRIDE_PX = 8  # between the depth samples; farther apart than a sensor's noise is correlated
_CELL_PX = 64  # over which their directions are averaged to tell shape from noise
_LEAST_SHAPE = 0.002  # of what depth alone tells in its best direction; a bare wall tells one
_ROUNDS = 3
_MAD, _TRIM = 1.4826, 3.0
# Landmarks count as so much less exact than they scatter: reflections, rims and patterns that slide
# over a body move many of them alike, and what they have in common does not average out.
_ALIKE = 6.0
_LEAST_PX, _LEAST_NOISE = 0.1, 2e-4  # what corners and depth are exact to at best; the latter per m
_FAR = 0.1  # of the depth; a sample farther off belongs to something else
_LEAST, _FITNESS = 100, 0.5  # depth samples behind a pose; share of them that must agree
_SETTLED = 3e-5  # radians and metres
_ODOMETRY_M = 8.0  # depth that Open3D's odometry uses
_ITERATIONS = (20, 10, 5)  # coarse to fine
_OUTLIER_M, _HUBER, _HUBER_M = 0.07, 0.05, 0.05  # Open3D's own defaults


@dataclass(frozen=True, eq=False)
class Surface:
    """Samples of a view's depth with the directions that they face."""

    points_m: Matrix  # (N, 3)
    normals: Matrix  # (N, 3)
    cells: npt.NDArray[np.intp]  # (N,) number of the part of the picture that each lies in

    @functools.cached_property
    def tells_place(self) -> bool:
        """Whether its shape alone tells a move in all directions, as that of a bare wall does not.

        By the mean direction of each part: a sample's own is tilted by noise, which looks like
        shape.
        """
        ways = self.normals / self.points_m[:, 2:] ** 2  # noise grows by the distance squared
        count = np.maximum(np.bincount(self.cells), 1)
        sums = np.column_stack([np.bincount(self.cells, way) for way in ways.T])
        return tells_all(sums.T @ (sums / count[:, None]))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Where a view was taken from, and how sure that is."""

    T_key_now: Matrix  # (4, 4)
    information: Matrix  # (6, 6) of a small turn (radians) and move (metres) in the view's axes
    share: float  # of the depth samples in sight that agree


def tells_all(information: Matrix) -> bool:
    """Whether what depth tells of a move, (3, 3), is enough in all directions."""
    least, _, most = np.linalg.eigvalsh(information)
    return bool(least > _LEAST_SHAPE * most)


def surface_of(looked: Looked) -> Surface:
    """Return samples of a view's depth, every 8 pixels, where it is smooth enough for a normal."""
    depth, ways, reach = looked.flat_m, rays(looked.view.intrinsics), REACH_PX
    height, width = depth.shape
    v, u = np.mgrid[reach : height - reach : _STRIDE_PX, reach : width - reach : _STRIDE_PX]

    def points(v: npt.NDArray[np.intp], u: npt.NDArray[np.intp]) -> Matrix:
        z = depth[v, u].astype(np.float64)
        return np.dstack([ways[v, u] * z[..., None], z])

    centre, right, left = (points(v, u + n) for n in (0, reach, -reach))
    below, above = (points(v + n, u) for n in (reach, -reach))
    known = np.all([p[..., 2] > 0 for p in (centre, right, left, below, above)], axis=0)
    normals = np.cross(right - left, below - above)[known]
    length = np.linalg.norm(normals, axis=-1)
    cells = (v // _CELL_PX * width + u // _CELL_PX)[known]
    is_clear = length > 0
    return Surface(
        centre[known][is_clear], normals[is_clear] / length[is_clear, None], cells[is_clear]
    )


def fitted(
    surface: Surface, looked: Looked, T_key_now: Matrix, seen: Sighting | None
) -> Fit | None:
    """Improve a pose by the depth of both views and by landmarks; None if too little fits.

    Gauss-Newton over the landmarks' distances in the picture and the depth samples' distances from
    their partners' planes (projective data association: Blais and Levine, PAMI 1995). Both are
    weighed by their own robust scatter, depth's growing with the distance squared as stereo's does;
    so exact depth decides, and very noisy depth gives way to the picture.
    """
    T, now, found = np.linalg.inv(T_key_now), looked.view, None
    for _ in range(_ROUNDS):
        depth = _depth_terms(surface, looked.flat_m, now.intrinsics, T)
        if depth is None or (seen is None and depth.share < _FITNESS):
            return None
        rows, off = depth.rows, depth.off
        if seen is not None:
            there, apart = _landmark_terms(seen, now, T)
            rows, off = np.concatenate([rows, there]), np.concatenate([off, apart])
        information = rows.T @ rows
        step = np.linalg.lstsq(information, -rows.T @ off, rcond=1e-9)[0]
        T = moved(step) @ T
        found = Fit(np.linalg.inv(T), information, depth.share)
        if np.abs(step).max() < _SETTLED:
            break
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _DepthTerms:
    rows: Matrix  # (M, 6) derivatives of the samples' distances, over their scatter
    off: Matrix  # (M,) those distances, over their scatter
    share: float


def _depth_terms(
    surface: Surface, depth_m: DepthMap, intrinsics: Intrinsics, T_now_key: Matrix
) -> _DepthTerms | None:
    points = T_now_key[:3, :3] @ surface.points_m.T + T_now_key[:3, 3:]
    normals = T_now_key[:3, :3] @ surface.normals.T
    height, width = depth_m.shape
    u, v = np.rint(np.clip(pictured(points.T, intrinsics).T, -1, [[width], [height]])).astype(int)
    seen = (points[2] > 0) & (u >= 0) & (v >= 0) & (u < width) & (v < height)
    u, v, points, normals = u[seen], v[seen], points[:, seen], normals[:, seen]
    z = depth_m[v, u].astype(np.float64)
    off = np.einsum("cn,cn->n", normals, points)
    off -= z * (np.einsum("cn,nc->n", normals[:2], rays(intrinsics)[v, u]) + normals[2])
    measured = (z > 0) & (np.abs(off) < _FAR * points[2])
    if np.count_nonzero(measured) < _LEAST:
        return None
    off, (x, y, z), (a, b, c) = off[measured], points[:, measured], normals[:, measured]
    per_m = 1 / z**2
    scatter = max(_MAD * float(np.median(np.abs(off * per_m))), _LEAST_NOISE)
    weight = per_m / scatter
    agree = np.abs(off * weight) < _TRIM
    rows = np.stack([y * c - z * b, z * a - x * c, x * b - y * a, a, b, c]) * weight
    return _DepthTerms(rows.T[agree], (off * weight)[agree], agree.sum() / max(seen.sum(), 1))


def _landmark_terms(seen: Sighting, now: View, T_now_key: Matrix) -> tuple[Matrix, Matrix]:
    """Derivatives of the landmarks' places in the picture (2M, 6), and how far off they are."""
    k = now.intrinsics
    x, y, z = T_now_key[:3, :3] @ seen.points_m.T + T_now_key[:3, 3:]
    u_off = k.fx * x / z + k.cx - seen.pixels[:, 0]
    v_off = k.fy * y / z + k.cy - seen.pixels[:, 1]
    none = np.zeros_like(z)
    u_rows = np.column_stack([-x * y / z, z + x * x / z, -y, none + 1, none, -x / z])
    v_rows = np.column_stack([-z - y * y / z, x * y / z, x, none, none + 1, -y / z])
    rows = np.concatenate([u_rows * (k.fx / z)[:, None], v_rows * (k.fy / z)[:, None]])
    off = np.concatenate([u_off, v_off])
    scatter = _ALIKE * max(_MAD * float(np.median(np.abs(off))), _LEAST_PX)
    return rows / scatter, off / scatter


def moved(step: Matrix) -> Matrix:
    """Return the motion (4, 4) of a small turn (radians) and move (metres), (6,)."""
    import cv2

    out = np.eye(4)
    out[:3, :3], out[:3, 3] = cv2.Rodrigues(step[:3])[0], step[3:]
    return out


def step_of(motion: Matrix) -> Matrix:
    """Return turn and move (6,) of a motion (4, 4); what `moved` undoes."""
    import cv2

    return np.concatenate([cv2.Rodrigues(motion[:3, :3])[0].ravel(), motion[:3, 3]])


def by_depth(key: View, now: View, T_key_start: Matrix) -> Matrix | None:
    """Return ``T_key_now`` by Open3D's multi-scale odometry, for views without landmarks."""
    import open3d as o3d

    odometry = o3d.t.pipelines.odometry
    images = [
        o3d.t.geometry.RGBDImage(
            o3d.t.geometry.Image(np.ascontiguousarray(view.color)),
            o3d.t.geometry.Image(np.ascontiguousarray(view.depth_m)),
        )
        for view in (now, key)
    ]
    steps = [odometry.OdometryConvergenceCriteria(n) for n in _ITERATIONS]
    limits = odometry.OdometryLossParams(_OUTLIER_M, _HUBER, _HUBER_M)
    matrix, start = (_tensor(m) for m in (now.intrinsics.matrix, T_key_start))
    try:
        found = odometry.rgbd_odometry_multi_scale(
            *images, matrix, start, 1.0, _ODOMETRY_M, steps, odometry.Method.PointToPlane, limits
        )
    except RuntimeError:  # too little depth in common: its equations have no solution
        return None
    out: Matrix = found.transformation.numpy()
    return out if found.fitness >= _FITNESS else None


def _tensor(matrix: Matrix) -> Any:
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(matrix))
