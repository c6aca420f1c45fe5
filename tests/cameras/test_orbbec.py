"""The Orbbec driver through the real SDK, playing recordings written by `fixtures_orbbec`."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pyorbbecsdk")
pytest.importorskip("rosbags")

from fixtures_orbbec import (
    COLOR,
    DEPTH,
    FEMTO_BOLT,
    GEMINI_336,
    PERIOD_US,
    POSE,
    START_US,
    Bag,
    Pair,
)

from drivers.orbbec.driver import OrbbecDriver
from lingbot_live.cameras.base import Camera, first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraNotFoundError,
    CameraTimeoutError,
    ConfigError,
    DriverUnavailableError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Extrinsics, Frame, Intrinsics

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

ALIGNED = Bag(color=COLOR, depth=COLOR, pose=Extrinsics())
EVERY = CameraConfig(loop=False, realtime=False)
DEADLINE_S = 10.0  # for an error


def pairs(count: int, size: tuple[int, int] = (240, 320)) -> list[Pair]:
    rng = np.random.default_rng(3)
    found = []
    for i in range(count):
        small = rng.integers(0, 255, (size[0] // 20, size[1] // 20, 3), np.uint8)
        rgb = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
        depth = rng.integers(400, 5000, size).astype(np.uint16)
        depth[: size[0] // 4, : size[1] // 4] = 0
        found.append((rgb, depth + np.uint16(i)))
    return found


def opened(path: Path, config: CameraConfig = EVERY) -> Camera:
    driver = OrbbecDriver()
    return driver.create(driver.find(str(path)), config)


def played(
    camera: Camera, most: int = 1000, pause_s: float = 0.0, within_s: float = 30.0
) -> list[Frame]:
    frames: list[Frame] = []
    deadline = time.monotonic() + within_s
    while len(frames) < most and time.monotonic() < deadline:
        try:
            frames.append(camera.read(0.2))
        except CameraTimeoutError:
            continue
        except EndOfStreamError:
            break
        time.sleep(pause_s)
    return frames


@pytest.mark.parametrize(
    ("bag", "most_off"),
    [
        (ALIGNED, 0),
        (replace(ALIGNED, model=GEMINI_336, unit_mm=0.1, color_format="BGR"), 0),
        (replace(ALIGNED, model=GEMINI_336, depth_format="Z16", lz4=True), 0),
        (replace(ALIGNED, model=FEMTO_BOLT, color_format="MJPG"), 4),
        (replace(ALIGNED, model=FEMTO_BOLT, color_format="YUYV"), 8),
    ],
    ids=["335", "336-tenth", "336-lz4", "bolt", "bolt-yuyv"],
)
def test_gives_what_was_written(bag: Bag, most_off: float, tmp_path: Path) -> None:
    written = pairs(5)
    with opened(bag.write(tmp_path / "a.bag", written)) as camera:
        frames = played(camera)
        info = camera.info
    assert [frame.device_index for frame in frames] == [1, 2, 3, 4, 5]
    for i, (frame, (rgb, raw)) in enumerate(zip(frames, written, strict=True)):
        np.testing.assert_array_equal(frame.depth_raw, raw)
        off = np.abs(frame.color.astype(int) - rgb)
        assert off.max() == 0 if most_off == 0 else off.mean() <= most_off
        assert frame.depth_scale_m == pytest.approx(bag.unit_mm / 1000, rel=1e-6)
        assert frame.device_timestamp_us == START_US + i * PERIOD_US
        assert frame.alignment is Alignment.NONE
    assert (info.name, info.serial) == (bag.model.name, "TEST0000042")
    assert info.details["firmware"] == "1.2.3"
    assert {p.stream: (p.width, p.height, p.fps) for p in info.profiles} == {
        "color": (320, 240, 30.0),
        "depth": (320, 240, 30.0),
    }
    assert not camera.missed


def test_reads_the_calibration(tmp_path: Path) -> None:
    turned = cv2.Rodrigues(np.deg2rad([1.0, -2.0, 3.0]))[0]
    pose = Extrinsics.from_matrix(np.c_[turned, [-0.0145, 0.0005, 0.002]])
    lens = (0.11, -0.21, 0.0012, -0.0007, 0.05, 0.01, -0.02, 0.03)
    color = replace(COLOR, distortion=lens)
    with opened(Bag(color=color, pose=pose).write(tmp_path / "a.bag", pairs(2))) as camera:
        found = played(camera, 1)[0].calibration
    for own, written in ((found.color, color), (found.depth, DEPTH)):
        assert own is not None
        for name in ("fx", "fy", "cx", "cy"):
            assert getattr(own, name) == pytest.approx(getattr(written, name), rel=1e-6)
        assert own.distortion == pytest.approx(written.distortion, rel=1e-6)
    assert found.T_color_depth is not None
    np.testing.assert_allclose(found.T_color_depth.matrix, pose.matrix, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("unit_mm", [1.0, 0.1])
def test_depth_moves_onto_colour_and_keeps_its_values(unit_mm: float, tmp_path: Path) -> None:
    raw = np.full((240, 320), round(1500 / unit_mm), np.uint16)
    raw[100:140, 150:190] = round(800 / unit_mm)
    rgb = np.zeros((240, 320, 3), np.uint8)
    bag = Bag(model=GEMINI_336, unit_mm=unit_mm)
    with opened(bag.write(tmp_path / "a.bag", [(rgb, raw)] * 2)) as camera:
        frame = played(camera, 1)[0]
    assert frame.alignment is Alignment.OWN
    assert set(np.unique(frame.depth_raw)) <= {0, *np.unique(raw)}
    # The near square, seen by a camera 14.5 mm beside and 2 mm behind, by similar triangles.
    edges = (np.array([149.5, 189.5]) - DEPTH.cx) / DEPTH.fx * 0.8 + POSE.translation_m[0]
    left, right = edges / (0.8 + POSE.translation_m[2]) * COLOR.fx + COLOR.cx
    near = np.flatnonzero(frame.depth_raw[118] == round(800 / unit_mm))
    assert near[0] == pytest.approx(left, abs=1)
    assert near[-1] == pytest.approx(right, abs=1)


def test_agrees_with_the_sdks_own_aligner(tmp_path: Path) -> None:
    from drivers.orbbec import data
    from drivers.orbbec.driver import sdk
    from lingbot_live.registration import Registration

    v, u = np.mgrid[0:240, 0:320]
    raw = (1000 + u + 2 * v).astype(np.uint16)
    raw[100:140, 150:190] = 700
    lens = (0.1, -0.2, 0.001, -0.0005, 0.05)
    color = replace(COLOR, distortion=lens)
    pair = np.zeros((240, 320, 3), np.uint8), raw
    path = Bag(color=color).write(tmp_path / "a.bag", [pair] * 3)
    ob = sdk()
    device = ob.PlaybackDevice(str(path))
    pipeline, config = ob.Pipeline(device), ob.Config()
    for sensor in (ob.OBSensorType.COLOR_SENSOR, ob.OBSensorType.DEPTH_SENSOR):
        config.enable_stream(sensor)
    device.pause()
    pipeline.start(config)
    device.resume()
    frames = pipeline.wait_for_frames(3000)
    both = frames.get_color_frame(), frames.get_depth_frame()
    align = ob.AlignFilter(align_to_stream=ob.OBStreamType.COLOR_STREAM)
    theirs = data.to_depth(align.process(frames).as_frame_set().get_depth_frame())
    found = data.calibration(*(f.get_stream_profile().as_video_stream_profile() for f in both))
    pipeline.stop()
    assert theirs is not None
    assert found.depth is not None
    assert found.T_color_depth is not None
    # Theirs is the distance from the colour camera, 2 mm more here.
    ours = Registration(found.depth, found.color, found.T_color_depth, keep_values=False)
    off = np.abs(ours(raw, 0.001).astype(int) - theirs)
    assert (off <= np.maximum(2, 0.01 * theirs))[theirs > 0].mean() >= 0.995


def test_every_frame_reaches_a_slow_reader(tmp_path: Path) -> None:
    path = ALIGNED.write(tmp_path / "a.bag", pairs(30))
    with opened(path) as camera:
        frames = played(camera, pause_s=0.06)
    assert [frame.device_index for frame in frames] == [*range(1, 31)]
    assert not camera.missed


def test_a_gap_in_the_numbers_is_counted(tmp_path: Path) -> None:
    path = replace(ALIGNED, lost=(3, 4)).write(tmp_path / "a.bag", pairs(8))
    with opened(path) as camera:
        frames = played(camera)
    assert [frame.device_index for frame in frames] == [1, 2, 5, 6, 7, 8]
    assert dict(camera.missed) == {"sensor": 2}


def test_begins_again_at_its_end(tmp_path: Path) -> None:
    path = ALIGNED.write(tmp_path / "a.bag", pairs(4))
    with opened(path, CameraConfig(loop=True, realtime=False)) as camera:
        frames = played(camera, most=10)
    assert [frame.device_index for frame in frames] == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    assert [frame.index for frame in frames] == [*range(10)]


def test_keeps_its_own_pace(tmp_path: Path) -> None:
    path = ALIGNED.write(tmp_path / "a.bag", pairs(12))
    with opened(path, CameraConfig(loop=False)) as camera:
        frames = played(camera)
    assert frames[-1].device_index == 12
    span_us = frames[-1].device_timestamp_us - frames[0].device_timestamp_us
    assert (frames[-1].timestamp_ns - frames[0].timestamp_ns) / 1000 > 0.5 * span_us


def test_pauses_seeks_and_steps(tmp_path: Path) -> None:
    path = Bag().write(tmp_path / "a.bag", pairs(20))
    with opened(path, CameraConfig(loop=False, start_s=4 * PERIOD_US / 1e6)) as camera:
        assert first_frame(camera, 5).device_index == 5
        playback = camera.playback
        assert playback is not None
        assert playback.duration_s == pytest.approx(19 * PERIOD_US / 1e6, abs=0.002)
        playback.pause()
        for place in (14, 2, 18):
            playback.seek(place * PERIOD_US / 1e6)
            assert after(camera, place + 1).device_index == place + 1
        playback.step(-3)
        assert after(camera, 16).device_index == 16
        playback.step()
        assert after(camera, 17).device_index == 17
        playback.play()
        assert [frame.device_index for frame in played(camera)][-1] == 20
        assert playback.position_s == pytest.approx(19 * PERIOD_US / 1e6, abs=0.002)
    assert not camera.missed["sensor"]


def test_settings_of_a_recording_can_be_read(tmp_path: Path) -> None:
    path = Bag(unit_mm=0.1).write(tmp_path / "a.bag", pairs(3))
    with opened(path) as camera:
        there = {control.name: control for control in camera.controls()}
        size = there["depth.noise_filter_size"]
        assert (size.value, size.default, size.minimum, size.maximum) == (80, 80, 1, 1000)
        assert there["depth.noise_filter_difference"].value == 256
        assert there["depth.noise_filter"].value is False
        assert there["depth.units"].value == 0.1
        assert all(control.read_only for control in there.values())
        with pytest.raises(ConfigError, match="is 80 and cannot be changed here"):
            camera.set_control("depth.noise_filter_size", 100)


def after(camera: Camera, number: int) -> Frame:
    """Return the frame that a command led to; those held before it are passed over."""
    held = [first_frame(camera, 5)]
    while held[-1].device_index != number and len(held) < 5:
        held.append(first_frame(camera, 5))
    return held[-1]


def test_images_far_apart_in_time_are_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGBOT_LIVE_PROBE", "1")  # all pairs may be refused, then or now
    written, skew_us = pairs(12), PERIOD_US // 2 + 300
    path = replace(ALIGNED, skew_us=skew_us).write(tmp_path / "a.bag", written)
    with opened(path) as camera:
        frames = played(camera, within_s=5)  # the SDK never says that such a file has ended
    for frame in frames:
        (color,) = (i for i, (rgb, _) in enumerate(written) if (rgb == frame.color).all())
        color_us = START_US + color * PERIOD_US
        assert abs(frame.device_timestamp_us - color_us) <= PERIOD_US / 2 + 1
    assert len(frames) < 12
    assert camera.missed["mispaired"] + camera.missed["incomplete"] > 0


def test_opens_again_after_closing(tmp_path: Path) -> None:
    camera = opened(ALIGNED.write(tmp_path / "a.bag", pairs(3)))
    for _ in range(3):
        with camera:
            assert played(camera, 1)[0].device_index == 1


def test_another_size_than_the_recorded_is_refused(tmp_path: Path) -> None:
    path = ALIGNED.write(tmp_path / "a.bag", pairs(2))
    with pytest.raises(ConfigError, match="320x240 at 30 fps"):
        opened(path, CameraConfig(width=800, height=600)).open()


# ---- what can be wrong with a file -------------------------------------------------------------


def damaged(kind: str, path: Path) -> Path:
    sound = ALIGNED.write(path.with_name("sound.bag"), pairs(4)).read_bytes()
    chunk = sound.index(b"compression=none")
    if kind == "junk":
        path.write_bytes(np.random.default_rng(0).bytes(50_000))
    elif kind == "no device":
        replace(ALIGNED, without=("device",)).write(path, pairs(4))
    elif kind == "no depth profile":
        replace(ALIGNED, without=("depth profile",)).write(path, pairs(4))
    elif kind == "no calibration":
        replace(ALIGNED, depth=DEPTH, pose=None).write(path, pairs(4))
    elif kind == "bz2":
        path.write_bytes(sound[:chunk] + b"compression=bz2 " + sound[chunk + 16 :])
    elif kind == "chunk header":
        path.write_bytes(sound[: chunk - 40] + b"\xff" * 30 + sound[chunk - 10 :])
    elif kind == "message header":
        inside = sound.index(b"op=\x02") - 8
        path.write_bytes(sound[:inside] + struct.pack("<I", 1 << 30) + sound[inside + 4 :])
    else:
        path.write_bytes(sound[: round(len(sound) * float(kind))])
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("0.0", "junk", "0.001", "0.3", "0.7", "0.95", "0.9999", "no device", "no depth profile"),
        *("no calibration", "bz2", "chunk header", "message header"),
    ],
)
def test_a_damaged_file_gives_a_clear_error(kind: str, tmp_path: Path) -> None:
    path = damaged(kind, tmp_path / "a.bag")
    started = time.monotonic()
    with pytest.raises(BadRecordingError, match=r"a\.bag"):
        opened(path).open()
    assert time.monotonic() - started < DEADLINE_S


@pytest.mark.testdata
def test_a_bag_of_another_make_is_refused(testdata: Path) -> None:
    path = testdata / "data" / "realsense" / "d435_single_frame.bag"
    assert not OrbbecDriver().plays(path)
    with pytest.raises(BadRecordingError, match="another driver"):
        opened(path).open()


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CameraNotFoundError, match=r"nothing\.bag"):
        OrbbecDriver().find(str(tmp_path / "nothing.bag"))


def test_a_name_with_spaces_and_letters_of_any_script_opens(tmp_path: Path) -> None:
    folder = tmp_path / "Aufnahme à 深度"
    folder.mkdir()
    path = ALIGNED.write(folder / "mit Leerzeichen ß.bag", pairs(2))
    assert OrbbecDriver().plays(path)
    with opened(path) as camera:
        assert len(played(camera)) == 2


# ---- devices -----------------------------------------------------------------------------------


def test_an_unknown_serial_is_not_found() -> None:
    with pytest.raises(CameraNotFoundError, match="orbbec:NOSUCH1"):
        OrbbecDriver().find("NOSUCH1")


def test_a_network_address_is_taken_as_one() -> None:
    assert OrbbecDriver().find("192.168.1.10").target == "192.168.1.10"


def test_without_the_sdk_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyorbbecsdk", None)
    with pytest.raises(DriverUnavailableError, match="pyorbbecsdk") as raised:
        OrbbecDriver().discover()
    assert raised.value.install == 'pip install "lingbot-live[orbbec]"'


def test_the_sdk_keeps_silent(tmp_path: Path) -> None:
    path = Bag().write(tmp_path / "a.bag", pairs(2))
    script = (
        "import logging, sys; from drivers.orbbec.driver import OrbbecDriver\n"
        "logging.getLogger('lingbot_live').addHandler(logging.NullHandler())\n"
        "from lingbot_live.config import CameraConfig\n"
        "driver = OrbbecDriver(); driver.discover()\n"
        "with driver.create(driver.find(sys.argv[1]), CameraConfig()) as camera: camera.read(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---- the shared recording ----------------------------------------------------------------------


@pytest.mark.testdata
def test_plays_the_virtual_gemini(testdata: Path) -> None:
    path = testdata / "data" / "orbbec" / "virtual_gemini335.bag"
    with opened(path) as camera:
        frames = played(camera)
        assert camera.info.name == "Orbbec Gemini 335"
    assert [frame.device_index for frame in frames] == [*range(1, 13)]
    for i, frame in enumerate(frames):
        example = testdata / "data" / "lingbot_examples" / str(i % 4)
        raw = cv2.imread(str(example / "raw_depth.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(frame.depth_raw, raw)
        assert isinstance(frame.intrinsics, Intrinsics)
        assert frame.depth_scale_m == pytest.approx(0.001, rel=1e-6)
