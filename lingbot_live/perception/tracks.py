"""Points of a picture followed over time and lifted to metric 3D by refined depth.

In the picture: pyramidal Lucas-Kanade (Bouguet, 2000), from frame to frame and back, then from the
first frame anew so that errors do not add up. A point that does not come back, looks otherwise or
lies behind a nearer surface is hidden: it goes on with the points around it until what it looked
like is found again near there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, DepthMap, Frame, Intrinsics, Mask, RefinedFrame
from lingbot_live.geometry import value_at
from lingbot_live.perception.trust import trust_at

Pixels: TypeAlias = npt.NDArray[np.float32]  # (N, 2): u, v
Points: TypeAlias = npt.NDArray[np.float32]  # (N, 3) metres, in the camera's axes
Gray: TypeAlias = npt.NDArray[np.uint8]
Depths: TypeAlias = npt.NDArray[np.float32]  # (N,) metres, 0 where none was read
Turns: TypeAlias = npt.NDArray[np.complex64]

_WINDOW = (21, 21)
# Halved pictures that are looked at: to where a point went, there from the first frame, and back;
# these two begin near where they end.
_LEVELS, _LEVELS_ANEW, _LEVELS_BACK = 3, 1, 0
_BACK_PX = 1.0  # how near a point must come back to where it was
_PATCH = 21  # pixels of a side: what a point looks like
_ALIKE, _ALIKE_AGAIN = 0.72, 0.83  # normalised correlation to be the same; to be found again
_ALIKE_SPUN = 0.9  # to be found again turned otherwise than what is around
_SURELY_ALIKE, _MORE_ALIKE, _BESIDE_PX = 0.9, 0.05, 6
_SAME_PX = 3.0  # between the way from the first frame and that from the last
_REACH_PX, _REACH_GROWTH_PX, _MOST_REACH_PX = 6, 2, 40  # where a hidden point is looked for
_MOST_HIDDEN = 90  # frames after which it is given up
_TURNED, _AGREE, _MOST_GROWN = 0.12, 0.08, 2.5  # by which a look is turned anew; doubt; mistake
_SPINS = np.exp(1j * np.radians((0, 12, -12, 24, -24)))  # tried in turn for a hidden point
_UNKNOWN = np.complex64(complex(np.nan, np.nan))
_COMPLEX = np.array([1, 1j], np.complex64)  # u, v as one number
_LEAST_AROUND = 3  # seen points around one that say how its surroundings turned
_NEIGHBOURS = 8  # points around whose motion a hidden one shares
_NEARER, _OTHER = 0.1, 0.2  # of the depth: a surface before the point; not the same point
_LEAST_GAIN, _MOST_GAIN = 0.25, 0.7  # of smoothing depth: with no trust, with full trust
_SPEED_GAIN = 0.3
_AROUND_PX = np.array([[[x, y]] for y in (-1, 0, 1) for x in (-1, 0, 1)], np.float32)  # (9, 1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """Where the points are in one frame."""

    pixels: Pixels  # (N, 2), guessed where hidden
    visible: npt.NDArray[np.bool_]  # (N,)


@dataclass(frozen=True, slots=True, eq=False)
class Lifted:
    """The same in space."""

    points_m: Points  # (N, 3), nan where no depth was ever known
    velocity_m_s: Points  # (N, 3)
    trust: npt.NDArray[np.float32]  # (N,) in the depth that was read; 0 where none was


class Tracker(ABC):
    """Follows points from frame to frame; plug-ins of ``lingbot_live.trackers`` make one."""

    @abstractmethod
    def start(self, color: ColorImage, pixels: Pixels) -> None:
        """Begin with (N, 2) pixels of a picture (H, W, 3) RGB."""

    @abstractmethod
    def follow(self, color: ColorImage, depth_m: DepthMap | None) -> Tracked:
        """Return where they are in the next picture; its depth (H, W) helps, where there is any."""


class LucasKanade(Tracker):
    """The tracker that is always there; 100 points at 640x480 in a few milliseconds."""

    def start(self, color: ColorImage, pixels: Pixels) -> None:
        """Begin with (N, 2) pixels of a picture (H, W, 3) RGB."""
        gray = _gray(color)
        count = len(pixels)
        self._first = self._last = gray
        self._origin = pixels.astype(np.float32).copy()
        self._now = self._origin.copy()
        self._motion = np.zeros_like(self._now)
        self._hidden = np.zeros(count, np.int64)  # frames in a row
        self._depth_m = np.zeros(count, np.float32)
        self._around = _nearest(self._origin)
        self._turn = np.ones(count, np.complex64)  # how the picture around turned and grew
        self._looks_turn = self._turn.copy()  # of `_looks`
        self._looks = [_patch(gray, place) for place in self._origin]

    def follow(self, color: ColorImage, depth_m: DepthMap | None) -> Tracked:
        """Return where they are in the next picture."""
        gray = _gray(color)
        seen = self._hidden == 0
        expected = self._now + self._motion
        places, good = _there_and_back(self._last, gray, self._now, expected, seen, _LEVELS)
        self._turn_looks(places, good)
        good &= self._look_alike(gray, places, good)
        anew, sure = _there_and_back(self._first, gray, self._origin, places, good, _LEVELS_ANEW)
        sure &= np.linalg.norm(anew - places, axis=1) < _SAME_PX
        places[sure] = anew[sure]
        read_m = _depth_at(depth_m, places)
        good &= ~self._is_behind(read_m)
        motion = _shared_motion(self._now, places - self._now, good)
        places[~good] = (self._now + motion)[~good]
        self._join_neighbours(places, good)
        self._remember_depth(read_m, good)
        for index in np.flatnonzero(~good):
            good[index] = self._find_again(gray, depth_m, places, int(index))
        self._motion = np.where(good[:, None] & seen[:, None], places - self._now, motion)
        self._hidden = np.where(good, 0, self._hidden + 1)
        self._now, self._last = places, gray
        return Tracked(places.copy(), good)

    def _turn_looks(self, places: Pixels, good: Mask) -> None:
        """Turn what points looked like as the points around them turned since the first frame."""
        self._turn = _turns(self._origin, places, self._around, good, self._turn)
        for index in np.flatnonzero(np.abs(self._turn - self._looks_turn) > _TURNED):
            self._looks_turn[index] = self._turn[index]
            self._looks[index] = _patch(self._first, self._origin[index], self._turn[index])

    def _join_neighbours(self, places: Pixels, good: Mask) -> None:
        """Put points that are hidden for long where those around them, turned, say they are."""
        lost = np.flatnonzero(~good & (self._hidden > 1))
        lost = lost[good[self._around[lost]].sum(1) >= _LEAST_AROUND]
        if not len(lost):
            return
        around = self._around[lost]  # (L, K)
        seen, turns = good[around], self._turn[around]
        moved = ((self._origin[lost, None] - self._origin[around]) @ _COMPLEX) * turns
        said = np.where(seen, places[around] @ _COMPLEX + moved, _UNKNOWN)
        middle = _median(said)
        apart = said - middle[:, None]
        sure = _median(np.hstack([np.abs(apart.real), np.abs(apart.imag)])) < _SAME_PX
        at = lost[sure]
        places[at] = np.stack([middle.real, middle.imag], -1)[sure]
        self._turn[at] = _median(np.where(seen, turns, _UNKNOWN))[sure]

    def _look_alike(self, gray: Gray, places: Pixels, asked: Mask) -> Mask:
        """Return which look as they did; those that look more so beside move there.

        What passes before or behind a point drags it along bit by bit.
        """
        here = np.zeros(len(places), np.float32)
        if asked.any():
            patches = np.stack([_patch(gray, place) for place in places[asked]])
            here[asked] = _correlation(patches, np.stack(self._looks)[asked])
        for index in np.flatnonzero(asked & (here < _SURELY_ALIKE)):
            best, beside = self._likeness(gray, places[index], int(index), _BESIDE_PX)
            if best > here[index] + _MORE_ALIKE:
                places[index], here[index] = beside, best
        return asked & (here > _ALIKE)

    def _likeness(self, gray: Gray, place: Pixels, index: int, reach: int) -> tuple[float, Pixels]:
        """Return how alike the most alike place within reach looks, and which it is."""
        around = cv2.getRectSubPix(gray, (_PATCH + 2 * reach,) * 2, _tuple(place))
        likeness = cv2.matchTemplate(around, self._looks[index], cv2.TM_CCOEFF_NORMED)
        likeness = np.where(np.abs(likeness) <= 1.001, likeness, np.float32(0))  # flat: undefined
        _, best, _, (x, y) = cv2.minMaxLoc(likeness)
        beside = place + np.array([x - reach, y - reach], np.float32)
        return float(best), beside

    def _find_again(self, gray: Gray, depth_m: DepthMap | None, places: Pixels, index: int) -> bool:
        """Look for a hidden point around its place, which is moved to where it is found."""
        frames = int(self._hidden[index])
        if frames > _MOST_HIDDEN or not _is_inside(gray, places[index]):
            return False  # what looks like it inside the picture is another
        reach = min(_REACH_PX + _REACH_GROWTH_PX * frames, _MOST_REACH_PX)
        spin = _SPINS[frames % len(_SPINS)]
        turn = self._turn[index] * spin
        self._looks[index] = _patch(self._first, self._origin[index], turn)
        self._looks_turn[index] = turn
        best, place = self._likeness(gray, places[index], index, reach)
        if best < (_ALIKE_AGAIN if spin == 1 else _ALIKE_SPUN):
            return False
        read = _depth_at(depth_m, place[None])[0]
        known = self._depth_m[index]
        if not _is_inside(gray, place) or (read > 0 < known and abs(read / known - 1) > _OTHER):
            return False
        places[index], self._turn[index] = place, turn
        self._depth_m[index] = read or known
        return True

    def _is_behind(self, read_m: Depths) -> Mask:
        """Whether a surface nearer than a point lies where it should be."""
        return (read_m > 0) & (self._depth_m > 0) & (read_m < (1 - _NEARER) * self._depth_m)

    def _remember_depth(self, read_m: Depths, good: Mask) -> None:
        known = good & (read_m > 0)
        self._depth_m[known] = read_m[known]


class Lifter:
    """Lifts tracked points into space; smooths depth over time by its trust.

    A point's depth is the one that it had last while it is hidden, and jumps where it really does:
    a step of over a tenth that is still there in the next frame.
    """

    def __init__(self, intrinsics: Intrinsics, count: int) -> None:
        self._intrinsics = intrinsics
        self._depth_m = np.full(count, np.nan, np.float32)
        self._doubtful = np.zeros(count, bool)
        self._points_m = np.full((count, 3), np.nan, np.float32)
        self._velocity_m_s = np.zeros((count, 3), np.float32)
        self._time_s: float | None = None

    def lift(self, tracked: Tracked, refined: RefinedFrame, time_s: float) -> Lifted:
        """Return the points (N, 3) in space of one frame at ``time_s``, by its depth and trust."""
        read = np.where(tracked.visible, _depth_at(refined.depth_m, tracked.pixels), np.float32(0))
        known, sure = read > 0, np.zeros_like(read)
        sure[known] = trust_at(refined, tracked.pixels[known])
        off = np.abs(read / self._depth_m - 1) > _NEARER
        jumps = known & (np.isnan(self._depth_m) | (off & self._doubtful))
        joins = known & ~jumps & ~off
        gain = _LEAST_GAIN + (_MOST_GAIN - _LEAST_GAIN) * sure[joins]
        self._depth_m[jumps] = read[jumps]
        self._depth_m[joins] += gain * (read[joins] - self._depth_m[joins])
        self._doubtful = known & off & ~jumps
        points_m = _deproject(tracked.pixels, self._depth_m, self._intrinsics)
        self._move(points_m, time_s)
        return Lifted(points_m, self._velocity_m_s.copy(), sure)

    def _move(self, points_m: Points, time_s: float) -> None:
        if self._time_s is not None and time_s > self._time_s:
            speed = (points_m - self._points_m) / np.float32(time_s - self._time_s)
            known = np.isfinite(speed).all(axis=1)
            self._velocity_m_s[known] += np.float32(_SPEED_GAIN) * (
                speed[known] - self._velocity_m_s[known]
            )
        self._points_m, self._time_s = points_m, time_s


WHOLE = (0.0, 0.0, 1.0, 1.0)


def grid(frame: Frame, count: int, part: tuple[float, float, float, float] = WHOLE) -> Pixels:
    """Return ``count`` by ``count`` pixels spread evenly over a picture, (N, 2).

    ``part``: only over this part of it: left, top, width, height as fractions of the picture.

    Raises:
        ConfigError: the count is not 1 to 100.
    """
    if not 1 <= count <= 100:
        raise ConfigError(f"grid {count}: give 1 to 100 points a side")
    left, top, wide, tall = part
    height, width = frame.depth_raw.shape
    steps = (np.arange(count) + 0.5) / count
    u, v = (left + wide * steps) * width - 0.5, (top + tall * steps) * height - 0.5
    return np.asarray(np.stack(np.meshgrid(u, v), -1).reshape(-1, 2), np.float32)


def _gray(color: ColorImage) -> Gray:
    return np.asarray(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY))


def _there_and_back(
    source: Gray, target: Gray, places: Pixels, guess: Pixels, asked: Mask, levels: int
) -> tuple[Pixels, Mask]:
    """Return where points of ``source`` lie in ``target``, and whether they come back.

    Of the points (N,) that are asked for; the others are where they were guessed, and do not.
    """
    out, good = guess.copy(), asked.copy()
    if asked.any():
        there, found = _flow(source, target, places[asked], guess[asked], levels)
        back, back_found = _flow(target, source, there, places[asked], _LEVELS_BACK)
        returns = np.linalg.norm(back - places[asked], axis=1) < _BACK_PX
        out[asked], good[asked] = there, returns & _is_inside(source, there) & found & back_found
    return out, good


def _flow(
    source: Gray, target: Gray, places: Pixels, guess: Pixels, levels: int
) -> tuple[Pixels, Mask]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        source, target, places, guess.copy(),
        winSize=_WINDOW, maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return np.asarray(there, np.float32), np.asarray(found.ravel() > 0)


def _is_inside(gray: Gray, places: Pixels) -> Mask:
    height, width = gray.shape
    u, v = places[..., 0], places[..., 1]
    return np.asarray((u >= 0) & (v >= 0) & (u <= width - 1) & (v <= height - 1))


def _shared_motion(places: Pixels, motion: Pixels, good: Mask) -> Pixels:
    """Return for each point how the points around that were seen moved, in the median."""
    out = np.zeros_like(places)
    if good.any() and not good.all():
        distance = np.linalg.norm(places[~good, None] - places[good], axis=-1)
        nearest = np.argsort(distance, axis=1)[:, :_NEIGHBOURS]
        out[~good] = np.median(motion[good][nearest], axis=1)
    return out


def _patch(gray: Gray, place: Pixels, turn: complex = 1.0) -> Gray:
    """Return what is around a place, turned and grown by the complex factor ``turn``."""
    if turn == 1.0:
        return np.asarray(cv2.getRectSubPix(gray, (_PATCH, _PATCH), _tuple(place)))
    back = 1 / turn
    M = np.array([[back.real, -back.imag, place[0]], [back.imag, back.real, place[1]]])
    M[:, 2] -= M[:, :2].sum(1) * (_PATCH // 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(gray, M, (_PATCH, _PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


def _nearest(pixels: Pixels) -> npt.NDArray[np.int64]:
    """Return the `_NEIGHBOURS` points nearest to each, (N, K); fewer where there are fewer."""
    far = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)
    return np.argsort(far, axis=1)[:, 1 : _NEIGHBOURS + 1]


def _turns(
    origin: Pixels, places: Pixels, around: npt.NDArray[np.int64], good: Mask, before: Turns
) -> Turns:
    """Return by which complex factor the points around each turned and grew, (N,).

    The median of what each neighbour says, so that those on another body have no say; as before
    where fewer than three are seen.
    """
    if around.shape[1] < _LEAST_AROUND:
        return before
    was, now = (part @ _COMPLEX for part in (origin, places))
    first = was[around] - was[:, None]
    usable = good[around] & (np.abs(first) > 1)
    ratio = np.where(usable, (now[around] - now[:, None]) / np.where(usable, first, 1), _UNKNOWN)
    known = (usable.sum(1) >= _LEAST_AROUND) & good
    told = ratio[known]
    turn = _median(told)
    agree = _median(np.abs(told - turn[:, None])) < _AGREE
    agree &= (np.abs(turn) > 1 / _MOST_GROWN) & (np.abs(turn) < _MOST_GROWN)
    out = before.copy()
    out[np.flatnonzero(known)[agree]] = turn[agree]
    return out


def _median(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the median (N,) of (N, K) values, nan left out; of complex ones that of either part.

    Of few values it takes a tenth of the time of `np.nanmedian`.
    """
    if np.iscomplexobj(values):
        return np.asarray(_median(values.real) + 1j * _median(values.imag))
    ordered = np.sort(values, axis=1)  # nan last
    rows, known = np.arange(len(values)), np.isfinite(values).sum(1)
    return np.asarray((ordered[rows, (known - 1) // 2] + ordered[rows, known // 2]) / 2)


def _correlation(
    patches: npt.NDArray[np.uint8], looks: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Return how alike (N, H, W) and (N, H, W) are each, (N,), as `cv2.matchTemplate` tells it."""
    one, other = (of.reshape(len(of), -1).astype(np.float32) for of in (patches, looks))
    one -= one.mean(1, keepdims=True)
    other -= other.mean(1, keepdims=True)
    both, ones, others = (
        np.einsum("nk,nk->n", *of) for of in ((one, other), (one,) * 2, (other,) * 2)
    )
    return np.where(others > 0, both / np.sqrt(np.maximum(ones * others, 1)), 1)


def _tuple(place: Pixels) -> tuple[float, float]:
    return float(place[0]), float(place[1])


def _depth_at(depth_m: DepthMap | None, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return the median depth of 3x3 pixels, (N,) metres; 0 where fewer than five are valid."""
    if depth_m is None:
        return np.zeros(len(pixels), np.float32)
    read = value_at(depth_m, (pixels + _AROUND_PX).reshape(-1, 2)).reshape(9, -1)
    return np.asarray(np.median(read, axis=0), np.float32)


def _deproject(pixels: Pixels, depth_m: npt.NDArray[np.float32], of: Intrinsics) -> Points:
    flat = pixels.astype(np.float64)
    if of.is_distorted:
        lens = np.array(of.distortion)
        flat = cv2.undistortPoints(flat[:, None], of.matrix, lens, P=of.matrix)[:, 0]
    x = (flat[:, 0] - of.cx) / of.fx
    y = (flat[:, 1] - of.cy) / of.fy
    return np.asarray(np.stack([x, y, np.ones_like(x)], -1) * depth_m[:, None], np.float32)
