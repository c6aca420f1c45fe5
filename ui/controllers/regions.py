"""The region of interest of every camera: a centred part of its picture, or drawn by hand."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QObject, QRectF, Signal

from lingbot_live.calibration.views import region_into_view
from lingbot_live.roi import Roi
from ui.controllers.rows import Rows
from ui.shell.bridge import FeedView
from ui.shell.language import tr
from ui.views.feed_panel import FeedPanel


class Place(NamedTuple):
    """A rectangle in fractions of an image."""

    left: float
    top: float
    right: float
    bottom: float


class Regions(QObject):
    """Holds the regions and outlines them in the pictures while `set_shown` is on.

    A region drawn in one camera's picture goes to the same place in space for the cameras whose
    position is known; the others keep theirs. ``changed`` is sent when any region is another.
    """

    changed = Signal()

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self._rows = rows
        self.percent = 40.0
        self._drawn: dict[FeedView, Place] = {}
        self._followed: set[FeedView] = set()
        self._is_shown = False
        rows.rowsChanged.connect(self._follow)
        self._follow()

    def set_shown(self, on: bool) -> None:
        """Outline the regions in the pictures, or not."""
        self._is_shown = on
        self._outline()

    def set_percent(self, percent: float) -> None:
        """Measure a centred part of every picture, as the vendors' tools do."""
        self.percent = percent
        self._drawn.clear()
        self._tell()

    def roi(self, view: FeedView, width: int, height: int) -> Roi:
        """Return a camera's region in an image of this size."""
        place = self._drawn.get(view)
        if place is None:
            return Roi(self.percent)
        left, right = (round(x * width) for x in (place.left, place.right))
        top, bottom = (round(y * height) for y in (place.top, place.bottom))
        left, top = min(left, width - 1), min(top, height - 1)
        return Roi(rectangle=(left, top, max(1, right - left), max(1, bottom - top)))

    def text(self, view: FeedView) -> str:
        """Return what a camera's region is, in words."""
        return tr("drawn") if view in self._drawn else f"{self.percent:g}%"

    # ---- private -----------------------------------------------------------------------------

    def _follow(self) -> None:
        panels = self._rows.panels
        for panel in panels:
            if panel.view not in self._followed:
                self._followed.add(panel.view)
                panel.regionDrawn.connect(lambda place, done, p=panel: self._draw(p, place, done))
        views = {panel.view for panel in panels}
        self._followed &= views
        self._drawn = {view: place for view, place in self._drawn.items() if view in views}
        self._outline()

    def _draw(self, panel: FeedPanel, rect: QRectF, done: bool) -> None:
        panel.set_region(rect)
        if not done:
            return
        self._rows.link.set_drawing(False)
        self._drawn[panel.view] = Place(rect.left(), rect.top(), rect.right(), rect.bottom())
        for other in self._rows.panels:
            moved = None if other is panel else self._moved(panel.view, other.view)
            if moved is not None:
                self._drawn[other.view] = moved
        self._tell()

    def _moved(self, source: FeedView, target: FeedView) -> Place | None:
        T = self._rows.transform(target, source)
        if T is None or source.frame is None or target.frame is None:
            return None
        ours, theirs = source.frame.intrinsics, target.frame.intrinsics
        roi = self.roi(source, ours.width, ours.height)
        moved = region_into_view(roi, source.frame.depth_m, T, ours, theirs)
        if moved is None or moved.rectangle is None:
            return None
        left, top, width, height = moved.rectangle
        return Place(
            left / theirs.width, top / theirs.height,
            (left + width) / theirs.width, (top + height) / theirs.height,
        )  # fmt: skip

    def _tell(self) -> None:
        self._outline()
        self.changed.emit()

    def _outline(self) -> None:
        share = self.percent / 200
        centred = Place(0.5 - share, 0.5 - share, 0.5 + share, 0.5 + share)
        for panel in self._rows.panels:
            place = self._drawn.get(panel.view, centred)
            panel.set_region(_rect(place) if self._is_shown else None)


def _rect(place: Place) -> QRectF:
    return QRectF(place.left, place.top, place.right - place.left, place.bottom - place.top)
