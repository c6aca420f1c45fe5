"""Every command of the window as data: menus, keys, tool tips and the palette come from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenuBar

from lingbot_live.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One command; ``slot`` is the method of the window, or of a part of it, that does it."""

    key: str
    text: str
    shortcut: str
    slot: str
    tip: str = ""
    checkable: bool = False


ACTIONS: tuple[ActionInfo, ...] = (
    ActionInfo("toggle", "Start or stop", "Ctrl+Space", "toggle_streaming"),
    ActionInfo(
        "play",
        "Play or pause",
        "Space",
        "replay.play_or_pause",
        "Pause a recording or go on; start or stop a camera",
    ),
    ActionInfo("step_back", "One frame back", "Left", "replay.step_back"),
    ActionInfo("step_on", "One frame on", "Right", "replay.step_on"),
    ActionInfo("to_start", "To the first frame", "Ctrl+Left", "replay.to_start"),
    ActionInfo("to_end", "To the last frame", "Ctrl+Right", "replay.to_end"),
    ActionInfo("slower", "Slower", ",", "replay.slower"),
    ActionInfo("faster", "Faster", ".", "replay.faster"),
    ActionInfo("loop", "⟲ Loop", "L", "replay.toggle_loop", "Begin again at the end", True),
    ActionInfo("open_file", "Open recording...", "Ctrl+O", "opening.open_file"),
    ActionInfo("open_folder", "Open RGB-D folder...", "Ctrl+Shift+O", "opening.open_folder"),
    ActionInfo(
        "add_camera", "Add camera...", "A", "feeds.ask_for_more", "One more row of pictures"
    ),
    ActionInfo("remove_camera", "Remove camera", "Ctrl+W", "feeds.remove_selected", "The selected"),
    ActionInfo("next_camera", "Select next camera", "N", "feeds.select_next"),
    ActionInfo("find", "Look for cameras", "F5", "opening.find_cameras"),
    ActionInfo("models", "Models...", "Ctrl+M", "refining.show_models", "Weights: get, use"),
    ActionInfo(
        "as_recorded",
        "As recorded",
        "",
        "refining.toggle_recorded",
        "Show the refined depth that is in the file; off: refine it anew",
        True,
    ),
    ActionInfo("mask", "Trust the network's mask", "", "refining.toggle_mask", checkable=True),
    ActionInfo("keep_raw", "Keep valid raw depth", "", "refining.toggle_keep_raw", checkable=True),
    ActionInfo(
        "record", "Record", "R", "saving.toggle_recording", "Record the session, or end that"
    ),
    ActionInfo("pause_recording", "Pause", "P", "recording.pause_or_resume", "Pause the recording"),
    ActionInfo(
        "record_options",
        "Recording options...",
        "Ctrl+R",
        "saving.choose_options",
        "Folders, names, quality, new files",
    ),
    ActionInfo("mark", "Mark", "M", "recording.mark", "Note this moment in the recording"),
    ActionInfo("snapshot", "Snapshot", "S", "saving.take_snapshot", "Write this frame to a folder"),
    ActionInfo("report", "Report...", "Ctrl+Shift+R", "reporting.ask", "Tables, plots, pictures"),
    ActionInfo("export", "Export...", "Ctrl+E", "exporting.ask", "To clouds, images, video, ..."),
    ActionInfo("quit", "Quit", "Ctrl+Q", "close"),
    ActionInfo("layout_all", "Everything", "1", "layouts.everything"),
    ActionInfo("layout_images", "Pictures only", "2", "layouts.pictures"),
    ActionInfo("layout_cloud", "Cloud large", "3", "layouts.cloud_large"),
    ActionInfo("layout_refined", "Refined large", "4", "layouts.refined_large"),
    ActionInfo("difference", "Difference", "D", "layouts.difference", "Refined minus raw or truth"),
    ActionInfo("wipe", "Wipe", "W", "layouts.wipe", "Raw left, refined right of the mouse"),
    ActionInfo("sweep", "Wipe by itself", "Shift+W", "layouts.sweep", checkable=True),
    ActionInfo("blink", "Blink", "B", "layouts.blink", "Raw and refined in turn"),
    ActionInfo("change", "Kept, changed, filled", "K", "layouts.change"),
    ActionInfo("cloud", "Point cloud", "C", "layouts.toggle_cloud", checkable=True),
    ActionInfo(
        "controls",
        "Camera settings",
        "E",
        "layouts.toggle_controls",
        "Resolution, exposure, gain, laser and more",
        checkable=True,
    ),
    ActionInfo("quality", "Quality", "Q", "layouts.toggle_quality", "Numbers", checkable=True),
    ActionInfo("reset_view", "Reset the 3D view", "Home", "reset_cloud"),
    ActionInfo("auto_orbit", "Orbit by itself", "O", "toggle_orbit", checkable=True),
    ActionInfo(
        "point", "Point values", "Shift+P", "cloud.tools.choose_point", "Every camera's depth there"
    ),
    ActionInfo("length", "Distance", "Shift+D", "cloud.tools.choose_length", "Between two points"),
    ActionInfo("plane", "Plane", "Shift+L", "cloud.tools.choose_plane", "How flat a region is"),
    ActionInfo("crop", "Crop box", "Shift+B", "cloud.tools.choose_crop", "Hide what lies outside"),
    ActionInfo("end_measuring", "End measuring", "Esc", "cloud.tools.end", "Show everything again"),
    ActionInfo(
        "calibrate", "Calibrate...", "Shift+C", "rigging.show_dialog", "Where the cameras stand"
    ),
    ActionInfo("load_rig", "Load rig...", "", "rigging.ask_and_load", "Where the cameras stand"),
    ActionInfo("save_rig", "Save rig...", "", "rigging.ask_and_save", "Where the cameras stand"),
    ActionInfo("forget_rig", "Forget the rig", "", "rigging.forget", "All cameras at one place"),
    ActionInfo("fit", "Fit pictures", "0", "fit_images"),
    ActionInfo("near_less", "Shorten the colour range", "[", "shorten_range"),
    ActionInfo("near_more", "Lengthen the colour range", "]", "lengthen_range"),
    ActionInfo("full_screen", "Full screen", "F", "demo.toggle", "Views only, for demos"),
    ActionInfo("theme", "Light theme", "", "layouts.toggle_theme", checkable=True),
    ActionInfo("palette", "All commands...", "Ctrl+K", "show_palette"),
    ActionInfo("keys", "Keys", "?", "show_keys"),
    ActionInfo("about", "About lingbot-live", "", "show_about"),
)

