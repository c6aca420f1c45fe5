"""When recorded frames are shown: as they were recorded, only pauses and long gaps are short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LONG_GAP_S = 5.0  # without a frame; nobody waits longer
SHORT_GAP_S = 0.5  # what is left of a longer one

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a recording without frames that playing passes over."""

    position_s: float  # of the last frame before it, in play
    length_s: float  # as recorded

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.length_s), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} without a frame"


class PlayTime:
    """Translates between recorded times and positions in play.

    A computer's clock that was set while it recorded makes gaps of hours and decades.
    Positions count from the first frame; each gap over `LONG_GAP_S`, and each pause that someone
    made, is `SHORT_GAP_S` of them.
    """

    def __init__(self, times_ns: Times, pauses_ns: Sequence[int] = ()) -> None:
        """``times_ns`` (N,), rising, are those of all frames; N > 0. Pauses began then."""
        steps_ns = np.diff(times_ns)
        is_gap = steps_ns > LONG_GAP_S * 1e9
        before = np.searchsorted(times_ns, np.array(pauses_ns, np.int64), "right") - 1
        paused = before[(before >= 0) & (before < len(steps_ns))]
        is_gap[paused] |= steps_ns[paused] > SHORT_GAP_S * 1e9
        last = np.flatnonzero(is_gap)  # frames before a gap
        left_out = np.cumsum(steps_ns[last] - round(SHORT_GAP_S * 1e9))
        self._left_out_ns = np.concatenate(([0], left_out)) + int(times_ns[0])
        self._firsts_ns = times_ns[np.concatenate(([0], last + 1))]  # of each stretch
        self._begins_ns = self._firsts_ns - self._left_out_ns  # the same in play
        self.length_ns = int(times_ns[-1] - self._left_out_ns[-1])
        self.gaps = tuple(
            Gap(self.position_ns(int(times_ns[i])) / 1e9, int(steps_ns[i]) / 1e9) for i in last
        )

    def position_ns(self, time_ns: int) -> int:
        """Return where a recorded time is in play; one within a gap is where the gap ends."""
        i = max(0, int(np.searchsorted(self._firsts_ns, time_ns, "right")) - 1)
        position_ns = time_ns - int(self._left_out_ns[i])
        return min(position_ns, int(self._begins_ns[i + 1])) if self._has(i + 1) else position_ns

    def time_ns(self, position_ns: float) -> int:
        """Return the recorded time at a position."""
        position_ns = round(position_ns)
        i = max(0, int(np.searchsorted(self._begins_ns, position_ns, "right")) - 1)
        return position_ns + int(self._left_out_ns[i])

    def _has(self, i: int) -> bool:
        return i < len(self._firsts_ns)
