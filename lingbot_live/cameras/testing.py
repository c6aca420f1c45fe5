"""The driver contract: every promise of `Camera` and `Driver` as a function.

Run `CAMERA_CHECKS` with a function that makes one of your cameras, and `DRIVER_CHECKS` with the
scheme you registered; each raises AssertionError with what was promised and what was found::

    @pytest.mark.parametrize("check", CAMERA_CHECKS, ids=lambda c: c.__name__)
    def test_contract(check):
        check(lambda config: registry.create_camera("mymake:recording.bin", config))

The cameras should deliver a few frames a second at least, and recordings last a few seconds at
most.
"""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo, CameraState, Driver, first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    CameraError,
    CameraNotFoundError,
    CameraTimeoutError,
    EndOfStreamError,
    LingbotLiveError,
    SessionStateError,
)
from lingbot_live.frame import Frame

MakeCamera = Callable[[CameraConfig], Camera]

SLACK_S = 2.0  # a read may exceed its timeout by this, on a busy machine
_ABSENT = "no-such-camera-4711"
_FRAMES = 5
_PATIENCE_S = 15.0
_ONCE = CameraConfig(loop=False, realtime=False)
_HEAVY = {
    "cv2", "open3d", "torch", "PySide6", "pyqtgraph", "pyrealsense2", "pyorbbecsdk", "pyk4a",
}  # fmt: skip


# ---- cameras ---------------------------------------------------------------------------------


def opens_and_closes_more_than_once(make: MakeCamera) -> None:
    """`close` is safe before open and twice; a closed camera opens again; a second open is not."""
    camera = make(CameraConfig())
    camera.close()
    for _ in range(2):
        camera.open()
        _expect(camera.state is CameraState.STREAMING, camera, f"is {camera.state} after open")
        _raises(SessionStateError, camera.open, camera, "open of an open camera")
        first_frame(camera)
        camera.close()
        camera.close()
        _expect(camera.state is CameraState.CLOSED, camera, f"is {camera.state} after close")


def reads_only_while_open(make: MakeCamera) -> None:
    """`read` before open and after close raises SessionStateError."""
    camera = make(CameraConfig())
    _raises(SessionStateError, lambda: camera.read(0.1), camera, "read before open")
    with camera:
        first_frame(camera)
    _raises(SessionStateError, lambda: camera.read(0.1), camera, "read after close")


def survives_a_partial_open(make: MakeCamera) -> None:
    """An open that fails, before or after the device started, releases it for the next open."""
    for start_first in (False, True):
        camera = make(CameraConfig())
        _break_open(camera, start_first)
        _raises(_BrokenError, camera.open, camera, "a broken open")
        _expect(camera.state is CameraState.CLOSED, camera, "is not closed after a failed open")
        del camera._cam_open
        with camera:
            first_frame(camera)


def delivers_valid_frames(make: MakeCamera) -> None:
    """Frames name their camera, share one size, and have a finite calibration and scale."""
    with make(CameraConfig()) as camera:
        for frame in _frames(camera, _FRAMES):
            _expect(frame.camera == camera.info.address, camera, f"frame says {frame.camera!r}")
            _expect(frame.color.shape[:2] == frame.depth_raw.shape, camera, "sizes differ")
            _expect(1e-6 < frame.depth_scale_m < 0.1, camera, f"scale {frame.depth_scale_m} m")
            _expect(bool(frame.color.any()), camera, "colour is black")
            _expect(bool(np.isfinite(frame.intrinsics.matrix).all()), camera, "bad intrinsics")
            far_m = float(frame.depth_m.max())
            _expect(0 < far_m < 200, camera, f"the farthest depth is {far_m} m")


