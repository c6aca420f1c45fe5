"""Holes on a coarse grid: what could lie in each, and the features that tell which of it does.

The grid is the image, shrunk until its longer side has `_GRID_PX` cells; so a hole looks the same
whatever the camera's resolution. Depth is the log of inverse depth, as in the membrane: greater is
nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, Mask
from lingbot_live.refiners.guided.membrane import Picture, Plane

Labels: TypeAlias = npt.NDArray[np.int32]  # (h, w), 0 = no hole
Colors: TypeAlias = npt.NDArray[np.float32]  # (h, w, 3)
Table: TypeAlias = npt.NDArray[np.float64]  # (N, ...), a row for each hole

_GRID_PX = 160
_LEAST_CELLS = 20  # of a hole that could be a body; in smaller ones the membrane is good enough
_MOST_HOLES = 100  # a frame in shreds has no bodies to find
_FOOT_CELLS = 5  # width over which the nearest of what lies below carries a body
_NO_FOOT = np.float32(-100)
_GROUND_CELLS = 3  # how far below a hole the slope of the ground is looked for
_ALIKE = 14.0  # mean difference of channels, 0 to 255, up to which one surface may vary
_MOST_OPEN = 0.5  # share of the cells around a body that were not measured either
_MOST_AWAY_CELLS, _MOST_BELOW_CELLS = 3.5, 5.0
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SHREDS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
_RING = np.ones((7, 7), np.uint8)
_SIDE = (5, 5)  # window in which the two sides of an outline are compared
_DAMPING = np.diag([1e-3, 1e-3, 0.0]) + 1e-9 * np.eye(3)  # of slopes, against short rings
FEATURES = 12
_DIFFERENT = 12.0  # mean difference of channels, 0 to 255, from which two sides differ


class Cells:
    """Cells of the grid that belong to holes: to sum and average by hole."""

    def __init__(self, labels: Labels, count: int) -> None:
        self.at = np.flatnonzero(labels)  # (M,)
        self.number = labels.ravel()[self.at]  # (M,) from 1 on
        self.counts = np.bincount(self.number, minlength=count + 1)[1:]  # (N,)

    def sums(self, values: npt.NDArray[np.generic]) -> Table:
        """Return the sum of each hole's values, (N,), of those of the cells (M,) or of all."""
        own = values if values.shape == self.at.shape else values.ravel()[self.at]
        total = np.bincount(self.number, own, len(self.counts) + 1)[1:]
        return total.astype(np.float64, copy=False)

    def means(self, values: npt.NDArray[np.generic]) -> Table:
        """Return the mean, 0 for holes without any."""
        return np.asarray(self.sums(values) / np.maximum(self.counts, 1))


@dataclass(frozen=True)
class Outlines:
    """N holes on the grid (h, w), and what colour and the place of measurements tell of them."""

    labels: Labels  # 1 to N
    open: Mask  # (h, w) what was not measured
    share: Plane  # (h, w) how much of each cell was
    inside: Cells  # those of the holes
    ring: Cells  # those around each; between two holes, of the latter
    told: Table  # those of their features that are known before depth is, (N, ...)

    @property
    def count(self) -> int:
        """How many."""
        return len(self.told)


@dataclass(frozen=True)
class Holes:
    """The hypotheses of what lies in N holes, on the grid (h, w)."""

    outlines: Outlines
    completed: Plane  # as the membrane has it; the measurement where there is one
    standing: Plane  # a body, upright on what lies below; as completed where nothing does
    continued: Plane  # the plane around the hole, continued
    supported: Mask  # whether anything lies below
    behind: Plane  # how much farther than below it is above the hole, log depth
    ground: Plane  # by how much log depth falls within `_GROUND_CELLS` below the hole


