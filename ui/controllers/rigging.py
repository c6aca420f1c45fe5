"""Commands on the rig: find, load and save where the cameras stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import LingbotLiveError
from ui.dialogs.calibration import CalibrationDialog

if TYPE_CHECKING:
    from ui.main_window import MainWindow

_FILES = "Rigs (*.toml);;All files (*)"


class Rigging:
    """Holds no rig itself: `ui.controllers.feeds.Feeds` does, and tells who is concerned."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.dialog: CalibrationDialog | None = None

    def show_dialog(self) -> None:
        """Open the calibration of the cameras that stream."""
        if self.dialog is None:
            self.dialog = CalibrationDialog(self._window)
            self.dialog.finished.connect(self._forget_dialog)
            self.dialog.show()
        self.dialog.raise_()

    def ask_and_load(self) -> None:
        """Ask for a rig file and use it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Load rig", "", _FILES)
        if path:
            self.load(Path(path))

    def load(self, path: Path) -> None:
        """Use a rig file; an error is shown above the pictures."""
        try:
            rig = Rig.load(path)
        except LingbotLiveError as error:
            self._window.message.show_error(str(error), can_retry=False)
            return
        self.use(rig)
        self._window.statusBar().showMessage(f"Rig of {len(rig.cameras)} cameras: {path}", 8000)

    def ask_and_save(self) -> None:
        """Ask for a file and write the rig in use there."""
        rig = self._window.feeds.rig
        if rig is None:
            self._window.statusBar().showMessage("No rig to save: calibrate first.", 5000)
            return
        path, _ = QFileDialog.getSaveFileName(self._window, "Save rig", "rig.toml", _FILES)
        if path:
            self.save(rig, Path(path))

    def save(self, rig: Rig, path: Path) -> None:
        """Write a rig; an error is shown above the pictures."""
        try:
            rig.save(path)
        except OSError as error:
            self._window.message.show_error(f"{path}: not written: {error}", can_retry=False)
        else:
            self._window.statusBar().showMessage(f"Rig written to {path}", 8000)

    def use(self, rig: Rig | None) -> None:
        """Have all panes take the cameras to stand so, and look at them anew."""
        self._window.feeds.set_rig(rig)
        self._window.cloud.reset_view()

    def forget(self) -> None:
        """Take all cameras to stand in one place again."""
        self.use(None)

    def close(self) -> None:
        """Close the dialog with the window."""
        if self.dialog is not None:
            self.dialog.close()

    def _forget_dialog(self) -> None:
        self.dialog = None
