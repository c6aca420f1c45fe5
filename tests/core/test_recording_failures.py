"""Kills, full disks, folders that refuse: what was written stays, and the live view goes on."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from kills import battery
from sessions import NoisyCamera, record

from lingbot_live.cameras.base import CameraState
from lingbot_live.errors import DiskFullError, RecordingError
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.backlog import DISK_SLOW, PROCESSOR_SLOW
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions, RecorderState
from lingbot_live.refiners.base import PassthroughRefiner

KILLS = int(os.environ.get("LINGBOT_LIVE_KILLS", "3"))


@pytest.mark.timeout(90 + 8 * KILLS)
@pytest.mark.parametrize("loops", [0, 4])
def test_a_killed_recording_loses_at_most_its_last_second(tmp_path, loops):
    kills = battery(tmp_path, KILLS, loops)
    assert max(kill.lost_s for kill in kills) <= 1.0, kills
    assert sum(kill.kept for kill in kills) > 0


def live_goes_on(path: Path, count: int = 150, **options) -> Recorder:
    """Record one large camera to ``path``; the session must reach its end whatever happens."""
    camera = NoisyCamera(count=count, size=(320, 240))
    session = Session([("noisy:left", lambda: camera)], PassthroughRefiner)
    recorder = Recorder(path, RecorderOptions(lossless=True, **options))
    recorder.start(session)
    session.start()
    try:
        session.wait()
    finally:
        session.stop()
        recorder.stop()
    assert session.feeds[0].state is CameraState.ENDED
    assert session.feeds[0].stats.captured == count
    return recorder


def test_a_full_disk_ends_the_recording_and_nothing_else(small_disk):
    recorder = live_goes_on(small_disk / "a.mcap")
    assert recorder.state is RecorderState.FAILED
    assert isinstance(recorder.error, DiskFullError)
    assert recorder.stats().error is recorder.error
    with Recording(small_disk / "a.mcap") as recording:
        assert recording.damage == ()  # it fits its summary
        assert len(recording) > 10
        assert all(recording[i].index == i for i in range(len(recording)))


def test_the_guard_stops_before_the_disk_is_full(small_disk):
    (small_disk / "ballast").write_bytes(bytes(9 << 20))
    camera = NoisyCamera(count=400, size=(80, 60), period_s=0.01)
    session = Session([("noisy:left", lambda: camera)], PassthroughRefiner)
    recorder = Recorder(small_disk / "a.mcap", RecorderOptions(lossless=True))
    recorder.start(session)
    session.start()
    session.wait()
    session.stop()
    recorder.stop()
    assert recorder.state is RecorderState.STOPPED
    assert isinstance(recorder.error, DiskFullError)
    assert recorder.stats().is_space_low
    with Recording(small_disk / "a.mcap") as recording:
        assert recording.damage == ()
        assert len(recording) == recorder.stats().frames < 400


def test_no_room_at_the_start_is_said_at_once(small_disk):
    (small_disk / "ballast").write_bytes(bytes(14 << 20))
    with pytest.raises(DiskFullError, match="make room or record elsewhere"):
        live_goes_on(small_disk / "a.mcap")
    assert not (small_disk / "a.mcap").exists()


def test_a_file_that_may_not_grow_is_cut_to_what_is_whole(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, hard))
    try:
        recorder = live_goes_on(tmp_path / "a.mcap")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(recorder.error, DiskFullError)
    with Recording(tmp_path / "a.mcap") as recording:
        assert 5 < len(recording) < 150
        assert all(recording[i].index == i for i in range(len(recording)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("taken.mcap", "exists already"),
        ("missing/a.mcap", "folder does not exist"),
        ("taken.mcap/a.mcap", "cannot be written"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, name, words):
    (tmp_path / "taken.mcap").write_bytes(b"precious")
    with pytest.raises(RecordingError, match=words):
        live_goes_on(tmp_path / name)
    assert (tmp_path / "taken.mcap").read_bytes() == b"precious"


def test_a_file_that_vanishes_does_not_disturb(tmp_path):
    def during(session, recorder):
        recorder.path.unlink()

    witness, recorder = record(tmp_path / "a.mcap", NoisyCamera(), during=during)
    assert len(witness.frames["noisy:left"]) == 12
    assert recorder.state in (RecorderState.STOPPED, RecorderState.FAILED)


def test_a_slow_disk_drops_frames_and_says_so_in_the_file(tmp_path):
    witness, recorder = record(
        tmp_path / "a.mcap",
        NoisyCamera(count=80, size=(320, 240), period_s=0),
        options=RecorderOptions(queue_bytes=800_000, refined=False),
    )
    stats = recorder.stats()
    given = witness.frames["noisy:left"]
    assert stats.drops[DISK_SLOW] > 0
    lost = stats.drops[DISK_SLOW] + stats.drops.get(PROCESSOR_SLOW, 0)  # where it is busy, both
    assert stats.frames + lost == len(given)
    with Recording(tmp_path / "a.mcap") as recording:
        assert len(recording) == stats.frames
        said = [e.count for e in recording.events if e.text == f"not recorded: {DISK_SLOW}"]
        assert sum(said) == stats.drops[DISK_SLOW]
        for frame in recording:
            assert np.array_equal(frame.depth_raw, given[frame.index].depth_raw)
