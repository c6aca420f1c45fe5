"""A recording that begins before it was asked for: nothing lost, nothing twice, memory bounded."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from sessions import NoisyCamera, Witness, create_half

from lingbot_live.errors import ConfigError, RecordingError
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.pretrigger import PreTrigger
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions, RecorderState


def until(condition, seconds=20.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


@pytest.fixture
def session():
    """Two cameras that stream for as long as a test wants, refined by half."""
    cameras = [NoisyCamera(name, 100_000, period_s=0.004, seed=i) for i, name in enumerate("ab")]
    session = Session([(c.info.address, lambda c=c: c) for c in cameras], create_half)
    yield session
    session.stop()


def test_what_came_before_is_recorded_and_nothing_is_missing_or_twice(session, tmp_path):
    witness = Witness()
    ring = PreTrigger(session, RecorderOptions(pre_trigger_s=0.5))
    session.add_tap(witness)
    ring.start()
    session.start()
    until(lambda: ring.held[0] > 0.4)
    asked_ns = time.monotonic_ns()
    recorder = Recorder(tmp_path / "a.mcap", ring.options)
    recorder.start(ring)
    until(lambda: recorder.stats().frames > 400)
    assert recorder.stop() == [tmp_path / "a.mcap"]
    ring.stop()
    assert recorder.state is RecorderState.STOPPED
    assert (recorder.stats().drops, ring.left_out) == ({}, 0)
    with Recording(tmp_path / "a.mcap") as recording:
        for name, track in recording.tracks.items():
            found = {track[row].index: track[row] for row in range(len(track))}
            given = {frame.index: frame for frame in witness.frames[name]}
            first, last = min(found), max(found)
            assert sorted(found) == list(range(first, last + 1))
            assert given[first].timestamp_ns < asked_ns - 350_000_000
            assert given[last].timestamp_ns > asked_ns
            for index in (first, (first + last) // 2, last):
                assert np.array_equal(found[index].depth_raw, given[index].depth_raw)
            before = [r for r in range(len(track)) if track[r].timestamp_ns < asked_ns]
            assert any(track.refined(row) is not None for row in before)
        kinds = [(event.kind, event.text) for event in recording.events]
        assert ("marker", "trigger") in kinds
        assert any(kind == "refiner" for kind, _ in kinds)


def test_it_holds_so_many_seconds_and_bytes_and_no_more(session):
    ring = PreTrigger(session, RecorderOptions(pre_trigger_s=0.3))
    small = PreTrigger(session, RecorderOptions(pre_trigger_s=60, pre_trigger_bytes=200_000))
    ring.start()
    small.start()
    session.start()
    until(lambda: ring.held[0] > 0.25)
    most_s = most_bytes = 0.0
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        most_s, most_bytes = max(most_s, ring.held[0]), max(most_bytes, small.held[1])
        time.sleep(0.01)
    assert 0.25 < most_s <= 0.3
    assert 100_000 < most_bytes <= 200_000
    ring.stop()
    small.stop()
    assert ring.held == (0.0, 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("pre-trigger")]


def test_a_second_recording_gets_its_own_past(session, tmp_path):
    ring = PreTrigger(session, RecorderOptions(pre_trigger_s=0.2))
    ring.start()
    session.start()
    spans = []
    for name in ("a.mcap", "b.mcap"):
        until(lambda: ring.held[0] > 0.15)
        recorder = Recorder(tmp_path / name, ring.options)
        recorder.start(ring)
        until(lambda recorder=recorder: recorder.stats().frames > 120)
        recorder.stop()
        with Recording(tmp_path / name) as recording:
            spans.append((recording.start_ns, recording.end_ns))
    ring.stop()
    assert spans[0][1] < spans[1][0]


def test_a_file_that_cannot_be_made_costs_nothing_of_what_is_held(session, tmp_path):
    ring = PreTrigger(session, RecorderOptions(pre_trigger_s=0.3))
    ring.start()
    session.start()
    until(lambda: ring.held[0] > 0.25)
    (tmp_path / "a.mcap").write_bytes(b"taken")
    with pytest.raises(RecordingError, match="exists already"):
        Recorder(tmp_path / "a.mcap", ring.options).start(ring)
    assert ring.held[0] > 0.2
    ring.stop()


def test_senseless_lengths_are_refused():
    for seconds in (-1, 601, float("nan")):
        with pytest.raises(ConfigError, match="pre-trigger"):
            RecorderOptions(pre_trigger_s=seconds)
