"""The window with a real camera behind it: it shows, it tells, it ends."""

from __future__ import annotations

import numpy as np
import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPointF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QFileDialog, QMessageBox
from rgbd_folder import write_examples

from lingbot_live.cameras.base import CameraState
from lingbot_live.colormap import DepthRange
from lingbot_live.errors import ConfigError
from lingbot_live.export.snapshot import FILES
from ui.main_window import MainWindow
from ui.shell.actions import ACTIONS, MENUS, Actions
from ui.shell.settings import Settings
from ui.views.compare_pictures import Mode


@pytest.fixture
def folder(tmp_path):
    return write_examples(tmp_path / "examples")


def test_it_shows_colour_raw_and_refined_with_numbers(window, folder):
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels and all(pane.has_image for pane in window.panels[0].views))
    wait_for(lambda: "none on CPU" in window.status.text() and "latency" in window.status.text())
    window.link.set_cursor(QPointF(0.5, 0.05))
    panel = window.panels[0]
    assert panel.raw.readout_text.endswith("m")
    assert "mm" in panel.refined.readout_text
    wait_for(lambda: window.stats()["feeds"][f"folder:{folder}"]["shown"] > 0)
    stats = window.stats()
    feed = stats["feeds"][f"folder:{folder}"]
    assert feed["latency_ms"]["until_shown"]["p50"] > 0
    assert stats["ui"]["max_stall_ms"] >= stats["ui"]["p99_stall_ms"]


def test_stop_and_start_again(window, folder):
    address = f"folder:{folder}"
    window.stage.open((address,))
    wait_for(lambda: window.stage.bridge.rate.count > 2)
    window.toggle_streaming()
    assert not window.stage.is_running
    assert "Start" in window.bar.start_button.text()
    before = window.stage.bridge.rate.count
    window.toggle_streaming()
    wait_for(lambda: window.stage.bridge.rate.count > before + 2)
    assert window.stage.addresses == (address,)


def test_a_camera_error_stands_in_its_pane_and_start_works_again(window, folder):
    window.stage.open(("folder:/nowhere/at/all",))
    wait_for(lambda: window.panels[0].notice.text)
    assert "/nowhere/at/all" in window.panels[0].notice.text
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].color.has_image)
    assert window.panels[0].notice.text == ""


def test_retry_opens_the_camera_that_failed(window, tmp_path):
    place = tmp_path / "later"
    window.stage.open((f"folder:{place}",))
    wait_for(lambda: window.panels[0].notice.text)
    write_examples(place)
    wait_for(lambda: window.stage.session.feeds[0].capture.is_done)
    window.panels[0].notice.retry.emit()
    wait_for(lambda: window.panels[0].color.has_image)
    assert window.stage.session.feeds[0].state is CameraState.STREAMING


def test_two_cameras_have_a_row_each(window, folder, tmp_path):
    other = write_examples(tmp_path / "more", 2)
    window.stage.open((f"folder:{folder}", f"folder:{other}"))
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))
    assert window.panels[0].height() > 100
    assert window.panels[1].height() > 100


def test_the_refiner_changes_while_streaming(window, folder):
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    window.refining.choose("guided")
    wait_for(
        lambda: (
            window.stage.session.refiner_info and window.stage.session.refiner_info.name == "guided"
        )
    )
    wait_for(lambda: (r := window.panels[0].view.refined) and r.refiner.name == "guided")
    assert np.count_nonzero(window.panels[0].view.refined.depth_m == 0) == 0, "the hole is filled"


def test_a_snapshot_is_written_without_stopping(window, folder, tmp_path):
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    target = tmp_path / "shot"
    window.saving.take_snapshot(target)
    count = window.stage.bridge.rate.count
    wait_for(target.exists, 60)
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    assert window.stage.bridge.rate.count > count


@pytest.mark.parametrize("mode", list(Mode))
def test_comparing_raw_and_refined(window, folder, mode):
    window.refining.choose("guided")
    window.stage.open((f"folder:{folder}",))
    window.docks.compare.show()
    window.compare.set_mode(mode)
    wait_for(lambda: window.compare.image.has_image)
    assert window.compare.mode is mode
    window.link.set_cursor(QPointF(0.3, 0.5))
    assert window.compare.image.readout_text


