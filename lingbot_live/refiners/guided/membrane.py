"""Edge-aware completion of inverse depth.

First, planes are fitted to inverse depth around every pixel, because a plane's inverse depth is
linear in the image. Then a membrane is stretched over the log of what the planes leave over: the
solution of the discrete Laplace equation whose links are weak across colour and depth edges (after
Levin et al., "Colorization using optimization", 2004), found coarse to fine on an image pyramid.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, Mask
from lingbot_live.refiners.guided.windows import extremes
from lingbot_live.system.cores import one_thread

Plane: TypeAlias = npt.NDArray[np.float32]  # (H, W)
Links: TypeAlias = tuple[Plane, Plane]  # of each pixel to the one below, and on its right
Range: TypeAlias = tuple[float, float]  # least and greatest
Picture = TypeVar("Picture", ColorImage, Plane)

REACH = 1.5  # how much farther or nearer than any measurement a guess may be
_TREND_PX = 100  # longest side of the level at which planes are fitted
_TREND_SPREAD = 30.0  # lambda of the smoother: about the squared reach in pixels of that level
_TREND_STIFFNESS = np.float32(1e-3)  # squared share of the image below which slopes are damped
_LEAST_SHARE = np.float32(1e-20)  # of known pixels, so that none is divided by
_TRACE = np.float32(1e-5)
_STEP = 1 / 12  # of log depth, from which it is an edge
_SOLVED_PX = 480  # longest side, from which on a picture is solved at less than half its size
_RAMP_PX = 9  # widest ramp in a filled hole that stands for a step
_SLACK = 0.05  # log depth by which guesses may leave sparse measurements over their spacing
_LEAP = 1.0  # log depth by which a guess may lie beyond the nearest of sparse measurements
_COLOR_SCALE = 8.0  # colour difference (mean of channels, 0 to 255) that weakens a link to 1/e
_LEAST_LINK = 0.05  # so that texture alone never cuts a surface apart
_DEPTH_SCALE = np.float32(0.02)  # step of log depth that halves a link
_NEXT = (np.s_[1:, :-1], np.s_[:-1, 1:])  # of a widened picture: one below, and on the right
_CHANNEL_MEAN = np.full((1, 3), 1 / 3)
_FINEST_SWEEPS, _SWEEPS, _COARSEST_SWEEPS = 4, 12, 60  # what is left at a level is local
_SOLVABLE = 500  # pixels, up to which that many sweeps cost more than solving the equations
_MOMENTUM = 1.5  # of the second-order Richardson iteration, 1 = plain Jacobi


class Level(NamedTuple):
    """One floor of the pyramid: sum of known inverse depth, share of known pixels."""

    inverse: Plane
    share: Plane


class Guide:
    """What colour (H, W, 3) uint8 alone tells the membrane, before any depth is known.

    ``colors`` is its pyramid. ``finest`` is the level down to which is solved: half size, less for
    large pictures. One floor more costs as much as all others and gains nothing. ``links`` are
    those of the levels from there on. On the level ``base`` planes are fitted, smoothed by
    ``smoother``.
    """

    def __init__(self, color: ColorImage) -> None:
        self.colors = levels = pyramid(color)
        sizes = [max(level.shape) for level in levels]
        last = len(levels) - 1
        self.finest = next((i for i in range(1, last) if sizes[i] <= _SOLVED_PX), last)
        self.base = next((i for i in range(self.finest, last) if sizes[i] <= _TREND_PX), last)
        self.links = [_color_links(level) for level in levels[self.finest :]]
        self.smoother = cv2.ximgproc.createFastGlobalSmootherFilter(
            levels[self.base], _TREND_SPREAD, 8.0
        )


def complete(guide: Guide, inverse: Plane, share: list[Plane], range_: Range) -> Plane:
    """Return the log of inverse depth (H, W), filled where it is not known; one pixel must be.

    Args:
        guide: what colour tells.
        inverse: (H, W) inverse depth, 0 where it is not known.
        share: the `pyramid` of what is known.
        range_: the least and the greatest inverse depth that is.
    """
    known = (share[0] > 0).view(np.uint8)
    # The log of 0 is slow.
    measured = cv2.log(np.maximum(inverse, np.float32(range_[0])))
    levels = [Level(*pair) for pair in zip(pyramid(inverse), share, strict=True)]
    finer = share[max(guide.finest - 1, 0)].shape
    solved = _stretched(levels, guide, (range_[0] / REACH, range_[1] * REACH))
    filled = _snapped(solved, finer, known)
    return np.asarray(cv2.copyTo(measured, known, filled))


def _stretched(levels: list[Level], guide: Guide, range_: Range) -> Plane:
    """Return the log of inverse depth on the finest level that is solved."""
    trend = np.clip(_trend(levels[guide.base], guide), *range_)
    around = filled = np.zeros((1, 1), np.float32)  # filled: less what lies around, until the end
    for number in reversed(range(guide.finest, len(levels))):
        level, links = levels[number], guide.links[number - guide.finest]
        around = cv2.log(_resize(trend, level.share))
        filled = _resize(filled, around)
        fixed = level.share > 0
        cv2.copyTo(_log_mean(level) - around, fixed.view(np.uint8), filled)
        if number < len(levels) - 1:
            links = _cut(links, filled + around)
            filled = _relax(
                filled, fixed, links, _SWEEPS if number > guide.finest else _FINEST_SWEEPS
            )
        elif filled.size <= _SOLVABLE:
            filled = _solve(filled, fixed, links)
        else:
            filled = _relax(filled, fixed, links, _COARSEST_SWEEPS)
    return np.asarray(filled + around)


def _log_mean(level: Level) -> Plane:
    """Return the log of the mean of what is known below each pixel; of any where nothing is."""
    share = np.maximum(level.share, _LEAST_SHARE)
    return np.asarray(cv2.log(np.maximum(level.inverse, _LEAST_SHARE) / share))


def _trend(level: Level, guide: Guide) -> Plane:
    """Return the inverse depth of the surface around which the membrane is stretched."""
    with one_thread():  # the smoother's last bits hang on their number
        return _planes(level, guide.smoother)


def _planes(level: Level, smoother: cv2.ximgproc.FastGlobalSmootherFilter) -> Plane:
    """Fit a plane to the inverse depth around each pixel and return its height there.

    Weighted least squares on local moments. The weights fall with the distance and across colour
    edges: the moments are smoothed by a fast global smoother (Min et al., 2014).
    """
    weight = level.share + _TRACE
    around = _around(level)
    # Far-off values would tilt all planes near them. A trace of what lies around, whatever its
    # colour, decides where no measurement reaches.
    value = np.clip(level.inverse, level.share * around / 10, level.share * around * 10)
    value += _TRACE * around
    height, width = weight.shape
    y, x = np.indices(weight.shape, np.float32) / np.float32(max(height, width))
    total: Plane = smoother.filter(weight)

    def local_mean(moment: Plane) -> Plane:
        return np.asarray(smoother.filter(moment) / total, np.float32)

    mean_x, mean_y = local_mean(weight * x), local_mean(weight * y)
    mean = local_mean(value)
    xx = local_mean(weight * x * x) - mean_x**2 + _TREND_STIFFNESS
    yy = local_mean(weight * y * y) - mean_y**2 + _TREND_STIFFNESS
    xy = local_mean(weight * x * y) - mean_x * mean_y
    xv = local_mean(value * x) - mean_x * mean
    yv = local_mean(value * y) - mean_y * mean
    slope_x, slope_y = yy * xv - xy * yv, xx * yv - xy * xv
    rise = (slope_x * (x - mean_x) + slope_y * (y - mean_y)) / (xx * yy - xy * xy)
    return np.asarray(mean + np.clip(rise, -mean / 3, mean / 2), np.float32)


def _around(level: Level) -> Plane:
    """Return the geometric mean of what is known within some pixels, else within the image."""
    log = _log_mean(level) * level.share
    share = level.share + _TRACE
    log += _TRACE * (log.sum() / level.share.sum())
    return np.asarray(
        cv2.exp(cv2.GaussianBlur(log, (0, 0), 8.0) / cv2.GaussianBlur(share, (0, 0), 8.0))
    )


def _snapped(solved: Plane, finer: tuple[int, ...], known: npt.NDArray[np.uint8]) -> Plane:
    """Return a picture at full size, with steps in holes in place of ramps between two depths.

    What is a ramp is decided at the size ``finer``, where its step lies at full size.
    """
    size = known.shape[::-1]
    log = np.asarray(cv2.resize(solved, size, interpolation=cv2.INTER_LINEAR))
    shown = np.asarray(cv2.resize(solved, finer[::-1], interpolation=cv2.INTER_LINEAR))
    ramp_px = round(_RAMP_PX * len(shown) / len(log)) | 1
    low, high = extremes(shown, shown, ramp_px)
    least, greatest = extremes(low, high, ramp_px)
    range_ = high - low
    steps = ((range_ > _STEP) & (greatest - least < np.float32(1.5) * range_)).view(np.uint8)
    steps = cv2.resize(steps, size, interpolation=cv2.INTER_NEAREST)
    at = np.flatnonzero(steps > known)
    cell, value = _cells(at, known.shape, finer), log.ravel()[at]
    below, above = low.ravel()[cell], high.ravel()[cell]
    log.ravel()[at] = np.where(value - below > above - value, above, below)
    return log


def _cells(
    at: npt.NDArray[np.intp], size: tuple[int, ...], smaller: tuple[int, ...]
) -> npt.NDArray[np.intp]:
    """Return the flat indices in a smaller picture of the pixels of a larger one."""
    row, column = np.divmod(at, size[1])
    return row * smaller[0] // size[0] * smaller[1] + column * smaller[1] // size[1]


def hold(log: Plane, known: Mask) -> None:
    """Keep guesses within what the nearest of sparse measurements say, in place.

    So a measurement far off from those around it rules its own Voronoi cell, and no more than that.
    Near a seam of cells, within a quarter of their spacing, a colour edge still decides on which
    side a guess is, unless that is a leap away from the camera: such an error knows no bound.
    """
    spacing_px = float(np.sqrt(known.size / np.count_nonzero(known)))
    distance_px, cells = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.empty(cells.max() + 1, np.float32)
    values[cells[known]] = log[known]
    nearest = values[cells]
    least, greatest = extremes(nearest, nearest, 2 * int(np.clip(spacing_px / 4, 1, 15)) + 1)
    np.copyto(log, nearest, where=nearest - log > _LEAP)  # `log` is that of inverse depth
    slack = distance_px * np.float32(_SLACK / spacing_px)
    np.clip(log, least - slack, greatest + slack, out=log)


def _resize(image: Plane, like: Plane) -> Plane:
    return np.asarray(cv2.resize(image, like.shape[::-1], interpolation=cv2.INTER_LINEAR))


def pyramid(finest: Picture) -> list[Picture]:
    """Return a picture and ever smaller ones, each half the size of the one before."""
    levels = [finest]
    while min(levels[-1].shape[:2]) > 8:
        height, width = levels[-1].shape[:2]
        size = ((width + 1) // 2, (height + 1) // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


def _color_links(color: ColorImage) -> Links:
    """Return how strongly each pixel holds to the one below and to the one on its right.

    Links are weaker across edges of colour.
    """
    ramp = (np.exp(-np.arange(256) / _COLOR_SCALE) + _LEAST_LINK).astype(np.float32)[None]
    wide = _widened(color)
    differences = (cv2.transform(cv2.absdiff(wide[a], color), _CHANNEL_MEAN) for a in _NEXT)
    down, right = (cv2.LUT(difference, ramp) for difference in differences)
    return down, right


def _cut(links: Links, log: Plane) -> Links:
    """Return links that are weaker across edges of log depth as well."""
    wide = _widened(log)
    down, right = (
        link * (_DEPTH_SCALE / (cv2.absdiff(wide[area], log) + _DEPTH_SCALE))
        for link, area in zip(links, _NEXT, strict=True)
    )
    return down, right


def _widened(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Repeat the last row and column."""
    return np.asarray(cv2.copyMakeBorder(image, 0, 1, 0, 1, cv2.BORDER_REPLICATE))


