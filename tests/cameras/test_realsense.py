"""RealSense through the real SDK: recordings and virtual live cameras."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path

import fixtures_realsense as made
import numpy as np
import pytest

from drivers.common import recording as looking
from drivers.realsense.driver import RealSenseDriver
from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraDisconnectedError,
    CameraError,
    CameraNotFoundError,
    CameraTimeoutError,
    ConfigError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment
from lingbot_live.geometry import rays

ONCE = CameraConfig(loop=False, realtime=False)
COUNT = 30


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return made.VirtualCamera().record(tmp_path_factory.mktemp("rs") / "made.db3", COUNT)


@pytest.fixture
def real():
    root = os.environ.get("LINGBOT_LIVE_TESTDATA")
    if not root:
        pytest.skip("LINGBOT_LIVE_TESTDATA is not set")
    return Path(root) / "data" / "realsense"


def play(path, config=ONCE, most=10_000):
    camera = registry.create_camera(f"realsense:{path}", config)
    found = []
    with camera:
        try:
            while len(found) < most:
                found.append(first_frame(camera, 5))
        except EndOfStreamError:
            pass
    return found, camera


def number(frame):
    """The frame number that the colour image carries."""
    return int(np.median(frame.color[2:14, 2:14]))


# ---- what a frame holds ----------------------------------------------------------------------


def test_every_pair_is_exact(recording):
    found, camera = play(recording)
    numbers = [f.device_index for f in found]
    assert numbers == list(range(COUNT))
    assert not camera.missed
    for frame in found:
        i = frame.device_index
        assert np.array_equal(frame.color, made.color_image(i))
        assert set(np.unique(frame.depth_raw)) == {0, made.NEAR + i, made.FAR + i}
        assert frame.device_timestamp_us == pytest.approx(1e6 + i * 1e6 / 30, abs=2)


def test_aligned_depth_lies_where_geometry_puts_it(recording):
    frame = play(recording, most=1)[0][0]
    calibration = frame.calibration
    assert frame.alignment is Alignment.SDK
    # The corners of the box, depth pixels at NEAR metres, seen by the colour camera.
    rows, columns = made.BOX
    v, u = np.meshgrid([rows.start, rows.stop - 1], [columns.start, columns.stop - 1])
    z_m = (made.NEAR + frame.device_index) * frame.depth_scale_m
    ray = rays(calibration.depth)[v, u].reshape(-1, 2)
    points = np.column_stack([ray, np.ones(4)]) * z_m
    points = points @ made.rotation().T + made.SHIFT_M
    fx, fy, cx, cy = made.COLOR_FOCAL
    want = points[:, :2] / points[:, 2:] * (fx, fy) + (cx, cy)
    near = np.argwhere(frame.depth_raw == made.NEAR + frame.device_index)[:, ::-1]
    assert np.allclose(near.min(0), want.min(0), atol=1.5)
    assert np.allclose(near.max(0), want.max(0), atol=1.5)


def test_calibration_and_scale_are_the_cameras(recording):
    frame = play(recording, most=1)[0][0]
    k = frame.calibration
    assert frame.depth_scale_m == pytest.approx(0.00025, rel=1e-6)
    for found, want in ((k.color, made.COLOR_FOCAL), (k.depth, made.DEPTH_FOCAL)):
        assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx(want, rel=1e-6)
        assert found.distortion == ()
    assert np.allclose(k.T_color_depth.matrix[:3, :3], made.rotation(), atol=1e-6)
    assert np.allclose(k.T_color_depth.matrix[:3, 3], made.SHIFT_M, atol=1e-6)
    assert k.baseline_m == pytest.approx(made.BASELINE_MM / 1000)


def test_info_tells_the_device(recording):
    camera = registry.create_camera(f"realsense:{recording}", ONCE)
    with camera:
        info = camera.info
    assert (info.name, info.serial) == ("Intel RealSense D435", "V0001")
    assert (info.details["firmware"], info.details["usb"]) == ("5.16.0.1", "3.2")
    assert info.address == f"realsense:{recording}"


@pytest.mark.parametrize(("form", "within"), [("bgr8", 0), ("yuyv", 8)])
def test_colour_formats_become_rgb(tmp_path, form, within):
    path = made.VirtualCamera(form=form).record(tmp_path / f"{form}.db3", 8)
    frame = play(path, most=1)[0][0]
    want = made.color_image(frame.device_index).astype(int)
    assert np.abs(frame.color.astype(int) - want).max() <= within


def test_inverse_distortion_is_turned_into_opencvs(tmp_path):
    """The SDK's polynomial maps a distorted pixel to its ray; our `rays` must do the same."""
    import pyrealsense2 as rs

    coeffs = (0.08, -0.05, 0.001, -0.0007, 0.01)
    path = made.VirtualCamera(coeffs=coeffs).record(tmp_path / "inverse.db3", 8)
    found = play(path, most=1)[0][0].intrinsics
    assert found.is_distorted
    source = made._intrinsics(made.COLOR_FOCAL, rs.distortion.inverse_brown_conrady, coeffs)
    table = rays(found)
    for u, v in ((0, 0), (319, 0), (40, 200), (160, 120), (319, 239)):
        want = rs.rs2_deproject_pixel_to_point(source, [u, v], 1.0)[:2]
        assert np.allclose(table[v, u], want, atol=0.3 / 300)  # 0.3 pixel


