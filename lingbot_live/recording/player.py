"""One camera of a session file, played as if it were attached."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.cameras.clock import REPEAT_S
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CorruptRecordingError,
    EndOfStreamError,
    RecordingError,
    SessionStateError,
)
from lingbot_live.frame import Frame, RecordedDepth
from lingbot_live.recording.playback import Playback, Position
from lingbot_live.recording.tracks import Track

log = logging.getLogger(__name__)


class Player(Camera):
    """Plays a track in step with the other cameras of its file.

    With ``config.realtime`` the shared `playback` clock decides, and frames whose time has passed
    are left out (``missed["late"]``); without it every frame comes as fast as it is read. Without
    ``config.hold`` as well it is alone with the file, whoever else plays it.
    `missed` also counts ``damaged`` frames. `playback` is None while the player is closed.
    """

    def __init__(self, path: Path, camera: str, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self.playback: Playback | None = None
        self._path, self._camera = path, camera
        self._track: Track | None = None
        self._next = 0
        self._serial = 0
        self._shown_s = 0.0

    def _cam_open(self) -> None:
        try:
            is_steered = self.config.realtime or self.config.hold
            self.playback = Playback.for_file(self._path, self._camera, shared=is_steered)
            self._track = self.playback.recording.track(self._camera)
        except RecordingError as error:
            raise BadRecordingError(str(error)) from error
        for remark in self._track.remarks:
            log.warning("%s: %s", self.info.address, remark)
        self.playback.loop = self.config.loop
        self._next = 0
        self._serial = self.playback.position().serial

    def _cam_close(self) -> None:
        if self.playback is not None:
            self.playback.release()
        self.playback = self._track = None

    def _cam_read(self, timeout_s: float) -> Capture | None:
        if self.playback is None or self._track is None:
            raise SessionStateError(f"{self.info.address}: it is not open")
        if not self.config.realtime:
            return self._read_next(self.playback, self._track, timeout_s)
        return self._read_due(self.playback, self._track, timeout_s)

    # ---- every frame -------------------------------------------------------------------------

    def _read_next(self, playback: Playback, track: Track, timeout_s: float) -> Capture | None:
        position = playback.position()
        if position.is_paused or position.serial != self._serial:
            return self._read_due(playback, track, timeout_s)
        deadline_s = time.monotonic() + timeout_s
        for _ in range(len(track)):
            if self._next >= len(track):
                if playback.loop:
                    self._next = 0
                elif self.config.hold and self._next:
                    playback.hold_end(reached=True)
                    return None
                else:
                    break
            self._next += 1
            capture = self._capture(track, self._next - 1)
            if capture is not None:
                playback.follow(track, self._next - 1)
                return capture
            if time.monotonic() > deadline_s:  # a long damaged stretch is not waited for
                return None
        raise EndOfStreamError(f"{self.info.address}: the recording is over")

    # ---- in pace -----------------------------------------------------------------------------

    def _read_due(self, playback: Playback, track: Track, timeout_s: float) -> Capture | None:
        playback.start()
        deadline_s = time.monotonic() + timeout_s
        while True:
            position = playback.position()
            index = self._due(track, position)
            if index is not None:
                capture = self._capture(track, index)
                if capture is not None:
                    return capture
                if time.monotonic() > deadline_s:
                    return None
                continue
            if position.is_over and self._next >= len(track):
                if self.config.hold:
                    playback.hold_end()
                    continue
                raise EndOfStreamError(f"{self.info.address}: the recording is over")
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            has_next = self._next < len(track) and not position.is_paused
            until_ns = int(track.times_ns[self._next]) if has_next else position.time_ns + 10**9
            playback.wait(until_ns, position.serial, min(left_s, REPEAT_S / 2))

    def _due(self, track: Track, position: Position) -> int | None:
        """Return the frame to show now; None if that was the last one shown."""
        now = track.index_at(position.time_ns)
        if position.serial != self._serial:
            self._serial = position.serial
            return self._show(now)
        if position.is_paused:
            # Not `now`: what is held is what was shown when the pause came.
            held = max(self._next - 1, 0)
            again = self._next == 0 or time.monotonic() - self._shown_s >= REPEAT_S
            return self._show(held) if again else None
        if now < self._next or position.time_ns < int(track.times_ns[0]):
            return None
        self.missed["late"] += now - self._next
        return self._show(now)

    def _show(self, index: int) -> int:
        self._next = index + 1
        self._shown_s = time.monotonic()
        return index

    # ---- both --------------------------------------------------------------------------------

    def _capture(self, track: Track, index: int) -> Capture | None:
        """Return a frame as a capture of now; None, and counted, if it is damaged."""
        try:
            frame = track.frame(index, extras=self.config.extras)
        except CorruptRecordingError:
            self.missed["damaged"] += 1
            return None
        self._imu.extend(frame.imu)
        return Capture(
            color=frame.color,
            depth_raw=frame.depth_raw,
            depth_scale_m=frame.depth_scale_m,
            calibration=frame.calibration,
            arrival_ns=time.monotonic_ns(),
            device_timestamp_us=frame.device_timestamp_us,
            alignment=frame.alignment,
            label=frame.label,
            recorded=_recorded(track, index, frame),
            out_of_range=frame.out_of_range,
            extras=frame.extras,
        )


def _recorded(track: Track, index: int, frame: Frame) -> RecordedDepth | None:
    try:
        refined = track.refined_of(frame, index)
    except CorruptRecordingError as error:  # the frame itself is whole
        log.info("%s: refined depth of frame %d passed over: %s", track.name, index, error)
        return None
    if refined is None:
        return None
    return RecordedDepth(refined.depth_m, refined.mask, refined.refiner, refined.trust)
