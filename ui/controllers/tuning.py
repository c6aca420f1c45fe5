"""Saves and loads the selected camera's settings, its make's own presets too."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera
from lingbot_live.cameras.tuning import apply_controls, load_controls, save_controls
from ui.controllers.rows import Rows
from ui.shell.actions import Command
from ui.shell.desk import Desk, show_folder
from ui.shell.language import phrase, tr

_FILES = phrase("Camera settings (*.toml);;All files (*)")
_READ = phrase("Camera settings and presets (*.toml *.json);;All files (*)")


class Tuning:
    """Commands on a file of settings; the SDK is asked on a thread."""

    def __init__(self, desk: Desk, rows: Rows) -> None:
        self._desk, self._rows = desk, rows

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"save_controls": self.ask_and_save, "load_controls": self.ask_and_load}

    def ask_and_save(self) -> None:
        """Ask for a file and write the settings there."""
        if self._camera is None:
            self._desk.say(tr("No camera is open."))
            return
        parent, title = self._desk.widget, tr("Save camera settings")
        path, _ = QFileDialog.getSaveFileName(parent, title, "camera.toml", tr(_FILES))
        if path:
            self.save(Path(path))

    def save(self, path: Path) -> None:
        """Write the settings of the selected camera."""
        camera, desk = self._camera, self._desk
        if camera is None:
            return
        desk.tasks.run(
            "saving settings",
            lambda: save_controls(path, camera.info, camera.controls()),
            lambda count: desk.say(
                tr("{count} settings written to {path}", count=count, path=path), show_folder(path)
            ),
            lambda error: desk.show_error(str(error)),
        )

    def ask_and_load(self) -> None:
        """Ask for a file and set what it says."""
        if self._camera is None:
            self._desk.say(tr("No camera is open."))
            return
        parent = self._desk.widget
        path, _ = QFileDialog.getOpenFileName(parent, tr("Load camera settings"), "", tr(_READ))
        if path:
            self.load(Path(path))

    def load(self, path: Path) -> None:
        """Set the selected camera as a file says."""
        camera, desk = self._camera, self._desk
        if camera is None:
            return

        def set_all() -> tuple[list[str], str]:
            found = load_controls(path, registry.driver(camera.info.driver).preset_keys)
            return apply_controls(camera, found.values), found.remark

        desk.tasks.run(
            "loading settings",
            set_all,
            lambda told: self._tell(path, *told),
            lambda error: desk.show_error(str(error)),
        )

    # ---- private -----------------------------------------------------------------------------

    @property
    def _camera(self) -> Camera | None:
        view = self._rows.view
        return view.feed.camera if view is not None else None

    def _tell(self, path: Path, refused: list[str], remark: str) -> None:
        if refused:
            fix = tr("The other settings of the file hold. {remark}", remark=remark).strip()
            self._desk.show_error("\n".join(refused), fix)
        else:
            self._desk.say(tr("Set as {path} says. {remark}", path=path, remark=remark).strip())
