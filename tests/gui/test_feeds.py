"""Several cameras in one window: rows come and go, one is selected, one may fail."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QLabel
from rgbd_folder import write_examples

from drivers.folder.driver import FolderCamera
from lingbot_live.cameras.base import CameraState
from lingbot_live.config import RefinerConfig, SessionConfig
from ui.dialogs.add_camera import AddCamera
from ui.dialogs.keys import KeysDialog
from ui.main_window import MainWindow
from ui.shell import theme
from ui.shell.settings import Settings
from ui.views.compare_pictures import Mode


@pytest.fixture
def folders(tmp_path):
    names = ("one", "two", "three")
    return tuple(f"folder:{write_examples(tmp_path / name, 2)}" for name in names)


def all_shown(window) -> bool:
    return all(panel.refined.has_image for panel in window.panels)


def test_a_camera_is_added_to_the_running_window_and_removed(window, folders):
    window.stage.open((folders[0],))
    wait_for(lambda: window.panels and all_shown(window))
    first, capture = window.panels[0], window.stage.session.feeds[0].capture
    window.dialogs.add_camera()
    dialog = window.findChild(AddCamera)
    dialog.box.setEditText(folders[1])
    dialog.accept()
    wait_for(lambda: len(window.panels) == 2 and all_shown(window))
    assert window.panels[0] is first
    assert window.stage.session.feeds[0].capture is capture, "the first camera streamed on"
    assert window.stage.addresses == folders[:2]
    assert window.rows.selected is window.panels[1], "the new one is selected"
    window.rows.remove_selected()
    wait_for(lambda: len(window.panels) == 1)
    assert window.panels[0] is first
    assert window.stage.addresses == folders[:1]
    assert window.rows.selected is first
    window.rows.remove_selected()
    assert not window.stage.is_running, "the last one stops the session"


def test_nobody_is_told_of_pictures_of_a_camera_that_is_gone(window, folders):
    window.stage.open(folders[:2])
    wait_for(lambda: len(window.panels) == 2 and all_shown(window))
    gone, told = window.panels[1], []
    window.rows.show_news([gone.view])
    gone.drawn.emit()
    window.stage.newsShown.connect(told.extend)
    window.rows.show([window.panels[0].view])
    pass_time(200)
    assert gone.view not in told


def test_adding_without_a_session_starts_one(window, folders):
    window.stage.add(folders[0])
    wait_for(lambda: window.panels and all_shown(window))
    assert window.stage.addresses == folders[:1]


def test_a_dialog_without_an_address_adds_nothing(window):
    window.dialogs.add_camera()
    dialog = window.findChild(AddCamera)
    dialog.accept()
    assert not window.stage.is_running
    assert dialog.isVisible()
    dialog.reject()
    assert not [d for d in window.findChildren(QDialog) if d.isVisible()]


def test_a_click_into_a_row_selects_it(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 3 and all_shown(window))
    assert window.rows.selected is window.panels[0]
    QTest.mouseClick(window.panels[2].raw, Qt.MouseButton.LeftButton, pos=QPoint(60, 60))
    assert window.rows.selected is window.panels[2]
    assert [panel.stripe.is_selected for panel in window.panels] == [False, False, True]
    window.rows.select_next()
    assert window.rows.selected is window.panels[0]


def test_rows_share_cross_hair_zoom_and_scale(window, folders):
    window.stage.open(folders[:2])
    wait_for(lambda: len(window.panels) == 2 and all_shown(window))
    window.link.set_cursor(QPointF(0.3, 0.5))
    for panel in window.panels:
        assert panel.raw.readout_text.endswith("m")
        assert panel.refined.readout_text.endswith("mm")
    window.link.zoom_at(QPointF(0.5, 0.5), 2.0)
    widths = {view.image_rect().width() for panel in window.panels for view in panel.views}
    assert max(widths) - min(widths) < 0.3 * max(widths)


def test_colours_and_numbers_stay_with_their_cameras(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 3 and all_shown(window))
    window.rows.select(window.panels[1])
    window.rows.remove_selected()
    wait_for(lambda: len(window.panels) == 2)
    assert [panel.view.number for panel in window.panels] == [0, 2]
    assert window.panels[1].view.title.startswith("3  ")
    window.stage.add(folders[1])
    wait_for(lambda: len(window.panels) == 3)
    assert [panel.view.number for panel in window.panels] == [0, 2, 1]
    colors = {theme.camera_color(panel.view.number).name() for panel in window.panels}
    assert len(colors) == 3


def test_one_failing_camera_leaves_the_others_running(window, folders):
    window.stage.open((folders[0], "folder:/nowhere/at/all", folders[1]))
    wait_for(lambda: window.panels[1].notice.text)
    wait_for(lambda: window.panels[0].refined.has_image and window.panels[2].refined.has_image)
    assert "/nowhere/at/all" in window.panels[1].notice.text
    assert window.panels[0].notice.text == window.panels[2].notice.text == ""
    count = window.stage.session.feeds[2].stats.captured
    wait_for(lambda: window.stage.session.feeds[2].stats.captured > count + 2)
    assert window.stage.session.feeds[1].state is CameraState.FAILED


def test_a_region_is_drawn_with_the_mouse(window, folders):
    window.stage.open((folders[0],))
    wait_for(lambda: window.panels and all_shown(window))
    panel, drawn = window.panels[0], []
    panel.regionDrawn.connect(lambda place, done: drawn.append((QRectF(place), done)))
    window.link.set_drawing(True)
    start, end = (panel.raw.position_of(QPointF(*at)).toPoint() for at in ((0.2, 0.3), (0.6, 0.7)))
    QTest.mousePress(panel.raw, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(panel.raw, end)
    QTest.mouseRelease(panel.raw, Qt.MouseButton.LeftButton, pos=end)
    place, done = drawn[-1]
    assert done
    assert [place.x(), place.y()] == pytest.approx([0.2, 0.3], abs=0.01)
    assert [place.right(), place.bottom()] == pytest.approx([0.6, 0.7], abs=0.01)
    assert window.link.zoom == 1.0


def test_it_fits_a_small_screen_with_everything_open(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 3 and all_shown(window))
    window.layouts.everything()
    for key in ("quality", "controls", "sensor"):
        window.actions_[key].trigger()
    pass_time(50)
    least = window.minimumSizeHint()
    assert least.width() <= 1280
    assert least.height() <= 720 - 68, "with a time line and a window manager's frame"
    assert all(panel.color.picture_rect().height() >= 40 for panel in window.panels)


def test_a_demo_shows_views_only_with_large_letters_and_comes_back(window, folders):
    window.layouts.wipe()
    window.stage.open(folders[:2])
    wait_for(lambda: len(window.panels) == 2 and all_shown(window))
    normal = window.panels[0].color.fontMetrics().height()
    legend = window.scale.fontMetrics().height()
    chrome = (window.menuBar(), window.tool_row, window.statusBar())
    window.actions_["full_screen"].trigger()
    assert window.isFullScreen()
    assert not any(part.isVisible() for part in (*chrome, window.compare.controls))
    height = window.screen().geometry().height()
    assert window.scale.fontMetrics().height() > height / 30
    assert window.panels[0].color.fontMetrics().height() > normal
    wait_for(lambda: window.compare.image.split not in (0.5, 0.0))  # the wipe sweeps by itself
    window.stage.add(folders[2])
    wait_for(lambda: len(window.panels) == 3)
    assert window.panels[2].color.fontMetrics().height() > normal, "new rows have them too"
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isFullScreen()
    assert all(part.isVisible() for part in (*chrome, window.compare.controls))
    assert window.scale.fontMetrics().height() == legend
    assert window.panels[2].color.fontMetrics().height() == normal
    assert not window.compare._timer.isActive()


def test_arrangements_of_one_row_and_of_several_are_remembered_apart(window, folders):
    window.layouts.everything()
    window.stage.open((folders[0],))
    wait_for(lambda: window.panels and all_shown(window))
    bottom, right = Qt.DockWidgetArea.BottomDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
    assert window.dockWidgetArea(window.docks.compare) == bottom
    window.stage.add(folders[1])
    wait_for(lambda: len(window.panels) == 2)
    assert window.dockWidgetArea(window.docks.compare) == right
    left = Qt.DockWidgetArea.LeftDockWidgetArea
    window.addDockWidget(left, window.docks.compare)
    window.rows.remove_selected()
    wait_for(lambda: len(window.panels) == 1)
    assert window.dockWidgetArea(window.docks.compare) == bottom
    window.stage.add(folders[1])
    wait_for(lambda: len(window.panels) == 2)
    assert window.dockWidgetArea(window.docks.compare) == left
    window.layouts.blink()
    window.close()
    again = MainWindow(Settings())
    assert again.compare.mode is Mode.BLINK
    again.refining.use(RefinerConfig("none"))
    again.show()
    assert again.dockWidgetArea(again.docks.compare) == bottom
    again.stage.open(folders[:2])
    wait_for(lambda: len(again.panels) == 2)
    assert again.dockWidgetArea(again.docks.compare) == left
    again.close()
    again.deleteLater()


def test_docks_are_closed_floated_and_brought_back(window):
    window.docks.quality.show()
    window.docks.quality.setFloating(True)
    assert window.docks.quality.isWindow()
    window.docks.quality.close()
    assert not window.actions_["quality"].isChecked()
    window.actions_["quality"].trigger()
    assert window.docks.quality.isVisible()
    window.docks.quality.setFloating(False)


def test_the_page_of_keys_names_every_key(window):
    window.actions_["keys"].trigger()
    dialog = window.findChild(KeysDialog)
    texts = {label.text() for label in dialog.findChildren(QLabel)}
    wanted = {info.text.rstrip(".") for info in window.actions_.infos.values() if info.shortcut}
    assert wanted <= texts
    dialog.close()


def test_long_names_elide(window, folders):
    window.stage.open(folders[:2])
    wait_for(lambda: len(window.panels) == 2 and all_shown(window))
    view = window.panels[0].color
    window.layouts.refined_large()
    view.setVisible(True)
    view.set_title("a very long name of a camera " * 10)
    assert view.minimumWidth() < 200
    assert view.grab().width() == view.width()


def test_a_driver_that_hangs_is_said_in_its_row(window, folders, monkeypatch):
    returns, read = threading.Event(), FolderCamera._cam_read

    def read_or_hang(self, timeout_s):
        if self._next_index > 2:
            returns.wait(60)
        return read(self, timeout_s)

    quick = partial(SessionConfig, hang_read_s=0.3)
    monkeypatch.setattr("lingbot_live.pipeline.session.SessionConfig", quick)
    monkeypatch.setattr(FolderCamera, "_cam_read", read_or_hang)
    window.stage.open((folders[0],))
    wait_for(lambda: "does not return from read" in window.panels[0].notice.text)
    assert window.stage.session.feeds[0].state is CameraState.HANGING
    returns.set()
    wait_for(lambda: window.panels[0].notice.text == "")
