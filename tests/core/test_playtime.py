"""Recordings whose clock leapt, or that stood still for long: played, told and exported."""

from __future__ import annotations

import json
import logging
import time

import numpy as np
import pytest
import ros_takes as made
from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.cameras.playtime import PlayTime
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import CameraConfig
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.recording.info import describe
from lingbot_live.recording.recording import Recording

HOUR_NS = 3_600_000_000_000


def leap(*starts_ns):
    """Three frames from each start on."""
    return [start_ns + row * 33_333_333 for start_ns in starts_ns for row in range(3)]


LEAPS = {
    "1970, then the clock is set": leap(5_000_000_000, made.START_NS),
    "seven hours": leap(made.START_NS, made.START_NS + 7 * HOUR_NS),
    "six seconds": leap(made.START_NS, made.START_NS + 6_000_000_000),
}


@pytest.fixture(params=LEAPS)
def leaping(request, tmp_path):
    folder = made.ros2(tmp_path / "take", times_ns=LEAPS[request.param])
    return next(folder.glob("*.mcap"))


def test_positions_and_recorded_times():
    times_ns = np.array([0, 1, 2, 30, 31, 2000]) * 1_000_000_000
    play = PlayTime(times_ns)
    positions = [play.position_ns(int(t)) / 1e9 for t in times_ns]
    assert positions == [0, 1, 2, 2.5, 3.5, 4.0]
    assert play.length_ns == 4_000_000_000
    assert [play.time_ns(p * 1e9) for p in positions] == times_ns.tolist()
    assert play.position_ns(17 * 10**9) == 2_500_000_000, "within a gap: at its end"
    assert [(gap.position_s, gap.length_s) for gap in play.gaps] == [(2, 28), (3.5, 1969)]
    assert str(play.gaps[1]) == "0:32:49 without a frame"


def test_a_pause_that_someone_made_is_short_however_long_it_was():
    times_ns = np.array([0.0, 0.1, 2.1, 2.2, 2.5]) * 1_000_000_000
    play = PlayTime(times_ns.astype(np.int64), [150_000_000, 2_210_000_000])
    positions = [play.position_ns(int(t)) / 1e9 for t in times_ns]
    assert positions == pytest.approx([0, 0.1, 0.6, 0.7, 1.0])
    assert [(gap.position_s, gap.length_s) for gap in play.gaps] == [(0.1, 2.0)]


def test_a_recorder_s_pause_is_passed_over_and_told(tmp_path):
    def during(session, recorder):
        time.sleep(0.1)
        recorder.pause()
        time.sleep(0.8)
        recorder.resume()
        camera.count = 20

    path = tmp_path / "paused.mcap"
    camera = NoisyCamera("left", 10_000, period_s=0.01)
    record(path, camera, during=during)
    with Recording(path) as recording:
        times_ns = recording.times_ns
        assert np.diff(times_ns).max() > 700_000_000
        (gap,) = recording.play_time.gaps
        assert gap.length_s == pytest.approx(np.diff(times_ns).max() / 1e9)
    with registry.create_camera(str(path), CameraConfig(loop=False, realtime=False)) as camera:
        kinds = [mark.kind for mark in camera.playback.marks()]
    assert "gap" in kinds


def test_a_slow_but_even_recording_is_played_as_it_was():
    play = PlayTime(np.arange(5) * 4_000_000_000)
    assert (play.length_ns, play.gaps) == (16_000_000_000, ())


def test_playback_waits_for_no_gap_and_says_so(leaping, caplog):
    with (
        caplog.at_level(logging.WARNING),
        registry.create_camera(str(leaping), CameraConfig(loop=False)) as camera,
    ):
        begun_s = time.monotonic()
        seen = made.numbers(every_frame(camera))
        assert time.monotonic() - begun_s < 4, "of which 0.6 are pauses"
        assert camera.playback is not None
        (mark,) = camera.playback.marks()
        assert camera.playback.duration_s == pytest.approx(0.633, abs=0.001)
    assert (mark.kind, mark.position_s) == ("gap", pytest.approx(0.067, abs=0.001))
    assert seen == sorted(seen)
    assert seen[-1] == 5
    assert "without a frame" in caplog.text


def test_seeks_land_beyond_the_gap(leaping):
    config = CameraConfig(loop=False, realtime=False)
    with registry.create_camera(str(leaping), config) as camera:
        playback = camera.playback
        playback.pause()
        playback.seek_frame(4)
        assert made.numbers([camera.read(5)]) == [4]
        assert playback.position_s == pytest.approx(0.6, abs=0.001)
        playback.seek(0.04)
        assert made.numbers([camera.read(5)]) == [1]


def test_info_tells_the_gap_and_the_rate_without_it(leaping):
    found = describe(leaping)
    assert found["duration_s"] == pytest.approx(0.633, abs=0.001)
    assert [gap["at_s"] for gap in found["gaps"]] == [0.067]
    assert [camera["fps"] for camera in found["cameras"].values()] == [30.0]
    json.dumps(found)


@pytest.mark.parametrize("name", LEAPS)
def test_a_video_across_hours(tmp_path, name):
    av = pytest.importorskip("av")
    folder = made.ros2(tmp_path / "take", times_ns=LEAPS[name])
    done = run_export(ExportRequest(str(next(folder.glob("*.mcap"))), "mp4", tmp_path / "v.mp4"))
    assert any("in 1 places there was no frame" in remark for remark in done.remarks)
    with av.open(str(tmp_path / "v.mp4")) as video:
        shown_s = [frame.time for frame in video.decode(video=0)]
    assert np.diff(shown_s) == pytest.approx([1 / 30, 1 / 30, 0.5, 1 / 30, 1 / 30], abs=0.001)


def test_frames_keep_the_time_they_were_recorded_at(leaping):
    with Recording(leaping) as recording:
        stamps = [frame.device_timestamp_us for frame in recording]
        assert recording.end_ns - recording.start_ns > 5_000_000_000
    assert np.diff(stamps).max() > 5_000_000
    with registry.create_camera(str(leaping), OFFLINE) as camera:
        assert [frame.device_timestamp_us for frame in every_frame(camera)] == stamps
