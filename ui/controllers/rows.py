"""The rows of the window: one panel per camera, and which of them is selected."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QSplitter

from lingbot_live.calibration.rig import Rig
from lingbot_live.frame import Extrinsics
from ui.shell.actions import Command
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage
from ui.shell.view_link import ViewLink
from ui.views.feed_panel import FeedPanel
from ui.views.image_view import ImageView


class Rows(QObject):
    """Commands on single cameras. What concerns one camera alone follows `selected`.

    ``rowsChanged`` is sent when rows came or went, ``selectedChanged`` when another one, or none,
    is selected, ``rigChanged`` when it became known where the cameras stand.
    """

    rigChanged = Signal()  # noqa: N815
    rowsChanged = Signal()  # noqa: N815
    selectedChanged = Signal()  # noqa: N815

    def __init__(self, stage: Stage, desk: Desk, link: ViewLink) -> None:
        super().__init__(stage)
        self._stage, self._desk = stage, desk
        self.link = link
        self.rig: Rig | None = None  # where the cameras stand, if that is known
        self.empty = ImageView("", link, placeholder=tr("Choose a camera and press Start"))
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.empty)
        self.panels: list[FeedPanel] = []
        self.selected: FeedPanel | None = None
        self._removed: list[str] = []  # addresses, the newest last
        self._asked: list[FeedView] = []  # whose news are being drawn
        self._drawn: list[FeedView] = []  # whose are in their panes
        # Served when no other event waits: what has just been drawn is painted before.
        self._telling = QTimer(self, singleShot=True, interval=0)
        self._telling.timeout.connect(self._tell)
        stage.sessionChanged.connect(self._follow)
        stage.reading.connect(self._on_reading)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "remove_camera": self.remove_selected,
            "bring_back": self.bring_back,
            "next_camera": self.select_next,
        }

    @property
    def view(self) -> FeedView | None:
        """What the selected camera shows; None without a camera."""
        return self.selected.view if self.selected is not None else None

    def show(self, views: Sequence[FeedView]) -> None:
        """Have a row for each of these and no others; rows that stay are kept."""
        before, at = self.panels, self._at(self.selected)
        kept = [panel for panel in before if any(panel.view is view for view in views)]
        for panel in self.panels:
            if panel not in kept:
                panel.stop()
                panel.setParent(None)
                panel.deleteLater()
        known = [panel.view for panel in kept]
        made = [self._make(view) for view in views if not any(view is other for other in known)]
        self.panels = kept + made
        # Of a camera that is gone nobody is told any more: the 3D view would show it again.
        self._asked = [view for view in self._asked if view in known]
        self._drawn = [view for view in self._drawn if view in known]
        self.empty.setVisible(not self.panels)
        for panel in self.panels:
            panel.set_compact(len(self.panels) > 1)
        self.rowsChanged.emit()
        if self.selected not in self.panels:
            self.select(self.panels[min(at, len(self.panels) - 1)] if self.panels else None)
        elif made and kept:
            self.select(made[-1])

    def show_news(self, fresh: Sequence[FeedView]) -> None:
        """Have these drawn; the stage's ``newsShown`` follows once they are on the screen.

        Not before: 3D view and comparisons begin with it, and would take the processor from the
        picture that is on its way.
        """
        for panel in self.panels:
            if panel.view in fresh:
                if panel.view not in self._asked:
                    self._asked.append(panel.view)
                panel.show_news()

    def select(self, panel: FeedPanel | None) -> None:
        """Have everything that concerns one camera follow this one."""
        changed = panel is not self.selected
        self.selected = panel
        for other in self.panels:
            other.set_selected(other is panel)
        if changed:
            self.selectedChanged.emit()

    def select_next(self) -> None:
        """Select the camera of the next row."""
        if self.panels:
            at = self.panels.index(self.selected) if self.selected in self.panels else -1
            self.select(self.panels[(at + 1) % len(self.panels)])

    def stop(self) -> None:
        """End the threads that draw; safe more than once."""
        for panel in self.panels:
            panel.stop()

    def set_rig(self, rig: Rig | None) -> None:
        """Tell where the cameras stand, or that it is not known."""
        self.rig = rig
        self.rigChanged.emit()

    def transform(self, target: FeedView, source: FeedView) -> Extrinsics | None:
        """Return ``T_target_source`` between two cameras; None where it is not known."""
        if self.rig is None:
            return None
        found = [self.rig.find(v.feed.name, v.serial) for v in (target, source)]
        if found[0] is None or found[1] is None:
            return None
        return found[0].pose.inverse() @ found[1].pose

    def remove_selected(self) -> None:
        """Close the selected camera; the others stream on."""
        view = self.view
        if not self._stage.is_running or view is None:
            self._desk.say(tr("No camera to remove."))
        else:
            self._remove(view)

    def bring_back(self) -> None:
        """Open the camera again that was removed last."""
        if not self._removed:
            self._desk.say(tr("No camera was removed."))
            return
        address = self._removed.pop()
        if self._stage.is_running:
            self._stage.add(address)
        else:
            self._stage.open((address,))

    # ---- private -----------------------------------------------------------------------------

    def _remove(self, view: FeedView) -> None:
        feeds = [panel.view.feed for panel in self.panels]
        self._removed.append(self._stage.addresses[feeds.index(view.feed)])
        if len(feeds) == 1:
            self._stage.stop()
        else:
            self._stage.remove(view.feed)
        self._desk.say(tr("{name} was removed", name=view.name), (tr("Undo"), self.bring_back))

    def _at(self, panel: FeedPanel | None) -> int:
        return self.panels.index(panel) if panel in self.panels else 0

    def _follow(self) -> None:
        if self._stage.is_running:
            self.show(self._stage.views)

    def _on_reading(self, addresses: tuple[str, ...]) -> None:
        self.show([])
        self.empty.set_placeholder(tr("reading {addresses}", addresses=", ".join(addresses)))

    def _make(self, view: FeedView) -> FeedPanel:
        panel = FeedPanel(view, self.link)
        panel.retry.connect(lambda: self._stage.retry(view.feed))
        panel.pressed.connect(lambda: self.select(panel))
        panel.drawn.connect(self._stage.bridge.wake)
        panel.drawn.connect(lambda: self._on_drawn(view))
        self.splitter.addWidget(panel)
        return panel

    def _on_drawn(self, view: FeedView) -> None:
        if view in self._asked:
            self._asked.remove(view)
            self._drawn.append(view)
            self._telling.start()

    def _tell(self) -> None:
        drawn, self._drawn = self._drawn, []
        self._stage.newsShown.emit(drawn)
