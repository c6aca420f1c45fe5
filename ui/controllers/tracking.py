"""Points clicked in a colour picture, followed through the stream: trails, speed and distance."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, RefinedFrame
from lingbot_live.perception.tracks import Lifted, Lifter, LucasKanade, Tracked
from lingbot_live.perception.trust import trust_map
from ui.cloud.scene import Line, Rgb
from ui.cloud.view import CloudView
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.rows import Rows
from ui.shell import theme
from ui.shell.actions import Actions, Command
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import phrase, tr
from ui.shell.stage import Stage
from ui.views.feed_panel import FeedPanel
from ui.views.image_view import ImageView

_KEY = "tracks"  # among what lies above a picture, and among the 3D view's lines
_HINT = phrase("Click points in the colour picture")
_TRAIL = 60  # frames that a trail is long
_MOST = 64  # points
_SHOWN_S = 20.0  # of the plot
_PLOT_PX = 96
_SLOW_S = 0.25  # between two plots, and trails in 3D: they cost ten times a picture's


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Where the points of a camera are in one frame."""

    panel: FeedPanel
    time_s: float
    tracked: Tracked
    lifted: Lifted


@dataclass(slots=True, eq=False)
class Trails:
    """Where N points were in the last frames."""

    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=_TRAIL))
    distance_m: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    history: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=2000))

    def add(self, step: Step) -> None:
        """Go on with a frame's points; another number of them, or an earlier frame, begins anew."""
        count = len(step.tracked.pixels)
        if self.steps and step.time_s < self.steps[-1].time_s:  # a recording begins again
            self.history.clear()
            self.distance_m = np.zeros(0, np.float32)
        if len(self.distance_m) != count:
            self.steps.clear()
            self.distance_m = np.zeros(count, np.float32)
        if self.steps:
            moved = step.lifted.points_m - self.steps[-1].lifted.points_m
            self.distance_m += np.nan_to_num(np.linalg.norm(moved, axis=1))
        self.steps.append(step)
        fastest = float(np.linalg.norm(step.lifted.velocity_m_s, axis=1).max(initial=0.0))
        farthest = float(self.distance_m.max(initial=0.0))
        self.history.append((step.time_s, fastest, farthest))


class _Follower:
    """Follows points from frame to frame on the background's thread."""

    def __init__(self, panel: FeedPanel, frame: RefinedFrame, pixels: Any) -> None:
        self.panel, self.count = panel, len(pixels)
        self._pixels, self._start_us = pixels, frame.frame.device_timestamp_us
        self._tracker = LucasKanade()
        self._tracker.start(frame.frame.color, pixels)
        self._lifter = Lifter(frame.frame.intrinsics, len(pixels))

    def follow(self, refined: RefinedFrame) -> Step:
        tracked = self._tracker.follow(refined.frame.color, refined.depth_m)
        time_s = (refined.frame.device_timestamp_us - self._start_us) / 1e6
        lifted = self._lifter.lift(tracked, refined.depth_m, trust_map(refined), time_s)
        return Step(self.panel, time_s, tracked, lifted)


class TrackBar(QFrame):
    """Says how far and fast points move, and plots it over time once a plot is there."""

    def __init__(self) -> None:
        super().__init__()
        self.words = QLabel(tr(_HINT))
        self.plot: Any = None
        self._lines: dict[str, Any] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, 0, theme.GRID_PX, 0)
        row.addWidget(self.words, 1)
        self.hide()

    def make_plot(self, pyqtgraph: Any) -> None:
        """Make the plot, once pyqtgraph is imported."""
        if self.plot is not None:
            return
        look = theme.current()
        self.plot = pyqtgraph.PlotWidget(background=look.view, enableMenu=False)
        # It makes a menu all the same, which nobody owns.
        self.plot.getPlotItem().ctrlMenu.setParent(self, Qt.WindowType.Popup)
        self.plot.hideButtons()
        self.plot.setFixedHeight(_PLOT_PX)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.addLegend(offset=(8, 2))
        for name, color in ((tr("speed, m/s"), look.accent), (tr("distance, m"), look.warning)):
            self._lines[name] = self.plot.plot(pen=pyqtgraph.mkPen(color, width=2), name=name)
        layout = self.layout()
        if layout is not None:
            layout.addWidget(self.plot)

    def show_trails(self, trails: Trails) -> None:
        """Say and plot the fastest point's speed and the farthest one's way."""
        time_s, speed, far = trails.history[-1]
        count = len(trails.distance_m)
        seen = int(trails.steps[-1].tracked.visible.sum())
        self.words.setText(
            tr(
                "{seen} of {count} points seen · fastest {speed:.2f} m/s · farthest {far:.2f} m",
                seen=seen,
                count=count,
                speed=speed,
                far=far,
            )
        )
        if self.plot is not None:
            table = np.array(trails.history)
            table = table[table[:, 0] > time_s - _SHOWN_S]
            for column, line in enumerate(self._lines.values(), 1):
                line.setData(table[:, 0] - time_s, table[:, column])


