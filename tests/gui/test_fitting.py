"""The window fits small screens and large letters, and stays as wide as it was."""

from __future__ import annotations

import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QPushButton,
    QToolBar,
    QToolButton,
)

from ui.cloud.chips import Chip
from ui.controllers.recent import Played
from ui.shell.flow import FlowBar
from ui.shell.icons import icon
from ui.shell.theme import apply_theme, camera_color, current


@pytest.fixture
def large_letters(qapp):
    """Letters as with QT_FONT_DPI=144."""
    before = qapp.font()
    larger = QFont(before)
    larger.setPointSizeF(before.pointSizeF() * 1.5)
    qapp.setFont(larger)
    yield
    qapp.setFont(before)


def settle():
    for _ in range(5):
        QApplication.processEvents()


def open_everything(window):
    window.layouts.everything()
    for key in ("quality", "controls", "sensor"):
        window.actions_[key].trigger()
        settle()
        assert is_seen(getattr(window.docks, key))


def is_seen(dock):
    return not dock.visibleRegion().isEmpty()


def sideways(window):
    """The docks that have more than fits their width."""
    areas = [dock.widget() for dock in window.findChildren(QDockWidget)]
    return [area.widget() for area in areas if area.horizontalScrollBar().maximum()]


def test_docks_never_widen_the_window(window):
    open_everything(window)
    assert window.docks.quality.isVisible()
    assert window.docks.sensor.isVisible()
    assert window.size() == QSize(1280, 720)
    for dock in (window.docks.quality, window.docks.sensor, window.docks.compare):
        assert window.rect().contains(dock.geometry())
    assert sideways(window) == []


def test_nor_where_144_dpi_leave_853_points_of_1280_pixels(window):
    window.resize(845, 444)
    open_everything(window)
    assert window.size() == QSize(845, 444)
    assert sideways(window) == []


def test_a_dock_that_shares_its_place_comes_to_the_front(window):
    open_everything(window)
    assert not is_seen(window.docks.controls)
    for key in ("controls", "sensor"):
        window.actions_[key].trigger()
        settle()
        assert is_seen(getattr(window.docks, key))
        assert window.actions_[key].isChecked()
    window.actions_["sensor"].trigger()
    assert window.docks.sensor.isHidden()


def test_nor_do_they_with_large_letters(large_letters, window):
    open_everything(window)
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 720
    assert window.size() == QSize(1280, 720)
    assert sideways(window) == []


def test_a_text_that_wraps_makes_no_dock_scroll(window):
    open_everything(window)
    area = window.docks.quality.widget()
    assert area.verticalScrollBar().maximum() == 0
    window.quality._say("refined depth moved a part of the picture: look there. " * 3)
    settle()
    assert window.quality.warning.height() > window.quality.warning.fontMetrics().height()
    assert area.verticalScrollBar().maximum() == 0, "the table gives way"


def test_a_row_of_controls_becomes_several_and_one_again(show):
    parts = [QPushButton(text) for text in ("one", "two", "three")]
    bar = FlowBar(*parts, filler=parts[1])
    show(bar, bar.sizeHint().width() + 200, 40)
    low = bar.height()
    assert parts[1].width() > parts[1].sizeHint().width()
    assert len({part.y() for part in parts}) == 1
    bar.resize(parts[2].width() + 20, low)
    assert len({part.y() for part in parts}) == 3
    assert bar.height() > 2 * low
    parts[0].hide()
    QApplication.processEvents()
    assert parts[1].y() < low
    assert bar.height() < 3 * low


@pytest.mark.parametrize("room", [(1280, 720), (1366, 728), (1024, 600)])
def test_it_opens_inside_what_the_screen_has_free(window, room):
    window.layouts._open_inside(QRect(0, 27, *room))
    frame = QSize(8, 36)  # what a window manager adds
    inside = window.size() + frame
    assert inside.width() <= room[0]
    assert inside.height() <= room[1]
    assert window.isMaximized(), "all of a small screen is used"


def test_on_a_large_screen_it_takes_a_usual_size(window):
    window.layouts._open_inside(QRect(0, 0, 3840, 2160))
    assert window.size() == QSize(1440, 900)
    assert not window.isMaximized()


def test_there_is_one_tool_bar_with_icons(window):
    bars = [bar for bar in window.findChildren(QToolBar) if bar.isVisible()]
    assert bars == [window.tool_row]
    for action in window.tool_row.actions():
        button = window.tool_row.widgetForAction(action)
        if isinstance(button, QToolButton):
            assert not button.icon().isNull(), button.text()
            assert button.toolTip()


def test_words_stand_beside_the_icons_where_there_is_room(window):
    styles = Qt.ToolButtonStyle
    window.resize(2200, 800)
    wait_for(lambda: window.tool_row.toolButtonStyle() is styles.ToolButtonTextBesideIcon)
    window.resize(1000, 700)
    wait_for(lambda: window.tool_row.toolButtonStyle() is styles.ToolButtonIconOnly)
    assert window.bar.start_button.toolButtonStyle() is styles.ToolButtonTextBesideIcon
    assert window.bar.start_button.text() == "Start"


def test_the_camera_s_name_takes_the_room_that_is_left(window):
    bar, box = window.bar, window.bar.camera_box
    window.resize(1280, 720)
    settle()
    assert box.width() > 220
    bar.show_recent([Played("desk", "/data/desk.mcap", icon("record"))])
    bar.set_address("synthetic:stereo")
    assert box.currentIndex() == -1, "the picture of another one stands beside no address"


def test_what_does_not_fit_is_reached_behind_a_button_that_is_seen(window, qapp):
    window.resize(640, 600)
    settle()
    button = window.tool_row.findChild(QToolButton, "qt_toolbar_ext_button")
    assert button is not None
    assert button.isVisible()
    apply_theme(qapp)
    settle()
    picture = button.grab().toImage()
    assert picture.pixelColor(1, 1).name() == current().accent


class Raised(QObject):
    """Counts how often a widget was brought to the front."""

    count = 0

    def eventFilter(self, watched, event):
        self.count += event.type() is QEvent.Type.ZOrderChange
        return False


def test_a_floating_dock_comes_to_the_front_with_the_window(window):
    dock = window.docks.quality
    dock.setFloating(True)
    dock.show()
    dock.activateWindow()
    pass_time(100)
    raised = Raised()
    dock.installEventFilter(raised)
    window.activateWindow()
    wait_for(lambda: raised.count)
    dock.removeEventFilter(raised)
    dock.setFloating(False)


def test_switches_of_four_cameras_do_not_widen_the_cloud(window):
    cloud = window.cloud
    window.docks.cloud.show()
    alone = cloud.minimumSizeHint().width()
    cloud.chips.show_chips([Chip(at, f"{at}  Camera", camera_color(at), "?") for at in range(4)])
    assert all(button.isVisible() for button in cloud.chips.buttons.values())
    assert cloud.minimumSizeHint().width() <= alone
