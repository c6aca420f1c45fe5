"""What else the selected camera sees: infrared, depth before alignment, its inertial sensors."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from lingbot_live.cameras import registry
from lingbot_live.colormap import DepthRange, colorize
from lingbot_live.frame import DEPTH_NATIVE, EXTRAS, ColorImage, ExtraPicture, Frame
from lingbot_live.pipeline.session import Feed
from ui.controllers.rows import Rows
from ui.panels.motion_plot import MotionPlot
from ui.shell import theme
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import told, tr
from ui.shell.stage import Stage
from ui.views.image_view import ImageView

_PERIOD_S = 0.1
_WANTED = "extras"  # in the settings


@dataclass(frozen=True, slots=True)
class _Task:
    """One picture to be drawn."""

    name: str
    frame: Frame
    scale: DepthRange
    colormap: str


class SensorPanel(QWidget):
    """One of the extra pictures of the selected camera, and a plot of its motion.

    They are read only while the box is checked, from the next opening of the camera on.
    """

    def __init__(self, stage: Stage, desk: Desk, rows: Rows) -> None:
        super().__init__()
        self._stage, self._desk, self._rows = stage, desk, rows
        self._scale, self._colormap = DepthRange(), "viridis"
        self._due_s = 0.0
        self._work = Background("sensor pictures", _draw, self, yields=True)
        self._work.done.connect(self._show)
        self.motion: MotionPlot | None = None  # once there is something to plot
        self._is_loading = False
        self._make_parts()
        self.prepare()
        self.read_box.toggled.connect(self.read)
        stage.newsShown.connect(self.show_news)
        rows.selectedChanged.connect(self._begin)
        stage.sessionChanged.connect(self._begin)

    # ---- for the window ----------------------------------------------------------------------

    def prepare(self, *, asked: bool = False) -> None:
        """Have cameras opened from now on hand them over where they were wanted the last time."""
        on = asked or self._desk.settings.text(_WANTED) == "yes"
        with QSignalBlocker(self.read_box):
            self.read_box.setChecked(on)
        self._stage.camera_config = replace(self._stage.camera_config, extras=on)

    def read(self, on: bool) -> None:
        """Have all cameras hand over their extra pictures, or none; opens them anew."""
        self._desk.settings.set_text(_WANTED, "yes" if on else "")
        self._stage.camera_config = replace(self._stage.camera_config, extras=on)
        session = self._stage.session
        for feed in session.feeds if session is not None else ():
            self._open_anew(feed, on)

    def set_scale(self, scale: DepthRange, colormap: str) -> None:
        """Colour depth as the depth views do."""
        self._scale, self._colormap = scale, colormap

    def show_news(self, fresh: Sequence[FeedView]) -> None:
        """Take new frames; drawn a few times a second, and only while visible."""
        view = self._rows.view
        if view is None or view not in fresh or view.frame is None or not self.isVisible():
            return
        frame = view.frame
        if frame.imu:
            self._plot(frame)
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + _PERIOD_S
        self._list(frame)
        name = self.picture_box.currentData()
        if name in frame.extras:
            self._work.submit(_Task(name, frame, self._scale, self._colormap))
        self.note.setText(self._words(frame))
        self.note.setVisible(bool(self.note.text()))

    def stop(self) -> None:
        """End the thread; safe more than once."""
        self._work.stop()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, D102
        super().showEvent(event)
        self._begin()

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.picture_box = QComboBox()
        self.picture_box.setToolTip(tr("Which of the camera's own pictures is shown"))
        self.picture_box.setAccessibleName(tr("Picture of the sensor"))
        self.read_box = QCheckBox(tr("Read and record them"))
        self.read_box.setToolTip(
            tr("Infrared and depth before alignment of every camera that has them; opens it anew")
        )
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.image = ImageView("")
        self.image.set_compact(True)
        top = QHBoxLayout()
        top.addWidget(self.picture_box, 1)
        top.addWidget(self.read_box)
        top.addStretch()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(*[theme.GRID_PX // 2] * 4)
        self._column.addLayout(top)
        self._column.addWidget(self.note)
        self._column.addWidget(self.image, 2)
        self._column.addStretch()

    def _plot(self, frame: Frame) -> None:
        if self.motion is not None:
            self.motion.add(frame.imu)
        elif not self._is_loading:  # on a thread, because it takes a third of a second
            self._is_loading = True
            self._desk.tasks.run(
                "loading the plots",
                lambda: importlib.import_module("pyqtgraph"),
                lambda _: self._add_plot(),
                lambda error: self._say(tr("no plots: {error}", error=told(str(error)))),
            )

    def _add_plot(self) -> None:
        self.motion = MotionPlot()
        self._column.addWidget(self.motion, 1)

    # ---- following ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self.picture_box.clear()
        self.image.set_image(None)
        if self.motion is not None:
            self.motion.clear()
        view = self._rows.view
        self._say(tr("No camera is open.") if view is None else "")
        self._make_room()

    def _make_room(self) -> None:
        """Show nothing that would stay empty."""
        self.picture_box.setVisible(self.picture_box.count() > 0)
        self.image.setVisible(self.picture_box.count() > 0)

    def _list(self, frame: Frame) -> None:
        there = [self.picture_box.itemData(at) for at in range(self.picture_box.count())]
        if there != [*frame.extras]:
            chosen = self.picture_box.currentData()
            self.picture_box.clear()
            for name in frame.extras:
                self.picture_box.addItem(told(EXTRAS[name]), name)
            self.picture_box.setCurrentIndex(max(0, self.picture_box.findData(chosen)))
            self._make_room()
        if not frame.extras and self.image.has_image:
            self.image.set_image(None)

    def _words(self, frame: Frame) -> str:
        if frame.extras:
            return ""
        if not self.read_box.isChecked():
            return tr("They are not read: check the box.")
        motion = tr(" Its motion is plotted below.") if frame.imu else ""
        return tr(
            "This camera, or its recording, has neither infrared nor other depth.{motion}",
            motion=motion,
        )

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show(self, drawn: tuple[str, ColorImage]) -> None:
        name, picture = drawn
        if name == self.picture_box.currentData():
            self.image.set_title(told(EXTRAS[name]))
            self.image.set_image(picture)

    def _open_anew(self, feed: Feed, on: bool) -> None:
        session, camera = self._stage.session, feed.camera
        if session is None or camera is None or camera.config.extras == on:
            return
        playback = feed.playback
        start_s = 0.0 if playback is None else playback.position_s
        address, config = camera.info.address, replace(camera.config, extras=on, start_s=start_s)
        self._desk.tasks.run(
            f"opening {feed.name} anew",
            lambda: session.reopen(feed, lambda: registry.create_camera(address, config)),
            on_error=lambda error: self._desk.show_error(str(error)),
        )


def _draw(item: object) -> tuple[str, ColorImage]:
    assert isinstance(item, _Task)
    picture, frame = item.frame.extras[item.name], item.frame
    if item.name == DEPTH_NATIVE:
        depth_m = np.multiply(picture, np.float32(frame.depth_scale_m), dtype=np.float32)
        return item.name, colorize(depth_m, item.scale, item.colormap)
    return item.name, gray(picture)


def gray(picture: ExtraPicture) -> ColorImage:
    """Return an infrared picture, (H, W), as RGB; 16 bits are stretched to what is in it."""
    if picture.dtype != np.uint8:
        some = picture[::4, ::4].astype(np.float32)
        low, high = np.percentile(some, [1, 99.5])
        levels = (picture.astype(np.float32) - low) * (255 / max(float(high - low), 1.0))
        picture = np.clip(levels, 0, 255).astype(np.uint8)
    rgb: ColorImage = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return rgb
