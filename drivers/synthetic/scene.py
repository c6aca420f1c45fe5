"""The living room of the synthetic cameras: what stands in it, who walks in it, where one looks.

Metres; x right, y down, z forward as in `lingbot_live.frame`. The origin is the middle of the
camera's path, 1.35 m above the floor. ``phase`` runs from 0 to 1 along one sweep of the camera.
"""

from __future__ import annotations

import functools

import numpy as np

from drivers.synthetic.shapes import (
    Floats,
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

FLOOR_Y = 1.35
CEILING_Y = -1.25
LEFT_X, RIGHT_X = -2.3, 2.4
BACK_Z, FRONT_Z = 4.4, -1.6
WINDOW_Y, WINDOW_Z = (-0.75, 0.35), (2.2, 3.7)  # an opening in the left wall
DOOR_X, DOOR_TOP_Y = (1.05, 1.85), -0.75  # an opening in the back wall, to a corridor
CORRIDOR_Z = 6.2
LAMP = (0.1, -0.95, 2.3)

OAK, WALNUT, WHITE = (0.78, 0.6, 0.4), (0.45, 0.3, 0.2), (0.93, 0.92, 0.88)
STEEL, DARK = (0.6, 0.61, 0.63), (0.13, 0.13, 0.14)


def camera_pose(phase: float) -> tuple[Floats, Floats]:
    """Return the (3, 3) ``R_world_camera`` and the camera's position, metres."""
    sway = 2 * phase - 1
    turn = rotation(yaw=-0.045 * sway, pitch=-0.17 + 0.02 * sway)
    bob = -0.03 * np.cos(np.pi * sway)
    return turn, np.array([0.22 * sway, bob, 0.06 * phase], np.float32)


@functools.cache
def opaque() -> Mesh:
    """Return everything that stands still and hides what is behind it."""
    parts = [*_walls(), *_window(), *_shelf(), *_sofa(), *_table(), *_on_table(), *_chair()]
    parts += [*_pictures(), *_standing_mirror(), *_floor_lamp(), *_plant(), *_sideboard(), *_rest()]
    return merged(parts)


@functools.cache
def glass() -> Mesh:
    """Return what is seen through: a tumbler, a vase, a display case."""
    tumbler = lathe([(0.032, 0.0), (0.04, -0.13), (0.037, -0.13), (0.03, -0.01)], 32)
    carafe = lathe([(0.0, 0.0), (0.06, 0.0), (0.07, -0.08), (0.03, -0.19), (0.04, -0.24)], 32)
    panes = [
        box((-0.35, 0.03, 3.84), (0.3, 0.6, 3.846)),
        box((0.294, 0.03, 3.85), (0.3, 0.6, 4.2)),
        box((-0.35, 0.03, 3.85), (-0.344, 0.6, 4.2)),
        box((-0.35, 0.024, 3.84), (0.3, 0.03, 4.2)),
    ]
    parts = [tumbler.moved((0.24, 0.6, 1.62)), carafe.moved((-0.02, 0.6, 1.72)), *panes]
    return merged([part.painted((0.85, 0.95, 0.93), Material.GLASS) for part in parts])


def _walls() -> list[Mesh]:
    low, high = FLOOR_Y, CEILING_Y
    floor = box((LEFT_X, low, FRONT_Z), (RIGHT_X, low + 0.1, CORRIDOR_Z))
    ceiling = box((LEFT_X, high - 0.1, FRONT_Z), (RIGHT_X, high, CORRIDOR_Z))
    left = [
        box((LEFT_X - 0.2, high, FRONT_Z), (LEFT_X, low, WINDOW_Z[0])),
        box((LEFT_X - 0.2, high, WINDOW_Z[1]), (LEFT_X, low, CORRIDOR_Z)),
        box((LEFT_X - 0.2, high, WINDOW_Z[0]), (LEFT_X, WINDOW_Y[0], WINDOW_Z[1])),
        box((LEFT_X - 0.2, WINDOW_Y[1], WINDOW_Z[0]), (LEFT_X, low, WINDOW_Z[1])),
    ]
    back = [
        box((LEFT_X, high, BACK_Z), (DOOR_X[0], low, BACK_Z + 0.12)),
        box((DOOR_X[1], high, BACK_Z), (RIGHT_X, low, BACK_Z + 0.12)),
        box((DOOR_X[0], high, BACK_Z), (DOOR_X[1], DOOR_TOP_Y, BACK_Z + 0.12)),
    ]
    corridor = [
        box((DOOR_X[0] - 0.1, high, BACK_Z + 0.12), (DOOR_X[0], low, CORRIDOR_Z)),
        box((DOOR_X[1], high, BACK_Z + 0.12), (DOOR_X[1] + 0.1, low, CORRIDOR_Z)),
        box((LEFT_X, high, CORRIDOR_Z), (RIGHT_X, low, CORRIDOR_Z + 0.1)),
    ]
    right = box((RIGHT_X, high, FRONT_Z), (RIGHT_X + 0.1, low, CORRIDOR_Z))
    front = box((LEFT_X, high, FRONT_Z - 0.1), (RIGHT_X, low, FRONT_Z))
    return [
        floor.painted((0.72, 0.52, 0.34), Material.PLANKS),
        ceiling.painted(WHITE, Material.PLASTER),
        *(part.painted((0.86, 0.84, 0.76), Material.PLASTER) for part in [*left, front]),
        *(part.painted((0.62, 0.73, 0.74), Material.WALLPAPER) for part in back),
        *(part.painted((0.9, 0.8, 0.62), Material.PLASTER) for part in corridor),
        right.painted((0.88, 0.86, 0.8), Material.PAINT),
    ]


def _window() -> list[Mesh]:
    (top, bottom), (near, far) = WINDOW_Y, WINDOW_Z
    outer, inner = LEFT_X - 0.14, LEFT_X - 0.08
    middle = (near + far) / 2
    bars = [
        box((outer, top, near), (inner, top + 0.06, far)),
        box((outer, bottom - 0.06, near), (inner, bottom, far)),
        box((outer, top, near), (inner, bottom, near + 0.06)),
        box((outer, top, far - 0.06), (inner, bottom, far)),
        box((outer, top, middle - 0.025), (inner, bottom, middle + 0.025)),
        box((outer, -0.25, near), (inner, -0.225, far)),
        box((LEFT_X - 0.2, bottom, near - 0.06), (LEFT_X + 0.12, bottom + 0.04, far + 0.06)),
    ]
    skirting = [
        box((LEFT_X, FLOOR_Y - 0.09, BACK_Z - 0.015), (DOOR_X[0] - 0.08, FLOOR_Y, BACK_Z)),
        box((DOOR_X[1] + 0.08, FLOOR_Y - 0.09, BACK_Z - 0.015), (RIGHT_X, FLOOR_Y, BACK_Z)),
        box((RIGHT_X - 0.015, FLOOR_Y - 0.09, FRONT_Z), (RIGHT_X, FLOOR_Y, BACK_Z)),
        box((DOOR_X[0] - 0.08, DOOR_TOP_Y - 0.08, BACK_Z - 0.03), (DOOR_X[0], FLOOR_Y, BACK_Z)),
        box((DOOR_X[1], DOOR_TOP_Y - 0.08, BACK_Z - 0.03), (DOOR_X[1] + 0.08, FLOOR_Y, BACK_Z)),
        box((DOOR_X[0], DOOR_TOP_Y - 0.08, BACK_Z - 0.03), (DOOR_X[1], DOOR_TOP_Y, BACK_Z)),
    ]
    return [part.painted(WHITE, Material.PAINT) for part in bars + skirting]


def _shelf() -> list[Mesh]:
    low_x, high_x, front, top = -1.95, -0.75, BACK_Z - 0.3, -0.72
    boards = [
        box((low_x, top, front), (low_x + 0.03, FLOOR_Y, BACK_Z)),
        box((high_x - 0.03, top, front), (high_x, FLOOR_Y, BACK_Z)),
        box((low_x, top, BACK_Z - 0.02), (high_x, FLOOR_Y, BACK_Z - 0.005)),
    ]
    levels = np.linspace(top, FLOOR_Y - 0.04, 6)
    boards += [box((low_x, y, front), (high_x, y + 0.03, BACK_Z)) for y in levels]
    shelf = [board.painted(WALNUT, Material.WOOD) for board in boards]
    return shelf + [book for y in levels[1:] for book in _books(low_x, high_x, float(y), front)]


def _books(low_x: float, high_x: float, y: float, front: float) -> list[Mesh]:
    rng = np.random.default_rng(int(1000 * (y + 2)))
    covers: tuple[Vector, ...] = (
        (0.7, 0.16, 0.14),
        (0.13, 0.3, 0.5),
        (0.85, 0.66, 0.2),
        (0.2, 0.42, 0.28),
    )
    covers += ((0.88, 0.85, 0.76), (0.45, 0.2, 0.4), (0.83, 0.42, 0.2), (0.25, 0.25, 0.28))
    books: list[Mesh] = []
    x = low_x + 0.05
    while x < high_x - 0.1:
        thick, tall, inset = rng.uniform((0.02, 0.2, 0.01), (0.055, 0.33, 0.07))
        if rng.random() > 0.12:
            body = box((x, y - tall, front + inset), (x + thick - 0.003, y, BACK_Z - 0.04))
            books.append(body.painted(covers[rng.integers(len(covers))], Material.BOOK))
        x += thick
    return books


def _sofa() -> list[Mesh]:
    blue, low_x, near, far = (0.24, 0.36, 0.45), LEFT_X + 0.02, 2.0, 3.75
    parts = [
        box((low_x, 0.95, near), (-1.42, 1.25, far)),
        box((low_x, 0.5, near), (low_x + 0.22, 1.25, far)),
        box((low_x, 0.72, near - 0.16), (-1.42, 1.27, near)),
        box((low_x, 0.72, far), (-1.42, 1.27, far + 0.16)),
    ]
    seats = [ellipsoid(0.33, 0.09, 0.45).moved((-1.73, 0.94, z)) for z in (2.45, 3.3)]
    cushion = ellipsoid(0.09, 0.2, 0.22).moved((-1.93, 0.74, 2.4), roll=0.3)
    second = ellipsoid(0.09, 0.19, 0.2).moved((-1.93, 0.74, 3.25), yaw=0.3, roll=0.3)
    return [
        *(part.painted(blue, Material.FABRIC) for part in parts + seats),
        cushion.painted((0.86, 0.6, 0.2), Material.FABRIC),
        second.painted((0.85, 0.82, 0.72), Material.STRIPES),
    ]


def _table() -> list[Mesh]:
    top = box((-0.72, 0.6, 1.42), (0.62, 0.635, 2.12)).painted(OAK, Material.WOOD)
    apron = box((-0.64, 0.635, 1.5), (0.54, 0.7, 2.04)).painted(OAK, Material.WOOD)
    feet = [(x, z) for x in (-0.64, 0.54) for z in (1.5, 2.04)]
    legs = [cylinder(0.028, 0.7, FLOOR_Y, 12).moved((x, 0.0, z)) for x, z in feet]
    return [top, apron, *(leg.painted(OAK, Material.WOOD) for leg in legs)]


def _on_table() -> list[Mesh]:
    speaker = box((-0.09, -0.24, -0.08), (0.09, 0.0, 0.08)).moved((-0.5, 0.6, 1.75), yaw=0.5)
    cones = [
        cylinder(size, -0.084, -0.08, 28).moved((0.0, 0.0, 0.0), pitch=1.5708).moved((0.0, y, 0.0))
        for size, y in ((0.055, -0.085), (0.03, -0.185))
    ]
    cones = [cone.moved((-0.5, 0.6, 1.75), yaw=0.5) for cone in cones]
    kettle = ellipsoid(0.085, 0.085, 0.085, 40).moved((-0.22, 0.517, 1.6))
    books = [
        box((-0.13, -0.035, -0.09), (0.13, 0.0, 0.09)).moved((0.42, 0.6, 1.85), yaw=0.3),
        box((-0.12, -0.03, -0.085), (0.12, 0.0, 0.085)).moved((0.43, 0.565, 1.86), yaw=0.05),
    ]
    bowl = lathe([(0.04, 0.0), (0.1, -0.03), (0.13, -0.08), (0.125, -0.08), (0.05, -0.01)], 32)
    spots = ((0.0, 0.0), (0.06, 0.02), (-0.05, 0.04), (0.01, -0.06))
    fruit = [ellipsoid(0.037, 0.035, 0.037).moved((0.18 + x, 0.53, 1.98 + z)) for x, z in spots]
    t = np.linspace(0, 1, 24)
    sag = np.stack([-0.45 + 1.0 * t, 0.594 - 0.0 * t, 1.5 + 0.05 * np.sin(9 * t)], -1)
    drop = np.array([[0.62, 0.6, 1.5], [0.66, 0.7, 1.5], [0.67, 1.0, 1.52], [0.7, 1.34, 1.6]])
    return [
        speaker.painted(DARK, Material.BLACK),
        *(cone.painted((0.3, 0.3, 0.32), Material.BLACK) for cone in cones),
        kettle.painted((0.9, 0.9, 0.92), Material.CHROME),
        books[0].painted((0.7, 0.2, 0.18), Material.BOOK),
        books[1].painted((0.2, 0.35, 0.5), Material.BOOK),
        bowl.moved((0.18, 0.6, 1.98)).painted((0.9, 0.9, 0.86), Material.PAINT),
        *(ball.painted((0.95, 0.5, 0.1), Material.SKIN) for ball in fruit),
        tube(np.concatenate([sag, drop]), 0.006).painted((0.8, 0.12, 0.1), Material.PAINT),
    ]


def _chair() -> list[Mesh]:
    seat = box((-0.21, -0.04, -0.21), (0.21, 0.0, 0.21)).painted(WALNUT, Material.WOOD)
    feet = [(x, z) for x in (-0.18, 0.18) for z in (-0.18, 0.18)]
    legs = [cylinder(0.017, 0.0, 0.45, 10).moved((x, 0.0, z)) for x, z in feet]
    posts = [cylinder(0.016, -0.5, 0.0, 10).moved((x, 0.0, 0.19)) for x in (-0.18, 0.18)]
    slats = [
        cylinder(0.008, -0.44, 0.0, 8).moved((x, 0.0, 0.19)) for x in (-0.1, -0.03, 0.04, 0.11)
    ]
    rail = box((-0.2, -0.52, 0.175), (0.2, -0.43, 0.2)).painted(WALNUT, Material.WOOD)
    wood = [part.painted(WALNUT, Material.WOOD) for part in legs + posts + slats]
    return [part.moved((1.08, 0.9, 2.1), yaw=0.9) for part in [seat, rail, *wood]]


def _pictures() -> list[Mesh]:
    parts: list[Mesh] = []
    for x, y, wide, tall in ((-0.28, -0.42, 0.62, 0.46), (0.5, -0.4, 0.32, 0.42)):
        frame = box(
            (x - wide / 2, y - tall / 2, BACK_Z - 0.03), (x + wide / 2, y + tall / 2, BACK_Z)
        )
        w, h = wide / 2 - 0.03, tall / 2 - 0.03
        canvas = box((x - w, y - h, BACK_Z - 0.034), (x + w, y + h, BACK_Z - 0.02))
        parts += [frame.painted(DARK, Material.WOOD), canvas.painted(WHITE, Material.PICTURE)]
    end = box((1.2, -0.5, CORRIDOR_Z - 0.03), (1.7, 0.2, CORRIDOR_Z))
    poster = box((-1.0, -0.8, FRONT_Z), (0.6, 0.4, FRONT_Z + 0.02))
    return [*parts, *(part.painted(WHITE, Material.PICTURE) for part in (end, poster))]


def _standing_mirror() -> list[Mesh]:
    plate = box((-0.24, -1.45, -0.005), (0.24, -0.06, 0.0)).painted(WHITE, Material.MIRROR)
    frame = [
        box((-0.28, -1.5, -0.02), (-0.24, 0.0, 0.02)),
        box((0.24, -1.5, -0.02), (0.28, 0.0, 0.02)),
        box((-0.28, -1.5, -0.02), (0.28, -1.45, 0.02)),
        box((-0.28, -0.06, -0.02), (0.28, 0.0, 0.02)),
        box((-0.27, -1.49, 0.0), (0.27, -0.01, 0.015)),
    ]
    parts = [plate, *(bar.painted(OAK, Material.WOOD) for bar in frame)]
    return [part.moved((1.75, FLOOR_Y, 3.2), yaw=0.85, pitch=-0.06) for part in parts]


def _floor_lamp() -> list[Mesh]:
    rod = cylinder(0.012, -0.55, FLOOR_Y, 10).painted(STEEL, Material.PAINT)
    foot = cylinder(0.14, FLOOR_Y - 0.02, FLOOR_Y).painted(DARK, Material.PAINT)
    shade = lathe([(0.11, -0.75), (0.2, -0.45)], 28).painted((1.0, 0.9, 0.68), Material.LAMP)
    return [part.moved((-1.25, 0.0, 3.9)) for part in (rod, foot, shade)]


def _plant() -> list[Mesh]:
    pot = lathe([(0.11, 0.0), (0.15, -0.28), (0.13, -0.28), (0.12, -0.24), (0.0, -0.24)])
    parts = [pot.painted((0.74, 0.4, 0.27), Material.PLASTER)]
    rng = np.random.default_rng(7)
    for _ in range(16):
        angle, lean, tall = rng.uniform((0, 0.15, 0.45), (2 * np.pi, 0.5, 1.0))
        t = np.linspace(0, 1, 6)[:, None]
        way = np.array([[np.cos(angle) * lean, 0.0, np.sin(angle) * lean]])
        stem = way * t**2 + np.array([[0.0, -tall, 0.0]]) * t + np.array([[0.0, -0.24, 0.0]])
        parts.append(tube(stem, 0.005, 6).painted((0.3, 0.42, 0.18), Material.LEAF))
        tip: Vector = (float(stem[-1, 0]), float(stem[-1, 1]), float(stem[-1, 2]))
        leaf = ellipsoid(0.055, 0.13, 0.008, 14).moved(tip, yaw=-angle + 1.57, pitch=0.6)
        parts.append(leaf.painted((0.22, rng.uniform(0.4, 0.55), 0.2), Material.LEAF))
    return [part.moved((0.8, FLOOR_Y, 3.95)) for part in parts]


def _sideboard() -> list[Mesh]:
    body = box((-0.5, 0.6, 3.8), (0.45, 1.28, 4.3)).painted(OAK, Material.WOOD)
    doors = [
        box((x, 0.65, 3.785), (x + 0.45, 1.23, 3.8)).painted((0.84, 0.68, 0.48), Material.WOOD)
        for x in (-0.485, -0.015)
    ]
    statue = lathe([(0.0, -0.3), (0.05, -0.26), (0.03, -0.18), (0.08, -0.1), (0.06, 0.0)])
    ball = ellipsoid(0.08, 0.08, 0.08).moved((0.12, 0.52, 4.0))
    return [
        body,
        *doors,
        statue.moved((-0.14, 0.6, 4.0)).painted((0.82, 0.5, 0.36), Material.PLASTER),
        ball.painted((0.25, 0.5, 0.62), Material.PICTURE),
    ]


def _rest() -> list[Mesh]:
    rug = cylinder(0.95, 1.338, FLOOR_Y, 48).moved((-0.35, 0.0, 2.7))
    ball = ellipsoid(0.13, 0.13, 0.13).moved((-1.05, 1.22, 2.05))
    cord = cylinder(0.006, CEILING_Y, -1.0, 8).moved((LAMP[0], 0.0, LAMP[2]))
    return [
        rug.painted((0.66, 0.25, 0.2), Material.RUG),
        ball.painted((0.85, 0.3, 0.2), Material.STRIPES),
        cord.painted(DARK, Material.PAINT),
    ]


def person(phase: float) -> Mesh:
    """Return someone who walks sideways behind the table and waves; same triangles at any phase."""
    step, wave = np.sin(6 * np.pi * phase), np.sin(8 * np.pi * phase)
    hip, shoulder, ground = 0.43, -0.13, FLOOR_Y - 0.04
    parts: list[Mesh] = []
    for side in (-1, 1):
        swing = 0.16 * side * step
        leg = [(0.1 * side, hip, 0.0), (0.11 * side + swing / 2, 0.88, -0.05)]
        leg.append((0.11 * side + swing, ground - 0.03, 0.0))
        parts.append(tube(leg, (0.095, 0.07, 0.05), 14).painted((0.2, 0.24, 0.36), Material.FABRIC))
        shoe = ellipsoid(0.055, 0.045, 0.13).moved((0.11 * side + swing, ground, -0.06))
        parts.append(shoe.painted((0.3, 0.18, 0.12), Material.PAINT))
    right = [(0.2, shoulder, 0.0), (0.42, shoulder + 0.1, -0.05)]
    right.append((0.5 + 0.1 * wave, shoulder - 0.2, -0.08))
    left = [(-0.2, shoulder, 0.0), (-0.27, 0.14, 0.02), (-0.25 - 0.05 * step, 0.38, -0.08)]
    for arm in (right, left):
        sleeve = tube(arm[:2], (0.065, 0.052), 12)
        parts.append(sleeve.painted((0.75, 0.22, 0.2), Material.STRIPES))
        parts.append(tube(arm[1:], (0.047, 0.034), 12).painted((0.85, 0.62, 0.5), Material.SKIN))
        hand = ellipsoid(0.04, 0.06, 0.03, 14).moved(arm[2])
        parts.append(hand.painted((0.85, 0.62, 0.5), Material.SKIN))
    trunk = [(0.0, hip + 0.03), (0.15, hip), (0.155, 0.2), (0.19, 0.0), (0.2, -0.12), (0.07, -0.21)]
    body = lathe([*trunk, (0.0, -0.22)], 28).scaled(1.0, 1.0, 0.62)
    parts.append(body.painted((0.75, 0.22, 0.2), Material.STRIPES))
    neck = cylinder(0.055, -0.3, -0.15, 14)
    head = ellipsoid(0.083, 0.115, 0.1).moved((0.0, -0.38, 0.0))
    hair = ellipsoid(0.09, 0.1, 0.105).moved((0.0, -0.415, 0.022))
    nose = ellipsoid(0.014, 0.026, 0.02, 12).moved((0.0, -0.365, -0.1))
    for x in (-0.032, 0.032):
        eye = ellipsoid(0.013, 0.011, 0.01, 12).moved((x, -0.395, -0.091))
        parts.append(eye.painted((0.12, 0.1, 0.1), Material.PAINT))
    mouth = ellipsoid(0.028, 0.007, 0.01, 12).moved((0.0, -0.325, -0.085))
    parts.append(mouth.painted((0.6, 0.25, 0.25), Material.PAINT))
    parts += [part.painted((0.85, 0.62, 0.5), Material.SKIN) for part in (neck, head, nose)]
    parts.append(hair.painted((0.2, 0.12, 0.08), Material.FABRIC))
    walk = 0.55 * (phase - 0.5)
    return merged([part.moved((0.12 + walk, 0.0, 3.0), yaw=0.25 * step) for part in parts])
