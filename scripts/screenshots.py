"""Pictures of the window as it first opens, at four sizes, in both themes and languages.

``make screenshots``. Each is taken in a process of its own, for Qt takes its scale once.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = {  # name: width, height in points, scale
    "1280x720": (1280, 720, 1),
    "1440x900": (1440, 900, 1),
    "1920x1080": (1920, 1080, 1),
    "3840x2160": (1920, 1080, 2),
}
THEMES = ("dark", "light")
LANGUAGES = ("en", "zh_CN")
_FIRST_S, _FRAMES = 60, 10  # the longest wait for so many refined frames


def pass_time(milliseconds: int) -> None:
    """Let the window live on. Unlike `QTest.qWait`, this leaves Python to its threads."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def take(name: str, theme: str, language: str, path: Path) -> None:
    """Open the window on a simulated camera and save what it shows."""
    from PySide6.QtWidgets import QApplication

    from lingbot_live.config import RefinerConfig
    from ui.main_window import MainWindow
    from ui.shell import spoken
    from ui.shell.settings import Settings
    from ui.shell.theme import apply_theme

    app = QApplication([])
    apply_theme(app, theme)
    if hindrance := spoken.start(app, language):
        raise SystemExit(hindrance)
    window = MainWindow(Settings())
    window.refining.use(RefinerConfig("guided"))
    width, height, _ = SIZES[name]
    window.showNormal()
    window.resize(width, height)
    window.layouts.everything()
    window.firstShown.connect(window.devices.look)  # cameras have their names from then on
    window.stage.open(("synthetic:stereo",))
    for _ in range(10 * _FIRST_S):
        pass_time(100)
        session = window.stage.session
        done = session is not None and session.feeds[0].stats.refined >= _FRAMES
        seen = window.cloud.process.latest_image() is not None
        if done and seen and window.bar.camera_box.currentText() != "synthetic:stereo":
            break
    pass_time(500)
    if not window.grab().save(str(path)):
        raise SystemExit(f"{path}: cannot write it there")
    window.close()


def main(folder: Path) -> None:
    """Take all into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, _, scale) in SIZES.items():
        for theme, language in itertools.product(THEMES, LANGUAGES):
            path = folder / f"window-{name}-{theme}-{language}.png"
            with tempfile.TemporaryDirectory() as config:
                environment = {
                    **os.environ,
                    "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
                    "QT_SCALE_FACTOR": str(scale),
                    "LINGBOT_LIVE_CONFIG": config,
                }
                one = [sys.executable, __file__, name, theme, language, str(path)]
                subprocess.run(one, env=environment, check=True)
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    if len(sys.argv) == 5:
        take(*sys.argv[1:4], Path(sys.argv[4]))
    else:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
