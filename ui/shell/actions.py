"""Every command of the window as data: menus, keys, tool tips and the palette come from here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from lingbot_live.errors import ConfigError, did_you_mean
from ui.shell.icons import icon
from ui.shell.language import phrase, tr

Command = Callable[[], object]


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One command: its name in code and for people, its key, what it is for."""

    key: str
    text: str
    shortcut: str
    tip: str = ""
    checkable: bool = False


ACTIONS: tuple[ActionInfo, ...] = (
    ActionInfo("toggle", "Start or stop", "Ctrl+Space"),
    ActionInfo(
        "play", "Play or pause", "Space", "Pause a recording or go on; start or stop a camera"
    ),
    ActionInfo("step_back", "One frame back", "Left"),
    ActionInfo("step_on", "One frame on", "Right"),
    ActionInfo("to_start", "To the first frame", "Ctrl+Left"),
    ActionInfo("to_end", "To the last frame", "Ctrl+Right"),
    ActionInfo("slower", "Slower", ","),
    ActionInfo("faster", "Faster", "."),
    ActionInfo("loop", "Loop", "L", "Begin again at the end", checkable=True),
    ActionInfo("range_start", "Range from here", "I", "The first frame to export"),
    ActionInfo("range_end", "Range to here", "Shift+I", "The last frame to export"),
    ActionInfo("range_marks", "Range between markers", "Alt+I", "Around the present frame"),
    ActionInfo("range_clear", "No range", "Ctrl+Shift+I"),
    ActionInfo("open_file", "Open recording...", "Ctrl+O"),
    ActionInfo("sessions", "Browse sessions...", "Ctrl+B", "All recordings, with pictures"),
    ActionInfo("open_folder", "Open RGB-D folder...", "Ctrl+Shift+O"),
    ActionInfo("add_camera", "Add camera...", "A", "One more row of pictures"),
    ActionInfo("remove_camera", "Remove camera", "Ctrl+W", "The selected"),
    ActionInfo("bring_back", "Bring the camera back", "Ctrl+Z", "The one removed last"),
    ActionInfo("next_camera", "Select next camera", "N"),
    ActionInfo("find", "Look for cameras", "F5"),
    ActionInfo("models", "Models...", "Ctrl+M", "Weights: get, use"),
    ActionInfo(
        "as_recorded",
        "As recorded",
        "",
        "Show the refined depth that is in the file; off: refine it anew",
        checkable=True,
    ),
    ActionInfo("mask", "Trust the network's mask", "", checkable=True),
    ActionInfo("keep_raw", "Keep valid raw depth", "", checkable=True),
    ActionInfo("steady", "Steady over time", "", "Less flicker, no ghosts", checkable=True),
    ActionInfo(
        "no_flying",
        "Without flying points",
        "",
        "Take out what hangs between the sides of a depth edge",
        checkable=True,
    ),
    ActionInfo(
        "attention",
        "Attention",
        "Shift+A",
        "Click the refined picture: which colours LingBot-Depth looked at for its depth there",
        checkable=True,
    ),
    ActionInfo("record", "Record", "R", "Record the session, or end that"),
    ActionInfo("pause_recording", "Pause recording", "P", "Pause the recording"),
    ActionInfo(
        "record_options", "Recording options...", "Ctrl+R", "Folders, names, quality, new files"
    ),
    ActionInfo("mark", "Mark", "M", "Note this moment in the recording"),
    ActionInfo("snapshot", "Snapshot", "S", "Write this frame to a folder"),
    ActionInfo(
        "publish_foxglove", "Publish to Foxglove", "", "At ws://localhost:8765", checkable=True
    ),
    ActionInfo("publish_rerun", "Publish to Rerun", "", "For viewers that come", checkable=True),
    ActionInfo("publish_ros2", "Publish to ROS 2", "", "Within this machine", checkable=True),
    ActionInfo("report", "Report...", "Ctrl+Shift+R", "Tables, plots, pictures"),
    ActionInfo("export", "Export...", "Ctrl+E", "To clouds, images, video, ..."),
    ActionInfo("refine_recording", "Refine this recording...", "", "Every frame, to a new file"),
    ActionInfo("quit", "Quit", "Ctrl+Q"),
    ActionInfo("layout_all", "Everything", "1"),
    ActionInfo("layout_images", "Pictures only", "2"),
    ActionInfo("layout_cloud", "Cloud large", "3"),
    ActionInfo("layout_refined", "Refined large", "4"),
    ActionInfo("difference", "Difference", "D", "Refined minus raw or truth"),
    ActionInfo("wipe", "Wipe", "W", "Raw left, refined right of the mouse"),
    ActionInfo("sweep", "Wipe by itself", "Shift+W", checkable=True),
    ActionInfo("blink", "Blink", "B", "Raw and refined in turn"),
    ActionInfo("trust", "Trust", "T", "How sure each refined pixel is"),
    ActionInfo("change", "Kept, changed, filled", "K"),
    ActionInfo("cloud", "Point cloud", "C", checkable=True),
    ActionInfo(
        "controls",
        "Camera settings",
        "E",
        "Resolution, exposure, gain, laser and more",
        checkable=True,
    ),
    ActionInfo("sensor", "Infrared and motion", "U", "And depth before alignment", checkable=True),
    ActionInfo("quality", "Quality", "Q", "Numbers", checkable=True),
    ActionInfo("reset_view", "Reset the 3D view", "Home"),
    ActionInfo("auto_orbit", "Orbit by itself", "O", checkable=True),
    ActionInfo("cloud_front", "From the front", "Shift+F", "As the camera sees it"),
    ActionInfo(
        "cloud_top",
        "From above",
        "Shift+T",
        "Straight down on the ground; where none is seen, along the camera's own axes",
    ),
    ActionInfo(
        "cloud_side",
        "From the side",
        "Shift+S",
        "From the right, level with the ground; where none is seen, along the camera's own axes",
    ),
    ActionInfo("cloud_flat", "Orthographic", "Shift+O", "Far things no smaller", checkable=True),
    ActionInfo("cloud_axes", "Axes", "X", "x red, y green, z blue", checkable=True),
    ActionInfo("cloud_grid", "Ground grid", "G", checkable=True),
    ActionInfo("cloud_frustum", "Camera frustums", "V", "What cameras see", checkable=True),
    ActionInfo("scene", "Reconstruct", "Y", "Fuse what the camera sees", checkable=True),
    ActionInfo("scene_depth", "Scene of raw or refined", "Shift+Y", "Both are fused"),
    ActionInfo("scene_pause", "Pause the scene", "Alt+Y", "Take no frames", checkable=True),
    ActionInfo("scene_reset", "Scene anew", "", "Forget what was fused"),
    ActionInfo("save_scene", "Save scene...", "", "The surface shown, to PLY or GLB"),
    ActionInfo("save_way", "Save trajectory...", "", "The camera's way, as TUM has it"),
    ActionInfo("point", "Point values", "Shift+P", "Every camera's depth there"),
    ActionInfo("length", "Distance", "Shift+D", "Between two points"),
    ActionInfo("plane", "Plane", "Shift+L", "How flat a region is"),
    ActionInfo("crop", "Crop box", "Shift+B", "Hide what lies outside"),
    ActionInfo("end_measuring", "End measuring", "Esc", "Show everything again"),
    ActionInfo(
        "follow",
        "Follow points",
        "Shift+V",
        "Click points in the colour picture: trails, speed, distance",
        checkable=True,
    ),
    ActionInfo(
        "grasps",
        "Grasps",
        "H",
        "Things on a table and how a gripper can hold them, of the selected camera",
        checkable=True,
    ),
    ActionInfo("calibrate", "Calibrate...", "Shift+C", "Where the cameras stand"),
    ActionInfo("load_rig", "Load rig...", "", "Where the cameras stand"),
    ActionInfo("save_rig", "Save rig...", "", "Where the cameras stand"),
    ActionInfo("forget_rig", "Forget the rig", "", "All cameras at one place"),
    ActionInfo(
        "live_raw",
        "Live raw depth",
        "J",
        "Raw depth and colour as they come; off: of the moment of the refined depth beside them",
        checkable=True,
    ),
    ActionInfo("cross_left", "Cross-hair left", "Alt+Left"),
    ActionInfo("cross_right", "Cross-hair right", "Alt+Right"),
    ActionInfo("cross_up", "Cross-hair up", "Alt+Up"),
    ActionInfo("cross_down", "Cross-hair down", "Alt+Down"),
    ActionInfo("fit", "Fit pictures", "0"),
    ActionInfo("near_less", "Shorten the colour range", "["),
    ActionInfo("near_more", "Lengthen the colour range", "]"),
    ActionInfo("full_screen", "Full screen", "F", "Views only, for demos"),
    ActionInfo("theme", "Light theme", "", checkable=True),
    ActionInfo("save_cloud", "Save cloud...", "Ctrl+Shift+S", "Refined points, of the crop box"),
    ActionInfo("save_controls", "Save camera settings...", "", "To a TOML file"),
    ActionInfo(
        "load_controls", "Load camera settings...", "", "TOML, or a make's own preset (JSON)"
    ),
    ActionInfo("device", "About this camera...", "Ctrl+I", "Model, firmware, USB, temperature"),
    ActionInfo("own_layout", "Layout kept last", "5", "Or chosen last"),
    ActionInfo("keep_layout", "Keep this layout...", "Shift+5", "Under a name"),
    ActionInfo("reset_layout", "Reset layout", "", "As on the first day"),
    ActionInfo("docs", "Documentation", "F1"),
    ActionInfo("doctor", "Check this system...", "", "What works here, and what to do"),
    ActionInfo("log", "Log...", "", "What the app and the SDKs said"),
    ActionInfo("palette", "All commands...", "Ctrl+K"),
    ActionInfo("keys", "Keys", "?"),
    ActionInfo("about", "About lingbot-live", ""),
)

