"""The colour bar that all depth views share: its range, its colours, automatic or fixed."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QColor,
    QContextMenuEvent,
    QIcon,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QBoxLayout,
    QDoubleSpinBox,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from lingbot_live.colormap import NAMES, DepthRange, auto_range, table
from lingbot_live.frame import DepthMap
from ui.shell import theme
from ui.shell.language import phrase, tr

PRESETS = {
    phrase("Table, 0.2 to 1 m"): DepthRange(0.2, 1.0),
    phrase("Room, 0.3 to 4 m"): DepthRange(0.3, 4.0),
    phrase("Hall, 0.5 to 10 m"): DepthRange(0.5, 10.0),
}
_MIN_SPAN_M = 0.05
_MAX_M = 100.0
_EASE = 0.2  # share of the way that the automatic range goes at each frame


def limited(near_m: float, far_m: float) -> DepthRange:
    """Return the range nearest to what was asked for that can be shown."""
    near_m = min(max(near_m, 0.0), _MAX_M - _MIN_SPAN_M)
    return DepthRange(near_m, min(max(far_m, near_m + _MIN_SPAN_M), _MAX_M))


class ColorBar(QWidget):
    """The bar itself with ticks in metres. Drag an end to move it, the middle to move both."""

    rangeDragged = Signal(object)  # noqa: N815  DepthRange

    def __init__(self, orientation: Qt.Orientation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.range = DepthRange()
        self.colormap = NAMES[0]
        self._orientation = orientation
        self._grab: tuple[QPointF, DepthRange, float] | None = None
        long = QSizePolicy.Policy.Expanding
        if self._is_horizontal:
            self.setSizePolicy(long, QSizePolicy.Policy.Fixed)
            self.setCursor(Qt.CursorShape.SizeHorCursor)
        else:
            self.setSizePolicy(QSizePolicy.Policy.Fixed, long)
            self.setCursor(Qt.CursorShape.SizeVerCursor)
        self.setToolTip(
            tr("Drag an end to move it, the middle to move both; wheel: wider, narrower")
        )

    @property
    def _thick(self) -> int:
        return max(2 * theme.GRID_PX, self.fontMetrics().height() - theme.GRID_PX)

    @property
    def _is_horizontal(self) -> bool:
        return self._orientation == Qt.Orientation.Horizontal

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        text = self.fontMetrics()
        if self._is_horizontal:
            return QSize(240, self._thick + text.height())
        return QSize(self._thick + text.horizontalAdvance("00.00") + theme.GRID_PX, 240)

    def minimumSizeHint(self) -> QSize:  # noqa: N802, D102
        hint = self.sizeHint()
        return QSize(96, hint.height()) if self._is_horizontal else QSize(hint.width(), 96)

    def fraction_at(self, position: QPointF) -> float:
        """Return where along the bar a widget position is: 0 at the near end, 1 at the far end."""
        if self._is_horizontal:
            return position.x() / max(self.width(), 1)
        return 1 - position.y() / max(self.height(), 1)

    def ticks_m(self) -> list[float]:
        """Return the round depths to mark, clear of the ends, whose values stand in boxes."""
        near, far = self.range.near_m, self.range.far_m
        length = max(self.width() if self._is_horizontal else self.height(), 1)
        text = self.fontMetrics()
        wide = text.horizontalAdvance("00.00") if self._is_horizontal else text.height()
        apart = max(6 * theme.GRID_PX, wide + 2 * theme.GRID_PX)
        step = round_step((far - near) * min(apart / length, 1))
        clear = (far - near) * min(2 * theme.GRID_PX / length, 0.5)
        steps = range(math.ceil((near + clear) / step), math.floor((far - clear) / step) + 1)
        return [i * step for i in steps]

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        thick = self._thick
        colors = ramp(self.colormap)
        if self._is_horizontal:
            painter.drawImage(QRect(0, 0, self.width(), thick), colors)
        else:
            painter.rotate(-90)
            painter.drawImage(QRect(-self.height(), 0, self.height(), thick), colors)
            painter.rotate(90)
        painter.setPen(QColor(theme.current().dim))
        for depth_m in self.ticks_m():
            self._paint_tick(painter, depth_m)
        painter.end()

    def _paint_tick(self, painter: QPainter, depth_m: float) -> None:
        text, metrics = f"{depth_m:.4g}", self.fontMetrics()
        along = (depth_m - self.range.near_m) / (self.range.far_m - self.range.near_m)
        wide, high, thick = metrics.horizontalAdvance(text), metrics.height(), self._thick
        if self._is_horizontal:
            x = round(along * self.width())
            painter.drawLine(x, thick - 4, x, thick + 1)
            painter.drawText(x - wide // 2, thick + metrics.ascent(), text)
        else:
            y = round((1 - along) * self.height())
            painter.drawLine(thick - 4, y, thick + 1, y)
            painter.drawText(thick + theme.GRID_PX // 2, y - high // 2 + metrics.ascent(), text)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if event.button() == Qt.MouseButton.LeftButton:
            self._grab = (event.position(), self.range, self.fraction_at(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if self._grab is None:
            return
        _, start, grabbed = self._grab
        step = (self.fraction_at(event.position()) - grabbed) * (start.far_m - start.near_m)
        near, far = start.near_m, start.far_m
        if grabbed < 0.25:
            wanted = limited(min(near + step, far - _MIN_SPAN_M), far)
        elif grabbed > 0.75:
            wanted = limited(near, far + step)
        else:
            step = max(step, -near)
            wanted = limited(near + step, far + step)
        self.rangeDragged.emit(wanted)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self._grab = None

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802, D102
        near, far = self.range.near_m, self.range.far_m
        factor = 2.0 ** (event.angleDelta().y() / 480)
        self.rangeDragged.emit(limited(near, near + (far - near) * factor))
        event.accept()


class DepthScale(QWidget):
    """The colour bar with the two ends to type, an Auto button and a choice of colours.

    ``rangeChanged(DepthRange)``, ``colormapChanged(str)`` and ``autoChanged(bool)`` are sent
    whenever the value changes, whoever changed it. Any range set by hand ends Auto.
    """

    rangeChanged = Signal(object)  # noqa: N815
    colormapChanged = Signal(str)  # noqa: N815
    autoChanged = Signal(bool)  # noqa: N815

    def __init__(
        self,
        orientation: Qt.Orientation = Qt.Orientation.Horizontal,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bar = ColorBar(orientation)
        self._bar.rangeDragged.connect(self._set_by_hand)
        self._near = self._end_box(tr("Near end of the colours"))
        self._near.valueChanged.connect(self._on_near_typed)
        self._far = self._end_box(tr("Far end of the colours"))
        self._far.valueChanged.connect(self._on_far_typed)
        self._auto = QToolButton()
        self._auto.setText(tr("Auto"))
        self._auto.setCheckable(True)
        self._auto.setToolTip(tr("Follow the scene: 2nd to 98th percentile of the depth"))
        self._auto.toggled.connect(self.autoChanged)
        self._colors = QToolButton()
        self._colors.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._colors.setToolTip(tr("Colours"))
        self._names = self._name_actions()
        menu = QMenu(self._colors)
        menu.addActions(self._names.actions())
        self._colors.setMenu(menu)
        self._lay_out(orientation)
        self._fit()
        self._show_range()
        self._show_colormap()

    @property
    def range(self) -> DepthRange:
        """The depths of the two ends."""
        return self._bar.range

    @property
    def colormap(self) -> str:
        """The name of the colours."""
        return self._bar.colormap

    @property
    def is_auto(self) -> bool:
        """Whether the range follows the scene."""
        return self._auto.isChecked()

    def set_range(self, scale: DepthRange) -> None:
        """Set both ends."""
        if scale != self._bar.range:
            self._bar.range = scale
            self._show_range()
            self.rangeChanged.emit(scale)

    def set_colormap(self, name: str) -> None:
        """Set the colours, one of `lingbot_live.colormap.NAMES`."""
        table(name)
        if name != self._bar.colormap:
            self._bar.colormap = name
            self._show_colormap()
            self.colormapChanged.emit(name)

    def set_auto(self, on: bool) -> None:
        """Let the range follow the scene, or hold it."""
        self._auto.setChecked(on)

    def offer(self, depth_m: DepthMap) -> None:
        """Take new depth, (H, W) float32 metres; moves the range gently if Auto is on."""
        if not self.is_auto or not depth_m.any():
            return
        now, goal = self.range, auto_range(depth_m)
        ends = np.array([now.near_m, now.far_m])
        step = np.array([goal.near_m, goal.far_m]) - ends
        if np.abs(step).max() > 0.01 * (now.far_m - now.near_m):
            near, far = ends + _EASE * step
            self.set_range(limited(float(near), float(far)))

    def scale_far(self, factor: float) -> None:
        """Make the range wider (above 1) or narrower, keeping the near end."""
        near, far = self.range.near_m, self.range.far_m
        self._set_by_hand(limited(near, near + (far - near) * factor))

    @property
    def controls(self) -> tuple[QWidget, ...]:
        """What only the mouse needs, so that an audience need not see it."""
        return self._auto, self._colors

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802, D102
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802, D102
        menu = self.build_menu()
        menu.exec(event.globalPos())
        menu.deleteLater()

    def build_menu(self) -> QMenu:
        """Return the context menu: ranges for common scenes, Auto, colours."""
        menu = QMenu(self)
        for label, scale in PRESETS.items():
            action = menu.addAction(tr(label))
            action.triggered.connect(lambda _=False, s=scale: self._set_by_hand(s))
        auto = menu.addAction(tr("Auto, follow the scene"))
        auto.setCheckable(True)
        auto.setChecked(self.is_auto)
        auto.toggled.connect(self.set_auto)
        menu.addSection(tr("Colours"))
        menu.addActions(self._names.actions())
        return menu

    # ---- inside ----------------------------------------------------------------------------

    def _lay_out(self, orientation: Qt.Orientation) -> None:
        across = orientation == Qt.Orientation.Horizontal
        way = QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.BottomToTop
        box = QBoxLayout(way, self)
        box.setContentsMargins(theme.GRID_PX, 4, theme.GRID_PX, 4)
        box.setSpacing(theme.GRID_PX)
        box.addWidget(self._near)
        box.addWidget(self._bar, 1)
        for widget in (self._far, self._auto, self._colors):
            box.addWidget(widget)

    def _fit(self) -> None:
        """Make room for the letters in force."""
        for box in (self._near, self._far):
            text = box.fontMetrics()
            box.setFixedWidth(text.horizontalAdvance("00.00 m") + text.height() + theme.GRID_PX)
        self._bar.updateGeometry()

    def _end_box(self, name: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setAccessibleName(name)
        box.setToolTip(tr("{name}, metres", name=name))
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        box.setDecimals(2)
        box.setRange(0.0, _MAX_M)
        box.setSingleStep(0.1)
        box.setSuffix(" m")
        box.setKeyboardTracking(False)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        return box

    def _name_actions(self) -> QActionGroup:
        group = QActionGroup(self)
        for name in NAMES:
            action = QAction(_swatch(name), name, group)
            action.setCheckable(True)
            action.triggered.connect(lambda _=False, n=name: self.set_colormap(n))
        return group

    def _on_near_typed(self, near_m: float) -> None:
        self._set_by_hand(limited(near_m, self.range.far_m))
        self._show_range()

    def _on_far_typed(self, far_m: float) -> None:
        near_m = min(self.range.near_m, max(far_m - _MIN_SPAN_M, 0.0))
        self._set_by_hand(limited(near_m, far_m))
        self._show_range()

    def _set_by_hand(self, scale: DepthRange) -> None:
        self.set_auto(False)
        self.set_range(scale)

    def _show_range(self) -> None:
        for box, value in ((self._near, self.range.near_m), (self._far, self.range.far_m)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        self._bar.update()

    def _show_colormap(self) -> None:
        self._colors.setText(self.colormap)
        for action in self._names.actions():
            action.setChecked(action.text() == self.colormap)
        self._bar.update()


def round_step(step: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not below ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def ramp(name: str) -> QImage:
    """Return the colours of a scale as an image one pixel high, near end left."""
    rgb = np.ascontiguousarray(table(name)[1:])
    image = QImage(rgb.data, len(rgb), 1, rgb.nbytes, QImage.Format.Format_RGB888)
    return image.convertToFormat(QImage.Format.Format_RGB32)


def _swatch(name: str) -> QIcon:
    return QIcon(QPixmap.fromImage(ramp(name)).scaled(6 * theme.GRID_PX, 2 * theme.GRID_PX))
