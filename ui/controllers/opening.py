"""Ways to choose what is streamed: files, folders, things dropped on the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

from lingbot_live.cameras.base import CameraInfo
from ui.controllers.refining import Refining, is_checkpoint
from ui.controllers.saving import Saving
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.files import RECORDINGS, address_of, short_name
from ui.shell.language import told, tr
from ui.shell.stage import Stage


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Return the local files and folders that are dragged."""
    urls = event.mimeData().urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


class Opening(QObject):
    """Commands that end in another camera on the screen."""

    def __init__(self, stage: Stage, desk: Desk, refining: Refining, saving: Saving) -> None:
        super().__init__(stage)
        self._stage, self._desk = stage, desk
        self._refining, self._saving = refining, saving
        stage.found.connect(self._tell)
        stage.refused.connect(self._tell_refused)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "open_file": self.open_file,
            "open_folder": self.open_folder,
        }

    def open_file(self) -> None:
        """Ask for a recording and play it."""
        settings = self._desk.settings
        start = settings.text("open_folder") or str(self._saving.choices.recordings)
        path, _ = QFileDialog.getOpenFileName(
            self._desk.widget, tr("Open recording"), start, tr(RECORDINGS)
        )
        if path:
            settings.set_text("open_folder", str(Path(path).parent))
            self._stage.propose((path,))

    def open_folder(self) -> None:
        """Ask for a folder of RGB-D pictures and play it."""
        path = QFileDialog.getExistingDirectory(self._desk.widget, tr("Open RGB-D folder"))
        if path:
            self._stage.propose((address_of(Path(path)),))

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Stream from these files and folders, a row each; weights refine instead."""
        if paths and is_checkpoint(paths[0]):
            self._refining.choose(f"lingbot:{paths[0]}")
        elif paths:
            self._stage.propose([address_of(path) for path in paths])

    def _tell_refused(self, text: str) -> None:
        self._desk.show_error(told(text), tr("What was on the screen before goes on."))

    def _tell(self, infos: list[CameraInfo]) -> None:
        """Tell damage, or else what is assumed of other programs' files."""
        asked = ", ".join(map(short_name, self._stage.asked))
        facts = [info.recorded for info in infos if info.recorded is not None]
        damage = dict.fromkeys(text for fact in facts for text in fact.damage)
        if damage:
            self._desk.show_error(
                tr(
                    "{asked}: damaged; what is whole in it is shown. {damage}",
                    asked=asked,
                    damage=told("; ".join(damage)),
                ),
                tr("To make a whole file of it: lingbot-live repair FILE -o NEW.mcap"),
            )
            return
        remarks = dict.fromkeys(text for fact in facts for text in fact.remarks)
        if remarks:
            self._desk.show_note(f"{asked}: {told('; '.join(remarks))}")
