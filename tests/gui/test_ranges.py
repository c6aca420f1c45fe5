"""A range on the time line is exported; a recording is refined as a whole from the window."""

from __future__ import annotations

import time

import pytest
from gui_wait import wait_for
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from sessions import NoisyCamera, record

from lingbot_live.cameras.playback import Mark
from lingbot_live.export.source import Span
from lingbot_live.recording.recording import Recording
from ui.panels.timeline_track import TimelineTrack

COUNT = 40


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    def during(session, recorder):
        for text in ("one", "two"):
            time.sleep(0.3)
            recorder.marker(text)

    path = tmp_path_factory.mktemp("take") / "desk.mcap"
    camera = NoisyCamera("left", COUNT, period_s=0.025, size=(160, 120))
    record(path, camera, during=during)
    return path


@pytest.fixture
def lead(window, take):
    window.stage.open((str(take),))
    wait_for(lambda: window.replay.lead is not None)
    window.replay.pause()
    wait_for(lambda: window.panels[0].color.has_image)
    wait_for(lambda: window.replay.marks)
    return window.replay.lead


def stand_at(window, frame):
    window.replay.seek_frame(frame)
    wait_for(lambda: window.replay.lead.frame == frame)


def test_a_range_set_with_keys_is_what_export_proposes(window, lead):
    assert window.replay.range is None
    stand_at(window, 5)
    QTest.keyClick(window, Qt.Key.Key_I)
    stand_at(window, 20)
    QTest.keyClick(window, Qt.Key.Key_I, Qt.KeyboardModifier.ShiftModifier)
    assert window.replay.range == (5, 20)
    assert window.timeline.track.range_s is not None
    window.actions_["export"].trigger()
    dialog = window.dialogs.export
    assert dialog.frames.text() == "5:21"
    assert dialog.request.span == Span(5, 21)
    dialog.this_frame.click()
    assert dialog.frames.text() == "20", "what is held can be exported alone"
    dialog.this_range.click()
    assert dialog.frames.text() == "5:21"
    dialog.close()
    window.actions_["range_clear"].trigger()
    assert window.replay.range is None
    assert window.timeline.track.range_s is None


def test_an_end_before_the_beginning_begins_anew(window, lead):
    stand_at(window, 20)
    window.actions_["range_start"].trigger()
    stand_at(window, 5)
    window.actions_["range_end"].trigger()
    assert window.replay.range == (0, 5)


def test_the_range_between_two_markers(window, lead):
    first, second = [m.position_s for m in window.replay.marks if m.kind == "marker"]
    window.replay.seek((first + second) / 2)
    wait_for(lambda: first < window.replay.lead.position_s < second)
    window.actions_["range_marks"].trigger()
    begin, end = window.replay.range
    assert window.replay.position_of(begin) == pytest.approx(first, abs=0.05)
    assert window.replay.position_of(end) == pytest.approx(second, abs=0.05)


def test_another_recording_has_no_range(window, lead, take):
    window.actions_["range_end"].trigger()
    window.stage.open((str(take),))
    wait_for(lambda: window.replay.lead is not None and window.replay.lead is not lead)
    assert window.replay.range is None


def test_a_recorded_pause_is_shaded(show):
    track = show(TimelineTrack(), 400, 28)
    track.show_position(0.0, 10.0)
    before = track.grab().toImage().pixelColor(round(track.x_of(5.1)), 6)
    track.set_marks([Mark(5.0, "gap", "a pause of 60 s")])
    after = track.grab().toImage().pixelColor(round(track.x_of(5.1)), 6)
    assert after != before


def test_the_recording_is_refined_into_a_new_file(window, lead, tmp_path, monkeypatch):
    out = tmp_path / "out.mcap"
    window.refining.choose("guided")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))
    window.actions_["refine_recording"].trigger()
    dialog = window.dialogs.refining
    told = []
    dialog.progressed.connect(lambda done, total: told.append((done, total)))
    assert any("refined" in text for text in window.dialogs.works())
    wait_for(lambda: "Refined" in window.message.text, 60)
    assert told[-1] == (COUNT, COUNT)
    assert window.dialogs.works() == []
    assert [b.text() for b in window.message.buttons] == ["Replay", "Show folder"]
    with Recording(out) as recording:
        assert len(recording.track().refined_times_ns) == COUNT
        assert recording.track().refined_of(recording[3], 3).refiner.name == "guided"


def test_refining_that_is_stopped_goes_on_the_next_time(window, lead, take, tmp_path):
    out = tmp_path / "out.mcap"
    window.refining.choose("guided")
    window.dialogs.refine(take, out)
    told = []
    window.dialogs.refining.progressed.connect(lambda done, total: told.append(done))
    wait_for(lambda: told and told[-1] >= 2)
    window.dialogs.refining.close()
    wait_for(lambda: "goes on from there" in window.desk.news.text or out.exists())
    if not out.exists():
        window.dialogs.refine(take, out)
        wait_for(out.exists, 60)
    wait_for(lambda: "Refined" in window.message.text, 60)
    with Recording(out) as recording:
        assert len(recording.track().refined_times_ns) == COUNT


def test_a_live_camera_is_no_recording_to_refine(window):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    window.actions_["refine_recording"].trigger()
    assert "session file" in window.desk.news.text
