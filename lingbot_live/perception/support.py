"""The plane that things stand on, and the things on it: which pixels belong to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError
from lingbot_live.frame import DepthMap, Mask, Matrix
from lingbot_live.quality.measures import local_range
from lingbot_live.quality.plane import fit_plane, largest_plane

Floats = npt.NDArray[np.float64]
Points: TypeAlias = "npt.NDArray[np.float32] | npt.NDArray[np.float64]"
Labels = npt.NDArray[np.int32]  # (H, W): 0 = no thing, then 1, 2, ...

UP = np.array([0.0, -1.0, 0.0])  # of a camera held upright, in its own axes
TOWARDS = np.array([0.0, 0.0, -1.0])  # of one that looks straight down
_MOST_PLANES = 4
_LEAST_SHARE = 0.06  # of the valid pixels, to be a plane that things may stand on
_UPWARD = 0.3  # cosine to what is up
_NOISE, _LEAST_NOISE_M = 0.008, 0.006  # of the distance: how far a plane's own pixels lie from it
_HIGHEST_M = 0.45  # above the plane; higher is no thing on a table
_CELL_M = 0.004  # of the view from above
_STEP = 0.035  # of depth, to a neighbour: an edge, whose pixels may hang in the air
_LEAST_PIXELS = 80
_LEAST_RISE_M, _RISE_SHARE = 0.014, 0.015  # above the plane; of the distance: less may be noise
_FOOT, _WAVES, _GOES_ON = 4.0, 15.0, 0.95  # of the plane's noise, twice; of the greatest height
_LEAST_WIDTH = 3  # pixels a row: less is a streak
_LARGEST_M, _FARTHEST_M = 0.35, 2.5  # across; away: larger is furniture, farther out of reach
_JURY = 6_000  # points that planes are sought in


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """A plane with axes of its own: z away from it, up; its origin below the picture's middle."""

    T_camera_plane: Matrix  # (4, 4)
    share: float  # of the valid pixels that lie on it
    outline_m: Floats  # (K, 2) convex, in its x and y
    noise_m: float  # how far its own pixels lie from it

    def to_plane(self, points_m: Points) -> npt.NDArray[np.float32]:
        """Return points (..., 3) of the camera in the plane's axes; z is the height above it."""
        T = np.linalg.inv(self.T_camera_plane).astype(np.float32)
        return np.asarray(points_m.astype(np.float32) @ T[:3, :3].T + T[:3, 3], np.float32)

    def to_camera(self, points_m: Points) -> Floats:
        """Return points (..., 3) of the plane in the camera's axes."""
        T = self.T_camera_plane
        return np.asarray(points_m @ T[:3, :3].T + T[:3, 3], np.float64)