# ---- pairs and ends --------------------------------------------------------------------------


def test_mispaired_frames_are_counted_and_kept_away(tmp_path):
    period_ms = 1000 / 30

    def late_ms(i):
        return 24.0 if i % 3 == 1 else 3.0

    camera = made.VirtualCamera(late_ms=late_ms)
    found, played = play(camera.record(tmp_path / "late.db3", COUNT))
    assert played.missed["mispaired"] > 0
    assert len(found) + sum(played.missed.values()) >= COUNT - 2
    for frame in found:
        color_ms = number(frame) * period_ms + late_ms(number(frame))
        assert abs(color_ms - frame.device_index * period_ms) <= period_ms / 2
    same = sum(number(f) == f.device_index for f in found)
    assert same >= COUNT * 2 // 3 - 2


def test_loop_begins_again(recording):
    found, _ = play(recording, CameraConfig(realtime=False), most=2 * COUNT + 5)
    numbers = [f.device_index for f in found]
    assert min(np.diff(numbers)) < 0
    assert all(number(f) == f.device_index for f in found)
    assert [f.index for f in found] == list(range(len(found)))


def test_one_pair_is_enough(tmp_path):
    path = made.VirtualCamera(late_ms=lambda i: 30.0).record(tmp_path / "one.db3", 1)
    once = [len(play(path)[0]) for _ in range(5)]
    assert min(once) >= 1
    assert len(play(path, CameraConfig(), most=3)[0]) == 3


@pytest.mark.parametrize("realtime", [False, True])
def test_a_slow_reader_gets_every_frame(recording, realtime):
    camera = registry.create_camera(
        f"realsense:{recording}", CameraConfig(loop=False, realtime=realtime)
    )
    with camera:
        numbers = []
        for i in range(8):
            numbers.append(first_frame(camera).device_index)
            time.sleep(0.1 if i < 4 else 0)
    assert numbers == list(range(8))


def test_realtime_is_no_faster_than_the_recording(recording):
    begun_ns = time.monotonic_ns()
    found, _ = play(recording, CameraConfig(loop=False))
    assert [f.device_index for f in found] == list(range(COUNT))
    for frame in found:
        assert frame.timestamp_ns - begun_ns >= frame.device_index * 33e6


def test_other_size_or_rate_names_what_is_there(recording):
    for config in (CameraConfig(width=640, height=480), CameraConfig(fps=60)):
        camera = registry.create_camera(f"realsense:{recording}", config)
        with pytest.raises(ConfigError, match="the nearest is 320x240 at 30 fps"):
            camera.open()


def test_path_with_spaces_and_umlauts(recording, tmp_path):
    path = tmp_path / "zwei Größen 深度" / "a b.db3"
    path.parent.mkdir()
    shutil.copy(recording, path)
    assert len(play(path, most=3)[0]) == 3


def test_real_d435(real):
    found, _ = play(real / "d435_single_frame.bag")
    assert found
    frame = found[-1]
    assert frame.color.shape == (480, 640, 3)
    assert frame.depth_scale_m == pytest.approx(0.001, rel=1e-6)
    assert 0.3 < np.median(frame.depth_m[frame.depth_raw > 0]) < 10
    assert frame.calibration.baseline_m == pytest.approx(0.0501706657)
    assert play(real / "d435_single_frame.bag", CameraConfig(), most=1)[0]


