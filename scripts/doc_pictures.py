"""The docs' pictures of the window, as it is now: ``make pictures``.

Those of real makes need their recordings: ``LINGBOT_LIVE_TESTDATA`` names the folder that holds
them. Each language is taken in a process of its own, for the window takes its language once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from screenshots import pass_time

HOME = Path(__file__).resolve().parent.parent
DOCS, ASSETS = HOME / "docs", HOME / "assets"
DATA = Path(os.environ.get("LINGBOT_LIVE_TESTDATA", ""))
REAL = ("realsense/virtual_d435.db3", "orbbec/virtual_gemini335.bag", "azure_kinect/recording.mkv")
_MOST_S = 120


def main() -> None:
    """Take all, in both languages."""
    for language in ("en", "zh_CN"):
        with tempfile.TemporaryDirectory() as place:
            environment = {
                **os.environ,
                "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
                "LINGBOT_LIVE_CONFIG": place,
            }
            one = [sys.executable, __file__, language, place]
            subprocess.run(one, env=environment, check=True)


class Photographer:
    """Works a window as a user does, and takes pictures of it."""

    def __init__(self, language: str) -> None:
        from PySide6.QtWidgets import QApplication

        from lingbot_live.config import RefinerConfig
        from ui.main_window import MainWindow
        from ui.shell import spoken
        from ui.shell.settings import Settings
        from ui.shell.theme import apply_theme

        self.app = QApplication([])
        apply_theme(self.app, "dark")
        if hindrance := spoken.start(self.app, language):
            raise SystemExit(hindrance)
        self.window = MainWindow(Settings())
        self.window.refining.use(RefinerConfig("guided"))
        self.window.showNormal()
        self.window.layouts.everything()
        self.window.devices.look()

    def open(self, *addresses: str, width: int = 1432, height: int = 864) -> None:
        """Show these cameras, and wait until all that they have is seen."""
        window = self.window
        window.resize(width, height)
        window.stage.open(addresses)
        self.wait_for(lambda: window.stage.session is not None and window.panels)
        self.wait_for(lambda: all(panel.refined.has_image for panel in window.panels))
        self.wait_for(lambda: window.cloud.process.latest_image() is not None)
        self.wait(5)

    def press(self, key: str) -> None:
        """Do what an action does."""
        self.window.actions_[key].trigger()
        self.wait(0.3)

    def take(self, path: Path, widget: object = None) -> None:
        """Save what a part of the window shows, or all of it."""
        shown = self.window if widget is None else widget
        if not shown.grab().save(str(path)):  # type: ignore[attr-defined]
            raise SystemExit(f"{path}: cannot write it there")
        sys.stdout.write(f"{path}\n")

    def wait(self, seconds: float) -> None:
        """Let the window live on."""
        pass_time(round(seconds * 1000))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Let the window live on until something is so."""
        until_s = time.monotonic() + _MOST_S
        while not condition():
            if time.monotonic() > until_s:
                raise SystemExit("waited in vain")
            self.wait(0.05)


def take_english(at: Photographer, place: Path) -> None:
    """Take the README's picture and those of docs/."""
    window = at.window
    at.open("synthetic:stereo")
    at.take(ASSETS / "window.png")
    at.press("change")
    at.wait(1)
    at.take(DOCS / "compare-changes.png", window.docks.compare)
    window.compare.base_box.setCurrentIndex(1)
    window.compare.limit_box.setCurrentIndex(4)
    at.press("difference")
    at.wait(2)
    at.take(DOCS / "compare-difference.png", window.docks.compare)
    window.compare.base_box.setCurrentIndex(0)
    at.press("wipe")
    at.wait(1)
    at.take(DOCS / "compare-wipe.png", window.docks.compare)
    at.press("change")
    _take_recording(at, place)
    if all((DATA / name).is_file() for name in REAL) and DATA.is_absolute():
        at.open(*(str(DATA / name) for name in REAL), width=1440)
        at.take(DOCS / "compare-three.png")


def _take_recording(at: Photographer, place: Path) -> None:
    from PySide6.QtCore import QPoint
    from PySide6.QtTest import QTest

    from ui.dialogs.export import ExportDialog
    from ui.shell.files import RecordChoices

    window = at.window
    os.chdir(place)  # so that names are short in the pictures
    window.settings.set_text("export_folder", "exports")
    window.saving.use(RecordChoices(folder=str(place), name="desk"))
    at.open("synthetic:stereo", "synthetic:tof", width=1440)
    at.press("layout_images")
    at.press("quality")
    at.wait(12)
    at.take(DOCS / "quality-panel.png", window.docks.quality)
    at.press("quality")
    at.press("layout_all")
    at.press("record")
    for key in ("mark", "pause_recording", "pause_recording", "mark"):
        at.wait(2.5)
        at.press(key)
    at.wait(2)
    at.take(DOCS / "recording.png")
    at.press("record")
    at.wait_for(lambda: window.message.text)
    window.message.clear()
    at.open("desk.mcap", width=1440)
    at.wait_for(lambda: window.replay.marks)
    window.replay.seek(window.replay.lead.duration_s * 0.8)
    at.press("play")
    for _ in range(30):  # to a frame that every camera's refined depth was recorded of
        at.wait(0.3)
        if all(panel.refined.has_image for panel in window.panels):
            break
        at.press("step_on")
    track = window.timeline.track
    QTest.mouseMove(track, QPoint(track.width() // 2, 14))
    at.wait(3)
    at.take(DOCS / "replay.png")
    at.press("export")
    (dialog,) = window.findChildren(ExportDialog)
    at.wait(0.5)
    at.take(DOCS / "export.png", dialog)
    dialog.reject()


def take_chinese(at: Photographer) -> None:
    """Take the window on a small screen."""
    at.open("synthetic:stereo", width=1280, height=720)
    at.take(DOCS / "window-zh.png")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        main()
    elif sys.argv[1] == "en":
        take_english(photographer := Photographer("en"), Path(sys.argv[2]))
        photographer.window.close()
    else:
        take_chinese(photographer := Photographer(sys.argv[1]))
        photographer.window.close()
