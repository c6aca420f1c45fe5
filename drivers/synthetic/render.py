"""Pictures and true geometry of the synthetic room, by Open3D ray casting."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from drivers.synthetic import scene
from drivers.synthetic.shapes import Floats, Material, rgb
from drivers.synthetic.stage import Hit, Stage, View, dot, strips, tensor, unit
from lingbot_live.frame import ColorImage, Intrinsics

_FILM_STEPS = 16384
_SUN = np.array([0.74, 0.64, -0.2], np.float32)  # the way its light travels
_GLOSS = np.zeros(len(Material), np.float32)
_GLOSS[[Material.WOOD, Material.PLANKS, Material.BLACK, Material.SKIN]] = 0.25, 0.2, 0.35, 0.08
_IR_GAIN = np.ones(len(Material), np.float32)  # how much brighter than in visible light
_IR_GAIN[[Material.FABRIC, Material.LEAF, Material.WOOD, Material.BLACK]] = 1.8, 2.5, 1.5, 0.35


def _sky(direction: Floats) -> Floats:
    """A bright sky above hazy trees, for rays that leave by the window."""
    up = -unit(direction)[:, 1:2]
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
    far = dot(window, window)
    toward = np.clip(dot(n, window) / np.sqrt(far) + 0.25, 0, 1.25) / (1 + 0.35 * far)
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
    half = unit(unit(light[at]) - view[at])
    out[at] = _GLOSS[hit.material[at]] * np.clip(dot(hit.normal[at], half), 0, 1) ** 60
    return out


def _lamp(hit: Hit, spot: Floats, view: Floats) -> Floats:
    """Linear RGB of N points by the lamp alone, as if nothing stood in between."""
    to = spot - hit.place
    far = dot(to, to)
    cosine = np.clip(dot(hit.normal, unit(to)), 0, 1)
    shine = _highlight(hit, to, view)
    warm = rgb(1.12, 0.98, 0.8) * (1.25 / (0.9 + far))[:, None]
    matte = hit.material != Material.LAMP
    return np.asarray((hit.color * cosine[:, None] + shine[:, None]) * warm * matte[:, None])


def _seen(stage: Stage, hit: Hit, rays: Floats) -> Floats:
    """Linear RGB of ray hits without shadows of the lamp, for reflections."""
    view = unit(rays[:, 3:])
    day, _ = _daylight(stage, hit, view)
    lit = day + np.float32(0.8) * _lamp(hit, rgb(*scene.LAMP), view)
    return np.where(np.isfinite(hit.t)[:, None], lit, _sky(rays[:, 3:]))


def _reflected(rays: Floats, hit: Hit, at: npt.NDArray[np.int64]) -> Floats:
    d, n = rays[at, 3:], hit.normal[at]
    off = d - 2 * dot(d, n)[:, None] * n
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
        view = unit(rays[:, 3:])
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
        self.facing[rows] = -dot(hit.normal, view).reshape(shape)
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
        found = self.stage.glass.cast_rays(tensor(rays))
        t = found["t_hit"].numpy()
        at = np.flatnonzero(np.isfinite(t) & ((t < depth) | (depth == 0)))
        normal = found["primitive_normals"].numpy()[at]
        cosine = np.abs(dot(normal, unit(rays[at, 3:])))
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
    for rows in strips(intrinsics.height):
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
