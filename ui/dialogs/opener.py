"""Opens every dialog, with what it needs of the window; closes those that stay open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox

from lingbot_live.cameras.discovery import Listing
from lingbot_live.cameras.places import split_target
from ui.controllers.refining import Refining
from ui.controllers.replay import Replay
from ui.controllers.rigging import Rigging
from ui.controllers.rows import Rows
from ui.controllers.saving import Saving
from ui.dialogs.add_camera import AddCamera
from ui.dialogs.calibration import CalibrationDialog
from ui.dialogs.export import ExportDialog, ExportInput
from ui.dialogs.models import ModelsDialog
from ui.dialogs.record_options import RecordOptionsDialog
from ui.dialogs.refine import RefineDialog
from ui.dialogs.report import ReportDialog, ReportWishes
from ui.dialogs.sessions import SessionsDialog
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage


class Dialogs:
    """Commands that ask before they do. `export` and `calibration` stay open beside the window."""

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        rows: Rows,
        refining: Refining,
        rigging: Rigging,
        saving: Saving,
        replay: Replay,
    ) -> None:
        self._stage, self._desk, self._rows = stage, desk, rows
        self._refining, self._rigging, self._saving, self._replay = (
            refining, rigging, saving, replay,
        )  # fmt: skip
        self.listing = Listing()  # the cameras found
        self.export: ExportDialog | None = None
        self.refining: RefineDialog | None = None
        self.calibration: CalibrationDialog | None = None
        refining.modelsWanted.connect(self.show_models)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "add_camera": self.add_camera,
            "models": self.show_models,
            "record_options": self.choose_recording,
            "export": self.show_export,
            "refine_recording": self.ask_and_refine,
            "calibrate": self.show_calibration,
            "sessions": self.show_sessions,
        }

    def keep_listing(self, listing: Listing) -> None:
        """Offer these cameras from now on."""
        self.listing = listing

    def add_camera(self) -> None:
        """Ask for another camera, recording or folder to show below the present ones."""
        dialog = AddCamera(self.listing.cameras, self._desk.widget)
        dialog.chosen.connect(self._stage.add)
        dialog.open()

    def show_models(self) -> None:
        """Open the list of LingBot-Depth's weights."""
        dialog = ModelsDialog(self._desk.tasks, self._desk.widget)
        dialog.chosen.connect(lambda name: self._refining.choose(f"lingbot:{name}"))
        dialog.open()

    def choose_recording(self) -> None:
        """Let the user say where recordings go and how they are written."""
        camera = self._stage.addresses[0] if self._stage.addresses else "camera"
        dialog = RecordOptionsDialog(self._saving.choices, camera, self._desk.widget)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self._saving.use)
        dialog.open()

    def make_report(self, roi_percent: float, distance_m: float) -> None:
        """Compare the cameras on the screen at length and write a page."""
        if not self._stage.addresses:
            self._desk.say(tr("Nothing to compare: press Start first."))
            return
        panels = self._rows.panels
        has_truth = bool(panels) and all(panel.view.knows_truth for panel in panels)
        refiner = str(self._refining.config)
        wishes = ReportWishes(refiner, f"{roi_percent:g}%", distance_m, has_truth)
        dialog = ReportDialog(self._stage, self._desk, wishes)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_export(self) -> None:
        """Let the user choose a format for the recording on the screen, or another one."""
        if self.export is None:
            desk = self._desk
            self.export = ExportDialog(self._proposal(), desk.settings, desk.tasks, desk.widget)
            self.export.finished.connect(self._forget_export)
            self.export.show()
        self.export.raise_()

    def ask_and_refine(self) -> None:
        """Ask for a new file, and refine the recording on the screen into it."""
        source = self._session_file()
        if source is None:
            self._desk.say(tr("Open a session file first; other recordings are recorded into one."))
            return
        start = str(source.with_name(f"{source.stem}_refined.mcap"))
        text, _ = QFileDialog.getSaveFileName(
            self._desk.widget, tr("Refine this recording"), start, tr("Sessions (*.mcap)")
        )
        if text:
            self.refine(source, Path(text))

    def refine(self, source: Path, output: Path) -> None:
        """Refine a session file into a new one with the chosen refiner."""
        self.refining = RefineDialog(source, output, self._refining.config, self._stage, self._desk)
        self.refining.finished.connect(self._forget_refining)
        self.refining.show()

    def show_sessions(self) -> None:
        """Browse the sessions of the folder that recordings go to, and open one."""
        dialog = SessionsDialog(self._saving.choices.folder, self._desk)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(lambda path: self._stage.open((path,)))
        dialog.open()

    def show_calibration(self) -> None:
        """Open the calibration of the cameras that stream."""
        if self.calibration is None:
            self.calibration = CalibrationDialog(self._stage, self._desk, self._rows, self._rigging)
            self.calibration.finished.connect(self._forget_calibration)
            self.calibration.show()
        self.calibration.raise_()

    def works(self) -> list[str]:
        """Say what runs in them that closing would end; a recording is not among it."""
        found = []
        if self.export is not None and self.export.job is not None:
            found.append(tr("An export runs, and nothing is left of it if it is stopped"))
        if self.refining is not None and not self.refining.is_over:
            found.append(tr("A recording is being refined, which goes on the next time"))
        if self.calibration is not None and self.calibration.is_looking:
            found.append(tr("The views of the board found so far are not kept"))
        return found

    def close(self) -> None:
        """Close those that are open; what they run is cancelled."""
        for dialog in (self.export, self.refining, self.calibration):
            if dialog is not None:
                dialog.close()

    # ---- private -----------------------------------------------------------------------------

    def _session_file(self) -> Path | None:
        views = [panel.view for panel in self._rows.panels]
        infos = [view.feed.info for view in views if view.feed.info is not None]
        sessions = [info.target for info in infos if info.driver == "session"]
        return split_target(sessions[0])[0] if sessions else None

    def _forget_refining(self) -> None:
        self.refining = None

    def _forget_export(self) -> None:
        self.export = None

    def _forget_calibration(self) -> None:
        self.calibration = None

    def _proposal(self) -> ExportInput:
        lead = self._replay.lead
        if lead is None:
            return ExportInput()
        names = [split_target(a.partition(":")[2])[1] for a in self._stage.addresses]
        return ExportInput(
            self._stage.asked[0],
            tuple(names) if len(names) > 1 and all(names) else (),
            self._refining.has_recorded,
            lead.frame,
            self._replay.range,
        )


def may_lose(works: Sequence[str]) -> bool:
    """Ask whether to close although these go on; True where the user agrees."""
    question = QMessageBox(
        QMessageBox.Icon.Question,
        "lingbot-live",
        tr("{works}. Close nevertheless?", works=tr("; ").join(works)),
    )
    close = question.addButton(tr("Close"), QMessageBox.ButtonRole.DestructiveRole)
    stay = question.addButton(tr("Go on"), QMessageBox.ButtonRole.RejectRole)
    question.setDefaultButton(stay)
    question.setEscapeButton(stay)
    question.exec()
    return question.clickedButton() is close
