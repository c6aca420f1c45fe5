"""Things that a sensor sees through: a glass, by the hole it leaves in depth and its outline.

Where a glass stands, a sensor measures nothing in places, and between them the plane behind it. A
hole in such shreds that colour bounds on both sides is taken for an upright body, round about its
axis: its lowest pixel is the nearest point of its foot, its breadth that of the hole, its highest
pixel the far side of its rim. Nothing of it was measured, so it is a guess, and marked as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Mask
from lingbot_live.geometry import rays
from lingbot_live.perception.support import Floats, Labels, Support, is_thing

_WIDTH = 320  # pixels to which pictures are thinned out
_SHREDS, _SOLID = (13, 13), (3, 3)  # pixels between the parts of one hole; narrower is a streak
_LEAST_PIXELS = 75
_SEEN = (0.05, 0.7)  # share of a hole that was measured: none is a shadow, most is a surface
_ON_PLANE = 4.0  # of the plane's noise: how far what is seen through lies from it
_LEAST_M, _MOST_M, _TALLER = 0.03, 0.12, 1.0  # across; how much taller than broad
_ENDS, _SIDE_PERCENT = (0.5, 99.5), 75  # percent of a hole's pixels; of its rows' widths
_EDGE_PX, _STRONGER = 3, 1.5  # where an outline is looked for; than the edges inside
_LEVEL = 0.05  # how steeply a way must fall, a metre deep, to be followed to the plane
_FRONT = np.radians(np.linspace(-75, 75, 13))  # of the side that is made up, about the axis
_AROUND = np.radians(np.arange(0, 360, 6))
_DOUBT_M = np.array([0.0, 0.007, 0.014, 0.02])  # by which a rim may be higher
_HEIGHTS = np.linspace(0.05, 1.0, 12)


Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A body that was not measured."""

    mask: Mask  # (H, W) of the picture
    points_m: Floats  # (N, 3) of its near side as it may be, in the plane's axes
    rim_m: Floats  # (N, 3) of its rim, and of how much higher that may be


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a camera saw."""

    color: ColorImage  # (H, W, 3)
    measured_m: DepthMap  # (H, W), 0 where nothing


def seen_through(
    sight: Sight,
    intrinsics: Intrinsics,
    support: Support,
    labels: Labels,
    region: Mask | None = None,
) -> list[Guess]:
    """Return what stands on a plane and was seen through.

    Args:
        sight: what the camera saw.
        intrinsics: of the same picture.
        support: the plane.
        labels: (H, W) of the things that are known, 0 = none.
        region: (H, W) where things are looked for; None: everywhere.
    """
    view = _View(support, intrinsics, max(1, round(intrinsics.width / _WIDTH)))
    thin = np.s_[:: view.step, :: view.step]
    measured_m = sight.measured_m[thin]
    known = cv2.dilate((labels[thin] > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    free = view.inside(measured_m.shape) & (known == 0)
    if region is not None:
        free &= region[thin]
    gray: DepthMap | None = None
    found = []
    for hole in _holes(free, measured_m > 0):
        if not _is_seen_through(hole, measured_m, view, support):
            continue
        outline = _Outline.of(hole, view)
        body = _upright(outline, view)
        if body is None or not is_thing(body.near_m(), support):
            continue
        gray = _gray(sight.color, measured_m.shape) if gray is None else gray
        if outline.shows(gray):
            size = labels.shape[::-1]
            whole = cv2.resize(hole.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            mask = (whole > 0) & (labels == 0)
            found.append(Guess(mask, body.near_m(), body.rim_m()))
    return found


def _is_seen_through(hole: Mask, measured_m: DepthMap, view: _View, support: Support) -> bool:
    """Whether what was measured in a hole (H, W) is the plane."""
    rows, columns = np.nonzero(hole & (measured_m > 0))
    heights_m = view.eye_m[2] + measured_m[rows, columns] * view.ways(rows, columns)[:, 2]
    off_m = np.abs(np.percentile(heights_m, (25, 75))).max()
    return bool(off_m < _ON_PLANE * support.noise_m)


def _gray(color: ColorImage, shape: tuple[int, ...]) -> DepthMap:
    gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


class _View:
    """A plane as the thinned-out picture sees it, all in the plane's axes."""

    def __init__(self, support: Support, of: Intrinsics, step: int) -> None:
        self._support, self._of, self.step = support, of, step
        self._flat = rays(of)[::step, ::step]
        self.eye_m = support.to_plane(np.zeros(3, np.float32)).astype(np.float64)
        self.pixel_m = step / of.fx  # across, a metre deep

    def ways(self, rows: Places, columns: Places) -> Floats:
        """Return the ways (N, 3) through pixels, a metre deep."""
        height, width = self._flat.shape[:2]
        flat = self._flat[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        turn = self._support.T_camera_plane[:3, :3]
        return np.asarray(np.column_stack([flat, np.ones(len(flat))]) @ turn, np.float64)

    def inside(self, shape: tuple[int, ...]) -> Mask:
        """Return where the plane within its outline is seen, (H, W)."""
        outline_m = np.pad(self._support.outline_m, ((0, 0), (0, 1)))
        lens = np.array(self._of.distortion or (0.0,) * 4)
        seen = cv2.projectPoints(
            self._support.to_camera(outline_m), np.zeros(3), np.zeros(3), self._of.matrix, lens
        )[0]
        filled = np.zeros(shape, np.uint8)
        cv2.fillPoly(filled, [(seen / self.step).round().astype(np.int32)], 1)
        return np.asarray(filled > 0)

    def up(self, row: int, column: int) -> Floats:
        """Return which way is up in the picture at a pixel, (2,) unit: u, v."""
        normal = self._support.T_camera_plane[:3, 2]
        up = normal[:2] - self._flat[row, column] * normal[2]
        return np.asarray(up / max(float(np.linalg.norm(up)), 1e-9), np.float64)


def _holes(free: Mask, measured: Mask) -> list[Mask]:
    """Return holes in shreds that a glass could leave, each (H, W)."""
    hole = (free & ~measured).astype(np.uint8)
    closed = cv2.morphologyEx(hole, cv2.MORPH_CLOSE, _ellipse(_SHREDS)) & free
    solid = cv2.morphologyEx(closed, cv2.MORPH_OPEN, _ellipse(_SOLID))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    seen = np.bincount(labels.ravel(), measured.ravel(), count) / stats[:, cv2.CC_STAT_AREA]
    large = stats[:, cv2.CC_STAT_AREA] >= _LEAST_PIXELS
    chosen = np.flatnonzero(large & (seen > _SEEN[0]) & (seen < _SEEN[1]))
    return [_grown(labels == number, closed) for number in chosen if number]


def _grown(part: Mask, closed: npt.NDArray[np.uint8]) -> Mask:
    """Return a part as it was before streaks were cut, and what lies between its shreds."""
    near = cv2.dilate(part.view(np.uint8), _ellipse(_SOLID)) & closed
    filled = np.zeros_like(near)
    cv2.fillConvexPoly(filled, cv2.convexHull(cv2.findNonZero(near)), 1)
    return np.asarray(filled > 0)


def _ellipse(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Upright:
    """A body round about an upright axis, in the plane's axes."""

    axis_m: Floats  # (2,)
    radius_m: float
    top_m: float
    ahead: Floats  # (2,) unit, away from the camera

    def near_m(self) -> Floats:
        """Return points (N, 3) of the side that faces the camera."""
        return self._rings(np.arctan2(*-self.ahead[::-1]) + _FRONT, self.top_m * _HEIGHTS)

    def rim_m(self) -> Floats:
        """Return points (N, 3) of the rim, and of where it may be at most."""
        return self._rings(_AROUND, self.top_m + _DOUBT_M)

    def _rings(self, angles: Floats, heights_m: Floats) -> Floats:
        ring = self.axis_m + self.radius_m * np.stack([np.cos(angles), np.sin(angles)], -1)
        flat = np.tile(ring, (len(heights_m), 1))
        return np.column_stack([flat, np.repeat(heights_m, len(ring))])


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """The sides of a hole, by rows of the picture as if it were turned upright."""

    up: Floats  # (2,) unit: u, v
    low: float  # pixels along it, of the lowest row
    left: Floats  # (S,) pixels across, of each row from the lowest on
    right: Floats  # (S,)

    @classmethod
    def of(cls, hole: Mask, view: _View) -> _Outline:
        rows, columns = np.nonzero(hole)
        up = view.up(int(rows.mean()), int(columns.mean()))
        places = np.stack([columns, rows], -1)
        along, across = places @ up, places @ _side(up)
        low, high = np.percentile(along, _ENDS)
        row = np.clip(along - low, 0, high - low).round().astype(np.intp)
        left, right = np.full(row.max() + 1, np.inf), np.full(row.max() + 1, -np.inf)
        np.minimum.at(left, row, across)
        np.maximum.at(right, row, across)
        used = right >= left
        number = np.arange(len(left))
        left, right = (np.interp(number, number[used], end[used]) for end in (left, right))
        return cls(up, float(low), left, right)

    @property
    def tall(self) -> int:
        """Pixels from the lowest to the highest row."""
        return len(self.left) - 1

    @property
    def broad(self) -> float:
        """Pixels across, where it is broad."""
        return float(np.percentile(self.right - self.left, _SIDE_PERCENT)) + 1

    def ends(self) -> npt.NDArray[np.intp]:
        """Return the lowest and the highest pixel of its middle, (2, 2): u, v."""
        middle = np.median(self.left + self.right) / 2
        along = np.array([self.low, self.low + self.tall])
        places = np.outer(along, self.up) + middle * _side(self.up)
        return np.asarray(np.rint(places), np.intp)

    def shows(self, gray: DepthMap) -> bool:
        """Whether a picture (H, W) has edges along both sides, stronger than those between them."""
        across = np.arange(self.left.min() - 2 * _EDGE_PX, self.right.max() + 2 * _EDGE_PX)
        along = self.low + np.arange(len(self.left))[:, None]
        side = _side(self.up)
        u, v = (along * self.up[axis] + across * side[axis] for axis in (0, 1))
        turned = cv2.remap(gray, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
        edge = np.abs(cv2.Sobel(turned, cv2.CV_32F, 1, 0))
        left, right = self.left[:, None], self.right[:, None]
        ends = [np.where(np.abs(across - at) <= _EDGE_PX, edge, 0).max(1) for at in (left, right)]
        between = (across > left + _EDGE_PX) & (across < right - _EDGE_PX)
        middle = slice(len(edge) // 5, len(edge) - len(edge) // 5)
        if not between[middle].any():
            return False
        usual = float(np.percentile(edge[middle][between[middle]], 90))
        return all(float(np.median(end[middle])) > _STRONGER * usual for end in ends)


def _side(up: Floats) -> Floats:
    """Return which way is right in the picture."""
    return np.array([-up[1], up[0]])


def _upright(outline: _Outline, view: _View) -> _Upright | None:
    """Return the upright body that a hole may be; None if none."""
    if outline.tall < _TALLER * outline.broad:
        return None
    ends = outline.ends()
    foot, rim = view.ways(ends[:, 1], ends[:, 0])
    if foot[2] > -_LEVEL:
        return None
    far = view.eye_m[2] / -foot[2]  # to the nearest point of the foot
    radius_m = outline.broad / 2 * far * view.pixel_m
    if not _LEAST_M < 2 * radius_m < _MOST_M:
        return None
    ahead = foot[:2] / np.linalg.norm(foot[:2])
    middle_m = float(far * np.linalg.norm(foot[:2])) + radius_m  # to the axis, along the plane
    top_m = view.eye_m[2] + (middle_m + radius_m) / float(np.linalg.norm(rim[:2])) * rim[2]
    return _Upright(view.eye_m[:2] + middle_m * ahead, radius_m, float(top_m), ahead)
