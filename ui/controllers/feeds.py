"""The rows of the window: one panel per camera, and which of them is selected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QSplitter

from lingbot_live.calibration.rig import Rig
from lingbot_live.cameras import registry
from lingbot_live.frame import Extrinsics
from lingbot_live.pipeline.session import Feed
from ui.dialogs.add_camera import AddCamera
from ui.panels.feed_panel import FeedPanel
from ui.shell.bridge import FeedView
from ui.views.image_view import ImageView

if TYPE_CHECKING:
    from ui.main_window import MainWindow


class Feeds(QObject):
    """Commands on single cameras. What concerns one camera alone follows `selected`.

    ``rowsChanged`` is sent when rows came or went, ``selectedChanged`` when another one, or none,
    is selected, ``rigChanged`` when it became known where the cameras stand.
    """

    rigChanged = Signal()  # noqa: N815
    rowsChanged = Signal()  # noqa: N815
    selectedChanged = Signal()  # noqa: N815

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.link = window.link
        self.rig: Rig | None = None  # where the cameras stand, if that is known
        self.empty = ImageView("", window.link, placeholder="Choose a camera and press Start")
        self.rows = QSplitter(Qt.Orientation.Vertical)
        self.rows.setChildrenCollapsible(False)
        self.rows.addWidget(self.empty)
        self.panels: list[FeedPanel] = []
        self.selected: FeedPanel | None = None

    @property
    def view(self) -> FeedView | None:
        """What the selected camera shows; None without a camera."""
        return self.selected.view if self.selected is not None else None

    def show(self, views: Sequence[FeedView]) -> None:
        """Have a row for each of these and no others; rows that stay are kept."""
        kept = [panel for panel in self.panels if any(panel.view is view for view in views)]
        for panel in self.panels:
            if panel not in kept:
                panel.setParent(None)
                panel.deleteLater()
        known = [panel.view for panel in kept]
        made = [self._make(view) for view in views if not any(view is other for other in known)]
        self.panels = kept + made
        self.empty.setVisible(not self.panels)
        for panel in self.panels:
            panel.set_compact(len(self.panels) > 1)
        self.rowsChanged.emit()
        if self.selected not in self.panels:
            self.select(self.panels[0] if self.panels else None)
        elif made and kept:
            self.select(made[-1])

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

    # ---- cameras come and go -----------------------------------------------------------------

    def ask_for_more(self) -> None:
        """Ask for another camera, recording or folder to show below the present ones."""
        dialog = AddCamera(self._window.bar.found, self._window)
        dialog.chosen.connect(self._window.opening.add)
        dialog.open()

    def add(self, address: str) -> None:
        """Stream from one more camera; the present ones stream on."""
        window = self._window
        if not address:
            return
        if window.session is None:
            window.open_address(address)
            return
        if registry.may_have_members(address):  # a session file may hold several cameras
            window.tasks.run(
                "reading a session",
                lambda: [info.address for info in registry.members(address)],
                lambda found: self._add_all(found or [address]),
                lambda error: self._add_all([address]),  # its row will say why
            )
        else:
            self._add_all([address])

    def remove_selected(self) -> None:
        """Close the selected camera; the others stream on."""
        window, view = self._window, self.view
        if window.session is None or view is None:
            window.statusBar().showMessage("No camera to remove.", 5000)
        elif len(self.panels) == 1:
            window.stop()
        else:
            session, feed = window.session, view.feed
            at = next(i for i, other in enumerate(session.feeds) if other is feed)
            window.addresses = (*window.addresses[:at], *window.addresses[at + 1 :])
            window.tasks.run(
                f"closing {feed.name}", lambda: session.remove(feed), lambda _: self._follow()
            )

    def retry(self, feed: Feed) -> None:
        """Open a camera again that failed."""
        session = self._window.session
        if session is not None and feed in session.feeds:
            session.restart(feed)

    # ---- private -----------------------------------------------------------------------------

    def _add_all(self, addresses: list[str]) -> None:
        window = self._window
        if window.session is None:
            return  # stopped meanwhile
        config = window.camera_config
        for address in addresses:
            window.session.add(address, partial(registry.create_camera, address, config))
            window.addresses = (*window.addresses, address)
        self._follow()

    def _follow(self) -> None:
        window = self._window
        if window.session is None:
            return
        window.bridge.follow(window.session)
        window.asked = window.addresses
        self.show(window.bridge.views)
        window.sessionChanged.emit()

    def _make(self, view: FeedView) -> FeedPanel:
        panel = FeedPanel(view, self._window.link)
        panel.retry.connect(lambda: self.retry(view.feed))
        panel.pressed.connect(lambda: self.select(panel))
        self.rows.addWidget(panel)
        return panel
