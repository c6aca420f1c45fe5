"""Where followed points were in the last frames: as numbers, above a picture, in the 3D view."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from lingbot_live.colormap import point_colors
from lingbot_live.frame import Extrinsics
from lingbot_live.perception.tracks import Lifted, Tracked
from ui.cloud.scene import Line
from ui.views.image_view import ImageView

_TRAIL = 60  # frames that a trail is long


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Where the points of a camera are in one frame."""

    time_s: float
    tracked: Tracked
    lifted: Lifted
    first_point: int = 0  # its number; the others' follow

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Of the points, (N,)."""
        return self.first_point + np.arange(len(self.tracked.pixels))


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


def paint_trails(painter: QPainter, view: ImageView, steps: list[Step]) -> None:
    """Draw trails above a picture."""
    size = view.image_size or (1, 1)
    first, last = (view.position_of(QPointF(at, at)) for at in (0.0, 1.0))
    low, high = ((at.x(), at.y()) for at in (first, last))
    shown = steps[::-2][::-1]  # half as many corners look the same
    places = np.stack([step.tracked.pixels for step in shown], axis=1)  # (N, T, 2)
    places = low + (places + 0.5) / np.array(size) * np.subtract(high, low)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colors, visible = point_colors(steps[-1].numbers).tolist(), steps[-1].tracked.visible.tolist()
    for trail, rgb, is_seen in zip(places.tolist(), colors, visible, strict=True):
        color = QColor(*rgb)
        if not is_seen:
            color.setAlpha(90)
        painter.setPen(QPen(color, 2))
        painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in trail]))
        painter.setBrush(color)
        painter.drawEllipse(QPointF(*trail[-1]), 4, 4)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.restore()


def trail_lines(steps: list[Step], pose: Extrinsics | None) -> tuple[Line, ...]:
    """Return the trails in the 3D view's axes (``pose`` is ``T_common_camera``), where depth is."""
    places = np.stack([step.lifted.points_m for step in steps]).astype(np.float64)  # (T, N, 3)
    if pose is not None:
        places = pose.apply(places)
    lines: list[Line] = []
    for point, rgb in enumerate(map(tuple, point_colors(steps[-1].numbers).tolist())):
        known = places[np.isfinite(places[:, point]).all(1), point].tolist()
        for first, last in pairwise(known):
            lines.append((tuple(first), tuple(last), rgb))
    return tuple(lines)
