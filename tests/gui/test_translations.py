"""Nothing the window says is missed in Chinese: in the sources, and on the screen itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QCoreApplication, QEvent, QLibraryInfo, Qt, QTranslator
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QMenu,
    QTableWidget,
    QWidget,
)

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from ui.controllers.languages import KEY, Languages
from ui.dialogs.help import device_text
from ui.main_window import MainWindow
from ui.shell import language
from ui.shell.language import CHINESE, ENGLISH, told, tr
from ui.shell.settings import Settings
from ui.shell.spoken import LANGUAGES, said_in, start
from ui.views.image_view import ImageView

ROOT = Path(__file__).resolve().parents[2]

# What is the same in Chinese: units, keys, names of products, files, formats and refiners.
SAME = re.compile(
    r"lingbot-live repair FILE -o NEW\.mcap|lingbot-live doctor|~?(/[\w.*-]+)+|\w+:/{0,2}[\w./:-]+"
    r"|\*?\.?\w+\.(mcap|toml|png|html|txt|npz|rrd|glb|md|bag)|-o |\*\.\w+"
    r"|\b\d+(G|M|min)\b|\bAV1\b|\b(color|depth)\.\w+|\{\w+\}|%\w|&\w\b|\d+x\d+|[xyz]\b"
    r"|\b(mm|cm|m|px|ms|s|us|fps|Hz|MB|GB|kB|K|mW|dpi|x|G|M|min|MBs|GiB|bit|RMS|RMSE|MAE|AbsRel)\b"
    r"|\b(Ctrl|Shift|Alt|Esc|Space|Home|Left|Right|Up|Down|F\d+|[A-Z])\b"
    r"|\b(lingbot-live|LingBot-Depth|lingbot|Foxglove|Rerun|RealSense|Orbbec|NVIDIA|Open3D|OpenCV"
    r"|GPU|CPU|SDK|SDKs|USB|RGB|RGB-D|RGBD|ICP|JPEG|PNG|PLY|PCD|GLB|TUM|MP4|H\.264|NumPy|PCL"
    r"|MCAP|TOML|JSON|Hugging Face|ModelScope|Apache-2\.0|crf|x264|token|tokens|charuco|chessboard"
    r"|fp16|fp32|bf16|auto|none|guided|recorded|CUDA|viridis|turbo|gr[ae]y|English|depth|trust"
    r"|on(?= CPU| CUDA| GPU)|inferno|magma|plasma|cividis|LeRobot|HDF5|ROS|rollout|CUDA"
    r"|[Ss]ynthetic|[Ss]tereo|dc|v0|pip|install|open3d|rerun|foxglove|ply|pcd|mp4|rrd|tum|images|numpy"
    r"|mesh|doctor)\b",
)


def foreign(text: str) -> str:
    """Return the Latin words of a text that are not among what is the same everywhere."""
    bare = re.sub(r"<[^>]*>|&\w+;", " ", text)
    bare = re.sub(r"(?<=[^\x00-\x7f])(?=\w)|(?<=\w)(?=[^\x00-\x7f])", " ", bare)  # for \b
    return " ".join(re.findall(r"[A-Za-z]{2,}", SAME.sub(" ", bare)))


@pytest.fixture
def chinese(qapp):
    of_qt = QTranslator()  # for its own buttons, as `start` has it
    place = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    assert of_qt.load(f"qtbase_{CHINESE}", place)
    qapp.installTranslator(of_qt)
    language.use(CHINESE)
    yield
    language.use(ENGLISH)
    qapp.removeTranslator(of_qt)


@pytest.fixture
def spoken_window(qapp, chinese):
    made = MainWindow(Settings())
    made.refining.use(RefinerConfig("guided"))
    made.setWindowState(Qt.WindowState.WindowNoState)
    made.resize(1440, 900)
    made.show()
    yield made
    for other in QApplication.topLevelWidgets():
        other.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def texts_of(widget: QWidget) -> list[str]:
    """Return everything that one widget shows or tells."""
    found = [widget.toolTip(), widget.accessibleName(), widget.windowTitle(), widget.statusTip()]
    if isinstance(widget, QLabel | QAbstractButton):
        found.append(widget.text())
    if isinstance(widget, QGroupBox):
        found.append(widget.title())
    if isinstance(widget, QLineEdit):
        found.append(widget.placeholderText())
    if isinstance(widget, QAbstractSpinBox):
        found += [widget.text(), widget.specialValueText()]
    if isinstance(widget, QComboBox):
        found += [widget.itemText(at) for at in range(widget.count())]
    if isinstance(widget, ImageView):
        found.append(widget._placeholder)
    if isinstance(widget, QListWidget):
        found += [
            widget.item(row).text() + widget.item(row).toolTip() for row in range(widget.count())
        ]
    if isinstance(widget, QTableWidget):
        found += _cells(widget)
    if isinstance(widget, QMenu):
        found.append(widget.title())
    return found


def _cells(table: QTableWidget) -> list[str]:
    items = [table.item(r, c) for r in range(table.rowCount()) for c in range(table.columnCount())]
    items += [table.horizontalHeaderItem(column) for column in range(table.columnCount())]
    items += [table.verticalHeaderItem(row) for row in range(table.rowCount())]
    return [text for item in items if item is not None for text in (item.text(), item.toolTip())]


def _is_of_plots(widget: QWidget | None) -> bool:
    """Whether it is in the menu that plots bring along, which the window never opens."""
    while widget is not None:
        if isinstance(widget, QMenu) and widget.title() == "Plot Options":
            return True
        widget = widget.parentWidget()
    return False


def english(root: QWidget) -> dict[str, str]:
    """Return what is not Chinese in a window, with the widget that says it."""
    found = {}
    for widget in [root, *root.findChildren(QWidget)]:
        if _is_of_plots(widget):
            continue
        for text in texts_of(widget):
            found.update({text: type(widget).__name__} if foreign(text) else {})
        for action in widget.actions():
            for text in (action.text(), action.toolTip(), action.iconText()):
                found.update({text: "QAction"} if foreign(text) else {})
    return found


def test_the_sources_say_everything_in_all_languages():
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "translations.py")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_the_window_has_no_english_left(spoken_window):
    window = spoken_window
    window.layouts.everything()
    for dock in (window.docks.quality, window.docks.controls, window.docks.compare):
        dock.show()
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.rows.view is not None and window.rows.view.refined is not None, 60_000)
    wait_for(lambda: window.quality.cost.text() != tr("not measured yet"), 60_000)
    wait_for(lambda: len(window.controls.rows) > 0, 30_000)
    left = english(window)
    assert not left, "\n".join(f"{who}: {text}" for text, who in left.items())


@pytest.mark.parametrize(
    "key",
    ["add_camera", "models", "record_options", "export", "calibrate", "report", "palette", "keys",
     "device", "snapshot", "range_marks", "bring_back", "refine_recording", "save_rig"],
)  # fmt: skip
def test_no_dialog_has_english_left(spoken_window, key):
    window = spoken_window
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.rows.view is not None and window.rows.view.refined is not None, 60_000)
    before = QApplication.topLevelWidgets()  # held: a place in memory is given again
    window.actions_[key].setEnabled(True)
    window.actions_[key].trigger()
    QApplication.processEvents()
    opened = [w for w in QApplication.topLevelWidgets() if w not in before]
    left = {
        text: who for each in [*opened, window.desk.news] for text, who in english(each).items()
    }
    assert not left, "\n".join(f"{who}: {text}" for text, who in left.items())


def test_what_a_camera_tells_stands_in_one_column(chinese):
    class Plugged:
        info = CameraInfo("realsense", "7/1", "D435", "A1", details={"firmware": "5.16"})

    hot = Control("asic_temperature", 41.5, ControlKind.FLOAT, unit="C", read_only=True)
    lines = device_text(Plugged(), [hot]).splitlines()
    starts = set()
    for line, value in zip(lines, ("D435", "A1", "realsense:7/1", "5.16", "41.5 C"), strict=True):
        label = line[: line.index(value)]
        starts.add(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in label))
    assert len(starts) == 1


def test_what_the_core_says_is_said_in_chinese(chinese):
    said = told("/data/desk.mcap: no such folder; check the path")
    assert said.startswith("/data/desk.mcap：")
    assert not foreign(said)
    assert told("a sentence that nobody knows") == "a sentence that nobody knows"


def test_errors_keep_their_values(chinese):
    error = ConfigError("playback: speed 9 must lie in 0.1 to 4")
    assert re.findall(r"[\d.]+", told(str(error))) == ["9", "0.1", "4"]


def test_fields_are_filled_in_both_languages(chinese):
    assert tr("{count} viewers", count=3) == "3 个观看者"
    language.use(ENGLISH)
    assert tr("{count} viewers", count=3) == "3 viewers"


def test_the_chosen_language_holds_from_the_next_start(window):
    window.languages.choose(CHINESE)
    assert window.settings.text(KEY) == CHINESE
    assert window.desk.news.text == said_in(
        CHINESE, "The window speaks this language from the next start."
    )
    again = Languages(window.desk)
    assert [action.text() for action in again.menu.actions() if action.isChecked()] == ["中文"]


@pytest.mark.parametrize(
    ("environment", "settings", "title"),
    [("zh_CN.UTF-8", "", "文件(&F)"), ("de_DE.UTF-8", "", "&File"), ("zh_CN.UTF-8", "en", "&File")],
)
def test_the_systems_language_is_spoken_unless_another_is_chosen(environment, settings, title):
    code = (
        "from PySide6.QtWidgets import QApplication; from ui.shell import language, spoken;"
        "from PySide6.QtGui import QFontDatabase; app = QApplication([]);"
        "QFontDatabase.families = staticmethod(lambda *_: ['a font']);"
        f"spoken.start(app, {settings!r}); print(language.tr('&File'))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LANGUAGE": "", "LC_ALL": environment, "PYTHONIOENCODING": "utf-8"},
    )
    assert made.stdout.strip() == title, made.stderr


def test_without_a_chinese_font_the_window_says_so_in_english(qapp, monkeypatch):
    from PySide6.QtGui import QFontDatabase

    monkeypatch.setattr(QFontDatabase, "families", lambda *_: [])
    assert "fonts-noto-cjk" in start(qapp, CHINESE)
    assert tr("Colour") == "Colour"


def test_every_language_has_its_catalogue():
    for name in LANGUAGES:
        if name not in ("", ENGLISH):
            assert language.catalogue(name, "window")
            assert language.catalogue(name, "core")