def test_sixty_pairs_of_the_virtual_d435(real):
    found, camera = play(real / "virtual_d435.db3")
    assert len(found) >= 58
    assert not camera.missed["mispaired"]
    for frame in found:  # its colour carries i and 255 - i at the top left
        i = frame.device_index
        assert tuple(frame.color[4, 4]) == (i, 255 - i, 128)
        assert int(0.6 / 0.00025) in frame.depth_raw


# ---- damaged files ---------------------------------------------------------------------------


def cut(data):
    return data[: len(data) // 2]


def hole(data):
    return data[:20_000] + os.urandom(100_000) + data[120_000:]


def junk(data):
    return os.urandom(5000)


def nothing(data):
    return b""


@pytest.mark.parametrize("spoil", [cut, hole, junk, nothing])
@pytest.mark.parametrize("suffix", [".db3", ".bag"])
def test_damaged_file_says_so(recording, real, tmp_path, spoil, suffix):
    source = recording if suffix == ".db3" else real / "d435_single_frame.bag"
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(spoil(source.read_bytes()))
    begun = time.monotonic()
    with pytest.raises(BadRecordingError, match=path.name) as caught:
        play(path)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 10
    assert len(play(recording, most=2)[0]) == 2  # the app lives


def test_foreign_files_say_so(tmp_path):
    foreign = tmp_path / "foreign.db3"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE topics (name TEXT)")
        database.execute("INSERT INTO topics VALUES ('/tf')")
    database.close()
    with pytest.raises(BadRecordingError, match="not recorded by a RealSense"):
        play(foreign)
    text = tmp_path / "notes.txt"
    text.write_text("x")
    with pytest.raises(BadRecordingError, match=r"no \.bag or \.db3 file"):
        play(text)
    with pytest.raises(BadRecordingError, match="is a folder"):
        play(tmp_path)


def test_orbbec_bag_is_not_taken_for_ours(real):
    driver = registry.driver("realsense")
    foreign = real.parent / "orbbec" / "virtual_gemini335.bag"
    assert driver.plays(real / "d435_single_frame.bag")
    assert not driver.plays(foreign)
    with pytest.raises(BadRecordingError, match="not recorded by a RealSense"):
        play(foreign)


def test_a_crash_or_hang_stays_in_the_child(recording, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    script = tmp_path / "child"
    for body, says in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the SDK crashed on it"),
        ("import time; time.sleep(60)", "no frame within 1 s"),
    ):
        script.write_text(f"#!{sys.executable}\n{body}\n")
        script.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setattr(looking.sys, "executable", str(script))
            with pytest.raises(BadRecordingError, match=says):
                looking.probe("realsense", recording, limit_s=1)


def test_a_file_is_probed_once(recording, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runs = []

    class Counted(looking.Child):
        def __init__(self, *args, **kwargs):
            runs.append(args)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(looking, "Child", Counted)
    copy = tmp_path / "copy.db3"
    shutil.copy(recording, copy)
    for _ in range(2):
        looking.probe("realsense", copy)
    assert len(runs) == 1
    os.utime(copy, (1, 1))
    looking.probe("realsense", copy)
    assert len(runs) == 2


@pytest.fixture(scope="module")
def inertial(tmp_path_factory):
    virtual = made.VirtualCamera(with_imu=True)
    return virtual, virtual.record(tmp_path_factory.mktemp("imu") / "imu.db3", COUNT)


def test_readings_of_the_inertial_sensors_travel_with_the_frames(inertial):
    virtual, path = inertial
    found, _ = play(path)
    written = [reading for i in range(COUNT) for reading in virtual.readings(i)]
    for sensor in ("acceleration_m_s2", "angular_velocity_rad_s"):
        given, got = (
            [r for r in readings if getattr(r, sensor) is not None]
            for readings in (written, [r for frame in found for r in frame.imu])
        )
        assert got == given[: len(got)]
        assert len(got) > len(given) - 4 * made.READINGS  # the file goes on after its last pair
    looped, _ = play(path, CameraConfig(loop=True, realtime=False), most=2 * COUNT)
    assert sum(len(frame.imu) for frame in looped) > 1.5 * len(written)


# ---- live ------------------------------------------------------------------------------------


def test_live_camera_streams():
    virtual = made.VirtualCamera(serial="L1", units_m=0.001, with_imu=True)
    attached = made.AttachedCamera(virtual)
    driver = RealSenseDriver(attached.context)
    (info,) = driver.discover()
    assert (info.address, info.name) == ("realsense:L1", "Intel RealSense D435")
    assert not info.is_recording
    with virtual.streaming(), driver.create(driver.find("d435"), CameraConfig()) as camera:
        found = [first_frame(camera, 5) for _ in range(10)]
    for frame in found:
        i = frame.device_index
        assert number(frame) == i % 256
        assert set(np.unique(frame.depth_raw)) - {0} == {made.NEAR + i, made.FAR + i}
        assert frame.depth_scale_m == pytest.approx(0.001, rel=1e-6)
    stamps = [r.device_timestamp_us for f in found for r in f.imu if r.acceleration_m_s2]
    assert len(stamps) > 6 * made.READINGS
    assert {round(d, -2) for d in np.diff(stamps).tolist()} == {5600}  # none is left out


def test_profiles_are_listed_and_asked_for():
    attached = made.AttachedCamera(made.VirtualCamera(serial="L2"))
    driver = RealSenseDriver(attached.context)
    info = driver.find("auto")
    assert {(p.stream, p.width, p.height, p.fps, p.format) for p in info.profiles} == {
        ("color", 320, 240, 30.0, "rgb8"),
        ("depth", 320, 240, 30.0, "z16"),
    }
    with pytest.raises(ConfigError, match=r"L2: colour 1280x720 is not offered; .* 320x240"):
        driver.create(info, CameraConfig(width=1280, height=720)).open()


def test_wrong_serial_says_what_is_attached():
    attached = made.AttachedCamera(made.VirtualCamera(serial="L3"))
    driver = RealSenseDriver(attached.context)
    with pytest.raises(CameraNotFoundError, match=r"nope: .* attached: L3 \(Intel RealSense D435"):
        driver.find("nope")


def test_no_camera_is_said_at_once():
    begun = time.monotonic()
    with pytest.raises(CameraNotFoundError, match=r"none is attached\. Check cable"):
        RealSenseDriver().find("auto")
    assert time.monotonic() - begun < 10  # the SDK itself would block for 15 s


def test_unplugged_camera_is_noticed_and_comes_back(recording):
    import pyrealsense2 as rs

    context = rs.context()
    driver = RealSenseDriver(context)
    device = context.load_device(str(recording))  # attached as long as it is held
    camera = driver.create(driver.find("V0001"), CameraConfig())
    camera.open()
    first_frame(camera)
    context.unload_device(str(recording))
    begun = time.monotonic()
    with pytest.raises(CameraDisconnectedError, match=r"realsense:V0001: .* plug it in again"):
        read_on(camera)
    assert time.monotonic() - begun < 10
    camera.close()
    with pytest.raises(CameraNotFoundError):
        camera.open()
    device = context.load_device(str(recording))
    with camera:
        assert first_frame(camera).index > 0
    del device


def read_on(camera, limit_s=15.0):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            camera.read(0.2)
        except CameraTimeoutError:
            continue


def test_stalled_camera_times_out():
    virtual = made.VirtualCamera(serial="L4")
    attached = made.AttachedCamera(virtual)
    driver = RealSenseDriver(attached.context)
    with driver.create(driver.find("L4"), CameraConfig()) as camera:
        with pytest.raises(CameraTimeoutError, match=r"no frame within 0\.2 s"):
            camera.read(0.2)
        with virtual.streaming():
            first_frame(camera, 5)


def test_depth_alone_is_refused():
    import pyrealsense2 as rs

    device = rs.software_device()
    device.register_info(rs.camera_info.serial_number, "MONO")
    context = rs.context()
    events = []
    context.set_devices_changed_callback(events.append)
    device.add_to(context)
    driver = RealSenseDriver(context)
    with pytest.raises(CameraError, match="no colour stream"):
        driver.create(driver.find("MONO"), CameraConfig()).open()
