"""Scenes in which something is missing: the synthetic room with bodies put on its surfaces.

Every scene follows from its number alone. What is hidden in it is, in turn: one body, all of them,
blocks that know of no body, and only what the simulated sensor itself did not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from drivers.synthetic import scene
from drivers.synthetic.render import look
from drivers.synthetic.sensors import SENSORS
from drivers.synthetic.shapes import (
    Floats,
    Material,
    Mesh,
    Vector,
    box,
    cylinder,
    ellipsoid,
    lathe,
    rotation,
)
from drivers.synthetic.stage import Stage, View
from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Mask, RawDepth
from lingbot_live.quality.depth_errors import mask_blocks

WIDTH, HEIGHT = 320, 240
_SKINS = (
    Material.PAINT,
    Material.PLASTER,
    Material.WOOD,
    Material.BOOK,
    Material.FABRIC,
    Material.STRIPES,
    Material.PICTURE,
    Material.SKIN,
    Material.BLACK,
    Material.CHROME,
)
_TOPS = (Material.WOOD, Material.PAINT, Material.PLASTER, Material.FABRIC, Material.PLANKS)
_LEAST_SHARE, _MOST_SHARE = 0.004, 0.2  # of the picture that a body covers to be hidden
_GROWN_PX = 5  # a sensor loses up to so much around a body as well


class Ground(NamedTuple):
    """A flat surface on which bodies stand: centre and half extents, metres."""

    center: Vector
    half_x: float
    half_z: float
    size_m: float  # of a large body on it


@dataclass(frozen=True)
class Example:
    """A picture with holes, and what is there in truth."""

    color: ColorImage
    depth_raw: RawDepth  # mm, 0 where hidden or not seen
    truth_m: DepthMap
    is_body: bool  # whether a body was hidden


def examples(number: int) -> Iterator[Example]:
    """Yield the examples of a scene."""
    rng = np.random.default_rng((14, number))
    bodies: list[Mesh] = []
    ground = _ground(rng, bodies)
    standing = [_body(rng, ground) for _ in range(rng.integers(2, 8))]
    phase = float(rng.random())
    stage = Stage(phase, _pose(rng, ground), [*bodies, *standing])
    view = look(stage, _lens(rng))
    assert view is not None
    raw = _raw(view, rng)
    seen = [view.shows(body) for body in (*standing, scene.person(phase))]
    shown = [mask for mask in seen if _LEAST_SHARE < mask.mean() < _MOST_SHARE]
    hidden = [(_grown(mask, rng), True) for mask in shown]
    if len(shown) > 1:
        hidden.append((_grown(np.any(shown, 0), rng), True))
    sizes = (20, 80)
    hidden += [(mask_blocks(raw > 0, rng, size_px=sizes), False) for _ in range(4)]
    hidden.append((np.zeros_like(raw, bool), False))
    for mask, is_body in hidden:
        left = np.where(mask, np.uint16(0), raw)
        yield Example(view.color, left, view.depth_m, is_body)


def _lens(rng: np.random.Generator) -> Intrinsics:
    focal = WIDTH * rng.uniform(0.7, 1.0)
    return Intrinsics(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)


def _ground(rng: np.random.Generator, bodies: list[Mesh]) -> Ground:
    """Choose the room's table, its floor, or a table put into it, which joins ``bodies``."""
    kind = rng.integers(4)
    if kind == 0:
        return Ground((-0.05, 0.6, 1.77), 0.6, 0.3, 0.28)
    if kind == 1:
        return Ground(
            (rng.uniform(-0.6, 0.8), scene.FLOOR_Y, rng.uniform(-0.4, 0.7)), 0.7, 0.5, 0.6
        )
    x, z = rng.uniform(-0.9, 1.0), rng.uniform(-0.6, 0.7)
    half_x, half_z, y = rng.uniform((0.35, 0.3, 0.45), (0.8, 0.5, 0.95))
    top = box((-half_x, y, -half_z), (half_x, y + 0.04, half_z))
    top = top.painted(_color(rng), _TOPS[rng.integers(len(_TOPS))])
    bodies.append(top.moved((x, 0.0, z), yaw=rng.uniform(0, np.pi)))
    inner = 0.8 * min(half_x, half_z)
    return Ground((x, y, z), inner, inner, 0.28)


