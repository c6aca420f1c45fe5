"""A session is a camera again."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from sessions import NoisyCamera, Witness, record

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraNotFoundError,
    CameraTimeoutError,
    ConfigError,
    EndOfStreamError,
    SessionStateError,
)
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.format import from_levels, to_levels
from lingbot_live.recording.playback import Playback

EVERY = CameraConfig(loop=False, realtime=False)


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "a.mcap"
    witness, _ = record(
        path,
        NoisyCamera("left", 30, period_s=0.02),
        NoisyCamera("right", 30, 0.00025, period_s=0.02, seed=1),
    )
    return path, witness


def read_all(camera):
    frames = []
    with camera:
        while True:
            try:
                frames.append(camera.read(0.5))
            except CameraTimeoutError:
                continue
            except EndOfStreamError:
                return frames


@pytest.mark.parametrize("name", ["noisy:left", "noisy:right"])
def test_every_frame_is_delivered_as_recorded(take, name):
    path, witness = take
    frames = read_all(registry.create_camera(f"session:{path}#{name}", EVERY))
    given = witness.frames[name]
    assert [f.index for f in frames] == list(range(30))
    for want, got in zip(given, frames, strict=True):
        assert np.array_equal(want.depth_raw, got.depth_raw)
        assert got.depth_scale_m == want.depth_scale_m
        assert got.calibration == want.calibration
        assert got.device_timestamp_us == want.device_timestamp_us
        assert got.label == want.label


def test_the_address_may_be_the_path_or_name_a_camera(take):
    path, _ = take
    info = registry.find_camera(str(path))
    assert (info.driver, info.is_recording) == ("session", True)
    assert info.name in ("Noisy left", "Noisy right")
    assert registry.find_camera(f"session:{path}#noisy:right").name == "Noisy right"
    with pytest.raises(BadRecordingError, match="Did you mean 'noisy:left'"):
        registry.find_camera(f"session:{path}#noisy:lef")
    with pytest.raises(CameraNotFoundError, match="no such file"):
        registry.find_camera("session:none.mcap")


def test_looping_begins_again(take):
    path, _ = take
    with registry.create_camera(str(path), CameraConfig(loop=True, realtime=False)) as camera:
        frames = [camera.read(1.0) for _ in range(61)]
    assert np.array_equal(frames[0].depth_raw, frames[30].depth_raw)
    assert np.array_equal(frames[0].depth_raw, frames[60].depth_raw)


def test_in_pace_frames_keep_their_distances(take):
    path, witness = take
    frames = read_all(
        registry.create_camera(f"session:{path}#noisy:left", CameraConfig(loop=False))
    )
    given = {f.device_timestamp_us: f.timestamp_ns for f in witness.frames["noisy:left"]}
    shift = [f.timestamp_ns - given[f.device_timestamp_us] for f in frames]
    assert len(frames) > 15
    assert np.median(np.abs(np.array(shift) - shift[0])) < 30e6


def test_two_cameras_play_in_step(take):
    path, witness = take
    addresses = [f"session:{path}#noisy:left", f"session:{path}#noisy:right"]
    session = Session.of(addresses, RefinerConfig("none"), CameraConfig(loop=False))
    seen = Witness()
    session.add_tap(seen)
    with session:
        session.wait()
    apart = []
    for name in witness.frames:
        given = {f.device_timestamp_us: f.timestamp_ns for f in witness.frames[name]}
        shown = seen.frames[f"session:{path}#{name}"]
        apart.append(np.median([f.timestamp_ns - given[f.device_timestamp_us] for f in shown]))
    assert abs(apart[0] - apart[1]) < 30e6


def test_recorded_depth_comes_along(take):
    path, witness = take
    given = {r.frame.device_timestamp_us: r for r in witness.refined["noisy:left"]}
    seen = Witness()
    session = Session.of(
        [f"session:{path}#noisy:left"], RefinerConfig("recorded"), CameraConfig(loop=False)
    )
    session.add_tap(seen)
    with session:
        session.wait()
    stats = session.feeds[0].stats
    shown = next(iter(seen.refined.values()))
    assert shown
    for refined in shown:
        want = given[refined.frame.device_timestamp_us]
        assert np.array_equal(refined.depth_m, from_levels(*to_levels(want.depth_m)))
        assert refined.refiner == want.refiner
    assert session.refiner_error is None
    assert stats.captured == stats.refined + sum(stats.figures().drops.values())


def held(camera):
    """The next frame of a paused camera."""
    for _ in range(20):
        try:
            return camera.read(0.2)
        except CameraTimeoutError:
            continue
    raise AssertionError("no frame")


def test_pause_seek_and_step(take):
    path, witness = take
    with registry.create_camera(f"session:{path}", CameraConfig()) as camera:
        name = camera.playback.recording.track().name
        given = [f.depth_raw for f in witness.frames[name]]
        track = camera.playback.recording.track()
        camera.read(1.0)
        playback = camera.playback
        playback.pause()
        first = held(camera)
        again = held(camera)  # a held frame comes again
        assert np.array_equal(first.depth_raw, again.depth_raw)
        at = playback.position_s
        assert playback.is_paused
        for row in (25, 3, 29, 0):
            playback.seek((int(track.times_ns[row]) - playback.recording.start_ns) / 1e9 + 1e-6)
            assert np.array_equal(held(camera).depth_raw, given[row])
        playback.step(2)
        assert np.array_equal(held(camera).depth_raw, given[2])
        playback.step(-1)
        assert np.array_equal(held(camera).depth_raw, given[1])
        playback.step(-50)
        assert np.array_equal(held(camera).depth_raw, given[0])
        playback.seek(1e9)
        assert playback.position_s == playback.duration_s
        playback.seek_frame(0)
        assert playback.position_s == 0.0 <= at
        playback.play()
        assert not playback.is_paused
        following = [held(camera) for _ in range(4)]
        assert len({f.device_timestamp_us for f in following}) >= 3


def test_speed(take):
    path, _ = take
    playback = Playback(path)
    try:
        playback.start()
        playback.speed = 4.0
        before = playback.position_s
        time.sleep(0.1)
        assert playback.position_s - before >= 0.39
        playback.speed = 0.1
        at = playback.position_s
        time.sleep(0.05)
        assert playback.position_s - at >= 0
        for wrong in (0.0, 5.0, -1.0):
            with pytest.raises(ConfigError, match="must lie in"):
                playback.speed = wrong
    finally:
        playback.recording.close()


def test_players_of_one_file_share_a_clock_and_close_it(take):
    path, _ = take
    left = registry.create_camera(f"session:{path}#noisy:left", CameraConfig())
    right = registry.create_camera(f"session:{path}#noisy:right", CameraConfig())
    with left:
        with right:
            assert left.playback is right.playback
        assert left.read(1.0).index == 0
    assert left.playback is None
    with pytest.raises(SessionStateError):
        left.read(1.0)
    with left:
        assert left.read(1.0) is not None


def test_a_recording_serves_several_threads(take):
    path, witness = take
    playback = Playback(path)
    wrong = []

    def look(name):
        track = playback.recording.track(name)
        for row in np.random.default_rng(0).integers(0, 30, 60):
            if not np.array_equal(track[row].depth_raw, witness.frames[name][row].depth_raw):
                wrong.append((name, row))

    threads = [threading.Thread(target=look, args=(n,)) for n in (*witness.frames, *witness.frames)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    playback.recording.close()
    assert not wrong


def test_members_are_all_cameras_of_a_file(take):
    path, witness = take
    for address in (str(path), f"session:{path}"):
        infos = registry.members(address)
        assert {info.address for info in infos} == {f"session:{path}#{n}" for n in witness.frames}
        assert all(info.recorded.refined > 0 for info in infos)
        assert not any(info.recorded.damage for info in infos)
    assert [i.name for i in registry.members(f"session:{path}#noisy:right")] == ["Noisy right"]
    assert registry.members("synthetic:stereo") == []


def test_frames_are_those_of_the_camera_that_leads(take):
    path, witness = take
    for name, given in witness.frames.items():
        with registry.create_camera(f"session:{path}#{name}") as camera:
            playback = camera.playback
            playback.pause()
            assert playback.frames == 30
            for number in (17, 0, 29):
                playback.seek_frame(number)
                assert playback.frame == number
                assert np.array_equal(held(camera).depth_raw, given[number].depth_raw)


def test_the_first_camera_of_the_file_leads_in_whatever_order_they_open(take):
    path, _ = take
    names = next(list(info.recorded.cameras) for info in registry.members(str(path)))
    first, last = (registry.create_camera(f"session:{path}#{name}") for name in names)
    with last:
        assert last.playback.lead.name == names[1]
        with first:
            assert first.playback is last.playback
            assert last.playback.lead.name == names[0]


def test_previews_are_the_frames_made_small(take):
    path, witness = take
    with registry.create_camera(f"session:{path}#noisy:left") as camera:
        playback = camera.playback
        times = playback.lead.times_ns
        given = witness.frames["noisy:left"]
        for row in (3, 28):
            at_s = (int(times[row]) - playback.recording.start_ns) / 1e9
            picture = playback.preview(at_s).astype(float)
            want = given[row].color.reshape(3, 10, 4, 10, 3).mean((1, 3))
            got = picture.mean((0, 1))
            assert np.abs(got - want.mean((0, 1))).max() < 12


def test_markers_and_drops_are_marks(tmp_path):
    def during(session, recorder):
        time.sleep(0.1)
        recorder.marker("cup moved")

    path = tmp_path / "marked.mcap"
    record(path, NoisyCamera(count=40, period_s=0.01), during=during)
    with registry.create_camera(str(path)) as camera:
        (mark,) = [m for m in camera.playback.marks() if m.kind == "marker"]
        assert mark.text == "cup moved"
        assert 0 < mark.position_s < camera.playback.duration_s


def test_with_hold_all_cameras_stay_at_their_last_frame(take):
    path, witness = take
    config = CameraConfig(loop=False, hold=True)
    cameras = [registry.create_camera(f"session:{path}#{n}", config) for n in witness.frames]
    with cameras[0], cameras[1]:
        cameras[0].playback.seek(cameras[0].playback.duration_s - 0.05)
        deadline = time.monotonic() + 5
        while not cameras[0].playback.is_paused and time.monotonic() < deadline:
            for camera in cameras:
                camera.read(0.2)
        for camera, given in zip(cameras, witness.frames.values(), strict=True):
            assert np.array_equal(held(camera).depth_raw, given[-1].depth_raw)
        cameras[0].playback.play()
        held(cameras[0])
        assert cameras[0].playback.position_s < 0.3


def test_a_session_named_on_the_command_line_brings_all_its_cameras(take, tmp_path):
    path, witness = take
    missing = str(tmp_path / "none.mcap")
    named = registry.with_members(["synthetic:stereo", str(path), missing])
    assert named[0] == "synthetic:stereo"
    assert {address.partition("#")[2] for address in named[1:3]} == set(witness.frames)
    assert named[3] == missing, "who opens it says why"


def test_every_frame_is_steered_too(take):
    path, witness = take
    config = CameraConfig(realtime=False, loop=False, hold=True)
    given = witness.frames["noisy:left"]

    def is_frame(frame, number):
        return np.array_equal(frame.depth_raw, given[number].depth_raw)

    with registry.create_camera(f"session:{path}#noisy:left", config) as camera:
        playback = camera.playback
        assert [is_frame(camera.read(1), n) for n in range(5)] == [True] * 5
        assert playback.frame == 4
        playback.pause()
        assert is_frame(held(camera), 4)
        playback.step(3)
        assert is_frame(held(camera), 7)
        playback.play()
        assert [is_frame(camera.read(1), n) for n in range(8, 30)] == [True] * 22
        assert is_frame(held(camera), 29)
        assert playback.is_paused
        playback.play()
        assert is_frame(held(camera), 0)


def test_who_reads_a_file_through_does_not_disturb_who_plays_it(take):
    path, _ = take
    address = f"session:{path}#noisy:left"
    with registry.create_camera(address, CameraConfig()) as playing:
        playing.playback.pause()
        playing.playback.seek_frame(20)
        assert len(read_all(registry.create_camera(address, EVERY))) == 30
        assert (playing.playback.frame, playing.playback.loop) == (20, True)
    with registry.create_camera(address, CameraConfig(realtime=False, start_s=0.2)) as camera:
        camera.read(1)
        assert camera.playback.frame > 3
