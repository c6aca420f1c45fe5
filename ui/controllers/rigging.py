"""Commands on the rig: find, load and save where the cameras stand."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import LingbotLiveError
from ui.cloud.view import CloudView
from ui.controllers.rows import Rows
from ui.shell.actions import Command
from ui.shell.desk import Desk, show_folder
from ui.shell.language import phrase, tr

_FILES = phrase("Rigs (*.toml);;All files (*)")


class Rigging:
    """Holds no rig itself: `ui.controllers.rows.Rows` does, and tells who is concerned."""

    def __init__(self, desk: Desk, rows: Rows, cloud: CloudView) -> None:
        self._desk, self._rows, self._cloud = desk, rows, cloud

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "load_rig": self.ask_and_load,
            "save_rig": self.ask_and_save,
            "forget_rig": self.forget,
        }

    def ask_and_load(self) -> None:
        """Ask for a rig file and use it."""
        path, _ = QFileDialog.getOpenFileName(self._desk.widget, tr("Load rig"), "", tr(_FILES))
        if path:
            self.load(Path(path))

    def load(self, path: Path) -> None:
        """Use a rig file; an error is shown above the pictures."""
        try:
            rig = Rig.load(path)
        except LingbotLiveError as error:
            self._desk.show_error(str(error))
            return
        self.use(rig)
        self._desk.say(tr("Rig of {count} cameras: {path}", count=len(rig.cameras), path=path))

    def ask_and_save(self) -> None:
        """Ask for a file and write the rig in use there."""
        rig = self._rows.rig
        if rig is None:
            self._desk.say(tr("No rig to save: calibrate first."))
            return
        path, _ = QFileDialog.getSaveFileName(
            self._desk.widget, tr("Save rig"), "rig.toml", tr(_FILES)
        )
        if path:
            self.save(rig, Path(path))

    def save(self, rig: Rig, path: Path) -> None:
        """Write a rig; an error is shown above the pictures."""
        try:
            rig.save(path)
        except (OSError, LingbotLiveError) as error:
            self._desk.show_error(tr("{path}: not written: {error}", path=path, error=error))
        else:
            self._desk.say(tr("Rig written to {path}", path=path), show_folder(path))

    def use(self, rig: Rig | None) -> None:
        """Have all panes take the cameras to stand so, and look at them anew."""
        self._rows.set_rig(rig)
        self._cloud.reset_view()

    def forget(self) -> None:
        """Take all cameras to stand in one place again."""
        self.use(None)
