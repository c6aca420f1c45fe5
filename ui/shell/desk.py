"""What a part of the window may ask of the whole: work beside the main thread, words, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtWidgets import QWidget

from ui.shell.bridge import Tasks
from ui.shell.settings import Settings


class Desk(Protocol):
    """The window as its parts see it. They never hold the window itself."""

    @property
    def tasks(self) -> Tasks:
        """Runs slow calls on threads."""

    @property
    def settings(self) -> Settings:
        """What is remembered."""

    @property
    def widget(self) -> QWidget:
        """What dialogs belong to."""

    def say(self, text: str) -> None:
        """Tell news that need no answer; they go by themselves."""

    def show_error(self, text: str, fix: str = "") -> None:
        """Tell what went wrong, until the user has read it."""

    def show_note(self, text: str) -> None:
        """Tell what is good to know, until the user has read it."""

    def offer(self, text: str, button: str, do: Callable[[], object]) -> None:
        """Tell good news, with a button for what may come next."""