def find(colors: list[ColorImage], share: list[Plane], through: bool = False) -> Outlines | None:
    """Return the holes that are large enough to hold a body; None without any.

    Args:
        colors: pyramid of the picture, each (H, W, 3) uint8.
        share: pyramid of the share of measured pixels, each (H, W).
        through: whether a body may be glass: what was measured between shreds of a hole may then
            lie behind the body.
    """
    small, shares = _on_grid(colors).astype(np.float32), _on_grid(share)
    hole = shares < 0.5
    if through:
        hole = cv2.morphologyEx(hole.view(np.uint8), cv2.MORPH_CLOSE, _SHREDS) > 0
    if not hole.any():
        return None
    labels, near = _known(_label(_foreign(small, hole)), hole)
    if not len(near):
        return None
    inside, ring = Cells(labels, len(near)), Cells(_ring(labels), len(near))
    sides = [inside.means(part) - ring.means(part) for part in cv2.split(small)]
    open_share, away_cells, below_cells = near.T
    told = [
        open_share,
        np.log1p(away_cells),
        np.log1p(below_cells),
        np.log1p(np.abs(sides).mean(0)),
        *_contrast(labels, len(near), small),
    ]
    return Outlines(labels, hole, shares, inside, ring, np.stack(told, -1))


def guess(outlines: Outlines, log: Plane, known: Mask) -> Holes:
    """Return what may lie in holes.

    Args:
        outlines: the holes.
        log: (H, W) log of inverse depth, completed.
        known: (H, W) where it was measured.
    """
    size = outlines.open.shape[::-1]
    share = outlines.share
    completed = cv2.resize(log, size, interpolation=cv2.INTER_AREA)
    measured = cv2.resize(log * known, size, interpolation=cv2.INTER_AREA)
    np.divide(measured, share, out=completed, where=~outlines.open & (share > 0))
    standing, supported, behind, ground = _stand(completed, outlines.labels)
    continued = _continue(completed, outlines.inside, outlines.ring)
    return Holes(outlines, completed, standing, continued, supported, behind, ground)


def _on_grid(levels: list[Picture]) -> Picture:
    """Return a pyramid's picture at the size of the grid."""
    height, width = levels[0].shape[:2]
    shrink = max(1.0, max(height, width) / _GRID_PX)
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    source = [level for level in levels if min(np.subtract(level.shape[1::-1], size)) >= 0][-1]
    found: Picture = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
    return found


def _foreign(color: Colors, hole: Mask) -> Mask:
    """Find the cells of holes whose colour differs from the nearest measured one on every side."""
    measured = (~hole).astype(np.float32)
    share = np.maximum(cv2.blur(measured, (3, 3)), np.float32(1e-3))
    around = [cv2.blur(part * measured, (3, 3)) / share for part in cv2.split(color)]
    at = np.flatnonzero(hole)
    row, column = np.divmod(at, hole.shape[1])
    own = [part.ravel()[at] for part in cv2.split(color)]
    foreign = np.ones(len(at), bool)
    for axis in (0, 1):
        for nearest in (_before(hole, axis).ravel()[at], _after(hole, axis).ravel()[at]):
            there = (nearest >= 0) & (nearest < hole.shape[axis])
            place = np.where(there, nearest, 0)
            cell = place * hole.shape[1] + column if axis == 0 else row * hole.shape[1] + place
            pairs = zip(around, own, strict=True)
            difference = sum(np.abs(part.ravel()[cell] - mine) for part, mine in pairs)
            foreign &= ~there | (difference > 3 * _ALIKE)
    cells = np.zeros(hole.shape, np.uint8)
    cells.ravel()[at] = foreign
    cells = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, _CROSS)
    cells = cv2.morphologyEx(cells, cv2.MORPH_OPEN, _CROSS)
    return np.asarray((cv2.dilate(cells, _CROSS) > 0) & hole)


def _before(hole: Mask, axis: int) -> Labels:
    """Return the place along ``axis`` of the last cell up to each that is no hole; -1 without."""
    place = np.arange(hole.shape[axis], dtype=np.int32).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.maximum.accumulate(np.where(hole, np.int32(-1), place), axis)


