"""Ways to keep what is on the screen: recordings and snapshots."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from lingbot_live.export.cloud import write_ply_in_child
from lingbot_live.export.snapshot import next_folder, write_snapshot
from ui.dialogs.record_options import RecordChoices, RecordOptionsDialog, folder_or_default

if TYPE_CHECKING:
    from lingbot_live.pipeline.session import Session
    from ui.main_window import MainWindow


class Saving:
    """Commands that write files, on threads of their own."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.choices = RecordChoices.load(window.settings)

    def choose_options(self) -> None:
        """Let the user say where recordings go and how they are written."""
        camera = self._window.addresses[0] if self._window.addresses else "camera"
        dialog = RecordOptionsDialog(self.choices, camera, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self.use)
        dialog.open()

    def use(self, choices: RecordChoices) -> None:
        """Record like this from the next time on, and remember it."""
        self.choices = choices
        choices.save(self._window.settings)

    def toggle_recording(self) -> None:
        """Record the session on the screen into a new file, or end that."""
        window = self._window
        if window.recording.is_active:
            window.recording.stop()
        elif window.session is None:
            window.statusBar().showMessage("Nothing to record: press Start first.", 5000)
        else:
            self._start(window.session)

    def _start(self, session: Session) -> None:
        window = self._window
        settings = {
            "refiner": str(window.refining.running),
            "addresses": " ".join(window.addresses),
        }
        path = self.choices.path(window.addresses[0], datetime.now())
        window.recording.start(session, path, settings, self.choices.options())

    def show_written(self, paths: list[Path]) -> None:
        """Tell where a recording lies, with a way to see it."""
        first, more = paths[0], len(paths) - 1
        text = f"Recording written to {first}" + (f" and {more} more" if more else "")
        message = self._window.message
        message.show_offer(text, "Replay", lambda: self._window.open_address(str(first)))

    def take_snapshot(self, folder: Path | None = None) -> None:
        """Write the frame on the screen to a folder, on a thread."""
        window = self._window
        view = window.feeds.view
        if view is None or view.refined is None:
            window.statusBar().showMessage("Nothing to write yet: no refined frame.", 5000)
            return
        refined, info = view.refined, view.feed.info
        target = folder or next_folder(folder_or_default(self.choices.snapshots))
        scale = window.scale.range
        window.tasks.run(
            "snapshot",
            lambda: write_snapshot(target, refined, info, scale, write_ply_in_child),
            lambda path: window.statusBar().showMessage(f"Snapshot written to {path}", 8000),
            lambda error: window.message.show_error(str(error), can_retry=False),
        )
