"""Waiting for a window: Qt's events go on meanwhile, and so do all threads."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer


def pass_time(milliseconds: int) -> None:
    """Let events be served for a while. Unlike `QTest.qWait`, this leaves Python to its threads."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return when the condition holds; fail after ``timeout_s``, long for a busy machine.

    A process that was stopped meanwhile has not waited.
    """
    left_s = timeout_s
    while not condition():
        assert left_s > 0, "waited in vain"
        begun_s = time.monotonic()
        pass_time(10)
        left_s -= min(time.monotonic() - begun_s, 1.0)