def hands_over_owned_arrays(make: MakeCamera) -> None:
    """Arrays are read-only and do not change when later frames come or the camera closes."""
    with make(CameraConfig()) as camera:
        kept = list(_frames(camera, _FRAMES))
        marks = [_mark(frame) for frame in kept]
        for _ in _frames(camera, _FRAMES):
            pass
    for frame, mark in zip(kept, marks, strict=True):
        for array in (frame.color, frame.depth_raw):
            _expect(not array.flags.writeable, camera, "an array can be written to")
        _expect(_mark(frame) == mark, camera, f"frame {frame.index} changed after it was read")


def counts_from_zero(make: MakeCamera) -> None:
    """`index` counts 0, 1, 2 ... and goes on after a reopen."""
    camera = make(CameraConfig())
    indices: list[int] = []
    for _ in range(2):
        with camera:
            indices += [frame.index for frame in _frames(camera, 3)]
    _expect(indices == list(range(6)), camera, f"indices are {indices}")


def keeps_time(make: MakeCamera) -> None:
    """Host stamps are of the monotonic clock and never go back; device stamps rise in a pass."""
    before_ns = time.monotonic_ns()
    with make(_ONCE) as camera:
        frames = list(_frames(camera, 2 * _FRAMES))
    host = [before_ns, *(f.timestamp_ns for f in frames), time.monotonic_ns()]
    _expect(host == sorted(host), camera, f"host stamps {host} do not rise")
    device = [f.device_timestamp_us for f in frames]
    _expect(device == sorted(set(device)), camera, f"device stamps {device} do not rise")


def returns_in_time(make: MakeCamera) -> None:
    """`read` returns a frame or raises CameraTimeoutError soon after its timeout."""
    with make(CameraConfig()) as camera:
        for timeout_s in (0.0, 0.001, 0.05, 0.3):
            begun = time.monotonic()
            try:
                camera.read(timeout_s)
            except CameraTimeoutError:
                _expect(camera.state is CameraState.STREAMING, camera, "a timeout ended it")
            took_s = time.monotonic() - begun
            _expect(took_s < timeout_s + SLACK_S, camera, f"read({timeout_s}) took {took_s:.1f} s")
        first_frame(camera)


def ends_where_it_ends(make: MakeCamera) -> None:
    """Without loop a recording raises EndOfStreamError after its last frame, again and again."""
    camera = make(_ONCE)
    if not camera.info.is_recording:
        return
    with camera:
        count = _count_to_end(camera)
        _expect(count > 0, camera, "ended without a frame")
        for _ in range(2):
            _raises(EndOfStreamError, lambda: camera.read(0.5), camera, "read after the end")
    with camera:
        again = _count_to_end(camera)
    _expect(again == count, camera, f"has {count} frames, after a reopen {again}")


def loops(make: MakeCamera) -> None:
    """With loop a recording goes on after its last frame."""
    camera = make(_ONCE)
    if not camera.info.is_recording:
        return
    with camera:
        count = _count_to_end(camera)
    with make(CameraConfig(realtime=False)) as camera:
        frames = sum(1 for _ in _frames(camera, count + 2))
    _expect(frames == count + 2, camera, f"stopped after {frames} of {count + 2} frames")


def leaves_no_thread(make: MakeCamera) -> None:
    """After `close` no thread of Python is left that was not there before."""
    camera = make(CameraConfig())
    before = set(threading.enumerate())
    with camera:
        first_frame(camera)
    left = [t.name for t in threading.enumerate() if t not in before]
    _expect(not left, camera, f"left threads {left}")


CAMERA_CHECKS: tuple[Callable[[MakeCamera], None], ...] = (
    opens_and_closes_more_than_once,
    reads_only_while_open,
    survives_a_partial_open,
    delivers_valid_frames,
    hands_over_owned_arrays,
    counts_from_zero,
    keeps_time,
    returns_in_time,
    ends_where_it_ends,
    loops,
    leaves_no_thread,
)


# ---- drivers ---------------------------------------------------------------------------------


