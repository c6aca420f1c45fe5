"""A row of controls that becomes several rows where it is too narrow: nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from ui.shell import theme

_MARGIN_PX, _BETWEEN_PX = theme.GRID_PX, theme.GRID_PX // 2


def together(*parts: QWidget) -> QWidget:
    """Return parts that stand side by side in every width, such as a word and its field."""
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(_BETWEEN_PX)
    for part in parts:
        row.addWidget(part)
    return whole


class FlowBar(QFrame):
    """Lays its parts side by side, then below each other; ``filler`` takes what its row leaves.

    Its height follows from its width at once, and is fixed for whoever lays it out: a layout that
    asked for it by width would make a pane that scrolls as high as it likes to be.
    """

    def __init__(self, *parts: QWidget, filler: QWidget | None = None) -> None:
        super().__init__()
        self._parts, self._filler = parts, filler
        for part in parts:
            part.setParent(self)
        self._arrange()

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        widths = [self._size(part).width() + _MARGIN_PX for part in self._shown()]
        return QSize(sum(widths) + _MARGIN_PX, self.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802, D102
        widest = max((self._size(part).width() for part in self._shown()), default=0)
        return QSize(widest + 2 * _MARGIN_PX, self.height())

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if event.type() == QEvent.Type.LayoutRequest:  # a part came, went or changed its words
            self.updateGeometry()
            self._arrange()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        self._arrange()

    # ---- private -----------------------------------------------------------------------------

    def _shown(self) -> list[QWidget]:
        return [part for part in self._parts if not part.isHidden()]

    def _size(self, part: QWidget) -> QSize:
        hint = part.minimumSizeHint() if part is self._filler else part.sizeHint()
        return hint.expandedTo(part.minimumSize()).boundedTo(part.maximumSize())

    def _rows(self, room_px: int) -> Iterator[list[tuple[QWidget, QSize]]]:
        row: list[tuple[QWidget, QSize]] = []
        taken_px = 0
        for part in self._shown():
            size = self._size(part).boundedTo(QSize(room_px, 1 << 20))
            if row and taken_px + size.width() > room_px:
                yield row
                row, taken_px = [], 0
            row.append((part, size))
            taken_px += size.width() + _MARGIN_PX
        if row:
            yield row

    def _arrange(self) -> None:
        room_px, y = self.width() - 2 * _MARGIN_PX, _BETWEEN_PX
        for row in self._rows(room_px):
            high = max(size.height() for _, size in row)
            taken_px = sum(size.width() + _MARGIN_PX for _, size in row) - _MARGIN_PX
            x = _MARGIN_PX
            for part, size in row:
                wide = size.width() + (room_px - taken_px if part is self._filler else 0)
                part.setGeometry(x, y + (high - size.height()) // 2, wide, size.height())
                x += wide + _MARGIN_PX
            y += high + _BETWEEN_PX
        if y != self.height():
            self.setFixedHeight(y)
