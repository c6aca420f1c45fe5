"""Pictures and true geometry of the synthetic room, by Open3D ray casting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.synthetic import scene
from drivers.synthetic.shapes import Floats, Material, Mesh, merged, rgb
from drivers.synthetic.textures import albedo
from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Mask
from lingbot_live.geometry import rays as pixel_rays
from lingbot_live.system.worker import IMPORTS

_STRIP_ROWS = 32  # one cast holds the interpreter: strips keep that to a few milliseconds
_FILM_STEPS = 16384
_SUN = np.array([0.74, 0.64, -0.2], np.float32)  # the way its light travels
_GLOSS = np.zeros(len(Material), np.float32)
_GLOSS[[Material.WOOD, Material.PLANKS, Material.BLACK, Material.SKIN]] = 0.25, 0.2, 0.35, 0.08
_IR_GAIN = np.ones(len(Material), np.float32)  # how much brighter than in visible light
_IR_GAIN[[Material.FABRIC, Material.LEAF, Material.WOOD, Material.BLACK]] = 1.8, 2.5, 1.5, 0.35


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
        for rows in _strips(len(blocked)):
            back = np.concatenate([at[rows], other - at[rows]], -1)
            blocked[rows] = self.stage.blocked(back, 1.0)
        return blocked & (self.through_m > 0)

    def shows(self, body: Mesh) -> Mask:
        """Where ``body`` is the first surface, (H, W)."""
        rays = self.stage.world_rays(self.intrinsics)
        t = _scene_of([body]).cast_rays(_tensor(rays))["t_hit"].numpy()
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


def _tensor(array: npt.NDArray[Any]) -> Any:
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(array))


def _scene_of(meshes: list[Mesh]) -> Any:
    with IMPORTS:
        from open3d.t.geometry import RaycastingScene

    scene = RaycastingScene()
    for mesh in meshes:
        scene.add_triangles(_tensor(mesh.vertices), _tensor(mesh.triangles.astype(np.uint32)))
    # The first ray builds the tree; later ones may then come from several threads.
    scene.cast_rays(_tensor(np.zeros((1, 6), np.float32)))
    return scene


@functools.cache
def _glass_scene() -> Any:
    return _scene_of([scene.glass()])


class Stage:
    """The room at one phase, ready for rays. Rays are (..., 6): origin and direction, metres.

    ``pose`` puts the camera elsewhere (as `scene.camera_pose` returns it), ``bodies`` are put into
    the room.
    """

    def __init__(
        self,
        phase: float,
        pose: tuple[Floats, Floats] | None = None,
        bodies: Sequence[Mesh] = (),
    ) -> None:
        self.turn, self.position = pose or scene.camera_pose(phase)
        self._mover = merged([scene.person(phase), *bodies])
        self._about = merged([_attributes(), *bodies]) if bodies else _attributes()
        self._scene = _scene_of([scene.opaque(), self._mover])

    def world_rays(self, intrinsics: Intrinsics) -> Floats:
        """Return (H, W, 6); directions have length 1 along the camera's z, so that t is depth."""
        out = np.empty((intrinsics.height, intrinsics.width, 6), np.float32)
        out[..., :3] = self.position
        xy = pixel_rays(intrinsics)
        out[..., 3:] = xy @ self.turn[:, :2].T + self.turn[:, 2]
        return out

    def blocked(self, rays: Floats, far: float) -> Mask:
        """Whether something opaque lies between 0 and ``far`` lengths along each ray."""
        found: Mask = self._scene.test_occlusions(_tensor(rays), 1e-3, far).numpy()
        return found

    def cast(self, rays: Floats) -> Hit:
        """Follow (N, 6) rays to the first opaque surface."""
        found = self._scene.cast_rays(_tensor(rays))
        t = found["t_hit"].numpy()
        missed = ~np.isfinite(t)
        moves = found["geometry_ids"].numpy() == 1
        triangle = found["primitive_ids"].numpy().astype(np.int64) + _static_count() * moves
        triangle[missed] = 0
        uv = found["primitive_uvs"].numpy()
        place = rays[:, :3] + rays[:, 3:] * np.where(missed, 1, t)[:, None]
        rest, normal, calm = self._surface(triangle, uv, place, moves)
        away = _dot(normal, rays[:, 3:]) > 0
        normal[away] *= -1
        about = self._about
        material = about.material[triangle]
        color = albedo(material, rest, calm, about.color[triangle])
        return Hit(t, place, rest, normal, color, material)

    def touched(self, rays: Floats) -> tuple[Mask, npt.NDArray[np.int64], Floats]:
        """Return what (N, 6) rays meet: whether the mover, which triangle of it or of the rest.

        The last is (N, 3), the shares of the triangle's corners. Where nothing is met: triangle 0.
        """
        found = self._scene.cast_rays(_tensor(rays))
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
        calm = _unit(calm)
        rest, normal = place.copy(), calm.copy()
        at = np.flatnonzero(moves)
        rest[at] = np.einsum("nk,nkc->nc", weights[at], about.vertices[corner[at]])
        now = self._mover.normals[corner[at] - len(scene.opaque().vertices)]
        turned = np.einsum("nk,nkc->nc", weights[at], now)
        normal[at] = _unit(turned)
        return rest, normal, calm


