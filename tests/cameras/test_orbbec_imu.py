"""Inertial readings of Orbbec cameras, through the real SDK on recordings of `fixtures_orbbec`."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyorbbecsdk")
pytest.importorskip("rosbags")

from fixtures_orbbec import PERIOD_US, START_US, Bag, Pair
from sessions import record

from drivers.orbbec.driver import LiveOrbbec, OrbbecDriver
from drivers.orbbec.sdk import context, sdk
from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo, first_frame
from lingbot_live.cameras.describe import describe
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraDisconnectedError
from lingbot_live.frame import Frame, ImuSample
from lingbot_live.recording.bags.rosbag1 import Bag as RosBag
from lingbot_live.recording.recording import Recording

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

COUNT = 12  # pairs
LAST_US = START_US + (COUNT - 1) * PERIOD_US


def pairs() -> list[Pair]:
    rgb = np.full((240, 320, 3), (60, 120, 200), np.uint8)
    return [(rgb + np.uint8(i), np.full((240, 320), 1200 + i, np.uint16)) for i in range(COUNT)]


def readings(before_us: int = 50_000, after_us: int = 30_000) -> tuple[ImuSample, ...]:
    """Both sensors at 500 Hz, also before and after the images; some values are zero."""
    found = []
    for k, stamp_us in enumerate(range(START_US - before_us, LAST_US + after_us, 2000)):
        found.append(ImuSample(stamp_us, acceleration_m_s2=(0.5 * (k % 3), -9.75, k / 64)))
        found.append(ImuSample(stamp_us + 700, angular_velocity_rad_s=(0.125, -0.5, k / 128)))
    return tuple(found)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("moving") / "a.bag"
    return Bag(imu=readings()).write(path, pairs())


def opened(path: Path, config: CameraConfig = OFFLINE) -> Camera:
    return registry.create_camera(f"orbbec:{path}", config)


def taken(frames: list[Frame]) -> list[ImuSample]:
    return [reading for frame in frames for reading in frame.imu]


# ---- recordings --------------------------------------------------------------------------------


@pytest.mark.parametrize("lz4", [False, True], ids=["plain", "lz4"])
@pytest.mark.parametrize("before_us", [50_000, 1_900_000])
def test_every_reading_comes_once_with_the_frame_after_it(
    before_us: int, lz4: bool, tmp_path: Path
) -> None:
    written = readings(before_us)
    path = Bag(imu=written, lz4=lz4).write(tmp_path / "a.bag", pairs())
    with opened(path) as camera:
        assert camera.playback is not None
        assert camera.playback.duration_s == pytest.approx((LAST_US - START_US) / 1e6)
        frames = [*every_frame(camera)]
    assert [frame.device_index for frame in frames] == [*range(1, COUNT + 1)]
    assert taken(frames) == [*written]
    for before, frame in itertools.pairwise(frames[:-1]):
        for reading in frame.imu:
            assert before.device_timestamp_us < reading.device_timestamp_us
            assert reading.device_timestamp_us <= frame.device_timestamp_us
    assert not camera.missed


def test_a_slow_reader_and_pauses_lose_none(moving: Path) -> None:
    frames = []
    with opened(moving, CameraConfig(loop=False)) as camera:
        assert camera.playback is not None
        for frame in every_frame(camera):
            frames.append(frame)
            if frame.device_index in (3, 7):
                camera.playback.pause()
                frames += [first_frame(camera) for _ in range(2)]  # the same frame, held
                camera.playback.play()
            time.sleep(0.05)
    assert taken(frames) == [*readings()]


def test_a_loop_brings_them_again(moving: Path) -> None:
    with opened(moving, CameraConfig(realtime=False)) as camera:
        frames = [first_frame(camera) for _ in range(2 * COUNT)]
    assert taken(frames) == 2 * [*readings()]


def test_after_a_seek_come_those_of_the_place(moving: Path) -> None:
    with opened(moving, CameraConfig(loop=False)) as camera:
        first_frame(camera)
        assert camera.playback is not None
        camera.playback.pause()
        for number in (9, 3, 11):
            camera.playback.seek((number - 1) * PERIOD_US / 1e6)
            frame = first_frame(camera)
            while frame.device_index != number:  # one held before it
                frame = first_frame(camera)
            at_us = frame.device_timestamp_us
            assert list(frame.imu) == [
                r for r in readings() if at_us - PERIOD_US < r.device_timestamp_us <= at_us
            ]


def test_one_sensor_alone(tmp_path: Path) -> None:
    written = tuple(r for r in readings() if r.angular_velocity_rad_s is not None)
    path = Bag(imu=written).write(tmp_path / "a.bag", pairs())
    with opened(path) as camera:
        assert taken([*every_frame(camera)]) == [*written]


def test_they_are_counted(moving: Path, tmp_path: Path) -> None:
    images = {"color": COUNT, "depth": COUNT}
    assert describe(str(moving))["frames"] == {**images, "imu": len(readings())}
    still = Bag().write(tmp_path / "b.bag", pairs())
    assert OrbbecDriver().frame_counts(still) == images


def test_a_session_keeps_them(moving: Path, tmp_path: Path) -> None:
    witness, _ = record(tmp_path / "a.mcap", opened(moving))
    given = [frame.imu for frame in witness.frames[f"orbbec:{moving}"]]
    assert sum(given, ()) == readings()
    with Recording(tmp_path / "a.mcap") as recording:
        assert [frame.imu for frame in recording] == given


def test_damage_in_a_compressed_part_is_a_clear_error(tmp_path: Path) -> None:
    path = Bag(imu=readings(), lz4=True).write(tmp_path / "a.bag", pairs())
    whole = bytearray(path.read_bytes())
    chunk = whole.index(b"compression=lz4", len(whole) // 2)
    whole[chunk + 100 : chunk + 400] = bytes(300)
    path.write_bytes(whole)
    topic = "/cam/sensor_4/frameType_4"
    with pytest.raises(BadRecordingError, match=r"a\.bag: the bag is damaged"):
        [*RosBag(path).messages({topic})]


# ---- live --------------------------------------------------------------------------------------


class Attached(LiveOrbbec):
    """The live camera's own code on the one kind of device that the SDK has without hardware."""

    def _find_device(self) -> Any:
        context()
        device = sdk().PlaybackDevice(self.info.details["file"])
        device.set_playback_rate(0.2)  # no faster than a machine with much else to do
        return device

    def _is_gone(self) -> bool:
        return self._device.get_playback_status() == sdk().OBPlaybackStatus.STOPPED


