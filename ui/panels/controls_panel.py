"""The dock of the selected camera's settings: its resolution, and its sensors' controls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraState, StreamProfile
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.config import CameraConfig
from lingbot_live.errors import LingbotLiveError
from lingbot_live.pipeline.session import Feed
from ui.controllers.rows import Rows
from ui.panels.control_rows import ControlRow, row_for
from ui.shell import theme
from ui.shell.background import Background
from ui.shell.desk import Desk
from ui.shell.language import phrase, told, tr
from ui.shell.stage import Stage

_TICKS = 6  # of the window's status between two looks at what the device changes by itself
_TITLES = {"color": phrase("Colour"), "depth": phrase("Depth")}


@dataclass(frozen=True, slots=True)
class _Told:
    """What a camera told of itself, and what it refused."""

    camera: Camera
    controls: tuple[Control, ...]
    refused: str = ""


class ControlsPanel(QWidget):
    """Follows the selected camera. SDKs take their time: they are asked beside the main thread."""

    def __init__(self, stage: Stage, desk: Desk, rows: Rows) -> None:
        super().__init__()
        self._stage, self._desk, self._rows = stage, desk, rows
        self._camera: Camera | None = None
        self._wanted: dict[str, ControlValue] = {}  # asked for by the user, not yet set
        self._lock = threading.Lock()
        self._work = Background("controls", self._ask, self)
        self._work.done.connect(self._show)
        self.rows: dict[str, ControlRow] = {}
        self._offered: tuple[StreamProfile, ...] | None = None
        self._ticks = 0
        self._lay_out()
        rows.selectedChanged.connect(self.follow)
        stage.sessionChanged.connect(self.follow)
        stage.statusDue.connect(self._on_tick)

    def follow(self) -> None:
        """Show the selected camera as it is now."""
        self._ticks = 0
        self._on_tick()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, D102
        super().showEvent(event)
        self.follow()

    def stop(self) -> None:
        """End the thread; safe more than once."""
        self._work.stop()

    def reset_all(self) -> None:
        """Set every control back to its default."""
        for row in self.rows.values():
            row.reset()

    # ---- parts -------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.profile_box = QComboBox()
        self.profile_box.setToolTip(
            tr("Size and rate of colour; depth follows. Opens the camera anew")
        )
        self.profile_box.activated.connect(self._on_profile)
        self.reset_button = QPushButton(tr("Reset all"))
        self.reset_button.clicked.connect(self.reset_all)
        top = QHBoxLayout()
        top.addWidget(QLabel(tr("Colour")))
        top.addWidget(self.profile_box, 1)
        top.addWidget(self.reset_button)
        self._list = QVBoxLayout()
        self._list.setSpacing(theme.GRID_PX // 2)
        self._list.setContentsMargins(0, 0, theme.GRID_PX, 0)
        self._list.setAlignment(Qt.AlignmentFlag.AlignTop)
        content = QWidget()
        content.setLayout(self._list)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(self.note)
        column.addWidget(area, 1)
        self.setMinimumWidth(320)

    # ---- the selected camera -----------------------------------------------------------------

    @property
    def _feed(self) -> Feed | None:
        view = self._rows.view
        return view.feed if view is not None and self._stage.session is not None else None

    def _on_tick(self) -> None:
        """Look at the camera now and then: others change its settings too, it does so itself."""
        feed = self._feed
        camera = feed.camera if feed is not None else None
        is_new = camera is not self._camera
        self._ticks -= 1
        if not self.isVisible() or (self._ticks > 0 and not is_new):
            return
        self._ticks = _TICKS
        self._camera = camera
        self._show_profiles(feed)
        if camera is None or feed is None or feed.state is not CameraState.STREAMING:
            self._show_controls(())
            self._say(
                tr("No camera is open.")
                if feed is None
                else f"{feed.name}: {told(feed.state.value)}"
            )
        else:
            self._work.submit(camera)

    def _ask(self, item: object) -> _Told:
        """Set what is wanted and read what holds; on the worker's thread."""
        assert isinstance(item, Camera)
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        refused = []
        for name, value in wanted.items():
            try:
                item.set_control(name, value)
            except LingbotLiveError as error:
                refused.append(str(error))
        return _Told(item, item.controls(), "\n".join(refused))

    def _on_changed(self, name: str, value: ControlValue) -> None:
        with self._lock:
            self._wanted[name] = value
        if self._camera is not None:
            self._work.submit(self._camera)

    def _show(self, told: _Told) -> None:
        if told.camera is not self._camera or self._wanted:
            return
        self._show_controls(told.controls)
        recorded = tr("As they were recorded; they cannot be changed.")
        nothing = tr("This camera tells of no settings.")
        is_recording = told.camera.info.is_recording
        calm = nothing if not told.controls else recorded if is_recording else ""
        self._say(told.refused or calm)

    def _say(self, text: str) -> None:
        self.note.setText(told(text))
        self.note.setVisible(bool(text))

    def _show_controls(self, controls: Sequence[Control]) -> None:
        if [c.name for c in controls] != [*self.rows]:
            self._make_rows(controls)
        for control in controls:
            self.rows[control.name].show_control(control)
        self.reset_button.setEnabled(any(not c.read_only for c in controls))

    def _make_rows(self, controls: Sequence[Control]) -> None:
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.rows = {}
        sensor = ""
        for control in controls:
            where = control.name.partition(".")[0]
            if where != sensor:
                sensor = where
                self._list.addWidget(QLabel(f"<b>{tr(_TITLES.get(where, where.capitalize()))}</b>"))
            row = self.rows[control.name] = row_for(control)
            row.changed.connect(self._on_changed)
            self._list.addWidget(row)

    # ---- profiles ------------------------------------------------------------------------------

    def _show_profiles(self, feed: Feed | None) -> None:
        info = feed.info if feed is not None else None
        offered = colour_profiles(info.profiles if info is not None else ())
        if offered != self._offered:
            self._offered = offered
            self.profile_box.clear()
            is_recording = info is not None and info.is_recording
            self.profile_box.addItem(tr("As recorded") if is_recording else tr("Standard"))
            for p in offered:
                self.profile_box.addItem(
                    tr("{width}x{height} at {fps:g} fps", width=p.width, height=p.height, fps=p.fps)
                )
        can_choose = info is not None and not info.is_recording and len(offered) > 1
        self.profile_box.setEnabled(can_choose)
        camera = feed.camera if feed is not None else None
        self.profile_box.setCurrentIndex(self._chosen(camera.config) if camera is not None else 0)

    def _chosen(self, config: CameraConfig) -> int:
        wanted = (config.width, config.height, config.fps)
        sizes = [(p.width, p.height, p.fps) for p in self._offered or ()]
        return sizes.index(wanted) + 1 if wanted in sizes else 0

    def _on_profile(self, at: int) -> None:
        feed, session = self._feed, self._stage.session
        if feed is None or session is None or feed.camera is None:
            return
        address, config = feed.camera.info.address, feed.camera.config
        if at == 0:
            config = replace(config, width=None, height=None, fps=None)
        else:
            p = (self._offered or ())[at - 1]
            config = replace(config, width=p.width, height=p.height, fps=p.fps)
        self._desk.tasks.run(
            f"opening {feed.name} anew",
            lambda: session.reopen(feed, lambda: registry.create_camera(address, config)),
            on_error=lambda error: self._say(told(str(error))),
        )


def colour_profiles(profiles: Sequence[StreamProfile]) -> tuple[StreamProfile, ...]:
    """Return each size and rate of colour that depth can keep up with, once, large first."""
    rates = {p.fps for p in profiles if p.stream == "depth"}
    known = {
        (p.width, p.height, p.fps): p
        for p in reversed(profiles)
        if p.stream == "color" and (p.fps in rates or not rates)
    }
    return tuple(known[size] for size in sorted(known, reverse=True))