def _dot(a: Floats, b: Floats) -> Floats:
    # Far faster than a sum over an axis of three.
    out: Floats = np.einsum("nc,nc->n", a, b)
    return out


def _unit(v: Floats) -> Floats:
    return v * (1 / (np.sqrt(_dot(v, v)) + np.float32(1e-9)))[:, None]


def _strips(rows: int) -> list[slice]:
    return [slice(a, min(a + _STRIP_ROWS, rows)) for a in range(0, rows, _STRIP_ROWS)]


def _sky(direction: Floats) -> Floats:
    """A bright sky above hazy trees, for rays that leave by the window."""
    up = -_unit(direction)[:, 1:2]
    sky = rgb(0.75, 0.9, 1.15) + np.clip(up, 0, 1) * rgb(-0.3, -0.15, 0.3)
    trees = rgb(0.22, 0.36, 0.2) * (1 + 0.5 * np.sin(40 * direction[:, 2:3]))
    return np.where(up > 0.03 * np.sin(25 * direction[:, 2:3]) - 0.05, sky, trees)


def _sun(stage: Stage, hit: Hit) -> Floats:
    """Cosine of sunlight on each point, 0 where the window or an object keeps it out."""
    cosine = np.clip(-(hit.normal @ _SUN), 0, 1)
    back = (hit.place[:, 0] - scene.LEFT_X) / _SUN[0]
    y, z = (hit.place[:, axis] - _SUN[axis] * back for axis in (1, 2))
    (top, bottom), (near, far) = scene.WINDOW_Y, scene.WINDOW_Z
    open_ = (y > top) & (y < bottom) & (z > near) & (z < far) & (back > 0) & (cosine > 0)
    at = np.flatnonzero(open_ & np.isfinite(hit.t))
    rays = np.concatenate([hit.place[at] + hit.normal[at] * 2e-3, np.tile(-_SUN, (len(at), 1))], 1)
    out = np.zeros(len(cosine), np.float32)
    out[at] = cosine[at] * ~stage.blocked(rays.astype(np.float32), np.inf)
    return out


def _daylight(stage: Stage, hit: Hit, view: Floats) -> tuple[Floats, Floats]:
    """Linear RGB of N points by all light but the lamp's, and the cosine of the sun's."""
    n, p = hit.normal, hit.place
    window = np.array([scene.LEFT_X, -0.2, 2.95], np.float32) - p
    far = _dot(window, window)
    toward = np.clip(_dot(n, window) / np.sqrt(far) + 0.25, 0, 1.25) / (1 + 0.35 * far)
    ambient = (0.3 - 0.06 * n[:, 1]) * _openness(p)
    sun = _sun(stage, hit)
    light = ambient[:, None] * rgb(1.0, 1.0, 1.03)
    light = light + toward[:, None] * rgb(0.82, 0.93, 1.1)
    light = light + (2.2 * sun)[:, None] * rgb(1.1, 1.0, 0.82)
    shine = 3 * _highlight(hit, window, view) / (1 + 0.3 * far)
    out = hit.color * light + shine[:, None]
    glows = hit.material == Material.LAMP
    out[glows] = hit.color[glows] * np.float32(1.35)
    return np.asarray(out, np.float32), sun


def _openness(p: Floats) -> Floats:
    """How much of the room a point sees: less in corners, a cheap ambient occlusion."""
    gaps = [p[:, 0] - scene.LEFT_X, scene.RIGHT_X - p[:, 0], scene.FLOOR_Y - p[:, 1]]
    gaps += [p[:, 1] - scene.CEILING_Y, np.abs(scene.BACK_Z - p[:, 2])]
    nearest = functools.reduce(np.minimum, gaps)
    return np.asarray(1 - 0.36 * np.exp(-5.5 * np.clip(nearest, 0, 3)), np.float32)


