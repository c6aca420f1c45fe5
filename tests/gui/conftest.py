"""One application for all GUI tests, off screen.

A test fails that leaves a window behind, or during which an exception was lost: PySide prints one
in a slot and goes on, Python does so in ``__del__`` and in threads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import traceback

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt, QtMsgType, qInstallMessageHandler
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication


@pytest.fixture(scope="session")
def qapp():
    app = QApplication.instance() or QApplication([])
    yield app
    app.closeAllWindows()


HARMLESS = (  # of Qt off screen, where there is no window system
    "This plugin does not support",
    "propagateSizeHints",
)


@pytest.fixture(autouse=True)
def lost_exceptions(monkeypatch):
    """Collect what nobody caught, and Qt's warnings; the test fails if there is any."""
    lost: list[str] = []

    def on_exception(kind, error, trace):
        lost.append("".join(traceback.format_exception(kind, error, trace)))

    def on_unraisable(found):
        lost.append(f"in {found.object!r}: {found.exc_value!r} {found.err_msg or ''}")

    def on_message(level, context, text):
        bad = (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
        if level in bad and not any(word in text for word in HARMLESS):
            lost.append(f"Qt: {text}")

    monkeypatch.setattr(sys, "excepthook", on_exception)
    monkeypatch.setattr(sys, "unraisablehook", on_unraisable)
    monkeypatch.setattr(
        threading, "excepthook", lambda e: on_exception(e.exc_type, e.exc_value, e.exc_traceback)
    )
    before = qInstallMessageHandler(on_message)
    yield lost
    qInstallMessageHandler(before)
    assert not lost, "\n".join(["exceptions that nobody caught:", *lost])


@pytest.fixture(autouse=True)
def no_window_left(qapp, lost_exceptions):
    before = QApplication.topLevelWidgets()  # held: a place in memory is given again
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()
    left = [w for w in QApplication.topLevelWidgets() if w not in before]
    names = [f"{type(w).__name__} {w.objectName()!r}" for w in left]
    for widget in left:
        widget.close()
        widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not names, f"windows left behind: {names}; close and delete them (see `show`)"


@pytest.fixture
def show(qapp):
    """Return a function that shows a widget at a size and hands it back; all are deleted after."""
    shown = []

    def show(widget, width=400, height=300):
        widget.resize(width, height)
        widget.show()
        qapp.processEvents()
        shown.append(widget)
        return widget

    yield show
    for widget in shown:
        widget.close()
        widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture(scope="session")
def x_display():
    """Start a virtual X server and return its name, such as ``:99``."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt-get install xvfb)")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1440x900x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as lines:
        number = lines.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture
def window(qapp):
    """The main window without docks, on the refiner that costs nothing."""
    from lingbot_live.config import RefinerConfig
    from ui.main_window import MainWindow
    from ui.shell.settings import Settings

    made = MainWindow(Settings())
    made.refining.use(RefinerConfig("none"))
    made.layouts.pictures()
    made.setWindowState(Qt.WindowState.WindowNoState)  # the screen of Qt's test platform is small
    made.resize(1280, 720)
    made.show()
    made.activateWindow()  # keys reach the active window alone
    assert QTest.qWaitForWindowActive(made, 10_000)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
