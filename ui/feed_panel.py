"""One camera's row: colour, raw depth and refined depth, with its error bar."""

from __future__ import annotations

import time

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from lingbot_live.camera import CameraState
from lingbot_live.colormap import DepthRange
from lingbot_live.frame import RefinedFrame
from lingbot_live.metrics import Change, change_map, change_shares
from ui.bridge import FeedView
from ui.image_view import DepthView, ImageView
from ui.notice import Notice
from ui.readout import Reading, reading
from ui.view_link import ViewLink

_NEXT = {
    CameraState.RECONNECTING: "Trying again by itself.",
    CameraState.STALLED: "It is open; waiting for its next frame.",
}
_STAT_PERIOD_S = 0.25  # numbers that change faster cannot be read


class FeedPanel(QWidget):
    """Shows a FeedView; ``retry`` is sent when the user asks for the camera again."""

    retry = Signal()

    def __init__(self, view: FeedView, link: ViewLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.color = ImageView("Colour", link)
        self.raw = DepthView("Raw depth", link)
        self.refined = DepthView("Refined depth", link)
        self.views = (self.color, self.raw, self.refined)
        self.notice = Notice()
        self.notice.retry.connect(self.retry)
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._splitter.setChildrenCollapsible(False)
        for pane in self.views:
            self._splitter.addWidget(pane)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self._splitter, 1)
        self._stats_due_s = 0.0
        self._shown_error: BaseException | None = None
        self.raw.set_readout(lambda x, y: self._reading(x, y).raw_text)
        self.refined.set_readout(lambda x, y: self._reading(x, y).refined_text)
        self.color.set_readout(lambda x, y: f"{x:4d}, {y:4d} px")

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
        if refined is not None:
            self.refined.set_depth(refined.depth_m)
        if time.monotonic() >= self._stats_due_s:
            self._show_stats()
        self.repaint()
        self._stamp(refined)

    def show_state(self, refiner: str, waited_s: float) -> None:
        """Show the camera's state or error, and the refiner's where no refined depth is yet."""
        feed = self.view.feed
        self.color.set_title(f"Colour   {self._title()}")
        if feed.error is not self._shown_error:
            self._shown_error = feed.error
            self._show_error(feed.error, feed.state)
        if self.view.frame is None:
            opening = f"{feed.state.value} {feed.name}  {waited_s:.0f} s"
            text = "no picture" if feed.error else opening
            self.color.set_placeholder(text)
            self.raw.set_placeholder(text)
        if self.view.refined is None:
            self.refined.set_placeholder(f"{refiner}  {waited_s:.0f} s")
        self.refined.set_title(f"Refined depth   {refiner}")

    # ---- private ---------------------------------------------------------------------------

    def _show_error(self, error: BaseException | None, state: CameraState) -> None:
        if error is None:
            self.notice.clear()
        else:
            can_retry = state is CameraState.FAILED
            self.notice.show_error(str(error), _NEXT.get(state, ""), can_retry=can_retry)

    def _title(self) -> str:
        info = self.view.feed.info
        name = info.name if info else self.view.feed.name
        return f"{name} (simulated)" if info and info.is_simulated else name

    def _reading(self, x: int, y: int) -> Reading:
        assert self.view.frame is not None
        return reading(self.view.frame, self.view.refined, x, y)

    def _show_stats(self) -> None:
        self._stats_due_s = time.monotonic() + _STAT_PERIOD_S
        frame, refined = self.view.frame, self.view.refined
        assert frame is not None
        fill = np.count_nonzero(frame.depth_raw) / frame.depth_raw.size
        self.raw.set_stat(f"fill {fill:6.1%}")
        if refined is not None:
            live_ns = None if self.view.is_matched else frame.timestamp_ns
            self.refined.set_stat(_refined_stat(refined, live_ns))

    def _stamp(self, refined: RefinedFrame | None) -> None:
        stats = self.view.feed.stats
        stats.count_shown()
        if refined is not None and self.view.is_matched:
            now_ns = time.monotonic_ns()
            stats.add_stage("display", now_ns - refined.finished_ns)
            stats.add_stage("until_shown", now_ns - refined.frame.timestamp_ns)


def _refined_stat(refined: RefinedFrame, live_ns: int | None) -> str:
    shares = change_shares(change_map(refined.frame.depth_m, refined.depth_m))
    kept, changed, filled = (shares[c] for c in (Change.KEPT, Change.CHANGED, Change.FILLED))
    text = f"kept {kept:.0%}  changed {changed:.0%}  filled {filled:.0%}"
    if live_ns is None:
        return text
    return f"{(live_ns - refined.frame.timestamp_ns) / 1e9:.1f} s old  {text}"
