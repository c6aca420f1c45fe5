"""Which frames of two cameras are of one time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lingbot_live.calibration.timing import absolute_s
from lingbot_live.frame import Frame

_STALE_S = 0.1  # by which a frame may be older or newer where the others begin or end


class Pairing:
    """Finds another camera's frame that is nearest in time to each of one's; live, the next one.

    Absolute stamps are compared where both recordings have them; else recordings have no clock in
    common, and times count from the first frame of each. ``later_s`` says by how much later the
    other one stamps an event.
    """

    def __init__(
        self,
        others: Iterator[Frame],
        is_live: bool = False,
        later_s: Callable[[Frame, Frame], float] = lambda frame, other: 0.0,
    ) -> None:
        self._others, self._is_live, self._later_s = others, is_live, later_s
        self._near: Frame | None = None
        self._upcoming: Frame | None = None
        self._shift_s: float | None = None
        self._paired = False
        self.is_over = False  # the others have ended: none is near any later frame

    @property
    def missed(self) -> str:
        """Whose frames there were, none of which was near; empty where that is not so."""
        return "" if self._near is None or self._paired else self._near.camera

    def at(self, frame: Frame) -> Frame | None:
        """Return the other that is nearest to a frame, each later than the one before."""
        if self._near is None or self._is_live:
            self._near = self._upcoming = next(self._others, None)
        near = self._near
        if near is None:
            self.is_over = True
            return None
        if not self._is_live:
            near, late_s = self._nearest(frame, near)
            self.is_over = self._upcoming is None and late_s < -_STALE_S
            if self.is_over or late_s > _STALE_S:
                return None
        self._paired = True
        return near

    def _nearest(self, frame: Frame, near: Frame) -> tuple[Frame, float]:
        """Return the nearest from ``near`` on, and by how much it is too late."""
        if self._shift_s is None:
            self._shift_s = _shift_s(frame, near) + self._later_s(frame, near)
        due_s = stamp_s(frame) + self._shift_s
        upcoming = self._upcoming
        while upcoming is not None and abs(stamp_s(upcoming) - due_s) <= abs(stamp_s(near) - due_s):
            near, upcoming = upcoming, next(self._others, None)
        self._near, self._upcoming = near, upcoming
        return near, stamp_s(near) - due_s


def stamp_s(frame: Frame) -> float:
    """Return a frame's time in seconds by its device's clock."""
    return frame.device_timestamp_us / 1e6


def _shift_s(frame: Frame, other: Frame) -> float:
    """Return the other clock's reading less this one's, by the first frames of both."""
    if absolute_s(frame) is not None and absolute_s(other) is not None:
        return 0.0
    return stamp_s(other) - stamp_s(frame)
