"""The Azure Kinect driver through the real SDK, playing recordings written by `fixtures_kinect`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pyk4a")

from fixtures_kinect import COLOR_SIZE, PERIOD_US, START_US, Lens, Pair, Recording, Rig

from drivers.kinect import controls
from drivers.kinect.driver import AzureKinectDriver, LiveKinect
from lingbot_live.cameras.base import Camera, CameraInfo, first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraNotFoundError,
    CameraTimeoutError,
    ConfigError,
    DriverUnavailableError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Frame, ImuSample
from lingbot_live.registration import corner_rays

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

EVERY = CameraConfig(loop=False, realtime=False)
DEADLINE_S = 10.0  # for an error


def pairs(count: int) -> list[Pair]:
    """Smooth colour, and a wall whose distance tells the number: 1500 + i millimetres."""
    rng = np.random.default_rng(5)
    found: list[Pair] = []
    for i in range(count):
        rgb = cv2.resize(rng.integers(0, 255, (18, 32, 3), np.uint8), COLOR_SIZE)
        raw = np.full((288, 320), 1500 + i, np.uint16)
        raw[100:180, 100:160] = 800 + i
        found.append((rgb, raw))
    return found


def opened(path: Path, config: CameraConfig = EVERY) -> Camera:
    driver = AzureKinectDriver()
    return driver.create(driver.find(str(path)), config)


def played(camera: Camera, most: int = 1000) -> list[Frame]:
    frames: list[Frame] = []
    deadline = time.monotonic() + 30
    while len(frames) < most and time.monotonic() < deadline:
        try:
            frames.append(camera.read(0.2))
        except CameraTimeoutError:
            continue
        except EndOfStreamError:
            break
    return frames


@pytest.mark.parametrize(("is_bgra", "most_off"), [(True, 0), (False, 4)], ids=["bgra", "mjpg"])
def test_gives_what_was_written(is_bgra: bool, most_off: float, tmp_path: Path) -> None:
    written = pairs(4)
    path = Recording(is_bgra=is_bgra).write(tmp_path / "a.mkv", written)
    with opened(path) as camera:
        frames = played(camera)
        profiles = {p.stream: (p.width, p.height, p.fps) for p in camera.info.profiles}
    assert [frame.device_index for frame in frames] == [0, 1, 2, 3]
    for i, (frame, (rgb, _)) in enumerate(zip(frames, written, strict=True)):
        off = np.abs(frame.color.astype(int) - rgb)
        assert off.max() == 0 if most_off == 0 else off.mean() <= most_off
        # Both lenses of this rig are in one place: depth moves, and no value changes.
        assert set(np.unique(frame.depth_raw)) == {0, 800 + i, 1500 + i}
        assert frame.depth_scale_m == pytest.approx(0.001, rel=1e-6)
        assert frame.device_timestamp_us == START_US + i * PERIOD_US
        assert frame.alignment is Alignment.OWN
    assert profiles == {"color": (1280, 720, 30.0), "depth": (320, 288, 30.0)}
    assert not camera.missed


def test_depth_lies_where_colour_sees_it(tmp_path: Path) -> None:
    with opened(Recording().write(tmp_path / "a.mkv", pairs(1))) as camera:
        frame = played(camera, 1)[0]
    color, depth = frame.intrinsics, frame.calibration.depth
    assert depth is not None
    left, right = (np.array([99.5, 159.5]) - depth.cx) / depth.fx * color.fx + color.cx
    near = np.flatnonzero(frame.depth_raw[round(color.cy)] == 800)
    assert near[0] == pytest.approx(left, abs=1)
    assert near[-1] == pytest.approx(right, abs=1)


def test_reads_the_calibration(tmp_path: Path) -> None:
    turned = cv2.Rodrigues(np.deg2rad([5.0, -0.5, 0.25]))[0]
    depth = Lens(0.513, 0.517, 0.4928, 0.4929, (0.5, -0.02, -0.003, 0.9, 0.09, -0.01),
                 p2=-7e-5, p1=2e-5)  # fmt: skip
    color = Lens(0.4998, 0.5066, 0.478, 0.6374, (0.33, -2.49, 1.45, 0.21, -2.3, 1.375),
                 p2=-1.3e-4, p1=-1.6e-4)  # fmt: skip
    rig = Rig(depth, color, tuple(turned.ravel().tolist()), (-0.032, -0.0022, 0.0039))
    with opened(Recording(rig).write(tmp_path / "a.mkv", pairs(1))) as camera:
        found = played(camera, 1)[0].calibration
    assert found.depth is not None
    assert found.T_color_depth is not None
    # Colour at 720p is the middle of the 4:3 sensor, depth the middle of its square, binned 2x2;
    # the file counts from the corner of the first pixel, we from its centre.
    own = found.color
    assert (own.fx, own.fy) == pytest.approx((color.fx * 1280, color.fy * 960), rel=1e-6)
    assert (own.cx, own.cy) == pytest.approx(
        (color.cx * 1280 - 0.5, color.cy * 960 - 120 - 0.5), rel=1e-6
    )
    own = found.depth
    assert (own.fx, own.fy) == pytest.approx((depth.fx * 512, depth.fy * 512), rel=1e-6)
    assert (own.cx, own.cy) == pytest.approx(
        (depth.cx * 512 - 96 - 0.5, depth.cy * 512 - 90 - 0.5), rel=1e-6
    )
    for own, lens in ((found.color, color), (found.depth, depth)):
        k = lens.k
        assert own.distortion == pytest.approx((*k[:2], lens.p1, lens.p2, *k[2:]), rel=1e-6)
    expected = np.c_[turned, rig.translation_m]
    np.testing.assert_allclose(found.T_color_depth.matrix[:3], expected, rtol=1e-6, atol=1e-7)


def test_depth_is_the_distance_from_the_colour_camera(tmp_path: Path) -> None:
    angle = np.deg2rad(6.0)
    turned = cv2.Rodrigues(np.array([angle, 0, 0]))[0]
    rig = Rig(rotation=tuple(turned.ravel().tolist()), translation_m=(0.0, 0.0, 0.005))
    raw = np.full((288, 320), 2000, np.uint16)
    rgb = np.zeros((*COLOR_SIZE[::-1], 3), np.uint8)
    with opened(Recording(rig).write(tmp_path / "a.mkv", [(rgb, raw)])) as camera:
        frame = played(camera, 1)[0]
    # The plane z = 2 m of the depth camera, met by each ray of the colour camera.
    k = frame.intrinsics
    v = np.arange(k.height)
    ray = np.stack([0 * v, (v - k.cy) / k.fy, np.ones(k.height)])
    normal = turned @ [0, 0, 1]
    distance_m = (2.0 + normal @ [0, 0, 0.005]) / (normal @ ray)
    column = frame.depth_raw[:, round(k.cx)]
    seen = column > 0
    assert seen.sum() > 300
    off_mm = np.abs(column - distance_m * 1000)[seen]
    assert off_mm.max() < 3, "within the footprint of one pixel of 6 mm, tilted"


def test_the_table_of_rays_is_kept_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(tmp_path / "cache"))
    rig = Rig(depth=replace(Rig.depth, k=(0.5, -0.02, -0.003, 0.9, 0.09, -0.01)))
    path = Recording(rig).write(tmp_path / "a.mkv", pairs(1))
    corner_rays.cache_clear()
    with opened(path) as camera:
        played(camera, 1)
    (table,) = (tmp_path / "cache").glob("rays-*.npy")
    assert np.load(table).shape == (2, 289, 321)


def test_incomplete_captures_are_left_out_and_counted(tmp_path: Path) -> None:
    written = pairs(6)
    written[2], written[4] = (written[2][0], None), (None, written[4][1])
    with opened(Recording().write(tmp_path / "a.mkv", written)) as camera:
        frames = played(camera)
    assert [frame.device_index for frame in frames] == [0, 1, 3, 5]
    assert dict(camera.missed) == {"incomplete": 2}


def test_a_gap_in_time_is_counted(tmp_path: Path) -> None:
    path = Recording(lost=(2, 3)).write(tmp_path / "a.mkv", pairs(6))
    with opened(path) as camera:
        frames = played(camera)
    assert [frame.device_index for frame in frames] == [0, 1, 4, 5]
    assert dict(camera.missed) == {"sensor": 2}


def test_images_far_apart_in_time_are_no_pair(tmp_path: Path) -> None:
    near = Recording(skew_us=10_000).write(tmp_path / "near.mkv", pairs(3))
    with opened(near) as camera:
        assert len(played(camera)) == 3
    written, skew_us = pairs(5), 17_500
    far = Recording(is_bgra=True, skew_us=skew_us).write(tmp_path / "far.mkv", written)
    with opened(far) as camera:
        frames = played(camera)
    assert 0 < len(frames) < 5
    for frame in frames:
        (color,) = (i for i, (rgb, _) in enumerate(written) if (rgb == frame.color).all())
        depth = int(frame.depth_raw.max()) - 1500
        assert abs((depth - color) * PERIOD_US + skew_us) <= PERIOD_US / 2
    assert camera.missed["incomplete"] + camera.missed["mispaired"] > 0


def test_begins_again_at_its_end(tmp_path: Path) -> None:
    path = Recording().write(tmp_path / "a.mkv", pairs(3))
    with opened(path, CameraConfig(loop=True, realtime=False)) as camera:
        frames = played(camera, most=8)
    assert [frame.device_index for frame in frames] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert [frame.index for frame in frames] == [*range(8)]
    assert not camera.missed


def test_no_handle_of_the_sdk_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK damages the heap where a part of the file is read twice through one handle."""
    import pyk4a

    calls: dict[int, list[str]] = {}  # by handle
    handles = []  # kept, so that none gets the identity of another

    def seen(name: str) -> None:
        real = getattr(pyk4a.PyK4APlayback, name)

        def call(self: object, *arguments: object) -> object:
            handles.append(self)
            calls.setdefault(id(self), []).append(name)
            return real(self, *arguments)

        monkeypatch.setattr(pyk4a.PyK4APlayback, name, call)

    for name in ("seek", "get_next_capture", "get_previous_capture"):
        seen(name)
    path = Recording().write(tmp_path / "again.mkv", pairs(4))
    with opened(path, replace(EVERY, loop=True)) as camera:
        played(camera, 10)
        assert camera.playback is not None
        camera.playback.seek(2 * PERIOD_US / 1e6)
        assert len(played(camera, 5)) == 5
    assert len(calls) > 4
    assert all("seek" not in names[1:] for names in calls.values())


