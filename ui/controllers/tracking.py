"""Points clicked in colour pictures, followed through the streams: trails, speed and distance."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.perception.tracks import Lifter, LucasKanade, Pixels, grid
from lingbot_live.recording.found import FoundPoints
from ui.cloud.scene import Line
from ui.cloud.view import CloudView
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.recording import RecordControl
from ui.controllers.rows import Rows
from ui.controllers.trails import TRAIL, Step, TrailPicture, Trails, trail_lines
from ui.shell import theme
from ui.shell.actions import Actions, Command
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import phrase, tr
from ui.shell.plots import plain_plot
from ui.shell.stage import Stage
from ui.views.compose import Plan
from ui.views.feed_panel import FeedPanel

_KEY = "tracks"  # among what lies above a picture, among the 3D view's lines, and of drawn regions
_HINT = phrase("Click points in the colour picture")
_MOST = 64  # points of a camera
_GRID, _REGION_GRID = 6, 5  # points a side: over the picture, in a region
_SHOWN_S = 20.0  # of the plot
_PLOT_PX, _LEAST_TOP = 96, 0.1  # its height; metres, or metres a second
_SLOW_S = 0.25  # between two plots, and trails in 3D: they cost ten times a picture's

Keep = Callable[[FeedView, Frame, Step], None]


class _Follower:
    """Follows points from frame to frame on the background's thread."""

    def __init__(self, frame: RefinedFrame, pixels: Pixels, first_point: int) -> None:
        self.count, self._first_point = len(pixels), first_point
        self._start_us = frame.frame.device_timestamp_us
        self._tracker = LucasKanade()
        self._tracker.start(frame.frame.color, pixels)
        self._lifter = Lifter(frame.frame.intrinsics, len(pixels))
        self._steps: deque[Step] = deque(maxlen=TRAIL)

    def follow(self, refined: RefinedFrame, plan: Plan) -> tuple[Step, TrailPicture]:
        tracked = self._tracker.follow(refined.frame.color, refined.depth_m)
        time_s = (refined.frame.device_timestamp_us - self._start_us) / 1e6
        lifted = self._lifter.lift(tracked, refined, time_s)
        self._steps.append(Step(time_s, tracked, lifted, self._first_point))
        height, width = refined.frame.color.shape[:2]
        return self._steps[-1], TrailPicture(tuple(self._steps), (width, height), plan)


class CameraPoints(QObject):
    """The points of one camera, followed with every frame it is given that there is time for.

    The thread that does so gives way to capture, refining and pictures, which come first.
    ``moved`` is sent when `trails` went on, ``failed(str)`` with the reason when they cannot.
    """

    moved = Signal()
    failed = Signal(str)

    def __init__(self, panel: FeedPanel, keep: Keep, parent: QObject) -> None:
        super().__init__(parent)
        self.panel, self.trails = panel, Trails()
        self._keep = keep
        self._follower: _Follower | None = None
        self._work = Background("tracks", self._followed, self, yields=True)
        self._work.done.connect(self._add)
        self._work.failed.connect(self.failed)

    @property
    def pixels(self) -> Pixels:
        """Where they are now, (N, 2)."""
        steps = self.trails.steps
        return steps[-1].tracked.pixels if steps else np.zeros((0, 2), np.float32)

    @property
    def count(self) -> int:
        """How many are followed, or are about to be."""
        return 0 if self._follower is None else self._follower.count

    def begin(self, refined: RefinedFrame, pixels: Pixels) -> None:
        """Follow these from here on, in place of those before."""
        self._follower = _Follower(refined, pixels, _MOST * self.panel.view.number)

    def follow(self, refined: RefinedFrame) -> None:
        """Go on in a newer frame, beside the main thread."""
        if self._follower is not None:
            self._work.submit((self._follower, refined, self.panel.color.plan()))

    def stop(self) -> None:
        """End the thread and forget the points; safe more than once."""
        self._work.stop()
        self._follower, self.trails = None, Trails()
        if self.panel.color.above.pop(_KEY, None) is not None:
            self.panel.color.update()

    def _followed(self, item: object) -> tuple[Step, TrailPicture]:
        if not (isinstance(item, tuple) and isinstance(item[0], _Follower)):
            raise ConfigError(f"tracks: {item!r} is no frame")
        follower: _Follower = item[0]
        step, picture = follower.follow(*item[1:])
        self._keep(self.panel.view, item[1].frame, step)
        return step, picture

    def _add(self, found: tuple[Step, TrailPicture]) -> None:
        step, picture = found
        if self._follower is None or self._follower.count != len(step.tracked.pixels):
            return  # forgotten, or points were added, meanwhile
        self.trails.add(step)
        view = self.panel.color
        view.above[_KEY] = lambda painter: picture.paint(painter, view)
        view.update()
        self.moved.emit()