def test_the_colour_range_holds_for_all_views_and_is_remembered(window, folder):
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].raw.has_image)
    window.scale.set_range(DepthRange(0.5, 2.5))
    window.scale.set_colormap("turbo")
    window.close()
    again = MainWindow(Settings())
    assert again.scale.range == DepthRange(0.5, 2.5)
    assert again.scale.colormap == "turbo"
    again.close()
    again.deleteLater()


def test_damaged_settings_never_keep_the_window_from_opening(qapp, tmp_path, monkeypatch):
    config = tmp_path / "bad"
    config.mkdir()
    (config / "window.ini").write_text("[General]\nrange=much little\ncolormap=7\ngeometry=x\n\x00")
    monkeypatch.setenv("LINGBOT_LIVE_CONFIG", str(config))
    made = MainWindow(Settings())
    assert made.scale.range == DepthRange()
    made.close()
    made.deleteLater()


@pytest.mark.parametrize("info", ACTIONS, ids=lambda info: info.key)
def test_every_action_does_something_without_a_camera(window, info, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a, **k: "")
    monkeypatch.setattr(QMessageBox, "about", lambda *a: None)
    window.actions_[info.key].trigger()
    for dialog in window.findChildren(QDialog):
        dialog.close()
    if window.isFullScreen():
        window.demo.leave()


def test_menus_name_only_known_actions_and_keys_are_unique():
    keys = {info.key for info in ACTIONS}
    assert {key for menu in MENUS.values() for key in menu} - {"-"} == keys
    shortcuts = [info.shortcut for info in ACTIONS if info.shortcut]
    assert len(shortcuts) == len(set(shortcuts))


def test_an_unknown_action_names_the_nearest(window):
    with pytest.raises(ConfigError, match="Did you mean 'snapshot'"):
        Actions(window)["snapshto"]


def test_the_palette_finds_and_does(window, folder):
    window.stage.open((f"folder:{folder}",))
    window.actions_["palette"].trigger()
    palette = window.findChildren(QDialog)[0]
    QTest.keyClicks(palette.search, "difference")
    QTest.keyClick(palette.search, "\r")
    assert window.compare.mode is Mode.DIFFERENCE


def test_the_palette_has_all_keys_at_the_right(window):
    window.actions_["palette"].trigger()
    palette = window.findChildren(QDialog)[0]
    QTest.keyClicks(palette.search, "shift+")
    shown = [item for row in range(palette.list.count())
             if not (item := palette.list.item(row)).isHidden()]  # fmt: skip
    assert len(shown) > 5, "keys are searched, too"
    image = palette.list.viewport().grab().toImage()
    ends = []
    for item in shown[1:6]:
        place = palette.list.visualItemRect(item)
        row = [[image.pixel(x, y) for y in range(place.top(), place.bottom())]
               for x in range(place.left(), place.right())]  # fmt: skip
        ends.append(max(x for x, column in enumerate(row) if len(set(column)) > 1))
    assert max(ends) - min(ends) <= 4
    assert min(ends) > palette.list.viewport().width() * 0.9


def test_recording_from_the_window(window, folder, tmp_path, monkeypatch):
    from lingbot_live.recording.recording import Recording

    monkeypatch.setattr("ui.shell.files.OUTPUT_FOLDER", tmp_path / "out")
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    window.saving.toggle_recording()
    wait_for(lambda: (s := window.recording.stats()) is not None and s.frames > 10)
    wait_for(lambda: "lost" in window.record_bar.label.text())
    window.recording.mark()
    window.saving.toggle_recording()
    wait_for(lambda: "written" in window.message.text)
    (path,) = (tmp_path / "out").iterdir()
    with Recording(path) as recording:
        assert len(recording) > 10
        expected = {int(frame.depth_raw[45, 41]) for frame in recording}
    assert 800 in expected


def test_a_recording_that_cannot_start_is_said_and_streaming_goes_on(
    window, folder, tmp_path, monkeypatch
):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setattr("ui.shell.files.OUTPUT_FOLDER", blocker / "out")
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    window.saving.toggle_recording()
    wait_for(lambda: "did not start" in window.message.text)
    count = window.stage.bridge.rate.count
    wait_for(lambda: window.stage.bridge.rate.count > count + 2)
