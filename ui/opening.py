"""Ways to choose what is streamed: files, folders, cameras found, things dropped on the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

from lingbot_live import registry
from lingbot_live.errors import DriverUnavailableError
from ui.refining import is_checkpoint

if TYPE_CHECKING:
    from ui.main_window import MainWindow

_RECORDINGS = "Recordings (*.bag *.db3 *.mkv *.mcap);;All files (*)"


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Return the local files and folders that are dragged."""
    urls = event.mimeData().urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


class Opening:
    """Commands that end in another camera on the screen."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def open_file(self) -> None:
        """Ask for a recording and play it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Open recording", "", _RECORDINGS)
        self._window.open_address(path)

    def open_folder(self) -> None:
        """Ask for a folder of RGB-D pictures and play it."""
        path = QFileDialog.getExistingDirectory(self._window, "Open RGB-D folder")
        self._window.open_address(f"folder:{path}" if path else "")

    def find_cameras(self) -> None:
        """Look for cameras on a thread and list them."""
        self._window.tasks.run(
            "looking for cameras", registry.discover, lambda r: self._list(r[0], r[1])
        )

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Stream from the first of these files and folders, or refine with it if it is weights."""
        if not paths:
            return
        if is_checkpoint(paths[0]):
            self._window.refining.choose(f"lingbot:{paths[0]}")
        else:
            self._window.open_address(f"folder:{paths[0]}" if paths[0].is_dir() else str(paths[0]))

    def _list(self, found: list, why: dict[str, DriverUnavailableError]) -> None:  # type: ignore[type-arg]
        self._window.bar.show_cameras(found)
        if why:
            self._window.bar.camera_box.setToolTip("\n".join(str(error) for error in why.values()))