def says_who_it_is(scheme: str) -> None:
    """The driver has a scheme equal to its entry point, a title, and lower-case suffixes."""
    driver = registry.driver(scheme)
    _expect(isinstance(driver, Driver), scheme, f"{type(driver).__name__} is no Driver")
    _expect(driver.scheme == scheme, scheme, f"calls itself {driver.scheme!r}")
    _expect(bool(driver.title), scheme, "has no title")
    for suffix in driver.suffixes:
        _expect(suffix[0] == "." and suffix == suffix.lower(), scheme, f"has suffix {suffix!r}")


def names_what_is_absent(scheme: str) -> None:
    """`find` of something absent raises CameraNotFoundError with its name, on one line, soon."""
    driver = registry.driver(scheme)
    for target in (_ABSENT, *(f"/{_ABSENT}/x{suffix}" for suffix in driver.suffixes)):
        begun = time.monotonic()
        error = _raises(CameraNotFoundError, functools.partial(driver.find, target), scheme, "find")
        text = str(error)
        _expect(_ABSENT in text and "\n" not in text, scheme, f"the message is {text!r}")
        _expect(time.monotonic() - begun < 10, scheme, "find blocked for 10 s")


def discovers_lightly(scheme: str) -> None:
    """`discover` in a fresh process returns CameraInfos soon and imports no other make's SDK."""
    body = (
        "import json, sys, time; from lingbot_live.cameras import registry; "
        "from lingbot_live.errors import DriverUnavailableError\n"
        f"d = registry.driver({scheme!r}); before = set(sys.modules); begun = time.monotonic()\n"
        "try: found = d.discover()\n"
        "except DriverUnavailableError: found = []\n"
        "took = time.monotonic() - begun\n"
        "print(json.dumps([sorted(before), sorted(sys.modules), took, "
        "[[type(i).__name__, i.driver] for i in found]]))"
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, timeout=60, text=True)
    _expect(done.returncode == 0, scheme, f"discover failed: {done.stderr[-500:]}")
    before, after, took_s, found = json.loads(done.stdout.splitlines()[-1])
    _expect(not _HEAVY & set(before), scheme, f"import loads {_HEAVY & set(before)}")
    heavy = _HEAVY & set(after)
    _expect(len(heavy) <= 1, scheme, f"discover imports {sorted(heavy)}; one SDK is allowed")
    _expect(took_s < 10, scheme, f"discover took {took_s:.1f} s")
    _expect(all(i == [CameraInfo.__name__, scheme] for i in found), scheme, f"found {found}")


DRIVER_CHECKS: tuple[Callable[[str], None], ...] = (
    says_who_it_is,
    names_what_is_absent,
    discovers_lightly,
)


# ---- helpers ---------------------------------------------------------------------------------


class _BrokenError(CameraError):
    """Raised by the contract inside an open."""


def _break_open(camera: Camera, start_first: bool) -> None:
    start = camera._cam_open

    def broken() -> None:
        if start_first:
            start()
        raise _BrokenError("the contract breaks this open")

    camera._cam_open = broken  # type: ignore[method-assign]


def _expect(holds: bool, who: object, found: str) -> None:
    if not holds:
        raise AssertionError(f"{who}: {found}")


def _raises(
    kind: type[LingbotLiveError], call: Callable[[], object], who: object, what: str
) -> LingbotLiveError:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{who}: {what} did not raise {kind.__name__}")


def _frames(camera: Camera, count: int) -> Iterator[Frame]:
    """Yield up to ``count`` frames; ends early where a recording does."""
    for _ in range(count):
        try:
            yield first_frame(camera, _PATIENCE_S)
        except EndOfStreamError:
            return


def _count_to_end(camera: Camera) -> int:
    deadline = time.monotonic() + 60
    count = 0
    for count, _ in enumerate(_frames(camera, sys.maxsize), 1):  # noqa: B007 - used after
        _expect(time.monotonic() < deadline, camera, "did not end within 60 s")
    return count


def _mark(frame: Frame) -> str:
    digest = hashlib.sha256(frame.color.tobytes())
    digest.update(frame.depth_raw.tobytes())
    return digest.hexdigest()
