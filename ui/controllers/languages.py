"""The choice of the window's language; it holds from the next start."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from ui.shell.desk import Desk
from ui.shell.language import phrase, tr
from ui.shell.spoken import LANGUAGES, said_in

KEY = "language"  # in the settings
LATER = phrase("The window speaks this language from the next start.")


class Languages(QObject):
    """Owns the menu of languages, each under the name that its speakers give it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.widget)
        self._desk = desk
        self.menu = QMenu(tr("Language"), desk.widget)
        self._group = QActionGroup(self)
        for name, own in LANGUAGES.items():
            action = self._add(name, own or tr("As the system"))
            action.setChecked(name == desk.settings.text(KEY))

    def _add(self, name: str, text: str) -> QAction:
        action = self._group.addAction(text)
        action.setCheckable(True)
        action.triggered.connect(lambda _on=False: self.choose(name))
        self.menu.addAction(action)
        return action

    def choose(self, name: str) -> None:
        """Remember a language; what is on the screen stays as it is until the next start."""
        self._desk.settings.set_text(KEY, name)
        self._desk.say(said_in(name, LATER))
