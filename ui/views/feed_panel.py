"""One camera's row: its colour, then colour, raw depth and refined depth, with its error bar."""

from __future__ import annotations

import time

from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from lingbot_live.cameras.base import CameraState
from lingbot_live.colormap import DepthRange
from lingbot_live.pipeline.session import Feed
from ui.shell import theme
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.language import phrase, told, tr
from ui.shell.notice import Notice
from ui.shell.readout import Reading, duration, reading
from ui.shell.view_link import ViewLink
from ui.views.compose import Colors, Source
from ui.views.depth_view import DepthView
from ui.views.drawing import Drawing, Drawn, Moment, draw
from ui.views.image_view import ImageView

_NEXT = {
    CameraState.RECONNECTING: phrase("Trying again by itself."),
    CameraState.HANGING: phrase("Nothing but its own return ends that, or the end of the app."),
    CameraState.STALLED: phrase("It is open; waiting for its next frame."),
}
_STAT_PERIOD_S = 0.25  # numbers that change faster cannot be read


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
        self.setToolTip(tr("The selected camera") if on else tr("Click to select this camera"))
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

    The pictures are made on a thread of the panel's own, which `stop` ends; ``drawn`` is sent once
    those of the last `show_news` are in their panes. ``pressed`` is sent on a click into the row,
    ``regionDrawn(QRectF, bool)`` as by `ImageView`, ``partDrawn`` instead where what is drawn is
    not the region of interest (see `ViewLink.set_drawing`).
    """

    retry = Signal()
    drawn = Signal()
    pressed = Signal()
    regionDrawn = Signal(QRectF, bool)  # noqa: N815
    partDrawn = Signal(QRectF, bool)  # noqa: N815

    def __init__(self, view: FeedView, link: ViewLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.region: QRectF | None = None
        self.color = ImageView(tr("Colour"), link)
        self.raw = DepthView(tr("Raw depth"), link)
        self.refined = DepthView(tr("Refined depth"), link)
        self.views = (self.color, self.raw, self.refined)
        self.notice = Notice()
        self.notice.retry.connect(self.retry)
        self.stripe = Stripe(theme.camera_color(view.number))
        self.stripe.pressed.connect(self.pressed)
        self._lay_out()
        self._moment: Moment | None = None  # in the panes
        self._stats_due_s = 0.0
        self._work = Background(f"draw {view.feed.name}", draw, self)
        self._work.done.connect(self._show)
        self._work.failed.connect(self._on_failed)
        self._unstamped: Moment | None = None  # in the panes, but not yet on the screen
        self._stamping = QTimer(self, singleShot=True, interval=0)
        self._stamping.timeout.connect(self._stamp)
        self._recoloring = QTimer(self, singleShot=True, interval=0)  # once for both depth views
        self._recoloring.timeout.connect(self._draw_again)
        for depth_pane in (self.raw, self.refined):
            depth_pane.set_on_recolor(self._recoloring.start)
        for pane in self.views:
            pane.set_on_painted(self._stamping.start)
        self._told: tuple[BaseException | None, CameraState, int] = (None, CameraState.CLOSED, 0)
        self._fault = ""  # the text of the camera's error in the notice
        self.refined.setToolTip(tr("Shares of all pixels"))
        self.raw.set_readout(lambda x, y: self._reading(x, y).raw_text)
        self.refined.set_readout(lambda x, y: self._reading(x, y).refined_text)
        self.color.set_readout(lambda x, y: f"{x:4d}, {y:4d} px")

    def _lay_out(self) -> None:
        panes = QSplitter(Qt.Orientation.Horizontal)
        panes.setChildrenCollapsible(False)
        for pane in self.views:
            panes.addWidget(pane)
            pane.pressed.connect(self.pressed)
            pane.regionDrawn.connect(self._pass_region)
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

    def _pass_region(self, place: QRectF, done: bool) -> None:
        link = self.color.link
        is_other = link.is_drawing and not link.draws_for("")
        (self.partDrawn if is_other else self.regionDrawn).emit(place, done)

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
        """Have what the view holds now drawn, newest first; returns at once."""
        view = self.view
        if view.frame is not None:
            self._draw(Moment(view.frame, view.refined, view.age_s))

    def stop(self) -> None:
        """End the thread that draws; safe more than once."""
        self._work.stop()

    def show_state(self, refiner: str, waited_s: float, *, is_recorded: bool = False) -> None:
        """Show the camera's state or error, and the refiner's where no refined depth is yet.

        ``is_recorded``: refined depth is shown as it was recorded, and nothing refines.
        """
        feed = self.view.feed
        self.color.set_title(self._title())
        news = (feed.error, feed.state, feed.tries)
        if news != self._told:
            self._told = news
            self._show_error(feed)
        if self.view.frame is None:
            opening = f"{told(feed.state.value)} {feed.name}  {duration(waited_s)}"
            text = tr("no picture") if feed.error else opening
            self.color.set_placeholder(text)
            self.raw.set_placeholder(text)
        if self.view.refined is None:
            self.refined.set_placeholder(self._why_empty(refiner, waited_s, is_recorded))
        compact = self.stripe.isVisibleTo(self)
        self.raw.set_title(tr("Raw") if compact else tr("Raw depth"))
        title = tr("Refined") if compact else tr("Refined depth")
        self.refined.set_title(f"{title}   {refiner}")

    # ---- private ---------------------------------------------------------------------------

    def _show_error(self, feed: Feed) -> None:
        if feed.error is None:
            if self._fault and self.notice.text == self._fault:  # else it says something newer
                self.notice.clear()
            return
        fix = tr(_NEXT.get(feed.state, ""))
        if feed.tries and feed.state is CameraState.RECONNECTING:
            count = feed.tries
            tries = tr("1 try so far.") if count == 1 else tr("{count} tries so far.", count=count)
            fix = f"{fix} {tries}"
        can_retry = feed.state is CameraState.FAILED
        self.notice.show_error(told(str(feed.error)), fix, can_retry=can_retry)
        self._fault = self.notice.text

    def _title(self) -> str:
        # With one row its number would say nothing.
        view = self.view
        return (
            view.title if self.stripe.isVisibleTo(self) else tr("Colour   {name}", name=view.name)
        )

    def _why_empty(self, refiner: str, waited_s: float, is_recorded: bool) -> str:
        newest = self.view.newest
        if newest is None or not self.view.is_held:
            return f"{refiner}  {duration(waited_s)}"
        is_bare = is_recorded and newest.recorded is None
        return tr("not refined when recorded") if is_bare else tr("refining this frame ...")

    def _reading(self, x: int, y: int) -> Reading:
        assert self._moment is not None
        return reading(self._moment.frame, self._moment.refined, x, y)

    def _draw_again(self) -> None:
        if self._moment is not None:
            self.show_news()  # newest wins: a drawing under way is followed by this one

    def _draw(self, moment: Moment) -> None:
        now_s = time.monotonic()
        sources: list[tuple[ImageView, Source]] = [
            (self.color, Colors(moment.frame.color)),
            (self.raw, self.raw.source(moment.frame.depth_raw, moment.frame.depth_scale_m)),
        ]
        if moment.refined is not None:
            sources.append((self.refined, self.refined.source(moment.refined.depth_m)))
        panes = tuple((source, pane.wanted_plan()) for pane, source in sources)
        with_stats = now_s >= self._stats_due_s
        if with_stats:
            self._stats_due_s = now_s + _STAT_PERIOD_S
        self.view.is_drawing = True
        self._work.submit(Drawing(moment, panes, with_stats))

    def _show(self, drawn: Drawn) -> None:
        drawing = drawn.drawing
        self._moment = self._unstamped = drawing.moment
        for pane, (source, plan), canvas in zip(
            self.views, drawing.panes, drawn.canvases, strict=False
        ):
            pane.show_composed(source, plan, canvas)
        if drawing.moment.refined is None and self.refined.has_image:
            self.refined.set_depth(None)
            self.refined.set_stat("")
        if drawn.fill_text is not None:
            self.raw.set_stat(drawn.fill_text)
        if drawn.refined_texts is not None:
            self.refined.set_stat(*drawn.refined_texts)
        self._free(drawn.took_s)

    def _on_failed(self, why: str) -> None:
        self.notice.show_error(tr("The pictures cannot be drawn: {why}", why=why), can_retry=False)
        self._free(0.0)

    def _free(self, took_s: float) -> None:
        self.view.drew(took_s)
        self.drawn.emit()

    def _stamp(self) -> None:
        """Count what has just reached the screen."""
        moment, self._unstamped = self._unstamped, None
        if moment is None:
            return
        stats = self.view.feed.stats
        stats.count_shown()
        if moment.refined is not None and moment.is_matched:
            now_ns = time.monotonic_ns()
            stats.add_stage("display", now_ns - moment.refined.finished_ns)
            stats.add_stage("until_shown", now_ns - moment.frame.timestamp_ns)
