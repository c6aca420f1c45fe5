"""What the window says reaches the eye, and its buttons do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from rgbd_folder import write_examples

from ui.controllers.losses import DAMAGED
from ui.shell import notice as notices
from ui.shell.status import dropped


@pytest.fixture
def opened(monkeypatch):
    """Collect what the desktop is asked to open."""
    asked: list[Path] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: bool(asked.append(Path(url.toLocalFile())))
    )
    return asked


def is_on_top(window, widget) -> bool:
    """Whether a click into the middle of the widget would reach it or a part of it."""
    found = window.childAt(widget.mapTo(window, widget.rect().center()))
    return found is not None and (found is widget or widget.isAncestorOf(found))


def test_nothing_to_record_is_seen(window):
    QTest.keyClick(window, Qt.Key.Key_R)
    news = window.desk.news
    assert "Nothing to record" in news.text
    assert news.isVisibleTo(window)
    assert window.rect().contains(news.geometry().translated(news.parent().mapTo(window, QPoint())))
    assert is_on_top(window, news)


def test_news_take_no_room_and_go_by_themselves(window, monkeypatch):
    monkeypatch.setattr(notices, "_NEWS_MS", 300)
    before = window.rows.splitter.geometry()
    window.desk.say("Gemini 335 is there")
    window.desk.say("Gemini 336 is there")
    QApplication.processEvents()
    assert window.desk.news.text == "Gemini 335 is there\nGemini 336 is there"
    assert window.rows.splitter.geometry() == before
    wait_for(lambda: window.desk.news.text == "")


def test_news_stay_in_a_window_that_shrinks(window):
    window.desk.say("A long sentence that has to be wrapped in a small window. " * 4)
    window.resize(900, 600)
    QApplication.processEvents()
    news = window.desk.news
    assert window.centralWidget().rect().contains(news.geometry())
    assert is_on_top(window, news)


def test_a_snapshot_says_where_it_is_and_shows_it(window, tmp_path, opened):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    target = tmp_path / "shot"
    window.saving.take_snapshot(target)
    wait_for(lambda: "Snapshot written" in window.desk.news.text, 60)
    (button,) = window.desk.news.buttons
    assert button.text() == "Show folder"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert opened == [target]
    assert window.desk.news.text == ""


def test_an_error_that_was_not_read_outlives_news(window):
    window.desk.show_error("the disk is full")
    window.desk.say("Gemini 335 is there")
    assert window.message.text == "the disk is full"
    assert "Gemini" in window.desk.news.text


def test_damage_that_is_met_while_playing_is_said_once(window, tmp_path):
    place = write_examples(tmp_path / "examples", 4)
    sorted(path for path in place.rglob("*.png") if "depth" in path.name)[1].write_bytes(b"no")
    window.stage.open((f"folder:{place}",))
    wait_for(lambda: window.stage.session and window.stage.session.feeds[0].stats.missed[DAMAGED])
    wait_for(lambda: "damaged" in window.message.text)
    window.message.clear()
    count = window.stage.bridge.rate.count
    wait_for(lambda: window.stage.bridge.rate.count > count + 8)
    assert window.message.text == "", "once is enough"


def test_the_status_bar_speaks_in_words(window):
    assert dropped("replaced") == "not refined (newer came)"
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.stage.session and window.stage.session.feeds[0].stats.captured > 5)
    for _ in range(7):
        window.stage.session.feeds[0].stats.count_drop("replaced")
    wait_for(lambda: "not refined (newer came)" in window.status.text())
    assert "replaced" not in window.status.text()


def test_a_long_status_never_widens_the_window(window):
    before = window.minimumSizeHint().width()
    window.status.setText("refiner failed: " + "a long reason " * 40)
    QApplication.processEvents()
    assert window.minimumSizeHint().width() <= max(before, 900)
