"""The pane of the live point cloud."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

from PySide6.QtCore import QEvent, QPointF, QSize, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.colormap import DepthRange
from lingbot_live.frame import RefinedFrame
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.quality.ruler import Box, Vector
from ui.cloud.canvas import CloudCanvas
from ui.cloud.chips import CameraChips
from ui.cloud.guides import cell_m
from ui.cloud.link import CloudProcess, CloudState, CloudStatus
from ui.cloud.marks import Viewpoint
from ui.cloud.memory import Answer, Ask
from ui.cloud.menu import VIEWPOINTS, CloudMenu
from ui.cloud.scene import FRONT, Coloring, Guide, Layer, Line, Orbit, ViewSettings, Which
from ui.cloud.tools import CloudTools
from ui.shell import theme
from ui.shell.actions import Command
from ui.shell.elided import ElidedLabel
from ui.shell.flow import FlowBar
from ui.shell.language import phrase, told, tr
from ui.shell.notice import Notice

_POLL_MS = 15
_SELDOM = 16  # polls between two of its numbers, which nobody could read faster
_SWING_DEG, _SWING_S = 28.0, 14.0  # of the auto-orbit
_CENTRE = "centre"
_HINT = phrase("drag: orbit · right drag: pan · wheel: zoom · double click: centre")


class CloudView(QFrame):
    """Live clouds; their child process starts with the first frame and rests while hidden.

    ``answered`` brings what the child found at the places that `ask` named.

    The owner calls `stop` at the end. Everything is for the main thread, which it holds for
    2 ms a picture at most.
    """

    answered = Signal(object)  # an Answer

    def __init__(self, parent: QWidget | None = None, process: CloudProcess | None = None) -> None:
        super().__init__(parent)
        self.process = process or CloudProcess()
        self._view = ViewSettings(background_rgb=_rgb(theme.current().view))
        self._seen = CloudStatus()
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._has_frame = False
        self._polls = self._changes = 0
        self.canvas = CloudCanvas()
        self.notice = Notice()
        self._make_controls()
        self.tools = CloudTools(self.canvas)
        self.tools.asked.connect(self.ask)
        self.tools.boxChanged.connect(self.set_box)
        self.tools.hinted.connect(self.set_hint)
        self.answered.connect(self.tools.take)
        self.chips = CameraChips()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self.canvas.orbitChanged.connect(self._on_orbit)
        self.canvas.pointRequested.connect(self._on_point_requested)
        self.canvas.pictureSizeChanged.connect(self._on_picture_size)
        self.notice.retry.connect(self.process.retry)
        self.canvas.set_text(tr("waiting for the first frame"))
        self.process.set_view(self._view)

    # ---- for the main window -----------------------------------------------------------------

    def show_frame(self, refined: RefinedFrame, slot: int = 0) -> None:
        """Draw this frame of a camera as soon as the child is free; takes microseconds."""
        if not self._has_frame:
            self._has_frame = True
            self._wake()
        self.process.submit(refined, slot)

    def forget(self, slot: int) -> None:
        """Draw a camera no more."""
        self.process.forget(slot)

    def set_layers(self, layers: tuple[Layer, ...]) -> None:
        """Have each slot's cloud stand at its place, in its colour, or hidden."""
        self._change(replace(self._view, layers=layers or (Layer(),)))

    def show_surface(self, surface: SceneSurface) -> None:
        """Draw this surface where the scene is shown; takes microseconds."""
        self.process.show_surface(surface)

    def show_scene(self, on: bool, words: str = "") -> None:
        """Show the reconstructed scene instead of the clouds, and say how it goes."""
        if on != self._view.shows_scene:
            self._change(replace(self._view, shows_scene=on))
        self.scene_label.setText(words)
        self.scene_label.setVisible(on)

    def set_box(self, box: Box | None) -> None:
        """Show only what lies inside, or everything."""
        self._change(replace(self._view, box=box))

    def set_lines(self, of: str, lines: tuple[Line, ...]) -> None:
        """Draw these among the points, in place of those of the same name."""
        self._lines[of] = lines
        every = tuple(line for name in sorted(self._lines) for line in self._lines[name])
        self._change(replace(self._view, lines=every))

    def suit(self, cameras: int) -> None:
        """Choose what suits one camera or several; the user may choose otherwise afterwards.

        Several clouds cannot be told apart by their true colours, and a quarter of their points
        is drawn as fast as all of one.
        """
        several = cameras > 1
        coloring = Coloring.CAMERA if several else Coloring.RGB
        self.coloring_box.setCurrentIndex(self.coloring_box.findData(coloring))
        self.menu.choose(point_size_px=2 + several, stride=1 + several)
        self._on_choice()

    def set_hint(self, text: str) -> None:
        """Show another hint below the cloud, or with an empty text the usual one."""
        self.hint_label.setText(text or tr(_HINT))

    def ask(self, purpose: str, first: QPointF, last: QPointF | None = None) -> None:
        """Ask the child what is seen there; places are fractions of the picture."""
        self.process.ask(
            Ask(purpose, self._pixel(first), None if last is None else self._pixel(last))
        )

    def set_depth_colors(self, depth_range: DepthRange, colormap: str) -> None:
        """Colour by depth as the other panes do."""
        self._change(replace(self._view, depth_range=depth_range, colormap=colormap))

    def reset_view(self) -> None:
        """Look from the camera again, with the whole scene in the pane."""
        self._view = replace(self._view, home=self._view.home + 1)
        self.look_from(FRONT)

    def look_from(self, orbit: Orbit) -> None:
        """Look from there, once; orbits and zooms go on from it."""
        self.menu.orbit.setChecked(False)
        self.canvas.orbit = orbit
        self._change(replace(self._view, orbit=orbit, draft=False))

    def stop(self) -> None:
        """End the child process; safe more than once. Showing the pane again starts it again."""
        self._timer.stop()
        self.process.close()

    @property
    def reduced(self) -> str:
        """What is drawn less of than was asked for, and why; empty where nothing is."""
        is_thinned = self._seen.is_thinned and self.isVisible()
        return tr("fewer points in the cloud: drawing takes long here") if is_thinned else ""

    @property
    def view(self) -> ViewSettings:
        """What is drawn, for saving and for tests."""
        return self._view

    # ---- Qt ----------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Wake the child."""
        if self._has_frame:
            self._wake()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Let the child rest."""
        self._timer.stop()
        self.process.set_active(False)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._change(replace(self._view, background_rgb=_rgb(theme.current().view)))

    def _wake(self) -> None:
        # Not before there is something to draw: importing Open3D there would delay the first frame.
        if self.isVisible():
            self.process.set_active(True)
            self.process.start()
            self._timer.start()

    # ---- parts -------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.which_box = _choice(
            tr("both: in orange, raw points that refining moved"), {told(w.value): w for w in Which}
        )
        self.which_box.setCurrentText(told(self._view.which.value))
        self.coloring_box = _choice(
            tr("Colour of the points"), {tr(each.value): each for each in Coloring}
        )
        for box in (self.which_box, self.coloring_box):
            box.currentIndexChanged.connect(self._on_choice)
        self.menu = CloudMenu(self)
        self.menu.chosen.connect(self._on_choice)
        self.menu.viewed.connect(self.look_from)
        self.reset_button = QToolButton()
        self.reset_button.setText(tr("Reset"))
        self.reset_button.setToolTip(tr("Look from the camera again, with the whole scene in view"))
        self.reset_button.clicked.connect(self.reset_view)

    def _lay_out(self) -> None:
        options = QToolButton()
        options.setText(tr("View"))
        options.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        options.setMenu(self.menu)
        self.hint_label, self.stat_label = ElidedLabel(tr(_HINT)), ElidedLabel(comes_first=True)
        self.scene_label = QLabel()
        self.scene_label.setAccessibleName(tr("Scene"))
        self.scene_label.setContentsMargins(theme.GRID_PX, 0, theme.GRID_PX, theme.GRID_PX // 2)
        self.scene_label.hide()
        for label in (self.hint_label, self.stat_label):
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = FlowBar(
            self.chips, self.which_box, self.coloring_box, self.tools.button, options,
            self.reset_button,
        )  # fmt: skip
        foot = _foot(self.hint_label, self.stat_label)
        self.bars = (head, foot)
        for bar in self.bars:
            bar.setAutoFillBackground(True)
            bar.setBackgroundRole(QPalette.ColorRole.Button)
        column.addWidget(head)
        column.addWidget(self.notice)
        column.addWidget(self.scene_label)
        column.addWidget(self.canvas, 1)
        column.addWidget(foot)

    # ---- what happens ------------------------------------------------------------------------

    def _change(self, view: ViewSettings) -> None:
        self._view = view
        self.process.set_view(view)

    def _on_choice(self) -> None:
        self._change(
            replace(
                self._view,
                which=Which(self.which_box.currentData()),
                coloring=Coloring(self.coloring_box.currentData()),
                **asdict(self.menu.drawing),
            )
        )

    def _on_orbit(self, orbit: Orbit, is_moving: bool) -> None:
        self.menu.orbit.setChecked(False)
        self._change(replace(self._view, orbit=orbit, draft=is_moving))

    def _on_point_requested(self, place: QPointF) -> None:
        self.ask(_CENTRE, place)

    def _on_picture_size(self, size: QSize) -> None:
        self._change(replace(self._view, width=size.width(), height=size.height()))

    def _poll(self) -> None:
        self._polls += 1
        if self.process.changes == self._changes and self._polls % _SELDOM:
            return
        self._changes = self.process.changes
        status, seen = self.process.status, self._seen
        self._seen = status
        image = self.process.latest_image() if status.pictures != seen.pictures else None
        if image is not None:
            self.canvas.set_picture(image, Viewpoint(status.home, status.view or self._view))
            self._swing()
        if status.answers != seen.answers and status.answer is not None:
            self._on_answer(status.answer)
        if (status.state, status.error) != (seen.state, seen.error):
            self._tell_error(status)
        if status.state is not seen.state or self._polls % _SELDOM == 0:
            self._tell(status)

    def _swing(self) -> None:
        """Move on by the clock with each picture, so that the pace is the same on any machine."""
        if self.menu.orbit.isChecked():
            phase = 2 * math.pi * time.monotonic() / _SWING_S
            self.canvas.orbit = replace(
                self.canvas.orbit,
                yaw_deg=_SWING_DEG * math.sin(phase),
                pitch_deg=_SWING_DEG / 3 * (1 - math.cos(phase)),
            )
            self._change(replace(self._view, orbit=self.canvas.orbit, draft=False))

    def _on_answer(self, answer: Answer) -> None:
        if answer.ask.purpose != _CENTRE:
            self.answered.emit(answer)
        elif answer.offset is not None:
            self._centre_on(answer.offset)

    def _pixel(self, place: QPointF) -> tuple[float, float]:
        return place.x() * self._view.width - 0.5, place.y() * self._view.height - 0.5

    def _centre_on(self, offset: Vector) -> None:
        self.canvas.orbit = replace(self.canvas.orbit, offset=offset)
        self._change(replace(self._view, orbit=self.canvas.orbit))

    def _tell_error(self, status: CloudStatus) -> None:
        if status.state is CloudState.FAILED:
            self.notice.show_error(status.error, tr("The other panes go on without it."))
        elif status.state is CloudState.RUNNING:
            self.notice.clear()

    def _tell(self, status: CloudStatus) -> None:
        if status.state is CloudState.STARTING:
            text = tr("starting the 3D view ...")
        elif status.state is CloudState.FAILED:
            text = tr("no 3D view")
        elif not self._has_frame:
            text = tr("waiting for the first frame")
        else:
            nothing = tr("no valid depth in this frame")
            if self._view.shows_scene:
                nothing = tr("no surface yet")
            text = "" if status.points else nothing
        self.canvas.set_text(text)
        fewer = tr(" (fewer: drawing is slow here)") if status.is_thinned else ""
        grid = (
            tr(" · grid {cell_m:g} m", cell_m=cell_m(status.home))
            if Guide.GRID in self._view.guides
            else ""
        )
        self.stat_label.setText(
            tr(
                "{points:,} points{fewer} · {render_ms:.0f} ms · {fps:.1f} fps{grid}",
                points=status.points,
                fewer=fewer,
                render_ms=status.render_ms,
                fps=status.fps,
                grid=grid,
            )
        )


def _foot(hint: QWidget, stat: QWidget) -> QFrame:
    foot = QFrame()
    row = QHBoxLayout(foot)
    row.setContentsMargins(theme.GRID_PX, theme.GRID_PX // 2, theme.GRID_PX, theme.GRID_PX // 2)
    row.addWidget(hint, 1)
    row.addWidget(stat)
    return foot


def _choice(name: str, choices: Mapping[str, Which | Coloring]) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setToolTip(name)
    for text, value in choices.items():
        box.addItem(text, value)
    return box


def _rgb(color: str) -> tuple[int, int, int]:
    rgb = QColor(color)
    return (rgb.red(), rgb.green(), rgb.blue())


def cloud_commands(cloud: CloudView) -> dict[str, Command]:
    """Return what the cloud does, by the keys of `Actions`."""
    looks: dict[str, Command] = {
        key: partial(cloud.look_from, orbit) for key, (_, orbit) in VIEWPOINTS.items()
    }
    switches: dict[str, Command] = {
        key: action.toggle for key, action in cloud.menu.switches.items()
    }
    return {
        **looks,
        **switches,
        "reset_view": cloud.reset_view,
        "point": cloud.tools.choose_point,
        "length": cloud.tools.choose_length,
        "plane": cloud.tools.choose_plane,
        "crop": cloud.tools.choose_crop,
        "end_measuring": cloud.tools.end,
    }
