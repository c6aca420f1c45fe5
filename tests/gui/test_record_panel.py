"""Recording from the window: options, figures, marks, what is said when disks fail, Replay."""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog
from rgbd_folder import write_examples

from lingbot_live.config import CameraConfig
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderState, RecorderStats
from ui.dialogs.record_options import RecordOptionsDialog
from ui.panels.record_bar import RecordBar, describe
from ui.shell import theme
from ui.shell.files import RecordChoices
from ui.shell.settings import Settings


@pytest.fixture
def folder(tmp_path):
    return write_examples(tmp_path / "examples")


@pytest.fixture(autouse=True)
def streaming(window, folder):
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)


def frames_of(window):
    stats = window.recording.stats()
    return 0 if stats is None else stats.frames


def test_marks_pause_stop_and_replay(window, tmp_path):
    window.saving.use(RecordChoices(folder=str(tmp_path / "out"), name="take {camera}"))
    window.actions_["record"].trigger()
    wait_for(lambda: frames_of(window) > 5)
    for _ in range(2):
        QTest.keyClick(window, Qt.Key.Key_M)
    wait_for(lambda: window.actions_["mark"].text() == "Mark (2)")
    window.actions_["pause_recording"].trigger()
    wait_for(lambda: "paused" in window.record_bar.label.text())
    assert window.actions_["pause_recording"].text() == "Go on"
    window.actions_["pause_recording"].trigger()
    wait_for(lambda: window.actions_["pause_recording"].text() == "Pause recording")
    window.actions_["record"].trigger()
    wait_for(lambda: "written" in window.message.text)
    (path,) = (tmp_path / "out").iterdir()
    assert path.name.startswith("take ")
    assert str(path) in window.message.text
    with Recording(path) as recording:
        texts = [event.text for event in recording.events if event.kind == "marker"]
    assert texts == ["marker 1", "marker 2"]
    assert window.message.buttons[0].text() == "Replay"
    window.message.buttons[0].click()
    wait_for(lambda: window.replay.lead is not None)
    assert window.stage.addresses[0].startswith(f"session:{path}#")
    wait_for(lambda: len(window.timeline.track.marks) >= 2)


def test_choices_reach_the_file(window, tmp_path):
    choices = RecordChoices(
        folder=str(tmp_path / "out"), name="a", lossless=True, raw_only=True, split="1s"
    )
    window.saving.use(choices)
    window.actions_["record"].trigger()
    wait_for(lambda: (s := window.recording.stats()) is not None and s.parts >= 2)
    window.actions_["record"].trigger()
    wait_for(lambda: "written" in window.message.text)
    assert "more" in window.message.text
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) >= 2
    with Recording(paths[0]) as recording:
        assert len(recording.track().refined_times_ns) == 0
        frame = recording[len(recording) - 1]
        shown = window.panels[0].view.frame
    assert frame.color.shape == shown.color.shape
    assert RecordChoices.load(Settings()) == choices, "remembered"


def test_a_failing_disk_is_said_and_streaming_goes_on(window, small_disk):
    window.saving.use(RecordChoices(folder=str(small_disk), name="a", lossless=True))
    window.stage.camera_config = CameraConfig(fps=6)  # slow enough to be warned before it is full
    window.stage.open((window.stage.asked[0],))
    wait_for(lambda: window.panels[0].refined.has_image)
    (small_disk / "ballast").write_bytes(bytes(10 << 20))
    warned = []
    window.recording.warned.connect(warned.append)
    window.actions_["record"].trigger()
    wait_for(lambda: window.recording.is_active)
    wait_for(lambda: warned)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "more").write_bytes(bytes(max(free - (1 << 20), 0)))  # somebody else fills it
    wait_for(lambda: "Recording ended" in window.message.text, 60)
    assert not window.recording.is_active
    assert len(warned) == 1
    assert "more minutes of recording" in warned[0]
    text = window.message.text
    count = window.stage.bridge.rate.count
    wait_for(lambda: window.stage.bridge.rate.count > count + 10)
    pass_time(600)
    assert window.message.text == text, "it stays until it is read"
    wait_for(lambda: "Record" in window.record_bar.button.text())
    with Recording(small_disk / "a.mcap") as recording:
        assert recording.damage == ()


