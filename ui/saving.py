"""Ways to keep what is on the screen: recordings and snapshots."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.export.cloud import write_ply_in_child
from lingbot_live.export.snapshot import next_folder, write_snapshot
from lingbot_live.recording.format import expand_name

if TYPE_CHECKING:
    from ui.main_window import MainWindow

OUTPUT_FOLDER = Path.home() / "lingbot-live"  # of snapshots and recordings made in the window


class Saving:
    """Commands that write files, on threads of their own."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def toggle_recording(self) -> None:
        """Record the session on the screen into a new file, or end that."""
        window = self._window
        if window.recording.is_active:
            window.recording.stop()
        elif window.session is None:
            window.statusBar().showMessage("Nothing to record: press Start first.", 5000)
        else:
            name = expand_name("{date}_{time}_{camera}", window.addresses[0], datetime.now())
            settings = {
                "refiner": str(window.refining.config),
                "addresses": " ".join(window.addresses),
            }
            window.recording.start(window.session, OUTPUT_FOLDER / name, settings)

    def take_snapshot(self, folder: Path | None = None) -> None:
        """Write the frame on the screen to a folder, on a thread."""
        window = self._window
        view = window.feeds.view
        if view is None or view.refined is None:
            window.statusBar().showMessage("Nothing to write yet: no refined frame.", 5000)
            return
        refined, info = view.refined, view.feed.info
        target = folder or next_folder(OUTPUT_FOLDER)
        scale = window.scale.range
        window.tasks.run(
            "snapshot",
            lambda: write_snapshot(target, refined, info, scale, write_ply_in_child),
            lambda path: window.statusBar().showMessage(f"Snapshot written to {path}", 8000),
            lambda error: window.notice.show_error(str(error), can_retry=False),
        )