def test_a_relative_path_holds_though_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recording().write(tmp_path / "here.mkv", pairs(2))
    info = AzureKinectDriver().find(str(tmp_path / "here.mkv"))
    monkeypatch.chdir(tmp_path)
    config = replace(EVERY, loop=True)
    with AzureKinectDriver().create(replace(info, target="here.mkv"), config) as camera:
        monkeypatch.chdir(tmp_path / "working directory")
        assert len(played(camera, 5)) == 5


def test_any_number_of_ends_leaves_python_whole(tmp_path: Path) -> None:
    """pyk4a drops a reference to None at every end of a file; at none left, Python aborts."""
    with opened(Recording().write(tmp_path / "ends.mkv", pairs(1)), EVERY) as camera:
        first_frame(camera, 10)
        for _ in range(100):
            with pytest.raises(EndOfStreamError):
                camera.read(1)
    years = 1 << 29
    assert sys.getrefcount(None) > years  # ever so many from Python 3.12 on


def test_keeps_its_own_pace(tmp_path: Path) -> None:
    path = Recording().write(tmp_path / "a.mkv", pairs(12))
    with opened(path, CameraConfig(loop=True)) as camera:
        frames = played(camera, most=15)
    # Late is possible on a busy machine, early is not: each frame at its time, also after the end.
    start_ns = frames[0].timestamp_ns
    rounds, last = 0, -1
    for frame in frames:
        assert frame.device_index is not None
        rounds += frame.device_index <= last
        last = frame.device_index
        due_us = (rounds * 12 + last - frames[0].device_index) * PERIOD_US
        assert (frame.timestamp_ns - start_ns) / 1000 > due_us - 0.6 * PERIOD_US


