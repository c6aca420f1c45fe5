"""Ways to keep what is on the screen: recordings and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from lingbot_live.colormap import DepthRange
from lingbot_live.errors import ExportError
from lingbot_live.export.cloud import write_ply_in_child
from lingbot_live.export.snapshot import next_folder, write_snapshot
from lingbot_live.pipeline.session import Session
from ui.controllers.recording import RecordControl
from ui.controllers.rows import Rows
from ui.shell.actions import Command
from ui.shell.desk import Desk, show_folder
from ui.shell.files import RecordChoices, folder_or_default
from ui.shell.language import tr
from ui.shell.stage import Stage


class Saving:
    """Commands that write files, on threads of their own."""

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        rows: Rows,
        recording: RecordControl,
        scale: Callable[[], DepthRange],
    ) -> None:
        self._stage, self._desk, self._rows, self._recording = stage, desk, rows, recording
        self._scale = scale
        self.choices = RecordChoices.load(desk.settings)
        recording.written.connect(self._tell_written)
        stage.sessionChanged.connect(self._hold)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "record": self.toggle_recording,
            "snapshot": self.take_snapshot,
        }

    def use(self, choices: RecordChoices) -> None:
        """Record like this from the next time on, and remember it."""
        self.choices = choices
        choices.save(self._desk.settings)
        self._hold()

    def toggle_recording(self) -> None:
        """Record the session on the screen into a new file, or end that."""
        session = self._stage.session
        if self._recording.is_active:
            self._recording.stop()
        elif session is None:
            self._desk.say(tr("Nothing to record: press Start first."))
        else:
            self._start(session)

    def take_snapshot(self, folder: Path | None = None) -> None:
        """Write the frame on the screen to a folder, on a thread."""
        view, desk = self._rows.view, self._desk
        if view is None or view.refined is None:
            desk.say(tr("Nothing to write yet: no refined frame."))
            return
        refined, info, scale = view.refined, view.feed.info, self._scale()
        target = folder or next_folder(folder_or_default(self.choices.snapshots))
        desk.tasks.run(
            "snapshot",
            lambda: write_snapshot(target, refined, info, scale, write_ply_in_child),
            lambda path: desk.say(tr("Snapshot written to {path}", path=path), show_folder(path)),
            lambda error: desk.show_error(str(error)),
        )

    def write_shown(self, folder: Path) -> None:
        """Write the frame on the screen to a folder before this returns.

        Raises:
            ExportError: nothing was refined, or it cannot be written.
        """
        view = self._rows.view
        if view is None or view.refined is None:
            raise ExportError(f"{folder}: no snapshot is written, for no frame was refined")
        write_snapshot(folder, view.refined, view.feed.info, self._scale(), write_ply_in_child)

    def _start(self, session: Session) -> None:
        addresses = self._stage.addresses
        settings = {"refiner": str(self._stage.refiner), "addresses": " ".join(addresses)}
        path = self.choices.path(addresses[0], datetime.now())
        self._recording.start(session, path, settings, self.choices.options())

    def _hold(self) -> None:
        self._recording.hold(self._stage.session, self.choices.options())

    def _tell_written(self, paths: list[Path]) -> None:
        """Tell where a recording lies, with a way to see it."""
        first, more = paths[0], len(paths) - 1
        text = tr("Recording written to {path}", path=first)
        if more:
            text = tr("Recording written to {path} and {count} more", path=first, count=more)
        replay = (tr("Replay"), lambda: self._stage.open((str(first),)))
        self._desk.offer(text, replay, show_folder(first))
