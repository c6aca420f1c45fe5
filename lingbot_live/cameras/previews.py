"""Small pictures of a recording's frames, kept as they pass by."""

from __future__ import annotations

import threading

import numpy as np

from lingbot_live.cameras.playback import Preview

WIDTH_PX = 160
_PLACES = 128  # along the whole recording


def shrink(color: Preview) -> Preview:
    """Return every n-th pixel of a picture, so that it is about `WIDTH_PX` wide."""
    step = max(1, round(color.shape[1] / WIDTH_PX))
    return np.ascontiguousarray(color[::step, ::step])


class Previews:
    """Keeps one small picture for each of `_PLACES` stretches of a recording; any thread."""

    def __init__(self, duration_s: float) -> None:
        self._stretch_s = max(duration_s / _PLACES, 1e-3)
        self._kept: dict[int, Preview] = {}
        self._lock = threading.Lock()

    def note(self, position_s: float, color: Preview) -> None:
        """Keep a frame that was shown, if its stretch has none yet."""
        place = round(position_s / self._stretch_s)
        if place not in self._kept:
            with self._lock:
                self._kept[place] = shrink(color)

    def near(self, position_s: float) -> Preview | None:
        """Return the picture nearest to a time, None if none was kept within two stretches."""
        place = round(position_s / self._stretch_s)
        with self._lock:
            found = [self._kept.get(place + off) for off in (0, -1, 1, -2, 2)]
        return next((picture for picture in found if picture is not None), None)
