"""What the Help menu opens: docs, what works here, the log; and a camera's own page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QUrl

from lingbot_live.cameras.controls import Control
from lingbot_live.pipeline.session import Feed
from lingbot_live.system.children import Child
from ui.controllers.rows import Rows
from ui.dialogs.text import DocsDialog, TextDialog
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.log_lines import LogLines

_HOME = "window.md"
_WORDS = {
    "usb": "USB",
    "asic temperature": "ASIC temperature",
    "cpu temperature": "CPU temperature",
}


class Help:
    """Commands that show pages of text. `close` ends the log."""

    def __init__(self, desk: Desk, rows: Rows) -> None:
        self._desk, self._rows = desk, rows
        self.log = LogLines()

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "docs": self.show_docs,
            "doctor": self.examine,
            "log": self.show_log,
            "device": self.show_device,
        }

    def close(self) -> None:
        """Listen to the log no more."""
        self.log.close()

    def show_docs(self) -> None:
        """Open the docs at the page on the window."""
        page = docs_page()
        DocsDialog(QUrl.fromLocalFile(str(page)), self._desk.widget).open()

    def examine(self) -> None:
        """Show what works here and how to mend what does not, as `lingbot-live doctor` does."""
        dialog = TextDialog("What works here", "Looking ... this takes a while.", self._desk.widget)
        gone: list[bool] = []
        dialog.destroyed.connect(lambda: gone.append(True))
        dialog.open()
        self._desk.tasks.run(
            "doctor",
            _doctor,
            lambda text: None if gone else dialog.show_text(text),
            lambda error: None if gone else dialog.show_text(str(error)),
        )

    def show_log(self) -> None:
        """Show what the app and the SDKs said since the start."""
        text = self.log.text or "Nothing was said so far."
        TextDialog("Log", text, self._desk.widget).open()

    def show_device(self) -> None:
        """Show what the selected camera tells of itself; SDKs are asked on a thread."""
        view = self._rows.view
        if view is None or view.feed.camera is None:
            self._desk.say("No camera is open.")
            return
        feed, camera, title = view.feed, view.feed.camera, view.title
        self._desk.tasks.run(
            "asking the device",
            camera.controls,
            lambda controls: self._show_page(title, device_text(feed, controls)),
            lambda error: self._desk.show_error(str(error)),
        )

    def _show_page(self, title: str, text: str) -> None:
        if self._desk.widget.isVisible():
            TextDialog(title, text, self._desk.widget).open()


def docs_page() -> Path:
    """Return the page on the window, in an installed wheel or in a checkout.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    ui = Path(__file__).resolve().parents[1]
    for folder in (ui / "assets" / "docs", ui.parent / "docs"):
        if (folder / _HOME).is_file():
            return folder / _HOME
    raise FileNotFoundError(f"{_HOME} is missing from {ui / 'assets'}; reinstall the app")


def device_text(feed: Feed, controls: Sequence[Control]) -> str:
    """Return model, serial, firmware, USB speed, temperatures and streams, a line each."""
    info = feed.info
    assert info is not None
    lines = [("Model", info.name), ("Serial", info.serial or "not told"), ("Address", info.address)]
    lines += [(_title(name), text) for name, text in info.details.items() if text]
    lines += [
        (_title(control.name.rpartition(".")[2]), f"{control.value} {control.unit}".strip())
        for control in controls
        if control.read_only and "temperature" in control.name
    ]
    lines += [
        (f"{p.stream} stream".capitalize(), f"{p.width}x{p.height} at {p.fps:g} fps  {p.format}")
        for p in info.profiles
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def _title(name: str) -> str:
    words = name.replace("_", " ")
    return _WORDS.get(words, words[:1].upper() + words[1:])


def _doctor() -> str:
    with Child("lingbot_live", "doctor") as child:  # its status 1 is a finding, no failure
        return child.process.communicate()[0].decode(errors="replace")
