"""What helps to find one's way in the cloud: axes, a grid on the ground, the cameras' frustums.

Open3D draws them among the points, so that what lies in front hides them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingbot_live.frame import Intrinsics, Matrix
from lingbot_live.quality.ruler import Vector
from ui.cloud.scene import Guide, Home, Layer, Rgb, ViewSettings

_AXES_RGB = ((230, 60, 60), (60, 200, 60), (80, 120, 255))  # x, y, z
_AXES, _FRUSTUM = 0.15, 0.18  # sizes, of the home view's distance
_CELLS = 10  # of the grid, in either direction from its middle
_STEPS_M = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # a cell is the first that is not too small
_CELL = 0.15  # of the home view's distance, at least
_LEVEL_DEG = 40.0  # a plane that is steeper is no ground
_NEAR_M = 0.02  # to the ground's plane
_PLANES = 3  # tried: the largest may be a wall
_LEAST_SHARE = 0.04  # of the points, on the ground


@dataclass(frozen=True, slots=True)
class Ground:
    """A plane: a point of it in metres, and the way up from it, of length 1."""

    centre_m: Matrix
    up: Matrix

    @classmethod
    def of(cls, points_m: Matrix) -> Ground:
        """Find the ground below the scene, (N, 3) metres: its lowest large level plane.

        Where there is none it lies below the lowest points, level as the camera is.
        """
        import open3d as o3d

        some = points_m[:: max(1, len(points_m) // 8000)]
        rest = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(some))
        found: list[tuple[float, Matrix, Matrix]] = []
        o3d.utility.random.seed(1)  # the same scene has the same ground
        for _ in range(_PLANES):
            if len(rest.points) < max(100, _LEAST_SHARE * len(some)):
                break
            plane, rows = rest.segment_plane(_NEAR_M, 3, 200)
            up = _upwards(np.array(plane[:3]))
            inliers = np.asarray(rest.select_by_index(rows).points)
            if -up[1] > math.cos(math.radians(_LEVEL_DEG)) and len(inliers) > _LEAST_SHARE * len(
                some
            ):
                found.append((float(np.median(inliers @ up)), np.median(inliers, 0), up))
            rest = rest.select_by_index(rows, invert=True)
        if found:
            height, middle, up = min(found, key=lambda each: each[0])
            return cls(middle - (middle @ up - height) * up, up)
        lowest = float(np.percentile(some[:, 1], 99))
        return cls(np.array([*np.median(some, 0)]) * [1, 0, 1] + [0, lowest, 0], _upwards(_DOWN))

    @property
    def way_up(self) -> Vector:
        """The same as ``up``, as plain numbers."""
        x, y, z = (float(part) for part in self.up)
        return x, y, z


_DOWN = np.array([0.0, 1.0, 0.0])


def _upwards(normal: Matrix) -> Matrix:
    """Return the normal of length 1 that points up, which is -y."""
    unit: Matrix = normal / np.linalg.norm(normal)
    return -unit if unit[1] > 0 else unit


def cell_m(home: Home) -> float:
    """Return the edge of the grid's cells."""
    return next((step for step in _STEPS_M if step >= _CELL * home.distance_m), _STEPS_M[-1])


def drawn(
    view: ViewSettings, home: Home, ground: Ground | None, lenses: Sequence[tuple[int, Intrinsics]]
) -> Iterator[Any]:
    """Yield Open3D's geometries of the guides that are wanted; ``lenses`` come with their slots."""
    import open3d as o3d

    if Guide.AXES in view.guides:
        yield _axes(_AXES * home.distance_m)
    if Guide.GRID in view.guides and ground is not None:
        yield _grid(ground, cell_m(home), _between(view.background_rgb))
    for slot, lens in lenses if Guide.FRUSTUM in view.guides else ():
        layer = view.layers[slot] if slot < len(view.layers) else Layer(is_shown=False)
        if layer.is_shown:
            into_camera = layer.pose.inverse().matrix
            lines = o3d.geometry.LineSet.create_camera_visualization(
                lens.width, lens.height, lens.matrix, into_camera, _FRUSTUM * home.distance_m
            )
            lines.lines = o3d.utility.Vector2iVector(np.asarray(lines.lines)[:8])  # without axes
            lines.paint_uniform_color(np.array(layer.color_rgb) / 255)
            yield lines


def _axes(size_m: float) -> Any:
    """Return thin lines: from where the camera stands, thick arrows would hide the scene."""
    import open3d as o3d

    points = np.vstack([np.zeros(3), size_m * np.eye(3)])
    pairs = o3d.utility.Vector2iVector(np.array([[0, 1], [0, 2], [0, 3]]))
    lines = o3d.geometry.LineSet(o3d.utility.Vector3dVector(points), pairs)
    lines.colors = o3d.utility.Vector3dVector(np.array(_AXES_RGB) / 255)
    return lines


def _grid(ground: Ground, cell: float, rgb: Rgb) -> Any:
    """Return lines on the ground, along the camera's right and forward as it sees them."""
    import open3d as o3d

    right = np.array([1.0, 0.0, 0.0]) - ground.up[0] * ground.up
    right /= np.linalg.norm(right)
    forward = np.cross(right, -ground.up)
    # Lines stay where they are while the scene's middle moves a little.
    a, b = (np.round(ground.centre_m @ way / cell) * cell for way in (right, forward))
    origin = ground.centre_m + (a - ground.centre_m @ right) * right
    origin = origin + (b - ground.centre_m @ forward) * forward
    steps = np.arange(-_CELLS, _CELLS + 1)[:, None] * cell
    far = _CELLS * cell
    ends = [
        origin + steps * one + sign * far * other
        for one, other in ((right, forward), (forward, right))
        for sign in (-1, 1)
    ]
    points = np.stack([np.concatenate(ends[::2]), np.concatenate(ends[1::2])], 1).reshape(-1, 3)
    pairs = np.arange(len(points)).reshape(-1, 2)
    vectors = o3d.utility
    lines = o3d.geometry.LineSet(vectors.Vector3dVector(points), vectors.Vector2iVector(pairs))
    return lines.paint_uniform_color(np.array(rgb) / 255)


def _between(background: Rgb) -> Rgb:
    """Return a quiet grey that is seen on this background."""
    step = 70 if sum(background) < 384 else -70
    red, green, blue = (min(max(value + step, 0), 255) for value in background)
    return red, green, blue
