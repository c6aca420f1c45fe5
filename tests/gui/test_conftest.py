"""The GUI tests can fail: what PySide, ``__del__`` and threads print and forget is collected."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, QTimer, Signal, qWarning


class Bell(QObject):
    rung = Signal()


def broken():
    raise ValueError("a slot fell over")


class Careless:
    def __del__(self):
        raise ValueError("an end fell over")


def taken(lost):
    """What was collected; taken away, or the test would fail as it should."""
    found, lost[:] = list(lost), []
    return found


def test_an_exception_in_a_slot_is_collected(qapp, lost_exceptions):
    bell = Bell()
    bell.rung.connect(broken)
    bell.rung.emit()
    (text,) = taken(lost_exceptions)
    assert "a slot fell over" in text
    assert "broken" in text


def test_an_exception_in_a_timer_is_collected(qapp, lost_exceptions):
    QTimer.singleShot(0, broken)
    qapp.processEvents()
    assert "a slot fell over" in taken(lost_exceptions)[0]


def test_an_exception_in_an_end_is_collected(lost_exceptions):
    careless = Careless()
    del careless
    assert "an end fell over" in taken(lost_exceptions)[0]


def test_an_exception_in_a_thread_is_collected(lost_exceptions):
    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    assert "a slot fell over" in taken(lost_exceptions)[0]


def test_a_warning_of_qt_is_collected(qapp, lost_exceptions):
    qWarning("something is wrong")
    assert taken(lost_exceptions) == ["Qt: something is wrong"]
