"""By how much two cameras' clocks differ, from what moves before both of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CalibrationError
from lingbot_live.frame import Frame

Floats = npt.NDArray[np.float64]

MOST_S = 0.5  # the largest offset that is looked for
TRUSTED = 0.2  # confidence from which on an offset means something
_STEP_S = 0.002
_LEAST_S = 3.0
_SLOW_S = 1.5  # slower changes than this are light and exposure, not motion
_WIDTH_PX = 80
_EPOCH_US, _EPOCH_END_US = 946_684_800_000_000, 4_102_444_800_000_000  # years 2000 to 2100


def absolute_s(frame: Frame) -> float | None:
    """Return when a frame was taken, seconds since 1970; None where its clock began elsewhere.

    Cameras that follow their host's clock, and other programs' recordings, have such stamps; they
    stay comparable between recordings, and do not depend on when a recording is played.
    """
    us = frame.device_timestamp_us
    return us / 1e6 if _EPOCH_US < us < _EPOCH_END_US else None


class TimeOffset(NamedTuple):
    """An event carries a stamp that is ``offset_ms`` later at this camera than at the reference.

    ``confidence`` is the peak of the normalised correlation minus the highest other peak within
    half a second: near 1 for one clear match, near 0 for a still scene or a periodic motion.
    """

    offset_ms: float
    confidence: float


class MotionSeries:
    """How much one camera's picture changes from frame to frame.

    By the time of arrival, and by absolute stamps (`absolute_s`) where every frame has one.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float, Floats] | None = None
        self._times_s: list[float] = []
        self._absolute_s: list[float] = []  # nan where a frame has none
        self._amounts: list[float] = []

    def add(self, frame: Frame) -> None:
        """Take the next frame: the mean change of a small grey picture per second. 0.3 ms."""
        import cv2

        height = max(1, round(_WIDTH_PX * frame.color.shape[0] / frame.color.shape[1]))
        small = cv2.resize(frame.color, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        gray = small.astype(np.float64).mean(-1)
        known_s = absolute_s(frame)
        stamp_s = np.nan if known_s is None else known_s
        now_s = frame.timestamp_ns / 1e9
        if self._last is not None and now_s > self._last[0]:
            before_s, stamp_before_s, before = self._last
            by_stamp_s = stamp_s - stamp_before_s
            taken_s = now_s - before_s if np.isnan(by_stamp_s) else by_stamp_s
            if taken_s > 0:
                self._times_s.append((before_s + now_s) / 2)
                self._absolute_s.append((stamp_before_s + stamp_s) / 2)
                self._amounts.append(float(np.abs(gray - before).mean() / taken_s))
        self._last = (now_s, stamp_s, gray)

    def copy(self) -> MotionSeries:
        """Return the series so far, which later frames leave alone."""
        out = MotionSeries()
        out._times_s, out._amounts = list(self._times_s), list(self._amounts)
        out._absolute_s = list(self._absolute_s)
        return out

    @property
    def is_absolute(self) -> bool:
        """Whether every change has an absolute time, and they rise."""
        return len(self._absolute_s) > 0 and bool(np.all(np.diff(self._absolute_s) > 0))

    def times_s(self, *, absolute: bool) -> Floats:
        """The middle between two frames, (N,), by absolute stamps or by arrival."""
        return np.array(self._absolute_s if absolute else self._times_s)

    @property
    def amounts(self) -> Floats:
        """The change per second, (N,)."""
        return np.array(self._amounts)


def time_offset(
    reference: MotionSeries, camera: MotionSeries, most_s: float = MOST_S
) -> TimeOffset:
    """Return the shift at which the two series correlate best.

    By absolute stamps if both have them, so that recordings may be played at any time; else by
    arrival. Both are brought to steps of 2 ms, cleared of changes slower than 1.5 s, and compared
    by Pearson's correlation at every shift up to ``most_s``; a parabola through the peak gives
    parts of a step.

    Raises:
        CalibrationError: the series overlap for less than 3 s.
    """
    absolute = reference.is_absolute and camera.is_absolute
    times = [series.times_s(absolute=absolute) for series in (reference, camera)]
    grid = _common_grid(times[0], times[1], most_s)
    a = _clean(np.interp(grid, times[0], reference.amounts))
    b = _clean(np.interp(grid, times[1], camera.amounts))
    most = round(most_s / _STEP_S)
    middle = a[most:-most]
    scores = np.array([_correlation(middle, b[n : n + len(middle)]) for n in range(2 * most + 1)])
    best = int(scores.argmax())
    return TimeOffset(1000 * _STEP_S * (_peak(scores, best) - most), _confidence(scores, best))


def _common_grid(reference_s: Floats, camera_s: Floats, most_s: float) -> Floats:
    starts, ends = ([t[n] if len(t) else 0.0 for t in (reference_s, camera_s)] for n in (0, -1))
    begin_s, end_s = max(starts), min(ends)
    if end_s - begin_s < _LEAST_S + 2 * most_s:
        raise CalibrationError(
            f"time offset: both cameras were seen for {max(0.0, end_s - begin_s):.1f} s together; "
            f"at least {_LEAST_S + 2 * most_s:.0f} s are needed, with something moving before both"
        )
    return np.arange(begin_s, end_s, _STEP_S)


def _clean(values: Floats) -> Floats:
    import cv2

    row = values[None]
    slow = cv2.GaussianBlur(row, (0, 0), _SLOW_S / _STEP_S / 2, borderType=cv2.BORDER_REPLICATE)
    return np.asarray((row - slow)[0])


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _peak(scores: Floats, best: int) -> float:
    """Return where a parabola through the best score and its neighbours is highest."""
    if not 0 < best < len(scores) - 1:
        return float(best)
    before, at, after = scores[best - 1 : best + 2]
    bend = before - 2 * at + after
    return best + float((before - after) / (2 * bend)) if bend < 0 else float(best)


def _confidence(scores: Floats, best: int) -> float:
    inner = scores[1:-1]
    is_peak = (inner > scores[:-2]) & (inner >= scores[2:])
    others = [float(inner[n]) for n in np.flatnonzero(is_peak) if n + 1 != best]
    return float(np.clip(scores[best] - max([0.0, *others]), 0, 1))
