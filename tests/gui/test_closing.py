"""The window is closed, or told to end, while work runs: whole files, asked at most once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from faults import plugins, slow_disk
from gui_wait import wait_for
from hostile import session
from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QMessageBox
from rgbd_folder import write_examples

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RecordingError
from lingbot_live.recording.recording import Recording
from ui.shell.files import RecordChoices


@pytest.fixture
def streaming(window, tmp_path):
    folder = write_examples(tmp_path / "examples")
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    return window


def record(window, folder):
    window.saving.use(RecordChoices(folder=str(folder), name="take"))
    window.actions_["record"].trigger()
    wait_for(lambda: (stats := window.recording.stats()) is not None and stats.frames > 5)


def test_a_recording_is_whole_when_the_window_closes(streaming, tmp_path):
    record(streaming, tmp_path / "out")
    streaming.close()
    with Recording(tmp_path / "out" / "take.mcap") as recording:
        assert recording.damage == ()
        assert len(recording) > 5


def test_closing_during_an_export_asks_once(streaming, monkeypatch):
    window = streaming
    asked = []

    def answer(button):
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox))
        asked.append(box.text())
        next(b for b in box.buttons() if b.text() == button).click()

    class Spontaneous(QCloseEvent):
        def spontaneous(self):
            return True

    window.dialogs.show_export()
    monkeypatch.setattr(window.dialogs.export, "job", type("Job", (), {"cancel": lambda s: None,
                        "join": lambda s, t: True})())  # fmt: skip
    QTimer.singleShot(200, lambda: answer("Go on"))
    event = Spontaneous()
    window.closeEvent(event)
    assert not event.isAccepted()
    assert window.isVisible()
    assert window.dialogs.export is not None
    QTimer.singleShot(200, lambda: answer("Close"))
    window.quit()
    assert not window.isVisible()
    assert len(asked) == 2
    assert all("export" in text for text in asked)


def frames_in(path):
    """Return how many frames can be read by now."""
    try:
        with Recording(path) as recording:
            return len(recording)
    except RecordingError:
        return 0


def test_a_failed_end_is_told(streaming, tmp_path):
    record(streaming, tmp_path / "out")
    path = tmp_path / "out" / "take.mcap"
    path.unlink()
    wait_for(lambda: "was deleted while recording" in streaming.message.text)
    streaming.actions_["record"].trigger()
    wait_for(lambda: not streaming.recording.is_active)
    wait_for(lambda: frames_in(tmp_path / "out" / "take_001.mcap") > 0)


def test_what_happened_to_a_file_is_told_however_soon_the_recording_ends(streaming, tmp_path):
    record(streaming, tmp_path / "out")
    recorder = streaming.recording._recorder
    (tmp_path / "out" / "take.mcap").unlink()
    for _ in range(3000):  # no events meanwhile: the window does not hear of it
        if recorder.stats().warnings:
            break
        time.sleep(0.01)
    streaming.actions_["record"].trigger()
    wait_for(lambda: "was deleted while recording" in streaming.message.text)


def test_closing_while_refining_asks_once_and_the_next_time_goes_on(streaming, tmp_path):
    window, out = streaming, tmp_path / "refined.mcap"
    take = session(tmp_path / "take.mcap", frames=3000)
    asked = []

    def answer():
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox))
        asked.append(box.text())
        next(b for b in box.buttons() if b.text() == "Close").click()

    window.refining.config = RefinerConfig("guided")
    window.dialogs.refine(take, out)
    wait_for(lambda: window.dialogs.refining.bar.value() > 10)
    QTimer.singleShot(200, answer)
    window.quit()
    assert not window.isVisible()
    assert asked == [
        "A recording is being refined, which goes on the next time. Close nevertheless?"
    ]
    part = tmp_path / "refined.part0.mcap"
    with Recording(part) as recording:
        assert recording.damage == ()
        assert 10 < len(recording) < 3000
    assert not out.exists()


_OPENING = """
import sys
from PySide6.QtCore import QTimer
import ui.app as app
from lingbot_live.config import RefinerConfig
start = app._Runner.start
def started(self):
    start(self)
    print("opening", flush=True)
    if sys.argv[2] == "by hand":
        QTimer.singleShot(0, self._window.close)