def find_support(points_m: npt.NDArray[np.float32], up: Floats = UP) -> Support | None:
    """Return the plane that most things could stand on; None where none is seen.

    Args:
        points_m: (H, W, 3) in the camera's axes, (0, 0, 0) where invalid.
        up: (3,) unit, away from the ground, in the camera's axes.
    """
    flat = points_m[::2, ::2].reshape(-1, 3)
    valid = flat[flat[:, 2] > 0]
    rest = valid[:: max(1, len(valid) // _JURY)].astype(np.float64)
    count, least = len(rest), max(_LEAST_SHARE * len(rest), 50)
    found: list[_Plane] = []
    for _ in range(_MOST_PLANES):
        if len(rest) < least:
            break
        plane = _plane(rest)
        if len(plane.inliers) < least:
            break
        found.append(plane)
        if plane.normal @ up > _UPWARD and len(plane.inliers) > len(rest) / 2:
            break  # no other can be larger
        rest = np.delete(rest, plane.inliers, axis=0)
    chosen = _chosen(found, up)
    return None if chosen is None else _support(chosen, len(chosen.inliers) / count)


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    normal: Floats  # (3,) towards the camera
    offset_m: float
    inliers: npt.NDArray[np.int64]
    on_it: Floats  # (N, 3) those points
    noise_m: float


def _plane(points_m: Floats) -> _Plane:
    """Return the largest plane of points (N, 3)."""
    near_m = max(_LEAST_NOISE_M, _NOISE * float(np.median(points_m[:, 2])))
    normal, offset_m = largest_plane(points_m, near_m) or (TOWARDS, 0.0)
    close = np.flatnonzero(np.abs(points_m @ normal + offset_m) < near_m)
    fit = fit_plane(points_m[close])
    if fit is not None:
        normal, offset_m = fit.normal, fit.offset_m
    if offset_m < 0:  # the camera, at the origin, is above
        normal, offset_m = -normal, -offset_m
    across_m = np.abs(points_m @ normal + offset_m)
    inliers = np.flatnonzero(across_m < near_m)
    noise_m = float(np.median(across_m[inliers])) if len(inliers) else 0.0
    return _Plane(normal, offset_m, inliers, points_m[inliers], noise_m)


def _chosen(found: list[_Plane], up: Floats) -> _Plane | None:
    """Return the largest plane that looks up; what faces the camera may be a wall."""
    upward = [plane for plane in found if plane.normal @ up > _UPWARD]
    return max(upward, key=lambda plane: len(plane.inliers), default=None)


def _support(plane: _Plane, share: float) -> Support:
    normal, on_it = plane.normal, plane.on_it
    ahead = np.array([0.0, 0.0, 1.0]) - normal[2] * normal
    if np.linalg.norm(ahead) < 1e-3:
        ahead = np.array([0.0, -1.0, 0.0]) - -normal[1] * normal
    y = ahead / np.linalg.norm(ahead)
    T = np.eye(4)
    T[:3, :3] = np.column_stack([np.cross(y, normal), y, normal])
    middle = np.median(on_it, axis=0)
    T[:3, 3] = middle - (middle @ normal + plane.offset_m) * normal
    local = (on_it - T[:3, 3]) @ T[:3, :3]
    outline = cv2.convexHull(local[:, :2].astype(np.float32)).reshape(-1, 2)
    return Support(T, share, outline.astype(np.float64), plane.noise_m)


def things_on(
    support: Support, depth_m: DepthMap, local_m: npt.NDArray[np.float32], region: Mask | None
) -> Labels:
    """Return which pixels belong to which thing on the plane, seen from above.

    From above, things that hide each other in the picture stand apart, and the pixels that hang
    between them are few. What is closer together than three cells of 4 mm is one thing: patches of
    a glass of which only a part was measured, or filled, are joined so.

    Args:
        support: the plane.
        depth_m: (H, W).
        local_m: (H, W, 3) the same in the plane's axes.
        region: (H, W) where to look; None: everywhere.
    """
    height = local_m[..., 2]
    least_m = max(_FOOT * support.noise_m, 0.005)
    near, far = local_range(depth_m, 3)
    above = (depth_m > 0) & (height > least_m) & (height < _HIGHEST_M) & (far - near < _STEP * near)
    if region is not None:
        above &= region
    rows, columns = np.nonzero(above)
    spots = local_m[rows, columns, :2]
    low = support.outline_m.min(0)
    size = np.ceil((support.outline_m.max(0) - low) / _CELL_M).astype(int) + 1
    if size.max() > 4000:
        raise ConfigError("grasps: the plane is over 16 m across; name a region of it")
    cells = np.floor((spots - low) / _CELL_M).astype(int)
    inside = ((cells >= 0) & (cells < size)).all(1)
    outline = np.zeros(size[::-1], np.uint8)
    polygon = ((support.outline_m - low) / _CELL_M).astype(np.int32)
    cv2.fillConvexPoly(outline, polygon, 1)
    inside[inside] = outline[cells[inside, 1], cells[inside, 0]] > 0
    rows, columns, cells = rows[inside], columns[inside], cells[inside]
    parts = _joined(cells, size)
    labels = np.zeros(depth_m.shape, np.int32)
    labels[rows, columns] = parts[cells[:, 1], cells[:, 0]]
    return _kept(labels, local_m, support)


def _joined(cells: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> Labels:
    """Return the parts of the view from above that hang together, (rows, columns)."""
    count = np.bincount(cells[:, 1] * size[0] + cells[:, 0], minlength=int(size.prod()))
    dense = cv2.boxFilter(count.reshape(size[::-1]).astype(np.float32), -1, (3, 3), normalize=False)
    solid = (dense >= 5).astype(np.uint8)
    firm = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # without bridges
    closed = cv2.morphologyEx(firm, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.connectedComponents(closed, connectivity=4)[1], np.int32)


def _kept(labels: Labels, local_m: npt.NDArray[np.float32], support: Support) -> Labels:
    """Number those of a thing's size anew, the one with most pixels first."""
    parts, flat_m = pixels_of(labels), local_m.reshape(-1, 3)
    table = np.zeros(len(parts) + 1, np.int32)
    number = 0
    for part in np.argsort([-len(pixels) for pixels in parts], kind="stable").tolist():
        pixels = parts[part]
        if len(pixels) < _LEAST_PIXELS:
            break
        rows = np.unique(pixels // labels.shape[1])
        if len(pixels) >= _LEAST_WIDTH * len(rows) and is_thing(flat_m[pixels], support):
            number += 1
            table[part + 1] = number
    return table[labels]


def is_thing(points_m: Points, support: Support) -> bool:
    """Whether points (N, 3) on the plane are of a thing's size, and no wave of the plane's depth.

    A plane that waves, wet or shining or far away, lies off itself by more; and what goes on above
    all things is a wall or furniture.
    """
    low, high = np.percentile(points_m, (2, 98), axis=0)
    span = high - low
    eye_m = support.to_plane(np.zeros(3))
    far_m, usual_m = (float(np.linalg.norm(at - eye_m)) for at in ((low + high) / 2, 0 * low))
    wave_m = _WAVES * support.noise_m * max(1.0, far_m / usual_m)
    rises = max(_LEAST_RISE_M, _RISE_SHARE * far_m, wave_m) <= high[2] < _GOES_ON * _HIGHEST_M
    return bool(rises and far_m < _FARTHEST_M and span[:2].max() <= _LARGEST_M)


def pixels_of(labels: Labels) -> list[npt.NDArray[np.intp]]:
    """Return the places in the flat picture of each label from 1 on, in their order."""
    used = np.flatnonzero(labels)
    which = labels.ravel()[used]
    stops = np.cumsum(np.bincount(which))  # nothing bears the label 0, so the first stop is 0
    return np.split(used[np.argsort(which, kind="stable")], stops[:-1])[1:]
