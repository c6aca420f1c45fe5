"""RealSense recordings steered while they play, through the real SDK."""

from __future__ import annotations

import contextlib
import sqlite3
import time

import numpy as np
import pytest

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import EndOfStreamError

pytest.importorskip("pyrealsense2")
import fixtures_realsense as made

COUNT = 40


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = made.VirtualCamera().record(tmp_path_factory.mktemp("playback") / "film.db3", COUNT)
    keep_time(path)
    return path


def keep_time(path):
    """Let the file's own clock, on which the SDK seeks, be that of the frames, as in real files."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        query = "SELECT topic_id FROM messages GROUP BY topic_id HAVING count(*) = ?"
        for (topic,) in database.execute(query, (COUNT,)).fetchall():
            rows = database.execute(
                "SELECT id FROM messages WHERE topic_id = ? ORDER BY id", (topic,)
            ).fetchall()
            times = [(round(1e6 + i * 1e9 / 30), row) for i, (row,) in enumerate(rows)]
            database.executemany("UPDATE messages SET timestamp = ? WHERE id = ?", times)


@pytest.fixture
def camera(recording):
    config = CameraConfig(realtime=False)
    with registry.create_camera(f"realsense:{recording}", config) as camera:
        yield camera


def next_number(camera):
    frame = first_frame(camera)
    number = int(frame.color[8, 8, 0])
    assert frame.device_index == number, "colour and depth belong together"
    assert set(np.unique(frame.depth_raw)) - {0} <= {made.NEAR + number, made.FAR + number}
    return number


def test_seek_pause_and_step(camera):
    playback = camera.playback
    assert playback.duration_s == pytest.approx((COUNT - 1) / 30, abs=0.05)
    first = next_number(camera)
    assert first <= 1
    for target in (30, 5, 20, 37, 10):
        playback.seek(target / 30)
        landed = next_number(camera)
        assert abs(landed - target) <= 1
        assert playback.position_s == pytest.approx((landed - first) / 30, abs=0.02)
        assert next_number(camera) == landed + 1
    playback.pause()
    held = next_number(camera)
    assert next_number(camera) == held
    playback.step(2)
    assert [next_number(camera) for _ in range(3)] == [held + 1, held + 2, held + 2]
    playback.step(-4)
    back = next_number(camera)
    assert abs(back - (held - 2)) <= 1
    playback.seek(1.0)
    assert abs(next_number(camera) - 30) <= 1
    playback.play()
    assert next_number(camera) > 28
    assert not camera.missed


def test_a_seek_after_the_end_and_from_the_last_frame(recording):
    config = CameraConfig(realtime=False, loop=False)
    with registry.create_camera(f"realsense:{recording}", config) as camera:
        camera.playback.seek(36 / 30)
        seen = [next_number(camera)]
        with pytest.raises(EndOfStreamError):
            seen.extend(next_number(camera) for _ in range(COUNT))
        assert seen[-1] == COUNT - 1
        camera.playback.seek(0.5)
        assert abs(next_number(camera) - 15) <= 1


def test_a_seek_in_a_loop_goes_round(camera):
    camera.playback.seek(37 / 30)
    seen = [next_number(camera) for _ in range(6)]
    assert max(seen) == COUNT - 1
    assert seen[-1] < 10


def test_a_long_pause_loses_nothing(camera):
    """The SDK gives up on a reader that it has to wait for too long."""
    next_number(camera)
    camera.playback.pause()
    held = next_number(camera)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert next_number(camera) == held
    camera.playback.play()
    assert [next_number(camera) for _ in range(3)] == [held + 1, held + 2, held + 3]
