"""Play a recording at its own pace, whatever pace its SDK reads it at."""

from __future__ import annotations

import time

_MOST_OFF_S = 2.0


class StampPacer:
    """Holds each frame back until its device stamp is due.

    A reader that was late catches up. After a jump of more than two seconds either way (a stalled
    reader, a gap in the recording, a new pass) the clock starts anew.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None  # host clock minus device clock
        self._last_s = 0.0

    def wait(self, stamp_s: float, timeout_s: float) -> bool:
        """Sleep until ``stamp_s`` is due; False if that is later than ``timeout_s`` from now."""
        now = time.monotonic()
        back = stamp_s < self._last_s
        self._last_s = stamp_s
        if self._offset_s is None or back or abs(stamp_s + self._offset_s - now) > _MOST_OFF_S:
            self._offset_s = now - stamp_s
        ahead_s = stamp_s + self._offset_s - now
        time.sleep(min(max(ahead_s, 0.0), timeout_s))
        return ahead_s <= timeout_s