class Tracking(QObject):
    """While on, a click into a colour picture adds a point, and all of them are followed.

    The points of one camera are followed at a time, with every frame that was refined and shown.
    """

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        rows: Rows,
        feeds: CloudFeeds,
        cloud: CloudView,
        actions: Actions,
    ) -> None:
        super().__init__(stage)
        self._desk, self._rows, self._feeds = desk, rows, feeds
        self._cloud, self._actions = cloud, actions
        self.bar = TrackBar()
        self.is_on = False
        self.trails = Trails()
        self._follower: _Follower | None = None
        self._due_s = 0.0  # when what is drawn slowly is drawn again
        self._watched: list[FeedPanel] = []
        self._work = Background("tracks", _followed, self)
        self._work.done.connect(self._show)
        self._work.failed.connect(lambda why: self.bar.words.setText(why))
        rows.rowsChanged.connect(self._watch)
        stage.newsShown.connect(self._on_news)
        stage.ending.connect(self.forget)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"follow": self.toggle}

    def toggle(self) -> None:
        """Begin to take points, or forget them."""
        self.is_on = not self.is_on
        self._actions["follow"].setChecked(self.is_on)
        self.bar.setVisible(self.is_on)
        if not self.is_on:
            self.forget()
        elif self.bar.plot is None:
            self._desk.tasks.run("plots", _plots, self.bar.make_plot)

    def add(self, panel: FeedPanel, place: QPointF) -> None:
        """Follow what is at a place of a panel's colour picture, and what was followed there."""
        refined = panel.view.refined
        if not self.is_on or refined is None:
            return
        height, width = refined.frame.depth_raw.shape
        pixel = np.array([[place.x() * width - 0.5, place.y() * height - 0.5]], np.float32)
        known = np.zeros((0, 2), np.float32)
        if self.trails.steps and self.trails.steps[-1].panel is panel:
            known = self.trails.steps[-1].tracked.pixels
        if len(known) >= _MOST:
            self._desk.say(tr("{most} points are followed at most", most=_MOST))
            return
        self._follower = _Follower(panel, refined, np.concatenate([known, pixel]))
        self.bar.words.setText(tr("{count} points", count=self._follower.count))

    def forget(self) -> None:
        """Follow nothing; safe more than once."""
        self._work.stop()
        self._follower, self.trails, self._due_s = None, Trails(), 0.0
        self.bar.words.setText(tr(_HINT))
        self._cloud.set_lines(_KEY, ())
        for panel in self._watched:
            if panel.color.above.pop(_KEY, None) is not None:
                panel.color.update()

    # ---- private -----------------------------------------------------------------------------

    def _watch(self) -> None:
        for panel in self._rows.panels:
            if panel not in self._watched:
                panel.color.pressed.connect(lambda place, p=panel: self.add(p, place))
        self._watched = list(self._rows.panels)
        if self._follower is not None and self._follower.panel not in self._watched:
            self.forget()

    def _on_news(self, fresh: list[FeedView]) -> None:
        follower = self._follower
        if follower is None or follower.panel.view not in fresh:
            return
        refined = follower.panel.view.refined
        if refined is not None:
            self._work.submit((follower, refined))

    def _show(self, step: Step) -> None:
        follower = self._follower
        if follower is None or follower.count != len(step.tracked.pixels):
            return  # forgotten, or points were added, meanwhile
        self.trails.add(step)
        view = step.panel.color
        steps = list(self.trails.steps)
        size = view.image_size or (1, 1)
        view.above[_KEY] = lambda painter: _paint(painter, view, steps, size)
        view.update()
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _SLOW_S
        self._cloud.set_lines(_KEY, _lines(steps, self._feeds.pose(step.panel.view)))
        self.bar.show_trails(self.trails)


def _plots() -> Any:
    import pyqtgraph

    return pyqtgraph


def _followed(item: object) -> Step:
    if not (isinstance(item, tuple) and isinstance(item[0], _Follower)):
        raise ConfigError(f"tracks: {item!r} is no frame")
    follower: _Follower = item[0]
    return follower.follow(item[1])


def _color(point: int) -> Rgb:
    color = QColor.fromHsv((point * 67) % 360, 200, 255)
    return color.red(), color.green(), color.blue()


def _paint(painter: QPainter, view: ImageView, steps: list[Step], size: tuple[int, int]) -> None:
    first, last = (view.position_of(QPointF(at, at)) for at in (0.0, 1.0))
    low, high = ((at.x(), at.y()) for at in (first, last))
    places = np.stack([step.tracked.pixels for step in steps], axis=1)  # (N, T, 2)
    places = low + (places + 0.5) / np.array(size) * np.subtract(high, low)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for point, trail in enumerate(places.tolist()):
        color = QColor(*_color(point))
        if not steps[-1].tracked.visible[point]:
            color.setAlpha(90)
        painter.setPen(QPen(color, 2))
        painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in trail]))
        painter.setBrush(color)
        painter.drawEllipse(QPointF(*trail[-1]), 4, 4)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.restore()


def _lines(steps: list[Step], pose: Extrinsics | None) -> tuple[Line, ...]:
    """Return the trails in the 3D view's axes, where depth is known."""
    places = np.stack([step.lifted.points_m for step in steps]).astype(np.float64)  # (T, N, 3)
    if pose is not None:
        places = pose.apply(places)
    lines: list[Line] = []
    for point in range(places.shape[1]):
        known = places[np.isfinite(places[:, point]).all(1), point].tolist()
        for first, last in pairwise(known):
            lines.append((tuple(first), tuple(last), _color(point)))
    return tuple(lines)
