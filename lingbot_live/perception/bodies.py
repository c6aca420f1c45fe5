"""What a thing of which a camera sees one side may be: a body turned about its axis, or a box.

Both stand on the plane; the one that its points lie on better is taken, and gives the side that
nobody sees. Where neither fits, the thing is taken for the same from behind (turned by half about
its middle). All in the plane's axes: x, y, and z the height above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SLICE_M, _LEAST_SLICES = 0.008, 3  # of a turned body's outline
_LEAST_LID, _RIM_PERCENT = 6, 88  # points of a top; of a full disc 94 % of its radius
_FOOT_M = 0.004  # lower is the plane's own noise
_ROUNDS = 4  # of least squares without what lies off
_TRIM, _LEAST_TRIM_M = 2.5, 0.002  # robust standard deviations
_BOX_SHARE = 1.1  # a box must fit so much better to be one
_LOOSE_M = 0.009  # mean distance from a shape that the thing is not
_MOST_POINTS = 350
_TURNS_DEG, _OUTSIDE_PERCENT = (-7, 0, 7), (1.5, 4.0, 8.0)
_AROUND, _UP = 20, 7  # samples of a completed surface
_LEAST_RADIUS_M, _MOST_RADIUS_M = 0.008, 0.12


class Kind(str, Enum):
    """What a thing was completed as."""

    TURNED = "turned"  # a cylinder, bottle, cup, ball: round about an upright axis
    BOX = "box"
    MIRRORED = "mirrored"  # neither: its hidden side is taken to be as the one that is seen


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A thing's whole surface as it may be, and its oriented box."""

    kind: Kind
    points_m: Floats  # (N, 3) samples of the surface, in the plane's axes
    normals: Floats  # (N, 3) outwards
    fit_m: float  # mean distance of its measured points from the shape
    center_m: Floats  # (3,) of the oriented box
    yaw: float  # radians of the box's x about the plane's z
    size_m: Floats  # (3,) of the box


Shape = tuple[Floats, Floats]  # (N, 3) points of a surface, (N, 3) normals


def complete(points_m: Floats, camera_m: Floats) -> Body:
    """Return the body that measured points (N, 3) are a part of.

    Args:
        points_m: of one thing, in the plane's axes.
        camera_m: (3,) where they were measured from.
    """
    rng = np.random.default_rng(0)
    some = points_m
    if len(some) > _MOST_POINTS:
        some = some[rng.choice(len(some), _MOST_POINTS, replace=False)]
    top_m = float(np.percentile(some[:, 2], 98))
    rectangle = _rectangle(some, top_m)
    boxed = _box(rectangle, top_m)
    best, kind = boxed, Kind.BOX
    off_m = float(np.mean(np.minimum(np.abs(_box_distance(some, rectangle, top_m)), 0.03)))
    turned = _turned(some, camera_m, top_m)
    if turned is not None:
        shape, round_off_m = turned
        if round_off_m < _BOX_SHARE * off_m:
            best, kind, off_m = shape, Kind.TURNED, round_off_m
    if off_m > _LOOSE_M:
        best, kind = _mirrored(some, rectangle[0]), Kind.MIRRORED
    center, size, yaw = _boxed(best[0], rectangle, kind, top_m)
    return Body(kind, best[0], best[1], off_m, center, yaw, size)


Rectangle = tuple[Floats, Floats, float]  # centre (2,), size (2,), yaw


def _rectangle(points_m: Floats, top_m: float) -> Rectangle:
    """Return the upright box's rectangle, seen from above, that points lie on best.

    Tried are turns about that of the least rectangle around them, and sides that leave out more
    or fewer of the points that hang behind the thing.
    """
    flat = points_m[:, :2]
    far = np.linalg.norm(flat - np.median(flat, axis=0), axis=1)
    kept = flat[far <= np.percentile(far, 98) + 0.003]
    start = np.radians(cv2.minAreaRect(kept.astype(np.float32))[2])
    yaws = start + np.radians(_TURNS_DEG)
    turns = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in yaws])
    outside = np.array(_OUTSIDE_PERCENT)
    sides = np.percentile(flat @ turns, np.concatenate([outside, 100 - outside]), axis=1)
    low, high = sides.reshape(2, len(outside), len(turns), 2)
    centers = np.einsum("tij,otj->oti", turns, (low + high) / 2)
    sizes = np.maximum(high - low, 0.004)
    tried = [
        (centers[o, t], sizes[o, t], float(yaws[t]))
        for t in range(len(yaws))
        for o in range(len(outside))
    ]
    off_m = [np.minimum(np.abs(_box_distance(points_m, one, top_m)), 0.03).mean() for one in tried]
    return tried[int(np.argmin(off_m))]


def _box_distance(points_m: Floats, rectangle: Rectangle, top_m: float) -> Floats:
    """Return how far points (N, 3) lie from a box's surface; negative inside."""
    (center, size, yaw) = rectangle
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = ((points_m[:, :2] - center) @ np.array([[c, -s], [s, c]])).T
    beyond = np.stack([np.abs(x) - size[0] / 2, np.abs(y) - size[1] / 2, points_m[:, 2] - top_m])
    outside = np.sqrt((np.maximum(beyond, 0) ** 2).sum(0))
    return np.asarray(outside + np.minimum(beyond.max(0), 0))


