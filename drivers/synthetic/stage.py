"""The synthetic room as rays meet it: what stands where, seen from where."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.synthetic import scene
from drivers.synthetic.shapes import Floats, Material, Mesh, merged
from drivers.synthetic.textures import albedo
from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Mask
from lingbot_live.geometry import rays as pixel_rays
from lingbot_live.system.worker import IMPORTS

_STRIP_ROWS = 32  # one cast holds the interpreter: strips keep that to a few milliseconds


@dataclass(frozen=True, slots=True)
class View:
    """What one pinhole camera at one phase could know of the room, all (H, W)."""

    stage: Stage
    intrinsics: Intrinsics
    color: ColorImage  # (H, W, 3)
    depth_m: DepthMap  # z of the first surface, glass and mirrors included; 0: the sky
    through_m: DepthMap  # z of what light through the glass or off the mirror meets
    material: npt.NDArray[np.uint8]  # of the first surface
    facing: Floats  # cosine between the surface's normal and the ray
    infrared: Floats  # diffuse reflectance near 850 nm, of the surface behind glass
    sunlit: Mask

    def hidden_from(self, x_m: float) -> Mask:
        """Where the first surface behind glass is not seen from ``x_m`` metres to the right."""
        dirs = self.stage.world_rays(self.intrinsics)[..., 3:]
        mirror = self.material == Material.MIRROR
        seen = np.where(mirror, self.depth_m, self.through_m)[..., None]
        at = self.stage.position + dirs * np.where(seen > 0, seen, 1) * np.float32(0.998)
        other = self.stage.position + self.stage.turn @ np.array([x_m, 0, 0], np.float32)
        blocked = np.zeros(self.depth_m.shape, bool)
        for rows in strips(len(blocked)):
            back = np.concatenate([at[rows], other - at[rows]], -1)
            blocked[rows] = self.stage.blocked(back, 1.0)
        return blocked & (self.through_m > 0)

    def shows(self, body: Mesh) -> Mask:
        """Where ``body`` is the first surface, (H, W)."""
        rays = self.stage.world_rays(self.intrinsics)
        t = scene_of([body]).cast_rays(tensor(rays))["t_hit"].numpy()
        return np.asarray(np.abs(t - self.depth_m) < 1e-3)


@dataclass(frozen=True, slots=True)
class Hit:
    """Where N rays met the opaque scene; ``t`` is inf where they met nothing."""

    t: Floats  # (N,) in lengths of the ray's direction
    place: Floats  # (N, 3) metres
    rest: Floats  # (N, 3) the same spot of the body at rest
    normal: Floats  # (N, 3) towards where the ray came from
    color: Floats  # (N, 3) albedo, linear
    material: npt.NDArray[np.uint8]  # (N,)


@functools.cache
def _static_count() -> int:
    return len(scene.opaque().triangles)


@functools.cache
def _attributes() -> Mesh:
    """The whole opaque room at rest: what belongs to a triangle whatever the phase."""
    return merged([scene.opaque(), scene.person(0.0)])


def tensor(array: npt.NDArray[Any]) -> Any:
    """Return an array as Open3D's tensor, which shares its memory."""
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(array))


def scene_of(meshes: list[Mesh]) -> Any:
    """Return meshes as one scene that rays can be cast into."""
    with IMPORTS:
        from open3d.t.geometry import RaycastingScene

    scene = RaycastingScene()
    for mesh in meshes:
        scene.add_triangles(tensor(mesh.vertices), tensor(mesh.triangles.astype(np.uint32)))
    # The first ray builds the tree; later ones may then come from several threads.
    scene.cast_rays(tensor(np.zeros((1, 6), np.float32)))
    return scene


@functools.cache
def glass_scene() -> Any:
    """Return the room's glass alone."""
    return scene_of([scene.glass()])