app._Runner.start = started
sys.exit(app.run_window(app.WindowOptions((sys.argv[1],), RefinerConfig("none"))))
"""


@pytest.mark.parametrize(
    ("address", "how", "status"),
    [("fine:good", "by hand", 0), ("fine:stuck", "by hand", 1), ("fine:stuck", "by signal", 1)],
)
def test_closing_while_a_camera_opens(tmp_path, address, how, status):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environment |= plugins(tmp_path / ".plugins", "fine")
    words = [sys.executable, "-c", _OPENING, address, how]
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "opening\n"
        if how == "by signal":
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
        begun_s = time.monotonic()
        _, said = process.communicate(timeout=60)
        took_s = time.monotonic() - begun_s
    finally:
        process.kill()
    assert process.returncode == status, said
    assert how == "by hand" or took_s < 6
    assert ("does not return from open" in said) == (status == 1)
    assert "Traceback" not in said


_TIMED = """
import sys
import ui.app as app
from lingbot_live.config import RefinerConfig
def fail(self):
    raise ValueError("out of paint")
setattr(getattr(app, sys.argv[2]), sys.argv[3], fail)
from pathlib import Path
options = app.WindowOptions(
    (sys.argv[1],), RefinerConfig("none"), duration_s=0.5, screenshot=Path("shot.png")
)
sys.exit(app.run_window(options))
"""


@pytest.mark.parametrize("what", [("MainWindow", "grab"), ("_Runner", "_open")])
def test_a_timed_run_ends_though_something_fails_in_its_start_or_end(tmp_path, what):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environment |= plugins(tmp_path / ".plugins", "fine")
    done = subprocess.run(
        [sys.executable, "-c", _TIMED, "fine:good", *what], env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: out of paint")


def test_a_timed_run_without_a_frame_says_that_no_snapshot_is_written(tmp_path):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environment |= plugins(tmp_path / ".plugins", "fine")
    words = ["run", "fine:silent", "--refiner", "none", "--duration", "0.5", "--snapshot", "snap"]
    done = subprocess.run(
        [sys.executable, "-m", "lingbot_live", *words], env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith("snap: no snapshot is written, for no frame was refined\n")
    assert not (tmp_path / "snap").exists()


_RECORDING = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from ui.shell.files import RecordChoices
import ui.app as app
start = app._Runner.start
def started(self):
    start(self)
    window = self._window
    window.saving.use(RecordChoices(folder=sys.argv[2], name="take", raw_only=True))
    window.firstShown.connect(window.actions_["record"].trigger)
app._Runner.start = started
from lingbot_live.config import RefinerConfig
sys.exit(app.run_window(app.WindowOptions((sys.argv[1],), RefinerConfig("none"))))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("sleep_ms", [0, 30])
def test_a_signal_closes_the_file_and_ends_the_children(tmp_path, name, sleep_ms):
    if sleep_ms and name != "SIGTERM":
        pytest.skip("once is enough on a slow disk")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environment |= plugins(tmp_path / ".plugins", "fine")
    environment |= slow_disk("take.mcap", sleep_ms) if sleep_ms else {}
    path = tmp_path / "take.mcap"
    process = subprocess.Popen(
        [sys.executable, "-c", _RECORDING, "fine:good", str(tmp_path)], env=environment
    )
    try:
        wait_for(lambda: path.exists() and path.stat().st_size > 2_000_000, 60)
        for _ in range(2):
            process.send_signal(getattr(signal, name))
            time.sleep(0.03)
        assert process.wait(60) == 0
    finally:
        process.kill()
    with Recording(path) as recording:
        assert recording.damage == ()
        assert len(recording) > 3
