"""Azure Kinect recordings: ``.mkv`` files read through the SDK."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.common.profiles import choose
from drivers.common.recording import existing_file, probe
from drivers.kinect import data
from drivers.kinect.camera import SDK_LOG, KinectCamera, sdk
from lingbot_live.cameras.base import CameraInfo, Capture
from lingbot_live.cameras.pace import Pace
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, ConfigError, EndOfStreamError
from lingbot_live.frame import ImuSample
from lingbot_live.system.held import Held

SUFFIXES = (".mkv",)


class KinectRecording(KinectCamera):
    """A recording. The SDK reads as fast as it is asked; `Pace` decides when a frame is shown."""

    _pace = Held[Pace[Any]]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._path = Path()
        self._file: Any = None
        self._has_imu = False
        self._next_imu: ImuSample | None = None  # read, but later than the last capture

    def _cam_open(self) -> None:
        path = self._path = existing_file(self.info.target, "kinect", SUFFIXES)
        data.check_matroska(path)
        self._k4a = sdk()
        probe("kinect", path, SDK_LOG)
        self._open_file()
        self._describe(path)
        self._first_us, last_us = self._span()
        self._rewind(0)
        duration_s = (last_us - self._first_us) / 1e6
        self.playback = self._pace = Pace(self, self, duration_s, 1 / self._color.fps)

    def _describe(self, path: Path) -> None:
        profiles = {p.stream: p for p in data.recorded(self._file.configuration)}
        if len(profiles) < 2:
            raise BadRecordingError(f"{path}: it needs colour and depth; has {[*profiles]}")
        if not profiles["color"].format:
            raise BadRecordingError(f"{path}: its colour format is not known; record MJPG")
        try:
            self._calibrate(self._file.calibration, profiles["color"], profiles["depth"])
        except (self._k4a.K4AException, ValueError, ConfigError) as error:
            raise BadRecordingError(
                f"{path}: it holds no usable calibration ({error!r}); record it again"
            ) from error
        self._has_imu = bool(self._file.configuration["imu_track_enabled"])
        self.info = replace(
            self.info,
            name="Azure Kinect",
            serial=data.serial(self._file.calibration_raw),
            profiles=tuple(profiles.values()),
        )
        choose(self.info.address, self.info.profiles, self.config)  # refuses another size

    def _span(self) -> tuple[int, int]:
        """Return the stamps of the first and the last capture."""
        try:
            first_us = self._next_stamped()[1]
            self._open_file()
            with self._lock:
                self._file.seek(0, self._k4a.SeekOrigin.END)
            while True:
                with self._lock:
                    stamp_us = _stamp_us(self._file.get_previous_capture())
                if stamp_us is not None:
                    return first_us, stamp_us
        except EOFError as error:
            raise BadRecordingError(f"{self.info.target}: no colour and depth in it") from error
        except self._k4a.K4AException as error:
            raise self._damaged() from error

    def _damaged(self) -> BadRecordingError:
        return BadRecordingError(f"{self.info.target}: damaged from here on; copy the file again")

    # ---- what the pace asks for ----------------------------------------------------------------

    def _cam_read(self, timeout_s: float) -> Capture | None:
        return self._pace.read(timeout_s)

    def play_fetch(self, timeout_s: float) -> tuple[float, Any]:
        """Return the next capture and its time."""
        try:
            got, stamp_us = self._next_stamped()
            self._take_imu(stamp_us)
        except EOFError as error:
            raise EndOfStreamError(f"{self.info.address}: the recording is over") from error
        except self._k4a.K4AException as error:
            raise self._damaged() from error
        return (stamp_us - self._first_us) / 1e6, got

    def play_show(self, item: Any) -> Capture | None:
        """Decode and register a capture."""
        return self._capture(item)

    def play_seek(self, position_s: float) -> None:
        """Go on at a time."""
        self._imu.clear()
        self._rewind(position_s)

    def count_images(self) -> dict[str, int]:
        """Return how many images it holds by stream, reading but not decoding all."""
        self._rewind(0)
        counts = Counter({"color": 0, "depth": 0, "imu": 0})
        try:
            while True:
                got, _ = self._next_stamped()
                counts["color"] += got.color is not None
                counts["depth"] += got.depth is not None
        except EOFError:
            self._rewind(0)
            counts["imu"] = self._count_imu()
            return dict(counts)
        except self._k4a.K4AException as error:
            raise self._damaged() from error

    def _count_imu(self) -> int:
        count = 0
        try:
            while self._has_imu:
                with self._lock:
                    self._file.get_next_imu_sample()
                count += 1
        except EOFError:
            pass
        return count

    # ---- the SDK -------------------------------------------------------------------------------

    def _rewind(self, position_s: float) -> None:
        """Read on from a time, 0 for all that the file holds."""
        self._open_file()
        if position_s > 0:
            with self._lock:
                stamp_us = self._first_us + round(position_s * 1e6)
                self._file.seek(stamp_us, self._k4a.SeekOrigin.DEVICE_TIME)
        self._next_imu = None

    def _open_file(self) -> None:
        """Open the file, anew before every seek.

        The SDK (1.4) reads ahead on threads, which share what it remembers of parts read before
        without a lock. Whoever reads a part twice in one handle damages the heap: two of three
        processes that did nothing else crashed within half a minute.
        """
        self._close_file()
        file = self._k4a.PyK4APlayback(self._path, thread_safe=False)
        try:
            with self._lock:
                file.open()
        except self._k4a.K4AException as error:
            raise BadRecordingError(
                f"{self._path}: the SDK cannot open it; the file is damaged or not a Kinect's"
            ) from error
        self._file = file

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._lock:
                file.close()

    def _next_stamped(self) -> tuple[Any, int]:
        """Return the next capture with an image in it, and its stamp; EOFError at the end."""
        while True:
            with self._lock:
                got = self._file.get_next_capture()
                stamp_us = _stamp_us(got)
            if stamp_us is not None:
                return got, stamp_us

    def _take_imu(self, until_us: int) -> None:
        """Keep all readings up to a capture's time for the frame it becomes."""
        while self._has_imu:
            if self._next_imu is None:
                try:
                    with self._lock:
                        self._next_imu = data.imu_sample(self._file.get_next_imu_sample())
                except EOFError:
                    return
            if self._next_imu.device_timestamp_us > until_us:
                return
            self._imu.append(self._next_imu)
            self._next_imu = None

    def _cam_close(self) -> None:
        self.playback = self._pace = self._next_imu = None
        self._close_file()
        super()._cam_close()


def _stamp_us(capture: Any) -> int | None:
    """Return the device time of a capture without decoding it; None if it holds nothing."""
    if capture.depth is not None:
        return int(capture.depth_timestamp_usec)
    return int(capture.color_timestamp_usec) if capture.color is not None else None
