"""The error bar."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QVBoxLayout, QWidget

from ui.shell.notice import Notice

TEXT = "realsense:f1234567: no frame within 5 s"
FIX = "Check the USB cable, then press Retry."


@pytest.fixture
def notice(show):
    pane = QWidget()
    column = QVBoxLayout(pane)
    bar = Notice()
    column.addWidget(bar)
    column.addStretch(1)
    show(pane, 640, 300)
    return bar


@pytest.fixture
def heard(notice):
    said = []
    notice.retry.connect(lambda: said.append("retry"))
    notice.dismissed.connect(lambda: said.append("dismissed"))
    return said


def press(notice, name):
    buttons = notice.findChildren(QAbstractButton)
    button = next(b for b in buttons if name in (b.text(), b.accessibleName()))
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_it_is_hidden_until_there_is_an_error(notice):
    assert not notice.isVisible()
    assert notice.text == ""
    notice.show_error(TEXT, FIX)
    assert notice.isVisible()
    assert notice.text == f"{TEXT}\n{FIX}"


@pytest.mark.parametrize(("button", "said"), [("Retry", "retry"), ("Dismiss", "dismissed")])
def test_a_button_hides_the_bar_and_says_so_once(notice, heard, button, said):
    notice.show_error(TEXT, FIX)
    press(notice, button)
    assert heard == [said]
    assert not notice.isVisible()


def test_clearing_says_nothing(notice, heard):
    notice.show_error(TEXT)
    notice.clear()
    assert (heard, notice.isVisible()) == ([], False)


def test_a_receiver_may_show_the_next_error_at_once(notice):
    notice.retry.connect(lambda: notice.show_error("still no frame"))
    notice.show_error(TEXT)
    press(notice, "Retry")
    assert notice.isVisible()
    assert notice.text == "still no frame"


def test_retry_is_absent_where_it_cannot_help(notice):
    notice.show_error(TEXT, can_retry=False)
    names = [b.text() for b in notice.findChildren(QAbstractButton) if b.isVisible()]
    assert "Retry" not in names


def settle(qapp):
    for _ in range(3):  # the bar's layout first, then that of the pane around it
        qapp.processEvents()


def test_a_long_text_wraps_inside_a_narrow_pane(notice, qapp):
    notice.show_error("x", "")
    settle(qapp)
    low = notice.height()
    notice.show_error(" ".join([TEXT] * 6), FIX)
    settle(qapp)
    assert notice.width() <= 640
    assert notice.height() > low


def test_the_text_can_be_selected_and_is_not_read_as_markup(notice):
    notice.show_error("<b>bold</b>")
    label = notice.findChild(QLabel)
    assert label.text() == "<b>bold</b>"
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert label.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
