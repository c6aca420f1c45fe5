"""Orbbec recordings: ``.bag`` files played through the SDK."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from drivers.common.profiles import choose
from drivers.common.recording import existing_file, is_sound, probe
from drivers.orbbec import data
from drivers.orbbec.camera import WAIT_MS, OrbbecCamera
from drivers.orbbec.imu import RecordedMotion
from drivers.orbbec.sdk import SDK_LOG, context, sdk
from lingbot_live.cameras.base import CameraInfo, Capture
from lingbot_live.cameras.pace import Pace
from lingbot_live.config import CameraConfig
from lingbot_live.errors import EndOfStreamError
from lingbot_live.system.held import Held

log = logging.getLogger(__name__)

SUFFIXES = (".bag",)
_STUCK_S = 0.4  # without a frame while it should play
_MOST_NUDGES = 5
_PAIRING_MS = 50  # how long the last frames of a recording may still be on their way
_RATE = 4.0  # of the SDK's playback; how fast frames are shown is decided here
_EARLY_US = 70_000  # before a place to go to: the SDK pairs what comes around it


class OrbbecRecording(OrbbecCamera):
    """A recording. `Pace` decides when a frame is shown.

    The SDK plays by a clock of its own and drops frames that are not fetched in time. Its playback
    therefore stands still between reads; a frame that standing still costs is brought back by a
    seek.
    """

    _pace = Held[Pace[Any]]()
    _motion = Held[RecordedMotion]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._streams: Any = None
        self._is_paused = False
        self._span = data.Span(0, 0, 0)
        self._period_us = 0
        self._last = (0, 0)  # number and stamp of the last frame handed out
        self._retried: tuple[int, int] | None = None  # the one after which some were missing
        self._moved_s = 0.0  # when a frame came last, or playback was set going
        self._nudges = 0  # since then

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "orbbec", SUFFIXES)
        bag = data.check_bag(path)
        if not is_sound("orbbec", path):
            bag.check_packing()
            data.check_records(path)
        self._span, self._motion = data.span(bag), RecordedMotion(bag)
        ob = self._ob = sdk()
        probe("orbbec", path, SDK_LOG)
        context()
        with data.explained(ob, self.info.address):
            self._device = ob.PlaybackDevice(str(path))
            self._identify()
            self._pipeline = ob.Pipeline(self._device)
            self.info = replace(self.info, profiles=tuple(data.profiles(ob, self._pipeline)))
            color, _ = choose(self.info.address, self.info.profiles, self.config)
            self._streams = ob.Config()
            for sensor in (ob.OBSensorType.COLOR_SENSOR, ob.OBSensorType.DEPTH_SENSOR):
                self._streams.enable_stream(sensor)
            for sensor in data.infrared_sensors(ob, self._device) if self.config.extras else ():
                self._streams.enable_stream(sensor)
            self._device.set_playback_rate(_RATE)
            self._play()
        self._period_us = round(1e6 / max(color.fps, 1))
        # Not the SDK's, which counts inertial readings before and after the images.
        duration_s = (self._span.last_us - self._span.first_us) / 1e6
        self.playback = self._pace = Pace(self, self, duration_s, self._period_us / 1e6)

    def _cam_read(self, timeout_s: float) -> Capture | None:
        return self._pace.read(timeout_s)

    def _cam_close(self) -> None:
        self.playback = self._pace = None
        motion, self._motion = type(self)._motion.peek(self), None
        if motion is not None:
            motion.close()
        super()._cam_close()

    # ---- what the pace asks for ----------------------------------------------------------------

    def play_fetch(self, timeout_s: float) -> tuple[float, Any] | None:
        """Return the next frame set and its time."""
        with data.explained(self._ob, self.info.address):
            frames = self._wait(max(1, min(round(timeout_s * 1000), WAIT_MS)))
        return None if frames is None else ((self._last[1] - self._span.first_us) / 1e6, frames)

    def play_show(self, item: Any) -> Capture | None:
        """Register and copy a frame set, with the inertial readings since the one before."""
        _, stamp_us = _stamped(item)
        is_last = stamp_us >= self._span.last_us
        self._imu.extend(self._motion.until() if is_last else self._motion.until(stamp_us))
        with data.explained(self._ob, self.info.address):
            return self._capture(item)

    def play_seek(self, position_s: float) -> None:
        """Go on at a time, from a new start if the file is at its end or is to begin again."""
        stamp_us = self._span.first_us + round(position_s * 1e6)
        with data.explained(self._ob, self.info.address):
            if position_s <= 0 or self._has_stopped():
                self._pipeline.stop()
                self._play()
            if position_s > 0:
                self._jump(stamp_us)
        self._imu.clear()
        self._motion.seek(stamp_us - self._period_us + 1 if position_s > 0 else 0)

    # ---- the SDK -------------------------------------------------------------------------------

    def _play(self) -> None:
        """Start at the first frame; a plain start may lose it."""
        self._last, self._retried = (0, 0), None
        self._is_paused, self._moved_s = False, time.monotonic()
        self._device.pause()
        self._pipeline.start(self._streams)
        if self._span.first_us - self._span.zero_us > _EARLY_US:
            self._seek(self._span.first_us)  # past inertial readings that came before the images
        self._device.resume()

    def _jump(self, stamp_us: int) -> None:
        self._last, self._retried = (0, 0), None
        self._go_on(stamp_us - _EARLY_US)

    def _go_on(self, stamp_us: int) -> None:
        """Play from a time in the file, whatever is under way."""
        self._pause()
        self._drain()
        self._seek(stamp_us)
        self._device.resume()
        self._is_paused, self._moved_s = False, time.monotonic()

    def _wait(self, timeout_ms: int) -> Any:
        deadline = time.monotonic() + timeout_ms / 1000
        while time.monotonic() < deadline:
            frames = self._pipeline.wait_for_frames(1 if self._is_paused else timeout_ms)
            if frames is None and self._has_shown_last():
                raise EndOfStreamError(f"{self.info.address}: the recording is over")
            if frames is None and self._is_paused:
                self._seek(self._last[1])
                self._device.resume()
                self._is_paused = False
            elif frames is None:
                return self._at_end()
            elif self._is_new(frames):
                return frames
        return None

    def _is_new(self, frames: Any) -> bool:
        """Note where playback stands; False for a frame that a seek brings up again."""
        number, stamp_us = _stamped(frames)
        if number <= self._last[0]:
            return False
        self._pause()
        is_whole = frames.get_color_frame() and frames.get_depth_frame()
        follows = self._last[0] in (0, number - 1)
        if not (follows and is_whole) and self._retried != self._last:
            self._retried = self._last  # once: it may be so in the file
            self._drain()
            return False
        self._last = (number, stamp_us)
        self._moved_s, self._nudges = time.monotonic(), 0
        return True

    def _pause(self) -> None:
        if not self._is_paused:
            self._device.pause()
            self._is_paused = True

    def _drain(self) -> None:
        while self._pipeline.wait_for_frames(1) is not None:
            pass

    def _at_end(self) -> Any:
        """Having waited in vain: nothing yet, the last frames, or the end."""
        # A new pass still tells the end of the one before.
        if self._has_stopped() and self._last[0]:
            frames = self._pipeline.wait_for_frames(_PAIRING_MS)
            if frames is None:
                raise EndOfStreamError(f"{self.info.address}: the recording is over")
            return frames if self._is_new(frames) else None
        if time.monotonic() - self._moved_s > _STUCK_S:
            self._nudge()
        return None

    def _nudge(self) -> None:
        """Set playback going that got stuck, as it does at times after a seek near the end."""
        self._nudges += 1
        if self._nudges > _MOST_NUDGES:
            self._nudges = 0
            raise EndOfStreamError(f"{self.info.address}: the SDK does not play on from here")
        log.debug("%s: stuck after frame %d", self.info.address, self._last[0])
        if self._last[0]:
            self._go_on(self._last[1] - self._nudges * _EARLY_US)
        else:
            self._pipeline.stop()
            self._play()

    def _seek(self, stamp_us: int) -> None:
        self._device.seek(max(0, stamp_us - self._span.zero_us) // 1000)

    def _has_stopped(self) -> bool:
        status = self._device.get_playback_status()
        return bool(status == self._ob.OBPlaybackStatus.STOPPED)

    def _has_shown_last(self) -> bool:
        """Known before the status says so, which after a seek near the end it never does."""
        return self._last[1] >= self._span.last_us - 1000


def _stamped(frames: Any) -> tuple[int, int]:
    """Return the number and the time (us) of a frame set."""
    one = frames.get_depth_frame() or frames.get_color_frame()
    return one.get_index(), one.get_timestamp_us()
