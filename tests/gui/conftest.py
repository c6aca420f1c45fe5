"""One application for all GUI tests, off screen; a test that leaves a window behind fails."""

from __future__ import annotations

import os
import shutil
import subprocess

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication


@pytest.fixture(scope="session")
def qapp():
    app = QApplication.instance() or QApplication([])
    yield app
    app.closeAllWindows()


@pytest.fixture(autouse=True)
def no_window_left(qapp):
    before = set(map(id, QApplication.topLevelWidgets()))
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()
    left = [w for w in QApplication.topLevelWidgets() if id(w) not in before]
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
    made.resize(1280, 720)
    made.show()
    made.activateWindow()  # keys reach the active window alone
    assert QTest.qWaitForWindowActive(made, 10_000)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
