"""What live Azure Kinects and recordings share: the SDK, and true pairs out of its captures."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import sys
import threading
import time
from typing import Any

import numpy as np

from drivers.common.pixels import prepare, to_rgb
from drivers.common.sdk import import_sdk
from drivers.common.sdk_log import RoutedCamera, SdkLog
from drivers.kinect import data
from lingbot_live.cameras.base import CameraInfo, Capture, StreamProfile
from lingbot_live.config import CameraConfig, cache_folder
from lingbot_live.frame import DEPTH_NATIVE, Alignment, Calibration
from lingbot_live.registration import LiveRegistration
from lingbot_live.system.held import Held

log = logging.getLogger(__name__)

_MANY = 1 << 30  # more than years of frames take
_FILES = {  # of its library for cameras and that for recordings
    "K4A_ENABLE_LOG_TO_A_FILE": "k4a.log",
    "K4A_RECORD_ENABLE_LOG_TO_A_FILE": "k4arecord.log",
}
SDK_LOG = SdkLog(
    "kinect",
    [*_FILES.values()],
    # Without the folders of the machine that built it, after which comes "usb.c (12): ...".
    head=r"\[[^]]*\] \[(?P<level>\w+)\] \[t=\d+\] (?:\S*[/\\](?=\S+ \(\d+\): ))?(?P<text>.*)",
    harmless="No devices found",  # at each look for cameras
)
_lock = threading.Lock()
_is_set_up = False


def sdk() -> Any:
    """Return pyk4a, its messages routed into our log.

    Raises:
        DriverUnavailableError: it cannot be imported.
    """
    global _is_set_up
    k4a = import_sdk("pyk4a", "kinect")
    with _lock:
        if not _is_set_up:
            # Each library looks here when it has something to say for the first time.
            folder = SDK_LOG.folder()
            os.environ.update((variable, str(folder / name)) for variable, name in _FILES.items())
            os.environ["K4A_LOG_LEVEL"] = "i" if SDK_LOG.is_wordy else "w"
            atexit.register(_silence)
            _keep_none()
            _is_set_up = True
    return k4a


def _keep_none() -> None:
    """Make None last.

    pyk4a 1.5 gives away a reference to None that it does not own for every image that a capture
    lacks and every end of a file. Before Python 3.12, where None counts none, an application holds
    some ten thousand; with the last one Python aborts.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += _MANY  # an object begins with its count


def _silence() -> None:
    """Libraries that had nothing to say look when they are unloaded; the folder is gone then."""
    os.environ["K4A_ENABLE_LOG_TO_STDOUT"] = "0"
    for variable in _FILES:
        os.environ.pop(variable, None)


class KinectCamera(RoutedCamera):
    """What live cameras and recordings share: captures in, registered and checked pairs out."""

    _sdk_log = SDK_LOG

    _color = Held[StreamProfile]()
    _first_us = Held[int]()
    _calibration = Held[Calibration]()
    _registration = Held[LiveRegistration]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._lock = threading.Lock()
        self._k4a: Any = None

    def _calibrate(self, source: Any, color: StreamProfile, depth: StreamProfile) -> None:
        prepare()
        self._color = color
        found = data.calibration(self._k4a, source, color, depth)
        own, T_color_depth = found.before_alignment
        self._registration = LiveRegistration(
            own, found.color, T_color_depth, keep_values=False, cache=cache_folder()
        )
        self._calibration = found

    def _number(self, stamp_us: int) -> int:
        """Return the number of a capture, counted from the clock: the device has none."""
        if type(self)._first_us.peek(self) is None:
            self._first_us = stamp_us
        return round((stamp_us - self._first_us) * self._color.fps / 1e6)

    def _capture(self, capture: Any) -> Capture | None:
        """Return an aligned copy of a capture, or None (counted) if it is no true pair."""
        arrival_ns = time.monotonic_ns()
        with self._lock:
            color, depth = capture.color, capture.depth
            infrared = capture.ir if self.config.extras else None
            stamps = [
                stamp
                for image, stamp in ((depth, "depth"), (color, "color"))
                if image is not None
                for stamp in [getattr(capture, f"{stamp}_timestamp_usec")]
            ]
        if not stamps:  # infrared alone
            self.missed["incomplete"] += 1
            return None
        number = self._number(stamps[0])
        if len(stamps) < 2:
            return self._skipped("incomplete", number)
        if abs(stamps[0] - stamps[1]) > 500_000 / self._color.fps:
            return self._skipped("mispaired", number)
        rgb = to_rgb(color, self._color.format, self._color.width, self._color.height)
        if rgb is None:
            return self._skipped("damaged", number)
        extras = {}
        if self.config.extras:
            extras[DEPTH_NATIVE] = np.array(depth, np.uint16)
        if infrared is not None:
            extras["infrared"] = np.array(infrared, np.uint16)
        return Capture(
            color=rgb,
            depth_raw=self._registration(depth, data.DEPTH_SCALE_M),
            depth_scale_m=data.DEPTH_SCALE_M,
            calibration=self._calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamps[0],
            device_index=number,
            alignment=Alignment.OWN,
            extras=extras,
        )

    def _skipped(self, cause: str, number: int) -> Capture | None:
        """Count a capture once, under its own cause and not as a gap."""
        self.missed[cause] += 1
        self._count_gap(number)
        return None

    def _cam_close(self) -> None:
        self._calibration = self._registration = self._first_us = None
