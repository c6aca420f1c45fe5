"""Tables with things to grasp, whose true shape is known: one scene for every seed.

The table stands in the room of `drivers.synthetic.scene` before its own furniture. A seed decides
what stands where: two boxes, two cans, a mug, a bottle, a fruit and a block, which are opaque, a
glass cup and a steel ball. Metres, in the room's axes: x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drivers.synthetic.scene import FLOOR_Y, OAK
from drivers.synthetic.shapes import (
    Material,
    Mesh,
    Vector,
    box,
    cylinder,
    ellipsoid,
    lathe,
    merged,
    rotation,
    tube,
)
from drivers.synthetic.stage import Stage

TOP_Y = 0.35  # of the table
_LOW, _HIGH = (-0.36, 0.6), (0.36, 1.1)  # where things stand: x, z
_GAP_M = 0.04  # between the circles around two things: room for a finger
_EYE: Vector = (0.0, -0.25, 0.2)
_PITCH = -0.74  # of the camera: it looks down
_TRIES = 400
_SHADE = 0.75  # a thing must not stand in the shade of a higher one before it, by that of it


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One thing on the table."""

    kind: str
    mesh: Mesh  # in the room's axes
    is_opaque: bool  # neither glass nor steel


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """How things of a kind are made, standing at the origin, and how much room they take."""

    name: str
    radius_m: float  # of a circle around the foot
    height_m: float
    mesh: Mesh


