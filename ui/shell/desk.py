"""What a part of the window may ask of the whole: work beside the main thread, words, memory."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from ui.shell.bridge import Tasks
from ui.shell.language import tr
from ui.shell.notice import News, Notice, Offer
from ui.shell.settings import Settings


class Desk:
    """The window as its parts see it. They never hold the window itself.

    ``widget`` is what dialogs belong to, ``tasks`` run slow calls on threads, ``settings`` are
    what is remembered. `message` stays until it was read, `news` go by themselves.
    """

    def __init__(self, widget: QWidget, settings: Settings, host: QWidget) -> None:
        self.widget = widget
        self.settings = settings
        self.tasks = Tasks(widget)
        self.message = Notice()
        self.news = News(host)

    def say(self, text: str, *offers: Offer) -> None:
        """Tell news that need no answer; they go by themselves."""
        self.news.tell(text, *offers)

    def show_error(self, text: str, fix: str = "") -> None:
        """Tell what went wrong, above the pictures, until the user has read it."""
        self.message.show_error(text, fix, can_retry=False)

    def show_note(self, text: str) -> None:
        """Tell what is good to know, above the pictures, until the user has read it."""
        self.message.show_note(text)

    def offer(self, text: str, *offers: Offer) -> None:
        """Tell good news, above the pictures, with buttons for what may come next."""
        self.message.show_offer(text, *offers)


def show_folder(path: Path) -> Offer:
    """Return the button that shows a folder, or the one that a file lies in."""
    return (tr("Show folder"), lambda: open_path(path if path.is_dir() else path.parent))


def open_file(path: Path) -> Offer:
    """Return the button that opens a file or folder in the program made for it."""
    return (tr("Open"), lambda: open_path(path))


def open_path(path: Path) -> bool:
    """Have the desktop open a file or folder; False where it knows no program for it."""
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