def attached(path: Path) -> Attached:
    info = CameraInfo("orbbec", "TEST0000042", "Gemini", details={"file": str(path)})
    return Attached(info, CameraConfig())


def test_a_live_camera_reads_them_beside_the_images(moving: Path) -> None:
    before = threading.active_count()
    written = {
        (r.device_timestamp_us, r.acceleration_m_s2, r.angular_velocity_rad_s) for r in readings()
    }
    frames = []
    with attached(moving) as camera:
        assert threading.active_count() == before + 1
        with pytest.raises(CameraDisconnectedError):
            frames.extend(first_frame(camera) for _ in itertools.count())
    assert threading.active_count() == before
    assert len(frames) > COUNT // 2
    found = [
        (r.device_timestamp_us, r.acceleration_m_s2, r.angular_velocity_rad_s)
        for r in taken(frames)
    ]
    assert len(found) > 0.5 * len(written)  # the SDK's player drops some
    assert len(found) == len(set(found))
    # One with a zero in it the player hands over as a turn.
    assert {f for f in found if f[1]} <= written
    assert {f for f in found if f[2] and f[2][0] == 0.125} <= written
    for sensor in ("acceleration_m_s2", "angular_velocity_rad_s"):
        stamps = [r.device_timestamp_us for r in taken(frames) if getattr(r, sensor)]
        assert stamps == sorted(stamps)


def test_a_camera_without_inertial_sensors_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Bag().write(tmp_path / "a.bag", pairs())
    before = threading.active_count()
    with attached(path) as camera:
        assert first_frame(camera).imu == ()
        assert threading.active_count() == before
    assert "inertial" not in caplog.text


def test_sensors_that_do_not_start_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Bag(imu=readings(), imu_rate=99).write(tmp_path / "a.bag", pairs())
    with caplog.at_level(logging.WARNING), attached(path) as camera:
        assert first_frame(camera).imu == ()
    assert "its inertial sensors do not start: Unregistered imu rate" in caplog.text