MENUS: dict[str, tuple[str, ...]] = {
    "&Camera": ("toggle", "-", "open_file", "open_folder", "find", "-",
        "add_camera", "remove_camera", "next_camera", "controls", "-",
        "record", "pause_recording", "mark", "record_options", "snapshot", "-",
        "export", "report", "-", "quit"),
    "&Playback": ("play", "step_back", "step_on", "to_start", "to_end", "-",
        "slower", "faster", "loop"),
    "&Refiner": ("models", "-", "as_recorded", "mask", "keep_raw"),
    "&View": (
        "layout_all", "layout_images", "layout_cloud", "layout_refined", "-",
        "change", "difference", "wipe", "sweep", "blink", "-",
        "quality", "cloud", "-",
        "fit", "near_less", "near_more", "-", "full_screen", "theme",
    ),
    "&3D": ("point", "length", "plane", "crop", "end_measuring", "-",
        "reset_view", "auto_orbit", "-",
        "calibrate", "load_rig", "save_rig", "forget_rig"),
    "&Help": ("keys", "palette", "about"),
}  # fmt: skip


class Actions:
    """The table's QActions, bound to a window's methods."""

    def __init__(self, window: QObject, table: tuple[ActionInfo, ...] = ACTIONS) -> None:
        self.infos = {info.key: info for info in table}
        self._actions = {info.key: self._make(window, info) for info in table}

    def __getitem__(self, key: str) -> QAction:
        if key not in self._actions:
            raise ConfigError(f"no action is called {key!r}.{did_you_mean(key, self._actions)}")
        return self._actions[key]

    def fill(self, bar: QMenuBar) -> None:
        """Make the menus of `MENUS`."""
        for title, keys in MENUS.items():
            menu = bar.addMenu(title)
            for key in keys:
                if key == "-":
                    menu.addSeparator()
                else:
                    menu.addAction(self[key])

    @staticmethod
    def _make(window: QObject, info: ActionInfo) -> QAction:
        action = QAction(info.text, window)
        action.setCheckable(info.checkable)
        if info.shortcut:
            action.setShortcut(QKeySequence(info.shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setToolTip(f"{info.tip or info.text} ({info.shortcut})".replace(" ()", ""))
        slot: Callable[[], object] = attrgetter(info.slot)(window)
        action.triggered.connect(lambda _checked=False: slot())
        return action
