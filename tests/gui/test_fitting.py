"""The window fits small screens and large letters, and stays as wide as it was."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QFont
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolBar, QToolButton

from ui.cloud.chips import Chip
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
    for key in ("quality", "controls"):
        window.actions_[key].trigger()
    settle()


def test_docks_never_widen_the_window(window):
    open_everything(window)
    assert window.docks.quality.isVisible()
    assert window.docks.controls.isVisible()
    assert window.size() == QSize(1280, 720)
    for dock in (window.docks.quality, window.docks.controls, window.docks.compare):
        assert window.rect().contains(dock.geometry())


def test_nor_do_they_with_large_letters(large_letters, window):
    open_everything(window)
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 720
    assert window.size() == QSize(1280, 720)


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
    QTest.qWait(100)
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