def _box(rectangle: Rectangle, top_m: float) -> Shape:
    (center, size, yaw) = rectangle
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, s], [-s, c]])
    heights = np.linspace(0.1, 0.92, _UP) * top_m
    along = np.linspace(-0.42, 0.42, 7)
    points, normals = [], []
    for axis in (0, 1):
        for side in (-1, 1):
            face = np.zeros((len(along), 2))
            face[:, axis], face[:, 1 - axis] = side * size[axis] / 2, along * size[1 - axis]
            out = np.zeros(2)
            out[axis] = side
            flat = np.repeat(face @ turn + center, len(heights), 0)
            points.append(np.column_stack([flat, np.tile(heights, len(along))]))
            normals.append(np.tile([*(out @ turn), 0.0], (len(flat), 1)))
    return np.concatenate(points), np.concatenate(normals)


def _turned(points_m: Floats, camera_m: Floats, top_m: float) -> tuple[Shape, float] | None:
    """Fit a body turned about an upright axis; returns it and how far off points are in the mean.

    Circles of one common centre and a radius for each height (Kasa's linear least squares), by the
    points that face the camera sideways; those that lie off are left out in turn.
    """
    found = _axis(points_m, top_m)
    if found is None:
        return None
    center, heights, radii = found
    profile = _profile(heights, radii, top_m)
    flat = np.column_stack([np.linalg.norm(points_m[:, :2] - center, axis=1), points_m[:, 2]])
    capped = np.concatenate([profile, _cap(profile[-1, 0], top_m)])
    off = np.sqrt(((flat[:, None] - capped[None]) ** 2).sum(-1).min(1))
    return _swept(center, profile), float(np.mean(np.minimum(off, 0.03)))


def _axis(points_m: Floats, top_m: float) -> tuple[Floats, Floats, Floats] | None:
    """Return the axis (2,), and the heights and radii (K,) of the outline about it."""
    count = max(2, round(top_m / _SLICE_M))
    part = np.minimum((points_m[:, 2] / top_m * count).astype(int), count - 1)
    sides = points_m[:, 2] > _FOOT_M
    if count > _LEAST_SLICES:
        sides &= part < count - 1  # the top's own disc is no circle
    used = sides
    center, radii = np.zeros(2), np.zeros(count)
    for _ in range(_ROUNDS):
        if np.count_nonzero(used) < 12:
            return None
        flat, of = points_m[used, :2], part[used]
        base = flat.mean(0)
        rows = np.zeros((len(flat), 2 + count))
        rows[:, :2] = 2 * (flat - base)
        rows[np.arange(len(flat)), 2 + of] = 1
        known = ((flat - base) ** 2).sum(1)
        answer = np.linalg.lstsq(rows, known, rcond=None)[0]
        center = answer[:2] + base
        radii = np.sqrt(np.maximum(answer[2:] + (answer[:2] ** 2).sum(), 0))
        off = np.linalg.norm(points_m[:, :2] - center, axis=1) - radii[part]
        spread = 1.4826 * float(np.median(np.abs(off[used])))
        used = sides & (np.abs(off) < max(_TRIM * spread, _LEAST_TRIM_M))
    full = np.bincount(part[used], minlength=count) >= 6
    full &= (radii > _LEAST_RADIUS_M) & (radii < _MOST_RADIUS_M)
    if not full.any():
        return None
    heights = (np.flatnonzero(full) + 0.5) * top_m / count
    lid = np.linalg.norm(points_m[part == count - 1, :2] - center, axis=1)
    if full[-1] or len(lid) < _LEAST_LID:
        return center, heights, radii[full]
    rim = float(np.percentile(lid, _RIM_PERCENT))
    return center, np.append(heights, top_m), np.append(radii[full], rim)


def _profile(heights: Floats, radii: Floats, top_m: float) -> Floats:
    """Return radius and height (M, 2) of the outline, smoothed, from near the plane to the top."""
    if len(radii) >= 3:
        padded = np.pad(radii, 1, mode="edge")
        radii = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    at = np.linspace(0.08, 0.97, 3 * _UP) * top_m
    return np.column_stack([np.interp(at, heights, radii), at])


def _cap(radius_m: float, top_m: float) -> Floats:
    return np.column_stack([np.linspace(0, radius_m, 12), np.full(12, top_m)])


def _swept(center: Floats, profile: Floats) -> Shape:
    slope = np.gradient(profile[:, 0], profile[:, 1])[1::3]
    thin = profile[1::3]
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.concatenate(
        [np.column_stack([center + r * ring, np.full(_AROUND, z)]) for r, z in thin]
    )
    normals = np.concatenate([np.column_stack([ring, np.full(_AROUND, -s)]) for s in slope])
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _mirrored(points_m: Floats, center: Floats) -> Shape:
    """Return the points and their like behind the middle; normals point away from the axis."""
    other = points_m.copy()
    other[:, :2] = 2 * center - other[:, :2]
    both = np.concatenate([points_m, other])
    keep = np.random.default_rng(0).choice(len(both), min(len(both), 300), replace=False)
    both = both[keep]
    out = np.column_stack([both[:, :2] - center, np.zeros(len(both))])
    return both, out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def _boxed(
    points_m: Floats, rectangle: Rectangle, kind: Kind, top_m: float
) -> tuple[Floats, Floats, float]:
    """Return centre, size and yaw of the oriented box around a completed surface."""
    yaw = 0.0 if kind is Kind.TURNED else rectangle[2]
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s], [s, c]])
    flat = points_m[:, :2] @ turn
    low, high = flat.min(0), flat.max(0)
    if kind is Kind.BOX:
        return np.array([*rectangle[0], top_m / 2]), np.array([*rectangle[1], top_m]), yaw
    center = turn @ ((low + high) / 2)
    return np.array([*center, top_m / 2]), np.array([*(high - low), top_m]), yaw