class TrackBar(QFrame):
    """Says how far and fast points move, and plots it over time once a plot is there."""

    def __init__(self) -> None:
        super().__init__()
        self.words = QLabel(tr(_HINT))
        self.plot: Any = None
        self._lines: list[tuple[Any, ...]] = []  # of each camera: speed, distance
        self._end = 0.0  # of the plot's upright axis
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, 0, theme.GRID_PX, 0)
        row.addWidget(self.words, 1)
        self.grid_button = _button(tr("Grid"), tr("Follow points all over the selected picture"))
        self.region_button = _button(tr("Region"), tr("Follow points of a part that you draw"))
        self.region_button.setCheckable(True)
        for button in (self.grid_button, self.region_button):
            row.addWidget(button)
        self.hide()

    def make_plot(self, pyqtgraph: Any) -> None:
        """Make the plot, once pyqtgraph is imported."""
        if self.plot is not None:
            return
        self.plot = plain_plot(self, pyqtgraph)
        self.plot.setFixedHeight(_PLOT_PX)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.addLegend(offset=(8, 2))
        self.plot.getViewBox().disableAutoRange()
        self.plot.setXRange(-_SHOWN_S, 0, padding=0)
        layout = self.layout()
        if layout is not None:
            layout.addWidget(self.plot)

    def show_trails(self, every: list[Trails]) -> None:
        """Say and plot, of all cameras, the fastest point's speed and the farthest one's way."""
        newest = [trails.history[-1] for trails in every]
        self.words.setText(
            tr(
                "{seen} of {count} points seen · fastest {speed:.2f} m/s · farthest {far:.2f} m",
                seen=sum(int(trails.steps[-1].tracked.visible.sum()) for trails in every),
                count=sum(len(trails.distance_m) for trails in every),
                speed=max(speed for _, speed, _ in newest),
                far=max(far for _, _, far in newest),
            )
        )
        if self.plot is None:
            return
        while len(self._lines) < len(every):
            self._lines.append(self._new_lines())
        tops: list[float] = []
        for place, lines in enumerate(self._lines):
            table = _table(every[place]) if place < len(every) else np.zeros((0, 3))
            tops.append(float(table[:, 1:].max(initial=0.0)))
            for column, line in enumerate(lines, 1):
                line.setData(table[:, 0], table[:, column])
        self._reach(max(tops))

    def _reach(self, top: float) -> None:
        """Have the plot end at a round number: an axis made anew costs four times the curves."""
        step = 10.0 ** np.floor(np.log10(max(top, _LEAST_TOP)))
        end = step * next(share for share in (1, 2, 5, 10) if share * step >= top)
        if end != self._end:
            self._end = end
            self.plot.setYRange(0, end, padding=0)
            ticks = [(value, f"{value:g}") for value in (0, end / 2, end)]
            self.plot.getAxis("left").setTicks([ticks])

    def _new_lines(self) -> tuple[Any, ...]:
        """Lines of a camera; the first one's stand in the legend, the others' are dashed."""
        import pyqtgraph

        look, first = theme.current(), not self._lines
        style = Qt.PenStyle.SolidLine if first else Qt.PenStyle.DashLine
        parts = ((tr("speed, m/s"), look.accent), (tr("distance, m"), look.warning))
        return tuple(
            self.plot.plot(
                pen=pyqtgraph.mkPen(color, width=2, style=style), name=name if first else None
            )
            for name, color in parts
        )


