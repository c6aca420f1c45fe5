"""Triangle meshes of simple bodies, with what a renderer needs to know of each triangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Vector = tuple[float, float, float]


class Material(IntEnum):
    """What a surface is made of: chooses its texture, its gloss and how sensors fail on it."""

    PAINT = 0  # plain, without any texture
    PLASTER = 1
    WALLPAPER = 2
    WOOD = 3
    PLANKS = 4
    RUG = 5
    FABRIC = 6
    STRIPES = 7
    PICTURE = 8
    BOOK = 9
    LEAF = 10
    SKIN = 11
    LAMP = 12  # shines by itself
    BLACK = 13  # absorbs infrared, too
    CHROME = 14
    MIRROR = 15
    GLASS = 16


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with vertex normals; colour is linear RGB and one value per triangle."""

    vertices: Floats  # (V, 3) metres
    normals: Floats  # (V, 3) unit length
    triangles: npt.NDArray[np.int32]  # (T, 3)
    color: Floats  # (T, 3)
    material: npt.NDArray[np.uint8]  # (T,)

    def painted(self, color: Vector, material: Material) -> Mesh:
        """Return it in one colour (as sRGB values from 0 to 1) and one material."""
        count = len(self.triangles)
        linear = np.asarray(color, np.float32) ** np.float32(2.2)
        kinds = np.full(count, material, np.uint8)
        return replace(self, color=np.tile(linear, (count, 1)), material=kinds)

    def moved(self, to: Vector, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Mesh:
        """Return it turned about x, then z, then y (radians), then shifted by ``to`` metres."""
        turn = rotation(yaw, pitch, roll)
        at = np.asarray(to, np.float32)
        return replace(self, vertices=self.vertices @ turn.T + at, normals=self.normals @ turn.T)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """Return it stretched along the axes."""
        factor = np.array([x, y, z], np.float32)
        normals = self.normals / factor
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + np.float32(1e-9)
        return replace(self, vertices=self.vertices * factor, normals=normals)


def rgb(r: float, g: float, b: float) -> Floats:
    """Return a linear colour, (3,) float32."""
    return np.array((r, g, b), np.float32)


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Return the (3, 3) turn about x by ``pitch``, then z by ``roll``, then y by ``yaw``."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    out: Floats = (about_y @ about_z @ about_x).astype(np.float32)
    return out


def _mesh(vertices: npt.ArrayLike, normals: npt.ArrayLike, triangles: npt.ArrayLike) -> Mesh:
    faces = np.asarray(triangles, np.int32).reshape(-1, 3)
    return Mesh(
        np.asarray(vertices, np.float32).reshape(-1, 3),
        np.asarray(normals, np.float32).reshape(-1, 3),
        faces,
        np.ones((len(faces), 3), np.float32),
        np.zeros(len(faces), np.uint8),
    )


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Return all of them as one; their triangles keep their order."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = [mesh.triangles + int(at) for mesh, at in zip(meshes, starts, strict=True)]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate(faces).astype(np.int32),
        np.concatenate([mesh.color for mesh in meshes]),
        np.concatenate([mesh.material for mesh in meshes]),
    )


def box(low: Vector, high: Vector) -> Mesh:
    """Return the box between two corners."""
    corners: list[Floats] = []
    normals: list[Floats] = []
    ends = np.array([low, high], np.float32)
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        for side in (0, 1):
            face = np.empty((4, 3), np.float32)
            face[:, axis] = ends[side, axis]
            face[:, others[0]] = ends[[0, 1, 1, 0], others[0]]
            face[:, others[1]] = ends[[0, 0, 1, 1], others[1]]
            normal = np.zeros(3, np.float32)
            normal[axis] = 2 * side - 1
            corners.append(face)
            normals.append(np.tile(normal, (4, 1)))
    quads = np.arange(24).reshape(6, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return _mesh(np.concatenate(corners), np.concatenate(normals), faces)


def _grid_faces(rows: int, columns: int) -> npt.NDArray[np.int32]:
    """Triangles of a grid of vertices whose last column joins the first."""
    row, column = np.mgrid[: rows - 1, :columns]
    here, right = row * columns + column, row * columns + (column + 1) % columns
    below, across = here + columns, right + columns
    faces = np.stack([here, right, across, here, across, below], -1)
    out: npt.NDArray[np.int32] = faces.reshape(-1, 3).astype(np.int32)
    return out


def lathe(profile: Sequence[tuple[float, float]], segments: int = 24) -> Mesh:
    """Return the surface that ``profile``, (radius, y) in metres, sweeps around the y axis."""
    outline = np.asarray(profile, np.float64)
    tangent = np.gradient(outline, axis=0)
    out = np.stack([tangent[:, 1], -tangent[:, 0]], -1)
    # A profile drawn either way has its normals outside.
    if np.sum(out[:, 0] * (outline[:, 0] + 1e-3)) < 0:
        out = -out
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.zeros(segments), np.sin(angle)], -1)
    up = np.array([0.0, 1.0, 0.0])
    vertices = outline[:, None, :1] * ring + outline[:, None, 1:] * up
    normals = out[:, None, :1] * ring + out[:, None, 1:] * up
    return _mesh(vertices, normals, _grid_faces(len(outline), segments))


def ellipsoid(x: float, y: float, z: float, segments: int = 24) -> Mesh:
    """Return the ellipsoid with these half axes."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    ball = lathe(list(zip(np.cos(angle), np.sin(angle), strict=True)), segments)
    return ball.scaled(x, y, z)


def cylinder(radius: float, low_y: float, high_y: float, segments: int = 16) -> Mesh:
    """Return the closed cylinder around the y axis."""
    rim = [(radius * 0.999, low_y), (radius, low_y), (radius, high_y), (radius * 0.999, high_y)]
    return lathe([(0.0, low_y), *rim, (0.0, high_y)], segments)


def tube(path: npt.ArrayLike, radius: float | Sequence[float], segments: int = 8) -> Mesh:
    """Return a round tube along ``path``, (N, 3) metres, with one radius or one per point."""
    points = np.asarray(path, np.float64)
    radii = np.broadcast_to(np.asarray(radius, np.float64), (len(points),))
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 1:2]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    normals = side[:, None] * np.cos(angle)[:, None] + other[:, None] * np.sin(angle)[:, None]
    vertices = points[:, None] + normals * radii[:, None, None]
    return _mesh(vertices, normals, _grid_faces(len(points), segments))
