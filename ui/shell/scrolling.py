"""Room for what may be larger than its place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QWidget


class _Holder(QWidget):
    """Holds content as a scroll area wants it: as large as fits, no smaller than its least size.

    Without it, content with a text that wraps would be as high as it likes to be, and scroll.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        content.setParent(self)

    def sizeHint(self) -> QSize:  # noqa: N802
        return self._content.sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self._content.minimumSizeHint().expandedTo(self._content.minimumSize())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # the content needs more, or less
            self.updateGeometry()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        self._content.resize(event.size())


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
    dock.setWidget(scrolled(_Holder(content), QSize(least_px, 96)))
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    return dock
