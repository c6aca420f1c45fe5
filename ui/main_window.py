"""The window: composes panes, bars, docks and commands; knows all its parts, and none knows it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from ui.cloud.view import CloudView, cloud_commands
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.cloud_saving import CloudSaving
from ui.controllers.devices import Devices
from ui.controllers.languages import Languages
from ui.controllers.losses import Losses
from ui.controllers.opening import Opening, dropped_paths
from ui.controllers.perceiving import Perceiving
from ui.controllers.publishing import Publishing
from ui.controllers.recent import Recent
from ui.controllers.reconstructing import Reconstructing
from ui.controllers.recording import RecordControl
from ui.controllers.refining import Refining
from ui.controllers.replay import Replay
from ui.controllers.rigging import Rigging
from ui.controllers.rows import Rows
from ui.controllers.saving import Saving
from ui.controllers.scenes import Scenes
from ui.controllers.tuning import Tuning
from ui.dialogs.help import Help
from ui.dialogs.keys import KeysDialog
from ui.dialogs.opener import Dialogs, may_lose
from ui.dialogs.palette import CommandPalette
from ui.panels.camera_bar import CameraBar
from ui.panels.compare_view import CompareView
from ui.panels.controls_panel import ControlsPanel
from ui.panels.demo import Demo
from ui.panels.layouts import Docks, Layouts
from ui.panels.quality_panel import QualityPanel
from ui.panels.record_bar import RecordBar
from ui.panels.saved_layouts import SavedLayouts
from ui.panels.sensor_panel import SensorPanel
from ui.panels.timeline import Timeline
from ui.panels.tool_row import ToolRow
from ui.shell import renderer, theme
from ui.shell.actions import Actions, Command
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.elided import ElidedLabel
from ui.shell.files import short_name
from ui.shell.language import tr
from ui.shell.notice import Notice
from ui.shell.reach import Reach, make_reachable, press, wants_key
from ui.shell.scrolling import docked
from ui.shell.settings import Settings
from ui.shell.stage import Stage
from ui.shell.status import refiner_text, status_line
from ui.shell.view_link import ViewLink, cross_commands
from ui.views.depth_scale import DepthScale
from ui.views.feed_panel import FeedPanel


class MainWindow(QMainWindow):
    """`firstShown` is sent once, with the first painted frame."""

    firstShown = Signal()  # noqa: N815

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.setWindowTitle("lingbot-live")
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # else a field would get the keys
        self.setFocus()
        center = QWidget()
        self.setCentralWidget(center)
        self.settings = settings
        self.desk = Desk(self, settings, center)
        self.tasks, self.message = self.desk.tasks, self.desk.message
        self.stage = Stage(self.tasks, self)
        self._has_shown = False
        self._closing = False
        self._build_center(center)
        self._build_docks()
        self._build_controllers()
        self._build_bars()
        make_reachable(self)
        Reach(self)
        self._connect()
        self._restore()

    # ---- building ----------------------------------------------------------------------------

    def _build_center(self, center: QWidget) -> None:
        self.link = ViewLink(self)
        self.actions_ = Actions(self)
        self.notice = Notice()  # of the refiner
        self.rows = Rows(self.stage, self.desk, self.link)
        self.scale = DepthScale()
        column = self.column = QVBoxLayout(center)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self.message)
        column.addWidget(self.rows.splitter, 1)
        column.addWidget(self.scale)

    def _build_docks(self) -> None:
        self.cloud = CloudView()
        self.compare = CompareView(self.rows)
        self.quality = QualityPanel(self.rows, self.tasks)
        self.controls = ControlsPanel(self.stage, self.desk, self.rows)
        self.sensor = SensorPanel(self.stage, self.desk, self.rows)
        self.docks = Docks(
            docked(self, tr("Point cloud (Open3D)"), "cloud_dock", self.cloud),
            docked(self, tr("Compare"), "compare_dock", self.compare),
            docked(self, tr("Quality"), "quality_dock", self.quality, 300),
            docked(self, tr("Camera settings"), "controls_dock", self.controls, 340),
            docked(self, tr("Infrared and motion"), "sensor_dock", self.sensor, 280),
        )
        self.docks.quality.hide()

    def _build_controllers(self) -> None:
        stage, desk, actions, rows = self.stage, self.desk, self.actions_, self.rows
        self.devices = Devices(desk, parent=self)
        self.cloud_feeds = CloudFeeds(stage, rows, self.cloud)
        self.rigging = Rigging(desk, rows, self.cloud)
        self.recording = RecordControl(stage, desk)
        self.perceiving = Perceiving(
            stage, desk, rows, self.cloud_feeds, self.cloud, self.recording, actions
        )
        self.perceiving.place_bars(self.column, 2)
        self.layouts = Layouts(self, self.settings, actions, rows, self.compare, self.docks)
        self.saved_layouts = SavedLayouts(self.layouts, desk)
        self.demo = Demo(
            self, actions, rows, self.compare, self.scale, self.layouts, self.cloud.bars
        )
        self.refining = Refining(stage, desk, self.notice, actions)
        self.scenes = Scenes(stage, desk, rows, self.refining, actions)
        self.saving = Saving(stage, desk, rows, self.recording, lambda: self.scale.range)
        self.losses = Losses(stage, desk)
        self.publishing = Publishing(stage, desk, actions, self.refining)
        self.opening = Opening(stage, desk, self.refining, self.saving)
        self.replay = Replay(stage, desk, actions)
        self.recent = Recent(stage, desk)
        self.cloud_saving = CloudSaving(desk, rows, self.cloud_feeds, self.cloud)
        self.reconstructing = Reconstructing(stage, desk, rows, self.cloud, actions)
        self.tuning = Tuning(desk, rows)
        self.help = Help(desk, rows)
        self.languages = Languages(desk)
        self.dialogs = Dialogs(
            stage, desk, rows, self.refining, self.rigging, self.saving, self.replay
        )

    def _build_bars(self) -> None:
        actions = self.actions_
        actions.bind(self._commands())
        menus = actions.fill(self.menuBar())
        files = menus["&File"]
        menus["&View"].addMenu(self.languages.menu)
        menus["&View"].insertMenu(actions["own_layout"], self.saved_layouts.menu)
        files.insertMenu(actions["snapshot"], self.recent.menu)
        files.insertSeparator(actions["snapshot"])
        self.tool_row = ToolRow()
        self.bar = CameraBar(self.tool_row, actions)
        self.record_bar = RecordBar(self.tool_row, actions)
        self.addToolBar(self.tool_row)
        self.timeline = Timeline(self.stage, self.desk, self.replay, actions)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, self.timeline)
        self.status = ElidedLabel(tr("stopped"))
        self.status.setContentsMargins(theme.GRID_PX, 0, theme.GRID_PX, 0)
        self.statusBar().addPermanentWidget(self.status, 1)
        self.statusBar().setSizeGripEnabled(False)

    def _connect(self) -> None:
        stage = self.stage
        stage.bridge.updated.connect(self.rows.show_news)
        stage.newsShown.connect(self._on_shown)
        stage.addressed.connect(self._on_addressed)
        stage.sessionChanged.connect(self._on_session)
        stage.statusDue.connect(self._show_status)
        stage.statusDue.connect(self.quality.on_tick)
        stage.statusDue.connect(self.compare.on_tick)
        stage.statusDue.connect(lambda: self.docks.name(self.rows.view))
        self.rows.rowsChanged.connect(self._on_rows)
        self.bar.cameraChosen.connect(lambda address: stage.propose((address,)))
        stage.refused.connect(lambda _: self.bar.set_address(stage.asked[0]))
        self.bar.refinerChosen.connect(self.refining.choose)
        self.bar.tokensChosen.connect(self.refining.set_tokens)
        self.bar.precisionChosen.connect(self.refining.set_precision)
        self.refining.chosen.connect(self.bar.show_refiner)
        self.refining.tokensShown.connect(self.bar.show_tokens)
        self.refining.noted.connect(self.status.set_note)
        self.devices.listed.connect(self.bar.show_cameras)
        self.recent.changed.connect(lambda: self.bar.show_recent(self.recent.played))
        self.bar.show_recent(self.recent.played)
        self.devices.listed.connect(self.dialogs.keep_listing)
        for key, action in self.cloud.menu.switches.items():
            action.toggled.connect(self.actions_[key].setChecked)
        self.scale.rangeChanged.connect(self._apply_scale)
        self.scale.colormapChanged.connect(self._apply_scale)

    def _restore(self) -> None:
        self.scale.set_range(self.settings.depth_range)
        self.scale.set_colormap(self.settings.colormap)
        self.layouts.restore()
        self._apply_scale()

    # ---- commands ----------------------------------------------------------------------------

    def _commands(self) -> dict[str, Command]:
        """Return what every action does: each part of the window says it of its own."""
        parts = (
            self.replay, self.opening, self.rows, self.refining, self.recording, self.saving,
            self.rigging, self.layouts, self.dialogs, self.scenes, self.publishing,
            self.help, self.cloud_saving, self.tuning, self.saved_layouts,
            self.reconstructing, self.perceiving,
        )  # fmt: skip
        found = {key: do for part in parts for key, do in part.commands().items()}
        return {**found, **self._own_commands(), **cloud_commands(self.cloud)}

    def _own_commands(self) -> dict[str, Command]:
        return {
            "toggle": self.toggle_streaming,
            "play": self.play_or_stream,
            "find": self.devices.look,
            "report": self._make_report,
            "quit": self.quit,
            **cross_commands(self.link),
            "fit": self.link.fit,
            "near_less": lambda: self.scale.scale_far(0.8),
            "near_more": lambda: self.scale.scale_far(1.25),
            "full_screen": self.demo.toggle,
            "palette": lambda: CommandPalette(self.actions_, self).open(),
            "keys": lambda: KeysDialog(self.actions_, self).open(),
        }

    def toggle_streaming(self) -> None:
        """Start or stop; the cameras added and removed since are started again too."""
        if self.stage.is_running:
            self.stage.stop()
        elif self.bar.address in self.stage.asked[:1]:
            self.stage.resume()
        else:
            self.stage.open((self.bar.address,))

    def play_or_stream(self) -> None:
        """Pause a recording or let it go on; start or stop a live camera."""
        if self.replay.lead is None:
            self.toggle_streaming()
        else:
            self.replay.play_or_pause()

    def stats(self) -> dict[str, object]:
        """Return the session's statistics with the window's own under ``ui``."""
        shown = self.stage.bridge.rate
        rate = {"fps": round(shown.mean_hz, 3), "shown": shown.count}
        drawn_by = {"renderer": renderer.current().name or "software"}
        told = {"metrics": self.quality.stats(), "scene": self.reconstructing.stats()}
        return {
            **self.stage.stats(),
            "ui": {**rate, **drawn_by, **self.stage.stall.as_dict(), **told},
        }

    def _make_report(self) -> None:
        self.dialogs.make_report(self.quality.regions.percent, self.quality.distance_box.value())

    # ---- following the session ---------------------------------------------------------------

    @property
    def panels(self) -> list[FeedPanel]:
        """The rows, one per camera."""
        return self.rows.panels

    def _on_addressed(self, addresses: tuple[str, ...]) -> None:
        self.bar.set_address(addresses[0])
        self.message.clear()

    def _on_session(self) -> None:
        running = self.stage.is_running
        self.bar.set_running(running)
        if running:
            self.setFocus()
            self.setWindowTitle(f"lingbot-live – {', '.join(map(short_name, self.stage.asked))}")

    def _on_shown(self, fresh: list[FeedView]) -> None:
        chosen = self.rows.view
        if chosen is not None and chosen in fresh and chosen.refined is not None:
            self.scale.offer(chosen.refined.depth_m)
        self.compare.show_news(fresh)
        if not self._has_shown:
            self._has_shown = True
            self.firstShown.emit()

    def _show_status(self) -> None:
        session = self.stage.session
        shown = self.stage.bridge
        reduced = "  ·  ".join(text for text in (shown.reduced, self.cloud.reduced) if text)
        recorded = self.refining.shows_recorded
        line = status_line(session, shown.rate.recent_hz, reduced, is_recorded=recorded)
        published = self.publishing.text
        self.status.setText(f"{line} | {published}" if published else line)
        recording = self.recording
        self.record_bar.show_stats(recording.stats(), recording.marks, recording.held)
        if session is None:
            return
        loading = refiner_text(session, is_recorded=recorded)
        for panel in self.panels:
            panel.show_state(loading, self.stage.waited_s, is_recorded=recorded)

    def _on_rows(self) -> None:
        self.layouts.apply_to_panels()
        self.demo.apply_to_panels()
        self._apply_scale()

    def _apply_scale(self) -> None:
        scale, colormap = self.scale.range, self.scale.colormap
        for panel in self.panels:
            panel.set_scale(scale, colormap)
        self.compare.set_scale(scale, colormap)
        self.sensor.set_scale(scale, colormap)
        self.cloud.set_depth_colors(scale, colormap)

    # ---- keyboard ----------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if wants_key(self.focusWidget(), event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, D102
        if not press(self.focusWidget(), event):
            super().keyPressEvent(event)

    # ---- Qt events ---------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802, D102
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802, D102
        self.opening.open_dropped(dropped_paths(event))

    def quit(self) -> None:
        """Close, once the user has agreed to lose what is under way."""
        if self._may_close():
            self.close()

    def _may_close(self) -> bool:
        works = self.dialogs.works()
        return not works or self._closing or may_lose(works)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        if event.spontaneous() and not self._may_close():
            event.ignore()
            return
        if not self._closing:
            self._closing = True
            self._remember()
            self.recording.finish()
            self.publishing.finish()
            self.reconstructing.finish()
            self.dialogs.close()
            self.help.close()
            self.stage.close()
            self.hide()
            for dialog in self.findChildren(QDialog):
                dialog.close()  # ends a download
            self.rows.stop()
            for part in (
                self.cloud, self.compare, self.quality, self.controls, self.sensor, self.devices,
            ):  # fmt: skip
                part.stop()
            self.tasks.finish(self.stage.close_s)
        event.accept()

    def _remember(self) -> None:
        self.demo.leave()
        self.layouts.remember()
        if not self.scale.is_auto:
            self.settings.depth_range = self.scale.range
        self.settings.set_text("colormap", self.scale.colormap)
        if self.stage.proven:
            self.settings.set_text("address", self.stage.proven[0])
        self.settings.set_text("refiner", str(self.refining.config))
        self.settings.save()
