"""The command to export: proposes what is on the screen, owns the dialogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ui.dialogs.export import ExportDialog, ExportInput
    from ui.main_window import MainWindow


class Exporting:
    """Opens the dialog; `stop` ends an export when the window closes."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.dialog: ExportDialog | None = None

    def ask(self) -> None:
        """Let the user choose a format for the recording on the screen, or another one."""
        from ui.dialogs.export import ExportDialog

        if self.dialog is None:
            window = self._window
            dialog = self.dialog = ExportDialog(
                self._proposal(), window.settings, window.tasks, window
            )
            dialog.finished.connect(self._forget)
            dialog.show()
        self.dialog.raise_()

    def stop(self) -> None:
        """Cancel what runs and close."""
        if self.dialog is not None:
            self.dialog.close()

    def _forget(self) -> None:
        self.dialog = None

    def _proposal(self) -> ExportInput:
        from ui.dialogs.export import ExportInput

        window = self._window
        lead = window.replay.lead
        if lead is None:
            return ExportInput()
        names = [address.partition(".mcap#")[2] for address in window.addresses]
        return ExportInput(
            window.asked[0],
            tuple(names) if len(names) > 1 and all(names) else (),
            window.actions_["as_recorded"].isVisible(),
            lead.frame,
        )
