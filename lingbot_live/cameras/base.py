"""What a driver implements, and what the app may rely on.

A make is a `Driver` (finds cameras, opens them) and a `Camera` (four hooks, all named ``_cam_*``).
The base class does the checks, the counters and the states, so that a hook only talks to its SDK.
``drivers/synthetic/driver.py`` is the example to copy.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from lingbot_live.cameras.controls import Control, ControlValue, control_named
from lingbot_live.cameras.info import (
    CameraInfo,
    CameraState,
    Capture,
    RecordedFacts,
    StreamProfile,
)
from lingbot_live.cameras.playback import Playback
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadFrameError,
    BadRecordingError,
    CameraError,
    CameraTimeoutError,
    SessionStateError,
    blaming,
)
from lingbot_live.frame import (
    Frame,
    ImuSample,
)
from lingbot_live.system.filewatch import FileWatch

__all__ = [
    "Camera",
    "CameraInfo",
    "CameraState",
    "Capture",
    "Driver",
    "RecordedFacts",
    "StreamProfile",
    "first_frame",
]
log = logging.getLogger(__name__)

_MOST_IMU = 20_000  # samples kept while no frame comes, half a minute of the fastest sensors


class Camera(ABC):
    """One opened device or recording. Owns SDK handles.

    It has no thread, or one between open and close where an SDK must be asked all the time. Use it
    from one thread at a time, and as a context manager; only `controls`, `set_control` and
    `playback` may be used from others meanwhile. `missed` counts by cause what never became a
    Frame: ``sensor`` (gaps in the device's numbers) and whatever the driver adds, such as
    ``mispaired``. A driver appends inertial readings to `_imu` as they come, on the thread that
    reads; the next frame takes them along.
    """

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        self.info = info
        self.config = config
        self.state = CameraState.CLOSED
        self.missed: Counter[str] = Counter()
        self.playback: Playback | None = None
        self._imu: deque[ImuSample] = deque(maxlen=_MOST_IMU)
        self._watch: FileWatch | None = None  # of a recording, while it is open
        self._next_index = 0
        self._last_device_index: int | None = None
        self._wanted: dict[str, ControlValue] = dict(_controls_for(info, config))
        self._control_lock = threading.Lock()  # keeps handles alive while controls use them

    # ---- public ----------------------------------------------------------------------------

    def open(self) -> None:
        """Start the device. After an error everything is released again.

        Raises:
            CameraError: the device is absent, busy, or the file is damaged.
            SessionStateError: it is open already.
        """
        if self.state is not CameraState.CLOSED:
            raise SessionStateError(f"{self.info.address}: it is open already")
        self.state = CameraState.OPENING
        try:
            with blaming(self.info.address, CameraError):
                self._cam_open()
                self._restore_controls()
                self._start_playback()
        except BaseException:
            self.state = CameraState.CLOSED
            self._cam_close()
            raise
        if self.info.is_recording:
            target = self.info.target
            whole = Path(target).exists()  # else a camera's name follows
            self._watch = FileWatch(Path(target if whole else target.partition("#")[0]))
        self.state = CameraState.STREAMING

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame, waiting at most about ``timeout_s``.

        Raises:
            CameraTimeoutError: nothing came in time; reading on is fine.
            BadFrameError: one frame of a recording is damaged; reading on is fine.
            EndOfStreamError: a recording is over.
            BadRecordingError: another program took the file away meanwhile, or cut it.
            CameraDisconnectedError: the device is gone; close it and open it again.
            SessionStateError: it is not open.
        """
        if self.state is not CameraState.STREAMING:
            raise SessionStateError(f"{self.info.address}: open it before reading")
        mishap = "" if self._watch is None else self._watch.mishap()
        if mishap:
            raise BadRecordingError(f"{self.info.address}: the file {mishap} while it was read")
        with blaming(self.info.address, CameraError):
            try:
                capture = self._cam_read(timeout_s)
            except BadFrameError:
                self._next_index += 1
                raise
            if capture is None:
                raise CameraTimeoutError(f"{self.info.address}: no frame within {timeout_s:g} s")
            return self._frame_of(capture)

    def _frame_of(self, capture: Capture) -> Frame:
        self._count_gap(capture.device_index)
        frame = Frame(
            camera=self.info.address,
            index=self._next_index,
            timestamp_ns=capture.arrival_ns,
            device_timestamp_us=capture.device_timestamp_us,
            color=capture.color,
            depth_raw=capture.depth_raw,
            depth_scale_m=capture.depth_scale_m,
            calibration=capture.calibration,
            device_index=capture.device_index,
            alignment=capture.alignment,
            reference_m=capture.reference_m,
            label=capture.label,
            recorded=capture.recorded,
            imu=tuple(self._imu),
            out_of_range=capture.out_of_range,
            extras=capture.extras,
        )
        self._imu.clear()
        self._next_index += 1
        return frame

    def close(self) -> None:
        """Release the device; safe at any time and more than once."""
        if self.state is CameraState.CLOSED:
            return
        self.state = CameraState.CLOSED
        self._last_device_index = None
        self._imu.clear()
        with self._control_lock:
            self._cam_close()

    def controls(self) -> tuple[Control, ...]:
        """Return the sensor's settings as they are now; none while it is not open.

        Those of a recording are as they were, and read-only.
        """
        with self._control_lock:
            if self.state is not CameraState.STREAMING:
                return ()
            return self._controls()

    def set_control(self, name: str, value: ControlValue) -> None:
        """Change a setting, now and at every later open; text is read as the command line does.

        Others may change with it (exposure ends auto exposure): ask `controls` again.

        Raises:
            ConfigError: there is no such control, it is read-only, or does not take this value.
            CameraError: the device refused it.
            SessionStateError: the camera is not open.
        """
        with self._control_lock:
            if self.state is not CameraState.STREAMING:
                raise SessionStateError(f"{self.info.address}: open it before setting {name}")
            self._apply(name, value)
            self._wanted.pop(name, None)  # what is set last is restored last: one may end another
            self._wanted[name] = value

    def forget_number(self) -> None:
        """Expect any device number next, as after a seek; called by drivers' helpers."""
        self._last_device_index = None

    def __enter__(self) -> Camera:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return self.info.address

    # ---- hooks of a driver -----------------------------------------------------------------

    @abstractmethod
    def _cam_open(self) -> None:
        """Acquire the device. Called once per open; `_cam_close` follows even if this raises."""

    @abstractmethod
    def _cam_read(self, timeout_s: float) -> Capture | None:
        """Return the next capture, or None if none came within about ``timeout_s``.

        Raise BadFrameError, and count it in `missed`, for a damaged frame that can be passed over.
        Must return in time even if the device is gone: raise CameraDisconnectedError or
        EndOfStreamError, do not block.
        """

    @abstractmethod
    def _cam_close(self) -> None:
        """Release whatever `_cam_open` acquired, also after a partial open. Must not raise."""

    def _cam_controls(self) -> list[Control]:
        """Return the sensor's settings, read from the device. Quick; not while it opens or closes.

        May be called while `_cam_read` runs on another thread.
        """
        return []

    def _cam_set_control(self, name: str, value: ControlValue) -> None:
        """Change a setting; ``value`` has the control's type and lies within its limits.

        May be called while `_cam_read` runs on another thread. Raises CameraError if the device
        refuses.
        """
        raise NotImplementedError(f"{self.info.address} lists {name} but cannot set it")

    # ---- private ---------------------------------------------------------------------------

    def _controls(self) -> tuple[Control, ...]:
        found = self._cam_controls()
        if self.info.is_recording:
            found = [replace(control, read_only=True) for control in found]
        return tuple(found)

    def _apply(self, name: str, value: ControlValue) -> None:
        who = self.info.address
        control = control_named(self._controls(), name, who)
        self._cam_set_control(name, control.checked(value, who))

    def _start_playback(self) -> None:
        if self.playback is not None:
            self.playback.speed = self.config.speed
            if self.config.start_s > 0:
                self.playback.seek(self.config.start_s)

    def _restore_controls(self) -> None:
        for name, value in self._wanted.items():
            self._apply(name, value)

    def _count_gap(self, device_index: int | None) -> None:
        last, self._last_device_index = self._last_device_index, device_index
        if last is not None and device_index is not None and device_index > last + 1:
            self.missed["sensor"] += device_index - last - 1


def _controls_for(info: CameraInfo, config: CameraConfig) -> list[tuple[str, str]]:
    """Return those settings that are meant for every camera, for this make, or for this one."""
    whose = [(*name.rpartition(":")[::2], value) for name, value in config.controls]
    return [(name, value) for who, name, value in whose if who in ("", info.driver, info.address)]


class Driver(ABC):
    """Plug-in for one make, found by the entry-point group ``lingbot_live.drivers``.

    The SDK is imported on first use, never at import of the driver's module.
    """

    scheme: ClassVar[str]  # the word before the colon of an address
    title: ClassVar[str]  # for people
    suffixes: ClassVar[tuple[str, ...]] = ()  # of files it plays, with the dot, lower case
    preset_keys: ClassVar[Mapping[str, str]] = {}  # of its viewer's JSON: which controls they are

    @abstractmethod
    def discover(self) -> list[CameraInfo]:
        """List what is attached now, quickly and without opening anything.

        Raises:
            DriverUnavailableError: the SDK is not installed.
        """

    @abstractmethod
    def find(self, target: str) -> CameraInfo:
        """Return the camera that ``target`` (an address without its scheme) names.

        Raises:
            CameraNotFoundError: there is none; the message says what there is.
            DriverUnavailableError: the SDK is not installed.
        """

    @abstractmethod
    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera, not yet open."""

    def profiles(self, info: CameraInfo) -> tuple[StreamProfile, ...]:
        """Return what an attached camera offers; may open it for a moment.

        Raises:
            CameraError: it is gone, or another program has it.
        """
        return info.profiles or self.find(info.target).profiles

    def frame_counts(self, path: Path) -> dict[str, int]:
        """Return how many images a recording holds by stream, without decoding any.

        Empty where that is not known. Raises BadRecordingError for a damaged file.
        """
        return {}

    def members(self, target: str) -> list[CameraInfo]:
        """Return the cameras in a recording that holds several; none for anything else.

        Raises:
            CameraError: as `find`.
        """
        return []

    def plays(self, path: Path) -> bool:
        """Whether an address that is just this path means this driver."""
        return path.suffix.lower() in self.suffixes


def first_frame(camera: Camera, timeout_s: float = 10.0) -> Frame:
    """Read one frame, waiting up to ``timeout_s`` in short steps; damaged ones are passed over.

    Raises:
        CameraError: as `Camera.read`; a timeout only after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return camera.read(0.2)
        except BadFrameError as error:
            log.warning("%s", error)
        except CameraTimeoutError:
            if time.monotonic() > deadline:
                raise