def _highlight(hit: Hit, light: Floats, view: Floats) -> Floats:
    """Blinn's specular term towards ``light`` (N, 3) of any length, times the gloss."""
    out = np.zeros(len(hit.t), np.float32)
    at = np.flatnonzero(_GLOSS[hit.material])
    half = _unit(_unit(light[at]) - view[at])
    out[at] = _GLOSS[hit.material[at]] * np.clip(_dot(hit.normal[at], half), 0, 1) ** 60
    return out


def _lamp(hit: Hit, spot: Floats, view: Floats) -> Floats:
    """Linear RGB of N points by the lamp alone, as if nothing stood in between."""
    to = spot - hit.place
    far = _dot(to, to)
    cosine = np.clip(_dot(hit.normal, _unit(to)), 0, 1)
    shine = _highlight(hit, to, view)
    warm = rgb(1.12, 0.98, 0.8) * (1.25 / (0.9 + far))[:, None]
    matte = hit.material != Material.LAMP
    return np.asarray((hit.color * cosine[:, None] + shine[:, None]) * warm * matte[:, None])


def _seen(stage: Stage, hit: Hit, rays: Floats) -> Floats:
    """Linear RGB of ray hits without shadows of the lamp, for reflections."""
    view = _unit(rays[:, 3:])
    day, _ = _daylight(stage, hit, view)
    lit = day + np.float32(0.8) * _lamp(hit, rgb(*scene.LAMP), view)
    return np.where(np.isfinite(hit.t)[:, None], lit, _sky(rays[:, 3:]))


def _reflected(rays: Floats, hit: Hit, at: npt.NDArray[np.int64]) -> Floats:
    d, n = rays[at, 3:], hit.normal[at]
    off = d - 2 * _dot(d, n)[:, None] * n
    return np.concatenate([hit.place[at] + n * np.float32(1e-3), off], 1)


