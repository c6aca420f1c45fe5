"""Where followed points were in the last frames: as numbers, above a picture, in the 3D view."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPainter

from lingbot_live.colormap import point_colors
from lingbot_live.frame import Extrinsics
from lingbot_live.perception.tracks import Lifted, Tracked
from ui.cloud.scene import Line
from ui.views.compose import Plan
from ui.views.image_view import ImageView

TRAIL = 60  # frames that a trail is long
_DOT_PX, _HIDDEN = 4, 0.35  # radius of a point; how much of the colour of a hidden one is seen
_SHIFT = 4  # bits of a place in a picture that are a part of a pixel


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

    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=TRAIL))
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


class TrailPicture:
    """Trails of the points in an image (width and height) as they stand above it in a pane.

    Made beside the main thread, which only copies it: each of Qt's points that Python forgets
    gives Python's lock away, and a hundred corners were drawn so in every picture.
    """

    def __init__(self, steps: Sequence[Step], size: tuple[int, int], plan: Plan) -> None:
        self._steps, self._size = steps, size
        self._make(plan)

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw it where the picture is now."""
        if view.plan() != self._plan:  # it was moved or zoomed since
            self._make(view.plan())
        pane, (left, top) = view.picture_rect(), self._corner
        at = QPointF(pane.x() + left / self._plan.ratio, pane.y() + top / self._plan.ratio)
        painter.drawImage(at, self._image)

    def _make(self, plan: Plan) -> None:
        left, top, width, height = plan.image
        places = np.stack([step.tracked.pixels for step in self._steps], axis=1)  # (N, T, 2)
        places = (places + 0.5) / self._size * (width, height) + (left, top)
        margin = math.ceil((_DOT_PX + 1) * plan.ratio)
        low = np.maximum(np.rint((left, top)), 0)  # of what is seen of the image
        high = np.minimum(np.rint((left + width, top + height)), (plan.width, plan.height))
        first = np.clip(np.floor(places.min((0, 1))) - margin, low, high)
        last = np.clip(np.ceil(places.max((0, 1))) + margin, low, high)
        columns, rows = (last - first).astype(int)
        bgra = np.zeros((max(rows, 1), max(columns, 1), 4), np.uint8)
        _draw(bgra, places - first, self._steps[-1], plan.ratio)
        self._plan, self._corner = plan, tuple(first.tolist())
        form = QImage.Format.Format_ARGB32_Premultiplied
        shown = QImage(bgra.data, bgra.shape[1], bgra.shape[0], bgra.strides[0], form)
        self._image = shown.copy()  # which owns its pixels
        self._image.setDevicePixelRatio(plan.ratio)


def _draw(
    bgra: npt.NDArray[np.uint8],
    places: npt.NDArray[np.float64],
    now: Step,
    ratio: float,
) -> None:
    """Draw trails (N, T, 2) and a dot at the end of each, fainter for a point that is hidden."""
    corners = np.rint((places - 0.5) * (1 << _SHIFT)).astype(np.int32)
    thick, dot = max(1, round(2 * ratio)), round(_DOT_PX * ratio * (1 << _SHIFT))
    for trail, rgb, is_seen in zip(
        corners, point_colors(now.numbers), now.tracked.visible, strict=True
    ):
        color = (np.append(rgb[::-1], 255) * (1.0 if is_seen else _HIDDEN)).tolist()
        cv2.polylines(bgra, [trail], False, color, thick, cv2.LINE_AA, _SHIFT)
        cv2.circle(bgra, trail[-1].tolist(), dot, color, -1, cv2.LINE_AA, _SHIFT)


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