def test_readings_of_the_inertial_sensors_come_with_the_frame_after_them(tmp_path: Path) -> None:
    readings = tuple(
        ImuSample(START_US + 5_000 * i, (0.5 * i, -9.75, 0.25), (0.125, -0.5, 2.0 * i))
        for i in range(17)
    )
    path = Recording(imu=readings).write(tmp_path / "a.mkv", pairs(3))
    with opened(path, CameraConfig(loop=True, realtime=False)) as camera:
        frames = played(camera, most=5)
    assert [len(frame.imu) for frame in frames] == [1, 6, 7, 1, 6]
    assert sum((frame.imu for frame in frames[:3]), ()) == readings[:14]
    assert all(
        reading.device_timestamp_us <= frame.device_timestamp_us
        for frame in frames
        for reading in frame.imu
    )


def test_pauses_seeks_and_steps(tmp_path: Path) -> None:
    path = Recording().write(tmp_path / "a.mkv", pairs(12))
    with opened(path, CameraConfig(loop=False)) as camera:
        first = played(camera, 1)[0]
        playback = camera.playback
        assert playback is not None
        assert playback.duration_s == pytest.approx(11 * PERIOD_US / 1e6)
        playback.pause()
        playback.seek(8 * PERIOD_US / 1e6)
        assert (
            next(f for f in shown(camera) if f.device_index != first.device_index).device_index == 8
        )
        playback.step()
        assert next(f for f in shown(camera) if f.device_index != 8).device_index == 9
        playback.step(-2)
        assert next(f for f in shown(camera) if f.device_index != 9).device_index == 7
        assert playback.position_s == pytest.approx(7 * PERIOD_US / 1e6)
        playback.play()
        assert [frame.device_index for frame in played(camera)][-1] == 11
    assert not camera.missed["sensor"]


