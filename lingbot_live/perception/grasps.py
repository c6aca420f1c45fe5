"""Where a parallel gripper can hold things: antipodal candidates, checked and ranked.

    found = find_grasps(refined.depth_m, frame.intrinsics)
    for grasp in found.grasps: grasp.T_camera_gripper, grasp.width_m, grasp.score

A gripper's axes: x from one finger to the other, z the way it approaches, its origin between the
tips. Two contacts hold a thing by force closure where the line between them lies inside both
friction cones (Nguyen, Int. J. Robotics Research 1988).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.frame import DepthMap, Intrinsics, Mask, Matrix
from lingbot_live.geometry import deproject
from lingbot_live.perception.bodies import Body, complete
from lingbot_live.perception.seen_through import Guess, Sight, seen_through
from lingbot_live.perception.support import (
    UP,
    Floats,
    Labels,
    Support,
    find_support,
    pixels_of,
    things_on,
)

_TILTS_DEG = (0, -30, 30, -60, 60, -80, 80)  # of the approach, about the line between the fingers
_MOST_PAIRS = 24  # of a thing, taken on to the checks
_FLOOR_M = 0.002  # between gripper and plane
_STRIDE = 4  # of the pixels that a gripper must not meet
_TOUCHES = 1  # points in a finger that may be noise
_BATCH, _MOST_TRIED = 12, 96  # grasps checked at once; of a thing
_AROUND_M = 0.16  # of points that a gripper could meet
_APART_M, _APART_COS, _ALIKE = 0.012, 0.94, 0.9  # nearer and more alike is the same grasp
_LEAST_ACROSS = 0.2  # sine between the contacts' line and the plane's normal
_OF_ANGLE, _OF_MIDDLE, _OF_SEEN, _OF_DOWN = 0.35, 0.25, 0.25, 0.15  # of the score
_OF_NARROW = 0.1  # less where the fingers cannot open wide
_MIDDLE_M, _SEEN_M = 0.06, 0.012


class NoSupportError(LingbotLiveError):
    """No plane is seen that things could stand on."""


@dataclass(frozen=True, slots=True)
class Gripper:
    """A parallel gripper; metres. As given: of the size of common two-finger grippers."""

    opening_m: float = 0.085  # at most, between the fingers
    depth_m: float = 0.045  # from the tips to the palm
    finger_m: float = 0.010  # thickness of a finger, along its motion
    breadth_m: float = 0.020  # of a finger, across
    tip_m: float = 0.008  # how far the tips reach beyond the line of contact
    clearance_m: float = 0.006  # on each side while it approaches
    palm_m: tuple[float, float] = (0.04, 0.05)  # thickness along the approach, breadth across
    friction: float = 0.5

    def __post_init__(self) -> None:
        sizes = (self.opening_m, self.depth_m, self.finger_m, self.breadth_m, self.friction)
        if not all(0 < value < 10 for value in sizes):
            raise ConfigError(
                f"gripper: opening {self.opening_m:g}, depth {self.depth_m:g}, finger "
                f"{self.finger_m:g}, breadth {self.breadth_m:g} m and friction {self.friction:g} "
                "must be positive and below 10; lengths are in metres"
            )

    def boxes(self, width_m: float) -> Floats:
        """Return its fingers, opened ``width_m``, and its palm: (3, 2, 3) low and high corners."""
        inner = width_m / 2
        outer, half = inner + self.finger_m, self.breadth_m / 2
        low, across = -self.depth_m, self.palm_m[1] / 2
        wide = self.opening_m / 2 + self.finger_m
        return np.array(
            [
                [[-outer, -half, low], [-inner, half, self.tip_m]],
                [[inner, -half, low], [outer, half, self.tip_m]],
                [[-wide, -across, low - self.palm_m[0]], [wide, across, low]],
            ]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grasp:
    """One way to hold one thing."""

    thing: int  # its place in `GraspScene.things`
    T_camera_gripper: Matrix  # (4, 4)
    width_m: float  # of the thing between the contacts
    opened_m: float  # of the fingers while they approach
    contacts_m: Floats  # (2, 3) in the camera's axes
    score: float  # 0 to 1, the higher the better


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Something that stands on the plane."""

    label: int  # in `GraspScene.labels`
    pixels: int
    is_guess: bool  # nothing of it was measured: the sensor saw through it
    body: Body  # in the plane's axes
    T_camera_thing: Matrix  # (4, 4) of its oriented box: the middle, x and y along it, z up
    size_m: Floats  # (3,) of the box