def _lamp_spots(rows: slice, width: int) -> Floats:
    """A point of the lamp for every pixel of a strip, (N, 3), all 16 in each 4x4 block.

    Interleaved sampling (Keller and Heidrich, Eurographics Rendering Workshop 2001): the mean over
    a block is the soft shadow.
    """
    v, u = np.mgrid[:4, :4]
    turn, radius = np.pi / 2 * u + 0.39 * v, 0.22 * np.sqrt((v + 0.5) / 4)
    offset = np.stack([radius * np.cos(turn), 0 * turn, radius * np.sin(turn)], -1)
    block: Floats = (np.array(scene.LAMP) + offset).astype(np.float32)
    count = rows.stop - rows.start
    return np.tile(block, (count // 4 + 1, width // 4 + 1, 1))[:count, :width].reshape(-1, 3)


class _Painter:
    """Fills the arrays of one View strip by strip."""

    def __init__(self, stage: Stage, intrinsics: Intrinsics) -> None:
        size = (intrinsics.height, intrinsics.width)
        self.stage = stage
        self.rays = stage.world_rays(intrinsics)
        self.day = np.empty((*size, 3), np.float32)
        self.lamp = np.empty((*size, 3), np.float32)
        self.visible = np.empty(size, np.float32)
        self.depth = np.empty(size, np.float32)
        self.through = np.empty(size, np.float32)
        self.material = np.empty(size, np.uint8)
        self.facing = np.empty(size, np.float32)
        self.infrared = np.empty(size, np.float32)
        self.sunlit = np.empty(size, bool)

    def paint(self, rows: slice) -> None:
        strip = self.rays[rows]
        shape, rays = strip.shape[:2], strip.reshape(-1, 6)
        hit = self.stage.cast(rays)
        view = _unit(rays[:, 3:])
        spot = _lamp_spots(rows, shape[1])
        day, sun = _daylight(self.stage, hit, view)
        lamp = _lamp(hit, spot, view)
        missed = ~np.isfinite(hit.t)
        day[missed], lamp[missed] = _sky(rays[missed, 3:]), 0
        start = hit.place + hit.normal * np.float32(2e-3)
        shadow = self.stage.blocked(np.concatenate([start, spot - start], 1), 0.98)
        depth = np.where(missed, 0, hit.t).astype(np.float32)
        through = self._reflect(rays, hit, day, lamp, depth)
        self.visible[rows] = ~shadow.reshape(shape)
        self.facing[rows] = -_dot(hit.normal, view).reshape(shape)
        gray = hit.color @ rgb(0.24, 0.4, 0.16) + np.float32(0.03)
        self.infrared[rows] = np.minimum(gray * _IR_GAIN[hit.material], 0.9).reshape(shape)
        self.sunlit[rows] = ((sun > 0.05) | missed).reshape(shape)
        material = hit.material.copy()
        self._glaze(rays, depth, material, day, lamp)
        self.day[rows], self.lamp[rows] = day.reshape(*shape, 3), lamp.reshape(*shape, 3)
        self.depth[rows], self.through[rows] = depth.reshape(shape), through.reshape(shape)
        self.material[rows] = material.reshape(shape)

    def _reflect(self, rays: Floats, hit: Hit, day: Floats, lamp: Floats, depth: Floats) -> Floats:
        """Show the room in mirrors and chrome; return z of what the light meets in a mirror."""
        through = depth.copy()
        kinds = (hit.material == Material.MIRROR) | (hit.material == Material.CHROME)
        at = np.flatnonzero(kinds & (depth > 0))
        if at.size:
            onward = _reflected(rays, hit, at)
            far = self.stage.cast(onward)
            tint = np.where(hit.material[at, None] == Material.MIRROR, 0.9, 0.75)
            day[at], lamp[at] = _seen(self.stage, far, onward) * tint, 0
            mirror = hit.material[at] == Material.MIRROR
            beyond = np.where(np.isfinite(far.t), depth[at] + far.t, 0)
            through[at] = np.where(mirror, beyond, depth[at])
        return through

    def _glaze(
        self,
        rays: Floats,
        depth: Floats,
        material: npt.NDArray[np.uint8],
        day: Floats,
        lamp: Floats,
    ) -> None:
        """Lay glass over what is behind it; Schlick's approximation says how much it mirrors."""
        found = _glass_scene().cast_rays(_tensor(rays))
        t = found["t_hit"].numpy()
        at = np.flatnonzero(np.isfinite(t) & ((t < depth) | (depth == 0)))
        normal = found["primitive_normals"].numpy()[at]
        cosine = np.abs(_dot(normal, _unit(rays[at, 3:])))
        mirrored = (0.06 + 0.94 * (1 - cosine) ** 5)[:, None]
        tint = rgb(0.84, 0.92, 0.9) * (1 - mirrored)
        day[at] = day[at] * tint + mirrored * rgb(0.7, 0.8, 0.85)
        lamp[at] *= tint
        depth[at], material[at] = t[at], Material.GLASS


@functools.cache
def _film() -> npt.NDArray[np.uint8]:
    """The 8-bit value of light in steps of 1 / `_FILM_STEPS`, (65536,); bright light saturates."""
    light = np.arange(65536) / _FILM_STEPS
    toned = 255 * (1 - np.exp(-1.55 * light)) ** (1 / 2.2)
    out: npt.NDArray[np.uint8] = np.rint(toned).astype(np.uint8)
    return out


def _develop(day: Floats, lamp: Floats, visible: Floats) -> ColorImage:
    """Soft shadow, exposure, lens blur and sRGB-like gamma."""
    import cv2

    light = day + lamp * cv2.blur(visible, (4, 4))[..., None]
    light = cv2.GaussianBlur(light, (3, 3), 0.55)
    steps = np.minimum(light * np.float32(_FILM_STEPS), 65535).astype(np.uint16)
    out: ColorImage = np.take(_film(), steps)
    return out


def render(
    phase: float, intrinsics: Intrinsics, cancelled: Callable[[], bool] = lambda: False
) -> View | None:
    """Return the view at ``phase``; None when ``cancelled`` said so between two strips."""
    return look(Stage(phase), intrinsics, cancelled)


def look(
    stage: Stage, intrinsics: Intrinsics, cancelled: Callable[[], bool] = lambda: False
) -> View | None:
    """Return the view of a stage; None when ``cancelled`` said so between two strips."""
    painter = _Painter(stage, intrinsics)
    for rows in _strips(intrinsics.height):
        if cancelled():
            return None
        painter.paint(rows)
    return View(
        stage,
        intrinsics,
        _develop(painter.day, painter.lamp, painter.visible),
        painter.depth,
        painter.through,
        painter.material,
        painter.facing,
        painter.infrared,
        painter.sunlit,
    )
