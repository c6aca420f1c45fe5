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


class TimeOffset(NamedTuple):
    """An event carries a stamp that is ``offset_ms`` later at this camera than at the reference.

    ``confidence`` is the peak of the normalised correlation minus the highest other peak within
    half a second: near 1 for one clear match, near 0 for a still scene or a periodic motion.
    """

    offset_ms: float
    confidence: float


class MotionSeries:
    """How much one camera's picture changes from frame to frame."""

    def __init__(self) -> None:
        self._last: tuple[float, Floats] | None = None
        self._times_s: list[float] = []
        self._amounts: list[float] = []

    def add(self, frame: Frame) -> None:
        """Take the next frame: the mean change of a small grey picture per second. 0.3 ms."""
        import cv2

        height = max(1, round(_WIDTH_PX * frame.color.shape[0] / frame.color.shape[1]))
        small = cv2.resize(frame.color, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        gray = small.astype(np.float64).mean(-1)
        now_s = frame.timestamp_ns / 1e9
        if self._last is not None and now_s > self._last[0]:
            before_s, before = self._last
            self.add_change(
                (before_s + now_s) / 2, np.abs(gray - before).mean() / (now_s - before_s)
            )
        self._last = (now_s, gray)

    def add_change(self, time_s: float, amount: float) -> None:
        """Take a change that happened about ``time_s``, for those who measure it themselves."""
        self._times_s.append(time_s)
        self._amounts.append(float(amount))

    def copy(self) -> MotionSeries:
        """Return the series so far, which later frames leave alone."""
        out = MotionSeries()
        out._times_s, out._amounts = list(self._times_s), list(self._amounts)
        return out

    @property
    def times_s(self) -> Floats:
        """The middle between two frames, (N,)."""
        return np.array(self._times_s)

    @property
    def amounts(self) -> Floats:
        """The change per second, (N,)."""
        return np.array(self._amounts)


def time_offset(
    reference: MotionSeries, camera: MotionSeries, most_s: float = MOST_S
) -> TimeOffset:
    """Return the shift at which the two series correlate best.

    Both are brought to steps of 2 ms, cleared of changes slower than 1.5 s, and compared by
    Pearson's correlation at every shift up to ``most_s``; a parabola through the peak gives parts
    of a step.

    Raises:
        CalibrationError: the series overlap for less than 3 s.
    """
    grid = _common_grid(reference, camera, most_s)
    a = _clean(np.interp(grid, reference.times_s, reference.amounts))
    b = _clean(np.interp(grid, camera.times_s, camera.amounts))
    most = round(most_s / _STEP_S)
    middle = a[most:-most]
    scores = np.array([_correlation(middle, b[n : n + len(middle)]) for n in range(2 * most + 1)])
    best = int(scores.argmax())
    return TimeOffset(1000 * _STEP_S * (_peak(scores, best) - most), _confidence(scores, best))


def _common_grid(reference: MotionSeries, camera: MotionSeries, most_s: float) -> Floats:
    starts, ends = ([s.times_s[n] if len(s.times_s) else 0.0 for s in (reference, camera)]
                    for n in (0, -1))  # fmt: skip
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