def _button(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _table(trails: Trails) -> npt.NDArray[np.float64]:
    """Return what is plotted, (T, 3): seconds before now, speed, distance."""
    table = np.array(trails.history)
    table[:, 0] -= table[-1, 0]
    return np.asarray(table[table[:, 0] > -_SHOWN_S])


class Tracking(QObject):
    """While on, clicks into colour pictures add points, and all of them are followed.

    Each camera's points with every frame of it that was refined and shown; their trails stand in
    one 3D view, each camera's where the rig says that it stands.
    """

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        rows: Rows,
        feeds: CloudFeeds,
        cloud: CloudView,
        recording: RecordControl,
        actions: Actions,
    ) -> None:
        super().__init__(stage)
        self._desk, self._rows, self._feeds = desk, rows, feeds
        self._cloud, self._recording, self._actions = cloud, recording, actions
        self.bar = TrackBar()
        self.is_on = False
        self._cameras: dict[FeedPanel, CameraPoints] = {}
        self._due_s = 0.0  # when what is drawn slowly is drawn again
        self._watched: list[FeedPanel] = []
        self.bar.grid_button.clicked.connect(self.add_grid)
        self.bar.region_button.clicked.connect(self._draw_region)
        rows.link.drawingChanged.connect(self._show_drawing)
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

    def trails(self, panel: FeedPanel) -> Trails:
        """Return those of a camera's points; empty where none is followed."""
        known = self._cameras.get(panel)
        return Trails() if known is None else known.trails

    def add(self, panel: FeedPanel, place: QPointF) -> None:
        """Follow what is at a place of a panel's colour picture, and what was followed there."""
        refined = panel.view.refined
        if refined is not None and not self._rows.link.is_drawing:
            height, width = refined.frame.depth_raw.shape
            at = [[place.x() * width - 0.5, place.y() * height - 0.5]]
            self._add_pixels(panel, refined, np.array(at, np.float32))

    def add_grid(self) -> None:
        """Follow points all over the selected camera's picture, too."""
        panel = self._rows.selected
        if panel is not None and panel.view.refined is not None:
            self._add_pixels(panel, panel.view.refined, grid(panel.view.refined.frame, _GRID))

    def forget(self) -> None:
        """Follow nothing; safe more than once."""
        for known in self._cameras.values():
            self._end(known)
        self._cameras, self._due_s = {}, 0.0
        self._rows.link.set_drawing(False, _KEY)
        self.bar.words.setText(tr(_HINT))
        self._cloud.set_lines(_KEY, ())

    # ---- private -----------------------------------------------------------------------------

    def _end(self, known: CameraPoints) -> None:
        known.stop()
        known.deleteLater()
        self._recording.keep_no_more(known.panel.view.feed.name)

    def _keep(self, view: FeedView, frame: Frame, step: Step) -> None:
        """On the thread that follows: store the points where one records."""

        def found() -> FoundPoints:
            pose = self._feeds.pose(view)
            return FoundPoints(frame, step.numbers, step.tracked, step.lifted, pose)

        self._recording.keep(view.feed.name, found)

    def _add_pixels(self, panel: FeedPanel, refined: RefinedFrame, pixels: Pixels) -> None:
        if not self.is_on:
            return
        known = self._cameras.get(panel)
        before = np.zeros((0, 2), np.float32) if known is None else known.pixels
        if len(before) + len(pixels) > _MOST:
            self._desk.say(tr("{most} points are followed at most", most=_MOST))
            return
        if known is None:
            known = self._cameras[panel] = CameraPoints(panel, self._keep, self)
            known.moved.connect(self._show)
            known.failed.connect(self.bar.words.setText)
        known.begin(refined, np.concatenate([before, pixels]))
        count = sum(camera.count for camera in self._cameras.values())
        self.bar.words.setText(tr("{count} points", count=count))

    def _draw_region(self) -> None:
        self._rows.link.set_drawing(self.bar.region_button.isChecked(), _KEY)

    def _show_drawing(self) -> None:
        self.bar.region_button.setChecked(self._rows.link.draws_for(_KEY))

    def _on_part(self, panel: FeedPanel, place: QRectF, done: bool) -> None:
        if not self._rows.link.draws_for(_KEY):
            return
        color, refined = theme.camera_color(panel.view.number), panel.view.refined
        panel.color.set_region(panel.region if done else place, color)
        if done:
            self._rows.link.set_drawing(False, _KEY)
            if refined is not None:
                part = (place.x(), place.y(), place.width(), place.height())
                self._add_pixels(panel, refined, grid(refined.frame, _REGION_GRID, part))

    def _watch(self) -> None:
        for panel in self._rows.panels:
            if panel not in self._watched:
                panel.color.pressed.connect(lambda place, p=panel: self.add(p, place))
                panel.partDrawn.connect(lambda place, done, p=panel: self._on_part(p, place, done))
        self._watched = list(self._rows.panels)
        for panel in set(self._cameras) - set(self._watched):
            self._end(self._cameras.pop(panel))
        self._draw_lines()

    def _on_news(self, fresh: list[FeedView]) -> None:
        for panel, known in self._cameras.items():
            if panel.view in fresh and panel.view.refined is not None:
                known.follow(panel.view.refined)

    def _show(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + _SLOW_S
            self._draw_lines()
            self.bar.show_trails([known.trails for known in self._moving])

    @property
    def _moving(self) -> Iterable[CameraPoints]:
        return (known for known in self._cameras.values() if known.trails.steps)

    def _draw_lines(self) -> None:
        lines: tuple[Line, ...] = ()
        for known in self._moving:
            lines += trail_lines(list(known.trails.steps), self._feeds.pose(known.panel.view))
        self._cloud.set_lines(_KEY, lines)


def _plots() -> Any:
    import pyqtgraph

    return pyqtgraph
