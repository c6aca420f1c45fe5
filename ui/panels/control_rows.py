"""One sensor setting as a row of widgets: its name, something to change it with, a reset."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from ui.shell import theme
from ui.shell.language import told, tr

_SLIDER_STEPS = 1000  # at most, over the whole range
_NAME_PX, _NUMBER_PX = 124, 104


class ControlRow(QWidget):
    """Shows a control; ``changed(str, object)`` is sent when the user gives it another value."""

    changed = Signal(str, object)

    def __init__(self, control: Control, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.control = control
        name = QLabel(label_of(control))
        name.setFixedWidth(_NAME_PX)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(theme.GRID_PX)
        self._row.addWidget(name)
        self._make_editor()
        self.reset_button = QToolButton()
        self.reset_button.setText("↺")
        self.reset_button.setAccessibleName(tr("Reset {name}", name=label_of(control)))
        self.reset_button.clicked.connect(self.reset)
        self._row.addWidget(self.reset_button)
        self.setToolTip(f"{told(control.help)}\n{control.name}: {told(control.span)}".strip())
        self.show_control(control)

    def reset(self) -> None:
        """Ask for the default."""
        if self.control.default is not None and not self.control.read_only:
            self._ask(self.control.default)

    def show_control(self, control: Control) -> None:
        """Show what holds now; sends nothing."""
        self.control = control
        self.setEnabled(not control.read_only)
        has_default = control.default is not None and control.value != control.default
        self.reset_button.setEnabled(has_default and not control.read_only)
        self.reset_button.setToolTip(
            tr("Back to {default}", default=control.default) if has_default else ""
        )
        self._show_value(control.value)

    # ---- private ---------------------------------------------------------------------------

    def _make_editor(self) -> None:
        raise NotImplementedError

    def _show_value(self, value: ControlValue) -> None:
        raise NotImplementedError

    def _ask(self, value: ControlValue) -> None:
        if value != self.control.value:
            self.changed.emit(self.control.name, value)


class _SwitchRow(ControlRow):
    def _make_editor(self) -> None:
        self.box = QCheckBox()
        self.box.toggled.connect(self._ask)
        self._row.addWidget(self.box, 1)

    def _show_value(self, value: ControlValue) -> None:
        with QSignalBlocker(self.box):
            self.box.setChecked(bool(value))


class _ChoiceRow(ControlRow):
    def _make_editor(self) -> None:
        self.box = QComboBox()
        for choice in self.control.choices:
            self.box.addItem(told(choice), choice)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.activated.connect(lambda at: self._ask(self.box.itemData(at)))
        self._row.addWidget(self.box, 1)

    def _show_value(self, value: ControlValue) -> None:
        self.box.setCurrentIndex(self.box.findData(str(value)))


class _NumberRow(ControlRow):
    def _make_editor(self) -> None:
        control = self.control
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, self._steps)
        self.slider.setMinimumWidth(64)
        self.slider.valueChanged.connect(self._on_slid)
        self.number = QDoubleSpinBox()
        self.number.setDecimals(0 if control.kind is ControlKind.INT else _decimals(control))
        self.number.setRange(control.minimum, control.maximum)
        self.number.setSingleStep(control.step or self._step)
        self.number.setSuffix(f" {control.unit}" if control.unit else "")
        self.number.setKeyboardTracking(False)
        self.number.setFixedWidth(_NUMBER_PX)
        self.number.valueChanged.connect(self._on_typed)
        self._row.addWidget(self.slider, 1)
        self._row.addWidget(self.number)

    @property
    def _steps(self) -> int:
        span = self.control.maximum - self.control.minimum
        steps = round(span / self.control.step) if self.control.step else _SLIDER_STEPS
        return max(1, min(steps, _SLIDER_STEPS))

    @property
    def _step(self) -> float:
        return (self.control.maximum - self.control.minimum) / self._steps

    def _on_slid(self, at: int) -> None:
        self._on_typed(self.control.minimum + at * self._step)

    def _on_typed(self, value: float) -> None:
        checked = self.control.checked(value, "")  # on a step and within limits
        self._show_value(checked)
        self._ask(checked)

    def _show_value(self, value: ControlValue) -> None:
        number = float(value)
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.number.setValue(number)
            if not self.slider.isSliderDown():
                at = (number - self.control.minimum) / self._step if self._step else 0
                self.slider.setValue(round(at))


def label_of(control: Control) -> str:
    """Return a control's name in words, without the stream that it belongs to."""
    return told(control.name.partition(".")[2].replace("_", " ").capitalize())


def _decimals(control: Control) -> int:
    """Return how many digits after the point tell its value and its step."""
    numbers = (float(control.value), control.step)
    return max(2, *(len(f"{number:.6f}".rstrip("0").partition(".")[2]) for number in numbers))


def row_for(control: Control) -> ControlRow:
    """Return the row that fits a control's kind."""
    if control.kind is ControlKind.BOOL:
        return _SwitchRow(control)
    return _ChoiceRow(control) if control.kind is ControlKind.CHOICE else _NumberRow(control)
