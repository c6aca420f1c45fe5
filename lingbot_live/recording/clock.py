"""Where frames lie in the time of a session file: nanoseconds since 1970."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from lingbot_live.frame import Frame

_REMEMBERED = 4096  # frames that a refiner may still answer to
_JUMP_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """``log_ns`` is arrival on the host; ``stamp_ns`` the device's clock moved to 1970."""

    log_ns: int
    stamp_ns: int


class CameraClock:
    """Gives every frame of a camera a log time of its own, by which it is found again."""

    def __init__(self) -> None:
        self.epoch_offset_ns = time.time_ns() - time.monotonic_ns()
        self._last_ns: dict[str, int] = {}
        self._device_offset_ns: dict[str, int] = {}
        self._moments: OrderedDict[tuple[str, int, int], Moment] = OrderedDict()

    def epoch_ns(self, monotonic_ns: int) -> int:
        """Return a time of the host's monotonic clock as nanoseconds since 1970."""
        return monotonic_ns + self.epoch_offset_ns

    def of_frame(self, camera: str, frame: Frame) -> Moment:
        """Return and remember a new frame's moment."""
        # Some systems' clocks tick every 15 ms: two frames may arrive at once.
        log_ns = max(self.epoch_ns(frame.timestamp_ns), self._last_ns.get(camera, 0) + 1)
        self._last_ns[camera] = log_ns
        moment = Moment(log_ns, self._stamp_ns(camera, frame, log_ns))
        self._moments[camera, frame.index, frame.timestamp_ns] = moment
        if len(self._moments) > _REMEMBERED:
            self._moments.popitem(last=False)
        return moment

    def of_earlier(self, camera: str, frame: Frame) -> Moment | None:
        """Return the moment given to a frame before; None if it was given none."""
        return self._moments.get((camera, frame.index, frame.timestamp_ns))

    def _stamp_ns(self, camera: str, frame: Frame, log_ns: int) -> int:
        device_ns = frame.device_timestamp_us * 1000
        offset_ns = self._device_offset_ns.setdefault(camera, log_ns - device_ns)
        # A device that was plugged in again, or a recording that loops, starts its clock anew.
        if abs(device_ns + offset_ns - log_ns) > _JUMP_NS:
            offset_ns = self._device_offset_ns[camera] = log_ns - device_ns
        return device_ns + offset_ns
