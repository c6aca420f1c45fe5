"""A recording read to its end, frame by frame, without haste."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadFrameError,
    CameraTimeoutError,
    EndOfStreamError,
    LingbotLiveError,
)
from lingbot_live.frame import Frame

log = logging.getLogger(__name__)

OFFLINE = CameraConfig(loop=False, realtime=False)
_PATIENCE_S, _WAIT_S = 10.0, 0.2  # in all, and at a time
_LEAST_US = 1000  # between two frames
_RENDER_S = 60.0  # a simulated camera may first have to render


def readings(camera: Camera) -> Iterator[Frame | LingbotLiveError]:
    """Yield every frame of an open camera until its recording ends.

    What cannot be read comes as its error in the frame's place; the last is one that the camera
    does not get past.
    """
    patience_s = _RENDER_S if camera.info.is_simulated else _PATIENCE_S
    last = ""
    while True:
        try:
            frame = _read(camera, patience_s)
        except EndOfStreamError:
            return
        except LingbotLiveError as error:
            if str(error) == last:
                return
            last = str(error)
            yield error
        else:
            last = ""
            yield frame


def every_frame(camera: Camera) -> Iterator[Frame]:
    """Yield every frame of an open camera; one that is damaged is passed over.

    Raises what else `readings` would hand out.
    """
    for reading in readings(camera):
        if isinstance(reading, BadFrameError):
            log.warning("%s", reading)
            continue
        if isinstance(reading, LingbotLiveError):
            raise reading
        yield reading


def frame_count(camera: Camera) -> int | None:
    """Return how many frames an open recording has, as far as is known; None where it is not."""
    if camera.info.recorded is not None:
        return camera.info.recorded.frames
    return None if camera.playback is None else camera.playback.frames


class DeviceClock:
    """The device's clock, kept rising where it was set anew in the middle of a recording."""

    def __init__(self) -> None:
        self._shift_us = 0
        self._last_us: int | None = None

    def rising_s(self, frame: Frame) -> float:
        """Return a frame's time in seconds, later than that of the frame before."""
        now_us = frame.device_timestamp_us + self._shift_us
        if self._last_us is not None and now_us <= self._last_us:
            self._shift_us += self._last_us + _LEAST_US - now_us
            now_us = self._last_us + _LEAST_US
        self._last_us = now_us
        return now_us / 1e6


def _read(camera: Camera, timeout_s: float) -> Frame:
    left_s = timeout_s
    while True:
        begun_s = time.monotonic()
        try:
            return camera.read(_WAIT_S)
        except CameraTimeoutError:
            # No more than that: a process that was stopped, as by Ctrl-Z, has not waited.
            left_s -= min(time.monotonic() - begun_s, 5 * _WAIT_S)
            if left_s <= 0:
                raise