def _after(hole: Mask, axis: int) -> Labels:
    """Return the place along ``axis`` of the first one from each on; the size without."""
    size = hole.shape[axis]
    turned = hole[::-1] if axis == 0 else hole[:, ::-1]
    found = size - 1 - _before(turned, axis)
    return found[::-1] if axis == 0 else found[:, ::-1]


def _label(hole: Mask) -> Labels:
    """Number the largest holes."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(hole.view(np.uint8), ltype=cv2.CV_32S)
    cells = stats[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-cells, kind="stable")[:_MOST_HOLES]
    largest = largest[cells[largest] >= _LEAST_CELLS]
    numbers = np.zeros(len(stats), np.int32)
    numbers[1 + largest] = np.arange(1, len(largest) + 1)
    return np.asarray(numbers[labels])


def _known(labels: Labels, hole: Mask) -> tuple[Labels, Table]:
    """Keep the holes of which enough is known to tell a body from a piece of background.

    A body is missing as a whole: close by its outline, and below its foot, something was measured.
    """
    near = _surroundings(labels, hole)
    keep = (near < np.array([_MOST_OPEN, _MOST_AWAY_CELLS, _MOST_BELOW_CELLS])).all(-1)
    numbers = np.append(0, np.cumsum(keep) * keep).astype(np.int32)
    return numbers[labels], near[keep]


def _surroundings(labels: Labels, hole: Mask) -> Table:
    """Return how little was measured around each hole's body, (N, 3).

    That is the share of the cells around it that were not measured either, and how many cells its
    outline, and how many its foot is from one that was.
    """
    count = int(labels.max())
    body = labels > 0
    edge = Cells(np.where(_outline(body), labels, 0), count)
    ring, inside = Cells(_ring(labels), count), Cells(labels, count)
    away = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3)
    height, width = labels.shape
    foot = _after(body, 0).ravel()[inside.at]
    cell = np.minimum(foot, height - 1) * width + inside.at % width
    below = np.where(foot < height, _after(hole, 0).ravel()[cell] - foot, 0)
    return np.stack([ring.means(hole), edge.means(away), inside.means(below)], -1)


def _outline(body: Mask) -> Mask:
    return np.asarray(body & (cv2.erode(body.view(np.uint8), np.ones((3, 3), np.uint8)) == 0))


def _stand(completed: Plane, labels: Labels) -> tuple[Plane, Mask, Plane, Plane]:
    """Carry depth upwards from below each hole; return it and what lies below, behind and before.

    What stands on the ground is about as far away all the way up. A body is broader than its foot,
    so the nearest of what lies below its neighbours carries it, too.
    """
    height, width = labels.shape
    hole = labels > 0
    at = np.flatnonzero(hole)
    column = at % width
    below, above = _after(hole, 0).ravel()[at], _before(hole, 0).ravel()[at]
    supported = below < height

    def depth(rows: npt.NDArray[np.int32]) -> Plane:
        return completed.ravel()[np.clip(rows, 0, height - 1) * width + column]

    def spread(values: npt.NDArray[np.generic], otherwise: Plane) -> Plane:
        out = otherwise.copy()
        out.ravel()[at] = values
        return out

    nothing, foot = np.zeros_like(completed), depth(below)
    behind = spread(np.where(supported & (above >= 0), foot - depth(above), 0), nothing)
    ground = spread(np.where(supported, depth(below + _GROUND_CELLS) - foot, 0), nothing)
    wide = spread(np.where(supported, foot, _NO_FOOT), np.full_like(completed, _NO_FOOT))
    wide = cv2.dilate(wide, np.ones((1, _FOOT_CELLS), np.uint8))
    standing = spread(np.where(supported, wide.ravel()[at], completed.ravel()[at]), completed)
    return standing, spread(supported, nothing) > 0, behind, ground


def _continue(completed: Plane, inside: Cells, ring: Cells) -> Plane:
    """Continue the plane of inverse depth around each hole, to half and twice the mean there.

    Least squares, then once more without what lies far off the first plane.
    """
    shape = completed.shape
    around, values = _places(ring, shape), np.exp(completed.ravel()[ring.at]).astype(np.float64)
    weight = np.ones(len(values))
    planes = np.zeros((len(ring.counts), 3))
    for _ in range(2):
        planes = _fit(ring, around, values, weight)
        off = np.abs(values - np.einsum("ij,ij->i", planes[ring.number - 1], around))
        weight = (off <= 2 * ring.means(off)[ring.number - 1]).astype(np.float64)
    mean = ring.means(values)[inside.number - 1]
    plane = np.einsum("ij,ij->i", planes[inside.number - 1], _places(inside, shape))
    log = np.log(np.clip(plane, mean / 2, 2 * mean) + 1e-9)
    continued = completed.copy()
    continued.ravel()[inside.at] = np.where(mean > 0, log, completed.ravel()[inside.at])
    return continued


def _places(cells: Cells, shape: tuple[int, ...]) -> Table:
    """Return x, y (shares of the longer side, from its middle) and 1 for each cell, (M, 3)."""
    y, x = np.divmod(cells.at, shape[1])
    longest = max(shape)
    return np.stack([x / longest - 0.5, y / longest - 0.5, np.ones(len(x))], -1)


def _fit(ring: Cells, places: Table, values: Table, weight: Table) -> Table:
    """Return the weighted least-squares plane of each hole's places (M, 3), (N, 3)."""
    moments = np.empty((len(ring.counts), 3, 3))
    against = np.empty((len(ring.counts), 3, 1))
    for i in range(3):
        against[:, i, 0] = ring.sums(weight * places[:, i] * values)
        for j in range(i, 3):
            moments[:, i, j] = moments[:, j, i] = ring.sums(weight * places[:, i] * places[:, j])
    moments += (moments[:, 2, 2, None, None] + 1) * _DAMPING
    return np.asarray(np.linalg.solve(moments, against)[..., 0])


