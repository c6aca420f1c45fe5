"""One camera's row: its colour, then colour, raw depth and refined depth, with its error bar."""

from __future__ import annotations

import time

import numpy as np
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from lingbot_live.cameras.base import CameraState
from lingbot_live.colormap import DepthRange
from lingbot_live.frame import RefinedFrame
from lingbot_live.pipeline.session import Feed
from lingbot_live.quality.depth_errors import Change, change_map, change_shares
from ui.shell import theme
from ui.shell.bridge import LAG_S, FeedView
from ui.shell.notice import Notice
from ui.shell.readout import FIGURE_SPACE, Reading, percent, reading
from ui.shell.view_link import ViewLink
from ui.views.depth_view import DepthView
from ui.views.image_view import ImageView

_NEXT = {
    CameraState.RECONNECTING: "Trying again by itself.",
    CameraState.STALLED: "It is open; waiting for its next frame.",
}
_STAT_PERIOD_S = 0.25  # numbers that change faster cannot be read
_STAT_STEP = 2  # every so many pixels in both directions; shares need no more


class Stripe(QWidget):
    """A camera's colour along its row; broad where the camera is selected."""

    pressed = Signal()

    def __init__(self, color: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color = color
        self.is_selected = False
        self.setFixedWidth(theme.GRID_PX)

    def set_selected(self, on: bool) -> None:
        """Draw it broad or thin."""
        self.is_selected = on
        self.setToolTip("The selected camera" if on else "Click to select this camera")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        wide = self.width() if self.is_selected else self.width() // 4
        painter.fillRect(self.rect(), QColor(theme.current().panel))
        painter.fillRect(0, 0, wide, self.height(), self._color)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self.pressed.emit()


class FeedPanel(QWidget):
    """Shows a FeedView. ``retry`` is sent when the user asks for the camera again.

    ``pressed`` is sent on a click into the row, ``regionDrawn(QRectF, bool)`` as by `ImageView`.
    """

    retry = Signal()
    pressed = Signal()
    regionDrawn = Signal(QRectF, bool)  # noqa: N815

    def __init__(self, view: FeedView, link: ViewLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.region: QRectF | None = None
        self.color = ImageView("Colour", link)
        self.raw = DepthView("Raw depth", link)
        self.refined = DepthView("Refined depth", link)
        self.views = (self.color, self.raw, self.refined)
        self.notice = Notice()
        self.notice.retry.connect(self.retry)
        self.stripe = Stripe(theme.camera_color(view.number))
        self.stripe.pressed.connect(self.pressed)
        self._lay_out()
        self._stats_due_s = 0.0
        self._told: tuple[BaseException | None, CameraState, int] = (None, CameraState.CLOSED, 0)
        self.refined.setToolTip("Shares of all pixels")
        self.raw.set_readout(lambda x, y: self._reading(x, y).raw_text)
        self.refined.set_readout(lambda x, y: self._reading(x, y).refined_text)
        self.color.set_readout(lambda x, y: f"{x:4d}, {y:4d} px")

    def _lay_out(self) -> None:
        panes = QSplitter(Qt.Orientation.Horizontal)
        panes.setChildrenCollapsible(False)
        for pane in self.views:
            panes.addWidget(pane)
            pane.pressed.connect(self.pressed)
            pane.regionDrawn.connect(self.regionDrawn)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(panes, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.stripe)
        row.addLayout(column, 1)

    def set_compact(self, on: bool) -> None:
        """Make room for other rows, and show which of them is selected."""
        self.stripe.setVisible(on)
        for pane in self.views:
            pane.set_compact(on)

    def set_selected(self, on: bool) -> None:
        """Show that commands on one camera mean this one."""
        self.stripe.set_selected(on)

    def set_region(self, place: QRectF | None) -> None:
        """Outline a region, in fractions of the image, in all three pictures."""
        self.region = place
        for pane in self.views:
            pane.set_region(place, theme.camera_color(self.view.number))

    def set_scale(self, scale: DepthRange, colormap: str) -> None:
        """Colour both depth views alike."""
        for pane in (self.raw, self.refined):
            pane.set_range(scale)
            pane.set_colormap(colormap)

    def show_news(self) -> None:
        """Show what the view holds now, on the screen when this returns."""
        frame, refined = self.view.frame, self.view.refined
        if frame is None:
            return
        self.color.set_image(frame.color)
        self.raw.set_depth(frame.depth_m)
        self.refined.set_depth(None if refined is None else refined.depth_m)
        if time.monotonic() >= self._stats_due_s:
            self._show_stats()
        self.repaint()
        self._stamp(refined)

    def show_state(self, refiner: str, waited_s: float) -> None:
        """Show the camera's state or error, and the refiner's where no refined depth is yet."""
        feed = self.view.feed
        self.color.set_title(self._title())
        told = (feed.error, feed.state, feed.tries)
        if told != self._told:
            self._told = told
            self._show_error(feed)
        if self.view.frame is None:
            opening = f"{feed.state.value} {feed.name}  {waited_s:.0f} s"
            text = "no picture" if feed.error else opening
            self.color.set_placeholder(text)
            self.raw.set_placeholder(text)
        if self.view.refined is None:
            self.refined.set_placeholder(self._why_empty(refiner, waited_s))
        compact = self.stripe.isVisibleTo(self)
        self.raw.set_title("Raw" if compact else "Raw depth")
        self.refined.set_title(f"{'Refined' if compact else 'Refined depth'}   {refiner}")

    # ---- private ---------------------------------------------------------------------------

    def _show_error(self, feed: Feed) -> None:
        if feed.error is None:
            self.notice.clear()
            return
        fix = _NEXT.get(feed.state, "")
        if feed.tries and feed.state is CameraState.RECONNECTING:
            fix = f"{fix} {feed.tries} {'try' if feed.tries == 1 else 'tries'} so far."
        can_retry = feed.state is CameraState.FAILED
        self.notice.show_error(str(feed.error), fix, can_retry=can_retry)

    def _title(self) -> str:
        # With one row its number would say nothing.
        view = self.view
        return view.title if self.stripe.isVisibleTo(self) else f"Colour   {view.name}"

    def _why_empty(self, refiner: str, waited_s: float) -> str:
        newest = self.view.newest
        if newest is None or not self.view.is_held:
            return f"{refiner}  {waited_s:.0f} s"
        is_bare = refiner.startswith("recorded") and newest.recorded is None
        return "not refined when recorded" if is_bare else "refining this frame ..."

    def _reading(self, x: int, y: int) -> Reading:
        assert self.view.frame is not None
        return reading(self.view.frame, self.view.refined, x, y)

    def _show_stats(self) -> None:
        self._stats_due_s = time.monotonic() + _STAT_PERIOD_S
        frame, refined = self.view.frame, self.view.refined
        assert frame is not None
        fill = np.count_nonzero(frame.depth_raw) / frame.depth_raw.size
        self.raw.set_stat(f"fill {percent(fill)}")
        if refined is not None:
            self.refined.set_stat(*_refined_stat(refined, self.view.age_s))
        else:
            self.refined.set_stat("")

    def _stamp(self, refined: RefinedFrame | None) -> None:
        stats = self.view.feed.stats
        stats.count_shown()
        if refined is not None and self.view.is_matched:
            now_ns = time.monotonic_ns()
            stats.add_stage("display", now_ns - refined.finished_ns)
            stats.add_stage("until_shown", now_ns - refined.frame.timestamp_ns)


def _refined_stat(refined: RefinedFrame, age_s: float) -> tuple[str, ...]:
    """Return kept, changed and filled, the longest text first; with its age where it lags."""
    raw_m, refined_m = (
        depth_m[::_STAT_STEP, ::_STAT_STEP] for depth_m in (refined.frame.depth_m, refined.depth_m)
    )
    shares = change_shares(change_map(raw_m, refined_m))
    kept, changed, filled = (
        _percent(shares[kind]) for kind in (Change.KEPT, Change.CHANGED, Change.FILLED)
    )
    some = f"changed {changed}  filled {filled}"
    texts = (f"kept {kept}  {some}", some, f"filled {filled}")
    if age_s <= LAG_S:
        return texts
    return tuple(f"{age_s:.1f} s old  {text}" for text in texts)


def _percent(share: float) -> str:
    """Return a share in a fixed width."""
    return f"{share:.0%}".rjust(4, FIGURE_SPACE)