def shown(camera: Camera) -> Iterator[Frame]:
    """Yield what comes, held frames too."""
    while True:
        yield first_frame(camera)


def test_a_short_wait_ends_in_time_and_loses_nothing(tmp_path: Path) -> None:
    path = Recording(lost=(1, 2, 3, 4, 5, 6, 7, 8)).write(tmp_path / "a.mkv", pairs(10))
    with opened(path, CameraConfig(loop=False)) as camera:
        camera.read(1.0)
        with pytest.raises(CameraTimeoutError):
            camera.read(0.02)
        assert camera.read(5.0).device_index == 9


def test_opens_again_after_closing(tmp_path: Path) -> None:
    camera = opened(Recording().write(tmp_path / "a.mkv", pairs(2)))
    for _ in range(3):
        with camera:
            assert played(camera, 1)[0].device_index == 0


def test_another_size_than_the_recorded_is_refused(tmp_path: Path) -> None:
    path = Recording().write(tmp_path / "a.mkv", pairs(2))
    with pytest.raises(ConfigError, match="1280x720 at 30 fps"):
        opened(path, CameraConfig(width=800, height=600)).open()


# ---- what can be wrong with a file -------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["0.0", "junk", "0.001", "0.3", "0.7", "0.95", "no calibration", "bad calibration", "foreign"],
)
def test_a_damaged_file_gives_a_clear_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sound = Recording().write(tmp_path / "sound.mkv", pairs(3)).read_bytes()
    if kind == "junk":
        path.write_bytes(np.random.default_rng(0).bytes(50_000))
    elif kind == "no calibration":
        Recording(rig=None).write(path, pairs(2))
    elif kind == "bad calibration":
        path.write_bytes(
            sound.replace(b"CALIBRATION_LensDistortionModel", b"CALIBRATION_LensDist" * 2, 1)[
                : len(sound)
            ]
        )
    elif kind == "foreign":
        video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
        assert video.isOpened()
        video.write(np.zeros((48, 64, 3), np.uint8))
        video.release()
    else:
        path.write_bytes(sound[: round(len(sound) * float(kind))])
    started = time.monotonic()
    with pytest.raises(BadRecordingError, match=r"a\.mkv"):
        opened(path).open()
    assert time.monotonic() - started < DEADLINE_S


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CameraNotFoundError, match=r"nothing\.mkv"):
        AzureKinectDriver().find(str(tmp_path / "nothing.mkv"))


