"""A temporal stabiliser: what was seen before steadies what is seen now, for any refiner.

Each pixel holds a running mean of its depth. The history follows the picture by optical flow (DIS,
Kroeger et al., ECCV 2016), and the motion of the camera is taken out of its depth. A pixel that
agrees with its history, within the noise of the place, joins the mean. One that does not begins a
new mean: at once where the colour changed as well or the camera moves, else at the third frame in a
row, for a lone jump of depth that colour knows nothing of is flicker.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, DepthMap

Plane: TypeAlias = npt.NDArray[np.float32]  # (H, W), or (h, w): a quarter of it each way
Flags: TypeAlias = npt.NDArray[np.uint8]  # (H, W) or (h, w), 0 or 255
Flow: TypeAlias = npt.NDArray[np.float32]  # (H, W, 2) or (h, w, 2), pixels

_QUARTER = 4
_MOST_FRAMES = 12.0  # in a mean
_MOST_FRAMES_MOVING = 5.0  # the history of a moving camera blurs with every step
_CHANGE = 8  # of 255, of a quarter's pixel, from which a colour has changed
_MOVING_PX = 0.08  # of the quarter's pixels in the median, from which the camera moves
_FIRST_NOISE = 0.01  # of the depth, until it is known
_LEAST_NOISE, _MOST_NOISE = 0.0007, 0.05  # of the depth
_LEARN = 0.1  # share of a new frame in what is known of the noise
_AGREES = 3.75  # mean deviations: three standard deviations of normal noise
_DOUBTS = 2  # frames in a row that may disagree where no colour changed
_RIGID_STEP = 4  # of the quarter's pixels, one in so many each way tells how the camera moved
_LEAST_RIGID = 50  # of those
_LEAST_PX = 48  # of a side; optical flow needs some room
_EDGE = cv2.BORDER_REPLICATE
_AROUND = np.ones((3, 3), np.uint8)


@dataclass(slots=True)
class _History:
    color: ColorImage  # (h, w, 3)
    depth: Plane  # (H, W) the means
    frames: Plane  # (H, W) how many are in them
    doubts: Flags  # (H, W) how many in a row disagreed
    noise: Plane  # (h, w) mean deviation in metres


class Stabiliser:
    """Steadies one camera's refined depth, frame by frame."""

    def __init__(self) -> None:
        self._history: _History | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    @property
    def age(self) -> npt.NDArray[np.uint8] | None:
        """How many frames each pixel's mean rests on, (H, W), 0 where there is no depth; or None.

        None before the first frame and of pictures too small to steady.
        """
        if self._history is None:
            return None
        return (self._history.frames * (self._history.depth > 0)).astype(np.uint8)

    def forget(self) -> None:
        """Begin anew, as at another place of a recording."""
        self._history = None

    def steady(self, color: ColorImage, depth_m: DepthMap) -> DepthMap:
        """Return steadier depth (H, W) float32 metres; 0 exactly where ``depth_m`` is 0.

        Args:
            color: (H, W, 3) uint8 RGB.
            depth_m: (H, W) float32 metres, 0 = invalid. Another size than before begins anew;
                below 48 pixels of a side it is returned as it is.
        """
        if min(depth_m.shape) < _LEAST_PX:
            self._history = None
            return depth_m
        height, width = depth_m.shape
        size = (-(-width // _QUARTER), -(-height // _QUARTER))
        small = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
        last = self._history
        if last is None or last.depth.shape != depth_m.shape:
            ones, none = np.ones_like(depth_m), np.zeros(depth_m.shape, np.uint8)
            noise = np.float32(_FIRST_NOISE) * _small(depth_m, small)
            self._history = _History(small, depth_m, ones, none, noise)
            return depth_m
        changed, is_moving = _changed(last.color, small), False
        if changed.any():
            changed, is_moving = self._follow(last, small, depth_m, changed)
        last.color = small
        return _join(last, depth_m, changed, is_moving)

    def _follow(
        self, last: _History, small: ColorImage, depth_m: DepthMap, changed: Flags
    ) -> tuple[Flags, bool]:
        """Bring the history to where it is seen now.

        Returns which colours differ even so, and whether the camera moves.
        """
        before, now = (cv2.cvtColor(c, cv2.COLOR_RGB2GRAY) for c in (last.color, small))
        flow = np.asarray(self._flow.calc(now, before, None))
        is_moving = float(np.median(np.abs(flow[::2, ::2]).max(axis=2))) > _MOVING_PX
        if not is_moving:  # what stands still is not resampled: that would blur it step by step
            flow[cv2.dilate(changed, _AROUND) == 0] = 0
        quarter = flow + _grid(*flow.shape[1::-1])
        last.color = cv2.remap(last.color, quarter, None, cv2.INTER_LINEAR, borderMode=_EDGE)
        last.noise = cv2.remap(last.noise, quarter, None, cv2.INTER_NEAREST, borderMode=_EDGE)
        size = depth_m.shape[::-1]
        full = cv2.scaleAdd(cv2.resize(flow, size), _QUARTER, _grid(*size))
        last.depth = cv2.remap(last.depth, full, None, cv2.INTER_LINEAR)
        last.frames = cv2.remap(last.frames, full, None, cv2.INTER_NEAREST)
        if is_moving:
            last.doubts = np.zeros_like(last.doubts)
            last.depth += _rigid_change(last, depth_m)
        return _changed(last.color, small), is_moving


def _small(image: Plane | Flags, like: Plane | Flags) -> Plane:
    size = like.shape[1::-1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _changed(before: ColorImage, now: ColorImage) -> Flags:
    """Return which pixels differ in any channel by more than the picture's own change of light."""
    light = np.median(now[::4, ::4].astype(np.int16) - before[::4, ::4], axis=(0, 1))
    size = cv2.absdiff(now, cv2.add(before, (*light.tolist(), 0)))
    red, green, blue = cv2.split(size)
    return np.asarray(cv2.compare(cv2.max(cv2.max(red, green), blue), _CHANGE, cv2.CMP_GT))


@functools.lru_cache(maxsize=8)
def _grid(width: int, height: int) -> Flow:
    """Return each pixel's own place (x, y)."""
    y, x = np.indices((height, width), np.float32)
    return np.stack([x, y], -1)


def _rigid_change(last: _History, depth_m: DepthMap) -> Plane:
    """Return by how much a moving camera changed the depth of what stands still, (H, W) metres.

    To first order ``dz = -tz + wx Y - wy X`` for a point (X, Y, z): linear in 1, u z and v z.
    Fitted to what lies near, ever nearer, for the rest is noise or moves by itself.
    """
    some = np.s_[_QUARTER * _RIGID_STEP // 2 :: _QUARTER * _RIGID_STEP]
    z, seen = last.depth[some, some], depth_m[some, some]
    noise = last.noise[_RIGID_STEP // 2 :: _RIGID_STEP, _RIGID_STEP // 2 :: _RIGID_STEP]
    limit = np.maximum(4 * _AGREES * noise[: z.shape[0], : z.shape[1]], np.float32(0.05))
    v, u = np.indices(z.shape, np.float32)
    terms = np.stack([np.ones_like(z), (u - u.mean()) * z, (v - v.mean()) * z], -1)
    answer = np.zeros(3)
    for _ in range(3):
        near = (z > 0) & (seen > 0) & (np.abs(seen - z - terms @ answer) < limit)
        if np.count_nonzero(near) < _LEAST_RIGID:
            return np.zeros_like(depth_m)
        rows = terms[near].astype(np.float64)
        answer = np.linalg.solve(rows.T @ rows + 1e-3 * np.eye(3), rows.T @ (seen - z)[near])
        limit = limit / 2
    rise = cv2.resize((terms @ answer).astype(np.float32), depth_m.shape[::-1])
    return np.asarray(rise * (last.depth > 0), np.float32)


def _join(last: _History, depth_m: DepthMap, changed: Flags, is_moving: bool) -> DepthMap:
    """Take one frame into the history, which lies on it; return the new means."""
    size = depth_m.shape[::-1]
    deviation = cv2.absdiff(depth_m, last.depth)
    about_m = _small(depth_m, changed)
    np.clip(last.noise, _LEAST_NOISE * about_m, _MOST_NOISE * about_m, out=last.noise)
    limit = cv2.resize(last.noise * np.float32(_AGREES), size)
    both = cv2.compare(last.depth, 0, cv2.CMP_GT) & cv2.compare(depth_m, 0, cv2.CMP_GT)
    agrees = cv2.compare(deviation, limit, cv2.CMP_LE) & both
    last.doubts = cv2.add(last.doubts, 1) & ~agrees  # stays at 255
    begins = ~agrees
    if not is_moving:
        late = cv2.compare(last.doubts, _DOUBTS, cv2.CMP_GT)
        there = cv2.dilate(changed, _AROUND)
        begins &= cv2.resize(there, size, interpolation=cv2.INTER_NEAREST) | late | ~both
    _learn(last.noise, deviation, begins, changed)
    frames = cv2.min(cv2.add(last.frames, 1), _MOST_FRAMES_MOVING if is_moving else _MOST_FRAMES)
    step = cv2.multiply(cv2.subtract(depth_m, last.depth), cv2.divide(1.0, frames))
    out: DepthMap = cv2.add(last.depth, step, mask=agrees)
    cv2.copyTo(last.depth, ~(agrees | begins), out)
    cv2.copyTo(depth_m, begins, out)
    last.frames = cv2.copyTo(frames, agrees, last.frames.copy())
    last.frames[begins.view(bool)] = 1
    last.depth = out
    return out


def _learn(noise: Plane, deviation: Plane, begins: Flags, changed: Flags) -> None:
    """Move the known noise, in place, towards the mean deviation around, of what stayed."""
    seen = np.minimum(_small(deviation, noise), 2 * noise)  # outliers teach little
    stayed = (changed == 0) & (_small(begins, noise) < 128)
    noise += np.float32(_LEARN) * (seen - noise) * stayed
