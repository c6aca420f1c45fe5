"""The commands' icons: line drawings in the colour of the text, sharp at every scale."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from ui.shell import theme

_SIZES_PX = (16, 24, 32, 48)  # those of scales 1 to 3
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{color}" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{body}</svg>'
)
# By the keys of `ui.shell.actions.ACTIONS`; `start`, `stop` and `end_record` change with a state.
_BODIES = {
    "start": '<path d="M7 4 20 12 7 20Z"/>',
    "stop": '<rect x="5" y="5" width="14" height="14"/>',
    "open_file": '<path d="M3 19V5h6l2 3h10v11Z"/>',
    "add_camera": '<path d="M12 4v16M4 12h16"/>',
    "models": '<path d="M12 3 20 7.5v9L12 21 4 16.5v-9ZM4 7.500 12 12l8-4.500M12 12v9"/>',
    "as_recorded": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l4 2"/>',
    "record": '<circle cx="12" cy="12" r="7" fill="{color}"/>',
    "end_record": '<rect x="5" y="5" width="14" height="14" fill="{color}"/>',
    "pause_recording": '<path d="M8 5v14M16 5v14"/>',
    "mark": '<path d="M6 21V4h12l-4 4.500 4 4.500H6"/>',
    "snapshot": '<path d="M3 8h4l2-3h6l2 3h4v11H3Z"/><circle cx="12" cy="13" r="3.500"/>',
    "export": '<path d="M12 15V3M7 8l5-5 5 5M4 15v6h16v-6"/>',
    "full_screen": '<path d="M3 9V3h6M15 3h6v6M21 15v6h-6M9 21H3v-6"/>',
    "step_back": '<path d="M19 4 9 12l10 8ZM5 4v16"/>',
    "step_on": '<path d="M5 4 15 12 5 20ZM19 4v16"/>',
    "loop": '<path d="M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5"/>',
}


def icon(name: str) -> QIcon:
    """Return a command's icon in the present theme, a null one where it has none."""
    made = QIcon()
    if name in _BODIES:
        look = theme.current()
        for mode, color in ((QIcon.Mode.Normal, look.text), (QIcon.Mode.Disabled, look.dim)):
            for size in _SIZES_PX:
                made.addPixmap(_draw(_BODIES[name], QColor(color), size), mode)
    return made


def _draw(body: str, color: QColor, size: int) -> QPixmap:
    text = _SVG.replace("{body}", body).replace("{color}", color.name())
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
