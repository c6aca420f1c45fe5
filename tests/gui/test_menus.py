"""The File, Camera, View and Help menus: recent recordings, settings, layouts, pages of text."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from gui_wait import wait_for
from PySide6.QtWidgets import QDialog, QInputDialog
from rgbd_folder import write_examples

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import CameraInfo, StreamProfile
from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.cameras.discovery import Listing
from lingbot_live.cameras.tuning import load_controls
from lingbot_live.errors import ConfigError
from lingbot_live.quality.ruler import Box
from ui.dialogs.help import device_text, docs_page
from ui.dialogs.text import DocsDialog, TextDialog


@pytest.fixture
def place(tmp_path):
    return write_examples(tmp_path / "desk", 2)


@pytest.fixture
def played(window, place):
    window.stage.open((f"folder:{place}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    wait_for(lambda: window.recent.addresses)
    return f"folder:{place}"


def close_dialogs(window):
    for dialog in window.findChildren(QDialog):
        dialog.close()


def test_what_was_played_is_in_the_file_menu_with_a_picture_and_opens(window, played):
    menus = {action.text(): action.menu() for action in window.menuBar().actions()}
    assert window.recent.menu.menuAction() in menus["&File"].actions()
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.stage.proven == ("synthetic:stereo",))
    window.recent.menu.aboutToShow.emit()
    (action,) = window.recent.menu.actions()
    assert action.text() == "desk", "its name, no address"
    assert not action.icon().isNull()
    assert action.icon().availableSizes()
    action.trigger()
    wait_for(lambda: window.stage.asked == (played,))


def test_it_is_in_the_list_of_cameras_too(window, played):
    camera = CameraInfo("realsense", "A1", "D435", "A1")
    window.bar.show_cameras(Listing((camera,), {}))
    box = window.bar.camera_box
    entries = {box.itemText(at): box.itemData(at) for at in range(box.count())}
    assert entries["desk"] == played
    assert not box.itemIcon(box.findText("desk")).isNull()
    assert window.bar.address == played


def test_files_that_are_gone_are_left_out_and_cameras_are_no_recordings(window, played, place):
    place.rename(place.with_name("moved"))
    assert window.recent.played == []
    window.recent.menu.aboutToShow.emit()
    assert [action.isEnabled() for action in window.recent.menu.actions()] == [False]


def test_the_layout_is_reset_and_one_of_ones_own_is_kept(window):
    window.layouts.everything()
    window.actions_["quality"].trigger()
    window.saved_layouts.keep("with numbers")
    window.docks.cloud.setFloating(True)
    window.docks.compare.hide()
    window.actions_["reset_layout"].trigger()
    assert not window.docks.cloud.isFloating()
    assert not window.docks.compare.isHidden()
    assert window.docks.quality.isHidden()
    window.actions_["own_layout"].trigger()
    assert not window.docks.quality.isHidden()


def test_layouts_are_kept_under_names_and_forgotten(window):
    kept = window.saved_layouts
    window.actions_["own_layout"].trigger()
    assert "Shift+5" in window.desk.news.text
    window.layouts.everything()
    kept.keep("all")
    window.layouts.pictures()
    window.layouts.refined_large()
    window.actions_["keep_layout"].trigger()
    (dialog,) = window.findChildren(QInputDialog)
    assert dialog.textValue() == "all", "the last one is offered"
    dialog.setTextValue("Bare")
    dialog.accept()
    assert kept.names == ["all", "Bare"]
    kept.menu.aboutToShow.emit()
    entries = {action.text(): action for action in kept.menu.actions()}
    entries["all"].trigger()
    assert not window.docks.cloud.isHidden()
    entries["Bare"].trigger()
    assert window.docks.cloud.isHidden()
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels)
    assert [view.isHidden() for view in window.panels[0].views] == [True, True, False]
    entries["all"].trigger()
    assert not any(view.isHidden() for view in window.panels[0].views)
    window.layouts.pictures()
    window.actions_["own_layout"].trigger()
    assert not window.docks.cloud.isHidden(), "the one chosen last"
    kept.forget("Bare")
    assert kept.names == ["all"]
    menus = {action.text(): action.menu() for action in window.menuBar().actions()}
    assert kept.menu.menuAction() in menus["&View"].actions()


@pytest.mark.parametrize("text", ["[", "[1]", '{"a": 3}', '{"a": "AAAA"}'])
def test_kept_layouts_that_are_damaged_harm_nothing(window, text):
    window.settings.set_text("layouts_named", text)
    window.saved_layouts.show("a")
    window.saved_layouts.menu.aboutToShow.emit()
    assert window.desk.news.text


def test_settings_are_saved_and_set_again(window, tmp_path):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    camera = window.panels[0].view.feed.camera
    camera.set_control("depth.noise", 2.5)
    path = tmp_path / "camera.toml"
    window.tuning.save(path)
    wait_for(lambda: "settings written" in window.desk.news.text)
    assert load_controls(path).values["depth.noise"] == 2.5
    camera.set_control("depth.noise", 1.0)
    window.tuning.load(path)
    wait_for(lambda: {c.name: c.value for c in camera.controls()}["depth.noise"] == 2.5)
    path.write_text(path.read_text().replace("2.5", "99.0"))
    window.tuning.load(path)
    wait_for(lambda: "99" in window.message.text)
    path.write_text("[controls")
    window.tuning.load(path)
    wait_for(lambda: "TOML" in window.message.text)


def test_presets_of_a_make_are_set_and_what_they_lack_is_told(window, tmp_path, monkeypatch):
    path = tmp_path / "preset.json"
    path.write_text('{"parameters": {"controls-noise": "2.5", "param-x": "1"}}')
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    camera = window.panels[0].view.feed.camera
    window.tuning.load(path)
    wait_for(lambda: "this camera's make has none" in window.message.text)
    keys = {"controls-noise": "depth.noise"}
    monkeypatch.setattr(type(registry.driver("synthetic")), "preset_keys", keys)
    window.tuning.load(path)
    wait_for(lambda: "No control stands for param-x" in window.desk.news.text)
    assert {c.name: c.value for c in camera.controls()}["depth.noise"] == 2.5


def test_a_file_of_something_else_is_no_file_of_settings(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text("version = 1\n[[camera]]\nname = 'a'\n")
    with pytest.raises(ConfigError, match="file of settings"):
        load_controls(path)


def test_a_camera_tells_of_itself(window):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    window.actions_["device"].trigger()
    wait_for(lambda: window.findChildren(TextDialog))
    text = window.findChildren(TextDialog)[0].page.toPlainText()
    assert "Synthetic stereo" in text
    assert "640x480 at 30 fps" in text
    close_dialogs(window)


def test_firmware_usb_and_temperature_are_on_the_page():
    class Plugged:
        info = CameraInfo(
            "realsense", "A1", "D435", "A1",
            profiles=(StreamProfile("depth", 848, 480, 30.0, "z16"),),
            details={"firmware": "5.16.0.1", "USB": "3.2"},
        )  # fmt: skip

    hot = Control("depth.asic_temperature", 41.5, ControlKind.FLOAT, unit="°C", read_only=True)
    gain = Control("depth.gain", 16, ControlKind.INT)
    text = device_text(Plugged(), [hot, gain])
    for words in ("D435", "5.16.0.1", "3.2", "41.5 °C", "848x480 at 30 fps"):
        assert words in text
    assert "gain" not in text
    told = [line for line in device_text(Plugged(), [gain]).splitlines() if "Temperature" in line]
    assert [line.split(maxsplit=1) for line in told] == [["Temperature", "not told"]]


def test_help_opens_the_docs_the_log_and_what_works_here(window, monkeypatch):
    assert docs_page().is_file()
    window.actions_["docs"].trigger()
    (docs,) = window.findChildren(DocsDialog)
    assert "The window" in docs.browser.toPlainText()
    assert docs.browser.horizontalScrollBar().maximum() == 0, "pictures fit the page"
    close_dialogs(window)
    logging.getLogger("drivers.realsense").warning("the cable is loose")
    window.actions_["log"].trigger()
    wait_for(lambda: [d for d in window.findChildren(TextDialog) if d.isVisible()])
    shown = [d for d in window.findChildren(TextDialog) if d.isVisible()]
    assert "the cable is loose" in shown[0].page.toPlainText()
    close_dialogs(window)
    monkeypatch.setattr("ui.dialogs.help._doctor", lambda: "ok  python")
    window.actions_["doctor"].trigger()
    wait_for(lambda: any(
        d.isVisible() and "ok  python" in d.page.toPlainText()
        for d in window.findChildren(TextDialog)
    ))  # fmt: skip
    close_dialogs(window)


def test_the_log_is_let_go_with_the_window(window):
    handler = window.help.log
    assert handler in logging.getLogger().handlers
    window.close()
    assert handler not in logging.getLogger().handlers
    assert threading.main_thread().is_alive()


def test_the_cloud_is_saved_within_the_crop_box(window, played, tmp_path):
    import open3d as o3d

    refined = window.panels[0].view.refined
    window.cloud_saving.save(tmp_path / "all.ply")
    wait_for(lambda: "points written" in window.desk.news.text, 60)
    points = np.asarray(o3d.io.read_point_cloud(tmp_path / "all.ply").points)
    assert len(points) == np.count_nonzero(refined.depth_m)
    middle = np.median(points, axis=0)
    box = Box(tuple(middle - 0.2), tuple(middle + 0.2))
    window.cloud.tools._set_box(box)
    window.cloud_saving.save(tmp_path / "part.ply")
    wait_for((tmp_path / "part.ply").exists, 60)
    wait_for(lambda: "part.ply" in window.desk.news.text)
    part = np.asarray(o3d.io.read_point_cloud(tmp_path / "part.ply").points)
    assert 0 < len(part) < len(points)
    assert box.holds(part).all()
    window.cloud.tools._set_box(Box((90.0, 90.0, 90.0), (91.0, 91.0, 91.0)))
    window.cloud_saving.save(tmp_path / "none.ply")
    wait_for(lambda: "no point lies" in window.message.text)
    window.cloud.tools._set_box(None)
