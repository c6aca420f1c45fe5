"""A wrong file never ends a running camera; a removed camera comes back; panes name theirs."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from rgbd_folder import write_examples

from lingbot_live.cameras.base import CameraState
from ui.main_window import MainWindow
from ui.shell.settings import Settings
from ui.views.compare_pictures import Mode

LIVE = "synthetic:stereo"


@pytest.fixture
def live(window):
    window.stage.open((LIVE,))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    return window.stage.session


def wrong_file(folder):
    path = folder / "notes.mcap"
    path.write_text("no recording")
    return path


@pytest.mark.parametrize("way", ["dialog", "drop", "typed", "missing"])
def test_what_cannot_be_opened_leaves_the_camera_running(window, live, tmp_path, monkeypatch, way):
    path = wrong_file(tmp_path)
    if way == "dialog":
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        window.opening.open_file()
    elif way == "drop":
        window.opening.open_dropped([path])
    elif way == "typed":
        window.bar.cameraChosen.emit(str(path))
    else:
        path = tmp_path / "gone.bag"
        window.bar.cameraChosen.emit(f"orbbec:{path}")
    wait_for(lambda: path.name in window.message.text)
    assert "goes on" in window.message.text
    assert window.stage.session is live
    assert window.bar.address == LIVE
    count = live.feeds[0].stats.captured
    wait_for(lambda: live.feeds[0].stats.captured > count + 3)


def test_what_can_be_opened_takes_over(window, live, tmp_path):
    place = write_examples(tmp_path / "examples")
    window.opening.open_dropped([place])
    wait_for(lambda: window.stage.asked == (f"folder:{place}",))
    wait_for(lambda: window.panels[0].refined.has_image)


def test_of_several_files_a_good_one_is_enough(window, live, tmp_path):
    place = write_examples(tmp_path / "examples")
    window.opening.open_dropped([wrong_file(tmp_path), place])
    wait_for(lambda: len(window.panels) == 2 and window.panels[1].refined.has_image)
    wait_for(lambda: window.panels[0].notice.text)


def test_an_address_that_never_worked_is_not_remembered(qapp, tmp_path):
    window = MainWindow(Settings())
    window.stage.open((LIVE,))
    wait_for(lambda: window.stage.proven == (LIVE,))
    window.stage.open((str(tmp_path / "nowhere.bag"),))
    wait_for(lambda: window.panels and window.panels[0].notice.text)
    window.close()
    window.deleteLater()
    assert Settings().text("address") == LIVE


def test_removing_a_camera_selects_its_neighbour_and_is_undone(window, tmp_path):
    places = [f"folder:{write_examples(tmp_path / name, 2)}" for name in "abc"]
    window.stage.open(places)
    wait_for(lambda: len(window.panels) == 3)
    first, middle, last = window.panels
    window.rows.select(middle)
    window.actions_["remove_camera"].trigger()
    wait_for(lambda: len(window.panels) == 2)
    assert window.rows.selected is last, "the row that came into its place"
    assert "removed" in window.desk.news.text
    (undo,) = window.desk.news.buttons
    QTest.mouseClick(undo, Qt.MouseButton.LeftButton)
    wait_for(lambda: len(window.panels) == 3)
    assert set(window.stage.addresses) == set(places)
    window.rows.select(window.panels[-1])
    window.actions_["remove_camera"].trigger()
    wait_for(lambda: len(window.panels) == 2)
    assert window.rows.selected is window.panels[-1]
    assert first in window.panels


def test_the_last_camera_that_is_removed_comes_back_too(window, live):
    window.actions_["remove_camera"].trigger()
    assert not window.stage.is_running
    window.actions_["bring_back"].trigger()
    wait_for(lambda: window.stage.is_running and window.stage.addresses == (LIVE,))


def test_compare_and_settings_name_their_camera(window, live):
    wait_for(lambda: "Synthetic stereo" in window.docks.compare.windowTitle())
    assert window.docks.compare.windowTitle().startswith("Compare")
    assert "1  Synthetic stereo" in window.docks.controls.windowTitle()


def test_compare_drops_the_picture_of_a_camera_that_failed(window, live, monkeypatch):
    window.docks.compare.show()
    window.compare.set_mode(Mode.CHANGE)
    wait_for(lambda: window.compare.image.has_image)
    window.panels[0].view.feed.capture.request_stop()
    wait_for(lambda: window.panels[0].view.feed.capture.is_done)
    feed = window.panels[0].view.feed
    monkeypatch.setattr(type(feed), "state", property(lambda self: CameraState.FAILED))
    wait_for(lambda: not window.compare.image.has_image)


def test_recorded_depth_is_no_refiner_of_the_list(window):
    names = [window.bar.refiner_box.itemData(at) for at in range(window.bar.refiner_box.count())]
    assert "guided" in names
    assert "recorded" not in names
    assert not window.actions_["as_recorded"].isVisible()
    window.settings.set_text("refiner", "recorded")
    assert window.settings.refiner == ("auto", "")