def _color(rng: np.random.Generator) -> Vector:
    r, g, b = rng.uniform(0.05, 0.95, 3)
    return (float(r), float(g), float(b))


def _body(rng: np.random.Generator, ground: Ground) -> Mesh:
    wide, tall, deep = ground.size_m * rng.uniform(0.15, 0.6, 3) * rng.uniform(0.6, 1.2)
    made = _SHAPES[rng.integers(len(_SHAPES))](wide, tall * rng.uniform(0.6, 2.2), deep)
    x = ground.center[0] + ground.half_x * rng.uniform(-0.85, 0.85)
    z = ground.center[2] + ground.half_z * rng.uniform(-0.85, 0.85)
    painted = made.painted(_color(rng), _SKINS[rng.integers(len(_SKINS))])
    return painted.moved((x, ground.center[1], z), yaw=rng.uniform(0, 2 * np.pi))


def _block(wide: float, tall: float, deep: float) -> Mesh:
    return box((-wide / 2, -tall, -deep / 2), (wide / 2, 0.0, deep / 2))


def _can(wide: float, tall: float, _deep: float) -> Mesh:
    return cylinder(wide / 2, -tall, 0.0, 32)


def _ball(wide: float, tall: float, deep: float) -> Mesh:
    return ellipsoid(wide / 2, tall / 2, deep / 2, 32).moved((0.0, -tall / 2, 0.0))


def _bowl(wide: float, tall: float, deep: float) -> Mesh:
    rim, foot, high = wide / 2, min(wide, deep) / 2.5, 0.6 * tall
    outside = [(0.0, 0.0), (foot, 0.0), (rim, -high)]
    return lathe([*outside, (0.94 * rim, -high), (0.9 * foot, -0.01), (0.0, -0.01)], 32)


def _bottle(wide: float, tall: float, _deep: float) -> Mesh:
    r = wide / 3
    body = [(0.0, 0.0), (r, 0.0), (r, -0.65 * tall), (0.4 * r, -0.8 * tall)]
    return lathe([*body, (0.4 * r, -tall), (0.0, -tall)], 32)


def _lying(wide: float, tall: float, _deep: float) -> Mesh:
    can = cylinder(wide / 4, -tall / 2, tall / 2, 24)
    return can.moved((0.0, -wide / 4, 0.0), pitch=np.pi / 2)


_SHAPES = (_block, _can, _ball, _bowl, _bottle, _lying)


def _pose(rng: np.random.Generator, ground: Ground) -> tuple[Floats, Floats]:
    """Look at the ground from inside the room, from a little to steeply above."""
    while True:
        pitch, roll = -rng.uniform(0.1, 1.1), 0.1 * rng.standard_normal()
        turn = rotation(rng.uniform(-np.pi, np.pi), pitch, roll)
        away = 4 * ground.size_m * rng.uniform(0.5, 1.4)
        to = np.array(ground.center)
        to += np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.25, 0.0), 0.0])
        eye = (to - away * turn[:, 2]).astype(np.float32)
        inside = scene.LEFT_X + 0.2 < eye[0] < scene.RIGHT_X - 0.2
        inside &= scene.FRONT_Z + 0.2 < eye[2] < 3.0
        if inside and scene.CEILING_Y + 0.1 < eye[1] < scene.FLOOR_Y - 0.15:
            return turn, eye


def _raw(view: View, rng: np.random.Generator) -> RawDepth:
    """Measure a view by one of the simulated sensors, mm."""
    sensor = SENSORS[("stereo", "structured", "tof")[rng.integers(3)]]
    found = sensor.observe(view, rng)
    noise = rng.standard_normal(found.mean_m.shape, np.float32)
    depth_m = np.where(found.mean_m > 0, found.mean_m + found.sigma_m * noise, 0)
    return np.asarray(np.clip(np.rint(depth_m * 1000), 0, 65_535), np.uint16)


def _grown(mask: Mask, rng: np.random.Generator) -> Mask:
    size = 2 * int(rng.integers(_GROWN_PX + 1)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
