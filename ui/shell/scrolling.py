"""Room for what may be larger than its place."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QWidget


def scrolled(content: QWidget, least: QSize) -> QScrollArea:
    """Return content in what scrolls where it is larger: nothing is squeezed, no window grows."""
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setMinimumSize(least)
    return area


def docked(
    window: QMainWindow, title: str, name: str, content: QWidget, least_px: int = 240
) -> QDockWidget:
    """Return a dock at the window's bottom with content that scrolls; `name` is remembered."""
    dock = QDockWidget(title, window)
    dock.setObjectName(name)
    dock.setWidget(scrolled(content, QSize(least_px, 96)))
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    return dock
