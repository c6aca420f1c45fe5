"""The one tool bar: icons with words where there is room for them, icons alone where not."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import QToolBar, QToolButton, QWidget

from ui.shell.actions import Actions
from ui.shell.language import tr


class ToolRow(QToolBar):
    """Holds what `CameraBar` and `RecordBar` put there; what does not fit lies behind its end."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Tools"), parent)
        self.setObjectName("tools")
        self.setMovable(False)
        self._worded_px = 0  # how wide it is with words
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)

    def add_worded(self, icon: QIcon, tip: str) -> QToolButton:
        """Append a button that keeps its words in every width."""
        button = QToolButton()
        button.setIcon(icon)
        button.setToolTip(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.addWidget(button)
        return button

    def add_buttons(self, actions: Actions, keys: Sequence[str]) -> None:
        """Append buttons for commands."""
        for key in keys:
            self.addAction(actions[key])
            button = self.widgetForAction(actions[key])
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAccessibleName(actions[key].text())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        self._choose_style()
        super().resizeEvent(event)

    def event(self, event: QEvent) -> bool:  # noqa: D102
        taken = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:  # a part came, went or changed its words
            self._choose_style()
        return taken

    def _choose_style(self) -> None:
        styles = Qt.ToolButtonStyle
        if self.toolButtonStyle() is styles.ToolButtonTextBesideIcon:
            self._worded_px = self.sizeHint().width()
        fits = self._worded_px <= self.width()
        wanted = styles.ToolButtonTextBesideIcon if fits else styles.ToolButtonIconOnly
        if wanted is not self.toolButtonStyle():
            self.setToolButtonStyle(wanted)
