"""The list of cameras in the tool bar follows what is plugged in."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal

from lingbot_live.cameras.discovery import Change, DeviceWatcher
from ui.shell.desk import Desk
from ui.shell.language import tr

Watch = Callable[[Callable[[Change], None]], DeviceWatcher]


class Devices(QObject):
    """Watches from the first `look` until `stop`; the SDKs are asked in a process of their own.

    ``changed`` brings each `Change` from the watcher's thread to the main thread, ``listed`` its
    `Listing` of all there are.
    """

    changed = Signal(object)
    listed = Signal(object)

    def __init__(
        self, desk: Desk, watch: Watch = DeviceWatcher, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._desk = desk
        self._watch = watch
        self._watcher: DeviceWatcher | None = None
        self.changed.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def look(self) -> None:
        """Begin to watch, or look again at once."""
        if self._watcher is None:
            self._watcher = self._watch(self.changed.emit)
            self._watcher.start()
        else:
            self._watcher.refresh()

    def stop(self) -> None:
        """End thread and process; safe more than once."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()

    def _show(self, change: Change) -> None:
        listing = change.listing
        is_first = len(change.appeared) == len(listing.cameras)
        self.listed.emit(listing)
        came = (
            [] if is_first else [tr("{name} is there", name=info.name) for info in change.appeared]
        )
        news = came + [tr("{name} was unplugged", name=info.name) for info in change.vanished]
        if news:
            self._desk.say(", ".join(news))
