"""The window: composes panes, bars and docks, and turns commands into session calls."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QDockWidget,
    QLabel,
    QMainWindow,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from lingbot_live import __version__
from lingbot_live.cameras.base import CameraState
from lingbot_live.config import CameraConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.system.worker import Worker
from ui.cloud.view import CloudView
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.demo import Demo
from ui.controllers.devices import Devices
from ui.controllers.exporting import Exporting
from ui.controllers.feeds import Feeds
from ui.controllers.layouts import Layouts
from ui.controllers.opening import CLOSE_S, Opening, after, dropped_paths
from ui.controllers.refining import Refining
from ui.controllers.replay import Replay
from ui.controllers.rigging import Rigging
from ui.controllers.saving import Saving
from ui.dialogs.keys import KeysDialog
from ui.dialogs.palette import CommandPalette
from ui.dialogs.report import Reporting
from ui.panels.camera_bar import CameraBar
from ui.panels.compare_view import CompareView
from ui.panels.controls_panel import ControlsPanel
from ui.panels.feed_panel import FeedPanel
from ui.panels.quality_panel import QualityPanel
from ui.panels.record_bar import RecordBar, Recording
from ui.panels.timeline import Timeline
from ui.shell.actions import Actions
from ui.shell.bridge import Bridge, FeedView, StallMeter, Tasks
from ui.shell.notice import Notice
from ui.shell.settings import Settings
from ui.shell.status import refiner_text, status_line
from ui.shell.view_link import ViewLink
from ui.views.depth_scale import DepthScale

_STATUS_MS = 250


class MainWindow(QMainWindow):
    """Owns the session on the screen. `firstShown` is sent once, with the first painted frame.

    Parts of the window follow the session by the other signals and need no call from here.
    """

    firstShown = Signal()  # noqa: N815
    sessionChanged = Signal()  # noqa: N815  another session, or none, is on the screen
    sessionDone = Signal()  # noqa: N815  every feed has ended or failed
    newsShown = Signal(list)  # noqa: N815  the FeedViews whose pictures were just drawn
    statusDue = Signal()  # noqa: N815  a few times a second, session or not

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.setWindowTitle("lingbot-live")
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # else a field would get the keys
        self.setFocus()
        self.settings = settings
        self.session: Session | None = None
        self.camera_config = CameraConfig(hold=True)
        self.asked: tuple[str, ...] = ()  # what the user named
        self.addresses: tuple[str, ...] = ()  # the same with all cameras of session files
        self.max_frames: int | None = None
        self.tasks = Tasks(self)
        self.bridge = Bridge(parent=self)
        self.stall = StallMeter(self)
        self._has_shown = False
        self._started_s = 0.0
        self._closing = False
        self._closer: Worker | None = None  # of the session before
        self._build()
        self._connect()
        self._restore()

    # ---- building ----------------------------------------------------------------------------

    def _build(self) -> None:
        self.link = ViewLink(self)
        self.notice = Notice()  # of the refiner
        self.message = Notice()  # of files
        self.feeds = Feeds(self)
        self.scale = DepthScale()
        center = QWidget()
        column = QVBoxLayout(center)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self.message)
        column.addWidget(self.feeds.rows, 1)
        column.addWidget(self.scale)
        self.setCentralWidget(center)
        self.cloud = CloudView()
        self.compare = CompareView(self.feeds)
        self.cloud_dock = self._dock("Point cloud (Open3D)", "cloud_dock", self.cloud)
        self.compare_dock = self._dock("Compare", "compare_dock", self.compare)
        self.quality = QualityPanel(self.feeds, self.tasks)
        self.quality_dock = self._dock("Quality", "quality_dock", self.quality)
        self.quality_dock.hide()
        self.controls = ControlsPanel(self)
        self.controls_dock = self._dock("Camera settings", "controls_dock", self.controls)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.controls_dock)
        self.controls_dock.hide()
        self.devices = Devices(self)
        self.cloud_feeds = CloudFeeds(self)
        self.rigging = Rigging(self)
        self.layouts = Layouts(self)
        self.demo = Demo(self)
        self.refining = Refining(self)
        self.recording = Recording(self.tasks, self)
        self.opening = Opening(self)
        self.saving = Saving(self)
        self.exporting = Exporting(self)
        self.reporting = Reporting(self)
        self.replay = Replay(self)
        self.actions_ = Actions(self)
        self.actions_.fill(self.menuBar())
        self.actions_["mask"].setChecked(True)
        self.refining.offer_recorded(False)
        self.bar = CameraBar(self.actions_)
        self.addToolBar(self.bar)
        self.addToolBarBreak()
        self.record_bar = RecordBar(self.actions_)
        self.addToolBar(self.record_bar)
        self.timeline = Timeline(self, self.replay)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, self.timeline)
        self.status = QLabel("stopped")
        self.statusBar().addPermanentWidget(self.status, 1)
        self.statusBar().setSizeGripEnabled(False)

    def _dock(self, title: str, name: str, content: QWidget) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(content)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        return dock

    def _connect(self) -> None:
        self.bridge.updated.connect(self._show_news)
        self.feeds.rowsChanged.connect(self._on_rows)
        self.bar.cameraChosen.connect(self.open_address)
        self.bar.refinerChosen.connect(self.refining.choose)
        self.bar.tokensChosen.connect(self.refining.set_tokens)
        self.bar.precisionChosen.connect(self.refining.set_precision)
        self.cloud.orbit_action.toggled.connect(self.actions_["auto_orbit"].setChecked)
        self.scale.rangeChanged.connect(self._apply_scale)
        self.scale.colormapChanged.connect(self._apply_scale)
        self.recording.failed.connect(lambda text: self.message.show_error(text, can_retry=False))
        self.recording.space_low.connect(
            lambda text: self.message.show_error(text, can_retry=False)
        )
        self.recording.written.connect(self.saving.show_written)
        self.notice.retry.connect(self.refining.again)
        self.notice.dismissed.connect(self.refining.note_dismissed)
        self.statusDue.connect(self.quality.on_tick)
        self.quality_dock.visibilityChanged.connect(self.actions_["quality"].setChecked)
        self.controls_dock.visibilityChanged.connect(self.actions_["controls"].setChecked)
        self.cloud_dock.visibilityChanged.connect(self.actions_["cloud"].setChecked)
        self._status_timer = QTimer(self, interval=_STATUS_MS)
        self._status_timer.timeout.connect(self._show_status)
        self._status_timer.start()

    def _restore(self) -> None:
        self.scale.set_range(self.settings.depth_range)
        self.scale.set_colormap(self.settings.colormap)
        self.layouts.restore()
        self._apply_scale()

    # ---- session -----------------------------------------------------------------------------

    @property
    def panels(self) -> list[FeedPanel]:
        """The rows, one per camera."""
        return self.feeds.panels

    @property
    def is_running(self) -> bool:
        """Whether a session is open, streaming or not."""
        return self.session is not None

    def start(self) -> None:
        """Open the chosen cameras; returns at once, errors appear in their panes."""
        if self.session is not None or not self.addresses:
            return
        self._started_s = time.monotonic()
        self.session = Session.of(
            self.addresses, self.refining.running, self.camera_config, on_update=self.bridge.wake
        )
        for feed in self.session.feeds:
            feed.create = after(self._closer, feed.create)
        self.bridge.follow(self.session)
        self.feeds.show(self.bridge.views)
        self.session.start(self.max_frames)
        self.stall.start()
        self.setFocus()
        self.bar.set_running(True)
        self.setWindowTitle(f"lingbot-live – {', '.join(self.asked)}")
        self.sessionChanged.emit()

    def stop(self) -> None:
        """Close the cameras on a thread of their own: an SDK may take its time."""
        if self.session is not None:
            self._closer = self.tasks.run("closing the session", self.release())

    def release(self) -> Callable[[], bool]:
        """Take the session off the screen; returns what closes its cameras, for a thread."""
        session, self.session = self.session, None
        if session is None:
            return lambda: True
        self.recording.stop()
        self.stall.stop()
        self.last_stats = session.stats()
        self.bridge.follow(None)
        self.bar.set_running(False)
        self.sessionChanged.emit()
        return session.stop

    def toggle_streaming(self) -> None:
        """Start or stop."""
        if self.is_running:
            self.stop()
        elif self.bar.address in self.asked[:1]:
            self.opening.open(self.addresses or self.asked)  # with those added and removed since
        else:
            self.open_address(self.bar.address)

    def open_address(self, address: str) -> None:
        """Stream from this camera instead of the present ones."""
        if address:
            self.open_addresses((address,))

    def open_addresses(self, addresses: tuple[str, ...]) -> None:
        """Stream from these cameras instead of the present ones."""
        if not any(addresses):
            return
        self.stop()
        self.asked = addresses
        self.bar.set_address(addresses[0])
        self.message.clear()
        self.opening.open(addresses)

    def stats(self) -> dict[str, object]:
        """Return the session's statistics with the window's own under ``ui``."""
        base = self.session.stats() if self.session is not None else self.last_stats
        rate = {"fps": round(self.bridge.rate.mean_hz, 3), "shown": self.bridge.rate.count}
        metrics = {"metrics": self.quality.stats()}
        return {**base, "ui": {**rate, **self.stall.as_dict(), **metrics}}

    last_stats: dict[str, object] = {}  # noqa: RUF012 - replaced, never changed

    # ---- showing -----------------------------------------------------------------------------

    def _show_news(self, fresh: list[FeedView]) -> None:
        for panel in self.panels:
            if panel.view in fresh:
                panel.show_news()
        chosen = self.feeds.view
        if chosen is not None and chosen in fresh and chosen.refined is not None:
            self.scale.offer(chosen.refined.depth_m)
        self.compare.show_news(fresh)
        self.newsShown.emit(fresh)
        if not self._has_shown:
            self._has_shown = True
            self.firstShown.emit()

    def _show_status(self) -> None:
        session = self.session
        self.status.setText(status_line(session, self.bridge.rate.recent_hz))
        self.record_bar.show_stats(self.recording.stats(), self.recording.marks)
        self.statusDue.emit()
        if session is None:
            return
        loading = refiner_text(session.refiner_state, session.refiner_info, session.refiner_error)
        waited_s = time.monotonic() - self._started_s
        for panel in self.panels:
            panel.show_state(loading, waited_s)
        self.refining.show_state()
        done = (CameraState.ENDED, CameraState.FAILED)
        if all(feed.state in done for feed in session.feeds):
            self.sessionDone.emit()

    def _on_rows(self) -> None:
        self.layouts.apply_to_panels()
        self.demo.apply_to_panels()
        self._apply_scale()

    def _apply_scale(self) -> None:
        scale, colormap = self.scale.range, self.scale.colormap
        for panel in self.panels:
            panel.set_scale(scale, colormap)
        self.compare.set_scale(scale, colormap)
        self.cloud.set_depth_colors(scale, colormap)

    # ---- commands (the slots of ui.shell.actions) ------------------------------------------

    def reset_cloud(self) -> None:
        """Look from the camera again."""
        self.cloud.reset_view()

    def toggle_orbit(self) -> None:
        """Let the cloud turn by itself."""
        self.cloud.set_auto_orbit(self.actions_["auto_orbit"].isChecked())

    def fit_images(self) -> None:
        """Show whole pictures again."""
        self.link.fit()

    def shorten_range(self) -> None:
        """Bring the far end of the colours nearer."""
        self.scale.scale_far(0.8)

    def lengthen_range(self) -> None:
        """Move the far end of the colours away."""
        self.scale.scale_far(1.25)

    def show_palette(self) -> None:
        """Open the searchable list of commands."""
        CommandPalette(self.actions_, self).open()

    def show_keys(self) -> None:
        """Show every key."""
        KeysDialog(self.actions_, self).open()

    def show_about(self) -> None:
        """Say which version this is."""
        QMessageBox.about(
            self,
            "About lingbot-live",
            f"lingbot-live {__version__}\n\nStream RGB-D cameras, refine their depth live, "
            "record and compare. Apache-2.0.",
        )

    # ---- Qt events ---------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802, D102
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802, D102
        self.opening.open_dropped(dropped_paths(event))

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        if not self._closing:
            self._closing = True
            self._remember()
            self.exporting.stop()
            self.stop()
            self._status_timer.stop()
            self.hide()
            self.rigging.close()
            for dialog in self.findChildren(QDialog):
                dialog.close()  # ends a download
            self.cloud.stop()
            self.compare.stop()
            self.quality.stop()
            self.controls.stop()
            self.devices.stop()
            self.tasks.finish(CLOSE_S)
        event.accept()

    def _remember(self) -> None:
        self.demo.leave()
        self.layouts.remember()
        if not self.scale.is_auto:
            self.settings.depth_range = self.scale.range
        self.settings.set_text("colormap", self.scale.colormap)
        self.settings.set_text("address", self.bar.address)
        self.settings.set_text("refiner", str(self.refining.config))
        self.settings.save()