MENUS: dict[str, tuple[str, ...]] = {
    phrase("&File"): ("open_file", "open_folder", "sessions", "-", "snapshot", "save_cloud",
        "export", "refine_recording", "report", "-", "publish_foxglove",
        "publish_rerun",
        "publish_ros2", "-", "quit"),
    phrase("&Camera"): ("toggle", "find", "-",
        "add_camera", "remove_camera", "bring_back", "next_camera", "-",
        "controls", "save_controls", "load_controls", "device", "-",
        "record", "pause_recording", "mark", "record_options"),
    phrase("&Playback"): ("play", "step_back", "step_on", "to_start", "to_end", "-",
        "slower", "faster", "loop", "-",
        "range_start", "range_end", "range_marks", "range_clear"),
    phrase("&Refiner"): ("models", "-", "as_recorded", "mask", "keep_raw", "-",
        "steady", "no_flying", "-", "attention"),
    phrase("&View"): (
        "layout_all", "layout_images", "layout_cloud", "layout_refined",
        "own_layout", "keep_layout", "reset_layout", "-",
        "change", "difference", "wipe", "sweep", "blink", "trust", "-",
        "quality", "cloud", "sensor", "live_raw", "-",
        "cross_left", "cross_right", "cross_up", "cross_down", "-",
        "fit", "near_less", "near_more", "-", "full_screen", "theme",
    ),
    "&3D": ("point", "length", "plane", "crop", "end_measuring", "-",
        "follow", "grasps", "-",
        "reset_view", "cloud_front", "cloud_top", "cloud_side", "cloud_flat", "auto_orbit", "-",
        "cloud_axes", "cloud_grid", "cloud_frustum", "-",
        "scene", "scene_depth", "scene_pause", "scene_reset", "save_scene", "save_way", "-",
        "calibrate", "load_rig", "save_rig", "forget_rig"),
    phrase("&Help"): ("docs", "keys", "palette", "-", "doctor", "log", "-", "about"),
}  # fmt: skip