@dataclass(frozen=True, slots=True, eq=False)
class GraspScene:
    """What was found in one frame."""

    support: Support
    labels: Labels  # (H, W), 0 = no thing
    things: tuple[Thing, ...]
    grasps: tuple[Grasp, ...]  # the best first

    def of(self, thing: int) -> tuple[Grasp, ...]:
        """Return a thing's grasps, the best first."""
        return tuple(grasp for grasp in self.grasps if grasp.thing == thing)


@dataclass(frozen=True, slots=True)
class GraspSettings:
    """What is asked for."""

    gripper: Gripper = field(default_factory=Gripper)
    most: int = 6  # grasps of a thing


def find_grasps(
    depth_m: DepthMap,
    intrinsics: Intrinsics,
    settings: GraspSettings | None = None,
    region: Mask | None = None,
    up: Floats = UP,
    sight: Sight | None = None,
) -> GraspScene:
    """Return the things on the plane of a frame, and where a gripper can hold them.

    Args:
        depth_m: (H, W) metres, raw or refined.
        intrinsics: of the same picture.
        settings: the gripper and how many grasps.
        region: (H, W) where things are looked for; None: everywhere.
        up: (3,) unit, away from the ground, in the camera's axes.
        sight: what the camera saw: things that its sensor saw through, glasses, are then guessed.

    Raises:
        NoSupportError: no plane is seen that things could stand on.
    """
    settings = settings or GraspSettings()
    points_m = deproject(depth_m, intrinsics)
    support = find_support(points_m, up)
    if support is None:
        share = float((depth_m > 0).mean())
        raise NoSupportError(
            f"grasps: no plane is seen that things could stand on ({share:.0%} of the picture has "
            "depth); turn the camera towards a table, and say so where it looks straight down"
        )
    local_m = support.to_plane(points_m)
    labels = things_on(support, depth_m, local_m, region)
    flat_m = local_m.reshape(-1, 3).astype(np.float64)
    known = [_Known(flat_m[pixels], len(pixels), False) for pixels in pixels_of(labels)]
    obstacles = [_obstacles(depth_m, local_m, support)]
    guesses: list[Guess] = []
    if sight is not None:
        guesses = seen_through(sight, intrinsics, support, labels, region)
    for guess in guesses:
        known.append(_Known(guess.points_m, int(np.count_nonzero(guess.mask)), True))
        labels[guess.mask] = len(known)
        obstacles.append(guess.rim_m)
    eye_m = support.to_plane(np.zeros(3, np.float32)).astype(np.float64)
    things = tuple(_thing(label, one, eye_m, support) for label, one in enumerate(known, 1))
    grasps: list[Grasp] = []
    for number, thing in enumerate(things):
        others = [other.body.points_m for other in things if other is not thing]
        around, seen_m = np.concatenate([*obstacles, *others]), known[number].seen_m
        for grasp in _grasps(thing.body, seen_m, around, settings):
            grasps.append(_in_camera(replace(grasp, thing=number), support))
    grasps.sort(key=lambda grasp: -grasp.score)
    return GraspScene(support, labels, things, tuple(grasps))


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is known of a thing."""

    points_m: Floats  # (N, 3) of its near side, in the plane's axes
    pixels: int
    is_guess: bool

    @property
    def seen_m(self) -> Floats:
        """Those points that were measured, fewer."""
        return self.points_m[:0] if self.is_guess else self.points_m[::3]


def _thing(label: int, known: _Known, eye_m: Floats, support: Support) -> Thing:
    body = complete(known.points_m, eye_m)
    c, s = np.cos(body.yaw), np.sin(body.yaw)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]], body.center_m
    T = support.T_camera_plane @ T
    return Thing(label, known.pixels, known.is_guess, body, T, body.size_m)


def _obstacles(depth_m: DepthMap, local_m: npt.NDArray[np.float32], support: Support) -> Floats:
    """Return some measured points above the plane, (N, 3)."""
    thin = local_m[::_STRIDE, ::_STRIDE][depth_m[::_STRIDE, ::_STRIDE] > 0]
    least_m = max(3 * support.noise_m, 0.006)
    near = (thin[:, 2] > least_m) & (thin[:, 2] < 0.6)
    return thin[near].astype(np.float64)


def _in_camera(grasp: Grasp, support: Support) -> Grasp:
    T = support.T_camera_plane @ grasp.T_camera_gripper
    return replace(grasp, T_camera_gripper=T, contacts_m=support.to_camera(grasp.contacts_m))


# ---- one thing, in the plane's axes --------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """K pairs of contacts that face each other."""

    first_m: Floats  # (K, 3)
    second_m: Floats  # (K, 3)
    angle: Floats  # (K,) cosine of the worse angle to a normal
    seen: Floats  # (K,) how near measured points are to both: 1 right there, 0 where none is


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """M grasps to be checked, the best first."""

    T: Floats  # (M, 4, 4)
    contacts_m: Floats  # (M, 2, 3)
    score: Floats  # (M,)

    def part(self, start: int, stop: int) -> _Tried:
        return _Tried(self.T[start:stop], self.contacts_m[start:stop], self.score[start:stop])

    def grasp(self, number: int, opened_m: float, cost: float) -> Grasp:
        contacts = self.contacts_m[number]
        width_m = float(np.linalg.norm(contacts[1] - contacts[0]))
        score = float(self.score[number]) - cost
        return Grasp(-1, self.T[number], width_m, opened_m, contacts, score)


def _grasps(body: Body, seen_m: Floats, around_m: Floats, settings: GraspSettings) -> list[Grasp]:
    """Return a thing's best grasps that meet nothing; all in the plane's axes."""
    gripper = settings.gripper
    pairs = _pairs(body, seen_m, gripper)
    if len(pairs.angle) == 0:
        return []
    value = _OF_ANGLE * _cone_share(pairs.angle, gripper.friction)
    middle = (pairs.first_m + pairs.second_m) / 2
    off_m = np.linalg.norm(middle - body.center_m, axis=1)
    value = value + _OF_MIDDLE * np.clip(1 - off_m / _MIDDLE_M, 0, 1)
    value += _OF_SEEN * pairs.seen
    tried = _approaches(pairs, _spread(pairs, value), value, gripper)
    near = np.linalg.norm(around_m[:, :2] - body.center_m[:2], axis=1) < _AROUND_M
    solid = np.concatenate([around_m[near], body.points_m]).astype(np.float32)
    kept: list[Grasp] = []
    for start in range(0, len(tried.score), _BATCH):
        for grasp in _that_fit(tried.part(start, start + _BATCH), solid, gripper):
            if len(kept) < settings.most and _is_new(grasp, kept):
                kept.append(grasp)
        if len(kept) == settings.most:
            break
    return kept


def _pairs(body: Body, seen_m: Floats, gripper: Gripper) -> _Pairs:
    """Return all pairs of surface samples whose line lies in both friction cones."""
    points, normals = body.points_m, body.normals
    towards = normals @ points.T  # (N, N) of point j along the normal at i
    at_home = np.diagonal(towards)
    square = (points**2).sum(1)
    width = np.sqrt(np.maximum(square[:, None] + square - 2 * points @ points.T, 1e-12))
    leaving = (at_home[:, None] - towards) / width  # cosine of the way from i to j, into it at i
    arriving = (at_home - towards.T) / width  # and out of it at j
    worse = np.minimum(leaving, arriving)
    most = gripper.opening_m - gripper.clearance_m
    fits = (worse > np.cos(np.arctan(gripper.friction))) & (width < most) & (width > 0.004)
    i, j = np.nonzero(np.triu(fits | fits.T))
    seen = _seen(points, seen_m)
    return _Pairs(points[i], points[j], worse[i, j], (seen[i] + seen[j]) / 2)


def _cone_share(cosine: Floats, friction: float) -> Floats:
    """Return 1 where contact is straight, 0 at the edge of the friction cone."""
    angle = np.arccos(np.clip(cosine, -1, 1))
    return np.asarray(1 - angle / np.arctan(friction))


def _seen(points_m: Floats, seen_m: Floats) -> Floats:
    """Return how near measured points are to points (N, 3): 1 right there, 0 where none is."""
    if not len(seen_m):
        return np.zeros(len(points_m))
    some = seen_m[:: -(-len(seen_m) // 400)]
    square = (points_m**2).sum(1)[:, None] + (some**2).sum(1) - 2 * points_m @ some.T
    far_m = np.sqrt(np.maximum(square.min(1), 0))
    return np.asarray(np.clip(1 - far_m / _SEEN_M, 0, 1))


def _spread(pairs: _Pairs, value: Floats) -> list[int]:
    """Return good pairs that differ in place and direction, at most `_MOST_PAIRS`."""
    order = np.argsort(-value)[:2000]
    middle = ((pairs.first_m + pairs.second_m) / 2)[order]
    way = (pairs.second_m - pairs.first_m)[order]
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    chosen: list[int] = []
    while len(order) and len(chosen) < _MOST_PAIRS:
        chosen.append(int(order[0]))
        apart = ((middle - middle[0]) ** 2).sum(1) >= _APART_M**2
        left = apart | (np.abs(way @ way[0]) <= _APART_COS)
        order, middle, way = order[left], middle[left], way[left]
    return chosen


def _approaches(pairs: _Pairs, chosen: list[int], value: Floats, gripper: Gripper) -> _Tried:
    """Return grasps of the chosen pairs, the best first.

    From all sides from which the gripper stays above the plane; straight down is the best.
    """
    first, second = pairs.first_m[chosen], pairs.second_m[chosen]
    width = np.linalg.norm(second - first, axis=1)
    x = (second - first) / width[:, None]  # (K, 3)
    straight = -np.array([0.0, 0.0, 1.0]) + x[:, 2:] * x
    across = np.linalg.norm(straight, axis=1, keepdims=True)
    straight = straight / np.maximum(across, 1e-9)
    side = np.cross(straight, x)
    tilt = np.radians(_TILTS_DEG)[:, None]
    z = np.cos(tilt) * straight[:, None] + np.sin(tilt) * side[:, None]  # (K, tilts, 3)
    wide = np.broadcast_to(x[:, None], z.shape)
    T = np.zeros((*z.shape[:2], 4, 4))
    T[..., :3, :3] = np.stack([wide, np.cross(z, wide), z], -1)
    T[..., :3, 3], T[..., 3, 3] = ((first + second) / 2)[:, None], 1
    corners = gripper.boxes(gripper.opening_m)[:, _CORNERS, np.arange(3)].reshape(-1, 3)
    lowest = (T[..., 2, :3] @ corners.T).min(-1) + T[..., 2, 3]
    score = value[chosen][:, None] + _OF_DOWN * np.maximum(-z[..., 2], 0)
    possible = (lowest > _FLOOR_M) & (across > _LEAST_ACROSS)
    places = np.argwhere(possible)
    i, j = places[np.argsort(-score[possible], kind="stable")][:_MOST_TRIED].T
    return _Tried(T[i, j], np.stack([first[i], second[i]], axis=1), score[i, j])


_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])


def _that_fit(tried: _Tried, solid_m: npt.NDArray[np.float32], gripper: Gripper) -> list[Grasp]:
    """Return those whose fingers and palm hold no more points (N, 3) than may be noise.

    Where a gripper that is wide open meets something, one that is just open enough may not.
    """
    T = tried.T.astype(np.float32)
    across, along, ahead = ((solid_m[None] - T[:, None, :3, 3]) @ T[:, :3, :3]).transpose(2, 0, 1)
    across, along = np.abs(across), np.abs(along)  # (M, N), as fingers and palm are symmetric
    low = gripper.boxes(0)[:, 0, 2]
    palm = (ahead > low[2]) & (ahead < low[0]) & (along < gripper.palm_m[1] / 2)
    palm &= across < gripper.opening_m / 2 + gripper.finger_m
    reach = (ahead > low[0]) & (ahead < gripper.tip_m) & (along < gripper.breadth_m / 2)
    width = np.linalg.norm(tried.contacts_m[:, 1] - tried.contacts_m[:, 0], axis=1)
    narrow = np.minimum(width + 2 * gripper.clearance_m, gripper.opening_m)
    wide = np.full(len(width), gripper.opening_m)
    met = [
        np.count_nonzero(palm | (reach & _between(across, opened, gripper)), axis=1)
        for opened in (wide, narrow)
    ]
    fit = []
    for number in range(len(width)):
        if met[0][number] <= _TOUCHES:
            fit.append(tried.grasp(number, gripper.opening_m, 0.0))
        elif met[1][number] <= _TOUCHES:
            fit.append(tried.grasp(number, float(narrow[number]), _OF_NARROW))
    return fit


def _between(across: Floats, opened: Floats, gripper: Gripper) -> Mask:
    """Which distances (M, N) from a gripper's middle lie in its fingers, opened (M,)."""
    inner = opened[:, None].astype(np.float32) / 2
    return (across > inner) & (across < inner + np.float32(gripper.finger_m))


def _is_new(grasp: Grasp, kept: list[Grasp]) -> bool:
    """Whether a grasp is not nearly one that is kept already."""
    T = grasp.T_camera_gripper
    for other in kept:
        U = other.T_camera_gripper
        is_near = np.linalg.norm(T[:3, 3] - U[:3, 3]) < 2 * _APART_M
        if is_near and abs(T[:3, 0] @ U[:3, 0]) > _ALIKE and T[:3, 2] @ U[:3, 2] > _ALIKE:
            return False
    return True
