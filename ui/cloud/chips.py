"""Switches for the cameras' clouds: one numbered button each, in the camera's colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from ui.shell import theme
from ui.shell.language import tr

_ICON_PX = 12


@dataclass(frozen=True, slots=True)
class Chip:
    """What a button says of its camera."""

    slot: int
    title: str  # number and name
    color: QColor
    note: str = ""  # such as that nobody knows where it stands


class CameraChips(QWidget):
    """Shows nothing for a single camera. ``changed`` is sent when a cloud is switched."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[int, QToolButton] = {}
        self._chips: tuple[Chip, ...] = ()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(theme.GRID_PX // 2)
        self._row.addStretch(1)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Button)
        self.hide()

    def show_chips(self, chips: Sequence[Chip]) -> None:
        """Have a button for each of these; switches of cameras that stay are kept."""
        if tuple(chips) == self._chips:
            return
        self._chips = tuple(chips)
        for slot in [slot for slot in self.buttons if all(chip.slot != slot for chip in chips)]:
            self.buttons.pop(slot).deleteLater()
        for chip in chips:
            self._update(self.buttons.get(chip.slot) or self._make(chip.slot), chip)
        self.setVisible(len(chips) > 1)

    def is_on(self, slot: int) -> bool:
        """Whether a camera's cloud is to be seen."""
        return slot not in self.buttons or self.buttons[slot].isChecked()

    def _make(self, slot: int) -> QToolButton:
        button = QToolButton()
        button.setCheckable(True)
        button.setChecked(True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.toggled.connect(lambda _on: self.changed.emit())
        self.buttons[slot] = button
        self._row.insertWidget(self._row.count() - 1, button)
        return button

    def _update(self, button: QToolButton, chip: Chip) -> None:
        patch = QPixmap(_ICON_PX, _ICON_PX)
        patch.fill(chip.color)
        button.setIcon(QIcon(patch))
        button.setText(f"{chip.slot + 1}{'?' if chip.note else ''}")
        button.setAccessibleName(tr("Cloud of {title}", title=chip.title))
        button.setToolTip(tr("Show the cloud of {title}{note}", title=chip.title, note=chip.note))