class Stage:
    """The room at one phase, ready for rays. Rays are (..., 6): origin and direction, metres.

    ``pose`` puts the camera elsewhere (as `scene.camera_pose` returns it), ``bodies`` and ``glass``
    are put into the room.
    """

    def __init__(
        self,
        phase: float,
        pose: tuple[Floats, Floats] | None = None,
        bodies: Sequence[Mesh] = (),
        glass: Sequence[Mesh] = (),
    ) -> None:
        self.turn, self.position = pose or scene.camera_pose(phase)
        self._mover = merged([scene.person(phase), *bodies])
        self._about = merged([_attributes(), *bodies]) if bodies else _attributes()
        self._scene = scene_of([scene.opaque(), self._mover])
        self.glass = scene_of([scene.glass(), *glass]) if glass else glass_scene()

    def world_rays(self, intrinsics: Intrinsics) -> Floats:
        """Return (H, W, 6); directions have length 1 along the camera's z, so that t is depth."""
        out = np.empty((intrinsics.height, intrinsics.width, 6), np.float32)
        out[..., :3] = self.position
        xy = pixel_rays(intrinsics)
        out[..., 3:] = xy @ self.turn[:, :2].T + self.turn[:, 2]
        return out

    def blocked(self, rays: Floats, far: float) -> Mask:
        """Whether something opaque lies between 0 and ``far`` lengths along each ray."""
        found: Mask = self._scene.test_occlusions(tensor(rays), 1e-3, far).numpy()
        return found

    def cast(self, rays: Floats) -> Hit:
        """Follow (N, 6) rays to the first opaque surface."""
        found = self._scene.cast_rays(tensor(rays))
        t = found["t_hit"].numpy()
        missed = ~np.isfinite(t)
        moves = found["geometry_ids"].numpy() == 1
        triangle = found["primitive_ids"].numpy().astype(np.int64) + _static_count() * moves
        triangle[missed] = 0
        uv = found["primitive_uvs"].numpy()
        place = rays[:, :3] + rays[:, 3:] * np.where(missed, 1, t)[:, None]
        rest, normal, calm = self._surface(triangle, uv, place, moves)
        away = dot(normal, rays[:, 3:]) > 0
        normal[away] *= -1
        about = self._about
        material = about.material[triangle]
        color = albedo(material, rest, calm, about.color[triangle])
        return Hit(t, place, rest, normal, color, material)

    def touched(self, rays: Floats) -> tuple[Mask, npt.NDArray[np.int64], Floats]:
        """Return what (N, 6) rays meet: whether the mover, which triangle of it or of the rest.

        The last is (N, 3), the shares of the triangle's corners. Where nothing is met: triangle 0.
        """
        found = self._scene.cast_rays(tensor(rays))
        triangle = found["primitive_ids"].numpy().astype(np.int64)
        missed = ~np.isfinite(found["t_hit"].numpy())
        triangle[missed] = 0
        u, v = found["primitive_uvs"].numpy().T
        return found["geometry_ids"].numpy() == 1, triangle, np.stack([1 - u - v, u, v], -1)

    def _surface(
        self, triangle: npt.NDArray[np.int64], uv: Floats, place: Floats, moves: Mask
    ) -> tuple[Floats, Floats, Floats]:
        """Place at rest, smooth normal now, smooth normal at rest; each (N, 3)."""
        about = self._about
        corner = about.triangles[triangle]
        weights = np.stack([1 - uv[:, 0] - uv[:, 1], uv[:, 0], uv[:, 1]], -1)
        calm = np.einsum("nk,nkc->nc", weights, about.normals[corner])
        calm = unit(calm)
        rest, normal = place.copy(), calm.copy()
        at = np.flatnonzero(moves)
        rest[at] = np.einsum("nk,nkc->nc", weights[at], about.vertices[corner[at]])
        now = self._mover.normals[corner[at] - len(scene.opaque().vertices)]
        turned = np.einsum("nk,nkc->nc", weights[at], now)
        normal[at] = unit(turned)
        return rest, normal, calm


def dot(a: Floats, b: Floats) -> Floats:
    """Return the dot product of rows (N, 3), as (N, 1) or (N,)."""
    # Far faster than a sum over an axis of three.
    out: Floats = np.einsum("nc,nc->n", a, b)
    return out


def unit(v: Floats) -> Floats:
    """Return rows (N, 3) at length one."""
    return v * (1 / (np.sqrt(dot(v, v)) + np.float32(1e-9)))[:, None]


def strips(rows: int) -> list[slice]:
    """Return rows of a picture in strips, few enough for one cast."""
    return [slice(a, min(a + _STRIP_ROWS, rows)) for a in range(0, rows, _STRIP_ROWS)]