def plain(title: str) -> str:
    """Return a menu's title without the mark of its key, such as ``File`` or ``文件``."""
    return re.sub(r"\(&.\)|&", "", title)


class Actions:
    """The table's QActions. They mirror what is on or off; the parts of the window decide it."""

    def __init__(self, parent: QObject, table: tuple[ActionInfo, ...] = ACTIONS) -> None:
        self.infos = {info.key: info for info in table}
        self._actions = {info.key: self._make(parent, info) for info in table}

    def bind(self, commands: dict[str, Command]) -> None:
        """Say what each does; every action of the table must have its command.

        Raises:
            ConfigError: one has none, or a command belongs to no action.
        """
        if strangers := set(commands) ^ set(self._actions):
            raise ConfigError(f"actions and commands differ in {', '.join(sorted(strangers))}")
        for key, command in commands.items():
            self._actions[key].triggered.connect(lambda _on=False, do=command: do())

    def __getitem__(self, key: str) -> QAction:
        if key not in self._actions:
            raise ConfigError(f"no action is called {key!r}.{did_you_mean(key, self._actions)}")
        return self._actions[key]

    def redraw(self) -> None:
        """Draw the icons in the colours of the theme in force."""
        for key, action in self._actions.items():
            action.setIcon(icon(key))

    def fill(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Make the menus of `MENUS`; returns them by their titles."""
        menus = {title: bar.addMenu(tr(title)) for title in MENUS}
        for title, keys in MENUS.items():
            menu = menus[title]
            for key in keys:
                if key == "-":
                    menu.addSeparator()
                else:
                    menu.addAction(self[key])
        return menus

    @staticmethod
    def _make(parent: QObject, info: ActionInfo) -> QAction:
        text = tr(info.text)
        action = QAction(text, parent)
        action.setIcon(icon(info.key))
        action.setIconText(text.rstrip("."))
        action.setCheckable(info.checkable)
        if info.shortcut:
            action.setShortcut(QKeySequence(info.shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setToolTip(f"{tr(info.tip) or text} ({info.shortcut})".replace(" ()", ""))
        return action