def stats(minutes_left, low=False):
    return RecorderStats(
        RecorderState.RECORDING, Path("a.mcap"), 1, 61.0, 31_000_000, 2.6e6, 100, 90,
        {"disk too slow": 2}, 0, minutes_left, low, (), None,
    )  # fmt: skip


def test_figures_and_the_warning_before_the_disk_is_full(window):
    bar = window.record_bar
    bar.show_stats(stats(240.0), 0)
    assert bar.label.text() == describe(stats(240.0))
    assert "01:01" in bar.label.text()
    assert "2 lost" in bar.label.text()
    assert "4 h left" in bar.room_label.text()
    assert theme.current().warning not in bar.room_label.styleSheet()
    bar.show_stats(stats(4.2, low=True), 3)
    assert "4.2 min left" in bar.room_label.text()
    assert theme.current().warning in bar.room_label.styleSheet()
    assert isinstance(bar, RecordBar)


def test_the_dialog_shows_what_a_name_becomes_and_refuses_nonsense(show, monkeypatch, tmp_path):
    dialog = show(RecordOptionsDialog(RecordChoices(), "synthetic:stereo"), 560, 340)
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert f"{datetime.now():%Y-%m-%d}" in dialog.example.text()
    assert "synthetic" in dialog.example.text()
    dialog.name.setText("{place}")
    assert "known fields" in dialog.example.text()
    assert not ok.isEnabled()
    dialog.name.setText("{camera}")
    dialog.split.setText("often")
    assert "4G" in dialog.example.text()
    assert not ok.isEnabled()
    dialog.split.setText("2G")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a, **k: str(tmp_path))
    dialog.folder._choose()
    assert str(tmp_path) in dialog.example.text()
    dialog.lossless.setChecked(True)
    assert not dialog.quality.isEnabled()
    got = []
    dialog.chosen.connect(got.append)
    ok.click()
    assert got == [RecordChoices(folder=str(tmp_path), name="{camera}", lossless=True, split="2G")]
    assert got[0].options().split_bytes == 2 << 30


def test_the_dialog_opens_from_the_window_and_senseless_memories_are_forgotten(window):
    window.actions_["record_options"].trigger()
    (dialog,) = window.findChildren(QDialog)
    dialog.close()
    settings = Settings()
    settings.set_text("record_quality", "high")
    assert RecordChoices.load(settings).quality == 95
    settings.set_text("record_name", "{nothing}")
    assert RecordChoices.load(settings) == RecordChoices()


def test_snapshots_go_where_the_user_said(window, tmp_path):
    window.saving.use(RecordChoices(snapshots=str(tmp_path / "shots")))
    window.saving.take_snapshot()
    wait_for(lambda: "Snapshot written" in window.desk.news.text, 60)
    (made,) = (tmp_path / "shots").iterdir()
    assert any(made.iterdir())


def test_record_keeps_the_seconds_before_it_where_that_was_chosen(window, tmp_path):
    assert window.recording.held is None
    dialog = RecordOptionsDialog(window.saving.choices, "folder")
    dialog.pre_trigger.setValue(2)
    assert dialog.choices.pre_trigger == 2
    dialog.deleteLater()
    window.saving.use(RecordChoices(folder=str(tmp_path / "out"), name="late", pre_trigger=2))
    assert RecordChoices.load(Settings()).pre_trigger == 2
    wait_for(lambda: window.recording.held[0] > 1.0)
    wait_for(lambda: window.record_bar.label.text().startswith("holds "))
    asked_ns = time.time_ns()
    QTest.keyClick(window, Qt.Key.Key_R)
    wait_for(lambda: frames_of(window) > 3)
    window.actions_["record"].trigger()
    wait_for(lambda: "written" in window.message.text)
    with Recording(tmp_path / "out" / "late.mcap") as recording:
        assert asked_ns - recording.start_ns > 900_000_000
        assert [e.text for e in recording.events if e.kind == "marker"] == ["trigger"]
    wait_for(lambda: window.recording.held[0] > 0)  # gathered anew
    window.saving.use(RecordChoices(folder=str(tmp_path / "out")))
    assert window.recording.held is None