def _solve(start: Plane, fixed: Mask, links: Links) -> Plane:
    """Return what `_relax` comes to in the end, for few pixels.

    It is one call where the sweeps are hundreds, after each of which another thread has its turn.
    """
    height, width = start.shape
    place = np.arange(start.size).reshape(start.shape)
    pairs = [
        (place[:-1], place[1:], links[0][:-1]),
        (place[:, :-1], place[:, 1:], links[1][:, :-1]),
    ]
    system = np.zeros((start.size, start.size))
    for one, other, link in pairs:
        system[one, other] = system[other, one] = -link
    np.fill_diagonal(system, -system.sum(1))
    held = fixed.ravel()
    system[held] = np.eye(start.size)[held]
    # NumPy's own solver has a helper on another core, which goes on spinning for a while.
    _, found = cv2.solve(system, (start.ravel() * held).astype(np.float64), flags=cv2.DECOMP_LU)
    return np.asarray(found.reshape(height, width), np.float32)


def _relax(start: Plane, fixed: Mask, links: Links, sweeps: int) -> Plane:
    """Move free pixels towards the weighted mean of their neighbours, some sweeps long.

    Second-order Richardson iteration (Golub and Varga, 1961):
    ``next = momentum * mean(neighbours) + (1 - momentum) * last``.
    """
    down, right = links
    weights = np.zeros((4, *start.shape), np.float32)
    weights[0, 1:], weights[1, :-1] = down[:-1], down[:-1]
    weights[2, :, 1:], weights[3, :, :-1] = right[:, :-1], right[:, :-1]
    weights *= np.float32(_MOMENTUM) * ~fixed / np.maximum(weights.sum(0), np.float32(1e-9))
    constant = start * fixed
    this = cv2.copyMakeBorder(start, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    last = this.copy()
    for _ in range(sweeps):
        result = last[1:-1, 1:-1]
        cv2.addWeighted(result, 1 - _MOMENTUM, constant, _MOMENTUM, 0, dst=result)
        neighbours = (this[:-2, 1:-1], this[2:, 1:-1], this[1:-1, :-2], this[1:-1, 2:])
        for neighbour, weight in zip(neighbours, weights, strict=True):
            cv2.accumulateProduct(neighbour, weight, result)
        this, last = last, this
    return np.asarray(this[1:-1, 1:-1]).copy()
