"""Ways to choose what is streamed: files, folders, cameras found, things dropped on the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.system.worker import Worker
from ui.controllers.refining import is_checkpoint

if TYPE_CHECKING:
    from ui.main_window import MainWindow

CLOSE_S = 15.0  # the longest that an SDK is waited for
RECORDINGS = "Recordings (*.bag *.db3 *.mkv *.mcap);;All files (*)"


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Return the local files and folders that are dragged."""
    urls = event.mimeData().urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def _members(address: str) -> list[CameraInfo]:
    return registry.members(address) if registry.may_have_members(address) else []


class Opening:
    """Commands that end in another camera on the screen."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._asked: tuple[str, ...] = ()

    def open(self, addresses: tuple[str, ...]) -> None:
        """Stream from these, from all cameras of those that are session files."""
        self._asked = addresses
        if not any(map(registry.may_have_members, addresses)):
            self._stream(addresses, [])
            return
        window = self._window
        window.bridge.follow(None)
        window.feeds.show([])
        window.feeds.empty.set_placeholder(f"reading {', '.join(addresses)}")
        window.tasks.run(
            "reading sessions",
            lambda: [_members(address) for address in addresses],
            lambda found: self._stream(addresses, found),
            lambda error: self._stream(addresses, []),  # the pane will say why
        )

    def _stream(self, asked: tuple[str, ...], found: list[list[CameraInfo]]) -> None:
        if asked is not self._asked:
            return  # something else was opened meanwhile
        infos = [info for members in found for info in members]
        self._window.refining.offer_recorded(
            any(i.details.get("refined", "0") != "0" for i in infos)
        )
        by_address = zip(asked, found or [[] for _ in asked], strict=True)
        self._window.addresses = tuple(
            a for one, group in by_address for a in ([i.address for i in group] or [one])
        )
        self._window.start()
        damage = {info.details["damage"] for info in infos if "damage" in info.details}
        if damage:
            self._window.message.show_error(
                f"{', '.join(asked)}: damaged; what is whole in it is shown. {'; '.join(damage)}",
                "To make a whole file of it: lingbot-live repair FILE -o NEW.mcap",
                can_retry=False,
            )
            return
        remarks = {info.details["remarks"] for info in infos if "remarks" in info.details}
        if remarks:
            self._window.message.show_note(f"{', '.join(asked)}: {'; '.join(remarks)}")

    def add(self, address: str) -> None:
        """Stream from one more camera, or from all cameras of a session file."""
        window = self._window
        if window.session is None or not registry.may_have_members(address):
            window.feeds.add(address)
            return
        window.tasks.run(
            "reading a session",
            lambda: _members(address),
            lambda infos: self._add_members(address, infos),
            lambda error: window.feeds.add(address),  # its row will say why
        )

    def _add_members(self, address: str, infos: list[CameraInfo]) -> None:
        for info in infos:
            self._window.feeds.add(info.address)
        if any(info.details.get("refined", "0") != "0" for info in infos):
            self._window.actions_["as_recorded"].setVisible(True)

    def open_file(self) -> None:
        """Ask for a recording and play it."""
        settings = self._window.settings
        start = settings.text("open_folder") or str(self._window.saving.choices.recordings)
        path, _ = QFileDialog.getOpenFileName(self._window, "Open recording", start, RECORDINGS)
        if path:
            settings.set_text("open_folder", str(Path(path).parent))
        self._window.open_address(path)

    def open_folder(self) -> None:
        """Ask for a folder of RGB-D pictures and play it."""
        path = QFileDialog.getExistingDirectory(self._window, "Open RGB-D folder")
        self._window.open_address(f"folder:{path}" if path else "")

    def find_cameras(self) -> None:
        """Watch which cameras are attached from now on; look at once if that is so already."""
        self._window.devices.look()

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Stream from these files and folders, a row each; weights refine instead."""
        if paths and is_checkpoint(paths[0]):
            self._window.refining.choose(f"lingbot:{paths[0]}")
        elif paths:
            self._window.open_addresses(
                tuple(f"folder:{path}" if path.is_dir() else str(path) for path in paths)
            )


def after(closer: Worker | None, create: Callable[[], Camera]) -> Callable[[], Camera]:
    """Have a camera made once the session before let go of it, for it may be the same one."""

    def make() -> Camera:
        if closer is not None:
            closer.join(CLOSE_S)
        return create()

    return make
