"""Recordings read to their end: how long a frame is waited for."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import pytest
from scripted import ScriptedCamera

from lingbot_live.cameras import readings
from lingbot_live.errors import CameraTimeoutError


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but where a read takes time."""
    clock = SimpleNamespace(now_s=0.0)
    stands = SimpleNamespace(monotonic=lambda: clock.now_s)
    monkeypatch.setattr(readings, "time", stands)
    return clock


def test_a_process_that_was_stopped_has_not_waited(clock):
    def stopped():
        clock.now_s += 100.0

    with ScriptedCamera([stopped, 1, stopped, stopped, 2]) as camera:
        assert [frame.device_index for frame in readings.every_frame(camera)] == [1, 2]


def test_what_does_not_come_is_waited_for_ten_seconds(clock):
    def nothing():
        clock.now_s += 0.2

    with ScriptedCamera([1, *[nothing] * 200]) as camera:
        frames = readings.every_frame(camera)
        assert len(list(islice(frames, 1))) == 1
        with pytest.raises(CameraTimeoutError, match="no frame"):
            next(frames)
    assert 9.5 < clock.now_s < 10.5
