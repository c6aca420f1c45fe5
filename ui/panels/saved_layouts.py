"""Arrangements of the window that the user named, to be had again."""

from __future__ import annotations

import json
from collections.abc import Callable

from PySide6.QtCore import QByteArray, QObject
from PySide6.QtWidgets import QInputDialog, QMenu

from ui.panels.layouts import Layouts
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.language import phrase, tr

_KEY, _LAST = "layouts_named", "layout_last"  # in the settings
_MOST = 20
_FIRST_NAME = phrase("My layout")


class SavedLayouts(QObject):
    """Keeps, brings back and forgets them; ``menu`` lists them by name."""

    def __init__(self, layouts: Layouts, desk: Desk) -> None:
        super().__init__(desk.widget)
        self._layouts, self._desk = layouts, desk
        self.menu = QMenu(tr("Saved layouts"), desk.widget)
        self.menu.aboutToShow.connect(self._fill)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"own_layout": self.show_last, "keep_layout": self.ask_and_keep}

    @property
    def names(self) -> list[str]:
        """Those that are kept, by the alphabet."""
        return sorted(self._kept, key=str.casefold)

    def keep(self, name: str) -> None:
        """Keep the arrangement on the screen under a name, in place of an older one."""
        kept = self._kept
        kept.pop(name, None)
        kept[name] = self._layouts.state
        self._write(dict([*kept.items()][-_MOST:]), name)
        self._desk.say(tr("Layout “{name}” is kept; 5 brings it back.", name=name))

    def show(self, name: str) -> None:
        """Arrange everything as it was kept."""
        state = self._kept.get(name)
        if state is None:
            self._desk.say(tr("No layout is kept yet: Shift+5 keeps the one on the screen."))
        elif not self._layouts.use(state):
            self._desk.say(
                tr("Layout “{name}” is of another version of the app; keep it again.", name=name)
            )
        else:
            self._desk.settings.set_text(_LAST, name)

    def show_last(self) -> None:
        """Bring back the one that was kept or chosen last."""
        self.show(self._desk.settings.text(_LAST))

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        kept = self._kept
        kept.pop(name, None)
        self._write(kept, next(reversed(kept), ""))

    def ask_and_keep(self) -> None:
        """Ask for a name, and keep the arrangement on the screen."""
        dialog = QInputDialog(self._desk.widget)
        dialog.setWindowTitle(tr("Keep this layout"))
        dialog.setLabelText(tr("Its name:"))
        dialog.setComboBoxItems([*self.names] or [_FIRST_NAME])
        dialog.setComboBoxEditable(True)
        dialog.setTextValue(self._desk.settings.text(_LAST) or tr(_FIRST_NAME))
        dialog.textValueSelected.connect(lambda text: self.keep(text.strip() or tr(_FIRST_NAME)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # ---- private -----------------------------------------------------------------------------

    @property
    def _kept(self) -> dict[str, QByteArray]:
        """All of them, the newest last; what is not understood counts as not there."""
        try:
            found = json.loads(self._desk.settings.text(_KEY) or "{}")
        except ValueError:
            return {}
        if not isinstance(found, dict):
            return {}
        return {
            name: QByteArray.fromBase64(QByteArray(text.encode()))
            for name, text in found.items()
            if isinstance(text, str)
        }

    def _write(self, kept: dict[str, QByteArray], last: str) -> None:
        texts = {name: bytes(state.toBase64().data()).decode() for name, state in kept.items()}
        self._desk.settings.set_text(_KEY, json.dumps(texts))
        self._desk.settings.set_text(_LAST, last)

    def _fill(self) -> None:
        self.menu.clear()
        names = self.names
        for name in names:
            self.menu.addAction(name, _calling(self.show, name))
        if not names:
            self.menu.addAction(tr("nothing yet")).setEnabled(False)
            return
        self.menu.addSeparator()
        gone = self.menu.addMenu(tr("Forget"))
        for name in names:
            gone.addAction(name, _calling(self.forget, name))


def _calling(do: Callable[[str], None], name: str) -> Callable[[], None]:
    return lambda: do(name)