class Tabletop:
    """The scene of one seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((7, seed))
        self.bodies = _standing(_kinds(rng), rng)
        self.pose = rotation(0.0, _PITCH), np.array(_EYE, np.float32)
        self.T_room_camera = np.eye(4, dtype=np.float32)  # where the camera stands
        self.T_room_camera[:3, :3], self.T_room_camera[:3, 3] = self.pose

    def stage(self) -> Stage:
        """Return it ready for rays."""
        solid = [body.mesh for body in self.bodies if body.kind != "glass cup"]
        clear = [body.mesh for body in self.bodies if body.kind == "glass cup"]
        return Stage(0.0, self.pose, [table(), *solid], glass=clear)


def table() -> Mesh:
    """Return the table itself."""
    top = box((-0.6, TOP_Y, 0.42), (0.6, TOP_Y + 0.03, 1.3)).painted(OAK, Material.WOOD)
    feet = [(x, z) for x in (-0.55, 0.55) for z in (0.47, 1.25)]
    legs = [cylinder(0.025, TOP_Y + 0.03, FLOOR_Y, 12).moved((x, 0.0, z)) for x, z in feet]
    return merged([top, *(leg.painted(OAK, Material.WOOD) for leg in legs)])


def _kinds(rng: np.random.Generator) -> list[_Kind]:
    makers: list[tuple[str, Callable[[np.random.Generator], tuple[Mesh, float, float]]]] = [
        ("bottle", _bottle), ("box", _box), ("box", _box), ("cylinder", _can), ("cylinder", _can),
        ("mug", _mug), ("glass cup", _cup), ("block", _block), ("fruit", _fruit),
        ("steel ball", _ball),
    ]  # fmt: skip
    made = []
    for name, make in makers:
        mesh, radius_m, height_m = make(rng)
        made.append(_Kind(name, radius_m, height_m, mesh))
    return made


def _standing(kinds: list[_Kind], rng: np.random.Generator) -> list[Body]:
    """Put things on the table so that a finger fits between any two, and each is seen."""
    while True:
        taken: list[tuple[float, float, _Kind]] = []
        for kind in kinds:
            for _ in range(_TRIES):
                x, z = rng.uniform(_LOW, _HIGH)
                if all(_is_apart(x, z, kind, *other) for other in taken):
                    taken.append((float(x), float(z), kind))
                    break
        if len(taken) == len(kinds):
            break
    return [
        Body(
            kind.name,
            kind.mesh.moved((x, TOP_Y, z), yaw=float(rng.uniform(0, 2 * np.pi))),
            kind.name not in ("glass cup", "steel ball"),
        )
        for x, z, kind in taken
    ]


def _is_apart(x: float, z: float, kind: _Kind, ox: float, oz: float, other: _Kind) -> bool:
    if np.hypot(x - ox, z - oz) < kind.radius_m + other.radius_m + _GAP_M:
        return False
    near, far = ((z, kind), (oz, other)) if z < oz else ((oz, other), (z, kind))
    if abs(x - ox) > _SHADE * (kind.radius_m + other.radius_m):
        return True
    slope = (TOP_Y - _EYE[1]) / (near[0] - _EYE[2])  # of the line of sight
    shade_m = (near[1].height_m - _SHADE * far[1].height_m) / slope
    return far[0] - near[0] > shade_m + near[1].radius_m


def _painted(mesh: Mesh, rng: np.random.Generator, *materials: Material) -> Mesh:
    color = rng.uniform(0.25, 0.9, 3)
    return mesh.painted(
        (float(color[0]), float(color[1]), float(color[2])), materials[rng.integers(len(materials))]
    )


def _box(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    x, z, y = rng.uniform((0.04, 0.07, 0.06), (0.07, 0.11, 0.14))
    mesh = box((-x / 2, -y, -z / 2), (x / 2, 0.0, z / 2))
    painted = _painted(mesh, rng, Material.BOOK, Material.STRIPES, Material.FABRIC)
    return painted, float(np.hypot(x, z) / 2), float(y)


def _block(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    x, y, z = rng.uniform((0.03, 0.03, 0.03), (0.05, 0.05, 0.06))
    mesh = box((-x / 2, -y, -z / 2), (x / 2, 0.0, z / 2)).painted(OAK, Material.WOOD)
    return mesh, float(np.hypot(x, z) / 2), float(y)


def _can(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    radius, height = rng.uniform((0.022, 0.08), (0.035, 0.14))
    mesh = cylinder(float(radius), -float(height), 0.0, 48)
    return _painted(mesh, rng, Material.STRIPES, Material.BOOK), float(radius), float(height)


def _mug(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    r, h = (float(value) for value in rng.uniform((0.034, 0.085), (0.039, 0.1)))
    wall = [(0.0, 0.0), (r, 0.0), (r, -h), (r - 0.004, -h), (r - 0.004, -0.006), (0.0, -0.006)]
    turn = np.linspace(-1.2, 1.2, 13)
    bend = np.stack([r + 0.026 * np.cos(turn) - 0.008, -h / 2 + 0.03 * np.sin(turn), 0 * turn], -1)
    mesh = merged([lathe(wall, 48), tube(bend, 0.005, 10)])
    return _painted(mesh, rng, Material.STRIPES, Material.FABRIC), r + 0.022, h


def _bottle(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    r, h = (float(value) for value in rng.uniform((0.03, 0.2), (0.036, 0.25)))
    outline = [(0.0, 0.0), (r, 0.0), (r, -0.58 * h), (0.9 * r, -0.66 * h), (0.45 * r, -0.8 * h)]
    outline += [(0.42 * r, -h), (0.0, -h)]
    return _painted(lathe(outline, 48), rng, Material.STRIPES, Material.LEAF), r, h


def _cup(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    r, h = (float(value) for value in rng.uniform((0.03, 0.09), (0.037, 0.12)))
    wall = [(0.0, 0.0), (0.85 * r, 0.0), (r, -h), (r - 0.003, -h), (0.8 * r, -0.01), (0.0, -0.01)]
    return lathe(wall, 48).painted((0.85, 0.95, 0.93), Material.GLASS), r, h


def _fruit(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    r = float(rng.uniform(0.03, 0.037))
    mesh = ellipsoid(r, 0.93 * r, r, 40).moved((0.0, -0.93 * r, 0.0))
    return mesh.painted((0.95, 0.5, 0.1), Material.SKIN), r, 1.86 * r


def _ball(rng: np.random.Generator) -> tuple[Mesh, float, float]:
    r = float(rng.uniform(0.022, 0.032))
    mesh = ellipsoid(r, r, r, 40).moved((0.0, -r, 0.0))
    return mesh.painted((0.9, 0.9, 0.92), Material.CHROME), r, 2 * r