def test_a_name_with_spaces_and_letters_of_any_script_opens(tmp_path: Path) -> None:
    folder = tmp_path / "Aufnahme à 深度"
    folder.mkdir()
    path = Recording().write(folder / "mit Leerzeichen ß.mkv", pairs(2))
    with opened(path) as camera:
        assert len(played(camera)) == 2


# ---- devices -----------------------------------------------------------------------------------


def test_an_unknown_serial_is_not_found() -> None:
    with pytest.raises(CameraNotFoundError, match="kinect:000123456789"):
        AzureKinectDriver().find("000123456789")


def test_without_the_sdk_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyk4a", None)
    with pytest.raises(DriverUnavailableError, match="pyk4a") as raised:
        AzureKinectDriver().discover()
    assert raised.value.install == 'pip install "lingbot-live[kinect]"'


def test_the_sdk_keeps_silent(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(Recording().write(tmp_path / "b.mkv", pairs(2)).read_bytes()[:5000])
    script = (
        "import logging, sys; from drivers.kinect.driver import AzureKinectDriver\n"
        "logging.getLogger('lingbot_live').addHandler(logging.NullHandler())\n"
        "from lingbot_live.config import CameraConfig\n"
        "from lingbot_live.errors import BadRecordingError\n"
        "driver = AzureKinectDriver(); driver.discover()\n"
        "try: driver.create(driver.find(sys.argv[1]), CameraConfig()).open()\n"
        "except BadRecordingError: sys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")


# ---- the shared recording ----------------------------------------------------------------------


@pytest.mark.testdata
def test_plays_the_real_recording(testdata: Path) -> None:
    folder = testdata / "data" / "azure_kinect"
    with opened(folder / "recording.mkv") as camera:
        frames = played(camera)
    assert len(frames) == 1
    frame = frames[0]
    assert frame.color.shape == (720, 1280, 3)
    assert 0.5 < (frame.depth_raw > 0).mean() < 0.65
    assert frame.device_timestamp_us == 800_222
    told = json.loads((folder / "calibration.json").read_text())["CalibrationInformation"]
    _, color = (c["Intrinsics"]["ModelParameters"] for c in told["Cameras"])
    assert frame.intrinsics.fx == pytest.approx(color[2] * 1280, rel=1e-6)
    assert frame.intrinsics.cx == pytest.approx(color[0] * 1280 - 0.5, rel=1e-6)
    shift_m = told["Cameras"][1]["Rt"]["Translation"]
    assert frame.calibration.T_color_depth is not None
    assert frame.calibration.T_color_depth.translation_m == pytest.approx(shift_m, rel=1e-6)


def test_a_device_tells_its_temperature_with_its_motion() -> None:
    """No device can be attached here: its readings are what the SDK documents."""
    import pyk4a

    told = {
        "temperature": 36.6789, "acc_sample": (0.0, 0.0, -9.81), "acc_timestamp": 20,
        "gyro_sample": (0.0, 0.1, 0.0), "gyro_timestamp": 21,
    }  # fmt: skip
    left = [told, told]

    class Device:
        def get_imu_sample(self, timeout: int) -> dict[str, object]:
            if not left:
                raise pyk4a.K4ATimeoutException
            return left.pop()

    camera = LiveKinect(CameraInfo("kinect", "0", "Azure Kinect"), EVERY)
    assert controls.temperature(camera._temperature_c) == []
    camera._k4a, camera._device = pyk4a, Device()
    camera._take_imu()
    (control,) = controls.temperature(camera._temperature_c)
    assert (control.value, control.unit, control.read_only) == (36.7, "°C", True)
    assert controls.temperature(float("nan")) == []
