"""What the Help menu opens: docs, what works here, the log; and a camera's own page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QMessageBox

from lingbot_live import __version__
from lingbot_live.cameras.controls import Control
from lingbot_live.pipeline.session import Feed
from lingbot_live.system.children import Child
from ui.controllers.rows import Rows
from ui.dialogs.text import DocsDialog, TextDialog
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.language import phrase, told, tr
from ui.shell.log_lines import LogLines

_HOME = "window.md"
_WORDS = {
    "usb": phrase("USB"),
    "asic temperature": phrase("ASIC temperature"),
    "cpu temperature": phrase("CPU temperature"),
    "temperature": phrase("Temperature"),
}


_STREAMS = {
    "color": phrase("Color stream"), "depth": phrase("Depth stream"),
    "infrared": phrase("Infrared stream"),
}  # fmt: skip


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
            "about": self.show_about,
        }

    def close(self) -> None:
        """Listen to the log no more."""
        self.log.close()

    def show_about(self) -> None:
        """Show what this is, and its version."""
        QMessageBox.about(
            self._desk.widget,
            tr("About lingbot-live"),
            tr(
                "lingbot-live {version}\n\nStream RGB-D cameras, refine their depth "
                "live, record and compare. Apache-2.0.",
                version=__version__,
            ),
        )

    def show_docs(self) -> None:
        """Open the docs at the page on the window."""
        page = docs_page()
        DocsDialog(QUrl.fromLocalFile(str(page)), self._desk.widget).open()

    def examine(self) -> None:
        """Show what works here and how to mend what does not, as `lingbot-live doctor` does."""
        dialog = TextDialog(
            tr("What works here"), tr("Looking ... this takes a while."), self._desk.widget
        )
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
        text = self.log.text or tr("Nothing was said so far.")
        TextDialog(tr("Log"), text, self._desk.widget).open()

    def show_device(self) -> None:
        """Show what the selected camera tells of itself; SDKs are asked on a thread."""
        view = self._rows.view
        if view is None or view.feed.camera is None:
            self._desk.say(tr("No camera is open."))
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
    lines = [
        (tr("Model"), info.name),
        (tr("Serial"), info.serial or tr("not told")),
        (tr("Address"), info.address),
    ]
    lines += [(_title(name), text) for name, text in info.details.items() if text]
    lines += [
        (_title(control.name.rpartition(".")[2]), f"{control.value} {control.unit}".strip())
        for control in controls
        if control.read_only and "temperature" in control.name
    ] or [(tr("Temperature"), tr("not told"))]
    lines += [
        (
            tr(_STREAMS[p.stream]) if p.stream in _STREAMS else _title(p.stream),
            tr(
                "{width}x{height} at {fps:g} fps  {format}",
                width=p.width,
                height=p.height,
                fps=p.fps,
                format=p.format,
            ),
        )
        for p in info.profiles
    ]
    width = max(_cells(name) for name, _ in lines)
    return "\n".join(f"{name}{' ' * (width - _cells(name))}  {text}" for name, text in lines)


def _cells(text: str) -> int:
    """Return the width of a text in cells of a terminal's font, in which Chinese takes two."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _title(name: str) -> str:
    words = name.replace("_", " ")
    found = _WORDS.get(words)
    return tr(found) if found else told(words[:1].upper() + words[1:])


def _doctor() -> str:
    with Child("lingbot_live", "doctor") as child:  # its status 1 is a finding, no failure
        return child.process.communicate()[0].decode(errors="replace")
