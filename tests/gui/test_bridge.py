"""Rounds of the bridge: each ends in the event loop, and input comes first."""

from __future__ import annotations

import time

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget
from rgbd_folder import write_examples

from ui.shell.bridge import Bridge


class AlwaysNew:
    """A view that changes with every look."""

    is_drawing = waits = is_thinned = False
    drawing_s = 0.0

    def pull(self):
        return True


class Rounds(QObject):
    """Takes its time over each view, and more news come meanwhile."""

    def __init__(self, bridge, slow_s):
        super().__init__()
        self.bridge, self.slow_s = bridge, slow_s
        self.depth = self.deepest = self.count = 0
        bridge.updated.connect(self.show)

    def show(self, fresh):
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        self.count += 1
        self.bridge.wake()
        self.bridge._schedule()
        time.sleep(self.slow_s)
        self.depth -= 1


class KeyLog(QWidget):
    """Notes how many views had been shown when a key arrived."""

    def __init__(self, rounds):
        super().__init__()
        self.rounds, self.seen = rounds, []

    def keyPressEvent(self, event):
        self.seen.append(self.rounds.count)


def press(widget, key=Qt.Key.Key_A, text="a"):
    """Have a key pressed once the present event is done."""
    event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier, text)
    QCoreApplication.postEvent(widget, event)


@pytest.mark.parametrize("views", [1, 3])
def test_rounds_that_take_longer_than_their_period_never_nest(qapp, views):
    bridge = Bridge(max_hz=200)
    bridge.views = [AlwaysNew() for _ in range(views)]
    rounds = Rounds(bridge, 0.02)
    bridge.wake()
    before = rounds.count
    QCoreApplication.processEvents()
    assert rounds.count - before <= 1 + views, "one call of the loop serves no row of rounds"
    wait_for(lambda: rounds.count > 5)
    assert rounds.deepest == 1
    bridge.follow(None)


def test_a_key_comes_before_the_next_round_of_a_slow_pane(qapp, show):
    bridge = Bridge(max_hz=200)
    bridge.views = [AlwaysNew()]
    rounds = Rounds(bridge, 0.03)
    widget = show(KeyLog(rounds))
    bridge.updated.connect(lambda fresh: press(widget) if rounds.count == 2 else None)
    bridge.wake()
    wait_for(lambda: widget.seen)
    assert widget.seen[0] == 2
    bridge.follow(None)


def test_a_round_that_shows_nothing_delays_nothing(qapp, monkeypatch):
    bridge = Bridge()
    bridge.views = [AlwaysNew()]
    monkeypatch.setattr(bridge.views[0], "drawing_s", 1.0)  # rounds that show are 0.1 s apart
    for has_news, most_ms in ((False, 0), (True, 100)):
        monkeypatch.setattr(bridge.views[0], "pull", lambda new=has_news: new)
        bridge._begin()
        bridge._show_next()
        bridge._next.stop()
        bridge._schedule()
        waits_ms = bridge._timer.interval()
        bridge._timer.stop()
        assert most_ms / 2 <= waits_ms <= most_ms


def test_a_view_that_fails_to_show_ends_no_round(qapp, lost_exceptions):
    bridge = Bridge(max_hz=200)
    bridge.views = [AlwaysNew(), AlwaysNew()]
    rounds = Rounds(bridge, 0)
    bridge.updated.connect(lambda fresh: 1 / 0 if rounds.count == 1 else None)
    bridge.wake()
    wait_for(lambda: rounds.count > 4)
    bridge.follow(None)
    assert lost_exceptions
    assert all("ZeroDivisionError" in text for text in lost_exceptions)
    lost_exceptions.clear()


def test_a_window_with_a_slow_pane_still_takes_keys(window, tmp_path, monkeypatch):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    pane, painted = window.panels[0].color, []
    paint = pane._paint_picture

    def slowly(painter):
        painted.append(painter)
        time.sleep(0.1)
        paint(painter)

    monkeypatch.setattr(pane, "_paint_picture", slowly)
    wait_for(lambda: len(painted) > 3)
    before, far_m = len(painted), window.scale.range.far_m
    press(window, Qt.Key.Key_BracketRight, "]")
    wait_for(lambda: window.scale.range.far_m > far_m)
    assert len(painted) - before <= 3


class Order(QObject):
    """Notes when a pane with a picture was painted, and when that was told to those who follow."""

    def __init__(self, window):
        super().__init__(window)
        self.window, self.seen = window, []
        window.rows.rowsChanged.connect(self.watch)
        window.stage.newsShown.connect(lambda fresh: self.seen.append("told"))

    def watch(self):
        for panel in self.window.panels:
            panel.color.installEventFilter(self)

    def eventFilter(self, pane, event):
        if event.type() == QEvent.Type.Paint and pane.has_image:
            self.seen.append("painted")
        return False


def test_who_follows_pictures_begins_once_they_are_painted(window, tmp_path):
    order = Order(window)
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: "told" in order.seen)
    assert order.seen[0] == "painted"