def _ring(labels: Labels) -> Labels:
    """Number the measured cells around each hole like the hole; between two, the greater."""
    grown = cv2.dilate(labels.astype(np.uint8), _RING).astype(np.int32)
    return np.where(labels > 0, 0, grown)


def features(holes: Holes) -> Table:
    """Return what tells a missing body from a missing piece of background, (N, `FEATURES`).

    What lies below, above and around it; how far the hypotheses are apart; how near something was
    measured; and how its colour differs from that around it, since a body has an outline.
    """
    inside, ring = holes.outlines.inside, holes.outlines.ring
    columns = [
        inside.means(holes.supported),
        inside.means(holes.behind),
        inside.means(holes.ground),
        inside.means(holes.standing - holes.completed),
        inside.means(np.abs(holes.continued - holes.completed)),
        inside.means(holes.standing) - ring.means(holes.completed),
    ]
    return np.concatenate([np.stack(columns, -1), holes.outlines.told], -1)


def _contrast(labels: Labels, count: int, color: Colors) -> tuple[Table, Table]:
    """Return the log of how much colour differs across each outline, and on what share of it."""
    body = labels > 0
    edge = Cells(np.where(_outline(body), labels, 0), count)
    inner = body.astype(np.float32)
    share = cv2.blur(inner, _SIDE).ravel()[edge.at]
    within = cv2.blur(color * inner[..., None], _SIDE).reshape(-1, 3).T[:, edge.at]
    everything = cv2.blur(color, _SIDE).reshape(-1, 3).T[:, edge.at]
    without = (everything - within) / np.maximum(1 - share, np.float32(1e-3))
    difference = np.abs(within / share - without).mean(0)
    return np.log1p(edge.means(difference)), edge.means(difference > _DIFFERENT)
