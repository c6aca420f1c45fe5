"""Raw against refined in one picture: what changed, by how much, or a wipe between them."""

from __future__ import annotations

import time
from enum import Enum

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from lingbot_live.colormap import INVALID_RGB, DepthRange, colorize, colorize_signed
from lingbot_live.frame import ColorImage, DepthMap, Frame, RefinedFrame
from lingbot_live.metrics import Change, change_map
from ui import theme
from ui.image_view import ImageView
from ui.readout import Reading, millimetres, reading
from ui.view_link import ViewLink

# Slower than the stream on purpose: a detail view must not cost the live ones their rate.
_PERIOD_S = 0.1
_LIMIT_M = 0.05  # where the colours of the signed difference end

_CHANGE_RGB = {
    Change.INVALID: INVALID_RGB,
    Change.KEPT: (96, 102, 110),
    Change.CHANGED: (242, 163, 58),
    Change.FILLED: (76, 154, 255),
}
_CHANGE_TABLE = np.array([_CHANGE_RGB[kind] for kind in Change], np.uint8)


class Mode(str, Enum):
    """What the pane shows."""

    CHANGE = "Kept, changed, filled"
    DIFFERENCE = "Difference"
    WIPE = "Wipe: raw | refined"


class CompareView(QWidget):
    """A linked picture comparing raw and refined depth of one feed."""

    def __init__(self, link: ViewLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = ImageView("", link)
        self.image.set_readout(self._readout)
        self.mode_box = QComboBox()
        self.mode_box.addItems([mode.value for mode in Mode])
        self.mode_box.currentIndexChanged.connect(self._refresh)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        row = QHBoxLayout()
        row.setContentsMargins(theme.GRID_PX, theme.GRID_PX // 2, theme.GRID_PX, theme.GRID_PX // 2)
        row.addWidget(self.mode_box)
        row.addWidget(self.legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self.image, 1)
        link.cursorChanged.connect(self._on_cursor)
        self._link = link
        self._scale, self._colormap = DepthRange(), "viridis"
        self._refined: RefinedFrame | None = None
        self._due_s = 0.0

    @property
    def mode(self) -> Mode:
        """What the pane shows now."""
        return list(Mode)[self.mode_box.currentIndex()]

    def set_mode(self, mode: Mode) -> None:
        """Show another comparison."""
        self.mode_box.setCurrentIndex(list(Mode).index(mode))

    def set_scale(self, scale: DepthRange, colormap: str) -> None:
        """Colour the wipe as the depth views."""
        self._scale, self._colormap = scale, colormap
        self._refresh()

    def show_frame(self, refined: RefinedFrame) -> None:
        """Take a new result; drawn at most ten times a second, and only while visible."""
        self._refined = refined
        if self.isVisible() and time.monotonic() >= self._due_s:
            self._refresh()

    # ---- private ---------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self._refined is None:
            return
        self._due_s = time.monotonic() + _PERIOD_S
        frame = self._refined.frame
        if self.mode is Mode.CHANGE:
            self.image.set_title("Kept, changed, filled")
            self.legend.setText(_change_legend())
            self.image.set_image(_CHANGE_TABLE[change_map(frame.depth_m, self._refined.depth_m)])
        elif self.mode is Mode.DIFFERENCE:
            base_m, words = _base(frame)
            self.image.set_title(f"Refined minus {words}")
            self.legend.setText(_difference_legend(words))
            both = (base_m > 0) & (self._refined.depth_m > 0)
            self.image.set_image(colorize_signed(self._refined.depth_m - base_m, both, _LIMIT_M))
        else:
            self.image.set_title("Raw left, refined right of the cross-hair")
            self.legend.setText("")
            self.image.set_image(self._wiped(frame, self._refined.depth_m))

    def _wiped(self, frame: Frame, refined_m: DepthMap) -> ColorImage:
        width = refined_m.shape[1]
        place = self._link.cursor
        column = width // 2 if place is None else int(place.x() * width)
        mixed = refined_m.copy()
        mixed[:, :column] = frame.depth_m[:, :column]
        rgb = colorize(mixed, self._scale, self._colormap)
        rgb[:, max(0, column - 1) : column + 1] = 255
        return rgb

    def _on_cursor(self) -> None:
        if self.mode is Mode.WIPE and self.isVisible():
            self._refresh()

    def _readout(self, x: int, y: int) -> str:
        if self._refined is None:
            return ""
        at = reading(self._refined.frame, self._refined, x, y)
        return _signed_text(at) if self.mode is Mode.DIFFERENCE else at.refined_text


def _base(frame: Frame) -> tuple[DepthMap, str]:
    return (frame.depth_m, "raw") if frame.reference_m is None else (frame.reference_m, "truth")


def _signed_text(at: Reading) -> str:
    if at.reference_m is not None and at.refined_m is not None:
        return f"{millimetres((at.refined_m - at.reference_m) * 1000)} to truth"
    return "" if at.difference_mm is None else millimetres(at.difference_mm)


def _change_legend() -> str:
    names = {kind: kind.name.lower() for kind in Change}
    return "&nbsp;&nbsp;".join(
        f"<span style='color:rgb{rgb}'>■</span> {names[kind]}"
        for kind, rgb in _CHANGE_RGB.items()
        if kind is not Change.INVALID
    )


def _difference_legend(words: str) -> str:
    ends = np.array([[-_LIMIT_M, _LIMIT_M]], np.float32)
    near, far = colorize_signed(ends, np.ones_like(ends, bool), _LIMIT_M)[0].tolist()
    limit_mm = round(_LIMIT_M * 1000)
    return (
        f"<span style='color:rgb{tuple(near)}'>■</span> {limit_mm} mm nearer than {words}"
        f"&nbsp;&nbsp;<span style='color:rgb{tuple(far)}'>■</span> {limit_mm} mm farther"
    )
